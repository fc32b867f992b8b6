//! Spouts: what users write to bring tuples in.

use storm_model::{TaskId, Time};
use storm_row::{Row, RowBuilder};

use crate::collector::{Outputs, SpoutSink};
use crate::context::TaskContext;
use crate::declare::OutputDeclarer;
use crate::error::{ComponentError, EmitError, SpoutError};

/// Brings tuples in.
///
/// One instance per task, made by a factory; all its methods run one after the other and none may block:
/// while one runs, the spout's acks, fails and timeouts wait. Making it is cheap and free of
/// effects; real work starts in [`open`](Spout::open).
///
/// ```
/// use storm_topology::*;
///
/// struct Numbers(u64);
///
/// impl Spout for Numbers {
///     type MessageId = u64;
///
///     fn declare_outputs(&self, out: &mut OutputDeclarer) {
///         out.fields(["number"]);
///     }
///
///     fn next_tuple(&mut self, out: &mut SpoutOutput<u64>) -> Result<Next, SpoutError> {
///         if self.0 == 1000 {
///             return Ok(Next::Done);
///         }
///         self.0 += 1;
///         out.emit_tracked(self.0, (self.0,));
///         Ok(Next::Emitted)
///     }
///
///     fn fail(&mut self, number: u64, cause: FailCause) {
///         println!("{number} failed ({cause}): to be emitted again");
///     }
/// }
/// ```
pub trait Spout: Send + 'static {
    /// What the spout calls a tuple of its own: an offset, a number, a delivery tag. `()` for
    /// spouts that track nothing.
    type MessageId: Send + 'static;

    /// Names the streams that this spout emits to and their fields. Default: none.
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        let _ = out;
    }

    /// Called once before the first tuple, on the executor's thread, and again on the new instance
    /// after a panic.
    ///
    /// # Errors
    /// An error keeps the topology from starting.
    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        let _ = ctx;
        Ok(())
    }

    /// Emits the next tuple, if there is one; never blocks. One call may emit several.
    ///
    /// # Errors
    /// An error is reported; the spout is asked again after a pause of up to a second.
    /// [`SpoutError::fatal`] ends the whole topology.
    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, Self::MessageId>) -> Result<Next, SpoutError>;

    /// The tree of a tracked tuple is fully processed.
    fn ack(&mut self, id: Self::MessageId) {
        let _ = id;
    }

    /// The tree of a tracked tuple failed or timed out. To process it, emit it again, with
    /// [`emit_replayed`](SpoutOutput::emit_replayed): then it is counted as what it is.
    fn fail(&mut self, id: Self::MessageId, cause: FailCause) {
        let _ = (id, cause);
    }

    /// The topology was activated; also called once before the first `next_tuple`.
    fn activate(&mut self) {}

    /// The topology was deactivated: `next_tuple` is not called until it is activated again.
    fn deactivate(&mut self) {}

    /// Called when the topology stops in good order; not guaranteed (as in Storm).
    fn close(&mut self) {}
}

/// What a spout says at the end of `next_tuple`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Emitted something: ask again soon.
    Emitted,
    /// Nothing there. Asked again when [`TaskContext::waker`] is woken or an ack or fail came; a
    /// spout that never took a waker is polled with a growing pause of at most 10 ms.
    Idle,
    /// Nothing to do before this moment (on the clock of [`TaskContext::now`]), unless the waker
    /// is woken.
    Until(Time),
    /// Nothing more will ever be emitted unless a fail asks for it: `next_tuple` is called again
    /// only after a fail. A local run ends when every spout is done and all is processed.
    Done,
}

/// Why a tree failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FailCause {
    /// Not fully processed within `topology.message.timeout.secs`.
    Timeout = 1,
    /// A bolt failed it: `Err`, `fail`, or a retained handle that was failed or dropped.
    Failed = 2,
    /// A bolt panicked on it.
    Panicked = 3,
    /// A worker that held part of it is gone.
    WorkerLost = 4,
    /// A task that held part of it was moved before it was done.
    Moved = 5,
    /// It multiplied in a cycle until the worker's memory budget was used up.
    LoopBudget = 6,
}

impl FailCause {
    /// All causes.
    pub const ALL: [FailCause; 6] = [
        FailCause::Timeout,
        FailCause::Failed,
        FailCause::Panicked,
        FailCause::WorkerLost,
        FailCause::Moved,
        FailCause::LoopBudget,
    ];
}

impl std::error::Error for FailCause {}

impl std::fmt::Display for FailCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            FailCause::Timeout => "timeout",
            FailCause::Failed => "failed by a bolt",
            FailCause::Panicked => "a bolt panicked",
            FailCause::WorkerLost => "worker lost",
            FailCause::Moved => "task moved",
            FailCause::LoopBudget => "loop budget used up",
        })
    }
}

/// Where a spout emits.
pub struct SpoutOutput<'a, Id> {
    outputs: &'a Outputs,
    builder: &'a mut RowBuilder,
    sink: &'a mut dyn SpoutSink,
    ids: &'a mut IdSlab<Id>,
    error: Option<Box<EmitError>>,
}

impl<'a, Id> SpoutOutput<'a, Id> {
    /// For engines and test kits.
    #[inline]
    pub fn new(
        outputs: &'a Outputs,
        builder: &'a mut RowBuilder,
        sink: &'a mut dyn SpoutSink,
        ids: &'a mut IdSlab<Id>,
    ) -> SpoutOutput<'a, Id> {
        SpoutOutput { outputs, builder, sink, ids, error: None }
    }

    /// The first error of an `emit`; for engines and test kits.
    #[inline]
    pub fn into_error(self) -> Option<Box<EmitError>> {
        self.error
    }

    /// Emits to stream `default`; neither ack nor fail will follow. An error is kept and reported
    /// when `next_tuple` returns.
    #[inline]
    pub fn emit(&mut self, row: impl Row) {
        let sent = self.send(None, None, None, &row);
        self.keep_error(sent);
    }

    /// Emits to stream `default` and tracks the tuple's tree: `ack(id)` or `fail(id, cause)` will
    /// follow. An error is kept and reported when `next_tuple` returns, and the id is failed.
    #[inline]
    pub fn emit_tracked(&mut self, id: Id, row: impl Row) {
        let sent = self.send(None, None, Some(id), &row);
        self.keep_error(sent);
    }

    /// As [`emit_tracked`](Self::emit_tracked), for a tuple that failed before: it counts as replayed.
    #[inline]
    pub fn emit_replayed(&mut self, id: Id, row: impl Row) {
        let sent = self.send(None, None, Some(id), &row);
        self.count_replay(&sent);
        self.keep_error(sent);
    }

    /// Names a stream for an emit that is not to stream `default`.
    ///
    /// ```no_run
    /// # use storm_topology::*;
    /// # fn f(out: &mut SpoutOutput<u64>) {
    /// out.on("errors").tracked(7).emit(("bad line",));
    /// # }
    /// ```
    #[inline]
    pub fn on<'o>(&'o mut self, stream: &'o str) -> SpoutEmit<'o, 'a, Id> {
        SpoutEmit { out: self, stream, task: None, id: None, is_replay: false }
    }

    /// Tracked tuples of this task that are neither acked nor failed.
    pub fn pending(&self) -> usize {
        self.sink.pending()
    }

    /// Reports an error and goes on.
    pub fn report_error(&mut self, error: impl Into<ComponentError>) {
        self.sink.report_error(error.into());
    }

    /// Time of the call on the engine's clock, a virtual one in tests: the clock of
    /// [`Next::Until`].
    ///
    /// It costs nothing: the engine reads its clock once per step of some 100 microseconds, so it is
    /// that far behind, and more in a spout that blocks. Who measures how long something takes within
    /// a call asks [`TaskContext::clock`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use storm_topology::*;
    /// # fn f(out: &mut SpoutOutput<u64>) -> Result<Next, SpoutError> {
    /// out.emit(("a greeting a second",));
    /// Ok(Next::Until(out.now() + Duration::from_secs(1)))
    /// # }
    /// ```
    #[inline]
    pub fn now(&self) -> Time {
        self.sink.now()
    }

    #[inline(always)]
    fn send<R: Row>(
        &mut self,
        stream: Option<&str>,
        task: Option<TaskId>,
        id: Option<Id>,
        row: &R,
    ) -> Result<(), EmitError> {
        let encoded = self.outputs.encode(self.builder, stream, task.is_some(), row);
        let sent = encoded.and_then(|(stream, values)| self.sink.emit(stream, task, id.is_some(), values));
        match (sent, id) {
            (Ok(slot), Some(id)) => {
                self.ids.put(slot.expect("a tracked emit has a slot"), id);
                Ok(())
            }
            (Ok(_), None) => Ok(()),
            (Err(error), Some(id)) => {
                self.ids.refuse(id);
                Err(error)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// A tuple that was refused is not on its way again.
    #[inline]
    fn count_replay(&mut self, sent: &Result<(), EmitError>) {
        if sent.is_ok() {
            self.sink.replayed();
        }
    }

    #[inline]
    fn keep_error(&mut self, sent: Result<(), EmitError>) {
        if let Err(error) = sent {
            self.error.get_or_insert_with(|| Box::new(error));
        }
    }
}

/// One emit in the making; see [`SpoutOutput::on`].
#[must_use = "nothing is emitted before emit"]
pub struct SpoutEmit<'o, 'a, Id> {
    out: &'o mut SpoutOutput<'a, Id>,
    stream: &'o str,
    task: Option<TaskId>,
    id: Option<Id>,
    is_replay: bool,
}

impl<Id> SpoutEmit<'_, '_, Id> {
    /// Names the task; for direct streams.
    #[inline]
    pub fn task(self, task: TaskId) -> Self {
        SpoutEmit { task: Some(task), ..self }
    }

    /// Tracks the tuple's tree under this id.
    #[inline]
    pub fn tracked(self, id: Id) -> Self {
        SpoutEmit { id: Some(id), is_replay: false, ..self }
    }

    /// As [`tracked`](Self::tracked), for a tuple that failed before: it counts as replayed.
    ///
    /// ```no_run
    /// # use storm_topology::*;
    /// # fn f(out: &mut SpoutOutput<u64>) {
    /// out.on("errors").replayed(7).emit(("bad line",));
    /// # }
    /// ```
    #[inline]
    pub fn replayed(self, id: Id) -> Self {
        SpoutEmit { id: Some(id), is_replay: true, ..self }
    }

    /// Emits; an error is kept and reported when `next_tuple` returns.
    #[inline]
    pub fn emit(self, row: impl Row) {
        let sent = self.out.send(Some(self.stream), self.task, self.id, &row);
        if self.is_replay {
            self.out.count_replay(&sent);
        }
        self.out.keep_error(sent);
    }
}

/// The message ids of a task's pending tuples, by slot: without a box and without a hash map.
pub struct IdSlab<Id> {
    slots: Vec<Option<Id>>,
    refused: Vec<Id>,
}

impl<Id> Default for IdSlab<Id> {
    fn default() -> Self {
        IdSlab { slots: Vec::new(), refused: Vec::new() }
    }
}

impl<Id> IdSlab<Id> {
    #[inline]
    fn put(&mut self, slot: u32, id: Id) {
        let slot = slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        debug_assert!(self.slots[slot].is_none(), "slot {slot} is in use");
        self.slots[slot] = Some(id);
    }

    #[inline]
    fn take(&mut self, slot: u32) -> Option<Id> {
        self.slots.get_mut(slot as usize)?.take()
    }

    #[cold]
    fn refuse(&mut self, id: Id) {
        self.refused.push(id);
    }
}

/// A spout without its message id type: what an engine holds.
pub trait AnySpout: Send {
    /// See [`Spout::open`].
    ///
    /// # Errors
    /// The spout's.
    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError>;

    /// See [`Spout::next_tuple`]; an error of an `emit` comes beside its answer.
    fn next_tuple(
        &mut self,
        outputs: &Outputs,
        builder: &mut RowBuilder,
        sink: &mut dyn SpoutSink,
    ) -> (Result<Next, SpoutError>, Option<Box<EmitError>>);

    /// The tree in this slot is processed.
    fn ack(&mut self, slot: u32);

    /// The tree in this slot failed.
    fn fail(&mut self, slot: u32, cause: FailCause);

    /// Fails the ids whose emit was refused, outside of `next_tuple`; returns how many.
    fn fail_refused(&mut self) -> usize;

    /// See [`Spout::activate`].
    fn activate(&mut self);

    /// See [`Spout::deactivate`].
    fn deactivate(&mut self);

    /// See [`Spout::close`].
    fn close(&mut self);
}

/// A spout with the ids of its pending tuples.
pub struct SpoutTask<S: Spout> {
    spout: S,
    ids: IdSlab<S::MessageId>,
}

impl<S: Spout> SpoutTask<S> {
    /// Without pending tuples.
    pub fn new(spout: S) -> SpoutTask<S> {
        SpoutTask { spout, ids: IdSlab::default() }
    }
}

impl<S: Spout> AnySpout for SpoutTask<S> {
    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.spout.open(ctx)
    }

    fn next_tuple(
        &mut self,
        outputs: &Outputs,
        builder: &mut RowBuilder,
        sink: &mut dyn SpoutSink,
    ) -> (Result<Next, SpoutError>, Option<Box<EmitError>>) {
        let mut out = SpoutOutput::new(outputs, builder, sink, &mut self.ids);
        let next = self.spout.next_tuple(&mut out);
        (next, out.into_error())
    }

    fn ack(&mut self, slot: u32) {
        if let Some(id) = self.ids.take(slot) {
            self.spout.ack(id);
        }
    }

    fn fail(&mut self, slot: u32, cause: FailCause) {
        if let Some(id) = self.ids.take(slot) {
            self.spout.fail(id, cause);
        }
    }

    fn fail_refused(&mut self) -> usize {
        let refused = std::mem::take(&mut self.ids.refused);
        let count = refused.len();
        for id in refused {
            self.spout.fail(id, FailCause::Failed);
        }
        count
    }

    fn activate(&mut self) {
        self.spout.activate();
    }

    fn deactivate(&mut self) {
        self.spout.deactivate();
    }

    fn close(&mut self) {
        self.spout.close();
    }
}
