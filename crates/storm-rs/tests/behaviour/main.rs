//! Behaviour of the engine as a user sees it: one file per subject. Most run on one thread and a
//! virtual clock (`Stepped`), so that a 30 s timeout takes no time and every run is repeatable.

#![allow(clippy::unwrap_used, clippy::type_complexity, unreachable_pub, reason = "helpers of tests")]

pub(crate) mod kit;

mod groupings;
mod replay;
mod timeouts;
mod backpressure;
mod cycles;
mod panics;
mod fatal;
mod ticks;
mod activation;
mod direct_streams;
mod several_streams;
mod context;
mod hooks;
mod task_metrics;
mod figures;
mod multi_anchors;
mod row_limits;
mod building;
mod debug;
pub(crate) mod async_bolts;
mod async_spouts;
mod ends;
