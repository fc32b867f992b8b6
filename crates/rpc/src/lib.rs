//! The contract between command line, daemons and workers, over gRPC.
//!
//! `proto/` at the top level is the contract; [`v1`] is what it becomes in Rust. Around it, in reading
//! order: who may call, how a worker is started, errors and what they become on the wire and at the
//! shell, messages from and to the model, files in chunks, what servers ask of a call, how clients
//! call.

pub mod auth;
pub mod launch;
pub mod status;
pub mod convert;
pub mod blob;
pub mod server;
pub mod client;
pub mod nimbus_client;
pub mod supervisor_client;

pub use auth::{Caller, Secret};
pub use nimbus_client::Nimbuses;
pub use status::{CallError, ErrorCode};
pub use supervisor_client::SupervisorCalls;

/// Messages and services of `proto/`.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_lifetimes,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::redundant_clone,
    clippy::cast_lossless,
    reason = "generated; the .proto files are the documentation"
)]
pub mod v1 {
    tonic::include_proto!("storm_rs.v1");
}
