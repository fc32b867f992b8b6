//! The figures of a topology as a table for people: a row per component, titles as
//! [`metrics`] has them.

use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Table, presets::ASCII_MARKDOWN};
use storm_figures::metrics::{self, Metric};
use storm_figures::{ComponentFigures, Latency, Window};
use storm_model::ComponentKind;

use crate::live_figures::FiguresReport;

/// Longer messages of errors are cut: the log has all of them.
const ERROR_CHARS: usize = 60;
/// What a component of its kind does not have.
const NOTHING: &str = "-";

/// A table of one window.
pub(crate) fn table(report: &FiguresReport, window: Window) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header());
    for component in &report.figures.components {
        table.add_row(row(component, report, window));
    }
    let is_text = |index: usize, count: usize| index == 0 || index + 1 == count;
    let count = table.column_count();
    for (index, column) in table.column_iter_mut().enumerate() {
        let alignment = if is_text(index, count) { CellAlignment::Left } else { CellAlignment::Right };
        column.set_cell_alignment(alignment);
    }
    table.to_string()
}

fn header() -> Vec<String> {
    let counts = COUNTS.map(|(metric, _)| lines(metric.title));
    let mut header = ["component", "executors", "tasks"].map(str::to_owned).to_vec();
    header.extend(counts);
    header.extend([
        lines(metrics::EXECUTE_LATENCY.title),
        lines(metrics::PROCESS_LATENCY.title),
        lines(metrics::COMPLETE_LATENCY.title),
        lines(metrics::COMPLETE_LATENCY.title) + "\np99",
        lines(metrics::CAPACITY.title),
        lines(metrics::QUEUE_FILL.title),
        lines(metrics::ERRORS.title),
        "last error".to_owned(),
    ]);
    header
}

/// Narrow: a word per line.
fn lines(title: &str) -> String {
    title.replace(' ', "\n")
}

type Count = fn(&storm_figures::Figures) -> u64;

const COUNTS: [(Metric, Count); 5] = [
    (metrics::EMITTED, |figures| figures.emitted),
    (metrics::TRANSFERRED, |figures| figures.transferred),
    (metrics::EXECUTED, |figures| figures.executed),
    (metrics::ACKED, |figures| figures.acked),
    (metrics::FAILED, |figures| figures.failed),
];

fn row(component: &ComponentFigures, report: &FiguresReport, window: Window) -> Vec<Cell> {
    let figures = &component.figures[window];
    let id = component.component.as_str();
    let is_bolt = component.kind == ComponentKind::Bolt;
    let of_bolt = |text: String| if is_bolt { text } else { NOTHING.to_owned() };
    let mut row =
        vec![id.to_owned(), component.executors.len().to_string(), component.tasks.len().to_string()];
    row.extend(COUNTS.map(|(metric, count)| match count(figures) {
        0 if metric == metrics::EXECUTED && !is_bolt => NOTHING.to_owned(),
        count => count.to_string(),
    }));
    row.extend([
        time(&figures.execute_latency, Latency::mean),
        time(&figures.process_latency, Latency::mean),
        time(&figures.complete_latency, Latency::mean),
        time(&figures.complete_latency, |latency| latency.quantile(0.99)),
        of_bolt(format!("{:.3}", figures.capacity)),
        of_bolt(format!("{:.3}", component.gauges.queue_fill)),
        report.errors.count(id).to_string(),
        report.errors.last(id).map(|error| short(&error.message)).unwrap_or_default(),
    ]);
    row.into_iter().map(Cell::new).collect()
}

/// With its unit: bolts take from nanoseconds to minutes.
fn time(latency: &Latency, of: impl Fn(&Latency) -> Duration) -> String {
    if latency.is_empty() { NOTHING.to_owned() } else { format!("{:.2?}", of(latency)) }
}

/// The first line of a message, as far as there is room.
fn short(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    if line.chars().count() <= ERROR_CHARS {
        return line.to_owned();
    }
    let mut text: String = line.chars().take(ERROR_CHARS - 2).collect();
    text.push_str("..");
    text
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use expect_test::expect;
    use storm_figures::{
        EdgeCount, ErrorLog, ErrorRecord, ExecutorSnapshot, InputCount, Keeper, Snapshot, StreamCount,
        TaskSnapshot,
    };
    use storm_model::{ExecutorId, TaskId, Time};

    use super::*;

    fn latency(times: u64, took: Duration) -> Latency {
        let mut latency = Latency::default();
        latency.record_n(took, times);
        latency
    }

    fn executor(component: &str, first: u32, last: u32, of: impl Fn(&mut TaskSnapshot)) -> ExecutorSnapshot {
        let task = |task| {
            let mut snapshot = TaskSnapshot { incarnation: 1, ..TaskSnapshot::new(TaskId(task)) };
            of(&mut snapshot);
            snapshot
        };
        ExecutorSnapshot {
            tasks: (first..=last).map(task).collect(),
            window_rows: 100,
            credit_out: 25,
            uptime: Duration::from_secs(10),
            ..ExecutorSnapshot::new(
                component.into(),
                if component == "lines" { ComponentKind::Spout } else { ComponentKind::Bolt },
                ExecutorId { first: TaskId(first), last: TaskId(last) },
            )
        }
    }

    #[test]
    fn a_spout_and_a_bolt_with_an_error() {
        let lines = executor("lines", 3, 3, |task| {
            task.streams = vec![StreamCount {
                emitted: 3_000,
                edges: vec![EdgeCount { component: "split".into(), transferred: 3_000 }],
                acked: 2_990,
                failed: 10,
                complete_latency: latency(2_990, Duration::from_micros(1_500)),
                ..StreamCount::new("default".into())
            }];
        });
        let split = |first, last| {
            executor("split", first, last, |task| {
                task.inputs = vec![InputCount {
                    component: "lines".into(),
                    stream: "default".into(),
                    executed: 1_000,
                    acked: 990,
                    failed: 10,
                    execute_latency: latency(1_000, Duration::from_millis(1)),
                    process_latency: latency(990, Duration::from_millis(1)),
                }];
            })
        };
        let mut keeper = Keeper::default();
        keeper.observe(Time::from_secs(10), &Snapshot { executors: vec![split(1, 1), lines, split(4, 5)] });
        let mut errors = ErrorLog::default();
        errors.add(ErrorRecord {
            time: SystemTime::UNIX_EPOCH,
            component: "split".into(),
            task: TaskId(1),
            message: format!("a line that nobody can read, {}\nand more", "a very long one ".repeat(5)),
            suppressed: 2,
        });
        let report = FiguresReport { figures: keeper.report(Time::from_secs(10)), errors };
        expect![[r#"
            | component | executors | tasks | emitted | transferred | executed | acked | failed | execute | process | complete | complete | capacity | queue | errors | last error                                                   |
            |           |           |       |         |             |          |       |        | latency | latency |  latency |  latency |          |  fill |        |                                                              |
            |           |           |       |         |             |          |       |        |         |         |          |      p99 |          |       |        |                                                              |
            |-----------|-----------|-------|---------|-------------|----------|-------|--------|---------|---------|----------|----------|----------|-------|--------|--------------------------------------------------------------|
            | lines     |         1 |     1 |    3000 |        3000 |        - |  2990 |     10 |       - |       - |   1.50ms |   1.51ms |        - |     - |      0 |                                                              |
            | split     |         2 |     3 |       0 |           0 |     3000 |  2970 |     30 |  1.00ms |  1.00ms |        - |        - |    0.200 | 0.250 |      3 | a line that nobody can read, a very long one a very long o.. |"#]].assert_eq(&table(&report, Window::AllTime));
        let later = FiguresReport { figures: keeper.report(Time::from_secs(700)), ..report };
        let table = table(&later, Window::TenMinutes);
        let is_gone = |text: &&str| !table.contains(text);
        assert!(["3000", "2990", "0.200", "1.00ms"].iter().all(is_gone), "nothing in that window:\n{table}");
        assert!(table.contains("a line that"), "the last error, whenever it was:\n{table}");
    }
}
