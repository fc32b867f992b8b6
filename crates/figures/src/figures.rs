//! What people read: the figures of a topology, its components, executors and tasks, in Storm's
//! windows.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use storm_model::{ComponentId, ComponentKind, ExecutorId, StreamId, TaskId};

use crate::latency::Latency;
use crate::snapshot::UserMetric;
use crate::totals::{InputTotal, OutputTotal, TaskTotal};
use crate::window::{Window, Windowed};

/// Figures of a running topology at a moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TopologyFigures {
    /// By component, in order of their ids.
    pub components: Vec<ComponentFigures>,
}

/// What the tasks of a component have counted since the topology began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tuples emitted.
    pub emitted: u64,
    /// Rows sent.
    pub transferred: u64,
    /// Tuples executed.
    pub executed: u64,
    /// Of a spout: trees; of a bolt: tuples.
    pub acked: u64,
    /// Of a spout: trees; of a bolt: tuples.
    pub failed: u64,
    /// Trees pending now.
    pub pending: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, total: &TaskTotal) {
        let add = |count: &mut u64, more| *count = count.saturating_add(more);
        for output in total.outputs.values() {
            add(&mut self.emitted, output.emitted);
            add(&mut self.transferred, output.transferred);
            add(&mut self.acked, output.acked);
            add(&mut self.failed, output.failed);
        }
        for input in total.inputs.values() {
            add(&mut self.executed, input.executed);
            add(&mut self.acked, input.acked);
            add(&mut self.failed, input.failed);
        }
    }
}

/// Figures of a spout or bolt: of all tasks that it ever had together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComponentFigures {
    /// The component.
    pub component: ComponentId,
    /// Spout or bolt.
    pub kind: ComponentKind,
    /// Its figures; the capacity is the highest of its executors, as in Storm.
    pub figures: Windowed<Figures>,
    /// Its streams, in order of their names.
    pub streams: Vec<StreamFigures>,
    /// Its inputs, in order of component and stream.
    pub inputs: Vec<InputFigures>,
    /// How much there is of everything now; the queue is the fullest one's.
    pub gauges: Gauges,
    /// Its executors, in order of their tasks.
    pub executors: Vec<ExecutorFigures>,
    /// Its tasks, in order.
    pub tasks: Vec<TaskFigures>,
    /// Counters and histograms of its code, all tasks together, in order of their names. Gauges
    /// stand with the tasks: whether to add them or to take the highest depends on what they are.
    pub metrics: Vec<UserMetric>,
}

/// Figures of an executor: of its tasks together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutorFigures {
    /// The executor.
    pub executor: ExecutorId,
    /// How long it had been up when it reported last.
    pub uptime: Duration,
    /// How long ago it reported last. Its worker is gone when this is long.
    pub silent: Duration,
    /// Its figures.
    pub figures: Windowed<Figures>,
    /// How much there is of everything now.
    pub gauges: Gauges,
}

/// Figures of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskFigures {
    /// The task.
    pub task: TaskId,
    /// Number of its life.
    pub incarnation: u64,
    /// Its figures. What belongs to an executor as a whole (queue latency, late acks, dropped rows,
    /// busy time) stands with its first task.
    pub figures: Windowed<Figures>,
    /// Its streams, in order of their names.
    pub streams: Vec<StreamFigures>,
    /// Its inputs, in order of component and stream.
    pub inputs: Vec<InputFigures>,
    /// How much there is of everything now; without a queue, which belongs to the executor.
    pub gauges: Gauges,
    /// What its code measures, as it reported last; counted since its executor started.
    pub metrics: Vec<UserMetric>,
}

/// What was counted and measured in one window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Emits, however many tasks got them.
    pub emitted: u64,
    /// Rows sent to tasks.
    pub transferred: u64,
    /// Of bolts: tuples executed.
    pub executed: u64,
    /// A spout's trees, a bolt's inputs.
    pub acked: u64,
    /// A spout's trees, a bolt's inputs.
    pub failed: u64,
    /// Of spouts: tuples emitted with a message id.
    pub tracked: u64,
    /// Of spouts: trees that were pending when a life of their task ended.
    pub lost: u64,
    /// Of spouts: tuples emitted again after they had failed.
    pub replayed: u64,
    /// Of spouts: acks and fails for trees that had ended.
    pub late_acks: u64,
    /// Untracked rows that were refused because their cycle was full.
    pub dropped: u64,
    /// Of bolts: time within `execute`.
    pub execute_latency: Latency,
    /// Of bolts: from the start of `execute` to the ack.
    pub process_latency: Latency,
    /// Of spouts: from the emit of a root to the ack of its tree.
    pub complete_latency: Latency,
    /// How long rows waited for their executor.
    pub queue_latency: Latency,
    /// How long executors were not waiting.
    pub busy: Duration,
    /// How much of the window it was there: of several executors, the one that was there longest.
    pub uptime: Duration,
    /// Storm's capacity: about 1 and above it is a bottleneck; see [`capacity`](crate::capacity()).
    pub capacity: f64,
}

/// Figures of a stream that a component or task emits to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamFigures {
    /// The stream.
    pub stream: StreamId,
    /// What was emitted to it.
    pub figures: Windowed<OutputTotal>,
}

/// Figures of an input of a component or task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputFigures {
    /// The emitting component.
    pub component: ComponentId,
    /// The stream.
    pub stream: StreamId,
    /// What was executed of it.
    pub figures: Windowed<InputTotal>,
}

/// How much there is of something now, as it was reported last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gauges {
    /// Of spouts: trees that are neither acked nor failed.
    pub pending: u64,
    /// Of bolts: tuples retained.
    pub retained: u64,
    /// Of bolts: age of the oldest retained tuple.
    pub oldest_retained: Duration,
    /// Rows that the inbox may hold.
    pub window_rows: u64,
    /// Rows that it holds, or that senders have drawn credit for.
    pub credit_out: u64,
    /// How full that is, from 0 to 1; above 1 for a moment when the window shrinks.
    pub queue_fill: f64,
}

/// Figures of a topology as a whole, in one window (Storm's `topologyStats`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TopologyStats {
    /// Emits of all components.
    pub emitted: u64,
    /// Rows sent by all components.
    pub transferred: u64,
    /// Trees acked.
    pub acked: u64,
    /// Trees failed.
    pub failed: u64,
    /// From the emit of a root to the ack of its tree.
    pub complete_latency: Latency,
}

impl TopologyFigures {
    /// The figures of a component.
    pub fn component(&self, component: &str) -> Option<&ComponentFigures> {
        self.components.iter().find(|c| c.component == *component)
    }

    /// The topology as a whole: emitted and transferred by all components, acks and latency of
    /// spouts.
    pub fn stats(&self, window: Window) -> TopologyStats {
        let mut stats = TopologyStats::default();
        for component in &self.components {
            let figures = &component.figures[window];
            stats.emitted += figures.emitted;
            stats.transferred += figures.transferred;
            if component.kind == ComponentKind::Spout {
                stats.acked += figures.acked;
                stats.failed += figures.failed;
                stats.complete_latency.merge(&figures.complete_latency);
            }
        }
        stats
    }
}

impl Gauges {
    /// Adds another's. Of ages and queues the higher one is kept: a mean would hide it.
    pub(crate) fn include(&mut self, other: &Gauges) {
        self.pending = self.pending.saturating_add(other.pending);
        self.retained = self.retained.saturating_add(other.retained);
        self.oldest_retained = self.oldest_retained.max(other.oldest_retained);
        if other.queue_fill >= self.queue_fill {
            let Gauges { window_rows, credit_out, queue_fill, .. } = *other;
            (self.window_rows, self.credit_out, self.queue_fill) = (window_rows, credit_out, queue_fill);
        }
    }
}
