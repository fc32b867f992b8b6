//! A spout that is an async function: the bridge from tokio to the topology.
//!
//! [`AsyncSpout`] starts a future when its task is opened and gives it a [`Feed`]. What the future
//! emits waits in a bounded queue until the task's executor takes it, in order. When the queue is
//! full, [`emit`](Feed::emit) waits: that is how back-pressure (`topology.max.spout.pending`,
//! credit, deactivation) reaches the future. Each tracked tuple gives a [`Receipt`], which resolves
//! when the tuple's tree is processed or has failed.
//!
//! ```
//! use storm_rs::prelude::*;
//! use storm_rs::{AsyncSpout, Feed, FeedContext};
//!
//! async fn numbers(feed: Feed, ctx: FeedContext) -> Result<(), SpoutError> {
//!     for n in 0..10 {
//!         // Waits for room in the queue.
//!         let mut receipt = feed.emit_tracked((n, ctx.task_index())).await?;
//!         // Waits for the outcome; what failed is emitted again.
//!         while let Err(cause) = receipt.await {
//!             println!("{n}: {cause}");
//!             receipt = feed.emit_tracked((n, ctx.task_index())).await?;
//!         }
//!     }
//!     Ok(())
//! }
//!
//! let mut t = TopologyBuilder::new();
//! t.set_spout("numbers", || AsyncSpout::new(["n", "task"], numbers), 2);
//! let topology = t.build()?;
//! # Ok::<(), TopologyError>(())
//! ```
//!
//! The future runs on a current-thread runtime on a thread of its own, or [`on`](AsyncSpout::on) a
//! runtime of the user's. When it
//!
//! - returns `Ok`, and all clones of its [`Feed`] are dropped, the spout is done;
//! - returns an error or panics, that is reported once what it had queued is emitted, and the
//!   source is called anew after a pause: 100 ms, doubled each time up to 10 s, and 100 ms again
//!   after a run of 10 s. What the former run had emitted and is still pending has nobody left who
//!   waits for it: the new run begins where the outside says that it should, such as at the last
//!   committed offset;
//! - still runs when the topology stops, it is dropped at its next `await`. One that blocks its
//!   thread is waited for 1 s and then left behind.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value as Json;
use storm_model::{ComponentId, ConfigMap, DEFAULT_STREAM, Fields, StreamId, StreamSpec, TaskId, Time};
use storm_row::Row;
use storm_topology::{
    Clock, ComponentError, FailCause, Next, OutputDeclarer, Spout, SpoutError, SpoutOutput, TaskContext,
};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

/// Tuples that may wait between the future and the executor unless
/// [`capacity`](AsyncSpout::capacity) says otherwise: enough to fill some batches while the future
/// does something else.
const CAPACITY: usize = 1024;
/// Pause before the source is called anew after an error; it doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause, and the length of a run after which the next pause is short again.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// How long the end of the future's thread is waited for. Only a future that blocks needs it.
const MAX_JOIN: Duration = Duration::from_secs(1);

/// A spout whose tuples come from a future; see the [module](self).
///
/// The source is a function (or closure) from a [`Feed`] and a [`FeedContext`] to a future. It is
/// called when the task is opened, not before: making an `AsyncSpout` is free of effects.
///
/// ```
/// # use storm_rs::prelude::*;
/// # use storm_rs::{AsyncSpout, Feed, FeedContext};
/// # let mut t = TopologyBuilder::new();
/// let (sender, receiver) = tokio::sync::watch::channel(0);
/// t.set_spout("level", move || {
///     let levels = receiver.clone();
///     AsyncSpout::new(["level"], move |feed: Feed, _: FeedContext| {
///         let mut levels = levels.clone();
///         async move {
///             while levels.changed().await.is_ok() {
///                 let level = *levels.borrow_and_update();
///                 feed.emit((level,)).await?;
///             }
///             Ok(())
///         }
///     })
/// }, 1);
/// # drop(sender);
/// ```
pub struct AsyncSpout<F> {
    source: F,
    streams: Vec<StreamSpec>,
    capacity: usize,
    handle: Option<Handle>,
    /// Set by `open`.
    surroundings: Option<Surroundings>,
    state: State,
    next_pause: Duration,
}

/// What a run needs of the task's context.
struct Surroundings {
    context: FeedContext,
    waker: Waker,
}

enum State {
    /// Not opened yet, or closed again.
    Closed,
    Running(Run),
    /// The last run had an error; the next starts at this moment.
    Pausing(Time),
    Done,
}

impl<F> AsyncSpout<F> {
    /// A spout that emits tuples of these fields to stream `default`, fed by `source`.
    pub fn new<N, Fut>(fields: impl IntoIterator<Item = N>, source: F) -> AsyncSpout<F>
    where
        N: AsRef<str>,
        F: FnMut(Feed, FeedContext) -> Fut + 'static,
        Fut: Future<Output = Result<(), SpoutError>> + Send + 'static,
    {
        AsyncSpout {
            source,
            streams: Vec::new(),
            capacity: CAPACITY,
            handle: None,
            surroundings: None,
            state: State::Closed,
            next_pause: MIN_PAUSE,
        }
        .stream(DEFAULT_STREAM, fields)
    }

    /// Declares one more stream; [`Feed::on`] emits to it.
    ///
    /// ```
    /// # use storm_rs::{AsyncSpout, Feed, FeedContext};
    /// let spout = AsyncSpout::new(["line"], |feed: Feed, _: FeedContext| async move {
    ///     feed.on("errors").emit(("no such file", 2)).await?;
    ///     Ok(())
    /// });
    /// let spout = spout.stream("errors", ["message", "code"]);
    /// ```
    #[must_use]
    pub fn stream<N: AsRef<str>>(
        self,
        id: impl Into<StreamId>,
        fields: impl IntoIterator<Item = N>,
    ) -> AsyncSpout<F> {
        self.declare(StreamSpec { id: id.into(), fields: Fields::new(fields), direct: false })
    }

    /// Declares a direct stream: each emit names the task that gets the tuple.
    #[must_use]
    pub fn direct_stream<N: AsRef<str>>(
        self,
        id: impl Into<StreamId>,
        fields: impl IntoIterator<Item = N>,
    ) -> AsyncSpout<F> {
        self.declare(StreamSpec { id: id.into(), fields: Fields::new(fields), direct: true })
    }

    /// How many tuples may wait between the future and the executor, at least one (default: 1,024).
    /// When so many wait, the future's emits wait.
    #[must_use]
    pub fn capacity(self, capacity: usize) -> AsyncSpout<F> {
        AsyncSpout { capacity: capacity.max(1), ..self }
    }

    /// Runs the future on this runtime instead of one on a thread of its own.
    ///
    /// When the topology stops the future is told so and dropped at its next `await`; nobody waits
    /// for that.
    #[must_use]
    pub fn on(self, handle: Handle) -> AsyncSpout<F> {
        AsyncSpout { handle: Some(handle), ..self }
    }

    fn declare(mut self, stream: StreamSpec) -> AsyncSpout<F> {
        self.streams.push(stream);
        self
    }

    /// Takes note of an error of the last run.
    fn pause(&mut self, error: SpoutError, now: Time, lasted: Duration) -> SpoutError {
        if lasted >= MAX_PAUSE {
            self.next_pause = MIN_PAUSE;
        }
        let pause = self.next_pause;
        self.next_pause = (pause * 2).min(MAX_PAUSE);
        self.state = State::Pausing(now + pause);
        if error.is_quiet() { error } else { Interrupted { error, pause }.into() }
    }
}

impl<F, Fut> AsyncSpout<F>
where
    F: FnMut(Feed, FeedContext) -> Fut,
    Fut: Future<Output = Result<(), SpoutError>> + Send + 'static,
{
    fn start(&mut self) -> Result<(), SpoutError> {
        let Surroundings { context, waker } = self.surroundings.as_mut().expect("open has run");
        context.attempt += 1;
        let (rows, queue) = mpsc::channel(self.capacity);
        let (alive_sender, alive) = watch::channel(());
        let feed = Feed(Arc::new(FeedEnd { rows, waker: waker.clone(), _alive: alive }));
        let (outcome, verdict) = oneshot::channel();
        let told = Told { outcome, wake: WakeOnDrop(waker.clone()) };
        let context = context.clone();
        let since = context.now();
        let name = format!("{}:{} feed", context.component(), context.task());
        let task = drive((self.source)(feed, context), alive_sender, told);
        let (cancel, thread) = match &self.handle {
            Some(handle) => (handle.spawn(task).abort_handle(), None),
            None => on_own_thread(name, task)?,
        };
        self.state = State::Running(Run { queue, verdict, outcome: None, since, cancel, thread });
        Ok(())
    }
}

impl<F, Fut> Spout for AsyncSpout<F>
where
    F: FnMut(Feed, FeedContext) -> Fut + 'static,
    Fut: Future<Output = Result<(), SpoutError>> + Send + 'static,
{
    type MessageId = Answer;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        for StreamSpec { id, fields, direct } in &self.streams {
            match direct {
                false => out.stream(id.clone(), fields.iter()),
                true => out.direct_stream(id.clone(), fields.iter()),
            };
        }
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        let context = FeedContext::new(ctx);
        self.surroundings = Some(Surroundings { context, waker: ctx.waker() });
        self.start()
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, Answer>) -> Result<Next, SpoutError> {
        let now = self.surroundings.as_ref().map_or(Time::ZERO, |s| s.context.now());
        if let State::Pausing(until) = self.state {
            if now < until {
                return Ok(Next::Until(until));
            }
            if let Err(error) = self.start() {
                return Err(self.pause(error, now, Duration::ZERO));
            }
        }
        let run = match &mut self.state {
            State::Running(run) => run,
            State::Done => return Ok(Next::Done),
            State::Closed | State::Pausing(_) => return Ok(Next::Idle),
        };
        match run.next_tuple(out) {
            Turn::Emitted => Ok(Next::Emitted),
            Turn::Idle => Ok(Next::Idle),
            Turn::Over(Ok(())) => {
                self.state = State::Done;
                Ok(Next::Done)
            }
            Turn::Over(Err(error)) => {
                let lasted = now.since(run.since);
                Err(self.pause(error, now, lasted))
            }
        }
    }

    fn ack(&mut self, answer: Answer) {
        answer.give(Ok(()));
    }

    fn fail(&mut self, answer: Answer, cause: FailCause) {
        answer.give(Err(cause));
    }

    fn close(&mut self) {
        self.state = State::Closed;
    }
}

impl<F> fmt::Debug for AsyncSpout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AsyncSpout { streams, capacity, .. } = self;
        f.debug_struct("AsyncSpout")
            .field("streams", streams)
            .field("capacity", capacity)
            .finish_non_exhaustive()
    }
}

/// What the error of a run is reported as.
#[derive(Debug)]
struct Interrupted {
    error: SpoutError,
    pause: Duration,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the feed was interrupted and starts anew in {:?}", self.pause)
    }
}

impl Error for Interrupted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.error.get())
    }
}

// === The executor's end ===

type Outcome = Result<(), SpoutError>;

/// One life of the future, as the executor sees it.
struct Run {
    queue: mpsc::Receiver<Item>,
    verdict: oneshot::Receiver<Outcome>,
    /// What the verdict was, until the queue is empty.
    outcome: Option<Outcome>,
    since: Time,
    cancel: AbortHandle,
    thread: Option<OwnThread>,
}

/// What came of asking a run for a tuple.
enum Turn {
    Emitted,
    Idle,
    Over(Outcome),
}

/// The thread of a future, and a channel that closes when it is about to end.
struct OwnThread {
    handle: JoinHandle<()>,
    ended: Receiver<()>,
}

impl Run {
    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, Answer>) -> Turn {
        // Asked before the queue is looked at, or what is queued between the two would be lost.
        self.take_verdict();
        while let Ok(item) = self.queue.try_recv() {
            match item {
                Item::Tuple(tuple) => {
                    tuple.emit(out);
                    return Turn::Emitted;
                }
                Item::Error(error) => out.report_error(error),
            }
        }
        self.outcome.take().map_or(Turn::Idle, Turn::Over)
    }

    fn take_verdict(&mut self) {
        if self.outcome.is_none() {
            self.outcome = match self.verdict.try_recv() {
                Ok(outcome) => Some(outcome),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Closed) => Some(Err(ComponentError::msg(
                    "the future was dropped before it was done: its runtime has shut down, or its destructor panicked",
                ))),
            };
            if self.outcome.is_some() {
                // After an error others may still hold the feed.
                self.queue.close();
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Whoever waits for room is told first, then the future is dropped at its next await.
        self.queue.close();
        self.cancel.abort();
        let Some(OwnThread { handle, ended }) = self.thread.take() else { return };
        match ended.recv_timeout(MAX_JOIN) {
            Err(RecvTimeoutError::Timeout) => tracing::warn!(
                thread = handle.thread().name(),
                "the future of an async spout blocks its thread, which is left behind"
            ),
            // A panic of the runtime itself has been printed; nobody needs it any more.
            _ => drop(handle.join()),
        }
    }
}

/// Runs the future on a runtime and a thread of its own, which ends with it.
fn on_own_thread(
    name: String,
    task: impl Future<Output = ()> + Send + 'static,
) -> Result<(AbortHandle, Option<OwnThread>), SpoutError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let task = runtime.spawn(task);
    let cancel = task.abort_handle();
    let (ending, ended) = channel::<()>();
    let handle = std::thread::Builder::new().name(name).spawn(move || {
        // Dropped with the closure, also when it panics: that closes the channel.
        let _ending = ending;
        // It has told its outcome already; an error here only says that it was cancelled.
        drop(runtime.block_on(task));
        // Blocking tasks that the future spawned cannot be cancelled and are not waited for.
        runtime.shutdown_background();
    })?;
    Ok((cancel, Some(OwnThread { handle, ended })))
}

/// Runs the future to its end and tells its outcome.
async fn drive(future: impl Future<Output = Outcome>, feeds: watch::Sender<()>, told: Told) {
    let mut future = Box::pin(future);
    let poll = |cx: &mut Context<'_>| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(payload) => Poll::Ready(Err(panic_error(&*payload))),
    };
    let outcome = poll_fn(poll).await;
    drop(future);
    if outcome.is_ok() {
        // Tasks that it spawned may go on feeding.
        feeds.closed().await;
    }
    told.tell(outcome);
}

fn panic_error(payload: &(dyn Any + Send)) -> SpoutError {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    ComponentError::msg(format!("the future panicked: {}", text.unwrap_or("a payload that is not text")))
}

/// The way of the outcome to the executor. It is woken in any case, also when the future is
/// dropped without an outcome, and only after there is something to see: fields are dropped in
/// order.
struct Told {
    outcome: oneshot::Sender<Outcome>,
    wake: WakeOnDrop,
}

impl Told {
    fn tell(self, outcome: Outcome) {
        let Told { outcome: sender, wake } = self;
        // Nobody listens any more when the topology stops.
        sender.send(outcome).ok();
        drop(wake);
    }
}

struct WakeOnDrop(Waker);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0.wake_by_ref();
    }
}

// === The future's end ===

/// What crosses the queue. A row crosses as it is, in a box, and is encoded by the executor: one
/// allocation per tuple and no copy of its values in between.
enum Item {
    Tuple(QueuedTuple),
    Error(SpoutError),
}

struct QueuedTuple {
    row: Box<dyn Row + Send>,
    /// `None` is stream `default`.
    stream: Option<StreamId>,
    task: Option<TaskId>,
    answer: Option<Answer>,
}

impl QueuedTuple {
    fn emit(self, out: &mut SpoutOutput<'_, Answer>) {
        let QueuedTuple { row, stream, task, answer } = self;
        match (stream, task, answer) {
            (None, None, None) => out.emit(&*row),
            (None, None, Some(answer)) => out.emit_tracked(answer, &*row),
            (stream, task, answer) => {
                let mut emit = out.on(stream.as_ref().map_or(DEFAULT_STREAM, StreamId::as_str));
                if let Some(task) = task {
                    emit = emit.task(task);
                }
                if let Some(answer) = answer {
                    emit = emit.tracked(answer);
                }
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
pub struct Feed(Arc<FeedEnd>);

struct FeedEnd {
    rows: mpsc::Sender<Item>,
    waker: Waker,
    /// Dropped after `rows`: whoever sees it gone finds all rows in the queue.
    _alive: watch::Receiver<()>,
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
        self.queue_tracked(None, None, row).await
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
        self.send(Item::Tuple(QueuedTuple { row: Box::new(row), stream, task, answer: None })).await
    }

    async fn queue_tracked(
        &self,
        stream: Option<StreamId>,
        task: Option<TaskId>,
        row: impl Row + Send + 'static,
    ) -> Result<Receipt, Stopped> {
        let (answer, receipt) = oneshot::channel();
        let answer = Some(Answer(answer));
        self.send(Item::Tuple(QueuedTuple { row: Box::new(row), stream, task, answer })).await?;
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
        self.feed.queue_tracked(Some(self.stream), self.task, row).await
    }
}

/// Nothing can be emitted any more: the topology stops, or the run of the future has ended that the
/// feed belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the feed has stopped")]
pub struct Stopped;

/// Resolves when the tree of a tracked tuple is fully processed, or has failed and with which
/// cause. To process what failed, emit it again.
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

/// The message id of an [`AsyncSpout`]: the other end of a [`Receipt`].
#[derive(Debug)]
pub struct Answer(oneshot::Sender<Result<(), FailCause>>);

impl Answer {
    fn give(self, outcome: Result<(), FailCause>) {
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
    attempt: u64,
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
    fn new(ctx: &TaskContext) -> FeedContext {
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
