//! Workers as processes, and one that plays the supervisor of all of them, and Nimbus.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use storm_model::{
    AssignedExecutor, Assignment, Incarnation, Level, Status, Tuning, WorkerAssignment, WorkerSlot,
};
use storm_rpc::launch::{CONTRACT, WorkerFile};
use storm_rpc::v1::worker_order::{Order, Stop};
use storm_rpc::v1::{self, WorkerOrder, WorkerReport, WorkerState};
use storm_worker::{Limit, Loggers, Process};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream, UnboundedReceiverStream};
use tonic::{Request, Response, Streaming};

use crate::plan::{Plan, executors};

/// Longer than anything here takes, on the busiest machine.
pub(crate) const LONG: Duration = Duration::from_secs(90);
/// The test binary becomes a worker when this names its file.
const WORKER: &str = "STORM_TEST_WORKER";
const PLAN: &str = "STORM_TEST_PLAN";

/// What `main` of a topology does; returns in the process of the tests.
pub(crate) fn become_a_worker() {
    let Ok(file) = std::env::var(WORKER) else { return };
    let file: WorkerFile = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let plan = Plan::decode(&std::env::var(PLAN).unwrap());
    let loggers = Box::new(Noted(plan.clone()));
    let process = Process { loggers, events_limit: Limit { bytes: 1 << 20, keep: 1 } };
    let code = match storm_worker::run(file, plan.topology(), Plan::settings(), process) {
        Ok(code) => (0..=u8::MAX).find(|n| ExitCode::from(*n) == code).unwrap(),
        Err(error) => {
            eprintln!("error: {error}");
            1
        }
    };
    std::process::exit(code.into());
}

/// Notes the levels that are set.
struct Noted(Plan);

impl Loggers for Noted {
    fn set(&mut self, levels: &BTreeMap<String, Level>) -> Result<(), String> {
        let levels: Vec<_> = levels.iter().map(|(logger, level)| format!("{logger}={level}")).collect();
        self.0.note(format!("levels {}", levels.join(" ")).trim_end());
        Ok(())
    }
}

type Orders = mpsc::UnboundedSender<Result<WorkerOrder, tonic::Status>>;

/// What is known of the workers, and told to them.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) assignment: Assignment,
    pub(crate) status: Option<Status>,
    /// What was changed of the topology.
    pub(crate) tuning: Tuning,
    /// What came over the supervisor's lines, in order.
    pub(crate) reports: Vec<WorkerReport>,
    /// What was told to Nimbus.
    pub(crate) told_nimbus: Vec<WorkerReport>,
    /// What Nimbus answers with, if not with the newest assignment.
    pub(crate) nimbus_knows: Option<Assignment>,
    lines: BTreeMap<u32, Orders>,
}

impl Book {
    /// The newest report of a worker, whatever its life.
    pub(crate) fn newest(&self, port: u16) -> Option<&WorkerReport> {
        self.reports.iter().rev().find(|r| r.slot.as_ref().unwrap().port == u32::from(port))
    }

    pub(crate) fn is_running(&self, port: u16) -> bool {
        let version = self.assignment.version;
        self.newest(port)
            .is_some_and(|r| r.state() == WorkerState::Running && r.assignment_version == version)
    }

    pub(crate) fn errors(&self) -> Vec<&v1::ErrorReport> {
        self.reports.iter().chain(&self.told_nimbus).flat_map(|report| &report.errors).collect()
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<(Mutex<Book>, Condvar)>);

impl Shared {
    fn change<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        let changed = change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
        changed
    }

    fn until(&self, what: &str, is_so: impl Fn(&Book) -> bool) {
        let deadline = Instant::now() + LONG;
        let mut book = self.0.0.lock().unwrap();
        while !is_so(&book) {
            assert!(Instant::now() < deadline, "not within {LONG:?}: {what}\n{:#?}", book.reports.last());
            book = self.0.1.wait_timeout(book, Duration::from_millis(20)).unwrap().0;
        }
    }
}

fn order(order: Order) -> Result<WorkerOrder, tonic::Status> {
    Ok(WorkerOrder { order: Some(order), state_version: 0 })
}

fn assignment_order(assignment: &Assignment) -> Result<WorkerOrder, tonic::Status> {
    order(Order::Assignment((&"test-1".into(), assignment).into()))
}

fn state_order(status: Status) -> Result<WorkerOrder, tonic::Status> {
    order(Order::State(v1::TopologyState::from(status).into()))
}

fn tuning_order(tuning: &Tuning) -> Result<WorkerOrder, tonic::Status> {
    order(Order::Tuning(tuning.into()))
}

type Stream<T> = ReceiverStream<Result<T, tonic::Status>>;

#[tonic::async_trait]
impl v1::supervisor_server::Supervisor for Shared {
    type AttachStream = UnboundedReceiverStream<Result<WorkerOrder, tonic::Status>>;
    type ReadLogStream = Stream<v1::LogLines>;
    type DownloadBlobStream = Stream<v1::BlobChunk>;

    async fn attach(
        &self,
        request: Request<Streaming<WorkerReport>>,
    ) -> Result<Response<Self::AttachStream>, tonic::Status> {
        let mut reports = request.into_inner();
        let first = reports.message().await?.ok_or_else(|| tonic::Status::cancelled("gone"))?;
        let (orders, taken) = mpsc::unbounded_channel();
        let port = first.slot.as_ref().unwrap().port;
        self.change(|book| {
            orders.send(assignment_order(&book.assignment)).ok();
            orders.send(tuning_order(&book.tuning)).ok();
            if let Some(status) = book.status {
                orders.send(state_order(status)).ok();
            }
            book.lines.insert(port, orders);
            book.reports.push(first);
        });
        let shared = self.clone();
        tokio::spawn(async move {
            while let Ok(Some(report)) = reports.message().await {
                shared.change(|book| book.reports.push(report));
            }
            // It may be the worker's next line by now.
            shared.change(|book| book.lines.retain(|of, line| *of != port || !line.is_closed()));
        });
        Ok(Response::new(UnboundedReceiverStream::new(taken)))
    }

    async fn read_log(
        &self,
        _: Request<v1::LogRequest>,
    ) -> Result<Response<Self::ReadLogStream>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }

    async fn restart_worker(
        &self,
        _: Request<v1::RestartWorkerHere>,
    ) -> Result<Response<v1::RestartedWorker>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }

    async fn download_blob(
        &self,
        _: Request<v1::BlobRef>,
    ) -> Result<Response<Self::DownloadBlobStream>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }

    async fn health(
        &self,
        _: Request<v1::HealthRequest>,
    ) -> Result<Response<v1::HealthReply>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }
}

macro_rules! nobody_calls {
    ($($name:ident($request:ty) -> $reply:ty;)*) => {
        #[tonic::async_trait]
        impl v1::nimbus_server::Nimbus for Shared {
            type DownloadBlobStream = Stream<v1::BlobChunk>;
            type ReadLogStream = Stream<v1::LogLines>;

            async fn report_worker(
                &self,
                request: Request<WorkerReport>,
            ) -> Result<Response<v1::WorkerReportReply>, tonic::Status> {
                let report = request.into_inner();
                let reply = self.change(|book| {
                    book.told_nimbus.push(report);
                    let state = book.status.map_or(0, |status| v1::TopologyState::from(status).into());
                    let known = book.nimbus_knows.as_ref().unwrap_or(&book.assignment);
                    let assignment = Some((&"test-1".into(), known).into());
                    let tuning = Some((&book.tuning).into());
                    v1::WorkerReportReply { assignment, state, tuning, ..Default::default() }
                });
                Ok(Response::new(reply))
            }

            $(async fn $name(&self, _: Request<$request>) -> Result<Response<$reply>, tonic::Status> {
                Err(tonic::Status::unimplemented(""))
            })*
        }
    };
}

nobody_calls! {
    get_leader(v1::GetLeaderRequest) -> v1::Leader;
    has_blob(v1::BlobRef) -> v1::HasBlobReply;
    upload_blob(Streaming<v1::BlobChunk>) -> v1::BlobRef;
    download_blob(v1::BlobRef) -> Self::DownloadBlobStream;
    submit(v1::SubmitRequest) -> v1::CommandReply;
    kill(v1::KillRequest) -> v1::CommandReply;
    activate(v1::TopologyCommand) -> v1::CommandReply;
    deactivate(v1::TopologyCommand) -> v1::CommandReply;
    rebalance(v1::RebalanceRequest) -> v1::RebalanceReply;
    restart_worker(v1::RestartWorkerRequest) -> v1::CommandReply;
    list_topologies(v1::ListTopologiesRequest) -> v1::TopologyList;
    get_topology(v1::GetTopologyRequest) -> v1::TopologyStatus;
    get_cluster(v1::GetClusterRequest) -> v1::ClusterSummary;
    read_log(v1::LogRequest) -> Self::ReadLogStream;
    health(v1::HealthRequest) -> v1::HealthReply;
    get_figures(v1::GetFiguresRequest) -> v1::TopologyFigures;
    get_config(v1::GetConfigRequest) -> v1::DaemonConfig;
    set_log_levels(v1::LogLevelsRequest) -> v1::CommandReply;
    set_debug(v1::DebugRequest) -> v1::CommandReply;
    report_supervisor(v1::SupervisorReport) -> v1::SupervisorReply;
    report_figures(Streaming<v1::KeptFigures>) -> v1::KeptFiguresReply;
}

/// A cluster of worker processes.
pub(crate) struct Cluster {
    pub(crate) plan: Plan,
    directory: tempfile::TempDir,
    shared: Shared,
    runtime: Runtime,
    /// The supervisor's own, of one thread.
    supervision: Runtime,
    supervisor: SocketAddr,
    nimbus: SocketAddr,
    serving: Option<JoinHandle<()>>,
    /// The last round that workers were asked; no other may have its number.
    last_round: AtomicU64,
    processes: BTreeMap<u16, Child>,
}

impl Cluster {
    pub(crate) fn new(count: i64) -> Cluster {
        let directory = tempfile::tempdir().unwrap();
        let runtime =
            || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut cluster = Cluster {
            plan: Plan::new(directory.path(), count),
            directory,
            shared: Shared::default(),
            runtime: runtime(),
            supervision: runtime(),
            supervisor: SocketAddr::from(([127, 0, 0, 1], free_port())),
            nimbus: SocketAddr::from(([127, 0, 0, 1], free_port())),
            serving: None,
            last_round: AtomicU64::new(0),
            processes: BTreeMap::new(),
        };
        cluster.shared.change(|book| book.status = Some(Status::Active));
        let listener = listener(&cluster.runtime, cluster.nimbus);
        let nimbus = v1::nimbus_server::NimbusServer::new(cluster.shared.clone());
        cluster.runtime.spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            tonic::transport::Server::builder().add_service(nimbus).serve_with_incoming(incoming).await.ok();
        });
        cluster.serve();
        cluster
    }

    /// The supervisor is there.
    pub(crate) fn serve(&mut self) {
        let listener = listener(&self.supervision, self.supervisor);
        let supervisor = v1::supervisor_server::SupervisorServer::new(self.shared.clone());
        self.serving = Some(self.supervision.spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            let server = tonic::transport::Server::builder().add_service(supervisor);
            server.serve_with_incoming(incoming).await.ok();
        }));
    }

    /// The supervisor is gone, and all its lines with it.
    pub(crate) fn stop_serving(&mut self) {
        self.serving.take().unwrap().abort();
        self.shared.change(|book| book.lines.clear());
    }

    /// The supervisor does nothing until the sender is dropped; its connections stay.
    pub(crate) fn freeze(&self) -> std::sync::mpsc::Sender<()> {
        let (thaw, thawed) = std::sync::mpsc::channel::<()>();
        let (sender, frozen) = std::sync::mpsc::channel();
        self.supervision.spawn(async move {
            sender.send(()).ok();
            thawed.recv().ok();
        });
        frozen.recv().unwrap();
        thaw
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        self.shared.change(change)
    }

    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Book) -> bool) {
        self.shared.until(what, is_so);
    }

    /// Says who works where; nobody is told yet. By port with number and component.
    pub(crate) fn assign(&self, version: u64, workers: &[(u16, u64, &str)]) {
        let workers = workers.iter().map(|(port, number, component)| (*port, *number, executors(component)));
        self.assign_executors(version, workers.collect());
    }

    pub(crate) fn assign_executors(&self, version: u64, workers: Vec<(u16, u64, Vec<AssignedExecutor>)>) {
        let worker = |(port, number, executors)| WorkerAssignment {
            slot: slot(port),
            host: "127.0.0.1".to_owned(),
            number,
            executors,
        };
        let workers = workers.into_iter().map(worker).collect();
        self.change(|book| book.assignment = Assignment { version, workers });
    }

    /// Tells a worker the assignment and the state.
    pub(crate) fn tell(&self, port: u16) {
        self.change(|book| {
            let Some(line) = book.lines.get(&port.into()) else { return };
            line.send(assignment_order(&book.assignment)).ok();
            line.send(state_order(book.status.unwrap())).ok();
        });
    }

    /// Tells all workers what was changed of the topology, as if it were this now.
    pub(crate) fn tell_tuning(&self, tuning: &Tuning) {
        self.change(|book| book.lines.values().for_each(|line| line.send(tuning_order(tuning)).unwrap()));
    }

    /// Changes something, and tells all workers.
    pub(crate) fn tune(&self, change: impl FnOnce(&mut Tuning)) {
        let tuning = self.change(|book| {
            book.tuning.version += 1;
            change(&mut book.tuning);
            book.tuning.clone()
        });
        self.tell_tuning(&tuning);
    }

    /// Where a worker writes sampled tuples.
    pub(crate) fn events_log(&self, port: u16) -> PathBuf {
        self.directory.path().join(format!("{port}.events.log"))
    }

    pub(crate) fn tell_all(&self) {
        let ports: Vec<u32> = self.change(|book| book.lines.keys().copied().collect());
        ports.into_iter().for_each(|port| self.tell(port.try_into().unwrap()));
    }

    pub(crate) fn order_stop(&self, port: u16, within_secs: u32) {
        self.change(|book| {
            let stop = Stop { within_secs, reason: "the test wants it".to_owned() };
            book.lines[&port.into()].send(order(Order::Stop(stop))).unwrap();
        });
    }

    /// Starts a worker of the assignment.
    pub(crate) fn start(&mut self, port: u16, restarts: u64) {
        let number = self.change(|book| book.assignment.worker(&slot(port)).unwrap().number);
        let file = WorkerFile {
            contract: CONTRACT,
            topology_id: "test-1".into(),
            topology_name: "test".to_owned(),
            supervisor_id: "s".into(),
            host: "127.0.0.1".to_owned(),
            bind: "127.0.0.1".to_owned(),
            port,
            incarnation: Incarnation { number, restarts },
            supervisor_address: self.supervisor.to_string(),
            nimbus_addresses: vec![format!("127.0.0.1:{}", free_port()), self.nimbus.to_string()],
            peer_key: "key".to_owned(),
            token: "token".to_owned(),
            spec_digest: String::new(),
            cluster_config: Default::default(),
            submit_config: Default::default(),
            executors: BTreeMap::new(),
            events_log: Some(self.events_log(port)),
        };
        let path = self.directory.path().join(format!("{port}.{number}.{restarts}.json"));
        std::fs::write(&path, serde_json::to_vec(&file).unwrap()).unwrap();
        let log = std::fs::File::create(path.with_extension("log")).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "a_worker", "--nocapture"])
            .env(WORKER, &path)
            .env(PLAN, self.plan.encode())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let former = self.processes.insert(port, command.spawn().unwrap());
        assert!(former.is_none(), "it was waited for");
    }

    pub(crate) fn pid(&self, port: u16) -> u32 {
        self.processes[&port].id()
    }

    pub(crate) fn kill(&mut self, port: u16) {
        let mut process = self.processes.remove(&port).unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Sends a termination signal.
    pub(crate) fn terminate(&self, port: u16) {
        let pid = self.pid(port).to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits for the end of a worker, and how it was.
    pub(crate) fn wait(&mut self, port: u16) -> ExitStatus {
        let mut process = self.processes.remove(&port).unwrap();
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(status) = process.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > deadline {
                process.kill().ok();
                panic!("worker {port} does not end");
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    pub(crate) fn is_alive(&mut self, port: u16) -> bool {
        self.processes.get_mut(&port).unwrap().try_wait().unwrap().is_none()
    }

    /// What user code noted, line by line.
    pub(crate) fn events(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.plan.events).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn until_events(&self, what: &str, is_so: impl Fn(&[String]) -> bool) {
        self.until(what, |_| is_so(&self.events()));
    }

    /// Waits until every number is acked.
    pub(crate) fn until_all_acked(&self) {
        self.until_events("all acked", |events| numbers(events, "ack").len() as i64 >= self.plan.count);
        let mut acked = numbers(&self.events(), "ack");
        acked.sort_unstable();
        assert_eq!(acked, (0..self.plan.count).collect::<Vec<_>>(), "each once");
    }

    /// Asks these workers as Nimbus does, until two rounds say that nothing is on its way.
    pub(crate) fn until_quiet(&self, ports: &[u16]) {
        let mut former = None;
        loop {
            let round = self.last_round.fetch_add(1, Ordering::Relaxed) + 1;
            self.change(|book| {
                for port in ports {
                    book.lines[&u32::from(*port)].send(order(Order::Look(round))).unwrap();
                }
            });
            let look = |book: &Book, port: &u16| {
                let look = book.newest(*port)?.quiet_look.filter(|look| look.round == round)?;
                Some((look.rows_sent, look.rows_received))
            };
            let looks = |book: &Book| ports.iter().map(|port| look(book, port)).collect::<Option<Vec<_>>>();
            self.until("all have answered", |book| looks(book).is_some());
            let looks = self.change(|book| looks(book)).unwrap();
            let (sent, received) = looks.iter().fold((0, 0), |(s, r), look| (s + look.0, r + look.1));
            if sent == received && former.as_ref() == Some(&looks) {
                return;
            }
            former = Some(looks);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in self.processes.values_mut() {
            process.kill().ok();
            process.wait().ok();
        }
        if std::thread::panicking() {
            for entry in std::fs::read_dir(self.directory.path()).unwrap().flatten() {
                if entry.path().extension().is_some_and(|e| e == "log") {
                    let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
                    eprintln!("--- {}\n{text}", entry.path().display());
                }
            }
            let events = self.events();
            eprintln!("--- the last events\n{}", events[events.len().saturating_sub(30)..].join("\n"));
        }
    }
}

fn listener(runtime: &Runtime, address: SocketAddr) -> tokio::net::TcpListener {
    let deadline = Instant::now() + LONG;
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => {
                listener.set_nonblocking(true).unwrap();
                let _in = runtime.enter();
                return tokio::net::TcpListener::from_std(listener).unwrap();
            }
            Err(error) => {
                assert!(Instant::now() < deadline, "{error}");
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
    }
}

/// The numbers of the events of a kind.
pub(crate) fn numbers(events: &[String], kind: &str) -> Vec<i64> {
    let of_kind = events.iter().filter_map(|event| event.strip_prefix(kind)?.strip_prefix(' '));
    of_kind.map(|rest| rest.split(' ').next().unwrap().parse().unwrap()).collect()
}

pub(crate) fn slot(port: u16) -> WorkerSlot {
    WorkerSlot { supervisor: "s".into(), port }
}

/// A port that nobody has now.
/// Below the ports that the system gives to connections: one of those could be taken before it is used.
pub(crate) fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(97).wrapping_add(TAKEN.fetch_add(1, Ordering::SeqCst));
        let port = 10_000 + (number % 20_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
