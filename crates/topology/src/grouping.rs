//! Groupings of users' own.

use storm_model::{ComponentId, StreamSpec, TaskId};
use storm_row::Values;

/// Decides which tasks get a tuple (Storm's `CustomStreamGrouping`). One instance per emitting
/// task, used on its thread.
pub trait CustomGrouping: Send + 'static {
    /// Called once before the first tuple.
    fn prepare(&mut self, edge: &GroupingEdge<'_>) {
        let _ = edge;
    }

    /// Puts the tasks that are to get these values into `chosen`, which is empty; no task means
    /// that nobody gets it. A task that is none of the targets is an error of the emit.
    fn choose(&mut self, source: TaskId, values: Values<'_>, chosen: &mut Vec<TaskId>);
}

/// The subscription that a grouping serves.
pub struct GroupingEdge<'a> {
    /// The emitting component.
    pub component: &'a ComponentId,
    /// The stream with its fields.
    pub stream: &'a StreamSpec,
    /// The receiving component.
    pub target: &'a ComponentId,
    /// Its tasks, ascending.
    pub target_tasks: &'a [TaskId],
}
