//! What a bolt executor keeps of the tuples that its tasks retained: anchors, and the edges that
//! were made from them so far. The copies of the values are with the users' handles.

use storm_model::Time;
use storm_row::Anchor;

/// The retained tuples of one executor.
#[derive(Default)]
pub(crate) struct RetainedTable {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    next_generation: u32,
}

/// A retained tuple.
pub(crate) struct Entry {
    generation: u32,
    /// Rank of the task within its executor.
    pub(crate) task: usize,
    pub(crate) anchors: Vec<Anchor>,
    /// XOR of the edges anchored to it so far.
    pub(crate) edges: u64,
    /// Which input of the bolt it came by.
    pub(crate) input: usize,
    pub(crate) since: Time,
}

impl RetainedTable {
    /// Adds a tuple and returns its key.
    pub(crate) fn add(
        &mut self,
        task: usize,
        input: usize,
        anchors: Vec<Anchor>,
        edges: u64,
        since: Time,
    ) -> u64 {
        self.next_generation = self.next_generation.wrapping_add(1);
        let entry = Some(Entry { generation: self.next_generation, task, input, anchors, edges, since });
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = entry;
                index
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        u64::from(self.next_generation) << 32 | u64::from(index)
    }

    /// The tuple of this key, while it is neither acked nor failed.
    pub(crate) fn get(&mut self, key: u64) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(key as u32 as usize)?.as_mut()?;
        (u64::from(entry.generation) == key >> 32).then_some(entry)
    }

    /// Takes a tuple out.
    pub(crate) fn remove(&mut self, key: u64) -> Option<Entry> {
        self.get(key)?;
        self.free.push(key as u32);
        self.entries[key as u32 as usize].take()
    }

    /// Number of retained tuples.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// The retained tuples.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_good_once() {
        let mut table = RetainedTable::default();
        let a = table.add(0, 0, vec![], 0, Time::ZERO);
        assert!(table.remove(a).is_some());
        assert!(table.remove(a).is_none());
        let b = table.add(0, 0, vec![], 7, Time::ZERO);
        assert_eq!(a as u32, b as u32, "the place is used again");
        assert!(table.get(a).is_none());
        assert_eq!(table.get(b).unwrap().edges, 7);
        assert_eq!(table.len(), 1);
    }
}
