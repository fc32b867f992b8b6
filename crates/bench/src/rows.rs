//! The rows of the table: what is compared, and what is required of it.

use crate::jobs::{Measured, Round};
use crate::meter::Sample;

/// What is wanted of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) required: f64,
    pub(crate) target: f64,
    pub(crate) stretch: f64,
}

/// A row with its figures.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Rounds in which the machine was quiet. If there are any, the figures are of them alone.
    pub(crate) quiet_rounds: usize,
    pub(crate) wanted: Option<Wanted>,
}

impl Row {
    /// How it compares with what is wanted; empty if nothing is.
    pub(crate) fn verdict(&self) -> &'static str {
        let Some(Wanted { required, target, stretch }) = self.wanted else { return "" };
        let is_more_better = required < stretch;
        let reaches = |limit| if is_more_better { self.median >= limit } else { self.median <= limit };
        match () {
            () if reaches(target) => "ok",
            () if reaches(required) => "below target",
            () => "below required",
        }
    }
}

/// The rows that these rounds have measured. `is_jemalloc` tells the allocator.
pub(crate) fn of(rounds: &[Round], is_jemalloc: bool) -> Vec<Row> {
    let rate = Sample::items_per_sec;
    let of_naive = if is_jemalloc { wanted(3.5, 5.0, 6.5) } else { wanted(8.0, 12.0, 16.0) };
    let mut rows = Rows { rounds, rows: Vec::new() };
    rows.ratio("word count 1-1-1, of (a)", rate, "count-1-1-1", "fused", wanted(0.25, 0.40, 0.50));
    rows.ratio("word count 1-1-1, of (b)", rate, "count-1-1-1", "naive", of_naive);
    rows.ratio("word count 1-1-1 tracked, of (a)", rate, "count-1-1-1-tracked", "fused", None);
    rows.ratio(
        "word count 1-1-1 tracked, of (b) tracked",
        rate,
        "count-1-1-1-tracked",
        "naive-tracked",
        None,
    );
    rows.ratio(
        "word count 1-1-1, tracked of untracked",
        rate,
        "count-1-1-1-tracked",
        "count-1-1-1",
        wanted(0.75, 0.85, 0.93),
    );
    rows.ratio("word count 1-2-2, of (a)", rate, "count-1-2-2", "fused", None);
    rows.ratio("word count 1-2-2 tracked, of (a)", rate, "count-1-2-2-tracked", "fused", None);
    rows.ratio(
        "word count 1-2-2, tracked of untracked",
        rate,
        "count-1-2-2-tracked",
        "count-1-2-2",
        wanted(0.75, 0.85, 0.93),
    );
    rows.ratio("const -> null, tracked of untracked", rate, "null-tracked", "null", wanted(0.4, 0.6, 0.8));
    rows.ratio("const -> id -> null, tracked of untracked", rate, "id-null-tracked", "id-null", None);
    let cpu = Sample::cpu_ns;
    rows.ratio("CPU per word 1-1-1, times (a)'s", cpu, "count-1-1-1", "fused", wanted(5.0, 4.0, 3.0));
    rows.ratio("CPU per word 1-1-1 tracked, times (a)'s", cpu, "count-1-1-1-tracked", "fused", None);
    rows.ratio("CPU per word 1-2-2, times (a)'s", cpu, "count-1-2-2", "fused", None);
    for (name, one_bolt, split_and_count) in
        [("1 k/s", "loop-1k", "split-count-loop-1k"), ("10 k/s", "loop-10k", "split-count-loop-10k")]
    {
        rows.latency(&format!("tracked loop, one bolt, {name}"), one_bolt, wanted(150.0, 80.0, 15.0));
        let split_wanted = wanted(300.0, 150.0, 60.0);
        rows.latency(&format!("tracked loop, split and count, {name}"), split_and_count, split_wanted);
    }
    rows.add("idle topology, 10 executors, CPU", " %", wanted(3.0, 1.0, 0.0), |round| {
        let idle = round.get("idle")?;
        Some((idle.sample.cpu_percent(), idle.sample.is_noisy()))
    });
    rows.rows
}

const fn wanted(required: f64, target: f64, stretch: f64) -> Option<Wanted> {
    Some(Wanted { required, target, stretch })
}

struct Rows<'a> {
    rounds: &'a [Round],
    rows: Vec<Row>,
}

impl Rows<'_> {
    /// A figure of a job, as a ratio to that of a reference in the same round.
    fn ratio(
        &mut self,
        name: &str,
        figure: fn(&Sample) -> f64,
        job: &str,
        reference: &str,
        wanted: Option<Wanted>,
    ) {
        self.add(name, "", wanted, |round| {
            let (job, reference) = (&round.get(job)?.sample, &round.get(reference)?.sample);
            Some((figure(job) / figure(reference), job.is_noisy() || reference.is_noisy()))
        });
    }

    /// The median of a job's latencies against what is wanted, and beside it the 99th percentile
    /// and the median without the time until the spout was awake.
    fn latency(&mut self, name: &str, job: &str, wanted: Option<Wanted>) {
        let micros = |round: &Round, figure: fn(&Measured) -> Option<u64>| {
            let measured = round.get(job)?;
            Some((figure(measured)? as f64 / 1e3, measured.sample.is_noisy()))
        };
        self.add(&format!("{name}, p50"), " us", wanted, |round| {
            micros(round, |m| Some(m.latency.as_ref()?.intended.value_at_quantile(0.5)))
        });
        self.add(&format!("{name}, p99"), " us", None, |round| {
            micros(round, |m| Some(m.latency.as_ref()?.intended.value_at_quantile(0.99)))
        });
        self.add(&format!("{name}, p50 from the emit"), " us", None, |round| {
            micros(round, |m| Some(m.latency.as_ref()?.emitted.value_at_quantile(0.5)))
        });
    }

    /// A row of what each round gives and whether that is noisy, if any round gives something.
    fn add(
        &mut self,
        name: &str,
        unit: &'static str,
        wanted: Option<Wanted>,
        figure: impl Fn(&Round) -> Option<(f64, bool)>,
    ) {
        let all: Vec<(f64, bool)> = self.rounds.iter().filter_map(figure).collect();
        let quiet = all.iter().filter(|(_, is_noisy)| !is_noisy).count();
        let mut figures: Vec<f64> =
            all.iter().filter(|(_, is_noisy)| quiet == 0 || !is_noisy).map(|(figure, _)| *figure).collect();
        figures.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (figures.first(), figures.last()) else { return };
        let median = median_of_sorted(&figures);
        self.rows.push(Row { name: name.to_owned(), unit, median, min, max, quiet_rounds: quiet, wanted });
    }
}

/// The median of what is not empty and in order.
pub(crate) fn median_of_sorted(figures: &[f64]) -> f64 {
    let middle = figures.len() / 2;
    match figures.len() % 2 {
        1 => figures[middle],
        _ => (figures[middle - 1] + figures[middle]) / 2.0,
    }
}
