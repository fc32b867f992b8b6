//! How a local run is doing, on one line.

use std::io::{self, IsTerminal, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use storm_engine::Snapshot;
use storm_figures::metrics;

/// Between two updates of the live line.
const LIVE: Duration = Duration::from_millis(500);
/// Between two plain lines.
const PLAIN: Duration = Duration::from_secs(10);

/// The line of progress: live on a terminal, a log line now and then otherwise.
pub(crate) struct Progress {
    bar: ProgressBar,
    is_live: bool,
    started: Instant,
    last: Instant,
    last_emitted: u64,
    last_executed: u64,
}

impl Progress {
    pub(crate) fn start() -> Progress {
        let is_live = std::io::stderr().is_terminal();
        let bar = if is_live { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        let now = Instant::now();
        Progress { bar, is_live, started: now, last: now, last_emitted: 0, last_executed: 0 }
    }

    pub(crate) fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// How long until the next update is due.
    pub(crate) fn due_in(&self) -> Duration {
        let every = if self.is_live { LIVE } else { PLAIN };
        every.saturating_sub(self.last.elapsed())
    }

    /// Shows the figures.
    pub(crate) fn show(&mut self, snapshot: &Snapshot) {
        let line = self.line(snapshot);
        if self.is_live {
            self.bar.set_message(line);
            self.bar.tick();
        } else {
            tracing::info!("{line}");
        }
    }

    /// Prints lines for people, above the live line.
    pub(crate) fn print(&self, lines: &str) {
        self.bar.suspend(|| io::stderr().write_all(lines.as_bytes()).ok());
    }

    /// Takes the live line away and says how it ended.
    pub(crate) fn finish(&self, snapshot: &Snapshot) {
        self.bar.finish_and_clear();
        let secs = self.started.elapsed().as_secs_f64();
        let figures = Figures::of(snapshot);
        tracing::info!(
            "ran {secs:.2} s: {} {}, {} {}, {} {}, {} {}, {} {}{}{}",
            metrics::EMITTED.title,
            figures.emitted,
            metrics::EXECUTED.title,
            figures.executed,
            metrics::ACKED.title,
            figures.acked,
            metrics::FAILED.title,
            figures.failed,
            metrics::PENDING.title,
            figures.pending,
            lost_note(&figures),
            latency_note(snapshot),
        );
    }

    fn line(&mut self, snapshot: &Snapshot) -> String {
        let figures = Figures::of(snapshot);
        let secs = self.last.elapsed().as_secs_f64().max(1e-3);
        let rate = |now: u64, before: u64| short(now.saturating_sub(before) as f64 / secs);
        let line = format!(
            "{:>4} s  {} {}/s  {} {}/s  {} {}  {} {}  {} {}{}{}",
            self.started.elapsed().as_secs(),
            metrics::EMITTED.title,
            rate(figures.emitted, self.last_emitted),
            metrics::EXECUTED.title,
            rate(figures.executed, self.last_executed),
            metrics::ACKED.title,
            figures.acked,
            metrics::FAILED.title,
            figures.failed,
            metrics::PENDING.title,
            figures.pending,
            lost_note(&figures),
            latency_note(snapshot),
        );
        self.last = Instant::now();
        self.last_emitted = figures.emitted;
        self.last_executed = figures.executed;
        line
    }
}

struct Figures {
    emitted: u64,
    executed: u64,
    acked: u64,
    failed: u64,
    pending: u64,
    lost: u64,
}

impl Figures {
    fn of(snapshot: &Snapshot) -> Figures {
        Figures {
            emitted: snapshot.spouts(|t| t.emitted()),
            executed: snapshot.bolts(|t| t.executed()),
            acked: snapshot.spouts(|t| t.acked()),
            failed: snapshot.spouts(|t| t.failed()),
            pending: snapshot.spouts(|t| t.pending),
            lost: snapshot.spouts(|t| t.lost),
        }
    }
}

fn lost_note(figures: &Figures) -> String {
    if figures.lost == 0 { String::new() } else { format!("  {} {}", metrics::LOST.title, figures.lost) }
}

fn latency_note(snapshot: &Snapshot) -> String {
    let latency = snapshot.complete_latency();
    if latency.is_empty() {
        return String::new();
    }
    let ms = |quantile| latency.quantile(quantile).as_secs_f64() * 1000.0;
    format!("  complete p50 {:.2} ms p99 {:.2} ms", ms(0.5), ms(0.99))
}

/// `1.2 M`, `34.5 k`, `678`.
fn short(n: f64) -> String {
    match n {
        n if n >= 1e6 => format!("{:.1} M", n / 1e6),
        n if n >= 1e4 => format!("{:.1} k", n / 1e3),
        n => format!("{n:.0}"),
    }
}
