//! One topology in several workers: nobody can tell from the outside where an executor runs, and what a
//! worker takes with it when it dies comes again.
//!
//! All workers live in this process, joined by threads that carry frames and park, without any timeout,
//! when there are none: a wake that is lost is a test that does not end.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "behaviour/kit.rs"]
#[allow(dead_code, unreachable_pub, clippy::type_complexity, reason = "it has helpers for all tests")]
mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{Builder, JoinHandle, park};
use std::time::{Duration, Instant};

use storm_model::ExecutorId;
use storm_model::tasks::executors;
use storm_rs::engine::gateway::{Gateway, Line};
use storm_rs::engine::{ComponentSettings, ErrorKind, ErrorReport, Event, Options, Run, Settings, Snapshot};
use storm_rs::prelude::*;
use storm_rs::{BoltDeclarer, ComponentId, CustomGrouping, GroupingEdge, Values};

use kit::{Log, Numbers, Outcomes, bolted, func, log, pass, sink, sorted, taken};

/// Until then everything must have happened, on however busy a machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often a test looks whether it has.
const LOOK: Duration = Duration::from_millis(5);

// === Workers ===

/// Trees have more time than a test, so that those time out that are to.
fn patient() -> Settings {
    Settings { message_timeout: 5 * DEADLINE, ..Settings::default() }
}

fn timeout(secs: u64) -> Settings {
    Settings { message_timeout: Duration::from_secs(secs), ..Settings::default() }
}

/// The worker of an executor, by its component and its rank there.
type Place = fn(&str, usize) -> usize;

/// Spouts in the first worker, all bolts in the second.
fn apart(component: &str, _: usize) -> usize {
    usize::from(!component.starts_with("numbers"))
}

/// A worker of its own for each executor of a component, as far as there are two.
fn mixed(_: &str, rank: usize) -> usize {
    rank % 2
}

/// The same with three.
fn mixed_by_three(component: &str, rank: usize) -> usize {
    (rank + component.len()) % 3
}

struct Worker {
    run: Run,
    gateway: Gateway,
    /// By peer.
    lines: BTreeMap<usize, Arc<Line>>,
}

/// What joins two workers.
struct Joint {
    ends: [usize; 2],
    lines: [Arc<Line>; 2],
    is_cut: Arc<AtomicBool>,
    pumps: Vec<JoinHandle<()>>,
}

impl Joint {
    fn new(ends: [usize; 2], lines: [Arc<Line>; 2]) -> Joint {
        let is_cut = Arc::new(AtomicBool::new(false));
        let [a, b] = &lines;
        let mut pumps = Vec::new();
        for (out, into) in [(a, b), (b, a)] {
            let (mut data_out, mut data_in, cut) = (out.data_out(), into.data_in(), is_cut.clone());
            pumps.push(start("data", move || {
                data_out.attach();
                carry(
                    &cut,
                    |body| data_out.next(body),
                    |kind, body| data_in.frame(kind, body).unwrap(),
                    || (),
                );
            }));
            let (mut control_out, control_in, cut) = (out.control_out(), into.control_in(), is_cut.clone());
            // Two closures have it, one after the other.
            let control_in = std::cell::RefCell::new(control_in);
            pumps.push(start("control", move || {
                control_out.attach();
                carry(
                    &cut,
                    |body| control_out.next(body),
                    |kind, body| control_in.borrow_mut().frame(kind, body).unwrap(),
                    || control_in.borrow_mut().batch_end(),
                );
            }));
        }
        Joint { ends, lines, is_cut, pumps }
    }

    /// Stops the threads; what they have pulled is lost or handed over.
    fn cut(self) {
        self.is_cut.store(true, SeqCst);
        self.lines.iter().for_each(|line| line.ring());
        self.pumps.into_iter().for_each(|pump| pump.join().unwrap());
    }
}

fn start(name: &str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    Builder::new().name(name.to_owned()).spawn(body).unwrap()
}

fn carry(
    is_cut: &AtomicBool,
    mut next: impl FnMut(&mut Vec<u8>) -> Option<u8>,
    mut frame: impl FnMut(u8, &[u8]),
    mut batch_end: impl FnMut(),
) {
    let (mut body, mut is_drained) = (Vec::new(), true);
    loop {
        body.clear();
        let kind = next(&mut body);
        if is_cut.load(SeqCst) {
            return;
        }
        match kind {
            Some(kind) => {
                frame(kind, &body);
                is_drained = false;
            }
            None if is_drained => park(),
            None => {
                batch_end();
                is_drained = true;
            }
        }
    }
}

/// All workers of a topology.
struct Cluster {
    build: Box<dyn Fn() -> Topology>,
    settings: Settings,
    places: Vec<BTreeSet<ExecutorId>>,
    workers: Vec<Option<Worker>>,
    joints: Vec<Joint>,
    starts: u64,
    errors: Vec<ErrorReport>,
}

impl Cluster {
    fn start(
        workers: usize,
        place: Place,
        settings: Settings,
        build: impl Fn() -> Topology + 'static,
    ) -> Cluster {
        let mut cluster = Cluster::prepare(workers, place, settings, build);
        (0..workers).for_each(|worker| cluster.join_all(worker));
        cluster.living().for_each(|w| w.run.start_spouts());
        cluster
    }

    /// Without any line.
    fn prepare(
        workers: usize,
        place: Place,
        settings: Settings,
        build: impl Fn() -> Topology + 'static,
    ) -> Cluster {
        let spec = build().spec;
        let mut places = vec![BTreeSet::new(); workers];
        let mut ranks: BTreeMap<ComponentId, usize> = BTreeMap::new();
        for (component, executor) in executors(&spec, &storm_model::TaskTable::new(&spec)) {
            let rank = ranks.entry(component.clone()).or_default();
            places[place(component.as_str(), *rank)].insert(executor);
            *rank += 1;
        }
        let build = Box::new(build);
        let (joints, errors) = (Vec::new(), Vec::new());
        let mut cluster = Cluster { build, settings, places, workers: Vec::new(), joints, starts: 0, errors };
        for worker in 0..workers {
            let made = cluster.make(worker);
            cluster.workers.push(Some(made));
        }
        cluster
    }

    fn make(&mut self, worker: usize) -> Worker {
        self.starts += 1;
        let options = Options { name: "workers".to_owned(), seed: 1 + self.starts, is_active: true };
        let here = Some(self.places[worker].clone());
        let (run, gateway) = Run::prepare((self.build)(), self.settings.clone(), options, here).unwrap();
        assert_eq!(run.executor_count(), self.places[worker].len());
        let far: BTreeSet<ExecutorId> = gateway.far_executors().collect();
        assert!(far.is_disjoint(&self.places[worker]));
        Worker { run, gateway, lines: BTreeMap::new() }
    }

    fn living(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter().flatten()
    }

    fn worker(&self, worker: usize) -> &Worker {
        self.workers[worker].as_ref().unwrap()
    }

    /// Joins a worker with all others that live and have a lower number, or no line to it.
    fn join_all(&mut self, worker: usize) {
        for peer in (0..self.workers.len()).filter(|peer| *peer != worker) {
            let is_joined = self.joints.iter().any(|j| j.ends.contains(&peer) && j.ends.contains(&worker));
            if self.workers[peer].is_some() && !is_joined {
                self.join(worker, peer);
            }
        }
    }

    fn join(&mut self, a: usize, b: usize) {
        let Cluster { workers, places, .. } = self;
        let line = |(from, to): (usize, usize)| {
            let Worker { gateway, lines, .. } = workers[from].as_mut().unwrap();
            let line = gateway.line(&places[to].iter().copied().collect::<Vec<_>>());
            lines.insert(to, line.clone());
            gateway.set_lines(lines.values());
            line
        };
        let lines = [(a, b), (b, a)].map(line);
        self.joints.push(Joint::new([a, b], lines));
    }

    fn cut(&mut self, does_fit: impl Fn(&[usize; 2]) -> bool) {
        let (cut, left) = std::mem::take(&mut self.joints).into_iter().partition(|j| does_fit(&j.ends));
        self.joints = left;
        let cut: Vec<Joint> = cut;
        cut.into_iter().for_each(Joint::cut);
    }

    /// A worker dies.
    fn kill(&mut self, worker: usize) {
        self.cut(|ends| ends.contains(&worker));
        self.workers[worker] = None;
    }

    /// It starts anew.
    fn revive(&mut self, worker: usize) {
        let made = self.make(worker);
        self.workers[worker] = Some(made);
        self.join_all(worker);
        self.worker(worker).run.start_spouts();
    }

    /// Waits until something is so.
    #[track_caller]
    fn until(&mut self, what: &str, is_so: impl Fn(&Cluster) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_so(self) {
            let is_late = Instant::now() >= deadline;
            assert!(!is_late, "not within {DEADLINE:?}: {what}; {:#?}; {:#?}", self.errors, self.figures());
            self.look();
        }
    }

    /// Lets some time pass.
    fn look(&mut self) {
        let Cluster { workers, errors, .. } = self;
        for (i, worker) in workers.iter().flatten().enumerate() {
            let mut wait = if i == 0 { LOOK } else { Duration::ZERO };
            while let Some(event) = worker.run.next_event(wait) {
                wait = Duration::ZERO;
                match event {
                    Event::Error(error) => errors.push(error),
                    Event::Ended { index, .. } => panic!("executor {index} has ended"),
                    _ => {}
                }
            }
        }
    }

    /// Rows sent and received, if all is quiet.
    fn traffic(&self) -> Option<(u64, u64)> {
        if !self.living().all(|w| w.run.is_complete()) {
            return None;
        }
        let lines = || self.living().flat_map(|w| w.lines.values());
        Some((lines().map(|l| l.rows_sent()).sum(), lines().map(|l| l.rows_received()).sum()))
    }

    fn is_complete(&self) -> bool {
        let first = self.traffic();
        first.is_some_and(|(sent, received)| sent == received) && self.traffic() == first
    }

    /// Figures of all workers together.
    fn figures(&self) -> Snapshot {
        let parts = self.living().map(|w| w.run.snapshot(Duration::from_secs(10)));
        Snapshot { executors: parts.flat_map(|s| s.executors).collect() }
    }

    /// Waits until everything is processed, and checks the books.
    #[track_caller]
    fn complete(&mut self) -> Snapshot {
        self.until("everything is processed", Cluster::is_complete);
        for worker in self.living() {
            let figures = worker.run.snapshot(Duration::from_secs(10));
            assert_eq!(figures.executors.len(), worker.run.executor_count());
            assert_eq!(figures.audit(false), [""; 0]);
        }
        self.figures()
    }

    /// The same where no rows were lost.
    #[track_caller]
    fn complete_exactly(&mut self) -> Snapshot {
        let figures = self.complete();
        assert_eq!(figures.audit(true), [""; 0]);
        figures
    }

    /// Stops, and returns the errors that are not of a machine that was busy.
    fn stop(mut self) -> Vec<ErrorReport> {
        self.look();
        self.cut(|_| true);
        for worker in self.workers.iter_mut().flatten() {
            worker.run.stop();
        }
        self.errors.into_iter().filter(|e| e.kind != ErrorKind::Slow).collect()
    }

    fn worker_of(&self, task: TaskId) -> usize {
        self.places.iter().position(|here| here.iter().any(|e| e.contains(task))).unwrap()
    }

    fn rows_sent(&self) -> u64 {
        self.living().flat_map(|w| w.lines.values()).map(|l| l.rows_sent()).sum()
    }
}

fn numbers(count: i64, outcomes: &Outcomes) -> impl Fn() -> Numbers + Send + Sync + 'static {
    let outcomes = outcomes.clone();
    move || Numbers::new(count).with_outcomes(&outcomes)
}

fn replaying(count: i64, outcomes: &Outcomes) -> impl Fn() -> Numbers + Send + Sync + 'static {
    let outcomes = outcomes.clone();
    move || Numbers::replaying(count).with_outcomes(&outcomes)
}

fn pending(settings: Settings, max_spout_pending: u32) -> Settings {
    kit::component(settings, "numbers", ComponentSettings { max_spout_pending, ..Default::default() })
}

/// Whether each of `0..count` is there so often.
#[track_caller]
fn check_times(got: impl IntoIterator<Item = i64>, count: i64, times: usize) {
    let mut tally = vec![0; count as usize];
    got.into_iter().for_each(|n| tally[n as usize] += 1);
    let wrong: Vec<_> = tally.iter().enumerate().filter(|(_, t)| **t != times).take(10).collect();
    assert!(wrong.is_empty(), "not {times} times: {wrong:?}");
}

/// Whether each of `0..count` is there.
#[track_caller]
fn check_all(got: impl IntoIterator<Item = i64>, count: i64) {
    let got: BTreeSet<i64> = got.into_iter().collect();
    let missing: Vec<_> = (0..count).filter(|n| !got.contains(n)).take(10).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
}

// === What arrives ===

fn a_chain(workers: usize, place: Place, is_tracked: bool, threads: Option<u32>) {
    const COUNT: i64 = 5_000;
    let (got, outcomes) = (log(), log());
    let (seen, ended) = (got.clone(), outcomes.clone());
    let build = move || {
        let mut t = TopologyBuilder::new();
        let ended = ended.clone();
        let spout = move || {
            let numbers = if is_tracked { Numbers::new(COUNT) } else { Numbers::untracked(COUNT) };
            numbers.with_outcomes(&ended)
        };
        t.set_spout("numbers", spout, 2);
        t.set_bolt("pass", pass(), 3).shuffle_grouping("numbers");
        t.set_bolt("again", pass(), 3).num_tasks(5).fields_grouping("pass", ["n"]);
        t.set_bolt("sink", sink(&seen), 2).shuffle_grouping("again");
        t.build().unwrap()
    };
    let mut c = Cluster::start(workers, place, Settings { threads, ..patient() }, build);
    let figures = c.complete_exactly();
    check_times(taken(&got).into_iter().map(|(_, n)| n), COUNT, 2);
    let outcomes = taken(&outcomes);
    assert!(outcomes.iter().all(|(_, cause)| cause.is_none()));
    if is_tracked {
        check_times(outcomes.into_iter().map(|(n, _)| n), COUNT, 2);
    }
    assert_eq!(figures.spouts(|t| t.failed()), 0);
    assert!(c.rows_sent() > 0);
    assert_eq!(c.stop(), []);
}

#[test]
fn a_tracked_chain_runs_over_two_workers() {
    a_chain(2, mixed, true, None);
    a_chain(2, apart, true, Some(1));
}

#[test]
fn an_untracked_chain_runs_over_two_workers() {
    a_chain(2, mixed, false, None);
    a_chain(2, apart, false, Some(1));
}

#[test]
fn a_chain_runs_over_three_workers() {
    a_chain(3, mixed_by_three, true, None);
    a_chain(3, mixed_by_three, false, None);
    a_chain(3, mixed_by_three, true, Some(2));
}

#[test]
fn workers_without_executors_do_no_harm() {
    a_chain(3, mixed, true, None);
}

/// A thousand numbers through a grouping to four tasks over two workers: what each task got.
fn group(by: impl Fn(BoltDeclarer<'_>) -> BoltDeclarer<'_> + 'static) -> BTreeMap<u32, Vec<i64>> {
    let got = log();
    let seen = got.clone();
    let build = move || {
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", || Numbers::new(1000), 1);
        by(t.set_bolt("sink", sink(&seen), 4));
        t.build().unwrap()
    };
    let mut c = Cluster::start(2, mixed, patient(), build);
    c.complete_exactly();
    assert_eq!(c.stop(), []);
    let mut by_task: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for (task, n) in taken(&got) {
        by_task.entry(task.0).or_default().push(n);
    }
    by_task
}

fn counts(by_task: &BTreeMap<u32, Vec<i64>>) -> Vec<usize> {
    by_task.values().map(Vec::len).collect()
}

#[test]
fn shuffle_and_none_reach_every_task_and_each_number_one_of_them() {
    for is_shuffle in [true, false] {
        let by = move |b: BoltDeclarer<'_>| {
            if is_shuffle { _ = b.shuffle_grouping("numbers") } else { _ = b.none_grouping("numbers") }
        };
        let got = log();
        let seen = got.clone();
        let build = move || {
            let mut t = TopologyBuilder::new();
            t.set_spout("numbers", || Numbers::new(1000), 1);
            by(t.set_bolt("sink", sink(&seen), 4));
            t.build().unwrap()
        };
        let mut c = Cluster::start(2, mixed, patient(), build);
        c.complete_exactly();
        assert_eq!(c.stop(), []);
        let got = taken(&got);
        assert_eq!(got.iter().map(|(task, _)| *task).collect::<BTreeSet<_>>().len(), 4);
        check_times(got.into_iter().map(|(_, n)| n), 1000, 1);
    }
}

#[test]
fn fields_keeps_a_key_at_one_task_in_whatever_worker_its_emitter_runs() {
    let got = log();
    let seen = got.clone();
    let build = move || {
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", || Numbers::new(1000), 4);
        t.set_bolt("sink", sink(&seen), 4).fields_grouping("numbers", ["n"]);
        t.build().unwrap()
    };
    let mut c = Cluster::start(2, mixed, patient(), build);
    c.complete_exactly();
    assert_eq!(c.stop(), []);
    let mut tasks: BTreeMap<i64, BTreeSet<u32>> = BTreeMap::new();
    taken(&got).into_iter().for_each(|(task, n)| _ = tasks.entry(n).or_default().insert(task.0));
    assert!(tasks.len() == 1000 && tasks.values().all(|t| t.len() == 1));
}

#[test]
fn partial_key_uses_at_most_two_tasks_per_key() {
    let got = log();
    let seen = got.clone();
    let build = move || {
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", || Numbers::new(1000), 1);
        let mod5 = func(|input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
            out.emit((input.get::<i64>("n")? % 5,));
            Ok(())
        });
        t.set_bolt("mod", mod5, 1).shuffle_grouping("numbers");
        t.set_bolt("sink", sink(&seen), 4).partial_key_grouping("mod", ["n"]);
        t.build().unwrap()
    };
    let mut c = Cluster::start(2, mixed, patient(), build);
    c.complete_exactly();
    assert_eq!(c.stop(), []);
    let mut tasks: BTreeMap<i64, BTreeSet<u32>> = BTreeMap::new();
    taken(&got).into_iter().for_each(|(task, key)| _ = tasks.entry(key).or_default().insert(task.0));
    assert!(tasks.values().all(|t| t.len() <= 2), "{tasks:?}");
}

#[test]
fn all_is_every_task_and_global_the_lowest() {
    let by_task = group(|b| b.all_grouping("numbers"));
    assert_eq!(counts(&by_task), [1000; 4]);
    by_task.into_values().for_each(|got| check_times(got, 1000, 1));
    let by_task = group(|b| b.global_grouping("numbers"));
    // Tasks: numbers 1, sink 2 to 5.
    assert_eq!(by_task.keys().copied().collect::<Vec<_>>(), [2]);
}

#[test]
fn direct_is_the_named_task() {
    let got = log();
    let seen = got.clone();
    let build = move || {
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", || Numbers::new(1000), 1);
        let declare = |out: &mut OutputDeclarer| _ = out.direct_stream("named", ["n"]);
        let route = bolted(declare, |input, out| {
            // Tasks: numbers 1, route 2, sink 3 to 6.
            let n = input.get::<i64>("n")?;
            out.emit_direct(TaskId(3 + n as u32 % 4), "named", (n,));
            Ok(())
        });
        t.set_bolt("route", route, 1).shuffle_grouping("numbers");
        t.set_bolt("sink", sink(&seen), 4).direct_grouping(("route", "named"));
        t.build().unwrap()
    };
    let mut c = Cluster::start(2, mixed, patient(), build);
    c.complete_exactly();
    assert_eq!(c.stop(), []);
    let got = taken(&got);
    assert!(got.iter().all(|(task, n)| task.0 == 3 + *n as u32 % 4));
    check_times(got.into_iter().map(|(_, n)| n), 1000, 1);
}

/// Even numbers to the last target, odd ones to nobody, multiples of ten to all.
struct Odd(Vec<TaskId>);

impl CustomGrouping for Odd {
    fn prepare(&mut self, edge: &GroupingEdge<'_>) {
        self.0 = edge.target_tasks.to_vec();
    }

    fn choose(&mut self, _: TaskId, values: Values<'_>, chosen: &mut Vec<TaskId>) {
        match values.field(0).map(|f| f.to_value()) {
            Some(Value::Int(n)) if n % 10 == 0 => chosen.extend(&self.0),
            Some(Value::Int(n)) if n % 2 == 0 => chosen.extend(self.0.last()),
            _ => {}
        }
    }
}

#[test]
fn custom_is_what_the_code_says() {
    let by_task = group(|b| b.custom_grouping("numbers", || Odd(vec![])));
    assert_eq!(counts(&by_task), [100, 100, 100, 500]);
}

/// Emits its task and numbers.
struct Signed(i64, i64, bool);

impl Spout for Signed {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["task", "n"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.0 = i64::from(ctx.task().0);
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        if self.1 == 3000 {
            return Ok(Next::Done);
        }
        self.1 += 1;
        if self.2 {
            out.emit_tracked(self.1, (self.0, self.1))
        } else {
            out.emit((self.0, self.1))
        }
        Ok(Next::Emitted)
    }
}

/// Writes down (whose, its own task, the number).
struct Notes(Log<(TaskId, TaskId, i64)>, TaskId);

impl Bolt for Notes {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.1 = ctx.task();
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let task = TaskId(input.get::<i64>("task")? as u32);
        self.0.lock().unwrap().push((task, self.1, input.get("n")?));
        Ok(())
    }
}

fn noted(
    is_tracked: bool,
    by: impl Fn(BoltDeclarer<'_>) -> BoltDeclarer<'_> + 'static,
) -> (Cluster, Vec<(TaskId, TaskId, i64)>) {
    let notes = log();
    let seen = notes.clone();
    let build = move || {
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", move || Signed(0, 0, is_tracked), 4);
        let seen = seen.clone();
        by(t.set_bolt("notes", move || Notes(seen.clone(), TaskId(0)), 4));
        t.build().unwrap()
    };
    let mut c = Cluster::start(2, mixed, patient(), build);
    c.complete_exactly();
    let notes = taken(&notes);
    (c, notes)
}

#[test]
fn order_is_kept_from_task_to_task() {
    for is_tracked in [true, false] {
        for is_all in [false, true] {
            let (c, notes) = noted(is_tracked, move |b| {
                if is_all { b.all_grouping("numbers") } else { b.shuffle_grouping("numbers") }
            });
            assert_eq!(notes.len(), if is_all { 48_000 } else { 12_000 });
            let mut last: BTreeMap<(TaskId, TaskId), i64> = BTreeMap::new();
            for (from, to, n) in notes {
                let before = last.insert((from, to), n).unwrap_or(0);
                assert!(before < n, "{n} after {before} from {from} to {to}");
            }
            assert_eq!(c.stop(), []);
        }
    }
}

#[test]
fn local_or_shuffle_stays_in_its_worker() {
    let (c, notes) = noted(true, |b| b.local_or_shuffle_grouping("numbers"));
    assert_eq!(notes.len(), 12_000);
    let strays = notes.iter().filter(|(from, to, _)| c.worker_of(*from) != c.worker_of(*to));
    assert_eq!(strays.count(), 0);
    assert_eq!(c.rows_sent(), 0);
    let to: BTreeSet<TaskId> = notes.iter().map(|(_, to, _)| *to).collect();
    assert_eq!(to.len(), 4, "of its worker all");
    assert_eq!(c.stop(), []);
}

#[test]
fn local_or_shuffle_goes_elsewhere_where_there_is_no_task_here() {
    let got = log();
    let seen = got.clone();
    let build = move || {
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", || Numbers::new(1000), 2);
        t.set_bolt("sink", sink(&seen), 2).local_or_shuffle_grouping("numbers");
        t.build().unwrap()
    };
    let mut c = Cluster::start(2, apart, patient(), build);
    c.complete_exactly();
    check_times(taken(&got).into_iter().map(|(_, n)| n), 1000, 2);
    assert_eq!(c.stop(), []);
}

#[test]
fn values_of_any_size_arrive_as_they_were() {
    const SIZES: [usize; 8] = [10, 5 << 10, 1 << 20, 10, 20 << 20, 300 << 10, 10, 20 << 20];
    fn bytes(n: usize) -> Vec<u8> {
        let pattern: Vec<u8> = (0..=255_u8).map(|i| i.wrapping_mul(n as u8 + 3)).collect();
        let mut bytes = pattern.repeat(SIZES[n % SIZES.len()] / 256 + 1);
        bytes.truncate(SIZES[n % SIZES.len()]);
        bytes
    }
    let (got, outcomes) = (log(), log());
    let (seen, ended) = (got.clone(), outcomes.clone());
    let build = move || {
        let mut t = TopologyBuilder::new();
        let mut n = 0;
        let declare = |out: &mut OutputDeclarer| _ = out.fields(["n", "bytes"]);
        let spout = kit::source(declare, &ended, move |out| {
            if n == 2 * SIZES.len() {
                return Ok(Next::Done);
            }
            out.emit_tracked(n as i64, (n as i64, bytes(n)));
            n += 1;
            Ok(Next::Emitted)
        });
        t.set_spout("numbers", spout, 1);
        let through = bolted(declare, |input, out| {
            out.emit(input.values());
            Ok(())
        });
        t.set_bolt("through", through, 2).shuffle_grouping("numbers");
        let seen = seen.clone();
        let check = func(move |input: &Tuple<'_>, _: &mut BoltOutput<'_>| {
            let n: i64 = input.get("n")?;
            seen.lock().unwrap().push((n, input.get::<&[u8]>("bytes")? == bytes(n as usize)));
            Ok(())
        });
        t.set_bolt("check", check, 1).shuffle_grouping("through");
        t.build().unwrap()
    };
    // The spout and its target apart, and that from the last.
    let place: Place = |component, _| usize::from(component == "through");
    let mut c = Cluster::start(2, place, patient(), build);
    c.complete_exactly();
    let mut got = taken(&got);
    got.sort_unstable();
    assert!(got.into_iter().eq((0..16).map(|n| (n, true))));
    assert!(sorted(&outcomes).into_iter().eq((0..16).map(|n| (n, None))));
    assert_eq!(c.stop(), []);
}

/// Sends a number round until its count of rounds, in its hundred thousands, is used up.
struct Turn;

impl Bolt for Turn {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]).stream("again", ["n"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let n: i64 = input.get("n")?;
        if n >= 100_000 {
            out.emit_to("again", (n - 100_000,))
        } else {
            out.emit((n,))
        }
        Ok(())
    }
}

#[test]
fn a_cycle_through_several_workers_ends_and_everything_arrives() {
    for (workers, place) in [(2, mixed as Place), (3, mixed_by_three)] {
        let (got, outcomes) = (log(), log());
        let (seen, ended) = (got.clone(), outcomes.clone());
        let build = move || {
            let mut t = TopologyBuilder::new();
            t.set_spout("numbers", numbers(2000, &ended), 1);
            let rounds = func(|input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
                out.emit((input.get::<i64>("n")? + 500_000,));
                Ok(())
            });
            t.set_bolt("rounds", rounds, 2).shuffle_grouping("numbers");
            t.set_bolt("turn", || Turn, 2).shuffle_grouping("rounds").shuffle_grouping("back");
            t.set_bolt("back", pass(), 2).shuffle_grouping(("turn", "again"));
            t.set_bolt("sink", sink(&seen), 1).shuffle_grouping("turn");
            t.build().unwrap()
        };
        let mut c = Cluster::start(workers, place, patient(), build);
        c.complete_exactly();
        check_times(taken(&got).into_iter().map(|(_, n)| n), 2000, 1);
        assert!(sorted(&outcomes).into_iter().eq((0..2000).map(|n| (n, None))));
        assert_eq!(c.stop(), []);
    }
}

// === Trees ===

#[test]
fn what_fails_in_another_worker_is_told_with_its_cause_and_can_come_again() {
    let (got, outcomes) = (log(), log());
    let (seen, ended) = (got.clone(), outcomes.clone());
    let failed: Arc<Mutex<BTreeSet<i64>>> = Arc::default();
    let build = move || {
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", replaying(1000, &ended), 1);
        let failed = failed.clone();
        let moody = func(move |input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
            let n: i64 = input.get("n")?;
            let is_first = failed.lock().unwrap().insert(n);
            match n % 10 {
                3 if is_first => out.fail(input),
                7 if is_first => panic!("seven"),
                _ => out.emit((n,)),
            }
            Ok(())
        });
        t.set_bolt("moody", moody, 2).shuffle_grouping("numbers");
        t.set_bolt("sink", sink(&seen), 2).shuffle_grouping("moody");
        t.build().unwrap()
    };
    let mut c = Cluster::start(2, apart, pending(patient(), 20), build);
    c.complete_exactly();
    check_all(taken(&got).into_iter().map(|(_, n)| n), 1000);
    let outcomes = taken(&outcomes);
    let of =
        |cause| outcomes.iter().filter(move |(_, o)| *o == cause).map(|(n, _)| *n).collect::<BTreeSet<_>>();
    assert_eq!(of(None).len(), 1000);
    assert!(of(Some(FailCause::Failed)).iter().eq((3..1000).step_by(10).collect::<Vec<_>>().iter()));
    assert!(of(Some(FailCause::Panicked)).iter().eq((7..1000).step_by(10).collect::<Vec<_>>().iter()));
    assert!(c.stop().iter().all(|e| e.kind == ErrorKind::Panicked));
}

/// Keeps each tuple.
fn keep(kept: &Log<Retained>) -> impl Fn() -> kit::Func<Keep> + Send + Sync + 'static {
    let kept = kept.clone();
    move || {
        let kept = kept.clone();
        kit::Func(Box::new(move |input, out| {
            kept.lock().unwrap().push(out.retain(input));
            Ok(())
        }))
    }
}

type Keep = Box<dyn FnMut(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError> + Send>;

/// Numbers that are kept in the other worker.
fn kept(count: i64, settings: Settings) -> (Cluster, Log<Retained>, Outcomes) {
    let (kept, outcomes) = (log(), log());
    let (keeping, ended) = (kept.clone(), outcomes.clone());
    let build = move || {
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", numbers(count, &ended), 1);
        t.set_bolt("keeper", keep(&keeping), 2).shuffle_grouping("numbers");
        t.build().unwrap()
    };
    let mut c = Cluster::start(2, apart, settings, build);
    let here = kept.clone();
    c.until("all are kept", move |_| here.lock().unwrap().len() == count as usize);
    (c, kept, outcomes)
}

#[test]
fn retained_tuples_are_acked_and_failed_from_any_thread() {
    let (mut c, kept, outcomes) = kept(300, patient());
    assert!(!c.is_complete() && outcomes.lock().unwrap().is_empty());
    let all = taken(&kept);
    let settle = move || {
        for retained in all {
            match retained.tuple().get::<i64>("n").unwrap() % 3 {
                0 => retained.ack(),
                1 => retained.fail(),
                _ => drop(retained),
            }
        }
    };
    start("settle", settle).join().unwrap();
    c.complete_exactly();
    let cause = |n| (n % 3 != 0).then_some(FailCause::Failed);
    assert!(sorted(&outcomes).into_iter().eq((0..300).map(|n| (n, cause(n)))));
    c.stop();
}

#[test]
fn trees_time_out_and_who_pleads_for_time_in_another_worker_gets_it() {
    let (mut c, kept, outcomes) = kept(20, timeout(2));
    let begin = Instant::now();
    let pleaded = kept.clone();
    c.until("the others time out", |_| {
        pleaded.lock().unwrap()[..5].iter().for_each(Retained::reset_timeout);
        outcomes.lock().unwrap().len() == 15 && begin.elapsed() >= Duration::from_secs(4)
    });
    assert!(outcomes.lock().unwrap().iter().all(|(_, cause)| *cause == Some(FailCause::Timeout)));
    taken(&kept).into_iter().for_each(Retained::ack);
    c.complete_exactly();
    let figures = c.figures();
    assert_eq!((figures.spouts(|t| t.acked()), figures.spouts(|t| t.failed())), (5, 15));
    let late: u64 = figures.executors.iter().map(|e| e.late_acks).sum();
    assert_eq!(late, 15);
    c.stop();
}

#[test]
fn all_that_is_pending_can_be_failed_and_hastened() {
    let (mut c, kept, outcomes) = kept(20, patient());
    c.worker(0).run.fail_pending(FailCause::WorkerLost);
    c.until("they fail", |_| outcomes.lock().unwrap().len() == 20);
    assert!(taken(&outcomes).iter().all(|(_, cause)| *cause == Some(FailCause::WorkerLost)));
    taken(&kept).into_iter().for_each(Retained::ack);
    c.complete_exactly();
    c.stop();

    let (mut c, kept, outcomes) = self::kept(20, patient());
    c.living().for_each(|w| w.run.hasten());
    c.until("they time out", |_| outcomes.lock().unwrap().len() == 20);
    assert!(taken(&outcomes).iter().all(|(_, cause)| *cause == Some(FailCause::Timeout)));
    taken(&kept).into_iter().for_each(Retained::ack);
    c.complete_exactly();
    c.stop();
}

// === Spouts on and off ===

/// Emits numbers untracked until it is told that it is enough, and counts them.
#[derive(Clone, Default)]
struct Flood(Arc<AtomicI64>, Arc<AtomicBool>);

impl Spout for Flood {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, ()>) -> Result<Next, SpoutError> {
        if self.1.load(SeqCst) {
            return Ok(Next::Done);
        }
        out.emit((self.0.fetch_add(1, SeqCst),));
        Ok(Next::Emitted)
    }
}

impl Flood {
    fn emitted(&self) -> i64 {
        self.0.load(SeqCst)
    }

    fn end(&self) {
        self.1.store(true, SeqCst);
    }
}

#[test]
fn spouts_are_deactivated_and_held_and_go_on() {
    let (flood, got) = (Flood::default(), log());
    let (spout, seen) = (flood.clone(), got.clone());
    let build = move || {
        let mut t = TopologyBuilder::new();
        let spout = spout.clone();
        t.set_spout("numbers", move || spout.clone(), 2);
        t.set_bolt("sink", sink(&seen), 2).shuffle_grouping("numbers");
        t.build().unwrap()
    };
    let mut c = Cluster::start(2, mixed, patient(), build);
    let arrive = |c: &mut Cluster| {
        let already = got.lock().unwrap().len();
        c.until("numbers arrive", |_| got.lock().unwrap().len() > already + 1000);
    };
    arrive(&mut c);
    c.living().for_each(|w| w.run.deactivate());
    // A spout that is inactive has nothing more to come.
    c.complete_exactly();
    let emitted = flood.emitted();
    assert_eq!(got.lock().unwrap().len(), emitted as usize);
    (0..20).for_each(|_| c.look());
    assert_eq!(flood.emitted(), emitted);
    c.living().for_each(|w| w.run.activate());
    arrive(&mut c);
    c.living().for_each(|w| w.run.hold_spouts());
    c.until("everything is taken", |c| c.living().all(|w| w.run.is_quiet()));
    c.until("it stays so", |c| c.living().all(|w| w.run.is_quiet() && !w.run.is_done()));
    c.until("all have arrived", |_| got.lock().unwrap().len() == flood.emitted() as usize);
    let emitted = flood.emitted();
    (0..20).for_each(|_| c.look());
    assert_eq!(flood.emitted(), emitted);
    c.living().for_each(|w| w.run.start_spouts());
    arrive(&mut c);
    flood.end();
    c.complete_exactly();
    check_times(taken(&got).into_iter().map(|(_, n)| n), flood.emitted(), 1);
    assert_eq!(c.stop(), []);
}

// === Back-pressure ===

/// Takes its time over each number.
fn slow(per_tuple: Duration, count: &Arc<AtomicI64>) -> impl Fn() -> kit::Func<Keep> + Send + Sync + 'static {
    let count = count.clone();
    move || {
        let count = count.clone();
        kit::Func(Box::new(move |_, _| {
            let begin = Instant::now();
            while begin.elapsed() < per_tuple {
                std::hint::spin_loop();
            }
            count.fetch_add(1, SeqCst);
            Ok(())
        }))
    }
}

#[test]
fn a_slow_bolt_in_another_worker_slows_an_untracked_spout() {
    let (flood, executed) = (Flood::default(), Arc::new(AtomicI64::new(0)));
    let (spout, count) = (flood.clone(), executed.clone());
    let build = move || {
        let mut t = TopologyBuilder::new();
        let spout = spout.clone();
        t.set_spout("numbers", move || spout.clone(), 1);
        t.set_bolt("pass", pass(), 1).shuffle_grouping("numbers");
        t.set_bolt("slow", slow(Duration::from_micros(500), &count), 1).shuffle_grouping("pass");
        t.build().unwrap()
    };
    // The slow one's window is what it does in 100 ms: 200 rows; that of the one before it is as much.
    let place: Place = |component, _| usize::from(component != "pass");
    let mut c = Cluster::start(2, place, timeout(3), build);
    let most = AtomicI64::new(0);
    c.until("some are through", |_| {
        let done = executed.load(SeqCst);
        most.fetch_max(flood.emitted() - done, SeqCst);
        done > 3000
    });
    let most = most.load(SeqCst);
    assert!(most < 2500, "{most} rows on their way to a bolt that takes 200 in its window");
    flood.end();
    c.complete_exactly();
    assert_eq!(executed.load(SeqCst), flood.emitted());
    c.stop();
}

#[test]
fn a_bolt_that_takes_nothing_gets_one_row_from_each_of_its_senders() {
    let (flood, executed) = (Flood::default(), Arc::new(AtomicI64::new(0)));
    let (open, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let (spout, count) = (flood.clone(), executed.clone());
    let build = move || {
        let mut t = TopologyBuilder::new();
        let spout = spout.clone();
        t.set_spout("numbers", move || spout.clone(), 4);
        let (gate, count) = (gate.clone(), count.clone());
        let gated = func(move |_: &Tuple<'_>, _: &mut BoltOutput<'_>| {
            // An error: it is open for good.
            gate.lock().unwrap().recv().ok();
            count.fetch_add(1, SeqCst);
            Ok(())
        });
        t.set_bolt("gated", gated, 1).shuffle_grouping("numbers");
        t.build().unwrap()
    };
    let place: Place = |component, rank| if component == "gated" { 2 } else { rank % 2 };
    let mut c = Cluster::start(3, place, patient(), build);
    c.until("each has emitted", |_| flood.emitted() >= 4);
    (0..50).for_each(|_| c.look());
    // A row in each of two windows, what was taken, and what waits in the spouts.
    assert!(c.rows_sent() <= 4, "{}", c.rows_sent());
    assert!(flood.emitted() <= 8, "{}", flood.emitted());
    flood.end();
    drop(open);
    c.complete_exactly();
    assert_eq!(executed.load(SeqCst), flood.emitted());
    c.stop();
}

// === Lives ===

#[test]
fn rows_wait_for_a_worker_that_comes_later() {
    let (got, outcomes) = (log(), log());
    let (seen, ended) = (got.clone(), outcomes.clone());
    let build = move || {
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", numbers(500, &ended), 1);
        t.set_bolt("sink", sink(&seen), 2).shuffle_grouping("numbers");
        t.build().unwrap()
    };
    let mut c = Cluster::prepare(2, apart, patient(), build);
    c.worker(0).run.start_spouts();
    (0..10).for_each(|_| c.look());
    assert!(!c.is_complete());
    c.join_all(0);
    c.complete_exactly();
    check_times(taken(&got).into_iter().map(|(_, n)| n), 500, 1);
    assert!(sorted(&outcomes).into_iter().eq((0..500).map(|n| (n, None))));
    assert_eq!(c.stop(), []);
}

#[test]
fn a_worker_that_dies_comes_back_and_everything_arrives() {
    const COUNT: i64 = 20_000;
    let (got, outcomes) = (log(), log());
    let (seen, ended) = (got.clone(), outcomes.clone());
    let build = move || {
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", replaying(COUNT, &ended), 1);
        t.set_bolt("pass", pass(), 3).shuffle_grouping("numbers");
        t.set_bolt("sink", sink(&seen), 3).fields_grouping("pass", ["n"]);
        t.build().unwrap()
    };
    let place: Place = |component, rank| if component == "numbers" { 0 } else { rank % 3 };
    // They would time out long after the test.
    let mut c = Cluster::start(3, place, pending(patient(), 500), build);
    for life in 0..4 {
        let already = got.lock().unwrap().len();
        c.until("numbers arrive", |_| got.lock().unwrap().len() > already + 500);
        let worker = 1 + life % 2;
        c.kill(worker);
        (0..life).for_each(|_| c.look());
        c.revive(worker);
        c.worker(0).run.hasten();
    }
    c.complete();
    check_all(taken(&got).into_iter().map(|(_, n)| n), COUNT);
    let outcomes = taken(&outcomes);
    let acked = outcomes.iter().filter(|(_, cause)| cause.is_none()).map(|(n, _)| *n);
    check_times(acked, COUNT, 1);
    assert!(outcomes.iter().all(|(_, cause)| matches!(cause, None | Some(FailCause::Timeout))));
    assert_eq!(c.stop(), []);
}

#[test]
fn credit_of_a_worker_that_died_is_back_for_the_next_life() {
    let (flood, got) = (Flood::default(), log());
    let (spout, seen) = (flood.clone(), got.clone());
    let build = move || {
        let mut t = TopologyBuilder::new();
        let spout = spout.clone();
        t.set_spout("numbers", move || spout.clone(), 2);
        t.set_bolt("sink", sink(&seen), 2).shuffle_grouping("numbers");
        t.build().unwrap()
    };
    let mut c = Cluster::start(2, apart, patient(), build);
    for _ in 0..10 {
        taken(&got);
        c.until("numbers arrive", |_| got.lock().unwrap().len() > 300);
        c.kill(1);
        let emitted = flood.emitted();
        (0..5).for_each(|_| c.look());
        // The spouts go on as far as there is credit, and no further.
        assert!(flood.emitted() < emitted + 200_000);
        c.revive(1);
    }
    taken(&got);
    c.until("numbers arrive at the last life", |_| got.lock().unwrap().len() > 3000);
    flood.end();
    c.complete();
    assert_eq!(c.stop(), []);
}

#[test]
fn a_worker_of_spouts_that_dies_leaves_nobody_without_credit() {
    let (flood, got) = (Flood::default(), log());
    let (spout, seen) = (flood.clone(), got.clone());
    let build = move || {
        let mut t = TopologyBuilder::new();
        let spout = spout.clone();
        t.set_spout("numbers", move || spout.clone(), 2);
        t.set_bolt("sink", sink(&seen), 1).shuffle_grouping("numbers");
        t.build().unwrap()
    };
    // Spouts in two workers, the sink in the second.
    let place: Place = |component, rank| if component == "numbers" { rank } else { 1 };
    let mut c = Cluster::start(2, place, patient(), build);
    for _ in 0..6 {
        taken(&got);
        c.until("numbers arrive", |_| got.lock().unwrap().len() > 1000);
        c.kill(0);
        taken(&got);
        c.until("those of the other one go on", |_| got.lock().unwrap().len() > 1000);
        c.revive(0);
        let line = c.worker(1).lines[&0].clone();
        c.until("and so do those of the next life", |_| line.rows_received() > 100);
    }
    flood.end();
    c.complete();
    assert_eq!(c.stop(), []);
}

#[test]
fn acks_for_a_former_life_of_a_spout_do_not_hit_the_next() {
    let (mut c, kept, outcomes) = kept(200, patient());
    let old = taken(&kept);
    c.kill(0);
    c.revive(0);
    c.until("those of the next life are kept", |_| kept.lock().unwrap().len() == 200);
    for (i, retained) in old.into_iter().enumerate() {
        if i % 2 == 0 { retained.ack() } else { retained.fail() }
    }
    let late = |c: &Cluster| -> u64 { c.figures().executors.iter().map(|e| e.late_acks).sum() };
    c.until("they come too late", |c| late(c) == 200);
    assert_eq!(taken(&outcomes), []);
    taken(&kept).into_iter().for_each(Retained::ack);
    c.complete();
    assert!(sorted(&outcomes).into_iter().eq((0..200).map(|n| (n, None))));
    c.stop();
}

#[test]
fn lines_are_exchanged_while_executors_send() {
    const COUNT: i64 = 100_000;
    let (got, outcomes) = (log(), log());
    let (seen, ended) = (got.clone(), outcomes.clone());
    let build = move || {
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", replaying(COUNT / 2, &ended), 2);
        t.set_bolt("pass", pass(), 2).shuffle_grouping("numbers");
        t.set_bolt("sink", sink(&seen), 2).fields_grouping("pass", ["n"]);
        t.build().unwrap()
    };
    let mut c = Cluster::start(2, mixed, pending(patient(), 2000), build);
    for exchange in 0..30 {
        let already = got.lock().unwrap().len();
        if exchange % 2 == 0 && already < COUNT as usize {
            c.until("numbers arrive", |_| got.lock().unwrap().len() > already);
        }
        c.cut(|_| true);
        c.join(0, 1);
        c.living().for_each(|w| w.run.hasten());
    }
    c.complete();
    let acked = taken(&outcomes).into_iter().filter(|(_, cause)| cause.is_none()).map(|(n, _)| n);
    check_times(acked, COUNT / 2, 2);
    check_all(taken(&got).into_iter().map(|(_, n)| n), COUNT / 2);
    assert_eq!(c.stop(), []);
}
