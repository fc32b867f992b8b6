//! Executors that do not answer: user code holds them up, or they get no processor. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use storm_model::{AssignedExecutor, ExecutorId};

/// From when on it is told; then each time when the silence has doubled.
const FIRST: Duration = Duration::from_secs(10);

/// Since when executors have not answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stuck {
    silent: BTreeMap<ExecutorId, Silence>,
}

#[derive(Clone, Copy, Debug)]
struct Silence {
    since: Instant,
    told_after: Duration,
}

impl Stuck {
    /// These have answered now. Those to be told of, with the time of their silence.
    pub(crate) fn look<'a>(
        &mut self,
        now: Instant,
        all: &'a [AssignedExecutor],
        answered: impl IntoIterator<Item = ExecutorId>,
    ) -> Vec<(&'a AssignedExecutor, Duration)> {
        let answered: BTreeSet<ExecutorId> = answered.into_iter().collect();
        self.silent.retain(|executor, _| !answered.contains(executor));
        let mut told = Vec::new();
        for executor in all.iter().filter(|e| !answered.contains(&e.executor)) {
            let silence = Silence { since: now, told_after: FIRST };
            let silence = self.silent.entry(executor.executor).or_insert(silence);
            let silent = now.duration_since(silence.since);
            if silent >= silence.told_after {
                silence.told_after = 2 * silent;
                told.push((executor, silent));
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use storm_model::TaskId;

    use super::*;

    #[test]
    fn who_is_silent_is_told_of_at_growing_intervals_and_forgotten_when_it_answers() {
        let executor = |task| ExecutorId { first: TaskId(task), last: TaskId(task) };
        let all = [1, 2].map(|t| AssignedExecutor { component: "c".into(), executor: executor(t) });
        let (start, mut stuck) = (Instant::now(), Stuck::default());
        let mut told = Vec::new();
        for second in 0..=60 {
            let now = start + Duration::from_secs(second);
            for (who, silent) in stuck.look(now, &all, [executor(1)]) {
                told.push((second, who.executor.first.0, silent.as_secs()));
            }
        }
        assert_eq!(told, [(10, 2, 10), (20, 2, 20), (40, 2, 40)]);
        assert!(stuck.look(start + Duration::from_secs(61), &all, [executor(1), executor(2)]).is_empty());
        assert!(stuck.look(start + Duration::from_secs(75), &all, [executor(1)]).is_empty(), "since now");
    }
}
