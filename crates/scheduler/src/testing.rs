//! Small views for the unit tests: supervisor `a` runs on `host-a`, its ports count from 1.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use storm_model::assignment::{AssignedExecutor, WorkerSlot};
use storm_model::ids::{ExecutorId, TaskId};

use crate::{ClusterView, Placement, SupervisorView, TopologyView};

pub(crate) fn cluster(supervisors: &[(&str, u16)]) -> ClusterView {
    let supervisors = supervisors
        .iter()
        .map(|&(id, slots)| SupervisorView::new(id, format!("host-{id}"), 1..=slots))
        .collect();
    ClusterView { supervisors, ..ClusterView::default() }
}

/// A topology of `executors` executors with a task each.
pub(crate) fn topology(name: &str, workers: u32, executors: u32) -> TopologyView {
    TopologyView {
        id: format!("{name}-1").into(),
        name: name.into(),
        workers,
        executors: executors_of(&[("words", executors, executors)]),
        current: BTreeMap::new(),
        spread_again: false,
    }
}

/// Executors of components, each as (id, executors, tasks).
pub(crate) fn executors_of(components: &[(&str, u32, u32)]) -> Vec<AssignedExecutor> {
    let mut next = 1;
    let mut out = Vec::new();
    for &(component, executors, tasks) in components {
        for i in 0..executors {
            let size = tasks / executors + u32::from(i < tasks % executors);
            let executor = ExecutorId { first: TaskId(next), last: TaskId(next + size - 1) };
            out.push(AssignedExecutor { component: component.into(), executor });
            next += size;
        }
    }
    out
}

pub(crate) fn slot(text: &str) -> WorkerSlot {
    let (supervisor, port) = text.split_once(':').unwrap();
    WorkerSlot { supervisor: supervisor.into(), port: port.parse().unwrap() }
}

/// What stands: the tasks of each slot, one per executor.
pub(crate) fn at(slots: &[(&str, RangeInclusive<u32>)]) -> BTreeMap<ExecutorId, WorkerSlot> {
    let one = |task| ExecutorId { first: TaskId(task), last: TaskId(task) };
    slots.iter().flat_map(|(at, tasks)| tasks.clone().map(move |task| (one(task), slot(at)))).collect()
}

/// The topology with this placement as what stands.
pub(crate) fn standing(topology: &TopologyView, placement: &Placement) -> TopologyView {
    TopologyView { current: placement.executors.clone(), ..topology.clone() }
}

/// Number of executors by slot.
pub(crate) fn counts(placement: &Placement) -> Vec<(String, usize)> {
    let mut counts = BTreeMap::new();
    for slot in placement.executors.values() {
        *counts.entry(slot.to_string()).or_default() += 1;
    }
    counts.into_iter().collect()
}

/// Number of workers by supervisor.
pub(crate) fn per_supervisor(placement: &Placement) -> Vec<(String, usize)> {
    let mut workers = BTreeMap::new();
    for (slot, _) in counts(placement) {
        let (supervisor, _) = slot.split_once(':').unwrap();
        *workers.entry(supervisor.to_owned()).or_default() += 1;
    }
    workers.into_iter().collect()
}

/// Number of executors that stood somewhere and stand elsewhere now.
pub(crate) fn moved(before: &TopologyView, after: &Placement) -> usize {
    before.current.iter().filter(|(executor, slot)| after.executors.get(executor) != Some(slot)).count()
}

pub(crate) fn owned((text, number): (&str, usize)) -> (String, usize) {
    (text.to_owned(), number)
}
