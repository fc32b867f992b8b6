//! The test kit, tested.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use storm_rs::prelude::*;
use storm_rs::testing::{BoltTest, Outcome, SpoutTest, TopologyTest, for_each_seed};
use storm_rs::{Inbox, Message};

/// Batches of two, written on a tick as well; asks a friend about odd numbers.
#[derive(Default)]
struct Pairs {
    kept: Vec<Retained>,
    inbox: Option<Inbox<i64>>,
}

impl Bolt for Pairs {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["a", "b"]).stream("answers", ["n"]);
    }

    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.inbox = Some(ctx.inbox());
        if ctx.config("refuse").is_some() {
            return Err(BoltError::msg("refused by configuration"));
        }
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let n: i64 = input.get("n")?;
        if n < 0 {
            return Err(BoltError::msg("negative"));
        }
        self.kept.push(out.retain(input));
        if let [a, b] = &self.kept[..] {
            let row: (i64, i64) = (a.tuple().get("n")?, b.tuple().get("n")?);
            out.emit_anchored([a, b], row);
            self.kept.drain(..).for_each(Retained::ack);
        }
        if n % 2 == 1
            && let Some(inbox) = &self.inbox
        {
            inbox.send(n * 10)?;
        }
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.kept.drain(..).for_each(Retained::fail);
        Ok(())
    }

    fn on_message(&mut self, message: Message, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        out.emit_to("answers", (message.take::<i64>()?,));
        Ok(())
    }
}

#[test]
fn a_bolt_that_retains_is_followed_to_the_end_of_its_tuples() {
    let mut pairs = BoltTest::new(Pairs::default()).input("numbers", ["n"]);
    assert_eq!(pairs.execute((2,)).outcome(), Outcome::Retained);
    assert_eq!(pairs.retained(), 1);
    let second = pairs.execute((4,));
    assert_eq!(second.emitted(), [values![2, 4]]);
    assert!(second.emissions()[0].is_anchored);
    assert_eq!((pairs.settled(), pairs.retained()), ((2, 0), 0));
    pairs.execute((6,));
    assert_eq!(pairs.tick().outcome(), Outcome::NoTuple);
    assert_eq!(pairs.settled(), (2, 1));
}

#[test]
fn errors_messages_and_configuration_are_seen() {
    let mut pairs = BoltTest::new(Pairs::default()).input("numbers", ["n"]);
    let done = pairs.execute((-1,));
    assert_eq!((done.outcome(), done.error()), (Outcome::Failed, Some("negative")));
    assert!(pairs.execute(("x",)).error().unwrap().contains("field 'n' of stream 'default' of 'numbers'"));
    pairs.execute((3,));
    let answers = pairs.deliver_messages();
    assert_eq!(answers[0].emitted_to("answers"), [values![30]]);
    assert!(pairs.message("no number").error().unwrap().contains("i64"));
    let refused = BoltTest::new(Pairs::default()).config("refuse", true).prepare();
    assert_eq!(refused.unwrap_err().to_string(), "refused by configuration");
}

/// Emits where a tuple came from.
struct Whence;

impl Bolt for Whence {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["from_orders", "from_late"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        out.emit((input.is_from("orders"), input.is_from_stream("late")));
        Ok(())
    }
}

#[test]
fn a_tuple_tells_whether_it_is_from_a_component_and_a_stream() {
    let mut whence = BoltTest::new(Whence);
    for (component, stream) in [("orders", "default"), ("orders", "late"), ("order", "late"), ("x", "later")]
    {
        whence.set_input(component, stream, [""; 0]);
        whence.execute(()).assert_acked();
    }
    let expected = [(true, false), (true, true), (false, true), (false, false)];
    whence.emits().assert_each_once(["from_orders", "from_late"], expected);
}

/// Emits a number a second.
struct Clockwork(Option<std::sync::Arc<dyn storm_rs::Clock>>, i64);

impl Spout for Clockwork {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.0 = Some(ctx.clock());
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        self.1 += 1;
        out.emit_tracked(self.1, (self.1,));
        let now = self.0.as_ref().map(|c| c.now()).unwrap_or_default();
        Ok(Next::Until(now + Duration::from_secs(1)))
    }
}

#[test]
fn a_spout_is_asked_acked_and_sees_the_virtual_clock() {
    let mut spout = SpoutTest::new(Clockwork(None, 0));
    let first = spout.ask();
    assert_eq!(first.next(), Some(Next::Until(spout.now() + Duration::from_secs(1))));
    spout.advance(Duration::from_secs(5));
    let second = spout.ask();
    assert_eq!(second.next(), Some(Next::Until(spout.now() + Duration::from_secs(1))));
    assert_eq!(spout.pending().len(), 2);
    spout.ack(first.pending()[0]);
    spout.ack(first.pending()[0]);
    assert_eq!(spout.pending(), second.pending());
}

/// Nothing: to be replaced.
struct Nothing;

impl Spout for Nothing {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn next_tuple(&mut self, _: &mut SpoutOutput<'_, ()>) -> Result<Next, SpoutError> {
        Ok(Next::Done)
    }
}

/// Drops the first tuple it sees into a drawer until a tick; passes on the others.
#[derive(Default)]
struct Forgetful(Vec<Retained>, u32);

impl Bolt for Forgetful {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.1 += 1;
        if self.1 == 1 {
            self.0.push(out.retain(input));
        } else {
            out.emit(input.values());
        }
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.0.drain(..).for_each(Retained::ack);
        Ok(())
    }
}

fn forgetful() -> Topology {
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Nothing, 1);
    t.set_bolt("forgetful", Forgetful::default, 1).tick_secs(3600).shuffle_grouping("numbers");
    t.build().unwrap()
}

#[test]
fn a_timeout_takes_no_time_and_what_timed_out_is_emitted_again() {
    let run = TopologyTest::new(forgetful()).replace_spout("numbers", [(1,), (2,), (3,)]).complete();
    assert_eq!(run.emitted_sorted("forgetful"), [values![1], values![2], values![3]]);
    assert_eq!((run.acked("numbers"), run.failed("numbers")), (3, 1));
    // The drawer is opened by the tick after an hour.
    assert!(run.took() >= Duration::from_secs(3600), "{:?}", run.took());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let order = |seed| {
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", || Nothing, 1);
        t.set_bolt("pass", || Pass, 4).shuffle_grouping("numbers");
        let run = TopologyTest::new(t.build().unwrap())
            .replace_spout("numbers", (0..100).map(|n| (n,)))
            .seed(seed)
            .complete();
        run.emitted("pass")
    };
    assert_eq!(order(5), order(5));
    let orders: Vec<_> = (0..5).map(order).collect();
    assert!(orders.iter().any(|o| *o != orders[0]), "five seeds, one order");
}

struct Pass;

impl Bolt for Pass {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        out.emit(input.values());
        Ok(())
    }
}

#[test]
#[should_panic(expected = "not done after")]
fn a_topology_that_does_not_end_is_told() {
    let test = TopologyTest::new(forgetful()).replace_spout("numbers", [(1,)]);
    test.within(Duration::from_secs(600)).complete();
}

#[test]
#[should_panic(expected = "'numbers' has no stream 'other'")]
fn a_stream_that_is_not_there_is_named() {
    drop(TopologyTest::new(forgetful()).replace_stream("numbers", "other", [(1,)]));
}

#[test]
fn each_seed_is_tried() {
    let mut seen = vec![];
    for_each_seed(3..6, |seed| seen.push(seed));
    assert_eq!(seen, [3, 4, 5]);
}

#[test]
fn a_bolt_can_be_replaced_or_muted() {
    let chain = || {
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", || Nothing, 1);
        t.set_bolt("first", || Pass, 1).shuffle_grouping("numbers");
        t.set_bolt("second", || Pass, 1).shuffle_grouping("first");
        TopologyTest::new(t.build().unwrap()).replace_spout("numbers", [(1,), (2,)])
    };
    let run = chain().replace_bolt("first", || Double).complete();
    run.arrivals("second").assert_each_once(["n"], [(2,), (4,)]);
    let run = chain().mute_bolt("first").complete();
    assert_eq!((run.arrivals("first").len(), run.arrivals("second").len()), (2, 0));
    run.assert_all_acked();
}

struct Double;

impl Bolt for Double {
    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        out.emit((2 * input.get::<i64>("n")?,));
        Ok(())
    }
}

#[test]
#[should_panic(expected = "the topology has no bolt 'numbers'")]
fn a_spout_cannot_be_muted() {
    drop(TopologyTest::new(forgetful()).mute_bolt("numbers"));
}

// === Time ===

fn counted(tick_secs: u32, timeout_secs: u32) -> TopologyTest {
    let mut t = TopologyBuilder::new();
    t.config("topology.message.timeout.secs", timeout_secs);
    t.set_spout("numbers", || Nothing, 1);
    t.set_bolt("per-tick", PerTick::default, 1).tick_secs(tick_secs).shuffle_grouping("numbers");
    TopologyTest::new(t.build().unwrap())
}

/// Counts what comes between two ticks; the tuples are acked when their count is emitted.
#[derive(Default)]
struct PerTick(Vec<Retained>);

impl Bolt for PerTick {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["count", "at_secs"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.0.push(out.retain(input));
        Ok(())
    }

    fn on_tick(&mut self, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let at_secs = out.now().since(storm_rs::Time::ZERO).as_secs();
        out.emit_anchored(&self.0, (self.0.len(), at_secs));
        self.0.drain(..).for_each(Retained::ack);
        Ok(())
    }
}

/// The clock of a test begins at one second.
const BEGIN_SECS: i64 = 1;

#[test]
fn a_tick_every_minute_takes_no_time() {
    let mut run = counted(60, 120).feed_spout("numbers").start();
    run.run_for(Duration::from_secs(59));
    assert_eq!(run.emitted("per-tick").len(), 0);
    run.run_for(Duration::from_secs(1));
    assert_eq!(run.emitted("per-tick"), [values![0, BEGIN_SECS + 60]], "a tick that is due has happened");
    run.feed("numbers", [(1,), (2,)]);
    run.run_for(Duration::from_secs(24 * 3600));
    let ticks = (1..=24 * 60 + 1).map(|n| (if n == 2 { 2 } else { 0 }, BEGIN_SECS + 60 * n));
    run.emits("per-tick").assert_each_once(["count", "at_secs"], ticks).assert_in_order("at_secs");
    run.assert_all_acked();
}

#[test]
fn a_window_of_an_hour_takes_no_time() {
    let mut run = counted(3600, 7200).feed_spout("numbers").start();
    for (minutes, rows) in [(10, 3), (49, 4), (1, 5), (59, 6), (121, 0)] {
        run.feed("numbers", (0..rows).map(|n| (n,)));
        run.run_for(Duration::from_secs(60 * minutes));
    }
    // What is fed as an hour ends counts in the next one.
    let counts: Vec<_> =
        run.emits("per-tick").iter().map(|r| (r.get("count").clone(), r.at().as_secs())).collect();
    let expected = [(12, 1), (6, 2), (0, 3), (0, 4)];
    assert_eq!(counts, expected.map(|(count, hour)| (Value::Int(count), 3600 * hour)));
    run.assert_all_acked();
    assert!(run.took() >= Duration::from_secs(4 * 3600) && run.took() < Duration::from_secs(4 * 3600 + 1));
    assert_eq!(run.complete().acked("numbers"), 18);
}

#[test]
fn a_timeout_of_30_s_comes_after_30_s_and_within_one_more() {
    // The tick comes too late.
    let mut run = counted(100, 30).without_replay().replace_spout("numbers", [(1,)]).start();
    run.run_for(Duration::from_secs(30));
    assert_eq!((run.acked("numbers"), run.failed("numbers")), (0, 0));
    run.run_for(Duration::from_secs(1));
    assert_eq!((run.acked("numbers"), run.failed("numbers")), (0, 1));
    // The ack at the tick comes for a tree that has ended.
    let run = run.complete();
    assert_eq!((run.acked("per-tick"), run.acked("numbers"), run.failed("numbers")), (1, 0, 1));
}

#[test]
fn spouts_that_are_deactivated_emit_nothing_however_long() {
    let mut run = counted(60, 120).feed_spout("numbers").start();
    run.deactivate();
    run.feed("numbers", [(1,)]);
    run.run_for(Duration::from_secs(3600));
    assert!(run.emits("numbers").is_empty());
    run.activate();
    run.run_for(Duration::from_secs(60));
    assert_eq!(run.emits("numbers").values(), [values![1]]);
    run.assert_all_acked();
}

#[test]
fn a_bolt_alone_and_a_spout_alone_see_the_time_that_the_test_gives_them() {
    let mut bolt = BoltTest::new(PerTick::default()).input("numbers", ["n"]);
    bolt.advance(Duration::from_secs(3600));
    assert_eq!(bolt.tick().emitted(), [values![0, BEGIN_SECS + 3600]]);
    assert_eq!(bolt.now().since(storm_rs::Time::ZERO), Duration::from_secs(3601));

    let mut spout = SpoutTest::new(EachMinute);
    let begin = spout.now();
    assert_eq!(spout.ask().next(), Some(Next::Until(begin + Duration::from_secs(60))));
    spout.advance(Duration::from_secs(60));
    assert_eq!(spout.ask().emitted(), [values![BEGIN_SECS + 60]]);
}

/// Emits the time, each minute.
struct EachMinute;

impl Spout for EachMinute {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, ()>) -> Result<Next, SpoutError> {
        out.emit((out.now().since(storm_rs::Time::ZERO).as_secs(),));
        Ok(Next::Until(out.now() + Duration::from_secs(60)))
    }
}

#[test]
fn a_spout_of_ones_own_runs_on_the_virtual_clock() {
    let mut t = TopologyBuilder::new();
    t.set_spout("minutes", || EachMinute, 1);
    t.set_bolt("pass", || Pass, 1).shuffle_grouping("minutes");
    let mut run = TopologyTest::new(t.build().unwrap()).start();
    run.run_for(Duration::from_secs(3600));
    let minutes: Vec<_> = (0..=60).map(|n| values![BEGIN_SECS + 60 * n]).collect();
    assert_eq!(run.emitted("pass"), minutes);
}

// === Errors that end the topology ===

/// Finds at number 3 that it cannot work at all.
struct Picky;

impl Bolt for Picky {
    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        match input.get::<i64>("n")? {
            3 => Err(BoltError::fatal("no such table: orders")),
            4 => {
                out.emit((4,));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn picky(rows: impl IntoIterator<Item = (i64,)>) -> TopologyTest {
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Nothing, 1);
    t.set_bolt("picky", || Picky, 1).shuffle_grouping("numbers");
    TopologyTest::new(t.build().unwrap()).replace_spout("numbers", rows)
}

#[test]
fn an_error_that_is_to_end_the_topology_can_be_expected() {
    let error = picky([(1,), (3,), (5,)]).expect_fatal();
    assert_eq!((error.component.as_str(), &*error.message), ("picky", "no such table: orders"));
    let mut bolt = BoltTest::new(Picky).input("numbers", ["n"]);
    assert!(bolt.execute((3,)).assert_failed("no such table").is_fatal());
    assert!(!bolt.execute(("x",)).is_fatal());
}

#[test]
#[should_panic(expected = "'picky' (task 2) ended the topology: no such table: orders")]
fn an_error_that_ends_the_topology_ends_the_test() {
    picky([(1,), (3,)]).complete();
}

#[test]
#[should_panic(expected = "no component ended the topology")]
fn an_error_that_is_expected_and_does_not_come_is_told() {
    picky([(1,)]).expect_fatal();
}

#[test]
#[should_panic(expected = "'picky' (task 2) broke its own declarations: 'picky' emitted to stream 'default'")]
fn a_component_that_breaks_its_declarations_ends_the_test() {
    picky([(1,), (4,)]).start().run_for(Duration::from_secs(1));
}

/// Cannot even emit its first tuple.
struct Misled(u32, usize);

impl Spout for Misled {
    type MessageId = ();

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        (self.0, self.1) = (ctx.task_index() as u32, ctx.task_count());
        Ok(())
    }

    fn next_tuple(&mut self, _: &mut SpoutOutput<'_, ()>) -> Result<Next, SpoutError> {
        Err(SpoutError::fatal(format!("there is no partition {} of {}", self.0, self.1)))
    }
}

#[test]
fn a_task_knows_which_of_how_many_it_is() {
    let mut spout = SpoutTest::new(Misled(0, 0)).task(2, 3);
    let asked = spout.ask();
    assert!(asked.is_fatal());
    assert_eq!((asked.next(), asked.error()), (None, Some("there is no partition 2 of 3")));
}
