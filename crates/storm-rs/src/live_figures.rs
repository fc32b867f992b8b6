//! The figures of what runs in this process, for whoever asks.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use storm_figures::{ErrorLog, ErrorRecord, Keeper, Snapshot, TopologyFigures};
use storm_topology::Clock;

/// Keeps what executors report and which errors components had, and says at any time how it all is.
///
/// Who runs a topology feeds it: a snapshot every [`OBSERVE_EVERY`](LiveFigures::OBSERVE_EVERY) and
/// one at the end, and each error as it comes. A local run does so for
/// [`STORM_RS_FIGURES`](crate::ENVIRONMENT).
///
/// ```
/// use std::sync::Arc;
/// use storm_rs::LiveFigures;
/// use storm_rs::engine::SystemClock;
/// use storm_rs::figures::{Snapshot, Window};
///
/// let mut live = LiveFigures::new(Arc::new(SystemClock::start()));
/// live.observe(&Snapshot::default());
/// let report = live.report();
/// assert_eq!(report.figures.stats(Window::TenMinutes).emitted, 0);
/// assert_eq!(report.errors.components().count(), 0);
/// ```
pub struct LiveFigures {
    clock: Arc<dyn Clock>,
    keeper: Keeper,
    errors: ErrorLog,
}

/// How a topology is at a moment. As JSON it is that of its figures, with `errors` beside
/// `components`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FiguresReport {
    /// By component, in all windows.
    #[serde(flatten)]
    pub figures: TopologyFigures,
    /// The last errors of each component.
    pub errors: ErrorLog,
}

impl LiveFigures {
    /// Time between two snapshots: what came between them is spread evenly over it in windows.
    pub const OBSERVE_EVERY: Duration = Duration::from_secs(10);

    /// Nothing yet. Windows are measured on this clock.
    pub fn new(clock: Arc<dyn Clock>) -> LiveFigures {
        LiveFigures { clock, keeper: Keeper::default(), errors: ErrorLog::default() }
    }

    /// Takes note of what executors report now.
    pub fn observe(&mut self, snapshot: &Snapshot) {
        self.keeper.observe(self.clock.now(), snapshot);
    }

    /// Takes note of an error.
    pub fn note(&mut self, error: impl Into<ErrorRecord>) {
        self.errors.add(error.into());
    }

    /// How it all is now. Takes some 0.3 ms for each busy task.
    pub fn report(&self) -> FiguresReport {
        FiguresReport { figures: self.keeper.report(self.clock.now()), errors: self.errors.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use storm_engine::{ErrorKind, ErrorReport, VirtualClock};
    use storm_figures::{ExecutorSnapshot, StreamCount, TaskSnapshot, Window};
    use storm_model::{ComponentKind, ExecutorId, TaskId};

    use super::*;

    /// A spout that has emitted so much in so many seconds.
    fn snapshot(emitted: u64, uptime_secs: u64) -> Snapshot {
        let task = TaskSnapshot {
            incarnation: 1,
            streams: vec![StreamCount { emitted, ..StreamCount::new("default".into()) }],
            ..TaskSnapshot::new(TaskId(1))
        };
        let executor = ExecutorSnapshot {
            tasks: vec![task],
            uptime: Duration::from_secs(uptime_secs),
            ..ExecutorSnapshot::new(
                "numbers".into(),
                ComponentKind::Spout,
                ExecutorId { first: TaskId(1), last: TaskId(1) },
            )
        };
        Snapshot { executors: vec![executor] }
    }

    #[test]
    fn windows_go_by_the_clock_that_it_was_given() {
        let clock = Arc::new(VirtualClock::new());
        let mut live = LiveFigures::new(clock.clone());
        let emitted = |live: &LiveFigures, window| live.report().figures.stats(window).emitted;
        clock.advance(Duration::from_secs(10));
        live.observe(&snapshot(100, 10));
        for tens in 2..=361 {
            clock.advance(LiveFigures::OBSERVE_EVERY);
            live.observe(&snapshot(100, tens * 10));
        }
        assert_eq!([Window::TenMinutes, Window::ThreeHours].map(|w| emitted(&live, w)), [0, 100]);
        clock.advance(Duration::from_secs(86_400));
        assert_eq!([Window::OneDay, Window::AllTime].map(|w| emitted(&live, w)), [0, 100]);
    }

    #[test]
    fn a_report_is_read_back_as_it_was_written_and_as_figures_alone() {
        let mut live = LiveFigures::new(Arc::new(VirtualClock::new()));
        live.observe(&snapshot(7, 1));
        let error = ErrorReport {
            time: SystemTime::UNIX_EPOCH,
            component: "numbers".into(),
            task: TaskId(1),
            kind: ErrorKind::Reported,
            message: "no such file".to_owned(),
            suppressed: 3,
        };
        live.note(&error);
        let report = live.report();
        let last = report.errors.last("numbers").unwrap();
        assert_eq!(
            (&*last.message, last.task, report.errors.count("numbers")),
            ("no such file", TaskId(1), 4)
        );
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<FiguresReport>(&json).unwrap(), report);
        assert_eq!(serde_json::from_str::<TopologyFigures>(&json).unwrap(), report.figures);
    }
}
