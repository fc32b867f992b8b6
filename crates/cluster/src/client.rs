//! The library zookeeper-client, which this file alone names.
//!
//! What it does that one would not expect, and where it is taken care of:
//!
//! - A client is one session, and `Expired` is its end: [`session`](crate::session) makes a new one.
//! - Persistent and recursive watches are lost at a reconnect, silently: only one-shot watches are used,
//!   and what they watch is read again at each reconnect and now and then.
//! - No operation has a deadline, and a future that is dropped does not take its request back:
//!   `session` waits with a deadline, sends nothing without a connection, and reads again what became
//!   of a write.
//! - A connection that is reset fails with an error that is not `ConnectionLoss`, and that the library's
//!   own retries do not know: all that is not definite is [`Failure::Broken`].
//! - The curator's lock prefix leaves a ghost when its future is dropped: only custom ones are used.
//! - A lock's node is removed in the background, but not if the connection is reset meanwhile:
//!   [`election`](crate::election) sweeps up its own nodes.
//! - Each clone of an owned lock releases the lock when it is dropped: [`Lock`] cannot be cloned.
//! - 1.1 MB in one request reset the connection: no more than [`LIMIT`](crate::LIMIT) is sent.
//! - `Expired` is seen at 1.4 times the timeout, when others lead already: `election` steps down earlier
//!   and fences its writes.
//! - States that follow each other fast are seen as one, and after the last there is silence:
//!   [`HealthWatcher::current`] is looked at first, and whatever comes is a reconnect.
//! - Dropping the only watch on a path asks the server to forget the path: a new watch is set before the
//!   old one is dropped.

use std::time::Duration;

use zookeeper_client as zk;

use crate::options::Options;

/// A session with ZooKeeper. It ends when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Client {
    inner: zk::Client,
    is_private: bool,
}

/// What the library says of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// All is well.
    Connected,
    /// No connection; the session may still live.
    Suspended,
    /// The session is over.
    Over,
}

/// Why an operation was not carried out, or that nobody knows whether it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Absent,
    Exists,
    Version,
    NotEmpty,
    Denied,
    /// Refused for a reason that will not go away.
    Refused(String),
    /// Neither done nor not done, for all that is known: the connection, the session or the time ended.
    Broken(String),
}

/// Why a transaction was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommitFailure {
    /// The lock is not held any more.
    Fence,
    /// The operation at this index did not fit.
    Operation(usize, Failure),
    /// The whole of it failed.
    Request(Failure),
}

/// A node as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) version: i32,
    /// The session that it lives with, or 0.
    pub(crate) owner: i64,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Create { path: String, bytes: Vec<u8>, ephemeral: bool },
    Set { path: String, bytes: Vec<u8>, version: Option<i32> },
    Delete { path: String, version: Option<i32> },
    Check { path: String, version: i32 },
}

impl Op {
    pub(crate) fn path(&self) -> &str {
        match self {
            Op::Create { path, .. }
            | Op::Set { path, .. }
            | Op::Delete { path, .. }
            | Op::Check { path, .. } => path,
        }
    }

    pub(crate) fn size(&self) -> usize {
        match self {
            Op::Create { bytes, .. } | Op::Set { bytes, .. } => bytes.len(),
            Op::Delete { .. } | Op::Check { .. } => 0,
        }
    }

    pub(crate) fn action(&self) -> &'static str {
        match self {
            Op::Create { .. } => "create",
            Op::Set { .. } => "set",
            Op::Delete { .. } => "delete",
            Op::Check { .. } => "check",
        }
    }
}

impl Client {
    /// Opens a session. Fails after about one session timeout if no server answers.
    pub(crate) async fn connect(options: &Options, servers: &str) -> Result<Client, String> {
        let mut connector = zk::Client::connector()
            .with_session_timeout(options.session_timeout)
            .with_connection_timeout(options.session_timeout / SILENCE);
        if let Some(auth) = &options.auth {
            connector = connector.with_auth("digest", auth.as_bytes());
        }
        match connector.connect(servers).await {
            Ok(inner) => Ok(Client { inner, is_private: options.auth.is_some() }),
            Err(zk::Error::Timeout) => {
                Err(format!("no server answered within {:?}", options.session_timeout))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) fn session(&self) -> i64 {
        self.inner.session_id().0
    }

    /// As the servers granted it.
    pub(crate) fn session_timeout(&self) -> Duration {
        self.inner.session_timeout()
    }

    pub(crate) fn is_connected(&self) -> bool {
        health(self.inner.state()) == Health::Connected
    }

    pub(crate) fn health(&self) -> HealthWatcher {
        HealthWatcher { inner: self.inner.state_watcher() }
    }

    /// Waits until what was written before is visible to the reads that follow.
    pub(crate) async fn sync(&self, path: &str) -> Result<(), Failure> {
        Ok(self.inner.sync(path).await?)
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Option<Content>, Failure> {
        match self.inner.get_data(path).await {
            Ok((bytes, stat)) => {
                Ok(Some(Content { bytes, version: stat.version, owner: stat.ephemeral_owner }))
            }
            Err(zk::Error::NoNode) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The node, and a watch on its content or on its coming.
    pub(crate) async fn get_watched(&self, path: &str) -> Result<(Option<Content>, Watcher), Failure> {
        loop {
            match self.inner.get_and_watch_data(path).await {
                Ok((bytes, stat, watcher)) => {
                    let content = Content { bytes, version: stat.version, owner: stat.ephemeral_owner };
                    return Ok((Some(content), Watcher { inner: watcher }));
                }
                Err(zk::Error::NoNode) => {
                    let (stat, watcher) = self.inner.check_and_watch_stat(path).await?;
                    // It may have come in between.
                    if stat.is_none() {
                        return Ok((None, Watcher { inner: watcher }));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(crate) async fn list(&self, path: &str) -> Result<Vec<String>, Failure> {
        Ok(self.inner.list_children(path).await?)
    }

    /// The names of the children, and a watch on these or on the coming of the node.
    pub(crate) async fn list_watched(&self, path: &str) -> Result<(Option<Vec<String>>, Watcher), Failure> {
        loop {
            match self.inner.list_and_watch_children(path).await {
                Ok((names, watcher)) => return Ok((Some(names), Watcher { inner: watcher })),
                Err(zk::Error::NoNode) => {
                    let (stat, watcher) = self.inner.check_and_watch_stat(path).await?;
                    if stat.is_none() {
                        return Ok((None, Watcher { inner: watcher }));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes a directory and those above it, where they lack.
    pub(crate) async fn make_directory(&self, path: &str) -> Result<(), Failure> {
        if path == "/" {
            return Ok(());
        }
        Ok(self.inner.mkdir(path, &zk::CreateMode::Persistent.with_acls(self.acls())).await?)
    }

    /// Carries out all of it or nothing, while the node `fence` is there. Returns the nodes' versions.
    pub(crate) async fn commit(&self, fence: Option<&str>, ops: &[Op]) -> Result<Vec<i32>, CommitFailure> {
        let result = match fence {
            Some(fence) => {
                let mut writer = self.inner.new_check_writer(fence, None)?;
                for op in ops {
                    match op {
                        Op::Create { path, bytes, ephemeral } => {
                            writer.add_create(path, bytes, &self.create_options(*ephemeral))?;
                        }
                        Op::Set { path, bytes, version } => writer.add_set_data(path, bytes, *version)?,
                        Op::Delete { path, version } => writer.add_delete(path, *version)?,
                        Op::Check { path, version } => writer.add_check_version(path, *version)?,
                    }
                }
                writer.commit().await.map_err(|error| match error {
                    zk::CheckWriteError::CheckFailed {
                        source: zk::Error::NoNode | zk::Error::BadVersion,
                    } => CommitFailure::Fence,
                    zk::CheckWriteError::CheckFailed { source } => CommitFailure::Request(source.into()),
                    zk::CheckWriteError::RequestFailed { source } => CommitFailure::Request(source.into()),
                    zk::CheckWriteError::OperationFailed { index, source } => {
                        CommitFailure::Operation(index, source.into())
                    }
                })
            }
            None => {
                let mut writer = self.inner.new_multi_writer();
                for op in ops {
                    match op {
                        Op::Create { path, bytes, ephemeral } => {
                            writer.add_create(path, bytes, &self.create_options(*ephemeral))?;
                        }
                        Op::Set { path, bytes, version } => writer.add_set_data(path, bytes, *version)?,
                        Op::Delete { path, version } => writer.add_delete(path, *version)?,
                        Op::Check { path, version } => writer.add_check_version(path, *version)?,
                    }
                }
                writer.commit().await.map_err(|error| match error {
                    zk::MultiWriteError::RequestFailed { source } => CommitFailure::Request(source.into()),
                    zk::MultiWriteError::OperationFailed { index, source } => {
                        CommitFailure::Operation(index, source.into())
                    }
                })
            }
        }?;
        Ok(result.iter().zip(ops).map(|(result, op)| version_after(result, op)).collect())
    }

    /// Waits for its turn to hold the lock of a directory. Dropping the future gives up the place.
    ///
    /// `mark` is part of the node's name, and must not have been used in this session before.
    pub(crate) async fn lock(&self, directory: &str, mark: &str, data: &[u8]) -> Result<Lock, Failure> {
        let prefix = zk::LockPrefix::new_custom(format!("{directory}/{mark}-{LATCH}"), LATCH)?;
        let lock = self.inner.lock(prefix, data, self.acls()).await?;
        Ok(Lock { inner: lock.into_owned() })
    }

    fn acls(&self) -> zk::Acls<'static> {
        if self.is_private { zk::Acls::creator_all() } else { zk::Acls::anyone_all() }
    }

    fn create_options(&self, ephemeral: bool) -> zk::CreateOptions<'static> {
        let mode = if ephemeral { zk::CreateMode::Ephemeral } else { zk::CreateMode::Persistent };
        mode.with_acls(self.acls())
    }
}

/// A connection that was silent for this part of the session timeout is given up. The library's own
/// 2/5 would leave a leader that was cut off too little time to step down before others lead.
const SILENCE: u32 = 3;

/// In the name of each node of the lock, before its number.
pub(crate) const LATCH: &str = "latch-";

/// Servers before 3.8.2 say nothing of nodes created in a transaction, so it is worked out.
fn version_after(result: &zk::MultiWriteResult, op: &Op) -> i32 {
    match (op, result) {
        (Op::Create { .. }, _) => 0,
        (Op::Set { version: Some(version), .. }, _) => version.wrapping_add(1),
        (Op::Set { version: None, .. }, zk::MultiWriteResult::SetData { stat }) => stat.version,
        (Op::Check { version, .. }, _) => *version,
        (Op::Set { .. } | Op::Delete { .. }, _) => -1,
    }
}

/// A lock that is held until this is dropped; its node goes a moment later.
pub(crate) struct Lock {
    inner: zk::OwnedLockClient,
}

impl Lock {
    pub(crate) fn path(&self) -> &str {
        self.inner.lock_path()
    }
}

/// Fires once.
pub(crate) struct Watcher {
    inner: zk::OneshotWatcher,
}

impl Watcher {
    /// Waits for a change of the node or for the end of the session.
    pub(crate) async fn fired(self) {
        self.inner.changed().await;
    }
}

/// Follows the state of a session.
pub(crate) struct HealthWatcher {
    inner: zk::StateWatcher,
}

impl HealthWatcher {
    pub(crate) fn current(&mut self) -> Health {
        health(self.inner.state())
    }

    /// Waits for the next state; for ever after [`Health::Over`] was seen.
    pub(crate) async fn changed(&mut self) -> Health {
        health(self.inner.changed().await)
    }
}

fn health(state: zk::SessionState) -> Health {
    match state {
        zk::SessionState::SyncConnected => Health::Connected,
        zk::SessionState::Disconnected | zk::SessionState::ConnectedReadOnly => Health::Suspended,
        zk::SessionState::AuthFailed | zk::SessionState::Expired | zk::SessionState::Closed => Health::Over,
    }
}

impl From<zk::Error> for Failure {
    fn from(error: zk::Error) -> Failure {
        match error {
            zk::Error::NoNode => Failure::Absent,
            zk::Error::NodeExists => Failure::Exists,
            zk::Error::BadVersion => Failure::Version,
            zk::Error::NotEmpty => Failure::NotEmpty,
            zk::Error::NoAuth => Failure::Denied,
            zk::Error::BadArguments(_)
            | zk::Error::NoChildrenForEphemerals
            | zk::Error::InvalidAcl
            | zk::Error::NotReadOnly
            | zk::Error::QuotaExceeded
            | zk::Error::Throttled
            | zk::Error::MarshallingError
            | zk::Error::Unimplemented => Failure::Refused(error.to_string()),
            _ => Failure::Broken(error.to_string()),
        }
    }
}

impl From<zk::Error> for CommitFailure {
    fn from(error: zk::Error) -> CommitFailure {
        CommitFailure::Request(error.into())
    }
}
