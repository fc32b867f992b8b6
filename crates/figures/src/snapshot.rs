//! What a worker reports: the figures of its executors, exact at a moment between two tuples of
//! each. All of them are counted since the executor started.

mod audit;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use storm_model::tasks::ranges;
use storm_model::{ComponentId, ComponentKind, ExecutorId, StreamId, TaskId, TopologySpec};

use crate::distribution::Distribution;
use crate::latency::Latency;

/// Figures of the executors of one worker, or of several together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// By executor, in order of their tasks.
    pub executors: Vec<ExecutorSnapshot>,
}

/// Figures of one executor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutorSnapshot {
    /// Its component.
    pub component: ComponentId,
    /// Spout or bolt.
    pub kind: ComponentKind,
    /// Its tasks.
    pub executor: ExecutorId,
    /// Figures of each.
    pub tasks: Vec<TaskSnapshot>,
    /// How long rows waited, from the flush of their batch until it was taken; a row each.
    pub queue_latency: Latency,
    /// Acks and fails that came for trees that had ended.
    pub late_acks: u64,
    /// Untracked rows that were refused because their cycle was full.
    pub dropped: u64,
    /// Rows that its inbox may hold now.
    pub window_rows: i64,
    /// Rows that its inbox holds, or that senders have drawn credit for.
    pub credit_out: i64,
    /// How long ago it started.
    pub uptime: Duration,
    /// How long of that it was not waiting: in user code and in the engine.
    pub busy: Duration,
}

/// Figures of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskSnapshot {
    /// The task.
    pub task: TaskId,
    /// Number of its life: grows with every panic.
    pub incarnation: u64,
    /// What it emitted, by stream.
    pub streams: Vec<StreamCount>,
    /// What it executed, by input; empty for spouts.
    pub inputs: Vec<InputCount>,
    /// Of a spout: tuples emitted with a message id. `tracked = acked + failed + pending + lost`.
    pub tracked: u64,
    /// Of a spout: trees that are neither acked nor failed.
    pub pending: u64,
    /// Of a spout: trees that a former life of the task had pending.
    pub lost: u64,
    /// Of a spout: tuples that it emitted again after they had failed.
    pub replayed: u64,
    /// Of a bolt: tuples retained. `executed = acked + failed + retained`.
    pub retained: u64,
    /// Of a bolt: age of the oldest retained tuple, in nanoseconds.
    pub oldest_retained_ns: u64,
    /// What its code measures.
    pub metrics: Vec<UserMetric>,
}

/// What a task emitted to one stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamCount {
    /// The stream.
    pub stream: StreamId,
    /// Emits, however many tasks got them.
    pub emitted: u64,
    /// Rows sent, by subscribing component.
    pub edges: Vec<EdgeCount>,
    /// Of a spout: trees acked whose root was emitted here.
    pub acked: u64,
    /// Of a spout: trees failed whose root was emitted here.
    pub failed: u64,
    /// Of a spout: from the emit of a root to the ack of its tree.
    pub complete_latency: Latency,
}

/// What a task sent to one component by one stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeCount {
    /// The receiving component.
    pub component: ComponentId,
    /// Rows sent.
    pub transferred: u64,
}

/// What a task executed of one stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputCount {
    /// The emitting component.
    pub component: ComponentId,
    /// The stream.
    pub stream: StreamId,
    /// Tuples executed.
    pub executed: u64,
    /// Tuples acked.
    pub acked: u64,
    /// Tuples failed.
    pub failed: u64,
    /// Time within `execute`, of all tuples or of a sample.
    pub execute_latency: Latency,
    /// From the start of `execute` to the ack, of all tuples or of a sample.
    pub process_latency: Latency,
}

/// Something that user code measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserMetric {
    /// Its name, unique within the task.
    pub name: String,
    /// What it shows now.
    pub value: MetricValue,
}

/// What a metric of user code shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricValue {
    /// How often something happened since the executor started.
    Counter(u64),
    /// How much there is of something now; finite.
    Gauge(f64),
    /// How numbers were distributed since the executor started.
    Histogram(Distribution),
}

impl StreamCount {
    /// Nothing yet.
    pub fn new(stream: StreamId) -> StreamCount {
        let complete_latency = Latency::default();
        StreamCount { stream, emitted: 0, edges: Vec::new(), acked: 0, failed: 0, complete_latency }
    }

    /// Rows sent to tasks.
    pub fn transferred(&self) -> u64 {
        self.edges.iter().map(|edge| edge.transferred).sum()
    }
}

impl ExecutorSnapshot {
    /// One that has just started, without tasks.
    pub fn new(component: ComponentId, kind: ComponentKind, executor: ExecutorId) -> ExecutorSnapshot {
        ExecutorSnapshot {
            component,
            kind,
            executor,
            tasks: Vec::new(),
            queue_latency: Latency::default(),
            late_acks: 0,
            dropped: 0,
            window_rows: 0,
            credit_out: 0,
            uptime: Duration::ZERO,
            busy: Duration::ZERO,
        }
    }
}

impl TaskSnapshot {
    /// One that has done nothing, in life 0.
    pub fn new(task: TaskId) -> TaskSnapshot {
        TaskSnapshot {
            task,
            incarnation: 0,
            streams: Vec::new(),
            inputs: Vec::new(),
            tracked: 0,
            pending: 0,
            lost: 0,
            replayed: 0,
            retained: 0,
            oldest_retained_ns: 0,
            metrics: Vec::new(),
        }
    }

    /// Tuples emitted on all streams.
    pub fn emitted(&self) -> u64 {
        self.streams.iter().map(|stream| stream.emitted).sum()
    }

    /// Tuples sent to tasks.
    pub fn transferred(&self) -> u64 {
        self.streams.iter().map(StreamCount::transferred).sum()
    }

    /// Tuples executed.
    pub fn executed(&self) -> u64 {
        self.inputs.iter().map(|input| input.executed).sum()
    }

    /// Tuples acked: a spout's trees, a bolt's inputs.
    pub fn acked(&self) -> u64 {
        let of_streams = self.streams.iter().map(|stream| stream.acked);
        of_streams.chain(self.inputs.iter().map(|input| input.acked)).sum()
    }

    /// Tuples failed: a spout's trees, a bolt's inputs.
    pub fn failed(&self) -> u64 {
        let of_streams = self.streams.iter().map(|stream| stream.failed);
        of_streams.chain(self.inputs.iter().map(|input| input.failed)).sum()
    }
}

impl Snapshot {
    /// Leaves out what a topology does not have: executors that are not within the tasks of their component, and
    /// tasks that are not their executor's. Whether there was any: whoever reports it is not to be believed.
    pub fn keep_known(&mut self, spec: &TopologySpec) -> bool {
        let known: BTreeMap<&ComponentId, ExecutorId> = ranges(spec).collect();
        let of = |e: &ExecutorSnapshot| Some((*known.get(&e.component)?, spec.components.get(&e.component)?));
        self.keep(|e| {
            of(e).is_some_and(|(range, component)| {
                e.kind == component.kind
                    && range.contains(e.executor.first)
                    && range.contains(e.executor.last)
            })
        })
    }

    /// Leaves out executors that are not to be there, and tasks that are not their executor's. Whether there was
    /// any.
    pub fn keep(&mut self, is_there: impl Fn(&ExecutorSnapshot) -> bool) -> bool {
        let before = self.executors.len();
        self.executors.retain(|e| e.executor.first <= e.executor.last && is_there(e));
        let mut is_any = self.executors.len() < before;
        for executor in &mut self.executors {
            let (id, before) = (executor.executor, executor.tasks.len());
            executor.tasks.retain(|task| id.contains(task.task));
            is_any |= executor.tasks.len() < before;
        }
        is_any
    }

    /// The tasks of a component.
    pub fn tasks<'a>(&'a self, component: &'a str) -> impl Iterator<Item = &'a TaskSnapshot> {
        self.executors.iter().filter(move |e| e.component == *component).flat_map(|e| &e.tasks)
    }

    /// Sum of a figure over the tasks of a component.
    pub fn sum(&self, component: &str, figure: impl Fn(&TaskSnapshot) -> u64) -> u64 {
        self.tasks(component).map(figure).sum()
    }

    /// Sum of a figure over the tasks of all spouts.
    pub fn spouts(&self, figure: impl Fn(&TaskSnapshot) -> u64) -> u64 {
        self.tasks_of(ComponentKind::Spout).map(figure).sum()
    }

    /// Sum of a figure over the tasks of all bolts.
    pub fn bolts(&self, figure: impl Fn(&TaskSnapshot) -> u64) -> u64 {
        self.tasks_of(ComponentKind::Bolt).map(figure).sum()
    }

    /// Complete latency of all spouts.
    pub fn complete_latency(&self) -> Latency {
        let mut all = Latency::default();
        let streams = self.tasks_of(ComponentKind::Spout).flat_map(|task| &task.streams);
        streams.for_each(|stream| all.merge(&stream.complete_latency));
        all
    }

    fn tasks_of(&self, kind: ComponentKind) -> impl Iterator<Item = &TaskSnapshot> {
        self.executors.iter().filter(move |e| e.kind == kind).flat_map(|e| &e.tasks)
    }
}

#[cfg(test)]
pub(crate) mod tests;
