//! The figures of a running topology: what workers report, Nimbus merges and people read.
//!
//! Pure: no I/O, no clock, no threads, nothing global; time is an argument.
//!
//! A worker fills a [`Snapshot`] with totals that only grow. A [`Keeper`] takes the snapshots of a
//! topology, and says at any time what was counted in each of Storm's windows: [`TopologyFigures`].
//! In a cluster each supervisor has one, and a Nimbus shows several as one: [`Keepers`].
//!
//! Modules in reading order: what is measured and reported; how totals are kept in windows; what
//! comes out; what each figure is called.

pub mod latency;
pub mod distribution;
pub mod snapshot;
pub mod errors;
pub mod window;
pub mod total;
pub mod portable;
mod by_key;
pub mod history;
pub mod totals;
pub mod capacity;
pub mod trend;
pub mod keeper;
pub mod keepers;
pub mod figures;
pub mod diagnosis;
pub mod metrics;

pub use capacity::capacity;
pub use diagnosis::{Diagnosis, diagnose};
pub use distribution::Distribution;
pub use errors::{ErrorLog, ErrorRecord};
pub use figures::{
    ComponentFigures, Counts, ExecutorFigures, Figures, Gauges, InputFigures, StreamFigures, TaskFigures,
    TopologyFigures, TopologyStats,
};
pub use history::History;
pub use keeper::Keeper;
pub use keepers::Keepers;
pub use latency::Latency;
pub use portable::BadPortable;
pub use snapshot::{
    EdgeCount, ExecutorSnapshot, InputCount, MetricValue, Snapshot, StreamCount, TaskSnapshot, UserMetric,
};
pub use total::{Share, Total};
pub use totals::{InputTotal, OutputTotal};
pub use trend::{Recent, Trend, TrendPoint};
pub use window::{UnknownWindow, Window, Windowed};
