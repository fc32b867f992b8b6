//! Word count under full load for a long time: memory must not grow.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::data::Text;
use crate::rows::median_of_sorted;
use crate::word_count::{self, Layout};
use crate::{print, running};

/// Time between two looks at the memory.
const LOOK: Duration = Duration::from_secs(2);
/// Time between two lines.
const LINE: Duration = Duration::from_secs(30);
/// What is compared: the first of it and the last.
const SPAN: Duration = Duration::from_secs(60);
/// By how much memory may grow: a share of what it was, and some bytes for the allocator's moods.
const GROWTH_MAX: (f64, u64) = (0.10, 8 << 20);
/// How long the figures and the last trees are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs tracked word count 1-1-1 for so long and prints a line each half minute. Fails if memory has
/// grown by more than 10 % and 8 MB between the first minute and the last; if `time` is below two
/// minutes, between its halves.
///
/// # Panics
/// A tuple failed, or the engine's books do not add up.
pub fn run(time: Duration) -> ExitCode {
    if resident().is_none() {
        eprintln!("error: /proc/self/status does not tell the memory of this process");
        return ExitCode::FAILURE;
    }
    println!("word count 1-1-1, tracked, for {} s; allocator: {}", time.as_secs(), print::allocator());
    let topology = word_count::topology(&Text::generate(), u64::MAX, Layout::ONE_ONE, true, &Arc::default());
    let mut run = running::start(topology);
    let begin = Instant::now();
    let (mut memory, mut next_line, mut known) = (Memory::default(), LINE, (0, Duration::ZERO));
    while begin.elapsed() < time {
        running::run_for(&run, LOOK.min(time.saturating_sub(begin.elapsed())));
        let at = begin.elapsed();
        memory.add(at, resident().unwrap_or_default());
        if at >= next_line {
            let figures = run.snapshot(PATIENCE);
            let words = figures.sum("count", |task| task.executed());
            let per_sec = (words - known.0) as f64 / (at - known.1).as_secs_f64();
            println!(
                "{:>6.0} s  RSS {:>7}  {:>5.1} M words/s  {} trees acked, {} failed, {} pending",
                at.as_secs_f64(),
                megabytes(memory.last()),
                per_sec / 1e6,
                figures.spouts(|task| task.acked()),
                figures.spouts(|task| task.failed()),
                figures.spouts(|task| task.pending)
            );
            (known, next_line) = ((words, at), next_line + LINE);
        }
    }
    running::finish(&mut run, PATIENCE);
    let span = SPAN.min(time / 2);
    let Growth { first, last, max } = memory.growth(span);
    println!(
        "median of the first {0} s {1}, of the last {0} s {2}; at most {3} are allowed: {4}",
        span.as_secs(),
        megabytes(first),
        megabytes(last),
        megabytes(max),
        if last <= max { "ok" } else { "memory grows" }
    );
    if last <= max { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Bytes that the process held, by time since the start.
#[derive(Default)]
struct Memory(Vec<(Duration, u64)>);

/// Medians of the first minute and of the last, and what the last may be.
#[derive(Debug, PartialEq)]
struct Growth {
    first: u64,
    last: u64,
    max: u64,
}

impl Memory {
    fn add(&mut self, at: Duration, bytes: u64) {
        self.0.push((at, bytes));
    }

    fn last(&self) -> u64 {
        self.0.last().map_or(0, |(_, bytes)| *bytes)
    }

    /// Compares the first `span` with the last.
    fn growth(&self, span: Duration) -> Growth {
        let end = self.0.last().map_or(Duration::ZERO, |(at, _)| *at);
        let first = self.median(|at| at <= span.max(LOOK));
        let last = self.median(|at| at + span >= end);
        Growth { first, last, max: first + (first as f64 * GROWTH_MAX.0) as u64 + GROWTH_MAX.1 }
    }

    fn median(&self, is_wanted: impl Fn(Duration) -> bool) -> u64 {
        let wanted = self.0.iter().filter(|(at, _)| is_wanted(*at));
        let mut bytes: Vec<f64> = wanted.map(|(_, bytes)| *bytes as f64).collect();
        bytes.sort_by(f64::total_cmp);
        if bytes.is_empty() { 0 } else { median_of_sorted(&bytes) as u64 }
    }
}

/// Memory of this process that is in RAM, in bytes; `None` where nothing tells.
fn resident() -> Option<u64> {
    parse_resident(&fs::read_to_string("/proc/self/status").ok()?)
}

/// Memory of a process that is in RAM, in bytes, from its `/proc/PID/status`.
pub(crate) fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn memory(bytes: impl Fn(u64) -> u64) -> Memory {
        Memory((1..=300).map(|look| (LOOK * look as u32, bytes(look))).collect())
    }

    #[test]
    fn memory_that_stays_is_within_its_bounds() {
        // The start and one stray look do not count.
        let growth = memory(|look| if look < 5 { 1 << 20 } else { 100 << 20 }).growth(MINUTE);
        assert_eq!(growth, Growth { first: 100 << 20, last: 100 << 20, max: 118 << 20 });
    }

    #[test]
    fn memory_that_grows_all_the_time_is_seen() {
        let growth = memory(|look| (100 << 20) + look * 100_000).growth(MINUTE);
        assert!(growth.last > growth.max, "{growth:?}");
    }

    #[test]
    fn memory_is_read_from_the_status_of_a_process() {
        let status = "Name:\tbench\nVmHWM:\t   90000 kB\nVmRSS:\t   12345 kB\nThreads:\t4\n";
        assert_eq!(parse_resident(status), Some(12345 << 10));
        assert_eq!(parse_resident("Name:\tbench\n"), None);
    }
}
