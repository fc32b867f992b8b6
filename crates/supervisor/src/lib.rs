//! The slots of one machine: starts workers, watches them, starts them again.
//!
//! A supervisor reads in ZooKeeper what should run on its ports, fetches the binaries from Nimbus, and
//! starts each worker as a process of its own. Workers keep a line open to it: reports come up, orders go
//! down; what they report goes on to Nimbus. They do not depend on it: when a supervisor ends, they run
//! on, and its next life adopts them. When ZooKeeper or Nimbus are away, everything here goes on.
//!
//! What is asked of a worker: attach within `supervisor.worker.start.timeout.secs`, report at least once in
//! `supervisor.worker.timeout.secs`, and when the line breaks, attach again within that time. Who does not is
//! taken for frozen and replaced; after a restart of the supervisor there are 15 s for it.
//!
//! ```text
//! <storm.local.dir>/supervisor/state      what survives a restart; see `local_state`
//!                  /supervisor/figures    <topology id>: what its workers here have counted; see `figures`
//!                  /supervisor/blobs      binaries by digest; see `localizer`
//!                  /supervisor/workers    <topology id>-<port>: a worker's directory, removed by the tombstone
//!                  /workers-artifacts     <topology id>/<port>/worker.log; see `logs`
//!                  /logs                  supervisor.log, written by whoever starts it
//! ```
//!
//! A topology that is absent from ZooKeeper without a tombstone is left running, and `storm-rs health supervisor`
//! says so. That is also what happens to a supervisor that was away for so long that the tombstone has come
//! and gone (Nimbus keeps them for 30 days). Whoever knows that it was killed stops the supervisor, ends the
//! worker's process, removes `state/topologies/<id>.json` and `state/slots/<port>.json`, and starts it again.
//!
//! Modules in reading order: what should run; one slot, and what its states mean; what is kept; peers, binaries,
//! processes and their logs; the one task that owns all slots; what Nimbus is told; what is served.

mod error;
mod options;
pub mod assignments;
pub mod slot;
pub mod process;
mod local_state;
mod peers;
mod localizer;
mod container;
mod logs;
mod slots;
mod report;
mod metrics;
mod figures;
mod health;
pub mod machine;
mod service;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use storm_cluster::{Cluster, SupervisorRecord};
use storm_logs::LogsService;
use storm_model::SupervisorId;
use storm_rpc::client::{MAX_MESSAGE_BYTES, Token};
use storm_rpc::v1::logs_server::LogsServer;
use storm_rpc::v1::supervisor_server::SupervisorServer;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;

pub use error::SupervisorError;
pub use health::HealthOptions;
pub use logs::Keep as LogKeep;
pub use options::Options;
pub use storm_logs::Limit as LogLimit;

use container::Spawner;
use figures::Figures;
use local_state::LocalState;
use localizer::Localizer;
use metrics::Shown;
use peers::Peers;
use report::Outbox;
use service::Service;
use slots::{MESSAGES, Message, Parts, Slots};

/// What is left to others at the end (the session, open calls) may take so long.
const CLOSE_WITHIN: Duration = Duration::from_millis(400);

/// So long the last figures may take to be written.
const WRITE_WITHIN: Duration = Duration::from_secs(2);

/// Runs a supervisor until `shutdown` is done.
///
/// # Errors
/// When it cannot start: its directory or its port is taken, an option makes no sense. What happens
/// later is no error: it goes on and says so.
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> Result<(), SupervisorError> {
    let supervisor = Supervisor::start(options).await?;
    shutdown.await;
    supervisor.stop().await;
    Ok(())
}

/// A supervisor that runs. When it is dropped it is [abandoned](Supervisor::abandon), and nobody waits.
#[derive(Debug)]
pub struct Supervisor {
    id: SupervisorId,
    rpc_port: u16,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Starts one: adopts the workers that live, registers, listens.
    ///
    /// # Errors
    /// As [`run`].
    pub async fn start(mut options: Options) -> Result<Supervisor, SupervisorError> {
        check(&options)?;
        // Workers have another current directory.
        let Options { local_dir, artifacts_dir, log_dir, health, .. } = &mut options;
        for path in [local_dir, artifacts_dir, log_dir, &mut health.directory] {
            let absolute = std::path::absolute(&*path);
            *path = absolute.map_err(|source| SupervisorError::LocalDir { path: path.clone(), source })?;
        }
        let home = options.local_dir.join("supervisor");
        let broken = |source| SupervisorError::LocalDir { path: options.local_dir.clone(), source };
        let state = Arc::new(LocalState::open(&home.join("state"))?);
        let id = state.supervisor_id().map_err(broken)?;
        let peers = Peers::new(id.clone(), Token::daemon(&options.secret), &options.nimbus_addresses);
        let peers = Arc::new(peers.map_err(|error| SupervisorError::BadOption(error.message))?);
        let spawner = Spawner::new().map_err(broken)?;

        let address = format!("{}:{}", options.bind, options.rpc_port);
        let unbound = |source| SupervisorError::Bind { address: address.clone(), source };
        let listener = TcpListener::bind(&address).await.map_err(unbound)?;
        let rpc_port = listener.local_addr().map_err(unbound)?.port();
        let metrics = match &options.metrics {
            Some(metrics) => metrics.bind(&options.bind).await?,
            None => None,
        };
        let cluster = Cluster::start(options.zookeeper.clone())?;
        let localizer = Localizer::open(home.join("blobs"), Arc::clone(&peers), Some(cluster.clone()));
        let localizer = Arc::new(localizer.map_err(broken)?);
        let registration =
            cluster.register(&cluster.paths().supervisor(&id), &record(&options, &id, rpc_port));

        let outbox = Arc::new(Outbox::default());
        let shown = Arc::new(Shown::new(&options.slots));
        let figures = Arc::new(Figures::open(home.join("figures")).map_err(broken)?);
        let (messages, mut received) = mpsc::channel(MESSAGES);
        let slots = Slots::new(Parts {
            id: id.clone(),
            rpc_port,
            state,
            cluster: cluster.clone(),
            localizer: Arc::clone(&localizer),
            peers: Arc::clone(&peers),
            spawner,
            outbox: Arc::clone(&outbox),
            shown: Arc::clone(&shown),
            figures: Arc::clone(&figures),
            messages: messages.clone(),
            options: options.clone(),
        });
        let mut slots = slots.await;
        let service = Service {
            secret: options.secret.clone(),
            messages: messages.clone(),
            seen: slots.seen(),
            localizer,
            artifacts: options.artifacts_dir.clone(),
            next_line: Arc::new(AtomicU64::new(0)),
        };
        let logs = LogsService {
            secret: options.secret.clone(),
            workers_dir: Some(options.artifacts_dir.clone()),
            daemon_dir: Some(options.log_dir.clone()),
        };
        tracing::info!(supervisor = %id, host = options.host, rpc_port, slots = ?options.slots, "supervisor started");

        let (stop, mut stopped) = oneshot::channel();
        let name = id.clone();
        let task = tokio::spawn(async move {
            let (closing, closed) = oneshot::channel::<()>();
            let serving = serve(service, logs, listener, async move {
                closed.await.ok();
            });
            let every = options.report_every;
            let reporting =
                report::report_for_ever(&outbox, name.as_str(), &peers, (&messages, &figures), every);
            let keeping = figures.keep_for_ever(name.as_str(), &peers);
            let checking = check_health(&outbox, &messages, &options.health);
            let showing = metrics::serve(shown, metrics, cluster.state());
            let neighbours = cluster.clone();
            let following = peers.follow(&neighbours);
            let ending = async {
                // Dropped counts as stopped: but then this task is, too.
                let mut shutdown = Box::pin(async { drop((&mut stopped).await) });
                slots.run(&mut received, &mut shutdown).await;
                if options.stop_workers_on_exit {
                    slots.end_workers(&mut received).await;
                }
                // Their lines end with the slots.
                drop(slots);
                drop(received);
                // First of all: others shall know, also when the disk hangs.
                tokio::time::timeout(CLOSE_WITHIN, registration.remove()).await.ok();
                let last = Arc::clone(&figures);
                let writing = tokio::task::spawn_blocking(move || last.write());
                match tokio::time::timeout(WRITE_WITHIN, writing).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!(%error, "the last figures of workers are lost"),
                    Err(_) => tracing::warn!("the disk is slow: the last figures of workers may be lost"),
                }
                tokio::time::timeout(CLOSE_WITHIN, cluster.close()).await.ok();
                closing.send(()).ok();
            };
            let working = async {
                tokio::join!(reporting, keeping, checking, following, showing);
            };
            tokio::pin!(serving, ending, working);
            tokio::select! {
                () = &mut ending => {
                    tokio::time::timeout(CLOSE_WITHIN, serving).await.ok();
                }
                // It never ends before it is told to.
                () = &mut serving => ending.await,
                () = &mut working => {}
            }
            tracing::info!(supervisor = %name, "supervisor ended");
        });
        Ok(Supervisor { id, rpc_port, stop: Some(stop), task })
    }

    /// Its id.
    pub fn id(&self) -> &SupervisorId {
        &self.id
    }

    /// The port of its service.
    pub fn rpc_port(&self) -> u16 {
        self.rpc_port
    }

    /// Ends it in good order. Workers run on, unless its options end them with it.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        (&mut self.task).await.ok();
    }

    /// Ends it as if its process had been killed: at once, whatever it was doing. Workers run on, whatever
    /// its options say.
    pub async fn abandon(mut self) {
        self.task.abort();
        (&mut self.task).await.ok();
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn check(options: &Options) -> Result<(), SupervisorError> {
    let bad = |text: &str| Err(SupervisorError::BadOption(text.to_owned()));
    if options.slots.contains(&0) {
        return bad("'supervisor.slots.ports' has the port 0: name the ports of the workers");
    }
    let mut ports = options.slots.clone();
    ports.sort_unstable();
    if ports.windows(2).any(|pair| pair[0] == pair[1]) {
        return bad("'supervisor.slots.ports' has a port twice: each is for one worker");
    }
    if ports.contains(&options.rpc_port) {
        return bad("'supervisor.slots.ports' has the port of 'supervisor.thrift.port': take another one");
    }
    Ok(())
}

fn record(options: &Options, id: &SupervisorId, rpc_port: u16) -> SupervisorRecord {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    SupervisorRecord {
        id: id.clone(),
        host: options.host.clone(),
        rpc_port,
        slots: options.slots.clone(),
        arch: machine::arch().to_owned(),
        glibc: machine::glibc(),
        software: env!("CARGO_PKG_VERSION").to_owned(),
        started_ms: now.as_millis() as u64,
        meta: options.meta.clone(),
    }
}

async fn serve(
    service: Service,
    logs: LogsService,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) {
    let service = SupervisorServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let server = tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(Duration::from_secs(5)))
        .add_service(service)
        .add_service(LogsServer::new(logs));
    let incoming = TcpListenerStream::new(listener);
    if let Err(error) = server.serve_with_incoming_shutdown(incoming, shutdown).await {
        tracing::error!(%error, "the service has ended");
    }
}

async fn check_health(outbox: &Outbox, slots: &mpsc::Sender<Message>, options: &HealthOptions) {
    loop {
        let was_healthy = outbox.unhealthy().is_empty();
        let problem = health::check_twice(options, was_healthy).await;
        let is_healthy = problem.is_empty();
        if !is_healthy && outbox.unhealthy() != problem {
            tracing::warn!(problem, "this machine is unhealthy: its workers end, and it gets no work");
        }
        // Before the slots are told, so that Nimbus moves the work while the workers end.
        outbox.set_unhealthy(problem);
        if is_healthy != was_healthy {
            slots.send(Message::Checked { is_healthy }).await.ok();
        }
        tokio::time::sleep(options.every).await;
    }
}
