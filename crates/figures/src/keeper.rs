//! Keeps the figures of a topology over all that happens to its executors, in Storm's windows.

mod report;

use std::collections::BTreeMap;
use std::time::Duration;

use storm_model::{ComponentId, ComponentKind, ExecutorId, TaskId, Time};

use crate::figures::{Gauges, TopologyFigures};
use crate::history::History;
use crate::snapshot::{ExecutorSnapshot, Snapshot, TaskSnapshot, UserMetric};
use crate::totals::TaskTotal;

/// Collects what workers report of one topology, and says what people want to know.
///
/// Each snapshot may be that of one worker: executors that it does not name stay as they were. Give
/// it what an executor reports in the order in which it was reported, and only from the worker that
/// the executor is assigned to: a report that is late, or that of a worker which was thought dead,
/// looks like an executor that was started again, and would be counted twice.
///
/// Everything is kept by task, and a topology's tasks never change: sums stay when executors are
/// started again, move to another worker, or are cut anew by a rebalance. A task with two busy inputs
/// takes about 130 kB, an idle one some 15.
///
/// ```
/// use storm_figures::{Keeper, Snapshot, Window};
/// use storm_model::Time;
///
/// let mut keeper = Keeper::default();
/// keeper.observe(Time::from_secs(30), &Snapshot::default());
/// let figures = keeper.report(Time::from_secs(31));
/// assert_eq!(figures.stats(Window::TenMinutes).emitted, 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Keeper {
    tasks: BTreeMap<TaskId, KeptTask>,
    /// The executors as they are cut now.
    executors: BTreeMap<ExecutorId, KeptExecutor>,
}

/// A task that was reported at least once.
#[derive(Clone, Debug)]
struct KeptTask {
    component: ComponentId,
    kind: ComponentKind,
    history: History<TaskTotal>,
    incarnation: u64,
    gauges: Gauges,
    metrics: Vec<UserMetric>,
}

/// An executor as it reported last.
#[derive(Clone, Debug)]
struct KeptExecutor {
    component: ComponentId,
    seen: Time,
    uptime: Duration,
    window_rows: u64,
    credit_out: u64,
}

impl Keeper {
    /// Takes note of what executors reported at `now`.
    pub fn observe(&mut self, now: Time, snapshot: &Snapshot) {
        for executor in &snapshot.executors {
            self.observe_executor(now, executor);
            for task in &executor.tasks {
                self.observe_task(now, executor, task);
            }
        }
    }

    /// The figures at `now`. Takes some 0.3 ms for each busy task: where many ask, let them share one.
    pub fn report(&self, now: Time) -> TopologyFigures {
        report::report(self, now)
    }

    fn observe_executor(&mut self, now: Time, executor: &ExecutorSnapshot) {
        let id = executor.executor;
        if !self.executors.contains_key(&id) {
            // Before a rebalance others had these tasks; they are no more.
            self.executors.retain(|other, _| other.last < id.first || id.last < other.first);
        }
        let kept = KeptExecutor {
            component: executor.component.clone(),
            seen: now,
            uptime: executor.uptime,
            window_rows: at_least_0(executor.window_rows),
            credit_out: at_least_0(executor.credit_out),
        };
        self.executors.insert(id, kept);
    }

    fn observe_task(&mut self, now: Time, executor: &ExecutorSnapshot, task: &TaskSnapshot) {
        let kept = self.tasks.entry(task.task).or_insert_with(|| KeptTask {
            component: executor.component.clone(),
            kind: executor.kind,
            history: History::new(now, executor.uptime),
            incarnation: 0,
            gauges: Gauges::default(),
            metrics: Vec::new(),
        });
        kept.history.observe(now, &TaskTotal::of(executor, task));
        kept.incarnation = task.incarnation;
        kept.gauges = Gauges {
            pending: task.pending,
            retained: task.retained,
            oldest_retained: Duration::from_nanos(task.oldest_retained_ns),
            ..Gauges::default()
        };
        kept.metrics.clone_from(&task.metrics);
    }
}

fn at_least_0(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

#[cfg(test)]
mod tests;
