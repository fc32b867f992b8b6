//! Storm's capacity, from totals that are seen now and then.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use storm_figures::{ExecutorSnapshot, InputCount, Window};
use storm_model::ExecutorId;

/// Points that come closer are one: some twenty are kept of each executor.
const APART: Duration = Duration::from_secs(30);

/// What share of the last ten minutes executors spent in `execute`.
///
/// A report has totals since the start of its executor, and windows are not kept where reports are only
/// passed on. So what a scrape has read is remembered for the scrapes of the next ten minutes. The clock
/// is the executor's uptime.
#[derive(Clone, Debug, Default)]
pub struct Capacities {
    executors: BTreeMap<(String, ExecutorId), Known>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// Uptime and time in `execute`, oldest first.
    points: VecDeque<(Duration, f64)>,
    is_seen: bool,
}

impl Capacities {
    /// Takes note of an executor. Its capacity, unless it is older than ten minutes and was never seen
    /// before: then nobody knows what of its work was done lately.
    pub fn observe(&mut self, topology: &str, executor: &ExecutorSnapshot) -> Option<f64> {
        let known = self.executors.entry((topology.to_owned(), executor.executor)).or_default();
        known.is_seen = true;
        known.observe(executor.uptime, in_execute(executor))
    }

    /// Forgets the executors that were not observed since the last time.
    pub fn end_round(&mut self) {
        self.executors.retain(|_, known| std::mem::take(&mut known.is_seen));
    }
}

impl Known {
    fn observe(&mut self, uptime: Duration, in_execute: f64) -> Option<f64> {
        let span = Window::TenMinutes.span().unwrap_or_default();
        if self.points.back().is_some_and(|(last, _)| *last > uptime) {
            // Another life.
            self.points.clear();
        }
        // The base is the newest that is old enough; what is older than that is not needed any more.
        while self.points.get(1).is_some_and(|(at, _)| uptime.saturating_sub(*at) >= span) {
            self.points.pop_front();
        }
        let base = match self.points.front() {
            _ if uptime <= span => Some((Duration::ZERO, 0.0)),
            base => base.copied(),
        };
        if self.points.back().is_none_or(|(last, _)| uptime.saturating_sub(*last) >= APART) {
            self.points.push_back((uptime, in_execute));
        }
        let (since, before) = base?;
        let over = uptime.saturating_sub(since).as_secs_f64();
        // The mean stands for tuples that were not timed, so the total may fall a little.
        (over > 0.0).then(|| (in_execute - before).max(0.0) / over)
    }
}

/// Seconds that an executor was in `execute` since its start, as Storm reckons them.
fn in_execute(executor: &ExecutorSnapshot) -> f64 {
    let secs = |input: &InputCount| {
        let latency = &input.execute_latency;
        latency.sum().as_secs_f64() / latency.count().max(1) as f64 * input.executed as f64
    };
    executor.tasks.iter().flat_map(|task| &task.inputs).map(secs).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(known: &mut Known, minutes: u64, in_execute: f64) -> Option<f64> {
        known.observe(Duration::from_secs(60 * minutes), in_execute)
    }

    #[test]
    fn a_young_executor_is_measured_by_its_age() {
        let mut known = Known::default();
        assert_eq!(
            [at(&mut known, 0, 0.0), at(&mut known, 5, 150.0), at(&mut known, 10, 150.0)],
            [None, Some(0.5), Some(0.25)]
        );
    }

    #[test]
    fn later_the_last_ten_minutes_count() {
        let mut known = Known::default();
        for minute in 0..=100 {
            at(&mut known, minute, 60.0 * minute as f64);
        }
        assert_eq!(at(&mut known, 101, 6_000.0), Some(0.9));
        assert_eq!(at(&mut known, 110, 6_000.0), Some(0.0));
        assert!(known.points.len() <= 21);
    }

    #[test]
    fn of_an_old_one_that_was_never_seen_nothing_is_known() {
        let mut known = Known::default();
        assert_eq!(at(&mut known, 100, 1_000.0), None);
        assert_eq!(at(&mut known, 101, 1_030.0), Some(0.5));
        // Started again.
        assert_eq!(at(&mut known, 1, 6.0), Some(0.1));
    }
}
