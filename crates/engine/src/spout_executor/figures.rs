//! The figures of a spout executor.

use storm_figures::{ExecutorSnapshot, Latency, TaskSnapshot};
use storm_model::{ComponentKind, Time};

use super::{SpoutExecutor, SpoutTask};
use crate::executor::stream_counts;
use crate::stepped::PendingTree;

impl SpoutExecutor {
    /// The pending trees of its tasks.
    pub(crate) fn pending_trees(&self) -> impl Iterator<Item = PendingTree> {
        let of_task = |t: &SpoutTask| {
            let (component, task) = (self.maker.component.clone(), t.id);
            let tree = move |(root, since)| PendingTree { component: component.clone(), task, root, since };
            t.ledger.roots().map(tree).collect::<Vec<_>>()
        };
        self.tasks.iter().flat_map(of_task)
    }

    /// Time from emit to ack, of all trees.
    pub(super) fn complete_latency(&self) -> Latency {
        let mut all = Latency::default();
        self.tasks.iter().flat_map(|t| &t.ended).for_each(|counts| all.merge(&counts.complete));
        all
    }

    pub(super) fn snapshot(&self, now: Time) -> ExecutorSnapshot {
        let task = |(rank, t): (usize, &SpoutTask)| {
            let mut streams = stream_counts(&self.emitter, &self.emitter.outputs, rank);
            for (stream, counts) in streams.iter_mut().zip(&t.ended) {
                (stream.acked, stream.failed) = (counts.acked, counts.failed);
                stream.complete_latency = counts.complete.to_compact();
            }
            TaskSnapshot {
                task: t.id,
                incarnation: t.incarnation,
                streams,
                inputs: Vec::new(),
                tracked: t.tracked,
                pending: t.ledger.pending() as u64,
                lost: t.lost,
                replayed: t.replayed,
                retained: 0,
                oldest_retained_ns: 0,
                metrics: self.maker.metrics[rank].collect(),
            }
        };
        ExecutorSnapshot {
            component: self.maker.component.clone(),
            kind: ComponentKind::Spout,
            executor: self.maker.executor,
            tasks: self.tasks.iter().enumerate().map(task).collect(),
            queue_latency: Latency::default(),
            late_acks: self.tasks.iter().map(|t| t.ledger.late()).sum(),
            dropped: self.emitter.dropped,
            window_rows: 0,
            credit_out: 0,
            uptime: now.since(self.state.started),
            busy: self.state.busy,
        }
    }
}
