//! A ZooKeeper-protocol server of one node, for development and tests.
//!
//! It speaks to clients as ZooKeeper 3.9 does, and keeps its promises: sessions with timeouts and
//! passwords, ephemerals, sequences, watches of all modes, multis, ACLs (world, digest, ip), and with a
//! data directory it answers when a change is on the disk and not before. It is one process: when that
//! dies, the service is gone until it is started again. In production, use ZooKeeper.
//!
//! ```
//! use storm_dev_zookeeper::{Options, Server};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let server = Server::start(Options::default()).await?;
//! println!("clients connect to {}", server.address());
//! server.stop().await
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not there: TLS, SASL, nodes with a time to live, quotas, reconfiguration; containers stay when
//! they are empty. Other than ZooKeeper, a request that fails takes no zxid, and an attempt to resume
//! a session with a wrong password does not disturb its owner.
//!
//! Modules, from the outside in: `server` (sockets, tasks, clocks), `journal` (files), `core` (what
//! an event leads to; pure), `state` and `tree` (what outlives the process), `watches`, `acl`, `path`,
//! `packet` and `jute` (bytes).

mod jute;
mod packet;
mod error_code;
mod path;

mod acl;
mod tree;
mod state;
mod watches;
mod core;
mod journal;
mod server;

pub use crate::core::{ConnectionId, Core, Effect, Event, Limits, Now, Word};
pub use crate::journal::DataError;
pub use crate::server::{Options, Server, ServerError};
pub use crate::state::{State, Txn};
