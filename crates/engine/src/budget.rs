//! The worker's memory budget: what may wait beyond credit and in cycles.

use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// Bytes of rows that wait in outboxes because one call emitted more than its receivers had credit
/// for, and of rows in cycles, whose closing edges need no credit.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    waiting: AtomicU64,
    looped: AtomicU64,
    has_paused_spouts: AtomicBool,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Budget {
        Budget {
            limit,
            waiting: AtomicU64::new(0),
            looped: AtomicU64::new(0),
            has_paused_spouts: AtomicBool::new(false),
        }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that count against it now.
    pub(crate) fn used(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed) + self.looped.load(Ordering::Relaxed)
    }

    pub(crate) fn wait(&self, bytes: usize) {
        self.waiting.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent_on(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn enter_loop(&self, bytes: usize) {
        self.looped.fetch_add(bytes as u64, Ordering::AcqRel);
    }

    /// Takes rows out of a cycle; true when spouts that paused may go on.
    pub(crate) fn leave_loop(&self, bytes: usize) -> bool {
        let before = self.looped.fetch_sub(bytes as u64, Ordering::AcqRel);
        let (half, after) = (self.limit / 2, before - bytes as u64);
        before > half && after <= half && self.has_paused_spouts.swap(false, Ordering::AcqRel)
    }

    /// Whether the spouts above a cycle are to pause.
    pub(crate) fn is_half_full(&self) -> bool {
        self.looped.load(Ordering::Relaxed) > self.limit / 2
    }

    /// A spout pauses unless there is room after all. Both sides first write and then read, by
    /// operations that see the latest value: either the spout sees the room, or who made it sees
    /// the spout.
    pub(crate) fn pause(&self) -> bool {
        self.has_paused_spouts.swap(true, Ordering::AcqRel);
        self.looped.fetch_add(0, Ordering::AcqRel) > self.limit / 2
    }
}
