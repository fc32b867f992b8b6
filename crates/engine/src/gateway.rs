//! The way to the executors of other workers: what leaves for a peer and what comes from it, as bytes.
//!
//! A [`Line`] joins this worker with one life of a peer. Each of its four ends is pulled or fed by one
//! thread of whoever carries the bytes: frames of a kind and a body, each exactly once and in order.
//! Data and control have ways of their own, so that acks and credit never wait behind rows.
//!
//! ```text
//! kind            body (little endian)
//! 1 rows          | to executor u32 | from executor u32 | batch as storm_row writes it |
//! 2 looped rows   the same; on an edge that closes a cycle
//! 3 part          bytes of the body of a `rows` that follows, up to 256 KB
//! 4 acks          | task u32 | root u64 | 0 edges, 1 more time, 1 + n failed by cause n: u8 | edges u64 | *
//! 5 credit        | count u32 | executor u32, rows u64, bytes u64 | * | executor u32, window u64 | * |
//! ```
//!
//! Executors are numbered as the topology's specification orders them, so all workers use the same
//! numbers. Everything that comes is checked before anything of it is believed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use storm_model::{ComponentId, ExecutorId, TaskId, Time};
use storm_row::{Batch, RowRef, WireError, WireLimits};
use storm_topology::FailCause;

use crate::acks::{AckEntry, AckOutbox, News};
use crate::credit::Grant;
use crate::directory::Directory;
use crate::doomed::Doomed;
use crate::lanes::{AckParcel, Lanes, Parcel};
use crate::outbox::row_len;
use crate::proxy::Peer;
use crate::sources::Sources;
use crate::wiring::{self, Wiring};

/// Kinds of frames; see the drawing of the module. Higher ones are free for whoever carries them.
pub mod kind {
    /// A batch.
    pub const ROWS: u8 = 1;
    /// A batch on an edge that closes a cycle.
    pub const LOOPED: u8 = 2;
    /// The beginning of a large batch.
    pub const PART: u8 = 3;
    /// News for ledgers.
    pub const ACKS: u8 = 4;
    /// Credit and windows.
    pub const CREDIT: u8 = 5;
    /// The first kind that is not used here.
    pub const FREE: u8 = 16;
}

/// When cycles took at most a quarter of their budget for so long, it is forgotten which trees have failed in
/// them: what is left of these does no harm then.
const FORGET_AFTER: Duration = Duration::from_secs(10);
/// Longest body of a frame of rows; a longer batch goes in parts.
const PART_BYTES: usize = 256 << 10;
const HEAD: usize = 8;
/// Bytes of a row beside its values: a header, and 65,535 anchors of 20 bytes at most.
const ROW_HEAD_BYTES: usize = 2 << 20;
const ACK_BYTES: usize = 21;
/// Most acks of a frame: what had no room in its lane for long comes as millions at once.
const FRAME_ACKS: usize = PART_BYTES / ACK_BYTES;

/// Why what came from a peer is not acted on: it is broken, or the peer is not what it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No such kind.
    #[error("a frame of kind {0} has no meaning here")]
    Kind(u8),
    /// The body is not what the drawing says.
    #[error("a frame of kind {0} is cut short or too long")]
    Shape(u8),
    /// A large batch is above the limit.
    #[error("a batch of more than {0} bytes")]
    TooLarge(usize),
    /// The batch is broken.
    #[error(transparent)]
    Batch(#[from] WireError),
    /// It is for an executor that does not run here, or from one that does not run there.
    #[error("executor {0} is not at this end of the line")]
    Executor(u32),
    /// A row is for a task that the executor does not have.
    #[error("task {0} is not one of the executor's")]
    Task(TaskId),
    /// The target does not subscribe to the stream.
    #[error("task {from} sends nothing by stream {stream} to this bolt")]
    Stream {
        /// Who sent it.
        from: TaskId,
        /// By which of its streams.
        stream: u16,
    },
    /// A row has more or fewer values than its stream has fields.
    #[error("a row of {found} values on a stream of {wanted} fields")]
    Arity {
        /// Values.
        found: usize,
        /// Fields.
        wanted: usize,
    },
}

/// The ways out of a worker.
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    wiring: Arc<Wiring>,
    /// Of executors that run elsewhere.
    lanes: BTreeMap<u32, Lanes>,
    /// Inputs of the bolts that run here.
    sources: BTreeMap<ComponentId, Sources>,
    limits: WireLimits,
    /// Lives of peers so far.
    lives: AtomicU32,
}

/// Joins this worker with one life of a peer.
pub struct Line {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    /// The peer's executors.
    executors: Vec<u32>,
    rows_sent: AtomicU64,
    rows_received: AtomicU64,
    /// What came for ledgers here, on its way to them.
    acks: Mutex<AckOutbox>,
}

impl Gateway {
    pub(crate) fn new(wiring: Arc<Wiring>, far: Vec<(usize, Lanes)>) -> Gateway {
        let spec = &wiring.topology.spec;
        let is_here = |index: usize| wiring.directory[index as u32].proxy().is_none();
        let here = wiring.executors.iter().enumerate().filter(|(index, _)| is_here(*index));
        let sources = here.map(|(_, (id, _))| (id.clone(), wiring.sources.of_bolt(spec, id))).collect();
        let bytes = wiring.settings.max_tuple_bytes;
        let defaults = WireLimits::default();
        // A batch is full at 64 KB, and may have been just below when the largest row came.
        let row_bytes = bytes + ROW_HEAD_BYTES;
        let limits = WireLimits { bytes: 2 * row_bytes, row_bytes, rows: defaults.rows };
        let lanes = far.into_iter().map(|(index, lanes)| (index as u32, lanes)).collect();
        Gateway { shared: Arc::new(Shared { wiring, lanes, sources, limits, lives: AtomicU32::new(0) }) }
    }

    /// The executors that run in other workers.
    pub fn far_executors(&self) -> impl Iterator<Item = ExecutorId> {
        self.shared.lanes.keys().map(|index| self.shared.wiring.executors[*index as usize].1)
    }

    /// A line to a new life of a peer that runs these executors. What was under way to former lives is
    /// lost: its credit is back. The threads of former lines of these executors must have ended, and
    /// [`set_lines`](Gateway::set_lines) has to name the new one. Executors that run here, or that
    /// there are not, are left out.
    pub fn line(&self, executors: &[ExecutorId]) -> Arc<Line> {
        let wiring = &self.shared.wiring;
        let index = |id: &ExecutorId| wiring.executors.iter().position(|(_, e)| e == id);
        let executors: Vec<u32> = executors.iter().filter_map(index).map(|i| i as u32).collect();
        let executors: Vec<u32> =
            executors.into_iter().filter(|i| self.shared.lanes.contains_key(i)).collect();
        let life = self.shared.lives.fetch_add(1, Ordering::Relaxed) + 1;
        let peer = Arc::new(Peer::new(life, self.senders(&executors)));
        let directory = &wiring.directory;
        let mut wake = Vec::new();
        for executor in &executors {
            let address = &directory[*executor];
            let Some(proxy) = address.proxy() else { continue };
            let lost = std::mem::take(&mut proxy.under_way().credit);
            address.account.give_back(lost, &mut wake);
            address.account.resize(1, &mut wake);
            proxy.set_peer(&peer);
        }
        directory.wake_all(&mut wake);
        // Acks for ledgers here go out in the name of an executor there.
        let me = executors.first().copied().unwrap_or_default();
        let empties = self.shared.lanes.get(&me).map(|lanes| lanes.empty_acks.clone());
        let empties = empties.unwrap_or_else(crate::lanes::no_lane);
        let acks = AckOutbox::new(me, directory.clone(), empties, wiring.spout_of.clone());
        Arc::new(Line {
            shared: self.shared.clone(),
            peer,
            executors,
            rows_sent: AtomicU64::new(0),
            rows_received: AtomicU64::new(0),
            acks: Mutex::new(acks),
        })
    }

    /// These are all lines now: their peers are told of windows.
    pub fn set_lines<'a>(&self, lines: impl IntoIterator<Item = &'a Arc<Line>>) {
        let peers = lines.into_iter().map(|line| line.peer.clone()).collect();
        self.shared.wiring.directory.set_peers(peers);
    }

    /// By executor here: how many of these send to it.
    fn senders(&self, executors: &[u32]) -> BTreeMap<u32, i64> {
        let Wiring { executors: all, topology, closing, directory, .. } = &*self.shared.wiring;
        let mut senders = BTreeMap::new();
        for (index, (target, _)) in all.iter().enumerate() {
            let sends = |from: &&u32| wiring::sends(&topology.spec, closing, &all[**from as usize].0, target);
            let count = executors.iter().filter(sends).count() as i64;
            if count > 0 && directory[index as u32].proxy().is_none() {
                senders.insert(index as u32, count);
            }
        }
        senders
    }
}

impl Line {
    /// Rows that were handed to this life of the peer.
    pub fn rows_sent(&self) -> u64 {
        self.rows_sent.load(Ordering::SeqCst)
    }

    /// Rows that came from this life of the peer.
    pub fn rows_received(&self) -> u64 {
        self.rows_received.load(Ordering::SeqCst)
    }

    /// What leaves as data.
    pub fn data_out(self: &Arc<Line>) -> DataOut {
        DataOut { line: self.clone(), next: 0, rest: Vec::new(), rest_at: 0, rest_kind: kind::ROWS }
    }

    /// What leaves as control.
    pub fn control_out(self: &Arc<Line>) -> ControlOut {
        ControlOut { line: self.clone(), next: 0, acks: None }
    }

    /// What comes as data.
    pub fn data_in(self: &Arc<Line>) -> DataIn {
        DataIn { line: self.clone(), parts: Vec::new(), doomed: Doomed::default(), roomy_since: None }
    }

    /// What comes as control.
    pub fn control_in(self: &Arc<Line>) -> ControlIn {
        ControlIn { line: self.clone() }
    }

    /// Makes both threads that pull look again.
    pub fn ring(&self) {
        self.peer.data_bell.ring();
        self.peer.control_bell.ring();
    }

    fn directory(&self) -> &Directory {
        &self.shared.wiring.directory
    }

    fn acks(&self) -> MutexGuard<'_, AckOutbox> {
        self.acks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs behind the line?
    fn is_there(&self, executor: u32) -> Result<(), FrameError> {
        if self.executors.contains(&executor) { Ok(()) } else { Err(FrameError::Executor(executor)) }
    }

    fn is_here(&self, executor: u32) -> Result<(), FrameError> {
        let is_known = (executor as usize) < self.shared.wiring.executors.len();
        if is_known && self.directory()[executor].proxy().is_none() {
            Ok(())
        } else {
            Err(FrameError::Executor(executor))
        }
    }
}

/// The rows for a peer; pulled by one thread.
pub struct DataOut {
    line: Arc<Line>,
    /// Where among the executors to look first.
    next: usize,
    /// A large batch of which parts are to follow.
    rest: Vec<u8>,
    rest_at: usize,
    rest_kind: u8,
}

impl DataOut {
    /// The current thread is the one that pulls: it is unparked when there are rows. Between a
    /// [`next`](DataOut::next) without result and the park it does nothing else that might park: that
    /// would use up the wake.
    pub fn attach(&mut self) {
        self.line.peer.data_bell.hang();
    }

    /// Appends the next frame's body and returns its kind; `None` when there is nothing now.
    pub fn next(&mut self, body: &mut Vec<u8>) -> Option<u8> {
        if self.rest_at < self.rest.len() {
            return Some(self.next_part(body));
        }
        loop {
            let count = self.line.executors.len();
            for i in 0..count {
                let at = (self.next + i) % count;
                let executor = self.line.executors[at];
                let lanes = &self.line.shared.lanes[&executor];
                let looped = lanes.looped.take().map(|parcel| (kind::LOOPED, parcel));
                let found = looped.or_else(|| lanes.data.take().map(|parcel| (kind::ROWS, parcel)));
                if let Some((kind, parcel)) = found {
                    self.next = at + 1;
                    return Some(self.write(executor, parcel, kind, body));
                }
            }
            if !self.line.peer.data_bell.take() {
                return None;
            }
        }
    }

    fn write(&mut self, to: u32, parcel: Parcel, kind: u8, body: &mut Vec<u8>) -> u8 {
        let directory = self.line.directory();
        let Parcel { batch, origin, .. } = parcel;
        let (rows, bytes) = (batch.row_count(), batch.byte_len());
        // Before the worker may look quiet without them.
        self.line.rows_sent.fetch_add(rows as u64, Ordering::SeqCst);
        if let Some(proxy) = directory[to].proxy() {
            let mut under_way = proxy.under_way();
            under_way.sent += rows as u64;
            if kind == kind::LOOPED {
                // It counts against the budget of the worker that holds it.
                if directory.budget.leave_loop(bytes) {
                    directory.wake_above_cycles();
                }
            } else {
                under_way.credit.rows += rows as i64;
                under_way.credit.bytes += bytes as i64;
            }
            directory[to].traffic.publish(under_way.received, under_way.sent, 0, 0);
        }
        let is_large = HEAD + batch.wire_len() > PART_BYTES;
        let out = if is_large {
            self.rest.clear();
            self.rest_at = 0;
            self.rest_kind = kind;
            &mut self.rest
        } else {
            &mut *body
        };
        out.extend_from_slice(&to.to_le_bytes());
        out.extend_from_slice(&origin.to_le_bytes());
        batch.to_wire(out);
        directory[origin].recycle(batch);
        if is_large { self.next_part(body) } else { kind }
    }

    fn next_part(&mut self, body: &mut Vec<u8>) -> u8 {
        let left = &self.rest[self.rest_at..];
        let part = &left[..left.len().min(PART_BYTES)];
        body.extend_from_slice(part);
        self.rest_at += part.len();
        if self.rest_at < self.rest.len() {
            return kind::PART;
        }
        // Such a buffer is not kept.
        self.rest = Vec::new();
        self.rest_at = 0;
        self.rest_kind
    }
}

/// Acks, credit and windows for a peer; pulled by one thread.
pub struct ControlOut {
    line: Arc<Line>,
    next: usize,
    /// Acks of which some are to follow, and how many have gone.
    acks: Option<(AckParcel, usize)>,
}

impl ControlOut {
    /// The current thread is the one that pulls: it is unparked when there is something, as for
    /// [`DataOut::attach`].
    pub fn attach(&mut self) {
        self.line.peer.control_bell.hang();
    }

    /// Appends the next frame's body and returns its kind; `None` when there is nothing now.
    pub fn next(&mut self, body: &mut Vec<u8>) -> Option<u8> {
        loop {
            if self.write_acks(body) {
                return Some(kind::ACKS);
            }
            if self.write_credit(body) {
                return Some(kind::CREDIT);
            }
            if !self.line.peer.control_bell.take() {
                return None;
            }
            // A ledger's lane may have room again for what came from the peer.
            self.line.acks().flush();
        }
    }

    fn write_acks(&mut self, body: &mut Vec<u8>) -> bool {
        let Some((parcel, done)) = self.acks.take().or_else(|| self.take_acks()) else { return false };
        let end = parcel.entries.len().min(done + FRAME_ACKS);
        for entry in &parcel.entries[done..end] {
            write_ack(entry, body);
        }
        if end < parcel.entries.len() {
            self.acks = Some((parcel, end));
        } else {
            self.line.directory()[parcel.origin].recycle_acks(parcel.entries);
        }
        true
    }

    fn take_acks(&mut self) -> Option<(AckParcel, usize)> {
        let (count, directory) = (self.line.executors.len(), self.line.directory());
        for i in 0..count {
            let at = (self.next + i) % count;
            let executor = self.line.executors[at];
            if let Some(parcel) = self.line.shared.lanes[&executor].acks.take() {
                self.next = at + 1;
                directory.wake_all(&mut directory[executor].take_ack_waiters());
                return Some((parcel, 0));
            }
        }
        None
    }

    fn write_credit(&mut self, body: &mut Vec<u8>) -> bool {
        let news = self.line.peer.take_news();
        if news.returned.is_empty() && news.windows.is_empty() {
            return false;
        }
        body.extend_from_slice(&(news.returned.len() as u32).to_le_bytes());
        for (executor, grant) in news.returned {
            body.extend_from_slice(&executor.to_le_bytes());
            body.extend_from_slice(&(grant.rows as u64).to_le_bytes());
            body.extend_from_slice(&(grant.bytes as u64).to_le_bytes());
        }
        for (executor, window) in news.windows {
            body.extend_from_slice(&executor.to_le_bytes());
            body.extend_from_slice(&(window as u64).to_le_bytes());
        }
        true
    }
}

/// The rows of a peer; fed by one thread.
pub struct DataIn {
    line: Arc<Line>,
    /// The beginning of a large batch.
    parts: Vec<u8>,
    /// Trees that failed because rows of theirs found their cycle full.
    doomed: Doomed,
    /// Since when the cycles have had plenty of room, while there are such trees.
    roomy_since: Option<Time>,
}

impl DataIn {
    /// Takes a frame; never blocks.
    ///
    /// # Errors
    /// If it is not what an honest peer sends. Nothing of it has been acted on.
    pub fn frame(&mut self, kind: u8, body: &[u8]) -> Result<(), FrameError> {
        match kind {
            kind::PART => {
                if self.parts.len() + body.len() > self.line.shared.limits.bytes {
                    return Err(FrameError::TooLarge(self.line.shared.limits.bytes));
                }
                self.parts.extend_from_slice(body);
                Ok(())
            }
            kind::ROWS | kind::LOOPED if self.parts.is_empty() => self.take(kind, body),
            kind::ROWS | kind::LOOPED => {
                let mut whole = std::mem::take(&mut self.parts);
                whole.extend_from_slice(body);
                self.take(kind, &whole)
            }
            other => Err(FrameError::Kind(other)),
        }
    }

    fn take(&mut self, kind: u8, body: &[u8]) -> Result<(), FrameError> {
        let line = &*self.line;
        let mut reader = Reader { kind, left: body };
        let (to, from) = (reader.u32()?, reader.u32()?);
        line.is_here(to)?;
        line.is_there(from)?;
        let Wiring { executors, worker, .. } = &*line.shared.wiring;
        let (component, executor) = &executors[to as usize];
        let mut check = RowCheck {
            to: *executor,
            from: executors[from as usize].1,
            sources: &line.shared.sources[component],
            known: None,
        };
        let batch = Batch::from_wire_if(reader.left, &line.shared.limits, |row| check.row(row))?;
        if batch.is_empty() {
            return Err(FrameError::Shape(kind));
        }
        let rows = batch.row_count() as u64;
        let (is_looped, sent) = (kind == kind::LOOPED, worker.clock.now());
        let batch = if is_looped { self.admit(sent, batch, to) } else { batch };
        let (line, directory) = (&*self.line, self.line.directory());
        if let Some(proxy) = directory[from].proxy() {
            let mut under_way = proxy.under_way();
            under_way.received += batch.row_count() as u64;
            directory[from].traffic.publish(under_way.received, under_way.sent, 0, 0);
        }
        line.rows_received.fetch_add(rows, Ordering::SeqCst);
        if is_looped {
            directory.budget.enter_loop(batch.byte_len());
        }
        if !batch.is_empty() {
            directory[to].send(Parcel { batch, origin: from, life: line.peer.life, sent }, is_looped);
        }
        Ok(())
    }

    /// The rows that their cycle has room for, and that are not left of a tree which has failed for want of
    /// it. All others are refused as an emit within the worker is: without that, a cycle that multiplies
    /// its rows on the other side would fill this one.
    fn admit(&mut self, now: Time, batch: Batch, to: u32) -> Batch {
        let budget = &self.line.directory().budget;
        let (limit, used) = (budget.limit(), budget.used());
        self.forget_doomed(now, used <= limit / 4);
        let mut room = limit.saturating_sub(used);
        if batch.byte_len() as u64 <= room && self.doomed.is_empty() {
            return batch;
        }
        // Nearly always all are admitted: then nothing is copied, and nobody is told.
        let mut left = room;
        if batch.iter().all(|row| self.admits(row, &mut left)) {
            return batch;
        }
        let (mut admitted, mut acks) = (Batch::new(), self.line.acks());
        for row in batch.iter() {
            if self.admits(row, &mut room) {
                admitted.push_row(row);
                continue;
            }
            for a in row.anchors().filter(|a| self.doomed.add(a.task, a.root)) {
                acks.fail(a.task, a.root, FailCause::LoopBudget);
            }
            if row.anchor_count() == 0 {
                self.line.directory()[to].refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        acks.flush();
        admitted
    }

    /// Whether there is room for a row, which takes it, and the row is not left of a tree that has failed.
    fn admits(&self, row: RowRef<'_>, room: &mut u64) -> bool {
        if row.anchors().any(|a| self.doomed.contains(a.task, a.root)) {
            return false;
        }
        let left = room.checked_sub(row_len(row) as u64);
        *room = left.unwrap_or(*room);
        left.is_some()
    }

    fn forget_doomed(&mut self, now: Time, is_roomy: bool) {
        if self.doomed.is_empty() || !is_roomy {
            self.roomy_since = None;
        } else if now.since(*self.roomy_since.get_or_insert(now)) >= FORGET_AFTER {
            self.doomed = Doomed::default();
            self.roomy_since = None;
        }
    }
}

/// Whether rows are such as their target understands.
struct RowCheck<'a> {
    to: ExecutorId,
    from: ExecutorId,
    sources: &'a Sources,
    /// Stream and number of its fields of the row before.
    known: Option<(u16, usize)>,
}

impl RowCheck<'_> {
    #[inline(always)]
    fn row(&mut self, row: RowRef<'_>) -> Result<(), FrameError> {
        if !self.to.contains(row.target()) {
            return Err(FrameError::Task(row.target()));
        }
        let (source, stream) = (row.source(), row.stream());
        if !self.from.contains(source) {
            return Err(FrameError::Task(source));
        }
        let wanted = match self.known {
            // All tasks of an executor are of one component.
            Some((known, fields)) if known == stream => fields,
            _ => self
                .sources
                .input_fields(source, stream)
                .ok_or(FrameError::Stream { from: source, stream })?,
        };
        self.known = Some((stream, wanted));
        let found = row.values().arity();
        if found == wanted { Ok(()) } else { Err(FrameError::Arity { found, wanted }) }
    }
}

/// Acks, credit and windows from a peer; fed by one thread.
pub struct ControlIn {
    line: Arc<Line>,
}

impl ControlIn {
    /// Takes a frame; never blocks.
    ///
    /// # Errors
    /// If it is not what an honest peer sends. Nothing of it has been acted on.
    pub fn frame(&mut self, kind: u8, body: &[u8]) -> Result<(), FrameError> {
        match kind {
            kind::ACKS => self.take_acks(body),
            kind::CREDIT => self.take_credit(body),
            other => Err(FrameError::Kind(other)),
        }
    }

    /// All frames that came together have been taken.
    pub fn batch_end(&mut self) {
        self.line.acks().flush();
    }

    fn take_acks(&mut self, body: &[u8]) -> Result<(), FrameError> {
        let line = &*self.line;
        let reader = Reader { kind: kind::ACKS, left: body };
        let mut check = reader;
        while !check.left.is_empty() {
            let task = check.ack()?.task;
            let spout = line.shared.wiring.spout_of.get(task.0 as usize).copied().unwrap_or(u32::MAX);
            line.is_here(spout).map_err(|_| FrameError::Task(task))?;
        }
        let (mut reader, mut acks) = (reader, line.acks());
        while !reader.left.is_empty() {
            let AckEntry { task, root, news } = reader.ack()?;
            match news {
                News::Edges(edges) => acks.fold(task, root, edges),
                News::ResetTimeout => acks.reset(task, root),
                News::Failed(cause) => acks.fail(task, root, cause),
            }
        }
        Ok(())
    }

    fn take_credit(&mut self, body: &[u8]) -> Result<(), FrameError> {
        let line = &*self.line;
        let reader = Reader { kind: kind::CREDIT, left: body };
        let mut check = reader;
        for _ in 0..check.u32()? {
            line.is_there(check.returned()?.0)?;
        }
        while !check.left.is_empty() {
            line.is_there(check.window()?.0)?;
        }
        let (mut reader, mut wake) = (reader, Vec::new());
        for _ in 0..reader.u32()? {
            let (executor, grant) = reader.returned()?;
            let Some(proxy) = line.directory()[executor].proxy() else { continue };
            let mut under_way = proxy.under_way();
            let out = under_way.credit;
            // Not more than is out, whatever the peer says.
            let grant = Grant { rows: out.rows.min(grant.rows), bytes: out.bytes.min(grant.bytes) };
            under_way.credit = Grant { rows: out.rows - grant.rows, bytes: out.bytes - grant.bytes };
            drop(under_way);
            line.directory()[executor].account.give_back(grant, &mut wake);
        }
        while !reader.left.is_empty() {
            let (executor, window) = reader.window()?;
            line.directory()[executor].account.resize(window.min(MAX_WINDOW), &mut wake);
        }
        line.directory().wake_all(&mut wake);
        Ok(())
    }
}

/// No peer gets us to send more than this without credit.
const MAX_WINDOW: i64 = 1 << 20;

fn write_ack(AckEntry { task, root, news }: &AckEntry, body: &mut Vec<u8>) {
    let (code, edges) = match news {
        News::Edges(edges) => (0, *edges),
        News::ResetTimeout => (1, 0),
        News::Failed(cause) => (1 + *cause as u8, 0),
    };
    body.extend_from_slice(&task.0.to_le_bytes());
    body.extend_from_slice(&root.to_le_bytes());
    body.push(code);
    body.extend_from_slice(&edges.to_le_bytes());
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    kind: u8,
    left: &'a [u8],
}

impl Reader<'_> {
    fn ack(&mut self) -> Result<AckEntry, FrameError> {
        let (task, root) = (TaskId(self.u32()?), self.u64()?);
        let news = match (self.u8()?, self.u64()?) {
            (0, edges) => News::Edges(edges),
            (1, 0) => News::ResetTimeout,
            (code, 0) => {
                let cause = FailCause::ALL.into_iter().find(|cause| 1 + *cause as u8 == code);
                News::Failed(cause.ok_or(FrameError::Shape(self.kind))?)
            }
            _ => return Err(FrameError::Shape(self.kind)),
        };
        Ok(AckEntry { task, root, news })
    }

    /// Credit that is back of an executor.
    fn returned(&mut self) -> Result<(u32, Grant), FrameError> {
        Ok((self.u32()?, Grant { rows: self.count()?, bytes: self.count()? }))
    }

    fn window(&mut self) -> Result<(u32, i64), FrameError> {
        Ok((self.u32()?, self.count()?))
    }

    fn count(&mut self) -> Result<i64, FrameError> {
        i64::try_from(self.u64()?).map_err(|_| FrameError::Shape(self.kind))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (first, rest) = self.left.split_first_chunk().ok_or(FrameError::Shape(self.kind))?;
        self.left = rest;
        Ok(*first)
    }

    fn u8(&mut self) -> Result<u8, FrameError> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, FrameError> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, FrameError> {
        self.take().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests;
