//! A topology: how it stands, what holds it up, what it is made of and where it runs.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use storm_figures::{Trend, Window};
use storm_model::ComponentKind;
use storm_rpc::v1;

use crate::app::App;
use crate::draw::colour::of_topology;
use crate::draw::sparkline::{Chart, Line, chart};
use crate::draw::{Html, graph};
use crate::pages::cluster::Tile;
use crate::pages::components::{self, Failure, Row, Worker};
use crate::pages::parts::{self, Num};
use crate::pages::{Ask, Page, Trouble, config, text};
use crate::view::{ClusterView, TopologyView};

#[derive(Template)]
#[template(path = "topology.html")]
struct Topology<'a> {
    root: &'a str,
    head: Head,
    tiles: Vec<Tile>,
    diagnosis: Vec<Html>,
    charts: Vec<Panel>,
    graph: Html,
    window: Window,
    windows: Vec<Choice>,
    stats: Vec<Stats>,
    spouts: Vec<Row>,
    bolts: Vec<Row>,
    errors: Vec<Failure>,
    workers: Vec<Worker>,
    unplaced: &'a [v1::Unplaced],
    explanation: &'a str,
    levels: Vec<Level>,
    sampled: Vec<String>,
    entries: Vec<config::Entry>,
    logs: String,
}

/// What stands above each page of a topology.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) href: String,
    pub(super) paint: String,
    pub(super) owner: String,
    pub(super) uptime: String,
    pub(super) state: Html,
    pub(super) marks: Vec<Html>,
    pub(super) is_active: bool,
    pub(super) is_inactive: bool,
    /// Whether something can be done here.
    pub(super) has_actions: bool,
}

/// A chart with its name.
#[derive(Debug)]
struct Panel {
    name: &'static str,
    now: String,
    legend: &'static [(&'static str, &'static str)],
    chart: Html,
}

/// A window to switch to.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) name: &'static str,
    pub(super) href: String,
    pub(super) title: &'static str,
    pub(super) is_chosen: bool,
}

#[derive(Debug)]
struct Stats {
    window: &'static str,
    is_chosen: bool,
    emitted: Num,
    transferred: Num,
    acked: Num,
    failed: Num,
    mean: Num,
    p50: Num,
    p99: Num,
    max: Num,
}

/// What a logger tells for now.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) logger: String,
    level: String,
    until: String,
}

/// `DEBUG until 2026-01-05 08:10:00 UTC, then WARN`
impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.level, self.until)
    }
}

/// The loggers whose level was changed.
pub(super) fn levels(view: &TopologyView) -> Vec<Level> {
    let until = |level: &v1::LogLevel| match (level.until_ms, level.reset_level.as_str()) {
        (0, _) => "until it is changed".to_owned(),
        (until, "") => format!("until {} UTC", text::moment(until)),
        (until, reset) => format!("until {} UTC, then at {reset}", text::moment(until)),
    };
    let level = |level: &v1::LogLevel| Level {
        logger: level.logger.clone(),
        level: level.level.clone(),
        until: until(level),
    };
    view.status.log_levels.iter().map(level).collect()
}

pub(super) async fn page(app: &App, ask: &Ask, id: &str) -> Result<Page, Trouble> {
    let (view, cluster) = with_cluster(app, id).await?;
    let window = window(ask);
    let diagnosis = view.diagnosis();
    let prefix = prefix(ask, &view);
    let (spouts, bolts) = components::rows(&view, &diagnosis, &prefix, window)
        .into_iter()
        .partition(|row| row.kind == ComponentKind::Spout);
    let drawn = graph::draw(&components::graph(&view, &diagnosis, &prefix, None));
    let head = head(app, &view);
    let sampled = |debug: &v1::DebugOption| {
        let whose = if debug.component.is_empty() { "all components" } else { &debug.component };
        format!("{} of the tuples of {whose}", text::percent(debug.sampling_percent / 100.0))
    };
    let mut entries: Vec<config::Entry> = view
        .config
        .iter()
        .map(|(key, value)| config::Entry {
            key: key.clone(),
            value: config::shown(value),
            origin: if view.spec.config.contains_key(key) {
                "topology's code".to_owned()
            } else {
                String::new()
            },
            is_set: view.spec.config.contains_key(key),
        })
        .collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    let title = head.name.clone();
    let page = Topology {
        root: &ask.root,
        tiles: tiles(&view),
        diagnosis: diagnosis.lines.iter().map(|line| parts::words(line, &view.spec, &prefix)).collect(),
        charts: charts(&view.trend),
        graph: drawn,
        window,
        windows: windows(ask, window),
        stats: Window::ALL.map(|of| stats(&view, of, window)).into(),
        spouts,
        bolts,
        errors: components::failures(&view, cluster.as_deref(), None),
        workers: components::workers(&view, cluster.as_deref()),
        unplaced: &view.status.unplaced,
        explanation: &view.status.explanation,
        levels: levels(&view),
        sampled: view.status.debug.iter().filter(|debug| debug.enable).map(sampled).collect(),
        entries,
        logs: format!("logs?topology={}", head.href),
        head,
    };
    Ok(Page::live(title, &page))
}

/// A topology, and the cluster for links to logs: a page without them is better than none.
pub(super) async fn with_cluster(
    app: &App,
    id: &str,
) -> Result<(Arc<TopologyView>, Option<Arc<ClusterView>>), Trouble> {
    let (view, cluster) = tokio::join!(app.source.topology(id), app.source.cluster());
    Ok((view?, cluster.ok()))
}

/// What leads from the root to the components of a topology.
pub(super) fn prefix(ask: &Ask, view: &TopologyView) -> String {
    format!("{}topology/{}/component/", ask.root, text::encoded(&view.summary().id))
}

/// The window that is asked for; ten minutes where none is, or one that nobody knows.
pub(super) fn window(ask: &Ask) -> Window {
    ask.get("window").parse().unwrap_or(Window::TenMinutes)
}

pub(super) fn windows(ask: &Ask, chosen: Window) -> Vec<Choice> {
    let choice = |window: Window| Choice {
        name: window.short(),
        href: ask.with("window", window.short()),
        title: window.title(),
        is_chosen: window == chosen,
    };
    Window::ALL.map(choice).into()
}

pub(super) fn head(app: &App, view: &TopologyView) -> Head {
    let summary = view.summary();
    let state = summary.status();
    let mut marks = Vec::new();
    if let Some(action) = &view.status.pending_action {
        let left = action.deadline_ms.saturating_sub(text::as_millis(view.asked)) / 1_000;
        let title = "it happens when the wait is over, or nothing is pending any more";
        marks.push(parts::badge("warn", &format!("{} within {}", action.kind, text::span(left)), title));
    }
    if view.status.is_complete {
        marks.push(parts::badge("good", "complete", "all spouts are done, nothing is pending"));
    } else if !view.status.is_settled && state != v1::TopologyState::Killed {
        let title = "not all workers run under the newest assignment yet";
        marks.push(parts::badge("busy", "settling", title));
    }
    if summary.unplaced_executors > 0 {
        let text = format!(
            "{} not placed",
            text::counted(summary.unplaced_executors.into(), "executor", "executors")
        );
        marks.push(parts::badge("bad", &text, "the scheduler found no place for them"));
    }
    Head {
        href: text::encoded(&summary.id),
        paint: of_topology(&summary.id),
        uptime: text::span(summary.uptime_secs),
        state: parts::topology_state(state),
        marks,
        is_active: state == v1::TopologyState::Active,
        is_inactive: state == v1::TopologyState::Inactive,
        has_actions: app.options.actions && state != v1::TopologyState::Killed,
        name: summary.name,
        id: summary.id,
        owner: summary.owner,
    }
}

fn tiles(view: &TopologyView) -> Vec<Tile> {
    let summary = view.summary();
    let recent = summary.recent.clone().unwrap_or_default();
    let tile = |name, value, note, class, title| Tile { name, value, note, class, title };
    let lost = recent.failed as f64 / (recent.failed + recent.acked).max(1) as f64;
    let latency = |millis: f64| if millis > 0.0 { text::millis(millis) } else { "–".to_owned() };
    vec![
        tile(
            "Rate",
            text::rate(crate::pages::cluster::rate(&summary)),
            format!("{} acked in 10 min", text::short(recent.acked as f64)),
            "",
            "tuples that spouts emit a second, in the last minute; acked are whole trees",
        ),
        tile(
            "Complete latency",
            latency(recent.latency_p50_ms),
            format!("p99 {}", latency(recent.latency_p99_ms)),
            "",
            "from a spout's emit to the ack of the whole tree: median, and what 99 of 100 do not exceed",
        ),
        tile(
            "Failed",
            text::short(recent.failed as f64),
            format!("{} in 10 min", text::percent(lost)),
            if lost > 0.01 {
                "bad"
            } else if recent.failed > 0 {
                "warn"
            } else {
                ""
            },
            "trees that failed or timed out within the last ten minutes, and their share",
        ),
        tile(
            "Pending",
            text::short(recent.pending as f64),
            text::noun(recent.pending, "tree", "trees").to_owned(),
            "",
            "trees that spouts wait for now",
        ),
        tile(
            "Workers",
            format!("{}/{}", summary.workers_total, summary.workers_requested),
            text::counted(view.status.workers.iter().map(|w| w.restarts).sum(), "restart", "restarts"),
            if summary.workers_total < summary.workers_requested { "warn" } else { "" },
            "processes: those that run, and those that are wished for",
        ),
        tile(
            "Executors",
            text::exact(summary.executors_total.into()),
            text::counted(summary.tasks_total.into(), "task", "tasks"),
            if summary.unplaced_executors > 0 { "bad" } else { "" },
            "threads, and the instances of spouts and bolts that they run",
        ),
    ]
}

fn charts(trend: &Trend) -> Vec<Panel> {
    let secs = trend.span.as_secs_f64().max(1e-3);
    let points = &trend.points;
    let millis = |latency: Option<Duration>| latency.map(|latency| latency.as_secs_f64() * 1e3);
    let line = |name, class, values: Vec<Option<f64>>| Line { name, class, values };
    let rate: Vec<_> = points.iter().map(|point| Some(point.emitted as f64 / secs)).collect();
    let failed: Vec<_> = points.iter().map(|point| Some(point.failed as f64 / secs)).collect();
    let p50: Vec<_> = points.iter().map(|point| millis(point.p50)).collect();
    let p99: Vec<_> = points.iter().map(|point| millis(point.p99)).collect();
    let pending: Vec<_> = points.iter().map(|point| Some(point.pending as f64)).collect();
    let last = |values: &[Option<f64>], write: fn(f64) -> String| {
        values.last().copied().flatten().map_or_else(|| "–".to_owned(), write)
    };
    let has_failed = points.iter().any(|point| point.failed > 0);
    let drawn = |lines: &[Line], write| chart(&Chart { lines, span: trend.span, write });
    let mut rates = vec![line("emitted", "a", rate.clone())];
    if has_failed {
        rates.push(line("failed", "bad", failed));
    }
    vec![
        Panel {
            name: "Emitted by spouts",
            now: last(&rate, text::rate),
            legend: if has_failed { &[("a", "emitted"), ("bad", "failed")] } else { &[] },
            chart: drawn(&rates, text::rate),
        },
        Panel {
            name: "Complete latency",
            now: last(&p99, text::millis),
            legend: &[("a", "p50"), ("b", "p99")],
            chart: drawn(&[line("p50", "a", p50), line("p99", "b", p99)], text::millis),
        },
        Panel {
            name: "Pending trees",
            now: last(&pending, text::short),
            legend: &[],
            chart: drawn(&[line("pending", "c", pending)], text::short),
        },
    ]
}

fn stats(view: &TopologyView, window: Window, chosen: Window) -> Stats {
    let stats = view.figures.stats(window);
    let latency = &stats.complete_latency;
    Stats {
        window: window.title(),
        is_chosen: window == chosen,
        emitted: Num::count(stats.emitted),
        transferred: Num::count(stats.transferred),
        acked: Num::count(stats.acked),
        failed: Num::bad(stats.failed),
        mean: Num::latency(components::mean(latency)),
        p50: Num::latency(components::quantile(latency, 0.5)),
        p99: Num::latency(components::quantile(latency, 0.99)),
        max: Num::latency((!latency.is_empty()).then(|| latency.max())),
    }
}
