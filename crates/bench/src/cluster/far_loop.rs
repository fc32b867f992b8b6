//! The time from a tuple to its ack where spout and bolts are in different workers, at a fixed rate.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Lengths;
use super::error::Error;
use super::figure::Figure;
use super::halves::Halves;
use crate::data::Text;
use crate::latency::{self, Latency, Path};
use crate::meter::Meter;
use crate::rows::{Wanted, at_most};

/// Trees per second.
const RATE: u64 = 1000;
/// By when the last tree is acked beyond the time that was asked for.
const GRACE: Duration = Duration::from_secs(30);

/// A spout here, a bolt that does nothing there.
pub(super) fn one_bolt(lengths: Lengths) -> Result<Vec<Figure>, Error> {
    run("one bolt", Path::Null, lengths.paced, at_most(600.0, 300.0, 150.0))
}

/// A spout here, split and count there.
pub(super) fn split_and_count(lengths: Lengths) -> Result<Vec<Figure>, Error> {
    run("split and count", Path::WordCount, lengths.paced, at_most(600.0, 300.0, 150.0))
}

fn run(name: &str, path: Path, time: Duration, wanted: Option<Wanted>) -> Result<Vec<Figure>, Error> {
    let (text, result) = (Text::generate(), Arc::new(Mutex::new(Latency::new())));
    let make = || latency::topology(&text, path, RATE, time, &result);
    let halves = Halves::start(make, &["sentences"])?;
    let meter = Meter::start();
    halves.run_until_done(time + GRACE)?;
    let acked = halves.near().spouts(|task| task.acked());
    let sample = meter.stop(acked);
    halves.stop();
    let expected = (time.as_secs_f64() * RATE as f64) as u64;
    if acked != expected {
        return Err(Error::Unexpected(format!("{acked} trees of {expected} are acked")));
    }
    let latency = result.lock().expect("no task has panicked");
    let micros = |quantile: f64| latency.intended.value_at_quantile(quantile) as f64 / 1e3;
    let name = |figure: &str| format!("tracked loop across two workers, {name}, 1 k/s, {figure}");
    let emitted = latency.emitted.value_at_quantile(0.5) as f64 / 1e3;
    Ok(vec![
        Figure::new(name("p50"), " us", wanted, micros(0.5), sample.foreign),
        Figure::new(name("p99"), " us", None, micros(0.99), sample.foreign),
        Figure::new(name("p50 from the emit"), " us", None, emitted, sample.foreign),
        Figure::new(name("CPU"), " %", None, sample.cpu_percent(), sample.foreign),
    ])
}
