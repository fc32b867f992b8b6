//! From what the engine tells to what is reported.

use std::time::{SystemTime, UNIX_EPOCH};

use storm_engine::{ErrorKind, ErrorReport};
use storm_rpc::v1;

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
