//! `cargo run --release -p storm-bench-timely`: word count of the engine and of timely dataflow, in
//! turns in the same run, with the same text and the same allocator.

mod word_count;

use clap::Parser;
use storm_bench::command::{self, Options};
use storm_bench::jobs::{self, Job, Round, fast};
use storm_bench::meter::Sample;
use storm_bench::rows::{Row, Rows, at_least};

/// Measures word count of the engine against timely dataflow's with 1 and 2 workers and against (a) the
/// job fused in one thread with static types, all in the same run.
#[derive(Parser)]
#[command(name = "bench-timely", version)]
struct Args {
    #[command(flatten)]
    options: Options,
}

/// What the rows name.
const REFERENCES: &str = "(a): the job fused in one thread with static types. timely: timely dataflow 0.31, words \
    exchanged by hash between its workers.";

/// Those of the engine's bench that are compared.
const OURS: &[&str] =
    &["fused", "count-1-1-1", "count-1-1-1-tracked", "count-1-2-2", "count-chained-tracked"];

const TIMELY: &[Job] = &[
    fast("timely-1", "word", |text, n| word_count::run(text, n, 1).0),
    fast("timely-2", "word", |text, n| word_count::run(text, n, 2).0),
];

fn main() {
    let options = Args::parse().options;
    command::run(&options, &all_jobs(), rows, REFERENCES);
}

fn all_jobs() -> Vec<Job> {
    let ours: Vec<String> = OURS.iter().map(|name| (*name).to_owned()).collect();
    let mut jobs = jobs::choose(jobs::JOBS, &ours);
    jobs.extend(TIMELY);
    jobs
}

fn rows(rounds: &[Round]) -> Vec<Row> {
    let (rate, cpu) = (Sample::items_per_sec, Sample::cpu_ns);
    let mut rows = Rows::new(rounds);
    let of_two = ["count-1-1-1", "timely-2"];
    rows.ratio("word count 1-1-1, of timely's 2 workers", rate, of_two, at_least(0.5, 0.75, 1.0));
    rows.ratio("word count 1-1-1, of timely's 1 worker", rate, ["count-1-1-1", "timely-1"], None);
    for (name, job) in [
        ("1-1-1 tracked", "count-1-1-1-tracked"),
        ("1-2-2", "count-1-2-2"),
        ("chained, 2 threads, tracked", "count-chained-tracked"),
    ] {
        rows.ratio(&format!("word count {name}, of timely's 2 workers"), rate, [job, "timely-2"], None);
    }
    for (name, job) in [
        ("word count 1-1-1", "count-1-1-1"),
        ("word count 1-1-1 tracked", "count-1-1-1-tracked"),
        ("word count 1-2-2", "count-1-2-2"),
        ("word count chained, 2 threads, tracked", "count-chained-tracked"),
        ("timely, 1 worker", "timely-1"),
        ("timely, 2 workers", "timely-2"),
    ] {
        rows.ratio(&format!("{name}, of (a)"), rate, [job, "fused"], None);
    }
    rows.ratio("CPU per word 1-1-1, times timely's with 1 worker", cpu, ["count-1-1-1", "timely-1"], None);
    rows.ratio("CPU per word 1-1-1, times timely's with 2 workers", cpu, of_two, None);
    let chained = ["count-chained-tracked", "timely-2"];
    let name = "CPU per word chained, 2 threads, tracked, times timely's with 2 workers";
    rows.ratio(name, cpu, chained, None);
    rows.into_vec()
}

#[cfg(test)]
mod tests {
    use storm_bench::data::{SENTENCE_WORDS, Text};
    use storm_bench::fused;

    use super::*;

    #[test]
    fn timely_counts_the_same_words() {
        let text = Text::generate();
        for sentences in [0, 1, 5_000] {
            let (_, wanted) = fused::run(&text, sentences);
            for workers in [1, 2] {
                let (sample, counts) = word_count::run(&text, sentences, workers);
                assert_eq!(sample.items, sentences * SENTENCE_WORDS);
                assert!(counts == wanted, "{workers} workers count other words of {sentences} sentences");
            }
        }
    }

    #[test]
    fn every_job_has_a_row() {
        let round = |n: u32| {
            let measured = |job: &Job| {
                let wall = std::time::Duration::from_millis(u64::from(n));
                let sample = Sample { items: 1, wall, cpu: wall, foreign: 0.0 };
                (job.name, jobs::Measured { sample, latency: None })
            };
            all_jobs().iter().map(measured).collect()
        };
        let rounds: Vec<Round> = (1..4).map(round).collect();
        assert_eq!(all_jobs().len(), OURS.len() + TIMELY.len());
        assert_eq!(rows(&rounds).len(), 14);
    }
}
