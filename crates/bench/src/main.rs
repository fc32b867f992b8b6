//! Measures the engine against two references in the same run, and prints a table of ratios.
//!
//! Absolute figures of a shared machine move by a factor of two to four; ratios of one round move
//! by some 15 %. So every job is run once per round, and a row is the median of its rounds.
//!
//! Modules in reading order: the text that is counted; the two references; the engine's jobs; how a
//! job is measured; which jobs there are and in what order they run; the rows and what is required
//! of them; how they are printed.

mod data;
mod fused;
mod naive;
mod running;
mod word_count;
mod constant;
mod latency;
mod idle;
mod meter;
mod jobs;
mod rows;
mod print;
#[cfg(test)]
mod tests;

use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::data::Text;
use crate::jobs::{JOBS, Lengths};

/// Whether the allocator is jemalloc; else it is the system's.
const IS_JEMALLOC: bool = cfg!(all(feature = "jemalloc", not(feature = "system-alloc")));

/// Rows are made by one thread and dropped by another, which other allocators are slow at.
#[cfg(all(feature = "jemalloc", not(feature = "system-alloc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures the engine against two references in the same run: (a) the job fused in one thread
/// with static types, (b) the naive design with a message per tuple.
#[derive(Parser)]
#[command(name = "bench", version)]
struct Args {
    /// A smoke test of a few seconds: one round of short samples
    #[arg(long)]
    quick: bool,

    /// Rounds; a row is their median
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Only this job, or the jobs whose names contain this; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() {
    let args = Args::parse();
    let chosen = jobs::choose(&args.only);
    if chosen.is_empty() {
        let names: Vec<&str> = JOBS.iter().map(|job| job.name).collect();
        let message = format!("no such job; there are {}", names.join(", "));
        Args::command().error(ErrorKind::InvalidValue, message).exit();
    }
    let (lengths, rounds) = match args.quick {
        true => (Lengths::quick(), 1),
        false => (Lengths::default(), args.rounds),
    };
    let rounds = jobs::measure(&Text::generate(), &chosen, lengths, rounds);
    let rows = rows::of(&rounds, IS_JEMALLOC);
    match args.json {
        true => print::json(&chosen, &rounds, &rows),
        false => print::tables(&chosen, &rounds, &rows),
    }
}

/// How long a job waits for a quiet moment of the machine before it starts.
const QUIET_WAIT_MAX: Duration = Duration::from_millis(500);
