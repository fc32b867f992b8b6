//! The rows of the table: what is compared, and what is required of it.

use crate::jobs::{Measured, Round};
use crate::meter::Sample;

/// What is wanted of a row; not everything is wanted of each.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Whether more is better than less.
    pub is_more_better: bool,
    /// What has to be.
    pub required: Option<f64>,
    /// What should be.
    pub target: Option<f64>,
    /// What may be, as a prototype has shown.
    pub stretch: Option<f64>,
}

/// That much is wanted, or more.
pub const fn at_least(required: f64, target: f64, stretch: f64) -> Option<Wanted> {
    let [required, target, stretch] = [Some(required), Some(target), Some(stretch)];
    Some(Wanted { is_more_better: true, required, target, stretch })
}

/// That much is wanted, or less.
pub const fn at_most(required: f64, target: f64, stretch: f64) -> Option<Wanted> {
    let [required, target, stretch] = [Some(required), Some(target), Some(stretch)];
    Some(Wanted { is_more_better: false, required, target, stretch })
}

/// A row with its figures.
#[derive(Debug)]
pub struct Row {
    /// What is compared with what.
    pub name: String,
    /// What stands behind the figures.
    pub unit: &'static str,
    /// Of the rounds.
    pub median: f64,
    /// Of the rounds.
    pub min: f64,
    /// Of the rounds.
    pub max: f64,
    /// Rounds in which the machine was quiet. If there are any, the figures are of them alone.
    pub quiet_rounds: usize,
    /// `None` if nothing is.
    pub wanted: Option<Wanted>,
}

impl Row {
    /// Of what each round has given and whether that is noisy; `None` if none gave anything.
    pub(crate) fn of(
        name: &str,
        unit: &'static str,
        wanted: Option<Wanted>,
        all: &[(f64, bool)],
    ) -> Option<Row> {
        let quiet = all.iter().filter(|(_, is_noisy)| !is_noisy).count();
        let mut figures: Vec<f64> =
            all.iter().filter(|(_, is_noisy)| quiet == 0 || !is_noisy).map(|(figure, _)| *figure).collect();
        figures.sort_by(f64::total_cmp);
        let (&min, &max) = (figures.first()?, figures.last()?);
        let median = median_of_sorted(&figures);
        Some(Row { name: name.to_owned(), unit, median, min, max, quiet_rounds: quiet, wanted })
    }

    /// How it compares with what is wanted; empty if nothing is.
    pub fn verdict(&self) -> &'static str {
        let Some(Wanted { is_more_better, required, target, .. }) = self.wanted else { return "" };
        let fits = |limit| if is_more_better { self.median >= limit } else { self.median <= limit };
        match () {
            () if !required.is_none_or(fits) => "below required",
            () if !target.is_none_or(fits) => "below target",
            () => "ok",
        }
    }
}

/// The rows that these rounds have measured. `is_jemalloc` tells the allocator.
pub fn of(rounds: &[Round], is_jemalloc: bool) -> Vec<Row> {
    let mut rows = Rows::new(rounds);
    rows.word_count_1_1_1(if is_jemalloc { at_least(3.5, 5.0, 6.5) } else { at_least(8.0, 12.0, 16.0) });
    rows.word_count_1_2_2();
    // With what the prototype reached; nothing is required.
    let chained = Wanted { is_more_better: true, required: None, target: Some(0.6), stretch: Some(0.9) };
    rows.ratio(
        "word count, chained, 2 threads, tracked, of (a)",
        Sample::items_per_sec,
        ["count-chained-tracked", "fused"],
        Some(chained),
    );
    rows.constants();
    rows.cpu();
    rows.latencies();
    rows.add("idle topology, 10 executors, CPU", " %", at_most(3.0, 1.0, 0.0), |round| {
        let idle = round.get("idle")?;
        Some((idle.sample.cpu_percent(), idle.sample.is_noisy()))
    });
    rows.into_vec()
}

/// Tracked words per second, of untracked ones.
const TRACKED: Option<Wanted> = at_least(0.75, 0.85, 0.93);

/// What each group of rows compares.
impl Rows<'_> {
    fn word_count_1_1_1(&mut self, of_naive: Option<Wanted>) {
        let rate = Sample::items_per_sec;
        let (plain, tracked) = ("count-1-1-1", "count-1-1-1-tracked");
        self.ratio("word count 1-1-1, of (a)", rate, [plain, "fused"], at_least(0.25, 0.40, 0.50));
        self.ratio("word count 1-1-1, of (b)", rate, [plain, "naive"], of_naive);
        self.ratio("word count 1-1-1 tracked, of (a)", rate, [tracked, "fused"], None);
        self.ratio("word count 1-1-1 tracked, of (b) tracked", rate, [tracked, "naive-tracked"], None);
        self.ratio("word count 1-1-1, tracked of untracked", rate, [tracked, plain], TRACKED);
    }

    fn word_count_1_2_2(&mut self) {
        let rate = Sample::items_per_sec;
        let (plain, tracked) = ("count-1-2-2", "count-1-2-2-tracked");
        self.ratio("word count 1-2-2, of (a)", rate, [plain, "fused"], None);
        self.ratio("word count 1-2-2, of (b)", rate, [plain, "naive-1-2-2"], None);
        self.ratio("word count 1-2-2 tracked, of (a)", rate, [tracked, "fused"], None);
        self.ratio("word count 1-2-2 tracked, of (b) tracked", rate, [tracked, "naive-1-2-2-tracked"], None);
        self.ratio("word count 1-2-2, tracked of untracked", rate, [tracked, plain], TRACKED);
    }

    fn constants(&mut self) {
        let rate = Sample::items_per_sec;
        let null = ["null-tracked", "null"];
        self.ratio("const -> null, tracked of untracked", rate, null, at_least(0.4, 0.6, 0.8));
        self.ratio("const -> id -> null, tracked of untracked", rate, ["id-null-tracked", "id-null"], None);
    }

    fn cpu(&mut self) {
        let cpu = Sample::cpu_ns;
        let one_one = "CPU per word 1-1-1, times (a)'s";
        self.ratio(one_one, cpu, ["count-1-1-1", "fused"], at_most(5.0, 4.0, 3.0));
        self.ratio("CPU per word 1-1-1, times (b)'s", cpu, ["count-1-1-1", "naive"], None);
        self.ratio("CPU per word 1-1-1 tracked, times (a)'s", cpu, ["count-1-1-1-tracked", "fused"], None);
        self.ratio("CPU per word 1-2-2, times (a)'s", cpu, ["count-1-2-2", "fused"], None);
        self.ratio(
            "CPU per word, chained, 2 threads, tracked, times (a)'s",
            cpu,
            ["count-chained-tracked", "fused"],
            None,
        );
        let twice = Wanted { is_more_better: false, required: Some(2.0), target: None, stretch: None };
        for (name, jobs) in [
            ("1,000 executors, shuffle", ["shuffle-1000", "shuffle-4"]),
            ("1,000 executors, fields", ["fields-1000", "fields-4"]),
            ("1,000 executors on 2 threads, shuffle", ["shuffle-1000-shared", "shuffle-4"]),
            ("1,000 executors on 2 threads, fields", ["fields-1000-shared", "fields-4"]),
        ] {
            self.ratio(&format!("CPU per tuple, {name}, times that of 4"), cpu, jobs, Some(twice));
        }
    }

    fn latencies(&mut self) {
        for (name, one_bolt, split_and_count) in
            [("1 k/s", "loop-1k", "split-count-loop-1k"), ("10 k/s", "loop-10k", "split-count-loop-10k")]
        {
            let one_bolt_wanted = at_most(150.0, 80.0, 15.0);
            self.latency(&format!("tracked loop, one bolt, {name}"), one_bolt, one_bolt_wanted);
            let split_wanted = at_most(300.0, 150.0, 60.0);
            self.latency(&format!("tracked loop, split and count, {name}"), split_and_count, split_wanted);
        }
    }
}

/// Rows of a table that is being made.
#[derive(Debug)]
pub struct Rows<'a> {
    rounds: &'a [Round],
    rows: Vec<Row>,
}

impl<'a> Rows<'a> {
    /// No row yet, of these rounds.
    pub fn new(rounds: &'a [Round]) -> Rows<'a> {
        Rows { rounds, rows: Vec::new() }
    }

    /// The rows in order of their addition.
    pub fn into_vec(self) -> Vec<Row> {
        self.rows
    }

    /// Adds a figure of a job, as a ratio to that of a reference in the same round; nothing if the
    /// two were not measured.
    pub fn ratio(
        &mut self,
        name: &str,
        figure: fn(&Sample) -> f64,
        [job, reference]: [&str; 2],
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
        self.rows.extend(Row::of(name, unit, wanted, &all));
    }
}

/// The median of what is not empty and in order.
pub fn median_of_sorted(figures: &[f64]) -> f64 {
    let middle = figures.len() / 2;
    match figures.len() % 2 {
        1 => figures[middle],
        _ => (figures[middle - 1] + figures[middle]) / 2.0,
    }
}
