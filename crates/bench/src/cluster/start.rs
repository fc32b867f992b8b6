//! How soon a cluster is ready, and a topology runs.

use std::time::{Duration, Instant};

use super::dev::Dev;
use super::error::Error;
use super::figure::{Figure, at_most};
use super::{Lengths, patience, processes, programs};
use crate::meter::Meter;

/// Time between two looks at a file.
const LOOK: Duration = Duration::from_millis(1);

/// From the start of `storm-rs dev` in an empty directory to its word `ready`.
pub(super) fn ready(_: Lengths) -> Result<Vec<Figure>, Error> {
    let meter = Meter::of(processes::family_cpu);
    let dev = Dev::start(&[])?;
    let foreign = meter.stop(1).foreign;
    Ok(vec![Figure::secs("`dev` until ready", at_most(2.0, 1.0), dev.ready_after(), foreign)])
}

/// From the start of `storm-rs submit` of a binary that the cluster does not have yet, on two workers, to
/// the file that the spout writes when its one tuple is acked.
pub(super) fn submit(_: Lengths) -> Result<Vec<Figure>, Error> {
    let dev = Dev::start(&[])?;
    let dir = dev.path("numbers");
    let words = ["--count", "1", "--rate", "1000", "--fail-rate", "0", "--out"].map(str::as_ref);
    let args = [&words[..], &[dir.as_os_str()]].concat();
    let (meter, begin) = (Meter::of(processes::family_cpu), Instant::now());
    dev.submit(&programs::at_least_once()?, &["-c", "topology.workers=2"], &args)?;
    let accepted = begin.elapsed();
    let done = dir.join("done.json");
    patience::until("the first tuple is acked", LOOK, || Ok(done.exists().then_some(())))?;
    let acked = begin.elapsed();
    let foreign = meter.stop(1).foreign;
    Ok(vec![
        Figure::secs("`submit` until the first tuple is acked", at_most(3.0, 1.5), acked, foreign),
        Figure::secs("`submit` until it is accepted", None, accepted, foreign),
    ])
}
