//! Counts by key.

use std::io::{self, Write};

use rustc_hash::FxHashMap;

/// A number for each key; keys are bytes, which need not be text.
#[derive(Debug, Default)]
pub struct Counts(FxHashMap<Box<[u8]>, u64>);

impl Counts {
    /// Adds to the number of a key. Only a new key is copied.
    #[inline]
    pub fn add(&mut self, key: &[u8], n: u64) {
        match self.0.get_mut(key) {
            Some(count) => *count += n,
            None => self.set(key, n),
        }
    }

    /// Sets the number of a key.
    pub fn set(&mut self, key: &[u8], n: u64) {
        self.0.insert(key.into(), n);
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sum of all numbers.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// All keys with their numbers, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.0.iter().map(|(key, n)| (&**key, *n))
    }

    /// By number descending, then by key.
    pub fn by_count(&self) -> Vec<(&[u8], u64)> {
        let mut sorted: Vec<_> = self.iter().collect();
        sorted.sort_unstable_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
        sorted
    }

    /// By key.
    pub fn by_key(&self) -> Vec<(&[u8], u64)> {
        let mut sorted: Vec<_> = self.iter().collect();
        sorted.sort_unstable();
        sorted
    }
}

/// Writes a line `number<TAB>key` each.
///
/// # Errors
/// The writer's.
pub fn write_counts(out: &mut dyn Write, counts: &[(&[u8], u64)]) -> io::Result<()> {
    for (key, n) in counts {
        write!(out, "{n}\t")?;
        out.write_all(key)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
