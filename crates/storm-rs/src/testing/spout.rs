//! A spout by itself.

use std::any::Any;
use std::time::Duration;

use serde_json::Value as Json;
use storm_model::{ComponentKind, TaskId, Time, Value};
use storm_row::{RowBuilder, Values};
use storm_topology::{
    AnySpout, Clock, ComponentError, EmitError, FailCause, Next, OutputDeclarer, Outputs, Spout, SpoutError,
    SpoutSink, SpoutTask,
};

use super::MAX_ROW;
use super::fakes::{Reported, Surroundings, UNDER_TEST};
use super::record::{Emission, Record, on_default, on_stream};
use super::records::Records;

/// Runs one spout without an engine, on the caller's thread.
///
/// See the [module](super) for an example.
pub struct SpoutTest {
    spout: Box<dyn AnySpout>,
    surroundings: Surroundings,
    outputs: Outputs,
    builder: RowBuilder,
    is_open: bool,
    next_slot: u32,
    pending: Vec<Slot>,
    emits: Vec<Record>,
}

/// A tracked tuple that is neither acked nor failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

/// What a call of `next_tuple` did.
#[derive(Clone, Debug)]
pub struct Asked {
    next: Option<Next>,
    emissions: Vec<Emission>,
    slots: Vec<Slot>,
    errors: Vec<Reported>,
}

impl Asked {
    /// What the spout said; `None` after an error.
    pub fn next(&self) -> Option<Next> {
        self.next
    }

    /// Values that were emitted to stream `default`, in order.
    pub fn emitted(&self) -> Vec<Vec<Value>> {
        on_default(&self.emissions)
    }

    /// Values that were emitted to a stream, in order.
    pub fn emitted_to(&self, stream: &str) -> Vec<Vec<Value>> {
        on_stream(&self.emissions, stream)
    }

    /// All emits, in order.
    pub fn emissions(&self) -> &[Emission] {
        &self.emissions
    }

    /// The tuples that this call tracked, to be acked or failed.
    pub fn pending(&self) -> &[Slot] {
        &self.slots
    }

    /// The first error that was returned, reported or kept by an emit.
    pub fn error(&self) -> Option<&str> {
        self.errors.first().map(|e| &*e.message)
    }

    /// Whether an error was to end the whole topology ([`SpoutError::fatal`]).
    pub fn is_fatal(&self) -> bool {
        self.errors.iter().any(|e| e.is_fatal)
    }
}

impl SpoutTest {
    /// A test of this spout.
    pub fn new<S: Spout>(spout: S) -> SpoutTest {
        let mut declarer = OutputDeclarer::new();
        spout.declare_outputs(&mut declarer);
        SpoutTest {
            spout: Box::new(SpoutTask::new(spout)),
            surroundings: Surroundings::new(),
            outputs: Outputs::new(UNDER_TEST.into(), declarer.into_streams()),
            builder: RowBuilder::new(MAX_ROW),
            is_open: false,
            next_slot: 0,
            pending: Vec::new(),
            emits: Vec::new(),
        }
    }

    /// Makes it task `index`, counted from 0, of `count`. Default: the only one.
    ///
    /// # Panics
    /// When `index` is not below `count`.
    #[track_caller]
    pub fn task(mut self, index: u32, count: u32) -> Self {
        self.surroundings.set_task(index, count);
        self
    }

    /// Sets a configuration key that the spout reads from its context.
    pub fn config(mut self, key: &str, value: impl Into<Json>) -> Self {
        self.surroundings.set(key, value.into());
        self
    }

    /// Adds a worker resource that the spout reads from its context.
    pub fn resource<T: Any + Send + Sync>(mut self, name: &str, resource: T) -> Self {
        self.surroundings.resources.put(name, resource);
        self
    }

    /// Opens and activates the spout; otherwise the first call does.
    ///
    /// # Errors
    /// What `open` returns.
    pub fn open(&mut self) -> Result<(), SpoutError> {
        self.is_open = true;
        let ctx = self.surroundings.context(ComponentKind::Spout, self.outputs.streams.clone());
        self.spout.open(&ctx)?;
        self.spout.activate();
        Ok(())
    }

    /// Calls `next_tuple` once.
    ///
    /// # Panics
    /// When `open` fails and when the spout panics.
    #[track_caller]
    pub fn ask(&mut self) -> Asked {
        if !self.is_open {
            self.open().expect("open succeeds; call it by hand to look at its error");
        }
        let mut sink = RecordingSink {
            outputs: &self.outputs,
            surroundings: &self.surroundings,
            pending: self.pending.len(),
            next_slot: &mut self.next_slot,
            slots: Vec::new(),
            emissions: Vec::new(),
            emits: &mut self.emits,
        };
        let (next, emit_error) = self.spout.next_tuple(&self.outputs, &mut self.builder, &mut sink);
        let RecordingSink { slots, emissions, .. } = sink;
        if let Err(error) = &next {
            self.surroundings.port.report(error);
        }
        if let Some(error) = emit_error {
            self.surroundings.port.report(&ComponentError::from(*error));
            self.spout.fail_refused();
        }
        self.pending.extend(&slots);
        Asked { next: next.ok(), emissions, slots, errors: self.surroundings.port.take_errors() }
    }

    /// Acks a tracked tuple; one that was acked or failed before is ignored, as by the engine.
    pub fn ack(&mut self, slot: Slot) {
        if self.end(slot) {
            self.spout.ack(slot.0);
        }
    }

    /// Fails a tracked tuple; one that was acked or failed before is ignored, as by the engine.
    pub fn fail(&mut self, slot: Slot, cause: FailCause) {
        if self.end(slot) {
            self.spout.fail(slot.0, cause);
        }
    }

    /// The tuples that are neither acked nor failed.
    pub fn pending(&self) -> &[Slot] {
        &self.pending
    }

    /// Asks until the spout has nothing more for now, or says that it is done, at most so many
    /// times; returns the last answer, and adds up what was emitted.
    ///
    /// # Panics
    /// As [`ask`](SpoutTest::ask).
    #[track_caller]
    pub fn drain(&mut self, times_max: usize) -> Asked {
        let mut all = Asked { next: None, emissions: Vec::new(), slots: Vec::new(), errors: Vec::new() };
        for _ in 0..times_max {
            let Asked { next, emissions, slots, errors } = self.ask();
            all.next = next;
            all.emissions.extend(emissions);
            all.slots.extend(slots);
            all.errors.extend(errors);
            if next != Some(Next::Emitted) {
                break;
            }
        }
        all
    }

    /// What the spout emitted in all calls so far, to be asserted about.
    pub fn emits(&self) -> Records {
        self.surroundings.records(&self.outputs.streams, &self.emits)
    }

    /// Tells the spout that the topology is deactivated.
    pub fn deactivate(&mut self) {
        self.spout.deactivate();
    }

    /// Tells the spout that the topology is activated.
    pub fn activate(&mut self) {
        self.spout.activate();
    }

    /// Closes the spout.
    pub fn close(mut self) {
        self.spout.close();
    }

    /// Moves the virtual clock on.
    pub fn advance(&self, by: Duration) {
        self.surroundings.clock.advance(by);
    }

    /// The virtual time, as the spout sees it.
    pub fn now(&self) -> Time {
        self.surroundings.clock.now()
    }

    fn end(&mut self, slot: Slot) -> bool {
        let place = self.pending.iter().position(|s| *s == slot);
        place.map(|at| self.pending.remove(at)).is_some()
    }
}

struct RecordingSink<'a> {
    outputs: &'a Outputs,
    surroundings: &'a Surroundings,
    pending: usize,
    next_slot: &'a mut u32,
    slots: Vec<Slot>,
    emissions: Vec<Emission>,
    emits: &'a mut Vec<Record>,
}

impl SpoutSink for RecordingSink<'_> {
    fn emit(
        &mut self,
        stream: u16,
        task: Option<TaskId>,
        tracked: bool,
        values: Values<'_>,
    ) -> Result<Option<u32>, EmitError> {
        let spec = &self.outputs.streams[usize::from(stream)];
        self.emits.push(self.surroundings.record(spec, values));
        self.emissions.push(Emission {
            stream: spec.id.to_string(),
            values: values.to_values(),
            task,
            is_anchored: tracked,
        });
        if !tracked {
            return Ok(None);
        }
        let slot = *self.next_slot;
        *self.next_slot += 1;
        self.slots.push(Slot(slot));
        Ok(Some(slot))
    }

    fn pending(&self) -> usize {
        self.pending + self.slots.len()
    }

    fn report_error(&mut self, error: ComponentError) {
        self.surroundings.port.report(&error);
    }

    fn now(&self) -> Time {
        self.surroundings.clock.now()
    }
}
