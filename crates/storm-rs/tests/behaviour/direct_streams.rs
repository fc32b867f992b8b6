//! Direct streams: the emitter names the task.

use storm_rs::engine::{ErrorKind, ErrorReport};
use storm_rs::prelude::*;
use storm_rs::{BoltDeclarer, EmitError};

use crate::kit::*;

fn streams(out: &mut OutputDeclarer) {
    out.fields(["n"]).direct_stream("named", ["n"]).direct_stream("unheard", ["n"]);
}

#[test]
fn a_bolts_direct_emit_reaches_just_the_named_task() {
    let (got, outcomes) = (log(), log());
    let spout_outcomes = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(100).with_outcomes(&spout_outcomes), 1);
    let route = bolted(streams, |input, out| {
        let n = input.get::<i64>("n")?;
        // Tasks: numbers 1, route 2, sink 3 to 6.
        out.emit_direct(TaskId(3 + n as u32 % 4), "named", (n,));
        Ok(())
    });
    t.set_bolt("route", route, 1).shuffle_grouping("numbers");
    t.set_bolt("sink", sink(&got), 2).num_tasks(4).direct_grouping(("route", "named"));
    let snapshot = complete(t.build().unwrap(), settings(), 5);
    let got = taken(&got);
    assert_eq!(got.len(), 100);
    assert!(got.iter().all(|(task, n)| task.0 == 3 + *n as u32 % 4), "{got:?}");
    assert!(taken(&outcomes).iter().all(|(_, cause)| cause.is_none()), "direct emits are anchored");
    assert_eq!(snapshot.sum("route", |t| t.transferred()), 100);
}

#[test]
fn a_spouts_direct_emit_reaches_just_the_named_task_and_is_tracked() {
    let (got, outcomes) = (log(), log());
    let mut t = TopologyBuilder::new();
    let mut next = 0_i64;
    let numbers = source(streams, &outcomes, move |out| {
        if next == 10 {
            return Ok(Next::Done);
        }
        // Tasks: numbers 1, sink 2 and 3.
        out.on("named").task(TaskId(2 + next as u32 % 2)).tracked(next).emit((next,));
        next += 1;
        Ok(Next::Emitted)
    });
    t.set_spout("numbers", numbers, 1);
    t.set_bolt("sink", sink(&got), 2).direct_grouping(("numbers", "named"));
    complete(t.build().unwrap(), settings(), 5);
    let mut got = taken(&got);
    got.sort_by_key(|(_, n)| *n);
    assert!(got.iter().copied().eq((0..10).map(|n| (TaskId(2 + n as u32 % 2), n))), "{got:?}");
    assert!(sorted(&outcomes).into_iter().eq((0..10).map(|n| (n, None))));
}

#[test]
fn of_two_subscribers_only_the_named_task_gets_it() {
    let (a, b) = (log(), log());
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(10), 1);
    let route = bolted(streams, |input, out| {
        // Tasks: a 1, b 2 and 3, numbers 4, route 5.
        let n = input.get::<i64>("n")?;
        out.emit_direct(TaskId(1 + n as u32 % 3), "named", (n,));
        Ok(())
    });
    t.set_bolt("route", route, 1).shuffle_grouping("numbers");
    t.set_bolt("a", sink(&a), 1).direct_grouping(("route", "named"));
    t.set_bolt("b", sink(&b), 2).direct_grouping(("route", "named"));
    let snapshot = complete(t.build().unwrap(), settings(), 5);
    assert!(taken(&a).into_iter().all(|(_, n)| n % 3 == 0));
    let mut b = taken(&b);
    b.sort_by_key(|(_, n)| *n);
    assert_eq!(
        b.iter().map(|(task, n)| (task.0, *n)).collect::<Vec<_>>(),
        [(2, 1), (3, 2), (2, 4), (3, 5), (2, 7), (3, 8)]
    );
    let edges = &snapshot.tasks("route").next().unwrap().streams[1].edges;
    let transferred: Vec<_> = edges.iter().map(|e| (e.component.as_str(), e.transferred)).collect();
    assert_eq!(transferred, [("a", 4), ("b", 6)]);
}

type Execute = fn(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError>;

/// What a bolt does to the one number that it gets: the outcome, and what was reported.
fn one(execute: Execute) -> (Option<FailCause>, Vec<ErrorReport>) {
    one_with(execute, |b| b)
}

fn one_with(
    execute: Execute,
    more: impl Fn(BoltDeclarer<'_>) -> BoltDeclarer<'_>,
) -> (Option<FailCause>, Vec<ErrorReport>) {
    let (got, outcomes) = (log(), log());
    let spout_outcomes = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(1).with_outcomes(&spout_outcomes), 1);
    more(t.set_bolt("route", bolted(streams, execute), 1).shuffle_grouping("numbers"));
    // Tasks: numbers 1, route 2, sink 3 and 4, stranger 5.
    t.set_bolt("sink", sink(&got), 2).direct_grouping(("route", "named"));
    t.set_bolt("stranger", sink(&got), 1).shuffle_grouping("route");
    let (_, errors) = complete_with_errors(t.build().unwrap(), settings());
    let outcomes = taken(&outcomes);
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    assert_eq!(taken(&got), [], "nothing was sent");
    (outcomes[0].1, errors)
}

/// The emit fails the input, and ends a local run.
fn is_refused(execute: Execute, message: &str) {
    let (outcome, errors) = one(execute);
    assert_eq!(outcome, Some(FailCause::Failed));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((errors[0].kind, &*errors[0].message), (ErrorKind::Contract, message));
    assert_eq!((errors[0].component.as_str(), errors[0].task), ("route", TaskId(2)));
}

#[test]
fn an_emit_on_a_direct_stream_without_a_task_fails_the_input() {
    let message = "'route' emitted to direct stream 'named' without naming a task: use emit_direct";
    is_refused(
        |_, out| {
            out.emit_to("named", (1_i64,));
            Ok(())
        },
        message,
    );
    // The same by the error's own way.
    is_refused(|_, out| Ok(out.on("named").try_emit((1_i64,))?), message);
}

#[test]
fn a_direct_emit_on_a_plain_stream_fails_the_input() {
    is_refused(
        |_, out| {
            out.emit_direct(TaskId(5), "default", (1_i64,));
            Ok(())
        },
        "'route' emitted directly to stream 'default', which is not a direct stream",
    );
}

#[test]
fn a_direct_emit_to_a_task_that_does_not_subscribe_fails_the_input() {
    is_refused(
        |_, out| {
            out.emit_direct(TaskId(5), "named", (1_i64,));
            Ok(())
        },
        "'route' emitted to task 5 on direct stream 'named', but that task does not subscribe to it",
    );
    is_refused(
        |_, out| {
            out.emit_direct(TaskId(77), "named", (1_i64,));
            Ok(())
        },
        "'route' emitted to task 77 on direct stream 'named', but that task does not subscribe to it",
    );
    is_refused(
        |_, out| {
            out.emit_direct(TaskId(3), "unheard", (1_i64,));
            Ok(())
        },
        "'route' emitted to task 3 on direct stream 'unheard', but that task does not subscribe to it",
    );
}

#[test]
fn a_direct_emit_to_an_undeclared_stream_fails_the_input() {
    is_refused(
        |_, out| {
            out.emit_direct(TaskId(3), "nmaed", (1_i64,));
            Ok(())
        },
        "'route' emitted to stream 'nmaed', which it does not declare; it declares: default, named, unheard",
    );
}

#[test]
fn a_direct_emit_of_a_wrong_number_of_values_fails_the_input() {
    is_refused(
        |_, out| {
            out.emit_direct(TaskId(3), "named", (1_i64, 2_i64));
            Ok(())
        },
        "'route' emitted 2 values to stream 'named', which has 1 fields",
    );
}

#[test]
fn an_error_of_try_emit_that_the_bolt_handles_fails_nothing() {
    let (outcome, errors) = one(|_, out| {
        let plain = out.on("named").try_emit((1_i64,));
        assert!(matches!(plain, Err(EmitError::DirectStream { .. })));
        let direct = out.on("default").task(TaskId(5)).try_emit((1_i64,));
        assert!(matches!(direct, Err(EmitError::NotDirectStream { .. })));
        let stranger = out.on("named").task(TaskId(5)).try_emit((1_i64,));
        assert!(matches!(stranger, Err(EmitError::NotSubscribed { task: TaskId(5), .. })));
        let unknown = out.on("other").task(TaskId(5)).try_emit((1_i64,));
        assert!(matches!(unknown, Err(EmitError::UnknownStream { .. })));
        Ok(())
    });
    assert_eq!(outcome, None);
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn a_refused_direct_emit_of_a_spout_fails_its_id() {
    let (got, outcomes) = (log(), log());
    let mut t = TopologyBuilder::new();
    let mut next = 0_i64;
    let numbers = source(streams, &outcomes, move |out| {
        next += 1;
        match next {
            1 => out.on("named").tracked(1).emit((1_i64,)),
            2 => out.on("default").task(TaskId(2)).tracked(2).emit((2_i64,)),
            3 => out.on("named").task(TaskId(1)).tracked(3).emit((3_i64,)),
            4 => out.on("named").task(TaskId(2)).tracked(4).emit((4_i64,)),
            _ => return Ok(Next::Done),
        }
        Ok(Next::Emitted)
    });
    t.set_spout("numbers", numbers, 1);
    t.set_bolt("sink", sink(&got), 1).direct_grouping(("numbers", "named"));
    let (_, errors) = complete_with_errors(t.build().unwrap(), settings());
    let failed = Some(FailCause::Failed);
    assert_eq!(sorted(&outcomes), [(1, failed), (2, failed), (3, failed), (4, None)]);
    assert_eq!(taken(&got), [(TaskId(2), 4)]);
    assert!(errors.len() == 3 && errors.iter().all(|e| e.kind == ErrorKind::Contract), "{errors:?}");
}
