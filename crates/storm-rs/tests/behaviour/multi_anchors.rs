//! Tuples anchored to several others: joins.

use std::sync::Arc;

use storm_rs::engine::{ErrorKind, ErrorReport};
use storm_rs::prelude::*;
use storm_rs::{AnchorTo, BoltDeclarer, Time};

use crate::kit::*;

/// What a join does with the number `n` that it was given, and those that it kept before.
type Step = fn(&Tuple<'_>, &mut Vec<Retained>, &mut BoltOutput<'_>) -> Result<(), BoltError>;

struct Join {
    kept: Vec<Retained>,
    step: Step,
}

impl Bolt for Join {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        (self.step)(input, &mut self.kept, out)
    }
}

/// What the last bolt does with a joined tuple.
#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Ack,
    Fail,
    /// Keep for ever.
    Keep,
}

struct Last(Verdict, Vec<Retained>, Log<i64>);

impl Bolt for Last {
    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.2.lock().unwrap().push(input.get("n")?);
        match self.0 {
            Verdict::Ack => {}
            Verdict::Fail => out.fail(input),
            Verdict::Keep => self.1.push(out.retain(input)),
        }
        Ok(())
    }
}

struct Joined {
    outcomes: Vec<(i64, Option<FailCause>)>,
    /// What the last bolts got.
    got: Vec<i64>,
    errors: Vec<ErrorReport>,
}

/// Numbers from 0 through a join and a last bolt; what is not told within 5 s times out.
fn join(count: i64, step: Step, verdict: Verdict) -> Joined {
    join_to(count, step, verdict, |b| b.shuffle_grouping("join"))
}

fn join_to(
    count: i64,
    step: Step,
    verdict: Verdict,
    group: impl Fn(BoltDeclarer<'_>) -> BoltDeclarer<'_>,
) -> Joined {
    let (outcomes, got) = (log(), log());
    let (spout_outcomes, last_got) = (outcomes.clone(), got.clone());
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(count).with_outcomes(&spout_outcomes), 1);
    t.set_bolt("join", move || Join { kept: vec![], step }, 1).shuffle_grouping("numbers");
    group(t.set_bolt("last", move || Last(verdict, vec![], last_got.clone()), 2));
    let mut run = stepped(t.build().unwrap(), with_timeout(5), 1);
    run.run_until(Time::from_secs(60));
    let (snapshot, errors) = (run.snapshot(), run.take_errors());
    assert_eq!(snapshot.audit(true), [""; 0]);
    run.stop();
    Joined { outcomes: sorted(&outcomes), got: taken(&got), errors }
}

/// Keeps pairs; emits one tuple anchored to both and acks them.
fn pairs(input: &Tuple<'_>, kept: &mut Vec<Retained>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
    kept.push(out.retain(input));
    if kept.len() == 2 {
        out.emit_anchored(&*kept, (input.get::<i64>("n")?,));
        kept.drain(..).for_each(Retained::ack);
    }
    Ok(())
}

const FAILED: Option<FailCause> = Some(FailCause::Failed);
const TIMED_OUT: Option<FailCause> = Some(FailCause::Timeout);

#[test]
fn when_the_joined_tuple_is_acked_both_trees_are() {
    let joined = join(4, pairs, Verdict::Ack);
    assert_eq!(joined.outcomes, [(0, None), (1, None), (2, None), (3, None)]);
    assert_eq!(joined.got, [1, 3]);
}

#[test]
fn when_the_joined_tuple_fails_both_trees_do() {
    let joined = join(4, pairs, Verdict::Fail);
    assert_eq!(joined.outcomes, [(0, FAILED), (1, FAILED), (2, FAILED), (3, FAILED)]);
}

#[test]
fn both_trees_wait_for_the_joined_tuple() {
    let joined = join(2, pairs, Verdict::Keep);
    assert_eq!(joined.outcomes, [(0, TIMED_OUT), (1, TIMED_OUT)]);
}

#[test]
fn each_copy_of_the_joined_tuple_counts() {
    let all = join_to(2, pairs, Verdict::Ack, |b| b.all_grouping("join"));
    assert_eq!((all.outcomes, all.got.len()), (vec![(0, None), (1, None)], 2));
    let all = join_to(2, pairs, Verdict::Keep, |b| b.all_grouping("join"));
    assert_eq!(all.outcomes, [(0, TIMED_OUT), (1, TIMED_OUT)]);
}

#[test]
fn one_failed_anchor_fails_its_own_tree_alone() {
    let step: Step = |input, kept, out| {
        kept.push(out.retain(input));
        if kept.len() == 2 {
            out.emit_anchored(&*kept, (7_i64,));
            kept.remove(0).fail();
            kept.remove(0).ack();
        }
        Ok(())
    };
    assert_eq!(join(2, step, Verdict::Ack).outcomes, [(0, FAILED), (1, None)]);
}

#[test]
fn a_tree_waits_for_its_anchor_and_not_for_the_other() {
    let step: Step = |input, kept, out| {
        kept.push(out.retain(input));
        if kept.len() == 2 {
            out.emit_anchored(&*kept, (7_i64,));
            kept.remove(0).ack(); // the other is kept for ever
        }
        Ok(())
    };
    assert_eq!(join(2, step, Verdict::Ack).outcomes, [(0, None), (1, TIMED_OUT)]);
}

#[test]
fn an_anchor_named_twice_is_one_anchor() {
    let step: Step = |input, kept, out| {
        kept.push(out.retain(input));
        if kept.len() == 2 {
            out.emit_anchored([&kept[0], &kept[1], &kept[0], &kept[0]], (7_i64,));
            kept.drain(..).for_each(Retained::ack);
        }
        Ok(())
    };
    assert_eq!(join(2, step, Verdict::Ack).outcomes, [(0, None), (1, None)]);
    assert_eq!(join(2, step, Verdict::Fail).outcomes, [(0, FAILED), (1, FAILED)]);
    assert_eq!(join(2, step, Verdict::Keep).outcomes, [(0, TIMED_OUT), (1, TIMED_OUT)]);
    // The input as well.
    let twice: Step = |input, _, out| {
        out.emit_anchored([input, input], (7_i64,));
        Ok(())
    };
    assert_eq!(join(1, twice, Verdict::Ack).outcomes, [(0, None)]);
    assert_eq!(join(1, twice, Verdict::Keep).outcomes, [(0, TIMED_OUT)]);
}

#[test]
fn anchors_of_one_tree_are_merged() {
    // Two tuples of one tree: the join's own source emits two for each number.
    let (outcomes, got) = (log(), log());
    for (verdict, outcome) in [(Verdict::Ack, None), (Verdict::Fail, FAILED), (Verdict::Keep, TIMED_OUT)] {
        let (spout_outcomes, last_got) = (outcomes.clone(), got.clone());
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", move || Numbers::new(3).with_outcomes(&spout_outcomes), 1);
        let twice = func(|input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
            let n = input.get::<i64>("n")?;
            out.emit((n,));
            out.emit((n + 100,));
            Ok(())
        });
        t.set_bolt("twice", twice, 1).shuffle_grouping("numbers");
        t.set_bolt("join", || Join { kept: vec![], step: pairs }, 1).shuffle_grouping("twice");
        t.set_bolt("last", move || Last(verdict, vec![], last_got.clone()), 1).shuffle_grouping("join");
        let mut run = stepped(t.build().unwrap(), with_timeout(5), 1);
        run.run_until(Time::from_secs(30));
        assert_eq!(sorted(&outcomes), [(0, outcome), (1, outcome), (2, outcome)]);
        assert_eq!(taken(&got).len(), 3);
    }
}

/// Anchors to the input and to the one that was kept before.
fn input_and_kept(
    input: &Tuple<'_>,
    kept: &mut Vec<Retained>,
    out: &mut BoltOutput<'_>,
) -> Result<(), BoltError> {
    let Some(before) = kept.pop() else {
        kept.push(out.retain(input));
        return Ok(());
    };
    out.emit_anchored([AnchorTo::Input(input), AnchorTo::Retained(&before)], (7_i64,));
    before.ack();
    Ok(())
}

#[test]
fn the_input_and_a_retained_tuple_can_be_anchors_together() {
    assert_eq!(join(2, input_and_kept, Verdict::Ack).outcomes, [(0, None), (1, None)]);
    assert_eq!(join(2, input_and_kept, Verdict::Fail).outcomes, [(0, FAILED), (1, FAILED)]);
    assert_eq!(join(2, input_and_kept, Verdict::Keep).outcomes, [(0, TIMED_OUT), (1, TIMED_OUT)]);
}

#[test]
fn after_an_ack_the_input_anchors_nothing() {
    let step: Step = |input, _, out| {
        out.ack(input);
        out.emit((1_i64,));
        out.emit_anchored([input], (2_i64,));
        Ok(())
    };
    let joined = join(1, step, Verdict::Fail);
    assert_eq!(joined.outcomes, [(0, None)], "what came after the ack is nobody's");
    assert_eq!(joined.got.len(), 2);
    assert!(joined.errors.is_empty(), "{:?}", joined.errors);
}

#[test]
fn emits_before_an_ack_belong_to_the_tree() {
    let step: Step = |input, _, out| {
        out.emit((1_i64,));
        out.ack(input);
        Ok(())
    };
    assert_eq!(join(1, step, Verdict::Ack).outcomes, [(0, None)]);
    assert_eq!(join(1, step, Verdict::Fail).outcomes, [(0, FAILED)]);
}

#[test]
fn emits_before_retain_belong_to_the_tree() {
    let step: Step = |input, _, out| {
        out.emit((1_i64,));
        out.retain(input).ack();
        Ok(())
    };
    assert_eq!(join(1, step, Verdict::Ack).outcomes, [(0, None)]);
    assert_eq!(join(1, step, Verdict::Keep).outcomes, [(0, TIMED_OUT)]);
}

#[test]
fn emits_after_retain_are_anchored_to_the_input_as_long_as_it_is_kept() {
    let step: Step = |input, _, out| {
        let kept = out.retain(input);
        out.emit((1_i64,));
        kept.ack();
        Ok(())
    };
    assert_eq!(join(1, step, Verdict::Ack).outcomes, [(0, None)]);
    assert_eq!(join(1, step, Verdict::Fail).outcomes, [(0, FAILED)]);
}

#[test]
fn an_input_that_is_retained_can_be_named_as_an_anchor_by_either_name() {
    for step in [
        (|input, _, out| {
            let kept = out.retain(input);
            out.emit_anchored([input], (1_i64,));
            kept.ack();
            Ok(())
        }) as Step,
        |input, _, out| {
            let kept = out.retain(input);
            out.emit_anchored([&kept], (1_i64,));
            kept.ack();
            Ok(())
        },
        |input, _, out| {
            let kept = out.retain(input);
            out.emit_anchored([AnchorTo::Input(input), AnchorTo::Retained(&kept)], (1_i64,));
            kept.ack();
            Ok(())
        },
    ] {
        assert_eq!(join(1, step, Verdict::Ack).outcomes, [(0, None)]);
        assert_eq!(join(1, step, Verdict::Fail).outcomes, [(0, FAILED)]);
    }
}

#[test]
fn a_view_of_a_retained_tuple_is_not_taken_for_the_input() {
    // 0 is kept; with 1 a tuple is anchored to the view of 0, which is acked after.
    let step: Step = |input, kept, out| {
        let Some(before) = kept.pop() else {
            kept.push(out.retain(input));
            return Ok(());
        };
        out.emit_anchored([&before.tuple()], (7_i64,));
        before.ack();
        Ok(())
    };
    let joined = join(2, step, Verdict::Fail);
    let is_anchored_right = joined.outcomes == [(0, FAILED), (1, None)];
    let is_refused = joined.errors.iter().any(|e| e.kind == ErrorKind::Contract);
    assert!(is_anchored_right || is_refused, "{:?} without an error", joined.outcomes);
}

#[test]
fn a_handle_of_another_executor_cannot_be_an_anchor() {
    // Two executors share what they keep.
    let (outcomes, got) = (log(), log());
    let spout_outcomes = outcomes.clone();
    let shared: Arc<std::sync::Mutex<Vec<(TaskId, Retained)>>> = Arc::default();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(2).with_outcomes(&spout_outcomes), 1);
    t.set_bolt("share", move || Share(TaskId(0), shared.clone()), 2).custom_grouping("numbers", || ByParity);
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("share");
    let mut run = stepped(t.build().unwrap(), with_timeout(5), 1);
    run.run_until(Time::from_secs(30));
    let errors = run.take_errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].kind, ErrorKind::Contract);
    let message =
        "'share' anchored to a tuple that is already acked or failed, or that another executor holds";
    assert_eq!(errors[0].message, message);
    assert_eq!(taken(&got), []);
    let outcomes = taken(&outcomes);
    assert_eq!(outcomes.len(), 2);
    assert_eq!(outcomes.iter().filter(|(_, cause)| *cause == FAILED).count(), 1, "{outcomes:?}");
    run.stop();
}

struct ByParity;

impl storm_rs::CustomGrouping for ByParity {
    fn choose(&mut self, _: TaskId, values: storm_rs::Values<'_>, chosen: &mut Vec<TaskId>) {
        // Tasks: numbers 1, share 2 and 3.
        let is_odd = values.field(0).is_some_and(|f| f.to_value() == Value::Int(1));
        chosen.push(TaskId(if is_odd { 3 } else { 2 }));
    }
}

/// Keeps the first tuple; the second is anchored to it.
struct Share(TaskId, Arc<std::sync::Mutex<Vec<(TaskId, Retained)>>>);

impl Bolt for Share {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.0 = ctx.task();
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let mut shared = self.1.lock().unwrap();
        let Some((task, kept)) = shared.pop() else {
            shared.push((self.0, out.retain(input)));
            return Ok(());
        };
        assert!(task != self.0);
        out.emit_anchored([&kept], (7_i64,));
        kept.ack();
        Ok(())
    }
}

/// Keeps all, and anchors one tuple to all of them at the end.
struct Window(usize, Vec<Retained>);

impl Bolt for Window {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.1.push(out.retain(input));
        if self.1.len() == self.0 {
            out.emit_anchored(&self.1, (1_i64,));
            self.1.drain(..).for_each(Retained::ack);
        }
        Ok(())
    }
}

#[test]
fn a_tuple_can_be_anchored_to_thousands_and_not_to_more_than_a_row_has_room_for() {
    for (count, is_possible) in [(20_000, true), (66_000, false)] {
        let (got, outcomes) = (log(), log());
        let seen = outcomes.clone();
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", move || Numbers::new(count).with_outcomes(&seen), 1);
        t.set_bolt("window", move || Window(count as usize, vec![]), 1).shuffle_grouping("numbers");
        t.set_bolt("sink", sink(&got), 1).shuffle_grouping("window");
        let mut run = stepped(t.build().unwrap(), settings(), 1);
        assert!(run.run_to_end(Time::from_secs(100)));
        assert_eq!(run.snapshot().audit(true), [""; 0]);
        let errors: Vec<String> = run.take_errors().into_iter().map(|e| e.message).collect();
        if is_possible {
            assert_eq!((taken(&got).len(), errors), (1, vec![]));
        } else {
            assert!(errors[0].contains("66000 trees, at most 65535"), "{errors:?}");
        }
    }
}
