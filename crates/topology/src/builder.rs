//! Wires spouts and bolts into a topology.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use storm_model::validate::problems;
use storm_model::{
    ComponentId, ComponentKind, ComponentSpec, ConfigMap, DEFAULT_STREAM, Fields, GroupingSpec, InputSpec,
    SpecError, StreamId, TopologySpec,
};

use crate::bolt::Bolt;
use crate::declare::OutputDeclarer;
use crate::error::{ComponentError, TopologyError};
use crate::grouping::CustomGrouping;
use crate::hooks::WorkerHook;
use crate::spout::{AnySpout, Spout, SpoutTask};

/// Makes the instances of a spout.
pub type SpoutFactory = Arc<dyn Fn() -> Box<dyn AnySpout> + Send + Sync>;
/// Makes the instances of a bolt.
pub type BoltFactory = Arc<dyn Fn() -> Box<dyn Bolt> + Send + Sync>;
/// Makes the instances of a custom grouping.
pub type GroupingFactory = Arc<dyn Fn() -> Box<dyn CustomGrouping> + Send + Sync>;

/// Makes the tasks of a component.
#[derive(Clone)]
pub enum Factory {
    /// A spout's.
    Spout(SpoutFactory),
    /// A bolt's.
    Bolt(BoltFactory),
}

/// A complete topology: its description and the code that runs it.
#[derive(Clone)]
pub struct Topology {
    /// The description.
    pub spec: TopologySpec,
    /// How each component's tasks are made.
    pub factories: BTreeMap<ComponentId, Factory>,
    /// Custom groupings by receiving component, emitting component and stream.
    pub groupings: BTreeMap<(ComponentId, ComponentId, StreamId), GroupingFactory>,
    /// Hooks around each worker, in order of their addition.
    pub worker_hooks: Vec<Arc<dyn WorkerHook>>,
}

impl Topology {
    /// Sets the number of executors of a component, as `topology.parallelism.COMPONENT` does. The
    /// number of tasks follows unless `num_tasks` fixed it.
    ///
    /// # Errors
    /// No such component, no executor, or more executors than fixed tasks; nothing is changed then.
    pub fn set_parallelism(&mut self, component: &str, executors: u32) -> Result<(), TopologyError> {
        let mut changed = self.spec.clone();
        let Some(spec) = changed.components.get_mut(component) else {
            let known: Vec<&str> = self.spec.components.keys().map(|k| k.as_str()).collect();
            let (component, known) = (component.into(), known.join(", "));
            return Err(TopologyError::new(vec![SpecError::ParallelismOfUnknown { component, known }]));
        };
        spec.executors = executors;
        if !spec.tasks_fixed {
            spec.tasks = executors;
        }
        match problems(&changed) {
            found if found.is_empty() => {
                self.spec = changed;
                Ok(())
            }
            found => Err(TopologyError::new(found)),
        }
    }

    /// Whether it can run as it is.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn check(&self) -> Result<(), TopologyError> {
        match problems(&self.spec) {
            found if found.is_empty() => Ok(()),
            found => Err(TopologyError::new(found)),
        }
    }

    /// Caps the tasks of every component, as `topology.max.task.parallelism` does (executors are
    /// capped with them).
    pub fn cap_tasks(&mut self, component: &str, max: u32) {
        if let Some(spec) = self.spec.components.get_mut(component) {
            spec.tasks = spec.tasks.min(max.max(1));
            spec.executors = spec.executors.min(spec.tasks);
        }
    }
}

impl std::fmt::Debug for Topology {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Topology").field(&self.spec).finish()
    }
}

/// Builds a [`Topology`].
///
/// ```
/// # use storm_topology::*;
/// # #[derive(Default)] struct Split;
/// # impl Bolt for Split {
/// #     fn execute(&mut self, _: &Tuple, _: &mut BoltOutput) -> Result<(), BoltError> { Ok(()) }
/// # }
/// # struct Lines;
/// # impl Spout for Lines {
/// #     type MessageId = ();
/// #     fn declare_outputs(&self, out: &mut OutputDeclarer) { out.fields(["line"]); }
/// #     fn next_tuple(&mut self, _: &mut SpoutOutput<()>) -> Result<Next, SpoutError> { Ok(Next::Done) }
/// # }
/// let mut t = TopologyBuilder::new();
/// t.set_spout("lines", || Lines, 1);
/// t.set_bolt("split", Split::default, 2).num_tasks(4).shuffle_grouping("lines");
/// let topology = t.build()?;
/// # Ok::<(), TopologyError>(())
/// ```
#[derive(Default)]
pub struct TopologyBuilder {
    spec: TopologySpec,
    factories: BTreeMap<ComponentId, Factory>,
    groupings: BTreeMap<(ComponentId, ComponentId, StreamId), GroupingFactory>,
    worker_hooks: Vec<Arc<dyn WorkerHook>>,
    problems: Vec<SpecError>,
}

impl TopologyBuilder {
    /// An empty topology.
    pub fn new() -> TopologyBuilder {
        TopologyBuilder::default()
    }

    /// Adds a spout. `factory` makes one instance per task, `parallelism` is the number of
    /// executors (and of tasks, unless [`num_tasks`](SpoutDeclarer::num_tasks) says otherwise).
    pub fn set_spout<S: Spout>(
        &mut self,
        id: impl Into<ComponentId>,
        factory: impl Fn() -> S + Send + Sync + 'static,
        parallelism: u32,
    ) -> SpoutDeclarer<'_> {
        let mut out = OutputDeclarer::new();
        factory().declare_outputs(&mut out);
        let boxed: SpoutFactory = Arc::new(move || Box::new(SpoutTask::new(factory())));
        let component = self.add(id.into(), ComponentKind::Spout, Factory::Spout(boxed), out, parallelism);
        SpoutDeclarer { component }
    }

    /// Adds a bolt. `factory` makes one instance per task, `parallelism` is the number of
    /// executors (and of tasks, unless [`num_tasks`](BoltDeclarer::num_tasks) says otherwise).
    pub fn set_bolt<B: Bolt>(
        &mut self,
        id: impl Into<ComponentId>,
        factory: impl Fn() -> B + Send + Sync + 'static,
        parallelism: u32,
    ) -> BoltDeclarer<'_> {
        let mut out = OutputDeclarer::new();
        factory().declare_outputs(&mut out);
        let id = id.into();
        let boxed: BoltFactory = Arc::new(move || Box::new(factory()));
        self.add(id.clone(), ComponentKind::Bolt, Factory::Bolt(boxed), out, parallelism);
        let component = self.spec.components.get_mut(&id).expect("just added");
        BoltDeclarer { id, component, groupings: &mut self.groupings }
    }

    /// Sets a configuration key for the whole topology; keys are checked when it starts.
    pub fn config(&mut self, key: impl Into<String>, value: impl Into<Json>) -> &mut Self {
        self.spec.config.insert(key.into(), value.into());
        self
    }

    /// Adds a hook around each worker.
    pub fn worker_hook(&mut self, hook: impl WorkerHook) -> &mut Self {
        self.worker_hooks.push(Arc::new(hook));
        self
    }

    /// Adds something that the tasks of a worker share: made once per worker before any task, read
    /// with [`TaskContext::resource`](crate::TaskContext::resource).
    pub fn worker_resource<T: Send + Sync + 'static>(
        &mut self,
        name: impl Into<String>,
        make: impl Fn() -> Result<T, ComponentError> + Send + Sync + 'static,
    ) -> &mut Self {
        self.worker_hook(ResourceHook { name: name.into(), make })
    }

    /// The topology.
    ///
    /// # Errors
    /// Every mistake in it, named by component, stream and field.
    pub fn build(self) -> Result<Topology, TopologyError> {
        let TopologyBuilder { spec, factories, groupings, worker_hooks, problems: mut found } = self;
        found.extend(problems(&spec));
        for (id, component) in &spec.components {
            for input in component.inputs.iter().filter(|i| matches!(i.grouping, GroupingSpec::Custom(_))) {
                let key = (id.clone(), input.component.clone(), input.stream.clone());
                if !groupings.contains_key(&key) {
                    let (component, source_component, stream) = key;
                    found.push(SpecError::CustomWithoutCode { component, source_component, stream });
                }
            }
        }
        if !found.is_empty() {
            return Err(TopologyError::new(found));
        }
        Ok(Topology { spec, factories, groupings, worker_hooks })
    }

    fn add(
        &mut self,
        id: ComponentId,
        kind: ComponentKind,
        factory: Factory,
        out: OutputDeclarer,
        parallelism: u32,
    ) -> &mut ComponentSpec {
        if self.spec.components.contains_key(&id) {
            self.problems.push(SpecError::DuplicateComponent(id.clone()));
        }
        let component = ComponentSpec {
            kind,
            executors: parallelism,
            tasks: parallelism,
            tasks_fixed: false,
            outputs: out.into_streams(),
            inputs: Vec::new(),
            config: ConfigMap::new(),
        };
        self.factories.insert(id.clone(), factory);
        self.spec.components.insert(id.clone(), component);
        self.spec.components.get_mut(&id).expect("just inserted")
    }
}

struct ResourceHook<F> {
    name: String,
    make: F,
}

impl<T, F> WorkerHook for ResourceHook<F>
where
    T: Send + Sync + 'static,
    F: Fn() -> Result<T, ComponentError> + Send + Sync + 'static,
{
    fn start(&self, resources: &mut crate::context::Resources, _: &ConfigMap) -> Result<(), ComponentError> {
        let made = (self.make)();
        let resource = made.map_err(|e| ComponentError::msg(format!("'{}': {}", self.name, e.chain())))?;
        resources.put(self.name.clone(), resource);
        Ok(())
    }
}

macro_rules! component_settings {
    () => {
        /// Fixes the number of tasks for the topology's life; executors can then be changed up to it.
        pub fn num_tasks(self, tasks: u32) -> Self {
            self.component.tasks = tasks;
            self.component.tasks_fixed = true;
            self
        }

        /// Sets a configuration key for this component alone.
        pub fn config(self, key: impl Into<String>, value: impl Into<Json>) -> Self {
            self.component.config.insert(key.into(), value.into());
            self
        }

        /// Logs each emit of this component (`topology.debug`).
        pub fn debug(self, on: bool) -> Self {
            self.config("topology.debug", on)
        }
    };
}

/// Settings of a spout that was just added.
pub struct SpoutDeclarer<'a> {
    component: &'a mut ComponentSpec,
}

impl SpoutDeclarer<'_> {
    component_settings!();

    /// At most so many tracked tuples of each task may be neither acked nor failed
    /// (`topology.max.spout.pending`; default 2^20).
    pub fn max_spout_pending(self, max: u32) -> Self {
        self.config("topology.max.spout.pending", max)
    }
}

/// Settings and subscriptions of a bolt that was just added.
///
/// The source of a subscription is a component's id, which means its stream `default`, or a pair of
/// component and stream.
pub struct BoltDeclarer<'a> {
    id: ComponentId,
    component: &'a mut ComponentSpec,
    groupings: &'a mut BTreeMap<(ComponentId, ComponentId, StreamId), GroupingFactory>,
}

impl BoltDeclarer<'_> {
    component_settings!();

    /// Calls `on_tick` of each task every so many seconds (`topology.tick.tuple.freq.secs`).
    pub fn tick_secs(self, secs: u32) -> Self {
        self.config("topology.tick.tuple.freq.secs", secs)
    }

    /// Any task gets a tuple: evenly, preferring tasks with less load.
    pub fn shuffle_grouping(self, source: impl Into<StreamRef>) -> Self {
        self.grouping(source, GroupingSpec::Shuffle)
    }

    /// The same values of these fields always go to the same task, in every run.
    pub fn fields_grouping<N: AsRef<str>>(
        self,
        source: impl Into<StreamRef>,
        fields: impl IntoIterator<Item = N>,
    ) -> Self {
        self.grouping(source, GroupingSpec::Fields(Fields::new(fields)))
    }

    /// The same values of these fields go to one of two tasks, the one that got less: for skewed
    /// keys.
    pub fn partial_key_grouping<N: AsRef<str>>(
        self,
        source: impl Into<StreamRef>,
        fields: impl IntoIterator<Item = N>,
    ) -> Self {
        self.grouping(source, GroupingSpec::PartialKey(Fields::new(fields)))
    }

    /// Every task gets every tuple.
    pub fn all_grouping(self, source: impl Into<StreamRef>) -> Self {
        self.grouping(source, GroupingSpec::All)
    }

    /// The task with the lowest number gets every tuple.
    pub fn global_grouping(self, source: impl Into<StreamRef>) -> Self {
        self.grouping(source, GroupingSpec::Global)
    }

    /// Any task, a random one for each tuple.
    pub fn none_grouping(self, source: impl Into<StreamRef>) -> Self {
        self.grouping(source, GroupingSpec::None)
    }

    /// The emitter names the task; for direct streams.
    pub fn direct_grouping(self, source: impl Into<StreamRef>) -> Self {
        self.grouping(source, GroupingSpec::Direct)
    }

    /// A task in the emitter's worker if there is one, else any; otherwise as shuffle.
    pub fn local_or_shuffle_grouping(self, source: impl Into<StreamRef>) -> Self {
        self.grouping(source, GroupingSpec::LocalOrShuffle)
    }

    /// Code of one's own chooses the tasks; `factory` makes one instance per emitting task.
    pub fn custom_grouping<G: CustomGrouping>(
        self,
        source: impl Into<StreamRef>,
        factory: impl Fn() -> G + Send + Sync + 'static,
    ) -> Self {
        let source = source.into();
        let key = (self.id.clone(), source.component.clone(), source.stream.clone());
        self.groupings.insert(key, Arc::new(move || Box::new(factory())));
        let type_name = std::any::type_name::<G>();
        let name = type_name.rsplit("::").next().unwrap_or(type_name).to_owned();
        self.grouping(source, GroupingSpec::Custom(name))
    }

    /// Subscribes with any grouping.
    pub fn grouping(self, source: impl Into<StreamRef>, grouping: GroupingSpec) -> Self {
        let StreamRef { component, stream } = source.into();
        self.component.inputs.push(InputSpec { component, stream, grouping });
        self
    }
}

/// A stream of a component: `"split"` means its stream `default`, `("split", "late")` another.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamRef {
    /// The component.
    pub component: ComponentId,
    /// Its stream.
    pub stream: StreamId,
}

impl From<&str> for StreamRef {
    fn from(component: &str) -> Self {
        StreamRef { component: component.into(), stream: DEFAULT_STREAM.into() }
    }
}

impl From<(&str, &str)> for StreamRef {
    fn from((component, stream): (&str, &str)) -> Self {
        StreamRef { component: component.into(), stream: stream.into() }
    }
}
