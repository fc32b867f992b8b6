//! Field names of a stream, in order.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The names of a stream's fields, in the order of the values. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fields(Arc<[Box<str>]>);

impl Fields {
    /// Fields of these names. Duplicates are found when the topology is validated.
    pub fn new<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Fields {
        Fields(names.into_iter().map(|n| n.as_ref().into()).collect())
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|n| &**n)
    }

    /// The position of `name`.
    #[inline(always)]
    pub fn index(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|n| is_same(n.as_bytes(), name.as_bytes()))
    }

    /// The name at `index`.
    pub fn name(&self, index: usize) -> Option<&str> {
        self.0.get(index).map(|n| &**n)
    }

    /// The first name that stands twice.
    pub fn duplicate(&self) -> Option<&str> {
        let names = &self.0;
        (1..names.len()).find(|&i| names[..i].contains(&names[i])).map(|i| &*names[i])
    }
}

/// Whether two names are the same. Names are short, and one is looked up for every field that a bolt
/// reads: two reads that overlap compare up to 16 bytes without a call.
#[inline(always)]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        2..=4 => a.first_chunk::<2>() == b.first_chunk::<2>() && a.last_chunk::<2>() == b.last_chunk::<2>(),
        5..=8 => a.first_chunk::<4>() == b.first_chunk::<4>() && a.last_chunk::<4>() == b.last_chunk::<4>(),
        9..=16 => a.first_chunk::<8>() == b.first_chunk::<8>() && a.last_chunk::<8>() == b.last_chunk::<8>(),
        _ => a == b,
    }
}

impl fmt::Display for Fields {
    /// `[word, count]`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0.join(", "))
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
