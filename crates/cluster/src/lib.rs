//! The truth that Nimbuses and supervisors share, in ZooKeeper.
//!
//! A [`Cluster`] is this process's part of it: one session after the other, for as long as it lives.
//! What it reads may be watched, what it writes has a definite outcome or says that it has none, and
//! what only the leader may write goes through a [`LeaderToken`].
//!
//! ```text
//! node                    written by                  watched by              gone when
//! cluster-id              the first leader, once      Nimbus, supervisors     never
//! leader-lock/…           every Nimbus                every Nimbus            its session ends
//! leader                  the leader                  supervisors, CLI        its session ends
//! nimbuses/<host:port>    that Nimbus                 Nimbus                  its session ends
//! supervisors/<id>        that supervisor             Nimbus                  its session ends
//! storms/<id>             the leader                  Nimbus, supervisors     killed: then a tombstone is there
//! assignments/<id>        the leader                  supervisors, Nimbus     with its topology
//! errors/<id>             the leader                  nobody: read on demand  with its topology
//! commands/<id>           the leader, with its effect nobody: read on demand  the leader finds it old
//! tombstones/<id>         the leader                  supervisors, Nimbus     the leader finds it old
//! ```
//!
//! **No data is not dead.** A node that is absent, one that cannot be read just now and one whose
//! content nobody understands are three things, see [`Snapshot`]; none of them is a reason to delete
//! or stop anything. That is what tombstones are for.
//!
//! Modules in reading order: the nodes and what is in them; how the server is reached; sessions; what
//! lasts as long as this process; watches; who leads; reading and writing by type.

mod error;
pub mod paths;
pub mod records;
mod options;
mod client;
mod transaction;
mod session;
mod registration;
mod watch;
mod election;
mod store;

pub use election::{Election, LeaderToken, Leadership};
pub use error::{Error, RecordError};
pub use options::Options;
pub use paths::Paths;
pub use records::{
    AssignmentRecord, BinaryRecord, ClusterIdRecord, CommandRecord, ErrorRecord, ErrorsRecord, LeaderRecord,
    NimbusRecord, PendingAction, PendingKind, Record, SupervisorRecord, TombstoneRecord, TopologyRecord,
};
pub use registration::{Registered, Registration};
pub use session::{Cluster, SessionState};
pub use store::{Children, Node, Versioned};
pub use transaction::Transaction;
pub use watch::{Snapshot, Watch};

/// The most bytes that a node may hold. ZooKeeper answers a request of more than 1,048,575 bytes by
/// breaking the connection.
pub const LIMIT: usize = 1_000_000;
