//! What a cluster costs while nothing runs on it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::dev::Dev;
use super::error::Error;
use super::figure::{Figure, at_most};
use super::{Lengths, patience, processes};
use crate::meter::Meter;

/// Time to come to rest after the start.
const SETTLE: Duration = Duration::from_secs(5);

pub(super) fn run(lengths: Lengths) -> Result<Vec<Figure>, Error> {
    let dev = Dev::start(&[])?;
    patience::pass(SETTLE)?;
    let daemons = dev.daemons();
    let gone = || Error::Unexpected("a daemon has ended".to_owned());
    let cpu = |pid: i32| processes::cpu(pid).ok_or_else(gone);
    let before = daemons.iter().map(|(_, pid)| cpu(*pid)).collect::<Result<Vec<_>, _>>()?;
    let (meter, begin) = (Meter::of(processes::family_cpu), Instant::now());
    patience::pass(lengths.idle)?;
    let (wall, foreign) = (begin.elapsed(), meter.stop(1).foreign);
    let (mut all, mut largest) = (0.0, 0.0_f64);
    // Of several with one name the one that costs most.
    let mut by_name: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for ((name, pid), before) in daemons.into_iter().zip(before) {
        let percent = 100.0 * cpu(pid)?.saturating_sub(before).as_secs_f64() / wall.as_secs_f64();
        let megabytes = processes::resident(pid).ok_or_else(gone)? as f64 / 1e6;
        all += percent;
        largest = largest.max(megabytes);
        let most = by_name.entry(name).or_default();
        *most = (most.0.max(percent), most.1.max(megabytes));
    }
    let mut figures = vec![
        Figure::new("idle cluster, CPU of all daemons", " %", at_most(3.0, 1.0), all, foreign),
        Figure::new(
            "idle cluster, memory of the largest daemon",
            " MB",
            at_most(40.0, 25.0),
            largest,
            foreign,
        ),
    ];
    for (name, (percent, megabytes)) in by_name {
        figures.push(Figure::new(format!("idle cluster, CPU of {name}"), " %", None, percent, foreign));
        figures.push(Figure::new(format!("idle cluster, memory of {name}"), " MB", None, megabytes, foreign));
    }
    Ok(figures)
}
