//! What an assignment means for one life of a worker. Pure.

use std::collections::BTreeSet;

use storm_model::{AssignedExecutor, Assignment, ExecutorId, Incarnation, WorkerAssignment, WorkerSlot};

/// Who this worker is.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) slot: WorkerSlot,
    pub(crate) incarnation: Incarnation,
}

/// What an assignment has for a worker that has not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// It lists this life.
    Mine(&'a WorkerAssignment),
    /// It is older than the one which started this worker.
    NotYet,
    /// It has no place for this life any more.
    Past,
}

/// What a worker does with an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// It is not newer than what is known.
    Ignore,
    Follow,
    /// End: this life has no part in it, or cannot play it.
    Leave(&'static str),
}

impl Life {
    /// What an assignment has for this worker.
    pub(crate) fn part<'a>(&self, assignment: &'a Assignment) -> Part<'a> {
        match assignment.worker(&self.slot) {
            Some(worker) if worker.number == self.incarnation.number => Part::Mine(worker),
            Some(worker) if worker.number < self.incarnation.number => Part::NotYet,
            Some(_) | None => Part::Past,
        }
    }

    /// What to do with an assignment, for a worker that follows the one of this version with these
    /// executors. `all`: the executors of the topology as this worker knows them.
    pub(crate) fn judge(
        &self,
        version: u64,
        executors: &[AssignedExecutor],
        all: &BTreeSet<ExecutorId>,
        assignment: &Assignment,
    ) -> Order {
        if assignment.version <= version {
            return Order::Ignore;
        }
        match self.part(assignment) {
            Part::NotYet | Part::Past => Order::Leave("the newest assignment does not list this worker"),
            Part::Mine(mine) if mine.executors != executors => {
                Order::Leave("the newest assignment gives this worker other executors")
            }
            Part::Mine(_) if !are_known(all, assignment) => Order::Leave(
                "the parallelism of the topology is another one now: this worker has to start anew",
            ),
            Part::Mine(_) => Order::Follow,
        }
    }

    /// Whether a newer start of this very worker has shown itself, and so this one is left over.
    pub(crate) fn is_replaced_by(&self, newest: Incarnation) -> bool {
        newest.number == self.incarnation.number && newest.restarts > self.incarnation.restarts
    }
}

/// Whether every executor of an assignment is one of these: frames between workers name executors by their
/// place among all, so all workers must have the same ones.
pub(crate) fn are_known(all: &BTreeSet<ExecutorId>, assignment: &Assignment) -> bool {
    assignment.workers.iter().flat_map(|worker| &worker.executors).all(|e| all.contains(&e.executor))
}

#[cfg(test)]
mod tests {
    use storm_model::TaskId;

    use super::*;

    fn slot(port: u16) -> WorkerSlot {
        WorkerSlot { supervisor: "s".into(), port }
    }

    fn executor(first: u32, last: u32) -> AssignedExecutor {
        let executor = ExecutorId { first: TaskId(first), last: TaskId(last) };
        AssignedExecutor { component: "c".into(), executor }
    }

    /// Workers as port, number, executors.
    fn assignment(version: u64, workers: &[(u16, u64, &[AssignedExecutor])]) -> Assignment {
        let worker = |(port, number, executors): &(u16, u64, &[AssignedExecutor])| WorkerAssignment {
            slot: slot(*port),
            host: "h".to_owned(),
            number: *number,
            executors: executors.to_vec(),
        };
        Assignment { version, workers: workers.iter().map(worker).collect() }
    }

    fn life() -> Life {
        Life { slot: slot(1), incarnation: Incarnation { number: 5, restarts: 2 } }
    }

    fn judge(assignment: &Assignment) -> Order {
        let all = [executor(1, 2), executor(3, 4)].map(|e| e.executor).into();
        life().judge(7, &[executor(1, 2)], &all, assignment)
    }

    #[test]
    fn an_assignment_that_started_somebody_before_is_waited_past() {
        let mine = [executor(1, 2)];
        assert_eq!(life().part(&assignment(1, &[(1, 4, &mine)])), Part::NotYet);
        assert!(matches!(life().part(&assignment(2, &[(1, 5, &mine)])), Part::Mine(_)));
        assert_eq!(life().part(&assignment(3, &[(1, 6, &mine)])), Part::Past);
        assert_eq!(life().part(&assignment(3, &[(2, 5, &mine)])), Part::Past);
    }

    #[test]
    fn a_newer_assignment_with_the_same_part_is_followed_and_no_older_one() {
        let (mine, other) = ([executor(1, 2)], [executor(3, 4)]);
        assert_eq!(judge(&assignment(8, &[(1, 5, &mine), (2, 6, &other)])), Order::Follow);
        assert_eq!(judge(&assignment(7, &[])), Order::Ignore);
        assert_eq!(judge(&assignment(3, &[(2, 6, &other)])), Order::Ignore);
    }

    #[test]
    fn who_has_no_part_or_another_one_leaves() {
        let (mine, other) = ([executor(1, 2)], [executor(3, 4)]);
        for newest in [
            assignment(8, &[]),
            assignment(8, &[(1, 6, &mine)]),
            assignment(8, &[(2, 5, &mine)]),
            assignment(8, &[(1, 5, &other)]),
        ] {
            assert!(matches!(judge(&newest), Order::Leave(_)), "{newest:?}");
        }
    }

    #[test]
    fn who_knows_other_executors_of_its_peers_leaves() {
        let (mine, split) = ([executor(1, 2)], [executor(3, 3), executor(4, 4)]);
        let Order::Leave(why) = judge(&assignment(8, &[(1, 5, &mine), (2, 6, &split)])) else { panic!() };
        assert!(why.contains("parallelism"));
    }

    #[test]
    fn only_a_newer_start_of_the_same_number_replaces() {
        let life = life();
        let is_replaced = |number, restarts| life.is_replaced_by(Incarnation { number, restarts });
        assert!(is_replaced(5, 3));
        assert!(!is_replaced(5, 2) && !is_replaced(5, 1) && !is_replaced(6, 0) && !is_replaced(4, 9));
    }
}
