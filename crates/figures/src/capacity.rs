//! How close an executor is to its limit, as Storm reckons it.

use std::time::Duration;

use crate::latency::Latency;
use crate::window::Window;

/// Share of the time that an executor spent in `execute`: about 1 and above it is a bottleneck.
///
/// Storm's formula (`StatsUtil.computeAggCapacity`): for each input the tuples executed in the last
/// ten minutes times the mean time of `execute`, together, over the executor's uptime or those ten
/// minutes, whichever is shorter. The same for the other windows, which Storm does not reckon.
/// 0 without uptime.
pub fn capacity<'a>(
    window: Window,
    inputs: impl IntoIterator<Item = (u64, &'a Latency)>,
    uptime: Duration,
) -> f64 {
    let over = window.span().map_or(uptime, |span| span.min(uptime)).as_secs_f64();
    if over == 0.0 {
        return 0.0;
    }
    // The mean of a sample stands for all: not every execution needs to be measured.
    let secs = |(executed, latency): (u64, &Latency)| match latency.count() {
        0 => 0.0,
        measured => latency.sum().as_secs_f64() / measured as f64 * executed as f64,
    };
    inputs.into_iter().map(secs).sum::<f64>() / over
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: u64) -> Latency {
        let mut latency = Latency::default();
        latency.record(Duration::from_millis(millis));
        latency
    }

    fn ten_minutes(inputs: &[(u64, &Latency)], uptime_secs: u64) -> f64 {
        capacity(Window::TenMinutes, inputs.iter().copied(), Duration::from_secs(uptime_secs))
    }

    #[test]
    fn executed_times_latency_over_ten_minutes() {
        // 150,000 × 2 ms are 300 s of 600 s.
        assert_eq!(ten_minutes(&[(150_000, &of(2))], 7_200), 0.5);
        assert_eq!(ten_minutes(&[(150_000, &of(2)), (30_000, &of(10))], 7_200), 1.0);
    }

    #[test]
    fn a_young_executor_is_measured_by_its_age() {
        assert_eq!(ten_minutes(&[(15_000, &of(2))], 60), 0.5);
        assert_eq!(ten_minutes(&[(15_000, &of(2))], 0), 0.0);
    }

    #[test]
    fn nothing_executed_is_no_load() {
        assert_eq!(ten_minutes(&[], 60), 0.0);
        assert_eq!(ten_minutes(&[(0, &Latency::default())], 60), 0.0);
    }

    #[test]
    fn all_time_is_measured_by_the_whole_age() {
        let latency = of(2);
        assert_eq!(capacity(Window::AllTime, [(1_000_000, &latency)], Duration::from_secs(4_000)), 0.5);
    }
}
