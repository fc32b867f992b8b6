//! Many who look at the same share one question to Nimbus.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use storm_rpc::{CallError, v1};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::source::{Command, LogBytes, Source};
use crate::view::{ClusterView, TopologyView};

/// For so long an answer is given again.
const FRESH: Duration = Duration::from_millis(900);
/// Topologies whose answers are kept at most; then all are let go of.
const KEPT: usize = 1000;

/// A source that is asked the same at most about once a second.
pub struct Shared<S> {
    source: S,
    cluster: Kept<ClusterView>,
    topologies: Mutex<HashMap<String, Arc<Kept<TopologyView>>>>,
}

/// An answer, and when it came. Whoever comes while it is asked for waits for it.
type Kept<T> = Mutex<Option<(Instant, Arc<T>)>>;

impl<S: Source> Shared<S> {
    /// Nobody has asked yet.
    pub fn new(source: S) -> Shared<S> {
        Shared { source, cluster: Mutex::default(), topologies: Mutex::default() }
    }

    async fn forget(&self) {
        self.topologies.lock().await.clear();
        *self.cluster.lock().await = None;
    }
}

async fn kept<T>(
    kept: &Kept<T>,
    ask: impl Future<Output = Result<Arc<T>, CallError>>,
) -> Result<Arc<T>, CallError> {
    let mut kept = kept.lock().await;
    if let Some((at, answer)) = &*kept
        && at.elapsed() < FRESH
    {
        return Ok(Arc::clone(answer));
    }
    // Dated by the question: what happened since then may be missing.
    let asked = Instant::now();
    let answer = ask.await?;
    *kept = Some((asked, Arc::clone(&answer)));
    Ok(answer)
}

#[async_trait]
impl<S: Source> Source for Shared<S> {
    async fn cluster(&self) -> Result<Arc<ClusterView>, CallError> {
        kept(&self.cluster, self.source.cluster()).await
    }

    async fn topology(&self, name: &str) -> Result<Arc<TopologyView>, CallError> {
        let mut topologies = self.topologies.lock().await;
        if topologies.len() >= KEPT {
            topologies.clear();
        }
        let topology = Arc::clone(topologies.entry(name.to_owned()).or_default());
        drop(topologies);
        kept(&topology, self.source.topology(name)).await
    }

    async fn config(&self) -> Result<v1::DaemonConfig, CallError> {
        self.source.config().await
    }

    async fn command(&self, command: Command) -> Result<v1::RebalanceReply, CallError> {
        let answer = self.source.command(command).await;
        // Whoever looks next sees what it did.
        self.forget().await;
        answer
    }

    async fn list_files(
        &self,
        address: &str,
        request: v1::ListFilesRequest,
    ) -> Result<Vec<v1::LogFile>, CallError> {
        self.source.list_files(address, request).await
    }

    async fn read_file(&self, address: &str, request: v1::ReadFileRequest) -> Result<LogBytes, CallError> {
        self.source.read_file(address, request).await
    }

    async fn search_files(
        &self,
        address: &str,
        request: v1::SearchFilesRequest,
    ) -> Result<v1::FoundInFiles, CallError> {
        self.source.search_files(address, request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Seed, SeedOptions};

    #[tokio::test(start_paused = true)]
    async fn those_who_look_together_share_an_answer() {
        let shared = Shared::new(Seed::new(SeedOptions::small()));
        let (one, two) = tokio::join!(shared.cluster(), shared.cluster());
        assert!(Arc::ptr_eq(&one.unwrap(), &two.unwrap()));
        let cluster = shared.cluster().await.unwrap();
        let name = cluster.topologies[0].id.clone();
        let first = shared.topology(&name).await.unwrap();
        assert!(Arc::ptr_eq(&first, &shared.topology(&name).await.unwrap()));
        tokio::time::advance(FRESH).await;
        assert!(!Arc::ptr_eq(&first, &shared.topology(&name).await.unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_command_it_is_asked_anew() {
        let shared = Shared::new(Seed::new(SeedOptions::small()));
        let before = shared.cluster().await.unwrap();
        let command = v1::TopologyCommand { name: before.topologies[0].name.clone(), ..Default::default() };
        shared.command(Command::Deactivate(command)).await.ok();
        assert!(!Arc::ptr_eq(&before, &shared.cluster().await.unwrap()));
    }
}
