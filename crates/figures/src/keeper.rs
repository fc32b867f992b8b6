//! Keeps the figures of a topology over all that happens to its executors, in Storm's windows.

mod join;
pub(crate) mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use storm_model::{ComponentId, ComponentKind, ExecutorId, Incarnation, TaskId, Time};

use crate::figures::{Counts, Gauges, TopologyFigures};
use crate::history::History;
use crate::snapshot::{ExecutorSnapshot, Snapshot, TaskSnapshot, UserMetric};
use crate::totals::TaskTotal;
use crate::trend::{self, Gain, Recent, Recorder, Trend};

/// Collects what workers report of one topology, and says what people want to know.
///
/// Each snapshot may be that of one worker: executors that it does not name stay as they were. What is late
/// (of a former life of an executor, or of the same life before) is passed over: it would be counted twice.
///
/// Everything is kept by task, and a topology's tasks never change: sums stay when executors are
/// started again, move to another worker, or are cut anew by a rebalance. A task with two busy inputs
/// takes about 130 kB, an idle one some 15.
///
/// It can be [written down](Keeper::to_portable) and read by another process. What several keepers have of
/// one topology, [`Keepers`](crate::Keepers) show as one.
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
    /// Shared with copies until either changes: a copy for who has time to read it takes next to none.
    tasks: BTreeMap<TaskId, Arc<KeptTask>>,
    /// The executors as they are cut now.
    executors: BTreeMap<ExecutorId, KeptExecutor>,
    /// Shared as tasks are.
    trend: Arc<Recorder>,
    /// Trees pending in all tasks together.
    pending: u64,
}

/// Which life of a worker told of a task, and how long it had lived then.
pub(crate) type Told = (Incarnation, u64);

/// A task that was reported at least once.
#[derive(Clone, Debug)]
struct KeptTask {
    component: ComponentId,
    kind: ComponentKind,
    history: History<TaskTotal>,
    /// The first life that told of it here.
    first: Incarnation,
    /// Who told of it last.
    told: Told,
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
    /// Takes note of what executors reported at `now`, in the order in which they did, and that of one worker.
    pub fn observe(&mut self, now: Time, snapshot: &Snapshot) {
        self.observe_life(now, Incarnation::default(), 0, snapshot);
    }

    /// Takes note of what a life of a worker reported at `now`, when it had lived for so long. Executors of
    /// which the same life has told more, or a later one anything, are passed over. A later life begins at
    /// nothing.
    pub fn observe_life(&mut self, now: Time, life: Incarnation, uptime_ms: u64, snapshot: &Snapshot) {
        Arc::make_mut(&mut self.trend).advance(now, self.pending);
        let told = (life, uptime_ms);
        // What has no tasks is no executor.
        for executor in snapshot.executors.iter().filter(|e| e.executor.first <= e.executor.last) {
            let mut tasks = executor.tasks.iter();
            if !tasks.all(|task| self.told(task.task).is_none_or(|last| last <= told)) {
                continue;
            }
            self.observe_executor(now, executor);
            for task in &executor.tasks {
                self.observe_task(now, told, executor, task);
            }
        }
    }

    /// The figures at `now`. Takes some 0.3 ms for each busy task: where many ask, let them share one.
    pub fn report(&self, now: Time) -> TopologyFigures {
        report::report(&[self], now)
    }

    /// The last 30 minutes before `now`.
    pub fn trend(&self, now: Time) -> Trend {
        trend::trend([self.recorder()].into_iter(), now)
    }

    /// The last ten minutes before `now`, to within a point of the trend. Takes some microseconds.
    pub fn recent(&self, now: Time) -> Recent {
        trend::recent([self.recorder()].into_iter(), now)
    }

    /// What each component's tasks have counted since the topology began, and what is pending there now, without
    /// figures of time: a microsecond for each task.
    pub(crate) fn add_counts(&self, counts: &mut BTreeMap<ComponentId, Counts>) {
        for kept in self.tasks.values() {
            let of = match counts.get_mut(&kept.component) {
                Some(known) => known,
                None => counts.entry(kept.component.clone()).or_default(),
            };
            kept.history.parts().into_iter().for_each(|total| of.add(total));
            of.pending = of.pending.saturating_add(kept.gauges.pending);
        }
    }

    pub(crate) fn recorder(&self) -> (&Recorder, u64) {
        (&self.trend, self.pending)
    }

    /// Who told of a task last.
    pub(crate) fn told(&self, task: TaskId) -> Option<Told> {
        self.tasks.get(&task).map(|kept| kept.told)
    }

    /// Another one tells of this task now: what it had counted stays, what there is of it now does not.
    pub(crate) fn release(&mut self, task: TaskId) {
        self.executors.retain(|executor, _| !executor.contains(task));
        if let Some(kept) = self.tasks.get_mut(&task) {
            let kept = Arc::make_mut(kept);
            self.pending = self.pending.saturating_sub(kept.gauges.pending);
            kept.gauges = Gauges::default();
            kept.metrics.clear();
        }
    }

    /// Forgets what nobody can see any more; whether there was any. Of tasks that nothing was heard of for a day
    /// only the sums of all time stay.
    pub fn tidy(&mut self, now: Time) -> bool {
        let mut is_any = false;
        for kept in self.tasks.values_mut().filter(|kept| kept.history.is_outdated(now)) {
            Arc::make_mut(kept).history.tidy();
            is_any = true;
        }
        is_any
    }

    /// The tasks that it has heard of.
    pub(crate) fn task_ids(&self) -> impl Iterator<Item = TaskId> {
        self.tasks.keys().copied()
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

    fn observe_task(&mut self, now: Time, told: Told, executor: &ExecutorSnapshot, task: &TaskSnapshot) {
        let mut begun = false;
        let kept = self.tasks.entry(task.task).or_insert_with(|| {
            begun = true;
            Arc::new(KeptTask {
                component: executor.component.clone(),
                kind: executor.kind,
                history: History::new(now, executor.uptime),
                first: told.0,
                told,
                incarnation: 0,
                gauges: Gauges::default(),
                metrics: Vec::new(),
            })
        });
        let kept = Arc::make_mut(kept);
        let mut over = if begun { executor.uptime } else { now.since(kept.history.seen()) };
        if kept.told.0 < told.0 {
            kept.history.begin_again();
            // Before it began there was nothing, however long.
            over = over.min(executor.uptime);
        }
        kept.told = told;
        let gained = kept.history.observe(now, &TaskTotal::of(executor, task));
        Arc::make_mut(&mut self.trend).add(now, over, &Gain::of(kept.kind, &gained));
        kept.incarnation = task.incarnation;
        self.pending = self.pending.saturating_sub(kept.gauges.pending).saturating_add(task.pending);
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
