//! Fields grouping: key to hash, hash to one of 2^15 key groups, group to task.
//!
//! The hash is fixed for all builds and machines (`storm_row::KeyEncoder`). The groups between hash
//! and task are the seam for changing the number of tasks later: whole groups move.

use std::sync::Arc;

use storm_row::{KEY_GROUPS, KeyEncoder};

/// Which task has which key.
#[derive(Clone)]
pub(crate) struct KeyTable {
    /// Positions of the key's fields.
    pub(crate) fields: Arc<[usize]>,
    /// Rank of the task by key group.
    ranks: Arc<[u16]>,
}

impl KeyTable {
    /// Splits the key groups evenly, in order, among `tasks` tasks.
    pub(crate) fn new(fields: Vec<usize>, tasks: usize) -> KeyTable {
        let rank = |group: u32| (u64::from(group) * tasks as u64 / u64::from(KEY_GROUPS)) as u16;
        KeyTable { fields: fields.into(), ranks: (0..KEY_GROUPS).map(rank).collect() }
    }

    #[inline]
    pub(crate) fn target(&self, hash: u64) -> u32 {
        u32::from(self.ranks[KeyEncoder::group(hash) as usize])
    }
}
