//! Frames over TCP between the workers of a topology.
//!
//! A pair of worker incarnations is a session over two connections: one for data, one for control, so
//! that acks never queue behind rows. Each is numbered and confirmed, and survives its connection: after
//! a break it is dialled again and exactly what is missing is sent again. Before anything else both ends
//! prove that they hold the key of the topology.
//!
//! Modules in reading order: what the caller gives; the pure part (frames, sessions, the handshake, who
//! is paired with whom, how long to wait); the shell of sockets and threads around it.

pub mod lines;
pub mod settings;
pub mod hello;
pub mod error;
pub mod figures;
pub mod frame;
pub mod session;
pub mod handshake;
mod pairing;
mod backoff;
mod lane;
mod link;
mod reader;
mod writer;
pub mod endpoint;
pub mod peer;

pub use endpoint::Endpoint;
pub use error::{Error, ProtocolError, SinkError};
pub use figures::{LaneFigures, PeerFigures};
pub use hello::{Gate, Hello, Identity, Key, Refusal, Verdict};
pub use lane::Lane;
pub use lines::{Lines, Sink, Source};
pub use peer::{Failure, Handler, Peer, PeerEvent, PeerSpec, Why};
pub use settings::Settings;
