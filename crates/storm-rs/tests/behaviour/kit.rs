//! Small spouts and bolts that tests are made of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use storm_rs::engine::stepped::Stepped;
use storm_rs::engine::{ComponentSettings, Settings, Snapshot, VirtualClock};
use storm_rs::prelude::*;
use storm_rs::{ComponentId, Time};

/// What happened, from all tasks in the order in which it happened.
pub type Log<T> = Arc<Mutex<Vec<T>>>;

pub fn log<T>() -> Log<T> {
    Arc::default()
}

pub fn taken<T>(log: &Log<T>) -> Vec<T> {
    std::mem::take(&mut *log.lock().unwrap())
}

/// Emits the numbers from 0 up to a count, tracked or not, each once; remembers what came back.
pub struct Numbers {
    pub count: i64,
    pub is_tracked: bool,
    /// Emit again what failed.
    pub is_replaying: bool,
    next: i64,
    again: Vec<i64>,
    pub outcomes: Log<(i64, Option<FailCause>)>,
}

impl Numbers {
    pub fn new(count: i64) -> Numbers {
        Numbers { count, is_tracked: true, is_replaying: false, next: 0, again: vec![], outcomes: log() }
    }

    pub fn untracked(count: i64) -> Numbers {
        Numbers { is_tracked: false, ..Numbers::new(count) }
    }

    pub fn replaying(count: i64) -> Numbers {
        Numbers { is_replaying: true, ..Numbers::new(count) }
    }

    pub fn with_outcomes(self, outcomes: &Log<(i64, Option<FailCause>)>) -> Numbers {
        Numbers { outcomes: outcomes.clone(), ..self }
    }
}

impl Spout for Numbers {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<i64>) -> Result<Next, SpoutError> {
        if let Some(n) = self.again.pop() {
            out.emit_replayed(n, (n,));
            return Ok(Next::Emitted);
        }
        if self.next == self.count {
            return Ok(Next::Done);
        }
        let n = self.next;
        self.next += 1;
        if self.is_tracked {
            out.emit_tracked(n, (n,))
        } else {
            out.emit((n,))
        }
        Ok(Next::Emitted)
    }

    fn ack(&mut self, n: i64) {
        self.outcomes.lock().unwrap().push((n, None));
    }

    fn fail(&mut self, n: i64, cause: FailCause) {
        self.outcomes.lock().unwrap().push((n, Some(cause)));
        if self.is_replaying {
            self.again.push(n);
        }
    }
}

/// A bolt made of a closure that is called per tuple; emits one field `n` to `default`.
pub struct Func<F>(pub F);

impl<F> Bolt for Func<F>
where
    F: FnMut(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError> + Send + 'static,
{
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        (self.0)(input, out)
    }
}

/// A factory of a bolt made of a closure.
pub fn func<F>(f: F) -> impl Fn() -> Func<F> + Send + Sync
where
    F: FnMut(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError> + Clone + Send + Sync + 'static,
{
    move || Func(f.clone())
}

/// Passes the number on.
pub fn pass() -> impl Fn() -> Func<fn(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError>> {
    || {
        Func(|input, out| {
            out.emit((input.get::<i64>("n")?,));
            Ok(())
        })
    }
}

/// Writes down (its task, the number).
pub struct Sink {
    pub got: Log<(TaskId, i64)>,
    task: TaskId,
}

pub fn sink(got: &Log<(TaskId, i64)>) -> impl Fn() -> Sink + Send + Sync + 'static {
    let got = got.clone();
    move || Sink { got: got.clone(), task: TaskId(0) }
}

impl Bolt for Sink {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.task = ctx.task();
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let n = input.get::<i64>(0)?;
        self.got.lock().unwrap().push((self.task, n));
        Ok(())
    }
}

/// Settings of a test: an hour on the virtual clock is nothing.
pub fn settings() -> Settings {
    Settings { threads: threads(), ..Settings::default() }
}

/// Threads that the executors share: none in the tests named `behaviour`, two in `behaviour_shared`.
pub fn threads() -> Option<u32> {
    (env!("CARGO_CRATE_NAME") == "behaviour_shared").then_some(2)
}

pub fn with_timeout(secs: u64) -> Settings {
    Settings { message_timeout: Duration::from_secs(secs), ..settings() }
}

pub fn component(settings: Settings, id: &str, own: ComponentSettings) -> Settings {
    let mut settings = settings;
    settings.components.insert(ComponentId::from(id), own);
    settings
}

pub fn stepped(topology: Topology, settings: Settings, seed: u64) -> Stepped {
    let clock = Arc::new(VirtualClock::new());
    Stepped::start(topology, settings, clock, seed).unwrap()
}

/// Runs to the end, checks the books, and returns the figures.
pub fn complete(topology: Topology, settings: Settings, seed: u64) -> Snapshot {
    let mut run = stepped(topology, settings, seed);
    assert!(
        run.run_to_end(Time::from_secs(3600)),
        "not done within an hour (seed {seed}): {:#?}",
        run.snapshot()
    );
    let snapshot = run.snapshot();
    assert_eq!(snapshot.audit(true), [""; 0], "seed {seed}");
    run.stop();
    snapshot
}

/// How often each number came.
pub fn tally(got: &Log<(TaskId, i64)>) -> BTreeMap<i64, usize> {
    let mut tally = BTreeMap::new();
    for (_, n) in got.lock().unwrap().iter() {
        *tally.entry(*n).or_default() += 1;
    }
    tally
}

/// Whether each of `0..count` came exactly once.
pub fn is_exact(got: &Log<(TaskId, i64)>, count: i64) -> bool {
    tally(got).into_iter().eq((0..count).map(|n| (n, 1)))
}

/// Runs on real threads until every spout is done and everything is processed, and checks the
/// books.
pub fn complete_on_threads(topology: Topology, settings: Settings) -> Snapshot {
    use storm_rs::engine::{Event, Options, Run};
    let options = Options { name: "test".to_owned(), seed: 1, is_active: true };
    let mut run = Run::start(topology, settings, options).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    run.watch();
    while !run.is_complete() {
        assert!(std::time::Instant::now() < deadline, "{:#?}", run.snapshot(Duration::from_secs(1)));
        if let Some(Event::Ended { .. }) = run.next_event(Duration::from_secs(1)) {
            panic!("an executor thread has ended: {:#?}", run.snapshot(Duration::from_secs(1)));
        }
    }
    let snapshot = run.snapshot(Duration::from_secs(10));
    assert_eq!(snapshot.audit(true), [""; 0]);
    run.stop();
    snapshot
}

// === Components of closures with streams of their own, configured topologies ===

/// What became of tracked tuples: the number, and the cause if it failed.
pub type Outcomes = Log<(i64, Option<FailCause>)>;

/// A spout made of a closure that is called per `next_tuple`.
pub struct Source<F> {
    declare: fn(&mut OutputDeclarer),
    next: F,
    outcomes: Outcomes,
}

/// A factory of a spout made of a closure.
pub fn source<F>(
    declare: fn(&mut OutputDeclarer),
    outcomes: &Outcomes,
    next: F,
) -> impl Fn() -> Source<F> + Send + Sync + 'static
where
    F: FnMut(&mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> + Clone + Send + Sync + 'static,
{
    let outcomes = outcomes.clone();
    move || Source { declare, next: next.clone(), outcomes: outcomes.clone() }
}

impl<F> Spout for Source<F>
where
    F: FnMut(&mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> + Send + 'static,
{
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        (self.declare)(out);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        (self.next)(out)
    }

    fn ack(&mut self, n: i64) {
        self.outcomes.lock().unwrap().push((n, None));
    }

    fn fail(&mut self, n: i64, cause: FailCause) {
        self.outcomes.lock().unwrap().push((n, Some(cause)));
    }
}

/// A bolt made of a closure that is called per tuple, with streams of its own.
pub struct Bolted<F> {
    declare: fn(&mut OutputDeclarer),
    execute: F,
}

/// A factory of a bolt made of a closure, with streams of its own.
pub fn bolted<F>(
    declare: fn(&mut OutputDeclarer),
    execute: F,
) -> impl Fn() -> Bolted<F> + Send + Sync + 'static
where
    F: FnMut(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError> + Clone + Send + Sync + 'static,
{
    move || Bolted { declare, execute: execute.clone() }
}

impl<F> Bolt for Bolted<F>
where
    F: FnMut(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError> + Send + 'static,
{
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        (self.declare)(out);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        (self.execute)(input, out)
    }
}

/// As [`stepped`], on a clock that the topology may know.
pub fn stepped_on(clock: &Arc<VirtualClock>, topology: Topology, settings: Settings, seed: u64) -> Stepped {
    Stepped::start(topology, settings, clock.clone(), seed).unwrap()
}

/// Runs to the end, and returns the errors that were reported beside the figures.
pub fn complete_with_errors(
    topology: Topology,
    settings: Settings,
) -> (Snapshot, Vec<storm_rs::engine::ErrorReport>) {
    let mut run = stepped(topology, settings, 3);
    assert!(run.run_to_end(Time::from_secs(3600)), "not done within an hour: {:#?}", run.snapshot());
    let (snapshot, errors) = (run.snapshot(), run.take_errors());
    assert_eq!(snapshot.audit(true), [""; 0]);
    run.stop();
    (snapshot, errors)
}

/// The engine's settings for a topology with the configuration of its code and `key=value`
/// arguments from outside.
pub fn configured(topology: &mut Topology, arguments: &[&str]) -> Settings {
    try_configured(topology, arguments).unwrap_or_else(|error| panic!("{error}"))
}

/// As [`configured`]; the error as text.
pub fn try_configured(topology: &mut Topology, arguments: &[&str]) -> Result<Settings, String> {
    let sources = storm_rs::config::Sources {
        topology_code: topology.spec.config.clone().into_iter().collect(),
        arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
        ..Default::default()
    };
    let config = sources.load().map_err(|e| e.to_string())?;
    storm_rs::configure::configure(topology, &config).map_err(|e| e.to_string())
}

/// Outcomes in order of their numbers.
pub fn sorted(outcomes: &Outcomes) -> Vec<(i64, Option<FailCause>)> {
    let mut all = taken(outcomes);
    all.sort_by_key(|(n, _)| *n);
    all
}
