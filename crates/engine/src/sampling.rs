//! A share of the emitted tuples as text, for people who look for a fault in a topology that runs.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use storm_model::{ComponentId, StreamId, TaskId};
use storm_row::{Anchor, FieldRef, Values};

use crate::ids::EdgeIds;

/// Bytes of a tuple's values that are shown: whoever emits books does not fill the disk with them.
const SHOWN_BYTES: usize = 4096;

/// Trees of a tuple that are shown: one that joins thousands of others has as many.
const SHOWN_TREES: usize = 20;

/// Where sampled tuples go.
pub trait EventSink: fmt::Debug + Send + Sync {
    /// Whether there is room for one more. If not, it is told of the tuple in this way only, and counts that. Called
    /// as [`take`](EventSink::take) is.
    fn has_room(&self) -> bool {
        true
    }

    /// Takes one. It is called in the middle of an emit, so it does not block, whatever becomes of the tuple.
    fn take(&self, tuple: SampledTuple<'_>);
}

/// A tuple that was emitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampledTuple<'a> {
    /// Who emitted it.
    pub component: &'a ComponentId,
    /// Which task of it.
    pub task: TaskId,
    /// By which stream.
    pub stream: &'a StreamId,
    /// The trees that it belongs to, each as spout task and root in hexadecimal, divided by spaces; the first of them
    /// if there are many. Empty: none, or nobody receives it.
    pub message_id: String,
    /// Its values in brackets, on one line.
    pub values: String,
}

/// Draws tuples.
#[derive(Debug)]
pub(crate) struct Sampler {
    sink: Option<Arc<dyn EventSink>>,
    /// A random number up to this one means yes; there is no 0.
    threshold: u64,
    random: EdgeIds,
}

impl Sampler {
    pub(crate) fn new(sink: Option<Arc<dyn EventSink>>, seed: u64) -> Sampler {
        Sampler { sink, threshold: 0, random: EdgeIds::seeded(seed) }
    }

    /// Draws so many of a hundred from now on.
    pub(crate) fn set(&mut self, percent: f64) {
        // Float to int saturates: 100 is every number, what is below 0 or not a number is none.
        self.threshold = (percent / 100.0 * u64::MAX as f64) as u64;
    }

    /// Whether any tuple can be drawn.
    pub(crate) fn is_on(&self) -> bool {
        self.threshold > 0 && self.sink.is_some()
    }

    /// Draws: where this tuple goes, if it is one of them.
    pub(crate) fn draw(&mut self) -> Option<&Arc<dyn EventSink>> {
        self.sink.as_ref().filter(|_| self.threshold > 0 && self.random.next() <= self.threshold)
    }
}

/// The trees of a row.
pub(crate) fn message_id(anchors: &[Anchor]) -> String {
    let mut text = String::new();
    let mut write = || {
        for (i, a) in anchors.iter().take(SHOWN_TREES).enumerate() {
            write!(text, "{}{}:{:016x}", if i == 0 { "" } else { " " }, a.task, a.root)?;
        }
        match anchors.len().saturating_sub(SHOWN_TREES) {
            0 => Ok(()),
            more => write!(text, " … and {more} more"),
        }
    };
    write().expect("a string takes everything");
    text
}

/// The values of a row.
pub(crate) fn shown(values: &Values<'_>) -> String {
    let mut text = Bounded(String::new());
    let mut write = || {
        text.write_str("[")?;
        for (i, field) in values.iter().enumerate() {
            write!(text, "{}{}", if i == 0 { "" } else { ", " }, Shown(field))?;
        }
        text.write_str("]")
    };
    let is_whole = write().is_ok();
    let Bounded(mut text) = text;
    if !is_whole {
        text.push_str("...]");
    }
    text
}

/// Text that becomes only so long.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = SHOWN_BYTES - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let fitting = text.char_indices().map(|(start, c)| (c, start + c.len_utf8()));
        self.0.extend(fitting.take_while(|(_, end)| *end <= room).map(|(c, _)| c));
        Err(fmt::Error)
    }
}

/// A value on one line.
struct Shown<'a>(FieldRef<'a>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let divider = |i: usize| if i == 0 { "" } else { ", " };
        match self.0 {
            FieldRef::Null => f.write_str("null"),
            FieldRef::Bool(x) => write!(f, "{x}"),
            FieldRef::Int(x) => write!(f, "{x}"),
            FieldRef::Float(x) => write!(f, "{x:?}"),
            // In quotes, and what would end the line or the quotes is escaped.
            FieldRef::Str(x) => write!(f, "{x:?}"),
            FieldRef::Bytes(x) => write!(f, "<{} bytes>", x.len()),
            FieldRef::Opaque(x) => write!(f, "<opaque, {} bytes>", x.len()),
            FieldRef::List(list) => {
                f.write_str("[")?;
                for (i, item) in list.iter().enumerate() {
                    write!(f, "{}{}", divider(i), Shown(item))?;
                }
                f.write_str("]")
            }
            FieldRef::Map(map) => {
                f.write_str("{")?;
                for (i, (key, item)) in map.iter().enumerate() {
                    write!(f, "{}{key:?}: {}", divider(i), Shown(item))?;
                }
                f.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use storm_model::Value;
    use storm_row::RowBuilder;

    use super::*;

    fn text_of(values: Vec<Value>) -> String {
        let mut builder = RowBuilder::new(1 << 20);
        shown(&builder.write_row(&values[..]).unwrap())
    }

    #[test]
    fn values_stand_on_one_line() {
        let list = Value::List(vec![Value::Int(1), Value::Null]);
        let map = Value::Map([("a\nb".to_owned(), Value::Bool(true))].into());
        let values = vec![
            Value::Str("to \"be\",\nor".to_owned()),
            Value::Int(-7),
            Value::Float(1.0),
            Value::Bytes(vec![0; 3]),
            list,
            map,
        ];
        assert_eq!(text_of(values), r#"["to \"be\",\nor", -7, 1.0, <3 bytes>, [1, null], {"a\nb": true}]"#);
        assert_eq!(text_of(vec![]), "[]");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let text = text_of(vec![Value::Str("ä".repeat(SHOWN_BYTES))]);
        assert!(text.starts_with("[\"ää") && text.ends_with("ä...]"), "{text}");
        assert!(text.len() <= SHOWN_BYTES + 4);
    }

    #[test]
    fn a_tuple_of_thousands_of_trees_shows_the_first_of_them() {
        let anchors = |count| -> Vec<Anchor> {
            (0..count).map(|root| Anchor { task: TaskId(1), root, edge: 0 }).collect()
        };
        assert_eq!(message_id(&anchors(0)), "");
        assert_eq!(message_id(&anchors(2)), "1:0000000000000000 1:0000000000000001");
        let whole = message_id(&anchors(SHOWN_TREES as u64));
        assert_eq!(whole.split(' ').count(), SHOWN_TREES);
        assert_eq!(message_id(&anchors(65_535)), format!("{whole} … and 65515 more"));
    }

    #[derive(Debug)]
    struct Nowhere;

    impl EventSink for Nowhere {
        fn take(&self, _: SampledTuple<'_>) {}
    }

    #[test]
    fn as_many_are_drawn_as_was_asked_for() {
        let mut sampler = Sampler::new(Some(Arc::new(Nowhere)), 7);
        assert!(!sampler.is_on() && sampler.draw().is_none());
        for (percent, expected) in [(0.0, 0..=0), (10.0, 9_000..=11_000), (100.0, 100_000..=100_000)] {
            sampler.set(percent);
            assert_eq!(sampler.is_on(), percent > 0.0);
            let drawn = (0..100_000).filter(|_| sampler.draw().is_some()).count();
            assert!(expected.contains(&drawn), "{percent} %: {drawn}");
        }
        sampler.set(f64::NAN);
        assert!(!sampler.is_on());
        let mut nowhere = Sampler::new(None, 7);
        nowhere.set(100.0);
        assert!(!nowhere.is_on() && nowhere.draw().is_none());
    }
}
