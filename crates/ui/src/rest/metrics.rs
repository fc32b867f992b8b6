//! Every figure of a topology by stream.

use serde::Serialize;
use serde_json::Value;
use storm_figures::{ComponentFigures, InputFigures, InputTotal, OutputTotal, StreamFigures};
use storm_model::ComponentKind;

use super::format::{AskedWindow, mean};
use crate::view::TopologyView;

/// `/topology/{id}/metrics`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct TopologyMetrics {
    pub window: String,
    #[serde(rename = "window-hint")]
    pub window_hint: &'static str,
    pub spouts: Vec<SpoutMetrics>,
    pub bolts: Vec<BoltMetrics>,
}

/// A spout, by its streams.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct SpoutMetrics {
    pub id: String,
    pub emitted: Vec<OfStream>,
    pub transferred: Vec<OfStream>,
    pub acked: Vec<OfStream>,
    pub failed: Vec<OfStream>,
    pub complete_ms_avg: Vec<OfStream>,
}

/// A bolt, by its streams and inputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct BoltMetrics {
    pub id: String,
    pub emitted: Vec<OfStream>,
    pub transferred: Vec<OfStream>,
    pub acked: Vec<OfInput>,
    pub failed: Vec<OfInput>,
    pub executed: Vec<OfInput>,
    pub process_ms_avg: Vec<OfInput>,
    pub executed_ms_avg: Vec<OfInput>,
}

/// A figure of a stream that is emitted to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct OfStream {
    pub stream_id: String,
    pub value: Value,
}

/// A figure of an input.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct OfInput {
    pub component_id: String,
    pub stream_id: String,
    pub value: Value,
}

/// Every figure in a window.
pub fn topology_metrics(view: &TopologyView, window: &AskedWindow) -> TopologyMetrics {
    let of_kind = |kind| view.figures.components.iter().filter(move |component| component.kind == kind);
    TopologyMetrics {
        window: window.asked.clone(),
        window_hint: window.hint(),
        spouts: of_kind(ComponentKind::Spout).map(|component| spout(component, window)).collect(),
        bolts: of_kind(ComponentKind::Bolt).map(|component| bolt(component, window)).collect(),
    }
}

fn spout(component: &ComponentFigures, window: &AskedWindow) -> SpoutMetrics {
    let all = |value: fn(&OutputTotal) -> Value| streams(component, window, value);
    SpoutMetrics {
        id: component.component.to_string(),
        emitted: all(|total| total.emitted.into()),
        transferred: all(|total| total.transferred.into()),
        acked: all(|total| total.acked.into()),
        failed: all(|total| total.failed.into()),
        complete_ms_avg: all(|total| mean(&total.complete_latency).into()),
    }
}

fn bolt(component: &ComponentFigures, window: &AskedWindow) -> BoltMetrics {
    let all = |value: fn(&InputTotal) -> Value| inputs(component, window, value);
    BoltMetrics {
        id: component.component.to_string(),
        emitted: streams(component, window, |total| total.emitted.into()),
        transferred: streams(component, window, |total| total.transferred.into()),
        acked: all(|total| total.acked.into()),
        failed: all(|total| total.failed.into()),
        executed: all(|total| total.executed.into()),
        process_ms_avg: all(|total| mean(&total.process_latency).into()),
        executed_ms_avg: all(|total| mean(&total.execute_latency).into()),
    }
}

fn streams(
    component: &ComponentFigures,
    window: &AskedWindow,
    value: fn(&OutputTotal) -> Value,
) -> Vec<OfStream> {
    let of = |stream: &StreamFigures| OfStream {
        stream_id: stream.stream.to_string(),
        value: value(&stream.figures[window.window]),
    };
    component.streams.iter().map(of).collect()
}

fn inputs(
    component: &ComponentFigures,
    window: &AskedWindow,
    value: fn(&InputTotal) -> Value,
) -> Vec<OfInput> {
    let of = |input: &InputFigures| OfInput {
        component_id: input.component.to_string(),
        stream_id: input.stream.to_string(),
        value: value(&input.figures[window.window]),
    };
    component.inputs.iter().map(of).collect()
}
