//! A Nimbus that knows one topology, `words`, and does as it is told.

use std::sync::{Arc, Mutex};

use storm_rpc::v1::nimbus_server::{Nimbus, NimbusServer};
use storm_rpc::{CallError, Secret, server, v1};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Iter, StreamExt as _};
use tonic::{Request, Response, Status, Streaming, async_trait};

const ID: &str = "words-1-1764000000";

/// The Nimbus; it ends when it is dropped.
pub(crate) struct Fake {
    /// Where it listens.
    pub(crate) address: String,
    memory: Arc<Memory>,
    _runtime: Runtime,
}

struct Memory {
    secret: Secret,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many calls to a leader fail before it leads.
    until_leader: u32,
    kills: Vec<v1::KillRequest>,
    /// Looks at a killed topology until it is gone.
    gone_in: Option<u32>,
    /// How often logs were followed.
    follows: u32,
    blobs: Vec<(v1::BlobRef, Vec<u8>)>,
    problems: Vec<String>,
}

impl Fake {
    pub(crate) fn start() -> Fake {
        Fake::with_secret("")
    }

    pub(crate) fn with_secret(secret: &str) -> Fake {
        let memory = Arc::new(Memory { secret: Secret::new(secret), state: Mutex::default() });
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let service = NimbusServer::new(Service(Arc::clone(&memory)));
        let incoming = TcpListenerStream::new(listener);
        runtime.spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        Fake { address, memory, _runtime: runtime }
    }

    pub(crate) fn lead_after(&self, calls: u32) {
        self.memory.state.lock().unwrap().until_leader = calls;
    }

    /// What is wrong, as its health tells it.
    pub(crate) fn has_problems(&self, problems: &[&str]) {
        self.memory.state.lock().unwrap().problems = problems.iter().map(|&p| p.to_owned()).collect();
    }

    pub(crate) fn kills(&self) -> Vec<v1::KillRequest> {
        self.memory.state.lock().unwrap().kills.clone()
    }

    pub(crate) fn blobs(&self) -> Vec<(v1::BlobRef, Vec<u8>)> {
        self.memory.state.lock().unwrap().blobs.clone()
    }
}

struct Service(Arc<Memory>);

impl Service {
    fn admit<T>(&self, request: Request<T>) -> Result<T, Status> {
        server::daemon(&self.0.secret, &request)?;
        Ok(request.into_inner())
    }

    fn lead(&self) -> Result<(), Status> {
        let mut state = self.0.state.lock().unwrap();
        if state.until_leader == 0 {
            return Ok(());
        }
        state.until_leader -= 1;
        Err(CallError::no_leader().into())
    }

    fn accept(&self, name: &str) -> Result<Response<v1::CommandReply>, Status> {
        self.lead()?;
        if name != "words" {
            return Err(CallError::no_such_topology(name).into());
        }
        Ok(Response::new(v1::CommandReply { topology_id: ID.into(), notes: vec!["as you wish".into()] }))
    }
}

fn summary() -> v1::TopologySummary {
    v1::TopologySummary {
        id: ID.into(),
        name: "words".into(),
        status: v1::TopologyState::Active.into(),
        owner: "ada".into(),
        uptime_secs: 60,
        workers_total: 1,
        workers_requested: 1,
        executors_total: 2,
        tasks_total: 2,
        unplaced_executors: 0,
        recent: None,
    }
}

fn executor() -> v1::Executor {
    v1::Executor { component: "count".into(), first_task: 1, last_task: 1 }
}

type Lines = Iter<std::vec::IntoIter<Result<v1::LogLines, Status>>>;
type Chunks = Iter<std::vec::IntoIter<Result<v1::BlobChunk, Status>>>;

/// Calls that no test makes.
macro_rules! unknown {
    ($($name:ident($request:ident) -> $reply:ident;)*) => {
        impl Service {
            $(async fn $name(&self, _: Request<v1::$request>) -> Result<Response<v1::$reply>, Status> {
                Err(Status::unimplemented(stringify!($name)))
            })*
        }
    };
}

unknown! {
    submit_unknown(SubmitRequest) -> CommandReply;
    restart_unknown(RestartWorkerRequest) -> CommandReply;
    cluster_unknown(GetClusterRequest) -> ClusterSummary;
    figures_unknown(GetFiguresRequest) -> TopologyFigures;
    config_unknown(GetConfigRequest) -> DaemonConfig;
    supervisor_unknown(SupervisorReport) -> SupervisorReply;
    worker_unknown(WorkerReport) -> WorkerReportReply;
}

#[async_trait]
impl Nimbus for Service {
    type DownloadBlobStream = Chunks;
    type ReadLogStream = Lines;

    async fn get_leader(&self, _: Request<v1::GetLeaderRequest>) -> Result<Response<v1::Leader>, Status> {
        Ok(Response::new(v1::Leader { host: "127.0.0.1".into(), port: 1, is_me: true }))
    }

    async fn has_blob(&self, request: Request<v1::BlobRef>) -> Result<Response<v1::HasBlobReply>, Status> {
        let blob = self.admit(request)?;
        let has_it = self.0.state.lock().unwrap().blobs.iter().any(|(known, _)| *known == blob);
        Ok(Response::new(v1::HasBlobReply { has_it }))
    }

    async fn upload_blob(
        &self,
        request: Request<Streaming<v1::BlobChunk>>,
    ) -> Result<Response<v1::BlobRef>, Status> {
        let mut chunks = self.admit(request)?;
        let (mut blob, mut content) = (None, Vec::new());
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            blob = blob.or(chunk.blob);
            content.extend_from_slice(&chunk.data);
        }
        let blob = blob.ok_or_else(|| Status::invalid_argument("no name"))?;
        self.0.state.lock().unwrap().blobs.push((blob.clone(), content));
        Ok(Response::new(blob))
    }

    async fn download_blob(&self, _: Request<v1::BlobRef>) -> Result<Response<Chunks>, Status> {
        Err(Status::unimplemented("download_blob"))
    }

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::CommandReply>, Status> {
        self.submit_unknown(request).await
    }

    async fn kill(&self, request: Request<v1::KillRequest>) -> Result<Response<v1::CommandReply>, Status> {
        let kill = self.admit(request)?;
        let name = kill.name.clone();
        {
            let mut state = self.0.state.lock().unwrap();
            state.kills.push(kill);
            state.gone_in = Some(2);
        }
        self.accept(&name)
    }

    async fn activate(
        &self,
        request: Request<v1::TopologyCommand>,
    ) -> Result<Response<v1::CommandReply>, Status> {
        self.accept(&self.admit(request)?.name)
    }

    async fn deactivate(
        &self,
        request: Request<v1::TopologyCommand>,
    ) -> Result<Response<v1::CommandReply>, Status> {
        self.accept(&self.admit(request)?.name)
    }

    async fn rebalance(
        &self,
        request: Request<v1::RebalanceRequest>,
    ) -> Result<Response<v1::RebalanceReply>, Status> {
        self.admit(request)?;
        let moved = v1::rebalance_reply::Move {
            executor: Some(executor()),
            from: "h1:6700".into(),
            to: "h2:6700".into(),
        };
        Ok(Response::new(v1::RebalanceReply {
            topology_id: ID.into(),
            name: "words".into(),
            notes: Vec::new(),
            moves: vec![moved],
        }))
    }

    async fn restart_worker(
        &self,
        request: Request<v1::RestartWorkerRequest>,
    ) -> Result<Response<v1::CommandReply>, Status> {
        self.restart_unknown(request).await
    }

    async fn list_topologies(
        &self,
        request: Request<v1::ListTopologiesRequest>,
    ) -> Result<Response<v1::TopologyList>, Status> {
        self.admit(request)?;
        self.lead()?;
        Ok(Response::new(v1::TopologyList { topologies: vec![summary()] }))
    }

    async fn get_topology(
        &self,
        request: Request<v1::GetTopologyRequest>,
    ) -> Result<Response<v1::TopologyStatus>, Status> {
        let name = self.admit(request)?.name;
        let mut state = self.0.state.lock().unwrap();
        let is_gone = state.gone_in == Some(0);
        state.gone_in = state.gone_in.map(|looks| looks.saturating_sub(1));
        if is_gone || (name != "words" && name != ID) {
            return Err(CallError::no_such_topology(&name).into());
        }
        let worker = |port| v1::WorkerStatus {
            host: "h1".into(),
            port,
            state: v1::WorkerState::Running.into(),
            executors: vec![executor()],
            ..Default::default()
        };
        let component =
            v1::ComponentStatus { id: "count".into(), r#type: "bolt".into(), ..Default::default() };
        Ok(Response::new(v1::TopologyStatus {
            summary: Some(summary()),
            workers: vec![worker(6700), worker(6701)],
            components: vec![component],
            is_settled: true,
            log_levels: vec![v1::LogLevel {
                logger: "a".into(),
                level: "DEBUG".into(),
                ..Default::default()
            }],
            ..Default::default()
        }))
    }

    async fn get_cluster(
        &self,
        request: Request<v1::GetClusterRequest>,
    ) -> Result<Response<v1::ClusterSummary>, Status> {
        self.cluster_unknown(request).await
    }

    async fn get_figures(
        &self,
        request: Request<v1::GetFiguresRequest>,
    ) -> Result<Response<v1::TopologyFigures>, Status> {
        self.figures_unknown(request).await
    }

    async fn get_config(
        &self,
        request: Request<v1::GetConfigRequest>,
    ) -> Result<Response<v1::DaemonConfig>, Status> {
        self.config_unknown(request).await
    }

    async fn set_log_levels(
        &self,
        request: Request<v1::LogLevelsRequest>,
    ) -> Result<Response<v1::CommandReply>, Status> {
        self.accept(&self.admit(request)?.name)
    }

    async fn set_debug(
        &self,
        request: Request<v1::DebugRequest>,
    ) -> Result<Response<v1::CommandReply>, Status> {
        self.accept(&self.admit(request)?.name)
    }

    async fn read_log(&self, request: Request<v1::LogRequest>) -> Result<Response<Lines>, Status> {
        let follow = self.admit(request)?.follow;
        let follows = {
            let mut state = self.0.state.lock().unwrap();
            state.follows += u32::from(follow);
            state.follows
        };
        let lines = |port, lines: &[&str]| {
            Ok(v1::LogLines {
                host: "h1".into(),
                port,
                lines: lines.iter().map(|&line| line.into()).collect(),
            })
        };
        if follow && follows > 1 {
            // The connection broke; meanwhile lines were written, and soon the topology is killed.
            self.0.state.lock().unwrap().gone_in.get_or_insert(0);
            return Ok(Response::new(tokio_stream::iter(vec![lines(6700, &["two", "four"])])));
        }
        let mut all = vec![lines(6700, &["one", "two"]), lines(6701, &["three"])];
        if follow {
            all.push(Err(Status::unavailable("broken")));
        }
        Ok(Response::new(tokio_stream::iter(all)))
    }

    async fn health(&self, _: Request<v1::HealthRequest>) -> Result<Response<v1::HealthReply>, Status> {
        let (role, version) = ("leader".into(), "0.1.0".into());
        let problems = self.0.state.lock().unwrap().problems.clone();
        Ok(Response::new(v1::HealthReply { is_healthy: problems.is_empty(), role, version, problems }))
    }

    async fn report_figures(
        &self,
        _: Request<Streaming<v1::KeptFigures>>,
    ) -> Result<Response<v1::KeptFiguresReply>, Status> {
        Err(Status::unimplemented("report_figures"))
    }

    async fn report_supervisor(
        &self,
        request: Request<v1::SupervisorReport>,
    ) -> Result<Response<v1::SupervisorReply>, Status> {
        self.supervisor_unknown(request).await
    }

    async fn report_worker(
        &self,
        request: Request<v1::WorkerReport>,
    ) -> Result<Response<v1::WorkerReportReply>, Status> {
        self.worker_unknown(request).await
    }
}
