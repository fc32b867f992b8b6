//! What a topology of ten executors costs while nothing comes in.

use std::time::Duration;

use storm_rs::prelude::*;

use crate::constant::Null;
use crate::meter::{Meter, Sample};
use crate::running;

/// Executors: one of the spout, and those of three bolts.
const EXECUTORS: usize = 10;
/// Time to come to rest after the start.
const SETTLE: Duration = Duration::from_millis(200);

/// Lets it run for a while; the items are executors.
pub(crate) fn run(time: Duration) -> Sample {
    let mut t = TopologyBuilder::new();
    t.set_spout("nothing", || Nothing, 1);
    for bolt in ["first", "second", "third"] {
        t.set_bolt(bolt, || Null, 3).shuffle_grouping("nothing");
    }
    let mut run = running::start(t.build().expect("the topology is sound"));
    assert_eq!(run.executor_count(), EXECUTORS);
    running::run_for(&run, SETTLE);
    let meter = Meter::start();
    running::run_for(&run, time);
    let sample = meter.stop(EXECUTORS as u64);
    run.stop();
    sample
}

/// Has nothing, and no waker that would say when it has: the engine has to ask it again and again.
struct Nothing;

impl Spout for Nothing {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["text"]);
    }

    fn next_tuple(&mut self, _: &mut SpoutOutput<'_, ()>) -> Result<Next, SpoutError> {
        Ok(Next::Idle)
    }
}
