//! The time from a tuple to its ack at a fixed rate, in an open loop: the spout's schedule does not
//! wait for anything, and the time counts from the moment at which the tuple should have been
//! emitted. A stall is seen in every tuple that it delays.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hdrhistogram::Histogram;
use storm_rs::prelude::*;
use storm_rs::{Clock, Time};

use crate::constant::{CONSTANT, Null};
use crate::data::Text;
use crate::meter::Sample;
use crate::running;
use crate::word_count::{Layout, add_split_and_count};

/// The share of the schedule that warms up and is not measured: one of so many.
const WARM_UP: u64 = 10;

/// The spout; the bolts that split and count know it by this name.
const SPOUT: &str = "sentences";

/// The bolts between emit and ack.
#[derive(Clone, Copy, Debug)]
pub enum Path {
    /// One that does nothing.
    Null,
    /// Split and count.
    WordCount,
}

/// Times from emit to ack, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Latency {
    /// From the moment at which the tuple should have been emitted.
    pub intended: Histogram<u64>,
    /// From the moment at which the spout emitted it: without what waking the spout took.
    pub emitted: Histogram<u64>,
}

impl Latency {
    pub(crate) fn new() -> Latency {
        let histogram = || Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are sound");
        Latency { intended: histogram(), emitted: histogram() }
    }
}

/// Emits at a rate for a while.
pub(crate) fn run(text: &Text, path: Path, per_sec: u64, time: Duration) -> (Sample, Latency) {
    let result = Arc::new(Mutex::new(Latency::new()));
    let topology = topology(text, path, per_sec, time, &result);
    let sample = running::complete(topology, |figures| figures.spouts(|task| task.acked()));
    let latency = result.lock().expect("no task has panicked").clone();
    (sample, latency)
}

/// Emits at a rate for a while; when it stops, the times are in `result`.
pub(crate) fn topology(
    text: &Text,
    path: Path,
    per_sec: u64,
    time: Duration,
    result: &Arc<Mutex<Latency>>,
) -> Topology {
    let mut t = TopologyBuilder::new();
    let (text, result) = (text.clone(), result.clone());
    let spout = move || Paced {
        text: match path {
            Path::Null => None,
            Path::WordCount => Some(text.clone()),
        },
        period: Duration::from_secs(1) / per_sec as u32,
        count: (time.as_secs_f64() * per_sec as f64) as u64,
        next: 0,
        begin: None,
        clock: None,
        latency: Latency::new(),
        result: result.clone(),
    };
    t.set_spout(SPOUT, spout, 1);
    match path {
        Path::Null => drop(t.set_bolt("null", || Null, 1).shuffle_grouping(SPOUT)),
        Path::WordCount => add_split_and_count(&mut t, Layout::ONE_ONE, &Arc::default()),
    }
    t.build().expect("the topology is sound")
}

/// When a tuple should have been emitted, and when it was; `None` while warming up.
type Moments = Option<(Time, Time)>;

struct Paced {
    /// What it emits; a constant if `None`.
    text: Option<Text>,
    period: Duration,
    count: u64,
    next: u64,
    begin: Option<Time>,
    clock: Option<Arc<dyn Clock>>,
    latency: Latency,
    result: Arc<Mutex<Latency>>,
}

impl Paced {
    fn now(&self) -> Time {
        self.clock.as_ref().expect("open came first").now()
    }
}

impl Spout for Paced {
    type MessageId = Moments;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["sentence"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.clock = Some(ctx.clock());
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, Moments>) -> Result<Next, SpoutError> {
        if self.next == self.count {
            return Ok(Next::Done);
        }
        let now = self.now();
        let begin = *self.begin.get_or_insert(now);
        let intended = begin + self.period * self.next as u32;
        if now < intended {
            return Ok(Next::Until(intended));
        }
        let id = (self.next >= self.count / WARM_UP).then_some((intended, now));
        let sentence = self.text.as_ref().map_or(CONSTANT, |text| text.sentence(self.next));
        out.emit_tracked(id, (sentence,));
        self.next += 1;
        Ok(Next::Emitted)
    }

    fn ack(&mut self, id: Moments) {
        let Some((intended, emitted)) = id else { return };
        let now = self.now();
        self.latency.intended.saturating_record(now.since(intended).as_nanos() as u64);
        self.latency.emitted.saturating_record(now.since(emitted).as_nanos() as u64);
    }

    fn fail(&mut self, _: Moments, cause: FailCause) {
        panic!("a tuple failed: {cause}");
    }

    fn close(&mut self) {
        *self.result.lock().expect("no task has panicked") = self.latency.clone();
    }
}
