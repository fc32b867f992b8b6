//! A whole topology on one thread and a virtual clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;
use storm_config::{Config, ConfigErrors, Origin};
use storm_engine::stepped::Stepped;
use storm_engine::{ErrorReport, Snapshot, VirtualClock};
use storm_model::{ComponentId, StreamId, TaskId, Time, Value};
use storm_row::{Row, RowBuilder, Values};
use storm_topology::{
    AnySpout, Bolt, BoltError, BoltOutput, Clock, ComponentError, Factory, FailCause, Message, Next,
    OutputDeclarer, Spout, SpoutError, SpoutOutput, SpoutTask, TaskContext, TaskHook, Topology, Tuple,
};

use super::record::compare_rows;
use crate::configure::configure;

/// Runs a topology with fixed input until everything is processed: the engine itself, stepped in an
/// order drawn from a seed.
///
/// See the [module](super) for an example.
pub struct TopologyTest {
    topology: Topology,
    seed: u64,
    limit: Time,
    log: Log,
}

/// What each component emitted: stream and values, in order.
type Emitted = BTreeMap<String, Vec<(StreamId, Vec<Value>)>>;
type Log = Arc<Mutex<Emitted>>;

/// What happened in a run.
#[derive(Debug)]
pub struct Completed {
    emitted: Emitted,
    snapshot: Snapshot,
    errors: Vec<ErrorReport>,
    ended: Time,
}

impl TopologyTest {
    /// A test of this topology.
    pub fn new(topology: Topology) -> TopologyTest {
        TopologyTest { topology, seed: 1, limit: Time::from_secs(24 * 3600), log: Log::default() }
    }

    /// Replaces a spout by one that emits these rows to stream `default`, tracked, and again when
    /// they fail; with several tasks each emits all of them.
    ///
    /// # Panics
    /// When there is no such spout, or a row has not as many values as its stream has fields.
    pub fn replace_spout<R: Row>(self, id: &str, rows: impl IntoIterator<Item = R>) -> Self {
        self.replace_stream(id, storm_model::DEFAULT_STREAM, rows)
    }

    /// As [`replace_spout`](Self::replace_spout), for another stream.
    ///
    /// # Panics
    /// As [`replace_spout`](Self::replace_spout).
    pub fn replace_stream<R: Row>(
        mut self,
        id: &str,
        stream: &str,
        rows: impl IntoIterator<Item = R>,
    ) -> Self {
        let spec = self.topology.spec.components.get(id).filter(|c| c.inputs.is_empty());
        let spec = spec.unwrap_or_else(|| panic!("the topology has no spout '{id}'"));
        let (_, declared) = spec.output(stream).unwrap_or_else(|| panic!("'{id}' has no stream '{stream}'"));
        let mut builder = RowBuilder::new(64 << 20);
        let mut owned = |row: R| {
            let values = builder.write_row(&row).expect("a row that can be written");
            let found = values.arity();
            assert_eq!(found, declared.fields.len(), "values for the fields {} of '{id}'", declared.fields);
            values.to_values()
        };
        let rows: Arc<[Vec<Value>]> = rows.into_iter().map(&mut owned).collect();
        let stream: StreamId = stream.into();
        let make = move || -> Box<dyn AnySpout> {
            let left = (0..rows.len()).collect();
            Box::new(SpoutTask::new(Fixed { rows: rows.clone(), stream: stream.clone(), left }))
        };
        self.topology.factories.insert(id.into(), Factory::Spout(Arc::new(make)));
        self
    }

    /// Sets a configuration key, above the topology's own.
    pub fn config(mut self, key: &str, value: impl Into<Json>) -> Self {
        self.topology.spec.config.insert(key.to_owned(), value.into());
        self
    }

    /// The seed of the order in which executors run and of all random numbers of the engine: the
    /// same seed gives the same run. Default: 1.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How long the run may take on the virtual clock. Default: a day.
    pub fn within(mut self, limit: std::time::Duration) -> Self {
        self.limit = Time::ZERO + limit;
        self
    }

    /// Runs until every spout is done and everything is processed.
    ///
    /// # Panics
    /// When the topology does not start, when it is not done in time, or when the books do not add
    /// up: a tuple that was emitted is not accounted for.
    pub fn complete(self) -> Completed {
        let (seed, limit) = (self.seed, self.limit);
        let (mut run, log) = self.start();
        let begin = run.clock().now();
        let is_done = run.run_to_end(begin + std::time::Duration::from_nanos(limit.as_nanos()));
        let ended = run.clock().now() - std::time::Duration::from_nanos(begin.as_nanos());
        let errors = run.take_errors();
        let snapshot = run.snapshot();
        assert!(
            is_done,
            "not done after {ended:?} (seed {seed}); errors: {errors:#?}; figures: {snapshot:#?}"
        );
        let wrong = snapshot.audit(true);
        assert!(wrong.is_empty(), "the books do not add up (seed {seed}): {wrong:#?}");
        run.stop();
        let emitted = std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));
        Completed { emitted, snapshot, errors, ended }
    }

    fn start(mut self) -> (Stepped, Log) {
        for (id, factory) in &mut self.topology.factories {
            *factory = watched(id, factory.clone(), &self.log);
        }
        let code = self.topology.spec.config.clone().into_iter().collect();
        let configured = |topology: &mut Topology| -> Result<_, Box<dyn std::error::Error>> {
            let mut config = Config::defaults();
            let layered: Result<(), ConfigErrors> = config.layer(&Origin::TopologyCode, &code);
            layered?;
            Ok(configure(topology, &config)?)
        };
        let settings = configured(&mut self.topology)
            .unwrap_or_else(|e| panic!("the topology cannot be configured: {e}"));
        let run = Stepped::start(self.topology, settings, Arc::new(VirtualClock::new()), self.seed);
        (run.unwrap_or_else(|e| panic!("the topology does not start: {e}")), self.log)
    }
}

impl Completed {
    /// Values that a component emitted to stream `default`, in order of the emits.
    pub fn emitted(&self, component: &str) -> Vec<Vec<Value>> {
        self.emitted_to(component, storm_model::DEFAULT_STREAM)
    }

    /// The same sorted: for assertions where the order depends on the seed.
    pub fn emitted_sorted(&self, component: &str) -> Vec<Vec<Value>> {
        let mut rows = self.emitted(component);
        rows.sort_by(|a, b| compare_rows(a, b));
        rows
    }

    /// Values that a component emitted to a stream, in order of the emits.
    pub fn emitted_to(&self, component: &str, stream: &str) -> Vec<Vec<Value>> {
        let emits = self.emitted.get(component).into_iter().flatten();
        emits.filter(|(s, _)| *s == *stream).map(|(_, values)| values.clone()).collect()
    }

    /// Tuples that a component acked: a spout's trees, a bolt's inputs.
    pub fn acked(&self, component: &str) -> u64 {
        self.snapshot.sum(component, |t| t.acked)
    }

    /// Tuples that a component failed: a spout's trees, a bolt's inputs.
    pub fn failed(&self, component: &str) -> u64 {
        self.snapshot.sum(component, |t| t.failed)
    }

    /// All figures.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Errors that components had.
    pub fn errors(&self) -> &[ErrorReport] {
        &self.errors
    }

    /// How long it took on the virtual clock.
    pub fn took(&self) -> std::time::Duration {
        self.ended.since(Time::ZERO)
    }
}

/// Emits fixed rows, and again those that failed.
struct Fixed {
    rows: Arc<[Vec<Value>]>,
    stream: StreamId,
    left: VecDeque<usize>,
}

impl Spout for Fixed {
    type MessageId = usize;

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, usize>) -> Result<Next, SpoutError> {
        let Some(at) = self.left.pop_front() else { return Ok(Next::Done) };
        out.on(self.stream.as_str()).tracked(at).emit(&self.rows[at]);
        Ok(Next::Emitted)
    }

    fn fail(&mut self, at: usize, _: FailCause) {
        self.left.push_back(at);
    }
}

/// The same component, with a hook that writes down what it emits.
fn watched(id: &ComponentId, factory: Factory, log: &Log) -> Factory {
    let (id, log) = (id.to_string(), log.clone());
    let hook = move || Recorder { component: id.clone(), log: log.clone() };
    match factory {
        Factory::Bolt(make) => {
            Factory::Bolt(Arc::new(move || Box::new(WatchedBolt { bolt: make(), hook: Some(hook()) })))
        }
        Factory::Spout(make) => {
            Factory::Spout(Arc::new(move || Box::new(WatchedSpout { spout: make(), hook: Some(hook()) })))
        }
    }
}

struct Recorder {
    component: String,
    log: Log,
}

impl TaskHook for Recorder {
    fn emit(&mut self, _: TaskId, stream: &StreamId, values: Values<'_>, _: usize) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.entry(self.component.clone()).or_default().push((stream.clone(), values.to_values()));
    }
}

struct WatchedBolt {
    bolt: Box<dyn Bolt>,
    hook: Option<Recorder>,
}

impl Bolt for WatchedBolt {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        self.bolt.declare_outputs(out);
    }

    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.hook.take().into_iter().for_each(|hook| ctx.add_hook(hook));
        self.bolt.prepare(ctx)
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.bolt.execute(input, out)
    }

    fn on_tick(&mut self, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.bolt.on_tick(out)
    }

    fn on_message(&mut self, message: Message, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.bolt.on_message(message, out)
    }

    fn cleanup(&mut self) {
        self.bolt.cleanup();
    }
}

struct WatchedSpout {
    spout: Box<dyn AnySpout>,
    hook: Option<Recorder>,
}

impl AnySpout for WatchedSpout {
    fn open(&mut self, ctx: &TaskContext) -> Result<(), ComponentError> {
        self.hook.take().into_iter().for_each(|hook| ctx.add_hook(hook));
        self.spout.open(ctx)
    }

    fn next_tuple(
        &mut self,
        outputs: &storm_topology::Outputs,
        builder: &mut RowBuilder,
        sink: &mut dyn storm_topology::SpoutSink,
    ) -> (Result<Next, SpoutError>, Option<Box<storm_topology::EmitError>>) {
        self.spout.next_tuple(outputs, builder, sink)
    }

    fn ack(&mut self, slot: u32) {
        self.spout.ack(slot);
    }

    fn fail(&mut self, slot: u32, cause: FailCause) {
        self.spout.fail(slot, cause);
    }

    fn fail_refused(&mut self) -> usize {
        self.spout.fail_refused()
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
