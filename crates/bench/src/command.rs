//! The command line that the benches share.

use clap::Args;
use clap::error::ErrorKind;

use crate::data::Text;
use crate::jobs::{self, Job, Lengths, Round};
use crate::print;
use crate::rows::Row;

/// What is measured, and how it is printed.
#[derive(Args, Debug)]
pub struct Options {
    /// A smoke test of a few seconds: one round of short samples
    #[arg(long)]
    pub quick: bool,

    /// Rounds; a row is their median
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,

    /// Only this job, or the jobs whose names contain this; may be repeated
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Measures those of `jobs` that are wanted, and prints the rows that they make; `references` says
/// what the rows name. Ends the process if no job is wanted.
pub fn run(options: &Options, jobs: &[Job], rows: impl Fn(&[Round]) -> Vec<Row>, references: &str) {
    let chosen = jobs::choose(jobs, &options.only);
    if chosen.is_empty() {
        let names: Vec<&str> = jobs.iter().map(|job| job.name).collect();
        let message = format!("no such job; there are {}\n", names.join(", "));
        clap::Error::raw(ErrorKind::InvalidValue, message).exit();
    }
    let (lengths, rounds) = match options.quick {
        true => (Lengths::quick(), 1),
        false => (Lengths::default(), options.rounds),
    };
    let rounds = jobs::measure(&Text::generate(), &chosen, lengths, rounds);
    let rows = rows(&rounds);
    match options.json {
        true => print::json(&chosen, &rounds, &rows),
        false => print::tables(&chosen, &rounds, &rows, references),
    }
}
