//! What people and tools see of topologies and supervisors: records and latest reports together.

use std::collections::BTreeMap;
use std::sync::Arc;

use storm_model::{Status, SupervisorId, Time, WorkerAssignment, WorkerSlot};
use storm_rpc::{CallError, convert, v1};
use tokio::sync::oneshot;

use crate::assign;
use crate::commands::tune;
use crate::figures::{self, Figured};
use crate::metrics;
use crate::shown_config;
use crate::state::{State, Topology, Worker};
use crate::transitions::kind_name;

/// What somebody wants to know.
#[derive(Debug)]
pub(crate) enum Question {
    Topologies(oneshot::Sender<Result<v1::TopologyList, CallError>>),
    Topology(String, oneshot::Sender<Result<Box<v1::TopologyStatus>, CallError>>),
    /// The figures of a topology, with its id.
    Figures(String, oneshot::Sender<Result<(String, Arc<Figured>), CallError>>),
    Supervisors(oneshot::Sender<Result<Vec<v1::SupervisorSummary>, CallError>>),
    /// Which supervisors have the logs that a request asks for, each with what to ask it.
    Logs(v1::LogRequest, oneshot::Sender<Result<Vec<(String, v1::LogRequest)>, CallError>>),
    /// Whose worker listens at `host:port`: topology, and address of its supervisor.
    Worker(String, u16, oneshot::Sender<Result<(String, String), CallError>>),
    /// What is wrong.
    Problems(oneshot::Sender<Vec<String>>),
    /// What the cluster looks like in figures; none where this process does not lead.
    Metrics(oneshot::Sender<Option<storm_exposition::Page>>),
}

impl Question {
    /// Answers it, if this process leads and has read what there is.
    pub(crate) fn answer(
        self,
        state: &mut State,
        now: Time,
        wall_ms: u64,
        is_ready: bool,
        trouble: Option<&str>,
    ) {
        let ready = || if is_ready { Ok(()) } else { Err(CallError::no_leader()) };
        match self {
            Question::Topologies(reply) => {
                let all = state.topologies.values().map(|topology| summary(topology, now, wall_ms));
                reply.send(ready().map(|()| v1::TopologyList { topologies: all.collect() })).ok();
            }
            Question::Topology(name, reply) => {
                let id = state.find(&name).map(|topology| topology.record().id.clone());
                let known = id.as_ref().and_then(|id| state.topologies.get_mut(id));
                let components = known.map(|known| known.figures(now).components.clone()).unwrap_or_default();
                let found = id.and_then(|id| state.topologies.get(&id));
                let found = ready().and_then(|()| found.ok_or_else(|| CallError::no_such_topology(&name)));
                let page = found.map(|topology| Box::new(page(state, topology, components, now, wall_ms)));
                reply.send(page).ok();
            }
            Question::Figures(name, reply) => {
                let id = state.find(&name).map(|topology| topology.record().id.clone());
                let found =
                    id.and_then(|id| Some((id.to_string(), state.topologies.get_mut(&id)?.figures(now))));
                let found = ready().and_then(|()| found.ok_or_else(|| CallError::no_such_topology(&name)));
                reply.send(found).ok();
            }
            Question::Supervisors(reply) => {
                reply.send(ready().map(|()| supervisors(state, now))).ok();
            }
            Question::Logs(request, reply) => {
                reply.send(ready().and_then(|()| logs(state, &request))).ok();
            }
            Question::Worker(host, port, reply) => {
                reply.send(ready().and_then(|()| worker(state, &host, port))).ok();
            }
            Question::Problems(reply) => {
                reply.send(problems(state, trouble)).ok();
            }
            Question::Metrics(reply) => {
                reply.send(is_ready.then(|| metrics::of_cluster(state))).ok();
            }
        }
    }
}

fn problems(state: &State, trouble: Option<&str>) -> Vec<String> {
    let mut problems: Vec<String> = trouble.map(str::to_owned).into_iter().collect();
    problems
        .extend(state.frozen.iter().map(|reason| format!("nothing is moved, removed or changed: {reason}")));
    problems.extend(state.verdict.pause.clone());
    problems.extend(state.record_problems.iter().cloned());
    problems
}

fn summary(topology: &Topology, now: Time, wall_ms: u64) -> v1::TopologySummary {
    let record = topology.record();
    let wanted = assign::wanted(&record.spec, &record.executors);
    let placed = topology.assignment().map(assign::standing).unwrap_or_default();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    v1::TopologySummary {
        id: record.id.to_string(),
        name: record.name.clone(),
        status: v1::TopologyState::from(record.status).into(),
        owner: record.owner.clone(),
        uptime_secs: wall_ms.saturating_sub(record.launched_ms) / 1000,
        workers_total: count(topology.assignment().map_or(0, |assignment| assignment.workers.len())),
        workers_requested: record.workers,
        executors_total: count(wanted.len()),
        tasks_total: record.spec.components.values().map(|component| component.tasks).sum(),
        unplaced_executors: count(wanted.iter().filter(|e| !placed.contains_key(&e.executor)).count()),
        recent: Some(figures::recent(topology, now)),
    }
}

/// Whether all its workers run under the newest assignment and have done what its state asks of them.
fn is_settled(state: &State, topology: &Topology, now: Time) -> bool {
    let record = topology.record();
    let Some(assignment) = topology.assignment() else { return false };
    let placed = assign::standing(assignment);
    let wanted = assign::wanted(&record.spec, &record.executors);
    let wants_active = record.status == Status::Active;
    let has_done = |worker: &WorkerAssignment| {
        let told = topology.workers.get(&worker.slot);
        let report = told.and_then(|told| told.report.as_ref());
        state_of(state, worker, told, now) == v1::WorkerState::Running
            && report.is_some_and(|(_, report)| {
                report.assignment_version == assignment.version && report.is_active == wants_active
            })
    };
    matches!(record.status, Status::Active | Status::Inactive)
        && wanted.iter().all(|executor| placed.contains_key(&executor.executor))
        && assignment.workers.iter().all(has_done)
}

impl State {
    /// Says for whom a rebalance is over: its workers run again.
    pub(crate) fn note_settled(&mut self, now: Time) {
        let open = self.topologies.iter().filter(|(_, topology)| topology.settling.is_some());
        let settled = open.filter(|(_, topology)| is_settled(self, topology, now));
        let settled: Vec<_> = settled.map(|(id, _)| id.clone()).collect();
        for id in settled {
            let Some(topology) = self.topologies.get_mut(&id) else { continue };
            let took = topology.settling.take().map(|since| now.since(since)).unwrap_or_default();
            tracing::info!(topology = %id, moved = topology.moved(), ?took, "rebalance is over, its workers run");
        }
    }
}

fn page(
    state: &State,
    topology: &Topology,
    components: Vec<v1::ComponentStatus>,
    now: Time,
    wall_ms: u64,
) -> v1::TopologyStatus {
    let record = topology.record();
    let assignment = topology.assignment();
    let summary = summary(topology, now, wall_ms);
    let assigned = assignment.map(|assignment| &*assignment.workers).unwrap_or_default();
    let told = |worker: &WorkerAssignment| topology.workers.get(&worker.slot);
    let report =
        |worker| told(worker).and_then(|known: &Worker| known.report.as_ref()).map(|(_, report)| report);
    let version = assignment.map_or(0, |assignment| assignment.version);
    let is_complete = !assigned.is_empty()
        && assigned
            .iter()
            .all(|worker| report(worker).is_some_and(|report| report.is_done && report.pending == 0));
    let mut explanation = topology.explanation.clone();
    for more in topology.unreadable.iter().chain(&state.verdict.pause).chain(&state.frozen) {
        explanation = if explanation.is_empty() { more.clone() } else { format!("{explanation}; {more}") };
    }
    let mut errors = topology.errors.clone();
    errors.reverse();
    let tuning = tune::as_of(&record.tuning, wall_ms);
    v1::TopologyStatus {
        workers: assigned.iter().map(|worker| worker_status(state, worker, told(worker), now)).collect(),
        components,
        unplaced: unplaced(topology),
        errors,
        pending_action: record.pending.as_ref().zip(topology.wait).map(|(pending, wait)| v1::PendingAction {
            kind: kind_name(&pending.kind).to_owned(),
            deadline_ms: wall_ms + u64::try_from(wait.remaining(now).as_millis()).unwrap_or(0),
        }),
        explanation,
        assignment_version: version,
        is_complete,
        moved: topology.moved(),
        is_settled: is_settled(state, topology, now),
        config: serde_json::to_vec(&shown_config::of_map(&record.config)).expect("plain data with text keys"),
        spec: serde_json::to_vec(&shown_config::of_spec(&record.spec)).expect("plain data with text keys"),
        log_levels: convert::log_levels(&tuning),
        debug: convert::debug_options(&tuning),
        summary: Some(summary),
    }
}

/// The worker's own word, unless its supervisor, who sees its process, has said something since.
fn state_of(state: &State, worker: &WorkerAssignment, told: Option<&Worker>, now: Time) -> v1::WorkerState {
    if state.liveness.is_worker_silent(now, &worker.slot)
        && state.verdict.silent.contains(&worker.slot.supervisor)
    {
        return v1::WorkerState::Silent;
    }
    let Some(told) = told else { return v1::WorkerState::Unspecified };
    let own = told.report.as_ref().map(|(at, report)| (*at, report.state()));
    let of_slot = told.slot.as_ref().map(|(at, report)| (*at, report.state()));
    match (own, of_slot) {
        // Whether its tasks are prepared or run, only the worker knows.
        (Some((_, own)), Some((_, v1::WorkerState::Running | v1::WorkerState::Prepared))) => own,
        (Some((own_at, own)), Some((slot_at, slot))) => {
            if slot_at >= own_at {
                slot
            } else {
                own
            }
        }
        (Some((_, own)), None) => own,
        (None, Some((_, slot))) => slot,
        (None, None) => v1::WorkerState::Unspecified,
    }
}

fn worker_status(
    state: &State,
    worker: &WorkerAssignment,
    told: Option<&Worker>,
    now: Time,
) -> v1::WorkerStatus {
    let report = told.and_then(|told| told.report.as_ref()).map(|(_, report)| report);
    let slot = told.and_then(|told| told.slot.as_ref()).map(|(_, report)| report);
    let restarts = |incarnation: Option<v1::Incarnation>| incarnation.map_or(0, |i| i.restarts);
    v1::WorkerStatus {
        supervisor_id: worker.slot.supervisor.to_string(),
        host: worker.host.clone(),
        port: worker.slot.port.into(),
        pid: slot
            .map(|slot| slot.pid)
            .filter(|pid| *pid > 0)
            .or(report.map(|report| report.pid))
            .unwrap_or(0),
        state: state_of(state, worker, told, now).into(),
        restarts: slot
            .map_or(0, |s| restarts(s.incarnation))
            .max(report.map_or(0, |r| restarts(r.incarnation))),
        uptime_secs: report.map_or(0, |report| report.uptime_ms / 1000),
        executors: worker.executors.iter().map(Into::into).collect(),
        memory_bytes: report.map_or(0, |report| report.memory_bytes),
        number: worker.number,
    }
}

fn unplaced(topology: &Topology) -> Vec<v1::Unplaced> {
    let mut by_component: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for (executor, reason) in &topology.unplaced {
        *by_component.entry((executor.component.as_str(), reason)).or_default() += 1;
    }
    by_component
        .into_iter()
        .map(|((component, reason), executors)| v1::Unplaced {
            component: component.to_owned(),
            executors,
            reason: reason.to_owned(),
        })
        .collect()
}

/// What every slot holds, by supervisor and port.
fn held(state: &State, now: Time) -> BTreeMap<SupervisorId, Vec<v1::SlotSummary>> {
    let mut held: BTreeMap<SupervisorId, Vec<v1::SlotSummary>> = BTreeMap::new();
    for topology in state.topologies.values() {
        for worker in topology.assignment().into_iter().flat_map(|assignment| &assignment.workers) {
            let told = topology.workers.get(&worker.slot);
            let v1::WorkerStatus { port, pid, state, uptime_secs, executors, memory_bytes, .. } =
                worker_status(state, worker, told, now);
            held.entry(worker.slot.supervisor.clone()).or_default().push(v1::SlotSummary {
                port,
                topology_id: topology.record().id.to_string(),
                topology_name: topology.record().name.clone(),
                owner: topology.record().owner.clone(),
                state,
                pid,
                uptime_secs,
                memory_bytes,
                executors,
                load: told.map_or(0.0, |told| told.load.share()),
            });
        }
    }
    held.values_mut().for_each(|slots| slots.sort_by_key(|slot| slot.port));
    held
}

fn supervisors(state: &State, now: Time) -> Vec<v1::SupervisorSummary> {
    let mut held = held(state, now);
    let used = state.used_slots();
    let summary = |(id, supervisor): (&SupervisorId, &crate::state::Supervisor)| {
        let record = &supervisor.record;
        v1::SupervisorSummary {
            id: id.to_string(),
            host: record.host.clone(),
            rpc_port: record.rpc_port.into(),
            slots: record.slots.iter().map(|port| u32::from(*port)).collect(),
            used_slots: used
                .keys()
                .filter(|slot| slot.supervisor == *id)
                .map(|slot| slot.port.into())
                .collect(),
            uptime_secs: supervisor.uptime_ms / 1000,
            arch: record.arch.clone(),
            glibc: record.glibc.clone().unwrap_or_default(),
            version: record.software.clone(),
            is_silent: state.verdict.silent.contains(id) || !supervisor.is_registered,
            held: held.remove(id).unwrap_or_default(),
            unhealthy: supervisor.unhealthy.clone(),
        }
    };
    state.supervisors.iter().map(summary).collect()
}

fn logs(state: &State, request: &v1::LogRequest) -> Result<Vec<(String, v1::LogRequest)>, CallError> {
    let address = |slot: &WorkerSlot| {
        let record = &state.supervisors.get(&slot.supervisor)?.record;
        Some(format!("{}:{}", record.host, record.rpc_port))
    };
    let fits_slot = |slot: &WorkerSlot| {
        (request.supervisor_id.is_empty() || slot.supervisor == *request.supervisor_id)
            && (request.port == 0 || u32::from(slot.port) == request.port)
    };
    let mut wanted: Vec<(WorkerSlot, String)> = Vec::new();
    if request.topology.is_empty() {
        if request.port == 0 {
            return Err(CallError::usage("whose log? name a topology, or a worker as host:port"));
        }
        for (id, supervisor) in &state.supervisors {
            let slots =
                supervisor.record.slots.iter().map(|port| WorkerSlot { supervisor: id.clone(), port: *port });
            wanted.extend(slots.filter(fits_slot).map(|slot| (slot, String::new())));
        }
    } else {
        let topology =
            state.find(&request.topology).ok_or_else(|| CallError::no_such_topology(&request.topology))?;
        let record = topology.record();
        if !request.component.is_empty() && !record.spec.components.contains_key(request.component.as_str()) {
            let known: Vec<&str> = record.spec.components.keys().map(AsRef::as_ref).collect();
            return Err(CallError::invalid(format!(
                "there is no component '{}' in topology '{}'; there are: {}",
                request.component,
                record.name,
                known.join(", ")
            )));
        }
        let workers = topology.assignment().map(|assignment| &*assignment.workers).unwrap_or_default();
        let runs_it = |worker: &&WorkerAssignment| {
            request.component.is_empty() || worker.executors.iter().any(|e| e.component == *request.component)
        };
        let fitting = workers.iter().filter(runs_it).filter(|worker| fits_slot(&worker.slot));
        wanted.extend(fitting.map(|worker| (worker.slot.clone(), record.id.to_string())));
    }
    let asked = wanted.into_iter().filter_map(|(slot, topology)| {
        let own = v1::LogRequest {
            topology,
            supervisor_id: slot.supervisor.to_string(),
            port: slot.port.into(),
            component: String::new(),
            ..request.clone()
        };
        Some((address(&slot)?, own))
    });
    let asked: Vec<_> = asked.collect();
    if asked.is_empty() {
        return Err(CallError::invalid("no worker fits: there is no log yet"));
    }
    Ok(asked)
}

fn worker(state: &State, host: &str, port: u16) -> Result<(String, String), CallError> {
    for topology in state.topologies.values() {
        for worker in topology.assignment().into_iter().flat_map(|assignment| &assignment.workers) {
            let is_it = worker.slot.port == port && (worker.host == host || worker.slot.supervisor == *host);
            if let Some(supervisor) = state.supervisors.get(&worker.slot.supervisor).filter(|_| is_it) {
                let record = &supervisor.record;
                return Ok((
                    topology.record().id.to_string(),
                    format!("{}:{}", record.host, record.rpc_port),
                ));
            }
        }
    }
    Err(CallError::invalid(format!("no worker of a topology is at {host}:{port}"))
        .advise("`storm-rs status TOPOLOGY` shows its workers"))
}
