//! Describe mode: the topology as JSON, for whoever submits it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use storm_model::TopologySpec;
use storm_topology::Topology;

use crate::configure::{ConfigureError, configure, layered};

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
    /// Configuration above the code's: what was given for the submission, and what the submitter's own
    /// says of keys that the code leaves alone.
    #[serde(default)]
    pub config: Map<String, Json>,
}

/// Configuration from outside, as whoever submits gives it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Layers {
    /// Below the topology's code: `topology.*` of the submitter's `storm.yaml`.
    #[serde(default)]
    pub below: Map<String, Json>,
    /// Above it.
    #[serde(default)]
    pub above: Map<String, Json>,
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
    /// The configuration that was given from outside cannot be read.
    #[error("cannot read the configuration in {}: {reason}", path.display())]
    Layers {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The topology cannot run with its configuration.
    #[error(transparent)]
    Configure(#[from] ConfigureError),
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
        config: Map::new(),
    }
}

/// Writes the description to a file; never to stdout, which is the user's. With configuration from
/// outside it is that of the topology as it would run.
pub(crate) fn write(
    name: &str,
    mut topology: Topology,
    path: &Path,
    layers: Option<&Path>,
) -> Result<(), DescribeError> {
    if cfg!(panic = "abort") {
        return Err(DescribeError::PanicAborts { name: name.to_owned() });
    }
    let mut config = Map::new();
    if let Some(file) = layers {
        let Layers { below, above } = read_layers(file)?;
        let effective = layered(&topology, &below, &above)?;
        configure(&mut topology, &effective)?;
        let code = &topology.spec.config;
        config = below.into_iter().filter(|(key, _)| !code.contains_key(key)).chain(above).collect();
    }
    let description = Description { config, ..describe(name, &topology) };
    let json = serde_json::to_vec_pretty(&description).expect("plain data with text keys");
    std::fs::write(path, json).map_err(|source| DescribeError::Write { path: path.to_owned(), source })
}

fn read_layers(path: &Path) -> Result<Layers, DescribeError> {
    let error = |reason: String| DescribeError::Layers { path: path.to_owned(), reason };
    let text = std::fs::read(path).map_err(|e| error(e.to_string()))?;
    serde_json::from_slice(&text).map_err(|e| error(e.to_string()))
}
