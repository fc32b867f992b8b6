//! How a supervisor starts a worker: the file that the worker reads first, and its environment.
//!
//! The file holds keys, so it is readable by its owner alone (mode 0600). Arguments stay the user's.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use storm_model::{Incarnation, SupervisorId, TopologyId, TopologySpec};

/// Version of the contract between topology binaries and daemons. Daemons accept the one before, too.
pub const CONTRACT: u32 = 1;
/// What a topology binary is to do: `describe`, `worker`; absent: run the topology in its process.
pub const MODE_VARIABLE: &str = "STORM_RS_MODE";
/// Where the [`WorkerFile`] lies.
pub const WORKER_FILE_VARIABLE: &str = "STORM_RS_WORKER_FILE";
/// Name of the topology, for people who look at processes.
pub const TOPOLOGY_VARIABLE: &str = "STORM_RS_TOPOLOGY";
/// Port of the worker, for people who look at processes.
pub const PORT_VARIABLE: &str = "STORM_RS_PORT";

/// All that a worker knows when it starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerFile {
    /// Version of the contract ([`CONTRACT`]).
    pub contract: u32,
    /// The topology.
    pub topology_id: TopologyId,
    /// Its name.
    pub topology_name: String,
    /// Whose slot it has.
    pub supervisor_id: SupervisorId,
    /// Name or address of this machine, as its peers know it.
    pub host: String,
    /// Address to listen on for peers, without the port.
    pub bind: String,
    /// Port to listen on for peers: the slot's.
    pub port: u16,
    /// Which life of the worker this is.
    pub incarnation: Incarnation,
    /// Where its supervisor listens, as `host:port`.
    pub supervisor_address: String,
    /// Where the Nimbuses listen, as `host:port`.
    pub nimbus_addresses: Vec<String>,
    /// Key that the workers of this topology share, in hexadecimal.
    pub peer_key: String,
    /// What the worker shows to daemons; see [`auth`](crate::auth).
    pub token: String,
    /// [`spec_digest`] of the topology as it was submitted.
    pub spec_digest: String,
    /// Configuration of the cluster below the topology's code.
    pub cluster_config: Map<String, Value>,
    /// Configuration of the submission, above the topology's code.
    pub submit_config: Map<String, Value>,
    /// Executors per component, where a rebalance has changed them.
    pub executors: std::collections::BTreeMap<String, u32>,
    /// Where it writes the tuples that are sampled; absent: nowhere.
    #[serde(default)]
    pub events_log: Option<std::path::PathBuf>,
}

/// SHA-256 of a specification, in hexadecimal: equal for equal topologies.
pub fn spec_digest(spec: &TopologySpec) -> String {
    // Maps are sorted, so equal specifications have equal texts.
    let json = serde_json::to_vec(spec).expect("plain data with text keys");
    hex(&Sha256::digest(json))
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_specifications_apart() {
        let empty = TopologySpec::default();
        let mut other = empty.clone();
        other.config.insert("a".to_owned(), 1.into());
        assert_ne!(spec_digest(&empty), spec_digest(&other));
        assert_eq!(spec_digest(&empty).len(), 64);
    }
}
