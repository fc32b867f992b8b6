//! Hooks: users' code around components (Storm's `ITaskHook` and `IWorkerHook`).

use std::time::Duration;

use storm_model::{ConfigMap, StreamId, TaskId};
use storm_row::Values;

use crate::context::Resources;
use crate::error::ComponentError;
use crate::spout::FailCause;
use crate::tuple::Tuple;

/// Called on the executor's thread around what a task does; added with
/// [`TaskContext::add_hook`](crate::TaskContext::add_hook). Tasks without hooks pay nothing.
pub trait TaskHook: Send + 'static {
    /// A row was emitted to this many tasks.
    fn emit(&mut self, task: TaskId, stream: &StreamId, values: Values<'_>, targets: usize) {
        let _ = (task, stream, values, targets);
    }

    /// A tree of the spout was acked after this long.
    fn spout_ack(&mut self, task: TaskId, complete_latency: Duration) {
        let _ = (task, complete_latency);
    }

    /// A tree of the spout failed after this long.
    fn spout_fail(&mut self, task: TaskId, cause: FailCause, age: Duration) {
        let _ = (task, cause, age);
    }

    /// A bolt executed a tuple.
    fn bolt_execute(&mut self, task: TaskId, tuple: &Tuple<'_>) {
        let _ = (task, tuple);
    }

    /// A bolt acked a tuple.
    fn bolt_ack(&mut self, task: TaskId) {
        let _ = task;
    }

    /// A bolt failed a tuple.
    fn bolt_fail(&mut self, task: TaskId) {
        let _ = task;
    }

    /// The task ends in good order.
    fn cleanup(&mut self) {}
}

/// Called once per worker, around all of its tasks.
pub trait WorkerHook: Send + Sync + 'static {
    /// Before any task is made: the place to open what tasks share.
    ///
    /// # Errors
    /// An error keeps the worker from starting.
    fn start(&self, resources: &mut Resources, config: &ConfigMap) -> Result<(), ComponentError> {
        let _ = (resources, config);
        Ok(())
    }

    /// After all tasks have ended.
    fn shutdown(&self, resources: &Resources) {
        let _ = resources;
    }
}
