//! Trees that take too long fail, on time, and what comes later is ignored.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use storm_rs::Time;
use storm_rs::engine::Settings;
use storm_rs::prelude::*;

use crate::kit::*;

/// Retains everything until it is asked to let go.
#[derive(Default)]
struct Hoard(Vec<Retained>);

impl Bolt for Hoard {
    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.0.push(out.retain(input));
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.0.drain(..).for_each(Retained::ack);
        Ok(())
    }
}

fn hoarding(
    settings: Settings,
    tick: Option<u32>,
) -> (storm_rs::engine::stepped::Stepped, Log<(i64, Option<FailCause>)>) {
    let outcomes = log();
    let seen = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(10).with_outcomes(&seen), 1);
    t.set_bolt("hoard", Hoard::default, 1).shuffle_grouping("numbers");
    let own = storm_rs::engine::ComponentSettings {
        tick: tick.map(|t| Duration::from_secs(t.into())),
        ..Default::default()
    };
    (stepped(t.build().unwrap(), component(settings, "hoard", own), 1), outcomes)
}

#[test]
fn a_tree_fails_between_the_timeout_and_a_tick_more() {
    let (mut run, outcomes) = hoarding(with_timeout(30), None);
    run.run_until(Time::from_secs(30));
    assert_eq!(taken(&outcomes), [], "29 s after the emit");
    run.run_until(Time::from_secs(33));
    let failed = taken(&outcomes);
    assert_eq!(failed.len(), 10);
    assert!(failed.iter().all(|(_, o)| *o == Some(FailCause::Timeout)));
}

#[test]
fn late_acks_are_ignored_and_counted() {
    let (mut run, outcomes) = hoarding(with_timeout(10), Some(20));
    run.run_until(Time::from_secs(30));
    assert_eq!(taken(&outcomes).len(), 10, "each once, by its timeout");
    let snapshot = run.snapshot();
    assert_eq!(snapshot.executors.iter().map(|e| e.late_acks).sum::<u64>(), 10);
    assert_eq!(snapshot.audit(true), [""; 0]);
}

#[test]
fn without_timeouts_a_tree_waits_for_ever() {
    let settings = Settings { timeouts: false, ..settings() };
    let (mut run, outcomes) = hoarding(settings, Some(1800));
    run.run_until(Time::from_secs(1700));
    assert_eq!(taken(&outcomes), []);
    run.run_until(Time::from_secs(2000));
    assert_eq!(taken(&outcomes).len(), 10);
}

/// Retains one tuple and asks for more time whenever it ticks; lets go after a while.
struct Patient {
    held: Option<Retained>,
    ticks: u32,
}

impl Bolt for Patient {
    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.held = Some(out.retain(input));
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.ticks += 1;
        match &self.held {
            Some(held) if self.ticks < 20 => held.reset_timeout(),
            _ => self.held.take().into_iter().for_each(Retained::ack),
        }
        Ok(())
    }
}

#[test]
fn reset_timeout_keeps_a_tree_alive() {
    let outcomes = log();
    let seen = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(1).with_outcomes(&seen), 1);
    t.set_bolt("patient", || Patient { held: None, ticks: 0 }, 1).shuffle_grouping("numbers");
    let own =
        storm_rs::engine::ComponentSettings { tick: Some(Duration::from_secs(5)), ..Default::default() };
    let mut run = stepped(t.build().unwrap(), component(with_timeout(10), "patient", own), 1);
    run.run_until(Time::from_secs(95));
    assert_eq!(taken(&outcomes), []);
    run.run_until(Time::from_secs(110));
    assert_eq!(taken(&outcomes), [(0, None)]);
}

/// Emits one number; notes when it fails.
struct Once(bool, Log<Duration>, Option<TaskTimes>);
type TaskTimes = (std::sync::Arc<dyn storm_rs::Clock>, Time);

impl Spout for Once {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.2 = Some((ctx.clock(), Time::ZERO));
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<()>) -> Result<Next, SpoutError> {
        if std::mem::replace(&mut self.0, true) {
            return Ok(Next::Done);
        }
        if let Some((clock, emitted)) = &mut self.2 {
            *emitted = clock.now();
        }
        out.emit_tracked((), (1,));
        Ok(Next::Emitted)
    }

    fn fail(&mut self, (): (), _: FailCause) {
        if let Some((clock, emitted)) = &self.2 {
            self.1.lock().unwrap().push(clock.now().since(*emitted));
        }
    }
}

#[test]
fn a_timeout_is_as_precise_with_every_length() {
    for secs in [1, 2, 8, 30, 300] {
        let ages = log();
        let seen = ages.clone();
        let mut t = TopologyBuilder::new();
        t.set_spout("once", move || Once(false, seen.clone(), None), 1);
        t.set_bolt("hoard", Hoard::default, 1).shuffle_grouping("once");
        let mut run = stepped(t.build().unwrap(), with_timeout(secs), secs);
        run.run_until(Time::from_secs(2 * secs + 5));
        let timeout = Duration::from_secs(secs);
        let tick = (timeout / 8).min(Duration::from_secs(1));
        let [age] = taken(&ages)[..] else { panic!("one fail") };
        // Some microseconds are the steps of the virtual clock.
        let late = timeout + tick + Duration::from_millis(1);
        assert!(timeout <= age && age <= late, "{age:?} for {timeout:?}");
    }
}

/// Takes 10 ms of virtual time per tuple.
struct Slow(Option<std::sync::Arc<storm_rs::engine::VirtualClock>>, Duration);

impl Bolt for Slow {
    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        if let Some(clock) = &self.0 {
            clock.advance(self.1);
        }
        Ok(())
    }
}

/// What Storm's users suffer from most: a slow bolt behind a fast spout, all defaults.
#[test]
fn a_slow_bolt_behind_a_full_speed_spout_times_nothing_out() {
    for (millis, count) in [(10, 12_000), (200, 600), (3_000, 60)] {
        let outcomes = log();
        let seen = outcomes.clone();
        let clock = std::sync::Arc::new(storm_rs::engine::VirtualClock::new());
        let bolt_clock = Mutex::new(Some(clock.clone()));
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", move || Numbers::new(count).with_outcomes(&seen), 2);
        t.set_bolt("pass", pass(), 2).shuffle_grouping("numbers");
        let slow = move || Slow(bolt_clock.lock().unwrap().clone(), Duration::from_millis(millis));
        t.set_bolt("slow", slow, 1).shuffle_grouping("pass");
        let mut run =
            storm_rs::engine::stepped::Stepped::start(t.build().unwrap(), settings(), clock, 11).unwrap();
        assert!(run.run_to_end(Time::from_secs(10_000)));
        let failed = taken(&outcomes).into_iter().filter(|(_, o)| o.is_some()).count();
        assert_eq!(failed, 0, "with {millis} ms per tuple");
        assert_eq!(run.snapshot().audit(true), [""; 0]);
    }
}

/// Fast for a while, then 10 ms per tuple.
struct Tiring(std::sync::Arc<storm_rs::engine::VirtualClock>);

impl Bolt for Tiring {
    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let is_tired = input.get::<i64>(0)? > 50_000;
        self.0.advance(if is_tired { Duration::from_millis(10) } else { Duration::from_nanos(30) });
        Ok(())
    }
}

#[test]
fn a_bolt_that_turns_slow_times_nothing_out() {
    let outcomes = log();
    let seen = outcomes.clone();
    let clock = std::sync::Arc::new(storm_rs::engine::VirtualClock::new());
    let bolt_clock = clock.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(60_000).with_outcomes(&seen), 1);
    t.set_bolt("tiring", move || Tiring(bolt_clock.clone()), 1).shuffle_grouping("numbers");
    let mut run =
        storm_rs::engine::stepped::Stepped::start(t.build().unwrap(), settings(), clock, 1).unwrap();
    assert!(run.run_to_end(Time::from_secs(10_000)));
    // What had been let in at full speed cannot be helped: far from all of it times out.
    let failed = taken(&outcomes).into_iter().filter(|(_, o)| o.is_some()).count();
    println!("{failed} timed out");
    assert_eq!(failed, 0);
}

/// Fast, but for one call in the middle that blocks.
struct Hiccup(std::sync::Arc<storm_rs::engine::VirtualClock>, i64);

impl Spout for Hiccup {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<()>) -> Result<Next, SpoutError> {
        self.1 += 1;
        if self.1 == 20_000 {
            self.0.advance(Duration::from_millis(300));
        }
        if self.1 == 40_000 {
            return Ok(Next::Done);
        }
        out.emit((self.1,));
        Ok(Next::Emitted)
    }
}

#[test]
fn a_next_tuple_that_blocks_once_among_fast_ones_is_reported() {
    let got = log();
    let clock = std::sync::Arc::new(storm_rs::engine::VirtualClock::new());
    let spout_clock = clock.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("hiccup", move || Hiccup(spout_clock.clone(), 0), 1);
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("hiccup");
    let mut run =
        storm_rs::engine::stepped::Stepped::start(t.build().unwrap(), settings(), clock, 1).unwrap();
    assert!(run.run_to_end(Time::from_secs(100)));
    let errors = run.take_errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].kind, storm_rs::engine::ErrorKind::Slow);
    assert!(errors[0].message.contains("next_tuple took up to 300 ms"), "{}", errors[0].message);
}

/// Each of many executors acks in a parcel of its own: more than the spout would take in one step if
/// it did not have to. Its next turn comes when all are there and the tree is too old.
#[test]
fn acks_that_have_arrived_win_over_the_timeout() {
    let outcomes = log();
    let seen = outcomes.clone();
    let left = Arc::new(AtomicUsize::new(1000));
    let count = left.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(1).with_outcomes(&seen), 1);
    let many = func(move |_: &Tuple<'_>, _: &mut BoltOutput<'_>| {
        count.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    });
    t.set_bolt("many", many, 1000).all_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), with_timeout(30), 1);
    assert!(run.run_while(Time::from_secs(10), |_| left.load(Ordering::SeqCst) > 0));
    // One more step of each, in which it sends its ack.
    run.snapshot();
    run.clock().advance(Duration::from_secs(60));
    assert!(run.run_to_end(Time::from_secs(100)));
    assert_eq!(taken(&outcomes), [(0, None)]);
    assert_eq!(run.snapshot().audit(true), [""; 0]);
}

/// Of one executor's two tasks the first acks each tuple and the second fails it.
struct Divided(u32);

impl Bolt for Divided {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.0 = ctx.task_index() as u32;
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        if self.0 == 1 {
            out.fail(input);
        }
        Ok(())
    }
}

/// A late ack tells of a timeout that is too short. One that was made before its tree failed is not
/// late, and must not arrive behind the fail.
#[test]
fn an_ack_before_a_fail_is_not_late() {
    let outcomes = log();
    let seen = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(100).with_outcomes(&seen), 1);
    t.set_bolt("divided", || Divided(0), 1).num_tasks(2).all_grouping("numbers");
    let snapshot = complete(t.build().unwrap(), settings(), 7);
    assert!(sorted(&outcomes).into_iter().eq((0..100).map(|n| (n, Some(FailCause::Failed)))));
    assert_eq!(snapshot.executors.iter().map(|e| e.late_acks).sum::<u64>(), 0);
}
