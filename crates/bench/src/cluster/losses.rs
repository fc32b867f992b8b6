//! How soon what was lost runs again.

use std::time::Instant;

use rustix::process::Signal;

use super::dev::{Dev, Worker};
use super::error::Error;
use super::figure::{Figure, at_most};
use super::flow::{FLOW, Flow};
use super::{Lengths, processes};
use crate::meter::Meter;
use crate::rows::Wanted;

const WORKERS: usize = 2;

/// A worker is killed, and started again by its supervisor.
pub(super) fn worker_killed(_: Lengths) -> Result<Vec<Figure>, Error> {
    let dev = Dev::start(&[])?;
    let (flow, workers) = Flow::start(&dev, WORKERS)?;
    let victim = sink(&workers)?;
    lose(&dev, &flow, "worker killed", at_most(2.0, 1.0), Signal::KILL, vec![victim])
}

/// A supervisor and its workers are silent from one moment to the next, as a host without power or
/// network is; their work moves to another supervisor.
pub(super) fn node_frozen(_: Lengths) -> Result<Vec<Figure>, Error> {
    lose_node("node frozen", at_most(10.0, 6.0), Signal::STOP)
}

/// A supervisor and its workers are killed, and the supervisor is not started again.
pub(super) fn node_killed(_: Lengths) -> Result<Vec<Figure>, Error> {
    lose_node("node killed", at_most(10.0, 6.0), Signal::KILL)
}

fn lose_node(name: &str, wanted: Option<Wanted>, signal: Signal) -> Result<Vec<Figure>, Error> {
    let dev = Dev::start(&["--no-restart"])?;
    let (flow, workers) = Flow::start(&dev, WORKERS)?;
    let victim = sink(&workers)?;
    let (supervisor, mut lost) = dev.node_of(victim)?;
    // The supervisor first: it must not see its workers die.
    lost.insert(0, supervisor);
    if workers.iter().all(|worker| lost.contains(&worker.pid)) {
        return Err(Error::Unexpected("both workers are on one node".to_owned()));
    }
    lose(&dev, &flow, name, wanted, signal, lost)
}

/// The worker that tuples can be seen in.
fn sink(workers: &[Worker]) -> Result<i32, Error> {
    let found = workers.iter().find(|worker| worker.runs("sink")).map(|worker| worker.pid);
    found.ok_or_else(|| Error::Unexpected("no worker runs the sink".to_owned()))
}

/// Sends a signal to processes, and waits until the topology runs without them.
fn lose(
    dev: &Dev,
    flow: &Flow,
    name: &str,
    wanted: Option<Wanted>,
    signal: Signal,
    lost: Vec<i32>,
) -> Result<Vec<Figure>, Error> {
    let watch = flow.watch()?;
    // Only those exist until the end; the number of a process that was killed may be another's by then.
    let _frozen = (signal == Signal::STOP).then(|| Frozen(lost.clone()));
    let (meter, begin) = (Meter::of(processes::family_cpu), Instant::now());
    lost.iter().for_each(|pid| processes::signal(*pid, signal));
    dev.await_workers(FLOW, WORKERS, &lost)?;
    let running = begin.elapsed();
    let pause = watch.longest_pause()?;
    let foreign = meter.stop(1).foreign;
    Ok(vec![
        Figure::secs(format!("{name}, until running again"), wanted, running, foreign),
        Figure::secs(format!("{name}, time without tuples"), None, pause, foreign),
    ])
}

/// Processes that cannot be told to end.
struct Frozen(Vec<i32>);

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.iter().for_each(|pid| processes::signal(*pid, Signal::KILL));
    }
}
