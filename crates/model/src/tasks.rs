//! From a topology's description to numbered tasks and executors, exactly as Storm numbers them.

use std::collections::BTreeMap;

use crate::ids::{ComponentId, ExecutorId, TaskId};
use crate::spec::TopologySpec;

/// The tasks of every component: contiguous ranges from 1, components in alphabetical order
/// (Storm's `StormCommon.stormTaskInfo`, without system components: they have no tasks here).
#[derive(Clone, Debug, PartialEq)]
pub struct TaskTable {
    ranges: BTreeMap<ComponentId, ExecutorId>,
    /// Component of task `i + 1`.
    owners: Vec<ComponentId>,
}

impl TaskTable {
    /// Numbers the tasks of `spec`, which must be free of problems.
    pub fn new(spec: &TopologySpec) -> TaskTable {
        let mut owners = Vec::new();
        let mut table = BTreeMap::new();
        for (id, range) in ranges(spec) {
            owners.extend(range.tasks().map(|_| id.clone()));
            table.insert(id.clone(), range);
        }
        TaskTable { ranges: table, owners }
    }

    /// All tasks of a component, ascending; empty for an unknown one.
    pub fn tasks_of(&self, component: &str) -> impl ExactSizeIterator<Item = TaskId> + Clone + use<> {
        let none = ExecutorId { first: TaskId(1), last: TaskId(0) };
        self.ranges.get(component).copied().unwrap_or(none).tasks()
    }

    /// The component of a task.
    pub fn owner(&self, task: TaskId) -> Option<&ComponentId> {
        self.owners.get((task.0 as usize).checked_sub(1)?)
    }

    /// Number of tasks; the highest task id.
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    /// Whether there is no task.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }
}

/// The tasks of every component, in order, as [`TaskTable`] numbers them.
pub fn ranges(spec: &TopologySpec) -> impl Iterator<Item = (&ComponentId, ExecutorId)> {
    let mut before = 0u32;
    spec.components.iter().map(move |(id, component)| {
        let first = TaskId(before.saturating_add(1));
        before = before.saturating_add(component.tasks);
        (id, ExecutorId { first, last: TaskId(before) })
    })
}

/// The executors of a topology in order of their tasks: each component's tasks in as many
/// contiguous parts as it has executors, larger parts first (Storm's `Utils.partitionFixed`:
/// 10 tasks on 3 executors are 1 to 4, 5 to 7, 8 to 10).
pub fn executors(spec: &TopologySpec, tasks: &TaskTable) -> Vec<(ComponentId, ExecutorId)> {
    let mut out = Vec::new();
    for (id, component) in &spec.components {
        let mut next = tasks.ranges[id].first.0;
        let (small, larger) = (component.tasks / component.executors, component.tasks % component.executors);
        for i in 0..component.executors {
            let size = small + u32::from(i < larger);
            out.push((id.clone(), ExecutorId { first: TaskId(next), last: TaskId(next + size - 1) }));
            next += size;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ComponentKind, ComponentSpec};

    fn spec(parts: &[(&str, u32, u32)]) -> TopologySpec {
        let component = |executors, tasks| ComponentSpec {
            kind: ComponentKind::Spout,
            executors,
            tasks,
            tasks_fixed: true,
            outputs: vec![],
            inputs: vec![],
            config: Default::default(),
        };
        let components = parts.iter().map(|&(id, e, t)| (id.into(), component(e, t))).collect();
        TopologySpec { components, config: Default::default() }
    }

    #[test]
    fn task_ids_follow_the_alphabet_from_one() {
        let table = TaskTable::new(&spec(&[("words", 1, 2), ("count", 1, 3)]));
        assert_eq!(table.tasks_of("count").collect::<Vec<_>>(), [TaskId(1), TaskId(2), TaskId(3)]);
        assert_eq!(table.tasks_of("words").collect::<Vec<_>>(), [TaskId(4), TaskId(5)]);
        assert_eq!(table.owner(TaskId(4)).unwrap(), &"words");
        assert_eq!(table.owner(TaskId(0)), None);
        assert_eq!(table.tasks_of("nobody").len(), 0);
    }

    #[test]
    fn ten_tasks_on_three_executors_are_four_three_three() {
        let spec = spec(&[("b", 3, 10)]);
        let parts: Vec<_> =
            executors(&spec, &TaskTable::new(&spec)).into_iter().map(|(_, e)| e.to_string()).collect();
        assert_eq!(parts, ["[1-4]", "[5-7]", "[8-10]"]);
    }
}
