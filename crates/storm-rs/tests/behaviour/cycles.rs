//! Cycles neither dead-lock nor grow; one that multiplies fails trees with its reason.

use storm_rs::Time;
use storm_rs::engine::Settings;
use storm_rs::prelude::*;

use crate::kit::*;

/// Sends a number round until its count of rounds (in the number's hundreds) is used up.
struct Countdown {
    copies: usize,
}

impl Bolt for Countdown {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]).stream("again", ["n"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let n: i64 = input.get("n")?;
        if n >= 100_000 {
            for _ in 0..self.copies {
                out.emit_to("again", (n - 100_000,));
            }
        } else {
            out.emit((n,));
        }
        Ok(())
    }
}

/// Gives each number five rounds.
fn five_rounds() -> impl Fn() -> Func<fn(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError>> {
    || {
        Func(|input, out| {
            out.emit((input.get::<i64>("n")? + 500_000,));
            Ok(())
        })
    }
}

#[test]
fn a_cycle_through_two_bolts_ends_and_everything_arrives() {
    for seed in 0..5 {
        let got = log();
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", || Numbers::new(5_000), 1);
        t.set_bolt("rounds", five_rounds(), 1).shuffle_grouping("numbers");
        t.set_bolt("turn", || Countdown { copies: 1 }, 2).shuffle_grouping("rounds").shuffle_grouping("back");
        t.set_bolt("back", pass(), 2).shuffle_grouping(("turn", "again"));
        t.set_bolt("sink", sink(&got), 1).shuffle_grouping("turn");
        complete(t.build().unwrap(), settings(), seed);
        assert!(is_exact(&got, 5_000));
    }
}

#[test]
fn a_bolt_may_feed_itself() {
    let got = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(3_000), 1);
    t.set_bolt("rounds", five_rounds(), 1).shuffle_grouping("numbers");
    t.set_bolt("turn", || Countdown { copies: 1 }, 2)
        .shuffle_grouping("rounds")
        .shuffle_grouping(("turn", "again"));
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("turn");
    complete(t.build().unwrap(), settings(), 1);
    assert!(is_exact(&got, 3_000));
}

#[test]
fn a_cycle_runs_on_threads_too() {
    let got = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(20_000), 1);
    t.set_bolt("rounds", five_rounds(), 1).shuffle_grouping("numbers");
    t.set_bolt("turn", || Countdown { copies: 1 }, 2).shuffle_grouping("rounds").shuffle_grouping("back");
    t.set_bolt("back", pass(), 2).shuffle_grouping(("turn", "again"));
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("turn");
    complete_on_threads(t.build().unwrap(), settings());
    assert!(is_exact(&got, 20_000));
}

/// Doubles for ever.
struct Multiply;

impl Bolt for Multiply {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let n: i64 = input.get("n")?;
        out.emit((n,));
        out.emit((n,));
        Ok(())
    }
}

#[test]
fn a_cycle_that_multiplies_fails_trees_with_its_reason() {
    let outcomes = log();
    let seen = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(3).with_outcomes(&seen), 1);
    t.set_bolt("multiply", || Multiply, 1).shuffle_grouping("numbers").shuffle_grouping("multiply");
    let settings = Settings { memory_budget: 256 << 10, ..settings() };
    let mut run = stepped(t.build().unwrap(), settings, 4);
    run.run_while(Time::from_millis(1_050), |_| outcomes.lock().unwrap().len() < 3);
    let outcomes = taken(&outcomes);
    assert_eq!(outcomes.len(), 3, "{:#?}", run.snapshot());
    assert!(outcomes.iter().all(|(_, o)| *o == Some(FailCause::LoopBudget)), "{outcomes:?}");
}

#[test]
fn an_untracked_cycle_that_multiplies_drops_and_counts() {
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::untracked(1), 1);
    t.set_bolt("multiply", || Multiply, 1).shuffle_grouping("numbers").shuffle_grouping("multiply");
    let settings = Settings { memory_budget: 64 << 10, ..settings() };
    let mut run = stepped(t.build().unwrap(), settings, 4);
    run.run_until(Time::from_millis(1_002));
    let snapshot = run.snapshot();
    let dropped: u64 = snapshot.executors.iter().map(|e| e.dropped).sum();
    assert!(dropped > 0);
    let in_flight = snapshot.bolts(|t| t.transferred()) - (snapshot.bolts(|t| t.executed()) - 1);
    assert!(in_flight * 36 <= 64 << 10, "{in_flight} rows in a cycle of 64 KB");
}

#[test]
fn spouts_pause_while_a_cycle_is_half_full() {
    // Each number goes round 200 times: far more is in the cycle than comes in.
    let got = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(300), 1);
    let many = || {
        Func(|input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
            out.emit((input.get::<i64>("n")? + 20_000_000,));
            Ok(())
        })
    };
    t.set_bolt("rounds", many, 1).shuffle_grouping("numbers");
    t.set_bolt("turn", || Countdown { copies: 1 }, 1)
        .shuffle_grouping("rounds")
        .shuffle_grouping(("turn", "again"));
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("turn");
    let settings = Settings { memory_budget: 16 << 10, ..settings() };
    let snapshot = complete(t.build().unwrap(), settings, 8);
    assert!(is_exact(&got, 300));
    assert_eq!(snapshot.spouts(|t| t.failed()), 0);
}
