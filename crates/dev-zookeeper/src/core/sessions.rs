//! Sessions: opened, resumed, kept alive, closed, expired.

use std::time::Duration;

use super::{ConnectionId, Core, Live, frame};
use crate::jute::{Input, Jute};
use crate::packet::{ConnectRequest, ConnectResponse};
use crate::state::{Change, CloseSession, OpenSession, PASSWORD_BYTES, Password};

impl Core {
    /// Takes the first packet of a connection.
    pub(super) fn connect(&mut self, id: ConnectionId, input: &mut Input) {
        let ConnectRequest { begin, read_only } = match ConnectRequest::read(input) {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(connection = id.0, %error, "closing a connection: the first packet opens no session");
                return self.close(id);
            }
        };
        let asked = Duration::from_millis(u64::try_from(begin.timeout_ms).unwrap_or(0));
        // Not `clamp`, which panics when the limits are crossed.
        let timeout = asked.min(self.limits.max_session_timeout).max(self.limits.min_session_timeout);
        let granted = if begin.session == 0 {
            self.open_session(id, timeout)
        } else {
            let password = begin.password.as_deref().unwrap_or_default();
            let granted = self.resume_session(id, begin.session, password, timeout);
            if granted.is_some() && begin.last_zxid_seen > self.state.zxid {
                tracing::warn!(
                    connection = id.0,
                    seen = begin.last_zxid_seen,
                    newest = self.state.zxid,
                    "closing a connection: the client has seen what this server has not"
                );
                return self.close(id);
            }
            granted
        };
        // As ZooKeeper: a session that is no more, or not the client's, is told by zeros.
        let (session, password, timeout) = granted.unwrap_or((0, [0; PASSWORD_BYTES], Duration::ZERO));
        let response = ConnectResponse {
            protocol: 0,
            timeout_ms: milliseconds(timeout),
            session,
            password: Some(password.to_vec()),
        };
        let mut packet = response.to_bytes();
        if read_only.is_some() {
            false.write(&mut packet);
        }
        self.send(id, frame(&packet));
        if granted.is_none() {
            self.close(id);
        }
    }

    fn open_session(&mut self, id: ConnectionId, timeout: Duration) -> Option<(i64, Password, Duration)> {
        let connection = self.connections.get_mut(&id)?;
        let (session, password) = (self.state.next_session, connection.password);
        connection.session = Some(session);
        let deadline = self.now.clock + timeout;
        self.live.insert(session, Live { connection: Some(id), timeout, deadline });
        let change =
            OpenSession { session, timeout_ms: milliseconds(timeout), password: Some(password.to_vec()) };
        self.commit_one(Change::OpenSession(change)).expect("a new session can be opened");
        Some((session, password, timeout))
    }

    fn resume_session(
        &mut self,
        id: ConnectionId,
        session: i64,
        password: &[u8],
        timeout: Duration,
    ) -> Option<(i64, Password, Duration)> {
        let known = self.state.sessions.get(&session)?;
        if known.password != password {
            tracing::warn!(connection = id.0, session, "a client came with the wrong password for a session");
            return None;
        }
        let password = known.password;
        let live = self.live.get_mut(&session)?;
        let former = live.connection.replace(id);
        // Not a transaction: after a restart the first timeout holds until the client is back.
        (live.timeout, live.deadline) = (timeout, self.now.clock + timeout);
        self.connections.get_mut(&id)?.session = Some(session);
        if let Some(former) = former {
            self.close(former);
        }
        Some((session, password, timeout))
    }

    /// A sign of life.
    pub(super) fn touch(&mut self, session: i64) {
        if let Some(live) = self.live.get_mut(&session) {
            live.deadline = self.now.clock + live.timeout;
        }
    }

    /// Ends a session: its ephemerals go.
    pub(super) fn close_session(&mut self, session: i64) {
        self.live.remove(&session);
        self.commit_one(Change::CloseSession(CloseSession { session }))
            .expect("an open session can be closed");
    }

    /// Ends the sessions whose clients have been silent for too long.
    pub(super) fn expire(&mut self) {
        let is_due = |(session, live): (&i64, &Live)| (live.deadline <= self.now.clock).then_some(*session);
        let due: Vec<i64> = self.live.iter().filter_map(is_due).collect();
        for session in due {
            tracing::info!(session, "a session has expired");
            if let Some(id) = self.live.get(&session).and_then(|live| live.connection) {
                self.close(id);
            }
            self.close_session(session);
        }
    }
}

fn milliseconds(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}
