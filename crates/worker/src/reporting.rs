//! From what the engine tells to what is reported.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use storm_engine::{ErrorKind, ErrorReport};
use storm_figures::Snapshot;
use storm_model::ExecutorId;
use storm_rpc::client::MAX_MESSAGE_BYTES;
use storm_rpc::v1;

/// Figures larger than this are not sent: with them the report might not fit into a message.
const FIGURES_BYTES: usize = MAX_MESSAGE_BYTES / 2;

/// An error of a component, as it is reported.
pub(crate) fn error(report: ErrorReport, host: &str, port: u16) -> v1::ErrorReport {
    v1::ErrorReport {
        time_ms: millis(report.time),
        component: report.component.to_string(),
        task: report.task.0,
        host: host.to_owned(),
        port: port.into(),
        message: report.message,
        kind: kind(report.kind).to_owned(),
        suppressed: report.suppressed,
    }
}

/// Figures as JSON; nothing when they are too many to be sent.
pub(crate) fn figures(snapshot: &Snapshot) -> Vec<u8> {
    let figures = serde_json::to_vec(snapshot).unwrap_or_default();
    if figures.len() <= FIGURES_BYTES {
        return figures;
    }
    tracing::warn!(bytes = figures.len(), "the figures are too large to be reported");
    Vec::new()
}

/// That an executor does not answer, for people.
pub(crate) fn stuck(executor: ExecutorId, silent: Duration) -> String {
    let ExecutorId { first, last } = executor;
    let tasks = if first == last { format!("task {first}") } else { format!("tasks {first} to {last}") };
    let secs = silent.as_secs();
    format!(
        "the executor of {tasks} has not answered for {secs} s: it is in user code that blocks, or gets no processor"
    )
}

/// Milliseconds since 1970.
pub(crate) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Reported => "reported",
        ErrorKind::Panicked => "panicked",
        ErrorKind::Contract => "contract",
        ErrorKind::Fatal => "fatal",
        ErrorKind::Slow => "slow",
    }
}

/// Memory of this process in bytes; 0 where the system does not tell.
pub(crate) fn memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
