//! Values that cannot be sent, read or grouped on: the input fails, and the error says what and where.

use std::time::Duration;

use storm_rs::engine::{ErrorKind, ErrorReport, Settings};
use storm_rs::prelude::*;
use storm_rs::{BoltDeclarer, EmitError};

use crate::kit::*;

/// One number through a bolt made of a closure: the outcome, and what was reported.
fn one<F>(settings: Settings, execute: F) -> (Option<FailCause>, Vec<ErrorReport>)
where
    F: FnMut(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError> + Clone + Send + Sync + 'static,
{
    one_to(settings, execute, |b| b.shuffle_grouping("bolt"))
}

fn one_to<F>(
    settings: Settings,
    execute: F,
    group: impl Fn(BoltDeclarer<'_>) -> BoltDeclarer<'_>,
) -> (Option<FailCause>, Vec<ErrorReport>)
where
    F: FnMut(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError> + Clone + Send + Sync + 'static,
{
    let outcomes = log();
    let spout_outcomes = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(1).with_outcomes(&spout_outcomes), 1);
    t.set_bolt(
        "bolt",
        bolted(
            |out| {
                out.fields(["text", "more"]);
            },
            execute,
        ),
        1,
    )
    .shuffle_grouping("numbers");
    let ignore = func(|_: &Tuple<'_>, _: &mut BoltOutput<'_>| Ok(()));
    group(t.set_bolt("end", ignore, 1));
    let (_, errors) = complete_with_errors(t.build().unwrap(), settings);
    let outcomes = taken(&outcomes);
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    (outcomes[0].1, errors)
}

#[test]
fn a_row_above_max_tuple_bytes_fails_the_input_with_its_size_in_the_error() {
    let settings = || Settings { max_tuple_bytes: 1000, ..settings() };
    let (outcome, errors) = one(settings(), |_, out| {
        out.emit(("x".repeat(2000), 1_i64));
        Ok(())
    });
    assert_eq!(outcome, Some(FailCause::Failed));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].kind, ErrorKind::Reported, "data, not code: a local run goes on");
    let message = &errors[0].message;
    assert!(message.starts_with("'bolt' emitted to stream 'default': row of 20"), "{message}");
    assert!(message.ends_with("is above the limit of 1000"), "{message}");

    let (outcome, errors) = one(settings(), |_, out| {
        let refused = out.try_emit(("x".repeat(2000), 1_i64));
        assert!(matches!(refused, Err(EmitError::Row { .. })));
        out.emit(("x".repeat(900), 1_i64));
        Ok(())
    });
    assert_eq!(outcome, None, "what was refused leaves nothing behind");
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn the_limit_is_topology_max_tuple_bytes() {
    let mut t = TopologyBuilder::new();
    t.config("topology.max.tuple.bytes", 1000);
    t.set_spout("numbers", || Numbers::new(1), 1);
    let mut topology = t.build().unwrap();
    assert_eq!(configured(&mut topology.clone(), &[]).max_tuple_bytes, 1000);
    assert_eq!(configured(&mut topology, &["topology.max.tuple.bytes=2000"]).max_tuple_bytes, 2000);
    assert_eq!(settings().max_tuple_bytes, 64 << 20);
}

#[test]
fn a_spouts_row_above_the_limit_fails_its_id() {
    let outcomes = log();
    let mut next = 0_i64;
    let spout = source(
        |out| {
            out.fields(["text"]);
        },
        &outcomes,
        move |out| {
            next += 1;
            match next {
                1 => out.emit_tracked(1, ("x".repeat(2000),)),
                2 => out.emit(("y".repeat(2000),)),
                3 => out.emit_tracked(3, ("short",)),
                _ => return Ok(Next::Done),
            }
            Ok(Next::Emitted)
        },
    );
    let mut t = TopologyBuilder::new();
    t.set_spout("source", spout, 1);
    t.set_bolt("end", func(|_: &Tuple<'_>, _: &mut BoltOutput<'_>| Ok(())), 1).shuffle_grouping("source");
    let limited = Settings { max_tuple_bytes: 1000, ..settings() };
    let (snapshot, errors) = complete_with_errors(t.build().unwrap(), limited);
    assert_eq!(sorted(&outcomes), [(1, Some(FailCause::Failed)), (3, None)]);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors.iter().all(|e| e.message.contains("above the limit of 1000")), "{errors:?}");
    assert_eq!(snapshot.spouts(|t| t.emitted()), 1);
}

/// What `get` says in a bolt behind one that emits these values.
fn reading<F>(emit: F, read: fn(&Tuple<'_>) -> Result<(), BoltError>) -> String
where
    F: FnMut(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError> + Clone + Send + Sync + 'static,
{
    let outcomes = log();
    let spout_outcomes = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(1).with_outcomes(&spout_outcomes), 1);
    t.set_bolt(
        "bolt",
        bolted(
            |out| {
                out.stream("lines", ["text", "more"]);
            },
            emit,
        ),
        1,
    )
    .shuffle_grouping("numbers");
    let read = func(move |input: &Tuple<'_>, _: &mut BoltOutput<'_>| read(input));
    t.set_bolt("read", read, 1).shuffle_grouping(("bolt", "lines"));
    let (_, errors) = complete_with_errors(t.build().unwrap(), settings());
    assert_eq!(taken(&outcomes), [(0, Some(FailCause::Failed))]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((errors[0].kind, errors[0].component.as_str()), (ErrorKind::Reported, "read"));
    errors[0].message.clone()
}

fn text_and_number(_: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
    out.emit_to("lines", (&b"ab\xffcd"[..], 300_i64));
    Ok(())
}

#[test]
fn a_wrong_type_at_get_names_component_stream_and_field() {
    let read = |input: &Tuple<'_>| -> Result<(), BoltError> {
        input.get::<&str>("more")?;
        Ok(())
    };
    let message = reading(text_and_number, read);
    assert!(message.starts_with("field 'more' of stream 'lines' of 'bolt': "), "{message}");
    assert!(message.contains("text") && message.contains("int"), "{message}");
    // By position the name is told all the same.
    let read = |input: &Tuple<'_>| -> Result<(), BoltError> {
        input.get::<bool>(1)?;
        Ok(())
    };
    let message = reading(text_and_number, read);
    assert!(message.starts_with("field 'more' of stream 'lines' of 'bolt': "), "{message}");
}

#[test]
fn an_integer_out_of_range_at_get_names_the_field_and_the_number() {
    let message = reading(text_and_number, |input| {
        input.get::<u8>("more")?;
        Ok(())
    });
    assert!(message.starts_with("field 'more' of stream 'lines' of 'bolt': 300 "), "{message}");
    assert!(message.contains("u8"), "{message}");
}

#[test]
fn invalid_utf_8_at_get_names_the_field_and_the_place() {
    let message = reading(text_and_number, |input| {
        assert_eq!(input.get::<&[u8]>("text")?, b"ab\xffcd");
        input.get::<&str>("text")?;
        Ok(())
    });
    assert_eq!(message, "field 'text' of stream 'lines' of 'bolt': bytes are not UTF-8 after the first 2");
    let message = reading(text_and_number, |input| {
        input.get::<String>(0)?;
        Ok(())
    });
    assert!(message.starts_with("field 'text' of stream 'lines' of 'bolt': "), "{message}");
}

#[test]
fn a_field_that_is_not_there_names_those_that_are() {
    let message = reading(text_and_number, |input| {
        input.get::<i64>("moer")?;
        Ok(())
    });
    assert_eq!(
        message,
        "field 'moer' of stream 'lines' of 'bolt': no such field; the stream has [text, more]"
    );
    let message = reading(text_and_number, |input| {
        input.get::<i64>(2)?;
        Ok(())
    });
    assert_eq!(message, "field '#2' of stream 'lines' of 'bolt': no such field; the stream has [text, more]");
}

#[test]
fn an_opaque_key_fails_the_input_and_names_the_field_with_one_task_and_with_several() {
    let groups: [fn(BoltDeclarer<'_>) -> BoltDeclarer<'_>; 4] = [
        |b| b.fields_grouping("bolt", ["more"]),
        |b| b.fields_grouping("bolt", ["text", "more"]).num_tasks(3),
        |b| b.partial_key_grouping("bolt", ["more"]),
        |b| b.partial_key_grouping("bolt", ["more"]).num_tasks(3),
    ];
    for group in groups {
        let (outcome, errors) = one_to(
            settings(),
            |_, out| {
                out.emit(("text", Opaque((1_u8, 2_u8))));
                Ok(())
            },
            group,
        );
        assert_eq!(outcome, Some(FailCause::Failed));
        assert_eq!(errors.len(), 1, "{errors:?}");
        let message = &errors[0].message;
        let start = "'bolt' emitted to stream 'default', which is grouped on field 'more': ";
        assert!(message.starts_with(start), "{message}");
        assert_eq!(errors[0].kind, ErrorKind::Reported);
    }
}

#[test]
fn what_comes_after_a_bad_tuple_is_processed() {
    let (got, outcomes) = (log(), log());
    let spout_outcomes = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(100).with_outcomes(&spout_outcomes), 1);
    let limit = func(|input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        match input.get::<i64>("n")? {
            n if n % 10 == 3 => out.emit(("x".repeat(2000),)),
            n if n % 10 == 7 => {
                input.get::<&str>("n")?;
            }
            n => out.emit((n,)),
        }
        Ok(())
    });
    t.set_bolt("limit", limit, 2).shuffle_grouping("numbers");
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("limit");
    let limited = Settings { max_tuple_bytes: 1000, error_interval: Duration::from_secs(10), ..settings() };
    let (snapshot, errors) = complete_with_errors(t.build().unwrap(), limited);
    assert_eq!((snapshot.sum("limit", |t| t.acked()), snapshot.sum("limit", |t| t.failed())), (80, 20));
    assert_eq!(got.lock().unwrap().len(), 80);
    assert!(errors.len() <= 10, "five in ten seconds of each executor, as in Storm: {}", errors.len());
    let failed = sorted(&outcomes).into_iter().filter(|(_, cause)| cause.is_some()).map(|(n, _)| n);
    assert!(failed.eq((0..100).filter(|n| n % 10 == 3 || n % 10 == 7)));
}
