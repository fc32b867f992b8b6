//! The ledger of a spout task: which of its trees are pending, and when each is processed, failed
//! or too old. Pure; it lives in the spout's executor, so that no acker task, no init message and
//! no hash map is needed.
//!
//! As in Storm's acker each tree has one 64-bit value, the XOR of the ids of all edges that were
//! made and of all that were acked: it is zero when every edge was both. A tree's root id is
//!
//! ```text
//! bit  63                      24 23            0
//!      +-------------------------+---------------+
//!      |       generation        |     slot      |
//!      +-------------------------+---------------+
//! ```
//!
//! Slots are reused first-in first-out and each use has a new generation; generations start at a
//! random number, so that late acks of a former tree or of a former life of the executor hit
//! nothing.

use std::collections::VecDeque;
use std::time::Duration;

use storm_model::Time;

const SLOT_BITS: u32 = 24;
const GENERATION_MASK: u64 = (1 << (64 - SLOT_BITS)) - 1;
/// Trees that can be pending at once.
pub(crate) const MAX_SLOTS: usize = (1 << SLOT_BITS) - 1;
/// In `deadlines`: the slot is free.
const FREE: u32 = u32::MAX;
/// In `deadlines`: pending, never too old.
const NEVER: u32 = u32::MAX - 1;

/// Pending trees of one spout task.
#[derive(Debug)]
pub struct Ledger {
    generations: Vec<u64>,
    values: Vec<u64>,
    emitted: Vec<Time>,
    /// Stream of each tree's root.
    streams: Vec<u16>,
    /// Tick in which a tree is too old; scanned as a whole once a tick, so it stands alone.
    deadlines: Vec<u32>,
    free: VecDeque<u32>,
    first_generation: u64,
    pending: usize,
    timeout: Option<Duration>,
    tick: Duration,
    last_tick: u32,
    late: u64,
    /// Trees may have a deadline although there is no timeout.
    is_hastened: bool,
}

/// A tree that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its slot, free again.
    pub slot: u32,
    /// Since when it was pending.
    pub emitted: Time,
    /// Number of the stream by which its root was emitted.
    pub stream: u16,
}

impl Ledger {
    /// An empty ledger. `first_generation` is random; `timeout` is the age at which trees fail,
    /// with a precision of one [`tick`](Ledger::tick).
    pub fn new(first_generation: u64, timeout: Option<Duration>) -> Ledger {
        // 1 s, at most an eighth of the timeout: a tree fails between T and T + 1 tick.
        let tick = timeout.map_or(Duration::from_secs(1), |t| (t / 8).min(Duration::from_secs(1)));
        Ledger {
            generations: Vec::new(),
            values: Vec::new(),
            emitted: Vec::new(),
            streams: Vec::new(),
            deadlines: Vec::new(),
            free: VecDeque::new(),
            first_generation: first_generation & GENERATION_MASK,
            pending: 0,
            timeout,
            tick: tick.max(Duration::from_millis(1)),
            last_tick: 0,
            late: 0,
            is_hastened: false,
        }
    }

    /// How often [`expire`](Ledger::expire) looks.
    pub fn tick(&self) -> Duration {
        self.tick
    }

    /// Pending trees.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// The roots of the pending trees, and when each was emitted.
    pub fn roots(&self) -> impl Iterator<Item = (u64, Time)> {
        let slots = (0..self.deadlines.len()).filter(|i| self.deadlines[*i] != FREE);
        slots.map(|i| (self.generations[i] << SLOT_BITS | i as u64, self.emitted[i]))
    }

    /// Acks and fails that came for trees that had ended.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Begins a tree and returns its root; `None` when all 2^24 slots are pending. Its value is
    /// zero until [`charge`](Ledger::charge) gives it its first edges.
    #[inline]
    pub fn open(&mut self, now: Time, stream: u16) -> Option<u64> {
        let slot = match self.free.pop_front() {
            Some(slot) => slot,
            None if self.values.len() == MAX_SLOTS => return None,
            None => {
                self.generations.push(self.first_generation);
                self.values.push(0);
                self.emitted.push(now);
                self.streams.push(stream);
                self.deadlines.push(FREE);
                (self.values.len() - 1) as u32
            }
        };
        let i = slot as usize;
        self.values[i] = 0;
        self.emitted[i] = now;
        self.streams[i] = stream;
        self.deadlines[i] = self.deadline(now);
        self.pending += 1;
        Some(self.generations[i] << SLOT_BITS | u64::from(slot))
    }

    /// Puts the edges of the spout's own emit into a tree that was just opened. False without
    /// edges: nobody receives it, and it is to be ended with [`fold`](Ledger::fold) of nothing.
    #[inline]
    pub fn charge(&mut self, root: u64, edges: u64) -> bool {
        self.values[slot_of(root) as usize] ^= edges;
        edges != 0
    }

    /// Folds acked (and newly made) edges into a tree; returns it when it is processed.
    #[inline]
    pub fn fold(&mut self, root: u64, edges: u64) -> Option<Ended> {
        let slot = self.find(root)?;
        let value = &mut self.values[slot as usize];
        *value ^= edges;
        if *value == 0 { Some(self.end(slot)) } else { None }
    }

    /// Ends a tree that failed.
    pub fn fail(&mut self, root: u64) -> Option<Ended> {
        let slot = self.find(root)?;
        Some(self.end(slot))
    }

    /// Starts the timeout of a tree anew.
    pub fn reset(&mut self, root: u64, now: Time) {
        if let Some(slot) = self.find(root) {
            self.deadlines[slot as usize] = self.deadline(now);
        }
    }

    /// Ends the trees that are too old, into `ended`. Looks once a tick at most.
    pub fn expire(&mut self, now: Time, ended: &mut Vec<Ended>) {
        let tick = self.ticks(now);
        if tick == self.last_tick {
            return;
        }
        self.last_tick = tick;
        if self.pending == 0 {
            return;
        }
        for i in 0..self.deadlines.len() {
            if self.deadlines[i] <= tick {
                let end = self.end(i as u32);
                ended.push(end);
            }
        }
    }

    /// When [`expire`](Ledger::expire) is to be called next; `None` while nothing can expire.
    pub fn next_expiry(&self) -> Option<Time> {
        let tick = self.tick.as_nanos() as u64;
        (self.pending > 0 && (self.timeout.is_some() || self.is_hastened))
            .then(|| Time::from_nanos((u64::from(self.last_tick) + 1) * tick))
    }

    /// Shortens the time left of every pending tree to at most `left`: part of it was lost with a
    /// worker, and there is no use in waiting for the whole timeout.
    pub fn hasten(&mut self, now: Time, left: Duration) {
        let deadline = self.ticks(now + left) + 1;
        self.is_hastened = true;
        for d in self.deadlines.iter_mut().filter(|d| **d != FREE) {
            *d = (*d).min(deadline);
        }
    }

    /// Ends all trees without a verdict (the task's memory is lost) and returns how many.
    pub fn abandon(&mut self) -> usize {
        let lost = self.pending;
        for i in 0..self.deadlines.len() {
            if self.deadlines[i] != FREE {
                self.end(i as u32);
            }
        }
        lost
    }

    #[inline]
    fn find(&mut self, root: u64) -> Option<u32> {
        let slot = slot_of(root);
        let i = slot as usize;
        let is_pending =
            i < self.values.len() && self.deadlines[i] != FREE && self.generations[i] == root >> SLOT_BITS;
        if is_pending {
            return Some(slot);
        }
        self.late += 1;
        None
    }

    #[inline]
    fn end(&mut self, slot: u32) -> Ended {
        let i = slot as usize;
        self.deadlines[i] = FREE;
        self.generations[i] = (self.generations[i] + 1) & GENERATION_MASK;
        self.free.push_back(slot);
        self.pending -= 1;
        Ended { slot, emitted: self.emitted[i], stream: self.streams[i] }
    }

    #[inline]
    fn deadline(&self, now: Time) -> u32 {
        match self.timeout {
            Some(timeout) => self.ticks(now + timeout) + 1,
            None => NEVER,
        }
    }

    #[inline]
    fn ticks(&self, time: Time) -> u32 {
        (time.as_nanos() / self.tick.as_nanos() as u64).min(u64::from(NEVER) - 2) as u32
    }
}

/// The slot of a root.
#[inline]
pub fn slot_of(root: u64) -> u32 {
    (root & ((1 << SLOT_BITS) - 1)) as u32
}

#[cfg(test)]
mod tests;
