//! Durations, recorded as a histogram whose mean is exact.

mod packed;
mod portable;
mod serial;

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::total::{Share, Total, nanos};
use packed::{Packed, difference, merged};

/// How long something took, each time that it happened.
///
/// Count, sum and mean are exact. Quantiles and maximum are the upper end of a histogram's bucket:
/// never below what was recorded, and less than 1/16 (6.25 %) above it; below 32 ns they are exact.
/// The histogram reaches from 1 ns to 1 hour; what is shorter or longer counts there as if it had
/// been recorded at that end, while the sum has it in full.
///
/// One that nothing was recorded in has no memory on the heap. One that records takes about 5 kB at
/// most, the others some 5 bytes for each different bucket.
///
/// ```
/// use std::time::Duration;
/// use storm_figures::Latency;
///
/// let mut latency = Latency::default();
/// latency.record(Duration::from_millis(1));
/// latency.record_n(Duration::from_millis(4), 3);
/// assert_eq!(latency.count(), 4);
/// assert_eq!(latency.mean(), Duration::from_micros(3_250));
/// let p99 = latency.quantile(0.99).as_secs_f64() * 1e3;
/// assert!((4.0..4.25).contains(&p99));
/// ```
#[derive(Clone, Default)]
pub struct Latency {
    count: u64,
    sum_nanos: u128,
    buckets: Buckets,
}

/// Upper ends of buckets with how often each.
#[derive(Clone)]
enum Buckets {
    /// What came from somewhere else: compact.
    Packed(Packed),
    /// Since something was recorded here: fast.
    Open(Box<Histogram<u64>>),
}

impl Default for Buckets {
    fn default() -> Buckets {
        Buckets::Packed(Packed::default())
    }
}

impl Latency {
    /// The longest duration that quantiles and maximum know.
    pub const LONGEST: Duration = Duration::from_secs(3_600);

    /// Records a duration.
    pub fn record(&mut self, duration: Duration) {
        self.record_n(duration, 1);
    }

    /// Records a duration that occurred `n` times.
    pub fn record_n(&mut self, duration: Duration, n: u64) {
        if n == 0 {
            return;
        }
        self.count = self.count.saturating_add(n);
        let sum = duration.as_nanos().saturating_mul(n.into());
        self.sum_nanos = self.sum_nanos.saturating_add(sum);
        let nanos = duration.clamp(Duration::from_nanos(1), Latency::LONGEST).as_nanos() as u64;
        add(self.open(), nanos, n);
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All durations together.
    pub fn sum(&self) -> Duration {
        nanos(self.sum_nanos)
    }

    /// The mean, down to whole nanoseconds; zero if nothing was recorded.
    pub fn mean(&self) -> Duration {
        self.sum_nanos.checked_div(self.count.into()).map_or(Duration::ZERO, nanos)
    }

    /// The duration that a share `q` of all durations does not exceed: 0.5 is the median. `q` is
    /// taken as 0 or 1 where it is outside of them. Zero if nothing was recorded.
    pub fn quantile(&self, q: f64) -> Duration {
        let rank = (q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64;
        let mut left = rank.max(1);
        let mut pairs = self.pairs();
        let reached = pairs.find(|(_, count)| {
            let is_here = left <= *count;
            left = left.saturating_sub(*count);
            is_here
        });
        // Only rounding of `count as f64` leads past the end.
        reached.map_or_else(|| self.max(), |(value, _)| shown(value))
    }

    /// The longest duration; zero if nothing was recorded.
    pub fn max(&self) -> Duration {
        self.pairs().last().map_or(Duration::ZERO, |(value, _)| shown(value))
    }

    /// The upper ends of the buckets with how many durations each has, ascending; for histograms of
    /// other systems. Buckets without any are left out.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.pairs().map(|(value, count)| (shown(value), count))
    }

    /// Adds what another recorded.
    pub fn merge(&mut self, other: &Latency) {
        if other.is_empty() {
            return;
        }
        self.count = self.count.saturating_add(other.count);
        self.sum_nanos = self.sum_nanos.saturating_add(other.sum_nanos);
        match &mut self.buckets {
            Buckets::Packed(mine) => *mine = merged(mine.iter(), other.pairs()).collect(),
            Buckets::Open(mine) => other.pairs().for_each(|(value, count)| add(mine, value, count)),
        }
    }

    /// What was recorded after `earlier`, a former state of this one. `None` if it is none: then
    /// recording has begun again.
    pub fn since(&self, earlier: &Latency) -> Option<Latency> {
        Some(Latency {
            count: self.count.checked_sub(earlier.count)?,
            sum_nanos: self.sum_nanos.checked_sub(earlier.sum_nanos)?,
            buckets: Buckets::Packed(difference(self.pairs(), earlier.pairs())?),
        })
    }

    /// A copy in the compact form: small to keep, slower to record into.
    pub fn to_compact(&self) -> Latency {
        let buckets = match &self.buckets {
            Buckets::Packed(packed) => packed.clone(),
            Buckets::Open(_) => self.pairs().collect(),
        };
        Latency { buckets: Buckets::Packed(buckets), ..*self }
    }

    fn pairs(&self) -> Box<dyn Iterator<Item = (u64, u64)> + '_> {
        match &self.buckets {
            Buckets::Packed(packed) => Box::new(packed.iter()),
            Buckets::Open(open) => {
                Box::new(open.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())))
            }
        }
    }

    fn open(&mut self) -> &mut Histogram<u64> {
        if let Buckets::Packed(packed) = &self.buckets {
            let mut open = Box::new(empty());
            packed.iter().for_each(|(value, count)| add(&mut open, value, count));
            self.buckets = Buckets::Open(open);
        }
        match &mut self.buckets {
            Buckets::Open(open) => open,
            Buckets::Packed(_) => unreachable!("it was opened above"),
        }
    }
}

impl Total for Latency {
    fn since(&self, earlier: &Latency) -> Option<Latency> {
        Latency::since(self, earlier)
    }

    fn absorb(&mut self, other: &Latency) {
        self.merge(other);
    }

    fn share(&self, share: Share) -> Latency {
        let count = share.of_count(self.count);
        let mut passed = 0u64;
        let mut taken = 0;
        // Rounded by how many were passed in all, so that small buckets have their share too.
        let pairs = self.pairs().map(|(value, count)| {
            passed = passed.saturating_add(count);
            let before = std::mem::replace(&mut taken, share.of_count(passed));
            (value, taken - before)
        });
        let buckets = Buckets::Packed(pairs.collect());
        // By the count as it was rounded, so that the mean stays; in two parts against overflow.
        let (kept, all) = (u128::from(count), u128::from(self.count.max(1)));
        let sum_nanos = self.sum_nanos / all * kept + self.sum_nanos % all * kept / all;
        Latency { count, sum_nanos, buckets }
    }
}

impl PartialEq for Latency {
    fn eq(&self, other: &Latency) -> bool {
        self.count == other.count && self.sum_nanos == other.sum_nanos && self.pairs().eq(other.pairs())
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { count, .. } = self;
        let (mean, p99, max) = (self.mean(), self.quantile(0.99), self.max());
        write!(f, "Latency({count}: mean {mean:?}, p99 {p99:?}, max {max:?})")
    }
}

/// A histogram of one significant digit that grows with what it is given.
fn empty() -> Histogram<u64> {
    Histogram::new(1).expect("one digit is within the library's bounds")
}

fn add(histogram: &mut Histogram<u64>, nanos: u64, count: u64) {
    histogram.record_n(nanos, count).expect("it grows, and an hour is far below its limit");
}

/// The last bucket ends above an hour, but nothing beyond the hour is told apart.
fn shown(nanos: u64) -> Duration {
    Duration::from_nanos(nanos).min(Latency::LONGEST)
}

#[cfg(test)]
mod tests;
