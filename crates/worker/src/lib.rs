//! One worker process: executors of a topology, joined with those of its peers.
//!
//! ```text
//!   supervisor ──orders──▶ control_line ──▶ mailbox ──▶ worker (one loop) ──▶ engine's Run
//!              ◀─reports──                                 │                     │ gateway
//!                                                          ▼                     ▼
//!                                                        peers ───lines─── carrier ── messaging
//! ```
//!
//! Start: read the assignment, make the tasks, connect with every peer; when all are prepared the
//! spouts begin. From there on the worker follows its assignment: a peer that lives anew or elsewhere
//! gets a new line, and a worker that the newest assignment does not list any more stops. It never
//! stops because it hears nothing.

mod mailbox;
mod control_line;
mod carrier;
mod gate;
mod peers;
mod reporting;
mod worker;

pub use worker::{WorkerError, run};
