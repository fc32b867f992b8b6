//! The crate as its users see it: rows are built, batched, sent, read and hashed.
#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

mod arbitrary;
mod batches;
mod fields;
mod keys;
mod rows;
mod wire;
