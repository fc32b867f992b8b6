//! The Nimbuses of a cluster, called as one.
//!
//! Every Nimbus answers every call, and one that does not lead passes it on: so a call goes to the
//! Nimbus that answered last, and to the next one when that does not answer. What may be retried
//! (reads, and commands, for they carry an id) is tried again with growing pauses until the patience
//! is over, and once at least by whoever has any.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::{SmallRng, StdRng};
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};

use crate::blob;
use crate::client::{self, Line, Token};
use crate::launch::hex;
use crate::status::{CallError, ErrorCode, may_be_retried};
use crate::v1::{self, nimbus_client::NimbusClient};

/// How long an attempt at a read may take.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// How long an attempt at a command may take: a submit waits for the copies of its binary.
const COMMAND_WITHIN: Duration = Duration::from_secs(60);
/// How long an attempt at an upload may take.
const UPLOAD_WITHIN: Duration = Duration::from_secs(600);
/// Pauses between two rounds over the seeds: they double from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How long to try.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// While nobody has ever answered: probably there is nobody.
    pub unheard: Duration,
    /// Once somebody has answered: a new leader comes in a few seconds.
    pub heard: Duration,
}

impl Default for Patience {
    /// For people: 2 s, and 30 s.
    fn default() -> Patience {
        Patience { unheard: Duration::from_secs(2), heard: Duration::from_secs(30) }
    }
}

/// The Nimbuses of a cluster.
#[derive(Clone)]
pub struct Nimbuses(Arc<Inner>);

struct Inner {
    seeds: Vec<(String, NimbusClient<Line>)>,
    patience: Patience,
    /// Which seed answered last.
    good: AtomicUsize,
    /// Whether one ever answered.
    is_heard: AtomicBool,
}

impl std::fmt::Debug for Nimbuses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Nimbuses").field(&self.addresses()).finish()
    }
}

/// A new id for a command: 128 random bits in hexadecimal.
pub fn command_id() -> String {
    hex(&StdRng::from_os_rng().random::<[u8; 16]>())
}

impl Nimbuses {
    /// Those at these addresses (`host:port`). Connects at the first call.
    ///
    /// # Errors
    /// When there is no address, or one that is none.
    pub fn new<A: AsRef<str>>(
        addresses: impl IntoIterator<Item = A>,
        token: &Token,
        patience: Patience,
    ) -> Result<Nimbuses, CallError> {
        let seeds = addresses.into_iter().map(|address| {
            let address = address.as_ref().to_owned();
            client::nimbus(&address, token.clone()).map(|client| (address, client))
        });
        let seeds: Vec<_> = seeds.collect::<Result<_, _>>()?;
        if seeds.is_empty() {
            return Err(CallError::invalid("no Nimbus is configured").advise("set 'nimbus.seeds'"));
        }
        let (good, is_heard) = (AtomicUsize::new(0), AtomicBool::new(false));
        Ok(Nimbuses(Arc::new(Inner { seeds, patience, good, is_heard })))
    }

    /// Their addresses.
    pub fn addresses(&self) -> Vec<&str> {
        self.0.seeds.iter().map(|(address, _)| address.as_str()).collect()
    }

    /// Who leads, as whoever answers knows it.
    ///
    /// # Errors
    /// As every call here: what the server says, or `Unreachable` when the patience is over.
    pub async fn leader(&self) -> Result<v1::Leader, CallError> {
        self.call(READ_WITHIN, &v1::GetLeaderRequest {}, |mut nimbus, request| async move {
            nimbus.get_leader(request).await
        })
        .await
    }

    /// All topologies.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn list_topologies(&self) -> Result<v1::TopologyList, CallError> {
        let request = v1::ListTopologiesRequest {};
        self.call(READ_WITHIN, &request, |mut nimbus, request| async move {
            nimbus.list_topologies(request).await
        })
        .await
    }

    /// One topology, by name or id.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn get_topology(&self, name: &str) -> Result<v1::TopologyStatus, CallError> {
        let request = v1::GetTopologyRequest { name: name.to_owned() };
        self.call(
            READ_WITHIN,
            &request,
            |mut nimbus, request| async move { nimbus.get_topology(request).await },
        )
        .await
    }

    /// Nimbuses and supervisors.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn get_cluster(&self) -> Result<v1::ClusterSummary, CallError> {
        self.call(READ_WITHIN, &v1::GetClusterRequest {}, |mut nimbus, request| async move {
            nimbus.get_cluster(request).await
        })
        .await
    }

    /// What was counted and measured of a topology, by name or id.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn get_figures(&self, name: &str) -> Result<v1::TopologyFigures, CallError> {
        let request = v1::GetFiguresRequest { name: name.to_owned() };
        self.call(
            READ_WITHIN,
            &request,
            |mut nimbus, request| async move { nimbus.get_figures(request).await },
        )
        .await
    }

    /// The configuration of the Nimbus that leads.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn get_config(&self) -> Result<v1::DaemonConfig, CallError> {
        self.call(READ_WITHIN, &v1::GetConfigRequest {}, |mut nimbus, request| async move {
            nimbus.get_config(request).await
        })
        .await
    }

    /// Changes what the loggers of a topology's workers tell.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn set_log_levels(
        &self,
        request: &v1::LogLevelsRequest,
    ) -> Result<v1::CommandReply, CallError> {
        self.call(COMMAND_WITHIN, request, |mut nimbus, request| async move {
            nimbus.set_log_levels(request).await
        })
        .await
    }

    /// Lets a share of a topology's tuples be written down, or no more.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn set_debug(&self, request: &v1::DebugRequest) -> Result<v1::CommandReply, CallError> {
        self.call(
            COMMAND_WITHIN,
            request,
            |mut nimbus, request| async move { nimbus.set_debug(request).await },
        )
        .await
    }

    /// How the Nimbus that answers is.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn health(&self) -> Result<v1::HealthReply, CallError> {
        self.call(READ_WITHIN, &v1::HealthRequest {}, |mut nimbus, request| async move {
            nimbus.health(request).await
        })
        .await
    }

    /// Submits a topology whose binary is there.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn submit(&self, request: &v1::SubmitRequest) -> Result<v1::CommandReply, CallError> {
        self.call(COMMAND_WITHIN, request, |mut nimbus, request| async move { nimbus.submit(request).await })
            .await
    }

    /// Kills a topology.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn kill(&self, request: &v1::KillRequest) -> Result<v1::CommandReply, CallError> {
        self.call(COMMAND_WITHIN, request, |mut nimbus, request| async move { nimbus.kill(request).await })
            .await
    }

    /// Lets a topology's spouts emit.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn activate(&self, request: &v1::TopologyCommand) -> Result<v1::CommandReply, CallError> {
        self.call(
            COMMAND_WITHIN,
            request,
            |mut nimbus, request| async move { nimbus.activate(request).await },
        )
        .await
    }

    /// Stops a topology's spouts from emitting.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn deactivate(&self, request: &v1::TopologyCommand) -> Result<v1::CommandReply, CallError> {
        self.call(
            COMMAND_WITHIN,
            request,
            |mut nimbus, request| async move { nimbus.deactivate(request).await },
        )
        .await
    }

    /// Places a topology anew.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn rebalance(&self, request: &v1::RebalanceRequest) -> Result<v1::RebalanceReply, CallError> {
        self.call(
            COMMAND_WITHIN,
            request,
            |mut nimbus, request| async move { nimbus.rebalance(request).await },
        )
        .await
    }

    /// Starts a worker again.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn restart_worker(
        &self,
        request: &v1::RestartWorkerRequest,
    ) -> Result<v1::CommandReply, CallError> {
        self.call(COMMAND_WITHIN, request, |mut nimbus, request| async move {
            nimbus.restart_worker(request).await
        })
        .await
    }

    /// A supervisor's report.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn report_supervisor(
        &self,
        report: &v1::SupervisorReport,
    ) -> Result<v1::SupervisorReply, CallError> {
        self.call(READ_WITHIN, report, |mut nimbus, request| async move {
            nimbus.report_supervisor(request).await
        })
        .await
    }

    /// What a supervisor has kept of its workers' figures, in parts.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn report_figures(&self, parts: &[v1::KeptFigures]) -> Result<(), CallError> {
        let attempt = |mut nimbus: NimbusClient<Line>, parts: Vec<v1::KeptFigures>| async move {
            nimbus.report_figures(tokio_stream::iter(parts)).await
        };
        self.call(COMMAND_WITHIN, &parts.to_vec(), attempt).await.map(drop)
    }

    /// A worker's report, while its supervisor is away.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn report_worker(&self, report: &v1::WorkerReport) -> Result<v1::WorkerReportReply, CallError> {
        self.call(
            READ_WITHIN,
            report,
            |mut nimbus, request| async move { nimbus.report_worker(request).await },
        )
        .await
    }

    /// Logs of workers. What breaks later is an error of the stream.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn read_log(&self, request: &v1::LogRequest) -> Result<Streaming<v1::LogLines>, CallError> {
        self.call(READ_WITHIN, request, |mut nimbus, request| async move { nimbus.read_log(request).await })
            .await
    }

    /// A blob. What breaks later is an error of the stream.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn download_blob(&self, blob: &v1::BlobRef) -> Result<Streaming<v1::BlobChunk>, CallError> {
        self.call(READ_WITHIN, blob, |mut nimbus, request| async move { nimbus.download_blob(request).await })
            .await
    }

    /// Whether a blob is there.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`].
    pub async fn has_blob(&self, blob: &v1::BlobRef) -> Result<bool, CallError> {
        let reply = self
            .call(READ_WITHIN, blob, |mut nimbus, request| async move { nimbus.has_blob(request).await })
            .await?;
        Ok(reply.has_it)
    }

    /// Uploads a file unless it is there; tells whether it had to. `progress` is told how many bytes
    /// are on their way; an attempt that begins anew begins at zero.
    ///
    /// # Errors
    /// As [`Nimbuses::leader`], and when the file cannot be read.
    pub async fn upload(
        &self,
        path: &Path,
        blob: &v1::BlobRef,
        progress: impl Fn(u64) + Clone + Send + 'static,
    ) -> Result<bool, CallError> {
        if self.has_blob(blob).await? {
            return Ok(false);
        }
        let broken: Arc<Mutex<Option<std::io::Error>>> = Arc::default();
        let source = (path.to_owned(), blob.clone());
        let attempt = |mut nimbus: NimbusClient<Line>, (path, blob): (PathBuf, v1::BlobRef)| {
            let sent = AtomicU64::new(0);
            let (progress, broken) = (progress.clone(), Arc::clone(&broken));
            let chunks = ReceiverStream::new(blob::chunks(path, blob));
            let chunks = chunks.map_while(move |chunk| match chunk {
                Ok(chunk) => {
                    let length = chunk.data.len() as u64;
                    progress(sent.fetch_add(length, Ordering::Relaxed) + length);
                    Some(chunk)
                }
                Err(error) => {
                    *broken.lock().expect("never panics while it holds the lock") = Some(error);
                    None
                }
            });
            async move { nimbus.upload_blob(chunks).await }
        };
        let uploaded = self.call(UPLOAD_WITHIN, &source, attempt).await;
        if let Some(error) = broken.lock().expect("never panics while it holds the lock").take() {
            return Err(CallError::invalid(format!("cannot read {}: {error}", path.display())));
        }
        uploaded.map(|_| true)
    }

    /// Calls until somebody answers.
    async fn call<R: Clone, T, F>(
        &self,
        within: Duration,
        request: &R,
        attempt: impl Fn(NimbusClient<Line>, R) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let Inner { seeds, patience, good, is_heard } = &*self.0;
        let started = Instant::now();
        let mut pause = PAUSES.0;
        let mut is_first = true;
        loop {
            let mut last = None;
            let first = good.load(Ordering::Relaxed);
            for at in (0..seeds.len()).map(|i| (first + i) % seeds.len()) {
                let answer =
                    tokio::time::timeout(within, attempt(seeds[at].1.clone(), request.clone())).await;
                let status = match answer {
                    Ok(Ok(reply)) => {
                        good.store(at, Ordering::Relaxed);
                        is_heard.store(true, Ordering::Relaxed);
                        return Ok(reply.into_inner());
                    }
                    Ok(Err(status)) => status,
                    Err(_) => Status::unavailable(format!("no answer for {} s", within.as_secs())),
                };
                if !may_be_retried(&status) {
                    return Err(status.into());
                }
                let is_answer = status.metadata().contains_key(crate::status::ERROR_KEY);
                is_heard.fetch_or(is_answer, Ordering::Relaxed);
                let error = CallError::from(status);
                tracing::debug!(nimbus = %seeds[at].0, %error, "no answer");
                // "Nobody leads" says more than "nobody is there".
                if is_answer || last.is_none() {
                    last = Some((error, is_answer));
                }
            }
            let patience = if is_heard.load(Ordering::Relaxed) { patience.heard } else { patience.unheard };
            // One attempt that hangs may take all of it; behind a proxy the next one comes to another Nimbus.
            let is_only = std::mem::take(&mut is_first) && !patience.is_zero();
            if started.elapsed() + pause > patience && !is_only {
                let (error, is_answer) = last.expect("there is at least one seed");
                return Err(if is_answer { error } else { self.unreachable(&error) });
            }
            // Half of it by chance, so that many who wait do not come back together.
            tokio::time::sleep(pause.mul_f64(SmallRng::from_os_rng().random_range(0.5..1.0))).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn unreachable(&self, last: &CallError) -> CallError {
        let addresses = self.addresses().join(", ");
        CallError::new(ErrorCode::Unreachable, format!("no Nimbus answers at {addresses}: {}", last.message))
            .advise(
                "is the cluster running? `storm-rs dev` starts one here; for another, set 'nimbus.seeds' and \
                 'nimbus.thrift.port' with --config FILE or -c",
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Secret;

    #[tokio::test]
    async fn where_nobody_listens_the_error_says_so() {
        // A port of the reserved range, which nobody gets by asking for any.
        let patience = Patience { unheard: Duration::from_millis(20), heard: Duration::ZERO };
        let nimbuses = Nimbuses::new(["127.0.0.1:1"], &Token::daemon(&Secret::none()), patience).unwrap();
        // In a task of its own: every call can be.
        let error = tokio::spawn(async move {
            let blob = v1::BlobRef::default();
            nimbuses.upload(Path::new("none"), &blob, |_| ()).await
        });
        let error = error.await.unwrap().unwrap_err();
        assert_eq!(error.code, ErrorCode::Unreachable);
        assert!(error.message.starts_with("no Nimbus answers at 127.0.0.1:1: "), "{error}");
        assert!(error.message.contains("refused"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_hangs_is_not_the_only_one() {
        let attempts = async |unheard| {
            let patience = Patience { unheard, heard: Duration::ZERO };
            let nimbuses = Nimbuses::new(["127.0.0.1:1"], &Token::new(""), patience).unwrap();
            let count = AtomicUsize::new(0);
            let never = |_, ()| {
                count.fetch_add(1, Ordering::Relaxed);
                std::future::pending::<Result<Response<()>, Status>>()
            };
            let error = nimbuses.call(READ_WITHIN, &(), never).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::Unreachable);
            count.into_inner()
        };
        assert_eq!(attempts(Duration::from_millis(1)).await, 2);
        assert_eq!(attempts(Duration::ZERO).await, 1, "who is not patient is not");
    }

    #[test]
    fn command_ids_differ() {
        assert_eq!(command_id().len(), 32);
        assert_ne!(command_id(), command_id());
    }

    #[tokio::test]
    async fn a_cluster_has_a_nimbus() {
        let none = Nimbuses::new([""; 0], &Token::new(""), Patience::default()).unwrap_err();
        assert_eq!(none.code, ErrorCode::Invalid);
        let bad = Nimbuses::new(["a b:1"], &Token::new(""), Patience::default()).unwrap_err();
        assert!(bad.message.starts_with("'a b:1' is not an address"), "{bad}");
    }
}
