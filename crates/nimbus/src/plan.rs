//! What follows from what a leader knows: what is due now, and where executors go. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use storm_cluster::{PendingKind, TombstoneRecord, TopologyRecord};
use storm_model::{Assignment, ExecutorId, Status, SupervisorId, Time, TopologyId, WorkerSlot};
use storm_rpc::v1;
use storm_scheduler::{ClusterView, Placement, SupervisorView, TopologyView, schedule, schedule_isolated};

use crate::assign;
use crate::commands::needs::Needs;
use crate::commands::tune;
use crate::heartbeats::FAILURES;
use crate::state::{Change, State, Topology};
use crate::transitions::{self, Effect, Event, Wait};

/// For so long after a kill or a rebalance it is likely that it is over soon.
const DRAINS_SOON: Duration = Duration::from_secs(10);
/// Key with the number of hosts that a topology has for itself.
const ISOLATE: &str = "topology.isolate.machines";
/// Key with its priority: 0 is the highest, and 29 the default.
const PRIORITY: &str = "topology.priority";

impl State {
    /// The next writes that are due, each list in one transaction; empty when there is nothing to do.
    /// To be asked again after they were made.
    pub(crate) fn due(&mut self, now: Time, wall_ms: u64) -> Vec<Vec<Change>> {
        if self.frozen.is_some() {
            return Vec::new();
        }
        let ended =
            self.waiting().find(|(topology, wait)| wait.remaining(now).is_zero() || topology.is_quiet());
        let ended = ended.map(|(topology, _)| (&topology.record().id, topology));
        if let Some((id, topology)) = ended {
            let id = id.clone();
            let is_quiet = topology.is_quiet();
            let record = topology.record();
            let step = transitions::step(
                &record.name,
                record.status,
                record.previous_status,
                None,
                Event::WaitEnded,
            )
            .expect("the end of a wait is never refused");
            let waited = topology.wait.map(|wait| wait.elapsed(now)).unwrap_or_default();
            tracing::info!(topology = %id, status = %record.status, is_quiet, ?waited, "wait is over");
            return match step.effect {
                Effect::Remove => {
                    let command = record.pending.as_ref().map(|p| p.command.clone()).unwrap_or_default();
                    let name = record.name.clone();
                    vec![vec![Change::Remove(TombstoneRecord { id, name, killed_ms: wall_ms, command })]]
                }
                _ => {
                    let anew = rebalanced(record, step.status);
                    if let Some(topology) = self.topologies.get_mut(&id) {
                        topology.settling = Some(now);
                    }
                    vec![self.place_anew(anew)]
                }
            };
        }
        let settled = self.settled(wall_ms);
        if !settled.is_empty() {
            return settled;
        }
        if std::mem::take(&mut self.is_dirty) { self.place() } else { Vec::new() }
    }

    /// Takes levels of loggers whose time is over out of the records. Workers know by themselves when that is.
    fn settled(&self, wall_ms: u64) -> Vec<Vec<Change>> {
        let known =
            self.topologies.iter().filter(|(id, t)| !t.is_record_gone && !self.too_large.contains(*id));
        let settled = known.filter_map(|(_, topology)| tune::settled(topology.record(), wall_ms));
        settled.map(|record| vec![Change::PutTopology(Box::new(record))]).collect()
    }

    /// When [`State::due`] has to be asked again at the latest, if nothing happens before.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        // Nothing will be due then, whatever the clock says.
        if self.frozen.is_some() {
            return None;
        }
        self.waiting().map(|(_, wait)| wait.deadline()).min()
    }

    /// The topologies whose wait may end.
    fn waiting(&self) -> impl Iterator<Item = (&Topology, Wait)> {
        self.topologies.iter().filter_map(|(id, topology)| {
            let is_left = topology.is_record_gone || self.too_large.contains(id);
            Some((topology, topology.wait.filter(|_| !is_left)?))
        })
    }

    /// Whether reports of workers are worth more than usual: a wait may end with the next.
    pub(crate) fn is_draining(&self, now: Time) -> bool {
        self.waiting().any(|(topology, wait)| topology.drain.is_calm() || wait.elapsed(now) < DRAINS_SOON)
    }

    /// What can be done about a topology of which something is too large to be written: a rebalance is
    /// given up. Everything else is left as it is until everything is read again.
    pub(crate) fn give_up(&mut self, changes: &[Change], wall_ms: u64, error: &str) -> Option<Change> {
        let mut abandoned = None;
        for change in changes {
            let id = match change {
                Change::PutTopology(record) => &record.id,
                Change::PutAssignment(id, _) => id,
                Change::PutCommand(_) | Change::Remove(_) => continue,
            };
            self.too_large.insert(id.clone());
            let Some(topology) = self.topologies.get_mut(id) else { continue };
            if topology.record().status == Status::Rebalancing && abandoned.is_none() {
                topology.add_errors([v1::ErrorReport {
                    time_ms: wall_ms,
                    message: format!("its rebalance was given up: {error}"),
                    kind: "exit".to_owned(),
                    ..v1::ErrorReport::default()
                }]);
                topology.settling = None;
                let mut record = topology.record().clone();
                record.status = record.previous_status.take().unwrap_or(Status::Active);
                record.pending = None;
                abandoned = Some(Change::PutTopology(Box::new(record)));
            }
        }
        abandoned
    }

    /// Places what has no place.
    fn place(&mut self) -> Vec<Vec<Change>> {
        let plan = self.plan(None);
        let mut batches = Vec::new();
        for (id, placement) in plan {
            let Some(topology) = self.topologies.get_mut(&id) else { continue };
            topology.explanation.clone_from(&placement.explanation);
            topology.unplaced.clone_from(&placement.unplaced);
            if is_held(topology) || self.too_large.contains(&id) {
                continue;
            }
            let topology = &self.topologies[&id];
            let mut record = topology.record().clone();
            let wanted = assign::wanted(&record.spec, &record.executors);
            let old = topology.assignment();
            // Where it was it may come back; elsewhere there is no place for it at all.
            if placement.executors.is_empty() && old.is_some_and(|old| !old.workers.is_empty()) {
                continue;
            }
            let hosts = |slot: &WorkerSlot| self.host(slot, old);
            if let Some(assignment) = assign::next(&mut record, &wanted, old, &placement.executors, hosts) {
                record.explanation = placement.explanation;
                tracing::info!(
                    topology = %id, version = assignment.version, workers = assignment.workers.len(),
                    explanation = record.explanation, "topology placed"
                );
                batches
                    .push(vec![Change::PutTopology(Box::new(record)), Change::PutAssignment(id, assignment)]);
            }
        }
        batches
    }

    /// Places one topology anew at the end of its rebalance; the others follow.
    fn place_anew(&mut self, mut record: TopologyRecord) -> Vec<Change> {
        let id = record.id.clone();
        self.liveness.forgive(&id);
        self.kept_off.retain(|(topology, _)| *topology != id);
        let placement = self.plan(Some(&record)).remove(&id);
        self.is_dirty = true;
        let old = self.topologies.get(&id).and_then(Topology::assignment);
        let Some(placement) = placement else { return vec![Change::PutTopology(Box::new(record))] };
        let wanted = assign::wanted(&record.spec, &record.executors);
        record.explanation.clone_from(&placement.explanation);
        let is_nowhere = placement.executors.is_empty() && old.is_some_and(|old| !old.workers.is_empty());
        let hosts = |slot: &WorkerSlot| self.host(slot, old);
        let next = assign::next(&mut record, &wanted, old, &placement.executors, hosts);
        let mut changes = Vec::new();
        let is_lost = self.topologies.get(&id).is_some_and(Topology::is_astray);
        // Where it stays as it is, its node has to be written all the same.
        let as_before = |record: &mut TopologyRecord| Some(assign::again(record, old.filter(|_| is_lost)?));
        if let Some(assignment) = next.filter(|_| !is_nowhere).or_else(|| as_before(&mut record)) {
            tracing::info!(
                topology = %id, version = assignment.version, workers = assignment.workers.len(),
                explanation = record.explanation, "topology placed anew"
            );
            changes.push(Change::PutAssignment(id.clone(), assignment));
        }
        changes.insert(0, Change::PutTopology(Box::new(record)));
        changes
    }

    /// Where everything would go. `anew`: a topology, as it will be, that is placed anew.
    pub(crate) fn plan(&self, anew: Option<&TopologyRecord>) -> BTreeMap<TopologyId, Placement> {
        let used = self.used_slots();
        let mut topologies: Vec<(&TopologyId, &Topology)> = self.topologies.iter().collect();
        topologies
            .sort_by_key(|(id, topology)| (priority(topology.record()), topology.record().launched_ms, *id));
        let mut views = Vec::new();
        for (id, assignment) in &self.strangers {
            views.push(held(id, id.as_str(), assignment));
        }
        let mut failed = BTreeSet::new();
        for (id, topology) in &topologies {
            let anew = anew.filter(|record| record.id == **id);
            let record = anew.unwrap_or(topology.record());
            if anew.is_none() && is_held(topology) {
                if let Some(assignment) = topology.assignment() {
                    views.push(held(id, &record.name, assignment));
                }
                continue;
            }
            let mut current = topology.assignment().map(assign::standing).unwrap_or_default();
            current.retain(|_, slot| {
                let is_failing = self.is_failing(topology, slot) && self.is_room_elsewhere(id, slot, &used);
                if is_failing {
                    failed.insert(((*id).clone(), slot.clone()));
                }
                let is_unhealthy =
                    self.supervisors.get(&slot.supervisor).is_some_and(|known| !known.unhealthy.is_empty());
                !is_failing && !is_unhealthy && !self.verdict.lost.contains(&slot.supervisor)
            });
            views.push(TopologyView {
                id: (*id).clone(),
                name: record.name.clone(),
                workers: record.workers,
                executors: assign::wanted(&record.spec, &record.executors),
                current,
                spread_again: anew.is_some(),
            });
        }
        let mut supervisors = self.supervisor_views();
        for (slot, id) in self.squatted() {
            // Its own places may be given to it again.
            if anew.is_some_and(|record| record.id == id) {
                continue;
            }
            for view in supervisors.iter_mut().filter(|view| view.id == slot.supervisor) {
                view.slots.retain(|port| *port != slot.port);
            }
        }
        let cluster = ClusterView { supervisors, failed };
        let machines: BTreeMap<String, u32> = topologies
            .iter()
            .filter_map(|(_, topology)| {
                let hosts = topology.record().config.get(ISOLATE)?.as_u64()?;
                Some((topology.record().name.clone(), u32::try_from(hosts).ok()?))
            })
            .collect();
        if machines.is_empty() {
            schedule(&cluster, &views)
        } else {
            schedule_isolated(&cluster, &views, &machines)
        }
    }

    /// What would move if a topology became like this and were placed anew.
    pub(crate) fn moves(&self, record: &TopologyRecord) -> (Vec<v1::rebalance_reply::Move>, String) {
        let Some(placement) = self.plan(Some(record)).remove(&record.id) else { return Default::default() };
        let old = self.topologies.get(&record.id).and_then(Topology::assignment);
        let place = |slot: &WorkerSlot| format!("{}:{}", self.host(slot, old), slot.port);
        let mut moves = Vec::new();
        for wanted in assign::wanted(&record.spec, &record.executors) {
            let from = old.and_then(|old| old.worker_of(wanted.executor.first)).map(|worker| &worker.slot);
            let to = placement.executors.get(&wanted.executor);
            if from != to {
                let at = |slot: Option<&WorkerSlot>| slot.map(place).unwrap_or_default();
                moves.push(v1::rebalance_reply::Move {
                    executor: Some((&wanted).into()),
                    from: at(from),
                    to: at(to),
                });
            }
        }
        (moves, placement.explanation)
    }

    fn supervisor_views(&self) -> Vec<SupervisorView> {
        let is_any_anywhere = self.topologies.values().any(Topology::is_anywhere);
        let view = |(id, supervisor): (&SupervisorId, &crate::state::Supervisor)| {
            let record = &supervisor.record;
            let mut view = SupervisorView::new(id, &*record.host, record.slots.iter().copied());
            view.unusable = if self.verdict.silent.contains(id) {
                Some("silent".to_owned())
            } else if !supervisor.is_registered {
                Some("signed off".to_owned())
            } else if is_any_anywhere && !self.told.contains_key(id) {
                Some("has not told yet what it runs".to_owned())
            } else if supervisor.unhealthy.is_empty() {
                None
            } else {
                Some(format!("unhealthy: {}", supervisor.unhealthy))
            };
            for (topology, known) in &self.topologies {
                if self.kept_off.contains(&(topology.clone(), id.clone())) {
                    view.refuses
                        .insert(topology.clone(), "its worker failed there again and again".to_owned());
                } else if let Err(reason) = Needs::of(known.record()).fit(record) {
                    view.refuses.insert(topology.clone(), reason);
                }
            }
            view
        };
        self.supervisors.iter().map(view).collect()
    }

    fn is_failing(&self, topology: &Topology, slot: &WorkerSlot) -> bool {
        let report = topology.workers.get(slot).and_then(|worker| worker.slot.as_ref());
        report.is_some_and(|(_, report)| report.recent_failures >= FAILURES)
            && self.kept_off.contains(&(topology.record().id.clone(), slot.supervisor.clone()))
    }

    /// Whether another supervisor has a free slot that this topology may have.
    fn is_room_elsewhere(
        &self,
        id: &TopologyId,
        slot: &WorkerSlot,
        used: &BTreeMap<WorkerSlot, TopologyId>,
    ) -> bool {
        self.supervisor_views().into_iter().any(|view| {
            let is_free =
                |port: &u16| !used.contains_key(&WorkerSlot { supervisor: view.id.clone(), port: *port });
            view.id != slot.supervisor
                && view.unusable.is_none()
                && !view.refuses.contains_key(id)
                && view.slots.iter().any(is_free)
        })
    }

    /// Name or address of a slot's machine.
    pub(crate) fn host(&self, slot: &WorkerSlot, old: Option<&Assignment>) -> String {
        let known = self.supervisors.get(&slot.supervisor).map(|supervisor| &supervisor.record.host);
        let of_old = || Some(&old?.workers.iter().find(|w| w.slot.supervisor == slot.supervisor)?.host);
        known.or_else(of_old).cloned().unwrap_or_default()
    }
}

/// Whether a topology stays where it is, whatever happens: it ends, waits for its rebalance, or
/// nobody knows where it is.
fn is_held(topology: &Topology) -> bool {
    matches!(topology.record().status, Status::Killed | Status::Rebalancing) || topology.is_astray()
}

/// Who is served first where slots are scarce: the lower number, and of equal ones the older topology.
fn priority(record: &TopologyRecord) -> u64 {
    record.config.get(PRIORITY).and_then(serde_json::Value::as_u64).unwrap_or(29)
}

/// A view of a topology that stays where it is.
fn held(id: &TopologyId, name: &str, assignment: &Assignment) -> TopologyView {
    let current: BTreeMap<ExecutorId, WorkerSlot> = assign::standing(assignment);
    TopologyView {
        id: id.clone(),
        name: name.to_owned(),
        workers: u32::try_from(assignment.workers.len()).unwrap_or(u32::MAX),
        executors: assignment.workers.iter().flat_map(|worker| worker.executors.iter().cloned()).collect(),
        current,
        spread_again: false,
    }
}

/// The record after the rebalance that it waits for.
pub(crate) fn rebalanced(record: &TopologyRecord, status: Status) -> TopologyRecord {
    let mut record = record.clone();
    record.status = status;
    record.previous_status = None;
    record.rebalances += 1;
    if let Some(pending) = record.pending.take()
        && let PendingKind::Rebalance { workers, executors } = pending.kind
    {
        record.workers = workers.unwrap_or(record.workers);
        record.executors.extend(executors);
    }
    record
}
