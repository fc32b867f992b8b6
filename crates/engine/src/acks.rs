//! Acks on their way to the spouts: folded per tree, sent with the batches, never behind data.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use storm_model::TaskId;
use storm_topology::FailCause;

use crate::directory::Directory;
use crate::lanes::{AckParcel, Lane};

/// News for the ledger of a spout task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AckEntry {
    pub(crate) task: TaskId,
    pub(crate) root: u64,
    pub(crate) news: News,
}

/// What is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// These edges were made or acked (XOR of all of them).
    Edges(u64),
    /// A part of the tree failed.
    Failed(FailCause),
    /// The tree needs more time.
    ResetTimeout,
}

/// Places of the folding table: enough for the trees that alternate within a batch.
const TABLE: usize = 256;
/// Entries that go out before the next flush is due.
const FULL: usize = 1024;

/// The acks that one executor has for the spouts.
pub(crate) struct AckOutbox {
    me: u32,
    directory: Arc<Directory>,
    empties: Lane<Vec<AckEntry>>,
    /// Executor of each spout task, by task number; `u32::MAX` for tasks of bolts.
    executor_of: Arc<[u32]>,
    /// By executor, made when first needed.
    pending: Vec<Option<Box<PendingAcks>>>,
    dirty: Vec<u32>,
    /// The tree of the last edges: rows of one tree mostly follow each other, so most edges end
    /// here and not in a table.
    run: Run,
}

/// Edges of one tree.
#[derive(Clone, Copy)]
struct Run {
    task: TaskId,
    root: u64,
    edges: u64,
}

/// No task has this number: nothing is held.
const NO_RUN: Run = Run { task: TaskId(u32::MAX), root: 0, edges: 0 };

/// Acks for one spout executor.
struct PendingAcks {
    entries: Vec<AckEntry>,
    /// Where an entry of a tree stood last, by a few bits of its root.
    table: [u32; TABLE],
    /// Every entry of edges by tree, once the lane was found full: then nothing may be held twice,
    /// so that what is held is bounded by the trees that are pending.
    overflow: FxHashMap<(TaskId, u64), u32>,
    /// Fails and resets that are held, once the lane was found full.
    told: FxHashSet<(TaskId, u64, bool)>,
    is_refused: bool,
    is_dirty: bool,
}

impl AckOutbox {
    pub(crate) fn new(
        me: u32,
        directory: Arc<Directory>,
        empties: Lane<Vec<AckEntry>>,
        executor_of: Arc<[u32]>,
    ) -> AckOutbox {
        let executors = directory.iter().count();
        AckOutbox {
            me,
            directory,
            empties,
            executor_of,
            pending: (0..executors).map(|_| None).collect(),
            dirty: Vec::new(),
            run: NO_RUN,
        }
    }

    /// Edges of a tree were made or acked.
    #[inline(always)]
    pub(crate) fn fold(&mut self, task: TaskId, root: u64, edges: u64) {
        if self.run.root == root && self.run.task == task {
            self.run.edges ^= edges;
            return;
        }
        let Run { task, root, edges } = std::mem::replace(&mut self.run, Run { task, root, edges });
        self.hold(task, root, edges);
    }

    fn hold(&mut self, task: TaskId, root: u64, edges: u64) {
        let Some((executor, pending)) = self.pending(task) else { return };
        pending.fold(task, root, edges);
        let is_full = pending.entries.len() >= FULL && !pending.is_refused;
        if is_full {
            self.send(executor);
        }
    }

    /// A part of a tree failed.
    pub(crate) fn fail(&mut self, task: TaskId, root: u64, cause: FailCause) {
        self.push(AckEntry { task, root, news: News::Failed(cause) });
    }

    /// A tree needs more time.
    pub(crate) fn reset(&mut self, task: TaskId, root: u64) {
        self.push(AckEntry { task, root, news: News::ResetTimeout });
    }

    fn push(&mut self, entry: AckEntry) {
        if (self.run.task, self.run.root) == (entry.task, entry.root) {
            // Behind a fail they would count as late.
            let Run { task, root, edges } = std::mem::replace(&mut self.run, NO_RUN);
            self.hold(task, root, edges);
        }
        if let Some((_, pending)) = self.pending(entry.task) {
            pending.push(entry);
        }
    }

    /// Sends what there is; what finds its lane full stays and goes on folding.
    pub(crate) fn flush(&mut self) {
        let Run { task, root, edges } = std::mem::replace(&mut self.run, NO_RUN);
        self.hold(task, root, edges);
        for i in (0..self.dirty.len()).rev() {
            let executor = self.dirty[i];
            if self.send(executor) {
                self.dirty.swap_remove(i);
            }
        }
    }

    /// False when the lane is full.
    fn send(&mut self, executor: u32) -> bool {
        let Some(pending) = self.pending[executor as usize].as_deref_mut() else { return true };
        if pending.entries.is_empty() {
            pending.is_dirty = false;
            return true;
        }
        let empty = self.empties.take().unwrap_or_default();
        let entries = std::mem::replace(&mut pending.entries, empty);
        match self.directory[executor].send_acks(AckParcel { entries, origin: self.me }) {
            Ok(()) => {
                pending.overflow.clear();
                pending.told.clear();
                pending.is_refused = false;
                // The table may point anywhere: an entry is checked before it is folded into.
                pending.is_dirty = !pending.entries.is_empty();
                true
            }
            Err(entries) => {
                pending.entries = entries;
                pending.refuse();
                false
            }
        }
    }

    #[inline]
    fn pending(&mut self, task: TaskId) -> Option<(u32, &mut PendingAcks)> {
        let executor = *self.executor_of.get(task.0 as usize)?;
        let place = self.pending.get_mut(executor as usize)?;
        let pending = place.get_or_insert_with(|| Box::new(PendingAcks::new()));
        if !pending.is_dirty {
            pending.is_dirty = true;
            self.dirty.push(executor);
        }
        Some((executor, pending))
    }
}

impl PendingAcks {
    fn new() -> PendingAcks {
        PendingAcks {
            entries: Vec::new(),
            table: [0; TABLE],
            overflow: FxHashMap::default(),
            told: FxHashSet::default(),
            is_refused: false,
            is_dirty: false,
        }
    }

    #[inline]
    fn fold(&mut self, task: TaskId, root: u64, edges: u64) {
        if self.is_refused {
            self.fold_slowly(task, root, edges);
            return;
        }
        let place = &mut self.table[root as usize % TABLE];
        if let Some(entry) = self.entries.get_mut(*place as usize)
            && entry.root == root
            && entry.task == task
            && let News::Edges(value) = &mut entry.news
        {
            *value ^= edges;
            return;
        }
        *place = self.entries.len() as u32;
        self.entries.push(AckEntry { task, root, news: News::Edges(edges) });
    }

    /// A fail, or a plea for time: once per tree while the lane is full.
    fn push(&mut self, entry: AckEntry) {
        let is_reset = entry.news == News::ResetTimeout;
        if !self.is_refused || self.told.insert((entry.task, entry.root, is_reset)) {
            self.entries.push(entry);
        }
    }

    #[cold]
    fn fold_slowly(&mut self, task: TaskId, root: u64, edges: u64) {
        let next = self.entries.len() as u32;
        let at = *self.overflow.entry((task, root)).or_insert(next);
        match self.entries.get_mut(at as usize).map(|e| &mut e.news) {
            Some(News::Edges(value)) => *value ^= edges,
            _ => self.entries.push(AckEntry { task, root, news: News::Edges(edges) }),
        }
    }

    fn refuse(&mut self) {
        if !std::mem::replace(&mut self.is_refused, true) {
            let edges = self.entries.iter().enumerate().filter(|(_, e)| matches!(e.news, News::Edges(_)));
            self.overflow = edges.map(|(i, e)| ((e.task, e.root), i as u32)).collect();
        }
    }
}
