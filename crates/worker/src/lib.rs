//! One worker process: executors of a topology, joined with those of its peers.
//!
//! ```text
//!   supervisor ──orders──▶ control_line ──▶ mailbox ──▶ worker (one loop) ──▶ engine's Run
//!              ◀─reports──                                 │                     │ gateway
//!                                                          ▼                     ▼
//!                                                        peers ───lines─── carrier ── messaging
//! ```
//!
//! Start: read the assignment, make the tasks, connect with every peer; when all are ready the spouts
//! begin. From there on the worker follows its assignment: a peer that lives anew or elsewhere gets a new
//! line, and a worker that the newest assignment does not list any more stops. It never stops because
//! it hears nothing.
//!
//! Modules in reading order: what is decided (pure), the two ways out, the start, the loop.

mod life;
mod barrier;
mod quiet;
mod stuck;
mod tuning;
mod renewal;
mod mailbox;
mod control_line;
mod carrier;
mod gate;
mod peers;
mod reporting;
mod events_log;
mod start;
mod worker;

pub use storm_logs::Limit;
pub use tuning::Loggers;
pub use worker::{Process, Stopper, WorkerError, run, run_until};
