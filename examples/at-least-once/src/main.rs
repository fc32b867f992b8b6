//! Nothing is lost: a numbered source, bolts that fail, a sink that can be checked.

mod ledger;
mod offset;
mod relay;
mod sink;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use storm_rs::prelude::*;

use relay::Relay;
use sink::Sink;
use source::Source;

/// Sends numbers through bolts that fail at random until each has arrived.
#[derive(Parser, Clone, Debug)]
#[command(version, after_help = storm_rs::ENVIRONMENT)]
struct Args {
    /// Emit the numbers 1 to N
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    count: u64,

    /// Emits per second, those of all source tasks together
    #[arg(long, value_name = "R", default_value_t = 1000.0, value_parser = rate)]
    rate: f64,

    /// Probability that a bolt fails a tuple, for each of the two bolts and each attempt
    #[arg(long, value_name = "P", default_value_t = 0.01, value_parser = probability)]
    fail_rate: f64,

    /// Directory for sink-TASK.tsv, offset-TASK and done.json; a run that was stopped is
    /// carried on
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Executors that emit
    #[arg(long, value_name = "N", default_value_t = 1)]
    source: u32,

    /// Executors of the first bolt that fails
    #[arg(long, value_name = "N", default_value_t = 2)]
    relay1: u32,

    /// Executors of the second bolt that fails
    #[arg(long, value_name = "N", default_value_t = 2)]
    relay2: u32,

    /// Executors that write
    #[arg(long, value_name = "N", default_value_t = 1)]
    sink: u32,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if 0.0 < rate && rate < f64::INFINITY => Ok(rate),
        _ => Err("not a number above 0".to_owned()),
    }
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("not a number from 0 to 1".to_owned()),
    }
}

fn main() -> ExitCode {
    storm_rs::run("at-least-once", || topology(Args::parse()))
}

fn topology(args: Args) -> Result<Topology, TopologyError> {
    let Args { count, rate, fail_rate, out, source, relay1, relay2, sink } = args;
    let dir = out.clone();

    let mut t = TopologyBuilder::new();
    t.set_spout("source", move || Source::new(count, rate, out.clone()), source);
    t.set_bolt("relay1", move || Relay::new(fail_rate), relay1).shuffle_grouping("source");
    t.set_bolt("relay2", move || Relay::new(fail_rate), relay2).shuffle_grouping("relay1");
    t.set_bolt("sink", move || Sink::new(dir.clone()), sink).shuffle_grouping("relay2");
    t.build()
}

#[cfg(test)]
mod tests {
    use storm_rs::testing::{TopologyTest, for_each_seed};

    use super::*;

    #[test]
    fn whatever_fails_or_panics_every_number_arrives() {
        for_each_seed(1..=5, |seed| {
            let dir = tempfile::tempdir().unwrap();
            let args = ["at-least-once", "--count", "200", "--fail-rate", "0.3", "--source", "2", "--out"];
            let out = dir.path().to_str().unwrap();
            let args = Args::parse_from(args.into_iter().chain([out]));
            let run = TopologyTest::new(topology(args).unwrap()).seed(seed).complete();
            run.assert_all_acked();
            assert!(run.failed("source") > 0, "a rate of 0.3 fails some of 200");
            run.arrivals("sink").assert_each_at_least_once(["number"], (1..=200).map(|n| (n,)));
        });
    }
}
