//! Faults that users make, planted: the test kit finds each and says what it needs to be mended.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;

use expect_test::{Expect, expect};
use storm_rs::prelude::*;
use storm_rs::testing::{BoltTest, Outcome, Record, SpoutTest, TopologyTest, for_each_seed};

// === The faults ===

/// What a bolt does wrong when number 2 comes.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Keeps the tuple and never thinks of it again.
    Forgets,
    Fails,
    Panics,
    EmitsTwice,
    Swallows,
    /// Lets the next one pass.
    Swaps,
}

struct Faulty {
    fault: Fault,
    drawer: Vec<Retained>,
}

impl Faulty {
    fn new(fault: Fault) -> Faulty {
        Faulty { fault, drawer: Vec::new() }
    }
}

impl Bolt for Faulty {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["user", "n"]);
    }

    fn execute(&mut self, input: &Tuple, out: &mut BoltOutput) -> Result<(), BoltError> {
        if input.get::<i64>("n")? != 2 {
            out.emit(input);
            if self.fault == Fault::Swaps && input.get::<i64>("n")? > 2 {
                for waiting in self.drawer.drain(..) {
                    out.emit_anchored([&waiting], waiting.tuple());
                    waiting.ack();
                }
            }
            return Ok(());
        }
        match self.fault {
            Fault::None => out.emit(input),
            Fault::Fails => return Err("a bad line".into()),
            Fault::Panics => panic!("a number that nobody thought of"),
            Fault::EmitsTwice => {
                out.emit(input);
                out.emit(input);
            }
            Fault::Swallows => {}
            Fault::Forgets | Fault::Swaps => self.drawer.push(out.retain(input)),
        }
        Ok(())
    }
}

/// Nothing: to be replaced.
struct Nothing;

impl Spout for Nothing {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["user", "n"]).stream("late", ["n"]);
    }

    fn next_tuple(&mut self, _: &mut SpoutOutput<()>) -> Result<Next, SpoutError> {
        Ok(Next::Done)
    }
}

const CLICKS: [(&str, i64); 4] = [("ann", 1), ("ann", 2), ("bob", 1), ("ann", 3)];

fn topology(fault: Fault) -> TopologyTest {
    let mut t = TopologyBuilder::new();
    t.set_spout("clicks", || Nothing, 1);
    t.set_bolt("work", move || Faulty::new(fault), 1).shuffle_grouping("clicks");
    t.set_bolt("store", || Faulty::new(Fault::None), 1).shuffle_grouping("work");
    TopologyTest::new(t.build().unwrap()).replace_spout("clicks", CLICKS)
}

// === Looking at messages ===

/// The message with which this panics.
fn message_of<R>(test: impl FnOnce() -> R) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(test)) else { panic!("the fault was not found") };
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| Some((*panic.downcast_ref::<&str>()?).to_owned()))
        .unwrap()
}

/// Virtual times depend on how many steps the engine takes.
fn without_times(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive([' ', '\n', ',', ':', ')']) {
        let bare = word.trim_end_matches([' ', '\n', ',', ':', ')']);
        let number = ["ns", "µs", "ms", "s"].iter().find_map(|unit| bare.strip_suffix(unit));
        let is_time = number.is_some_and(|n| n.parse::<f64>().is_ok());
        if is_time {
            out.push('T');
            out.push_str(word.strip_prefix(bare).unwrap());
        } else {
            out.push_str(word);
        }
    }
    out
}

fn check<R>(test: impl FnOnce() -> R, expected: Expect) {
    expected.assert_eq(&without_times(&message_of(test)));
}

// === A lost ack ===

#[test]
fn a_tuple_that_waits_for_its_ack_is_told_with_who_holds_it_and_since_when() {
    let mut run = topology(Fault::Forgets).start();
    run.run_for(Duration::from_secs(20));
    check(
        || run.assert_all_acked(),
        expect![[r#"
        not everything is acked:
          {user: "ann", n: 2} of 'clicks' (task 1), emitted T after the start, is neither acked nor failed after T:
            'work' (task 3) retained {user: "ann", n: 2} from 'clicks' (task 1) T after the start and holds it
        expected: every tracked tuple is acked, one that failed when it was emitted again
        seed 1: `.seed(1)` runs it again"#]],
    );
}

#[test]
fn a_run_that_does_not_end_is_told_with_what_it_waits_for() {
    check(
        || topology(Fault::Forgets).within(Duration::from_secs(40)).complete(),
        expect![[r#"
        not done after T of virtual time:
          {user: "ann", n: 2} of 'clicks' (task 1), emitted T after the start, is neither acked nor failed after T:
            'work' (task 3) retained {user: "ann", n: 2} from 'clicks' (task 1) T after the start and holds it
          'work' (task 3) retained {user: "ann", n: 2} from 'clicks' (task 1) T after the start and holds it; its tree has ended
        figures:
          'clicks': emitted 5, acked 3, failed 1, pending 1, lost 0
          'store': emitted 3, acked 3, failed 0, executed 3, retained 0
          'work': emitted 3, acked 3, failed 0, executed 5, retained 2
        seed 1: `.seed(1)` runs it again"#]],
    );
    let mut t = TopologyBuilder::new();
    t.set_spout("endless", || Endless, 1);
    let test = TopologyTest::new(t.build().unwrap()).within(Duration::from_secs(1));
    check(
        || test.complete(),
        expect![[r#"
        not done after T of virtual time:
          'endless' is not done: it has not said Next::Done
        figures:
          'endless': emitted 0, acked 0, failed 0, pending 0, lost 0
        seed 1: `.seed(1)` runs it again"#]],
    );
}

/// Has nothing, and never says that this will be all.
struct Endless;

impl Spout for Endless {
    type MessageId = ();

    fn next_tuple(&mut self, _: &mut SpoutOutput<()>) -> Result<Next, SpoutError> {
        Ok(Next::Idle)
    }
}

#[test]
fn a_tuple_that_fails_again_and_again_ends_the_test() {
    check(
        || topology(Fault::Fails).complete(),
        expect![[r#"
        {user: "ann", n: 2} of 'clicks' (task 1) was emitted 100 times and failed each time; the last cause: failed by a bolt
        errors:
          'work' (task 3): a bad line (5 times)
        seed 1: `.seed(1)` runs it again"#]],
    );
    let message = message_of(|| topology(Fault::Forgets).complete());
    assert!(message.contains("failed each time; the last cause: timeout"), "{message}");
    assert!(message.contains("'work' (task 3) retained {user: \"ann\", n: 2} from 'clicks'"), "{message}");
    assert!(message.contains("  and 95 more\n"), "{message}");
}

#[test]
fn a_tuple_that_failed_for_good_is_told_with_the_cause_and_the_errors() {
    let run = topology(Fault::Fails).without_replay().complete();
    check(
        || run.assert_all_acked(),
        expect![[r#"
        not everything is acked:
          {user: "ann", n: 2} of 'clicks' (task 1), emitted T after the start, failed after T (failed by a bolt) and was not emitted again
        errors:
          'work' (task 3): a bad line
        expected: every tracked tuple is acked, one that failed when it was emitted again
        seed 1: `.seed(1)` runs it again"#]],
    );
    check(
        || run.assert_none_failed(),
        expect![[r#"
        tuples failed:
          {user: "ann", n: 2} of 'clicks' (task 1), emitted T after the start, failed after T (failed by a bolt)
        errors:
          'work' (task 3): a bad line
        expected: no tracked tuple fails
        seed 1: `.seed(1)` runs it again"#]],
    );
    check(
        || run.assert_no_errors(),
        expect![[r#"
        errors:
          'work' (task 3): a bad line
        expected: no errors
        seed 1: `.seed(1)` runs it again"#]],
    );
    let run = topology(Fault::Panics).without_replay().complete();
    let message = message_of(|| run.assert_all_acked());
    assert!(message.contains("(a bolt panicked) and was not emitted again"), "{message}");
    assert!(message.contains("a number that nobody thought of"), "{message}");
}

#[test]
fn a_tuple_that_was_emitted_again_is_not_lost_but_has_failed() {
    let mut t = TopologyBuilder::new();
    t.set_spout("clicks", || Nothing, 1);
    t.set_bolt("work", || FailsOnce(false), 1).shuffle_grouping("clicks");
    let run = TopologyTest::new(t.build().unwrap()).replace_spout("clicks", CLICKS).complete();
    run.assert_all_acked();
    assert!(message_of(|| run.assert_none_failed()).contains("(failed by a bolt)"));
    run.arrivals("work").assert_each_at_least_once(["user", "n"], CLICKS);
    // What came twice came again after a failure, and the message says so.
    check(
        || run.arrivals("work").assert_no_duplicates().len(),
        expect![[r#"
            'work' got tuples more than once:
              {user: "ann", n: 1} from 'clicks' (task 1) at task 2, T after the start
              then {user: "ann", n: 1} from 'clicks' (task 1) at task 2, T after the start
            expected: no two tuples are the same
            tracked tuples that failed: 1, see `assert_none_failed`
            seed 1: `.seed(1)` runs it again"#]],
    );
}

/// Fails the first tuple.
struct FailsOnce(bool);

impl Bolt for FailsOnce {
    fn execute(&mut self, _: &Tuple, _: &mut BoltOutput) -> Result<(), BoltError> {
        if std::mem::replace(&mut self.0, true) { Ok(()) } else { Err(BoltError::quiet("not yet")) }
    }
}

/// Panics after its first tuple.
struct Startled(bool);

impl Spout for Startled {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["user", "n"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.0 = ctx.incarnation() > 1;
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<()>) -> Result<Next, SpoutError> {
        if self.0 {
            return Ok(Next::Done);
        }
        assert!(out.pending() == 0, "startled");
        out.emit_tracked((), ("ann", 1));
        Ok(Next::Emitted)
    }
}

#[test]
fn a_tuple_whose_spout_panicked_is_lost() {
    let mut t = TopologyBuilder::new();
    t.set_spout("startled", || Startled(false), 1);
    t.set_bolt("work", || Faulty::new(Fault::None), 1).shuffle_grouping("startled");
    let run = TopologyTest::new(t.build().unwrap()).complete();
    let message = message_of(|| run.assert_all_acked());
    assert!(message.contains("{user: \"ann\", n: 1} of 'startled' (task 1)"), "{message}");
    assert!(message.contains("(its spout panicked) and was not emitted again"), "{message}");
}

#[test]
fn an_untracked_tuple_that_a_bolt_holds_is_told() {
    let mut t = TopologyBuilder::new();
    t.set_spout("once", || Once(false), 1);
    t.set_bolt("work", || Faulty::new(Fault::Forgets), 1).shuffle_grouping("once");
    let mut run = TopologyTest::new(t.build().unwrap()).start();
    run.run_for(Duration::from_secs(1));
    check(
        || run.assert_all_acked(),
        expect![[r#"
        not everything is acked:
          'work' (task 2) retained a tuple T after the start and holds it; it is not tracked
        expected: every tracked tuple is acked, one that failed when it was emitted again
        seed 1: `.seed(1)` runs it again"#]],
    );
}

/// Emits number 2, untracked.
struct Once(bool);

impl Spout for Once {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<()>) -> Result<Next, SpoutError> {
        if !std::mem::replace(&mut self.0, true) {
            out.emit((2,));
        }
        Ok(Next::Done)
    }
}

// === A duplicate, and a loss ===

#[test]
fn a_tuple_that_is_emitted_twice_is_told_where_it_is_emitted_and_where_it_arrives() {
    let run = topology(Fault::EmitsTwice).complete();
    run.assert_all_acked();
    run.emits("clicks").assert_no_duplicates();
    check(
        || run.emits("work").assert_no_duplicates().len(),
        expect![[r#"
        'work' emitted tuples more than once:
          {user: "ann", n: 2} by task 3, T after the start
          then {user: "ann", n: 2} by task 3, T after the start
        expected: no two tuples are the same
        seed 1: `.seed(1)` runs it again"#]],
    );
    check(
        || run.arrivals("store").assert_no_duplicates_by(["user", "n"]).len(),
        expect![[r#"
        'store' got tuples more than once:
          {user: "ann", n: 2} from 'work' (task 3) at task 2, T after the start
          then {user: "ann", n: 2} from 'work' (task 3) at task 2, T after the start
        expected: no two tuples have the same user and n
        seed 1: `.seed(1)` runs it again"#]],
    );
    check(
        || run.arrivals("store").assert_each_once(["user", "n"], CLICKS).len(),
        expect![[r#"
        'store' got other tuples than expected:
          2 times instead of 1: {user: "ann", n: 2}:
            {user: "ann", n: 2} from 'work' (task 3) at task 2, T after the start
            {user: "ann", n: 2} from 'work' (task 3) at task 2, T after the start
        expected: each of 4 values of user and n once, and no others
        seed 1: `.seed(1)` runs it again"#]],
    );
    run.arrivals("store").assert_each_at_least_once(["user", "n"], CLICKS);
}

#[test]
fn a_tuple_that_is_swallowed_or_new_is_told() {
    let run = topology(Fault::Swallows).complete();
    run.assert_all_acked();
    check(
        || run.arrivals("store").assert_each_once(["user", "n"], CLICKS).len(),
        expect![[r#"
        'store' got other tuples than expected:
          missing: {user: "ann", n: 2}
        expected: each of 4 values of user and n once, and no others
        seed 1: `.seed(1)` runs it again"#]],
    );
    let store = run.arrivals("store");
    check(
        || store.assert_each_at_least_once(["n"], [(1,), (3,), (4,)]).len(),
        expect![[r#"
        'store' got other tuples than expected:
          missing: {n: 4}
        expected: each of 3 values of n at least once, and no others
        seed 1: `.seed(1)` runs it again"#]],
    );
    // Expected twice is twice.
    store.assert_each_once(["n"], [(1,), (1,), (3,)]);
    check(
        || store.assert_each_once(["n"], [(1,), (1,), (1,)]).len(),
        expect![[r#"
        'store' got other tuples than expected:
          2 of 3 times: {n: 1}
          not expected:
            {user: "ann", n: 3} from 'work' (task 3) at task 2, T after the start
        expected: each of 3 values of n once, and no others
        seed 1: `.seed(1)` runs it again"#]],
    );
    store.assert_each_at_least_once(["n"], [(3,), (1,)]);
}

// === A reordering ===

#[test]
fn tuples_of_one_key_that_are_swapped_are_told_with_the_key() {
    let run = topology(Fault::Swaps).complete();
    run.assert_all_acked();
    run.arrivals("work").by_key(["user"]).assert_in_order("n");
    check(
        || run.arrivals("store").by_key(["user"]).assert_in_order("n").len(),
        expect![[r#"
        'store' got tuples out of order:
          {user: "ann"}:
            {user: "ann", n: 3} from 'work' (task 3) at task 2, T after the start
            {user: "ann", n: 2} from 'work' (task 3) at task 2, T after the start
        expected: 'n' never goes down among tuples with the same user
        seed 1: `.seed(1)` runs it again"#]],
    );
    check(
        || run.emits("work").by_source_task().assert_in_order("n").len(),
        expect![[r#"
        'work' emitted tuples out of order:
          task 3:
            {user: "ann", n: 3} by task 3, T after the start
            {user: "ann", n: 2} by task 3, T after the start
        expected: 'n' never goes down from one task to one other
        seed 1: `.seed(1)` runs it again"#]],
    );
    let clicks = run.emits("clicks").on_stream("default");
    let position = |r: &Record| match r.get("n") {
        Value::Int(n) => *n,
        other => panic!("{other:?}"),
    };
    clicks.clone().by_key(["user"]).assert_in_order_by(position);
    check(
        || clicks.assert_in_order_by(position).len(),
        expect![[r#"
        'clicks' emitted tuples out of order:
          {user: "ann", n: 2} by task 1, T after the start
          then {user: "bob", n: 1} by task 1, T after the start
        expected: the position never goes down
        seed 1: `.seed(1)` runs it again"#]],
    );
}

#[test]
fn what_holds_among_all_may_hold_in_each_task_alone() {
    let mut t = TopologyBuilder::new();
    t.set_spout("clicks", || Nothing, 1);
    t.set_bolt("all", || Faulty::new(Fault::None), 2).all_grouping("clicks");
    t.set_bolt("one", || Faulty::new(Fault::None), 2).global_grouping("clicks");
    let run = TopologyTest::new(t.build().unwrap()).replace_spout("clicks", CLICKS).complete();
    run.arrivals("all").by_task().assert_each_once(["user", "n"], CLICKS).assert_no_duplicates();
    assert!(message_of(|| run.arrivals("all").assert_no_duplicates().len()).contains("at task 2"));
    run.arrivals("one").assert_each_once(["user", "n"], CLICKS);
    check(
        || run.arrivals("one").by_task().assert_each_once(["user", "n"], CLICKS).len(),
        expect![[r#"
        'one' got other tuples than expected:
          missing: {user: "ann", n: 1} (task 5)
          missing: {user: "ann", n: 2} (task 5)
          missing: {user: "ann", n: 3} (task 5)
          missing: {user: "bob", n: 1} (task 5)
        expected: each of 4 values of user and n once, and no others in each task
        seed 1: `.seed(1)` runs it again"#]],
    );
    run.arrivals("all").by_source_task().by_key(["user"]).assert_in_order("n");
}

// === Slips of the pen ===

#[test]
fn a_name_that_is_not_there_is_an_error_and_not_an_empty_answer() {
    let run = topology(Fault::None).complete();
    check(
        || run.emitted("wrok"),
        expect!["the topology has no component 'wrok'; there are: clicks, store, work"],
    );
    assert_eq!(message_of(|| run.acked("wrok")), message_of(|| run.arrivals("wrok")));
    check(
        || run.emits("clicks").on_stream("lat"),
        expect![
            "what 'clicks' emitted comes from no stream 'lat'; it comes from 'default' of 'clicks', 'late' of 'clicks'"
        ],
    );
    check(
        || run.arrivals("work").from("store"),
        expect!["what 'work' got comes from no component 'store'; it comes from 'default' of 'clicks'"],
    );
    check(
        || run.arrivals("store").assert_in_order("m").len(),
        expect![
            "stream 'default' of 'work' has no field 'm', it has [user, n]: `on_stream` or `from` may narrow it down"
        ],
    );
    check(
        || run.emits("clicks").assert_no_duplicates_by(["user"]).len(),
        expect![
            "stream 'late' of 'clicks' has no field 'user', it has [n]: `on_stream` or `from` may narrow it down"
        ],
    );
    run.emits("clicks").on_stream("late").assert_no_duplicates_by(["n"]);
    assert_eq!(run.emits("clicks").on_stream("default").from("clicks").len(), CLICKS.len());
    check(
        || run.arrivals("store").assert_each_once(["n"], CLICKS).len(),
        expect!["an expected tuple has 2 values, for the fields [n]"],
    );
    let mut run = topology(Fault::None).start();
    check(
        || run.feed("work", CLICKS),
        expect!["'work' is no replaced spout: replace it with `feed_spout` before the start"],
    );
    check(|| topology(Fault::None).feed_spout("work"), expect!["the topology has no spout 'work'"]);
}

// === Found in a single bolt or spout ===

fn bolt(fault: Fault) -> BoltTest<Faulty> {
    let bolt = BoltTest::new(Faulty::new(fault)).input("clicks", ["user", "n"]);
    bolt.advance(Duration::from_secs(5));
    bolt
}

#[test]
fn a_bolt_alone_is_told_of_what_it_holds_emits_twice_or_swaps() {
    let mut forgets = bolt(Fault::Forgets);
    forgets.execute(("ann", 1)).assert_acked();
    forgets.assert_all_settled();
    forgets.execute(("ann", 2)).assert_retained();
    check(
        || forgets.assert_all_settled(),
        expect![[r#"
        'under-test' retains, T after the start:
          {user: "ann", n: 2} since T after the start, neither acked nor failed
        expected: every tuple is acked or failed"#]],
    );

    let mut twice = bolt(Fault::EmitsTwice);
    for click in CLICKS {
        twice.execute(click).assert_acked();
    }
    check(
        || twice.emits().assert_no_duplicates().len(),
        expect![[r#"
            'under-test' emitted tuples more than once:
              {user: "ann", n: 2} by task 1, T after the start
              then {user: "ann", n: 2} by task 1, T after the start
            expected: no two tuples are the same"#]],
    );

    let mut swaps = bolt(Fault::Swaps);
    assert_eq!(CLICKS.map(|click| swaps.execute(click).outcome())[1], Outcome::Retained);
    swaps.assert_all_settled();
    check(
        || swaps.emits().by_key(["user"]).assert_in_order("n").len(),
        expect![[r#"
            'under-test' emitted tuples out of order:
              {user: "ann"}:
                {user: "ann", n: 3} by task 1, T after the start
                {user: "ann", n: 2} by task 1, T after the start
            expected: 'n' never goes down among tuples with the same user"#]],
    );
}

#[test]
fn what_became_of_a_tuple_is_told_with_its_error() {
    let failed = bolt(Fault::Fails).execute(("ann", 2));
    failed.assert_failed("").assert_failed("bad line");
    check(
        || failed.assert_acked().outcome(),
        expect![[r#"
        {user: "ann", n: 2}: failed, a bad line
        expected: acked"#]],
    );
    check(
        || failed.assert_failed("timeout").outcome(),
        expect![[r#"
        {user: "ann", n: 2}: failed, a bad line
        expected: an error with 'timeout' in it"#]],
    );
    let acked = bolt(Fault::None).execute(("ann", 2));
    check(
        || acked.assert_failed("").outcome(),
        expect![[r#"
        {user: "ann", n: 2}: acked, no error
        expected: failed"#]],
    );
    check(
        || acked.assert_retained().outcome(),
        expect![[r#"
        {user: "ann", n: 2}: acked, no error
        expected: retained"#]],
    );
    let reports = BoltTest::new(Reports).execute(());
    check(
        || reports.assert_acked().outcome(),
        expect![[r#"
        {}: acked, a bad line
        expected: no error"#]],
    );
    let tick = bolt(Fault::None).tick();
    tick.assert_no_errors();
    check(
        || tick.assert_acked().outcome(),
        expect![[r#"
        a tick: no tuple, no error
        expected: acked"#]],
    );
}

/// Reports an error and acks.
struct Reports;

impl Bolt for Reports {
    fn execute(&mut self, _: &Tuple, out: &mut BoltOutput) -> Result<(), BoltError> {
        out.report_error("a bad line");
        Ok(())
    }
}

#[test]
fn a_spout_alone_is_told_of_what_it_emits_twice() {
    let mut spout = SpoutTest::new(Startled(false));
    spout.ask();
    spout.emits().assert_no_duplicates();
    spout.ack(spout.pending()[0]);
    assert_eq!(spout.drain(1).next(), Some(Next::Emitted));
    check(
        || spout.emits().assert_no_duplicates().len(),
        expect![[r#"
            'under-test' emitted tuples more than once:
              {user: "ann", n: 1} by task 1, T after the start
              then {user: "ann", n: 1} by task 1, T after the start
            expected: no two tuples are the same"#]],
    );
}

// === What only some interleavings show ===

/// Set for the child process in which the fault is to be found.
const PLANTED: &str = "STORM_RS_TEST_PLANTED";

/// Two tasks work on one stream, and the next bolt believes in their order.
fn race(seed: u64) {
    let mut t = TopologyBuilder::new();
    t.set_spout("clicks", || Nothing, 1);
    t.set_bolt("work", || Faulty::new(Fault::None), 2).shuffle_grouping("clicks");
    t.set_bolt("store", || Faulty::new(Fault::None), 1).shuffle_grouping("work");
    let rows = (1..=3).map(|n| ("ann", 10 * n));
    let run = TopologyTest::new(t.build().unwrap()).replace_spout("clicks", rows).seed(seed).complete();
    run.arrivals("store").assert_in_order("n");
}

#[test]
fn some_interleavings() {
    if std::env::var(PLANTED).is_ok() {
        for_each_seed(1..=100, race);
    }
}

/// Runs the test above in a process of its own: whether it passed, and what it printed.
fn find(seed: Option<u64>) -> (bool, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["some_interleavings", "--exact", "--nocapture", "--test-threads=2"]);
    command.env(PLANTED, "1").env_remove("STORM_RS_SEED").env("RUST_BACKTRACE", "0");
    command.envs(seed.map(|seed| ("STORM_RS_SEED", seed.to_string())));
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.success(), text)
}

#[test]
fn a_fault_of_some_interleavings_is_found_and_its_seed_shows_it_again() {
    let fails = |seed| catch_unwind(|| race(seed)).is_err();
    let (bad, good): (Vec<u64>, Vec<u64>) = (1..=100).partition(|seed| fails(*seed));
    assert!(!bad.is_empty() && !good.is_empty(), "all seeds alike: {bad:?}, {good:?}");

    let (has_passed, text) = find(None);
    let command = format!("STORM_RS_SEED={} cargo test some_interleavings", bad[0]);
    assert!(!has_passed && text.contains(&command), "{text}");
    assert!(text.contains("'store' got tuples out of order:\n  {user: \"ann\", n: "), "{text}");
    assert!(text.contains(&format!("seed {0}: `.seed({0})` runs it again", bad[0])), "{text}");

    // The message that is the run's own, without what the test runner adds.
    let message = |text: &str| {
        let (_, rest) = text.split_once("'store' got").unwrap_or_else(|| panic!("{text}"));
        rest.split_once("runs it again").unwrap_or_else(|| panic!("{text}")).0.to_owned()
    };
    let (has_passed, again) = find(Some(bad[0]));
    assert!(!has_passed && message(&again) == message(&text), "{again}");
    assert!(find(Some(good[0])).0, "a seed that shows nothing");
}
