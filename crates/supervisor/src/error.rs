//! What keeps a supervisor from running.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a supervisor does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SupervisorError {
    /// Two supervisors would start the same workers twice.
    #[error("a supervisor runs already on {}: stop it, or give this one another 'storm.local.dir'", path.display())]
    Taken {
        /// The directory.
        path: PathBuf,
    },
    /// Nothing can be kept there.
    #[error("cannot use {}: {source}; is 'storm.local.dir' right, and may this user write there?", path.display())]
    LocalDir {
        /// Where.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// Its own port.
    #[error("cannot listen on {address}: {source}; set another 'supervisor.thrift.port' if it is taken")]
    Bind {
        /// Where.
        address: String,
        /// What happened.
        source: io::Error,
    },
    /// The port of its metrics.
    #[error(transparent)]
    Metrics(#[from] storm_exposition::ExpositionError),
    /// An option that makes no sense.
    #[error("{0}")]
    BadOption(String),
    /// The shared memory of the cluster.
    #[error(transparent)]
    Cluster(#[from] storm_cluster::Error),
}
