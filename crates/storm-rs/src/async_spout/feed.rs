//! The future's end: where it emits, what it learns of its tuples and of its task.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde_json::Value as Json;
use storm_model::{ComponentId, ConfigMap, DEFAULT_STREAM, StreamId, TaskId, Time};
use storm_row::Row;
use storm_topology::{Clock, ComponentError, FailCause, SpoutError, SpoutOutput, TaskContext};
use tokio::sync::{mpsc, oneshot, watch};

/// What crosses the queue. A row crosses as it is, in a box, and is encoded by the executor: one
/// allocation per tuple and no copy of its values in between.
pub(super) enum Item {
    Tuple(QueuedTuple),
    Error(SpoutError),
}

pub(super) struct QueuedTuple {
    row: Box<dyn Row + Send>,
    /// `None` is stream `default`.
    stream: Option<StreamId>,
    task: Option<TaskId>,
    wanted: Wanted,
}

/// Whether somebody waits for the outcome.
enum Wanted {
    Nothing,
    Answer(Answer),
    /// The tuple failed before.
    AnswerToReplay(Answer),
}

impl QueuedTuple {
    pub(super) fn emit(self, out: &mut SpoutOutput<'_, Answer>) {
        let QueuedTuple { row, stream, task, wanted } = self;
        match (stream, task, wanted) {
            (None, None, Wanted::Nothing) => out.emit(&*row),
            (None, None, Wanted::Answer(answer)) => out.emit_tracked(answer, &*row),
            (stream, task, wanted) => {
                let mut emit = out.on(stream.as_ref().map_or(DEFAULT_STREAM, StreamId::as_str));
                if let Some(task) = task {
                    emit = emit.task(task);
                }
                let emit = match wanted {
                    Wanted::Nothing => emit,
                    Wanted::Answer(answer) => emit.tracked(answer),
                    Wanted::AnswerToReplay(answer) => emit.replayed(answer),
                };
                emit.emit(&*row);
            }
        }
    }
}

/// Where a future emits. Clones feed the same queue; the spout is not done before all are dropped.
///
/// A row must own its values (`String`, not `&str`), because it goes to another thread. Mistakes
/// in it (an undeclared stream, a wrong number of values) are found there: they are reported as
/// those of any spout, and the receipt says [`FailCause::Failed`].
#[derive(Clone)]
pub struct Feed(pub(super) Arc<FeedEnd>);

pub(super) struct FeedEnd {
    pub(super) rows: mpsc::Sender<Item>,
    pub(super) waker: Waker,
    /// Dropped after `rows`: whoever sees it gone finds all rows in the queue.
    pub(super) _alive: watch::Receiver<()>,
}

impl Feed {
    /// Emits to stream `default`; nobody learns what becomes of the tuple. Waits while the queue
    /// is full. A future that is dropped while it waits has emitted nothing.
    ///
    /// # Errors
    /// The topology stops, or the run has ended that this feed belongs to.
    pub async fn emit(&self, row: impl Row + Send + 'static) -> Result<(), Stopped> {
        self.queue(None, None, row).await
    }

    /// Emits to stream `default`; the receipt tells what becomes of the tuple's tree. Waits while
    /// the queue is full.
    ///
    /// Whoever awaits each receipt before the next emit has one tuple on its way at a time. For
    /// more, collect receipts or await them in tasks of their own:
    ///
    /// ```
    /// # use storm_rs::prelude::*;
    /// # use storm_rs::{Feed, FeedContext};
    /// use std::collections::VecDeque;
    ///
    /// async fn in_order(feed: Feed, _: FeedContext) -> Result<(), SpoutError> {
    ///     let mut receipts = VecDeque::new();
    ///     for offset in 0.. {
    ///         receipts.push_back((offset, feed.emit_tracked((offset,)).await?));
    ///         if receipts.len() == 1000 {
    ///             let (oldest, receipt) = receipts.pop_front().expect("there are 1000");
    ///             receipt.await.map_err(|cause| format!("{oldest}: {cause}"))?;
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// The topology stops, or the run has ended that this feed belongs to.
    pub async fn emit_tracked(&self, row: impl Row + Send + 'static) -> Result<Receipt, Stopped> {
        self.queue_tracked(None, None, Wanted::Answer, row).await
    }

    /// As [`emit_tracked`](Feed::emit_tracked), for a tuple that failed before: it counts as
    /// replayed.
    ///
    /// # Errors
    /// The topology stops, or the run has ended that this feed belongs to.
    pub async fn emit_replayed(&self, row: impl Row + Send + 'static) -> Result<Receipt, Stopped> {
        self.queue_tracked(None, None, Wanted::AnswerToReplay, row).await
    }

    /// Names a stream for an emit that is not to stream `default`.
    ///
    /// ```
    /// # use storm_rs::{Feed, Stopped, TaskId};
    /// # async fn f(feed: Feed) -> Result<(), Stopped> {
    /// feed.on("errors").emit(("no such file", 2)).await?;
    /// let receipt = feed.on("commands").task(TaskId(4)).emit_tracked(("flush",)).await?;
    /// # drop(receipt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on(&self, stream: impl Into<StreamId>) -> FeedEmit<'_> {
        FeedEmit { feed: self, stream: stream.into(), task: None }
    }

    /// Reports an error of the task and goes on. It takes its turn in the queue.
    ///
    /// # Errors
    /// The topology stops, or the run has ended that this feed belongs to.
    pub async fn report_error(&self, error: impl Into<ComponentError>) -> Result<(), Stopped> {
        self.send(Item::Error(error.into())).await
    }

    /// Resolves when nothing can be emitted any more: for tasks that the future has spawned on a
    /// runtime of others, which nobody else tells.
    pub async fn stopped(&self) {
        self.0.rows.closed().await;
    }

    async fn queue(
        &self,
        stream: Option<StreamId>,
        task: Option<TaskId>,
        row: impl Row + Send + 'static,
    ) -> Result<(), Stopped> {
        self.send(Item::Tuple(QueuedTuple { row: Box::new(row), stream, task, wanted: Wanted::Nothing }))
            .await
    }

    async fn queue_tracked(
        &self,
        stream: Option<StreamId>,
        task: Option<TaskId>,
        wanted: fn(Answer) -> Wanted,
        row: impl Row + Send + 'static,
    ) -> Result<Receipt, Stopped> {
        let (answer, receipt) = oneshot::channel();
        let wanted = wanted(Answer(answer));
        self.send(Item::Tuple(QueuedTuple { row: Box::new(row), stream, task, wanted })).await?;
        Ok(Receipt(receipt))
    }

    async fn send(&self, item: Item) -> Result<(), Stopped> {
        self.0.rows.send(item).await.map_err(|_| Stopped)?;
        self.0.waker.wake_by_ref();
        Ok(())
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("room", &self.0.rows.capacity()).finish_non_exhaustive()
    }
}

/// One emit in the making; see [`Feed::on`].
#[must_use = "nothing is emitted before emit or emit_tracked"]
#[derive(Clone, Debug)]
pub struct FeedEmit<'a> {
    feed: &'a Feed,
    stream: StreamId,
    task: Option<TaskId>,
}

impl FeedEmit<'_> {
    /// Names the task; for direct streams.
    pub fn task(self, task: TaskId) -> Self {
        FeedEmit { task: Some(task), ..self }
    }

    /// As [`Feed::emit`].
    ///
    /// # Errors
    /// The topology stops, or the run has ended that this feed belongs to.
    pub async fn emit(self, row: impl Row + Send + 'static) -> Result<(), Stopped> {
        self.feed.queue(Some(self.stream), self.task, row).await
    }

    /// As [`Feed::emit_tracked`].
    ///
    /// # Errors
    /// The topology stops, or the run has ended that this feed belongs to.
    pub async fn emit_tracked(self, row: impl Row + Send + 'static) -> Result<Receipt, Stopped> {
        self.feed.queue_tracked(Some(self.stream), self.task, Wanted::Answer, row).await
    }

    /// As [`Feed::emit_replayed`].
    ///
    /// # Errors
    /// The topology stops, or the run has ended that this feed belongs to.
    pub async fn emit_replayed(self, row: impl Row + Send + 'static) -> Result<Receipt, Stopped> {
        self.feed.queue_tracked(Some(self.stream), self.task, Wanted::AnswerToReplay, row).await
    }
}

/// Nothing can be emitted any more: the topology stops, or the run of the future has ended that the
/// feed belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the feed has stopped")]
pub struct Stopped;

/// Resolves when the tree of a tracked tuple is fully processed, or has failed and with which
/// cause. To process what failed, emit it again ([`Feed::emit_replayed`]).
///
/// One that is dropped changes nothing for its tuple. It resolves to [`FailCause::WorkerLost`]
/// when the outcome will never be known: the topology stopped, or the spout's task was built anew.
#[must_use = "a failed tuple is lost unless it is emitted again"]
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<Result<(), FailCause>>);

impl Future for Receipt {
    type Output = Result<(), FailCause>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), FailCause>> {
        let answer = Pin::new(&mut self.0).poll(cx);
        answer.map(|outcome| outcome.unwrap_or(Err(FailCause::WorkerLost)))
    }
}

/// The message id of an [`AsyncSpout`](super::AsyncSpout): the other end of a [`Receipt`].
#[derive(Debug)]
pub struct Answer(oneshot::Sender<Result<(), FailCause>>);

impl Answer {
    pub(super) fn give(self, outcome: Result<(), FailCause>) {
        // Refused when the receipt was dropped: its holder does not want to know.
        self.0.send(outcome).ok();
    }
}

/// What a future knows of its task: a part of [`TaskContext`] that can go to other threads.
///
/// ```
/// # use storm_rs::prelude::*;
/// # use storm_rs::{Feed, FeedContext};
/// async fn lines(feed: Feed, ctx: FeedContext) -> Result<(), SpoutError> {
///     let prefix = ctx.config("lines.prefix").and_then(|p| p.as_str()).unwrap_or("line");
///     // Each task takes its share.
///     for n in (ctx.task_index()..100).step_by(ctx.task_count()) {
///         feed.emit((format!("{prefix} {n}"),)).await?;
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct FeedContext {
    facts: Arc<Facts>,
    pub(super) attempt: u64,
}

struct Facts {
    topology: String,
    component: ComponentId,
    task: TaskId,
    task_index: usize,
    task_count: usize,
    incarnation: u64,
    config: ConfigMap,
    clock: Arc<dyn Clock>,
}

impl FeedContext {
    pub(super) fn new(ctx: &TaskContext) -> FeedContext {
        let facts = Facts {
            topology: ctx.topology().to_owned(),
            component: ctx.component().clone(),
            task: ctx.task(),
            task_index: ctx.task_index(),
            task_count: ctx.task_count(),
            incarnation: ctx.incarnation(),
            config: ctx.config_map().clone(),
            clock: ctx.clock(),
        };
        FeedContext { facts: Arc::new(facts), attempt: 0 }
    }

    /// Name of the topology.
    pub fn topology(&self) -> &str {
        &self.facts.topology
    }

    /// Id of the task's component.
    pub fn component(&self) -> &ComponentId {
        &self.facts.component
    }

    /// Number of the task.
    pub fn task(&self) -> TaskId {
        self.facts.task
    }

    /// Rank of the task among its component's, from 0.
    pub fn task_index(&self) -> usize {
        self.facts.task_index
    }

    /// Number of tasks of the component.
    pub fn task_count(&self) -> usize {
        self.facts.task_count
    }

    /// A configuration value: the component's own, else the topology's.
    pub fn config(&self, key: &str) -> Option<&Json> {
        self.facts.config.get(key)
    }

    /// The whole configuration as the component sees it.
    pub fn config_map(&self) -> &ConfigMap {
        &self.facts.config
    }

    /// Number of this life of the task; see [`TaskContext::incarnation`].
    pub fn incarnation(&self) -> u64 {
        self.facts.incarnation
    }

    /// Number of this run of the future within this life of the task, from 1.
    pub fn attempt(&self) -> u64 {
        self.attempt
    }

    /// Monotonic time on the engine's clock, a virtual one in tests. tokio's timers run on the
    /// machine's.
    pub fn now(&self) -> Time {
        self.facts.clock.now()
    }
}

impl fmt::Debug for FeedContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { component, task, incarnation, .. } = &*self.facts;
        let mut f = f.debug_struct("FeedContext");
        f.field("component", component).field("task", task);
        f.field("incarnation", incarnation).field("attempt", &self.attempt).finish_non_exhaustive()
    }
}
