//! A cluster in one process: the embedded ZooKeeper, Nimbuses, and supervisors that only pretend.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared by several tests, each of which uses a part"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use storm_cluster::{Cluster, Registration, Snapshot, SupervisorRecord};
use storm_config::Config;
use storm_figures::Keeper;
use storm_model::{
    Assignment, ComponentKind, ComponentSpec, Fields, GroupingSpec, InputSpec, Status, StreamSpec, Time,
    TopologyId, TopologySpec,
};
use storm_nimbus::Options;
use storm_rpc::client::Token;
use storm_rpc::launch::hex;
use storm_rpc::nimbus_client::{Patience, command_id};
use storm_rpc::{Nimbuses, Secret, v1};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// Nothing here takes as long.
pub const SOON: Duration = Duration::from_secs(30);
/// The window of silence in the tests.
pub const WINDOW: Duration = Duration::from_millis(1200);
pub const SECRET: &str = "open sesame";

/// The embedded ZooKeeper.
pub struct Zoo {
    server: storm_dev_zookeeper::Server,
    address: SocketAddr,
    pub directory: tempfile::TempDir,
}

impl Zoo {
    pub async fn start() -> Zoo {
        let directory = tempfile::tempdir().unwrap();
        let options = zoo_options(SocketAddr::from(([127, 0, 0, 1], 0)), &directory.path().join("zookeeper"));
        let server = storm_dev_zookeeper::Server::start(options).await.unwrap();
        Zoo { address: server.address(), server, directory }
    }

    /// Ends it. What it held is on the disk.
    pub async fn stop(self) -> (SocketAddr, tempfile::TempDir) {
        self.server.stop().await.unwrap();
        (self.address, self.directory)
    }

    /// Starts it again, with what it held or empty.
    pub async fn start_again((address, directory): (SocketAddr, tempfile::TempDir), is_empty: bool) -> Zoo {
        let data = directory.path().join(if is_empty { "zookeeper-2" } else { "zookeeper" });
        let mut every = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..500 {
            every.tick().await;
            // Connections of the former server may still hold the port for a moment.
            if let Ok(server) = storm_dev_zookeeper::Server::start(zoo_options(address, &data)).await {
                return Zoo { address, server, directory };
            }
        }
        panic!("ZooKeeper does not start again at {address}");
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub async fn client(&self) -> Cluster {
        Cluster::connect(zookeeper(self.address())).await.unwrap()
    }
}

fn zoo_options(address: SocketAddr, data: &Path) -> storm_dev_zookeeper::Options {
    storm_dev_zookeeper::Options {
        address,
        data_dir: Some(data.to_owned()),
        ..storm_dev_zookeeper::Options::default()
    }
}

fn zookeeper(address: SocketAddr) -> storm_cluster::Options {
    let mut options = storm_cluster::Options::new([address.to_string()]);
    options.session_timeout = Duration::from_secs(2);
    options
}

/// A line to ZooKeeper that can be cut.
pub struct Proxy {
    pub address: SocketAddr,
    cut: watch::Sender<bool>,
    stalled: watch::Sender<bool>,
}

impl Proxy {
    pub async fn start(to: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, is_cut) = watch::channel(false);
        let (stalled, is_stalled) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (mut is_cut, is_stalled) = (is_cut.clone(), is_stalled.clone());
                tokio::spawn(async move {
                    if *is_cut.borrow() {
                        return;
                    }
                    let Ok(mut server) = TcpStream::connect(to).await else { return };
                    let ((from, back), (of_server, to)) = (client.split(), server.split());
                    tokio::select! {
                        _ = is_cut.wait_for(|is_cut| *is_cut) => {}
                        () = pump(from, to, is_stalled.clone()) => {}
                        () = pump(of_server, back, is_stalled) => {}
                    }
                });
            }
        });
        Proxy { address, cut, stalled }
    }

    /// Nothing goes through any more, and nobody is told.
    pub fn stall(&self) {
        self.stalled.send_replace(true);
    }

    pub fn cut(&self) {
        self.cut.send_replace(true);
    }
}

async fn pump(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    mut is_stalled: watch::Receiver<bool>,
) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if is_stalled.wait_for(|is_stalled| !is_stalled).await.is_err() {
            return;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// A Nimbus.
pub struct Nimbus {
    pub port: u16,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Nimbus {
    pub async fn start(zookeeper: SocketAddr, directory: &Path) -> Nimbus {
        Nimbus::start_with(zookeeper, directory, |_| {}).await
    }

    pub async fn start_with(
        zookeeper_at: SocketAddr,
        directory: &Path,
        change: impl FnOnce(&mut Options),
    ) -> Nimbus {
        let mut config = Config::defaults();
        config.layer_arguments(["storm.local.hostname=127.0.0.1"]).unwrap();
        let mut options = Options::from_config(&config, Secret::new(SECRET)).unwrap();
        options.port = 0;
        options.metrics = None;
        options.zookeeper = zookeeper(zookeeper_at);
        options.local_dir = directory.to_owned();
        options.supervisor_timeout = WINDOW;
        options.monitor_freq = Duration::from_secs(1);
        change(&mut options);
        let listener = storm_nimbus::listen(&options).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            storm_nimbus::run_on(options, listener, async { drop(stopped.await) }).await.unwrap();
        });
        Nimbus { port, stop: Some(stop), task }
    }

    pub fn calls(&self) -> Nimbuses {
        calls([self.port])
    }

    /// Ends it in good order.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap();
    }
}

pub fn calls(ports: impl IntoIterator<Item = u16>) -> Nimbuses {
    let patience = Patience { unheard: Duration::from_secs(10), heard: Duration::from_secs(20) };
    let addresses = ports.into_iter().map(|port| format!("127.0.0.1:{port}"));
    Nimbuses::new(addresses, &Token::daemon(&Secret::new(SECRET)), patience).unwrap()
}

/// What the workers of a pretended supervisor are like.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    pub is_quiet: bool,
    pub recent_failures: u32,
    pub moved: u64,
    pub is_done: bool,
    pub figures: Vec<u8>,
    /// How often each worker was started again.
    pub restarts: u64,
    pub errors: Vec<v1::ErrorReport>,
}

/// A supervisor that registers and reports, and whose workers do as the assignment says.
pub struct Supervisor {
    pub id: String,
    pub manner: Arc<Mutex<Manner>>,
    task: Option<JoinHandle<()>>,
    _cluster: Cluster,
    _registration: Registration,
}

impl Supervisor {
    pub async fn start(zoo: &Zoo, nimbuses: Nimbuses, id: &str, slots: u16) -> Supervisor {
        Supervisor::start_at(zoo, nimbuses, id, slots, (format!("host-{id}"), 6628)).await
    }

    /// One that is reached at this address.
    pub async fn start_at(
        zoo: &Zoo,
        nimbuses: Nimbuses,
        id: &str,
        slots: u16,
        (host, rpc_port): (String, u16),
    ) -> Supervisor {
        let cluster = zoo.client().await;
        let record = SupervisorRecord {
            id: id.into(),
            host,
            rpc_port,
            slots: (6700..6700 + slots).collect(),
            arch: "x86_64".to_owned(),
            glibc: Some("2.36".to_owned()),
            software: "0.1.0".to_owned(),
            started_ms: 0,
            meta: BTreeMap::new(),
        };
        let registration = cluster.register(&cluster.paths().supervisor(&id.into()), &record);
        registration.registered().await;
        let manner = Arc::new(Mutex::new(Manner { is_quiet: true, ..Manner::default() }));
        let task = tokio::spawn(report(cluster.clone(), nimbuses, id.to_owned(), Arc::clone(&manner)));
        Supervisor {
            id: id.to_owned(),
            manner,
            task: Some(task),
            _cluster: cluster,
            _registration: registration,
        }
    }

    /// Says nothing any more; its node stays.
    pub fn fall_silent(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.fall_silent();
    }
}

async fn report(cluster: Cluster, nimbuses: Nimbuses, id: String, manner: Arc<Mutex<Manner>>) {
    let (assignments, topologies) = (cluster.watch_assignments(), cluster.watch_topologies());
    let mut every = tokio::time::interval(Duration::from_millis(100));
    let mut uptime_ms = 0;
    // What cannot be read says nothing.
    let mut known = BTreeMap::new();
    let mut asked = BTreeMap::new();
    let mut kept = Kept::default();
    loop {
        every.tick().await;
        uptime_ms += 100;
        let Manner { is_quiet, recent_failures, moved, is_done, figures, restarts, errors } =
            manner.lock().unwrap().clone();
        let mut report =
            v1::SupervisorReport { supervisor_id: id.clone(), uptime_ms, ..v1::SupervisorReport::default() };
        let (Snapshot::Present(assignments), Snapshot::Present(topologies)) =
            (assignments.current(), topologies.current())
        else {
            nimbuses.report_supervisor(&report).await.ok();
            continue;
        };
        known.retain(|topology, _| assignments.contains_key(topology));
        known.extend(assignments.iter().filter_map(|(topology, node)| {
            Some((topology.clone(), node.as_ref().ok()?.value.assignment.clone()))
        }));
        for (topology, assignment) in &known {
            let Some(Ok(record)) = topologies.get(topology) else { continue };
            for worker in assignment.workers.iter().filter(|worker| worker.slot.supervisor == *id) {
                let incarnation = Some(v1::Incarnation { number: worker.number, restarts });
                let is_active = record.value.status == Status::Active;
                report.slots.push(v1::SlotReport {
                    port: worker.slot.port.into(),
                    topology_id: topology.to_string(),
                    incarnation,
                    pid: 7,
                    state: v1::WorkerState::Running.into(),
                    recent_failures,
                    problem: String::new(),
                });
                report.workers.push(v1::WorkerReport {
                    topology_id: topology.to_string(),
                    slot: Some((&worker.slot).into()),
                    incarnation,
                    pid: 7,
                    state: v1::WorkerState::Running.into(),
                    assignment_version: assignment.version,
                    quiet_look: asked.get(topology.as_str()).filter(|_| is_quiet && !is_active).map(look),
                    is_active,
                    uptime_ms,
                    moved,
                    is_done,
                    figures: figures.clone().into(),
                    errors: errors.clone(),
                    ..v1::WorkerReport::default()
                });
            }
        }
        kept.observe(&report);
        if let Ok(reply) = nimbuses.report_supervisor(&report).await {
            if reply.wants_figures {
                nimbuses.report_figures(&kept.messages(&id)).await.ok();
            }
            asked.extend(reply.rounds.into_iter().map(|asked| (asked.topology_id, asked.round)));
        }
    }
}

/// What it has kept of figures, by topology.
#[derive(Default)]
struct Kept {
    keepers: BTreeMap<String, Keeper>,
    now: Time,
}

impl Kept {
    fn observe(&mut self, report: &v1::SupervisorReport) {
        self.now = Time::from_secs(10_000_000) + Duration::from_millis(report.uptime_ms);
        for worker in report.workers.iter().filter(|worker| !worker.figures.is_empty()) {
            let Ok(snapshot) = serde_json::from_slice(&worker.figures) else { continue };
            let keeper = self.keepers.entry(worker.topology_id.clone()).or_default();
            let life = worker.incarnation.unwrap().into();
            keeper.observe_life(self.now, life, worker.uptime_ms, &snapshot);
        }
    }

    /// In parts of some bytes.
    fn messages(&self, id: &str) -> Vec<v1::KeptFigures> {
        let part = |topology: &str, data: &[u8]| v1::KeptFigures {
            supervisor_id: id.to_owned(),
            topology_id: topology.to_owned(),
            data: data.to_vec().into(),
            is_last: topology.is_empty(),
        };
        let of = |(topology, keeper): (&String, &Keeper)| {
            let bytes = keeper.to_portable(self.now);
            bytes.chunks(100).map(|data| part(topology, data)).collect::<Vec<_>>()
        };
        self.keepers.iter().flat_map(of).chain([part("", b"")]).collect()
    }
}

fn look(round: &u64) -> v1::QuietLook {
    v1::QuietLook { round: *round, rows_sent: 5, rows_received: 5, ..v1::QuietLook::default() }
}

/// A spout `words` with 2 executors of 4 tasks, and a bolt `count` with 2 of 2.
pub fn spec() -> TopologySpec {
    let component = |kind, executors, tasks, inputs| ComponentSpec {
        kind,
        executors,
        tasks,
        tasks_fixed: true,
        outputs: vec![StreamSpec { id: "default".into(), fields: Fields::new(["word"]), direct: false }],
        inputs,
        config: BTreeMap::new(),
    };
    let grouping = GroupingSpec::Shuffle;
    let input = InputSpec { component: "words".into(), stream: "default".into(), grouping };
    let words = component(ComponentKind::Spout, 2, 4, vec![]);
    let count = component(ComponentKind::Bolt, 2, 2, vec![input]);
    let components = BTreeMap::from([("words".into(), words), ("count".into(), count)]);
    TopologySpec { components, config: BTreeMap::new() }
}

/// Uploads a binary of its own for each name, and returns what submits it.
pub async fn submission(nimbuses: &Nimbuses, name: &str, workers: u32) -> v1::SubmitRequest {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("binary");
    let content = format!("#!/bin/true {name}");
    std::fs::write(&path, &content).unwrap();
    let blob = v1::BlobRef { digest: hex(&Sha256::digest(&content)), size: content.len() as u64 };
    nimbuses.upload(&path, &blob, |_| ()).await.unwrap();
    v1::SubmitRequest {
        command_id: command_id(),
        name: name.to_owned(),
        binary: Some(blob),
        file_name: "binary".to_owned(),
        arguments: vec!["--fast".to_owned()],
        spec: serde_json::to_vec(&spec()).unwrap(),
        config: format!("{{\"topology.workers\": {workers}, \"my.key\": [1]}}").into_bytes(),
        inactive: false,
        owner: "me".to_owned(),
        arch: "x86_64".to_owned(),
        glibc: "2.34".to_owned(),
        contract: storm_rpc::launch::CONTRACT,
        engine_version: "0.1.0".to_owned(),
    }
}

/// Submits a topology, and waits for its first assignment.
pub async fn submit(
    cluster: &Cluster,
    nimbuses: &Nimbuses,
    name: &str,
    workers: u32,
) -> (TopologyId, Assignment) {
    let request = submission(nimbuses, name, workers).await;
    let id = TopologyId::from(nimbuses.submit(&request).await.unwrap().topology_id);
    let assignment =
        assignment(cluster, &id, |assignment| assignment.workers.len() == workers as usize).await;
    (id, assignment)
}

/// Waits for an assignment that fits.
pub async fn assignment(
    cluster: &Cluster,
    id: &TopologyId,
    fits: impl Fn(&Assignment) -> bool,
) -> Assignment {
    let mut watch = cluster.watch_assignment(id);
    let fitting = watch.wait_for(|snapshot| snapshot.present().is_some_and(|a| fits(&a.value.assignment)));
    let snapshot = tokio::time::timeout(SOON, fitting).await.expect("an assignment that fits").unwrap();
    snapshot.present().unwrap().value.assignment.clone()
}

/// Waits for a page of a topology that fits.
pub async fn page(
    nimbuses: &Nimbuses,
    name: &str,
    fits: impl Fn(&v1::TopologyStatus) -> bool,
) -> v1::TopologyStatus {
    let mut every = tokio::time::interval(Duration::from_millis(50));
    let mut last = None;
    for _ in 0..400 {
        every.tick().await;
        let page = nimbuses.get_topology(name).await.unwrap();
        if fits(&page) {
            return page;
        }
        last = Some(page);
    }
    panic!("no page fits; the last: {last:?}");
}

/// Waits until a topology is gone.
pub async fn gone(cluster: &Cluster, id: &TopologyId) {
    let mut watch = cluster.watch_topology(id);
    let gone = watch.wait_for(|snapshot| matches!(snapshot, Snapshot::Absent));
    tokio::time::timeout(SOON, gone).await.expect("the topology is gone").unwrap();
}

/// Waits for a health that fits.
pub async fn health(nimbuses: &Nimbuses, fits: impl Fn(&v1::HealthReply) -> bool) -> v1::HealthReply {
    let mut every = tokio::time::interval(Duration::from_millis(50));
    let mut last = None;
    for _ in 0..400 {
        every.tick().await;
        let health = nimbuses.health().await.unwrap();
        if fits(&health) {
            return health;
        }
        last = Some(health);
    }
    panic!("no health fits; the last: {last:?}");
}

pub fn kill(name: &str, wait_secs: u32) -> v1::KillRequest {
    v1::KillRequest { command_id: command_id(), name: name.to_owned(), wait_secs: Some(wait_secs) }
}

pub fn rebalance(name: &str, wait_secs: u32) -> v1::RebalanceRequest {
    v1::RebalanceRequest {
        command_id: command_id(),
        name: name.to_owned(),
        wait_secs: Some(wait_secs),
        ..v1::RebalanceRequest::default()
    }
}

pub fn topology_command(name: &str) -> v1::TopologyCommand {
    v1::TopologyCommand { command_id: command_id(), name: name.to_owned() }
}

pub fn supervisors_of(assignment: &Assignment) -> BTreeSet<&str> {
    assignment.workers.iter().map(|worker| worker.slot.supervisor.as_str()).collect()
}
