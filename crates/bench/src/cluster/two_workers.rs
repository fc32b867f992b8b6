//! Word count in two worker processes, as a ratio of one: both on a cluster, as users run it.

use std::time::{Duration, Instant};

use super::dev::Dev;
use super::error::Error;
use super::figure::{Figure, at_least};
use super::{Lengths, patience, processes, programs};
use crate::meter::Meter;

const NAME: &str = "word-count";
/// How long it runs before it is measured.
const SETTLE: Duration = Duration::from_secs(3);
/// Time between two looks at the figures, which workers tell once a second.
const LOOK: Duration = Duration::from_millis(400);

pub(super) fn run(lengths: Lengths) -> Result<Vec<Figure>, Error> {
    let dev = Dev::start(&["--supervisors", "1", "--slots", "2"])?;
    let (one, foreign_of_one) = words_per_sec(&dev, 1, lengths.load)?;
    let (two, foreign_of_two) = words_per_sec(&dev, 2, lengths.load)?;
    let foreign = foreign_of_one.max(foreign_of_two);
    Ok(vec![
        Figure::new("word count in 2 workers, of that in 1", "", at_least(0.5, 0.6), two / one, foreign),
        Figure::new("word count in 1 worker of a cluster", " M words/s", None, one / 1e6, foreign_of_one),
        Figure::new("word count in 2 workers of a cluster", " M words/s", None, two / 1e6, foreign_of_two),
    ])
}

/// The rate, and what others used meanwhile.
fn words_per_sec(dev: &Dev, workers: usize, time: Duration) -> Result<(f64, f64), Error> {
    let config = format!("topology.workers={workers}");
    let options = ["--name", NAME, "-c", &config];
    dev.submit(&programs::word_count()?, &options, &["--repeat".as_ref()])?;
    dev.await_workers(NAME, workers, &[])?;
    patience::until("words are counted", LOOK, || Ok((counted(dev)? > 0.0).then_some(())))?;
    patience::pass(SETTLE)?;
    let (meter, begin) = (Meter::of(processes::family_cpu), Instant::now());
    let mut seen = Vec::new();
    while begin.elapsed() < time {
        let count = counted(dev)?;
        seen.push((begin.elapsed().as_secs_f64(), count));
        patience::pass(LOOK)?;
    }
    let foreign = meter.stop(1).foreign;
    dev.storm(&["kill", NAME, "-w", "0", "--wait"])?;
    Ok((slope(&seen), foreign))
}

/// Words that were counted so far.
fn counted(dev: &Dev) -> Result<f64, Error> {
    let status = dev.status(NAME)?;
    let mut components = status["components"].as_array().into_iter().flatten();
    let count = components.find(|component| component["id"] == "count");
    let executed = count.and_then(|count| count["executed"].as_f64());
    executed.ok_or_else(|| Error::Unexpected("the status of word-count does not tell `executed`".to_owned()))
}

/// The line that fits best: figures come in steps of a second, of each worker at its own moment.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let above: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let below: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    above / below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_do_not_hide_the_rate() {
        let seen: Vec<(f64, f64)> =
            (0..25).map(|look| f64::from(look) * 0.4).map(|at| (at, at.floor() * 1000.0)).collect();
        assert!((slope(&seen) / 1000.0 - 1.0).abs() < 0.03, "{}", slope(&seen));
    }
}
