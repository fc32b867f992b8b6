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
//!             receipt = feed.emit_replayed((n, ctx.task_index())).await?;
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

mod feed;
mod future;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use storm_model::{DEFAULT_STREAM, Fields, StreamId, StreamSpec, Time};
use storm_topology::{FailCause, Next, OutputDeclarer, Spout, SpoutError, SpoutOutput, TaskContext};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use feed::FeedEnd;
use future::{Run, Told, Turn, WakeOnDrop, drive, on_own_thread};

pub use feed::{Answer, Feed, FeedContext, FeedEmit, Receipt, Stopped};

/// Tuples that may wait between the future and the executor unless
/// [`capacity`](AsyncSpout::capacity) says otherwise: enough to fill some batches while the future
/// does something else.
const CAPACITY: usize = 1024;
/// Pause before the source is called anew after an error; it doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause, and the length of a run after which the next pause is short again.
const MAX_PAUSE: Duration = Duration::from_secs(10);

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
        F: FnMut(Feed, FeedContext) -> Fut + Send + 'static,
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
        // A fatal one ends the topology: nothing starts anew.
        let is_plain = !error.is_quiet() && !error.is_fatal();
        if is_plain { Interrupted { error, pause }.into() } else { error }
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
    F: FnMut(Feed, FeedContext) -> Fut + Send + 'static,
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
