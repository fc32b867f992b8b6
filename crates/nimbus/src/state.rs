//! What a leader knows: the records as it wrote or read them last, what was reported since it leads,
//! and what follows from both. Pure: time is an argument, and what is to be written is an answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use storm_cluster::{
    AssignmentRecord, CommandRecord, ErrorRecord, ErrorsRecord, SupervisorRecord, TombstoneRecord,
    TopologyRecord, Versioned,
};
use storm_figures::{Keeper, Keepers, Snapshot};
use storm_model::{
    AssignedExecutor, Assignment, Incarnation, Status, SupervisorId, TaskId, Time, TopologyId, WorkerSlot,
};
use storm_rpc::v1;

use crate::drain::{Answer, Drain};
use crate::figures::{Figured, Load};
use crate::heartbeats::{FAILURES, Liveness, Verdict};
use crate::transitions::Wait;

/// Errors of one component that are kept (Storm keeps as many).
const ERRORS_PER_COMPONENT: usize = 10;
/// Bytes of an error's message that are kept.
const MESSAGE_BYTES: usize = 4096;
/// Bytes of all errors of a topology that are kept for the next leader: they have to fit into a node.
const ERRORS_BYTES: usize = 400_000;

/// Something to be written. What stands in one list is written together or not at all.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// A new topology, or another state of one.
    PutTopology(Box<TopologyRecord>),
    /// Where a topology runs.
    PutAssignment(TopologyId, Assignment),
    /// What a command was answered.
    PutCommand(CommandRecord),
    /// A topology goes, with its assignment; a tombstone comes.
    Remove(TombstoneRecord),
}

/// What a leader knows.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) topologies: BTreeMap<TopologyId, Topology>,
    /// Slots of topologies whose record is missing or not understood.
    pub(crate) strangers: BTreeMap<TopologyId, Assignment>,
    pub(crate) supervisors: BTreeMap<SupervisorId, Supervisor>,
    /// What each supervisor said last of its slots: the topologies, by port.
    pub(crate) told: BTreeMap<SupervisorId, BTreeMap<u16, TopologyId>>,
    pub(crate) liveness: Liveness,
    pub(crate) verdict: Verdict,
    pub(crate) kept_off: BTreeSet<(TopologyId, SupervisorId)>,
    /// Whether the scheduler has to look again.
    pub(crate) is_dirty: bool,
    /// Why nothing may be moved, removed or commanded.
    pub(crate) frozen: Option<String>,
    /// What is wrong with the records, in words.
    pub(crate) record_problems: Vec<String>,
    /// Topologies that users have killed, as far as their tombstones are still there.
    pub(crate) tombstones: BTreeSet<TopologyId>,
    /// Topologies of which something was too large to be written: left as they are until everything is
    /// read again.
    pub(crate) too_large: BTreeSet<TopologyId>,
    /// The last round of a drain that workers were asked. Another leader's rounds have other numbers.
    pub(crate) last_round: u64,
    /// Supervisors that have told this leader what they had kept of figures.
    pub(crate) figured: BTreeSet<SupervisorId>,
    /// Topologies that are not known, with the supervisors that had kept figures of them: as soon as they are, it
    /// is asked for again.
    missed: BTreeMap<TopologyId, BTreeSet<SupervisorId>>,
}

/// A topology and what its workers said.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) record: Versioned<TopologyRecord>,
    pub(crate) assignment: Option<Versioned<AssignmentRecord>>,
    /// Its record was there, and is not any more.
    pub(crate) is_record_gone: bool,
    /// Its assignment was there, and is not any more.
    pub(crate) is_assignment_gone: bool,
    /// Why the node of its assignment cannot be understood, with what mends it. What
    /// [`Topology::assignment`] says then is what stood there before, if this leader has seen it.
    pub(crate) unreadable: Option<String>,
    pub(crate) wait: Option<Wait>,
    pub(crate) drain: Drain,
    pub(crate) workers: BTreeMap<WorkerSlot, Worker>,
    /// Slots that it has, or had since this leader knows it. Whoever says it runs elsewhere made that up.
    homes: BTreeSet<WorkerSlot>,
    /// What its workers count, by the supervisor whose workers they are.
    pub(crate) keeper: Keepers<SupervisorId>,
    pub(crate) errors: Vec<v1::ErrorReport>,
    pub(crate) errors_to_write: bool,
    pub(crate) errors_written: Option<Time>,
    /// Trees that failed as moved, by life of a worker: at the last rebalance, and now.
    moved: BTreeMap<(WorkerSlot, Incarnation), (u64, u64)>,
    /// Since when it was placed anew by a rebalance, until its workers run again.
    pub(crate) settling: Option<Time>,
    /// Its figures as they were computed last, while somebody asks for them.
    pub(crate) figures: Option<Arc<Figured>>,
    pub(crate) explanation: String,
    pub(crate) unplaced: Vec<(AssignedExecutor, String)>,
}

/// A worker of the present assignment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Worker {
    /// What it said last, without figures and errors.
    pub(crate) report: Option<(Time, v1::WorkerReport)>,
    /// What its supervisor said last.
    pub(crate) slot: Option<(Time, v1::SlotReport)>,
    pub(crate) load: Load,
}

/// A supervisor.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    pub(crate) record: SupervisorRecord,
    /// Whether its node is there.
    pub(crate) is_registered: bool,
    /// Why it ends its workers and may get no work, as its health script says.
    pub(crate) unhealthy: String,
    pub(crate) uptime_ms: u64,
}

impl Topology {
    fn new(record: Versioned<TopologyRecord>) -> Topology {
        Topology {
            explanation: record.value.explanation.clone(),
            record,
            assignment: None,
            is_record_gone: false,
            is_assignment_gone: false,
            unreadable: None,
            wait: None,
            drain: Drain::default(),
            workers: BTreeMap::new(),
            homes: BTreeSet::new(),
            keeper: Keepers::default(),
            errors: Vec::new(),
            errors_to_write: false,
            errors_written: None,
            moved: BTreeMap::new(),
            settling: None,
            figures: None,
            unplaced: Vec::new(),
        }
    }

    pub(crate) fn record(&self) -> &TopologyRecord {
        &self.record.value
    }

    pub(crate) fn assignment(&self) -> Option<&Assignment> {
        self.assignment.as_ref().map(|assignment| &assignment.value.assignment)
    }

    /// Whether its record or assignment should be there and is not: then it stays as it is until
    /// somebody decides.
    pub(crate) fn is_astray(&self) -> bool {
        self.is_record_gone || self.is_assignment_gone || self.unreadable.is_some() || self.is_anywhere()
    }

    /// Whether it may run somewhere, and only supervisors can tell where.
    pub(crate) fn is_anywhere(&self) -> bool {
        self.assignment.is_none() && (self.unreadable.is_some() || self.record().assignment_number > 0)
    }

    /// Whether nothing of it is on its way, as far as is known.
    pub(crate) fn is_quiet(&self) -> bool {
        match self.assignment() {
            Some(assignment) => assignment.workers.is_empty() || self.drain.is_quiet(),
            None => self.record().assignment_number == 0,
        }
    }

    /// The round of its drain, while somebody waits for that.
    fn ask(&mut self, last_round: &mut u64) -> Option<u64> {
        let is_waiting = matches!(self.record().status, Status::Killed | Status::Rebalancing);
        (is_waiting && !self.drain.is_quiet()).then(|| self.drain.ask(last_round))
    }

    /// Trees that failed as moved since the last rebalance began.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.values().map(|(before, now)| now.saturating_sub(*before)).sum()
    }

    /// Takes the record as it stands in the cluster's memory now.
    fn set_record(&mut self, now: Time, wall_ms: u64, record: Versioned<TopologyRecord>) {
        let (old, new) = (self.record(), &record.value);
        let (was, is) = (old.status, new.status);
        let is_same_wait = match (&old.pending, &new.pending) {
            (Some(old), Some(new)) => (old.started_ms, old.wait_secs) == (new.started_ms, new.wait_secs),
            (None, None) => true,
            _ => false,
        };
        if !is_same_wait || (self.wait.is_none() && new.pending.is_some()) {
            self.wait = new.pending.as_ref().map(|pending| Wait::resume(now, wall_ms, pending));
        }
        if was != is {
            self.drain = Drain::default();
        }
        if was != Status::Rebalancing && is == Status::Rebalancing {
            let numbers: BTreeSet<u64> =
                self.assignment().into_iter().flat_map(|a| &a.workers).map(|worker| worker.number).collect();
            self.moved.retain(|(_, life), _| numbers.contains(&life.number));
            for (before, now) in self.moved.values_mut() {
                *before = *now;
            }
        }
        self.record = record;
    }

    /// Notes that the node of its assignment cannot be understood. Numbers and versions that were used
    /// stand in its record, so whatever follows is newer than what stood there.
    fn cannot_read_assignment(&mut self, wall_ms: u64, error: &str) -> String {
        let problem = format!(
            "{error}; the topology is left running where it is, and `storm-rs rebalance {}` replaces the node",
            self.record().name
        );
        self.is_assignment_gone = false;
        if self.unreadable.as_ref() != Some(&problem) {
            tracing::error!(topology = %self.record().id, problem, "cannot read an assignment");
            self.unreadable = Some(problem.clone());
            self.add_errors([v1::ErrorReport {
                time_ms: wall_ms,
                message: problem.clone(),
                kind: "assignment".to_owned(),
                ..v1::ErrorReport::default()
            }]);
        }
        problem
    }

    fn set_assignment(&mut self, assignment: Option<Versioned<AssignmentRecord>>) {
        let is_other = self.assignment() != assignment.as_ref().map(|a| &a.value.assignment);
        self.assignment = assignment;
        if is_other {
            self.drain = Drain::default();
            let numbers: BTreeMap<WorkerSlot, u64> = self
                .assignment()
                .into_iter()
                .flat_map(|a| &a.workers)
                .map(|w| (w.slot.clone(), w.number))
                .collect();
            self.homes.extend(numbers.keys().cloned());
            self.workers.retain(|slot, worker| {
                let number = worker.report.as_ref().and_then(|(_, r)| r.incarnation).map(|i| i.number);
                let of_slot = worker.slot.as_ref().and_then(|(_, s)| s.incarnation).map(|i| i.number);
                numbers.get(slot).is_some_and(|n| number.or(of_slot) == Some(*n))
            });
        }
    }

    /// Takes figures of a life, and gives them back as they are understood. What is late is passed over, as it
    /// would be counted twice; a life that has just ended tells of its last moments when the next assignment
    /// is there already. Numbers only grow from one home of an executor to the next. What the topology does not
    /// have is left out.
    fn take_figures(
        &mut self,
        at: Time,
        of: &SupervisorId,
        life: Incarnation,
        uptime_ms: u64,
        figures: &[u8],
    ) -> Option<Snapshot> {
        self.forget_old_figures(at);
        if figures.is_empty() || life.number > self.record().assignment_number {
            return None;
        }
        match serde_json::from_slice::<Snapshot>(figures) {
            Ok(mut snapshot) => {
                if snapshot.keep_known(&self.record().spec) {
                    tracing::debug!(topology = %self.record().id, "figures of what it does not have");
                }
                self.keeper.observe(at, of, life, uptime_ms, &snapshot);
                Some(snapshot)
            }
            Err(error) => {
                tracing::debug!(topology = %self.record().id, %error, "figures not understood");
                None
            }
        }
    }

    pub(crate) fn add_errors(&mut self, errors: impl IntoIterator<Item = v1::ErrorReport>) {
        for mut error in errors {
            if !error.component.is_empty()
                && !self.record().spec.components.contains_key(error.component.as_str())
            {
                continue;
            }
            if error.message.len() > MESSAGE_BYTES {
                let end = (0..=MESSAGE_BYTES).rev().find(|at| error.message.is_char_boundary(*at));
                error.message.truncate(end.unwrap_or(0));
            }
            if self.errors.contains(&error) {
                continue;
            }
            let at = self.errors.partition_point(|known| known.time_ms <= error.time_ms);
            let component = error.component.clone();
            self.errors.insert(at, error);
            let of_it = |known: &v1::ErrorReport| known.component == component;
            if self.errors.iter().filter(|known| of_it(known)).count() > ERRORS_PER_COMPONENT
                && let Some(oldest) = self.errors.iter().position(of_it)
            {
                self.errors.remove(oldest);
            }
            self.errors_to_write = true;
        }
    }

    /// The errors as they are kept for the next leader: the newest, as many as fit.
    pub(crate) fn errors_record(&self) -> ErrorsRecord {
        let record = |error: &v1::ErrorReport| ErrorRecord {
            time_ms: error.time_ms,
            component: error.component.as_str().into(),
            task: TaskId(error.task),
            host: error.host.clone(),
            port: u16::try_from(error.port).unwrap_or(0),
            message: error.message.clone(),
            kind: error.kind.clone(),
            suppressed: error.suppressed,
        };
        let mut left = ERRORS_BYTES;
        // In JSON a control character takes six bytes.
        let fits = |error: &&v1::ErrorReport| {
            let bytes = 300 + 6 * (error.message.len() + error.host.len() + error.component.len());
            left.checked_sub(bytes).map(|rest| left = rest).is_some()
        };
        let mut errors: Vec<ErrorRecord> = self.errors.iter().rev().take_while(fits).map(record).collect();
        errors.reverse();
        ErrorsRecord { errors }
    }

    /// Takes the errors that a former leader kept.
    pub(crate) fn remember_errors(&mut self, record: &ErrorsRecord) {
        let was_to_write = self.errors_to_write;
        self.add_errors(record.errors.iter().map(|error| v1::ErrorReport {
            time_ms: error.time_ms,
            component: error.component.to_string(),
            task: error.task.0,
            host: error.host.clone(),
            port: error.port.into(),
            message: error.message.clone(),
            kind: error.kind.clone(),
            suppressed: error.suppressed,
        }));
        self.errors_to_write = was_to_write;
    }
}

impl State {
    pub(crate) fn new(liveness: Liveness) -> State {
        State {
            topologies: BTreeMap::new(),
            strangers: BTreeMap::new(),
            supervisors: BTreeMap::new(),
            told: BTreeMap::new(),
            liveness,
            verdict: Verdict::default(),
            kept_off: BTreeSet::new(),
            is_dirty: true,
            frozen: None,
            record_problems: Vec::new(),
            tombstones: BTreeSet::new(),
            too_large: BTreeSet::new(),
            last_round: 0,
            figured: BTreeSet::new(),
            missed: BTreeMap::new(),
        }
    }

    /// The topology of this name that is not gone yet, or of this id.
    pub(crate) fn find(&self, name: &str) -> Option<&Topology> {
        let by_name = self.topologies.values().find(|topology| topology.record().name == name);
        by_name.or_else(|| self.topologies.get(name))
    }

    // === Records ===

    /// Takes what was read. What is known here and was not read is unknown, not gone: it stays, unless
    /// its tombstone is there.
    pub(crate) fn load(
        &mut self,
        now: Time,
        wall_ms: u64,
        topologies: storm_cluster::Children<TopologyId, TopologyRecord>,
        mut assignments: storm_cluster::Children<TopologyId, AssignmentRecord>,
        tombstones: BTreeSet<TopologyId>,
    ) {
        self.record_problems.clear();
        self.too_large.clear();
        self.tombstones = tombstones;
        // A removal whose outcome was not known was carried out.
        let gone = |id: &TopologyId| self.tombstones.contains(id) && !topologies.contains_key(id);
        self.topologies.retain(|id, _| !gone(id));
        self.missed.retain(|id, _| !self.tombstones.contains(id));
        self.strangers.clear();
        self.is_dirty = true;
        for (id, topology) in &mut self.topologies {
            topology.is_record_gone = !topologies.contains_key(id);
            if !topology.is_record_gone {
                continue;
            }
            assignments.remove(id);
            self.record_problems.push(format!(
                "the record of topology '{id}' is gone from ZooKeeper, but nobody killed it: left running"
            ));
        }
        for (id, record) in topologies {
            match record {
                Ok(record) => {
                    for supervisor in self.missed.remove(&id).into_iter().flatten() {
                        self.figured.remove(&supervisor);
                    }
                    let topology =
                        self.topologies.entry(id.clone()).or_insert_with(|| Topology::new(record.clone()));
                    topology.set_record(now, wall_ms, record);
                    match assignments.remove(&id).transpose() {
                        Ok(assignment) => {
                            topology.unreadable = None;
                            topology.is_assignment_gone =
                                assignment.is_none() && topology.assignment.is_some();
                            if assignment.is_some() {
                                topology.set_assignment(assignment);
                            }
                            if topology.is_astray() {
                                self.record_problems.push(format!(
                                    "the assignment of topology '{id}' is gone from ZooKeeper: left running where it \
                                     is; `storm-rs rebalance {}` places it anew",
                                    topology.record().name
                                ));
                            }
                        }
                        Err(error) => {
                            let problem = topology.cannot_read_assignment(wall_ms, &error.to_string());
                            self.record_problems.push(problem);
                        }
                    }
                }
                Err(error) => self.record_problems.push(error.to_string()),
            }
        }
        for (id, assignment) in assignments {
            match assignment {
                Ok(assignment) if !self.topologies.contains_key(&id) => {
                    self.record_problems.push(format!(
                        "topology '{id}' has an assignment but no record that can be read: left running"
                    ));
                    self.strangers.insert(id, assignment.value.assignment);
                }
                Ok(_) => {}
                Err(error) => self.record_problems.push(error.to_string()),
            }
        }
    }

    /// Counts each status that is other than before.
    pub(crate) fn count_statuses(&self, changes: &mut [Change]) {
        for change in changes {
            let Change::PutTopology(record) = change else { continue };
            let known = self.topologies.get(&record.id).map(Topology::record);
            let version = known.map_or(0, |known| known.status_version);
            let is_same = known.is_some_and(|known| known.status == record.status);
            record.status_version = version + u64::from(!is_same || version == 0);
        }
    }

    /// Takes what was written, with the version that its node has now.
    pub(crate) fn apply(&mut self, now: Time, wall_ms: u64, change: Change, version: i32) {
        match change {
            Change::PutTopology(record) => {
                let record = Versioned { value: *record, version };
                let id = record.value.id.clone();
                let topology = self.topologies.entry(id).or_insert_with(|| Topology::new(record.clone()));
                topology.is_record_gone = false;
                topology.set_record(now, wall_ms, record);
            }
            Change::PutAssignment(id, assignment) => {
                if let Some(topology) = self.topologies.get_mut(&id) {
                    topology.is_assignment_gone = false;
                    topology.unreadable = None;
                    topology
                        .set_assignment(Some(Versioned { value: AssignmentRecord { assignment }, version }));
                }
            }
            Change::PutCommand(_) => {}
            Change::Remove(tombstone) => {
                self.topologies.remove(&tombstone.id);
                self.liveness.forgive(&tombstone.id);
                self.tombstones.insert(tombstone.id);
            }
        }
        self.is_dirty = true;
    }

    /// Takes the supervisors that have a session now. Who signed off is remembered while it has work.
    pub(crate) fn set_supervisors(&mut self, registered: BTreeMap<SupervisorId, SupervisorRecord>) {
        for supervisor in self.supervisors.values_mut() {
            supervisor.is_registered = false;
        }
        for (id, record) in registered {
            match self.supervisors.get_mut(&id) {
                Some(supervisor) => {
                    supervisor.record = record;
                    supervisor.is_registered = true;
                }
                None => {
                    let supervisor =
                        Supervisor { record, is_registered: true, unhealthy: String::new(), uptime_ms: 0 };
                    self.supervisors.insert(id, supervisor);
                }
            }
        }
        let used = self.used_slots();
        self.supervisors.retain(|id, s| s.is_registered || used.keys().any(|slot| slot.supervisor == *id));
        self.told.retain(|id, _| self.supervisors.contains_key(id));
        self.is_dirty = true;
    }

    /// Every slot that somebody has.
    pub(crate) fn used_slots(&self) -> BTreeMap<WorkerSlot, TopologyId> {
        let known = self.topologies.iter().filter_map(|(id, t)| Some((id, t.assignment()?)));
        known
            .chain(self.strangers.iter())
            .flat_map(|(id, a)| a.workers.iter().map(move |w| (w.slot.clone(), id.clone())))
            .chain(self.squatted())
            .collect()
    }

    /// Slots that are in use by topologies of which only supervisors can tell where they run.
    pub(crate) fn squatted(&self) -> impl Iterator<Item = (WorkerSlot, TopologyId)> {
        let slots = self.told.iter().flat_map(|(id, ports)| ports.iter().map(move |port| (id, port)));
        slots.filter(|(_, (_, id))| self.topologies.get(*id).is_some_and(Topology::is_anywhere)).map(
            |(supervisor, (port, id))| {
                (WorkerSlot { supervisor: supervisor.clone(), port: *port }, id.clone())
            },
        )
    }

    // === Reports ===

    /// Takes a supervisor's report.
    pub(crate) fn supervisor_reported(&mut self, at: Time, wall_ms: u64, report: v1::SupervisorReport) {
        let id = SupervisorId::from(report.supervisor_id);
        self.liveness.supervisor_reported(at, &id);
        let of_slot = |slot: &v1::SlotReport| {
            Some((storm_rpc::convert::port(slot.port).ok()?, TopologyId::from(&*slot.topology_id)))
        };
        let told = report.slots.iter().filter_map(of_slot).collect();
        let was = self.told.insert(id.clone(), told);
        if was.as_ref() != self.told.get(&id) && self.topologies.values().any(Topology::is_anywhere) {
            self.is_dirty = true;
        }
        if self.verdict.silent.contains(&id) {
            self.is_dirty = true;
        }
        if let Some(supervisor) = self.supervisors.get_mut(&id) {
            if supervisor.unhealthy != report.unhealthy {
                supervisor.unhealthy = report.unhealthy;
                self.is_dirty = true;
            }
            supervisor.uptime_ms = report.uptime_ms;
        }
        for worker in report.workers {
            // Where its own workers are it knows, also when nobody can read the assignment.
            let is_its = worker.slot.as_ref().is_some_and(|slot| *id.as_str() == *slot.supervisor_id);
            self.take_worker_report(at, worker, is_its);
        }
        for slot in report.slots {
            self.slot_reported(at, wall_ms, &id, slot);
        }
    }

    fn slot_reported(&mut self, at: Time, wall_ms: u64, supervisor: &SupervisorId, report: v1::SlotReport) {
        let Ok(port) = storm_rpc::convert::port(report.port) else { return };
        let slot = WorkerSlot { supervisor: supervisor.clone(), port };
        let Some(topology) = self.topologies.get_mut(report.topology_id.as_str()) else { return };
        let number = report.incarnation.map(|incarnation| incarnation.number);
        let Some(assigned) = topology.assignment().and_then(|a| a.worker(&slot)) else { return };
        if number != Some(assigned.number) {
            return;
        }
        let host = assigned.host.clone();
        let worker = topology.workers.entry(slot).or_default();
        let before = worker.slot.replace((at, report.clone()));
        let was = before.map(|(_, before)| (before.problem, before.recent_failures)).unwrap_or_default();
        if !report.problem.is_empty() && was.0 != report.problem {
            // Of what ended or did not start the supervisor tells in an error of its own.
            let is_told = |error: &v1::ErrorReport| {
                (&error.host, error.port) == (&host, report.port) && error.message.ends_with(&*report.problem)
            };
            if !topology.errors.iter().any(is_told) {
                topology.add_errors([v1::ErrorReport {
                    time_ms: wall_ms,
                    component: String::new(),
                    task: 0,
                    host,
                    port: report.port,
                    message: report.problem.clone(),
                    kind: "exit".to_owned(),
                    suppressed: 0,
                }]);
            }
        }
        if report.recent_failures >= FAILURES && was.1 < FAILURES {
            let id = topology.record().id.clone();
            tracing::warn!(topology = %id, %supervisor, port, problem = report.problem, "slot fails again and again");
            self.liveness.slot_failed(at, &id, supervisor);
            self.is_dirty = true;
        }
    }

    /// Takes a report that a worker brought itself.
    pub(crate) fn worker_reported(&mut self, at: Time, report: v1::WorkerReport) {
        self.take_worker_report(at, report, false);
    }

    /// Takes a worker's report. Its slot is certain, or one that the topology has or had.
    fn take_worker_report(&mut self, at: Time, mut report: v1::WorkerReport, is_slot_certain: bool) {
        let Some(Ok(slot)) = report.slot.clone().map(WorkerSlot::try_from) else { return };
        let Some(topology) = self.topologies.get_mut(report.topology_id.as_str()) else { return };
        let incarnation = report.incarnation.map(Incarnation::from).unwrap_or_default();
        topology.add_errors(std::mem::take(&mut report.errors));
        // What is kept by slot and by supervisor must not grow by what somebody makes up.
        if !is_slot_certain && !topology.homes.contains(&slot) {
            return;
        }
        let figures = std::mem::take(&mut report.figures);
        let snapshot = topology.take_figures(at, &slot.supervisor, incarnation, report.uptime_ms, &figures);
        // Of a life that the newest assignment ended, too: it failed what it had when it left.
        if report.moved > 0 {
            let moved = topology.moved.entry((slot.clone(), incarnation)).or_default();
            moved.1 = moved.1.max(report.moved);
        }
        let Some(assignment) = topology.assignment.as_ref().map(|a| &a.value.assignment) else { return };
        if assignment.worker(&slot).is_none_or(|assigned| assigned.number != incarnation.number) {
            return;
        }
        self.liveness.worker_reported(at, &slot);
        let worker = topology.workers.entry(slot.clone()).or_default();
        let order = |report: &v1::WorkerReport| {
            (report.incarnation.map(Incarnation::from).unwrap_or_default(), report.uptime_ms)
        };
        if worker.report.as_ref().is_some_and(|(_, last)| order(last) > order(&report)) {
            return;
        }
        // Under another assignment its peers are others, and in an older state it may yet have to emit.
        let status_version = topology.record.value.status_version;
        if let Some(look) = report.quiet_look
            && report.assignment_version == assignment.version
            && (look.state_version == status_version || look.state_version == 0 || status_version == 0)
        {
            let answer = Answer { incarnation, sent: look.rows_sent, received: look.rows_received };
            let slots = assignment.workers.iter().map(|worker| &worker.slot);
            topology.drain.answered(&slot, look.round, answer, slots);
        }
        worker.report = Some((at, report));
        snapshot.iter().for_each(|snapshot| worker.load.note(snapshot));
    }

    /// Takes what a supervisor had kept of the figures of its workers of one topology.
    pub(crate) fn figures_kept(&mut self, at: Time, id: &SupervisorId, topology: TopologyId, kept: Keeper) {
        if let Some(topology) = self.topologies.get_mut(&topology) {
            topology.keeper.join(at, id, kept);
            topology.figures = None;
        } else if !self.tombstones.contains(&topology) {
            self.missed.entry(topology).or_default().insert(id.clone());
        }
    }

    /// A supervisor has told what it had kept of all topologies.
    pub(crate) fn all_figures_kept(&mut self, id: SupervisorId) {
        self.figured.insert(id);
    }

    /// Whether a supervisor is to tell what it had kept.
    pub(crate) fn wants_figures(&self, supervisor: &str) -> bool {
        !self.figured.iter().any(|id| id == supervisor)
    }

    /// What the workers of a supervisor are to be asked now.
    pub(crate) fn rounds(&mut self, supervisor: &str) -> Vec<v1::DrainRound> {
        let is_there = |topology: &Topology| {
            let mut workers = topology.assignment().into_iter().flat_map(|assignment| &assignment.workers);
            workers.any(|worker| worker.slot.supervisor == *supervisor)
        };
        let its = self.topologies.iter_mut().filter(|(_, topology)| is_there(topology));
        its.filter_map(|(id, topology)| {
            let round = topology.ask(&mut self.last_round)?;
            Some(v1::DrainRound { topology_id: id.to_string(), round })
        })
        .collect()
    }

    /// What the workers of a topology are to be asked now.
    pub(crate) fn round(&mut self, topology: &str) -> Option<u64> {
        self.topologies.get_mut(topology)?.ask(&mut self.last_round)
    }

    /// Looks who is alive; whether that is other news than before.
    pub(crate) fn look(&mut self, now: Time) {
        let mut known: BTreeMap<SupervisorId, Vec<WorkerSlot>> = BTreeMap::new();
        for (id, _) in self.supervisors.iter().filter(|(_, supervisor)| supervisor.is_registered) {
            known.entry(id.clone()).or_default();
        }
        for slot in self.used_slots().into_keys() {
            known.entry(slot.supervisor.clone()).or_default().push(slot);
        }
        self.liveness.retain(&known);
        let verdict = self.liveness.look(now, &known);
        if verdict != self.verdict {
            if let Some(pause) = &verdict.pause
                && self.verdict.pause.is_none()
            {
                tracing::warn!(reason = pause, "nothing is moved");
            }
            for id in verdict.lost.difference(&self.verdict.lost) {
                tracing::warn!(supervisor = %id, "supervisor and all its workers are silent");
            }
            self.verdict = verdict;
            self.is_dirty = true;
        }
        let kept_off = self.liveness.kept_off(now);
        if kept_off != self.kept_off {
            self.kept_off = kept_off;
            self.is_dirty = true;
        }
    }
}

#[cfg(test)]
mod tests;
