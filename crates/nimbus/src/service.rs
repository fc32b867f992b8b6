//! gRPC in, command out. No logic: who may call, who leads, and what the loop or the store answers.
//!
//! A Nimbus that does not lead passes calls on to the leader, as they are; a call is passed on once.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use storm_cluster::{Cluster, CommandRecord};
use storm_figures::{Keeper, Keepers};
use storm_model::{SupervisorId, TopologyId};
use storm_rpc::client::Line;
use storm_rpc::status::{ERROR_KEY, may_be_retried};
use storm_rpc::v1::nimbus_client::NimbusClient;
use storm_rpc::v1::nimbus_server::Nimbus;
use storm_rpc::v1::{self, BlobChunk, BlobRef, LogLines};
use storm_rpc::{CallError, Caller, ErrorCode, Secret, SupervisorCalls, blob, server};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::blobstore::BlobStore;
use crate::clock::{Clock, wall_ms};
use crate::commands::{Answer, Command};
use crate::error::BlobError;
use crate::monitor::{Event, Standing};
use crate::pages::Question;
use crate::peers::{Leads, Peers};
use crate::replication::Replication;

/// How long the loop may take to answer: as long as ZooKeeper may take for a write, twice.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// How long the leader may take to answer a call that was passed on.
const PASSED_ON_WITHIN: Duration = Duration::from_secs(75);
/// The longest that a submit waits for copies of its binary, whatever the configuration says: its
/// caller does not wait for longer than a minute.
const COPIES_WITHIN: Duration = Duration::from_secs(40);
/// Bytes that the figures of a topology may have which a supervisor has kept: those of some thousand busy tasks.
const KEPT_BYTES: usize = 512 << 20;
/// Lines of logs that wait for the network; the supervisors' streams wait when it is full.
const LOG_LINES_AHEAD: usize = 16;

/// What serves the calls.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) secret: Secret,
    pub(crate) clock: Clock,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) cluster: Cluster,
    pub(crate) blobs: BlobStore,
    pub(crate) replication: Replication,
    pub(crate) peers: Peers,
    pub(crate) missing: watch::Receiver<Vec<String>>,
    /// How the loop stands.
    pub(crate) standing: watch::Receiver<Standing>,
    /// `topology.min.replication.count` and `topology.max.replication.wait.time.sec` of the cluster.
    pub(crate) copies: (usize, Option<Duration>),
    /// The configuration, as it may be told.
    pub(crate) config: Arc<[v1::ConfigEntry]>,
}

type Answered<T> = Result<Response<T>, Status>;
type Lines = Pin<Box<dyn Stream<Item = Result<LogLines, Status>> + Send>>;
type Chunks = Pin<Box<dyn Stream<Item = Result<BlobChunk, Status>> + Send>>;

/// Passes a call on unless this process leads.
macro_rules! pass_on {
    ($self:ident, $request:ident, $call:ident) => {
        if let Some(mut leader) = $self.leader(&$request)? {
            let request = $self.peers.passed_on($request.into_inner());
            return within(leader.$call(request)).await;
        }
    };
}

impl Service {
    /// Who leads. Without ZooKeeper this process may be named as the leader that it was once.
    fn leads(&self) -> Leads {
        match self.peers.leads() {
            Leads::Me if !self.standing.borrow().is_leading => Leads::Nobody,
            leads => leads,
        }
    }

    /// The leader to pass a call on to; `None` if this process is it.
    fn leader<T>(&self, request: &Request<T>) -> Result<Option<NimbusClient<Line>>, Status> {
        match self.leads() {
            Leads::Me => Ok(None),
            Leads::Other(address) if !Peers::is_passed_on(request) => Ok(Some(self.peers.nimbus(&address)?)),
            Leads::Other(_) | Leads::Nobody => Err(CallError::no_leader().into()),
        }
    }

    /// Tells the loop, and waits for its answer.
    async fn ask<T>(&self, event: impl FnOnce(oneshot::Sender<T>) -> Event) -> Result<T, Status> {
        let (sender, answer) = oneshot::channel();
        let asked = async {
            self.events.send(event(sender)).await.map_err(|_| CallError::no_leader())?;
            answer.await.map_err(|_| CallError::no_leader())
        };
        match tokio::time::timeout(ANSWER_WITHIN, asked).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(CallError::busy().into()),
        }
    }

    async fn command(&self, command: Command) -> Result<Answer, Status> {
        Command::check_id(command.id())?;
        Ok(self.ask(|reply| Event::Commanded(command, reply)).await??)
    }

    /// Sees to it that the binary of a submission is here and on enough other Nimbuses.
    async fn spread(&self, request: &v1::SubmitRequest) -> Result<Vec<String>, Status> {
        let Some(blob) = &request.binary else {
            return Err(CallError::invalid("the submission names no binary").into());
        };
        self.replication.fetch(blob).await.map_err(|error| match error {
            BlobError::Nowhere(_) => CallError::invalid(format!("the binary {} is not here", blob.digest))
                .advise("upload it first; `storm-rs submit` does"),
            error => CallError::invalid(error.to_string()),
        })?;
        if self.blobs.size(&blob.digest) != Some(blob.size) {
            return Err(CallError::invalid("the binary has another size than the submission says").into());
        }
        // What is no JSON is refused later, in better words.
        let parse = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).unwrap_or_default();
        let (command, code) = (parse(&request.config), parse(&request.spec));
        let own = |key: &str| command.get(key).or_else(|| code.get("config")?.get(key))?.as_i64();
        let wanted = own("topology.min.replication.count").and_then(|count| usize::try_from(count).ok());
        let patience = match own("topology.max.replication.wait.time.sec") {
            Some(secs) => u64::try_from(secs).ok().map(Duration::from_secs),
            None => self.copies.1,
        };
        let wanted = wanted.unwrap_or(self.copies.0);
        let patience = patience.unwrap_or(COPIES_WITHIN).min(COPIES_WITHIN);
        let (have, live) = self.replication.spread(blob, wanted, patience).await;
        if have < wanted.min(live) {
            return Ok(vec![format!("its binary is on {have} of {live} Nimbuses only")]);
        }
        Ok(vec![])
    }

    /// Takes in what a supervisor has kept, topology by topology. What cannot be read is passed over: it will not be
    /// better next time.
    async fn kept_figures(&self, mut parts: Streaming<v1::KeptFigures>) -> Result<(), Status> {
        let mut gathered = Gathered::new(KEPT_BYTES);
        while let Some(part) = parts.message().await? {
            let (id, is_last) = (SupervisorId::from(&*part.supervisor_id), part.is_last);
            let whole = gathered.take(part);
            if let Some((topology, bytes)) = whole {
                self.kept_of(&id, topology, bytes).await?;
            }
            if is_last {
                let at = self.clock.now();
                return self
                    .ask(|reply| Event::FiguresKept(at, id, None, reply))
                    .await?
                    .map_err(Status::from);
            }
        }
        // Not invalid: whole ones may follow.
        Err(CallError::other("figures that end too early").into())
    }

    async fn kept_of(&self, id: &SupervisorId, topology: TopologyId, bytes: Vec<u8>) -> Result<(), Status> {
        let now = self.clock.now();
        let reading = tokio::task::spawn_blocking(move || Keeper::from_portable(now, &bytes));
        let keeper = match reading.await.map_err(|error| CallError::other(error.to_string()))? {
            Ok(keeper) => Box::new(keeper),
            Err(error) => {
                let supervisor = id;
                tracing::warn!(%topology, %supervisor, %error, "a supervisor has kept figures that cannot be read");
                return Ok(());
            }
        };
        let (at, id) = (self.clock.now(), id.clone());
        let kept = Some((topology, keeper));
        self.ask(|reply| Event::FiguresKept(at, id, kept, reply)).await?.map_err(Status::from)
    }

    async fn problems(&self) -> Vec<String> {
        let mut problems =
            self.ask(|reply| Event::Asked(Question::Problems(reply))).await.unwrap_or_default();
        if !matches!(*self.cluster.state().borrow(), storm_cluster::SessionState::Connected { .. }) {
            problems.insert(0, "no connection to ZooKeeper: nothing changes meanwhile".to_owned());
        } else if matches!(self.leads(), Leads::Nobody) {
            problems.push("no Nimbus leads at the moment".to_owned());
        }
        problems.extend(self.missing.borrow().iter().cloned());
        problems
    }
}

/// Gathers the parts of what a supervisor has kept, which come topology by topology.
struct Gathered {
    /// Bytes that one topology may have.
    limit: usize,
    topology: TopologyId,
    bytes: Vec<u8>,
    /// It has more.
    is_too_large: bool,
}

impl Gathered {
    fn new(limit: usize) -> Gathered {
        Gathered { limit, topology: "".into(), bytes: Vec::new(), is_too_large: false }
    }

    /// Takes the next part. The topology before it, if this is another one's or the last.
    fn take(&mut self, part: v1::KeptFigures) -> Option<(TopologyId, Vec<u8>)> {
        let mut whole = None;
        if part.is_last || self.topology != *part.topology_id {
            let former = std::mem::replace(&mut self.topology, part.topology_id.into());
            let bytes = std::mem::take(&mut self.bytes);
            let is_too_large = std::mem::take(&mut self.is_too_large);
            whole = (!bytes.is_empty() && !is_too_large).then_some((former, bytes));
        }
        if self.topology.as_str().is_empty() || self.is_too_large {
            return whole;
        }
        if self.bytes.len() + part.data.len() > self.limit {
            tracing::warn!(
                topology = %self.topology, supervisor = part.supervisor_id, limit = self.limit,
                "a supervisor has kept more figures of a topology than are taken: what was counted before this Nimbus \
                 led is not shown; fewer tasks with inputs take less, or remove its file in supervisor/figures there"
            );
            self.is_too_large = true;
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(&part.data);
        }
        whole
    }
}

async fn within<T>(call: impl Future<Output = Answered<T>>) -> Answered<T> {
    match tokio::time::timeout(PASSED_ON_WITHIN, call).await {
        Ok(answer) => answer.map_err(of_leader),
        Err(_) => {
            Err(CallError { message: "the leader does not answer".to_owned(), ..CallError::no_leader() }
                .into())
        }
    }
}

/// An error of a call that was passed on. That the leader is gone must not look to the caller as if
/// nobody were here: the next one leads in a few seconds.
fn of_leader(status: Status) -> Status {
    let is_answer = status.metadata().contains_key(ERROR_KEY);
    if is_answer || !may_be_retried(&status) {
        return status;
    }
    let message = format!("the leader does not answer: {}", CallError::from(status).message);
    CallError { message, ..CallError::no_leader() }.into()
}

#[tonic::async_trait]
impl Nimbus for Service {
    async fn get_leader(&self, request: Request<v1::GetLeaderRequest>) -> Answered<v1::Leader> {
        server::daemon(&self.secret, &request)?;
        let is_me = matches!(self.leads(), Leads::Me);
        let (host, port) = self.peers.leader().unwrap_or_default();
        Ok(Response::new(v1::Leader { host, port: port.into(), is_me }))
    }

    async fn has_blob(&self, request: Request<BlobRef>) -> Answered<v1::HasBlobReply> {
        server::daemon(&self.secret, &request)?;
        // People ask the leader whether they have to upload it; the leader asks the others so that they
        // fetch it.
        let is_asked_by_leader = Peers::is_passed_on(&request) && !matches!(self.leads(), Leads::Me);
        if !is_asked_by_leader {
            pass_on!(self, request, has_blob);
            // Whoever asks is about to use it: it stays for the whole delay.
            let held = self.blobs.hold(&request.get_ref().digest);
            let has_it = self.blobs.has(&request.get_ref().digest);
            drop(held);
            return Ok(Response::new(v1::HasBlobReply { has_it }));
        }
        let blob = request.into_inner();
        let _held = self.blobs.hold(&blob.digest);
        if let Err(error) = self.replication.fetch(&blob).await {
            tracing::debug!(digest = blob.digest, %error, "cannot fetch a blob");
        }
        Ok(Response::new(v1::HasBlobReply { has_it: self.blobs.has(&blob.digest) }))
    }

    async fn upload_blob(&self, request: Request<Streaming<BlobChunk>>) -> Answered<BlobRef> {
        server::daemon(&self.secret, &request)?;
        if let Some(mut leader) = self.leader(&request)? {
            let chunks = tokio_stream::StreamExt::map_while(request.into_inner(), Result::ok);
            return leader.upload_blob(self.peers.passed_on(chunks)).await.map_err(of_leader);
        }
        let stored = self.blobs.receive(request.into_inner()).await;
        Ok(Response::new(stored.map_err(|error| CallError::invalid(error.to_string()))?))
    }

    type DownloadBlobStream = Chunks;

    async fn download_blob(&self, request: Request<BlobRef>) -> Answered<Chunks> {
        server::daemon(&self.secret, &request)?;
        let is_passed_on = Peers::is_passed_on(&request);
        let mut wanted = request.into_inner();
        if !is_passed_on && !self.blobs.has(&wanted.digest) {
            self.replication.fetch(&wanted).await.map_err(|error| CallError::invalid(error.to_string()))?;
        }
        let path = self.blobs.path(&wanted.digest).map_err(|error| CallError::invalid(error.to_string()))?;
        wanted.size = self.blobs.size(&wanted.digest).ok_or_else(|| {
            CallError::new(ErrorCode::Other, format!("the blob {} is not here", wanted.digest))
        })?;
        let held = self.blobs.hold(&wanted.digest);
        let chunks = ReceiverStream::new(blob::chunks(path, wanted)).map(move |chunk| {
            let _held = &held;
            chunk.map_err(|error| CallError::other(format!("cannot read the blob: {error}")).into())
        });
        Ok(Response::new(Box::pin(chunks)))
    }

    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Answered<v1::CommandReply> {
        server::daemon(&self.secret, &request)?;
        pass_on!(self, request, submit);
        let request = request.into_inner();
        Command::check_id(&request.command_id)?;
        // Whoever repeats a command gets its answer, whatever became of the binary.
        if let Ok(Some(known)) = self.cluster.command(&request.command_id).await {
            return Ok(Response::new(Answer::from_json(&known.value.answer).into_command()));
        }
        let digest = request.binary.as_ref().map(|blob| blob.digest.clone()).unwrap_or_default();
        let _held = self.blobs.hold(&digest);
        let notes = self.spread(&request).await?;
        let mut answer = self.command(Command::Submit(Box::new(request))).await?;
        answer.notes.extend(notes);
        Ok(Response::new(answer.into_command()))
    }

    async fn kill(&self, request: Request<v1::KillRequest>) -> Answered<v1::CommandReply> {
        server::daemon(&self.secret, &request)?;
        pass_on!(self, request, kill);
        let answer = self.command(Command::Kill(request.into_inner())).await?;
        Ok(Response::new(answer.into_command()))
    }

    async fn activate(&self, request: Request<v1::TopologyCommand>) -> Answered<v1::CommandReply> {
        server::daemon(&self.secret, &request)?;
        pass_on!(self, request, activate);
        let answer = self.command(Command::Activate(request.into_inner())).await?;
        Ok(Response::new(answer.into_command()))
    }

    async fn deactivate(&self, request: Request<v1::TopologyCommand>) -> Answered<v1::CommandReply> {
        server::daemon(&self.secret, &request)?;
        pass_on!(self, request, deactivate);
        let answer = self.command(Command::Deactivate(request.into_inner())).await?;
        Ok(Response::new(answer.into_command()))
    }

    async fn rebalance(&self, request: Request<v1::RebalanceRequest>) -> Answered<v1::RebalanceReply> {
        server::daemon(&self.secret, &request)?;
        pass_on!(self, request, rebalance);
        let answer = self.command(Command::Rebalance(request.into_inner())).await?;
        Ok(Response::new(answer.into_rebalance()))
    }

    async fn restart_worker(&self, request: Request<v1::RestartWorkerRequest>) -> Answered<v1::CommandReply> {
        server::daemon(&self.secret, &request)?;
        pass_on!(self, request, restart_worker);
        let v1::RestartWorkerRequest { command_id, host, port } = request.into_inner();
        let port = storm_rpc::convert::port(port)?;
        Command::check_id(&command_id)?;
        if let Ok(Some(known)) = self.cluster.command(&command_id).await {
            return Ok(Response::new(Answer::from_json(&known.value.answer).into_command()));
        }
        let (topology_id, address) =
            self.ask(|reply| Event::Asked(Question::Worker(host, port, reply))).await??;
        let restarted = SupervisorCalls::new(&address, self.peers.token())?.restart_worker(port).await?;
        let notes =
            vec![format!("started again; it was so {} times under its assignment", restarted.restarts)];
        let answer = Answer { topology_id, notes, ..Answer::default() };
        let record = CommandRecord { id: command_id, answer: answer.to_json(), done_ms: wall_ms() };
        // It is done, whether or not its answer can be kept.
        self.ask(|reply| Event::Done(record, reply)).await.ok();
        Ok(Response::new(answer.into_command()))
    }

    async fn list_topologies(
        &self,
        request: Request<v1::ListTopologiesRequest>,
    ) -> Answered<v1::TopologyList> {
        server::daemon(&self.secret, &request)?;
        pass_on!(self, request, list_topologies);
        Ok(Response::new(self.ask(|reply| Event::Asked(Question::Topologies(reply))).await??))
    }

    async fn get_topology(&self, request: Request<v1::GetTopologyRequest>) -> Answered<v1::TopologyStatus> {
        server::daemon(&self.secret, &request)?;
        pass_on!(self, request, get_topology);
        let name = request.into_inner().name;
        let page = self.ask(|reply| Event::Asked(Question::Topology(name, reply))).await??;
        Ok(Response::new(*page))
    }

    async fn get_cluster(&self, request: Request<v1::GetClusterRequest>) -> Answered<v1::ClusterSummary> {
        server::daemon(&self.secret, &request)?;
        pass_on!(self, request, get_cluster);
        let supervisors = self.ask(|reply| Event::Asked(Question::Supervisors(reply))).await??;
        let id = self.cluster.cluster_id().await.ok().flatten();
        let leader = self.peers.leader();
        let nimbuses = self.peers.all().into_iter().map(|record| v1::NimbusSummary {
            is_leader: leader
                .as_ref()
                .is_some_and(|(host, port)| *host == record.host && *port == record.port),
            host: record.host,
            port: record.port.into(),
            uptime_secs: wall_ms().saturating_sub(record.started_ms) / 1000,
            version: record.software,
        });
        Ok(Response::new(v1::ClusterSummary {
            cluster_id: id.map(|record| record.value.id).unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            nimbuses: nimbuses.collect(),
            supervisors,
            problems: self.problems().await,
        }))
    }

    async fn get_figures(&self, request: Request<v1::GetFiguresRequest>) -> Answered<v1::TopologyFigures> {
        server::daemon(&self.secret, &request)?;
        pass_on!(self, request, get_figures);
        let name = request.into_inner().name;
        let (topology_id, figured) = self.ask(|reply| Event::Asked(Question::Figures(name, reply))).await??;
        let known = if figured.is_computed() {
            Keepers::default()
        } else {
            let id = TopologyId::from(&*topology_id);
            let copied = self.ask(|reply| Event::FiguresCopied(id, reply)).await?;
            copied.ok_or_else(|| CallError::no_such_topology(&topology_id))?
        };
        // The loop shall not wait for that.
        let now = self.clock.now();
        let json = tokio::task::spawn_blocking(move || figured.json(&known, now).clone()).await;
        let (figures, trend) = json.map_err(|error| CallError::other(error.to_string()))?;
        Ok(Response::new(v1::TopologyFigures { topology_id, figures, trend }))
    }

    async fn get_config(&self, request: Request<v1::GetConfigRequest>) -> Answered<v1::DaemonConfig> {
        server::daemon(&self.secret, &request)?;
        pass_on!(self, request, get_config);
        Ok(Response::new(v1::DaemonConfig { entries: self.config.to_vec() }))
    }

    async fn set_log_levels(&self, request: Request<v1::LogLevelsRequest>) -> Answered<v1::CommandReply> {
        server::daemon(&self.secret, &request)?;
        pass_on!(self, request, set_log_levels);
        let answer = self.command(Command::SetLogLevels(request.into_inner())).await?;
        Ok(Response::new(answer.into_command()))
    }

    async fn set_debug(&self, request: Request<v1::DebugRequest>) -> Answered<v1::CommandReply> {
        server::daemon(&self.secret, &request)?;
        pass_on!(self, request, set_debug);
        let answer = self.command(Command::SetDebug(request.into_inner())).await?;
        Ok(Response::new(answer.into_command()))
    }

    type ReadLogStream = Lines;

    async fn read_log(&self, request: Request<v1::LogRequest>) -> Answered<Lines> {
        server::daemon(&self.secret, &request)?;
        if let Some(mut leader) = self.leader(&request)? {
            let lines = leader.read_log(self.peers.passed_on(request.into_inner())).await;
            return Ok(Response::new(Box::pin(lines.map_err(of_leader)?.into_inner())));
        }
        let request = request.into_inner();
        let asked = self.ask(|reply| Event::Asked(Question::Logs(request, reply))).await??;
        let (sender, lines) = mpsc::channel(LOG_LINES_AHEAD);
        for (address, request) in asked {
            let (sender, token) = (sender.clone(), self.peers.token());
            tokio::spawn(async move {
                let read = async {
                    let mut lines = SupervisorCalls::new(&address, token)?.read_log(request).await?;
                    while let Some(line) = lines.message().await? {
                        if sender.send(Ok(line)).await.is_err() {
                            break;
                        }
                    }
                    Ok::<_, Status>(())
                };
                tokio::select! {
                    done = read => if let Err(status) = done {
                        sender.send(Err(status)).await.ok();
                    },
                    () = sender.closed() => {}
                }
            });
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(lines))))
    }

    async fn health(&self, request: Request<v1::HealthRequest>) -> Answered<v1::HealthReply> {
        server::daemon(&self.secret, &request)?;
        let problems = self.problems().await;
        Ok(Response::new(v1::HealthReply {
            is_healthy: problems.is_empty(),
            role: if matches!(self.leads(), Leads::Me) { "leader" } else { "follower" }.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            problems,
        }))
    }

    async fn report_supervisor(
        &self,
        request: Request<v1::SupervisorReport>,
    ) -> Answered<v1::SupervisorReply> {
        server::daemon(&self.secret, &request)?;
        pass_on!(self, request, report_supervisor);
        let at = self.clock.now();
        let report = Box::new(request.into_inner());
        Ok(Response::new(self.ask(|reply| Event::SupervisorReported(at, report, reply)).await?))
    }

    async fn report_figures(
        &self,
        request: Request<Streaming<v1::KeptFigures>>,
    ) -> Answered<v1::KeptFiguresReply> {
        server::daemon(&self.secret, &request)?;
        if let Some(mut leader) = self.leader(&request)? {
            let parts = tokio_stream::StreamExt::map_while(request.into_inner(), Result::ok);
            return leader.report_figures(self.peers.passed_on(parts)).await.map_err(of_leader);
        }
        self.kept_figures(request.into_inner()).await?;
        Ok(Response::new(v1::KeptFiguresReply {}))
    }

    async fn report_worker(&self, request: Request<v1::WorkerReport>) -> Answered<v1::WorkerReportReply> {
        match server::caller(&self.secret, &request)? {
            Caller::Daemon => {}
            Caller::Worker { topology, incarnation } => {
                let report = request.get_ref();
                let is_own = topology == *report.topology_id
                    && report.incarnation.is_some_and(|reported| incarnation == reported.into());
                if !is_own {
                    let message = format!("a worker of '{topology}' may report for itself only");
                    return Err(CallError { message, ..CallError::not_authenticated() }.into());
                }
            }
        }
        pass_on!(self, request, report_worker);
        let at = self.clock.now();
        let report = Box::new(request.into_inner());
        Ok(Response::new(self.ask(|reply| Event::WorkerReported(at, report, reply)).await??))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_topology_by_topology_and_one_that_is_too_large_is_passed_over() {
        let mut gathered = Gathered::new(10);
        let mut take = |topology_id: &str, data: &'static str, is_last| {
            let part = v1::KeptFigures {
                supervisor_id: "s".to_owned(),
                topology_id: topology_id.to_owned(),
                data: data.into(),
                is_last,
            };
            gathered.take(part).map(|(topology, bytes)| {
                format!("{topology}: {}", String::from_utf8(bytes).expect("as it was given"))
            })
        };
        assert_eq!(take("a", "12345", false), None);
        assert_eq!(take("a", "67890", false), None);
        assert_eq!(take("b", "12345", false).as_deref(), Some("a: 1234567890"));
        assert_eq!(take("b", "678901", false), None);
        assert_eq!(take("b", "1", false), None);
        assert_eq!(take("c", "1", false), None, "b is too large");
        assert_eq!(take("", "", true).as_deref(), Some("c: 1"));
    }
}
