//! What daemons show to Prometheus, and the page they show it on.
//!
//! A [`Page`] takes values of the metrics that the tables of [`storm_figures::metrics`] declare; no name
//! stands here. What was gathered is written by `prometheus-client` at the end, for each scrape anew:
//! nothing is registered and nothing is global.
//!
//! ```
//! use storm_exposition::{Format, Page};
//! use storm_figures::metrics;
//!
//! let mut page = Page::default();
//! page.number(&metrics::SLOTS, &["used"], 3.0);
//! let text = page.text(Format::Plain);
//! assert!(text.ends_with("storm_supervisor_slots{state=\"used\"} 3.0\n"));
//! ```
//!
//! Modules in reading order: the page; what of a worker's report stands on it; what of a daemon and its
//! process; the server.

mod page;
mod buckets;
mod capacities;
mod topology;
mod daemon;
mod process;
mod serve;

pub use capacities::Capacities;
pub use daemon::{Requests, Session};
pub use page::{Format, Page};
pub use serve::{ExpositionError, Listen, respond, serve};
