//! What can go wrong, by who has to do something about it.

use std::io;

use thiserror::Error;

/// Why an endpoint or a peer could not be started.
#[derive(Debug, Error)]
pub enum Error {
    /// A name does not fit into a hello.
    #[error("{what} has {length} bytes, {max} are allowed")]
    NameTooLong {
        /// Which.
        what: &'static str,
        /// How long it is.
        length: usize,
        /// How long it may be.
        max: usize,
    },
    /// The operating system gave no thread or socket.
    #[error("messaging between workers could not start: {0}")]
    Io(#[from] io::Error),
}

/// What a sink cannot take, and why. It ends the session.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct SinkError(pub String);

impl SinkError {
    /// With a message in lower case that names the thing.
    pub fn new(message: impl Into<String>) -> SinkError {
        SinkError(message.into())
    }
}

/// A rule of the session was broken. A reconnect does not mend it: the session is over.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// Frames are missing between the last one and this one.
    #[error("frame {number} came where {expected} was expected")]
    Gap {
        /// The number that was expected.
        expected: u64,
        /// The number that came.
        number: u64,
    },
    /// The peer confirms what was never sent.
    #[error("the peer confirms {count} frames where {sent} were sent")]
    CountAhead {
        /// What it says.
        count: u64,
        /// How many were sent.
        sent: u64,
    },
    /// The peer takes back what it had confirmed.
    #[error("the peer has {count} frames where it had confirmed {confirmed}")]
    CountBack {
        /// What it says.
        count: u64,
        /// What it had said.
        confirmed: u64,
    },
    /// The source gave a kind that is kept for this crate.
    #[error("the source gave a frame of kind {kind}, which is reserved")]
    ReservedKind {
        /// The kind.
        kind: u8,
    },
    /// The source gave a body that is too long.
    #[error("the source gave a body of {length} bytes, {max} are allowed")]
    BodyTooLong {
        /// How long it is.
        length: usize,
        /// How long it may be.
        max: usize,
    },
    /// The source shortened the buffer that it may only append to.
    #[error("the source took away from the send buffer")]
    BufferShortened,
}
