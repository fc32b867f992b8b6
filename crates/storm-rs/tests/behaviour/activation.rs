//! `activate` and `deactivate`: an inactive topology emits nothing and finishes what is pending.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use storm_rs::engine::{Event, Options, Run};
use storm_rs::prelude::*;
use storm_rs::{Clock, Time};

use crate::kit::*;

/// Emits a number every 10 ms, without end.
struct Metronome {
    next: i64,
    outcomes: Outcomes,
    clock: Option<Arc<dyn Clock>>,
}

impl Spout for Metronome {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.clock = Some(ctx.clock());
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        out.emit_tracked(self.next, (self.next,));
        self.next += 1;
        Ok(Next::Until(self.clock.as_ref().unwrap().now() + Duration::from_millis(10)))
    }

    fn ack(&mut self, n: i64) {
        self.outcomes.lock().unwrap().push((n, None));
    }

    fn fail(&mut self, n: i64, cause: FailCause) {
        self.outcomes.lock().unwrap().push((n, Some(cause)));
    }
}

fn metronome(outcomes: &Outcomes) -> impl Fn() -> Metronome + Send + Sync + 'static {
    let outcomes = outcomes.clone();
    move || Metronome { next: 0, outcomes: outcomes.clone(), clock: None }
}

/// Keeps all tuples; at a tick acks two of five, fails two, and keeps the rest for ever.
#[derive(Default)]
struct Hoard {
    fresh: Vec<Retained>,
    kept: Vec<Retained>,
}

impl Bolt for Hoard {
    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.fresh.push(out.retain(input));
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        for kept in self.fresh.drain(..) {
            match kept.tuple().get::<i64>("n")? % 5 {
                0 | 1 => kept.ack(),
                2 | 3 => kept.fail(),
                _ => self.kept.push(kept),
            }
        }
        Ok(())
    }
}

fn outcome_of(n: i64) -> Option<FailCause> {
    match n % 5 {
        0 | 1 => None,
        2 | 3 => Some(FailCause::Failed),
        _ => Some(FailCause::Timeout),
    }
}

#[test]
fn while_inactive_nothing_is_emitted_and_acks_fails_and_timeouts_go_on() {
    let outcomes = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", metronome(&outcomes), 1);
    t.set_bolt("hoard", Hoard::default, 1).tick_secs(2).shuffle_grouping("numbers");
    t.config("topology.message.timeout.secs", 10);
    let mut topology = t.build().unwrap();
    let settings = configured(&mut topology, &[]);
    let mut run = stepped(topology, settings, 1);
    run.run_until(Time::from_millis(2000));
    run.deactivate();
    let emitted = run.snapshot().spouts(|t| t.emitted());
    assert!((99..=101).contains(&emitted), "{emitted} in a second");
    assert_eq!(taken(&outcomes), [], "all are pending: the first tick comes at 3 s");

    run.run_until(Time::from_millis(5000));
    let seen = sorted(&outcomes);
    assert_eq!(seen.len() as u64, emitted * 4 / 5, "acked and failed at the tick");
    run.run_until(Time::from_secs(20));
    let timed_out = sorted(&outcomes);
    assert!(timed_out.iter().all(|(_, cause)| *cause == Some(FailCause::Timeout)), "{timed_out:?}");
    let mut all: Vec<_> = seen.into_iter().chain(timed_out).collect();
    all.sort_by_key(|(n, _)| *n);
    assert!(all.iter().copied().eq((0..emitted as i64).map(|n| (n, outcome_of(n)))), "{all:?}");
    assert_eq!(run.snapshot().spouts(|t| t.emitted()), emitted);
    assert_eq!(run.snapshot().spouts(|t| t.pending), 0);
    assert!(run.is_done(), "an inactive topology without pending trees is done");

    run.activate();
    run.run_until(Time::from_secs(21));
    let more = run.snapshot().spouts(|t| t.emitted()) - emitted;
    assert!((99..=102).contains(&more), "{more} in a second");
}

#[test]
fn what_waits_in_queues_is_processed_while_inactive() {
    let got = log();
    let clock = Arc::new(storm_rs::engine::VirtualClock::new());
    let slow_clock = clock.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::untracked(100_000), 1);
    let slow = func(move |input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        slow_clock.advance(Duration::from_millis(1));
        out.emit((input.get::<i64>("n")?,));
        Ok(())
    });
    t.set_bolt("slow", slow, 1).shuffle_grouping("numbers");
    t.set_bolt("sink", sink(&got), 2).shuffle_grouping("slow");
    let mut run = stepped_on(&clock, t.build().unwrap(), settings(), 1);
    run.run_until(Time::from_secs(3));
    run.deactivate();
    let emitted = run.snapshot().spouts(|t| t.emitted());
    let before = got.lock().unwrap().len() as u64;
    assert!(before < emitted && emitted < 100_000, "{before} of {emitted} were processed");
    assert!(run.run_to_end(Time::from_secs(60)));
    assert!(is_exact(&got, emitted as i64), "each that was emitted, once");
    assert_eq!(run.snapshot().audit(true), [""; 0]);
}

/// Writes down what is called, a run of the same as one.
#[derive(Default)]
struct Calls(Mutex<Vec<&'static str>>);

impl Calls {
    fn note(&self, call: &'static str) {
        let mut calls = self.0.lock().unwrap();
        // Only `next` may come many times in a row.
        if call != "next" || calls.last() != Some(&"next") {
            calls.push(call);
        }
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Notes its calls; the `n`-th `next_tuple` of all lives does what `answer(n)` says.
struct Noting {
    calls: Arc<Calls>,
    nexts: Arc<AtomicU32>,
    opens: Arc<AtomicU32>,
    answer: fn(u32) -> Next,
    may_open: fn(u32) -> bool,
    is_open: bool,
}

fn noting(
    calls: &Arc<Calls>,
    answer: fn(u32) -> Next,
    may_open: fn(u32) -> bool,
) -> impl Fn() -> Noting + Send + Sync + 'static {
    let (calls, nexts, opens) = (calls.clone(), Arc::default(), Arc::default());
    move || Noting {
        calls: calls.clone(),
        nexts: Arc::clone(&nexts),
        opens: Arc::clone(&opens),
        answer,
        may_open,
        is_open: false,
    }
}

impl Spout for Noting {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn open(&mut self, _: &TaskContext) -> Result<(), SpoutError> {
        let count = self.opens.fetch_add(1, Ordering::SeqCst) + 1;
        if !(self.may_open)(count) {
            self.calls.note("open fails");
            return Err("not now".into());
        }
        self.is_open = true;
        self.calls.note("open");
        Ok(())
    }

    fn next_tuple(&mut self, _: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        assert!(self.is_open);
        self.calls.note("next");
        Ok((self.answer)(self.nexts.fetch_add(1, Ordering::SeqCst) + 1))
    }

    fn activate(&mut self) {
        self.calls.note("activate");
    }

    fn deactivate(&mut self) {
        self.calls.note("deactivate");
    }

    fn close(&mut self) {
        self.calls.note("close");
    }
}

fn noting_topology(calls: &Arc<Calls>, answer: fn(u32) -> Next, may_open: fn(u32) -> bool) -> Topology {
    let mut t = TopologyBuilder::new();
    t.set_spout("noting", noting(calls, answer, may_open), 1);
    t.set_bolt("pass", pass(), 1).shuffle_grouping("noting");
    t.build().unwrap()
}

#[test]
fn activate_is_called_once_before_the_first_next_tuple_and_after_each_activation() {
    let calls = Arc::new(Calls::default());
    let mut run = stepped(noting_topology(&calls, |_| Next::Idle, |_| true), settings(), 1);
    run.run_until(Time::from_secs(2));
    assert_eq!(calls.take(), ["open", "activate", "next"]);
    run.activate();
    run.run_until(Time::from_secs(3));
    assert_eq!(calls.take(), ["next"], "it was active");
    run.deactivate();
    run.run_until(Time::from_secs(4));
    run.deactivate();
    run.run_until(Time::from_secs(5));
    assert_eq!(calls.take(), ["deactivate"], "once");
    run.activate();
    run.activate();
    run.run_until(Time::from_secs(6));
    assert_eq!(calls.take(), ["activate", "next"], "once");
    run.stop();
    assert_eq!(calls.take(), ["close"]);
}

#[test]
fn a_spout_that_is_done_is_told_of_each_activation() {
    let calls = Arc::new(Calls::default());
    let mut run = stepped(noting_topology(&calls, |_| Next::Done, |_| true), settings(), 1);
    run.run_until(Time::from_secs(2));
    assert_eq!(calls.take(), ["open", "activate", "next"]);
    run.deactivate();
    run.run_until(Time::from_secs(3));
    assert_eq!(calls.take(), ["deactivate"]);
    run.activate();
    run.run_until(Time::from_secs(4));
    assert_eq!(calls.take(), ["activate"], "and it is not asked again");
}

#[test]
fn a_new_instance_after_a_panic_is_activated_before_it_is_asked() {
    let calls = Arc::new(Calls::default());
    let answer = |n| if n == 3 { panic!("the third") } else { Next::Idle };
    let mut run = stepped(noting_topology(&calls, answer, |_| true), settings(), 1);
    run.run_until(Time::from_secs(2));
    assert_eq!(calls.take(), ["open", "activate", "next", "open", "activate", "next"]);
}

#[test]
fn an_instance_that_has_panicked_is_not_called_while_the_next_cannot_be_opened() {
    let calls = Arc::new(Calls::default());
    let answer = |n| if n == 1 { panic!("the first") } else { Next::Idle };
    // The second and third instance cannot be opened.
    let mut run = stepped(noting_topology(&calls, answer, |n| n == 1 || n > 3), settings(), 1);
    run.run_until(Time::from_secs(60));
    assert_eq!(
        calls.take(),
        ["open", "activate", "next", "open fails", "open fails", "open", "activate", "next"]
    );
}

#[test]
fn an_instance_that_has_panicked_is_not_closed() {
    let calls = Arc::new(Calls::default());
    let mut run = stepped(noting_topology(&calls, |_| panic!("always"), |n| n == 1), settings(), 1);
    run.run_until(Time::from_millis(1050));
    run.deactivate();
    run.run_until(Time::from_millis(1100));
    run.stop();
    let calls = calls.take();
    assert!(!calls.contains(&"close") && !calls.contains(&"deactivate"), "{calls:?}");
}

#[test]
fn a_topology_that_starts_inactive_emits_nothing_until_it_is_activated() {
    let (got, calls) = (log(), Arc::new(Calls::default()));
    let mut t = TopologyBuilder::new();
    t.set_spout("noting", noting(&calls, |_| Next::Done, |_| true), 1);
    t.set_spout("numbers", || Numbers::new(100), 2);
    t.set_bolt("pass", pass(), 1).shuffle_grouping("noting");
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("numbers").shuffle_grouping("pass");
    let options = Options { name: "inactive".to_owned(), seed: 1, is_active: false };
    let mut run = Run::start(t.build().unwrap(), settings(), options).unwrap();
    let wait = Duration::from_secs(20);
    // Commands are taken in order: who has answered thrice has been started for a while.
    for _ in 0..3 {
        let snapshot = run.snapshot(wait);
        assert_eq!(snapshot.executors.len(), 5, "all answer");
        assert_eq!(snapshot.spouts(|t| t.emitted()), 0);
    }
    assert!(run.is_done() && run.is_quiet());
    assert_eq!(calls.take(), ["open"], "neither activate nor next_tuple");

    run.activate();
    run.watch();
    let is_end =
        |run: &Run| run.is_done() && run.is_quiet() && run.snapshot(wait).spouts(|t| t.acked()) == 200;
    while !is_end(&run) {
        match run.next_event(wait) {
            Some(Event::Ended { .. }) | None => panic!("it does not end: {:#?}", run.snapshot(wait)),
            Some(_) => {}
        }
    }
    assert_eq!(tally(&got).len(), 100);
    assert_eq!(calls.take(), ["activate", "next"]);
    run.stop();
    assert_eq!(calls.take(), ["close"]);
}

/// Emits one number every 100 ms.
struct Paced(Option<std::sync::Arc<dyn storm_rs::Clock>>, i64);

impl Spout for Paced {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.0 = Some(ctx.clock());
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<i64>) -> Result<Next, SpoutError> {
        self.1 += 1;
        out.emit_tracked(self.1, (self.1,));
        let now = self.0.as_ref().map_or(storm_rs::Time::ZERO, |c| c.now());
        Ok(Next::Until(now + std::time::Duration::from_millis(100)))
    }
}

#[test]
fn until_is_not_ended_by_acks() {
    let got = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("paced", || Paced(None, 0), 1);
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("paced");
    let mut run = stepped(t.build().unwrap(), settings(), 1);
    run.run_until(storm_rs::Time::from_millis(2_000));
    let count = taken(&got).len();
    assert!((9..=11).contains(&count), "{count} in a second");
}
