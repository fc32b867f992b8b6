//! A histogram at rest: ascending values with how often each, packed into few bytes.
//!
//! ```text
//! value - value before   varint   of the first: the value itself
//! how often              varint   at least 1
//! ...
//! ```
//!
//! A varint has seven bits per byte, lowest first, and its top bit set while more follow (LEB128).
//! Thirty values take about 150 bytes, and nothing takes no memory at all.

/// What most histograms take while they are packed: room for this at once saves five allocations.
const TYPICAL_BYTES: usize = 256;

/// Ascending values with how often each.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    /// The values in order.
    pub(super) fn iter(&self) -> Iter<'_> {
        Iter { bytes: &self.0, value: 0 }
    }

    /// How they are packed.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromIterator<(u64, u64)> for Packed {
    /// Packs values that ascend; those of no count are left out, and neighbours that are equal
    /// become one.
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(pairs: I) -> Packed {
        let mut bytes = Vec::new();
        let mut before = 0;
        let mut put = |(value, count): (u64, u64)| {
            if count > 0 {
                if bytes.is_empty() {
                    bytes.reserve(TYPICAL_BYTES);
                }
                push_varint(&mut bytes, value - before);
                push_varint(&mut bytes, count);
                before = value;
            }
        };
        let mut last = (0, 0);
        for (value, count) in pairs {
            if value == last.0 {
                last.1 = count.saturating_add(last.1);
            } else {
                put(std::mem::replace(&mut last, (value, count)));
            }
        }
        put(last);
        Packed(bytes.into())
    }
}

/// Unpacks values in order.
pub(super) struct Iter<'a> {
    bytes: &'a [u8],
    value: u64,
}

impl Iterator for Iter<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        self.value += take_varint(&mut self.bytes)?;
        Some((self.value, take_varint(&mut self.bytes)?))
    }
}

fn push_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// The next number; the bytes are always ones that `push_varint` wrote.
fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    let mut shift = 0;
    loop {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
        shift += 7;
    }
}

/// The values of both, in order; equal ones one after the other.
pub(super) fn merged(
    a: impl Iterator<Item = (u64, u64)>,
    b: impl Iterator<Item = (u64, u64)>,
) -> impl Iterator<Item = (u64, u64)> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(of_a), Some(of_b)) if of_b.0 < of_a.0 => b.next(),
        (None, _) => b.next(),
        _ => a.next(),
    })
}

/// The values of `late` without those of `early`; `None` if they are not among them.
pub(super) fn difference(
    late: impl Iterator<Item = (u64, u64)>,
    early: impl Iterator<Item = (u64, u64)>,
) -> Option<Packed> {
    let mut early = early.peekable();
    let mut left = Vec::new();
    for (value, count) in late {
        let before = early.next_if(|(earlier, _)| *earlier == value).map_or(0, |(_, count)| count);
        left.push((value, count.checked_sub(before)?));
    }
    // A value that `late` lacks was never passed.
    early.next().is_none().then(|| left.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn pairs() -> impl Strategy<Value = BTreeMap<u64, u64>> {
        let value = prop_oneof![0u64..300, any::<u64>()];
        let count = prop_oneof![1u64..300, 1..=u64::MAX / 4];
        prop::collection::btree_map(value, count, 0..20)
    }

    proptest! {
        #[test]
        fn unpacking_gives_what_was_packed(pairs in pairs()) {
            let packed: Packed = pairs.clone().into_iter().collect();
            prop_assert_eq!(packed.iter().collect::<BTreeMap<_, _>>(), pairs);
        }

        #[test]
        fn merging_and_taking_away_agree_with_maps(a in pairs(), b in pairs()) {
            let pack = |pairs: &BTreeMap<u64, u64>| pairs.clone().into_iter().collect::<Packed>();
            let (packed_a, packed_b) = (pack(&a), pack(&b));
            let both: Packed = merged(packed_a.iter(), packed_b.iter()).collect();
            let mut model = a.clone();
            for (value, count) in &b {
                *model.entry(*value).or_default() += count;
            }
            prop_assert!(both == pack(&model));
            prop_assert!(difference(both.iter(), packed_a.iter()).as_ref() == Some(&packed_b));
            let is_part = a.iter().all(|(value, count)| b.get(value) >= Some(count));
            prop_assert_eq!(difference(packed_b.iter(), packed_a.iter()).is_some(), is_part);
        }
    }

    #[test]
    fn nothing_takes_no_bytes_and_thirty_values_few() {
        assert!(Packed::from_iter([(5, 0)]).0.is_empty());
        // A tenth of a second's worth of neighbouring values around a millisecond.
        let typical = (0..30).map(|i| (1_000_000 + i * 65_536, 5_000));
        assert!(typical.collect::<Packed>().0.len() <= 152);
    }
}
