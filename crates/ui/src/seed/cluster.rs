//! Topologies made up and put onto slots.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, json};
use storm_figures::{TopologyFigures, Trend, Window};
use storm_model::{ComponentId, ExecutorId, TaskTable, TopologySpec, tasks};
use storm_rpc::v1;

use super::figures::{self, Pace};
use super::random::Random;
use super::shapes::SHAPES;
use super::{SeedOptions, State};
use crate::view::{ClusterView, TopologyView};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const OWNERS: [&str; 4] = ["ada", "grace", "edsger", "barbara"];
/// The states in turn, so that eight topologies have one of each.
const STATES: [v1::TopologyState; 8] = {
    use v1::TopologyState::{Active, Inactive, Killed, Rebalancing};
    [Active, Active, Inactive, Active, Killed, Active, Rebalancing, Active]
};

/// The free slots: supervisor and port, the supervisors in turn.
type Free = Vec<(usize, u32)>;

pub(super) fn make(options: SeedOptions) -> State {
    let mut supervisors: Vec<v1::SupervisorSummary> =
        (0..options.supervisors).map(|place| supervisor(&options, place)).collect();
    let mut free: Free = Vec::new();
    for port in (6700..6700 + options.slots).rev() {
        let healthy = supervisors.iter().enumerate().filter(|(_, s)| !s.is_silent && s.unhealthy.is_empty());
        free.extend(healthy.map(|(place, _)| (place, port)));
    }
    let mut topologies: Vec<Arc<TopologyView>> = (0..options.topologies)
        .map(|place| Arc::new(Topology::new(&options, place).place(&mut supervisors, &mut free)))
        .collect();
    topologies.sort_by_key(|view| view.summary().name);
    supervisors.iter_mut().for_each(|supervisor| supervisor.used_slots.sort_unstable());
    let nimbus = |number: u32, is_leader| v1::NimbusSummary {
        host: format!("nimbus-{number}"),
        port: 6627,
        is_leader,
        uptime_secs: 700_000 + u64::from(number) * 3_601,
        version: VERSION.to_owned(),
    };
    let silent = supervisors.iter().filter(|supervisor| supervisor.is_silent);
    let cluster = v1::ClusterSummary {
        cluster_id: "6f1d1a52".to_owned(),
        version: VERSION.to_owned(),
        nimbuses: vec![nimbus(1, true), nimbus(2, false)],
        problems: silent.map(|supervisor| format!("supervisor {} is silent", supervisor.host)).collect(),
        supervisors,
    };
    let summaries = topologies.iter().map(|view| view.summary()).collect();
    let cluster = Arc::new(ClusterView { cluster, topologies: summaries });
    State { options, cluster, topologies, commands: Vec::new() }
}

fn supervisor(options: &SeedOptions, place: usize) -> v1::SupervisorSummary {
    let is_silent = options.supervisors >= 3 && place + 1 == options.supervisors;
    let is_ill = options.supervisors >= 5 && place + 2 == options.supervisors;
    v1::SupervisorSummary {
        id: format!(
            "{:08x}-worker-{}",
            Random::new(options.seed, 900 + place as u64).below(1 << 32),
            place + 1
        ),
        host: format!("worker-{}", place + 1),
        rpc_port: 6628,
        slots: (6700..6700 + options.slots).collect(),
        uptime_secs: 690_000 - place as u64 * 4_217 % 600_000,
        arch: "x86_64".to_owned(),
        glibc: "2.39".to_owned(),
        version: VERSION.to_owned(),
        is_silent,
        unhealthy: if is_ill { "ERROR: the disk is 97 % full".to_owned() } else { String::new() },
        ..Default::default()
    }
}

/// One that is not placed yet.
struct Topology<'a> {
    options: &'a SeedOptions,
    name: String,
    id: String,
    owner: &'static str,
    state: v1::TopologyState,
    uptime: Duration,
    requested: u32,
    spec: TopologySpec,
    random: Random,
    place: usize,
}

impl<'a> Topology<'a> {
    fn new(options: &'a SeedOptions, place: usize) -> Topology<'a> {
        let mut random = Random::new(options.seed, place as u64);
        let shape = &SHAPES[place % SHAPES.len()];
        let round = place / SHAPES.len();
        let name = if round == 0 { shape.name.to_owned() } else { format!("{}-{}", shape.name, round + 1) };
        let uptime = Duration::from_secs(match place {
            0 => 93_784,
            1 => 266_400,
            _ => 240 + random.below(500_000),
        });
        let submitted = (options.now - uptime).duration_since(UNIX_EPOCH).unwrap_or_default();
        Topology {
            options,
            id: format!("{name}-{}-{}", place + 1, submitted.as_secs()),
            name,
            owner: OWNERS[place % OWNERS.len()],
            state: STATES[place % STATES.len()],
            uptime,
            requested: if options.executors >= 12 { 2 + (place % 2) as u32 } else { 1 + (place % 2) as u32 },
            spec: shape.spec(options.executors),
            random,
            place,
        }
    }

    fn place(mut self, supervisors: &mut [v1::SupervisorSummary], free: &mut Free) -> TopologyView {
        let table = TaskTable::new(&self.spec);
        let executors = tasks::executors(&self.spec, &table);
        let taken: Vec<(usize, u32)> = (0..self.requested).filter_map(|_| free.pop()).collect();
        // A topology that did not get all it asked for leaves the last executors out.
        let fits = if taken.is_empty() {
            0
        } else if taken.len() < self.requested as usize {
            executors.len() * 3 / 4
        } else {
            executors.len()
        };
        let (placed, rest) = executors.split_at(fits);
        let is_hot = self.place % 4 == 1;
        let pace = Pace {
            rate: [420.0, 1_250.0, 60.0, 3_400.0, 900.0][self.place % 5] * self.random.between(0.7, 1.3),
            uptime: self.uptime,
            stopped: match self.state {
                v1::TopologyState::Active => Duration::ZERO,
                v1::TopologyState::Inactive => Duration::from_secs(4_000).min(self.uptime),
                _ => Duration::from_secs(12),
            },
            failing: if is_hot { 0.004 } else { 0.0 },
            hot: is_hot.then(|| self.random.pick(&["model", "sessions", "count", "threshold", "sum"])),
            unplaced: rest.iter().map(|(_, executor)| *executor).collect(),
        };
        // The first hot one is what people look at first.
        let pace = if self.place == 1 { Pace { hot: Some("model"), ..pace } } else { pace };
        let figures = figures::figures(&self.spec, &pace, &mut self.random);
        let trend = figures::trend(&figures, &pace, &mut self.random);
        let workers = self.workers(&taken, placed, supervisors);
        let status = self.status(&table, workers, rest, &figures, &trend);
        let mut config = Map::new();
        config.insert("topology.name".to_owned(), json!(self.name));
        config.insert("topology.workers".to_owned(), json!(self.requested));
        config.insert("topology.message.timeout.secs".to_owned(), json!(30));
        config.insert("topology.max.spout.pending".to_owned(), json!(1000));
        config.insert("topology.debug".to_owned(), json!(false));
        TopologyView { asked: self.options.now, status, spec: self.spec, config, figures, trend }
    }

    fn workers(
        &mut self,
        taken: &[(usize, u32)],
        placed: &[(ComponentId, ExecutorId)],
        supervisors: &mut [v1::SupervisorSummary],
    ) -> Vec<v1::WorkerStatus> {
        let mut workers = Vec::new();
        for (number, (place, port)) in taken.iter().enumerate() {
            let mine = placed.iter().enumerate().filter(|(at, _)| at % taken.len() == number);
            let executors: Vec<v1::Executor> =
                mine.map(|(_, (component, id))| executor(component, *id)).collect();
            let supervisor = &mut supervisors[*place];
            let restarts = if self.place % 4 == 1 && number == 0 { 2 } else { 0 };
            let worker = v1::WorkerStatus {
                supervisor_id: supervisor.id.clone(),
                host: supervisor.host.clone(),
                port: *port,
                pid: 1_000 + self.random.below(60_000) as u32,
                state: v1::WorkerState::Running.into(),
                restarts,
                uptime_secs: self.uptime.as_secs().saturating_sub(4) / (restarts + 1),
                executors: executors.clone(),
                memory_bytes: (12 + self.random.below(180)) << 20,
                number: number as u64 + 1,
            };
            supervisor.used_slots.push(*port);
            supervisor.held.push(v1::SlotSummary {
                port: *port,
                topology_id: self.id.clone(),
                topology_name: self.name.clone(),
                owner: self.owner.to_owned(),
                state: worker.state,
                pid: worker.pid,
                uptime_secs: worker.uptime_secs,
                memory_bytes: worker.memory_bytes,
                executors,
                load: self.random.between(0.02, 0.9),
            });
            workers.push(worker);
        }
        workers
    }

    fn status(
        &mut self,
        table: &TaskTable,
        workers: Vec<v1::WorkerStatus>,
        rest: &[(ComponentId, ExecutorId)],
        figures: &TopologyFigures,
        trend: &Trend,
    ) -> v1::TopologyStatus {
        let now_ms = self.options.now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let mut unplaced: BTreeMap<&ComponentId, u32> = BTreeMap::new();
        rest.iter().for_each(|(component, _)| *unplaced.entry(component).or_default() += 1);
        let has = if workers.len() == 1 { "has" } else { "have" };
        let reason =
            format!("{} of {} workers {has} a slot: all others are taken", workers.len(), self.requested);
        let unplaced = unplaced.into_iter().map(|(component, executors)| v1::Unplaced {
            component: component.to_string(),
            executors,
            reason: reason.clone(),
        });
        let action = match self.state {
            v1::TopologyState::Killed => Some("kill"),
            v1::TopologyState::Rebalancing => Some("rebalance"),
            _ => None,
        };
        let errors = self.errors(now_ms, table, &workers, figures);
        let components = figures.components.iter().map(|component| {
            let all = &component.figures.all_time;
            let spec = &self.spec.components[&component.component];
            v1::ComponentStatus {
                id: component.component.to_string(),
                r#type: if spec.inputs.is_empty() { "spout" } else { "bolt" }.to_owned(),
                executors: spec.executors,
                tasks: spec.tasks,
                emitted: all.emitted,
                transferred: all.transferred,
                executed: all.executed,
                acked: all.acked,
                failed: all.failed,
                pending: component.gauges.pending,
            }
        });
        v1::TopologyStatus {
            summary: Some(self.summary(table, &workers, rest.len() as u32, figures, trend)),
            components: components.collect(),
            explanation: if rest.is_empty() { String::new() } else { format!("{reason}.") },
            unplaced: unplaced.collect(),
            errors,
            pending_action: action
                .map(|kind| v1::PendingAction { kind: kind.to_owned(), deadline_ms: now_ms + 18_000 }),
            assignment_version: 3,
            is_settled: action.is_none() && rest.is_empty(),
            config: b"{}".to_vec(),
            spec: serde_json::to_vec(&self.spec).unwrap_or_default(),
            workers,
            ..Default::default()
        }
    }

    fn summary(
        &self,
        table: &TaskTable,
        workers: &[v1::WorkerStatus],
        unplaced_executors: u32,
        figures: &TopologyFigures,
        trend: &Trend,
    ) -> v1::TopologySummary {
        let stats = figures.stats(Window::TenMinutes);
        let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
        let latency = &stats.complete_latency;
        let rates = trend.points.rchunks(6).take(30).map(|minute| {
            let emitted: u64 = minute.iter().map(|point| point.emitted).sum();
            emitted as f64 / 60.0
        });
        let mut rates: Vec<f64> = rates.collect();
        rates.reverse();
        v1::TopologySummary {
            id: self.id.clone(),
            name: self.name.clone(),
            status: self.state.into(),
            owner: self.owner.to_owned(),
            uptime_secs: self.uptime.as_secs(),
            workers_total: workers.len() as u32,
            workers_requested: self.requested,
            executors_total: self.spec.components.values().map(|component| component.executors).sum(),
            tasks_total: table.len() as u32,
            unplaced_executors,
            recent: Some(v1::Recent {
                emitted: stats.emitted,
                transferred: stats.transferred,
                acked: stats.acked,
                failed: stats.failed,
                latency_mean_ms: millis(latency.mean()),
                latency_p50_ms: millis(latency.quantile(0.5)),
                latency_p99_ms: millis(latency.quantile(0.99)),
                pending: figures.components.iter().map(|component| component.gauges.pending).sum(),
                rates,
                span_secs: 60,
            }),
        }
    }

    /// Those of the topologies that are busy all the time.
    fn errors(
        &self,
        now_ms: u64,
        table: &TaskTable,
        workers: &[v1::WorkerStatus],
        figures: &TopologyFigures,
    ) -> Vec<v1::ErrorReport> {
        let (Some(worker), 1) = (workers.first(), self.place % 4) else { return Vec::new() };
        let bolts = figures.components.iter().filter(|component| !component.inputs.is_empty());
        let report = |(place, component): (usize, &storm_figures::ComponentFigures)| v1::ErrorReport {
            time_ms: now_ms - 42_000 - place as u64 * 3_600_000,
            component: component.component.to_string(),
            task: table.tasks_of(component.component.as_str()).next().map_or(0, |task| task.0),
            host: worker.host.clone(),
            port: worker.port,
            message: format!("cannot look up user <{place}>: connection to 'db-1:5432' was refused"),
            kind: if place == 0 { "panicked" } else { "reported" }.to_owned(),
            suppressed: place as u64 * 17,
        };
        let mut errors: Vec<v1::ErrorReport> = bolts.take(3).enumerate().map(report).collect();
        errors.push(v1::ErrorReport {
            time_ms: now_ms - 7_000_000,
            host: worker.host.clone(),
            port: worker.port,
            message: "the worker ended with exit code 101".to_owned(),
            kind: "exit".to_owned(),
            ..Default::default()
        });
        errors
    }
}

pub(super) fn executor(component: &ComponentId, id: ExecutorId) -> v1::Executor {
    v1::Executor { component: component.to_string(), first_task: id.first.0, last_task: id.last.0 }
}
