//! The figures of a spout executor.

use storm_model::ComponentKind;

use super::{SpoutExecutor, SpoutTask};
use crate::executor::stream_counts;
use crate::snapshot::{ExecutorSnapshot, TaskSnapshot};

impl SpoutExecutor {
    pub(super) fn snapshot(&self) -> ExecutorSnapshot {
        let task = |(rank, t): (usize, &SpoutTask)| TaskSnapshot {
            task: t.id,
            incarnation: t.incarnation,
            streams: stream_counts(&self.emitter, &self.emitter.outputs, rank),
            inputs: Vec::new(),
            acked: t.acked,
            failed: t.failed,
            tracked: t.tracked,
            pending: t.ledger.pending() as u64,
            lost: t.lost,
            retained: 0,
            oldest_retained_ns: 0,
        };
        ExecutorSnapshot {
            component: self.maker.component.clone(),
            kind: ComponentKind::Spout,
            executor: self.maker.executor,
            tasks: self.tasks.iter().enumerate().map(task).collect(),
            complete_latency: self.state.latency.clone(),
            late_acks: self.tasks.iter().map(|t| t.ledger.late()).sum(),
            dropped: self.emitter.dropped,
            window_rows: 0,
            credit_out: 0,
        }
    }
}
