//! From a topology to executors: numbers tasks, opens lanes, computes routes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use storm_model::cycles::closing_edges;
use storm_model::tasks::executors;
use storm_model::{
    ComponentId, ComponentKind, ComponentSpec, ExecutorId, GroupingSpec, InputSpec, StreamSpec, TaskId,
    TaskTable, TopologySpec,
};
use storm_row::RowBuilder;
use storm_topology::{
    Clock, ComponentError, Factory, GroupingEdge, Outputs, Resources, RetainedHome, Topology, WorkerContext,
    WorkerHook,
};

use crate::acks::AckOutbox;
use crate::bolt_executor::{BoltExecutor, BoltState, BoltTask};
use crate::budget::Budget;
use crate::clock;
use crate::directory::{Directory, Inbox};
use crate::emit::Emitter;
use crate::executor::{Executor, StartError, TaskMaker};
use crate::grouping::Grouping;
use crate::grouping::fields::KeyGroups;
use crate::grouping::partial_key::PartialKey;
use crate::grouping::shuffle::Ring;
use crate::ids::EdgeIds;
use crate::lanes::{Lanes, Surroundings, lanes};
use crate::ledger::Ledger;
use crate::outbox::{Outbox, Way};
use crate::panics;
use crate::placement;
use crate::port::ExecutorPort;
use crate::report::Throttle;
use crate::routing::{Destination, Edge, StreamRoute, TaskRoutes};
use crate::run::Event;
use crate::settings::{ComponentSettings, Settings};
use crate::sources::Sources;
use crate::spout_executor::{SLOW, SpoutExecutor, SpoutState, SpoutTask};

/// The thread of an executor that runs in another worker.
const ELSEWHERE: u32 = u32::MAX;

/// What all executors of a run are made from.
pub(crate) struct Wiring {
    pub(crate) topology: Topology,
    pub(crate) settings: Settings,
    pub(crate) worker: Arc<WorkerContext>,
    pub(crate) executors: Vec<(ComponentId, ExecutorId)>,
    /// Executors by thread, in the order in which it steps them.
    pub(crate) crews: Vec<Vec<usize>>,
    /// Thread by executor.
    thread_of: Vec<u32>,
    /// Executor by task number.
    pub(crate) executor_of: Vec<u32>,
    /// The same for tasks of spouts only: where acks go.
    pub(crate) spout_of: Arc<[u32]>,
    pub(crate) closing: BTreeSet<(ComponentId, ComponentId)>,
    pub(crate) sources: Sources,
    pub(crate) directory: Arc<Directory>,
    events: mpsc::Sender<Event>,
    seed: u64,
    is_active: bool,
    slow: Duration,
}

/// How a run begins.
pub(crate) struct Beginning {
    pub(crate) name: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seed: u64,
    pub(crate) is_active: bool,
    /// Cores of the machine.
    pub(crate) cores: usize,
    pub(crate) events: mpsc::Sender<Event>,
    /// The executors that run in this worker; `None`: all.
    pub(crate) here: Option<BTreeSet<ExecutorId>>,
}

impl Wiring {
    /// Numbers tasks, opens lanes, and calls the worker's hooks.
    pub(crate) fn new(
        topology: Topology,
        settings: Settings,
        beginning: Beginning,
    ) -> Result<(Wiring, Vec<Lanes>), ComponentError> {
        let spec = &topology.spec;
        let tasks = TaskTable::new(spec);
        let executors = executors(spec, &tasks);
        let is_here = |e: &ExecutorId| beginning.here.as_ref().is_none_or(|here| here.contains(e));
        let here: Vec<usize> = (0..executors.len()).filter(|i| is_here(&executors[*i].1)).collect();
        let crews = placement::crews(spec, &executors, &here, settings.threads);
        let mut thread_of = vec![ELSEWHERE; executors.len()];
        for (thread, crew) in crews.iter().enumerate() {
            crew.iter().for_each(|index| thread_of[*index] = thread as u32);
        }
        // A thread that shares its core waits for it while it is in the middle of a call.
        let slow = SLOW * (crews.len() / beginning.cores).max(1) as u32;
        let closing = closing_edges(spec);
        let mut executor_of = vec![u32::MAX; tasks.len() + 1];
        let mut spout_of = executor_of.clone();
        for (index, (component, executor)) in executors.iter().enumerate() {
            for task in executor.tasks() {
                executor_of[task.0 as usize] = index as u32;
                if spec.components[component].kind == ComponentKind::Spout {
                    spout_of[task.0 as usize] = index as u32;
                }
            }
        }
        let inboxes = executors.iter().map(|(target, _)| {
            let sends = |from: &ComponentId| sends(spec, &closing, from, target);
            let near = here.iter().filter(|i| sends(&executors[**i].0)).count();
            let all = executors.iter().filter(|(id, _)| sends(id)).count();
            Inbox { senders: all as i64, near_senders: near as i64, window: 1.into() }
        });
        let inboxes: Vec<Inbox> = inboxes.collect();
        let targets = |source: &ComponentId| -> usize {
            let hears = |c: &&ComponentSpec| c.inputs.iter().any(|i| i.component == *source);
            spec.components.values().filter(hears).map(|c| c.executors as usize).sum()
        };
        let surroundings = |(index, (id, executor)): (usize, &(ComponentId, ExecutorId))| Surroundings {
            senders: inboxes[index].near_senders as usize,
            targets: targets(id),
            tasks: executor.task_count() as usize,
            is_spout: spec.components[id].kind == ComponentKind::Spout,
            is_here: is_here(executor),
        };
        let (addresses, receiving) = executors.iter().enumerate().map(|e| lanes(surroundings(e))).unzip();
        let above = above_cycles(spec, &closing);
        let above_cycles = here.iter().filter(|i| above.contains(&executors[**i].0)).map(|i| *i as u32);
        let directory =
            Directory::new(addresses, inboxes, Budget::new(settings.memory_budget), above_cycles.collect());
        for (index, (component, executor)) in executors.iter().enumerate() {
            if !is_here(executor) {
                continue;
            }
            // Not done before it has said so.
            let is_spout = spec.components[component].kind == ComponentKind::Spout;
            let undone = if is_spout && beginning.is_active { executor.task_count() } else { 0 };
            directory[index as u32].traffic.publish(0, 0, 0, undone.into());
        }
        let mut resources = Resources::default();
        for (i, hook) in topology.worker_hooks.iter().enumerate() {
            let started = panics::guard(|| hook.start(&mut resources, &settings.config));
            if let Err(error) = started.unwrap_or_else(|panic| Err(panic.into())) {
                shut_down(&topology.worker_hooks[..i], &resources);
                return Err(error);
            }
        }
        let worker = WorkerContext {
            topology: beginning.name,
            spec: spec.clone(),
            tasks: tasks.clone(),
            resources,
            clock: beginning.clock,
        };
        let wiring = Wiring {
            sources: Sources::new(spec, &tasks),
            worker: Arc::new(worker),
            executors,
            crews,
            thread_of,
            executor_of,
            spout_of: spout_of.into(),
            closing,
            directory: Arc::new(directory),
            events: beginning.events,
            seed: beginning.seed,
            is_active: beginning.is_active,
            slow,
            topology,
            settings,
        };
        Ok((wiring, receiving))
    }

    /// Tells the worker's hooks that all tasks have ended.
    pub(crate) fn shut_down(&self) {
        shut_down(&self.topology.worker_hooks, &self.worker.resources);
    }

    /// Makes an executor with its tasks; on the thread that will step it.
    pub(crate) fn build(&self, index: usize, lanes: Lanes) -> Result<Executor, StartError> {
        // Tasks are guarded one by one; what is left is users' groupings.
        panics::guard(|| self.build_unguarded(index, lanes)).unwrap_or_else(|panic| {
            let (component, executor) = self.executors[index].clone();
            Err(StartError { component, task: executor.first, message: panic.to_string() })
        })
    }

    fn build_unguarded(&self, index: usize, lanes: Lanes) -> Result<Executor, StartError> {
        let (component, executor) = self.executors[index].clone();
        let spec = &self.topology.spec.components[&component];
        let fallback = ComponentSettings { config: self.settings.config.clone(), ..Default::default() };
        let settings = self.settings.components.get(&component).unwrap_or(&fallback);
        let now = self.worker.clock.now();
        // Each executor has its own random numbers, the same for the same seed.
        let mut rng = SmallRng::seed_from_u64(self.seed ^ (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let port = Arc::new(ExecutorPort {
            directory: self.directory.clone(),
            index: index as u32,
            component: component.clone(),
            executor,
            clock: self.worker.clock.clone(),
            throttle: Mutex::new(Throttle::new(
                self.settings.error_interval,
                self.settings.errors_per_interval,
            )),
            events: self.events.clone(),
            has_broken_contract: AtomicBool::new(false),
            has_ended_topology: AtomicBool::new(false),
        });
        let maker = TaskMaker {
            worker: self.worker.clone(),
            component: component.clone(),
            executor,
            config: settings.config.clone(),
            port: port.clone(),
            metrics: executor.tasks().map(|_| Arc::default()).collect(),
        };
        let outputs = Arc::new(Outputs::new(component.clone(), spec.outputs.clone()));
        let (destinations, links) = self.destinations(&component, index);
        let Lanes { empties, empty_acks, .. } = &lanes;
        let outbox = Outbox::new(index as u32, self.directory.clone(), empties.clone(), &destinations);
        let mut edges = EdgeIds::seeded(rng.random());
        let routes = executor.tasks().map(|t| self.routes(&component, t, &links, &mut edges)).collect();
        let sink = self.settings.events.clone();
        let emitter = Emitter::new(outputs, outbox, routes, edges, settings.debug, sink);
        let builder = RowBuilder::new(self.settings.max_tuple_bytes);
        let (me, directory) = (index as u32, self.directory.clone());
        match &self.topology.factories[&component] {
            Factory::Spout(factory) => {
                let timeout = self.settings.timeouts.then_some(self.settings.message_timeout);
                let tasks = executor
                    .tasks()
                    .map(|t| {
                        let ledger = Ledger::new(rng.random(), timeout);
                        SpoutTask::start(&maker, factory, t, ledger, spec.outputs.len())
                    })
                    .collect::<Result<_, _>>()?;
                Ok(Executor::Spout(Box::new(SpoutExecutor {
                    me,
                    is_above_cycle: directory.above_cycles.contains(&me),
                    directory,
                    lanes,
                    port,
                    builder,
                    emitter,
                    maker,
                    factory: factory.clone(),
                    tasks,
                    slow: self.slow,
                    max_pending: settings.max_spout_pending.max(1) as usize,
                    is_tracking: self.settings.tracking,
                    state: SpoutState::new(self.settings.message_timeout, self.is_active, now),
                })))
            }
            Factory::Bolt(factory) => {
                let acks = AckOutbox::new(me, directory.clone(), empty_acks.clone(), self.spout_of.clone());
                let inputs = spec.inputs.len();
                let (tasks, books) = executor
                    .tasks()
                    .map(|t| BoltTask::start(&maker, factory, t, inputs))
                    .collect::<Result<(Vec<_>, Vec<_>), _>>()?;
                let home: Arc<dyn RetainedHome> = port.clone();
                Ok(Executor::Bolt(Box::new(BoltExecutor {
                    me,
                    directory,
                    lanes,
                    port,
                    home,
                    sources: self.sources.of_bolt(&self.topology.spec, &component),
                    builder,
                    emitter,
                    acks,
                    maker,
                    factory: factory.clone(),
                    tasks,
                    books,
                    tick: settings.tick,
                    clock_cost: clock::cost_of(&*self.worker.clock),
                    has_loop_input: self.closing.iter().any(|(_, to)| *to == component),
                    state: BoltState::new(self.settings.message_timeout, settings.tick, now),
                })))
            }
        }
    }

    fn thread_of(&self, task: TaskId) -> u32 {
        self.thread_of[self.executor_of[task.0 as usize] as usize]
    }

    /// Executors that a component sends to, and the link to each.
    fn destinations(&self, component: &ComponentId, from: usize) -> (Vec<Way>, BTreeMap<u32, u32>) {
        let mut destinations = Vec::new();
        let mut links = BTreeMap::new();
        for (index, (target, _)) in self.executors.iter().enumerate() {
            if self.topology.spec.components[target].inputs.iter().any(|i| i.component == *component) {
                let closes = self.closing.contains(&(component.clone(), target.clone()));
                links.insert(index as u32, destinations.len() as u32);
                let is_near = self.thread_of[index] == self.thread_of[from];
                destinations.push(Way { to: index as u32, is_looped: closes, is_near });
            }
        }
        (destinations, links)
    }

    fn routes(
        &self,
        component: &ComponentId,
        task: TaskId,
        links: &BTreeMap<u32, u32>,
        random: &mut EdgeIds,
    ) -> TaskRoutes {
        let mut streams = Vec::new();
        for stream in &self.topology.spec.components[component].outputs {
            let mut edges = Vec::new();
            for (target, spec) in &self.topology.spec.components {
                let inputs = spec.inputs.iter();
                for input in inputs.filter(|i| i.component == *component && i.stream == stream.id) {
                    edges.push(self.edge(task, component, stream, target, input, links, random));
                }
            }
            streams.push(StreamRoute { edges, emitted: 0 });
        }
        TaskRoutes { task, streams }
    }

    #[expect(clippy::too_many_arguments, reason = "an edge has two ends, a stream and a grouping")]
    fn edge(
        &self,
        task: TaskId,
        component: &ComponentId,
        stream: &StreamSpec,
        target: &ComponentId,
        input: &InputSpec,
        links: &BTreeMap<u32, u32>,
        random: &mut EdgeIds,
    ) -> Edge {
        let tasks: Arc<[TaskId]> = self.worker.tasks.tasks_of(target.as_str()).collect();
        let destination = |task: &TaskId| Destination::new(*task, links[&self.executor_of[task.0 as usize]]);
        let mut targets: Vec<Destination> = tasks.iter().map(destination).collect();
        if input.grouping == GroupingSpec::LocalOrShuffle {
            let is_near = |to: &Destination| self.thread_of(to.task()) == self.thread_of(task);
            let is_here = |to: &Destination| self.thread_of(to.task()) != ELSEWHERE;
            if targets.iter().any(is_near) {
                targets.retain(is_near);
            } else if targets.iter().any(is_here) {
                targets.retain(is_here);
            }
        }
        let key_fields: Vec<usize> = input
            .grouping
            .key_fields()
            .map(|keys| keys.iter().filter_map(|k| stream.fields.index(k)).collect())
            .unwrap_or_default();
        let n = targets.len();
        let grouping = match &input.grouping {
            GroupingSpec::Direct => Grouping::Direct,
            GroupingSpec::Custom(_) => {
                let key = (target.clone(), component.clone(), stream.id.clone());
                let mut custom = self.topology.groupings[&key]();
                custom.prepare(&GroupingEdge { component, stream, target, target_tasks: &tasks });
                Grouping::Custom(custom, Vec::new())
            }
            GroupingSpec::All => Grouping::All,
            GroupingSpec::Global => Grouping::One,
            _ if n == 1 => Grouping::One,
            GroupingSpec::Shuffle | GroupingSpec::LocalOrShuffle => {
                let by_load = self.settings.load_aware;
                Grouping::Shuffle(if by_load { Ring::by_load(n, random) } else { Ring::by_turns(n, random) })
            }
            GroupingSpec::Fields(_) => Grouping::Fields(KeyGroups::new(key_fields.clone(), n)),
            GroupingSpec::PartialKey(_) => Grouping::PartialKey(PartialKey::new(key_fields.clone(), n)),
            GroupingSpec::None => Grouping::Random,
        };
        Edge { component: target.clone(), grouping, key_fields, tasks, targets, transferred: 0 }
    }
}

/// Whether tuples of a component go to another one, by credit.
pub(crate) fn sends(
    spec: &TopologySpec,
    closing: &BTreeSet<(ComponentId, ComponentId)>,
    from: &ComponentId,
    to: &ComponentId,
) -> bool {
    spec.components[to].inputs.iter().any(|i| i.component == *from)
        && !closing.contains(&(from.clone(), to.clone()))
}

/// Tells hooks that the worker ends, the last one first.
fn shut_down(hooks: &[Arc<dyn WorkerHook>], resources: &Resources) {
    for hook in hooks.iter().rev() {
        panics::forgive(|| hook.shutdown(resources));
    }
}

/// Spouts whose tuples can get into a cycle.
fn above_cycles(
    spec: &TopologySpec,
    closing: &BTreeSet<(ComponentId, ComponentId)>,
) -> BTreeSet<ComponentId> {
    let mut above: BTreeSet<ComponentId> = closing.iter().map(|(_, to)| to.clone()).collect();
    loop {
        let feeds = |id: &ComponentId| {
            above.iter().any(|a| spec.components[a].inputs.iter().any(|i| i.component == *id))
        };
        let more: Vec<_> =
            spec.components.keys().filter(|id| !above.contains(*id) && feeds(id)).cloned().collect();
        if more.is_empty() {
            above.retain(|id| spec.components[id].kind == ComponentKind::Spout);
            return above;
        }
        above.extend(more);
    }
}
