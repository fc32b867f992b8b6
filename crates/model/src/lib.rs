//! The vocabulary of storm-rs in one place: plain data that crosses crate boundaries.
//!
//! No I/O, no clock, no threads. Modules in reading order: names and numbers, time, values and
//! field names; the description of a topology and what can be wrong with it; its tasks and
//! executors, which of its edges close a cycle, where its executors run, and what is changed of it
//! while it runs.

pub mod ids;
pub mod time;
pub mod value;
pub mod fields;
pub mod system;
pub mod spec;
pub mod validate;
pub mod tasks;
pub mod cycles;
pub mod assignment;
pub mod tuning;

pub use assignment::{AssignedExecutor, Assignment, Incarnation, Status, WorkerAssignment, WorkerSlot};
pub use fields::Fields;
pub use ids::{ComponentId, DEFAULT_STREAM, ExecutorId, StreamId, SupervisorId, TaskId, TopologyId};
pub use spec::{ComponentKind, ComponentSpec, ConfigMap, GroupingSpec, InputSpec, StreamSpec, TopologySpec};
pub use tasks::TaskTable;
pub use time::Time;
pub use tuning::{Level, LogLevel, Sampling, Tuning};
pub use validate::SpecError;
pub use value::Value;
