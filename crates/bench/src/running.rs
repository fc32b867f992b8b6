//! Runs a topology on the engine's threads.

use std::time::{Duration, Instant};

use storm_rs::Topology;
use storm_rs::config::{Config, Origin};
use storm_rs::configure::configure;
use storm_rs::engine::{ErrorKind, Event, Options, Run, Settings, Snapshot};

use crate::meter::{Meter, Sample};

/// Time between two looks at whether everything is processed, once the spouts are done.
const LOOK: Duration = Duration::from_micros(200);

/// Starts a topology with the settings that users have where only its code sets any.
pub(crate) fn start(mut topology: Topology) -> Run {
    let settings = settings(&mut topology);
    Run::start(topology, settings, options(1)).unwrap_or_else(|error| panic!("{error}"))
}

/// The settings that users have where only the topology's code sets any.
pub(crate) fn settings(topology: &mut Topology) -> Settings {
    let code = topology.spec.config.clone().into_iter().collect();
    let mut config = Config::defaults();
    config.layer(&Origin::TopologyCode, &code).unwrap_or_else(|error| panic!("{error}"));
    configure(topology, &config).unwrap_or_else(|error| panic!("{error}"))
}

/// How a run of the bench begins.
pub(crate) fn options(seed: u64) -> Options {
    Options { name: "bench".to_owned(), seed, is_active: true }
}

/// Runs until the spouts are done and everything is processed; measures from before the start up to
/// then. `items` says what the figures are per.
pub(crate) fn complete(topology: Topology, items: impl FnOnce(&Snapshot) -> u64) -> Sample {
    let meter = Meter::start();
    let mut run = start(topology);
    let mut is_done = false;
    // `Run::watch` would tell the end, and cost a message each time that an executor is idle.
    while !(is_done && run.is_complete()) {
        let wait = if is_done { LOOK } else { Duration::from_secs(60) };
        is_done |= is_spout_done(run.next_event(wait));
    }
    let measured = meter.stop(1);
    let snapshot = audited(&run);
    run.stop();
    Sample { items: items(&snapshot), ..measured }
}

/// Has the spouts of a topology that runs for ever emit no more, waits until what is pending is
/// processed, and stops it.
pub(crate) fn finish(run: &mut Run, patience: Duration) {
    run.deactivate();
    let begin = Instant::now();
    while !run.is_complete() {
        assert!(begin.elapsed() < patience, "something is pending after {patience:?}");
        run_for(run, LOOK);
    }
    audited(run);
    run.stop();
}

/// The figures of a topology that has processed everything; they add up.
fn audited(run: &Run) -> Snapshot {
    let snapshot = run.snapshot(Duration::from_secs(10));
    let wrong = snapshot.audit(true);
    assert!(wrong.is_empty(), "{wrong:#?}");
    snapshot
}

/// Lets a topology run for a while.
pub(crate) fn run_for(run: &Run, time: Duration) {
    let begin = Instant::now();
    while let Some(left) = time.checked_sub(begin.elapsed()) {
        is_spout_done(run.next_event(left));
    }
}

/// Whether a spout executor has said that it is done; an event that should not be is a panic.
pub(crate) fn is_spout_done(event: Option<Event>) -> bool {
    match event {
        // With more threads than cores a call is slow because another thread has its core.
        Some(Event::Error(report)) if report.kind == ErrorKind::Slow => false,
        Some(Event::Error(report)) => panic!("a component had an error: {report:?}"),
        Some(Event::Ended { index, .. }) => panic!("the thread of executor {index} has ended"),
        Some(Event::SpoutDone) => true,
        _ => false,
    }
}
