//! The path of a tuple within a worker.
//!
//! Modules in the order in which a tuple meets them: a spout executor asks for it (`spout_executor`)
//! and opens its tree (`ledger`); the emit finds its targets (`emit`, `routing`, `grouping`), may be
//! written down (`sampling`), waits for credit if need be (`outbox`, `credit`) and goes by a batch
//! (`lanes`); a bolt executor takes it (`bolt_executor`, `pace`), perhaps keeps it (`retained`),
//! and acks it (`acks`) to the ledger.
//!
//! Executors are stepped: `step(now)` does some 100 microseconds of work and never blocks. Whoever
//! calls it - a thread for each or for some of them (`placement`, `executor_thread`, `watchdog`), or
//! one thread for all in an order drawn from a seed (`stepped`) - is not known to them. An executor
//! of another worker is an address like any other (`proxy`), whose lanes a line empties (`gateway`);
//! what carries the bytes is not known here. No network, no ZooKeeper, no async runtime.

mod spout_executor;
pub mod ledger;
mod emit;
pub mod sampling;
pub mod ids;
mod routing;
mod sources;
mod grouping;
mod outbox;
pub mod credit;
mod budget;
mod directory;
mod bell;
mod lanes;
mod proxy;
pub mod gateway;
mod bolt_executor;
pub mod pace;
mod retained;
mod doomed;
mod acks;
mod asked;

mod sync;
mod executor;
mod placement;
mod executor_thread;
mod watchdog;
pub mod stepped;
mod wiring;
mod port;
mod traffic;

pub mod clock;
mod panics;
pub mod report;
pub mod run;
pub mod settings;

pub use clock::{SystemClock, VirtualClock};
pub use executor::StartError;
pub use report::{ErrorKind, ErrorReport};
pub use run::{Event, Options, Run, RunError};
pub use sampling::{EventSink, SampledTuple};
pub use settings::{ComponentSettings, Settings};
pub use storm_figures::{Snapshot, TaskSnapshot};

#[cfg(all(test, loom))]
mod loom_tests;
