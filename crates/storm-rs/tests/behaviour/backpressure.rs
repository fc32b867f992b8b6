//! A slow bolt slows the spouts; what waits is bounded; order is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use storm_rs::Time;
use storm_rs::engine::stepped::Stepped;
use storm_rs::engine::{Settings, VirtualClock};
use storm_rs::prelude::*;

use crate::kit::*;

/// Takes some virtual time per tuple and counts.
struct Slow {
    clock: Arc<VirtualClock>,
    per_tuple: Duration,
    taken: Arc<AtomicI64>,
}

impl Bolt for Slow {
    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.clock.advance(self.per_tuple);
        self.taken.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Passes on whatever comes.
struct PassAll;

impl Bolt for PassAll {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n", "ballast"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        out.emit(input.values());
        Ok(())
    }
}

/// Emits numbers untracked without end, and counts them.
struct Flood(Arc<AtomicI64>, usize);

impl Spout for Flood {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n", "ballast"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<()>) -> Result<Next, SpoutError> {
        let n = self.0.fetch_add(1, Ordering::SeqCst);
        out.emit((n, vec![7u8; self.1]));
        Ok(Next::Emitted)
    }
}

fn flood(per_tuple: Duration, ballast: usize, secs: u64) -> (i64, i64) {
    let (emitted, taken) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let clock = Arc::new(VirtualClock::new());
    let mut t = TopologyBuilder::new();
    let count = emitted.clone();
    t.set_spout("flood", move || Flood(count.clone(), ballast), 1);
    t.set_bolt("pass", || PassAll, 1).shuffle_grouping("flood");
    let (c, k) = (clock.clone(), taken.clone());
    t.set_bolt("slow", move || Slow { clock: c.clone(), per_tuple, taken: k.clone() }, 1)
        .shuffle_grouping("pass");
    let mut run = Stepped::start(t.build().unwrap(), settings(), clock, 5).unwrap();
    run.run_until(Time::from_secs(secs));
    (emitted.load(Ordering::SeqCst), taken.load(Ordering::SeqCst))
}

#[test]
fn a_slow_bolt_slows_an_untracked_spout() {
    let (emitted, taken) = flood(Duration::from_millis(10), 0, 60);
    assert!(taken > 5_000, "{taken} in 60 s at 10 ms");
    let waiting = emitted - taken;
    // A second's worth for each of the two inboxes and what they are about to send, far from the
    // millions that the spout could emit.
    assert!(waiting < 1_000, "{waiting} tuples wait");
}

#[test]
fn bytes_bound_what_waits_as_well() {
    // 100 KB each, 1 ms: a second's worth would be 100 MB.
    let (emitted, taken) = flood(Duration::from_millis(1), 100_000, 20);
    assert!(taken > 5_000, "{taken}");
    let waiting = emitted - taken;
    assert!(waiting * 100_000 < 8 << 20, "{waiting} tuples of 100 KB wait for a 1 MB window");
}

#[test]
fn a_row_larger_than_the_window_gets_through() {
    let got = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(20), 1);
    t.set_bolt("blow", || Blow, 1).shuffle_grouping("numbers");
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("blow");
    complete(t.build().unwrap(), settings(), 3);
    assert!(is_exact(&got, 20));
}

/// Makes 3 MB of each number.
struct Blow;

impl Bolt for Blow {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n", "ballast"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        out.emit((input.get::<i64>("n")?, vec![1u8; 3 << 20]));
        Ok(())
    }
}

/// Emits many rows from one call.
struct FlatMap(i64);

impl Bolt for FlatMap {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let n: i64 = input.get("n")?;
        for i in 0..self.0 {
            out.emit((n * self.0 + i,));
        }
        Ok(())
    }
}

#[test]
fn what_one_call_emits_beyond_credit_waits_in_order() {
    let got = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(3), 1);
    t.set_bolt("flat", || FlatMap(20_000), 1).shuffle_grouping("numbers");
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("flat");
    complete(t.build().unwrap(), settings(), 9);
    assert!(taken(&got).into_iter().map(|(_, n)| n).eq(0..60_000));
}

#[test]
fn above_the_memory_budget_the_emit_is_an_error_that_names_the_sizes() {
    let (got, outcomes) = (log(), log());
    let seen = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(1).with_outcomes(&seen), 1);
    t.set_bolt("flat", || FlatMap(100_000), 1).shuffle_grouping("numbers");
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("flat");
    let settings = Settings { memory_budget: 1 << 20, ..settings() };
    let mut run = stepped(t.build().unwrap(), settings, 2);
    assert!(run.run_to_end(Time::from_secs(100)));
    assert_eq!(taken(&outcomes), [(0, Some(FailCause::Failed))]);
    let errors = run.take_errors();
    assert!(errors.iter().any(|e| e.message.contains("memory budget of 1048576 bytes")), "{errors:?}");
    assert_eq!(run.snapshot().audit(true), [""; 0]);
}

/// Emits (task, sequence) pairs through shuffles and fields groupings.
struct Sequence(i64, i64, i64);

impl Spout for Sequence {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.0 = ctx.task_index() as i64;
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<i64>) -> Result<Next, SpoutError> {
        if self.1 == self.2 {
            return Ok(Next::Done);
        }
        out.emit_tracked(self.1, (self.0 * 1_000_000 + self.1,));
        self.1 += 1;
        Ok(Next::Emitted)
    }
}

/// Writes down (source task, own task, number).
struct Order(Log<(TaskId, TaskId, i64)>, TaskId, Option<Arc<VirtualClock>>, u64);

impl Bolt for Order {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.1 = ctx.task();
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let n: i64 = input.get(0)?;
        self.0.lock().unwrap().push((input.source_task(), self.1, n));
        if let Some(clock) = &self.2 {
            clock.advance(Duration::from_micros(n as u64 * self.3 % 977));
        }
        out.emit((n,));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever the parallelism and however slow the bolts: rows of one task reach another in the
    /// order in which they were emitted.
    #[test]
    fn order_is_kept_between_two_tasks(
        seed in any::<u64>(),
        spouts in 1u32..4,
        first in 1u32..4,
        extra in 0u32..3,
        slow in 0u64..5,
    ) {
        let (a, b) = (log(), log());
        let clock = Arc::new(VirtualClock::new());
        let mut t = TopologyBuilder::new();
        t.set_spout("seq", || Sequence(0, 0, 700), spouts);
        let (log_a, log_b) = (a.clone(), b.clone());
        let (clock_a, clock_b) = (clock.clone(), clock.clone());
        t.set_bolt("a", move || Order(log_a.clone(), TaskId(0), Some(clock_a.clone()), slow), first)
            .num_tasks(first + extra)
            .shuffle_grouping("seq");
        t.set_bolt("b", move || Order(log_b.clone(), TaskId(0), Some(clock_b.clone()), 3 * slow), 2)
            .all_grouping("a");
        let mut run = Stepped::start(t.build().unwrap(), settings(), clock, seed).unwrap();
        prop_assert!(run.run_to_end(Time::from_secs(100_000)));
        prop_assert_eq!(run.snapshot().audit(true), Vec::<String>::new());
        // From the spouts: ascending per (source, target).
        let mut last: BTreeMap<(TaskId, TaskId), i64> = BTreeMap::new();
        let mut order_at_a: BTreeMap<TaskId, Vec<i64>> = BTreeMap::new();
        for (source, target, n) in taken(&a) {
            let before = last.insert((source, target), n);
            prop_assert!(before.is_none_or(|b| b < n), "{source} -> {target}: {n} after {before:?}");
            order_at_a.entry(target).or_default().push(n);
        }
        // From a to b: as each task of a executed them.
        let mut at_b: BTreeMap<(TaskId, TaskId), Vec<i64>> = BTreeMap::new();
        for (source, target, n) in taken(&b) {
            at_b.entry((source, target)).or_default().push(n);
        }
        for ((source, _), numbers) in at_b {
            prop_assert_eq!(&numbers, &order_at_a[&source]);
        }
    }
}

/// On real threads: a fast spout before a bolt that waits for a signal; memory stays flat because
/// nothing more is emitted.
#[test]
fn a_blocked_bolt_stops_the_spout_on_threads() {
    use storm_rs::engine::{Options, Run};
    let emitted = Arc::new(AtomicI64::new(0));
    let count = emitted.clone();
    let gate = Arc::new(std::sync::Mutex::new(()));
    let held = gate.lock().unwrap();
    let mut t = TopologyBuilder::new();
    t.set_spout("flood", move || Flood(count.clone(), 100), 1);
    let bolt_gate = gate.clone();
    let wait = func(move |_: &Tuple<'_>, _: &mut BoltOutput<'_>| {
        drop(bolt_gate.lock());
        Ok(())
    });
    t.set_bolt("gate", wait, 1).shuffle_grouping("flood");
    let options = Options { name: "gate".to_owned(), seed: 1, is_active: true };
    let mut run = Run::start(t.build().unwrap(), settings(), options).unwrap();
    // The spout has run into the gate when its executor has nothing to do.
    run.watch();
    let is_idle = |event| matches!(event, Some(storm_rs::engine::Event::Idle));
    loop {
        // Asking for figures makes an executor look around, and say so when there is nothing.
        run.snapshot(Duration::from_millis(50));
        if emitted.load(Ordering::SeqCst) > 0 && is_idle(run.next_event(Duration::from_millis(50))) {
            break;
        }
    }
    let at_gate = emitted.load(Ordering::SeqCst);
    assert!((1..100).contains(&at_gate), "{at_gate} emitted before a bolt that has not taken one row");
    drop(held);
    run.deactivate();
    run.stop();
}

/// Emits one number each time it is asked, untracked, without end.
struct Endless;

impl Spout for Endless {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<()>) -> Result<Next, SpoutError> {
        out.emit((1_i64,));
        Ok(Next::Emitted)
    }
}

/// Waits for 10 s, then emits one number.
struct Late(Option<Arc<dyn storm_rs::Clock>>, bool);

impl Spout for Late {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.0 = Some(ctx.clock());
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<()>) -> Result<Next, SpoutError> {
        let start = Time::from_secs(10);
        if self.0.as_ref().is_some_and(|c| c.now() < start) {
            return Ok(Next::Until(start));
        }
        if std::mem::replace(&mut self.1, true) {
            return Ok(Next::Idle);
        }
        out.emit_tracked((), (7_i64,));
        Ok(Next::Emitted)
    }
}

/// Busy all the time; emits for its first two seconds only.
struct Fading(Arc<VirtualClock>, u32);

impl Bolt for Fading {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n", "ballast"]);
    }

    fn execute(&mut self, _: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.0.advance(Duration::from_millis(1));
        self.1 += 1;
        if self.1 < 2000 {
            out.emit((0_i64, ()));
        }
        Ok(())
    }
}

/// A sender that is never idle holds credit that it does not use; a row that needs an empty inbox
/// gets it all the same.
#[test]
fn a_large_row_gets_through_beside_a_busy_sender() {
    let got = log();
    let clock = Arc::new(VirtualClock::new());
    let bolt_clock = clock.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("endless", || Endless, 1);
    t.set_bolt("fading", move || Fading(bolt_clock.clone(), 0), 1).shuffle_grouping("endless");
    t.set_spout("late", || Late(None, false), 1);
    t.set_bolt("blow", || Blow, 1).shuffle_grouping("late");
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("fading").shuffle_grouping("blow");
    let mut run = Stepped::start(t.build().unwrap(), settings(), clock, 1).unwrap();
    run.run_until(Time::from_secs(12));
    assert!(taken(&got).iter().any(|(_, n)| *n == 7), "2 s after it was emitted");
}

/// What the spout of the next test is to do.
const WARM_UP: i64 = 0;
const NOTHING: i64 = 1;
const BURST: i64 = 2;
/// It has done that.
const OVER: i64 = 3;

/// Nine calls go on after an emit, each with credit for more: together they hold most of what the
/// sink's inbox takes. The sink has nothing to do, so whoever waits for credit gets what is left,
/// and not only once half of the inbox is free.
#[test]
fn a_sender_goes_on_at_an_idle_receiver_while_long_calls_hold_credit() {
    use storm_rs::engine::{Options, Run};
    let (stage, held_up, through) =
        (Arc::new(AtomicI64::new(WARM_UP)), Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let gate = Arc::new(Mutex::new(()));
    let held = gate.lock().unwrap();
    let declare: fn(&mut OutputDeclarer) = |out| {
        out.fields(["n", "ballast"]);
    };
    let mut t = TopologyBuilder::new();
    let order = stage.clone();
    let burst = source(declare, &log(), move |out| match order.load(Ordering::SeqCst) {
        WARM_UP => {
            out.emit((0_i64, ()));
            Ok(Next::Emitted)
        }
        BURST => {
            (0..16_000).for_each(|_| out.emit((1_i64, vec![7_u8; 1000])));
            order.store(OVER, Ordering::SeqCst);
            Ok(Next::Done)
        }
        _ => Ok(Next::Idle),
    });
    t.set_spout("burst", burst, 1);
    let (order, mut is_done) = (stage.clone(), false);
    let call = source(declare, &log(), move |out| {
        if order.load(Ordering::SeqCst) == WARM_UP || std::mem::replace(&mut is_done, true) {
            return Ok(Next::Idle);
        }
        out.emit((0_i64, ()));
        Ok(Next::Emitted)
    });
    t.set_spout("call", call, 1);
    let (calls, bolt_gate) = (held_up.clone(), gate.clone());
    let long = bolted(declare, move |_, out| {
        out.emit((0_i64, ()));
        calls.fetch_add(1, Ordering::SeqCst);
        drop(bolt_gate.lock());
        Ok(())
    });
    t.set_bolt("long", long, 9).all_grouping("call");
    let (order, count) = (stage.clone(), through.clone());
    let sink = func(move |input: &Tuple<'_>, _: &mut BoltOutput<'_>| {
        let n = input.get::<i64>(0)?;
        // Until then it takes nothing, so that most of the burst has to wait for credit.
        while n == 1 && order.load(Ordering::SeqCst) != OVER {
            std::thread::yield_now();
        }
        count.fetch_add(n, Ordering::SeqCst);
        Ok(())
    });
    t.set_bolt("sink", sink, 1).shuffle_grouping("burst").shuffle_grouping("long");
    // Threads enough that nobody has to wait for another's long call.
    let settings = Settings { threads: threads().map(|_| 12), ..settings() };
    let options = Options { name: "idle".to_owned(), seed: 1, is_active: true };
    let mut run = Run::start(t.build().unwrap(), settings, options).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let window = |run: &Run| {
        let snapshot = run.snapshot(Duration::from_secs(10));
        snapshot.executors.iter().find(|e| e.component.as_str() == "sink").map_or(0, |e| e.window_rows)
    };
    // Rows enough that it is bytes that run out.
    while window(&run) < 10_000 {
        assert!(Instant::now() < deadline, "the sink is slow: {:#?}", run.snapshot(Duration::from_secs(1)));
    }
    stage.store(NOTHING, Ordering::SeqCst);
    while held_up.load(Ordering::SeqCst) < 9 {
        assert!(Instant::now() < deadline, "{held_up:?} of 9 calls");
        std::thread::yield_now();
    }
    stage.store(BURST, Ordering::SeqCst);
    while through.load(Ordering::SeqCst) < 16_000 {
        assert!(
            Instant::now() < deadline,
            "{through:?} of 16000 rows; {:#?}",
            run.snapshot(Duration::from_secs(1))
        );
        std::thread::yield_now();
    }
    drop(held);
    run.stop();
}
