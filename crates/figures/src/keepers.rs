//! What several sources have kept of one topology, as one.
//!
//! A life of a worker has one source, its supervisor, so what two sources have counted are different things and
//! add up. A task belongs to the source that told of it last: what there is of it now, that one says.

use std::collections::BTreeMap;
use std::time::Duration;

use storm_model::{ComponentId, Incarnation, TaskId, Time};

use crate::figures::{Counts, TopologyFigures};
use crate::keeper::{Keeper, report};
use crate::snapshot::Snapshot;
use crate::trend::{self, Recent, Trend};

/// How often it is looked for what nobody can see any more.
const TIDY_EVERY: Duration = Duration::from_secs(3_600);

/// Keepers of one topology by source: who brings its workers' reports.
///
/// A copy takes little time, however much is kept: until one of both changes, they share it.
///
/// What a source had kept before anybody listened here can be [joined](Keepers::join) at any time.
#[derive(Clone, Debug)]
pub struct Keepers<S> {
    sources: BTreeMap<S, Keeper>,
    owners: BTreeMap<TaskId, S>,
    tidied: Time,
}

impl<S> Default for Keepers<S> {
    fn default() -> Keepers<S> {
        Keepers { sources: BTreeMap::new(), owners: BTreeMap::new(), tidied: Time::ZERO }
    }
}

impl<S: Ord + Clone> Keepers<S> {
    /// As [`Keeper::observe_life`]. Of a task of which a later life has told, by another source, only the sums
    /// change.
    pub fn observe(&mut self, now: Time, source: &S, life: Incarnation, uptime_ms: u64, snapshot: &Snapshot) {
        if !self.sources.contains_key(source) {
            self.sources.insert(source.clone(), Keeper::default());
        }
        if let Some(keeper) = self.sources.get_mut(source) {
            keeper.observe_life(now, life, uptime_ms, snapshot);
        }
        for task in snapshot.executors.iter().flat_map(|executor| &executor.tasks) {
            self.settle(task.task, source);
        }
        if now.since(self.tidied) >= TIDY_EVERY {
            self.tidied = now;
            for keeper in self.sources.values_mut() {
                keeper.tidy(now);
            }
        }
    }

    /// Takes what a source has kept, as [`Keeper::join`].
    pub fn join(&mut self, now: Time, source: &S, kept: Keeper) {
        let keeper = self.sources.entry(source.clone()).or_default();
        keeper.join(now, kept);
        for task in keeper.task_ids().collect::<Vec<_>>() {
            self.settle(task, source);
        }
    }

    /// The figures at `now`. Takes some 0.3 ms for each busy task: where many ask, let them share one.
    pub fn report(&self, now: Time) -> TopologyFigures {
        report::report(&self.sources.values().collect::<Vec<_>>(), now)
    }

    /// What each component's tasks have counted since the topology began. Takes a microsecond for each task.
    pub fn counts(&self) -> BTreeMap<ComponentId, Counts> {
        let mut counts = BTreeMap::new();
        self.sources.values().for_each(|keeper| keeper.add_counts(&mut counts));
        counts
    }

    /// The last 30 minutes before `now`.
    pub fn trend(&self, now: Time) -> Trend {
        trend::trend(self.sources.values().map(Keeper::recorder), now)
    }

    /// The last ten minutes before `now`, to within a point of the trend. Takes some microseconds.
    pub fn recent(&self, now: Time) -> Recent {
        trend::recent(self.sources.values().map(Keeper::recorder), now)
    }

    /// Decides whose a task is, of which a source has told.
    fn settle(&mut self, task: TaskId, source: &S) {
        let told = |of: &S| self.sources.get(of).and_then(|keeper| keeper.told(task));
        let loser = match self.owners.get(&task) {
            Some(owner) if owner == source => return,
            Some(owner) if told(owner) > told(source) => source.clone(),
            _ => match self.owners.insert(task, source.clone()) {
                Some(former) => former,
                None => return,
            },
        };
        if let Some(keeper) = self.sources.get_mut(&loser) {
            keeper.release(task);
        }
    }
}

#[cfg(test)]
mod tests;
