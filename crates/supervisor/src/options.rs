//! What a supervisor is told when it starts.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};
use storm_config::{Config, Origin};
use storm_exposition::Listen;
use storm_logs::Limit;
use storm_model::ConfigMap;
use storm_rpc::Secret;

use crate::health::HealthOptions;
use crate::logs::Keep;
use crate::machine;

/// So much of `logviewer.max.per.worker.logs.size.mb` one file may have: the log and three older parts.
const LOG_FILES: u64 = 4;
/// A log is rotated at 100 MB, also when a worker may have much more: it is copied then.
const LOG_BYTES: u64 = 100 << 20;
/// How often old logs are looked for, unless `logviewer.cleanup.interval.secs` says so. Only with that key they
/// go by age.
const CLEAN_LOGS_EVERY: Duration = Duration::from_secs(600);
const METRICS_PORT: &str = "supervisor.metrics.port";
/// As in Storm.
const HEALTH_EVERY: Duration = Duration::from_secs(30);

/// Everything that a supervisor does not find out by itself.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name or address of this machine for all others; goes into its record and to its workers' peers.
    pub host: String,
    /// Address to listen on, for itself and for its workers.
    pub bind: String,
    /// Port of its service; 0 takes a free one.
    pub rpc_port: u16,
    /// Where it shows its metrics and those of its workers: `supervisor.metrics.port`. None: nowhere.
    pub metrics: Option<Listen>,
    /// Ports of the workers: one slot each.
    pub slots: Vec<u16>,
    /// Where it keeps everything: `storm.local.dir`.
    pub local_dir: PathBuf,
    /// Where the workers' logs are.
    pub artifacts_dir: PathBuf,
    /// Where its own log is: `storm.log.dir`. Whoever starts it writes it there.
    pub log_dir: PathBuf,
    /// How ZooKeeper is reached.
    pub zookeeper: storm_cluster::Options,
    /// Where the Nimbuses are, as `host:port`.
    pub nimbus_addresses: Vec<String>,
    /// The secret of the cluster.
    pub secret: Secret,
    /// From the start of a worker until it attaches.
    pub start_timeout: Duration,
    /// From a worker's report to the next.
    pub silence_timeout: Duration,
    /// The most that a topology may ask for instead, by `topology.worker.timeout.secs`.
    pub max_silence_timeout: Duration,
    /// From the order to stop to SIGTERM, and from there to SIGKILL.
    pub stop_wait: Duration,
    /// From a report to Nimbus to the next, unless Nimbus asks for another time.
    pub report_every: Duration,
    /// When logs are rotated.
    pub log_limit: Limit,
    /// Which logs of former workers are kept.
    pub log_keep: Keep,
    /// How the machine's health is checked.
    pub health: HealthOptions,
    /// Configuration of the cluster that topologies get below their own.
    pub cluster_config: Map<String, Value>,
    /// What the scheduler is told of this machine.
    pub meta: ConfigMap,
    /// Ends the workers when this supervisor ends, within 8 s: for `dev` and tests. Otherwise they run on,
    /// and its next life adopts them.
    pub stop_workers_on_exit: bool,
}

impl Options {
    /// What a configuration says. The secret is none: it stands in a file that is the caller's to read. The
    /// host is `storm.local.hostname`; else the address that is listened on, or the machine's name if
    /// that is every address.
    pub fn from_config(config: &Config) -> Options {
        let time = |key: &str| config.get_duration(key).expect("a time with a default");
        let text = |key: &str| config.get_str(key).expect("a text with a default").to_owned();
        let count = |key: &str| config.get_int(key).expect("a number with a default");
        let port = |key: &str| u16::try_from(count(key)).expect("a port was checked");
        let local_dir = PathBuf::from(text("storm.local.dir"));
        let mut zookeeper = storm_cluster::Options::new(config.get_strs("storm.zookeeper.servers"));
        zookeeper.port = port("storm.zookeeper.port");
        zookeeper.root = text("storm.zookeeper.root");
        zookeeper.session_timeout = time("storm.zookeeper.session.timeout");
        zookeeper.auth = config.get_str("storm.zookeeper.auth.payload").map(str::to_owned);
        let nimbus_port = port("nimbus.thrift.port");
        let nimbus_address = |seed: &str| {
            if seed.contains(':') { seed.to_owned() } else { format!("{seed}:{nimbus_port}") }
        };
        let logs_bytes = u64::try_from(count("logviewer.max.per.worker.logs.size.mb")).unwrap_or(1) << 20;
        let clean_every = config.get_duration("logviewer.cleanup.interval.secs");
        let slots = config.get_ints("supervisor.slots.ports");
        let bind = text("storm.bind.address");
        let host = match (config.get_str("storm.local.hostname"), bind.as_str()) {
            (Some(host), _) => host.to_owned(),
            (None, "0.0.0.0" | "::" | "[::]") => machine::host_name(),
            (None, _) => bind.clone(),
        };
        let is_default = |origin: &Origin| matches!(origin, Origin::Default);
        let cluster_config = config
            .iter()
            .filter(|(key, value, origin)| {
                !is_default(origin) && !value.is_null() && is_for_workers(config, key)
            })
            .map(|(key, value, _)| (key.to_owned(), value.clone()));
        let meta = config.get_map("supervisor.scheduler.meta").cloned().unwrap_or_default();
        Options {
            host,
            bind,
            rpc_port: port("supervisor.thrift.port"),
            metrics: Some(port(METRICS_PORT)).filter(|port| *port > 0).map(|port| Listen {
                port,
                is_asked_for: !matches!(config.origin(METRICS_PORT), None | Some(Origin::Default)),
                key: METRICS_PORT,
            }),
            slots: slots.into_iter().filter_map(|port| u16::try_from(port).ok()).collect(),
            artifacts_dir: local_dir.join(text("storm.workers.artifacts.dir")),
            log_dir: local_dir.join(text("storm.log.dir")),
            zookeeper,
            nimbus_addresses: config.get_strs("nimbus.seeds").into_iter().map(nimbus_address).collect(),
            secret: Secret::none(),
            start_timeout: time("supervisor.worker.start.timeout.secs"),
            silence_timeout: time("supervisor.worker.timeout.secs"),
            max_silence_timeout: time("supervisor.worker.heartbeats.max.timeout.secs"),
            stop_wait: time("supervisor.worker.shutdown.sleep.secs"),
            report_every: time("supervisor.heartbeat.frequency.secs"),
            log_limit: Limit { bytes: (logs_bytes / LOG_FILES).min(LOG_BYTES), ..Limit::default() },
            log_keep: Keep {
                bytes: u64::try_from(count("logviewer.max.sum.worker.logs.size.mb")).unwrap_or(1) << 20,
                age: clean_every.map(|_| time("logviewer.cleanup.age.mins")),
                look_every: clean_every.unwrap_or(CLEAN_LOGS_EVERY),
            },
            health: HealthOptions {
                directory: local_dir.join(text("storm.health.check.dir")),
                timeout: time("storm.health.check.timeout.ms"),
                fail_on_timeouts: config.get_bool("storm.health.check.fail.on.timeouts"),
                every: HEALTH_EVERY,
            },
            cluster_config: cluster_config.collect(),
            meta: meta.into_iter().collect(),
            stop_workers_on_exit: false,
            local_dir,
        }
    }
}

/// Whether workers need a key of the cluster: user code gets no more than that, above all no secrets.
fn is_for_workers(config: &Config, key: &str) -> bool {
    // How many tasks and executors there are was settled when the topology was submitted.
    let shapes = ["topology.tasks", "topology.max.task.parallelism"];
    if shapes.contains(&key) || key.starts_with("topology.parallelism.") {
        return false;
    }
    let prefixes = ["topology.", "worker.", "storm.messaging."];
    prefixes.iter().any(|prefix| key.starts_with(prefix)) || config.user(key).is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it is used")]

    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_table() {
        let options = Options::from_config(&Config::defaults());
        assert_eq!((options.rpc_port, options.slots.len()), (6628, 4));
        let usual = Listen { port: 9628, is_asked_for: false, key: METRICS_PORT };
        assert_eq!(options.metrics, Some(usual.clone()));
        for (port, wanted) in [("9628", Some(Listen { is_asked_for: true, ..usual })), ("0", None)] {
            let mut config = Config::defaults();
            config.layer_arguments([format!("{METRICS_PORT}={port}")]).unwrap();
            assert_eq!(Options::from_config(&config).metrics, wanted);
        }
        assert_eq!(options.nimbus_addresses, ["localhost:6627"]);
        assert_eq!(options.silence_timeout, Duration::from_secs(5));
        assert_eq!(options.artifacts_dir, PathBuf::from("storm-local/workers-artifacts"));
        assert_eq!(options.log_dir, PathBuf::from("storm-local/logs"));
        assert!(options.cluster_config.is_empty() && options.meta.is_empty());
        assert_eq!((options.log_keep.bytes, options.log_keep.age), (4096 << 20, None));
    }

    #[test]
    fn workers_get_what_is_theirs_and_no_secrets() {
        let mut config = Config::defaults();
        let text = "topology.workers: 3\ntopology.tasks: 7\nmine: 1\nstorm.zookeeper.auth.payload: a:b\n\
                    storm.bind.address: 10.0.0.7\nsupervisor.scheduler.meta: {rack: r1}\n";
        config.layer_yaml_text(std::path::Path::new("storm.yaml"), text).unwrap();
        let options = Options::from_config(&config);
        assert_eq!(options.cluster_config.keys().collect::<Vec<_>>(), ["mine", "topology.workers"]);
        assert_eq!((options.host.as_str(), options.bind.as_str()), ("10.0.0.7", "10.0.0.7"));
        assert_eq!(options.meta["rack"], "r1");
        assert_eq!(options.zookeeper.auth.as_deref(), Some("a:b"));
    }
}
