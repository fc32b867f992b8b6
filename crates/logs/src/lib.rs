//! Log files of one machine: kept small, found, read, followed and searched from afar.
//!
//! ```text
//! <workers' directory>/<topology id>/<port>/worker.log   what a worker says; any other file beside it, too
//!                                          /worker.log.1 its newest older part, then .2 and so on
//! <daemon's directory>/nimbus.log, nimbus.log.1          what a daemon says
//! ```
//!
//! Supervisors serve both, Nimbuses the second. A name that comes over the network is that of a file in one of
//! the two directories, or of none.
//!
//! Modules in reading order: what can go wrong; how files are kept small; which there are, and what their names
//! may be; how one is read while it grows; how it is searched; the service.

mod error;
mod rotation;
mod directory;
mod follower;
mod search;
mod service;

pub use directory::{LogDirectory, LogFile, entries, is_of, port_of, worker_log};
pub use error::LogError;
pub use follower::{Follower, Read};
pub use rotation::{Limit, RollingFile, rotate_closed, rotate_open};
pub use search::{Match, Matches, Pattern};
pub use service::LogsService;
