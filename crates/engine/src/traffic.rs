//! Is everything processed? What each executor publishes so that one can tell from outside.
//!
//! Every row that is sent and every message that is posted is taken once; it counts as sent before
//! it can be taken. Whoever first sums up
//! what was taken and then what was sent, and finds both equal, has seen a moment with nothing on
//! its way (the four-counter method for the end of a distributed computation): between the two
//! sums nothing was sent, and what had been sent before had been taken.

use crate::sync::{AtomicU64, Ordering};

/// Published by one executor after each step.
#[derive(Debug)]
pub(crate) struct Traffic {
    sent: AtomicU64,
    taken: AtomicU64,
    /// Messages to this executor, counted by their senders.
    posted: AtomicU64,
    /// Trees pending, tuples retained.
    open: AtomicU64,
    /// Active spout tasks that have more to come.
    undone: AtomicU64,
}

impl Default for Traffic {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Traffic { sent: zero(), taken: zero(), posted: zero(), open: zero(), undone: zero() }
    }
}

impl Traffic {
    /// Publishes an executor's own counts. What was sent because of a row is seen no later than
    /// that the row was taken, and that a tree has failed no later than that its spout has more to
    /// come.
    pub(crate) fn publish(&self, sent: u64, taken: u64, open: u64, undone: u64) {
        self.undone.store(undone, Ordering::SeqCst);
        self.open.store(open, Ordering::SeqCst);
        self.sent.store(sent, Ordering::SeqCst);
        self.taken.store(taken, Ordering::SeqCst);
    }

    /// Publishes what was sent, before it can be taken.
    #[inline]
    pub(crate) fn publish_sent(&self, sent: u64) {
        self.sent.store(sent, Ordering::SeqCst);
    }

    /// Whether it has no active spout task with more to come.
    pub(crate) fn is_done(&self) -> bool {
        self.undone.load(Ordering::SeqCst) == 0
    }

    pub(crate) fn posting(&self) {
        self.posted.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn not_posted(&self) {
        self.posted.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A number that changes whenever something is sent, taken, opened or ended.
pub(crate) fn fingerprint<'a>(all: impl Iterator<Item = &'a Traffic>) -> u64 {
    let counters = all.flat_map(|t| [&t.sent, &t.taken, &t.posted, &t.open, &t.undone]);
    counters
        .fold(0, |sum, c| (sum.rotate_left(7) ^ c.load(Ordering::SeqCst)).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Whether every spout is done.
pub(crate) fn is_done<'a>(mut all: impl Iterator<Item = &'a Traffic>) -> bool {
    all.all(Traffic::is_done)
}

/// Whether every spout is done and everything is processed.
pub(crate) fn is_complete<'a>(all: impl Iterator<Item = &'a Traffic> + Clone) -> bool {
    // A tree that fails between the first two may give its spout something to do again.
    is_done(all.clone()) && is_quiet(all.clone()) && is_done(all)
}

/// Whether nothing is on its way and nothing is open.
pub(crate) fn is_quiet<'a>(all: impl Iterator<Item = &'a Traffic> + Clone) -> bool {
    let read = |counter: fn(&Traffic) -> &AtomicU64| -> u64 {
        all.clone().map(|t| counter(t).load(Ordering::SeqCst)).sum()
    };
    let taken = read(|t| &t.taken);
    let sent = read(|t| &t.sent) + read(|t| &t.posted);
    let open = read(|t| &t.open);
    taken == sent && open == 0 && read(|t| &t.taken) == taken
}
