//! Figures of topologies for people and tools: computed once for all that ask at about the same time.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use storm_figures::{Keepers, Recent, Snapshot};
use storm_model::{ComponentId, ComponentKind, ComponentSpec, ExecutorId, SupervisorId, Time};
use storm_rpc::v1;

use crate::assign;
use crate::state::Topology;

/// How old figures may be, for each task that they are computed from: it takes up to a third of that.
const FIGURES_PER_TASK: Duration = Duration::from_millis(1);
/// How old they may be at most.
const FIGURES_OLDEST: Duration = Duration::from_secs(2);
/// Figures that nobody has asked for since take memory only.
const FORGET_AFTER: Duration = Duration::from_secs(10);

/// Figures of a topology at a moment: at once what takes next to no time, the rest when somebody who has time
/// asks for it.
#[derive(Debug)]
pub(crate) struct Figured {
    at: Time,
    pub(crate) components: Vec<v1::ComponentStatus>,
    json: OnceLock<(Vec<u8>, Vec<u8>)>,
}

impl Figured {
    fn new(topology: &Topology, now: Time) -> Figured {
        Figured { at: now, components: components(topology), json: OnceLock::new() }
    }

    /// Whether figures and trend were computed.
    pub(crate) fn is_computed(&self) -> bool {
        self.json.get().is_some()
    }

    /// Figures and trend as JSON, computed from what is kept unless somebody has done so. Takes a while then, so it
    /// is for a thread that has time.
    pub(crate) fn json(&self, keeper: &Keepers<SupervisorId>, now: Time) -> &(Vec<u8>, Vec<u8>) {
        self.json.get_or_init(|| {
            let json = (serde_json::to_vec(&keeper.report(now)), serde_json::to_vec(&keeper.trend(now)));
            (json.0.expect("plain data with text keys"), json.1.expect("plain data with text keys"))
        })
    }
}

impl Topology {
    /// Its figures. As computing all of them takes a while where there are many tasks, those of a moment ago will do.
    pub(crate) fn figures(&mut self, now: Time) -> Arc<Figured> {
        let tasks: u32 = self.record().spec.components.values().map(|component| component.tasks).sum();
        let fresh = (FIGURES_PER_TASK * tasks).min(FIGURES_OLDEST);
        match &self.figures {
            Some(known) if now.since(known.at) < fresh => Arc::clone(known),
            _ => {
                let figures = Arc::new(Figured::new(self, now));
                self.figures = Some(Arc::clone(&figures));
                figures
            }
        }
    }

    /// Forgets figures that nobody asks for.
    pub(crate) fn forget_old_figures(&mut self, now: Time) {
        if self.figures.as_ref().is_some_and(|known| now.since(known.at) >= FORGET_AFTER) {
            self.figures = None;
        }
    }
}

fn components(topology: &Topology) -> Vec<v1::ComponentStatus> {
    let (record, mut counts) = (topology.record(), topology.keeper.counts());
    let mut executors: BTreeMap<String, u32> = BTreeMap::new();
    for executor in assign::wanted(&record.spec, &record.executors) {
        *executors.entry(executor.component.to_string()).or_default() += 1;
    }
    let status = |(id, spec): (&ComponentId, &ComponentSpec)| {
        let all = counts.remove(id).unwrap_or_default();
        v1::ComponentStatus {
            id: id.to_string(),
            r#type: match spec.kind {
                ComponentKind::Spout => "spout".to_owned(),
                ComponentKind::Bolt => "bolt".to_owned(),
            },
            executors: executors.get(id.as_str()).copied().unwrap_or(0),
            tasks: spec.tasks,
            emitted: all.emitted,
            transferred: all.transferred,
            executed: all.executed,
            acked: all.acked,
            failed: all.failed,
            pending: all.pending,
        }
    };
    record.spec.components.iter().map(status).collect()
}

/// The last ten minutes of a topology; for lists, so it takes some microseconds only.
pub(crate) fn recent(topology: &Topology, now: Time) -> v1::Recent {
    let Recent { emitted, transferred, acked, failed, pending, complete_latency, rates } =
        topology.keeper.recent(now);
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    v1::Recent {
        emitted,
        transferred,
        acked,
        failed,
        latency_mean_ms: millis(complete_latency.mean()),
        latency_p50_ms: millis(complete_latency.quantile(0.5)),
        latency_p99_ms: millis(complete_latency.quantile(0.99)),
        pending,
        rates,
        span_secs: u32::try_from(Recent::RATE_SPAN.as_secs()).unwrap_or(u32::MAX),
    }
}

/// How busy the executors of a worker were between its last two figures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    /// Of each executor how long it was busy, and how long it had been up then.
    last: BTreeMap<ExecutorId, (Duration, Duration)>,
    share: f64,
}

impl Load {
    /// From 0 to 1, of all executors together.
    pub(crate) fn share(&self) -> f64 {
        self.share
    }

    /// Takes note of what its executors say. One that was started again counts from its start.
    pub(crate) fn note(&mut self, snapshot: &Snapshot) {
        let busy = |e: &storm_figures::ExecutorSnapshot| (e.executor, (e.busy, e.uptime));
        let next: BTreeMap<_, _> = snapshot.executors.iter().map(busy).collect();
        let share = |(executor, (busy, uptime)): (&ExecutorId, &(Duration, Duration))| {
            let last = self.last.get(executor).copied().unwrap_or_default();
            let since = busy.checked_sub(last.0).zip(uptime.checked_sub(last.1));
            let (busy, uptime) = since.unwrap_or((*busy, *uptime));
            (busy.as_secs_f64() / uptime.as_secs_f64().max(1e-9)).clamp(0.0, 1.0)
        };
        if next != self.last && !next.is_empty() {
            self.share = next.iter().map(share).sum::<f64>() / next.len() as f64;
            self.last = next;
        }
    }
}
