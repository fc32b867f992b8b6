//! Many who look at the same share one question to Nimbus.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use storm_rpc::{CallError, v1};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::source::{Command, LogBytes, Source};
use crate::view::{ClusterView, TopologyView};

/// For so long an answer is given again; a failure, too, so that many who look wait for one.
const FRESH: Duration = Duration::from_millis(900);
/// Topologies whose answers are kept at most; then all are let go of.
const KEPT: usize = 1000;

/// A source that is asked the same at most about once a second.
pub struct Shared<S> {
    source: Arc<S>,
    cluster: Mutex<Option<Question<ClusterView>>>,
    topologies: Mutex<HashMap<String, Question<TopologyView>>>,
}

type Answer<T> = Result<Arc<T>, CallError>;

/// What was asked, and when; its answer goes to all who wait for it or come soon.
struct Question<T> {
    asked: Instant,
    answer: watch::Receiver<Option<(Instant, Answer<T>)>>,
}

impl<T: Send + Sync + 'static> Question<T> {
    /// Asks, whether or not those who wait stay.
    fn ask(ask: impl Future<Output = Answer<T>> + Send + 'static) -> Question<T> {
        let (tell, answer) = watch::channel(None);
        tokio::spawn(async move {
            let answer = ask.await;
            tell.send_replace(Some((Instant::now(), answer)));
        });
        Question { asked: Instant::now(), answer }
    }

    /// Whether somebody who comes now may have its answer. What came is dated by the question: what
    /// happened since then may be missing.
    fn is_fresh(&self) -> bool {
        match &*self.answer.borrow() {
            // A question that broke off is asked anew.
            None => self.answer.has_changed().is_ok(),
            Some((_, Ok(_))) => self.asked.elapsed() < FRESH,
            Some((at, Err(_))) => at.elapsed() < FRESH,
        }
    }
}

async fn answered<T>(mut answer: watch::Receiver<Option<(Instant, Answer<T>)>>) -> Answer<T> {
    match answer.wait_for(Option::is_some).await.as_deref() {
        Ok(Some((_, answer))) => answer.clone(),
        // Whoever asked panicked.
        _ => Err(CallError::other("the question to Nimbus broke off")),
    }
}

impl<S: Source + 'static> Shared<S> {
    /// Nobody has asked yet.
    pub fn new(source: S) -> Shared<S> {
        Shared { source: Arc::new(source), cluster: Mutex::default(), topologies: Mutex::default() }
    }

    fn forget(&self) {
        self.topologies.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *self.cluster.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[async_trait]
impl<S: Source + 'static> Source for Shared<S> {
    async fn cluster(&self) -> Answer<ClusterView> {
        let answer = {
            let mut kept = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
            let question = kept.take().filter(Question::is_fresh).unwrap_or_else(|| {
                let source = Arc::clone(&self.source);
                Question::ask(async move { source.cluster().await })
            });
            kept.insert(question).answer.clone()
        };
        answered(answer).await
    }

    async fn topology(&self, name: &str) -> Answer<TopologyView> {
        let answer = {
            let mut kept = self.topologies.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT {
                kept.clear();
            }
            let question = kept.remove(name).filter(Question::is_fresh).unwrap_or_else(|| {
                let (source, name) = (Arc::clone(&self.source), name.to_owned());
                Question::ask(async move { source.topology(&name).await })
            });
            kept.entry(name.to_owned()).or_insert(question).answer.clone()
        };
        answered(answer).await
    }

    async fn config(&self) -> Result<v1::DaemonConfig, CallError> {
        self.source.config().await
    }

    async fn command(&self, command: Command) -> Result<v1::RebalanceReply, CallError> {
        let answer = self.source.command(command).await;
        // Whoever looks next sees what it did.
        self.forget();
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::seed::{Seed, SeedOptions};

    /// Takes its time, and counts who asks; without a cluster it fails.
    struct Slow {
        takes: Duration,
        cluster: Option<Seed>,
        asked: Arc<AtomicUsize>,
    }

    #[async_trait]
    impl Source for Slow {
        async fn cluster(&self) -> Answer<ClusterView> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(self.takes).await;
            match &self.cluster {
                Some(seed) => seed.cluster().await,
                None => Err(CallError::other("away")),
            }
        }

        async fn topology(&self, _: &str) -> Answer<TopologyView> {
            Err(CallError::other("nobody asks this here"))
        }

        async fn config(&self) -> Result<v1::DaemonConfig, CallError> {
            Err(CallError::other("nobody asks this here"))
        }

        async fn command(&self, _: Command) -> Result<v1::RebalanceReply, CallError> {
            Err(CallError::other("nobody asks this here"))
        }

        async fn list_files(&self, _: &str, _: v1::ListFilesRequest) -> Result<Vec<v1::LogFile>, CallError> {
            Err(CallError::other("nobody asks this here"))
        }

        async fn read_file(&self, _: &str, _: v1::ReadFileRequest) -> Result<LogBytes, CallError> {
            Err(CallError::other("nobody asks this here"))
        }

        async fn search_files(
            &self,
            _: &str,
            _: v1::SearchFilesRequest,
        ) -> Result<v1::FoundInFiles, CallError> {
            Err(CallError::other("nobody asks this here"))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_because_others_wait() {
        for cluster in [None, Some(Seed::new(SeedOptions::small()))] {
            let (is_well, asked) = (cluster.is_some(), Arc::new(AtomicUsize::new(0)));
            let takes = Duration::from_secs(3);
            let shared = Shared::new(Slow { takes, cluster, asked: Arc::clone(&asked) });
            let begin = Instant::now();
            let answers = futures_util::future::join_all((0..20).map(|_| shared.cluster())).await;
            assert!(answers.iter().all(|answer| answer.is_ok() == is_well));
            assert_eq!((begin.elapsed(), asked.load(Ordering::Relaxed)), (takes, 1));
            // A failure holds for a moment, too; an answer that took long is old already.
            shared.cluster().await.ok();
            assert_eq!(asked.load(Ordering::Relaxed), if is_well { 2 } else { 1 });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_is_answered_though_who_asked_has_left() {
        let (asked, takes) = (Arc::new(AtomicUsize::new(0)), Duration::from_secs(1));
        let cluster = Some(Seed::new(SeedOptions::small()));
        let shared = Shared::new(Slow { takes, cluster, asked: Arc::clone(&asked) });
        let impatient = tokio::time::timeout(Duration::from_millis(1), shared.cluster());
        assert!(impatient.await.is_err());
        tokio::time::sleep(Duration::from_secs(60)).await;
        // What came a minute ago is not passed off as new.
        shared.cluster().await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

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
