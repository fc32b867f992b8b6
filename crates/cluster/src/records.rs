//! What the nodes hold: JSON with the record's `version`, readable with any client.
//!
//! ```text
//! {"version":1,"host":"nimbus-1","port":6627,"since_ms":1764000000000}
//! ```
//!
//! Fields that are not known are ignored, so that a field may be added without a new version. A new
//! version is for what an older storm-rs would misunderstand; it is refused by name, see
//! [`RecordError`]. Times end in `_ms`: milliseconds since 1970, by the clock of who wrote them.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use storm_model::{
    Assignment, ComponentId, ConfigMap, Status, SupervisorId, TaskId, TopologyId, TopologySpec, Tuning,
};

use crate::error::RecordError;

/// Content of a node.
pub trait Record: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static {
    /// What it is called in messages.
    const KIND: &'static str;
    /// The version that is written, and the newest that is read.
    const VERSION: u32 = 1;

    /// Writes it.
    fn encode(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Versioned<'a, R> {
            version: u32,
            #[serde(flatten)]
            record: &'a R,
        }
        serde_json::to_vec(&Versioned { version: Self::VERSION, record: self })
            .expect("records have fields with names and maps with keys of text")
    }

    /// Reads what stands in a node.
    ///
    /// # Errors
    /// If it is no such record, or one of a newer version.
    fn decode(path: &str, bytes: &[u8]) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let corrupt = |error: serde_json::Error| RecordError::Corrupt {
            kind: Self::KIND,
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let Version { version } = serde_json::from_slice(bytes).map_err(corrupt)?;
        if version > Self::VERSION {
            let (kind, known) = (Self::KIND, Self::VERSION);
            return Err(RecordError::Newer { kind, path: path.to_owned(), found: version, known });
        }
        serde_json::from_slice(bytes).map_err(corrupt)
    }
}

macro_rules! record {
    ($name:ident, $kind:literal) => {
        impl Record for $name {
            const KIND: &'static str = $kind;
        }
    };
}

/// Which cluster this is. Written once, by its first leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterIdRecord {
    /// The name of the cluster that no other has.
    pub id: String,
}
record!(ClusterIdRecord, "cluster id");

/// Where the leader is reached. Its node lives as long as the leader's session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderRecord {
    /// Name or address.
    pub host: String,
    /// Port of its service.
    pub port: u16,
    /// Since when it leads.
    pub since_ms: u64,
}
record!(LeaderRecord, "leader");

/// A Nimbus that lives. Its node lives as long as its session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NimbusRecord {
    /// Name or address.
    pub host: String,
    /// Port of its service.
    pub port: u16,
    /// Version of its storm-rs.
    pub software: String,
    /// When it was started.
    pub started_ms: u64,
}
record!(NimbusRecord, "Nimbus");

/// A supervisor that lives. Its node lives as long as its session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupervisorRecord {
    /// Its id.
    pub id: SupervisorId,
    /// Name or address of its machine, for its workers' peers too.
    pub host: String,
    /// Port of its own service.
    pub rpc_port: u16,
    /// Ports for workers, one each.
    pub slots: Vec<u16>,
    /// Architecture of its machine, such as `x86_64`.
    pub arch: String,
    /// Version of the C library there, if it is glibc.
    #[serde(default)]
    pub glibc: Option<String>,
    /// Version of its storm-rs.
    pub software: String,
    /// When it was started.
    pub started_ms: u64,
    /// What its configuration says of it to the scheduler.
    #[serde(default)]
    pub meta: ConfigMap,
}
record!(SupervisorRecord, "supervisor");

/// A topology that was submitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopologyRecord {
    /// Its id.
    pub id: TopologyId,
    /// Its name: unique among those that are not killed.
    pub name: String,
    /// What it is meant to do.
    pub status: Status,
    /// How often it was given another status; 0 in records of before that was counted. Who is told of
    /// two knows by it which is the newer one.
    #[serde(default)]
    pub status_version: u64,
    /// What it goes back to when its rebalance is over.
    #[serde(default)]
    pub previous_status: Option<Status>,
    /// How many workers were asked for.
    pub workers: u32,
    /// Executors that a rebalance has set, for the components that it named.
    #[serde(default)]
    pub executors: BTreeMap<ComponentId, u32>,
    /// Who submitted it.
    pub owner: String,
    /// When it was submitted.
    pub launched_ms: u64,
    /// Its code.
    pub binary: BinaryRecord,
    /// Arguments that the binary is started with: no secrets in them.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// The configuration in effect: `topology.*` and the user's own keys.
    #[serde(default)]
    pub config: ConfigMap,
    /// What the binary said of itself.
    pub spec: TopologySpec,
    /// Digest of `spec`; a worker that builds another one does not start.
    pub spec_digest: String,
    /// What was asked for and waits for its time.
    #[serde(default)]
    pub pending: Option<PendingAction>,
    /// The highest incarnation number that was given out: numbers are never used again.
    #[serde(default)]
    pub assignment_number: u64,
    /// The version of the assignment that was the newest when this was written: who knows an older one
    /// waits for it before it does what `status` says.
    #[serde(default)]
    pub assignment_version: u64,
    /// How many rebalances it has seen.
    #[serde(default)]
    pub rebalances: u64,
    /// Why it is not placed as it was asked for; empty if it is.
    #[serde(default)]
    pub explanation: String,
    /// What was changed of it since it was submitted: levels of its loggers, tuples that are sampled.
    #[serde(default)]
    pub tuning: Tuning,
}
record!(TopologyRecord, "topology");

/// A topology's code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinaryRecord {
    /// SHA-256 in hexadecimal digits: the name of the blob.
    pub digest: String,
    /// Name of the file that was submitted.
    pub file_name: String,
    /// Its bytes.
    pub size: u64,
    /// Architecture that it was built for; None: any will do.
    #[serde(default)]
    pub arch: Option<String>,
    /// Newest version of glibc that it asks for; None: none.
    #[serde(default)]
    pub glibc: Option<String>,
}

/// A kill or rebalance that waits for its time.
///
/// What remains is `wait_secs` less `elapsed_ms`, within 0 and `wait_secs`: a running clock is
/// monotonic, and a leader writes down now and then what it has counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAction {
    /// Which.
    pub kind: PendingKind,
    /// When it was asked for.
    pub started_ms: u64,
    /// How long it waits.
    pub wait_secs: u64,
    /// How much of that has passed.
    #[serde(default)]
    pub elapsed_ms: u64,
    /// Id of the command that asked for it.
    pub command: String,
}

/// What waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingKind {
    /// The topology is removed.
    Kill,
    /// The topology is placed anew.
    Rebalance {
        /// New number of workers.
        #[serde(default)]
        workers: Option<u32>,
        /// New numbers of executors.
        #[serde(default)]
        executors: BTreeMap<ComponentId, u32>,
    },
}

/// Where a topology runs. Whether it should run stands in its [`TopologyRecord`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentRecord {
    /// The assignment with a version of its own.
    pub assignment: Assignment,
}
record!(AssignmentRecord, "assignment");

/// A command that was carried out, so that its repetition gets the same answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandRecord {
    /// Its id, made by who gave it.
    pub id: String,
    /// What it was answered.
    pub answer: serde_json::Value,
    /// When.
    pub done_ms: u64,
}
record!(CommandRecord, "command");

/// The last errors of a topology, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorsRecord {
    /// The errors.
    pub errors: Vec<ErrorRecord>,
}
record!(ErrorsRecord, "list of errors");

/// An error that a component reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRecord {
    /// When.
    pub time_ms: u64,
    /// Which component.
    pub component: ComponentId,
    /// Which of its tasks.
    pub task: TaskId,
    /// On which machine.
    pub host: String,
    /// In the worker of which port.
    pub port: u16,
    /// The text.
    pub message: String,
    /// Of which kind it is: `reported`, `panicked`, `exit` and so on.
    #[serde(default)]
    pub kind: String,
    /// Errors like it that were not told since the one before.
    #[serde(default)]
    pub suppressed: u64,
}

/// A topology that a user killed: the only evidence on which anything of it is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TombstoneRecord {
    /// Its id.
    pub id: TopologyId,
    /// Its name.
    pub name: String,
    /// When it was removed.
    pub killed_ms: u64,
    /// Id of the command that asked for it.
    pub command: String,
}
record!(TombstoneRecord, "tombstone");

#[cfg(test)]
mod tests;
