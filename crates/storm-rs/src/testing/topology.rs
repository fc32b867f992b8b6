//! A whole topology on one thread and a virtual clock.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use storm_config::{Config, ConfigErrors, Origin};
use storm_engine::stepped::Stepped;
use storm_engine::{ErrorKind, ErrorReport, VirtualClock};
use storm_model::{ComponentId, Time, Value};
use storm_row::{Row, RowBuilder};
use storm_topology::{AnySpout, Bolt, BoltError, BoltOutput, Clock, Factory, SpoutTask, Topology, Tuple};

use super::MAX_ROW;
use super::fixed::{Feed, Fixed};
use super::history::History;
use super::records::listed;
use super::watched::{Journal, watched};
use crate::configure::configure;
use crate::local::last_words;

/// What is due at the end of [`Running::run_for`] gets this long: a thousand steps on the virtual
/// clock.
const GRACE: Duration = Duration::from_millis(1);

/// Runs a topology with fixed input until everything is processed: the engine itself, stepped in an
/// order drawn from a seed.
///
/// See the [module](super) for examples.
pub struct TopologyTest {
    topology: Topology,
    feeds: BTreeMap<ComponentId, Arc<Feed>>,
    is_replaying: bool,
    seed: u64,
    limit: Duration,
}

/// A topology in the middle of its run, from [`TopologyTest::start`]: time passes when it is told
/// to. What happened so far is its [`History`].
///
/// ```
/// use std::time::Duration;
/// use storm_rs::prelude::*;
/// use storm_rs::testing::TopologyTest;
/// # struct Clicks;
/// # impl Spout for Clicks {
/// #     type MessageId = ();
/// #     fn declare_outputs(&self, out: &mut OutputDeclarer) { out.fields(["page"]); }
/// #     fn next_tuple(&mut self, _: &mut SpoutOutput<()>) -> Result<Next, SpoutError> { Ok(Next::Done) }
/// # }
/// # #[derive(Default)]
/// # struct PerMinute(u64);
/// # impl Bolt for PerMinute {
/// #     fn declare_outputs(&self, out: &mut OutputDeclarer) { out.fields(["count"]); }
/// #     fn execute(&mut self, _: &Tuple, _: &mut BoltOutput) -> Result<(), BoltError> {
/// #         self.0 += 1;
/// #         Ok(())
/// #     }
/// #     fn on_tick(&mut self, out: &mut BoltOutput) -> Result<(), BoltError> {
/// #         out.emit((std::mem::take(&mut self.0),));
/// #         Ok(())
/// #     }
/// # }
/// # fn topology() -> Result<Topology, TopologyError> {
/// #     let mut t = TopologyBuilder::new();
/// #     t.set_spout("clicks", || Clicks, 1);
/// #     t.set_bolt("per-minute", PerMinute::default, 1).tick_secs(60).shuffle_grouping("clicks");
/// #     t.build()
/// # }
/// let mut run = TopologyTest::new(topology()?).feed_spout("clicks").start();
/// run.feed("clicks", [("/a",), ("/b",)]);
/// run.run_for(Duration::from_secs(60));
/// run.feed("clicks", [("/a",)]);
/// run.run_for(Duration::from_secs(60));
/// assert_eq!(run.emitted("per-minute"), [values![2], values![1]]);
/// run.assert_all_acked();
/// # Ok::<(), TopologyError>(())
/// ```
pub struct Running {
    run: Stepped,
    feeds: BTreeMap<ComponentId, Arc<Feed>>,
    topology: storm_model::TopologySpec,
    journal: Arc<Journal>,
    history: History,
    /// How far [`run_for`](Running::run_for) has come.
    until: Time,
    /// When a run that is to be completed has to be done.
    limit: Time,
}

impl TopologyTest {
    /// A test of this topology.
    pub fn new(topology: Topology) -> TopologyTest {
        TopologyTest {
            topology,
            feeds: BTreeMap::new(),
            is_replaying: true,
            seed: 1,
            limit: Duration::from_secs(24 * 3600),
        }
    }

    /// Replaces a spout by one that emits these rows to stream `default`, tracked, and again when
    /// they fail; with several tasks each emits all of them. Called again it adds to them. A row
    /// that fails 100 times ends the test with an error.
    ///
    /// # Panics
    /// When there is no such spout, or a row has not as many values as its stream has fields.
    #[track_caller]
    pub fn replace_spout<R: Row>(self, id: &str, rows: impl IntoIterator<Item = R>) -> Self {
        self.replace_stream(id, storm_model::DEFAULT_STREAM, rows)
    }

    /// As [`replace_spout`](Self::replace_spout), for another stream.
    ///
    /// # Panics
    /// As [`replace_spout`](Self::replace_spout).
    #[track_caller]
    pub fn replace_stream<R: Row>(
        mut self,
        id: &str,
        stream: &str,
        rows: impl IntoIterator<Item = R>,
    ) -> Self {
        self = self.feed_spout(id);
        add_rows(&self.topology.spec, &self.feeds, id, stream, rows);
        self
    }

    /// Replaces a spout by one that emits what [`Running::feed`] gives to it.
    ///
    /// # Panics
    /// When there is no such spout.
    #[track_caller]
    pub fn feed_spout(mut self, id: &str) -> Self {
        let is_spout = matches!(self.topology.factories.get(id), Some(Factory::Spout(_)));
        assert!(is_spout, "the topology has no spout '{id}'");
        self.feeds.entry(id.into()).or_default();
        self
    }

    /// Replaces the instances of a bolt, such as one that writes to a database. Its streams, inputs
    /// and parallelism stay.
    ///
    /// # Panics
    /// When there is no such bolt.
    #[track_caller]
    pub fn replace_bolt<B: Bolt>(mut self, id: &str, make: impl Fn() -> B + Send + Sync + 'static) -> Self {
        let factory = self.topology.factories.get_mut(id).filter(|f| matches!(f, Factory::Bolt(_)));
        let factory = factory.unwrap_or_else(|| panic!("the topology has no bolt '{id}'"));
        *factory = Factory::Bolt(Arc::new(move || Box::new(make())));
        self
    }

    /// Replaces a bolt by one that acks all that comes and emits nothing;
    /// [`History::arrivals`] has what came.
    ///
    /// # Panics
    /// When there is no such bolt.
    #[track_caller]
    pub fn mute_bolt(self, id: &str) -> Self {
        self.replace_bolt(id, || Mute)
    }

    /// Rows of replaced spouts that fail are not emitted again.
    pub fn without_replay(mut self) -> Self {
        self.is_replaying = false;
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
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs until every spout is done and everything is processed.
    ///
    /// # Panics
    /// When the topology does not start; when it is not done in time, with what it waits for; when
    /// a component breaks its own declarations or ends the topology
    /// ([`ComponentError::fatal`](storm_topology::ComponentError::fatal)); when a row of a replaced
    /// spout fails 100 times; when the books do not add up: a tuple that was emitted is not
    /// accounted for.
    #[track_caller]
    pub fn complete(self) -> History {
        self.begin(false).complete()
    }

    /// Runs until a component ends the topology with
    /// [`ComponentError::fatal`](storm_topology::ComponentError::fatal), and returns that error.
    ///
    /// # Panics
    /// When no component does, or as [`complete`](Self::complete).
    #[track_caller]
    pub fn expect_fatal(self) -> ErrorReport {
        let mut running = self.begin(false);
        let is_fatal = |e: &ErrorReport| e.kind == ErrorKind::Fatal;
        running.run.run_while(running.limit, |run| !run.is_complete() && !run.errors().iter().any(is_fatal));
        running.history.look(&mut running.run);
        let fatal = running.errors().iter().find(|e| is_fatal(e)).cloned();
        let history = &running.history;
        fatal.unwrap_or_else(|| {
            panic!("no component ended the topology\n{}{}", history.error_list(), history.note())
        })
    }

    /// Starts the topology without letting any time pass.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start(self) -> Running {
        self.begin(true)
    }

    #[track_caller]
    fn begin(mut self, is_open: bool) -> Running {
        let clock = Arc::new(VirtualClock::new());
        let journal = Arc::new(Journal::new(clock.clone()));
        for (id, feed) in &self.feeds {
            feed.set_open(is_open);
            let (feed, journal, is_replaying) = (feed.clone(), journal.clone(), self.is_replaying);
            let make = move || -> Box<dyn AnySpout> {
                Box::new(SpoutTask::new(Fixed::new(feed.clone(), journal.clone(), is_replaying)))
            };
            self.topology.factories.insert(id.clone(), Factory::Spout(Arc::new(make)));
        }
        for (id, factory) in &mut self.topology.factories {
            let outputs = &self.topology.spec.components[id].outputs;
            *factory = watched(id, outputs, factory.clone(), &journal);
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
        let spec = self.topology.spec.clone();
        let run = Stepped::start(self.topology, settings, clock.clone(), self.seed)
            .unwrap_or_else(|e| panic!("the topology does not start: {e}"));
        let now = clock.now();
        Running {
            run,
            feeds: self.feeds,
            history: History::new(spec.clone(), journal.clone(), self.seed),
            topology: spec,
            journal,
            until: now,
            limit: now + self.limit,
        }
    }
}

impl Running {
    /// Gives rows to a replaced spout, which emits them to stream `default` as soon as time passes.
    ///
    /// # Panics
    /// When the spout is not replaced, or a row has not as many values as its stream has fields.
    #[track_caller]
    pub fn feed<R: Row>(&mut self, id: &str, rows: impl IntoIterator<Item = R>) {
        self.feed_stream(id, storm_model::DEFAULT_STREAM, rows);
    }

    /// As [`feed`](Running::feed), for another stream.
    ///
    /// # Panics
    /// As [`feed`](Running::feed).
    #[track_caller]
    pub fn feed_stream<R: Row>(&mut self, id: &str, stream: &str, rows: impl IntoIterator<Item = R>) {
        add_rows(&self.topology, &self.feeds, id, stream, rows);
    }

    /// Lets so much virtual time pass; what is due at the end of it has happened then.
    ///
    /// # Panics
    /// When a component breaks its own declarations or ends the topology, and when a row of a
    /// replaced spout has failed 100 times.
    #[track_caller]
    pub fn run_for(&mut self, time: Duration) -> &mut Running {
        self.until = self.until + time;
        let (until, journal) = (self.until + GRACE, self.journal.clone());
        self.run.run_while(until, |run| !has_failed(run, &journal));
        self.history.look(&mut self.run);
        self.check();
        self
    }

    /// Tells the spouts to emit no more.
    pub fn deactivate(&mut self) {
        self.run.deactivate();
    }

    /// Tells the spouts to emit again.
    pub fn activate(&mut self) {
        self.run.activate();
    }

    /// Runs until every spout is done and everything is processed; replaced spouts are done when
    /// they have emitted what they were given.
    ///
    /// # Panics
    /// As [`TopologyTest::complete`].
    #[track_caller]
    pub fn complete(mut self) -> History {
        self.feeds.values().for_each(|feed| feed.set_open(false));
        let journal = self.journal.clone();
        let is_over = |run: &Stepped| run.is_complete() || has_failed(run, &journal);
        let is_over = self.run.run_while(self.limit, |run| !is_over(run));
        let undone = self.run.undone_spouts();
        self.history.look(&mut self.run);
        self.check();
        let history = &self.history;
        let (errors, note) = (history.error_list(), history.note());
        if !is_over {
            let mut problems = history.open();
            problems.extend(
                undone.iter().map(|spout| format!("'{spout}' is not done: it has not said Next::Done")),
            );
            let (took, list, figures) = (history.took(), listed(&problems), history.figures());
            panic!("not done after {took:?} of virtual time:\n{list}{errors}{figures}{note}");
        }
        let wrong = history.snapshot().audit(true);
        assert!(wrong.is_empty(), "the books do not add up:\n{}{errors}{note}", listed(&wrong));
        self.run.stop();
        self.history
    }

    #[track_caller]
    fn check(&self) {
        let (errors, note) = (self.history.error_list(), self.history.note());
        if let Some(report) = self.history.errors().iter().find(|e| e.kind.ends_local_run()) {
            panic!("{}\n{errors}{note}", last_words(report));
        }
        let given_up = self.journal.notes().given_up.first().cloned();
        if let Some(row) = given_up {
            panic!("{row}\n{}{errors}{note}", listed(&self.history.open()));
        }
    }
}

/// Acks all that comes.
struct Mute;

impl Bolt for Mute {
    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        Ok(())
    }
}

impl Deref for Running {
    type Target = History;

    fn deref(&self) -> &History {
        &self.history
    }
}

/// Whether there is no use in going on.
fn has_failed(run: &Stepped, journal: &Journal) -> bool {
    run.errors().iter().any(|e| e.kind.ends_local_run()) || !journal.notes().given_up.is_empty()
}

#[track_caller]
fn add_rows<R: Row>(
    topology: &storm_model::TopologySpec,
    feeds: &BTreeMap<ComponentId, Arc<Feed>>,
    id: &str,
    stream: &str,
    rows: impl IntoIterator<Item = R>,
) {
    let feed = feeds.get(id).unwrap_or_else(|| {
        panic!("'{id}' is no replaced spout: replace it with `feed_spout` before the start")
    });
    let (_, declared) = topology.components[id].output(stream).unwrap_or_else(|| {
        panic!("'{id}' has no stream '{stream}'");
    });
    let mut builder = RowBuilder::new(MAX_ROW);
    let mut owned = Vec::<Vec<Value>>::new();
    for row in rows {
        let values = builder.write_row(&row).expect("a row that can be written");
        let (found, fields) = (values.arity(), &declared.fields);
        assert!(found == fields.len(), "a row has {found} values, '{id}' has the fields {fields}");
        owned.push(values.to_values());
    }
    feed.add(stream.into(), declared.fields.clone(), owned.into_iter());
}
