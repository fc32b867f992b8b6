//! A latency between processes: `(seconds, nanoseconds, [(upper end in ns, count), ..])`.
//!
//! The first two numbers are the sum; the count is that of all buckets. Everything is checked: what
//! does not fit is an error, and nothing is reserved by what the sender says.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::packed::Packed;
use super::{Buckets, Latency, empty};

/// More pairs than there are buckets between 1 ns and an hour, also at a finer precision than ours,
/// which a worker of another version may have.
const PAIRS_MAX: usize = 1 << 13;

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sum = self.sum();
        (sum.as_secs(), sum.subsec_nanos(), Pairs(self)).serialize(serializer)
    }
}

struct Pairs<'a>(&'a Latency);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Collected, as some formats want the length first.
        serializer.collect_seq(self.0.pairs().collect::<Vec<_>>())
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Latency, D::Error> {
        let (secs, subsec_nanos, counted): (u64, u32, Counted) = Deserialize::deserialize(deserializer)?;
        if subsec_nanos >= 1_000_000_000 {
            return Err(D::Error::custom("a latency's sum has more than a second of nanoseconds"));
        }
        let sum = Duration::new(secs, subsec_nanos);
        if counted.count == 0 && !sum.is_zero() {
            return Err(D::Error::custom("a latency has a sum of nothing"));
        }
        let buckets = Buckets::Packed(counted.packed);
        Ok(Latency { count: counted.count, sum_nanos: sum.as_nanos(), buckets })
    }
}

/// Buckets that were read.
struct Counted {
    count: u64,
    packed: Packed,
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Counted, D::Error> {
        deserializer.deserialize_seq(CountedVisitor)
    }
}

struct CountedVisitor;

impl<'de> Visitor<'de> for CountedVisitor {
    type Value = Counted;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ascending pairs of nanoseconds and how often")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pairs: A) -> Result<Counted, A::Error> {
        let bounds = empty();
        let highest = bounds.highest_equivalent(Latency::LONGEST.as_nanos() as u64);
        let mut read = Vec::new();
        let mut last = 0;
        let mut all = 0u64;
        while let Some((nanos, count)) = pairs.next_element::<(u64, u64)>()? {
            if nanos <= last || nanos > highest {
                return Err(A::Error::custom(format_args!(
                    "a latency's bucket of {nanos} ns after {last} ns"
                )));
            }
            if count == 0 || read.len() == PAIRS_MAX {
                return Err(A::Error::custom("a latency has an empty bucket or too many of them"));
            }
            let sum = all.checked_add(count);
            all = sum.ok_or_else(|| A::Error::custom("a latency has more than 2^64 values"))?;
            last = nanos;
            // In our own buckets, so that it can be merged with others.
            read.push((bounds.highest_equivalent(nanos), count));
        }
        Ok(Counted { count: all, packed: read.into_iter().collect() })
    }
}
