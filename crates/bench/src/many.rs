//! What a tuple costs where there are many executors: two spouts that emit as fast as they can, and
//! bolts that do nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use storm_rs::prelude::*;

use crate::meter::{Meter, Sample};
use crate::running;

/// Time between two looks at whether it is warm.
const LOOK: Duration = Duration::from_millis(20);
/// By then it is warm, or it never will be.
const WARM_MAX: Duration = Duration::from_secs(60);

/// Executors, and the threads that run them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Many {
    /// Executors of the bolt; the spout has two.
    pub(crate) bolts: u32,
    /// A thread for each executor if `None`.
    pub(crate) threads: Option<u32>,
}

impl Many {
    const SPOUTS: u32 = 2;
    /// Four executors.
    pub(crate) const FOUR: Many = Many { bolts: 2, threads: None };
    /// A thousand executors.
    pub(crate) const THOUSAND: Many = Many { bolts: 998, threads: None };
    /// A thousand executors on two threads.
    pub(crate) const SHARED: Many = Many { bolts: 998, threads: Some(2) };
}

/// How tuples are dealt out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Grouping {
    /// To whom has least to do.
    Shuffle,
    /// By the number that a tuple carries.
    Fields,
}

/// Runs for a while. It is measured once each executor of the bolt has had `warm_tuples` on average (an
/// inbox holds one row at first, and twice as many each time that those were used up), not before a
/// quarter of `time` has passed.
pub(crate) fn run(many: Many, grouping: Grouping, warm_tuples: u64, time: Duration) -> Sample {
    let Many { bolts, threads } = many;
    let counters: Arc<[Counter]> = (0..bolts).map(|_| Counter::default()).collect();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers { next: 0, step: 1 }, Many::SPOUTS);
    let all = counters.clone();
    let bolt = t.set_bolt("count", move || Count { all: all.clone(), index: 0, count: 0 }, bolts);
    match grouping {
        Grouping::Shuffle => bolt.shuffle_grouping("numbers"),
        Grouping::Fields => bolt.fields_grouping("numbers", ["number"]),
    };
    if let Some(threads) = threads {
        t.config("topology.executor.threads", threads);
    }
    let executed = || counters.iter().map(|counter| counter.0.load(Ordering::Relaxed)).sum::<u64>();

    let mut run = running::start(t.build().expect("the topology is sound"));
    assert_eq!(run.executor_count(), (Many::SPOUTS + bolts) as usize);
    let begin = Instant::now();
    running::run_for(&run, time / 4);
    while executed() < warm_tuples * u64::from(bolts) {
        running::run_for(&run, LOOK);
        assert!(begin.elapsed() < WARM_MAX, "{many:?} is not warm after {WARM_MAX:?}");
    }
    // Not a snapshot: with so many threads the last would answer long after the first.
    let (meter, before) = (Meter::start(), executed());
    running::run_for(&run, time);
    let sample = meter.stop(executed() - before);
    run.stop();
    sample
}

/// Tuples of one executor, on a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Counter(AtomicU64);

struct Numbers {
    next: u64,
    step: u64,
}

impl Spout for Numbers {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["number"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        (self.next, self.step) = (ctx.task_index() as u64, ctx.task_count() as u64);
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, ()>) -> Result<Next, SpoutError> {
        out.emit((self.next,));
        self.next += self.step;
        Ok(Next::Emitted)
    }
}

struct Count {
    all: Arc<[Counter]>,
    index: usize,
    count: u64,
}

impl Bolt for Count {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.index = ctx.task_index();
        Ok(())
    }

    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.count += 1;
        self.all[self.index].0.store(self.count, Ordering::Relaxed);
        Ok(())
    }
}
