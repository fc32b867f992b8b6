//! The figures of a bolt executor.

use std::sync::atomic::Ordering;

use storm_figures::{ExecutorSnapshot, InputCount, TaskSnapshot};
use storm_model::{ComponentKind, InputSpec, Time};

use super::{BoltExecutor, BoltTask};
use crate::emit::{InputCounts, TaskBook};
use crate::executor::stream_counts;
use crate::stepped::HeldTuple;

impl BoltExecutor {
    /// The tuples that its tasks retain.
    pub(crate) fn held_tuples(&self) -> impl Iterator<Item = HeldTuple> {
        self.state.retained.iter().map(|entry| HeldTuple {
            component: self.maker.component.clone(),
            task: self.books[entry.task].id,
            anchors: entry.anchors.clone(),
            since: entry.since,
        })
    }

    pub(super) fn snapshot(&self, now: Time) -> ExecutorSnapshot {
        let outputs = &self.emitter.outputs;
        let inputs = &self.maker.worker.spec.components[&self.maker.component].inputs;
        let input = |(spec, counts): (&InputSpec, &InputCounts)| InputCount {
            component: spec.component.clone(),
            stream: spec.stream.clone(),
            executed: counts.executed,
            acked: counts.acked,
            failed: counts.failed,
            execute_latency: counts.execute.to_compact(),
            process_latency: counts.process.to_compact(),
        };
        let task = |(rank, (t, book)): (usize, (&BoltTask, &TaskBook))| {
            let oldest = self.state.retained.iter().filter(|e| e.task == rank).map(|e| e.since).min();
            TaskSnapshot {
                task: book.id,
                incarnation: t.incarnation,
                streams: stream_counts(&self.emitter, outputs, rank),
                inputs: inputs.iter().zip(&book.inputs).map(input).collect(),
                tracked: 0,
                pending: 0,
                lost: 0,
                replayed: 0,
                retained: book.retained,
                oldest_retained_ns: oldest.map_or(0, |since| now.since(since).as_nanos() as u64),
                metrics: self.maker.metrics[rank].collect(),
            }
        };
        ExecutorSnapshot {
            component: self.maker.component.clone(),
            kind: ComponentKind::Bolt,
            executor: self.maker.executor,
            tasks: self.tasks.iter().zip(&self.books).enumerate().map(task).collect(),
            queue_latency: self.state.queue.to_compact(),
            late_acks: 0,
            dropped: self.emitter.dropped + self.directory[self.me].refused.load(Ordering::Relaxed),
            window_rows: self.state.window,
            credit_out: self.directory[self.me].account.outstanding().rows,
            uptime: now.since(self.state.started),
            busy: self.state.busy,
        }
    }
}
