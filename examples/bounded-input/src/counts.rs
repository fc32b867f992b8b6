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
            None => {
                self.0.insert(key.into(), n);
            }
        }
    }

    /// All keys with their numbers, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.0.iter().map(|(key, n)| (&**key, *n))
    }

    /// The number of a key, 0 for an unknown one.
    pub fn of(&self, key: &[u8]) -> u64 {
        self.0.get(key).copied().unwrap_or(0)
    }
}

/// Totals as the writer gets them: a key comes once, or again with the same total.
///
/// A list, not a map: whoever emits the entries of a hash map sends them in the order of their
/// hashes, and filling another map in that order is slow.
#[derive(Debug)]
pub struct Totals<T = u64>(Vec<(Box<[u8]>, T)>);

impl<T> Default for Totals<T> {
    fn default() -> Self {
        Totals(Vec::new())
    }
}

impl<T: PartialEq> Totals<T> {
    /// Takes the total of a key.
    pub fn push(&mut self, key: &[u8], total: T) {
        self.0.push((key.into(), total));
    }

    /// By key.
    pub fn by_key(&mut self) -> &[(Box<[u8]>, T)] {
        self.0.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        self.0.dedup();
        &self.0
    }

    /// By this number descending, then by key.
    pub fn by_count(&mut self, count: impl Fn(&T) -> u64) -> &[(Box<[u8]>, T)] {
        self.0.sort_unstable_by(|(a, m), (b, n)| count(n).cmp(&count(m)).then_with(|| a.cmp(b)));
        self.0.dedup();
        &self.0
    }
}

/// Writes a line `number<TAB>key` each.
///
/// # Errors
/// The writer's.
pub fn write_counts(out: &mut dyn Write, counts: &[(Box<[u8]>, u64)]) -> io::Result<()> {
    for (key, n) in counts {
        write!(out, "{n}\t")?;
        out.write_all(key)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
