//! A node that lives as long as this process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::client::{Client, CommitFailure, Failure, Op, Watcher};
use crate::records::Record;
use crate::session::Core;

/// Whether a node of this process is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// Not yet, or not in this session, for all that is known.
    No,
    /// It is, in this session.
    Yes,
    /// Another live process holds a node of the same name: two with the same id or address.
    Taken,
}

/// Keeps a node for as long as this is not dropped; see [`Cluster::register`](crate::Cluster::register).
#[derive(Debug)]
pub struct Registration {
    content: watch::Sender<Vec<u8>>,
    registered: watch::Receiver<Registered>,
    /// Ends the task when it is dropped.
    _stop: watch::Sender<()>,
}

impl Registration {
    pub(crate) fn start(core: Arc<Core>, path: String, content: Vec<u8>) -> Registration {
        let (content_sender, content) = watch::channel(content);
        let (sender, registered) = watch::channel(Registered::No);
        let (stop, mut stopped) = watch::channel(());
        tokio::spawn(async move {
            let keeper = Keeper { core: &core, path: &path, sender };
            tokio::select! {
                biased;
                () = core.closed() => {}
                _ = stopped.changed() => keeper.remove().await,
                () = keeper.keep(content) => {}
            }
        });
        Registration { content: content_sender, registered, _stop: stop }
    }

    /// Changes what the node holds.
    pub fn update(&self, record: &impl Record) {
        self.content.send_replace(record.encode());
    }

    /// Whether it is there, and how that changes.
    pub fn state(&self) -> watch::Receiver<Registered> {
        self.registered.clone()
    }

    /// Waits until it is there.
    pub async fn registered(&self) {
        self.registered.clone().wait_for(|state| *state == Registered::Yes).await.ok();
    }

    /// Removes it, and waits until it is gone.
    pub async fn remove(self) {
        let Registration { content: _content, mut registered, _stop } = self;
        drop(_stop);
        // The task ends when it has removed the node.
        while registered.changed().await.is_ok() {}
    }
}

struct Keeper<'a> {
    core: &'a Core,
    path: &'a str,
    sender: watch::Sender<Registered>,
}

/// How long to wait after an attempt that failed.
const PAUSE: Duration = Duration::from_millis(50);

impl Keeper<'_> {
    /// Makes the node in each session, and whenever it is gone.
    async fn keep(&self, mut content: watch::Receiver<Vec<u8>>) {
        let mut link = self.core.link();
        let mut last_session = None;
        while let Some((client, epoch)) = self.core.ready().await {
            // What is there at the start of a session may be a former life of this process, and is
            // replaced. What comes later is another one: who started last has it.
            let may_replace = last_session != Some(epoch.0);
            let bytes = content.borrow_and_update().clone();
            let ensured = self.ensure(&client, &bytes, may_replace);
            let watcher = match timeout(self.core.options.operation_timeout, ensured).await {
                Ok(Ok((state, watcher))) => {
                    last_session = Some(epoch.0);
                    self.publish(state);
                    watcher
                }
                Ok(Err(failure)) => {
                    debug!(path = self.path, error = ?failure, "cannot register, trying again");
                    self.publish(Registered::No);
                    sleep(PAUSE).await;
                    continue;
                }
                Err(_) => {
                    self.publish(Registered::No);
                    continue;
                }
            };
            drop(client);
            tokio::select! {
                () = watcher.fired() => {}
                _ = content.changed() => {}
                () = sleep(self.core.options.resync) => {}
                _ = link.wait_for(|link| link.epoch() != Some(epoch)) => self.publish(Registered::No),
            }
        }
    }

    /// Makes the node what it should be, and watches it.
    async fn ensure(
        &self,
        client: &Client,
        bytes: &[u8],
        mut may_replace: bool,
    ) -> Result<(Registered, Watcher), Failure> {
        let path = self.path;
        // Kept until the next one is there: without any, the server would be asked to forget the path.
        let mut _last_watcher = None;
        loop {
            let (content, watcher) = client.get_watched(path).await?;
            let create = Op::Create { path: path.to_owned(), bytes: bytes.to_vec(), ephemeral: true };
            let ops = match content {
                None => vec![create],
                Some(now) if now.owner == client.session() && now.bytes == bytes => {
                    return Ok((Registered::Yes, watcher));
                }
                Some(now) if now.owner == client.session() => {
                    vec![Op::Set { path: path.to_owned(), bytes: bytes.to_vec(), version: Some(now.version) }]
                }
                Some(now) if may_replace => {
                    may_replace = false;
                    info!(path, "replacing what a former life of this process has left in zookeeper");
                    // In one step, so that nobody sees it missing.
                    vec![Op::Delete { path: path.to_owned(), version: Some(now.version) }, create]
                }
                Some(_) => return Ok((Registered::Taken, watcher)),
            };
            match client.commit(None, &ops).await {
                // Read again either way: to watch what is there now.
                Ok(_)
                | Err(CommitFailure::Operation(_, Failure::Absent | Failure::Exists | Failure::Version)) => {}
                Err(CommitFailure::Operation(_, failure) | CommitFailure::Request(failure)) => {
                    return Err(failure);
                }
                Err(CommitFailure::Fence) => return Err(Failure::Broken("no lock was asked for".to_owned())),
            }
            _last_watcher = Some(watcher);
        }
    }

    /// Removes the node if it is ours.
    async fn remove(&self) {
        let removal = async {
            while let Some((client, _)) = self.core.ready().await {
                let removed = async {
                    match client.get(self.path).await? {
                        Some(now) if now.owner == client.session() => {
                            let version = Some(now.version);
                            let delete = Op::Delete { path: self.path.to_owned(), version };
                            Ok::<_, Failure>(client.commit(None, &[delete]).await.is_ok())
                        }
                        _ => Ok(true),
                    }
                };
                if removed.await.unwrap_or(false) {
                    return;
                }
                sleep(PAUSE).await;
            }
        };
        if timeout(self.core.options.operation_timeout, removal).await.is_err() {
            debug!(path = self.path, "cannot remove it: it goes with the session");
        }
    }

    fn publish(&self, state: Registered) {
        let is_new = self.sender.send_if_modified(|last| std::mem::replace(last, state) != state);
        if is_new && state == Registered::Taken {
            warn!(path = self.path, "another live process has registered under the same name");
        }
    }
}
