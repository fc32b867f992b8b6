//! All that a supervisor needs around it, and what tests want to do with it.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sha2::{Digest as _, Sha256};
use storm_cluster::{
    AssignmentRecord, BinaryRecord, Cluster, ClusterIdRecord, Record, TombstoneRecord, TopologyRecord,
};
use storm_model::{
    AssignedExecutor, Assignment, ExecutorId, Incarnation, Status, SupervisorId, TaskId, TopologyId,
    TopologySpec, WorkerAssignment, WorkerSlot,
};
use storm_rpc::client::{self, Token};
use storm_rpc::launch::{WORKER_FILE_VARIABLE, hex};
use storm_rpc::v1::worker_order::Order;
use storm_rpc::v1::{self, WorkerReport};
use storm_rpc::{Secret, SupervisorCalls};
use storm_supervisor::process::ProcessId;
use storm_supervisor::{HealthOptions, LogKeep, LogLimit, Options, Supervisor};

use tokio_stream::StreamExt as _;

use crate::fake_nimbus::{FakeNimbus, PATIENCE};
use crate::fake_worker;

/// The slots of the supervisor. Workers here do not listen, so the numbers do not matter.
pub(crate) const PORTS: [u16; 2] = [6700, 6701];
pub(crate) const PORT: u32 = 6700;
/// The topology of most tests.
pub(crate) const WORDS: &str = "words-1-1764000000";

/// A whole cluster of one machine. When it is dropped, no process of it is left.
pub(crate) struct Land {
    pub(crate) options: Options,
    pub(crate) nimbus: FakeNimbus,
    pub(crate) cluster: Cluster,
    pub(crate) zookeeper: Option<storm_dev_zookeeper::Server>,
    supervisor: Option<Supervisor>,
    pub(crate) directory: tempfile::TempDir,
}

impl Drop for Land {
    fn drop(&mut self) {
        self.supervisor.take();
        for process in workers_below(self.directory.path()) {
            process.signal_group(Signal::SIGKILL);
        }
    }
}

/// Living processes whose worker file lies in a directory.
pub(crate) fn workers_below(directory: &std::path::Path) -> Vec<ProcessId> {
    let wanted = format!("{WORKER_FILE_VARIABLE}={}", directory.display());
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(wanted.as_bytes()))
    })
    .filter_map(ProcessId::of)
    .filter(ProcessId::is_alive)
    .collect()
}

pub(crate) fn is_alive(pid: u32) -> bool {
    ProcessId::of(pid).is_some_and(|process| process.is_alive())
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

/// Waits for the end of a process.
pub(crate) async fn ended(pid: u32) {
    if let Some(process) = ProcessId::of(pid) {
        tokio::time::timeout(PATIENCE, process.ended()).await.expect("it ends");
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Land {
    /// Everything but the supervisor.
    pub(crate) async fn new() -> Land {
        let directory = tempfile::tempdir().unwrap();
        let server =
            storm_dev_zookeeper::Server::start(storm_dev_zookeeper::Options::default()).await.unwrap();
        let zookeeper = storm_cluster::Options::new([server.address().to_string()]);
        let cluster = Cluster::connect(zookeeper.clone()).await.unwrap();
        let secret = Secret::new("of the tests");
        let nimbus = FakeNimbus::start(&secret, &fake_worker::binary()).await;
        let options = Options {
            host: "127.0.0.1".to_owned(),
            bind: "127.0.0.1".to_owned(),
            rpc_port: free_port(),
            metrics: None,
            slots: PORTS.to_vec(),
            local_dir: directory.path().join("local"),
            artifacts_dir: directory.path().join("logs"),
            log_dir: directory.path().join("own-logs"),
            zookeeper,
            nimbus_addresses: vec![nimbus.address.clone()],
            secret,
            start_timeout: Duration::from_secs(60),
            silence_timeout: Duration::from_secs(5),
            max_silence_timeout: Duration::from_secs(600),
            stop_wait: Duration::from_secs(1),
            report_every: Duration::from_millis(100),
            log_limit: LogLimit::default(),
            log_keep: LogKeep { bytes: 1 << 30, age: None, look_every: Duration::from_secs(600) },
            health: HealthOptions {
                directory: directory.path().join("healthchecks"),
                timeout: Duration::from_secs(20),
                fail_on_timeouts: true,
                every: Duration::from_millis(100),
            },
            cluster_config: serde_json::Map::new(),
            meta: Default::default(),
            stop_workers_on_exit: false,
        };
        let land = Land { options, nimbus, cluster, zookeeper: Some(server), supervisor: None, directory };
        land.write(&land.cluster.paths().cluster_id(), &ClusterIdRecord { id: "c1".to_owned() }).await;
        land
    }

    /// With a supervisor that runs a topology of one worker, which behaves in this way.
    pub(crate) async fn with_worker(behaviour: &str) -> Land {
        let mut land = Land::new().await;
        land.start().await;
        land.submit(WORDS, behaviour).await;
        land.assign(WORDS, 1, Some(1)).await;
        land
    }

    pub(crate) async fn start(&mut self) {
        self.supervisor = Some(Supervisor::start(self.options.clone()).await.unwrap());
    }

    /// As if its process were killed.
    pub(crate) async fn kill_supervisor(&mut self) {
        self.supervisor.take().unwrap().abandon().await;
    }

    pub(crate) async fn stop_supervisor(&mut self) {
        self.supervisor.take().unwrap().stop().await;
    }

    pub(crate) fn id(&self) -> SupervisorId {
        self.supervisor.as_ref().unwrap().id().clone()
    }

    pub(crate) fn calls(&self) -> SupervisorCalls {
        let token = Token::daemon(&self.options.secret);
        SupervisorCalls::new(&format!("127.0.0.1:{}", self.options.rpc_port), token).unwrap()
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.options.local_dir.join("supervisor/blobs")
    }

    pub(crate) fn worker_dir(&self) -> PathBuf {
        self.options.local_dir.join(format!("supervisor/workers/{WORDS}-{PORT}"))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.options.artifacts_dir.join(format!("{WORDS}/{PORT}/worker.log"))
    }

    pub(crate) fn digest() -> String {
        hex(&Sha256::digest(fake_worker::binary()))
    }

    /// What reports of [`Land::attach`] say of pending trees.
    pub(crate) const PENDING: u64 = 4711;

    /// Attaches as a life of the worker, and returns the first three orders.
    pub(crate) async fn attach(&self, incarnation: Incarnation) -> Vec<Order> {
        let token = Token::new(&self.options.secret.worker_token(&WORDS.into(), incarnation));
        let mut client = client::supervisor(&format!("127.0.0.1:{}", self.options.rpc_port), token).unwrap();
        let report = WorkerReport {
            topology_id: WORDS.to_owned(),
            slot: Some(v1::Slot { supervisor_id: self.id().to_string(), port: PORT }),
            incarnation: Some(incarnation.into()),
            pending: Land::PENDING,
            ..WorkerReport::default()
        };
        let reports = tokio_stream::iter([report]).chain(tokio_stream::pending());
        let mut orders = client.attach(reports).await.unwrap().into_inner();
        let mut taken = Vec::new();
        while taken.len() < 3 {
            let order = tokio::time::timeout(PATIENCE, orders.message()).await.unwrap().unwrap().unwrap();
            taken.push(order.order.unwrap());
        }
        taken
    }

    // === What Nimbus would do ===

    /// Writes a node, whatever it holds.
    pub(crate) async fn write(&self, path: &str, record: &impl Record) {
        let mut transaction = self.cluster.transaction();
        let is_there = self.cluster.multi(self.cluster.transaction().check(path, None)).await.is_ok();
        if is_there {
            transaction.delete(path, None);
        }
        transaction.create(path, record);
        self.cluster.multi(&transaction).await.unwrap();
    }

    pub(crate) async fn delete(&self, path: &str) {
        self.cluster.multi(self.cluster.transaction().delete(path, None)).await.unwrap();
    }

    pub(crate) async fn submit(&self, id: &str, behaviour: &str) {
        self.submit_as(id, behaviour, Status::Active).await;
    }

    pub(crate) async fn submit_as(&self, id: &str, behaviour: &str, status: Status) {
        let environment = serde_json::json!({"GREETING": "good morning"});
        let config = [
            (fake_worker::BEHAVIOUR.to_owned(), behaviour.into()),
            ("topology.environment".to_owned(), environment),
        ];
        let record = TopologyRecord {
            id: TopologyId::from(id),
            name: id.split('-').next().unwrap().to_owned(),
            status,
            previous_status: None,
            workers: 1,
            executors: Default::default(),
            owner: "somebody".to_owned(),
            launched_ms: 0,
            binary: BinaryRecord {
                digest: Land::digest(),
                file_name: "words".to_owned(),
                ..BinaryRecord::default()
            },
            arguments: vec!["--lines".to_owned(), "7".to_owned()],
            config: config.into(),
            spec: TopologySpec::default(),
            spec_digest: String::new(),
            pending: None,
            assignment_number: 1,
            assignment_version: 0,
            status_version: 0,
            rebalances: 0,
            tuning: Default::default(),
            explanation: String::new(),
        };
        self.write(&self.cluster.paths().topology(&record.id), &record).await;
    }

    /// Gives the first slot to a topology, or takes it away.
    pub(crate) async fn assign(&self, id: &str, version: u64, number: Option<u64>) {
        let workers: Vec<_> = number.map(|number| (PORTS[0], number)).into_iter().collect();
        self.assign_all(id, version, &workers).await;
    }

    /// Gives slots to a topology, with their numbers.
    pub(crate) async fn assign_all(&self, id: &str, version: u64, workers: &[(u16, u64)]) {
        let supervisor =
            std::fs::read_to_string(self.options.local_dir.join("supervisor/state/supervisor-id"));
        let supervisor = SupervisorId::from(supervisor.unwrap());
        let executor = ExecutorId { first: TaskId(1), last: TaskId(2) };
        let worker = |(port, number): &(u16, u64)| WorkerAssignment {
            slot: WorkerSlot { supervisor: supervisor.clone(), port: *port },
            host: "127.0.0.1".to_owned(),
            number: *number,
            executors: vec![AssignedExecutor { component: "split".into(), executor }],
        };
        let assignment = Assignment { version, workers: workers.iter().map(worker).collect() };
        let path = self.cluster.paths().assignment(&id.into());
        self.write(&path, &AssignmentRecord { assignment }).await;
    }

    pub(crate) async fn bury(&self, id: &str) {
        let [name, command] = [id, "command"].map(str::to_owned);
        let record = TombstoneRecord { id: id.into(), name, killed_ms: 0, command };
        self.write(&self.cluster.paths().tombstone(&id.into()), &record).await;
    }
}
