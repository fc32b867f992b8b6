//! At-least-once: what fails is told to the spout, and what it emits again arrives.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use storm_rs::engine::ids::EdgeIds;
use storm_rs::prelude::*;

use crate::kit::*;

/// A bolt that fails, panics or passes on by chance.
struct Flaky {
    random: EdgeIds,
    percent: usize,
}

impl Bolt for Flaky {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let n: i64 = input.get("n")?;
        let draw = self.random.below(100);
        if draw < self.percent {
            if draw.is_multiple_of(5) {
                panic!("unlucky {n}");
            }
            // Some fail after they have emitted.
            if draw.is_multiple_of(2) {
                out.emit((n,));
            }
            return Err(BoltError::quiet("unlucky"));
        }
        out.emit((n,));
        Ok(())
    }
}

/// Each instance draws other numbers, also after a panic.
fn flaky(seed: u64, percent: usize) -> impl Fn() -> Flaky + Send + Sync {
    let seeds = Arc::new(Mutex::new(EdgeIds::seeded(seed)));
    move || Flaky { random: EdgeIds::seeded(seeds.lock().unwrap().next()), percent }
}

#[test]
fn without_failures_everything_arrives_exactly_once() {
    let (got, outcomes) = (log(), log());
    let mut t = TopologyBuilder::new();
    let seen = outcomes.clone();
    t.set_spout("numbers", move || Numbers::new(500).with_outcomes(&seen), 1);
    t.set_bolt("a", pass(), 3).shuffle_grouping("numbers");
    t.set_bolt("b", pass(), 2).fields_grouping("a", ["n"]);
    t.set_bolt("sink", sink(&got), 2).shuffle_grouping("b");
    let snapshot = complete(t.build().unwrap(), settings(), 3);
    assert!(is_exact(&got, 500));
    assert!(taken(&outcomes).iter().all(|(_, failed)| failed.is_none()));
    assert_eq!(snapshot.spouts(|t| t.acked()), 500);
}

#[test]
fn a_fail_is_told_with_its_cause() {
    let outcomes = log();
    let seen = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(4).with_outcomes(&seen), 1);
    let judge = func(|input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        match input.get::<i64>("n")? {
            0 => return Err(BoltError::msg("no zeroes")),
            1 => panic!("no ones"),
            2 => out.fail(input),
            _ => {}
        }
        Ok(())
    });
    t.set_bolt("judge", judge, 1).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), settings(), 1);
    assert!(run.run_to_end(storm_rs::Time::from_secs(60)));
    let mut outcomes = taken(&outcomes);
    outcomes.sort_by_key(|(n, _)| *n);
    let expected = [Some(FailCause::Failed), Some(FailCause::Panicked), Some(FailCause::Failed), None];
    assert_eq!(outcomes.into_iter().map(|(_, o)| o).collect::<Vec<_>>(), expected);
    let errors: Vec<String> = run.take_errors().into_iter().map(|e| e.message).collect();
    assert!(errors.iter().any(|e| e == "no zeroes"), "{errors:?}");
    assert!(errors.iter().any(|e| e.contains("no ones") && e.contains("replay.rs:")), "{errors:?}");
}

#[test]
fn without_tracking_every_tuple_is_acked_right_after_its_emit() {
    let (got, outcomes) = (log(), log());
    let seen = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(20).with_outcomes(&seen), 1);
    t.set_bolt("flaky", flaky(1, 50), 1).shuffle_grouping("numbers");
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("flaky");
    let settings = storm_rs::engine::Settings { tracking: false, ..settings() };
    complete(t.build().unwrap(), settings, 1);
    assert_eq!(taken(&outcomes), (0..20).map(|n| (n, None)).collect::<Vec<_>>());
}

#[test]
fn untracked_tuples_are_never_told_about() {
    let (got, outcomes) = (log(), log());
    let seen = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::untracked(50).with_outcomes(&seen), 1);
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("numbers");
    complete(t.build().unwrap(), settings(), 1);
    assert!(is_exact(&got, 50));
    assert_eq!(taken(&outcomes), []);
}

#[test]
fn pending_trees_are_bounded_by_max_spout_pending() {
    let most = Arc::new(Mutex::new(0));
    let seen = most.clone();
    let open = Arc::new(Mutex::new(0i64));
    let mut t = TopologyBuilder::new();
    /// Counts what is open.
    struct Counting(Numbers, Arc<Mutex<i64>>, Arc<Mutex<i64>>);
    impl Spout for Counting {
        type MessageId = i64;
        fn declare_outputs(&self, out: &mut OutputDeclarer) {
            self.0.declare_outputs(out);
        }
        fn next_tuple(&mut self, out: &mut SpoutOutput<i64>) -> Result<Next, SpoutError> {
            let next = self.0.next_tuple(out)?;
            if next == Next::Emitted {
                let mut open = self.1.lock().unwrap();
                *open += 1;
                let mut most = self.2.lock().unwrap();
                *most = (*most).max(*open);
            }
            Ok(next)
        }
        fn ack(&mut self, _: i64) {
            *self.1.lock().unwrap() -= 1;
        }
    }
    t.set_spout("numbers", move || Counting(Numbers::new(300), open.clone(), seen.clone()), 1);
    t.set_bolt("pass", pass(), 2).shuffle_grouping("numbers");
    let own = storm_rs::engine::ComponentSettings { max_spout_pending: 7, ..Default::default() };
    complete(t.build().unwrap(), component(settings(), "numbers", own), 5);
    assert_eq!(*most.lock().unwrap(), 7);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Bolts fail and panic by chance, rows fan out, tasks share executors: every number arrives,
    /// each attempt ends exactly once, and the books add up.
    #[test]
    fn everything_arrives_whatever_fails(
        seed in any::<u64>(),
        percent in 0usize..40,
        spouts in 1u32..3,
        bolts in 1u32..4,
        tasks in 0u32..3,
    ) {
        let (got, outcomes) = (log(), log());
        let seen = outcomes.clone();
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", move || Numbers::replaying(100).with_outcomes(&seen), spouts);
        t.set_bolt("one", flaky(seed, percent), bolts).num_tasks(bolts + tasks).shuffle_grouping("numbers");
        t.set_bolt("two", flaky(seed ^ 1, percent), 1).num_tasks(1 + tasks).all_grouping("one");
        t.set_bolt("sink", sink(&got), 2).fields_grouping("two", ["n"]);
        let mut run = stepped(t.build().unwrap(), settings(), seed);
        prop_assert!(run.run_to_end(storm_rs::Time::from_secs(36_000)), "{:#?}", run.snapshot());
        let snapshot = run.snapshot();
        prop_assert_eq!(snapshot.audit(true), Vec::<String>::new());
        let arrived = tally(&got);
        prop_assert!((0..100).all(|n| arrived.get(&n).is_some_and(|c| *c >= spouts as usize)), "{:?}", arrived);
        let outcomes = taken(&outcomes);
        let acked = outcomes.iter().filter(|(_, o)| o.is_none()).count();
        prop_assert_eq!(acked, 100 * spouts as usize, "each number is acked once");
        prop_assert_eq!(outcomes.len() as u64, snapshot.spouts(|t| t.tracked));
        let failed = (outcomes.len() - acked) as u64;
        let counted = (snapshot.spouts(|t| t.failed()), snapshot.spouts(|t| t.replayed));
        prop_assert_eq!(counted, (failed, failed), "each number that failed is emitted again");
        run.stop();
    }
}

/// The same on real threads.
#[test]
fn everything_arrives_on_threads_too() {
    let got = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::replaying(2000), 2);
    t.set_bolt("one", flaky(1, 10), 3).shuffle_grouping("numbers");
    t.set_bolt("two", flaky(2, 10), 2).num_tasks(4).fields_grouping("one", ["n"]);
    t.set_bolt("sink", sink(&got), 2).shuffle_grouping("two");
    let snapshot = complete_on_threads(t.build().unwrap(), settings());
    assert_eq!(snapshot.spouts(|t| t.acked()), 4000);
    let arrived = tally(&got);
    assert!((0..2000).all(|n| arrived.get(&n).is_some_and(|c| *c >= 2)));
}
