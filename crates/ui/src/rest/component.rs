//! A spout or bolt in full.

use serde::Serialize;
use serde_json::Value;
use storm_figures::{ComponentFigures, ExecutorFigures, Figures, InputFigures, StreamFigures, Window};
use storm_model::{ComponentId, ComponentKind};

use super::errors::{self, ErrorRow, LastError};
use super::format::{AskedWindow, Links, encode, fraction, mean, uptime};
use super::jsonp::Failure;
use super::topology::{debug, parallelism};
use crate::view::TopologyView;

/// `/topology/{id}/component/{component}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct ComponentPage {
    pub user: Option<String>,
    pub id: String,
    pub encoded_id: String,
    /// Name of the topology.
    pub name: String,
    pub executors: u32,
    pub tasks: u32,
    pub requested_mem_on_heap: f64,
    pub requested_mem_off_heap: f64,
    pub requested_cpu: f64,
    pub requested_generic_resources: String,
    pub scheduler_display_resource: bool,
    pub topology_id: String,
    pub encoded_topology_id: String,
    pub topology_status: &'static str,
    pub window: String,
    pub component_type: &'static str,
    pub window_hint: &'static str,
    pub debug: bool,
    pub sampling_pct: f64,
    pub event_log_link: String,
    pub profiling_and_debugging_capable: bool,
    pub profile_action_enabled: bool,
    pub profiler_active: Vec<Value>,
    pub component_errors: Vec<ErrorRow>,
    #[serde(flatten)]
    pub stats: Stats,
}

/// What differs between spouts and bolts.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all_fields = "camelCase", untagged)]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub enum Stats {
    Spout {
        spout_summary: Vec<SpoutFigures>,
        output_stats: Vec<SpoutOutput>,
        executor_stats: Vec<SpoutExecutor>,
    },
    Bolt {
        bolt_stats: Vec<BoltFigures>,
        input_stats: Vec<BoltInput>,
        output_stats: Vec<BoltOutput>,
        executor_stats: Vec<BoltExecutor>,
    },
}

/// What was counted: with tuples of every kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct Counts {
    pub emitted: u64,
    pub transferred: u64,
    pub acked: u64,
    pub failed: u64,
}

/// A spout in a window.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct SpoutFigures {
    pub window: &'static str,
    pub window_pretty: &'static str,
    #[serde(flatten)]
    pub counts: Counts,
    pub complete_latency: String,
    pub last_error: String,
}

/// A stream of a spout.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct SpoutOutput {
    pub stream: String,
    #[serde(flatten)]
    pub counts: Counts,
    pub complete_latency: String,
}

/// Where an executor runs, and since when.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct ExecutorPlace {
    pub id: String,
    pub encoded_id: String,
    pub uptime: String,
    pub uptime_seconds: u64,
    pub host: String,
    pub port: u32,
    pub worker_log_link: String,
    #[serde(flatten)]
    pub counts: Counts,
}

/// An executor of a spout.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct SpoutExecutor {
    #[serde(flatten)]
    pub place: ExecutorPlace,
    pub complete_latency: String,
}

/// A bolt in a window.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct BoltFigures {
    pub window: &'static str,
    pub window_pretty: &'static str,
    #[serde(flatten)]
    pub counts: Counts,
    #[serde(flatten)]
    pub work: Work,
    pub capacity: String,
}

/// What a bolt did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct Work {
    pub execute_latency: String,
    pub executed: u64,
    pub process_latency: String,
}

/// What a bolt did with one of its inputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct BoltInput {
    pub component: String,
    pub encoded_component_id: String,
    pub stream: String,
    #[serde(flatten)]
    pub work: Work,
    pub acked: u64,
    pub failed: u64,
}

/// A stream of a bolt.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct BoltOutput {
    pub stream: String,
    pub emitted: u64,
    pub transferred: u64,
}

/// An executor of a bolt.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct BoltExecutor {
    #[serde(flatten)]
    pub place: ExecutorPlace,
    #[serde(flatten)]
    pub work: Work,
    pub capacity: String,
    /// Ours: how full its inbox is, from 0 to 1.
    pub queue_fill: f64,
}

/// A component in full.
pub(crate) fn component_page(
    view: &TopologyView,
    component: &str,
    window: &AskedWindow,
    user: Option<String>,
    links: &Links,
) -> Result<ComponentPage, Failure> {
    let summary = view.summary();
    let (id, spec) = find(view, component)?;
    let (executors, tasks) = parallelism(view, id);
    let (debug, sampling_pct) = debug(view, component);
    let place =
        view.status.workers.iter().find(|worker| worker.executors.iter().any(|e| *id == *e.component));
    Ok(ComponentPage {
        user,
        id: id.to_string(),
        encoded_id: encode(component),
        name: summary.name.clone(),
        executors,
        tasks,
        requested_mem_on_heap: 0.0,
        requested_mem_off_heap: 0.0,
        requested_cpu: 0.0,
        requested_generic_resources: String::new(),
        scheduler_display_resource: false,
        encoded_topology_id: encode(&summary.id),
        topology_status: summary.status().as_str_name(),
        window: window.asked.clone(),
        component_type: if spec.kind == ComponentKind::Spout { "spout" } else { "bolt" },
        window_hint: window.hint(),
        debug,
        sampling_pct,
        event_log_link: place.map(|w| links.events_log(&summary.id, &w.host, w.port)).unwrap_or_default(),
        profiling_and_debugging_capable: false,
        profile_action_enabled: false,
        profiler_active: Vec::new(),
        component_errors: errors::of_component(view, id, links),
        stats: stats(view, id, spec.kind, window.window, links),
        topology_id: summary.id,
    })
}

/// A component of a topology.
pub(crate) fn find<'a>(
    view: &'a TopologyView,
    component: &str,
) -> Result<(&'a ComponentId, &'a storm_model::ComponentSpec), Failure> {
    let found = view.spec.components.get_key_value(component);
    let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
    found.ok_or_else(|| {
        Failure::new(status, format!("topology '{}' has no component '{component}'", view.summary().name))
    })
}

fn stats(view: &TopologyView, id: &ComponentId, kind: ComponentKind, window: Window, links: &Links) -> Stats {
    let nothing = ComponentFigures {
        component: id.clone(),
        kind,
        figures: Default::default(),
        streams: Vec::new(),
        inputs: Vec::new(),
        gauges: Default::default(),
        executors: Vec::new(),
        tasks: Vec::new(),
        metrics: Vec::new(),
    };
    let component = view.figures.component(id.as_str()).unwrap_or(&nothing);
    let executors = executors(view, component, window, links);
    match kind {
        ComponentKind::Spout => {
            let last_error = LastError::of(view, id, links).last_error;
            let windows = component.figures.iter().map(|(window, figures)| SpoutFigures {
                window: window.key(),
                window_pretty: window.title(),
                counts: counts(figures),
                complete_latency: mean(&figures.complete_latency),
                last_error: last_error.clone(),
            });
            let executor = |(place, figures, _): (ExecutorPlace, Figures, f64)| SpoutExecutor {
                place,
                complete_latency: mean(&figures.complete_latency),
            };
            Stats::Spout {
                spout_summary: windows.collect(),
                output_stats: component.streams.iter().map(|stream| spout_output(stream, window)).collect(),
                executor_stats: executors.map(executor).collect(),
            }
        }
        ComponentKind::Bolt => {
            let windows = component.figures.iter().map(|(window, figures)| BoltFigures {
                window: window.key(),
                window_pretty: window.title(),
                counts: counts(figures),
                work: work(figures),
                capacity: fraction(figures.capacity),
            });
            let output = |stream: &StreamFigures| BoltOutput {
                stream: stream.stream.to_string(),
                emitted: stream.figures[window].emitted,
                transferred: stream.figures[window].transferred,
            };
            let executor = |(place, figures, queue_fill): (ExecutorPlace, Figures, f64)| BoltExecutor {
                place,
                work: work(&figures),
                capacity: fraction(figures.capacity),
                queue_fill,
            };
            Stats::Bolt {
                bolt_stats: windows.collect(),
                input_stats: component.inputs.iter().map(|input| bolt_input(input, window)).collect(),
                output_stats: component.streams.iter().map(output).collect(),
                executor_stats: executors.map(executor).collect(),
            }
        }
    }
}

fn counts(figures: &Figures) -> Counts {
    let Figures { emitted, transferred, acked, failed, .. } = *figures;
    Counts { emitted, transferred, acked, failed }
}

fn work(figures: &Figures) -> Work {
    Work {
        execute_latency: mean(&figures.execute_latency),
        executed: figures.executed,
        process_latency: mean(&figures.process_latency),
    }
}

fn spout_output(stream: &StreamFigures, window: Window) -> SpoutOutput {
    let figures = &stream.figures[window];
    SpoutOutput {
        stream: stream.stream.to_string(),
        counts: Counts {
            emitted: figures.emitted,
            transferred: figures.transferred,
            acked: figures.acked,
            failed: figures.failed,
        },
        complete_latency: mean(&figures.complete_latency),
    }
}

fn bolt_input(input: &InputFigures, window: Window) -> BoltInput {
    let figures = &input.figures[window];
    BoltInput {
        component: input.component.to_string(),
        encoded_component_id: encode(input.component.as_str()),
        stream: input.stream.to_string(),
        work: Work {
            execute_latency: mean(&figures.execute_latency),
            executed: figures.executed,
            process_latency: mean(&figures.process_latency),
        },
        acked: figures.acked,
        failed: figures.failed,
    }
}

/// The executors that have a place, with what they did. One that has not reported yet did nothing.
/// The capacity is that of the last ten minutes, as in Storm.
fn executors<'a>(
    view: &'a TopologyView,
    component: &'a ComponentFigures,
    window: Window,
    links: &'a Links,
) -> impl Iterator<Item = (ExecutorPlace, Figures, f64)> + 'a {
    let id = view.summary().id;
    let workers = view.status.workers.iter();
    let placed = workers.flat_map(|worker| worker.executors.iter().map(move |executor| (worker, executor)));
    let mut mine: Vec<_> = placed.filter(|(_, e)| component.component == *e.component).collect();
    mine.sort_by_key(|(_, executor)| executor.first_task);
    mine.into_iter().map(move |(worker, executor)| {
        let is_it = |figures: &&ExecutorFigures| {
            let id = figures.executor;
            (id.first.0, id.last.0) == (executor.first_task, executor.last_task)
        };
        let found = component.executors.iter().find(is_it);
        let mut figures = found.map(|found| found.figures[window].clone()).unwrap_or_default();
        figures.capacity = found.map_or(0.0, |found| found.figures[Window::TenMinutes].capacity);
        let up = found.map_or(0, |found| found.uptime.as_secs());
        let name = format!("[{}-{}]", executor.first_task, executor.last_task);
        let place = ExecutorPlace {
            encoded_id: encode(&name),
            id: name,
            uptime: uptime(up),
            uptime_seconds: up,
            host: worker.host.clone(),
            port: worker.port,
            worker_log_link: links.worker_log(&id, &worker.host, worker.port),
            counts: counts(&figures),
        };
        (place, figures, found.map_or(0.0, |found| found.gauges.queue_fill))
    })
}
