//! The state that outlives the process, and the transactions that lead to it.
//!
//! A [`Txn`] holds what has been decided, not what was asked for: to apply it needs no clock and no
//! permissions, and the same transactions lead to the same state.
//!
//! ```text
//! txn        long zxid, long unix milliseconds, vector of changes: int kind, body
//!              1 open session   long session, int timeout in ms, buffer password
//!              2 close session  long session       (its ephemerals go with it)
//!              3 make           ustring path, buffer data, vector of ACL, long owner
//!              4 remove         ustring path
//!              5 set data       ustring path, buffer data
//!              6 set ACL        ustring path, vector of ACL
//! snapshot   long zxid, long next session, vector of sessions (as above), vector of nodes
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error_code::ErrorCode;
use crate::jute::{Input, Jute, JuteError, record};
use crate::packet::{Acl, Operation as _, operations};
use crate::path;
use crate::tree::{Stamp, Tree, Undo, Znode};

/// The length of a session's password, in bytes.
pub(crate) const PASSWORD_BYTES: usize = 16;

/// Numbers of transactions and sessions stay below it, so that counting them never ends: only a file that
/// was made by hand has a higher one.
const NUMBERS: i64 = 1 << 62;

/// What a client shows when it comes back to its session.
pub(crate) type Password = [u8; PASSWORD_BYTES];

/// A session, as far as it outlives the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) timeout_ms: i32,
    pub(crate) password: Password,
}

/// The znodes, the sessions and the newest transaction's id.
///
/// A new server begins with the default, one that starts again with what [`Core::state`] was. All that
/// changes it is given out as a [`Txn`].
///
/// [`Core::state`]: crate::Core::state
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(crate) zxid: i64,
    /// Above the id of every session that ever was.
    pub(crate) next_session: i64,
    pub(crate) sessions: BTreeMap<i64, Session>,
    pub(crate) tree: Tree,
}

/// One atomic change of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn {
    pub(crate) stamp: Stamp,
    pub(crate) changes: Vec<Change>,
}

record! {
    OpenSession { session: i64, timeout_ms: i32, password: Option<Vec<u8>> }
}
record! {
    CloseSession { session: i64 }
}
record! {
    Make { path: String, data: Option<Vec<u8>>, acl: Vec<Acl>, owner: i64 }
}
record! {
    Remove { path: String }
}
record! {
    SetData { path: String, data: Option<Vec<u8>> }
}
record! {
    SetAcl { path: String, acl: Vec<Acl> }
}

operations! {
    /// A part of a transaction.
    Change {
        OpenSession = 1: OpenSession,
        CloseSession = 2: CloseSession,
        Make = 3: Make,
        Remove = 4: Remove,
        SetData = 5: SetData,
        SetAcl = 6: SetAcl,
    }
}

impl Jute for Change {
    fn write(&self, out: &mut Vec<u8>) {
        self.op().write(out);
        self.write_body(out);
    }

    fn read(input: &mut Input) -> Result<Change, JuteError> {
        let kind = i32::read(input)?;
        Ok(Change::read_body(kind, input)?)
    }
}

impl Jute for Stamp {
    fn write(&self, out: &mut Vec<u8>) {
        self.zxid.write(out);
        self.unix_millis.write(out);
    }

    fn read(input: &mut Input) -> Result<Stamp, JuteError> {
        Ok(Stamp { zxid: Jute::read(input)?, unix_millis: Jute::read(input)? })
    }
}

impl Jute for Txn {
    fn write(&self, out: &mut Vec<u8>) {
        self.stamp.write(out);
        self.changes.write(out);
    }

    fn read(input: &mut Input) -> Result<Txn, JuteError> {
        Ok(Txn { stamp: Jute::read(input)?, changes: Jute::read(input)? })
    }
}

/// Why a recorded state or transaction is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StateError {
    #[error(transparent)]
    Malformed(#[from] JuteError),
    #[error("a password does not have {PASSWORD_BYTES} bytes")]
    Password,
    #[error("there is a node without its parent")]
    Orphan,
    #[error("there is no root")]
    NoRoot,
    #[error("{path:?} cannot be the path of a node")]
    Path { path: String },
    #[error("there are two nodes {path:?}")]
    Twice { path: String },
    #[error("the node {path:?} stands below an ephemeral one, which cannot have children")]
    ChildOfEphemeral { path: String },
    #[error("the number {found:#x} is none that this server gives to transactions or sessions")]
    Number { found: i64 },
    #[error("transaction {found:#x} stands behind {newest:#x}")]
    Order { newest: i64, found: i64 },
    #[error("transaction {zxid:#x} does not fit the state: {reason:?}")]
    Misfit { zxid: i64, reason: ErrorCode },
}

impl State {
    /// Makes one change. What was changed in the tree is appended to `undo`, in order; sessions do not
    /// come back by it.
    pub(crate) fn change(
        &mut self,
        change: &Change,
        stamp: Stamp,
        undo: &mut Vec<Undo>,
    ) -> Result<(), ErrorCode> {
        match change {
            Change::OpenSession(OpenSession { session, timeout_ms, password }) => {
                let password = password.as_deref().and_then(|password| password.try_into().ok());
                let password: Password = password.ok_or(ErrorCode::BadArguments)?;
                self.sessions.insert(*session, Session { timeout_ms: *timeout_ms, password });
                self.next_session = self.next_session.max(session.wrapping_add(1));
            }
            Change::CloseSession(CloseSession { session }) => {
                self.sessions.remove(session).ok_or(ErrorCode::SessionExpired)?;
                // Ephemerals have no children: each can go by itself.
                let paths: Vec<String> = self.tree.ephemerals(*session).cloned().collect();
                for path in paths {
                    undo.push(self.tree.remove(&path, stamp)?);
                }
            }
            Change::Make(Make { path, data, acl, owner }) => {
                let acl = Arc::from(acl.as_slice());
                undo.push(self.tree.make(path, data.clone(), acl, *owner, stamp)?);
            }
            Change::Remove(Remove { path }) => undo.push(self.tree.remove(path, stamp)?),
            Change::SetData(SetData { path, data }) => {
                undo.push(self.tree.set_data(path, data.clone(), stamp)?);
            }
            Change::SetAcl(SetAcl { path, acl }) => {
                undo.push(self.tree.set_acl(path, Arc::from(acl.as_slice()))?);
            }
        }
        Ok(())
    }

    /// Applies a transaction that was applied before, to the same state.
    pub(crate) fn replay(&mut self, txn: &Txn) -> Result<(), StateError> {
        let zxid = txn.stamp.zxid;
        if zxid <= self.zxid {
            return Err(StateError::Order { newest: self.zxid, found: zxid });
        }
        check_number(zxid)?;
        for change in &txn.changes {
            match change {
                Change::OpenSession(OpenSession { session, .. }) => check_number(*session)?,
                Change::Make(Make { path, .. }) => check_path(path)?,
                _ => {}
            }
            self.change(change, txn.stamp, &mut Vec::new())
                .map_err(|reason| StateError::Misfit { zxid, reason })?;
        }
        self.zxid = zxid;
        Ok(())
    }

    /// Writes all of it.
    pub(crate) fn to_snapshot(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.tree.data_bytes() + self.tree.nodes().len() * 128);
        self.zxid.write(&mut out);
        self.next_session.write(&mut out);
        let sessions = self.sessions.iter().map(|(session, Session { timeout_ms, password })| OpenSession {
            session: *session,
            timeout_ms: *timeout_ms,
            password: Some(password.to_vec()),
        });
        sessions.collect::<Vec<OpenSession>>().write(&mut out);
        let nodes = self.tree.nodes();
        i32::try_from(nodes.len()).expect("they fit into memory").write(&mut out);
        for (path, node) in nodes {
            path.write(&mut out);
            node.data.write(&mut out);
            node.acl.to_vec().write(&mut out);
            node.owner.write(&mut out);
            node.created.write(&mut out);
            node.modified.write(&mut out);
            node.version.write(&mut out);
            node.aversion.write(&mut out);
            node.children_made.write(&mut out);
            node.pzxid.write(&mut out);
        }
        out
    }

    /// Reads what [`State::to_snapshot`] wrote.
    pub(crate) fn from_snapshot(bytes: &[u8]) -> Result<State, StateError> {
        let input = &mut Input::new(bytes);
        let (zxid, mut next_session) = (Jute::read(input)?, Jute::read(input)?);
        check_number(zxid)?;
        check_number(next_session)?;
        let mut sessions = BTreeMap::new();
        for OpenSession { session, timeout_ms, password } in Vec::<OpenSession>::read(input)? {
            let password = password.as_deref().and_then(|password| password.try_into().ok());
            let password = password.ok_or(StateError::Password)?;
            check_number(session)?;
            next_session = next_session.max(session + 1);
            sessions.insert(session, Session { timeout_ms, password });
        }
        let mut tree = Tree::empty();
        for _ in 0..i32::read(input)? {
            let path = String::read(input)?;
            let node = Znode {
                data: Jute::read(input)?,
                acl: Arc::from(Vec::<Acl>::read(input)?),
                owner: Jute::read(input)?,
                created: Jute::read(input)?,
                modified: Jute::read(input)?,
                version: Jute::read(input)?,
                aversion: Jute::read(input)?,
                children_made: Jute::read(input)?,
                pzxid: Jute::read(input)?,
                children: BTreeSet::new(),
            };
            check_path(&path)?;
            if tree.get(&path).is_ok() {
                return Err(StateError::Twice { path });
            }
            if path::parent(&path).and_then(|parent| tree.get(parent).ok()).is_some_and(|p| p.owner != 0) {
                return Err(StateError::ChildOfEphemeral { path });
            }
            if path == "/" && node.owner != 0 {
                return Err(StateError::NoRoot);
            }
            if !tree.restore(path, node) {
                return Err(StateError::Orphan);
            }
        }
        tree.get("/").map_err(|_| StateError::NoRoot)?;
        Ok(State { zxid, next_session, sessions, tree })
    }
}

fn check_number(found: i64) -> Result<(), StateError> {
    if (0..NUMBERS).contains(&found) { Ok(()) } else { Err(StateError::Number { found }) }
}

fn check_path(path: &str) -> Result<(), StateError> {
    if path::is_valid(path) { Ok(()) } else { Err(StateError::Path { path: path.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::tree::open_acl;

    #[test]
    fn a_snapshot_is_the_state() {
        let mut state = State::default();
        let make = |path: &str, owner| {
            Change::Make(Make { path: path.to_owned(), data: Some(vec![1, 2]), acl: vec![open_acl()], owner })
        };
        let changes = [
            Change::OpenSession(OpenSession { session: 7, timeout_ms: 4_000, password: Some(vec![9; 16]) }),
            make("/a", 0),
            make("/a/b", 7),
            make("/a/c", 0),
            Change::Remove(Remove { path: "/a/c".to_owned() }),
            Change::SetData(SetData { path: "/a".to_owned(), data: None }),
            Change::SetAcl(SetAcl { path: "/a".to_owned(), acl: vec![] }),
        ];
        for (change, zxid) in changes.into_iter().zip(1..) {
            let txn = Txn { stamp: Stamp { zxid, unix_millis: 1_000 + zxid }, changes: vec![change] };
            state.replay(&txn).expect("it fits");
        }
        assert_eq!(State::from_snapshot(&state.to_snapshot()), Ok(state));
    }

    #[test]
    fn a_transaction_is_applied_once() {
        let mut state = State::default();
        let txn = Txn { stamp: Stamp { zxid: 1, unix_millis: 0 }, changes: vec![] };
        assert_eq!(state.replay(&txn), Ok(()));
        assert_eq!(state.replay(&txn), Err(StateError::Order { newest: 1, found: 1 }));
    }

    proptest! {
        #[test]
        fn transactions_are_read_back(
            zxid in any::<i64>(),
            unix_millis in any::<i64>(),
            changes in vec(any::<Change>(), 0..5),
        ) {
            let txn = Txn { stamp: Stamp { zxid, unix_millis }, changes };
            prop_assert_eq!(Txn::read(&mut Input::new(&txn.to_bytes())), Ok(txn));
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..300)) {
            State::from_snapshot(&bytes).ok();
            Txn::read(&mut Input::new(&bytes)).ok();
        }

        #[test]
        fn transactions_that_fit_lead_to_a_state_that_is_read_back(
            changes in vec(any::<Change>(), 0..5),
            made in vec("(/[ab]){1,2}", 0..5),
        ) {
            let make = |path| Change::Make(Make { path, data: None, acl: vec![open_acl()], owner: 3 });
            let mut state = State::default();
            for (change, zxid) in made.into_iter().map(make).chain(changes).zip(1..) {
                let txn = Txn { stamp: Stamp { zxid, unix_millis: 0 }, changes: vec![change] };
                state.replay(&txn).ok();
            }
            prop_assert_eq!(State::from_snapshot(&state.to_snapshot()), Ok(state));
        }

        #[test]
        fn a_mangled_snapshot_makes_no_reader_panic(
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            end in any::<prop::sample::Index>(),
        ) {
            let mut bytes = State::default().to_snapshot();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            State::from_snapshot(&bytes).ok();
            State::from_snapshot(&bytes[..end.index(bytes.len())]).ok();
        }
    }
}
