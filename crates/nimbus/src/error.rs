//! Why a Nimbus cannot start or go on.

use std::path::PathBuf;

use thiserror::Error;

/// Why a Nimbus cannot start or go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NimbusError {
    /// An option that makes no sense.
    #[error("{0}")]
    BadOption(String),
    /// Its port is not free, or the address is not this machine's.
    #[error("cannot listen on {address}: {source}; 'nimbus.thrift.port' chooses another port")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Its directory cannot be used.
    #[error("cannot use {}: {source}; 'storm.local.dir' chooses another directory", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The port of its metrics is not free.
    #[error(transparent)]
    Metrics(#[from] storm_exposition::ExpositionError),
    /// ZooKeeper cannot be used.
    #[error(transparent)]
    Cluster(#[from] storm_cluster::Error),
    /// The server ended by itself.
    #[error("the server ended: {0}")]
    Serve(String),
}

/// Why a blob could not be stored or fetched.
#[derive(Debug, Error)]
pub(crate) enum BlobError {
    #[error("'{0}' is not the name of a blob: it is a SHA-256 in 64 hexadecimal digits")]
    Name(String),
    #[error("the upload names no blob in its first chunk")]
    Unnamed,
    #[error("the blob has {found} bytes, but {said} were announced")]
    Size { said: u64, found: u64 },
    #[error("the blob's SHA-256 is {found}, but {said} was announced: it was damaged on its way")]
    Digest { said: String, found: String },
    #[error("cannot store the blob: {0}")]
    Io(#[from] std::io::Error),
    #[error("nobody has the blob {0}")]
    Nowhere(String),
    #[error("the transfer of the blob broke off: {0}")]
    Broken(String),
}
