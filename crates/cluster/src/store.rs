//! Reading and writing by type.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use storm_model::{SupervisorId, TopologyId};

use crate::client::{Content, Op};
use crate::error::{Error, RecordError};
use crate::paths;
use crate::records::{
    AssignmentRecord, ClusterIdRecord, CommandRecord, ErrorsRecord, LeaderRecord, NimbusRecord, Record,
    SupervisorRecord, TombstoneRecord, TopologyRecord,
};
use crate::session::Cluster;
use crate::transaction::Transaction;
use crate::watch::Watch;

/// A record and the version of its node, for writing it only if nobody else has meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<R> {
    /// The record.
    pub value: R,
    /// The version of the node.
    pub version: i32,
}

/// A node that is there: its record, or why it cannot be understood.
///
/// Who meets an error must not take the node for absent.
pub type Node<R> = Result<Versioned<R>, RecordError>;

/// The children of a directory, by name.
pub type Children<K, R> = BTreeMap<K, Node<R>>;

/// How many reads of one directory are on their way at a time.
pub(crate) const READS_AT_ONCE: usize = 64;

pub(crate) fn decode<R: Record>(path: &str, content: &Content) -> Node<R> {
    R::decode(path, &content.bytes).map(|value| Versioned { value, version: content.version })
}

macro_rules! nodes {
    ($($(#[$doc:meta])* $read:ident, $watch:ident: $path:ident() -> $record:ty;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// If it cannot be read or understood.
            pub async fn $read(&self) -> Result<Option<Versioned<$record>>, Error> {
                self.get(&self.paths().$path()).await
            }

            #[doc = concat!("Follows [`", stringify!($read), "`](Cluster::", stringify!($read), ").")]
            pub fn $watch(&self) -> Watch<Versioned<$record>> {
                self.watch_node(&self.paths().$path())
            }
        )*
    };
}

macro_rules! nodes_of {
    ($($(#[$doc:meta])* $read:ident, $watch:ident: $path:ident($id:ty) -> $record:ty;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// If it cannot be read or understood.
            pub async fn $read(&self, id: &$id) -> Result<Option<Versioned<$record>>, Error> {
                self.get(&self.paths().$path(id)).await
            }

            #[doc = concat!("Follows [`", stringify!($read), "`](Cluster::", stringify!($read), ").")]
            pub fn $watch(&self, id: &$id) -> Watch<Versioned<$record>> {
                self.watch_node(&self.paths().$path(id))
            }
        )*
    };
}

macro_rules! directories {
    ($($(#[$doc:meta])* $read:ident, $watch:ident: $path:ident() -> $key:ty, $record:ty;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// If the directory or one of its nodes cannot be read. One that cannot be understood is
            /// an error in its own place.
            pub async fn $read(&self) -> Result<Children<$key, $record>, Error> {
                self.read_children(&self.paths().$path()).await
            }

            #[doc = concat!("Follows [`", stringify!($read), "`](Cluster::", stringify!($read), ").")]
            pub fn $watch(&self) -> Watch<Children<$key, $record>> {
                self.watch_tree(&self.paths().$path())
            }
        )*
    };
}

impl Cluster {
    nodes! {
        /// Which cluster this is; None before it had its first leader.
        cluster_id, watch_cluster_id: cluster_id() -> ClusterIdRecord;
        /// Where the leader is reached; None if nobody leads just now.
        leader, watch_leader: leader() -> LeaderRecord;
    }

    nodes_of! {
        /// A topology.
        topology, watch_topology: topology(TopologyId) -> TopologyRecord;
        /// The assignment of a topology; None before it has one.
        assignment, watch_assignment: assignment(TopologyId) -> AssignmentRecord;
        /// The last errors of a topology; None before it had one.
        errors, watch_errors: errors_of(TopologyId) -> ErrorsRecord;
        /// The tombstone of a topology; None unless it was killed.
        tombstone, watch_tombstone: tombstone(TopologyId) -> TombstoneRecord;
        /// A supervisor; None unless it has a session.
        supervisor, watch_supervisor: supervisor(SupervisorId) -> SupervisorRecord;
        /// The answer that a command got; None if it was not carried out.
        command, watch_command: command(str) -> CommandRecord;
    }

    directories! {
        /// All topologies.
        topologies, watch_topologies: storms() -> TopologyId, TopologyRecord;
        /// All assignments.
        assignments, watch_assignments: assignments() -> TopologyId, AssignmentRecord;
        /// The supervisors that have a session.
        supervisors, watch_supervisors: supervisors() -> SupervisorId, SupervisorRecord;
        /// The Nimbuses that have a session, by host and port.
        nimbuses, watch_nimbuses: nimbuses() -> String, NimbusRecord;
        /// All tombstones.
        tombstones, watch_tombstones: tombstones() -> TopologyId, TombstoneRecord;
        /// All commands whose answer is kept.
        commands, watch_commands: commands() -> String, CommandRecord;
    }

    /// Reads a node; None if it is not there.
    ///
    /// # Errors
    /// If it cannot be read or understood.
    pub async fn get<R: Record>(&self, path: &str) -> Result<Option<Versioned<R>>, Error> {
        let content = self.core.read("get", path, |client| async move { client.get(path).await }).await?;
        Ok(content.map(|content| decode(path, &content)).transpose()?)
    }

    /// The names of the nodes in a directory.
    ///
    /// # Errors
    /// If it is not there or cannot be read.
    pub async fn children(&self, path: &str) -> Result<Vec<String>, Error> {
        let names = self.core.read("list", path, |client| async move { client.list(path).await }).await?;
        Ok(names.iter().map(|name| paths::name_of(name)).collect())
    }

    /// Waits until everything that anybody has written before can be read here: a server may lag
    /// behind its peers.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Unanswered`].
    pub async fn sync(&self) -> Result<(), Error> {
        let root = self.paths().root();
        self.core.read("sync", root, |client| async move { client.sync(root).await }).await
    }

    async fn read_children<K, R>(&self, directory: &str) -> Result<Children<K, R>, Error>
    where
        K: From<String> + Ord,
        R: Record,
    {
        let names = self.children(directory).await?;
        let nodes = stream::iter(names).map(|name| async move {
            let path = paths::child(directory, &name);
            let read = |client: crate::client::Client| {
                let path = path.clone();
                async move { client.get(&path).await }
            };
            let content = self.core.read("get", &path, read).await?;
            // It may be gone since the directory was read.
            Ok::<_, Error>(content.map(|content| (K::from(name), decode(&path, &content))))
        });
        nodes.buffered(READS_AT_ONCE).try_filter_map(|node| async move { Ok(node) }).try_collect().await
    }
}

/// Writes by type; the paths are those of the cluster that the transaction comes from.
impl Transaction {
    /// Adds a topology.
    pub fn create_topology(&mut self, topology: &TopologyRecord) -> &mut Self {
        self.create(&self.paths.topology(&topology.id), topology)
    }

    /// Changes a topology, if nobody else has.
    pub fn set_topology(&mut self, topology: &TopologyRecord, version: i32) -> &mut Self {
        self.set(&self.paths.topology(&topology.id), topology, version)
    }

    /// Gives a topology its first assignment.
    pub fn create_assignment(&mut self, id: &TopologyId, assignment: &AssignmentRecord) -> &mut Self {
        self.create(&self.paths.assignment(id), assignment)
    }

    /// Changes the assignment of a topology, if nobody else has.
    pub fn set_assignment(
        &mut self,
        id: &TopologyId,
        assignment: &AssignmentRecord,
        version: i32,
    ) -> &mut Self {
        self.set(&self.paths.assignment(id), assignment, version)
    }

    /// Gives a topology another assignment in place of whatever stands there: it was not understood.
    pub fn replace_assignment(&mut self, id: &TopologyId, assignment: &AssignmentRecord) -> &mut Self {
        let (path, bytes) = (self.paths.assignment(id), assignment.encode());
        self.push(Op::Set { path, bytes, version: None })
    }

    /// Keeps the answer to a command.
    pub fn create_command(&mut self, command: &CommandRecord) -> &mut Self {
        self.create(&self.paths.command(&command.id), command)
    }

    /// Forgets a command.
    pub fn delete_command(&mut self, id: &str) -> &mut Self {
        self.delete(&self.paths.command(id), None)
    }

    /// Forgets that a topology was killed.
    pub fn delete_tombstone(&mut self, id: &TopologyId) -> &mut Self {
        self.delete(&self.paths.tombstone(id), None)
    }
}
