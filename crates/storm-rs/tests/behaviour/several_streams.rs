//! Components with several streams, streams with several subscribers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use storm_rs::engine::{ErrorKind, Snapshot};
use storm_rs::figures::{StreamCount, TaskSnapshot};
use storm_rs::prelude::*;
use storm_rs::{EmitError, Time};

use crate::kit::*;

/// Where a tuple came from and what it held.
type Seen = Log<String>;

fn see(seen: &Seen) -> impl Fn() -> Bolted<Execute> + Send + Sync + 'static {
    let seen = seen.clone();
    let execute: Execute = Arc::new(move |input| seen.lock().unwrap().push(format!("{input:?}")));
    move || execute.clone().into()
}

type Execute = Arc<dyn Fn(&Tuple<'_>) + Send + Sync>;

/// A bolt that only looks.
struct Bolted<F>(F);

impl From<Execute> for Bolted<Execute> {
    fn from(execute: Execute) -> Self {
        Bolted(execute)
    }
}

impl Bolt for Bolted<Execute> {
    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        (self.0)(input);
        Ok(())
    }
}

fn parity(out: &mut OutputDeclarer) {
    out.stream("even", ["n"]).stream("odd", ["n", "note"]).fields(["all"]).stream("unheard", ["x"]);
}

/// Sends each number where it belongs.
fn sort() -> impl Fn() -> crate::kit::Bolted<fn(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError>> {
    || {
        crate::kit::bolted(parity, {
            let execute: fn(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError> = |input, out| {
                let n = input.get::<i64>("n")?;
                out.emit((n,));
                if n % 2 == 0 {
                    out.emit_to("even", (n,))
                } else {
                    out.emit_to("odd", (n, "odd"))
                }
                Ok(())
            };
            execute
        })()
    }
}

/// A stream, its emits, and the rows sent to each component.
type Count = (String, u64, Vec<(String, u64)>);

fn count(stream: &str, emitted: u64, edges: &[(&str, u64)]) -> Count {
    (stream.into(), emitted, edges.iter().map(|(component, n)| ((*component).to_owned(), *n)).collect())
}

fn counts(task: &TaskSnapshot) -> Vec<Count> {
    let edges = |s: &StreamCount| -> Vec<(String, u64)> {
        s.edges.iter().map(|e| (e.component.to_string(), e.transferred)).collect()
    };
    task.streams.iter().map(|s| (s.stream.to_string(), s.emitted, edges(s))).collect()
}

/// Emitting component, stream, rows executed.
fn input(component: &str, stream: &str, executed: u64) -> (String, String, u64) {
    (component.into(), stream.into(), executed)
}

fn inputs(task: &TaskSnapshot) -> Vec<(String, String, u64)> {
    task.inputs.iter().map(|i| (i.component.to_string(), i.stream.to_string(), i.executed)).collect()
}

fn only<'a>(snapshot: &'a Snapshot, component: &'a str) -> &'a TaskSnapshot {
    snapshot.tasks(component).next().unwrap()
}

#[test]
fn each_stream_of_a_bolt_goes_to_its_subscribers_with_figures_of_its_own() {
    let (evens, odds, all) = (log(), log(), log());
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(9), 1);
    t.set_bolt("sort", sort(), 1).shuffle_grouping("numbers");
    t.set_bolt("evens", sink(&evens), 1).shuffle_grouping(("sort", "even"));
    t.set_bolt("odds", sink(&odds), 1).shuffle_grouping(("sort", "odd"));
    t.set_bolt("all", sink(&all), 2).all_grouping("sort");
    let snapshot = complete(t.build().unwrap(), settings(), 3);
    let numbers = |log: &Log<(TaskId, i64)>| -> Vec<i64> { taken(log).iter().map(|(_, n)| *n).collect() };
    assert_eq!(numbers(&evens), [0, 2, 4, 6, 8]);
    assert_eq!(numbers(&odds), [1, 3, 5, 7]);
    assert_eq!(all.lock().unwrap().len(), 18, "a copy for each task");

    let sort = only(&snapshot, "sort");
    assert_eq!(
        counts(sort),
        [
            count("even", 5, &[("evens", 5)]),
            count("odd", 4, &[("odds", 4)]),
            count("default", 9, &[("all", 18)]),
            count("unheard", 0, &[]),
        ]
    );
    assert_eq!((sort.emitted(), sort.transferred(), sort.executed()), (18, 27, 9));
    assert_eq!(inputs(sort), [input("numbers", "default", 9)]);
    assert_eq!(inputs(only(&snapshot, "odds")), [input("sort", "odd", 4)]);
    assert_eq!((sort.acked(), sort.failed(), sort.retained), (9, 0, 0));
}

#[test]
fn a_spouts_streams_are_tracked_each_and_one_without_subscriber_is_acked_at_once() {
    let (seen, outcomes) = (log(), log());
    let mut next = 0_i64;
    let spout = source(parity, &outcomes, move |out| {
        next += 1;
        match next {
            1 => out.on("even").tracked(1).emit((2_i64,)),
            2 => out.on("odd").tracked(2).emit((3_i64, "three")),
            3 => out.on("unheard").tracked(3).emit(("nobody",)),
            4 => out.emit_tracked(4, ("all",)),
            5 => out.on("odd").emit((5_i64, "untracked")),
            _ => return Ok(Next::Done),
        }
        Ok(Next::Emitted)
    });
    let mut t = TopologyBuilder::new();
    t.set_spout("source", spout, 1);
    t.set_bolt("see", see(&seen), 1)
        .shuffle_grouping(("source", "even"))
        .fields_grouping(("source", "odd"), ["note"])
        .global_grouping("source");
    let snapshot = complete(t.build().unwrap(), settings(), 3);
    assert_eq!(sorted(&outcomes), [(1, None), (2, None), (3, None), (4, None)]);
    assert_eq!(
        counts(only(&snapshot, "source")),
        [
            count("even", 1, &[("see", 1)]),
            count("odd", 2, &[("see", 2)]),
            count("default", 1, &[("see", 1)]),
            count("unheard", 1, &[]),
        ]
    );
    assert_eq!(
        inputs(only(&snapshot, "see")),
        [input("source", "even", 1), input("source", "odd", 2), input("source", "default", 1),]
    );
    // Between one task and another, order is kept whatever the stream.
    assert_eq!(
        taken(&seen),
        [
            r#"source:even{"n": Int(2)}"#,
            r#"source:odd{"n": Int(3), "note": Str("three")}"#,
            r#"source:default{"all": Str("all")}"#,
            r#"source:odd{"n": Int(5), "note": Str("untracked")}"#,
        ]
    );
}

#[test]
fn a_subscriber_to_several_streams_sees_where_each_tuple_comes_from() {
    let seen = log();
    let looked = seen.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(4), 1);
    t.set_bolt("sort", sort(), 1).shuffle_grouping("numbers");
    let look = func(move |input: &Tuple<'_>, _: &mut BoltOutput<'_>| {
        let fields: Vec<&str> = input.fields().iter().collect();
        let from = format!("{} {} {}", input.source_component(), input.source_stream(), input.source_task());
        looked.lock().unwrap().push((input.get::<i64>("n")?, from, fields.join("+"), input.contains("note")));
        Ok(())
    });
    t.set_bolt("look", look, 1)
        .shuffle_grouping(("sort", "odd"))
        .shuffle_grouping("numbers")
        .shuffle_grouping(("sort", "even"));
    complete(t.build().unwrap(), settings(), 3);
    let mut seen = taken(&seen);
    seen.sort();
    // Tasks: look 1, numbers 2, sort 3.
    let entry = |n: i64, from: &str, fields: &str| (n, from.to_owned(), fields.to_owned(), fields != "n");
    assert_eq!(
        seen,
        [
            entry(0, "numbers default 2", "n"),
            entry(0, "sort even 3", "n"),
            entry(1, "numbers default 2", "n"),
            entry(1, "sort odd 3", "n+note"),
            entry(2, "numbers default 2", "n"),
            entry(2, "sort even 3", "n"),
            entry(3, "numbers default 2", "n"),
            entry(3, "sort odd 3", "n+note"),
        ]
    );
}

#[test]
fn of_two_subscribers_each_gets_a_copy_and_the_tree_waits_for_both() {
    let (got, outcomes, open) = (log(), log(), Arc::new(AtomicBool::new(false)));
    let (spout_outcomes, gate) = (outcomes.clone(), open.clone());
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(5).with_outcomes(&spout_outcomes), 1);
    t.set_bolt("quick", sink(&got), 1).shuffle_grouping("numbers");
    t.set_bolt("slow", move || Gated { kept: vec![], open: gate.clone() }, 1)
        .tick_secs(1)
        .shuffle_grouping("numbers");
    let mut topology = t.build().unwrap();
    let settings = configured(&mut topology, &[]);
    let mut run = stepped(topology, settings, 3);
    run.run_until(Time::from_secs(10));
    assert!(is_exact(&got, 5));
    assert_eq!(taken(&outcomes), [], "one of the two copies is still held");
    let snapshot = run.snapshot();
    assert_eq!(snapshot.spouts(|t| t.pending), 5);
    assert_eq!(only(&snapshot, "slow").retained, 5);
    assert_eq!(counts(only(&snapshot, "numbers")), [count("default", 5, &[("quick", 5), ("slow", 5)])]);
    open.store(true, Ordering::SeqCst);
    assert!(run.run_to_end(Time::from_secs(12)));
    assert!(sorted(&outcomes).into_iter().eq((0..5).map(|n| (n, None))));
}

/// Keeps its input until a tick finds the gate open.
struct Gated {
    kept: Vec<Retained>,
    open: Arc<AtomicBool>,
}

impl Bolt for Gated {
    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.kept.push(out.retain(input));
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        if self.open.load(Ordering::SeqCst) {
            self.kept.drain(..).for_each(Retained::ack);
        }
        Ok(())
    }
}

#[test]
fn if_one_of_two_subscribers_fails_its_copy_the_tree_fails_once() {
    let (got, outcomes) = (log(), log());
    let spout_outcomes = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(5).with_outcomes(&spout_outcomes), 1);
    t.set_bolt("good", sink(&got), 1).shuffle_grouping("numbers");
    let bad = func(|_: &Tuple<'_>, _: &mut BoltOutput<'_>| Err(BoltError::quiet("no")));
    t.set_bolt("bad", bad, 1).shuffle_grouping("numbers");
    complete(t.build().unwrap(), settings(), 3);
    assert!(is_exact(&got, 5));
    assert!(sorted(&outcomes).into_iter().eq((0..5).map(|n| (n, Some(FailCause::Failed)))));
}

/// One number through a bolt that breaks its declarations.
fn broken(execute: fn(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError>, message: &str) {
    let (seen, outcomes) = (log(), log());
    let spout_outcomes = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(1).with_outcomes(&spout_outcomes), 1);
    t.set_bolt("broken", crate::kit::bolted(parity, execute), 1).shuffle_grouping("numbers");
    t.set_bolt("see", see(&seen), 1)
        .shuffle_grouping("broken")
        .shuffle_grouping(("broken", "even"))
        .shuffle_grouping(("broken", "odd"));
    let (_, errors) = complete_with_errors(t.build().unwrap(), settings());
    assert_eq!(taken(&outcomes), [(0, Some(FailCause::Failed))]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((errors[0].kind, &*errors[0].message), (ErrorKind::Contract, message));
    assert_eq!((errors[0].component.as_str(), errors[0].task), ("broken", TaskId(1)));
}

#[test]
fn an_undeclared_stream_fails_the_input_and_names_those_that_there_are() {
    broken(
        |_, out| {
            out.emit_to("evne", (1_i64,));
            Ok(())
        },
        "'broken' emitted to stream 'evne', which it does not declare; it declares: even, odd, default, unheard",
    );
}

#[test]
fn a_wrong_number_of_values_fails_the_input() {
    broken(
        |_, out| {
            out.emit_to("odd", (1_i64,));
            Ok(())
        },
        "'broken' emitted 1 values to stream 'odd', which has 2 fields",
    );
    broken(
        |_, out| {
            out.emit(values![1, "two", 3.0]);
            Ok(())
        },
        "'broken' emitted 3 values to stream 'default', which has 1 fields",
    );
}

#[test]
fn the_first_of_several_errors_is_told_and_what_was_emitted_before_is_sent() {
    let (got, outcomes) = (log(), log());
    let spout_outcomes = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(1).with_outcomes(&spout_outcomes), 1);
    let execute: fn(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError> = |_, out| {
        out.emit((7_i64,));
        out.emit_to("nowhere", (1_i64,));
        out.emit((1_i64, 2_i64));
        out.emit((8_i64,));
        Ok(())
    };
    t.set_bolt("broken", crate::kit::bolted(parity, execute), 1).shuffle_grouping("numbers");
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("broken");
    let (_, errors) = complete_with_errors(t.build().unwrap(), settings());
    assert_eq!(taken(&outcomes), [(0, Some(FailCause::Failed))]);
    assert_eq!(tally(&got).into_keys().collect::<Vec<_>>(), [7, 8]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].message.contains("'nowhere'"), "{}", errors[0].message);
}

#[test]
fn a_component_without_default_stream_says_so_when_it_emits_to_it() {
    let outcomes = log();
    let spout_outcomes = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(1).with_outcomes(&spout_outcomes), 1);
    let execute: fn(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError> = |_, out| {
        assert!(matches!(out.try_emit((1_i64,)), Err(EmitError::UnknownStream { .. })));
        out.emit((1_i64,));
        Ok(())
    };
    t.set_bolt("mute", crate::kit::bolted(|_| {}, execute), 1).shuffle_grouping("numbers");
    let (_, errors) = complete_with_errors(t.build().unwrap(), settings());
    assert_eq!(taken(&outcomes), [(0, Some(FailCause::Failed))]);
    assert_eq!(
        errors[0].message,
        "'mute' emitted to stream 'default', which it does not declare; it declares: none"
    );
}

#[test]
fn a_spout_that_replays_what_was_refused_does_not_spin() {
    let calls = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counter = calls.clone();
    let mut t = TopologyBuilder::new();
    let spout = source(parity, &log(), move |out| {
        counter.fetch_add(1, Ordering::SeqCst);
        out.on("even").tracked(1).emit((1_i64, 2_i64));
        Ok(Next::Emitted)
    });
    t.set_spout("source", spout, 1);
    t.set_bolt("see", see(&log()), 1).shuffle_grouping(("source", "even"));
    let mut run = stepped(t.build().unwrap(), settings(), 3);
    // A pause of 1 ms allows a thousand calls in a second.
    let is_over = run.run_while(Time::from_secs(2), |_| calls.load(Ordering::SeqCst) <= 1100);
    assert!(!is_over, "asked without a pause for what cannot be emitted");
}
