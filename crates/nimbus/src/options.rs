//! What a Nimbus is told when it starts.

use std::path::PathBuf;
use std::time::Duration;

use storm_config::{Config, Origin};
use storm_exposition::Listen;
use storm_rpc::Secret;

use crate::error::NimbusError;

const METRICS_PORT: &str = "nimbus.metrics.port";

/// What a Nimbus is told when it starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name or address under which others reach it.
    pub host: String,
    /// Address to listen on: `storm.bind.address`, 127.0.0.1 by default.
    pub bind: String,
    /// Port to listen on: `nimbus.thrift.port`. 0 takes a free one.
    pub port: u16,
    /// Where it shows its metrics: `nimbus.metrics.port`. None: nowhere.
    pub metrics: Option<Listen>,
    /// Where ZooKeeper is.
    pub zookeeper: storm_cluster::Options,
    /// Its directory: `storm.local.dir`. Nimbus has `nimbus` in it.
    pub local_dir: PathBuf,
    /// Where its own log is: `storm.log.dir`. Whoever starts it writes it there.
    pub log_dir: PathBuf,
    /// The secret of the cluster.
    pub secret: Secret,
    /// How long a supervisor and all its workers are silent before their work is moved:
    /// `nimbus.supervisor.timeout.secs`.
    pub supervisor_timeout: Duration,
    /// How often everything is looked at, whether or not something happened: `nimbus.monitor.freq.secs`.
    pub monitor_freq: Duration,
    /// How long a blob that nobody refers to is kept: `nimbus.topology.blobstore.deletion.delay.ms`.
    pub blob_deletion_delay: Duration,
    /// The most workers that a topology may ask for: `nimbus.slots.perTopology`.
    pub max_workers: Option<u32>,
    /// The most executors that a topology may have: `nimbus.executors.perTopology`.
    pub max_executors: Option<u32>,
    /// The cluster's configuration: what topologies get where neither their code nor their submission
    /// says otherwise.
    pub config: Config,
}

impl Options {
    /// Reads them from the cluster's configuration; `host` is `storm.local.hostname` or else
    /// `127.0.0.1`, and the secret is handed in, for it stands in a file.
    ///
    /// # Errors
    /// If a value makes no sense.
    pub fn from_config(config: &Config, secret: Secret) -> Result<Options, NimbusError> {
        let time = |key: &str| config.get_duration(key).expect("a time with a default");
        let port = |key: &str| config.get_int(key).and_then(|port| u16::try_from(port).ok()).expect("a port");
        let text = |key: &str| config.get_str(key).map(str::to_owned);
        let mut zookeeper = storm_cluster::Options::new(config.get_strs("storm.zookeeper.servers"));
        zookeeper.port = port("storm.zookeeper.port");
        zookeeper.root = text("storm.zookeeper.root").unwrap_or(zookeeper.root);
        zookeeper.session_timeout = time("storm.zookeeper.session.timeout");
        zookeeper.auth = text("storm.zookeeper.auth.payload");
        zookeeper.connect_string()?;
        let local_dir = PathBuf::from(text("storm.local.dir").unwrap_or_default());
        Ok(Options {
            host: text("storm.local.hostname").unwrap_or_else(|| "127.0.0.1".to_owned()),
            bind: text("storm.bind.address").unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: port("nimbus.thrift.port"),
            metrics: Some(port(METRICS_PORT)).filter(|port| *port > 0).map(|port| Listen {
                port,
                is_asked_for: !matches!(config.origin(METRICS_PORT), None | Some(Origin::Default)),
                key: METRICS_PORT,
            }),
            zookeeper,
            log_dir: local_dir.join(text("storm.log.dir").unwrap_or_default()),
            local_dir,
            secret,
            supervisor_timeout: time("nimbus.supervisor.timeout.secs"),
            monitor_freq: time("nimbus.monitor.freq.secs"),
            blob_deletion_delay: time("nimbus.topology.blobstore.deletion.delay.ms"),
            max_workers: config.get_count("nimbus.slots.perTopology"),
            max_executors: config.get_count("nimbus.executors.perTopology"),
            config: config.clone(),
        })
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.local_dir.join("nimbus")
    }
}
