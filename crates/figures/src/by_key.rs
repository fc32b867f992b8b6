//! A few totals by key, as small as they can be: a bucket of a history has one of these for each
//! task, and a tree's nodes would take five times the memory of what is in them.

use crate::portable::{BadPortable, Portable, Reader, Writer};
use crate::total::{Share, Total};

/// Totals by key, ascending. A key that is missing stands for a total of nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ByKey<K, T>(Vec<(K, T)>);

impl<K, T> Default for ByKey<K, T> {
    fn default() -> ByKey<K, T> {
        ByKey(Vec::new())
    }
}

impl<K: Ord + Clone, T: Total> ByKey<K, T> {
    /// The total of a key.
    pub(crate) fn get(&self, key: &K) -> Option<&T> {
        let place = self.0.binary_search_by(|(mine, _)| mine.cmp(key)).ok()?;
        Some(&self.0[place].1)
    }

    /// The keys in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// The totals in order of their keys.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, total)| total)
    }

    /// Adds to the total of a key.
    pub(crate) fn add(&mut self, key: &K, total: &T) {
        match self.0.binary_search_by(|(mine, _)| mine.cmp(key)) {
            Ok(place) => self.0[place].1.absorb(total),
            Err(place) => {
                self.0.reserve_exact(1);
                self.0.insert(place, (key.clone(), total.clone()));
            }
        }
    }
}

impl<K: Ord + Clone, T: Total> FromIterator<(K, T)> for ByKey<K, T> {
    fn from_iter<I: IntoIterator<Item = (K, T)>>(totals: I) -> ByKey<K, T> {
        let mut by_key = ByKey::default();
        totals.into_iter().for_each(|(key, total)| by_key.add(&key, &total));
        by_key
    }
}

/// Differences leave out what did not change.
impl<K: Ord + Clone, T: Total> Total for ByKey<K, T> {
    fn since(&self, earlier: &Self) -> Option<Self> {
        let nothing = T::default();
        let is_gone = |(key, before): &(K, T)| self.get(key).is_none() && *before != nothing;
        if earlier.0.iter().any(is_gone) {
            return None;
        }
        let mut gained = Vec::new();
        for (key, now) in &self.0 {
            let gain = now.since(earlier.get(key).unwrap_or(&nothing))?;
            if gain != nothing {
                gained.push((key.clone(), gain));
            }
        }
        gained.shrink_to_fit();
        Some(ByKey(gained))
    }

    fn absorb(&mut self, other: &Self) {
        if self.0.is_empty() {
            self.0.clone_from(&other.0);
        } else {
            other.0.iter().for_each(|(key, total)| self.add(key, total));
        }
    }

    fn share(&self, share: Share) -> Self {
        ByKey(self.0.iter().map(|(key, total)| (key.clone(), total.share(share))).collect())
    }
}

impl<K: Ord + Portable, T: Portable> Portable for ByKey<K, T> {
    fn write(&self, to: &mut Writer) {
        to.number(self.0.len() as u64);
        for (key, total) in &self.0 {
            key.write(to);
            total.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<ByKey<K, T>, BadPortable> {
        let count = from.number()?;
        let mut totals: Vec<(K, T)> = Vec::new();
        for _ in 0..count {
            let (key, total) = (K::read(from)?, T::read(from)?);
            if totals.last().is_some_and(|(last, _)| *last >= key) {
                return Err(BadPortable::Wrong("keys that do not ascend"));
            }
            totals.push((key, total));
        }
        totals.shrink_to_fit();
        Ok(ByKey(totals))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn by_key(totals: &[(u8, u64)]) -> ByKey<u8, u64> {
        totals.iter().copied().collect()
    }

    #[test]
    fn a_key_that_vanished_is_a_fall() {
        let before = by_key(&[(1, 1), (2, 0)]);
        assert_eq!(by_key(&[(1, 1)]).since(&before), Some(by_key(&[])));
        assert_eq!(by_key(&[(2, 9)]).since(&before), None);
        assert_eq!(by_key(&[(1, 0), (2, 9)]).since(&before), None);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_map(
            early in prop::collection::vec((0u8..6, 0u64..9), 0..8),
            gain in prop::collection::vec((0u8..6, 0u64..9), 0..8),
        ) {
            let mut model = BTreeMap::new();
            for (key, n) in early.iter().chain(&gain) {
                *model.entry(*key).or_insert(0) += n;
            }
            let early = by_key(&early);
            let mut late = early.clone();
            late.absorb(&by_key(&gain));
            prop_assert!(late.keys().eq(model.keys()) && late.values().eq(model.values()));
            let since = late.since(&early).unwrap();
            prop_assert!(since.values().all(|n| *n > 0));
            let mut again = early;
            again.absorb(&since);
            for (key, n) in &model {
                prop_assert_eq!(again.get(key).unwrap_or(&0), n);
            }
        }
    }
}
