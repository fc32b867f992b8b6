//! What the figures of a run say, against what a test knows to be so: counts by stream and input,
//! latencies on the virtual clock, and all of it kept in windows over hours.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use storm_rs::engine::stepped::Stepped;
use storm_rs::engine::{ComponentSettings, Settings, Snapshot, VirtualClock};
use storm_rs::figures::{
    ComponentFigures, ExecutorSnapshot, Keeper, Latency, MetricValue, TaskSnapshot, UserMetric, Window,
};
use storm_rs::metrics::Counter;
use storm_rs::prelude::*;
use storm_rs::{Clock, Time};

use crate::kit::*;

/// The clock moves on by as much with each step of an executor.
const STEP: Duration = Duration::from_micros(1);
/// A handful of steps: what passes between two executors that work at once.
const SOON: Duration = Duration::from_millis(1);
/// Most rows of a step, one of which is timed.
const BLOCK_MAX: u64 = 128;

fn executor<'a>(snapshot: &'a Snapshot, component: &str) -> &'a ExecutorSnapshot {
    snapshot.executors.iter().find(|e| e.component == *component).unwrap()
}

fn task<'a>(snapshot: &'a Snapshot, component: &str) -> &'a TaskSnapshot {
    &executor(snapshot, component).tasks[0]
}

fn ticking(settings: Settings, component: &str, every: Duration) -> Settings {
    crate::kit::component(settings, component, ComponentSettings { tick: Some(every), ..Default::default() })
}

/// A bolt whose `execute` takes as long on the virtual clock as `cost` says of the number.
struct Taking {
    clock: Arc<VirtualClock>,
    cost: fn(i64) -> Duration,
}

impl Bolt for Taking {
    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.clock.advance((self.cost)(input.get("n")?));
        Ok(())
    }
}

fn taking(
    clock: &Arc<VirtualClock>,
    cost: fn(i64) -> Duration,
) -> impl Fn() -> Taking + Send + Sync + 'static {
    let clock = clock.clone();
    move || Taking { clock: clock.clone(), cost }
}

/// Runs numbers through a bolt of such cost.
fn complete_taking(count: i64, cost: fn(i64) -> Duration) -> Snapshot {
    let clock = Arc::new(VirtualClock::new());
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(count), 1);
    t.set_bolt("taking", taking(&clock, cost), 1).shuffle_grouping("numbers");
    complete_on(&clock, t.build().unwrap(), settings())
}

fn complete_on(clock: &Arc<VirtualClock>, topology: Topology, settings: Settings) -> Snapshot {
    let mut run = stepped_on(clock, topology, settings, 5);
    assert!(run.run_to_end(Time::from_secs(3600)), "not done within an hour: {:#?}", run.snapshot());
    let snapshot = run.snapshot();
    assert_eq!(snapshot.audit(true), [""; 0]);
    run.stop();
    snapshot
}

/// Keeps its input until a tick.
#[derive(Default)]
struct UntilTick(Vec<Retained>);

impl Bolt for UntilTick {
    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.0.push(out.retain(input));
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        for kept in self.0.drain(..) {
            if kept.tuple().get::<i64>("n")? < 0 { kept.fail() } else { kept.ack() }
        }
        Ok(())
    }
}

/// Within `SOON` of `wanted`; quantiles by the documented error of the histogram above it.
fn assert_is_about(latency: &Latency, count: u64, wanted: Duration) {
    assert_eq!(latency.count(), count, "{latency:?}");
    assert!(latency.mean().abs_diff(wanted) < SOON, "{latency:?} is not {wanted:?}");
    for quantile in [latency.quantile(0.0), latency.quantile(0.5), latency.max()] {
        assert!(
            quantile + SOON >= wanted && quantile < wanted.mul_f64(1.0 + 1.0 / 16.0) + SOON,
            "{latency:?}"
        );
    }
}

// === Counts ===

#[test]
fn acks_and_fails_are_counted_by_stream_and_by_input() {
    fn declare(out: &mut OutputDeclarer) {
        out.stream("thirds", ["n"]).stream("halves", ["n"]).stream("all", ["n"]).stream("unheard", ["n"]);
    }
    let mut next = 0_i64;
    let outcomes = log();
    let spout = source(declare, &outcomes, move |out| {
        let n = next;
        next += 1;
        match n {
            0..30 => out.on("thirds").tracked(n).emit((n,)),
            30..50 => out.on("halves").tracked(n).emit((n,)),
            50..57 => out.on("all").tracked(n).emit((n,)),
            57..60 => out.on("all").emit((n,)),
            60..65 => out.on("unheard").tracked(n).emit((n,)),
            _ => return Ok(Next::Done),
        }
        Ok(Next::Emitted)
    });
    // Fails each third of the one stream, passes each second of the other on, and acks the rest itself.
    let judge = func(|input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        let n = input.get::<i64>("n")?;
        match input.source_stream().as_str() {
            "thirds" if n % 3 == 0 => return Err(BoltError::quiet("a third")),
            "halves" if n % 2 == 0 => out.emit((n,)),
            "all" => out.ack(input),
            _ => {}
        }
        Ok(())
    });
    let picky = func(|input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        if input.get::<i64>("n")? < 40 {
            out.fail(input);
        }
        Ok(())
    });
    let mut t = TopologyBuilder::new();
    t.set_spout("source", spout, 1);
    t.set_bolt("judge", judge, 1)
        .shuffle_grouping(("source", "halves"))
        .shuffle_grouping(("source", "thirds"))
        .shuffle_grouping(("source", "all"));
    t.set_bolt("picky", picky, 1).shuffle_grouping("judge");
    let snapshot = complete(t.build().unwrap(), settings(), 3);

    let streams = |component: &str| -> Vec<(String, [u64; 4])> {
        let streams = task(&snapshot, component).streams.iter();
        streams
            .map(|s| {
                assert_eq!(s.complete_latency.count(), s.acked, "of each tree that was acked");
                (s.stream.to_string(), [s.emitted, s.transferred(), s.acked, s.failed])
            })
            .collect()
    };
    let inputs = |component: &str| -> Vec<(String, [u64; 3])> {
        let inputs = task(&snapshot, component).inputs.iter();
        inputs.map(|i| (i.stream.to_string(), [i.executed, i.acked, i.failed])).collect()
    };
    // Of `halves` ten are passed on, and five of these fail.
    assert_eq!(
        streams("source"),
        [
            ("thirds".to_owned(), [30, 30, 20, 10]),
            ("halves".to_owned(), [20, 20, 15, 5]),
            ("all".to_owned(), [10, 10, 7, 0]),
            ("unheard".to_owned(), [5, 0, 5, 0]),
        ]
    );
    assert_eq!(
        inputs("judge"),
        [
            ("halves".to_owned(), [20, 20, 0]),
            ("thirds".to_owned(), [30, 20, 10]),
            ("all".to_owned(), [10, 10, 0])
        ]
    );
    assert_eq!(streams("judge"), [("default".to_owned(), [10, 10, 0, 0])]);
    assert_eq!(inputs("picky"), [("default".to_owned(), [10, 5, 5])]);
    let failed = sorted(&outcomes).into_iter().filter(|(_, cause)| cause.is_some()).count();
    assert_eq!(failed, 15, "what the spout was told");
}

#[test]
fn what_is_said_to_be_a_replay_counts_as_one_and_nothing_else() {
    fn declare(out: &mut OutputDeclarer) {
        out.fields(["n"]).stream("more", ["n"]).direct_stream("direct", ["n"]);
    }
    let mut next = 0;
    let outcomes = log();
    let spout = source(declare, &outcomes, move |out| {
        next += 1;
        match next {
            1 => out.emit((1_i64,)),
            2 => out.emit_tracked(2, (2_i64,)),
            3 => out.emit_tracked(2, (2_i64,)),
            4 => out.on("more").tracked(4).emit((4_i64,)),
            5 => out.emit_replayed(5, (5_i64,)),
            6 => out.on("more").replayed(6).emit((6_i64,)),
            7 => out.on("direct").task(TaskId(1)).replayed(7).emit((7_i64,)),
            // The last word counts.
            8 => out.on("more").replayed(8).tracked(8).emit((8_i64,)),
            // Refused: not emitted again, nor at all.
            9 => out.emit_replayed(9, (9_i64, "too many")),
            10 => out.on("more").replayed(10).emit((10_i64, "too many")),
            _ => return Ok(Next::Done),
        }
        Ok(Next::Emitted)
    });
    let mut t = TopologyBuilder::new();
    t.set_spout("source", spout, 1);
    t.set_bolt("sink", sink(&log()), 1)
        .shuffle_grouping("source")
        .shuffle_grouping(("source", "more"))
        .direct_grouping(("source", "direct"));
    let (snapshot, errors) = complete_with_errors(t.build().unwrap(), settings());
    assert_eq!(errors.len(), 2, "{errors:?}");
    let source = task(&snapshot, "source");
    assert_eq!([source.replayed, source.tracked, source.emitted()], [3, 7, 8]);
}

#[test]
fn without_tracking_a_replay_is_counted_all_the_same() {
    let mut t = TopologyBuilder::new();
    let mut next = 0_i64;
    let spout = source(
        |out| {
            out.fields(["n"]);
        },
        &log(),
        move |out| {
            next += 1;
            if next > 4 {
                return Ok(Next::Done);
            }
            out.emit_replayed(next, (next,));
            Ok(Next::Emitted)
        },
    );
    t.set_spout("source", spout, 1);
    t.set_bolt("sink", sink(&log()), 1).shuffle_grouping("source");
    let snapshot = complete(t.build().unwrap(), Settings { tracking: false, ..settings() }, 1);
    assert_eq!([task(&snapshot, "source").replayed, snapshot.spouts(|t| t.acked())], [4, 4]);
}

/// Emits five numbers, then panics once, and goes on.
struct Panicking {
    life: u64,
    next: i64,
}

impl Spout for Panicking {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.life = ctx.incarnation();
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        assert!(self.life > 1 || self.next < 5, "the first life ends");
        if self.next == 8 {
            return Ok(Next::Done);
        }
        out.emit_tracked(self.next, (self.next,));
        self.next += 1;
        Ok(Next::Emitted)
    }
}

#[test]
fn what_was_pending_when_a_spout_panicked_is_lost_and_its_late_acks_are_counted() {
    let mut t = TopologyBuilder::new();
    t.set_spout("source", || Panicking { life: 0, next: 0 }, 1);
    t.set_bolt("kept", UntilTick::default, 1).shuffle_grouping("source");
    let settings = ticking(settings(), "kept", Duration::from_secs(5));
    let mut run = stepped(t.build().unwrap(), settings, 1);
    run.run_until(Time::from_secs(4));
    let now = run.snapshot();
    let source = task(&now, "source");
    assert_eq!([source.tracked, source.lost, source.pending, source.incarnation], [13, 5, 8, 2]);
    assert!(run.run_to_end(Time::from_secs(20)));
    let end = run.snapshot();
    assert_eq!(end.audit(true), [""; 0]);
    let source = task(&end, "source");
    assert_eq!([source.acked(), source.lost, source.pending], [8, 5, 0]);
    assert_eq!(executor(&end, "source").late_acks, 5);
    assert_eq!(source.streams[0].complete_latency.count(), 8, "nothing of those that were lost");
}

#[test]
fn each_untracked_row_that_a_full_cycle_refuses_is_counted_as_dropped() {
    let double = func(|input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        let n = input.get::<i64>("n")?;
        out.emit((n,));
        out.emit((n,));
        Ok(())
    });
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::untracked(1), 1);
    t.set_bolt("double", double, 1).shuffle_grouping("numbers").shuffle_grouping("double");
    let settings = Settings { memory_budget: 64 << 10, ..settings() };
    let mut run = stepped(t.build().unwrap(), settings, 4);
    run.run_until(Time::from_millis(1_002));
    let snapshot = run.snapshot();
    let (double, dropped) = (task(&snapshot, "double"), executor(&snapshot, "double").dropped);
    assert!(dropped > 0);
    assert_eq!(double.emitted() + dropped, 2 * double.executed(), "two emits of each");
    assert_eq!((double.transferred(), double.failed()), (double.emitted(), 0));
}

// === Latencies ===

#[test]
fn a_tuple_that_is_retained_for_ten_seconds_has_a_process_latency_of_ten_seconds() {
    let mut t = TopologyBuilder::new();
    // Negative ones fail.
    let mut next = -3_i64;
    let spout = source(
        |out| {
            out.fields(["n"]);
        },
        &log(),
        move |out| {
            if next == 20 {
                return Ok(Next::Done);
            }
            out.emit_tracked(next, (next,));
            next += 1;
            Ok(Next::Emitted)
        },
    );
    t.set_spout("numbers", spout, 1);
    t.set_bolt("kept", UntilTick::default, 1).shuffle_grouping("numbers");
    let settings = ticking(settings(), "kept", Duration::from_secs(10));
    let mut run = stepped(t.build().unwrap(), settings, 1);
    run.run_until(Time::from_secs(7));
    let kept = task(&run.snapshot(), "kept").clone();
    assert_eq!((kept.retained, kept.inputs[0].process_latency.count()), (23, 0));
    let oldest = Duration::from_nanos(kept.oldest_retained_ns);
    assert!(oldest.abs_diff(Duration::from_secs(6)) < SOON, "since the clock's first second: {oldest:?}");
    assert!(run.run_to_end(Time::from_secs(20)));
    let snapshot = run.snapshot();
    assert_eq!(snapshot.audit(true), [""; 0]);
    let kept = task(&snapshot, "kept");
    assert_eq!([kept.acked(), kept.failed(), kept.retained, kept.oldest_retained_ns], [20, 3, 0, 0]);
    assert_is_about(&kept.inputs[0].process_latency, 20, Duration::from_secs(10));
    assert!(kept.inputs[0].execute_latency.max() < SOON, "execute itself took no time");
}

#[test]
fn a_tree_that_takes_two_seconds_has_a_complete_latency_of_two_seconds() {
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(30), 1);
    t.set_bolt("pass", pass(), 2).shuffle_grouping("numbers");
    t.set_bolt("kept", UntilTick::default, 1).shuffle_grouping("pass");
    let settings = ticking(settings(), "kept", Duration::from_secs(2));
    let snapshot = complete(t.build().unwrap(), settings, 1);
    assert_is_about(&task(&snapshot, "numbers").streams[0].complete_latency, 30, Duration::from_secs(2));
    assert_is_about(&snapshot.complete_latency(), 30, Duration::from_secs(2));
}

#[test]
fn each_row_of_a_slow_bolt_is_timed() {
    let three_ms = complete_taking(50, |_| Duration::from_millis(3));
    let input = &task(&three_ms, "taking").inputs[0];
    for latency in [&input.execute_latency, &input.process_latency] {
        assert_eq!((latency.count(), latency.mean()), (50, Duration::from_millis(3)), "exactly");
        assert_is_about(latency, 50, Duration::from_millis(3));
    }
    // 1 to 40 ms: whichever row were left out or counted twice, the sum would tell.
    let growing = complete_taking(40, |n| Duration::from_millis(n as u64 + 1));
    let latency = &task(&growing, "taking").inputs[0].execute_latency;
    assert_eq!((latency.count(), latency.sum()), (40, Duration::from_millis(820)));
    assert!(latency.max() >= Duration::from_millis(40) && latency.max() < Duration::from_micros(42_500));
}

#[test]
fn rows_of_a_quick_bolt_stand_for_their_blocks() {
    for (count, cost) in [
        (3_000, (|_| Duration::from_micros(10)) as fn(i64) -> Duration),
        (3_000, |_| Duration::from_nanos(700)),
        (20_000, |_| Duration::ZERO),
    ] {
        let snapshot = complete_taking(count, cost);
        let input = &task(&snapshot, "taking").inputs[0];
        assert_eq!(input.executed, count as u64);
        let timed = input.execute_latency.count();
        assert!(timed.abs_diff(input.executed) <= BLOCK_MAX, "{timed} of {count}");
        assert_eq!(input.execute_latency.mean(), cost(0), "all took the same");
        assert_eq!(input.process_latency, input.execute_latency);
    }
}

#[test]
fn a_sample_shows_what_share_of_rows_is_slow() {
    // A tenth takes ten times as long.
    let cost = |n: i64| Duration::from_micros(if n % 10 == 3 { 20 } else { 2 });
    let snapshot = complete_taking(50_000, cost);
    let latency = &task(&snapshot, "taking").inputs[0].execute_latency;
    let mean = latency.mean().as_secs_f64() * 1e6;
    // A sample of some 2,000: its mean is off by 0.12 in one case of three.
    assert!((mean - 3.8).abs() < 0.6, "{mean} us instead of 3.8: {latency:?}");
    assert!(latency.quantile(0.8) < Duration::from_micros(3) && latency.max() >= Duration::from_micros(20));
}

#[test]
fn only_what_is_acked_has_a_process_latency() {
    let clock = Arc::new(VirtualClock::new());
    let moved = clock.clone();
    let failing = func(move |input: &Tuple<'_>, _: &mut BoltOutput<'_>| {
        moved.advance(Duration::from_millis(5));
        if input.get::<i64>("n")? % 4 == 0 { Err(BoltError::quiet("a fourth")) } else { Ok(()) }
    });
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(40), 1);
    t.set_bolt("failing", failing, 1).shuffle_grouping("numbers");
    let snapshot = complete_on(&clock, t.build().unwrap(), settings());
    let input = &task(&snapshot, "failing").inputs[0];
    assert_eq!((input.execute_latency.count(), input.process_latency.count()), (40, 30));
    assert_eq!(input.execute_latency.mean(), Duration::from_millis(5));
    assert_eq!(input.process_latency.mean(), Duration::from_millis(5));
}

#[test]
fn rows_that_wait_for_a_slow_bolt_have_a_queue_latency() {
    let slow = complete_taking(300, |_| Duration::from_millis(3));
    let queue = &executor(&slow, "taking").queue_latency;
    assert_eq!(queue.count(), 300, "each row waited once");
    // At the end some hundred rows wait, of 3 ms each.
    assert!(queue.max() > Duration::from_millis(30), "{queue:?}");
    assert!(executor(&slow, "numbers").queue_latency.is_empty(), "nothing waits for a spout");
    let quick = complete_taking(300, |_| Duration::ZERO);
    let queue = &executor(&quick, "taking").queue_latency;
    assert_eq!(queue.count(), 300);
    assert!(queue.max() < 2 * SOON, "{queue:?}");
}

// === Busy time ===

#[test]
fn a_bolt_is_busy_while_it_executes_and_not_while_it_waits_for_input() {
    // A row a second, of 250 ms each.
    let clock = Arc::new(VirtualClock::new());
    let mut t = TopologyBuilder::new();
    t.set_spout("paced", || Paced::new(|_| Duration::from_secs(1)), 1);
    t.set_bolt("taking", taking(&clock, |_| Duration::from_millis(250)), 1).shuffle_grouping("paced");
    let mut run = stepped_on(&clock, t.build().unwrap(), settings(), 5);
    run.run_until(Time::from_secs(101));
    let snapshot = run.snapshot();
    let ExecutorSnapshot { busy, uptime, .. } = executor(&snapshot, "taking");
    assert!(uptime.abs_diff(Duration::from_secs(100)) < Duration::from_secs(1), "{uptime:?}");
    let expected = Duration::from_millis(250 * task(&snapshot, "taking").executed());
    assert!(busy.abs_diff(expected) < 10 * SOON, "{busy:?} instead of {expected:?}");
    let idle = executor(&snapshot, "paced").busy;
    assert!(idle < 10 * SOON, "the spout waits for its moments: {idle:?}");
}

#[test]
fn waiting_for_a_slow_bolt_is_not_being_busy() {
    let clock = Arc::new(VirtualClock::new());
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(3_000), 1);
    t.set_bolt("pass", pass(), 1).shuffle_grouping("numbers");
    t.set_bolt("taking", taking(&clock, |_| Duration::from_millis(20)), 1).shuffle_grouping("pass");
    let snapshot = complete_on(&clock, t.build().unwrap(), settings());
    let busy = |component| executor(&snapshot, component).busy;
    let work = Duration::from_secs(60);
    assert!(busy("taking") >= work && busy("taking") < work.mul_f64(1.01), "{:?}", busy("taking"));
    assert!(busy("pass") < work / 100, "it waits for credit: {:?}", busy("pass"));
    assert!(busy("numbers") < work / 100, "it waits for credit: {:?}", busy("numbers"));
}

/// Works when it is ticked.
struct OnTick(Arc<VirtualClock>);

impl Bolt for OnTick {
    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.0.advance(Duration::from_millis(100));
        Ok(())
    }
}

#[test]
fn ticks_are_work_too() {
    let clock = Arc::new(VirtualClock::new());
    let of_bolt = clock.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("paced", || Paced::new(|_| Duration::from_secs(10)), 1);
    t.set_bolt("ticking", move || OnTick(of_bolt.clone()), 1).shuffle_grouping("paced");
    let settings = ticking(settings(), "ticking", Duration::from_secs(1));
    let mut run = stepped_on(&clock, t.build().unwrap(), settings, 5);
    run.run_until(Time::from_secs(101));
    let busy = executor(&run.snapshot(), "ticking").busy;
    assert!(busy.abs_diff(Duration::from_secs(10)) < Duration::from_millis(300), "100 ticks: {busy:?}");
}

// === Metrics of user code ===

/// Counts and measures; panics on the number 5.
struct Measuring {
    tuples: Counter,
    sizes: storm_rs::metrics::Histogram,
    level: storm_rs::metrics::Gauge,
}

impl Bolt for Measuring {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        (self.tuples, self.sizes, self.level) =
            (ctx.counter("tuples"), ctx.histogram("sizes"), ctx.gauge("level"));
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let n = input.get::<i64>("n")?;
        self.tuples.increment(1);
        self.sizes.record(n as f64);
        self.level.set(n as f64);
        assert!(n != 5, "five");
        Ok(())
    }
}

#[test]
fn metrics_of_user_code_stand_with_their_task_and_survive_a_panic() {
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(12), 1);
    let measuring = || Measuring {
        tuples: Counter::noop(),
        sizes: storm_rs::metrics::Histogram::noop(),
        level: storm_rs::metrics::Gauge::noop(),
    };
    t.set_bolt("measuring", measuring, 1).shuffle_grouping("numbers");
    let snapshot = complete(t.build().unwrap(), settings(), 1);
    let measuring = task(&snapshot, "measuring");
    assert_eq!((measuring.incarnation, measuring.failed()), (2, 1), "it panicked");
    let [level, sizes, tuples] = &measuring.metrics[..] else { panic!("{:?}", measuring.metrics) };
    assert_eq!(*tuples, UserMetric { name: "tuples".to_owned(), value: MetricValue::Counter(12) });
    assert_eq!(*level, UserMetric { name: "level".to_owned(), value: MetricValue::Gauge(11.0) });
    let MetricValue::Histogram(sizes) = &sizes.value else { panic!("{sizes:?}") };
    assert_eq!((sizes.count(), sizes.sum(), sizes.min(), sizes.max()), (12, 66.0, 0.0, 11.0));
    assert!(task(&snapshot, "numbers").metrics.is_empty());
}

// === Kept in windows ===

/// Emits a number, tracked, and the next one after as long as `gap` says of it.
struct Paced {
    next: i64,
    due: Time,
    gap: fn(Time) -> Duration,
    emitted: Log<Time>,
}

impl Paced {
    fn new(gap: fn(Time) -> Duration) -> Paced {
        Paced { next: 0, due: Time::ZERO, gap, emitted: log() }
    }
}

impl Spout for Paced {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        let now = out.now();
        if now >= self.due {
            self.due = now + (self.gap)(now);
            self.emitted.lock().unwrap().push(now);
            out.emit_tracked(self.next, (self.next,));
            self.next += 1;
        }
        Ok(Next::Until(self.due))
    }
}

/// Events with their moments, and how much each was: what a window should say of them.
#[derive(Clone, Default)]
struct Model(VecDeque<(Time, u64)>);

impl Model {
    fn all(&self) -> u64 {
        self.0.iter().map(|(_, n)| n).sum()
    }

    /// How much was within the last `span`.
    fn within(&self, span: Duration, now: Time) -> u64 {
        self.0.iter().filter(|(at, _)| now.since(*at) < span).map(|(_, n)| n).sum()
    }

    /// Whether a window may say so: it is exact but for a share of its oldest bucket, which ends up to
    /// two observations after it is full.
    fn allows(&self, said: u64, window: Window, now: Time) -> bool {
        let (Some(span), Some(bucket)) = (window.span(), window.bucket()) else {
            return said == self.all();
        };
        let bucket = bucket + 2 * OBSERVED_EVERY;
        (self.within(span - bucket, now)..=self.within(span + bucket, now)).contains(&said)
    }
}

const OBSERVED_EVERY: Duration = Duration::from_secs(30);

/// Busy times and quiet ones: a row every 2 s, every 20 s for a while each hour, and seldom in the third.
fn tides(now: Time) -> Duration {
    let minute = now.as_nanos() / 60_000_000_000;
    Duration::from_secs(match (minute / 60, minute % 60) {
        (2, _) => 45,
        (_, 20..35) => 20,
        _ => 2,
    })
}

/// How long the row of a number takes: 100 to 900 ms.
fn effort(n: i64) -> Duration {
    Duration::from_millis(100 + 100 * (n % 9) as u64)
}

#[test]
fn a_keeper_says_of_hours_what_happened_in_them() {
    let clock = Arc::new(VirtualClock::new());
    let (emitted, executed) = (log(), log());
    let (of_spout, of_bolt, moved) = (emitted.clone(), executed.clone(), clock.clone());
    let mut t = TopologyBuilder::new();
    t.set_spout("paced", move || Paced { emitted: of_spout.clone(), ..Paced::new(tides) }, 1);
    let working = func(move |input: &Tuple<'_>, _: &mut BoltOutput<'_>| {
        let n = input.get::<i64>("n")?;
        moved.advance(effort(n));
        of_bolt.lock().unwrap().push((moved.now(), n));
        if n % 7 == 3 { Err(BoltError::quiet("a seventh")) } else { Ok(()) }
    });
    t.set_bolt("working", working, 1).shuffle_grouping("paced");
    let mut run = stepped_on(&clock, t.build().unwrap(), settings(), 9);
    let mut keeper = Keeper::default();
    let mut seen = (0, 0);
    for observation in 1..=480 {
        run.run_until(Time::from_secs(1) + observation * OBSERVED_EVERY);
        keeper.observe(clock.now(), &snapshot_between_rows(&mut run));
        // Every five minutes, of all that has happened so far.
        if observation % 10 != 0 {
            continue;
        }
        let now = clock.now();
        let emitted = Model(emitted.lock().unwrap().iter().map(|at| (*at, 1)).collect());
        let executed = executed.lock().unwrap().clone();
        let of = |count: fn(i64) -> u64| Model(executed.iter().map(|(at, n)| (*at, count(*n))).collect());
        let report = keeper.report(now);
        let (paced, working) = (report.component("paced").unwrap(), report.component("working").unwrap());
        for window in Window::ALL {
            let said = |component: &ComponentFigures| component.figures[window].clone();
            let (paced, working) = (said(paced), said(working));
            let nanos = of(|n| effort(n).as_nanos() as u64);
            for (what, said, model) in [
                ("emitted", paced.emitted, &emitted),
                ("tracked", paced.tracked, &emitted),
                ("executed", working.executed, &of(|_| 1)),
                ("failed", working.failed, &of(|n| u64::from(n % 7 == 3))),
                ("acked", working.acked, &of(|n| u64::from(n % 7 != 3))),
                ("trees failed", paced.failed, &of(|n| u64::from(n % 7 == 3))),
                ("trees acked", paced.acked, &of(|n| u64::from(n % 7 != 3))),
                ("timed", working.execute_latency.count(), &of(|_| 1)),
                ("execute", working.execute_latency.sum().as_nanos() as u64, &nanos),
            ] {
                let wanted = window.span().map_or(model.all(), |span| model.within(span, now));
                assert!(
                    model.allows(said, window, now),
                    "{what} in {}: {said}, not {wanted}, at {now:?}",
                    window.title()
                );
            }
            // Of the time that the window covers, which is all of it at first.
            let span = window.span().map_or(working.uptime, |span| span.min(working.uptime));
            let said = (working.capacity * span.as_nanos() as f64).round() as u64;
            let is_right = nanos.allows(said, window, now);
            assert!(is_right, "capacity in {}: {} at {now:?}", window.title(), working.capacity);
            let of_busy = working.busy.as_secs_f64() / span.as_secs_f64();
            assert!((of_busy - working.capacity).abs() < 0.02, "busy {of_busy}, {}", working.capacity);
        }
        let both = (paced.figures.ten_minutes.emitted, working.figures.ten_minutes.executed);
        seen = (seen.0.max(both.0), seen.1.max(both.1));
    }
    // The tides are in what was compared.
    assert!(
        seen.0 > 250
            && keeper.report(clock.now()).component("paced").unwrap().figures.all_time.emitted > 4_000
    );
    assert_eq!(seen.0, seen.1);
}

/// Nothing is on its way at that moment, so that all figures are of the same rows.
fn snapshot_between_rows(run: &mut Stepped) -> Snapshot {
    let soon = run.clock().now() + Duration::from_secs(5);
    while !run.is_quiet() {
        assert!(run.clock().now() < soon);
        let until = run.clock().now() + STEP;
        run.run_until(until);
    }
    run.snapshot()
}
