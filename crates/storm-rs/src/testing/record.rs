//! What was emitted, kept for assertions.

use std::cmp::Ordering;

use storm_model::{DEFAULT_STREAM, TaskId, Value};

/// One emit.
#[derive(Clone, Debug, PartialEq)]
pub struct Emission {
    /// The stream.
    pub stream: String,
    /// The values.
    pub values: Vec<Value>,
    /// The task that a direct emit named.
    pub task: Option<TaskId>,
    /// Whether it was anchored (of a spout: tracked).
    pub is_anchored: bool,
}

/// The values of the emits to stream `default`, in order.
pub(super) fn on_default(emissions: &[Emission]) -> Vec<Vec<Value>> {
    on_stream(emissions, DEFAULT_STREAM)
}

/// The values of the emits to a stream, in order.
pub(super) fn on_stream(emissions: &[Emission], stream: &str) -> Vec<Vec<Value>> {
    emissions.iter().filter(|e| e.stream == stream).map(|e| e.values.clone()).collect()
}

/// An order of values for tests, where the order of emits is not given: by kind, then by value;
/// NaN equals itself.
pub fn compare_values(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => a.total_cmp(b),
        (Value::Str(a), Value::Str(b)) => a.cmp(b),
        (Value::Bytes(a) | Value::Opaque(a), Value::Bytes(b) | Value::Opaque(b)) => a.cmp(b),
        (Value::List(a), Value::List(b)) => compare_rows(a, b),
        (Value::Map(a), Value::Map(b)) => {
            let keys = a.keys().cmp(b.keys());
            keys.then_with(|| compare_all(a.values().zip(b.values())))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

/// The same for rows.
pub(super) fn compare_rows(a: &[Value], b: &[Value]) -> Ordering {
    compare_all(a.iter().zip(b)).then(a.len().cmp(&b.len()))
}

fn compare_all<'a>(mut pairs: impl Iterator<Item = (&'a Value, &'a Value)>) -> Ordering {
    pairs.find_map(|(a, b)| Some(compare_values(a, b)).filter(|o| o.is_ne())).unwrap_or(Ordering::Equal)
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) => 2,
        Value::Float(_) => 3,
        Value::Str(_) => 4,
        Value::Bytes(_) => 5,
        Value::List(_) => 6,
        Value::Map(_) => 7,
        Value::Opaque(_) => 8,
    }
}
