//! The two connections of a pair of workers.

use std::fmt;

/// One of the two connections between a pair of workers. They share nothing, so neither waits for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Rows.
    Data,
    /// Acks, fails, credit.
    Control,
}

impl Lane {
    /// Its place in an array of both.
    pub(crate) fn index(self) -> usize {
        match self {
            Lane::Data => 0,
            Lane::Control => 1,
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Lane::Data => "data",
            Lane::Control => "control",
        })
    }
}
