//! A latency as bytes: its sum, then its buckets as they are packed.

use std::time::Duration;

use super::packed::Packed;
use super::{Buckets, Latency, empty};
use crate::portable::{BadPortable, Portable, Reader, Writer};

impl Portable for Latency {
    fn write(&self, to: &mut Writer) {
        self.sum().write(to);
        match &self.buckets {
            Buckets::Packed(packed) => to.bytes(packed.bytes()),
            Buckets::Open(_) => to.bytes(self.pairs().collect::<Packed>().bytes()),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Latency, BadPortable> {
        let sum = Duration::read(from)?;
        let bytes = from.bytes()?;
        if bytes.is_empty() {
            return if sum.is_zero() { Ok(Latency::default()) } else { Err(BAD) };
        }
        let bounds = empty();
        let highest = bounds.highest_equivalent(Latency::LONGEST.as_nanos() as u64);
        let mut pairs = Vec::new();
        let (mut last, mut all) = (0u64, 0u64);
        let mut reader = Reader::over(bytes);
        while !reader.is_empty() {
            let (step, count) = (reader.number()?, reader.number()?);
            let nanos = last.checked_add(step).filter(|nanos| step > 0 && *nanos <= highest).ok_or(BAD)?;
            all = all.checked_add(count).filter(|_| count > 0).ok_or(BAD)?;
            // In our own buckets, so that it can be merged with others.
            pairs.push((bounds.highest_equivalent(nanos), count));
            last = nanos;
        }
        let buckets = Buckets::Packed(pairs.into_iter().collect());
        Ok(Latency { count: all, sum_nanos: sum.as_nanos(), buckets })
    }
}

const BAD: BadPortable = BadPortable::Wrong("an impossible latency");
