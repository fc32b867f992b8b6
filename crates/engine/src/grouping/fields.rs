//! Fields grouping: key to hash, hash to one of 2^15 key groups, group to task.
//!
//! The hash is fixed for all builds and machines (`storm_row::KeyEncoder`). The groups between hash
//! and task are the seam for changing the number of tasks later: whole groups move.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use storm_row::{KEY_GROUPS, KeyEncoder};

/// Which task has which key.
#[derive(Clone)]
pub(crate) struct KeyTable {
    /// Positions of the key's fields.
    pub(crate) fields: Arc<[usize]>,
    /// Rank of the task by key group.
    ranks: Arc<[u16]>,
}

/// Tables by number of tasks, made once and shared by all emitting tasks: 64 KB each.
#[derive(Default)]
pub(crate) struct KeyRanks(Mutex<BTreeMap<usize, Arc<[u16]>>>);

impl KeyRanks {
    /// Splits the key groups evenly, in order, among `tasks` tasks.
    pub(crate) fn of(&self, tasks: usize) -> Arc<[u16]> {
        let rank = |group: u32| (u64::from(group) * tasks as u64 / u64::from(KEY_GROUPS)) as u16;
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(tasks).or_insert_with(|| (0..KEY_GROUPS).map(rank).collect()).clone()
    }
}

impl KeyTable {
    /// The key's fields, and the ranks of their groups.
    pub(crate) fn new(fields: Vec<usize>, ranks: Arc<[u16]>) -> KeyTable {
        KeyTable { fields: fields.into(), ranks }
    }

    #[inline]
    pub(crate) fn target(&self, hash: u64) -> u32 {
        u32::from(self.ranks[KeyEncoder::group(hash) as usize])
    }
}
