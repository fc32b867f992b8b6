//! A bolt by itself.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use storm_model::{ComponentKind, DEFAULT_STREAM, Fields, TaskId, Value};
use storm_row::{Batch, Header, Row, RowBuilder, RowRef, Values};
use storm_topology::{
    Anchoring, Bolt, BoltError, BoltOutput, BoltSink, ComponentError, EmitError, Message, OutputDeclarer,
    Outputs, Resolution, Retained, RetainedHome, StreamInfo, Tuple,
};

use super::fakes::{FakePort, Surroundings, TASK, UNDER_TEST};
use super::record::{Emission, on_default, on_stream};

/// Longest row of a test.
const MAX_ROW: usize = 64 << 20;

/// Runs one bolt without an engine: tuple by tuple, on the caller's thread.
///
/// See the [module](super) for an example.
pub struct BoltTest<B> {
    bolt: B,
    surroundings: Surroundings,
    outputs: Outputs,
    builder: RowBuilder,
    input: Arc<StreamInfo>,
    is_prepared: bool,
    /// Retained and neither acked nor failed.
    retained: Vec<u64>,
    next_key: u64,
    settled: (usize, usize),
}

/// What became of a tuple when `execute` returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Acked.
    Acked,
    /// Failed: by `Err`, by `fail`, or by an emit that was refused.
    Failed,
    /// Retained, and still open.
    Retained,
    /// There was no tuple: a tick or a message.
    NoTuple,
}

/// What a call of the bolt did.
#[derive(Clone, Debug)]
pub struct Done {
    outcome: Outcome,
    emissions: Vec<Emission>,
    errors: Vec<String>,
}

impl Done {
    /// What became of the tuple.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether the tuple was acked.
    pub fn is_acked(&self) -> bool {
        self.outcome == Outcome::Acked
    }

    /// Whether the tuple failed.
    pub fn is_failed(&self) -> bool {
        self.outcome == Outcome::Failed
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

    /// The first error that was returned, reported or kept by an emit.
    pub fn error(&self) -> Option<&str> {
        self.errors.first().map(String::as_str)
    }
}

impl<B: Bolt> BoltTest<B> {
    /// A test of this bolt. Its tuples come from stream `default` of a component `source` without
    /// fields, unless [`input`](BoltTest::input) says otherwise.
    pub fn new(bolt: B) -> BoltTest<B> {
        let mut declarer = OutputDeclarer::new();
        bolt.declare_outputs(&mut declarer);
        BoltTest {
            bolt,
            surroundings: Surroundings::new(),
            outputs: Outputs::new(UNDER_TEST.into(), declarer.into_streams()),
            builder: RowBuilder::new(MAX_ROW),
            input: stream_info("source", DEFAULT_STREAM, Fields::new([""; 0])),
            is_prepared: false,
            retained: Vec::new(),
            next_key: 0,
            settled: (0, 0),
        }
    }

    /// The following tuples come from this component's stream `default` and have these fields.
    pub fn input<N: AsRef<str>>(mut self, component: &str, fields: impl IntoIterator<Item = N>) -> Self {
        self.set_input(component, DEFAULT_STREAM, fields);
        self
    }

    /// Changes where the following tuples come from.
    pub fn set_input<N: AsRef<str>>(
        &mut self,
        component: &str,
        stream: &str,
        fields: impl IntoIterator<Item = N>,
    ) {
        self.input = stream_info(component, stream, Fields::new(fields));
    }

    /// Sets a configuration key that the bolt reads from its context.
    pub fn config(mut self, key: &str, value: impl Into<Json>) -> Self {
        self.surroundings.set(key, value.into());
        self
    }

    /// Adds a worker resource that the bolt reads from its context.
    pub fn resource<T: Any + Send + Sync>(mut self, name: &str, resource: T) -> Self {
        self.surroundings.resources.put(name, resource);
        self
    }

    /// Prepares the bolt; otherwise the first call does.
    ///
    /// # Errors
    /// What `prepare` returns.
    pub fn prepare(&mut self) -> Result<(), BoltError> {
        self.is_prepared = true;
        let ctx = self.surroundings.context(ComponentKind::Bolt, self.outputs.streams.clone());
        self.bolt.prepare(&ctx)
    }

    /// Gives the bolt a tuple.
    ///
    /// # Panics
    /// When the row has not as many values as the input has fields, when `prepare` fails, and when
    /// the bolt panics.
    pub fn execute(&mut self, row: impl Row) -> Done {
        self.prepare_once();
        let mut batch = Batch::new();
        let mut builder = RowBuilder::new(MAX_ROW);
        let values = builder.write_row(&row).expect("a row that can be written");
        let fields = &self.input.fields;
        assert_eq!(values.arity(), fields.len(), "values of a tuple with the fields {fields}");
        // One anchor, so that the tuple looks tracked.
        let anchor = storm_row::Anchor { task: TASK, root: 1, edge: 1 };
        batch.push(Header { target: TASK, source: TASK, stream: 0 }, &[anchor], values);
        let row = batch.iter().next().expect("the row that was just pushed");
        let info = self.input.clone();
        let tuple = Tuple::new(row, &info);
        self.call(Some(row), |bolt, out| bolt.execute(&tuple, out))
    }

    /// Calls `on_tick`.
    pub fn tick(&mut self) -> Done {
        self.prepare_once();
        self.call(None, |bolt, out| bolt.on_tick(out))
    }

    /// Gives the bolt the messages that were sent to its inbox, each with its own result.
    pub fn deliver_messages(&mut self) -> Vec<Done> {
        self.prepare_once();
        let messages = self.surroundings.port.take_messages();
        messages.into_iter().map(|m| self.call(None, |bolt, out| bolt.on_message(m, out))).collect()
    }

    /// Gives the bolt a message.
    pub fn message(&mut self, message: impl Any + Send) -> Done {
        self.prepare_once();
        self.call(None, |bolt, out| bolt.on_message(Message::new(message), out))
    }

    /// How many retained tuples were acked and failed so far.
    pub fn settled(&mut self) -> (usize, usize) {
        for (key, resolution) in self.surroundings.port.take_resolutions() {
            let Some(at) = self.retained.iter().position(|k| *k == key) else { continue };
            match resolution {
                Resolution::Ack => self.settled.0 += 1,
                Resolution::Fail => self.settled.1 += 1,
                Resolution::ResetTimeout => continue,
            }
            self.retained.swap_remove(at);
        }
        self.settled
    }

    /// Tuples that are retained, neither acked nor failed.
    pub fn retained(&mut self) -> usize {
        self.settled();
        self.retained.len()
    }

    /// Moves the virtual clock on.
    pub fn advance(&self, by: Duration) {
        self.surroundings.clock.advance(by);
    }

    /// The bolt.
    pub fn bolt(&mut self) -> &mut B {
        &mut self.bolt
    }

    fn prepare_once(&mut self) {
        if !self.is_prepared {
            self.prepare().expect("prepare succeeds; call it by hand to look at its error");
        }
    }

    fn call(
        &mut self,
        input: Option<RowRef<'_>>,
        user_code: impl FnOnce(&mut B, &mut BoltOutput<'_>) -> Result<(), BoltError>,
    ) -> Done {
        let last_key = self.next_key;
        let mut sink = RecordingSink {
            outputs: &self.outputs,
            port: &self.surroundings.port,
            input,
            outcome: if input.is_some() { None } else { Some(Outcome::NoTuple) },
            emissions: Vec::new(),
            retained: &mut self.retained,
            next_key: &mut self.next_key,
            info: &self.input,
        };
        let mut out = BoltOutput::new(&self.outputs, &mut self.builder, &mut sink);
        let result = user_code(&mut self.bolt, &mut out);
        let emit_error = out.into_error().map(|e| ComponentError::from(*e));
        let error = result.err().or(emit_error);
        if let Some(error) = &error {
            self.surroundings.port.report(error);
        }
        let outcome = match (sink.outcome, &error) {
            // As in the engine: an error fails the tuple, retained or not.
            (Some(Outcome::Retained), Some(_)) => Outcome::Failed,
            (Some(outcome), _) => outcome,
            (None, Some(_)) => Outcome::Failed,
            (None, None) => Outcome::Acked,
        };
        let emissions = sink.emissions;
        if outcome == Outcome::Failed {
            // What this call retained has failed with it.
            self.retained.retain(|key| *key <= last_key);
        }
        Done { outcome, emissions, errors: self.surroundings.port.take_errors() }
    }
}

fn stream_info(component: &str, stream: &str, fields: Fields) -> Arc<StreamInfo> {
    Arc::new(StreamInfo { component: component.into(), stream: stream.into(), fields })
}

struct RecordingSink<'a> {
    outputs: &'a Outputs,
    port: &'a Arc<FakePort>,
    input: Option<RowRef<'a>>,
    outcome: Option<Outcome>,
    emissions: Vec<Emission>,
    retained: &'a mut Vec<u64>,
    next_key: &'a mut u64,
    info: &'a Arc<StreamInfo>,
}

impl BoltSink for RecordingSink<'_> {
    fn emit(
        &mut self,
        stream: u16,
        task: Option<TaskId>,
        anchoring: Anchoring<'_>,
        values: Values<'_>,
    ) -> Result<(), EmitError> {
        let is_open = matches!(self.outcome, None | Some(Outcome::Retained));
        self.emissions.push(Emission {
            stream: self.outputs.streams[usize::from(stream)].id.to_string(),
            values: values.to_values(),
            task,
            is_anchored: match anchoring {
                Anchoring::Input => self.input.is_some() && is_open,
                Anchoring::None => false,
                Anchoring::To(anchors) => !anchors.is_empty(),
            },
        });
        Ok(())
    }

    fn ack(&mut self, _: RowRef<'_>) {
        self.outcome.get_or_insert(Outcome::Acked);
    }

    fn fail(&mut self, _: RowRef<'_>) {
        self.outcome.get_or_insert(Outcome::Failed);
    }

    fn retain(&mut self, input: &Tuple<'_>) -> Retained {
        self.outcome.get_or_insert(Outcome::Retained);
        *self.next_key += 1;
        self.retained.push(*self.next_key);
        let home: Arc<dyn RetainedHome> = self.port.clone();
        Retained::new(input, self.info.clone(), *self.next_key, home)
    }

    fn reset_timeout(&mut self, _: RowRef<'_>) {}

    fn report_error(&mut self, error: ComponentError) {
        self.port.report(&error);
    }
}
