//! What spout and bolt executors have in common: they are stepped, and do not know by which thread.

use std::sync::Arc;

use storm_figures::{EdgeCount, StreamCount};
use storm_model::{ComponentId, ConfigMap, ExecutorId, StreamId, TaskId, Time};
use storm_topology::{Outputs, TaskContext, TaskMetrics, WorkerContext};

use crate::bolt_executor::BoltExecutor;
use crate::emit::Emitter;
use crate::port::ExecutorPort;
use crate::spout_executor::SpoutExecutor;

/// What an executor says at the end of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is more to do.
    Busy,
    /// Nothing to do before the bell rings or this moment comes; everything is flushed.
    Wait(Option<Time>),
    /// It has ended.
    Ended,
}

/// An executor.
pub(crate) enum Executor {
    Spout(Box<SpoutExecutor>),
    Bolt(Box<BoltExecutor>),
}

impl Executor {
    /// Does some 100 microseconds of work.
    pub(crate) fn step(&mut self, now: Time) -> Step {
        match self {
            Executor::Spout(spout) => spout.step(now),
            Executor::Bolt(bolt) => bolt.step(now),
        }
    }

    /// Its turn is over although there is more to do: what others do meanwhile is not its time.
    pub(crate) fn rest(&mut self, now: Time) {
        match self {
            Executor::Spout(spout) => spout.rest(now),
            Executor::Bolt(bolt) => bolt.rest(now),
        }
    }
}

/// Makes contexts for the tasks of one executor.
pub(crate) struct TaskMaker {
    pub(crate) worker: Arc<WorkerContext>,
    pub(crate) component: ComponentId,
    pub(crate) executor: ExecutorId,
    pub(crate) config: Arc<ConfigMap>,
    pub(crate) port: Arc<ExecutorPort>,
    /// Of each task, for all its lives.
    pub(crate) metrics: Vec<Arc<TaskMetrics>>,
}

impl TaskMaker {
    pub(crate) fn context(&self, task: TaskId, incarnation: u64) -> TaskContext {
        let rank = (task.0 - self.executor.first.0) as usize;
        TaskContext::new(
            self.worker.clone(),
            self.component.clone(),
            task,
            self.config.clone(),
            incarnation,
            self.port.clone(),
        )
        .with_metrics(self.metrics[rank].clone())
    }
}

/// A component that could not be started.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("'{component}' (task {task}) could not start: {message}")]
pub struct StartError {
    /// The component.
    pub component: ComponentId,
    /// The task.
    pub task: TaskId,
    /// What `open` or `prepare` said.
    pub message: String,
}

/// The earlier of two moments, where `None` is never.
pub(crate) fn earlier(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Counts of what a task emitted.
pub(crate) fn stream_counts(emitter: &Emitter, outputs: &Outputs, rank: usize) -> Vec<StreamCount> {
    let routes = &emitter.routes[rank].streams;
    let count = |(route, spec): (&crate::routing::StreamRoute, &storm_model::StreamSpec)| {
        let stream: StreamId = spec.id.clone();
        let edge = |e: &crate::routing::Edge| EdgeCount {
            component: e.component.clone(),
            transferred: e.transferred,
        };
        let edges = route.edges.iter().map(edge).collect();
        StreamCount { emitted: route.emitted, edges, ..StreamCount::new(stream) }
    };
    routes.iter().zip(&outputs.streams).map(count).collect()
}
