//! The cluster as a whole: summary, Nimbuses, configuration, history, slots.

use serde::Serialize;
use serde_json::{Map, Value};
use storm_rpc::v1;

use super::format::{Links, STORM_VERSION, uptime};
use crate::options::Options;
use crate::view::ClusterView;

/// `/cluster/summary`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct ClusterSummary {
    pub user: Option<String>,
    pub storm_version: &'static str,
    pub storm_version_info: VersionInfo,
    pub alternative_worker_versions: Vec<VersionInfo>,
    pub nimbus_uptime: String,
    pub supervisors: usize,
    pub topologies: usize,
    pub slots_total: usize,
    pub slots_used: usize,
    pub slots_free: usize,
    pub tasks_total: u64,
    pub executors_total: u64,
    pub total_mem: f64,
    pub total_cpu: f64,
    pub avail_mem: f64,
    pub avail_cpu: f64,
    pub fragmented_mem: f64,
    pub fragmented_cpu: f64,
    pub scheduler_display_resource: bool,
    pub mem_assigned_percent_util: &'static str,
    pub cpu_assigned_percent_util: &'static str,
    #[serde(rename = "bugtracker-url")]
    pub bugtracker_url: Option<String>,
    #[serde(rename = "central-log-url")]
    pub central_log_url: Option<String>,
    pub avail_generics: String,
    pub total_generics: String,
    /// Ours: the version of storm-rs.
    pub storm_rs_version: String,
    /// Ours: what is wrong, in words.
    pub problems: Vec<String>,
    /// Ours: supervisors that nobody has heard of for too long; not counted above.
    pub supervisors_silent: usize,
    /// Ours: executors without a place.
    pub executors_unplaced: u64,
}

/// Which build this is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct VersionInfo {
    pub version: &'static str,
    pub revision: &'static str,
    pub branch: &'static str,
    pub date: &'static str,
    pub src_checksum: &'static str,
}

/// The cluster in numbers. A supervisor that is silent counts no more, nor do its slots.
pub fn cluster_summary(view: &ClusterView, options: &Options, user: Option<String>) -> ClusterSummary {
    let ClusterView { cluster, topologies } = view;
    let alive = || cluster.supervisors.iter().filter(|supervisor| !supervisor.is_silent);
    let slots_total = alive().map(|supervisor| supervisor.slots.len()).sum();
    let slots_used = alive().map(|supervisor| supervisor.used_slots.len()).sum();
    let sum = |of: fn(&v1::TopologySummary) -> u32| topologies.iter().map(|t| u64::from(of(t))).sum();
    let leader = cluster.nimbuses.iter().find(|nimbus| nimbus.is_leader);
    ClusterSummary {
        user,
        storm_version: STORM_VERSION,
        storm_version_info: VersionInfo {
            version: STORM_VERSION,
            revision: "Unknown",
            branch: "Unknown",
            date: "Unknown",
            src_checksum: "Unknown",
        },
        alternative_worker_versions: Vec::new(),
        nimbus_uptime: leader.map(|leader| uptime(leader.uptime_secs)).unwrap_or_default(),
        supervisors: alive().count(),
        topologies: topologies.len(),
        slots_total,
        slots_used,
        slots_free: slots_total.saturating_sub(slots_used),
        tasks_total: sum(|topology| topology.tasks_total),
        executors_total: sum(|topology| topology.executors_total),
        total_mem: 0.0,
        total_cpu: 0.0,
        avail_mem: 0.0,
        avail_cpu: 0.0,
        fragmented_mem: 0.0,
        fragmented_cpu: 0.0,
        scheduler_display_resource: false,
        mem_assigned_percent_util: "0.0",
        cpu_assigned_percent_util: "0.0",
        bugtracker_url: options.bugtracker.clone(),
        central_log_url: options.central_log.clone(),
        avail_generics: String::new(),
        total_generics: String::new(),
        storm_rs_version: cluster.version.clone(),
        problems: cluster.problems.clone(),
        supervisors_silent: cluster.supervisors.len() - alive().count(),
        executors_unplaced: sum(|topology| topology.unplaced_executors),
    }
}

/// `/nimbus/summary`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct NimbusSummary {
    pub nimbuses: Vec<NimbusRow>,
}

/// A Nimbus.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct NimbusRow {
    pub host: String,
    pub port: u32,
    pub status: &'static str,
    pub version: String,
    pub nimbus_up_time: String,
    /// A number; of one that is offline a text, as in Storm.
    pub nimbus_up_time_seconds: Value,
    pub nimbus_log_link: String,
}

/// The Nimbuses that are there, and those that the configuration names and nobody hears of.
pub fn nimbus_summary(view: &ClusterView, config: &v1::DaemonConfig, links: &Links) -> NimbusSummary {
    let row = |nimbus: &v1::NimbusSummary| NimbusRow {
        host: nimbus.host.clone(),
        port: nimbus.port,
        status: if nimbus.is_leader { "Leader" } else { "Not a Leader" },
        version: nimbus.version.clone(),
        nimbus_up_time: uptime(nimbus.uptime_secs),
        nimbus_up_time_seconds: nimbus.uptime_secs.into(),
        nimbus_log_link: links.daemon_log("nimbus.log", &nimbus.host, nimbus.port),
    };
    let offline = |(host, port): (String, u32)| NimbusRow {
        nimbus_log_link: links.daemon_log("nimbus.log", &host, port),
        host,
        port,
        status: "Offline",
        version: UNKNOWN.to_owned(),
        nimbus_up_time: UNKNOWN.to_owned(),
        nimbus_up_time_seconds: UNKNOWN.into(),
    };
    let alive = view.cluster.nimbuses.iter().map(row);
    NimbusSummary { nimbuses: alive.chain(missing(view, config).into_iter().map(offline)).collect() }
}

/// What Storm says of a Nimbus that it does not hear of.
const UNKNOWN: &str = "Not applicable";

/// Nimbuses that the configuration names and that are not there. One may be configured by another
/// name than it gives itself: there are never more missing than the numbers say.
fn missing(view: &ClusterView, config: &v1::DaemonConfig) -> Vec<(String, u32)> {
    let all = configuration(config);
    let seeds = all.get("nimbus.seeds").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let port =
        all.get("nimbus.thrift.port").and_then(Value::as_u64).and_then(|port| u32::try_from(port).ok());
    let alive = &view.cluster.nimbuses;
    let seeds: Vec<(String, u32)> = seeds
        .iter()
        .filter_map(|seed| {
            let seed = seed.as_str()?;
            let split = seed.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
            let (host, port) = split.unwrap_or((seed, port.unwrap_or_default()));
            Some((host.to_owned(), port))
        })
        .collect();
    let count = seeds.len().saturating_sub(alive.len());
    let is_there = |(host, port): &(String, u32)| alive.iter().any(|n| n.host == *host && n.port == *port);
    seeds.into_iter().filter(|seed| !is_there(seed)).take(count).collect()
}

/// `/cluster/configuration`: key to value. A value that cannot be read is null.
pub fn configuration(config: &v1::DaemonConfig) -> Map<String, Value> {
    let value = |entry: &v1::ConfigEntry| serde_json::from_slice(&entry.value).unwrap_or_default();
    config.entries.iter().map(|entry| (entry.key.clone(), value(entry))).collect()
}

/// `/history/summary`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the field is Storm's")]
pub struct History {
    pub topo_history: Vec<String>,
}

/// Those that run: nobody remembers the others.
pub fn history(view: &ClusterView) -> History {
    History { topo_history: view.topologies.iter().map(|topology| topology.id.clone()).collect() }
}

/// `/cluster/slots`, ours: what every slot holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "it says itself")]
pub struct SlotMap {
    pub supervisors: Vec<SupervisorSlots>,
}

/// The slots of a supervisor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "it says itself")]
pub struct SupervisorSlots {
    pub id: String,
    pub host: String,
    pub silent: bool,
    /// Why it gets no work; empty when it does.
    pub unhealthy: String,
    pub slots: Vec<SlotRow>,
}

/// A slot; one that is free has nothing but its port.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "it says itself")]
pub struct SlotRow {
    pub port: u32,
    pub topology_id: Option<String>,
    pub topology_name: Option<String>,
    pub owner: Option<String>,
    pub state: Option<&'static str>,
    pub pid: Option<u32>,
    pub uptime_seconds: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub executors: usize,
    /// Share of the time in which its executors were busy.
    pub load: Option<f64>,
}

/// What every slot holds.
pub fn slots(view: &ClusterView) -> SlotMap {
    let supervisor = |supervisor: &v1::SupervisorSummary| {
        let slot = |port: &u32| {
            let held = supervisor.held.iter().find(|held| held.port == *port);
            SlotRow {
                port: *port,
                topology_id: held.map(|held| held.topology_id.clone()),
                topology_name: held.map(|held| held.topology_name.clone()),
                owner: held.map(|held| held.owner.clone()),
                state: held.map(|held| held.state().as_str_name()),
                pid: held.map(|held| held.pid),
                uptime_seconds: held.map(|held| held.uptime_secs),
                memory_bytes: held.map(|held| held.memory_bytes),
                executors: held.map_or(0, |held| held.executors.len()),
                load: held.map(|held| held.load),
            }
        };
        SupervisorSlots {
            id: supervisor.id.clone(),
            host: supervisor.host.clone(),
            silent: supervisor.is_silent,
            unhealthy: supervisor.unhealthy.clone(),
            slots: supervisor.slots.iter().map(slot).collect(),
        }
    };
    SlotMap { supervisors: view.cluster.supervisors.iter().map(supervisor).collect() }
}
