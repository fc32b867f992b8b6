//! The limits of histograms: the same for all, so that they can be added up over tasks.

use storm_figures::{Distribution, Latency};

/// Limits of latencies, in seconds. Two for each power of ten, so that a quantile is right within a
/// factor of three and interpolated in between; beyond 30 s, Storm's usual timeout, a tree has failed.
const SECONDS: [f64; 16] =
    [1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
/// Limits of what users measure, of whatever magnitude: powers of ten.
const NUMBERS: [f64; 17] =
    [0.0, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// How many durations lie up to each limit and above the one before. A duration that is less than a
/// sixteenth below a limit may be counted above it, as `Latency` rounds up.
pub(crate) fn of_latency(latency: &Latency) -> Vec<(f64, u64)> {
    sorted(&SECONDS, latency.buckets().map(|(end, count)| (end.as_secs_f64(), count)))
}

/// The same of numbers. A number that is less than a sixteenth above a limit may be counted below it, for
/// whole powers of ten are frequent, and are counted where they belong.
pub(crate) fn of_distribution(numbers: &Distribution) -> Vec<(f64, u64)> {
    sorted(&NUMBERS, numbers.buckets().map(|(end, count)| (lower_end(end), count)))
}

/// The lowest number above zero of the bucket with this upper end: `Distribution` tells numbers apart by
/// their 16 highest bits.
fn lower_end(end: f64) -> f64 {
    if end > 0.0 { f64::from_bits(end.to_bits() >> 48 << 48) } else { end }
}

fn sorted(limits: &[f64], values: impl Iterator<Item = (f64, u64)>) -> Vec<(f64, u64)> {
    // The library writes the highest of all numbers as infinity.
    let limits = limits.iter().copied().chain([f64::MAX]);
    let mut buckets: Vec<(f64, u64)> = limits.map(|limit| (limit, 0)).collect();
    for (value, count) in values {
        let place = buckets.partition_point(|(limit, _)| *limit < value);
        if let Some((_, so_far)) = buckets.get_mut(place) {
            *so_far = so_far.saturating_add(count);
        }
    }
    buckets
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_of_any_kind_have_a_place() {
        let mut numbers = Distribution::default();
        [-5.0, 0.0, 0.5, 100.0, 1e300].into_iter().for_each(|number| numbers.record(number));
        let filled: Vec<_> = of_distribution(&numbers).into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.0, 2), (1.0, 1), (100.0, 1), (f64::MAX, 1)]);
    }

    proptest! {
        #[test]
        fn every_duration_is_counted_once_and_never_below_itself(nanos in prop::collection::vec(any::<u64>(), 0..40)) {
            let mut latency = Latency::default();
            let durations: Vec<_> = nanos.iter().map(|nanos| Duration::from_nanos(nanos >> (nanos % 60))).collect();
            durations.iter().for_each(|duration| latency.record(*duration));
            let buckets = of_latency(&latency);
            prop_assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), latency.count());
            let mut so_far = 0;
            for (limit, count) in buckets {
                so_far += count;
                let exact = durations.iter().filter(|duration| duration.as_secs_f64() <= limit).count() as u64;
                prop_assert!(so_far <= exact || limit == f64::MAX);
            }
        }
    }
}
