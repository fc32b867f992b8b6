//! How long tuples pause while a topology moves to more workers.

use std::time::Instant;

use super::dev::Dev;
use super::error::Error;
use super::figure::Figure;
use super::flow::{FLOW, Flow};
use super::{Lengths, patience, processes};
use crate::meter::Meter;

pub(super) fn run(_: Lengths) -> Result<Vec<Figure>, Error> {
    let dev = Dev::start(&[])?;
    let (flow, _) = Flow::start(&dev, 2)?;
    let before = flow.failed()?;
    let watch = flow.watch()?;
    let (meter, begin) = (Meter::of(processes::family_cpu), Instant::now());
    dev.storm(&["rebalance", FLOW, "-n", "4", "--wait"])?;
    dev.await_workers(FLOW, 4, &[])?;
    let done = begin.elapsed();
    let pause = watch.longest_pause()?;
    let foreign = meter.stop(1).foreign;
    // Until the spout has written its books once more.
    patience::pass(std::time::Duration::from_secs(1))?;
    let failed = flow.failed()? - before;
    Ok(vec![
        Figure::secs("`rebalance` from 2 workers to 4, time without tuples", None, pause, foreign),
        Figure::secs("`rebalance` from 2 workers to 4, until it is done", None, done, foreign),
        Figure::new("`rebalance` from 2 workers to 4, tuples that failed", "", None, failed, foreign),
    ])
}
