//! The vocabulary of storm-rs in one place: plain data that crosses crate boundaries.
//!
//! No I/O, no clock, no threads. Modules in reading order: names and numbers, time, values, the
//! description of a topology and what can be wrong with it, tasks and executors.

pub mod ids;
pub mod time;
pub mod value;

pub use ids::{ComponentId, DEFAULT_STREAM, ExecutorId, StreamId, TaskId};
pub use time::Time;
pub use value::Value;
