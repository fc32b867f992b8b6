//! Fields grouping: key to hash, hash to one of 2^15 key groups, group to task.
//!
//! The hash is fixed for all builds and machines (`storm_row::KeyEncoder`). The groups between hash
//! and task are the seam for changing the number of tasks later: whole groups move.

use std::sync::Arc;

use storm_row::{KEY_GROUPS, KeyEncoder};

/// Which task has which key.
#[derive(Clone)]
pub(crate) struct KeyGroups {
    /// Positions of the key's fields.
    pub(crate) fields: Arc<[usize]>,
    tasks: u32,
}

impl KeyGroups {
    /// Splits the key groups evenly, in order, among `tasks` tasks.
    pub(crate) fn new(fields: Vec<usize>, tasks: usize) -> KeyGroups {
        KeyGroups { fields: fields.into(), tasks: tasks as u32 }
    }

    /// Computed, not looked up: a table of all groups is larger than the cache that the rows need.
    #[inline(always)]
    pub(crate) fn target(&self, hash: u64) -> u32 {
        (u64::from(KeyEncoder::group(hash)) * u64::from(self.tasks) / u64::from(KEY_GROUPS)) as u32
    }
}
