//! What users write: spouts and bolts, and the builder that wires them into a topology.
//!
//! Nothing here runs anything: an engine (or a test kit) does, through the seam in `collector`.
//! Modules in reading order: spouts and bolts; what they are given and what they give back; the
//! builder; what few need.

pub mod spout;
pub mod bolt;
pub mod tuple;
pub mod collector;
pub mod context;
pub mod declare;
pub mod error;
pub mod builder;
pub mod retained;
pub mod inbox;
pub mod grouping;
pub mod hooks;
pub mod task_metrics;

pub use bolt::{Bolt, BoltEmit, BoltOutput};
pub use builder::{BoltDeclarer, Factory, SpoutDeclarer, StreamRef, Topology, TopologyBuilder};
pub use collector::{AnchorTo, Anchoring, BoltSink, Outputs, SpoutSink};
pub use context::{Clock, Resources, TaskContext, TaskPort, WorkerContext, WorkerInfo};
pub use declare::OutputDeclarer;
pub use error::{BoltError, ComponentError, EmitError, SpoutError, TopologyError, TupleError};
pub use grouping::{CustomGrouping, GroupingEdge};
pub use hooks::{TaskHook, WorkerHook};
pub use inbox::{Inbox, Message, MessagePort, Refused, SendError};
pub use retained::{Resolution, Retained, RetainedHome};
pub use spout::{AnySpout, FailCause, Next, Spout, SpoutEmit, SpoutOutput, SpoutTask};
pub use task_metrics::{MetricError, TaskMetrics};
pub use tuple::{FieldKey, FromTuple, StreamInfo, Tuple};

/// The crate whose handles [`TaskContext::counter`] and its like give out.
pub use metrics;
