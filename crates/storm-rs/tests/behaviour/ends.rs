//! When a run is complete: not before everything is processed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use storm_rs::engine::{ComponentSettings, Settings};
use storm_rs::prelude::*;

use crate::kit::*;

/// Emits rows untracked, then waits until they have come through, then a batch of marks.
struct Marks {
    rows: i64,
    next: i64,
    through: Arc<AtomicU64>,
}

impl Spout for Marks {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<()>) -> Result<Next, SpoutError> {
        if self.next < self.rows {
            self.next += 1;
            out.emit((self.next,));
            return Ok(Next::Emitted);
        }
        if self.through.load(Ordering::SeqCst) < self.rows as u64 {
            return Ok(Next::Idle);
        }
        for _ in 0..256 {
            out.emit((-1_i64,));
        }
        Ok(Next::Done)
    }
}

/// A batch that leaves in the middle of a step is taken before the step ends: that must not look
/// as if all were quiet while the rest of the input waits.
#[test]
fn a_run_is_not_complete_while_a_bolt_is_in_the_middle_of_its_input() {
    let (through, executed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut t = TopologyBuilder::new();
    let count = through.clone();
    t.set_spout("marks", move || Marks { rows: 50_000, next: 0, through: count.clone() }, 1);
    let (seen, arrived) = (executed.clone(), through.clone());
    let middle = func(move |input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        let n = input.get::<i64>(0)?;
        if n >= 0 {
            out.emit((n,));
        } else if seen.fetch_add(1, Ordering::SeqCst) == 0 {
            // A full batch for the last bolt, which takes it while this call goes on.
            for _ in 0..1024 {
                out.emit((0_i64,));
            }
            while arrived.load(Ordering::SeqCst) < 51_024 {
                std::thread::yield_now();
            }
        }
        Ok(())
    });
    t.set_bolt("middle", middle, 1).shuffle_grouping("marks");
    let last = func(move |_: &Tuple<'_>, _: &mut BoltOutput<'_>| {
        through.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    t.set_bolt("last", last, 1).shuffle_grouping("middle");
    complete_on_threads(t.build().unwrap(), settings());
    assert_eq!(executed.load(Ordering::SeqCst), 256);
}

/// The same spout, but it panics once.
struct Startled(Arc<AtomicU64>);

impl Spout for Startled {
    type MessageId = u64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<u64>) -> Result<Next, SpoutError> {
        let n = self.0.fetch_add(1, Ordering::SeqCst);
        assert!(n != 50, "startled");
        if n >= 100 {
            return Ok(Next::Done);
        }
        out.emit_tracked(n, (n as i64,));
        Ok(Next::Emitted)
    }
}

#[test]
fn a_spout_on_a_thread_goes_on_after_a_panic() {
    let (got, next) = (log(), Arc::new(AtomicU64::new(0)));
    let mut t = TopologyBuilder::new();
    t.set_spout("startled", move || Startled(next.clone()), 1);
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("startled");
    complete_on_threads(t.build().unwrap(), settings());
    let expected = (0..100).filter(|n| *n != 50);
    assert!(tally(&got).into_keys().eq(expected));
}

/// User code that waits parks its thread, as the engine does between steps: it must not use up what
/// is to wake the engine.
#[test]
fn a_bell_that_rings_while_user_code_parks_is_not_lost() {
    let outcomes = log();
    let seen = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(200).with_outcomes(&seen), 1);
    let parking = func(|input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        // Rings the bell of the executor that makes this call.
        out.retain(input).ack();
        std::thread::park_timeout(Duration::from_millis(1));
        Ok(())
    });
    t.set_bolt("parking", parking, 1).shuffle_grouping("numbers");
    // One at a time, so that the bolt waits before each; without timeouts nobody looks by himself.
    let one = ComponentSettings { max_spout_pending: 1, ..Default::default() };
    let settings = Settings { timeouts: false, ..settings() };
    complete_on_threads(t.build().unwrap(), component(settings, "numbers", one));
    assert!(taken(&outcomes).into_iter().eq((0..200).map(|n| (n, None))));
}
