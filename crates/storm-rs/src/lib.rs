//! storm-rs: Apache Storm's model, native.

pub mod entry;
pub mod describe;
pub mod configure;
pub mod testing;
pub mod live_figures;
#[cfg(feature = "cluster")]
mod worker_mode;
mod local;
mod progress;
mod logging;
#[cfg(feature = "tokio")]
pub mod async_spout;

/// The engine, for those who run topologies from code of their own.
pub mod engine {
    pub use storm_engine::*;
}
/// Figures of a running topology: snapshots, windows, latencies, and their names.
pub mod figures {
    pub use storm_figures::*;
}
/// Configuration keys, for those who load configuration from code of their own.
pub mod config {
    pub use storm_config::*;
}

#[cfg(feature = "tokio")]
pub use async_spout::{AsyncSpout, Feed, FeedContext, FeedEmit, Receipt, Stopped};
pub use entry::{ENVIRONMENT, run};
pub use live_figures::{FiguresReport, LiveFigures};
pub use storm_model::{ComponentId, ConfigMap, Fields, GroupingSpec, StreamId, TaskId, Time, Value};
pub use storm_row::{FieldRef, FromField, Opaque, Row, RowBuilder, ToField, Values, values};
pub use storm_rs_derive::Row;
pub use storm_topology::*;

/// What most topologies need: `use storm_rs::prelude::*;`
pub mod prelude {
    pub use crate::{
        Bolt, BoltError, BoltOutput, FailCause, Next, Opaque, OutputDeclarer, Retained, Row, Spout,
        SpoutError, SpoutOutput, TaskContext, TaskId, Topology, TopologyBuilder, TopologyError, Tuple, Value,
        run, values,
    };
}

/// Compiles the code on this page.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/semantics.md")]
struct SemanticsDoc;

/// Compiles the Rust code on this page.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/coming-from-storm.md")]
struct ComingFromStormDoc;

/// Compiles the code of the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadmeDoc;
