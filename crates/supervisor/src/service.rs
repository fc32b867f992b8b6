//! What a supervisor offers by gRPC: the workers' lines, logs, restarts, binaries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use storm_model::Incarnation;
use storm_rpc::v1::supervisor_server::Supervisor;
use storm_rpc::v1::{
    BlobChunk, BlobRef, HealthReply, HealthRequest, LogLines, LogRequest, RestartWorkerHere, RestartedWorker,
    WorkerOrder, WorkerReport,
};
use storm_rpc::{CallError, Caller, ErrorCode, Secret, blob, convert, server};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::localizer::Localizer;
use crate::logs;
use crate::slot::Life;
use crate::slots::{Line, Message, Seen};

/// A worker that opens a line says who it is at once.
const FIRST_REPORT_WITHIN: Duration = Duration::from_secs(10);
/// Orders that wait for a worker to take them. A line on which more wait is dropped: the worker attaches
/// again and is told the newest of each.
const ORDERS: usize = 64;
/// Chunks of log lines that wait for their reader; the log is read no further meanwhile.
const LOG_CHUNKS: usize = 16;
/// How often a followed log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// Lines that a log begins with unless asked otherwise.
const TAIL: usize = 200;
/// Lines that are sent together.
const LINES_AT_ONCE: usize = 500;

/// The service. Clones are the same.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) secret: Secret,
    pub(crate) messages: mpsc::Sender<Message>,
    pub(crate) seen: watch::Receiver<Arc<Seen>>,
    pub(crate) localizer: Arc<Localizer>,
    pub(crate) artifacts: std::path::PathBuf,
    pub(crate) next_line: Arc<AtomicU64>,
}

fn ending() -> Status {
    Status::unavailable("this supervisor is about to end")
}

impl Service {
    /// Who a worker is, from its token; only without a secret its word is enough.
    fn identify(&self, caller: Caller, report: &WorkerReport) -> Result<(Life, u16), Status> {
        let slot = convert::present(report.slot.clone(), "the slot of a report")?;
        let port = convert::port(slot.port)?;
        let said = convert::present(report.incarnation, "the incarnation of a report")?;
        let said =
            Life { topology: report.topology_id.as_str().into(), incarnation: Incarnation::from(said) };
        let life = match caller {
            Caller::Worker { topology, incarnation } => Life { topology, incarnation },
            Caller::Daemon if self.secret.is_none() => said.clone(),
            Caller::Daemon => return Err(CallError::not_authenticated().into()),
        };
        if life != said {
            let error = CallError::not_authenticated();
            let message = format!("the token is that of another worker than '{}'", said.topology);
            return Err(CallError { message, ..error }.into());
        }
        Ok((life, port))
    }
}

/// Tells the slots of a line's end, however it ends.
struct Detach {
    line: u64,
    messages: mpsc::Sender<Message>,
}

impl Drop for Detach {
    fn drop(&mut self) {
        // When the queue is full the line is found closed at its next order.
        self.messages.try_send(Message::Detached { line: self.line }).ok();
    }
}

#[tonic::async_trait]
impl Supervisor for Service {
    type AttachStream = ReceiverStream<Result<WorkerOrder, Status>>;
    type ReadLogStream = ReceiverStream<Result<LogLines, Status>>;
    type DownloadBlobStream =
        std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<BlobChunk, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<WorkerReport>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let caller = server::caller(&self.secret, &request)?;
        let mut reports = request.into_inner();
        let first = tokio::time::timeout(FIRST_REPORT_WITHIN, reports.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("a worker says first who it is"))??;
        let first = convert::present(first, "the first report")?;
        let (life, port) = self.identify(caller.clone(), &first)?;
        let (orders, taken) = mpsc::channel(ORDERS);
        let id = self.next_line.fetch_add(1, Ordering::Relaxed);
        let (open, mut closed) = oneshot::channel();
        let line = Line::new(id, life.clone(), port, orders, open);
        let attached = Message::Attached { line, report: first };
        self.messages.send(attached).await.map_err(|_| ending())?;
        let (service, messages) = (self.clone(), self.messages.clone());
        tokio::spawn(async move {
            let _detach = Detach { line: id, messages: messages.clone() };
            loop {
                let report = tokio::select! {
                    report = reports.message() => report,
                    _ = &mut closed => return,
                };
                let Ok(Some(report)) = report else { return };
                if service.identify(caller.clone(), &report).is_ok_and(|who| who == (life.clone(), port)) {
                    if messages.send(Message::Reported { line: id, report }).await.is_err() {
                        return;
                    }
                } else {
                    tracing::warn!(topology = %life.topology, port, "a worker reports as another one");
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(taken)))
    }

    async fn read_log(&self, request: Request<LogRequest>) -> Result<Response<Self::ReadLogStream>, Status> {
        server::daemon(&self.secret, &request)?;
        let request = request.into_inner();
        let seen = Arc::clone(&self.seen.borrow());
        let (sender, lines) = mpsc::channel(LOG_CHUNKS);
        if !request.supervisor_id.is_empty() && *seen.id.as_str() != request.supervisor_id {
            return Ok(Response::new(ReceiverStream::new(lines)));
        }
        let port = match request.port {
            0 => None,
            port => Some(convert::port(port)?),
        };
        // A port alone means the worker that has it now.
        let mut topology = request.topology.clone();
        if let Some(slot) = port.and_then(|port| seen.slots.get(&port)).filter(|_| topology.is_empty()) {
            topology = slot.topology.to_string();
        }
        let artifacts = self.artifacts.clone();
        let mut logs = blocking(move || Ok(logs::find(&artifacts, &topology, port))).await?;
        if !request.component.is_empty() {
            logs.retain(|(port, _)| {
                let slot = seen
                    .slots
                    .get(port)
                    .filter(|slot| storm_logs::is_of(slot.topology.as_str(), &request.topology));
                slot.is_some_and(|slot| slot.components.iter().any(|c| *c == *request.component))
            });
        }
        let host = seen.host.clone();
        let tail = if request.tail == 0 { TAIL } else { request.tail as usize };
        for (port, log) in logs {
            let reader = LogReader {
                log,
                host: host.clone(),
                port,
                grep: request.grep.clone(),
                tail,
                follow: request.follow,
                lines: sender.clone(),
            };
            tokio::spawn(reader.read());
        }
        Ok(Response::new(ReceiverStream::new(lines)))
    }

    async fn restart_worker(
        &self,
        request: Request<RestartWorkerHere>,
    ) -> Result<Response<RestartedWorker>, Status> {
        server::daemon(&self.secret, &request)?;
        let port = convert::port(request.into_inner().port)?;
        let (answer, answered) = oneshot::channel();
        self.messages.send(Message::RestartAsked { port, answer }).await.map_err(|_| ending())?;
        Ok(Response::new(answered.await.map_err(|_| ending())??))
    }

    async fn download_blob(
        &self,
        request: Request<BlobRef>,
    ) -> Result<Response<Self::DownloadBlobStream>, Status> {
        server::daemon(&self.secret, &request)?;
        let digest = request.into_inner().digest;
        let Some((path, blob)) = self.localizer.find(&digest) else {
            let message = format!("the binary {digest} is not here");
            return Err(CallError::new(ErrorCode::Invalid, message).into());
        };
        let chunks = ReceiverStream::new(blob::chunks(path, blob));
        let chunks = chunks.map(|chunk| {
            chunk.map_err(|error| CallError::other(format!("cannot read a binary: {error}")).into())
        });
        Ok(Response::new(Box::pin(chunks)))
    }

    async fn health(&self, request: Request<HealthRequest>) -> Result<Response<HealthReply>, Status> {
        server::caller(&self.secret, &request)?;
        let problems = self.seen.borrow().problems.clone();
        Ok(Response::new(HealthReply {
            is_healthy: problems.is_empty(),
            role: "supervisor".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            problems,
        }))
    }
}

// === Logs ===

struct LogReader {
    log: std::path::PathBuf,
    host: String,
    port: u16,
    grep: String,
    tail: usize,
    follow: bool,
    lines: mpsc::Sender<Result<LogLines, Status>>,
}

impl LogReader {
    async fn read(self) {
        if let Err(status) = self.read_all().await {
            self.lines.send(Err(status)).await.ok();
        }
    }

    async fn read_all(&self) -> Result<(), Status> {
        let (log, grep, tail) = (self.log.clone(), self.grep.clone(), self.tail);
        let (lines, mut cursor) = blocking(move || logs::tail(&log, tail, &grep)).await?;
        let mut is_read = self.send(lines).await;
        while self.follow && is_read {
            let grep = self.grep.clone();
            let lines;
            (lines, cursor) = blocking(move || {
                let lines = cursor.read_on(&grep)?;
                Ok((lines, cursor))
            })
            .await?;
            if lines.is_empty() {
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = self.lines.closed() => return Ok(()),
                }
            }
            is_read = self.send(lines).await;
        }
        Ok(())
    }

    /// Whether somebody still reads.
    async fn send(&self, lines: Vec<String>) -> bool {
        let mut lines = lines.into_iter().peekable();
        while lines.peek().is_some() {
            let lines = lines.by_ref().take(LINES_AT_ONCE).collect();
            let lines = LogLines { host: self.host.clone(), port: self.port.into(), lines };
            if self.lines.send(Ok(lines)).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// Does what waits for a disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| ending())?;
    done.map_err(|error| CallError::other(format!("cannot read a log: {error}")).into())
}
