//! A topology as a graph.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use storm_figures::{StreamFigures, Window};
use storm_model::{ComponentId, ComponentKind, ComponentSpec, InputSpec};

use super::format::{AskedWindow, Links, encode, plain_stream};
use crate::view::TopologyView;

/// `/topology/{id}/visualization`: components by their ids.
pub type Visualization = BTreeMap<String, Node>;

/// A component.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct Node {
    #[serde(rename = ":type")]
    pub kind: &'static str,
    #[serde(rename = ":capacity")]
    pub capacity: f64,
    /// Milliseconds: of a spout to the ack of the tree, of a bolt to the ack.
    #[serde(rename = ":latency")]
    pub latency: f64,
    /// Rows sent, by stream.
    #[serde(rename = ":transferred")]
    pub transferred: BTreeMap<String, u64>,
    #[serde(rename = ":stats")]
    pub stats: Vec<Instance>,
    #[serde(rename = ":link")]
    pub link: String,
    #[serde(rename = ":inputs")]
    pub inputs: Vec<Edge>,
}

/// An executor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct Instance {
    #[serde(rename = ":host")]
    pub host: String,
    #[serde(rename = ":port")]
    pub port: u32,
    #[serde(rename = ":uptime_secs")]
    pub uptime_secs: u64,
    /// Rows sent, by window and stream. What is counted by stream is counted of a component: each of its
    /// executors shows its share.
    #[serde(rename = ":transferred")]
    pub transferred: BTreeMap<&'static str, BTreeMap<String, u64>>,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct Edge {
    #[serde(rename = ":component")]
    pub component: String,
    #[serde(rename = ":stream")]
    pub stream: String,
    #[serde(rename = ":sani-stream")]
    pub plain_stream: String,
    #[serde(rename = ":grouping")]
    pub grouping: String,
}

/// `/topology/{id}/visualization-init`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the field is Storm's")]
pub struct VisualizationInit {
    pub visualization_table: Vec<Vec<StreamBox>>,
}

/// A stream that can be shown or not.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct StreamBox {
    pub stream: String,
    pub sani_stream: String,
    pub checked: bool,
}

/// Streams that stand in a row of the table.
const STREAMS_IN_A_ROW: usize = 4;

/// The streams that are subscribed to, each once.
pub fn visualization_init(view: &TopologyView) -> VisualizationInit {
    let inputs = view.spec.components.values().flat_map(|component| &component.inputs);
    let streams: BTreeSet<&str> = inputs.map(|input| input.stream.as_str()).collect();
    let stream = |stream: &str| StreamBox {
        stream: stream.to_owned(),
        sani_stream: plain_stream(stream),
        checked: !stream.starts_with("__"),
    };
    let boxes: Vec<StreamBox> = streams.into_iter().map(stream).collect();
    VisualizationInit { visualization_table: boxes.chunks(STREAMS_IN_A_ROW).map(<[_]>::to_vec).collect() }
}

/// The graph with what flows through it.
pub fn visualization(view: &TopologyView, window: &AskedWindow, links: &Links) -> Visualization {
    let node =
        |(id, spec): (&ComponentId, &ComponentSpec)| (id.to_string(), node(view, id, spec, window, links));
    view.spec.components.iter().map(node).collect()
}

fn node(
    view: &TopologyView,
    id: &ComponentId,
    spec: &ComponentSpec,
    window: &AskedWindow,
    links: &Links,
) -> Node {
    let component = view.figures.component(id.as_str());
    let figures = component.map(|component| &component.figures[window.window]);
    let latency = figures.map_or(0.0, |figures| {
        let is_spout = spec.kind == ComponentKind::Spout;
        let latency = if is_spout { &figures.complete_latency } else { &figures.process_latency };
        latency.mean().as_secs_f64() * 1e3
    });
    let streams = component.map_or(&[][..], |component| &component.streams);
    let workers = view.status.workers.iter();
    let placed = workers.flat_map(|worker| worker.executors.iter().map(move |executor| (worker, executor)));
    let instance = |(worker, executor): (&storm_rpc::v1::WorkerStatus, &storm_rpc::v1::Executor)| {
        let found = component.and_then(|component| {
            component.executors.iter().find(|figures| figures.executor.first.0 == executor.first_task)
        });
        let share = |window: Window| {
            let all = component.map_or(0, |component| component.figures[window].transferred);
            let mine = found.map_or(0, |found| found.figures[window].transferred);
            if all == 0 { 0.0 } else { mine as f64 / all as f64 }
        };
        let of_window = |window: Window| (window.key(), transferred(streams, window, share(window)));
        Instance {
            host: worker.host.clone(),
            port: worker.port,
            uptime_secs: found.map_or(0, |found| found.uptime.as_secs()),
            transferred: Window::ALL.map(of_window).into(),
        }
    };
    let topology = view.summary().name;
    let edge = |input: &InputSpec| Edge {
        component: input.component.to_string(),
        stream: input.stream.to_string(),
        plain_stream: plain_stream(input.stream.as_str()),
        grouping: input.grouping.name().to_owned(),
    };
    Node {
        kind: if spec.kind == ComponentKind::Spout { "spout" } else { "bolt" },
        capacity: component.map_or(0.0, |component| component.figures[Window::TenMinutes].capacity),
        latency,
        transferred: transferred(streams, window.window, 1.0),
        stats: placed.filter(|(_, executor)| *id == *executor.component).map(instance).collect(),
        link: format!("{}/topology/{}/component/{}", links.prefix, in_path(&topology), in_path(id.as_str())),
        inputs: spec.inputs.iter().map(edge).collect(),
    }
}

fn transferred(streams: &[StreamFigures], window: Window, share: f64) -> BTreeMap<String, u64> {
    let of = |stream: &StreamFigures| {
        let count = stream.figures[window].transferred as f64 * share;
        (plain_stream(stream.stream.as_str()), count.round() as u64)
    };
    streams.iter().map(of).collect()
}

/// In a path a space is no plus.
fn in_path(text: &str) -> String {
    encode(text).replace('+', "%20")
}
