//! The topology of the usual tutorial: random digits, the even ones, times ten.

mod digit;
mod even;
mod times_ten;

use std::process::ExitCode;

use clap::Parser;
use storm_rs::prelude::*;

use digit::Digit;
use even::Even;
use times_ten::TimesTen;

/// Multiplies even random digits by ten.
#[derive(Parser, Clone, Debug)]
#[command(version, after_help = storm_rs::ENVIRONMENT)]
struct Args {
    /// End after so many seconds (default: run until stopped)
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,

    /// Executors that emit digits
    #[arg(long, value_name = "N", default_value_t = 1)]
    spout: u32,

    /// Executors that let even digits pass
    #[arg(long, value_name = "N", default_value_t = 2)]
    even: u32,

    /// Executors that multiply
    #[arg(long, value_name = "N", default_value_t = 4)]
    times_ten: u32,
}

fn main() -> ExitCode {
    storm_rs::run("random-digit", || topology(Args::parse()))
}

fn topology(args: Args) -> Result<Topology, TopologyError> {
    let Args { seconds, spout, even, times_ten } = args;

    let mut t = TopologyBuilder::new();
    t.set_spout("spout", move || Digit::new(seconds), spout);
    t.set_bolt("even", || Even, even).num_tasks(4).shuffle_grouping("spout");
    t.set_bolt("times-ten", TimesTen::default, times_ten).shuffle_grouping("even");
    t.config("topology.workers", 2);
    t.build()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use storm_rs::testing::{TopologyTest, for_each_seed};

    use super::*;

    #[test]
    fn ten_seconds_of_digits_take_no_time() {
        for_each_seed(1..=3, |seed| {
            let args = Args::parse_from(["random-digit", "--seconds", "10"]);
            // What multiplies prints samples.
            let test = TopologyTest::new(topology(args).unwrap()).mute_bolt("times-ten").seed(seed);
            let run = test.complete();
            assert_eq!((run.emits("spout").len(), run.acked("spout")), (1000, 1000));
            assert!(run.took() >= Duration::from_secs(10));
            let digits = [0, 2, 4, 6, 8].map(|digit| (digit,));
            run.arrivals("times-ten").assert_each_at_least_once(["digit"], digits);
        });
    }
}
