//! `on_tick`: Storm's tick tuples, which cannot be mistaken for data here.

use std::sync::Arc;
use std::time::Duration;

use storm_rs::engine::{ComponentSettings, ErrorKind, VirtualClock};
use storm_rs::prelude::*;
use storm_rs::{Clock, Time};

use crate::kit::*;

/// Writes down when it ticks, in milliseconds of the virtual clock, which begins at 1000.
struct Ticker<F> {
    ticks: Log<(u32, u64)>,
    /// Called at each tick with the number of this life's tick, from 1.
    act: F,
    count: u32,
    task: TaskId,
    clock: Option<Arc<dyn Clock>>,
}

type Act = fn(u32, &mut BoltOutput<'_>) -> Result<(), BoltError>;

fn nothing(_: u32, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
    Ok(())
}

fn ticker(ticks: &Log<(u32, u64)>, act: Act) -> impl Fn() -> Ticker<Act> + Send + Sync + 'static {
    let ticks = ticks.clone();
    move || Ticker { ticks: ticks.clone(), act, count: 0, task: TaskId(0), clock: None }
}

impl<F> Bolt for Ticker<F>
where
    F: FnMut(u32, &mut BoltOutput<'_>) -> Result<(), BoltError> + Send + 'static,
{
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        (self.task, self.clock) = (ctx.task(), Some(ctx.clock()));
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        out.emit((input.get::<i64>(0)?,));
        Ok(())
    }

    fn on_tick(&mut self, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let now = self.clock.as_ref().unwrap().now();
        self.ticks.lock().unwrap().push((self.task.0, now.as_nanos() / 1_000_000));
        self.count += 1;
        (self.act)(self.count, out)
    }
}

fn every(secs: u64) -> ComponentSettings {
    ComponentSettings { tick: Some(Duration::from_secs(secs)), ..Default::default() }
}

/// When a task ticked.
fn of(ticks: &Log<(u32, u64)>, task: u32) -> Vec<u64> {
    ticks.lock().unwrap().iter().filter(|t| t.0 == task).map(|t| t.1).collect()
}

#[test]
fn each_task_ticks_every_so_many_seconds_and_bolts_without_the_key_never() {
    let (with, without) = (log(), log());
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(0), 1);
    t.set_bolt("tick", ticker(&with, nothing), 2).num_tasks(4).shuffle_grouping("numbers");
    t.set_bolt("still", ticker(&without, nothing), 1).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), component(settings(), "tick", every(2)), 1);
    run.run_until(Time::from_secs(10));
    // Tasks: numbers 1, still 2, tick 3 to 6. The first tick comes after the first two seconds.
    for task in 3..=6 {
        assert_eq!(of(&with, task), [3000, 5000, 7000, 9000]);
    }
    assert_eq!(taken(&without), []);
}

#[test]
fn ticks_come_while_data_flows() {
    let (ticks, clock) = (log(), Arc::new(VirtualClock::new()));
    let slow_clock = clock.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(100), 1);
    t.set_bolt(
        "slow",
        {
            let ticks = ticks.clone();
            move || Slow {
                per_tuple: Duration::from_millis(300),
                clock: slow_clock.clone(),
                ticks: ticks.clone(),
            }
        },
        1,
    )
    .shuffle_grouping("numbers");
    let mut run = stepped_on(&clock, t.build().unwrap(), component(settings(), "slow", every(1)), 1);
    assert!(run.run_to_end(Time::from_secs(60)));
    // 100 tuples of 0.3 s each: 30 s, in which there was always another tuple.
    let count = taken(&ticks).len();
    assert!((28..=30).contains(&count), "{count} ticks");
}

/// Takes its time for each tuple, and writes down its ticks.
struct Slow {
    per_tuple: Duration,
    clock: Arc<VirtualClock>,
    ticks: Log<u64>,
}

impl Bolt for Slow {
    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.clock.advance(self.per_tuple);
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.ticks.lock().unwrap().push(self.clock.now().as_nanos() / 1_000_000);
        Ok(())
    }
}

#[test]
fn missed_ticks_are_not_made_up_for() {
    let (ticks, clock) = (log(), Arc::new(VirtualClock::new()));
    let (slow_ticks, slow_clock) = (ticks.clone(), clock.clone());
    let slow = move || Slow {
        per_tuple: Duration::from_millis(5500),
        clock: slow_clock.clone(),
        ticks: slow_ticks.clone(),
    };
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(1), 1);
    t.set_bolt("slow", slow, 1).shuffle_grouping("numbers");
    let mut run = stepped_on(&clock, t.build().unwrap(), component(settings(), "slow", every(1)), 1);
    run.run_until(Time::from_secs(9));
    // Busy from 1 s to 6.5 s: of the five ticks missed one comes, late.
    assert_eq!(taken(&ticks), [6500, 7500, 8500]);
}

#[test]
fn ticks_come_while_the_bolt_waits_for_credit() {
    let (ticks, clock) = (log(), Arc::new(VirtualClock::new()));
    let fan_out: Act = nothing;
    let fan_ticks = ticks.clone();
    let fan = move || {
        FanOut(Ticker { ticks: fan_ticks.clone(), act: fan_out, count: 0, task: TaskId(0), clock: None })
    };
    let slow_clock = clock.clone();
    let slow = move || Slow { per_tuple: Duration::from_secs(1), clock: slow_clock.clone(), ticks: log() };
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::untracked(1), 1);
    t.set_bolt("fan", fan, 1).shuffle_grouping("numbers");
    t.set_bolt("slow", slow, 1).shuffle_grouping("fan");
    let mut run = stepped_on(&clock, t.build().unwrap(), component(settings(), "fan", every(2)), 1);
    assert!(run.run_to_end(Time::from_secs(120)));
    // 60 tuples of 1 s each wait behind a window of a few: the emitter is blocked for most of a minute.
    let count = taken(&ticks).len();
    assert!((25..=31).contains(&count), "{count} ticks in a minute that has 30");
}

/// Emits sixty rows for one.
struct FanOut<F>(Ticker<F>);

impl<F> Bolt for FanOut<F>
where
    F: FnMut(u32, &mut BoltOutput<'_>) -> Result<(), BoltError> + Send + 'static,
{
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.0.prepare(ctx)
    }

    fn execute(&mut self, _: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        (0..60_i64).for_each(|n| out.emit((n,)));
        Ok(())
    }

    fn on_tick(&mut self, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.0.on_tick(out)
    }
}

#[test]
fn emits_in_on_tick_are_unanchored_and_those_in_execute_are_not() {
    let (ticks, tracked) = (log(), log());
    let outcomes = log();
    let (spout_outcomes, seen) = (outcomes.clone(), tracked.clone());
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(1).with_outcomes(&spout_outcomes), 1);
    let emit: Act = |count, out| {
        out.emit((1000 + i64::from(count),));
        Ok(())
    };
    t.set_bolt("tick", ticker(&ticks, emit), 1).shuffle_grouping("numbers");
    let see = func(move |input: &Tuple<'_>, _: &mut BoltOutput<'_>| {
        let n = input.get::<i64>(0)?;
        seen.lock().unwrap().push((n, input.is_tracked()));
        // What no spout waits for can fail without consequence.
        if n > 1000 { Err(BoltError::quiet("of a tick")) } else { Ok(()) }
    });
    t.set_bolt("see", see, 1).shuffle_grouping("tick");
    let mut run = stepped(t.build().unwrap(), component(settings(), "tick", every(1)), 1);
    run.run_until(Time::from_millis(3500));
    assert_eq!(taken(&tracked), [(0, true), (1001, false), (1002, false)]);
    assert_eq!(taken(&outcomes), [(0, None)]);
    assert_eq!(run.snapshot().audit(true), [""; 0]);
}

#[test]
fn an_error_in_on_tick_is_reported_and_the_next_tick_comes() {
    let ticks = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(0), 1);
    let fail_first: Act = |count, _| if count == 1 { Err("the disk is full".into()) } else { Ok(()) };
    t.set_bolt("tick", ticker(&ticks, fail_first), 1).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), component(settings(), "tick", every(1)), 1);
    run.run_until(Time::from_millis(4500));
    assert_eq!(of(&ticks, 2), [2000, 3000, 4000]);
    let errors = run.take_errors();
    assert_eq!(errors.len(), 1, "the count went on in the same instance: {errors:?}");
    assert_eq!((errors[0].kind, &*errors[0].message), (ErrorKind::Reported, "the disk is full"));
    assert_eq!((errors[0].component.as_str(), errors[0].task), ("tick", TaskId(2)));
    assert_eq!(run.snapshot().tasks("tick").next().unwrap().incarnation, 1);
}

#[test]
fn an_emit_in_on_tick_that_breaks_the_declaration_is_reported_as_such() {
    let ticks = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(0), 1);
    let emit_two: Act = |_, out| {
        out.emit((1_i64, 2_i64));
        Ok(())
    };
    t.set_bolt("tick", ticker(&ticks, emit_two), 1).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), component(settings(), "tick", every(1)), 1);
    run.run_until(Time::from_millis(2500));
    let errors = run.take_errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].kind, ErrorKind::Contract);
    assert_eq!(errors[0].message, "'tick' emitted 2 values to stream 'default', which has 1 fields");
}

#[test]
fn a_panic_in_on_tick_is_reported_and_a_new_instance_ticks_on() {
    let ticks = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(0), 1);
    let panic_second: Act = |count, _| {
        assert!(count < 2, "no second tick");
        Ok(())
    };
    t.set_bolt("tick", ticker(&ticks, panic_second), 1).num_tasks(2).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), component(settings(), "tick", every(1)), 1);
    run.run_until(Time::from_millis(4500));
    // Each new instance counts from one: the panic comes at every second tick of a life.
    assert_eq!(of(&ticks, 2), [2000, 3000, 4000]);
    assert_eq!(of(&ticks, 3), [2000, 3000, 4000], "the other task of the executor ticks, too");
    let errors = run.take_errors();
    assert_eq!(errors.len(), 2, "{errors:?}");
    for error in &errors {
        assert_eq!(error.kind, ErrorKind::Panicked);
        assert!(error.message.contains("no second tick"), "{}", error.message);
        assert!(error.message.contains("ticks.rs:"), "{}", error.message);
    }
    assert!(run.snapshot().tasks("tick").all(|t| t.incarnation == 2 && t.failed() == 0));
}

#[test]
fn the_components_own_key_beats_the_topologys() {
    let (own, shared, none) = (log(), log(), log());
    let mut t = TopologyBuilder::new();
    t.config("topology.tick.tuple.freq.secs", 5);
    t.set_spout("numbers", || Numbers::new(0), 1);
    t.set_bolt("own", ticker(&own, nothing), 1).tick_secs(2).shuffle_grouping("numbers");
    t.set_bolt("shared", ticker(&shared, nothing), 1).shuffle_grouping("numbers");
    t.set_bolt("zero", ticker(&none, nothing), 1).tick_secs(0).shuffle_grouping("numbers");
    let mut topology = t.build().unwrap();
    let settings = configured(&mut topology, &[]);
    let mut run = stepped(topology, settings, 1);
    run.run_until(Time::from_millis(11_500));
    assert_eq!(taken(&own).iter().map(|t| t.1).collect::<Vec<_>>(), [3000, 5000, 7000, 9000, 11_000]);
    assert_eq!(taken(&shared).iter().map(|t| t.1).collect::<Vec<_>>(), [6000, 11_000]);
    assert_eq!(taken(&none), []);
}
