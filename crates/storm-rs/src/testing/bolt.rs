//! A bolt by itself.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use storm_model::{ComponentKind, DEFAULT_STREAM, Fields, TaskId, Time, Value};
use storm_row::{Batch, Header, Row, RowBuilder, RowRef, Values};
use storm_topology::{
    Anchoring, Bolt, BoltError, BoltOutput, BoltSink, Clock, ComponentError, EmitError, Message,
    OutputDeclarer, Outputs, Resolution, Retained, RetainedHome, StreamInfo, Tuple,
};

use super::MAX_ROW;
use super::fakes::{Reported, Surroundings, UNDER_TEST};
use super::record::{Emission, Record, on_default, on_stream, shown};
use super::records::{Records, listed};

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
    retained: Vec<Held>,
    next_key: u64,
    settled: (usize, usize),
    emits: Vec<Record>,
}

/// A retained tuple.
struct Held {
    key: u64,
    /// The tuple, for messages.
    tuple: String,
    since: Duration,
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
    errors: Vec<Reported>,
    /// The call, for messages.
    call: String,
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
        self.errors.first().map(|e| &*e.message)
    }

    /// Whether an error was to end the whole topology ([`BoltError::fatal`]).
    pub fn is_fatal(&self) -> bool {
        self.errors.iter().any(|e| e.is_fatal)
    }

    /// The tuple was acked and there was no error.
    ///
    /// # Panics
    /// When that is not so: with the tuple, what became of it, and the error.
    #[track_caller]
    pub fn assert_acked(&self) -> &Done {
        self.assert_outcome(Outcome::Acked);
        self.assert_no_errors()
    }

    /// There was no error: for ticks and messages, too.
    ///
    /// # Panics
    /// When there was one: with the call and the error.
    #[track_caller]
    pub fn assert_no_errors(&self) -> &Done {
        assert!(self.errors.is_empty(), "{}\nexpected: no error", self.told());
        self
    }

    /// The tuple was retained, and there was no error.
    ///
    /// # Panics
    /// As [`assert_acked`](Done::assert_acked).
    #[track_caller]
    pub fn assert_retained(&self) -> &Done {
        self.assert_outcome(Outcome::Retained);
        self.assert_no_errors()
    }

    /// The tuple failed, with an error whose message has this text in it (an empty text is in every
    /// message, and also fits a tuple that failed without an error).
    ///
    /// # Panics
    /// When that is not so: with the tuple, what became of it, and the error.
    #[track_caller]
    pub fn assert_failed(&self, text: &str) -> &Done {
        self.assert_outcome(Outcome::Failed);
        let is_told = text.is_empty() || self.errors.iter().any(|e| e.message.contains(text));
        assert!(is_told, "{}\nexpected: an error with '{text}' in it", self.told());
        self
    }

    #[track_caller]
    fn assert_outcome(&self, expected: Outcome) {
        assert!(self.outcome == expected, "{}\nexpected: {}", self.told(), expected.told());
    }

    fn told(&self) -> String {
        let errors: Vec<_> = self.errors.iter().map(|e| &*e.message).collect();
        let errors = if errors.is_empty() { "no error".to_owned() } else { errors.join("; ") };
        format!("{}: {}, {errors}", self.call, self.outcome.told())
    }
}

impl Outcome {
    fn told(self) -> &'static str {
        match self {
            Outcome::Acked => "acked",
            Outcome::Failed => "failed",
            Outcome::Retained => "retained",
            Outcome::NoTuple => "no tuple",
        }
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
    #[track_caller]
    pub fn execute(&mut self, row: impl Row) -> Done {
        self.prepare_once();
        let task = self.surroundings.task();
        let mut batch = Batch::new();
        let mut builder = RowBuilder::new(MAX_ROW);
        let values = builder.write_row(&row).expect("a row that can be written");
        let fields = &self.input.fields;
        let found = values.arity();
        assert!(found == fields.len(), "the row has {found} values, the input has the fields {fields}");
        // One anchor, so that the tuple looks tracked.
        let anchor = storm_row::Anchor { task, root: 1, edge: 1 };
        let told = shown(fields, &values.to_values());
        batch.push(Header { target: task, source: task, stream: 0 }, &[anchor], &values);
        let row = batch.iter().next().expect("the row that was just pushed");
        let info = self.input.clone();
        let tuple = Tuple::new(row, &info);
        self.call(told, Some(row), |bolt, out| bolt.execute(&tuple, out))
    }

    /// Calls `on_tick`.
    ///
    /// # Panics
    /// When `prepare` fails, and when the bolt panics.
    #[track_caller]
    pub fn tick(&mut self) -> Done {
        self.prepare_once();
        self.call("a tick".to_owned(), None, |bolt, out| bolt.on_tick(out))
    }

    /// Gives the bolt the messages that were sent to its inbox, each with its own result.
    ///
    /// # Panics
    /// When `prepare` fails, and when the bolt panics.
    #[track_caller]
    pub fn deliver_messages(&mut self) -> Vec<Done> {
        self.prepare_once();
        let messages = self.surroundings.port.take_messages();
        messages.into_iter().map(|message| self.give(message)).collect()
    }

    /// Gives the bolt a message.
    ///
    /// # Panics
    /// When `prepare` fails, and when the bolt panics.
    #[track_caller]
    pub fn message(&mut self, message: impl Any + Send) -> Done {
        self.prepare_once();
        self.give(Message::new(message))
    }

    fn give(&mut self, message: Message) -> Done {
        self.call("a message".to_owned(), None, |bolt, out| bolt.on_message(message, out))
    }

    /// How many retained tuples were acked and failed so far.
    pub fn settled(&mut self) -> (usize, usize) {
        for (key, resolution) in self.surroundings.port.take_resolutions() {
            let Some(at) = self.retained.iter().position(|held| held.key == key) else { continue };
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

    /// Every tuple so far was acked or failed: the bolt holds none.
    ///
    /// # Panics
    /// When it holds some: with each tuple and since when.
    #[track_caller]
    pub fn assert_all_settled(&mut self) {
        self.settled();
        let told = |held: &Held| {
            let Held { tuple, since, .. } = held;
            format!("{tuple} since {since:?} after the start, neither acked nor failed")
        };
        let held: Vec<_> = self.retained.iter().map(told).collect();
        if !held.is_empty() {
            let (list, now) = (listed(&held), self.surroundings.elapsed());
            panic!(
                "'{UNDER_TEST}' retains, {now:?} after the start:\n{list}expected: every tuple is acked or failed"
            );
        }
    }

    /// What the bolt emitted in all calls so far, to be asserted about.
    pub fn emits(&self) -> Records {
        self.surroundings.records(&self.outputs.streams, &self.emits)
    }

    /// Moves the virtual clock on.
    pub fn advance(&self, by: Duration) {
        self.surroundings.clock.advance(by);
    }

    /// The virtual time, as the bolt sees it.
    pub fn now(&self) -> Time {
        self.surroundings.clock.now()
    }

    /// The bolt.
    pub fn bolt(&mut self) -> &mut B {
        &mut self.bolt
    }

    #[track_caller]
    fn prepare_once(&mut self) {
        if !self.is_prepared {
            self.prepare().expect("prepare succeeds; call it by hand to look at its error");
        }
    }

    fn call(
        &mut self,
        call: String,
        input: Option<RowRef<'_>>,
        user_code: impl FnOnce(&mut B, &mut BoltOutput<'_>) -> Result<(), BoltError>,
    ) -> Done {
        let last_key = self.next_key;
        let mut sink = RecordingSink {
            outputs: &self.outputs,
            surroundings: &self.surroundings,
            input,
            call: &call,
            outcome: if input.is_some() { None } else { Some(Outcome::NoTuple) },
            emissions: Vec::new(),
            emits: &mut self.emits,
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
            self.retained.retain(|held| held.key <= last_key);
        }
        Done { outcome, emissions, errors: self.surroundings.port.take_errors(), call }
    }
}

fn stream_info(component: &str, stream: &str, fields: Fields) -> Arc<StreamInfo> {
    Arc::new(StreamInfo { component: component.into(), stream: stream.into(), fields })
}

struct RecordingSink<'a> {
    outputs: &'a Outputs,
    surroundings: &'a Surroundings,
    input: Option<RowRef<'a>>,
    call: &'a str,
    outcome: Option<Outcome>,
    emissions: Vec<Emission>,
    emits: &'a mut Vec<Record>,
    retained: &'a mut Vec<Held>,
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
        let spec = &self.outputs.streams[usize::from(stream)];
        self.emits.push(self.surroundings.record(spec, values));
        self.emissions.push(Emission {
            stream: spec.id.to_string(),
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
        let (key, tuple) = (*self.next_key, self.call.to_owned());
        self.retained.push(Held { key, tuple, since: self.surroundings.elapsed() });
        let home: Arc<dyn RetainedHome> = self.surroundings.port.clone();
        Retained::new(input, self.info.clone(), *self.next_key, home)
    }

    fn reset_timeout(&mut self, _: RowRef<'_>) {}

    fn report_error(&mut self, error: ComponentError) {
        self.surroundings.port.report(&error);
    }

    fn now(&self) -> Time {
        self.surroundings.clock.now()
    }
}
