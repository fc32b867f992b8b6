//! Describe mode: the topology as JSON, for whoever submits it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use storm_model::TopologySpec;
use storm_topology::Topology;

/// Version of the contract between topology binaries and daemons.
pub const CONTRACT: u32 = 1;

/// What a topology binary says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Version of the contract ([`CONTRACT`]).
    pub contract: u32,
    /// Version of storm-rs that it was built with.
    pub engine_version: String,
    /// Name that the code gives the topology.
    pub name: String,
    /// Architecture that it was built for.
    pub target_arch: String,
    /// Whether it is a debug build.
    pub is_debug_build: bool,
    /// Components, streams, groupings, parallelism, configuration.
    pub spec: TopologySpec,
}

/// Why a topology could not be described.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// Built so that a panic ends the process.
    #[error(
        "topology '{name}' is built with panic = \"abort\": a panic in one tuple would end the worker; build it with panic = \"unwind\" (the default)"
    )]
    PanicAborts {
        /// The topology.
        name: String,
    },
    /// The file cannot be written.
    #[error("cannot write the description to {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

/// The description of a topology.
pub fn describe(name: &str, topology: &Topology) -> Description {
    Description {
        contract: CONTRACT,
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        name: name.to_owned(),
        target_arch: std::env::consts::ARCH.to_owned(),
        is_debug_build: cfg!(debug_assertions),
        spec: topology.spec.clone(),
    }
}

/// Writes the description to a file; never to stdout, which is the user's.
pub(crate) fn write(name: &str, topology: &Topology, path: &Path) -> Result<(), DescribeError> {
    if cfg!(panic = "abort") {
        return Err(DescribeError::PanicAborts { name: name.to_owned() });
    }
    let json = serde_json::to_vec_pretty(&describe(name, topology)).expect("plain data with text keys");
    std::fs::write(path, json).map_err(|source| DescribeError::Write { path: path.to_owned(), source })
}
