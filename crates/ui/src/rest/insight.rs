//! What Storm's interface does not have: percentiles, the last 30 minutes, what holds a topology up.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use storm_figures::{ComponentFigures, Latency, TrendPoint};
use storm_model::ComponentKind;
use storm_rpc::v1;

use super::format::AskedWindow;
use crate::view::TopologyView;

/// `/topology/{id}/percentiles`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "it says itself")]
pub struct Percentiles {
    pub topology_id: String,
    pub window: String,
    pub window_hint: &'static str,
    pub components: Vec<ComponentPercentiles>,
}

/// How long everything takes at a component.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "it says itself")]
pub struct ComponentPercentiles {
    pub id: String,
    pub component_type: &'static str,
    /// Of spouts.
    pub complete_latency: Spread,
    /// Of bolts.
    pub execute_latency: Spread,
    /// Of bolts.
    pub process_latency: Spread,
    /// Of bolts: how long rows waited.
    pub queue_latency: Spread,
    /// How full the fullest inbox is, from 0 to 1.
    pub queue_fill: f64,
}

/// How a latency is distributed, in milliseconds. All are 0 where nothing was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "it says itself")]
pub struct Spread {
    pub count: u64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Spread {
    fn new(latency: &Latency) -> Spread {
        let quantile = |q| millis(latency.quantile(q));
        Spread {
            count: latency.count(),
            mean: millis(latency.mean()),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: millis(latency.max()),
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// How long everything takes.
pub fn percentiles(view: &TopologyView, window: &AskedWindow) -> Percentiles {
    let component = |component: &ComponentFigures| {
        let figures = &component.figures[window.window];
        ComponentPercentiles {
            id: component.component.to_string(),
            component_type: if component.kind == ComponentKind::Spout { "spout" } else { "bolt" },
            complete_latency: Spread::new(&figures.complete_latency),
            execute_latency: Spread::new(&figures.execute_latency),
            process_latency: Spread::new(&figures.process_latency),
            queue_latency: Spread::new(&figures.queue_latency),
            queue_fill: component.gauges.queue_fill,
        }
    };
    Percentiles {
        topology_id: view.summary().id,
        window: window.asked.clone(),
        window_hint: window.hint(),
        components: view.figures.components.iter().map(component).collect(),
    }
}

/// `/topology/{id}/trend`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "it says itself")]
pub struct TrendLine {
    pub topology_id: String,
    /// Time between two points.
    pub span_seconds: f64,
    /// Oldest first.
    pub points: Vec<Point>,
}

/// What happened in a span.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "it says itself")]
pub struct Point {
    pub emitted: u64,
    pub transferred: u64,
    pub acked: u64,
    pub failed: u64,
    pub pending: u64,
    /// Of the complete latency; null where nothing was acked.
    pub p50_ms: Option<f64>,
    /// Of the complete latency; null where nothing was acked.
    pub p99_ms: Option<f64>,
}

/// The last 30 minutes.
pub fn trend(view: &TopologyView) -> TrendLine {
    let point = |point: &TrendPoint| Point {
        emitted: point.emitted,
        transferred: point.transferred,
        acked: point.acked,
        failed: point.failed,
        pending: point.pending,
        p50_ms: point.p50.map(millis),
        p99_ms: point.p99.map(millis),
    };
    TrendLine {
        topology_id: view.summary().id,
        span_seconds: view.trend.span.as_secs_f64(),
        points: view.trend.points.iter().map(point).collect(),
    }
}

/// `/topology/{id}/diagnosis`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "it says itself")]
pub struct DiagnosisPage {
    pub topology_id: String,
    /// What holds the topology up, the most important first.
    pub lines: Vec<String>,
    /// The component that holds the others up.
    pub bottleneck: Option<String>,
    /// What components wait for.
    pub waits: BTreeMap<String, String>,
    /// What the scheduler says.
    pub explanation: String,
    pub unplaced: Vec<UnplacedRow>,
    pub pending_action: Option<PendingAction>,
}

/// Executors of a component without a place.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "it says itself")]
pub struct UnplacedRow {
    pub component: String,
    pub executors: u32,
    pub reason: String,
}

/// What was commanded and is still to come.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingAction {
    /// `kill` or `rebalance`.
    pub kind: String,
    /// Milliseconds since 1970 at which it happens at the latest.
    pub deadline: u64,
}

/// What holds a topology up.
pub fn diagnosis(view: &TopologyView) -> DiagnosisPage {
    let diagnosis = view.diagnosis();
    let unplaced = |unplaced: &v1::Unplaced| UnplacedRow {
        component: unplaced.component.clone(),
        executors: unplaced.executors,
        reason: unplaced.reason.clone(),
    };
    let waits = diagnosis.waits.iter().map(|(component, wait)| (component.to_string(), wait.clone()));
    let action = view.status.pending_action.as_ref();
    DiagnosisPage {
        topology_id: view.summary().id,
        lines: diagnosis.lines.clone(),
        bottleneck: diagnosis.bottleneck.as_ref().map(ToString::to_string),
        waits: waits.collect(),
        explanation: view.status.explanation.clone(),
        unplaced: view.status.unplaced.iter().map(unplaced).collect(),
        pending_action: action
            .map(|action| PendingAction { kind: action.kind.clone(), deadline: action.deadline_ms }),
    }
}
