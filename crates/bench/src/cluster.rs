//! What is measured of several workers: the line between two of them, in this process; and a cluster of
//! `storm-rs dev`, driven by the command as its user would.
//!
//! Each job runs once per round and gives the figures of one row or of several; a row is their median.
//! A job of a cluster starts its own and ends it, whatever happens to the job.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]

mod error;
mod figure;
mod patience;
mod processes;
mod programs;
mod dev;
mod flow;
mod halves;
mod line;
mod far_loop;
mod two_workers;
mod start;
mod losses;
mod rebalance;
mod idle;

use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use serde_json::json;

use self::error::Error;
use self::figure::Figure;
use crate::command::Options;
use crate::jobs::{QUIET_WAIT_MAX, choose_by};
use crate::meter::{FOREIGN_MAX, wait_for_quiet};
use crate::print;
use crate::rows::Row;

/// Something to measure.
#[derive(Clone, Copy)]
struct Job {
    name: &'static str,
    work: fn(Lengths) -> Result<Vec<Figure>, Error>,
}

/// How long jobs take.
#[derive(Clone, Copy)]
struct Lengths {
    /// As fast as it can, in this process.
    fast: Duration,
    /// At a rate, in this process.
    paced: Duration,
    /// As fast as it can, on a cluster.
    load: Duration,
    /// A cluster that does nothing.
    idle: Duration,
}

impl Lengths {
    const USUAL: Lengths = Lengths {
        fast: Duration::from_secs(2),
        paced: Duration::from_secs(5),
        load: Duration::from_secs(10),
        idle: Duration::from_secs(20),
    };
    /// For a smoke test.
    const QUICK: Lengths = Lengths {
        fast: Duration::from_millis(300),
        paced: Duration::from_millis(500),
        load: Duration::from_secs(4),
        idle: Duration::from_secs(3),
    };
}

/// All jobs, in the order of a round.
const JOBS: &[Job] = &[
    Job { name: "line", work: line::constant },
    Job { name: "line-word-count", work: line::word_count },
    Job { name: "far-loop", work: far_loop::one_bolt },
    Job { name: "far-split-count-loop", work: far_loop::split_and_count },
    Job { name: "two-workers", work: two_workers::run },
    Job { name: "ready", work: start::ready },
    Job { name: "submit", work: start::submit },
    Job { name: "worker-killed", work: losses::worker_killed },
    Job { name: "node-frozen", work: losses::node_frozen },
    Job { name: "node-killed", work: losses::node_killed },
    Job { name: "rebalance", work: rebalance::run },
    Job { name: "idle", work: idle::run },
];

/// Measures those jobs that are wanted, and prints their rows. A job that fails is told, and has no
/// figures in that round.
pub fn run(options: &Options) -> ExitCode {
    let chosen = choose_by(JOBS, |job| job.name, &options.only);
    if chosen.is_empty() {
        let names: Vec<&str> = JOBS.iter().map(|job| job.name).collect();
        let message = format!("no such row; there are {}\n", names.join(", "));
        clap::Error::raw(ErrorKind::InvalidValue, message).exit();
    }
    if let Err(error) = patience::heed_signals() {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    let (lengths, rounds) =
        if options.quick { (Lengths::QUICK, 1) } else { (Lengths::USUAL, options.rounds as usize) };
    let (mut figures, mut has_failed) = (Vec::new(), false);
    'all: for round in 1..=rounds {
        for Job { name, work } in &chosen {
            wait_for_quiet(QUIET_WAIT_MAX);
            match work(lengths) {
                Ok(measured) => figures.extend(measured),
                Err(error) => {
                    has_failed = true;
                    eprintln!("error: {name}, round {round}: {error}");
                    // The next round would find the same.
                    if error.is_final() {
                        break 'all;
                    }
                }
            }
        }
    }
    let rows = rows(&figures);
    if options.json {
        let samples: Vec<_> = figures.iter().map(Figure::to_json).collect();
        let rows: Vec<_> = rows.iter().map(print::json_of).collect();
        println!("{:#}", json!({ "allocator": print::allocator(), "rows": rows, "samples": samples }));
    } else {
        println!("{rounds} rounds; allocator of this process: {}", print::allocator());
        println!();
        print::table_of(&rows, rounds);
        println!();
        println!(
            "Rounds are quiet in which others used at most {:.0} % of the machine's CPU; rows are of them where \
             there are any.",
            FOREIGN_MAX * 100.0
        );
    }
    if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The rows in the order in which the first round gave them.
fn rows(figures: &[Figure]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for Figure { name, unit, wanted, .. } in figures {
        if rows.iter().any(|row| row.name == *name) {
            continue;
        }
        let all: Vec<(f64, bool)> =
            figures.iter().filter(|f| f.name == *name).map(|f| (f.value, f.foreign > FOREIGN_MAX)).collect();
        rows.extend(Row::of(name, unit, *wanted, &all));
    }
    rows
}

#[cfg(test)]
mod tests;
