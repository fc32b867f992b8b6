//! What commands print with `--json`: shapes that scripts may rely on. Fields are added, never changed.

use serde::Serialize;
use storm_rpc::{convert, v1};

use super::moment;

/// Of `list`.
#[derive(Debug, Serialize)]
pub(crate) struct TopologyList {
    topologies: Vec<Topology>,
}

/// One topology.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Topology {
    id: String,
    name: String,
    status: String,
    owner: String,
    uptime_seconds: u64,
    workers_total: u32,
    workers_requested: u32,
    executors_total: u32,
    tasks_total: u32,
    unplaced_executors: u32,
}

/// Of `status`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    #[serde(flatten)]
    topology: Topology,
    workers: Vec<Worker>,
    components: Vec<Component>,
    unplaced: Vec<Unplaced>,
    errors: Vec<ComponentError>,
    pending_action: Option<PendingAction>,
    explanation: String,
    assignment_version: u64,
    is_settled: bool,
    is_complete: bool,
    moved: u64,
    log_levels: Vec<LogLevel>,
    debug: Vec<DebugOption>,
}

/// Of `log-level` without a change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogLevels {
    log_levels: Vec<LogLevel>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogLevel {
    logger: String,
    level: String,
    timeout_seconds: u32,
    /// `null`: it has no end.
    until_ms: Option<u64>,
    /// From then on; `null`: what it was in the beginning.
    reset_level: Option<String>,
}

/// Of `debug` without a change.
#[derive(Debug, Serialize)]
pub(crate) struct DebugOptions {
    debug: Vec<DebugOption>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DebugOption {
    /// `null`: all that have none of their own.
    component: Option<String>,
    enabled: bool,
    sampling_percent: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Worker {
    supervisor_id: String,
    host: String,
    port: u32,
    pid: u32,
    state: &'static str,
    restarts: u64,
    uptime_seconds: u64,
    memory_bytes: u64,
    executors: Vec<Executor>,
}

#[derive(Debug, Serialize)]
struct Executor {
    component: String,
    tasks: [u32; 2],
}

#[derive(Debug, Serialize)]
struct Component {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    executors: u32,
    tasks: u32,
    emitted: u64,
    transferred: u64,
    executed: u64,
    acked: u64,
    failed: u64,
    pending: u64,
}

#[derive(Debug, Serialize)]
struct Unplaced {
    component: String,
    executors: u32,
    reason: String,
}

/// Of `errors`.
#[derive(Debug, Serialize)]
pub(crate) struct Errors {
    errors: Vec<ComponentError>,
}

#[derive(Debug, Serialize)]
struct ComponentError {
    time: String,
    component: String,
    task: u32,
    host: String,
    port: u32,
    message: String,
    kind: String,
    suppressed: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PendingAction {
    kind: String,
    deadline_ms: u64,
}

/// Of `rebalance`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rebalance {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) notes: Vec<String>,
    pub(crate) moves: Vec<Move>,
    /// Tuples that failed because of it; with `--wait`.
    pub(crate) moved: Option<u64>,
}

/// An executor that changes its place; `null` is no place.
#[derive(Debug, Serialize)]
pub(crate) struct Move {
    component: String,
    tasks: [u32; 2],
    from: Option<String>,
    to: Option<String>,
}

/// Of the other commands: what was accepted.
#[derive(Debug, Serialize)]
pub(crate) struct Accepted {
    pub(crate) id: String,
    pub(crate) notes: Vec<String>,
}

impl From<&v1::TopologyList> for TopologyList {
    fn from(list: &v1::TopologyList) -> TopologyList {
        TopologyList { topologies: list.topologies.iter().map(Into::into).collect() }
    }
}

impl From<&v1::TopologySummary> for Topology {
    fn from(summary: &v1::TopologySummary) -> Topology {
        Topology {
            id: summary.id.clone(),
            name: summary.name.clone(),
            status: status_name(summary.status),
            owner: summary.owner.clone(),
            uptime_seconds: summary.uptime_secs,
            workers_total: summary.workers_total,
            workers_requested: summary.workers_requested,
            executors_total: summary.executors_total,
            tasks_total: summary.tasks_total,
            unplaced_executors: summary.unplaced_executors,
        }
    }
}

impl From<&v1::TopologyStatus> for Status {
    fn from(status: &v1::TopologyStatus) -> Status {
        let pending_action = status
            .pending_action
            .as_ref()
            .map(|action| PendingAction { kind: action.kind.clone(), deadline_ms: action.deadline_ms });
        let unplaced = status.unplaced.iter().map(|unplaced| Unplaced {
            component: unplaced.component.clone(),
            executors: unplaced.executors,
            reason: unplaced.reason.clone(),
        });
        Status {
            topology: status.summary.as_ref().unwrap_or(&v1::TopologySummary::default()).into(),
            workers: status.workers.iter().map(Into::into).collect(),
            components: status.components.iter().map(Into::into).collect(),
            unplaced: unplaced.collect(),
            errors: status.errors.iter().map(Into::into).collect(),
            pending_action,
            explanation: status.explanation.clone(),
            assignment_version: status.assignment_version,
            is_settled: status.is_settled,
            is_complete: status.is_complete,
            moved: status.moved,
            log_levels: status.log_levels.iter().map(Into::into).collect(),
            debug: status.debug.iter().map(Into::into).collect(),
        }
    }
}

impl From<&v1::LogLevel> for LogLevel {
    fn from(level: &v1::LogLevel) -> LogLevel {
        LogLevel {
            logger: level.logger.clone(),
            level: level.level.clone(),
            timeout_seconds: level.timeout_secs,
            until_ms: Some(level.until_ms).filter(|until| *until > 0),
            reset_level: Some(level.reset_level.clone()).filter(|level| !level.is_empty()),
        }
    }
}

impl From<&v1::DebugOption> for DebugOption {
    fn from(option: &v1::DebugOption) -> DebugOption {
        DebugOption {
            component: Some(option.component.clone()).filter(|component| !component.is_empty()),
            enabled: option.enable,
            sampling_percent: option.sampling_percent,
        }
    }
}

impl From<&[v1::LogLevel]> for LogLevels {
    fn from(levels: &[v1::LogLevel]) -> LogLevels {
        LogLevels { log_levels: levels.iter().map(Into::into).collect() }
    }
}

impl From<&[v1::DebugOption]> for DebugOptions {
    fn from(options: &[v1::DebugOption]) -> DebugOptions {
        DebugOptions { debug: options.iter().map(Into::into).collect() }
    }
}

impl From<&v1::WorkerStatus> for Worker {
    fn from(worker: &v1::WorkerStatus) -> Worker {
        Worker {
            supervisor_id: worker.supervisor_id.clone(),
            host: worker.host.clone(),
            port: worker.port,
            pid: worker.pid,
            state: convert::worker_state_name(worker.state),
            restarts: worker.restarts,
            uptime_seconds: worker.uptime_secs,
            memory_bytes: worker.memory_bytes,
            executors: worker.executors.iter().map(Into::into).collect(),
        }
    }
}

impl From<&v1::Executor> for Executor {
    fn from(executor: &v1::Executor) -> Executor {
        let tasks = [executor.first_task, executor.last_task];
        Executor { component: executor.component.clone(), tasks }
    }
}

impl From<&v1::ComponentStatus> for Component {
    fn from(component: &v1::ComponentStatus) -> Component {
        Component {
            id: component.id.clone(),
            kind: component.r#type.clone(),
            executors: component.executors,
            tasks: component.tasks,
            emitted: component.emitted,
            transferred: component.transferred,
            executed: component.executed,
            acked: component.acked,
            failed: component.failed,
            pending: component.pending,
        }
    }
}

impl From<&v1::ErrorReport> for ComponentError {
    fn from(error: &v1::ErrorReport) -> ComponentError {
        ComponentError {
            time: moment(error.time_ms),
            component: error.component.clone(),
            task: error.task,
            host: error.host.clone(),
            port: error.port,
            message: error.message.clone(),
            kind: error.kind.clone(),
            suppressed: error.suppressed,
        }
    }
}

impl From<&[v1::ErrorReport]> for Errors {
    fn from(errors: &[v1::ErrorReport]) -> Errors {
        Errors { errors: errors.iter().map(Into::into).collect() }
    }
}

impl From<&v1::rebalance_reply::Move> for Move {
    fn from(moved: &v1::rebalance_reply::Move) -> Move {
        let executor = moved.executor.clone().unwrap_or_default();
        let place = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let tasks = [executor.first_task, executor.last_task];
        Move { component: executor.component, tasks, from: place(&moved.from), to: place(&moved.to) }
    }
}

/// Storm's word for a state; a state that a newer daemon has is told as it came.
pub(crate) fn status_name(number: i32) -> String {
    convert::status_of(number).map_or_else(|_| "UNKNOWN".to_owned(), |status| status.to_string())
}
