//! `cargo run --release -p storm-bench`: a table of ratios, a soak test, or the rows of a cluster.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use storm_bench::command::{self, Options};
use storm_bench::jobs::JOBS;
use storm_bench::{IS_JEMALLOC, cluster, print, rows, soak};

/// Measures the engine against two references in the same run: (a) the job fused in one thread
/// with static types, (b) the naive design with a message per tuple.
#[derive(Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(flatten)]
    options: Options,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Count words under full load, and fail if memory grows after the first minute
    Soak {
        /// How long
        #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(4..))]
        secs: u64,
    },
    /// Measure what is between workers, and a cluster of `storm-rs dev` as its user sees it
    ///
    /// The programs have to be there: `cargo build --release -p storm-cli -p word-count -p at-least-once`.
    Cluster {
        #[command(flatten)]
        options: Options,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.command {
        None => {
            command::run(&args.options, JOBS, |rounds| rows::of(rounds, IS_JEMALLOC), print::REFERENCES);
            ExitCode::SUCCESS
        }
        Some(Command::Soak { secs }) => soak::run(Duration::from_secs(secs)),
        Some(Command::Cluster { options }) => cluster::run(&options),
    }
}
