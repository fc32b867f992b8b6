//! The scheduler's answer becomes an assignment: who keeps its incarnation and who gets a new one. Pure.
//!
//! A worker whose executors at its slot are as before keeps its number, so it runs on and only learns
//! where its peers are. Every other gets a number that was never used before in its topology. When a
//! component has other executors than before, every worker is started anew: they name executors to each
//! other by their place among all.

use std::collections::BTreeMap;

use storm_cluster::TopologyRecord;
use storm_model::tasks::{TaskTable, executors};
use storm_model::{
    AssignedExecutor, Assignment, ComponentId, ExecutorId, TopologySpec, WorkerAssignment, WorkerSlot,
};
use storm_rpc::CallError;

/// Bytes of an executor in an assignment, without the name of its component.
const EXECUTOR_BYTES: usize = 70;
/// Bytes of a worker in an assignment, its host and its supervisor's id included.
const WORKER_BYTES: usize = 300;

/// The executors of a topology, after what rebalances have set.
pub(crate) fn wanted(spec: &TopologySpec, overrides: &BTreeMap<ComponentId, u32>) -> Vec<AssignedExecutor> {
    let mut spec = spec.clone();
    for (id, component) in &mut spec.components {
        if let Some(number) = overrides.get(id) {
            component.executors = (*number).clamp(1, component.tasks.max(1));
        }
    }
    let all = executors(&spec, &TaskTable::new(&spec)).into_iter();
    all.map(|(component, executor)| AssignedExecutor { component, executor }).collect()
}

/// Refuses what would not fit into one node of ZooKeeper.
pub(crate) fn check_fits(wanted: &[AssignedExecutor], workers: u32) -> Result<(), CallError> {
    let executors: usize = wanted.iter().map(|e| EXECUTOR_BYTES + e.component.as_str().len()).sum();
    let workers = (workers as usize).clamp(1, wanted.len().max(1));
    if executors + workers * WORKER_BYTES > storm_cluster::LIMIT {
        return Err(CallError::invalid(format!(
            "{} executors on {workers} workers are more than the assignment of one topology can hold",
            wanted.len()
        ))
        .advise("lower the parallelism of its components: an executor may have many tasks"));
    }
    Ok(())
}

/// Where every executor stands.
pub(crate) fn standing(assignment: &Assignment) -> BTreeMap<ExecutorId, WorkerSlot> {
    let of = |worker: &WorkerAssignment| {
        let slot = worker.slot.clone();
        worker.executors.iter().map(move |e| (e.executor, slot.clone())).collect::<Vec<_>>()
    };
    assignment.workers.iter().flat_map(of).collect()
}

/// The next assignment, or `None` if nothing changes. Numbers are drawn from
/// [`TopologyRecord::assignment_number`], and its version is noted: the record is to be written in the
/// same transaction.
pub(crate) fn next(
    record: &mut TopologyRecord,
    wanted: &[AssignedExecutor],
    old: Option<&Assignment>,
    placed: &BTreeMap<ExecutorId, WorkerSlot>,
    host: impl Fn(&WorkerSlot) -> String,
) -> Option<Assignment> {
    let mut slots: BTreeMap<&WorkerSlot, Vec<AssignedExecutor>> = BTreeMap::new();
    for executor in wanted {
        if let Some(slot) = placed.get(&executor.executor) {
            slots.entry(slot).or_default().push(executor.clone());
        }
    }
    let is_known = |e: &AssignedExecutor| wanted.iter().any(|wanted| wanted.executor == e.executor);
    let all_of_old = || old.into_iter().flat_map(|old| &old.workers).flat_map(|worker| &worker.executors);
    let are_as_before = all_of_old().all(is_known);
    let mut workers = Vec::with_capacity(slots.len());
    for (slot, mut executors) in slots {
        executors.sort_by_key(|assigned| assigned.executor);
        let kept = old
            .and_then(|old| old.worker(slot))
            .filter(|worker| are_as_before && worker.executors == executors);
        let worker = match kept {
            // Its supervisor may have come back under another name.
            Some(worker) => WorkerAssignment { host: host(slot), ..worker.clone() },
            None => {
                record.assignment_number += 1;
                let number = record.assignment_number;
                WorkerAssignment { slot: slot.clone(), host: host(slot), number, executors }
            }
        };
        workers.push(worker);
    }
    if old.map_or(workers.is_empty(), |old| old.workers == workers) {
        return None;
    }
    // One that was lost had a version, too.
    let version = old.map_or(0, |old| old.version).max(record.assignment_version) + 1;
    record.assignment_version = version;
    Some(Assignment { version, workers })
}

/// The assignment as it was, under a new version: for a node that is gone or cannot be understood.
pub(crate) fn again(record: &mut TopologyRecord, old: &Assignment) -> Assignment {
    let version = old.version.max(record.assignment_version) + 1;
    record.assignment_version = version;
    Assignment { version, workers: old.workers.clone() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    fn place(record: &TopologyRecord, ports: &[u16]) -> BTreeMap<ExecutorId, WorkerSlot> {
        let wanted = wanted(&record.spec, &record.executors);
        let slot = |i: usize| testing::slot("a", ports[i % ports.len()]);
        wanted.iter().enumerate().map(|(i, e)| (e.executor, slot(i))).collect()
    }

    fn step(
        record: &mut TopologyRecord,
        old: Option<&Assignment>,
        placed: &BTreeMap<ExecutorId, WorkerSlot>,
    ) -> Option<Assignment> {
        let wanted = wanted(&record.spec, &record.executors);
        next(record, &wanted, old, placed, |slot| format!("host-{}", slot.supervisor))
    }

    #[test]
    fn a_worker_is_where_its_supervisor_says_it_is() {
        let mut record = testing::topology("w", 2);
        let placed = place(&record, &[1, 2]);
        let old = step(&mut record, None, &placed).unwrap();
        let wanted = wanted(&record.spec, &record.executors);
        // The same supervisor in another container: the same workers, under another address.
        let moved = next(&mut record, &wanted, Some(&old), &placed, |_| "elsewhere".to_owned()).unwrap();
        assert!(moved.version > old.version && moved.workers.iter().all(|worker| worker.host == "elsewhere"));
        let numbers = |assignment: &Assignment| -> Vec<u64> {
            assignment.workers.iter().map(|worker| worker.number).collect()
        };
        assert_eq!(numbers(&moved), numbers(&old));
    }

    #[test]
    fn a_worker_with_other_executors_is_a_new_incarnation() {
        let mut record = testing::topology("w", 2);
        let two = step(&mut record, None, &place(&testing::topology("w", 2), &[1, 2])).unwrap();
        assert_eq!(two.workers.iter().map(|w| w.number).collect::<Vec<_>>(), [1, 2]);
        let same = place(&record, &[1, 2]);
        assert_eq!(step(&mut record, Some(&two), &same), None);
        let mut moved = same;
        for slot in moved.values_mut().filter(|slot| slot.port == 2) {
            slot.port = 3;
        }
        let three = step(&mut record, Some(&two), &moved).unwrap();
        assert_eq!(
            three.workers.iter().map(|w| (w.slot.port, w.number)).collect::<Vec<_>>(),
            [(1, 1), (3, 3)]
        );
        assert_eq!((three.version, record.assignment_number), (2, 3));
    }

    #[test]
    fn other_executors_of_one_component_begin_all_workers_anew() {
        let mut record = testing::topology("w", 2);
        // Each component has a worker of its own.
        let place = |record: &TopologyRecord| -> BTreeMap<ExecutorId, WorkerSlot> {
            let wanted = wanted(&record.spec, &record.executors).into_iter();
            let port = |e: &AssignedExecutor| if e.component == *"count" { 1 } else { 2 };
            wanted.map(|e| (e.executor, testing::slot("a", port(&e)))).collect()
        };
        let placed = place(&record);
        let first = step(&mut record, None, &placed).unwrap();
        record.executors.insert("words".into(), 4);
        let placed = place(&record);
        let next = step(&mut record, Some(&first), &placed).unwrap();
        assert_eq!(next.workers[0].executors, first.workers[0].executors, "those of count are the same");
        assert_eq!(next.workers.iter().map(|worker| worker.number).collect::<Vec<_>>(), [3, 4]);
    }

    proptest! {
        #[test]
        fn numbers_are_never_used_again(moves in proptest::collection::vec(
            proptest::collection::vec(1u16..6, 1..4), 1..12,
        )) {
            let mut record = testing::topology("w", 2);
            let mut old: Option<Assignment> = None;
            let mut seen = BTreeMap::new();
            for ports in moves {
                let placed = place(&record, &ports);
                let Some(new) = step(&mut record, old.as_ref(), &placed) else { continue };
                prop_assert!(old.as_ref().is_none_or(|old| old.version < new.version));
                for worker in &new.workers {
                    let life = (worker.slot.clone(), worker.executors.clone());
                    prop_assert_eq!(seen.entry(worker.number).or_insert_with(|| life.clone()), &life);
                    prop_assert!(worker.number <= record.assignment_number);
                }
                prop_assert_eq!(standing(&new), placed);
                old = Some(new);
            }
        }
    }
}
