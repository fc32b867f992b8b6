//! Errors that end the whole topology: who runs it is told, from whichever method they come.

use std::time::Duration;

use storm_rs::engine::{ErrorKind, Settings};
use storm_rs::prelude::*;
use storm_rs::{ComponentError, Message, Time};

use crate::kit::*;

/// Where a bolt finds out that it cannot go on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Execute,
    Report,
    Tick,
    Message,
    PrepareAfterPanic,
}

struct Hopeless(Place);

fn fatal() -> BoltError {
    BoltError::fatal("no such table")
}

impl Bolt for Hopeless {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        if self.0 == Place::Message {
            ctx.inbox().send(())?;
        }
        if ctx.incarnation() > 1 { Err(fatal()) } else { Ok(()) }
    }

    fn execute(&mut self, _: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        match self.0 {
            Place::Execute => return Err(fatal()),
            Place::Report => out.report_error(fatal()),
            Place::PrepareAfterPanic => panic!("prepare me again"),
            Place::Tick | Place::Message => {}
        }
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        if self.0 == Place::Tick { Err(fatal()) } else { Ok(()) }
    }

    fn on_message(&mut self, _: Message, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        Err(fatal())
    }
}

#[test]
fn a_bolt_can_end_the_topology_from_wherever_it_is() {
    for place in [Place::Execute, Place::Report, Place::Tick, Place::Message, Place::PrepareAfterPanic] {
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", || Numbers::new(1), 1);
        t.set_bolt("hopeless", move || Hopeless(place), 1).tick_secs(1).shuffle_grouping("numbers");
        let mut topology = t.build().unwrap();
        let settings = configured(&mut topology, &[]);
        let mut run = stepped(topology, settings, 1);
        run.run_until(Time::from_secs(3));
        let first = run.errors().iter().find(|e| e.kind != ErrorKind::Panicked).unwrap();
        assert_eq!((first.kind, &*first.message), (ErrorKind::Fatal, "no such table"), "{place:?}");
        assert!(first.kind.ends_local_run() && first.component == "hopeless", "{place:?}");
        run.stop();
    }
}

#[test]
fn the_input_of_a_fatal_error_fails_as_with_any_other() {
    let outcomes = log();
    let mut t = TopologyBuilder::new();
    let told = outcomes.clone();
    t.set_spout("numbers", move || Numbers::new(1).with_outcomes(&told), 1);
    t.set_bolt("hopeless", || Hopeless(Place::Execute), 1).shuffle_grouping("numbers");
    complete_with_errors(t.build().unwrap(), settings());
    assert_eq!(taken(&outcomes), [(0, Some(FailCause::Failed))]);
}

#[test]
fn a_spout_can_end_the_topology() {
    let mut t = TopologyBuilder::new();
    let declare = |out: &mut OutputDeclarer| {
        out.fields(["n"]);
    };
    t.set_spout("hopeless", source(declare, &log(), |_| Err(SpoutError::fatal("no such partition"))), 1);
    t.set_bolt("sink", sink(&log()), 1).shuffle_grouping("hopeless");
    let mut run = stepped(t.build().unwrap(), settings(), 1);
    run.run_until(Time::from_secs(2));
    assert_eq!((run.errors()[0].kind, &*run.errors()[0].message), (ErrorKind::Fatal, "no such partition"));
    run.stop();
}

/// Other errors of the same executor may have used up its reports.
#[test]
fn a_fatal_error_is_told_once_however_many_errors_there_were_before() {
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(100), 1);
    let hopeless = func(|input: &Tuple<'_>, _: &mut BoltOutput<'_>| match input.get::<i64>("n")? {
        n if n < 50 => Err("a bad line".into()),
        _ => Err(ComponentError::fatal("bad lines only")),
    });
    t.set_bolt("hopeless", hopeless, 1).shuffle_grouping("numbers");
    let limited = Settings { errors_per_interval: 2, error_interval: Duration::from_secs(60), ..settings() };
    let (_, errors) = complete_with_errors(t.build().unwrap(), limited);
    let kinds: Vec<_> = errors.iter().map(|e| e.kind).collect();
    assert_eq!(kinds, [ErrorKind::Reported, ErrorKind::Reported, ErrorKind::Fatal], "{errors:?}");
}
