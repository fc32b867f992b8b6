//! A spout or bolt: what it waits for, and its figures by stream, input, executor and task.

use askama::Template;
use storm_figures::{ComponentFigures, Figures, Latency, MetricValue, UserMetric, Window};
use storm_model::{ComponentKind, ComponentSpec};

use crate::app::App;
use crate::draw::{Html, graph, histogram};
use crate::pages::cluster::Tile;
use crate::pages::components::{self, Failure, mean, per_sec, quantile};
use crate::pages::parts::{self, Num};
use crate::pages::topology::{self, Choice, Head};
use crate::pages::{Ask, Page, Trouble, supervisor, text};
use crate::rest::topology::parallelism;
use crate::view::{ClusterView, TopologyView};

/// Rows that a table shows at first; more on demand.
const ROWS: usize = 100;

#[derive(Template)]
#[template(path = "component.html")]
struct Component<'a> {
    root: &'a str,
    head: Head,
    id: &'a str,
    href: String,
    is_bolt: bool,
    is_bottleneck: bool,
    waits: Html,
    tiles: Vec<Tile>,
    graph: Html,
    windows: Vec<Choice>,
    window: Window,
    histograms: Vec<(&'static str, &'static str, Html)>,
    streams: Vec<Stream>,
    inputs: Vec<Input>,
    executors: Vec<Executor>,
    tasks: Vec<Task>,
    /// Rows that are left out.
    hidden: usize,
    errors: Vec<Failure>,
    metrics: Vec<Metric>,
    config: Vec<(String, String)>,
}

#[derive(Debug)]
struct Stream {
    name: String,
    fields: String,
    rate: Num,
    emitted: Num,
    transferred: Num,
    acked: Num,
    failed: Num,
    complete: Num,
    complete_p99: Num,
}

#[derive(Debug)]
struct Input {
    component: String,
    href: String,
    stream: String,
    grouping: String,
    rate: Num,
    executed: Num,
    acked: Num,
    failed: Num,
    execute: Num,
    execute_p99: Num,
    process: Num,
    process_p99: Num,
}

#[derive(Debug)]
struct Executor {
    tasks: String,
    first: u32,
    address: String,
    logs: String,
    is_silent: bool,
    uptime: Num,
    rate: Num,
    emitted: Num,
    executed: Num,
    acked: Num,
    failed: Num,
    latency: Num,
    latency_p99: Num,
    process: Num,
    waited: Num,
    pending: Num,
    capacity: Html,
    queue: Html,
}

#[derive(Debug)]
struct Task {
    id: u32,
    address: String,
    done: Html,
    emitted: Num,
    acked: Num,
    failed: Num,
    latency: Num,
    pending: Num,
    lives: Num,
}

#[derive(Debug)]
struct Metric {
    name: String,
    task: String,
    kind: &'static str,
    value: String,
    sort: f64,
    title: String,
}

pub(super) async fn page(app: &App, ask: &Ask, id: &str, component: &str) -> Result<Page, Trouble> {
    let (view, cluster) = topology::with_cluster(app, id).await?;
    let Some(spec) = view.spec.components.get(component) else {
        let name = view.summary().name;
        return Err(Trouble::NotFound(format!("Topology '{name}' has no component '{component}'.")));
    };
    let window = topology::window(ask);
    let diagnosis = view.diagnosis();
    let prefix = topology::prefix(ask, &view);
    let none = ComponentFigures {
        component: component.into(),
        kind: spec.kind,
        figures: Default::default(),
        streams: Vec::new(),
        inputs: Vec::new(),
        gauges: Default::default(),
        executors: Vec::new(),
        tasks: Vec::new(),
        metrics: Vec::new(),
    };
    let counted = view.figures.component(component).unwrap_or(&none);
    let is_bolt = spec.kind == ComponentKind::Bolt;
    let places = Places { view: &view, cluster: cluster.as_deref(), component };
    let mut executors = executors(counted, &places, window);
    let mut tasks = tasks(counted, &places, window);
    let hidden =
        if ask.get("rows") == "all" { 0 } else { executors.len().max(tasks.len()).saturating_sub(ROWS) };
    if hidden > 0 {
        // The busiest ones are looked for.
        executors.sort_by(|a, b| b.rate.sort.total_cmp(&a.rate.sort));
        executors.truncate(ROWS);
        tasks.truncate(ROWS);
    }
    let page = Component {
        root: &ask.root,
        head: topology::head(app, &view),
        id: component,
        href: text::encoded(component),
        is_bolt,
        is_bottleneck: diagnosis.bottleneck.as_ref().is_some_and(|bottleneck| *bottleneck == component),
        waits: diagnosis
            .waits
            .get(component)
            .map(|waits| parts::words(waits, &view.spec, &prefix))
            .unwrap_or_default(),
        tiles: tiles(counted, parallelism(&view, &component.into()), window),
        graph: graph::draw(&components::graph(&view, &diagnosis, &prefix, Some(component))),
        windows: topology::windows(ask, window),
        window,
        histograms: histograms(&counted.figures[window], is_bolt),
        streams: streams(counted, spec, window),
        inputs: inputs(counted, spec, window),
        executors,
        tasks,
        hidden,
        errors: components::failures(&view, cluster.as_deref(), Some(component)),
        metrics: metrics(counted),
        config: spec
            .config
            .iter()
            .map(|(key, value)| (key.clone(), crate::pages::config::shown(value)))
            .collect(),
    };
    Ok(Page::live(format!("{component} of {}", page.head.name), &page))
}

/// Where the tasks of a component run.
struct Places<'a> {
    view: &'a TopologyView,
    cluster: Option<&'a ClusterView>,
    component: &'a str,
}

impl Places<'_> {
    /// Address of the worker that has a task, and the link to its log; empty while it is not placed.
    fn of(&self, task: u32) -> (String, String) {
        let has_it = |worker: &&storm_rpc::v1::WorkerStatus| {
            worker.executors.iter().any(|executor| {
                executor.component == self.component
                    && (executor.first_task..=executor.last_task).contains(&task)
            })
        };
        let Some(worker) = self.view.status.workers.iter().find(has_it) else { return Default::default() };
        let supervisors = self.cluster.map_or(&[][..], |cluster| &cluster.cluster.supervisors);
        let supervisor = supervisors.iter().find(|supervisor| supervisor.id == worker.supervisor_id);
        let logs = supervisor.map_or(String::new(), |supervisor| {
            supervisor::worker_log(&supervisor::address(supervisor), &self.view.summary().id, worker.port)
        });
        (format!("{}:{}", worker.host, worker.port), logs)
    }
}

fn tiles(counted: &ComponentFigures, (executors, tasks): (u32, u32), window: Window) -> Vec<Tile> {
    let figures = &counted.figures[window];
    let gauges = &counted.gauges;
    let tile = |name, value, note, class, title| Tile { name, value, note, class, title };
    let both = |latency: &Latency| {
        let text = |value: Option<std::time::Duration>| value.map_or_else(|| "–".to_owned(), text::latency);
        (text(mean(latency)), format!("p99 {}", text(quantile(latency, 0.99))))
    };
    let failed = tile(
        "Failed",
        text::short(figures.failed as f64),
        format!(
            "{} of what ended",
            text::percent(figures.failed as f64 / (figures.failed + figures.acked).max(1) as f64)
        ),
        if figures.failed > 0 { "warn" } else { "" },
        "tuples failed, those that timed out included",
    );
    let executors = tile(
        "Executors",
        text::exact(executors.into()),
        text::counted(tasks.into(), "task", "tasks"),
        "",
        "threads, and the instances that they run",
    );
    let emitted = text::rate(per_sec(figures.emitted, figures, window));
    if counted.kind == ComponentKind::Spout {
        let (complete, p99) = both(&figures.complete_latency);
        return vec![
            tile(
                "Emitted",
                emitted,
                format!("{} in all", text::short(figures.emitted as f64)),
                "",
                "tuples emitted a second",
            ),
            tile(
                "Complete latency",
                complete,
                p99,
                "",
                "from the emit to the ack of the tree: mean, and 99th percentile",
            ),
            tile(
                "Pending",
                text::short(gauges.pending as f64),
                text::noun(gauges.pending, "tree", "trees").to_owned(),
                "",
                "trees that are neither acked nor failed",
            ),
            failed,
            tile(
                "Replayed",
                text::short(figures.replayed as f64),
                format!("{} lost", text::short(figures.lost as f64)),
                "",
                "tuples emitted again after they had failed; trees that were pending when a life of their task ended",
            ),
            executors,
        ];
    }
    let ((execute, execute_p99), (process, process_p99)) =
        (both(&figures.execute_latency), both(&figures.process_latency));
    let heat = |share: f64| {
        if share > 0.95 {
            "bad"
        } else if share > 0.8 {
            "warn"
        } else {
            ""
        }
    };
    vec![
        tile(
            "Executed",
            text::rate(per_sec(figures.executed, figures, window)),
            format!("{emitted} emitted"),
            "",
            "tuples executed a second, and tuples emitted",
        ),
        tile(
            "Capacity",
            format!("{:.2}", figures.capacity),
            "busiest executor".to_owned(),
            heat(figures.capacity),
            "share of the time spent in execute: about 1 is the limit",
        ),
        tile(
            "Queue",
            text::percent(gauges.queue_fill),
            format!(
                "of {} {}",
                text::short(gauges.window_rows as f64),
                text::noun(gauges.window_rows, "row", "rows")
            ),
            heat(gauges.queue_fill),
            "how full the fullest inbox of its executors is now",
        ),
        tile("Execute latency", execute, execute_p99, "", "time within execute: mean, and 99th percentile"),
        tile(
            "Process latency",
            process,
            process_p99,
            "",
            "from the start of execute to the ack: mean, and 99th percentile",
        ),
        failed,
        tile(
            "Retained",
            text::short(gauges.retained as f64),
            if gauges.retained > 0 {
                format!("oldest {}", text::latency(gauges.oldest_retained))
            } else {
                text::noun(gauges.retained, "tuple", "tuples").to_owned()
            },
            "",
            "tuples that it keeps, to ack or fail them later",
        ),
        executors,
    ]
}

fn histograms(figures: &Figures, is_bolt: bool) -> Vec<(&'static str, &'static str, Html)> {
    let mut all = if is_bolt {
        vec![
            ("Execute latency", "time within execute", histogram::latency(&figures.execute_latency)),
            (
                "Process latency",
                "from the start of execute to the ack",
                histogram::latency(&figures.process_latency),
            ),
        ]
    } else {
        let what = "from the emit of a tuple to the ack of its tree";
        vec![("Complete latency", what, histogram::latency(&figures.complete_latency))]
    };
    all.push((
        "Queue latency",
        "how long rows waited for their executor",
        histogram::latency(&figures.queue_latency),
    ));
    all.retain(|(.., drawn)| !drawn.is_empty());
    all
}

fn streams(counted: &ComponentFigures, spec: &ComponentSpec, window: Window) -> Vec<Stream> {
    let figures = &counted.figures[window];
    let stream = |stream: &storm_model::StreamSpec| {
        let total = counted.streams.iter().find(|s| s.stream == stream.id).map(|s| s.figures[window].clone());
        let total = total.unwrap_or_default();
        let fields: Vec<String> = stream.fields.iter().map(ToString::to_string).collect();
        Stream {
            name: stream.id.to_string(),
            fields: fields.join(", "),
            rate: Num::rate(per_sec(total.emitted, figures, window)),
            emitted: Num::count(total.emitted),
            transferred: Num::count(total.transferred),
            acked: Num::count(total.acked),
            failed: Num::bad(total.failed),
            complete: Num::latency(mean(&total.complete_latency)),
            complete_p99: Num::latency(quantile(&total.complete_latency, 0.99)),
        }
    };
    spec.outputs.iter().map(stream).collect()
}

fn inputs(counted: &ComponentFigures, spec: &ComponentSpec, window: Window) -> Vec<Input> {
    let figures = &counted.figures[window];
    let input = |input: &storm_model::InputSpec| {
        let total =
            counted.inputs.iter().find(|i| i.component == input.component && i.stream == input.stream);
        let total = total.map(|total| total.figures[window].clone()).unwrap_or_default();
        Input {
            component: input.component.to_string(),
            href: text::encoded(input.component.as_str()),
            stream: input.stream.to_string(),
            grouping: components::grouping(&input.grouping),
            rate: Num::rate(per_sec(total.executed, figures, window)),
            executed: Num::count(total.executed),
            acked: Num::count(total.acked),
            failed: Num::bad(total.failed),
            execute: Num::latency(mean(&total.execute_latency)),
            execute_p99: Num::latency(quantile(&total.execute_latency, 0.99)),
            process: Num::latency(mean(&total.process_latency)),
            process_p99: Num::latency(quantile(&total.process_latency, 0.99)),
        }
    };
    spec.inputs.iter().map(input).collect()
}

fn executors(counted: &ComponentFigures, places: &Places<'_>, window: Window) -> Vec<Executor> {
    let is_bolt = counted.kind == ComponentKind::Bolt;
    let executor = |executor: &storm_figures::ExecutorFigures| {
        let figures = &executor.figures[window];
        let (first, last) = (executor.executor.first.0, executor.executor.last.0);
        let (address, logs) = places.of(first);
        let latency = if is_bolt { &figures.execute_latency } else { &figures.complete_latency };
        let done = if is_bolt { figures.executed } else { figures.emitted };
        // Workers report about once a second.
        const SILENT_SECS: u64 = 15;
        let is_silent = executor.silent.as_secs() > SILENT_SECS;
        Executor {
            tasks: if first == last { first.to_string() } else { format!("{first}–{last}") },
            first,
            address,
            logs,
            is_silent,
            uptime: if is_silent {
                let text = format!("silent for {}", text::span(executor.silent.as_secs()));
                Num { text, is_bad: true, ..Num::span(executor.uptime.as_secs()) }
            } else {
                Num::span(executor.uptime.as_secs())
            },
            rate: Num::rate(per_sec(done, figures, window)),
            emitted: Num::count(figures.emitted),
            executed: Num::count(figures.executed),
            acked: Num::count(figures.acked),
            failed: Num::bad(figures.failed),
            latency: Num::latency(mean(latency)),
            latency_p99: Num::latency(quantile(latency, 0.99)),
            process: Num::latency(mean(&figures.process_latency)),
            waited: Num::latency(mean(&figures.queue_latency)),
            pending: Num::count(executor.gauges.pending),
            capacity: parts::capacity(is_bolt.then_some(figures.capacity)),
            queue: parts::queue(
                executor.gauges.queue_fill,
                executor.gauges.credit_out,
                executor.gauges.window_rows,
            ),
        }
    };
    counted.executors.iter().map(executor).collect()
}

fn tasks(counted: &ComponentFigures, places: &Places<'_>, window: Window) -> Vec<Task> {
    let is_bolt = counted.kind == ComponentKind::Bolt;
    let done = |task: &storm_figures::TaskFigures| {
        let figures = &task.figures[window];
        if is_bolt { figures.executed } else { figures.emitted }
    };
    let most = counted.tasks.iter().map(done).max().unwrap_or(0);
    let mean_done = counted.tasks.iter().map(done).sum::<u64>() as f64 / counted.tasks.len().max(1) as f64;
    let task = |task: &storm_figures::TaskFigures| {
        let figures = &task.figures[window];
        let latency = if is_bolt { &figures.execute_latency } else { &figures.complete_latency };
        Task {
            id: task.task.0,
            address: places.of(task.task.0).0,
            done: parts::skew(done(task), most, mean_done),
            emitted: Num::count(figures.emitted),
            acked: Num::count(figures.acked),
            failed: Num::bad(figures.failed),
            latency: Num::latency(mean(latency)),
            pending: Num::count(if is_bolt { task.gauges.retained } else { task.gauges.pending }),
            lives: Num::plain(task.incarnation),
        }
    };
    counted.tasks.iter().map(task).collect()
}

/// Counters and histograms of all tasks together, and the gauges of each.
fn metrics(counted: &ComponentFigures) -> Vec<Metric> {
    let shared = counted.metrics.iter().map(|metric| self::metric(metric, "all".to_owned()));
    let gauges = counted.tasks.iter().flat_map(|task| {
        let gauges = task.metrics.iter().filter(|metric| matches!(metric.value, MetricValue::Gauge(_)));
        gauges.map(|metric| self::metric(metric, task.task.to_string()))
    });
    shared.chain(gauges).collect()
}

fn metric(metric: &UserMetric, task: String) -> Metric {
    let (kind, value, sort, title) = match &metric.value {
        MetricValue::Counter(count) => {
            ("counter", text::short(*count as f64), *count as f64, text::exact(*count))
        }
        MetricValue::Gauge(value) => ("gauge", text::short(*value), *value, value.to_string()),
        MetricValue::Histogram(of) => {
            let value = format!(
                "mean {}, p50 {}, p99 {}, max {}",
                text::short(of.mean()),
                text::short(of.quantile(0.5)),
                text::short(of.quantile(0.99)),
                text::short(of.max())
            );
            ("histogram", value, of.mean(), text::counted(of.count(), "number", "numbers"))
        }
    };
    Metric { name: metric.name.clone(), task, kind, value, sort, title }
}
