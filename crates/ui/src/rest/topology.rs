//! Topologies: all of them, and one in full.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};
use storm_figures::{Figures, TopologyFigures, Window};
use storm_model::{ComponentId, ComponentKind};
use storm_rpc::v1;

use super::errors::LastError;
use super::format::{AskedWindow, Links, Resources, STORM_VERSION, encode, fraction, mean, uptime};
use super::supervisors::WorkerRow;
use crate::options::Options;
use crate::pages::text;
use crate::view::{ClusterView, TopologyView};

/// `topology.message.timeout.secs` where a configuration does not say.
const MESSAGE_TIMEOUT_SECS: u64 = 30;
/// What Storm offers before anybody chose a share of tuples to write down.
const SAMPLING_PERCENT: f64 = 10.0;

/// `/topology/summary`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct TopologySummary {
    pub scheduler_display_resource: bool,
    pub topologies: Vec<TopologyRow>,
}

/// A topology in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct TopologyRow {
    pub id: String,
    pub encoded_id: String,
    pub owner: String,
    pub name: String,
    pub status: &'static str,
    pub uptime: String,
    pub uptime_seconds: u64,
    pub tasks_total: u32,
    pub workers_total: u32,
    pub executors_total: u32,
    pub replication_count: usize,
    pub scheduler_info: Option<String>,
    #[serde(flatten)]
    pub resources: Resources,
    pub topology_version: Option<String>,
    pub storm_version: &'static str,
    /// Ours: workers that it asks for.
    pub workers_requested: u32,
    /// Ours: executors without a place.
    pub executors_unplaced: u32,
}

impl TopologyRow {
    /// In a cluster with so many Nimbuses: each keeps a copy of its binary.
    pub fn new(summary: &v1::TopologySummary, nimbuses: usize) -> TopologyRow {
        let unplaced = summary.unplaced_executors;
        TopologyRow {
            id: summary.id.clone(),
            encoded_id: encode(&summary.id),
            owner: summary.owner.clone(),
            name: summary.name.clone(),
            status: summary.status().as_str_name(),
            uptime: uptime(summary.uptime_secs),
            uptime_seconds: summary.uptime_secs,
            tasks_total: summary.tasks_total,
            workers_total: summary.workers_total,
            executors_total: summary.executors_total,
            replication_count: nimbuses,
            scheduler_info: (unplaced > 0).then(|| {
                let all = text::counted(summary.executors_total.into(), "executor", "executors");
                format!("{unplaced} of {all} {} no place", text::noun(unplaced.into(), "has", "have"))
            }),
            resources: Resources::default(),
            topology_version: None,
            storm_version: STORM_VERSION,
            workers_requested: summary.workers_requested,
            executors_unplaced: unplaced,
        }
    }
}

/// All topologies.
pub fn topology_summary(view: &ClusterView) -> TopologySummary {
    let nimbuses = view.cluster.nimbuses.len();
    TopologySummary {
        scheduler_display_resource: false,
        topologies: view.topologies.iter().map(|summary| TopologyRow::new(summary, nimbuses)).collect(),
    }
}

/// `/topology/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct TopologyPage {
    #[serde(flatten)]
    pub topology: TopologyRow,
    pub user: Option<String>,
    pub window: String,
    pub window_hint: &'static str,
    pub msg_timeout: u64,
    pub configuration: Map<String, Value>,
    pub visualization_table: Vec<Value>,
    pub scheduler_display_resource: bool,
    #[serde(rename = "bugtracker-url")]
    pub bugtracker_url: Option<String>,
    #[serde(rename = "central-log-url")]
    pub central_log_url: Option<String>,
    pub requested_regular_on_heap_mem: f64,
    pub requested_shared_on_heap_mem: f64,
    pub requested_regular_off_heap_mem: f64,
    pub requested_shared_off_heap_mem: f64,
    pub assigned_regular_on_heap_mem: f64,
    pub assigned_shared_on_heap_mem: f64,
    pub assigned_regular_off_heap_mem: f64,
    pub assigned_shared_off_heap_mem: f64,
    pub topology_stats: Vec<WindowRow>,
    pub workers: Vec<WorkerRow>,
    pub spouts: Vec<SpoutRow>,
    pub bolts: Vec<BoltRow>,
    pub debug: bool,
    pub sampling_pct: f64,
    /// Ours: every worker does what it is meant to do now.
    pub settled: bool,
    /// Ours: all spouts are done and nothing is pending.
    pub complete: bool,
}

/// A topology in a window.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct WindowRow {
    pub window: &'static str,
    pub window_pretty: &'static str,
    pub emitted: u64,
    pub transferred: u64,
    pub complete_latency: String,
    pub acked: u64,
    pub failed: u64,
}

/// What spouts and bolts have in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct ComponentRow {
    pub executors: u32,
    pub tasks: u32,
    pub emitted: u64,
    pub transferred: u64,
    pub acked: u64,
    pub failed: u64,
    pub requested_mem_on_heap: f64,
    pub requested_mem_off_heap: f64,
    pub requested_cpu: f64,
    pub requested_generic_resources_comp: String,
    #[serde(flatten)]
    pub last_error: LastError,
}

/// A spout.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct SpoutRow {
    pub spout_id: String,
    pub encoded_spout_id: String,
    #[serde(flatten)]
    pub common: ComponentRow,
    pub complete_latency: String,
    /// Ours: trees that are neither acked nor failed now.
    pub pending: u64,
}

/// A bolt.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct BoltRow {
    pub bolt_id: String,
    pub encoded_bolt_id: String,
    #[serde(flatten)]
    pub common: ComponentRow,
    pub capacity: String,
    pub execute_latency: String,
    pub executed: u64,
    pub process_latency: String,
    /// Ours: how full the fullest inbox of its executors is, from 0 to 1.
    pub queue_fill: f64,
}

/// A topology in full.
pub fn topology_page(
    view: &TopologyView,
    nimbuses: usize,
    window: &AskedWindow,
    options: &Options,
    user: Option<String>,
    links: &Links,
) -> TopologyPage {
    let summary = view.summary();
    let mut topology = TopologyRow::new(&summary, nimbuses);
    if !view.status.explanation.is_empty() {
        topology.scheduler_info = Some(view.status.explanation.clone());
    }
    let (debug, sampling_pct) = debug(view, "");
    let mut spouts = Vec::new();
    let mut bolts = Vec::new();
    for (id, spec) in &view.spec.components {
        let found = view.figures.component(id.as_str());
        let nothing = Figures::default();
        let figures = found.map_or(&nothing, |component| &component.figures[window.window]);
        let common = component_row(view, id, figures, links);
        match spec.kind {
            ComponentKind::Spout => spouts.push(SpoutRow {
                spout_id: id.to_string(),
                encoded_spout_id: encode(id.as_str()),
                common,
                complete_latency: mean(&figures.complete_latency),
                pending: found.map_or(0, |component| component.gauges.pending),
            }),
            ComponentKind::Bolt => bolts.push(BoltRow {
                bolt_id: id.to_string(),
                encoded_bolt_id: encode(id.as_str()),
                common,
                // As in Storm it is that of the last ten minutes, whatever the window is.
                capacity: fraction(found.map_or(0.0, |c| c.figures[Window::TenMinutes].capacity)),
                execute_latency: mean(&figures.execute_latency),
                executed: figures.executed,
                process_latency: mean(&figures.process_latency),
                queue_fill: found.map_or(0.0, |component| component.gauges.queue_fill),
            }),
        }
    }
    let workers = view.status.workers.iter();
    TopologyPage {
        topology,
        user,
        window: window.asked.clone(),
        window_hint: window.hint(),
        msg_timeout: message_timeout(&view.config),
        configuration: view.config.clone(),
        visualization_table: Vec::new(),
        scheduler_display_resource: false,
        bugtracker_url: options.bugtracker.clone(),
        central_log_url: options.central_log.clone(),
        requested_regular_on_heap_mem: 0.0,
        requested_shared_on_heap_mem: 0.0,
        requested_regular_off_heap_mem: 0.0,
        requested_shared_off_heap_mem: 0.0,
        assigned_regular_on_heap_mem: 0.0,
        assigned_shared_on_heap_mem: 0.0,
        assigned_regular_off_heap_mem: 0.0,
        assigned_shared_off_heap_mem: 0.0,
        topology_stats: Window::ALL.map(|window| window_row(&view.figures, window)).into(),
        workers: workers.map(|worker| WorkerRow::of_topology(worker, &summary, links)).collect(),
        spouts,
        bolts,
        debug,
        sampling_pct,
        settled: view.status.is_settled,
        complete: view.status.is_complete,
    }
}

fn window_row(figures: &TopologyFigures, window: Window) -> WindowRow {
    let stats = figures.stats(window);
    WindowRow {
        window: window.key(),
        window_pretty: window.title(),
        emitted: stats.emitted,
        transferred: stats.transferred,
        complete_latency: mean(&stats.complete_latency),
        acked: stats.acked,
        failed: stats.failed,
    }
}

fn component_row(view: &TopologyView, id: &ComponentId, figures: &Figures, links: &Links) -> ComponentRow {
    let (executors, tasks) = parallelism(view, id);
    ComponentRow {
        executors,
        tasks,
        emitted: figures.emitted,
        transferred: figures.transferred,
        acked: figures.acked,
        failed: figures.failed,
        requested_mem_on_heap: 0.0,
        requested_mem_off_heap: 0.0,
        requested_cpu: 0.0,
        requested_generic_resources_comp: String::new(),
        last_error: LastError::of(view, id, links),
    }
}

/// Executors and tasks of a component; a rebalance may have changed what its specification says.
pub(crate) fn parallelism(view: &TopologyView, id: &ComponentId) -> (u32, u32) {
    let told = view.status.components.iter().find(|component| *id == *component.id);
    let told = told.map(|component| (component.executors, component.tasks));
    let spec = || view.spec.components.get(id).map(|component| (component.executors, component.tasks));
    told.or_else(spec).unwrap_or_default()
}

/// Whether tuples are written down, and which share of them: of a component, or of all where it is
/// empty or says nothing of its own.
pub(crate) fn debug(view: &TopologyView, component: &str) -> (bool, f64) {
    let of = |id: &str| view.status.debug.iter().find(|option| option.component == id);
    match of(component).or_else(|| of("")) {
        Some(option) if option.enable => (true, option.sampling_percent),
        _ => (false, SAMPLING_PERCENT),
    }
}

fn message_timeout(config: &Map<String, Value>) -> u64 {
    let value = config.get("topology.message.timeout.secs").and_then(Value::as_f64);
    value.map_or(MESSAGE_TIMEOUT_SECS, |secs| secs as u64)
}

/// `/topology-workers/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct TopologyWorkers {
    pub host_port_list: Vec<HostPort>,
    pub logviewer_port: u16,
    pub logviewer_scheme: &'static str,
}

/// Where a worker runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[expect(missing_docs, reason = "it says itself")]
pub struct HostPort {
    pub host: String,
    pub port: u32,
}

/// Where a topology's workers run.
pub fn topology_workers(view: &TopologyView, links: &Links) -> TopologyWorkers {
    let places = view.status.workers.iter();
    let places = places.map(|worker| HostPort { host: worker.host.clone(), port: worker.port });
    TopologyWorkers {
        host_port_list: places.collect::<BTreeSet<_>>().into_iter().collect(),
        logviewer_port: links.port(),
        logviewer_scheme: links.scheme,
    }
}

/// `/topology/{id}/logconfig`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the field is Storm's")]
pub struct LogConfig {
    pub named_logger_levels: BTreeMap<String, LoggerLevel>,
}

/// What a logger tells, how long, and what it tells afterwards.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct LoggerLevel {
    pub target_level: String,
    pub reset_level: Option<String>,
    pub timeout: u32,
    pub timeout_epoch: u64,
}

/// The loggers that were told something else than at the start.
pub fn log_config(view: &TopologyView) -> LogConfig {
    let level = |level: &v1::LogLevel| {
        let told = LoggerLevel {
            target_level: level.level.clone(),
            reset_level: (!level.reset_level.is_empty()).then(|| level.reset_level.clone()),
            timeout: level.timeout_secs,
            timeout_epoch: level.until_ms,
        };
        (level.logger.clone(), told)
    };
    LogConfig { named_logger_levels: view.status.log_levels.iter().map(level).collect() }
}
