//! Supervisors, and what runs on one of them.

use std::collections::BTreeMap;

use serde::Serialize;
use storm_rpc::v1;

use super::format::{Links, uptime};
use super::jsonp::Failure;
use crate::view::ClusterView;

/// `/supervisor/summary`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct SupervisorSummary {
    pub logviewer_port: u16,
    pub logviewer_scheme: &'static str,
    pub scheduler_display_resource: bool,
    pub supervisors: Vec<SupervisorRow>,
}

/// `/supervisor?id=…` and `/supervisor?host=…`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct SupervisorPage {
    #[serde(flatten)]
    pub summary: SupervisorSummary,
    pub workers: Vec<WorkerRow>,
}

/// A supervisor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct SupervisorRow {
    pub id: String,
    pub host: String,
    pub uptime: String,
    pub uptime_seconds: u64,
    /// It gets no work: it is silent, or its health script says so.
    pub blacklisted: bool,
    pub slots_total: usize,
    pub slots_used: usize,
    pub slots_free: usize,
    pub total_mem: f64,
    pub total_cpu: f64,
    pub used_mem: f64,
    pub used_cpu: f64,
    pub avail_mem: f64,
    pub avail_cpu: f64,
    pub total_generic_resources: String,
    pub used_generic_resources: String,
    pub avail_generic_resources: String,
    pub log_link: String,
    pub version: String,
    /// Ours: nobody has heard of it for too long.
    pub silent: bool,
    /// Ours: what its health script says; empty when all is well.
    pub unhealthy: String,
    /// Ours: what its workers take.
    pub memory_bytes: u64,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct WorkerRow {
    pub supervisor_id: String,
    pub host: String,
    pub port: u32,
    pub topology_id: String,
    pub topology_name: String,
    pub owner: String,
    pub executors_total: usize,
    pub assigned_mem_on_heap: f64,
    pub assigned_mem_off_heap: f64,
    pub assigned_cpu: f64,
    pub component_num_tasks: BTreeMap<String, u32>,
    pub uptime: String,
    pub uptime_seconds: u64,
    pub worker_log_link: String,
    /// Ours: `RUNNING` when all is well.
    pub state: &'static str,
    /// Ours.
    pub pid: u32,
    /// Ours: what it takes.
    pub memory_bytes: u64,
}

impl WorkerRow {
    /// A worker of a topology, as the topology tells it.
    pub fn of_topology(
        worker: &v1::WorkerStatus,
        topology: &v1::TopologySummary,
        links: &Links,
    ) -> WorkerRow {
        WorkerRow {
            supervisor_id: worker.supervisor_id.clone(),
            host: worker.host.clone(),
            port: worker.port,
            topology_id: topology.id.clone(),
            topology_name: topology.name.clone(),
            owner: topology.owner.clone(),
            executors_total: worker.executors.len(),
            assigned_mem_on_heap: 0.0,
            assigned_mem_off_heap: 0.0,
            assigned_cpu: 0.0,
            component_num_tasks: tasks(&worker.executors),
            uptime: uptime(worker.uptime_secs),
            uptime_seconds: worker.uptime_secs,
            worker_log_link: links.worker_log(&topology.id, &worker.host, worker.port),
            state: worker.state().as_str_name(),
            pid: worker.pid,
            memory_bytes: worker.memory_bytes,
        }
    }

    fn of_slot(slot: &v1::SlotSummary, supervisor: &v1::SupervisorSummary, links: &Links) -> WorkerRow {
        WorkerRow {
            supervisor_id: supervisor.id.clone(),
            host: supervisor.host.clone(),
            port: slot.port,
            topology_id: slot.topology_id.clone(),
            topology_name: slot.topology_name.clone(),
            owner: slot.owner.clone(),
            executors_total: slot.executors.len(),
            assigned_mem_on_heap: 0.0,
            assigned_mem_off_heap: 0.0,
            assigned_cpu: 0.0,
            component_num_tasks: tasks(&slot.executors),
            uptime: uptime(slot.uptime_secs),
            uptime_seconds: slot.uptime_secs,
            worker_log_link: links.worker_log(&slot.topology_id, &supervisor.host, slot.port),
            state: slot.state().as_str_name(),
            pid: slot.pid,
            memory_bytes: slot.memory_bytes,
        }
    }
}

fn tasks(executors: &[v1::Executor]) -> BTreeMap<String, u32> {
    let mut tasks = BTreeMap::new();
    for executor in executors {
        let count = (executor.last_task + 1).saturating_sub(executor.first_task);
        *tasks.entry(executor.component.clone()).or_default() += count;
    }
    tasks
}

/// All supervisors.
pub fn supervisor_summary(view: &ClusterView, links: &Links) -> SupervisorSummary {
    summary(view.cluster.supervisors.iter(), links)
}

/// The supervisor of this id, or those of this host, with their workers.
pub(crate) fn supervisor_page(
    view: &ClusterView,
    id: Option<&str>,
    host: Option<&str>,
    links: &Links,
) -> Result<SupervisorPage, Failure> {
    let is_it = |supervisor: &&v1::SupervisorSummary| match (id, host) {
        (Some(id), _) => supervisor.id == id,
        (None, host) => host.is_some_and(|host| supervisor.host == host),
    };
    let supervisors: Vec<_> = view.cluster.supervisors.iter().filter(is_it).collect();
    if id.or(host).is_none() {
        return Err(Failure::senseless("which supervisor: 'id' or 'host' is missing"));
    }
    let held =
        supervisors.iter().flat_map(|supervisor| supervisor.held.iter().map(move |held| (held, *supervisor)));
    let workers = held.map(|(slot, supervisor)| WorkerRow::of_slot(slot, supervisor, links)).collect();
    Ok(SupervisorPage { summary: summary(supervisors.into_iter(), links), workers })
}

fn summary<'a>(
    supervisors: impl Iterator<Item = &'a v1::SupervisorSummary>,
    links: &Links,
) -> SupervisorSummary {
    SupervisorSummary {
        logviewer_port: links.port(),
        logviewer_scheme: links.scheme,
        scheduler_display_resource: false,
        supervisors: supervisors.map(|supervisor| row(supervisor, links)).collect(),
    }
}

fn row(supervisor: &v1::SupervisorSummary, links: &Links) -> SupervisorRow {
    let (total, used) = (supervisor.slots.len(), supervisor.used_slots.len());
    SupervisorRow {
        id: supervisor.id.clone(),
        host: supervisor.host.clone(),
        uptime: uptime(supervisor.uptime_secs),
        uptime_seconds: supervisor.uptime_secs,
        blacklisted: supervisor.is_silent || !supervisor.unhealthy.is_empty(),
        slots_total: total,
        slots_used: used,
        slots_free: total.saturating_sub(used),
        total_mem: 0.0,
        total_cpu: 0.0,
        used_mem: 0.0,
        used_cpu: 0.0,
        avail_mem: 0.0,
        avail_cpu: 0.0,
        total_generic_resources: String::new(),
        used_generic_resources: String::new(),
        avail_generic_resources: String::new(),
        log_link: links.daemon_log("supervisor.log", &supervisor.host, supervisor.rpc_port),
        version: supervisor.version.clone(),
        silent: supervisor.is_silent,
        unhealthy: supervisor.unhealthy.clone(),
        memory_bytes: supervisor.held.iter().map(|held| held.memory_bytes).sum(),
    }
}
