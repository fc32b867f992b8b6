//! The figures of a bolt executor.

use storm_model::{ComponentKind, Time};

use super::{BoltExecutor, BoltTask};
use crate::executor::stream_counts;
use crate::snapshot::{ExecutorSnapshot, InputCount, TaskSnapshot, latency_histogram};

impl BoltExecutor {
    pub(super) fn snapshot(&self, now: Time) -> ExecutorSnapshot {
        let outputs = &self.emitter.outputs;
        let inputs = &self.maker.worker.spec.components[&self.maker.component].inputs;
        let task = |(rank, t): (usize, &BoltTask)| {
            let oldest = self.state.retained.iter().filter(|e| e.task == rank).map(|e| e.since).min();
            let executed = |(i, n): (&storm_model::InputSpec, &u64)| InputCount {
                component: i.component.clone(),
                stream: i.stream.clone(),
                executed: *n,
            };
            TaskSnapshot {
                task: t.id,
                incarnation: t.incarnation,
                streams: stream_counts(&self.emitter, outputs, rank),
                inputs: inputs.iter().zip(&t.executed).map(executed).collect(),
                acked: t.counts.acked,
                failed: t.counts.failed,
                tracked: 0,
                pending: 0,
                lost: 0,
                retained: t.counts.retained,
                oldest_retained_ns: oldest.map_or(0, |since| now.since(since).as_nanos() as u64),
            }
        };
        ExecutorSnapshot {
            component: self.maker.component.clone(),
            kind: ComponentKind::Bolt,
            executor: self.maker.executor,
            tasks: self.tasks.iter().enumerate().map(task).collect(),
            complete_latency: latency_histogram(),
            late_acks: 0,
            dropped: self.emitter.dropped,
            window_rows: self.state.window,
            credit_out: self.directory[self.me].account.outstanding().rows,
        }
    }
}
