//! All executors of a worker, as each of them sees the others.

use std::ops::Index;
use std::sync::atomic::AtomicBool;

use crate::budget::Budget;
use crate::lanes::Address;

/// The addresses of all executors by index, and the memory budget they share.
pub(crate) struct Directory {
    addresses: Vec<Address>,
    pub(crate) budget: Budget,
    /// Spout executors above a cycle.
    pub(crate) above_cycles: Vec<u32>,
    /// Somebody wants to know when executors have nothing to do.
    pub(crate) is_watched: AtomicBool,
}

impl Directory {
    pub(crate) fn new(addresses: Vec<Address>, budget: Budget, above_cycles: Vec<u32>) -> Directory {
        Directory { addresses, budget, above_cycles, is_watched: AtomicBool::new(false) }
    }

    /// Rings these executors' bells and empties the list.
    pub(crate) fn wake_all(&self, executors: &mut Vec<u32>) {
        for executor in executors.drain(..) {
            self[executor].bell.ring();
        }
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Address> {
        self.addresses.iter()
    }
}

impl Index<u32> for Directory {
    type Output = Address;

    #[inline]
    fn index(&self, executor: u32) -> &Address {
        &self.addresses[executor as usize]
    }
}
