//! What was emitted and what arrived, kept for assertions.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::time::Duration;

use storm_model::{ComponentId, DEFAULT_STREAM, Fields, StreamId, TaskId, Value};
use storm_row::Anchor;

/// A longer text of a tuple is cut in messages.
const SHOWN_MAX: usize = 240;

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

/// A tuple that a task emitted or got, see [`Records`](super::Records).
///
/// Its `Display` is what messages show: `{word: "storm", count: 7}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub(super) emitter: (ComponentId, TaskId),
    /// The task that got it; `None` for what was emitted.
    pub(super) receiver: Option<(ComponentId, TaskId)>,
    pub(super) stream: StreamId,
    pub(super) fields: Fields,
    pub(super) values: Vec<Value>,
    /// Its trees, as far as they are known.
    pub(super) anchors: Vec<Anchor>,
    pub(super) at: Duration,
}

impl Record {
    /// The component that emitted it.
    pub fn source_component(&self) -> &ComponentId {
        &self.emitter.0
    }

    /// The task that emitted it.
    pub fn source_task(&self) -> TaskId {
        self.emitter.1
    }

    /// The task that this is a record of: the one that emitted it, or the one that got it.
    pub fn task(&self) -> TaskId {
        self.receiver.as_ref().unwrap_or(&self.emitter).1
    }

    /// The stream it was emitted to.
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// Names of the values.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The values.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The value of a field.
    ///
    /// # Panics
    /// When its stream has no such field.
    #[track_caller]
    pub fn get(&self, field: &str) -> &Value {
        let value = self.fields.index(field).and_then(|i| self.values.get(i));
        value.unwrap_or_else(|| panic!("{self} has no field '{field}'; it has {}", self.fields))
    }

    /// When, after the start of the test, on the virtual clock.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// The tuple with its way and time, for a line of a message.
    pub(super) fn told(&self) -> String {
        let (component, task) = &self.emitter;
        let way = match &self.receiver {
            None => format!("by task {task}"),
            Some((_, receiver)) => format!("from '{component}' (task {task}) at task {receiver}"),
        };
        let stream = stream_note(&self.stream);
        format!("{self} {way}{stream}, {:?} after the start", self.at)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.fields, &self.values))
    }
}

/// The stream, unless it is the one that goes without saying.
pub(super) fn stream_note(stream: &StreamId) -> String {
    if *stream == *DEFAULT_STREAM { String::new() } else { format!(" on stream '{stream}'") }
}

/// Values with the names of their fields: `{word: "storm", count: 7}`.
pub(super) fn shown(fields: &Fields, values: &[Value]) -> String {
    let mut text = String::from("{");
    for (i, value) in values.iter().enumerate() {
        let separator = if i == 0 { "" } else { ", " };
        let name = fields.name(i).unwrap_or("?");
        write!(text, "{separator}{name}: {}", Shown(value)).expect("a string takes everything");
    }
    text.push('}');
    if text.len() > SHOWN_MAX {
        text = text.chars().take(SHOWN_MAX).collect();
        text.push('…');
    }
    text
}

/// A value as people write it.
struct Shown<'a>(&'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Bool(x) => write!(f, "{x}"),
            Value::Int(x) => write!(f, "{x}"),
            Value::Float(x) => write!(f, "{x:?}"),
            Value::Str(x) => write!(f, "{x:?}"),
            Value::Bytes(x) => write!(f, "b\"{}\"", x.escape_ascii()),
            Value::List(list) => f.debug_list().entries(list.iter().map(Debugged)).finish(),
            Value::Map(map) => f.debug_map().entries(map.iter().map(|(k, v)| (k, Debugged(v)))).finish(),
            Value::Opaque(x) => write!(f, "opaque ({} bytes)", x.len()),
        }
    }
}

struct Debugged<'a>(&'a Value);

impl fmt::Debug for Debugged<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Shown(self.0), f)
    }
}

/// Values that are told apart, and ordered, by [`compare_values`].
#[derive(Clone, Debug)]
pub(super) struct Key(pub(super) Vec<Value>);

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        compare_rows(&self.0, &other.0)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

/// An order of values for tests, where the order of emits is not given: by kind, then by value;
/// NaN equals itself.
pub fn compare_values(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => a.total_cmp(b),
        (Value::Str(a), Value::Str(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) | (Value::Opaque(a), Value::Opaque(b)) => a.cmp(b),
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

#[cfg(test)]
mod tests {
    use storm_row::values;

    use super::*;

    #[test]
    fn a_tuple_is_shown_as_people_write_it_and_cut_when_it_is_long() {
        let fields = Fields::new(["word", "n", "raw", "list"]);
        let row = values!["a \"b\"", 7, vec![0_u8, b'x'], values![1.0, Option::<i32>::None]];
        assert_eq!(shown(&fields, &row), r#"{word: "a \"b\"", n: 7, raw: b"\x00x", list: [1.0, null]}"#);
        let long = shown(&Fields::new(["text"]), &values!["x".repeat(1000)]);
        assert_eq!((long.chars().count(), long.chars().last()), (SHOWN_MAX + 1, Some('…')));
    }
}
