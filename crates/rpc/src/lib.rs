//! The contract between command line, daemons and workers, over gRPC.
//!
//! `proto/` at the top level is the contract; [`v1`] is what it becomes in Rust.

pub mod auth;
pub mod launch;

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
