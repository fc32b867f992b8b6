//! The laws of the books: what every snapshot must add up to.

use std::collections::BTreeMap;

use storm_model::{ComponentId, ComponentKind, StreamId};

use super::{ExecutorSnapshot, Snapshot, TaskSnapshot};

impl Snapshot {
    /// What does not add up; empty for sound books.
    ///
    /// - A task of a spout: `tracked = acked + failed + pending + lost`.
    /// - A task of a bolt: `executed = acked + failed + retained`.
    /// - With `is_quiescent`, for which the snapshot needs all executors of the topology: what was
    ///   transferred by an edge was executed there.
    pub fn audit(&self, is_quiescent: bool) -> Vec<String> {
        let tasks = self.executors.iter().flat_map(|e| e.tasks.iter().map(move |task| (e, task)));
        let mut wrong: Vec<String> =
            tasks.filter_map(|(executor, task)| audit_task(executor, task)).collect();
        if is_quiescent {
            self.audit_edges(&mut wrong);
        }
        wrong
    }

    fn audit_edges(&self, wrong: &mut Vec<String>) {
        let mut edges: BTreeMap<(&ComponentId, &StreamId, &ComponentId), (u64, u64)> = BTreeMap::new();
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

fn audit_task(executor: &ExecutorSnapshot, task: &TaskSnapshot) -> Option<String> {
    let (acked, failed) = (task.acked(), task.failed());
    let (law, is_kept) = match executor.kind {
        ComponentKind::Spout => {
            let TaskSnapshot { tracked, pending, lost, .. } = task;
            let law = format!(
                "tracked {tracked} is not acked {acked} + failed {failed} + pending {pending} + lost {lost}"
            );
            (law, *tracked == acked + failed + pending + lost)
        }
        ComponentKind::Bolt => {
            let (executed, retained) = (task.executed(), task.retained);
            let law =
                format!("executed {executed} is not acked {acked} + failed {failed} + retained {retained}");
            (law, executed == acked + failed + retained)
        }
    };
    (!is_kept).then(|| format!("{} {}: {law}", executor.component, task.task))
}
