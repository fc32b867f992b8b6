//! Numbers of any kind, recorded as a histogram: what users measure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How numbers of any magnitude and sign are distributed.
///
/// Count, minimum and maximum are exact, the sum as exact as an `f64`. Quantiles are the upper end
/// of a bucket, at most 1/16 (6.25 %) of the number's magnitude above it. Infinite numbers and those
/// that are none are not recorded.
///
/// ```
/// use storm_figures::Distribution;
///
/// let mut sizes = Distribution::default();
/// sizes.record(100.0);
/// sizes.record(2_000.0);
/// sizes.record(-3.0);
/// assert_eq!((sizes.count(), sizes.min(), sizes.max()), (3, -3.0, 2_000.0));
/// assert!((100.0..107.0).contains(&sizes.quantile(0.5)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Record", try_from = "Record")]
pub struct Distribution {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    /// How many by bucket; a bucket is the 16 highest bits of the number in total order.
    buckets: BTreeMap<u16, u64>,
}

impl Distribution {
    /// Records a number.
    pub fn record(&mut self, number: f64) {
        self.record_n(number, 1);
    }

    /// Records a number that occurred `n` times.
    pub fn record_n(&mut self, number: f64, n: u64) {
        if n == 0 || !number.is_finite() {
            return;
        }
        // Zero has one sign here.
        let number = number + 0.0;
        let bucket = bucket_of(number);
        self.include(n, sum_of(0.0, number * n as f64), number, number);
        add(&mut self.buckets, bucket, n);
    }

    /// How many numbers were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All numbers together; the largest finite number where they go beyond it.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The mean; 0 if nothing was recorded.
    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }

    /// The lowest number; 0 if nothing was recorded.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The highest number; 0 if nothing was recorded.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// The number that a share `q` of all numbers does not exceed: 0.5 is the median. `q` is taken
    /// as 0 or 1 where it is outside of them. 0 if nothing was recorded.
    pub fn quantile(&self, q: f64) -> f64 {
        let rank = (q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64;
        let mut left = rank.max(1);
        for (bucket, count) in &self.buckets {
            if left <= *count {
                return upper_end(*bucket).clamp(self.min, self.max);
            }
            left -= count;
        }
        self.max
    }

    /// The upper ends of the buckets with how many numbers each has, ascending; for histograms of
    /// other systems. Buckets without any are left out.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        self.buckets.iter().map(|(bucket, count)| (upper_end(*bucket), *count))
    }

    /// Adds what another recorded.
    pub fn merge(&mut self, other: &Distribution) {
        if other.is_empty() {
            return;
        }
        self.include(other.count, other.sum, other.min, other.max);
        for (bucket, count) in &other.buckets {
            add(&mut self.buckets, *bucket, *count);
        }
    }

    fn include(&mut self, count: u64, sum: f64, min: f64, max: f64) {
        (self.min, self.max) =
            if self.is_empty() { (min, max) } else { (self.min.min(min), self.max.max(max)) };
        self.count = self.count.saturating_add(count);
        self.sum = sum_of(self.sum, sum);
    }
}

fn add(buckets: &mut BTreeMap<u16, u64>, bucket: u16, n: u64) {
    let count = buckets.entry(bucket).or_default();
    *count = count.saturating_add(n);
}

/// Finite also where the numbers are huge, so that it can be written down everywhere.
fn sum_of(a: f64, b: f64) -> f64 {
    (a + b).clamp(f64::MIN, f64::MAX)
}

/// Sign, exponent and four bits of the fraction: sixteen buckets for each power of two.
fn bucket_of(number: f64) -> u16 {
    (ordered(number.to_bits()) >> 48) as u16
}

/// The highest number of a bucket.
fn upper_end(bucket: u16) -> f64 {
    let highest = (u64::from(bucket) << 48) | ((1 << 48) - 1);
    let is_negative = highest >> 63 == 0;
    // Negative zero ends the last bucket below zero.
    f64::from_bits(if is_negative { !highest } else { highest ^ (1 << 63) }) + 0.0
}

/// The bits of a float as a number that is ordered like the floats are.
fn ordered(bits: u64) -> u64 {
    if bits >> 63 == 1 { !bits } else { bits ^ (1 << 63) }
}

/// A distribution between processes.
#[derive(Serialize, Deserialize)]
struct Record {
    sum: f64,
    min: f64,
    max: f64,
    buckets: BTreeMap<u16, u64>,
}

impl From<Distribution> for Record {
    fn from(Distribution { sum, min, max, buckets, .. }: Distribution) -> Record {
        Record { sum, min, max, buckets }
    }
}

/// A distribution that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a distribution has {0}")]
pub struct BadDistribution(&'static str);

impl TryFrom<Record> for Distribution {
    type Error = BadDistribution;

    fn try_from(record: Record) -> Result<Distribution, BadDistribution> {
        let Record { sum, min, max, buckets } = record;
        if !sum.is_finite() || !min.is_finite() || !max.is_finite() || min > max {
            return Err(BadDistribution("a sum, minimum or maximum that is none"));
        }
        if buckets.iter().any(|(bucket, count)| *count == 0 || !upper_end(*bucket).is_finite()) {
            return Err(BadDistribution("an impossible bucket"));
        }
        let count = buckets.values().try_fold(0u64, |all, count| all.checked_add(*count));
        let count = count.ok_or(BadDistribution("more than 2^64 numbers"))?;
        if count == 0 && (sum, min, max) != (0.0, 0.0, 0.0) {
            return Err(BadDistribution("a sum of nothing"));
        }
        Ok(Distribution { count, sum, min, max, buckets })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn distribution(numbers: &[f64]) -> Distribution {
        let mut distribution = Distribution::default();
        numbers.iter().for_each(|number| distribution.record(*number));
        distribution
    }

    /// Numbers whose sums are exact, so that the order of adding does not show.
    fn numbers() -> impl Strategy<Value = Vec<f64>> {
        let number = (-1_000_000i32..1_000_000, -8i32..8).prop_map(|(n, e)| f64::from(n) * 2f64.powi(e));
        prop::collection::vec(number, 0..50)
    }

    #[test]
    fn what_is_no_number_is_not_recorded() {
        let odd = distribution(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]);
        assert_eq!(odd, distribution(&[0.0]));
        assert_eq!((odd.count(), odd.quantile(0.5)), (1, 0.0));
    }

    #[test]
    fn nothing_has_no_figures() {
        let nothing = Distribution::default();
        assert_eq!(
            (nothing.mean(), nothing.min(), nothing.max(), nothing.quantile(1.0)),
            (0.0, 0.0, 0.0, 0.0)
        );
    }

    #[test]
    fn sums_stay_finite() {
        let huge = distribution(&[f64::MAX, f64::MAX]);
        assert_eq!((huge.sum(), huge.quantile(1.0)), (f64::MAX, f64::MAX));
        let mut low = Distribution::default();
        low.record_n(f64::MIN, u64::MAX);
        assert_eq!(low.sum(), f64::MIN);
    }

    #[test]
    fn bad_input_is_an_error() {
        let read = serde_json::from_str::<Distribution>;
        assert!(read(r#"{"sum":1.0,"min":1.0,"max":1.0,"buckets":{"49136":1}}"#).is_ok());
        for bad in [
            r#"{"sum":1.0,"min":2.0,"max":1.0,"buckets":{"49136":1}}"#,
            r#"{"sum":1.0,"min":1.0,"max":1.0,"buckets":{}}"#,
            r#"{"sum":1.0,"min":1.0,"max":1.0,"buckets":{"49136":0}}"#,
            r#"{"sum":1.0,"min":1.0,"max":1.0,"buckets":{"65535":1}}"#,
            r#"{"sum":1.0,"min":1.0,"max":1.0,"buckets":{"0":1}}"#,
            r#"{"sum":1.0,"min":1.0,"max":1.0,"buckets":{"65536":1}}"#,
            r#"{"sum":null,"min":1.0,"max":1.0,"buckets":{"49136":1}}"#,
            r#"{"sum":1.0,"min":1.0,"max":1.0,"buckets":{"49136":18446744073709551615,"49137":1}}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn quantiles_are_right_within_a_sixteenth(mut numbers in numbers(), q in 0.0f64..=1.0) {
            let distribution = distribution(&numbers);
            numbers.sort_by(f64::total_cmp);
            let rank = (q * numbers.len() as f64).ceil() as usize;
            if let Some(exact) = numbers.get(rank.max(1) - 1) {
                let shown = distribution.quantile(q);
                prop_assert!(shown >= *exact && shown - exact <= exact.abs() / 16.0);
            }
        }

        #[test]
        fn merging_is_recording_both(a in numbers(), b in numbers()) {
            let both = distribution(&[a.clone(), b.clone()].concat());
            let mut merged = distribution(&a);
            merged.merge(&distribution(&b));
            prop_assert_eq!(merged, both);
        }

        #[test]
        fn reading_gives_what_was_written(numbers in numbers()) {
            // Whole ones: of others serde_json may read the last bit differently.
            let distribution = distribution(&numbers.iter().map(|number| number.trunc()).collect::<Vec<_>>());
            let json = serde_json::to_string(&distribution).unwrap();
            prop_assert_eq!(serde_json::from_str::<Distribution>(&json).unwrap(), distribution);
        }

        #[test]
        fn buckets_are_in_the_order_of_numbers(a: f64, b: f64) {
            let (a, b) = (a.min(b), a.max(b));
            prop_assume!(a.is_finite() && b.is_finite());
            prop_assert!(bucket_of(a) <= bucket_of(b));
            prop_assert!(upper_end(bucket_of(a)) >= a);
        }
    }
}
