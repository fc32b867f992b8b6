//! The server without its sockets, files and clocks: events in, effects out.
//!
//! [`Core::step`] takes what has happened and when, changes the state and says what is to be done. It
//! is deterministic: the same events give the same effects. The order of the effects is that of the
//! protocol; above all, a client learns of a change that it watches before it reads the answer to
//! anything that it asked for later.
//!
//! ```
//! use std::time::Duration;
//! use storm_dev_zookeeper::{ConnectionId, Core, Effect, Event, Limits, Now, State, Word};
//!
//! let now = Now { clock: Duration::ZERO, unix_millis: 1_700_000_000_000 };
//! let mut core = Core::new(State::default(), Limits::default(), now);
//! let connection = ConnectionId(1);
//! let address = [127, 0, 0, 1].into();
//! core.step(now, Event::Connected { connection, address, password: [7; 16] });
//! let effects = core.step(now, Event::Asked { connection, word: Word::Ruok });
//! let Some(Effect::Send { bytes, .. }) = effects.first() else { panic!("an answer") };
//! assert_eq!(bytes.as_ref(), b"imok");
//! ```

mod reads;
mod report;
mod sessions;
mod writes;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use report::Word;

use crate::acl::{self, Identity, permission};
use crate::error_code::ErrorCode;
use crate::jute::{Input, Jute};
use crate::packet::{
    Acl, AuthRequest, Operation as _, Request, RequestError, RequestHeader, WatcherEvent, XID_EVENT,
    XID_PING, frame, reply,
};
use crate::state::{Password, State, Txn};
use crate::tree::Stamp;
use crate::watches::{EventKind, Watches};

/// A connection, as the shell numbers it; a number is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// The time of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// A clock that never goes back; sessions expire by it.
    pub clock: Duration,
    /// The time of day, in milliseconds since 1970; it is what a znode's stat says.
    pub unix_millis: i64,
}

/// What the server grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The shortest session timeout. Default: 1 s.
    pub min_session_timeout: Duration,
    /// The longest session timeout. Default: 60 s.
    pub max_session_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { min_session_timeout: Duration::from_secs(1), max_session_timeout: Duration::from_secs(60) }
    }
}

/// What has happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Somebody has connected.
    Connected {
        /// The new connection.
        connection: ConnectionId,
        /// Where it comes from.
        address: IpAddr,
        /// Random bytes: the password of the session that it may open.
        password: [u8; 16],
    },
    /// A packet has come.
    Received {
        /// Where.
        connection: ConnectionId,
        /// The packet, without its length.
        frame: Bytes,
    },
    /// A four-letter word has come, in place of a packet.
    Asked {
        /// Where.
        connection: ConnectionId,
        /// The word.
        word: Word,
    },
    /// A connection is gone.
    Disconnected {
        /// Which one.
        connection: ConnectionId,
    },
    /// Time has passed: sessions expire by this event alone.
    Ticked,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write down a transaction. Effects that follow may only be seen by others once it is safe.
    Append(Txn),
    /// Send bytes as they are.
    Send {
        /// Where to.
        connection: ConnectionId,
        /// What.
        bytes: Bytes,
    },
    /// Close a connection when all before has been sent. No [`Event::Disconnected`] is needed.
    Close {
        /// Which one.
        connection: ConnectionId,
    },
}

/// The state of the server with all that does not outlive it: connections, watches, deadlines.
#[derive(Debug)]
pub struct Core {
    state: State,
    limits: Limits,
    now: Now,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Of each session of the state, what does not outlive the process.
    live: BTreeMap<i64, Live>,
    watches: Watches,
    effects: Vec<Effect>,
    packets_received: u64,
    packets_sent: u64,
}

#[derive(Debug)]
struct Connection {
    address: IpAddr,
    password: Password,
    /// The session, once the first packet has come.
    session: Option<i64>,
    identities: Vec<Identity>,
}

#[derive(Debug)]
struct Live {
    connection: Option<ConnectionId>,
    timeout: Duration,
    /// When it expires, on [`Now::clock`].
    deadline: Duration,
}

/// What came of a request: the reply's body.
type Outcome = Result<Vec<u8>, ErrorCode>;

/// Something that watches may be told of.
#[derive(Debug)]
struct Happened {
    kind: EventKind,
    path: String,
    /// The node's: who may not read it is not told.
    acl: Arc<[Acl]>,
}

impl Core {
    /// Starts with a state; its sessions expire one timeout later, unless their clients come back.
    pub fn new(mut state: State, limits: Limits, now: Now) -> Core {
        // As ZooKeeper: the time, so that no session of another server, which may have lost its data, is
        // taken for one of this one; the first byte is the server's id.
        let by_time = (now.unix_millis.cast_unsigned() << 24 >> 8).cast_signed() | 1 << 56;
        state.next_session = state.next_session.max(by_time);
        let live = state.sessions.iter().map(|(id, session)| {
            let timeout = Duration::from_millis(u64::try_from(session.timeout_ms).unwrap_or(0));
            (*id, Live { connection: None, timeout, deadline: now.clock + timeout })
        });
        Core {
            live: live.collect(),
            state,
            limits,
            now,
            connections: BTreeMap::new(),
            watches: Watches::default(),
            effects: Vec::new(),
            packets_received: 0,
            packets_sent: 0,
        }
    }

    /// The state as it is after the last step.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The number of sessions that are open, connected or not.
    pub fn sessions(&self) -> usize {
        self.state.sessions.len()
    }

    /// Takes note of an event. Events of connections that are closed are ignored.
    pub fn step(&mut self, now: Now, event: Event) -> Vec<Effect> {
        self.now = now;
        match event {
            Event::Connected { connection, address, password } => {
                let identities = vec![Identity::Ip(address)];
                self.connections
                    .insert(connection, Connection { address, password, session: None, identities });
            }
            Event::Received { connection, frame } => self.receive(connection, &frame),
            Event::Asked { connection, word } => {
                if self.connections.contains_key(&connection) {
                    let text = self.report(word);
                    self.effects.push(Effect::Send { connection, bytes: Bytes::from(text) });
                    self.close(connection);
                }
            }
            Event::Disconnected { connection } => self.forget(connection),
            Event::Ticked => self.expire(),
        }
        std::mem::take(&mut self.effects)
    }

    fn receive(&mut self, id: ConnectionId, frame: &[u8]) {
        let Some(connection) = self.connections.get(&id) else { return };
        let session = connection.session;
        self.packets_received += 1;
        let input = &mut Input::new(frame);
        let Some(session) = session else { return self.connect(id, input) };
        self.touch(session);
        match RequestHeader::read(input) {
            Ok(RequestHeader { xid, op }) => self.answer(id, session, xid, op, input),
            Err(error) => {
                tracing::warn!(connection = id.0, %error, "closing a connection: a packet without a header");
                self.close(id);
            }
        }
    }

    fn answer(&mut self, id: ConnectionId, session: i64, xid: i32, op: i32, input: &mut Input) {
        let request = match Request::read_body(op, input) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(connection = id.0, op, %error, "a request that cannot be read");
                return match error {
                    RequestError::Malformed(_) => self.reply(id, xid, Err(ErrorCode::MarshallingError)),
                    RequestError::UnknownOp(_) => {
                        self.reply(id, xid, Err(ErrorCode::Unimplemented));
                        self.close(id);
                    }
                };
            }
        };
        match request {
            Request::Ping(_) => self.reply(id, XID_PING, Ok(Vec::new())),
            Request::CloseSession(_) => {
                self.close_session(session);
                self.reply(id, xid, Ok(Vec::new()));
                self.close(id);
            }
            Request::Auth(AuthRequest { scheme, auth, .. }) => {
                let outcome = self.authenticate(id, &scheme, auth.as_deref().unwrap_or_default());
                self.reply(id, xid, outcome.map(|()| Vec::new()));
                if outcome.is_err() {
                    self.close(id);
                }
            }
            request => {
                let outcome = self.serve(id, session, request);
                self.reply(id, xid, outcome);
            }
        }
    }

    fn authenticate(&mut self, id: ConnectionId, scheme: &str, auth: &[u8]) -> Result<(), ErrorCode> {
        let connection = self.connections.get_mut(&id).ok_or(ErrorCode::SessionExpired)?;
        let identity = Identity::authenticate(scheme, auth, connection.address)?;
        if !connection.identities.contains(&identity) {
            connection.identities.push(identity);
        }
        Ok(())
    }

    fn identities(&self, id: ConnectionId) -> &[Identity] {
        self.connections.get(&id).map_or(&[], |connection| &connection.identities)
    }

    fn check_acl(&self, id: ConnectionId, acl: &[Acl], permissions: i32) -> Result<(), ErrorCode> {
        acl::check(acl, permissions, self.identities(id))
    }

    fn next_stamp(&self) -> Stamp {
        Stamp { zxid: self.state.zxid + 1, unix_millis: self.now.unix_millis }
    }

    fn reply(&mut self, id: ConnectionId, xid: i32, outcome: Outcome) {
        let zxid = self.state.zxid;
        let bytes = match outcome {
            Ok(body) => reply(xid, zxid, 0, &body),
            Err(code) => reply(xid, zxid, code.number(), &[]),
        };
        self.send(id, bytes);
    }

    fn send(&mut self, connection: ConnectionId, bytes: Bytes) {
        self.packets_sent += 1;
        self.effects.push(Effect::Send { connection, bytes });
    }

    /// Tells those who watch it.
    fn tell(&mut self, Happened { kind, path, acl }: &Happened, zxid: i64) {
        for id in self.watches.trigger(path, *kind) {
            if self.check_acl(id, acl, permission::READ).is_ok() {
                self.send_event(id, *kind, path, zxid);
            }
        }
    }

    fn send_event(&mut self, id: ConnectionId, kind: EventKind, path: &str, zxid: i64) {
        /// The state of a client that is connected; it is part of every event.
        const SYNC_CONNECTED: i32 = 3;
        let event = WatcherEvent { kind: kind as i32, state: SYNC_CONNECTED, path: path.to_owned() };
        self.send(id, reply(XID_EVENT, zxid, 0, &event.to_bytes()));
    }

    /// Forgets a connection and has it closed.
    fn close(&mut self, id: ConnectionId) {
        self.forget(id);
        self.effects.push(Effect::Close { connection: id });
    }

    fn forget(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else { return };
        self.watches.forget(id);
        let live = connection.session.and_then(|session| self.live.get_mut(&session));
        if let Some(live) = live.filter(|live| live.connection == Some(id)) {
            live.connection = None;
        }
    }
}

#[cfg(test)]
mod tests;
