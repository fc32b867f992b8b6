//! Errors of components on their way to people, throttled as in Storm.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use storm_figures::ErrorRecord;
use storm_model::{ComponentId, TaskId, Time};

/// An error of a component.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorReport {
    /// When it was reported.
    pub time: SystemTime,
    /// Whose it is.
    pub component: ComponentId,
    /// The task.
    pub task: TaskId,
    /// What kind of error.
    pub kind: ErrorKind,
    /// The message, with those of its causes.
    pub message: String,
    /// Reports of the same executor that were swallowed by the limit since its last one.
    pub suppressed: u64,
}

/// What kind of error a component had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// User code returned or reported it.
    Reported,
    /// User code panicked.
    Panicked,
    /// User code broke its own declarations: an undeclared stream, a wrong number of values. A
    /// local run ends on it.
    Contract,
    /// User code says that the topology cannot go on
    /// ([`ComponentError::fatal`](storm_topology::ComponentError::fatal)): the topology is to be
    /// stopped with this error.
    Fatal,
    /// User code blocked its executor.
    Slow,
}

impl ErrorKind {
    /// Whether a local run ends with this error. The first error of such a kind that an executor
    /// has is reported even when its reports are used up.
    pub fn ends_local_run(self) -> bool {
        matches!(self, ErrorKind::Contract | ErrorKind::Fatal)
    }
}

impl From<&ErrorReport> for ErrorRecord {
    fn from(report: &ErrorReport) -> ErrorRecord {
        let ErrorReport { time, component, task, message, suppressed, kind: _ } = report.clone();
        ErrorRecord { time, component, task, message, suppressed }
    }
}

/// At most so many reports per span (Storm's `ReportError`). Pure.
#[derive(Debug)]
pub(crate) struct Throttle {
    interval: Duration,
    max: usize,
    recent: VecDeque<Time>,
    suppressed: u64,
}

impl Throttle {
    pub(crate) fn new(interval: Duration, max: u32) -> Throttle {
        Throttle { interval, max: max as usize, recent: VecDeque::new(), suppressed: 0 }
    }

    /// `Some(n)`: report, n were suppressed before. `None`: do not.
    pub(crate) fn admit(&mut self, now: Time) -> Option<u64> {
        while self.recent.front().is_some_and(|t| now.since(*t) >= self.interval) {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.max {
            self.suppressed += 1;
            return None;
        }
        self.recent.push_back(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_in_ten_seconds_as_in_storm() {
        let mut throttle = Throttle::new(Duration::from_secs(10), 5);
        let admitted = (0..8).filter(|i| throttle.admit(Time::from_millis(i * 100)).is_some()).count();
        assert_eq!(admitted, 5);
        assert_eq!(throttle.admit(Time::from_secs(10)), Some(3));
    }
}
