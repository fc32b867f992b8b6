//! Who runs what.

use std::collections::BTreeSet;

use serde::Serialize;
use storm_rpc::v1;

use super::topology::TopologyRow;
use crate::view::ClusterView;

/// `/owner-resources`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct Owners {
    pub scheduler_display_resource: bool,
    pub owners: Vec<OwnerRow>,
}

/// `/owner-resources/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct OwnerPage {
    pub scheduler_display_resource: bool,
    #[serde(flatten)]
    pub owner: OwnerRow,
    pub topologies: Vec<TopologyRow>,
}

/// What an owner has. Nothing is guaranteed to anybody, nothing is requested.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct OwnerRow {
    pub owner: String,
    pub total_topologies: usize,
    pub total_executors: u64,
    pub total_workers: u64,
    pub total_tasks: u64,
    pub total_memory_usage: f64,
    pub total_cpu_usage: f64,
    pub memory_guarantee: &'static str,
    pub cpu_guarantee: &'static str,
    pub isolated_nodes: i32,
    pub memory_guarantee_remaining: &'static str,
    pub cpu_guarantee_remaining: &'static str,
    pub total_req_on_heap_mem: f64,
    pub total_req_off_heap_mem: f64,
    pub total_req_mem: f64,
    pub total_req_cpu: f64,
    pub total_assigned_on_heap_mem: f64,
    pub total_assigned_off_heap_mem: f64,
}

/// All owners of topologies, in order of their names.
pub fn owners(view: &ClusterView) -> Owners {
    let names: BTreeSet<&str> = view.topologies.iter().map(|topology| &*topology.owner).collect();
    let owners = names.into_iter().map(|name| owner_row(view, name)).collect();
    Owners { scheduler_display_resource: false, owners }
}

/// An owner; one whom nobody knows has nothing.
pub fn owner_page(view: &ClusterView, owner: &str) -> OwnerPage {
    let mine = view.topologies.iter().filter(|topology| topology.owner == owner);
    OwnerPage {
        scheduler_display_resource: false,
        owner: owner_row(view, owner),
        topologies: mine.map(|topology| TopologyRow::new(topology, view.cluster.nimbuses.len())).collect(),
    }
}

fn owner_row(view: &ClusterView, owner: &str) -> OwnerRow {
    let mine = || view.topologies.iter().filter(|topology| topology.owner == owner);
    let sum = |of: fn(&v1::TopologySummary) -> u32| mine().map(|topology| u64::from(of(topology))).sum();
    OwnerRow {
        owner: owner.to_owned(),
        total_topologies: mine().count(),
        total_executors: sum(|topology| topology.executors_total),
        total_workers: sum(|topology| topology.workers_total),
        total_tasks: sum(|topology| topology.tasks_total),
        total_memory_usage: 0.0,
        total_cpu_usage: 0.0,
        memory_guarantee: "N/A",
        cpu_guarantee: "N/A",
        isolated_nodes: -1,
        memory_guarantee_remaining: "N/A",
        cpu_guarantee_remaining: "N/A",
        total_req_on_heap_mem: 0.0,
        total_req_off_heap_mem: 0.0,
        total_req_mem: 0.0,
        total_req_cpu: 0.0,
        total_assigned_on_heap_mem: 0.0,
        total_assigned_off_heap_mem: 0.0,
    }
}
