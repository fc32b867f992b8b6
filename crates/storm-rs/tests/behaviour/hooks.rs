//! Task hooks: users' code around what a task does.

use std::time::Duration;

use storm_rs::prelude::*;
use storm_rs::{StreamId, TaskHook, Time, Values};

use crate::kit::*;

/// Notes all that it sees, with the life that added it.
struct Noting {
    notes: Log<String>,
    life: u64,
}

impl Noting {
    fn note(&self, text: String) {
        self.notes.lock().unwrap().push(format!("{text} (life {})", self.life));
    }
}

impl TaskHook for Noting {
    fn emit(&mut self, task: TaskId, stream: &StreamId, values: Values<'_>, targets: usize) {
        self.note(format!("{task} emits {:?} to {targets} by {stream}", values.to_values()));
    }

    fn spout_ack(&mut self, task: TaskId, complete_latency: Duration) {
        assert!(complete_latency < Duration::from_secs(1), "{complete_latency:?}");
        self.note(format!("{task} has an ack"));
    }

    fn spout_fail(&mut self, task: TaskId, cause: FailCause, age: Duration) {
        self.note(format!("{task} has a fail after {} s: {cause}", age.as_secs()));
    }

    fn bolt_execute(&mut self, task: TaskId, tuple: &Tuple<'_>) {
        self.note(format!("{task} executes {tuple:?}"));
    }

    fn bolt_ack(&mut self, task: TaskId) {
        self.note(format!("{task} acks"));
    }

    fn bolt_fail(&mut self, task: TaskId) {
        self.note(format!("{task} fails"));
    }

    fn cleanup(&mut self) {
        self.note("cleanup".to_owned());
    }
}

/// Emits the numbers of a range once, tracked, with a hook.
struct Hooked {
    left: std::ops::Range<i64>,
    notes: Log<String>,
}

impl Spout for Hooked {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        ctx.add_hook(Noting { notes: self.notes.clone(), life: ctx.incarnation() });
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        let Some(n) = self.left.next() else { return Ok(Next::Done) };
        out.emit_tracked(n, (n,));
        Ok(Next::Emitted)
    }
}

/// Does to each number what a function says, with a hook.
struct HookedBolt {
    notes: Log<String>,
    execute: fn(i64, &Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError>,
}

impl Bolt for HookedBolt {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]).stream("other", ["n"]);
    }

    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        ctx.add_hook(Noting { notes: self.notes.clone(), life: ctx.incarnation() });
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        (self.execute)(input.get("n")?, input, out)
    }
}

/// What the hook of a bolt notes for these numbers. Tasks: hooked 1, numbers 2, sink 3 and 4.
fn notes_of_bolt(
    count: i64,
    execute: fn(i64, &Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError>,
) -> Vec<String> {
    let (notes, got) = (log(), log());
    let bolt_notes = notes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(count), 1);
    t.set_bolt("hooked", move || HookedBolt { notes: bolt_notes.clone(), execute }, 1)
        .shuffle_grouping("numbers");
    t.set_bolt("sink", sink(&got), 2).all_grouping("hooked");
    complete(t.build().unwrap(), settings(), 1);
    taken(&notes)
}

#[test]
fn a_bolts_hook_sees_execute_emit_and_ack_in_order() {
    let notes = notes_of_bolt(1, |n, _, out| {
        out.emit((n + 10,));
        out.emit_to("other", (n + 20,));
        Ok(())
    });
    assert_eq!(
        notes,
        [
            r#"1 executes numbers:default{"n": Int(0)} (life 1)"#,
            "1 emits [Int(10)] to 2 by default (life 1)",
            "1 emits [Int(20)] to 0 by other (life 1)",
            "1 acks (life 1)",
            "cleanup (life 1)",
        ]
    );
}

#[test]
fn a_bolts_hook_sees_one_fail_however_it_came() {
    let notes = notes_of_bolt(4, |n, input, out| {
        match n {
            0 => return Err(BoltError::quiet("no")),
            1 => out.fail(input),
            2 => out.emit((1_i64, 2_i64)),
            _ => out.retain(input).fail(),
        }
        Ok(())
    });
    let short: Vec<&str> = notes.iter().map(|n| n.split(['{', '(']).next().unwrap().trim()).collect();
    let one = ["1 executes numbers:default", "1 fails"];
    assert_eq!(short, [&one[..], &one, &one, &one, &["cleanup"]].concat());
}

#[test]
fn a_bolts_hook_sees_the_ack_of_a_retained_tuple() {
    let notes = notes_of_bolt(1, |_, input, out| {
        out.retain(input).ack();
        Ok(())
    });
    assert_eq!(notes[1..], ["1 acks (life 1)", "cleanup (life 1)"]);
}

#[test]
fn a_bolts_hook_sees_the_fail_of_a_tuple_that_panicked_and_is_added_anew() {
    let notes = notes_of_bolt(2, |n, _, _| {
        assert!(n != 0, "zero");
        Ok(())
    });
    assert_eq!(
        notes,
        [
            r#"1 executes numbers:default{"n": Int(0)} (life 1)"#,
            "1 fails (life 1)",
            r#"1 executes numbers:default{"n": Int(1)} (life 2)"#,
            "1 acks (life 2)",
            "cleanup (life 2)",
        ]
    );
}

#[test]
fn after_a_panic_a_task_has_the_hooks_of_its_new_instance_alone() {
    let notes = notes_of_bolt(4, |n, _, _| {
        assert!(n != 0, "zero");
        Ok(())
    });
    let executed: Vec<_> = notes.iter().filter(|n| n.contains("executes")).collect();
    assert_eq!(executed.len(), 4, "{notes:?}");
    assert!(executed[0].ends_with("(life 1)") && executed[1..].iter().all(|n| n.ends_with("(life 2)")));
}

#[test]
fn a_spouts_hook_sees_emits_acks_and_fails_with_cause_and_age() {
    let notes = log();
    let spout_notes = notes.clone();
    let mut t = TopologyBuilder::new();
    // Tasks: judge 1, numbers 2.
    t.set_spout("numbers", move || Hooked { left: 0..3, notes: spout_notes.clone() }, 1);
    t.set_bolt("judge", || Judge(vec![]), 1).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), with_timeout(5), 1);
    run.run_until(Time::from_secs(10));
    run.stop();
    let mut notes = taken(&notes);
    notes.sort();
    assert_eq!(
        notes,
        [
            "2 emits [Int(0)] to 1 by default (life 1)",
            "2 emits [Int(1)] to 1 by default (life 1)",
            "2 emits [Int(2)] to 1 by default (life 1)",
            "2 has a fail after 0 s: failed by a bolt (life 1)",
            "2 has a fail after 5 s: timeout (life 1)",
            "2 has an ack (life 1)",
            "cleanup (life 1)",
        ]
    );
}

/// Acks 0, fails 1, and keeps the others for ever.
struct Judge(Vec<Retained>);

impl Bolt for Judge {
    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        match input.get::<i64>("n")? {
            0 => {}
            1 => out.fail(input),
            _ => self.0.push(out.retain(input)),
        }
        Ok(())
    }
}

/// Panics where it is told to.
struct Bad(&'static str);

impl TaskHook for Bad {
    fn spout_ack(&mut self, _: TaskId, _: Duration) {
        assert!(self.0 != "spout_ack", "hook");
    }

    fn spout_fail(&mut self, _: TaskId, _: FailCause, _: Duration) {
        assert!(self.0 != "spout_fail", "hook");
    }

    fn bolt_execute(&mut self, _: TaskId, _: &Tuple<'_>) {
        assert!(self.0 != "bolt_execute", "hook");
    }

    fn bolt_ack(&mut self, _: TaskId) {
        assert!(self.0 != "bolt_ack", "hook");
    }
}

/// Emits one number and has a bad hook.
struct BadSpout(bool, &'static str);

impl Spout for BadSpout {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        ctx.add_hook(Bad(self.1));
        // A new instance has nothing more to say.
        self.0 = ctx.incarnation() > 1;
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, ()>) -> Result<Next, SpoutError> {
        if !std::mem::replace(&mut self.0, true) {
            out.emit_tracked((), (1_i64,));
        }
        Ok(Next::Done)
    }
}

/// Acks or fails by a handle and has a bad hook.
struct BadBolt(bool, &'static str);

impl Bolt for BadBolt {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        ctx.add_hook(Bad(self.1));
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let kept = out.retain(input);
        if self.0 {
            kept.ack()
        } else {
            kept.fail()
        }
        Ok(())
    }
}

/// A panic in this method of a hook is a panic of the task: reported, no end of the executor.
fn survives(is_ack: bool, method: &'static str) {
    let mut t = TopologyBuilder::new();
    t.set_spout("spout", move || BadSpout(false, method), 1);
    t.set_bolt("bolt", move || BadBolt(is_ack, method), 1).shuffle_grouping("spout");
    let (_, errors) = complete_with_errors(t.build().unwrap(), settings());
    assert!(errors.iter().any(|e| e.message.contains("hook")), "{errors:?}");
}

#[test]
fn a_panic_in_a_hook_around_execute_is_a_panic_of_the_task() {
    survives(true, "bolt_execute");
}

#[test]
fn a_panic_in_a_hook_around_a_spouts_ack_is_a_panic_of_the_task() {
    survives(true, "spout_ack");
}

#[test]
fn a_panic_in_a_hook_around_a_spouts_fail_is_a_panic_of_the_task() {
    survives(false, "spout_fail");
}

#[test]
fn a_panic_in_a_hook_around_the_ack_of_a_retained_tuple_is_a_panic_of_the_task() {
    survives(true, "bolt_ack");
}
