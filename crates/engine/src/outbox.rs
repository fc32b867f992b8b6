//! Rows on their way out of an executor: one open batch per destination, and what has no credit yet.
//!
//! A batch goes when it is full, when its executor is about to wait for anything, and when it is
//! older than about a millisecond while the executor is busy. Order is kept per destination: once
//! a row waits for credit, all later ones queue behind it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use storm_model::Time;
use storm_row::{Anchor, Batch, Cursor, Header, RowRef, Values, row_bytes};

use crate::credit::Grant;
use crate::directory::Directory;
use crate::lanes::{Lane, Parcel};

/// Rows of a full batch.
const BATCH_ROWS: usize = 1024;
/// Bytes of a full batch.
const BATCH_BYTES: usize = 64 << 10;
/// Age at which batches go although their executor is busy.
const MAX_AGE: Duration = Duration::from_millis(1);
/// The same per batch of the last flush, where that is longer. Each may wake a thread, here and
/// there some microseconds of work: with a thousand targets a flush per millisecond would be all
/// that anybody does, and the fewer rows a batch has the worse it gets.
const AGE_PER_BATCH: Duration = Duration::from_micros(50);
/// Executors of the same thread, up to which rows are handed over after each step; among more
/// the rows of a step would make batches of one or two.
const MAX_NEAR: usize = 8;

/// The outgoing rows of one executor.
pub(crate) struct Outbox {
    from: Sender,
    links: Vec<Link>,
    /// Links with an open batch or with credit that was not used.
    dirty: Vec<u32>,
    /// Links with rows that wait for credit.
    blocked: usize,
    has_loops: bool,
    hands_over: bool,
    wake: Vec<u32>,
    last_flush: Time,
    max_age: Duration,
}

/// To whom an executor sends, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// The executor.
    pub(crate) to: u32,
    /// The edge closes a cycle.
    pub(crate) is_looped: bool,
    /// Both executors have the same thread.
    pub(crate) is_near: bool,
}

/// Who sends.
struct Sender {
    me: u32,
    directory: Arc<Directory>,
    empties: Lane<Batch>,
    /// Time of the running step.
    now: Time,
    /// Rows sent so far, waiting ones included.
    sent: u64,
}

struct Link {
    to: u32,
    /// This edge closes a cycle: no credit, the memory budget instead.
    looped: bool,
    /// To an executor of the same thread.
    is_near: bool,
    open: Batch,
    grant: Grant,
    /// Rows without credit, in order.
    backlog: VecDeque<Batch>,
    /// Next row of the first batch of the backlog.
    front: Cursor,
    is_dirty: bool,
}

impl Outbox {
    /// Links to these executors.
    pub(crate) fn new(
        me: u32,
        directory: Arc<Directory>,
        empties: Lane<Batch>,
        destinations: &[Way],
    ) -> Outbox {
        let near = destinations.iter().filter(|way| way.is_near).count();
        let link = |way: &Way| Link {
            to: way.to,
            looped: way.is_looped,
            is_near: way.is_near,
            open: Batch::new(),
            grant: Grant::default(),
            backlog: VecDeque::new(),
            front: Cursor::default(),
            is_dirty: false,
        };
        Outbox {
            from: Sender { me, directory, empties, now: Time::ZERO, sent: 0 },
            links: destinations.iter().map(link).collect(),
            dirty: Vec::new(),
            blocked: 0,
            has_loops: destinations.iter().any(|way| way.is_looped),
            hands_over: (1..=MAX_NEAR).contains(&near),
            wake: Vec::new(),
            last_flush: Time::ZERO,
            max_age: MAX_AGE,
        }
    }

    /// A step begins.
    pub(crate) fn begin(&mut self, now: Time) {
        self.from.now = now;
    }

    /// Rows sent so far, waiting ones included.
    pub(crate) fn sent(&self) -> u64 {
        self.from.sent
    }

    /// Whether rows wait for credit: then their executor takes no more input.
    #[inline]
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked > 0
    }

    /// How full the inbox behind a link is, from 0 to 1.
    pub(crate) fn load(&self, link: u32) -> f64 {
        let link = &self.links[link as usize];
        if link.backlog.is_empty() { self.from.directory[link.to].account.load() } else { 1.0 }
    }

    /// Rows that would go out at once, at least; draws credit if need be.
    #[inline]
    pub(crate) fn credit(&mut self, link: u32) -> i64 {
        let at = link;
        let link = &mut self.links[at as usize];
        if link.looped {
            return i64::MAX;
        }
        if link.grant.rows > 0 {
            return link.grant.rows;
        }
        if !link.backlog.is_empty() {
            return 0;
        }
        match self.from.directory[link.to].account.try_draw(1) {
            Some(grant) => {
                link.grant.rows += grant.rows;
                link.grant.bytes += grant.bytes;
                if !link.is_dirty {
                    link.is_dirty = true;
                    self.dirty.push(at);
                }
                link.grant.rows
            }
            None => 0,
        }
    }

    /// Whether nothing waits for credit and no link closes a cycle: then a row always has room.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.blocked == 0 && !self.has_loops
    }

    /// Whether the link closes a cycle that has no room for `bytes` more.
    #[inline]
    pub(crate) fn is_loop_full(&self, link: u32, bytes: usize) -> bool {
        self.links[link as usize].looped
            && self.from.directory.budget.used() + bytes as u64 > self.from.directory.budget.limit()
    }

    /// Whether rows beyond credit have used up the worker's memory budget, and by how much.
    #[inline]
    pub(crate) fn over_budget(&self, bytes: usize) -> Option<(u64, u64)> {
        if self.blocked == 0 {
            return None;
        }
        let (used, limit) = (self.from.directory.budget.used(), self.from.directory.budget.limit());
        (used + bytes as u64 > limit).then_some((used, limit))
    }

    /// Appends a row.
    #[inline(always)]
    pub(crate) fn push(&mut self, link: u32, header: Header, anchors: &[Anchor], values: &Values<'_>) {
        self.from.sent += 1;
        let at = link as usize;
        let link = &mut self.links[at];
        let bytes = row_bytes(anchors.len(), values);
        if link.looped {
            self.from.directory.budget.enter_loop(bytes);
        } else if !link.backlog.is_empty() || !link.cover(bytes, None, &self.from.directory) {
            if link.backlog.is_empty() {
                self.blocked += 1;
            }
            self.from.directory.budget.wait(bytes);
            link.push_back(header, anchors, values);
            return;
        }
        link.open.push(header, anchors, values);
        if !link.is_dirty {
            link.is_dirty = true;
            self.dirty.push(at as u32);
        }
        if link.is_full() {
            link.send(&self.from);
        }
    }

    /// Tries to draw credit for the rows that wait, and moves them on as far as it goes. Only here,
    /// and not while user code runs, does the executor join the queue for credit: its turn may come
    /// at once.
    pub(crate) fn retry(&mut self) {
        if self.blocked == 0 {
            return;
        }
        for (at, link) in self.links.iter_mut().enumerate().filter(|(_, l)| !l.backlog.is_empty()) {
            if link.drain_backlog(&self.from) {
                self.blocked -= 1;
            }
            if !link.is_dirty && (!link.open.is_empty() || link.grant != Grant::default()) {
                link.is_dirty = true;
                self.dirty.push(at as u32);
            }
        }
    }

    /// Sends every open batch, and returns the credit that was drawn and not used.
    pub(crate) fn flush(&mut self, now: Time) {
        self.last_flush = now;
        let mut batches = 0;
        for at in self.dirty.drain(..) {
            let link = &mut self.links[at as usize];
            link.is_dirty = false;
            if !link.open.is_empty() {
                link.send(&self.from);
                batches += 1;
            }
            if link.grant != Grant::default() {
                let unused = std::mem::take(&mut link.grant);
                self.from.directory[link.to].account.give_back(unused, &mut self.wake);
            }
        }
        self.max_age = MAX_AGE.max(AGE_PER_BATCH * batches);
        self.from.directory.wake_all(&mut self.wake);
    }

    /// Hands what there is for executors of the same thread over to them: it is their turn next, and
    /// the rows are still in the cache.
    #[inline]
    pub(crate) fn hand_over(&mut self) {
        if !self.hands_over {
            return;
        }
        for at in &self.dirty {
            let link = &mut self.links[*at as usize];
            if link.is_near && !link.open.is_empty() {
                link.send(&self.from);
            }
        }
    }

    /// Flushes when the oldest row may be older than a millisecond, or some more where there are many
    /// targets.
    #[inline]
    pub(crate) fn flush_if_old(&mut self, now: Time) -> bool {
        let is_old = now.since(self.last_flush) >= self.max_age;
        if is_old {
            self.flush(now);
        }
        is_old
    }
}

impl Link {
    #[inline(always)]
    fn is_full(&self) -> bool {
        self.open.row_count() >= BATCH_ROWS || self.open.byte_len() >= BATCH_BYTES
    }

    /// Takes credit for one row out of the grant, drawing a new one if need be. `queue`: who joins
    /// the queue when there is none.
    #[inline(always)]
    fn cover(&mut self, bytes: usize, queue: Option<u32>, directory: &Directory) -> bool {
        let enough = self.grant.rows >= 1 && self.grant.bytes >= bytes as i64;
        if !enough && !self.refill(bytes, queue, directory) {
            return false;
        }
        self.grant.rows -= 1;
        self.grant.bytes -= bytes as i64;
        true
    }

    #[cold]
    fn refill(&mut self, bytes: usize, queue: Option<u32>, directory: &Directory) -> bool {
        let account = &directory[self.to].account;
        // The rest of a grant is too small: return it first, so that a large row can find the
        // account empty.
        if self.grant != Grant::default() {
            let mut wake = Vec::new();
            account.give_back(std::mem::take(&mut self.grant), &mut wake);
            directory.wake_all(&mut wake);
        }
        let drawn = match queue {
            Some(me) => account.draw(bytes, me),
            None => account.try_draw(bytes),
        };
        match drawn {
            Some(grant) => {
                self.grant = grant;
                true
            }
            None => false,
        }
    }

    #[cold]
    fn push_back(&mut self, header: Header, anchors: &[Anchor], values: &Values<'_>) {
        if self.backlog.back().is_none_or(|b| b.byte_len() >= BATCH_BYTES) {
            self.backlog.push_back(Batch::new());
        }
        self.backlog.back_mut().expect("just pushed").push(header, anchors, values);
    }

    /// True when nothing is left.
    fn drain_backlog(&mut self, from: &Sender) -> bool {
        while let Some(batch) = self.backlog.pop_front() {
            let mut cursor = self.front;
            while let Some(row) = batch.peek(cursor) {
                let bytes = row_len(row);
                if !self.cover(bytes, Some(from.me), &from.directory) {
                    self.front = cursor;
                    self.backlog.push_front(batch);
                    return false;
                }
                self.open.push_row(row);
                from.directory.budget.sent_on(bytes);
                // It stands in `open` now.
                let _ = batch.next(&mut cursor);
                if self.is_full() {
                    // A batch this full goes, so that `open` stays one batch.
                    self.send(from);
                }
            }
            self.front = Cursor::default();
        }
        true
    }

    fn send(&mut self, from: &Sender) {
        from.directory[from.me].traffic.publish_sent(from.sent);
        let empty = from.empties.take().unwrap_or_default();
        let batch = std::mem::replace(&mut self.open, empty);
        from.directory[self.to].send(Parcel { batch, origin: from.me, life: 0, sent: from.now }, self.looped);
    }
}

/// What a row counts against credit: the same number for who sends and who takes it.
#[inline]
pub(crate) fn row_len(row: RowRef<'_>) -> usize {
    row.byte_len()
}
