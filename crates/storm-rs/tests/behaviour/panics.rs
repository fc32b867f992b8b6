//! User code may panic: the tuple fails, the error is told, the task goes on with a new instance.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use storm_rs::Time;
use storm_rs::engine::{ComponentSettings, ErrorKind};
use storm_rs::prelude::*;

use crate::kit::*;

/// Counts its own tuples; panics on multiples of ten.
struct Fragile {
    seen: i64,
    lives: Arc<AtomicU32>,
}

impl Bolt for Fragile {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn prepare(&mut self, _: &TaskContext) -> Result<(), BoltError> {
        self.lives.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let n: i64 = input.get("n")?;
        assert!(n % 10 != 0, "{n} is a multiple of ten");
        self.seen += 1;
        out.emit((self.seen,));
        Ok(())
    }
}

#[test]
fn a_panic_fails_its_tuple_and_the_task_loses_its_memory() {
    let (got, outcomes) = (log(), log());
    let seen = outcomes.clone();
    let lives = Arc::new(AtomicU32::new(0));
    let bolt_lives = lives.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(30).with_outcomes(&seen), 1);
    t.set_bolt("fragile", move || Fragile { seen: 0, lives: bolt_lives.clone() }, 1)
        .shuffle_grouping("numbers");
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("fragile");
    let mut run = stepped(t.build().unwrap(), settings(), 1);
    assert!(run.run_to_end(Time::from_secs(100)));
    let failed: Vec<_> = taken(&outcomes).into_iter().filter(|(_, o)| o.is_some()).collect();
    let panicked = Some(FailCause::Panicked);
    assert_eq!(failed, [(0, panicked), (10, panicked), (20, panicked)]);
    assert_eq!(taken(&got).into_iter().map(|(_, n)| n).max(), Some(9), "it counts from 0 after each panic");
    assert_eq!(lives.load(Ordering::SeqCst), 4);
    let snapshot = run.snapshot();
    assert_eq!(snapshot.sum("fragile", |t| t.incarnation), 4);
    assert_eq!(snapshot.audit(true), [""; 0]);
    let errors = run.take_errors();
    assert_eq!(errors.len(), 3);
    assert_eq!((errors[0].kind, errors[0].component.as_str()), (ErrorKind::Panicked, "fragile"));
    assert!(errors[0].message.contains("0 is a multiple of ten"), "{}", errors[0].message);
    assert!(errors[0].message.contains("panics.rs:"), "{}", errors[0].message);
}

#[test]
fn a_task_that_always_panics_backs_off() {
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::replaying(1), 1);
    let always = func(|_: &Tuple<'_>, _: &mut BoltOutput<'_>| panic!("always"));
    t.set_bolt("always", always, 1).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), settings(), 1);
    run.run_until(Time::from_secs(61));
    let tries = run.snapshot().sum("always", |t| t.failed());
    // 10 at once, then after 0.1, 0.2, .. 12.8 s.
    assert!((14..=24).contains(&tries), "{tries} tries in a minute");
}

/// Panics in its tenth call; its source knows how far it came.
struct Clumsy {
    calls: u32,
    next: Arc<AtomicU32>,
    count: u32,
}

impl Spout for Clumsy {
    type MessageId = u32;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<u32>) -> Result<Next, SpoutError> {
        self.calls += 1;
        assert!(self.calls != 10, "clumsy");
        let n = self.next.fetch_add(1, Ordering::SeqCst);
        if n >= self.count {
            return Ok(Next::Done);
        }
        out.emit_tracked(n, (n,));
        Ok(Next::Emitted)
    }
}

#[test]
fn a_spouts_panic_loses_its_pending_trees_and_opens_anew() {
    let got = log();
    let next = Arc::new(AtomicU32::new(0));
    let mut t = TopologyBuilder::new();
    t.set_spout("clumsy", move || Clumsy { calls: 0, next: next.clone(), count: 100 }, 1);
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("clumsy");
    let mut run = stepped(t.build().unwrap(), settings(), 1);
    assert!(run.run_to_end(Time::from_secs(1000)));
    assert!(is_exact(&got, 100));
    let snapshot = run.snapshot();
    assert_eq!(snapshot.audit(true), [""; 0]);
    let [task] = &snapshot.tasks("clumsy").collect::<Vec<_>>()[..] else { panic!() };
    assert!(task.incarnation > 10 && task.lost > 0 && task.acked() + task.lost == 100, "{task:?}");
}

/// Panics where it can, once it has been prepared.
struct Spiteful(bool);

impl Bolt for Spiteful {
    fn prepare(&mut self, _: &TaskContext) -> Result<(), BoltError> {
        self.0 = true;
        Ok(())
    }

    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        Ok(())
    }

    fn cleanup(&mut self) {
        panic!("in cleanup");
    }
}

impl Drop for Spiteful {
    fn drop(&mut self) {
        assert!(!self.0, "in drop");
    }
}

#[test]
fn panics_in_cleanup_and_drop_harm_nobody() {
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(10), 1);
    t.set_bolt("spiteful", || Spiteful(false), 1).shuffle_grouping("numbers");
    complete_on_threads(t.build().unwrap(), settings());
}

fn ticking(millis: u64) -> ComponentSettings {
    ComponentSettings { tick: Some(Duration::from_millis(millis)), ..Default::default() }
}

/// Its tasks panic in their first tick; the first can then not be prepared five times, the second
/// once.
struct Convalescent {
    incarnation: u64,
}

impl Bolt for Convalescent {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.incarnation = ctx.incarnation();
        match (ctx.task_index(), self.incarnation) {
            (0, 2..=6) | (1, 2) => Err("no database".into()),
            _ => Ok(()),
        }
    }

    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        assert!(self.incarnation > 1, "tick");
        Ok(())
    }
}

/// Two tasks of one executor are without instance, and one has a new one before the other: rows of
/// the other wait.
#[test]
fn a_task_without_instance_gets_no_rows_when_its_neighbour_is_back() {
    let outcomes = log();
    let mut n = 0;
    let steady = source(
        |out| {
            out.fields(["n"]);
        },
        &outcomes,
        move |out| {
            if n == 100 {
                return Ok(Next::Done);
            }
            n += 1;
            out.emit_tracked(n, (n,));
            Ok(Next::Until(out.now() + Duration::from_millis(100)))
        },
    );
    let mut t = TopologyBuilder::new();
    t.set_spout("steady", steady, 1);
    t.set_bolt("convalescent", || Convalescent { incarnation: 0 }, 1).num_tasks(2).all_grouping("steady");
    let (_, errors) =
        complete_with_errors(t.build().unwrap(), component(settings(), "convalescent", ticking(1000)));
    let panics: Vec<_> = errors.iter().filter(|e| e.kind == ErrorKind::Panicked).collect();
    assert!(panics.len() == 2 && panics.iter().all(|e| e.message.contains("tick")), "{panics:?}");
    assert!(sorted(&outcomes).into_iter().eq((1..=100).map(|n| (n, None))), "all rows have waited");
}

/// An error that cannot be written out.
#[derive(Debug)]
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("in Display")
    }
}

impl std::error::Error for Unspeakable {}

/// Its ticks fail.
struct Mute;

impl Bolt for Mute {
    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        Err(Unspeakable.into())
    }
}

/// What an error says is user code, which runs outside of the call that returned the error.
#[test]
fn an_error_whose_display_panics_is_reported_and_ends_nothing() {
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(10), 1);
    t.set_bolt("mute", || Mute, 1).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), component(settings(), "mute", ticking(600)), 1);
    run.run_until(Time::from_secs(2));
    let errors = run.take_errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].message.contains("in Display"), "{}", errors[0].message);
    assert_eq!(run.snapshot().audit(true), [""; 0]);
}
