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
    #[inline]
    pub fn index(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|n| **n == *name)
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
