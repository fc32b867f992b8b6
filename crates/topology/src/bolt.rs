//! Bolts: what users write to consume tuples and emit others.

use storm_model::{TaskId, Time};
use storm_row::{Row, RowBuilder};

use crate::collector::{AnchorTo, Anchoring, BoltSink, Outputs};
use crate::context::TaskContext;
use crate::declare::OutputDeclarer;
use crate::error::{BoltError, ComponentError, EmitError};
use crate::inbox::Message;
use crate::retained::Retained;
use crate::tuple::Tuple;

/// Consumes tuples.
///
/// One instance per task, made by a factory; all its methods run one after the other. Making it is cheap
/// and free of effects (one more instance is made to read the declared outputs, also where the
/// topology is submitted); real work starts in [`prepare`](Bolt::prepare).
///
/// ```
/// use storm_topology::*;
///
/// #[derive(Default)]
/// struct Split;
///
/// impl Bolt for Split {
///     fn declare_outputs(&self, out: &mut OutputDeclarer) {
///         out.fields(["word"]);
///     }
///
///     fn execute(&mut self, input: &Tuple, out: &mut BoltOutput) -> Result<(), BoltError> {
///         for word in input.get::<&str>("sentence")?.split(' ') {
///             out.emit((word,));
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Bolt: Send + 'static {
    /// Names the streams that this bolt emits to and their fields. Default: none.
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        let _ = out;
    }

    /// Called once before the first tuple, on the executor's thread, and again on the new instance
    /// after a panic.
    ///
    /// # Errors
    /// An error keeps the topology from starting.
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        let _ = ctx;
        Ok(())
    }

    /// Processes one tuple. `Ok` acks it, `Err` fails it and reports the error, emits are anchored
    /// to it; [`BoltOutput::retain`] keeps it for later. A panic fails it, too, is reported, and
    /// the task goes on with a new instance.
    ///
    /// # Errors
    /// Whatever keeps this tuple from being processed; its spout is told and may replay it.
    /// [`BoltError::fatal`] ends the whole topology.
    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError>;

    /// Called every `topology.tick.tuple.freq.secs` where that is set (Storm's tick tuple, which
    /// cannot be mistaken for data here). Emits are unanchored.
    ///
    /// # Errors
    /// An error is reported.
    fn on_tick(&mut self, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let _ = out;
        Ok(())
    }

    /// Called with each message sent through [`TaskContext::inbox`]: the way home for results of
    /// other threads and async tasks.
    ///
    /// # Errors
    /// An error is reported.
    fn on_message(&mut self, message: Message, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let _ = (message, out);
        Ok(())
    }

    /// Called when the topology stops in good order; not guaranteed (as in Storm).
    fn cleanup(&mut self) {}
}

/// Where a bolt emits, and where it keeps, acks or fails its input.
pub struct BoltOutput<'a> {
    outputs: &'a Outputs,
    builder: &'a mut RowBuilder,
    sink: &'a mut dyn BoltSink,
    error: Option<Box<EmitError>>,
}

impl<'a> BoltOutput<'a> {
    /// For engines and test kits.
    #[inline]
    pub fn new(
        outputs: &'a Outputs,
        builder: &'a mut RowBuilder,
        sink: &'a mut dyn BoltSink,
    ) -> BoltOutput<'a> {
        BoltOutput { outputs, builder, sink, error: None }
    }

    /// The first error of an `emit`, kept until the call ends; for engines and test kits.
    #[inline]
    pub fn into_error(self) -> Option<Box<EmitError>> {
        self.error
    }

    /// Emits to stream `default`, anchored to the input. An error (arity, size, budget) is kept
    /// and fails the input when `execute` returns `Ok`; [`try_emit`](Self::try_emit) returns it.
    #[inline]
    pub fn emit(&mut self, row: impl Row) {
        if let Err(error) = self.try_emit(row) {
            self.keep(error);
        }
    }

    /// Emits to stream `default`, anchored to the input.
    ///
    /// # Errors
    /// The tuple was not sent to every target; see [`EmitError`].
    #[inline]
    pub fn try_emit(&mut self, row: impl Row) -> Result<(), EmitError> {
        self.send(None, None, Anchoring::Input, &row)
    }

    /// Emits to a stream, anchored to the input. Errors as with [`emit`](Self::emit).
    #[inline]
    pub fn emit_to(&mut self, stream: &str, row: impl Row) {
        self.on(stream).emit(row);
    }

    /// Emits to a task on a direct stream, anchored to the input. Errors as with
    /// [`emit`](Self::emit).
    #[inline]
    pub fn emit_direct(&mut self, task: TaskId, stream: &str, row: impl Row) {
        self.on(stream).task(task).emit(row);
    }

    /// Emits to stream `default` without anchor: nobody waits for this tuple. Errors as with
    /// [`emit`](Self::emit).
    #[inline]
    pub fn emit_unanchored(&mut self, row: impl Row) {
        if let Err(error) = self.send(None, None, Anchoring::None, &row) {
            self.keep(error);
        }
    }

    /// Emits to stream `default`, anchored to these tuples: the input, retained ones, or both.
    /// When the new tuple fails, the trees of all of them fail. Errors as with
    /// [`emit`](Self::emit).
    pub fn emit_anchored<'t, A: Into<AnchorTo<'t>>>(
        &mut self,
        anchors: impl IntoIterator<Item = A>,
        row: impl Row,
    ) {
        let anchors: Vec<AnchorTo<'t>> = anchors.into_iter().map(Into::into).collect();
        if let Err(error) = self.send(None, None, Anchoring::To(&anchors), &row) {
            self.keep(error);
        }
    }

    /// Names a stream for an emit that needs more than one of: stream, task, anchors.
    ///
    /// ```no_run
    /// # use storm_topology::*;
    /// # fn f(out: &mut BoltOutput) {
    /// out.on("late").unanchored().emit(("too", "late"));
    /// # }
    /// ```
    #[inline]
    pub fn on<'o>(&'o mut self, stream: &'o str) -> BoltEmit<'o, 'a> {
        BoltEmit { out: self, stream, task: None, anchoring: Anchoring::Input }
    }

    /// Acks the input now; `Ok` at the end then changes nothing. Later emits are no longer
    /// anchored to it.
    pub fn ack(&mut self, input: &Tuple<'_>) {
        self.sink.ack(input.row());
    }

    /// Fails the input without reporting an error.
    pub fn fail(&mut self, input: &Tuple<'_>) {
        self.sink.fail(input.row());
    }

    /// Keeps the input beyond `execute`: copies it and returns a handle that is to be acked or
    /// failed later, from any thread. A handle that is dropped fails its tuple. Until then emits go
    /// on being anchored to the input. How many tuples are kept is up to the bolt: what is retained
    /// has left its queue, and nothing else bounds it.
    pub fn retain(&mut self, input: &Tuple<'_>) -> Retained {
        self.sink.retain(input)
    }

    /// Starts the timeout of the input's trees anew.
    pub fn reset_timeout(&mut self, input: &Tuple<'_>) {
        self.sink.reset_timeout(input.row());
    }

    /// Reports an error without failing the input.
    pub fn report_error(&mut self, error: impl Into<ComponentError>) {
        self.sink.report_error(error.into());
    }

    /// Time of the call on the engine's clock, a virtual one in tests: what a bolt takes for "now"
    /// instead of the system's clock.
    ///
    /// It costs nothing: the engine reads its clock once per step of some 100 microseconds, so it is
    /// that far behind, and more in a bolt that has just turned slow. Who measures how long something
    /// takes within a call asks [`TaskContext::clock`](crate::TaskContext::clock).
    #[inline]
    pub fn now(&self) -> Time {
        self.sink.now()
    }

    #[inline(always)]
    fn send<R: Row>(
        &mut self,
        stream: Option<&str>,
        task: Option<TaskId>,
        anchoring: Anchoring<'_>,
        row: &R,
    ) -> Result<(), EmitError> {
        let (stream, values) = self.outputs.encode(self.builder, stream, task.is_some(), row)?;
        self.sink.emit(stream, task, anchoring, values)
    }

    #[cold]
    fn keep(&mut self, error: EmitError) {
        self.error.get_or_insert_with(|| Box::new(error));
    }
}

/// One emit in the making; see [`BoltOutput::on`].
#[must_use = "nothing is emitted before emit or try_emit"]
pub struct BoltEmit<'o, 'a> {
    out: &'o mut BoltOutput<'a>,
    stream: &'o str,
    task: Option<TaskId>,
    anchoring: Anchoring<'o>,
}

impl<'o> BoltEmit<'o, '_> {
    /// Names the task; for direct streams.
    #[inline]
    pub fn task(self, task: TaskId) -> Self {
        BoltEmit { task: Some(task), ..self }
    }

    /// Without anchor.
    #[inline]
    pub fn unanchored(self) -> Self {
        BoltEmit { anchoring: Anchoring::None, ..self }
    }

    /// Anchored to these tuples instead of the input.
    #[inline]
    pub fn anchored(self, anchors: &'o [AnchorTo<'o>]) -> Self {
        BoltEmit { anchoring: Anchoring::To(anchors), ..self }
    }

    /// Emits; an error is kept and fails the input.
    #[inline]
    pub fn emit(self, row: impl Row) {
        if let Err(error) = self.out.send(Some(self.stream), self.task, self.anchoring, &row) {
            self.out.keep(error);
        }
    }

    /// Emits.
    ///
    /// # Errors
    /// See [`EmitError`].
    #[inline]
    pub fn try_emit(self, row: impl Row) -> Result<(), EmitError> {
        self.out.send(Some(self.stream), self.task, self.anchoring, &row)
    }
}
