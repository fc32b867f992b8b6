//! The figures of a running topology, exact at a moment between two tuples of each executor.

use hdrhistogram::Histogram;
use storm_model::{ComponentId, ComponentKind, ExecutorId, StreamId, TaskId};

/// Figures of all executors.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// By executor, in order of their tasks.
    pub executors: Vec<ExecutorSnapshot>,
}

/// Figures of one executor.
#[derive(Clone, Debug)]
pub struct ExecutorSnapshot {
    /// Its component.
    pub component: ComponentId,
    /// Spout or bolt.
    pub kind: ComponentKind,
    /// Its tasks.
    pub executor: ExecutorId,
    /// Figures of each.
    pub tasks: Vec<TaskSnapshot>,
    /// Time from a spout's emit to its ack, in microseconds; empty for bolts.
    pub complete_latency: Histogram<u64>,
    /// Acks and fails that came for trees that had ended.
    pub late_acks: u64,
    /// Untracked rows that were refused because their cycle was full.
    pub dropped: u64,
    /// Rows that its inbox may hold.
    pub window_rows: i64,
    /// Rows that its inbox holds, or that senders have drawn credit for.
    pub credit_out: i64,
}

/// Figures of one task, since its executor started.
#[derive(Clone, Debug)]
pub struct TaskSnapshot {
    /// The task.
    pub task: TaskId,
    /// Number of its life: grows with every panic.
    pub incarnation: u64,
    /// What it emitted, by stream.
    pub streams: Vec<StreamCount>,
    /// What it executed, by input; empty for spouts.
    pub inputs: Vec<InputCount>,
    /// Tuples acked: a spout's trees, a bolt's inputs.
    pub acked: u64,
    /// Tuples failed: a spout's trees, a bolt's inputs.
    pub failed: u64,
    /// Of a spout: tuples emitted with a message id. `tracked = acked + failed + pending + lost`.
    pub tracked: u64,
    /// Of a spout: trees that are neither acked nor failed.
    pub pending: u64,
    /// Of a spout: trees that a former life of the task had pending.
    pub lost: u64,
    /// Of a bolt: tuples retained. `executed = acked + failed + retained`.
    pub retained: u64,
    /// Of a bolt: age of the oldest retained tuple, in nanoseconds.
    pub oldest_retained_ns: u64,
}

impl TaskSnapshot {
    /// Tuples emitted on all streams.
    pub fn emitted(&self) -> u64 {
        self.streams.iter().map(|s| s.emitted).sum()
    }

    /// Tuples sent to tasks.
    pub fn transferred(&self) -> u64 {
        self.streams.iter().flat_map(|s| &s.edges).map(|e| e.transferred).sum()
    }

    /// Tuples executed.
    pub fn executed(&self) -> u64 {
        self.inputs.iter().map(|i| i.executed).sum()
    }
}

/// What a task emitted to one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamCount {
    /// The stream.
    pub stream: StreamId,
    /// Emits, however many tasks got them.
    pub emitted: u64,
    /// Rows sent, by subscribing component.
    pub edges: Vec<EdgeCount>,
}

/// What a task sent to one component by one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeCount {
    /// The receiving component.
    pub component: ComponentId,
    /// Rows sent.
    pub transferred: u64,
}

/// What a task executed of one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct InputCount {
    /// The emitting component.
    pub component: ComponentId,
    /// The stream.
    pub stream: StreamId,
    /// Tuples executed.
    pub executed: u64,
}

impl Snapshot {
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
        let spouts = self.executors.iter().filter(|e| e.kind == ComponentKind::Spout);
        spouts.flat_map(|e| &e.tasks).map(figure).sum()
    }

    /// Sum of a figure over the tasks of all bolts.
    pub fn bolts(&self, figure: impl Fn(&TaskSnapshot) -> u64) -> u64 {
        let bolts = self.executors.iter().filter(|e| e.kind == ComponentKind::Bolt);
        bolts.flat_map(|e| &e.tasks).map(figure).sum()
    }

    /// Complete latency of all spouts, in microseconds.
    pub fn complete_latency(&self) -> Histogram<u64> {
        let mut all = latency_histogram();
        for executor in &self.executors {
            // They share their bounds, so nothing can be out of range.
            all.add(&executor.complete_latency).ok();
        }
        all
    }

    /// What does not add up; empty for sound books. With `is_quiescent` also what was transferred
    /// per edge must have been executed.
    pub fn audit(&self, is_quiescent: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        for executor in &self.executors {
            for t in &executor.tasks {
                let (name, task) = (&executor.component, t.task);
                if executor.kind == ComponentKind::Spout
                    && t.tracked != t.acked + t.failed + t.pending + t.lost
                {
                    wrong.push(format!(
                        "{name} {task}: tracked {} is not acked {} + failed {} + pending {} + lost {}",
                        t.tracked, t.acked, t.failed, t.pending, t.lost
                    ));
                }
                if executor.kind == ComponentKind::Bolt && t.executed() != t.acked + t.failed + t.retained {
                    wrong.push(format!(
                        "{name} {task}: executed {} is not acked {} + failed {} + retained {}",
                        t.executed(),
                        t.acked,
                        t.failed,
                        t.retained
                    ));
                }
            }
        }
        if is_quiescent {
            self.audit_edges(&mut wrong);
        }
        wrong
    }

    fn audit_edges(&self, wrong: &mut Vec<String>) {
        let mut edges: std::collections::BTreeMap<(&ComponentId, &StreamId, &ComponentId), (u64, u64)> =
            Default::default();
        for executor in &self.executors {
            for task in &executor.tasks {
                for stream in &task.streams {
                    for edge in &stream.edges {
                        let key = (&executor.component, &stream.stream, &edge.component);
                        edges.entry(key).or_default().0 += edge.transferred;
                    }
                }
                for input in &task.inputs {
                    let key = (&input.component, &input.stream, &executor.component);
                    edges.entry(key).or_default().1 += input.executed;
                }
            }
        }
        for ((from, stream, to), (transferred, executed)) in edges {
            if transferred != executed {
                wrong
                    .push(format!("{from} -{stream}-> {to}: transferred {transferred}, executed {executed}"));
            }
        }
    }
}

/// An empty histogram of microseconds up to an hour, with two digits.
pub(crate) fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 2).expect("constant bounds that the library documents")
}
