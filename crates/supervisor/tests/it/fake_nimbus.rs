//! A Nimbus that hands out one binary and remembers what it is told.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use storm_rpc::v1::nimbus_server::{Nimbus, NimbusServer};
use storm_rpc::{Secret, server, v1};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

type Reply<T> = Result<Response<T>, Status>;
type Chunks<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What it was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The last report.
    pub(crate) last: v1::SupervisorReport,
    /// Every report of a worker.
    pub(crate) workers: Vec<v1::WorkerReport>,
    /// What it had kept of figures, by topology, when it was asked last.
    pub(crate) figures: Option<BTreeMap<String, Vec<u8>>>,
}

impl Told {
    /// How a slot stands.
    pub(crate) fn slot(&self, port: u32) -> Option<&v1::SlotReport> {
        self.last.slots.iter().find(|slot| slot.port == port)
    }

    /// How a slot stands, if it runs.
    pub(crate) fn running(&self, port: u32) -> Option<&v1::SlotReport> {
        self.slot(port).filter(|slot| slot.state() == v1::WorkerState::Running)
    }
}

struct Desk {
    secret: Secret,
    binary: Bytes,
    /// Downloads break in the middle.
    is_broken: AtomicBool,
    /// Reports are not taken.
    is_away: AtomicBool,
    /// It asks for figures that were kept until it gets them.
    wants_figures: AtomicBool,
    downloads: Mutex<u32>,
    asked: Mutex<Vec<v1::DrainRound>>,
    told: watch::Sender<Told>,
}

/// It runs until it is dropped.
pub(crate) struct FakeNimbus {
    pub(crate) address: String,
    desk: Arc<Desk>,
    task: JoinHandle<()>,
}

impl Drop for FakeNimbus {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeNimbus {
    pub(crate) async fn start(secret: &Secret, binary: &str) -> FakeNimbus {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let desk = Arc::new(Desk {
            secret: secret.clone(),
            binary: Bytes::from(binary.to_owned()),
            is_broken: AtomicBool::new(false),
            is_away: AtomicBool::new(false),
            wants_figures: AtomicBool::new(false),
            downloads: Mutex::new(0),
            asked: Mutex::default(),
            told: watch::Sender::default(),
        });
        let service = NimbusServer::new(Service(Arc::clone(&desk)));
        let incoming = TcpListenerStream::new(listener);
        let task = tokio::spawn(async move {
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming)
                .await
                .unwrap();
        });
        FakeNimbus { address, desk, task }
    }

    pub(crate) fn break_downloads(&self, is_broken: bool) {
        self.desk.is_broken.store(is_broken, Ordering::SeqCst);
    }

    pub(crate) fn go_away(&self, is_away: bool) {
        self.desk.is_away.store(is_away, Ordering::SeqCst);
    }

    /// From now on the workers of a topology are asked this.
    pub(crate) fn ask(&self, topology_id: &str, round: u64) {
        *self.desk.asked.lock().unwrap() =
            vec![v1::DrainRound { topology_id: topology_id.to_owned(), round }];
    }

    /// Asks for the figures that were kept, as a new leader does.
    pub(crate) async fn kept_figures(&self) -> BTreeMap<String, Vec<u8>> {
        self.desk.told.send_modify(|told| told.figures = None);
        self.desk.wants_figures.store(true, Ordering::SeqCst);
        self.told("it has kept figures", |told| told.figures.clone()).await
    }

    pub(crate) fn downloads(&self) -> u32 {
        *self.desk.downloads.lock().unwrap()
    }

    /// Waits until it was told what fits.
    pub(crate) async fn told<T>(&self, what: &str, mut find: impl FnMut(&Told) -> Option<T>) -> T {
        let mut told = self.desk.told.subscribe();
        let waiting = async {
            loop {
                if let Some(found) = find(&told.borrow_and_update()) {
                    return found;
                }
                told.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("nobody told that {what}; last: {:#?}", self.desk.told.borrow().last),
        }
    }

    /// Waits until a worker runs on a port, and returns how it does.
    pub(crate) async fn running(&self, port: u32) -> v1::SlotReport {
        self.told("a worker runs", |told| told.running(port).cloned()).await
    }

    /// Waits for a life of the worker on a port.
    pub(crate) async fn life(&self, port: u32, number: u64, restarts: u64) -> v1::SlotReport {
        let life = Some(v1::Incarnation { number, restarts });
        self.told(&format!("{number}.{restarts} runs"), |told| {
            told.running(port).filter(|slot| slot.incarnation == life).cloned()
        })
        .await
    }

    pub(crate) async fn empty(&self, port: u32) {
        self.told("the slot is empty", |told| told.slot(port).is_none().then_some(())).await;
    }
}

struct Service(Arc<Desk>);

fn unknown<T>() -> Reply<T> {
    Err(Status::unimplemented("this Nimbus only listens"))
}

#[tonic::async_trait]
impl Nimbus for Service {
    type DownloadBlobStream = Chunks<v1::BlobChunk>;
    type ReadLogStream = Chunks<v1::LogLines>;

    async fn download_blob(&self, request: Request<v1::BlobRef>) -> Reply<Self::DownloadBlobStream> {
        server::daemon(&self.0.secret, &request)?;
        *self.0.downloads.lock().unwrap() += 1;
        let middle = self.0.binary.len() / 2;
        let chunk = |data| Ok(v1::BlobChunk { blob: None, data });
        let second = if self.0.is_broken.load(Ordering::SeqCst) {
            Err(Status::data_loss("the disk is broken"))
        } else {
            chunk(self.0.binary.slice(middle..))
        };
        let chunks = vec![chunk(self.0.binary.slice(..middle)), second];
        Ok(Response::new(Box::pin(tokio_stream::iter(chunks))))
    }

    async fn report_supervisor(&self, request: Request<v1::SupervisorReport>) -> Reply<v1::SupervisorReply> {
        server::daemon(&self.0.secret, &request)?;
        if self.0.is_away.load(Ordering::SeqCst) {
            return Err(Status::unavailable("away"));
        }
        let report = request.into_inner();
        self.0.told.send_modify(|told| {
            told.workers.extend(report.workers.iter().cloned());
            told.last = report;
        });
        let rounds = self.0.asked.lock().unwrap().clone();
        let wants_figures = self.0.wants_figures.load(Ordering::SeqCst);
        Ok(Response::new(v1::SupervisorReply { report_every_ms: 100, rounds, wants_figures }))
    }

    async fn report_figures(
        &self,
        request: Request<Streaming<v1::KeptFigures>>,
    ) -> Reply<v1::KeptFiguresReply> {
        server::daemon(&self.0.secret, &request)?;
        let mut parts = request.into_inner();
        let (mut kept, mut is_whole) = (BTreeMap::<String, Vec<u8>>::new(), false);
        while let Some(part) = parts.message().await? {
            is_whole |= part.is_last;
            if !part.topology_id.is_empty() {
                kept.entry(part.topology_id).or_default().extend_from_slice(&part.data);
            }
        }
        assert!(is_whole, "the last part says so");
        self.0.wants_figures.store(false, Ordering::SeqCst);
        self.0.told.send_modify(|told| told.figures = Some(kept));
        Ok(Response::new(v1::KeptFiguresReply {}))
    }

    async fn get_figures(&self, _: Request<v1::GetFiguresRequest>) -> Reply<v1::TopologyFigures> {
        unknown()
    }

    async fn get_config(&self, _: Request<v1::GetConfigRequest>) -> Reply<v1::DaemonConfig> {
        unknown()
    }

    async fn set_log_levels(&self, _: Request<v1::LogLevelsRequest>) -> Reply<v1::CommandReply> {
        unknown()
    }

    async fn set_debug(&self, _: Request<v1::DebugRequest>) -> Reply<v1::CommandReply> {
        unknown()
    }

    async fn get_leader(&self, _: Request<v1::GetLeaderRequest>) -> Reply<v1::Leader> {
        unknown()
    }

    async fn has_blob(&self, _: Request<v1::BlobRef>) -> Reply<v1::HasBlobReply> {
        unknown()
    }

    async fn upload_blob(&self, _: Request<Streaming<v1::BlobChunk>>) -> Reply<v1::BlobRef> {
        unknown()
    }

    async fn submit(&self, _: Request<v1::SubmitRequest>) -> Reply<v1::CommandReply> {
        unknown()
    }

    async fn kill(&self, _: Request<v1::KillRequest>) -> Reply<v1::CommandReply> {
        unknown()
    }

    async fn activate(&self, _: Request<v1::TopologyCommand>) -> Reply<v1::CommandReply> {
        unknown()
    }

    async fn deactivate(&self, _: Request<v1::TopologyCommand>) -> Reply<v1::CommandReply> {
        unknown()
    }

    async fn rebalance(&self, _: Request<v1::RebalanceRequest>) -> Reply<v1::RebalanceReply> {
        unknown()
    }

    async fn restart_worker(&self, _: Request<v1::RestartWorkerRequest>) -> Reply<v1::CommandReply> {
        unknown()
    }

    async fn list_topologies(&self, _: Request<v1::ListTopologiesRequest>) -> Reply<v1::TopologyList> {
        unknown()
    }

    async fn get_topology(&self, _: Request<v1::GetTopologyRequest>) -> Reply<v1::TopologyStatus> {
        unknown()
    }

    async fn get_cluster(&self, _: Request<v1::GetClusterRequest>) -> Reply<v1::ClusterSummary> {
        unknown()
    }

    async fn read_log(&self, _: Request<v1::LogRequest>) -> Reply<Self::ReadLogStream> {
        unknown()
    }

    async fn health(&self, _: Request<v1::HealthRequest>) -> Reply<v1::HealthReply> {
        unknown()
    }

    async fn report_worker(&self, _: Request<v1::WorkerReport>) -> Reply<v1::WorkerReportReply> {
        unknown()
    }
}
