//! Who leads, and the writes that only the leader may make.
//!
//! Every Nimbus has a node in `leader-lock`; the lowest number leads. A leader that is cut off learns
//! only at 1.4 times the session timeout that its session is over, while another may lead since 1.0
//! times. Therefore it steps down half a timeout after the connection was lost, which is itself seen
//! after a third of it, and each of its writes is one transaction with the check that its node is still
//! there: whatever it believes, a deposed leader changes nothing.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use storm_model::TopologyId;
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};
use tracing::{debug, info, warn};

use crate::client::{Client, Failure, LATCH, Lock, Op};
use crate::error::Error;
use crate::records::{ClusterIdRecord, ErrorsRecord, LeaderRecord, Record, TombstoneRecord};
use crate::session::{Core, SessionState};
use crate::store::decode;
use crate::transaction::Transaction;

/// Whether this process leads.
#[derive(Clone, Debug)]
pub enum Leadership {
    /// It does not.
    Following,
    /// It does, as long as the token is valid.
    Leading(LeaderToken),
}

/// A part in the election. Dropping it gives it up, in the background; [`resign`](Election::resign)
/// waits until somebody else may lead.
#[derive(Debug)]
pub struct Election {
    leadership: watch::Receiver<Leadership>,
    /// Ends the task when it is dropped.
    stop: watch::Sender<()>,
}

/// The right to write what only the leader writes. Clones are the same right.
#[derive(Clone)]
pub struct LeaderToken {
    core: Arc<Core>,
    session: i64,
    lock: Arc<str>,
    /// Half of the session timeout.
    grace: Duration,
    revoked: watch::Sender<bool>,
}

/// How long to wait after an attempt that failed.
const PAUSE: Duration = Duration::from_millis(50);

impl Election {
    pub(crate) fn start(core: Arc<Core>, host: &str, port: u16) -> Election {
        let (sender, leadership) = watch::channel(Leadership::Following);
        let (stop, mut stopped) = watch::channel(());
        let mark = format!("{:016x}", SmallRng::from_os_rng().random::<u64>());
        let mut candidate = Candidate {
            core: core.clone(),
            host: host.to_owned(),
            port,
            mark,
            sender,
            round: 0,
            reign: None,
        };
        tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = stopped.changed() => {}
                () = core.closed() => {}
                () = candidate.contend() => {}
            }
            candidate.resign().await;
        });
        Election { leadership, stop }
    }

    /// Whether this process leads now.
    pub fn leadership(&self) -> Leadership {
        self.leadership.borrow().clone()
    }

    /// Waits for a change, and returns what it is now.
    ///
    /// # Errors
    /// [`Error::Closed`] once the cluster is closed.
    pub async fn changed(&mut self) -> Result<Leadership, Error> {
        self.leadership.changed().await.map_err(|_| Error::Closed)?;
        Ok(self.leadership.borrow_and_update().clone())
    }

    /// Waits until this process leads.
    ///
    /// # Errors
    /// [`Error::Closed`] once the cluster is closed.
    pub async fn leading(&mut self) -> Result<LeaderToken, Error> {
        loop {
            if let Leadership::Leading(token) = &*self.leadership.borrow_and_update()
                && token.is_valid()
            {
                return Ok(token.clone());
            }
            self.leadership.changed().await.map_err(|_| Error::Closed)?;
        }
    }

    /// Steps down and out, and waits until the next one may lead, for twice the operation timeout at most:
    /// where ZooKeeper does not answer, the next one leads when this session is over.
    pub async fn resign(self) {
        let Election { mut leadership, stop } = self;
        drop(stop);
        while leadership.changed().await.is_ok() {}
    }
}

struct Candidate {
    core: Arc<Core>,
    host: String,
    port: u16,
    /// In the names of this one's nodes.
    mark: String,
    /// How often it has stood in line: the library must not meet a former node of ours.
    round: u64,
    sender: watch::Sender<Leadership>,
    reign: Option<Reign>,
}

/// The lock and the right that comes with it.
struct Reign {
    lock: Lock,
    token: LeaderToken,
}

impl Candidate {
    /// Stands in line, leads, and stands in line again.
    async fn contend(&mut self) {
        while let Some((client, _)) = self.core.ready().await {
            let result = async {
                self.sweep(&client).await?;
                self.wait_for_turn(&client).await?;
                self.accede(&client).await
            };
            match result.await {
                Ok(()) => {
                    drop(client);
                    let why = self.lead().await;
                    warn!(reason = why, "leads no longer");
                }
                Err(failure) => {
                    debug!(error = ?failure, "cannot stand for election, trying again");
                    sleep(PAUSE).await;
                }
            }
            self.step_down();
        }
    }

    /// Waits for the lock.
    async fn wait_for_turn(&mut self, client: &Client) -> Result<(), Failure> {
        let directory = self.core.paths.leader_lock();
        self.round += 1;
        let mark = format!("{}-{}", self.mark, self.round);
        let address = format!("{}:{}", self.host, self.port);
        let first_but_not_told = async {
            let mut ticks = interval(self.core.options.resync);
            let mut suspicions = 0;
            while suspicions < 2 {
                ticks.tick().await;
                let names = client.list(&directory).await.unwrap_or_default();
                let is_first = first_in_line(&names).is_some_and(|name| name.starts_with(&mark));
                suspicions = if is_first { suspicions + 1 } else { 0 };
            }
        };
        let lock = tokio::select! {
            biased;
            lock = client.lock(&directory, &mark, address.as_bytes()) => lock?,
            // The watch on the node before ours got lost.
            () = first_but_not_told => return Err(Failure::Broken("nobody told us that it is our turn".into())),
        };
        let token = LeaderToken {
            core: self.core.clone(),
            session: client.session(),
            lock: lock.path().into(),
            grace: client.session_timeout() / 2,
            revoked: watch::Sender::new(false),
        };
        self.reign = Some(Reign { lock, token });
        Ok(())
    }

    /// Says where the leader is reached, and that it is this process.
    async fn accede(&mut self, client: &Client) -> Result<(), Failure> {
        let Some(Reign { token, .. }) = &self.reign else {
            return Ok(());
        };
        let path = self.core.paths.leader();
        let since_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let record = LeaderRecord { host: self.host.clone(), port: self.port, since_ms };
        loop {
            client.sync(&path).await?;
            let mut ops = Vec::new();
            if let Some(now) = client.get(&path).await? {
                // The former leader's, whose session may go on.
                ops.push(Op::Delete { path: path.clone(), version: Some(now.version) });
            }
            ops.push(Op::Create { path: path.clone(), bytes: record.encode(), ephemeral: true });
            match token.commit(&ops).await {
                Ok(_) => break,
                Err(Error::Absent { .. } | Error::Exists { .. } | Error::Changed { .. }) => {}
                Err(error) => return Err(Failure::Broken(error.to_string())),
            }
        }
        // What the former leader has written is to be seen before anything is decided.
        client.sync(self.core.paths.root()).await?;
        info!(host = self.host, port = self.port, "leads");
        self.sender.send_replace(Leadership::Leading(token.clone()));
        Ok(())
    }

    /// Leads until that is over; says why it is.
    async fn lead(&self) -> &'static str {
        let Some(Reign { token, .. }) = &self.reign else {
            return "there is no lock";
        };
        let mut link = self.core.link();
        let mut reconnects = link.borrow_and_update().reconnects;
        loop {
            let state = link.borrow().state.clone();
            match state {
                SessionState::Connected { session } if session != token.session => {
                    return "the session expired";
                }
                SessionState::Connected { .. } => {
                    let now = link.borrow().clone();
                    if now.reconnects != reconnects && now.last_outage >= token.grace {
                        return "the connection was lost for too long";
                    }
                    reconnects = now.reconnects;
                    tokio::select! {
                        _ = link.changed() => {}
                        () = self.lock_is_gone(token) => return "somebody has removed its lock",
                    }
                }
                SessionState::Suspended { since } => {
                    tokio::select! {
                        biased;
                        () = sleep_until(since + token.grace) => {
                            return "the connection was lost for too long";
                        }
                        _ = link.changed() => {}
                    }
                }
                SessionState::Connecting | SessionState::Expired | SessionState::Closed => {
                    return "the session expired";
                }
            }
        }
    }

    /// Waits until the node of the lock is not there.
    async fn lock_is_gone(&self, token: &LeaderToken) {
        while let Some((client, (session, _))) = self.core.ready().await {
            if session != token.session {
                return;
            }
            match client.get_watched(&token.lock).await {
                Ok((None, _)) => return,
                Ok((Some(_), watcher)) => {
                    drop(client);
                    tokio::select! {
                        () = watcher.fired() => {}
                        () = sleep(self.core.options.resync) => {}
                    }
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Takes the right away. The lock's node goes in the background, or with the next sweep.
    fn step_down(&mut self) {
        if let Some(Reign { token, lock }) = self.reign.take() {
            token.revoked.send_replace(true);
            self.sender.send_replace(Leadership::Following);
            drop(lock);
        }
    }

    /// Steps down, and leaves nothing behind for others to wait for.
    async fn resign(&mut self) {
        if let Some(Reign { token, lock }) = self.reign.take() {
            token.revoked.send_replace(true);
            self.sender.send_replace(Leadership::Following);
            info!(host = self.host, port = self.port, "resigns");
            // Not through the token's own checks: it is revoked.
            let leader = self.core.paths.leader();
            let given_up = async {
                if let Some((client, (session, _))) = self.core.ready().await
                    && session == token.session
                {
                    let delete = |path: &str| Op::Delete { path: path.to_owned(), version: None };
                    client.commit(None, &[delete(&leader), delete(lock.path())]).await.ok();
                }
            };
            // Where nobody answers, the nodes go with the session.
            timeout(self.core.options.operation_timeout, given_up).await.ok();
            drop(lock);
        }
        let swept = async {
            while let Some((client, _)) = self.core.ready().await {
                if self.sweep(&client).await.is_ok() {
                    break;
                }
                sleep(PAUSE).await;
            }
        };
        timeout(self.core.options.operation_timeout, swept).await.ok();
    }

    /// Removes the nodes of former rounds: the library does so in the background, but gives up when the
    /// connection is reset meanwhile, and the next round would wait for a ghost.
    async fn sweep(&self, client: &Client) -> Result<(), Failure> {
        let directory = self.core.paths.leader_lock();
        client.sync(&directory).await?;
        for name in client.list(&directory).await? {
            if !name.starts_with(&self.mark) {
                continue;
            }
            let path = format!("{directory}/{name}");
            // One that another session of ours has left goes with that, or now.
            let delete = Op::Delete { path, version: None };
            match client.commit(None, &[delete]).await {
                Ok(_) | Err(crate::client::CommitFailure::Operation(_, Failure::Absent)) => {}
                Err(failure) => return Err(Failure::Broken(format!("{failure:?}"))),
            }
        }
        Ok(())
    }
}

/// The name with the lowest number.
fn first_in_line(names: &[String]) -> Option<&String> {
    let number = |name: &&String| name.rsplit_once(LATCH)?.1.parse::<i64>().ok();
    names.iter().filter(|name| number(name).is_some()).min_by_key(number)
}

impl LeaderToken {
    /// Whether this process may still believe that it leads. A write finds out for certain.
    pub fn is_valid(&self) -> bool {
        if *self.revoked.borrow() {
            return false;
        }
        match self.core.link().borrow().state {
            SessionState::Connected { session } => session == self.session,
            SessionState::Suspended { since } => Instant::now() < since + self.grace,
            SessionState::Connecting | SessionState::Expired | SessionState::Closed => false,
        }
    }

    /// Waits until it is not valid any more.
    pub async fn lost(&self) {
        self.revoked.subscribe().wait_for(|revoked| *revoked).await.ok();
    }

    /// Adds a node.
    ///
    /// # Errors
    /// [`Error::Deposed`] if this process leads no longer; otherwise see [`Error`].
    pub async fn create(&self, path: &str, record: &impl Record) -> Result<i32, Error> {
        self.one(self.transaction().create(path, record)).await
    }

    /// Overwrites a node, if it still has this version. Returns its new one.
    ///
    /// # Errors
    /// As for [`create`](LeaderToken::create).
    pub async fn set(&self, path: &str, record: &impl Record, version: i32) -> Result<i32, Error> {
        self.one(self.transaction().set(path, record, version)).await
    }

    /// Removes a node, if it still has this version; whatever it has with `None`.
    ///
    /// # Errors
    /// As for [`create`](LeaderToken::create).
    pub async fn delete(&self, path: &str, version: Option<i32>) -> Result<(), Error> {
        self.one(self.transaction().delete(path, version)).await.map(drop)
    }

    /// Adds a node or overwrites it, whatever its version. Returns the new one.
    ///
    /// # Errors
    /// As for [`create`](LeaderToken::create).
    pub async fn put(&self, path: &str, record: &impl Record) -> Result<i32, Error> {
        loop {
            let set = Op::Set { path: path.to_owned(), bytes: record.encode(), version: None };
            match self.one(self.transaction().push(set)).await {
                Err(Error::Absent { .. }) => {}
                result => return result,
            }
            match self.create(path, record).await {
                Err(Error::Exists { .. }) => {}
                result => return result,
            }
        }
    }

    /// Carries out all writes or none. Returns the versions of the nodes, -1 for those removed.
    ///
    /// # Errors
    /// As for [`create`](LeaderToken::create); that of the first write that does not fit.
    pub async fn multi(&self, transaction: &Transaction) -> Result<Vec<i32>, Error> {
        self.commit(&transaction.ops).await
    }

    /// Gives the cluster this id unless it has one; returns the one that it has.
    ///
    /// # Errors
    /// As for [`create`](LeaderToken::create).
    pub async fn ensure_cluster_id(&self, id: &str) -> Result<ClusterIdRecord, Error> {
        let path = self.core.paths.cluster_id();
        loop {
            if let Some(now) = self.read(&path).await? {
                return Ok(decode(&path, &now)?.value);
            }
            let record = ClusterIdRecord { id: id.to_owned() };
            match self.create(&path, &record).await {
                Err(Error::Exists { .. }) => {}
                result => return result.map(|_| record),
            }
        }
    }

    /// Replaces the list of a topology's errors.
    ///
    /// # Errors
    /// As for [`create`](LeaderToken::create).
    pub async fn put_errors(&self, id: &TopologyId, errors: &ErrorsRecord) -> Result<i32, Error> {
        self.put(&self.core.paths.errors_of(id), errors).await
    }

    /// Removes a topology of this version, its assignment and its errors, and writes its tombstone: all
    /// in one step, with whatever else is in `with`.
    ///
    /// # Errors
    /// As for [`create`](LeaderToken::create).
    pub async fn remove_topology(
        &self,
        tombstone: &TombstoneRecord,
        version: i32,
        with: &Transaction,
    ) -> Result<(), Error> {
        let paths = &self.core.paths;
        let id = &tombstone.id;
        loop {
            let mut transaction = with.clone();
            transaction.delete(&paths.topology(id), Some(version));
            let mut others = Vec::new();
            for path in [paths.assignment(id), paths.errors_of(id)] {
                if let Some(now) = self.read(&path).await? {
                    transaction.delete(&path, Some(now.version));
                    others.push(path);
                }
            }
            match self.read(&paths.tombstone(id)).await? {
                Some(now) => transaction.set(&paths.tombstone(id), tombstone, now.version),
                None => transaction.create(&paths.tombstone(id), tombstone),
            };
            match self.multi(&transaction).await {
                // One of them came, went or changed since it was looked at.
                Err(Error::Absent { path } | Error::Changed { path } | Error::Exists { path })
                    if others.contains(&path) || path == paths.tombstone(id) => {}
                result => return result.map(drop),
            }
        }
    }

    async fn read(&self, path: &str) -> Result<Option<crate::client::Content>, Error> {
        self.core.read("get", path, |client| async move { client.get(path).await }).await
    }

    fn transaction(&self) -> Transaction {
        Transaction::new(self.core.paths.clone())
    }

    async fn one(&self, transaction: &Transaction) -> Result<i32, Error> {
        Ok(self.multi(transaction).await?.first().copied().unwrap_or(-1))
    }

    async fn commit(&self, ops: &[Op]) -> Result<Vec<i32>, Error> {
        if !self.is_valid() {
            return Err(Error::Deposed);
        }
        self.core.commit(Some((&self.lock, self.session)), ops).await
    }
}

impl std::fmt::Debug for LeaderToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeaderToken").field("lock", &self.lock).field("is_valid", &self.is_valid()).finish()
    }
}
