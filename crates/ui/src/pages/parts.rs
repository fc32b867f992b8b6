//! Small pieces of pages: numbers in cells, badges, bars.

use std::fmt;
use std::time::Duration;

use storm_model::TopologySpec;
use storm_rpc::v1::{TopologyState, WorkerState};

use crate::draw::colour::heat;
use crate::draw::{Html, escape};
use crate::pages::text;

/// A number in a cell of a table: short, with its unit; in full when the pointer is there; and
/// sorted by what it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Num {
    /// What people read.
    pub(crate) text: String,
    /// More about it.
    pub(crate) title: String,
    /// Its place among others.
    pub(crate) sort: f64,
    /// Whether it is bad that it is not 0.
    pub(crate) is_bad: bool,
}

impl Num {
    fn new(text: String, title: String, sort: f64) -> Num {
        Num { text, title, sort, is_bad: false }
    }

    /// There is no such number.
    pub(crate) fn none() -> Num {
        Num::new("–".to_owned(), String::new(), -1.0)
    }

    /// So many of something.
    pub(crate) fn count(count: u64) -> Num {
        let title = if count < 1_000 { String::new() } else { text::exact(count) };
        Num::new(text::short(count as f64), title, count as f64)
    }

    /// So many of something that should not be.
    pub(crate) fn bad(count: u64) -> Num {
        Num { is_bad: count > 0, ..Num::count(count) }
    }

    /// A number of few digits, in full.
    pub(crate) fn plain(count: impl Into<u64>) -> Num {
        let count = count.into();
        Num::new(text::exact(count), String::new(), count as f64)
    }

    /// So many a second.
    pub(crate) fn rate(per_sec: f64) -> Num {
        Num::new(text::rate(per_sec), String::new(), per_sec)
    }

    /// A latency; none where nothing was measured.
    pub(crate) fn latency(latency: Option<Duration>) -> Num {
        latency.map_or_else(Num::none, |latency| {
            Num::new(text::latency(latency), String::new(), latency.as_secs_f64())
        })
    }

    /// A latency in milliseconds; none where nothing was measured.
    pub(crate) fn millis(millis: f64) -> Num {
        if millis > 0.0 { Num::new(text::millis(millis), String::new(), millis / 1e3) } else { Num::none() }
    }

    /// A span of time.
    pub(crate) fn span(secs: u64) -> Num {
        Num::new(text::span(secs), format!("{} s", text::exact(secs)), secs as f64)
    }

    /// An amount of memory; none where it is not known.
    pub(crate) fn bytes(bytes: u64) -> Num {
        if bytes == 0 {
            return Num::none();
        }
        Num::new(text::bytes(bytes), format!("{} bytes", text::exact(bytes)), bytes as f64)
    }
}

/// As a cell.
impl fmt::Display for Num {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Num { text, title, sort, is_bad } = self;
        let class = match *sort {
            _ if *is_bad => "n bad",
            sort if sort <= 0.0 => "n nil",
            _ => "n",
        };
        write!(f, r#"<td class="{class}" data-v="{sort}""#)?;
        if !title.is_empty() {
            write!(f, r#" title="{}""#, escape(title))?;
        }
        write!(f, ">{}</td>", escape(text))
    }
}

impl askama::filters::HtmlSafe for Num {}

/// A sentence in which `names` in backticks are components: they become links.
pub(crate) fn words(sentence: &str, spec: &TopologySpec, prefix: &str) -> Html {
    let mut html = Html::new();
    for (i, part) in sentence.split('`').enumerate() {
        match i % 2 == 1 && spec.components.contains_key(part) {
            true => html.put(format_args!(
                r#"<a href="{}{}">{}</a>"#,
                escape(prefix),
                text::encoded(part),
                escape(part)
            )),
            false => html.put(format_args!("{}", escape(part))),
        }
    }
    html
}

/// A state as a small mark; `class` is one of the stylesheet's: good, busy, warn, bad, idle.
pub(crate) fn badge(class: &str, text: &str, title: &str) -> Html {
    let mut badge = Html::new();
    badge.put(format_args!(
        r#"<span class="badge {class}" title="{}">{}</span>"#,
        escape(title),
        escape(text)
    ));
    badge
}

/// How a topology stands.
pub(crate) fn topology_state(state: TopologyState) -> Html {
    match state {
        TopologyState::Active => badge("good", "active", "its spouts emit"),
        TopologyState::Inactive => badge("idle", "inactive", "its spouts do not emit; its bolts run on"),
        TopologyState::Killed => badge("bad", "killed", "it ends when its wait is over"),
        TopologyState::Rebalancing => badge("busy", "rebalancing", "its executors are being spread anew"),
        TopologyState::Unspecified => badge("idle", "unknown", "Nimbus did not say"),
    }
}

/// How a worker stands.
pub(crate) fn worker_state(state: WorkerState) -> Html {
    let (class, text, title) = worker_words(state);
    badge(class, text, title)
}

/// Class, word and meaning of a worker's state.
pub(crate) fn worker_words(state: WorkerState) -> (&'static str, &'static str, &'static str) {
    match state {
        WorkerState::Localizing => ("busy", "localizing", "its binary is being fetched"),
        WorkerState::Starting => ("busy", "starting", "the process runs, its tasks are being made"),
        WorkerState::Prepared => ("busy", "prepared", "its tasks are prepared; it waits for its peers"),
        WorkerState::Running => ("good", "running", "it runs"),
        WorkerState::Stopping => ("warn", "stopping", "it ends in good order"),
        WorkerState::BackingOff => ("bad", "backing off", "it has ended and waits until it is started again"),
        WorkerState::Silent => ("bad", "silent", "nobody has heard of it for longer than its time-out"),
        WorkerState::Unspecified => ("idle", "unknown", "nothing was reported yet"),
    }
}

/// A bar of a share, coloured by how near to its limit it is, with its number, as a cell.
pub(crate) fn bar(share: Option<f64>, text: &str, title: &str) -> Html {
    let mut cell = Html::new();
    let Some(share) = share else {
        cell.put(format_args!(r#"<td class="n nil" data-v="-1">–</td>"#));
        return cell;
    };
    cell.put(format_args!(
        r#"<td class="n gauge" data-v="{share:.4}" title="{}"><span class="bar" style="--s:{:.1}%;--heat:{}"></span>{}</td>"#,
        escape(title),
        share.clamp(0.0, 1.0) * 100.0,
        heat(share),
        escape(text)
    ));
    cell
}

/// Capacity as a cell.
pub(crate) fn capacity(capacity: Option<f64>) -> Html {
    let text = capacity.map_or(String::new(), |capacity| format!("{capacity:.2}"));
    bar(capacity, &text, "share of the time spent in execute, of its busiest executor: about 1 is its limit")
}

/// How full the inbox is, as a cell.
pub(crate) fn queue(fill: f64, used: u64, window: u64) -> Html {
    let title = format!("{} of {} in the inbox", text::exact(used), text::counted(window, "row", "rows"));
    bar((window > 0).then_some(fill), &text::percent(fill), &title)
}

/// How a task compares with the others of its component, as a cell: a bar of its share of the largest.
pub(crate) fn skew(count: u64, most: u64, mean: f64) -> Html {
    let mut cell = Html::new();
    let share = if most > 0 { count as f64 / most as f64 } else { 0.0 };
    let times = if mean > 0.0 { count as f64 / mean } else { 1.0 };
    let class = if times > 2.0 { "skew far" } else { "skew" };
    cell.put(format_args!(
        r#"<td class="n gauge {class}" data-v="{count}" title="{}: {times:.2} times the tasks' mean"><span class="bar" style="--s:{:.1}%"></span>{}</td>"#,
        text::exact(count),
        share * 100.0,
        text::short(count as f64)
    ));
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_sorts_by_what_it_is() {
        assert_eq!(
            Num::count(12_345).to_string(),
            "<td class=\"n\" data-v=\"12345\" title=\"12,345\">12.3\u{202f}k</td>"
        );
        assert_eq!(Num::none().to_string(), "<td class=\"n nil\" data-v=\"-1\">–</td>");
        assert!(Num::bad(3).to_string().contains("n bad") && Num::bad(0).to_string().contains("n nil"));
    }

    #[test]
    fn titles_are_escaped() {
        assert!(badge("good", "<b>", "\"><script>").as_str().ends_with(">&lt;b&gt;</span>"));
        let num = Num { title: "\"><script>".to_owned(), ..Num::plain(1_u32) };
        assert!(!num.to_string().contains("<script"));
    }
}
