//! What a task knows about itself and its surroundings.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::SystemTime;

use serde_json::Value as Json;
use storm_model::{ComponentId, ConfigMap, StreamSpec, TaskId, TaskTable, Time, TopologySpec};

use crate::error::ComponentError;
use crate::hooks::TaskHook;
use crate::inbox::{Inbox, MessagePort};

/// The clock of an engine: real, or a test's.
pub trait Clock: Send + Sync {
    /// Monotonic time.
    fn now(&self) -> Time;

    /// Wall time; it may jump.
    fn wall(&self) -> SystemTime;
}

/// Things that the tasks of one worker share, by name.
#[derive(Default, Clone)]
pub struct Resources(BTreeMap<String, Arc<dyn Any + Send + Sync>>);

impl Resources {
    /// Adds or replaces a resource.
    pub fn put<T: Any + Send + Sync>(&mut self, name: impl Into<String>, resource: T) {
        self.0.insert(name.into(), Arc::new(resource));
    }

    /// The resource of this name, if it has this type.
    pub fn get<T: Any + Send + Sync>(&self, name: &str) -> Option<Arc<T>> {
        self.0.get(name)?.clone().downcast().ok()
    }
}

/// What the executor of a task offers to it; for engines and test kits.
pub trait TaskPort: MessagePort {
    /// A waker that ends `Idle` and `Until` of this task's spout.
    fn waker(&self, task: TaskId) -> Waker;

    /// Reports an error of the task.
    fn report_error(&self, task: TaskId, error: ComponentError);
}

/// What is the same for all tasks of a worker.
pub struct WorkerContext {
    /// Name of the topology.
    pub topology: String,
    /// Its description.
    pub spec: TopologySpec,
    /// Its tasks.
    pub tasks: TaskTable,
    /// What its tasks share.
    pub resources: Resources,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
}

/// A task's view of itself, its topology and its worker; given to `open` and `prepare`.
pub struct TaskContext {
    worker: Arc<WorkerContext>,
    component: ComponentId,
    task: TaskId,
    config: Arc<ConfigMap>,
    incarnation: u64,
    port: Arc<dyn TaskPort>,
    message_port: Arc<dyn MessagePort>,
    hooks: RefCell<Vec<Box<dyn TaskHook>>>,
    has_waker: Cell<bool>,
}

impl TaskContext {
    /// For engines and test kits. `config` is the topology's configuration with the component's
    /// own on top.
    pub fn new<P: TaskPort + 'static>(
        worker: Arc<WorkerContext>,
        component: ComponentId,
        task: TaskId,
        config: Arc<ConfigMap>,
        incarnation: u64,
        port: Arc<P>,
    ) -> TaskContext {
        TaskContext {
            worker,
            component,
            task,
            config,
            incarnation,
            message_port: port.clone(),
            port,
            hooks: RefCell::default(),
            has_waker: Cell::new(false),
        }
    }

    /// Name of the topology.
    pub fn topology(&self) -> &str {
        &self.worker.topology
    }

    /// Id of this task's component.
    pub fn component(&self) -> &ComponentId {
        &self.component
    }

    /// Number of this task.
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// Rank of this task among its component's, from 0.
    pub fn task_index(&self) -> usize {
        self.tasks_of(self.component.as_str()).position(|t| t == self.task).expect("its own component's task")
    }

    /// Number of tasks of this task's component.
    pub fn task_count(&self) -> usize {
        self.tasks_of(self.component.as_str()).len()
    }

    /// The tasks of a component, ascending; none for an unknown component.
    pub fn tasks_of(&self, component: &str) -> impl ExactSizeIterator<Item = TaskId> + Clone + use<> {
        self.worker.tasks.tasks_of(component)
    }

    /// The description of the whole topology.
    pub fn spec(&self) -> &TopologySpec {
        &self.worker.spec
    }

    /// The streams that this task may emit to.
    pub fn outputs(&self) -> &[StreamSpec] {
        &self.worker.spec.components[&self.component].outputs
    }

    /// A configuration value: the component's own, else the topology's.
    pub fn config(&self, key: &str) -> Option<&Json> {
        self.config.get(key)
    }

    /// The whole configuration as this component sees it.
    pub fn config_map(&self) -> &ConfigMap {
        &self.config
    }

    /// What the worker's hooks put under this name, if it has this type.
    pub fn resource<T: Any + Send + Sync>(&self, name: &str) -> Option<Arc<T>> {
        self.worker.resources.get(name)
    }

    /// Monotonic time on the engine's clock: the clock of [`Next::Until`](crate::Next::Until), a
    /// virtual one in tests.
    pub fn now(&self) -> Time {
        self.worker.clock.now()
    }

    /// Wall time on the engine's clock.
    pub fn wall_time(&self) -> SystemTime {
        self.worker.clock.wall()
    }

    /// The engine's clock, to be kept.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.worker.clock.clone()
    }

    /// Number of this life of the task: it grows with every new instance, so that a sink can tell a
    /// late write of a former life (a fencing token).
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Ends `Idle` and `Until` of this task's spout, from any thread. A spout that takes a waker is
    /// no longer polled.
    pub fn waker(&self) -> Waker {
        self.has_waker.set(true);
        self.port.waker(self.task)
    }

    /// A sender of messages to this task's `on_message`, for any thread.
    pub fn inbox<M: Send + 'static>(&self) -> Inbox<M> {
        Inbox::new(self.message_port.clone(), self.task)
    }

    /// Adds a hook around what this task does.
    pub fn add_hook(&self, hook: impl TaskHook) {
        self.hooks.borrow_mut().push(Box::new(hook));
    }

    /// Reports an error without failing a tuple.
    pub fn report_error(&self, error: impl Into<ComponentError>) {
        self.port.report_error(self.task, error.into());
    }

    /// The hooks that were added; for engines and test kits.
    pub fn take_hooks(&self) -> Vec<Box<dyn TaskHook>> {
        self.hooks.take()
    }

    /// Whether [`waker`](Self::waker) was called; for engines and test kits.
    pub fn took_waker(&self) -> bool {
        self.has_waker.get()
    }
}
