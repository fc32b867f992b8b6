//! One session with ZooKeeper after the other, and operations that outlive each of them.
//!
//! ```text
//! Connecting ──▶ Connected ◀──▶ Suspended ──▶ Expired ──▶ Connected (a new session) …
//! ```

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, error, info, warn};

use crate::client::{Client, CommitFailure, Failure, Health, Op};
use crate::election::Election;
use crate::error::Error;
use crate::options::Options;
use crate::paths::Paths;
use crate::registration::Registration;
use crate::transaction::{Transaction, Verdict, check_size, judge_all};

/// How this process and ZooKeeper get on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionState {
    /// There was no session yet.
    Connecting,
    /// All is well.
    Connected {
        /// ZooKeeper's number of the session.
        session: i64,
    },
    /// No connection. The session may live on, and so may what depends on it, for all that is known.
    Suspended {
        /// Since when.
        since: Instant,
    },
    /// The session is over, and everything that depended on it. A new one is being made.
    Expired,
    /// [`Cluster::close`] was called.
    Closed,
}

/// This process's part in what the daemons of a cluster share. Clones are the same session.
///
/// When the last clone is dropped, the session ends in the background; [`close`](Cluster::close) waits
/// for it. It needs a tokio runtime.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) core: Arc<Core>,
    /// Ends the session when the last handle goes.
    _owner: Arc<Owner>,
}

struct Owner(Arc<Core>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.closing.send_replace(true);
    }
}

/// What the tasks share. They hold no [`Cluster`], so that they do not keep it alive.
pub(crate) struct Core {
    pub(crate) options: Options,
    pub(crate) paths: Paths,
    servers: String,
    link: watch::Sender<Link>,
    state: watch::Sender<SessionState>,
    closing: watch::Sender<bool>,
}

/// The session as it is now.
#[derive(Clone)]
pub(crate) struct Link {
    /// None between two sessions.
    client: Option<Client>,
    pub(crate) state: SessionState,
    /// How often the connection came back, over all sessions.
    pub(crate) reconnects: u64,
    /// How long the last interruption was.
    pub(crate) last_outage: Duration,
    /// Why there is no connection.
    reason: String,
}

/// A session and how often its connection came back: what was read under another is to be read again.
pub(crate) type Epoch = (i64, u64);

impl Link {
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        match self.state {
            SessionState::Connected { session } => Some((session, self.reconnects)),
            _ => None,
        }
    }

    /// The client, if a request would be sent at once. Without a connection, the library would keep
    /// requests and send them whenever there is one, long after their callers have given up.
    fn ready(&self) -> Option<(Client, Epoch)> {
        let epoch = self.epoch()?;
        let client = self.client.as_ref().filter(|client| client.is_connected())?;
        Some((client.clone(), epoch))
    }
}

/// How long to wait before ZooKeeper is asked again after an answer that helps nobody.
const PAUSE: Duration = Duration::from_millis(20);
/// How long to wait between two attempts to open a session.
const RETRY: Duration = Duration::from_millis(200);
/// How long [`Cluster::close`] waits for ZooKeeper to hear of it.
const GOODBYE: Duration = Duration::from_secs(2);

impl Cluster {
    /// Starts to look for ZooKeeper, in the background and for as long as it takes.
    ///
    /// # Errors
    /// [`Error::BadOption`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(options: Options) -> Result<Cluster, Error> {
        let core = Arc::new(Core {
            servers: options.connect_string()?,
            paths: Paths::new(&options.root)?,
            options,
            link: watch::Sender::new(Link {
                client: None,
                state: SessionState::Connecting,
                reconnects: 0,
                last_outage: Duration::ZERO,
                reason: "no server has answered yet".to_owned(),
            }),
            state: watch::Sender::new(SessionState::Connecting),
            closing: watch::Sender::new(false),
        });
        tokio::spawn(sessions(core.clone()));
        Ok(Cluster { _owner: Arc::new(Owner(core.clone())), core })
    }

    /// Like [`start`](Cluster::start), and waits for the first session.
    ///
    /// # Errors
    /// [`Error::BadOption`], and [`Error::Unreachable`] if there is none within the time for an
    /// operation and that for a session; it is not looked for any longer then.
    pub async fn connect(options: Options) -> Result<Cluster, Error> {
        let patience = options.operation_timeout + options.session_timeout;
        let cluster = Cluster::start(options)?;
        cluster.core.connected(Instant::now() + patience).await?;
        Ok(cluster)
    }

    /// How it is now, and how it changes.
    pub fn state(&self) -> watch::Receiver<SessionState> {
        self.core.state.subscribe()
    }

    /// Waits for a session.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if there is none in this time; it is still looked for.
    pub async fn wait_connected(&self, patience: Duration) -> Result<(), Error> {
        self.core.connected(Instant::now() + patience).await.map(drop)
    }

    /// Where the nodes are.
    pub fn paths(&self) -> &Paths {
        &self.core.paths
    }

    /// The options that it was started with.
    pub fn options(&self) -> &Options {
        &self.core.options
    }

    /// An empty transaction.
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.core.paths.clone())
    }

    /// Keeps a node with this content for as long as this process lives: it is made again in each new
    /// session, and whenever somebody removes it.
    ///
    /// A node that an earlier life of this process has left behind is replaced.
    pub fn register(&self, path: &str, record: &impl crate::Record) -> Registration {
        Registration::start(self.core.clone(), path.to_owned(), record.encode())
    }

    /// Takes part in the election of the leader until the [`Election`] is dropped or resigns, as the
    /// Nimbus that is reached at this address. One at a time for each [`Cluster`].
    pub fn contend(&self, host: &str, port: u16) -> Election {
        Election::start(self.core.clone(), host, port)
    }

    /// Carries out all writes or none. Returns the versions of the nodes, -1 for those removed.
    ///
    /// What only the leader may write goes through [`LeaderToken::multi`](crate::LeaderToken::multi).
    ///
    /// # Errors
    /// That of the first write that does not fit; see [`Error`].
    pub async fn multi(&self, transaction: &Transaction) -> Result<Vec<i32>, Error> {
        self.core.commit(None, &transaction.ops).await
    }

    /// Ends the session, and with it all that depends on it, and waits until ZooKeeper knows.
    pub async fn close(self) {
        self.core.closing.send_replace(true);
        let mut state = self.core.state.subscribe();
        timeout(2 * GOODBYE, state.wait_for(|state| *state == SessionState::Closed)).await.ok();
    }
}

/// The life of a [`Cluster`].
async fn sessions(core: Arc<Core>) {
    while !core.is_closing() {
        let client = tokio::select! {
            biased;
            () = core.closed() => break,
            client = Client::connect(&core.options, &core.servers) => client,
        };
        let ended = match client {
            Ok(client) => core.follow(client).await,
            Err(reason) => {
                warn!(servers = core.servers, error = reason, "no session with zookeeper, trying again");
                core.update(|link| link.reason = reason);
                true
            }
        };
        if !ended {
            break;
        }
        tokio::select! {
            biased;
            () = core.closed() => break,
            () = sleep(RETRY) => {}
        }
    }
    core.update(|link| {
        link.client = None;
        link.state = SessionState::Closed;
    });
    core.state.send_replace(SessionState::Closed);
}

impl Core {
    /// Follows a session to its end; false if that is ours.
    async fn follow(&self, client: Client) -> bool {
        let mut health = client.health();
        let session = client.session();
        tokio::select! {
            biased;
            () = self.closed() => {}
            prepared = self.prepare(&client) => if let Err(reason) = prepared {
                error!(servers = self.servers, error = reason, "cannot use zookeeper, trying again");
                self.update(|link| link.reason = reason);
                return true;
            },
        }
        info!(session = format_args!("{session:#x}"), timeout = ?client.session_timeout(), "session with zookeeper");
        // From here on each change is seen, so that whoever waits for the connection is told of it.
        let mut now = health.current();
        self.update(|link| link.client = Some(client));
        loop {
            match now {
                Health::Connected => self.connected_again(session),
                Health::Suspended => self.suspended(),
                Health::Over => {
                    warn!(session = format_args!("{session:#x}"), "session with zookeeper expired");
                    self.update(|link| {
                        link.client = None;
                        link.reason = "the session expired".to_owned();
                        link.state = SessionState::Expired;
                    });
                    return true;
                }
            }
            now = tokio::select! {
                biased;
                () = self.closed() => break,
                health = health.changed() => health,
            };
        }
        // The session ends when its last client goes: those of running operations soon will.
        self.link.send_modify(|link| link.client = None);
        let over = async { while health.changed().await != Health::Over {} };
        if timeout(GOODBYE, over).await.is_err() {
            debug!("zookeeper does not answer our goodbye: the session will expire");
        }
        false
    }

    /// For the first time, or again: an interruption that was short may not have been seen itself.
    fn connected_again(&self, session: i64) {
        self.update(|link| {
            link.last_outage = Duration::ZERO;
            if let SessionState::Suspended { since } = link.state {
                link.last_outage = since.elapsed();
                info!(outage = ?link.last_outage, "connected to zookeeper again");
            }
            link.reconnects += 1;
            link.state = SessionState::Connected { session };
        });
    }

    fn suspended(&self) {
        warn!(servers = self.servers, "connection to zookeeper lost");
        self.update(|link| {
            link.reason = "the connection was lost".to_owned();
            if !matches!(link.state, SessionState::Suspended { .. }) {
                link.state = SessionState::Suspended { since: Instant::now() };
            }
        });
    }

    /// Makes the directories.
    async fn prepare(&self, client: &Client) -> Result<(), String> {
        let all = async {
            for directory in self.paths.directories() {
                client.make_directory(&directory).await.map_err(|failure| match failure {
                    Failure::Denied => Error::Denied { action: "create", path: directory }.to_string(),
                    failure => format!("cannot create {directory}: {failure:?}"),
                })?;
            }
            Ok(())
        };
        let late = |_| Err("no answer".to_owned());
        timeout(self.options.operation_timeout, all).await.unwrap_or_else(late)
    }

    /// Changes the link; only the task that follows the session does so.
    fn update(&self, change: impl FnOnce(&mut Link)) {
        let mut link = self.link.borrow().clone();
        change(&mut link);
        // First what others are told, so that nobody who has just used the link finds it to be older.
        self.state.send_if_modified(|last| {
            // `close` waits for this one, which comes when all is done.
            let is_new = *last != link.state && link.state != SessionState::Closed;
            if is_new {
                last.clone_from(&link.state);
            }
            is_new
        });
        self.link.send_replace(link);
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Waits until [`Cluster::close`] is called.
    pub(crate) async fn closed(&self) {
        self.closing.subscribe().wait_for(|closing| *closing).await.ok();
    }

    pub(crate) fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    /// Waits for a session with a connection, for ever; None when the cluster is closed.
    pub(crate) async fn ready(&self) -> Option<(Client, Epoch)> {
        let mut link = self.link();
        tokio::select! {
            biased;
            () = self.closed() => None,
            ready = link.wait_for(|link| link.ready().is_some()) => ready.ok()?.ready(),
            // The state may have changed again since it was found to fit.
        }
    }

    /// Waits for a session with a connection.
    async fn connected(&self, deadline: Instant) -> Result<(Client, Epoch), Error> {
        loop {
            match timeout_at(deadline, self.ready()).await {
                Ok(Some(ready)) => return Ok(ready),
                Ok(None) if self.is_closing() => return Err(Error::Closed),
                Ok(None) => {}
                Err(_) => {
                    let reason = self.link.borrow().reason.clone();
                    return Err(Error::Unreachable { servers: self.servers.clone(), reason });
                }
            }
        }
    }

    /// Reads, again if need be, until the time is up.
    pub(crate) async fn read<T, F>(
        &self,
        action: &'static str,
        path: &str,
        read: impl Fn(Client) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let deadline = Instant::now() + self.options.operation_timeout;
        self.read_until(deadline, action, path, read).await
    }

    async fn read_until<T, F>(
        &self,
        deadline: Instant,
        action: &'static str,
        path: &str,
        read: impl Fn(Client) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        loop {
            let (client, _) = self.connected(deadline).await?;
            let attempt = async {
                tokio::select! {
                    biased;
                    () = self.closed() => Err(Error::Closed),
                    result = timeout_at(deadline, read(client)) => Ok(result),
                }
            };
            match attempt.await? {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(Failure::Broken(reason))) if Instant::now() + PAUSE < deadline => {
                    debug!(action, path, error = reason, "reading again");
                    sleep(PAUSE).await;
                }
                Ok(Err(Failure::Broken(reason))) => {
                    return Err(Error::Unanswered { action, path: path.to_owned(), reason });
                }
                Ok(Err(failure)) => return Err(definite(failure, action, path)),
                Err(_) => {
                    let reason = format!("no answer within {:?}", self.options.operation_timeout);
                    return Err(Error::Unanswered { action, path: path.to_owned(), reason });
                }
            }
        }
    }

    /// Carries out all writes or none; with a fence only while that node is there, in that session.
    pub(crate) async fn commit(&self, fence: Option<(&str, i64)>, ops: &[Op]) -> Result<Vec<i32>, Error> {
        check_size(ops)?;
        let Some(first) = ops.first() else {
            return Ok(Vec::new());
        };
        let deadline = Instant::now() + self.options.operation_timeout;
        loop {
            let (client, (session, _)) = self.connected(deadline).await?;
            if fence.is_some_and(|(_, owner)| owner != session) {
                return Err(Error::Deposed);
            }
            let lock = fence.map(|(lock, _)| lock);
            let result = timeout_at(deadline, client.commit(lock, ops)).await;
            drop(client);
            let reason = match result {
                Ok(Ok(versions)) => return Ok(versions),
                Ok(Err(CommitFailure::Fence)) => return Err(Error::Deposed),
                Ok(Err(CommitFailure::Operation(index, failure)))
                    if !matches!(failure, Failure::Broken(_)) =>
                {
                    let op = ops.get(index).unwrap_or(first);
                    return Err(definite(failure, op.action(), op.path()));
                }
                Ok(Err(CommitFailure::Request(failure))) if !matches!(failure, Failure::Broken(_)) => {
                    return Err(definite(failure, first.action(), first.path()));
                }
                Ok(Err(
                    CommitFailure::Request(Failure::Broken(reason))
                    | CommitFailure::Operation(_, Failure::Broken(reason)),
                )) => reason,
                Ok(Err(failure)) => format!("{failure:?}"),
                Err(_) => format!("no answer within {:?}", self.options.operation_timeout),
            };
            debug!(
                action = first.action(),
                path = first.path(),
                error = reason,
                "outcome unknown, reading again"
            );
            let unknown = |reason| {
                let path = first.path().to_owned();
                Err(Error::OutcomeUnknown { action: first.action(), path, reason })
            };
            match self.settle(ops, session).await {
                Ok((Verdict::Applied, versions)) => return Ok(versions),
                Ok((Verdict::NotApplied, _)) if Instant::now() < deadline => {}
                Ok((Verdict::NotApplied, _)) => {
                    // It was not carried out, and as all requests go one after the other, it will not be.
                    return Err(Error::Unreachable { servers: self.servers.clone(), reason });
                }
                Ok((Verdict::Unclear, _)) => return unknown(reason),
                Err(Error::Closed) => return Err(Error::Closed),
                Err(error) => return unknown(format!("{reason}, and then: {error}")),
            }
        }
    }

    /// Finds out whether writes were carried out whose answer has not come, and the nodes' versions.
    async fn settle(&self, ops: &[Op], session: i64) -> Result<(Verdict, Vec<i32>), Error> {
        let deadline = Instant::now() + self.options.operation_timeout;
        let mut verdicts = Vec::with_capacity(ops.len());
        let mut versions = Vec::with_capacity(ops.len());
        for op in ops {
            let path = op.path();
            let now = self
                .read_until(deadline, "get", path, |client| async move {
                    // Another server than that which got the write may not have heard of it yet.
                    client.sync(path).await?;
                    client.get(path).await
                })
                .await?;
            verdicts.push(op.judge(now.as_ref(), session));
            versions.push(match (op, now) {
                (Op::Delete { .. }, _) | (_, None) => -1,
                (_, Some(now)) => now.version,
            });
        }
        Ok((judge_all(verdicts), versions))
    }
}

/// Names what ZooKeeper has refused.
fn definite(failure: Failure, action: &'static str, path: &str) -> Error {
    let path = path.to_owned();
    match failure {
        Failure::Absent => Error::Absent { path },
        Failure::Exists => Error::Exists { path },
        Failure::Version => Error::Changed { path },
        Failure::NotEmpty => Error::NotEmpty { path },
        Failure::Denied => Error::Denied { action, path },
        Failure::Refused(reason) | Failure::Broken(reason) => Error::Refused { action, path, reason },
    }
}
