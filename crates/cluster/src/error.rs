//! What can go wrong with the shared memory of a cluster: what, why and what to do.

use thiserror::Error;

/// Why something could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// An option that makes no sense. Nothing was tried.
    #[error("{reason}")]
    BadOption {
        /// Which, why and what it may be.
        reason: String,
    },
    /// No server answers. Nothing was sent.
    #[error(
        "cannot reach ZooKeeper at {servers}: {reason}; is it running? storm.zookeeper.servers says where it is"
    )]
    Unreachable {
        /// Where it was looked for.
        servers: String,
        /// What happened.
        reason: String,
    },
    /// The connection broke or the time was up after a write had been sent, and reading again did not
    /// settle what became of it.
    #[error(
        "do not know whether ZooKeeper carried out '{action} {path}': {reason}; read it again before you repeat it"
    )]
    OutcomeUnknown {
        /// What was asked for, such as `set`.
        action: &'static str,
        /// Of which node.
        path: String,
        /// What happened.
        reason: String,
    },
    /// A read that got no answer in time.
    #[error("ZooKeeper did not answer '{action} {path}': {reason}; try again")]
    Unanswered {
        /// What was asked for, such as `get`.
        action: &'static str,
        /// Of which node.
        path: String,
        /// What happened.
        reason: String,
    },
    /// There is no such node.
    #[error("there is no node {path} in ZooKeeper")]
    Absent {
        /// Which.
        path: String,
    },
    /// The node is there already, with other content.
    #[error("the node {path} is in ZooKeeper already")]
    Exists {
        /// Which.
        path: String,
    },
    /// Somebody else has changed the node since it was read.
    #[error("the node {path} in ZooKeeper has changed since it was read: read it again")]
    Changed {
        /// Which.
        path: String,
    },
    /// A node with children cannot be deleted.
    #[error("the node {path} in ZooKeeper has children: delete these first")]
    NotEmpty {
        /// Which.
        path: String,
    },
    /// What was to be written does not fit. Nothing was sent.
    #[error(
        "{size} bytes for the node {path} are too many for ZooKeeper, which takes {limit}: make the topology's \
         configuration or its arguments smaller"
    )]
    TooLarge {
        /// For which node, or the first of a transaction.
        path: String,
        /// How many bytes there were.
        size: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The credentials do not suffice.
    #[error("ZooKeeper does not allow '{action} {path}': does storm.zookeeper.auth.payload fit?")]
    Denied {
        /// What was asked for.
        action: &'static str,
        /// Of which node.
        path: String,
    },
    /// ZooKeeper refused for another reason. Nothing has changed.
    #[error("ZooKeeper refused '{action} {path}': {reason}")]
    Refused {
        /// What was asked for.
        action: &'static str,
        /// Of which node.
        path: String,
        /// Its reason.
        reason: String,
    },
    /// This process leads no longer: what it wanted to write was refused, or it did not try.
    #[error("not the leader any more: ask the leader")]
    Deposed,
    /// What the node holds cannot be understood.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// [`close`](crate::Cluster::close) was called.
    #[error("the connection to ZooKeeper was closed by this process")]
    Closed,
}

impl Error {
    /// Whether the same call may well succeed a little later: the network or a server was at fault.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::Unreachable { .. } | Error::OutcomeUnknown { .. } | Error::Unanswered { .. })
    }
}

/// Why a node's content is not the record that it should be. The node was left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// No JSON, or not that of this record.
    #[error(
        "cannot understand the {kind} in ZooKeeper's node {path}: {reason}; nothing was changed, mend it by hand"
    )]
    Corrupt {
        /// What should be there.
        kind: &'static str,
        /// Where.
        path: String,
        /// Why not.
        reason: String,
    },
    /// Written by a newer storm-rs.
    #[error(
        "the {kind} in ZooKeeper's node {path} has version {found}, and this storm-rs understands up to {known}: \
         upgrade it"
    )]
    Newer {
        /// What it is.
        kind: &'static str,
        /// Where.
        path: String,
        /// Its version.
        found: u32,
        /// The newest version that is understood.
        known: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_why_and_what_to_do() {
        let error =
            Error::Unreachable { servers: "a:2181,b:2181".into(), reason: "no answer within 4s".into() };
        assert_eq!(
            error.to_string(),
            "cannot reach ZooKeeper at a:2181,b:2181: no answer within 4s; is it running? \
             storm.zookeeper.servers says where it is"
        );
        let error = Error::TooLarge { path: "/storm/storms/w".into(), size: 1_200_000, limit: 1_000_000 };
        assert!(error.to_string().contains("1200000 bytes for the node /storm/storms/w"), "{error}");
    }
}
