//! What a task knows about itself and its surroundings.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::SystemTime;

use metrics::{Counter, Gauge, Histogram};
use serde_json::Value as Json;
use storm_model::{ComponentId, ConfigMap, Incarnation, StreamSpec, TaskId, TaskTable, Time, TopologySpec};

use crate::error::ComponentError;
use crate::hooks::TaskHook;
use crate::inbox::{Inbox, MessagePort};
use crate::task_metrics::{MetricError, TaskMetrics};

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

/// A worker process, as its tasks and hooks see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerInfo {
    /// Name or address of its machine, as other workers know it.
    pub host: String,
    /// Port of its slot; 0 in a local run.
    pub port: u16,
    /// Which life of the worker this is: it grows when the worker is started again, and when its tasks are
    /// placed elsewhere. `(worker incarnation, task incarnation)` is therefore greater than that of every
    /// former life of the task in this topology: a fencing token. In a local run it is always the same,
    /// because nothing is known there of former runs.
    pub incarnation: Incarnation,
}

impl Default for WorkerInfo {
    /// That of a local run.
    fn default() -> Self {
        WorkerInfo { host: "localhost".to_owned(), port: 0, incarnation: Incarnation::default() }
    }
}

impl WorkerInfo {
    const RESOURCE: &str = "storm.worker";

    /// The worker that these resources are of; what a worker's hooks ask.
    pub fn of(resources: &Resources) -> WorkerInfo {
        resources.get::<WorkerInfo>(Self::RESOURCE).map(|info| (*info).clone()).unwrap_or_default()
    }

    /// Tells all tasks and the hooks that follow; for workers and test kits.
    pub fn introduce(self, resources: &mut Resources) {
        resources.put(Self::RESOURCE, self);
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
    metrics: Arc<TaskMetrics>,
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
            metrics: Arc::default(),
            hooks: RefCell::default(),
            has_waker: Cell::new(false),
        }
    }

    /// With the metrics of the task's former lives; for engines and test kits. Without, it has
    /// metrics of its own.
    pub fn with_metrics(self, metrics: Arc<TaskMetrics>) -> TaskContext {
        TaskContext { metrics, ..self }
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

    /// Number of this life of the task in its worker: it grows with every new instance. Together with the
    /// [incarnation of the worker](WorkerInfo::incarnation) it is a fencing token.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The worker that this task runs in. A local run is [`WorkerInfo::default`].
    ///
    /// ```
    /// # use storm_topology::*;
    /// #[derive(Default)]
    /// struct Store {
    ///     fence: String,
    /// }
    ///
    /// impl Bolt for Store {
    ///     fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
    ///         // Greater than that of any former life of this task, here or elsewhere: a store that refuses
    ///         // writes with a smaller one than it has seen for the task refuses those that come late.
    ///         let worker = ctx.worker().incarnation;
    ///         self.fence = format!("{:020}.{:020}.{:020}", worker.number, worker.restarts, ctx.incarnation());
    ///         Ok(())
    ///     }
    /// #     fn execute(&mut self, _: &Tuple, _: &mut BoltOutput) -> Result<(), BoltError> { Ok(()) }
    /// }
    /// # TopologyBuilder::new().set_bolt("store", Store::default, 2);
    /// ```
    pub fn worker(&self) -> WorkerInfo {
        WorkerInfo::of(&self.worker.resources)
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

    /// A counter of this task, for things that happen: shown with the task's other figures.
    ///
    /// Keep the handle and use it from any thread. The same name gives the same counter, also to the
    /// next instance of the task. A name that already is a gauge or a histogram, or that begins with
    /// `__`, or is one more than [`TaskMetrics::MAX`], is reported as an error, and the handle then
    /// does nothing.
    ///
    /// ```
    /// use storm_topology::metrics::{Counter, Histogram};
    /// use storm_topology::*;
    ///
    /// struct Lookup {
    ///     misses: Counter,
    ///     sizes: Histogram,
    /// }
    ///
    /// impl Bolt for Lookup {
    ///     fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
    ///         self.misses = ctx.counter("cache.misses");
    ///         self.sizes = ctx.histogram("answer.bytes");
    ///         Ok(())
    ///     }
    ///
    ///     fn execute(&mut self, input: &Tuple, _: &mut BoltOutput) -> Result<(), BoltError> {
    ///         self.misses.increment(1);
    ///         self.sizes.record(input.get::<&str>("answer")?.len() as f64);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// // Before `prepare`: handles that do nothing.
    /// let make = || Lookup { misses: Counter::noop(), sizes: Histogram::noop() };
    /// # TopologyBuilder::new().set_bolt("lookup", make, 2);
    /// ```
    pub fn counter(&self, name: &str) -> Counter {
        self.metrics.counter(name).unwrap_or_else(|error| self.refused(error, Counter::noop()))
    }

    /// A gauge of this task, for how much there is of something; 0 until it is set. Otherwise as
    /// [`counter`](Self::counter).
    pub fn gauge(&self, name: &str) -> Gauge {
        self.metrics.gauge(name).unwrap_or_else(|error| self.refused(error, Gauge::noop()))
    }

    /// A histogram of this task, for how numbers are distributed: sizes, seconds. Otherwise as
    /// [`counter`](Self::counter).
    pub fn histogram(&self, name: &str) -> Histogram {
        self.metrics.histogram(name).unwrap_or_else(|error| self.refused(error, Histogram::noop()))
    }

    /// The metrics of this task; for engines and test kits.
    pub fn metrics(&self) -> &Arc<TaskMetrics> {
        &self.metrics
    }

    /// A missing figure is no reason to stop a task.
    fn refused<H>(&self, error: MetricError, noop: H) -> H {
        self.report_error(error);
        noop
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
