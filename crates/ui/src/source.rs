//! Whom the cluster is asked of: its Nimbuses and, for logs, the daemon on the machine that has them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use futures_util::Stream;
use storm_rpc::client::{self, Token};
use storm_rpc::{CallError, Nimbuses, v1};

use crate::view::{ClusterView, TopologyView};

/// Bytes of a log file, as they come.
pub type LogBytes = Pin<Box<dyn Stream<Item = Result<v1::FileBytes, CallError>> + Send>>;

/// A command to a topology or a worker.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "a command is its message")]
pub enum Command {
    Activate(v1::TopologyCommand),
    Deactivate(v1::TopologyCommand),
    Kill(v1::KillRequest),
    Rebalance(v1::RebalanceRequest),
    RestartWorker(v1::RestartWorkerRequest),
    LogLevels(v1::LogLevelsRequest),
    Debug(v1::DebugRequest),
}

/// What the pages know of a cluster. The real one is [`Nimbus`]; tests and benches make one up.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Nimbuses, supervisors and topologies.
    async fn cluster(&self) -> Result<Arc<ClusterView>, CallError>;
    /// A topology, by name or id.
    async fn topology(&self, name: &str) -> Result<Arc<TopologyView>, CallError>;
    /// The configuration of Nimbus.
    async fn config(&self) -> Result<v1::DaemonConfig, CallError>;
    /// Does something. A rebalance answers with what moves, all others with notes alone.
    async fn command(&self, command: Command) -> Result<v1::RebalanceReply, CallError>;
    /// The log files at a daemon's `host:port`.
    async fn list_files(
        &self,
        address: &str,
        request: v1::ListFilesRequest,
    ) -> Result<Vec<v1::LogFile>, CallError>;
    /// A part of a log file there.
    async fn read_file(&self, address: &str, request: v1::ReadFileRequest) -> Result<LogBytes, CallError>;
    /// Looks for a text there.
    async fn search_files(
        &self,
        address: &str,
        request: v1::SearchFilesRequest,
    ) -> Result<v1::FoundInFiles, CallError>;
}

/// The Nimbuses of a cluster.
#[derive(Clone, Debug)]
pub struct Nimbus {
    nimbuses: Nimbuses,
    token: Token,
}

impl Nimbus {
    /// Those that are called by `nimbuses`; daemons with logs are called with `token`.
    pub fn new(nimbuses: Nimbuses, token: Token) -> Nimbus {
        Nimbus { nimbuses, token }
    }
}

#[async_trait]
impl Source for Nimbus {
    async fn cluster(&self) -> Result<Arc<ClusterView>, CallError> {
        let (cluster, topologies) =
            tokio::try_join!(self.nimbuses.get_cluster(), self.nimbuses.list_topologies())?;
        let mut topologies = topologies.topologies;
        topologies.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Arc::new(ClusterView { cluster, topologies }))
    }

    async fn topology(&self, name: &str) -> Result<Arc<TopologyView>, CallError> {
        let (status, figures) =
            tokio::try_join!(self.nimbuses.get_topology(name), self.nimbuses.get_figures(name))?;
        Ok(Arc::new(TopologyView::new(SystemTime::now(), status, &figures)?))
    }

    async fn config(&self) -> Result<v1::DaemonConfig, CallError> {
        self.nimbuses.get_config().await
    }

    async fn command(&self, command: Command) -> Result<v1::RebalanceReply, CallError> {
        let nimbuses = &self.nimbuses;
        let reply = match command {
            Command::Rebalance(request) => return nimbuses.rebalance(&request).await,
            Command::Activate(request) => nimbuses.activate(&request).await?,
            Command::Deactivate(request) => nimbuses.deactivate(&request).await?,
            Command::Kill(request) => nimbuses.kill(&request).await?,
            Command::RestartWorker(request) => nimbuses.restart_worker(&request).await?,
            Command::LogLevels(request) => nimbuses.set_log_levels(&request).await?,
            Command::Debug(request) => nimbuses.set_debug(&request).await?,
        };
        let v1::CommandReply { topology_id, notes } = reply;
        Ok(v1::RebalanceReply { topology_id, notes, ..Default::default() })
    }

    async fn list_files(
        &self,
        address: &str,
        request: v1::ListFilesRequest,
    ) -> Result<Vec<v1::LogFile>, CallError> {
        let mut logs = client::logs(address, self.token.clone())?;
        Ok(logs.list_files(request).await.map_err(CallError::from)?.into_inner().files)
    }

    async fn read_file(&self, address: &str, request: v1::ReadFileRequest) -> Result<LogBytes, CallError> {
        use futures_util::TryStreamExt as _;
        let mut logs = client::logs(address, self.token.clone())?;
        let bytes = logs.read_file(request).await.map_err(CallError::from)?.into_inner();
        Ok(Box::pin(bytes.map_err(CallError::from)))
    }

    async fn search_files(
        &self,
        address: &str,
        request: v1::SearchFilesRequest,
    ) -> Result<v1::FoundInFiles, CallError> {
        let mut logs = client::logs(address, self.token.clone())?;
        Ok(logs.search_files(request).await.map_err(CallError::from)?.into_inner())
    }
}
