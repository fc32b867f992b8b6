//! Prints what was measured: as tables of Markdown, or as JSON.
#![expect(clippy::print_stdout, reason = "this is what the command is for")]

use serde_json::{Value as Json, json};

use crate::IS_JEMALLOC;
use crate::jobs::{Job, Measured, Round, Work};
use crate::meter::{FOREIGN_MAX, Sample};
use crate::rows::{Row, Wanted, median_of_sorted};

/// What (a) and (b) are.
pub const REFERENCES: &str = "(a): the job fused in one thread with static types. (b): a crossbeam message \
    per tuple, owned values, hash map of the standard library, with the executors of what it is compared with.";

/// Two tables: the ratios, and the figures that they are made of; `references` says what they name.
pub fn tables(jobs: &[Job], rounds: &[Round], rows: &[Row], references: &str) {
    println!("{} rounds, interleaved; allocator: {}", rounds.len(), allocator());
    println!();
    table_of(rows, rounds.len());
    println!();
    println!("| job | per second | wall ns | CPU ns | per | CPU, of a core | others' CPU by round |");
    println!("|---|---|---|---|---|---|---|");
    for Job { name, item, work } in jobs {
        let samples: Vec<Sample> = rounds.iter().map(|round| round[name].sample).collect();
        // What waits has no speed of its own.
        let (rate, wall) = match work {
            Work::Fast(_) | Work::Warm(_) => {
                (median(&samples, Sample::items_per_sec), median(&samples, Sample::wall_ns))
            }
            Work::Paced(..) => (median(&samples, Sample::items_per_sec), f64::NAN),
            Work::Idle => (f64::NAN, f64::NAN),
        };
        println!(
            "| {name} | {} | {} | {} | {item} | {:.1} % | {} |",
            per_sec(rate),
            number(wall),
            number(median(&samples, Sample::cpu_ns)),
            median(&samples, Sample::cpu_percent),
            samples.iter().map(foreign).collect::<Vec<_>>().join(" ")
        );
    }
    println!();
    println!(
        "{references} Others used more than {:.0} % of the machine's CPU in samples marked `~`; rows are of \
         the other rounds where there are any.",
        FOREIGN_MAX * 100.0
    );
}

/// The table of rows that so many rounds have given.
pub(crate) fn table_of(rows: &[Row], rounds: usize) {
    println!("| row | median | min..max | quiet rounds | required | target | stretch | |");
    println!("|---|---|---|---|---|---|---|---|");
    for row in rows {
        let Row { name, unit, median, min, max, quiet_rounds, wanted } = row;
        let [required, target, stretch] = match wanted {
            Some(Wanted { required, target, stretch, .. }) => [required, target, stretch].map(limit),
            None => [&None; 3].map(limit),
        };
        println!(
            "| {name} | {}{unit} | {}..{} | {quiet_rounds}/{rounds} | {required} | {target} | {stretch} | {} |",
            number(*median),
            number(*min),
            number(*max),
            row.verdict()
        );
    }
}

/// Rows, and every sample.
pub fn json(jobs: &[Job], rounds: &[Round], rows: &[Row]) {
    let sample = |Measured { sample, latency }: &Measured| {
        let micros = |quantile| latency.as_ref().map(|l| l.intended.value_at_quantile(quantile) as f64 / 1e3);
        json!({
            "items": sample.items, "wall_ns": sample.wall.as_nanos() as u64,
            "cpu_ns": sample.cpu.as_nanos() as u64, "foreign": sample.foreign,
            "p50_us": micros(0.5), "p99_us": micros(0.99),
        })
    };
    let job = |job: &Job| {
        let samples: Vec<Json> = rounds.iter().map(|round| sample(&round[job.name])).collect();
        json!({ "name": job.name, "item": job.item, "samples": samples })
    };
    let all = json!({
        "allocator": allocator(),
        "rows": rows.iter().map(json_of).collect::<Vec<_>>(),
        "jobs": jobs.iter().map(job).collect::<Vec<_>>(),
    });
    println!("{all:#}");
}

pub(crate) fn json_of(row: &Row) -> Json {
    let wanted = row.wanted.map(|w| json!([w.required, w.target, w.stretch]));
    json!({
        "name": row.name, "unit": row.unit, "median": row.median, "min": row.min, "max": row.max,
        "quiet_rounds": row.quiet_rounds, "wanted": wanted, "verdict": row.verdict(),
    })
}

pub(crate) fn allocator() -> &'static str {
    if IS_JEMALLOC { "jemalloc" } else { "the system's" }
}

fn limit(limit: &Option<f64>) -> String {
    limit.map_or("-".to_owned(), |limit| limit.to_string())
}

fn foreign(sample: &Sample) -> String {
    format!("{:.0}%{}", sample.foreign * 100.0, if sample.is_noisy() { "~" } else { "" })
}

fn median(samples: &[Sample], figure: fn(&Sample) -> f64) -> f64 {
    let mut figures: Vec<f64> = samples.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    median_of_sorted(&figures)
}

fn per_sec(rate: f64) -> String {
    match rate {
        r if r >= 1e6 => format!("{:.1} M", r / 1e6),
        r if r >= 1e3 => format!("{:.1} k", r / 1e3),
        r => number(r),
    }
}

/// With as many digits as one can trust; what is not a number is not there.
fn number(number: f64) -> String {
    match number {
        n if n.is_nan() => "-".to_owned(),
        n if n >= 100.0 => format!("{n:.0}"),
        n if n >= 10.0 => format!("{n:.1}"),
        n => format!("{n:.2}"),
    }
}
