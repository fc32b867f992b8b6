//! The markers by which spout tasks say how far they are.

use std::collections::BTreeSet;

use storm_rs::TupleError;
use storm_rs::prelude::*;

/// Stream of the marker that a spout task emits when all its lines are processed.
pub const END: &str = "end";
/// Stream of the marker that a spout task emits when the writer has what its lines came to.
pub const COMMIT: &str = "commit";

/// Fields of both streams: which spout task of how many.
pub(crate) const MARKER_FIELDS: [&str; 2] = ["spout_task", "spout_tasks"];

/// The spout tasks whose marker has arrived.
#[derive(Debug, Default)]
pub struct Markers {
    seen: BTreeSet<usize>,
}

impl Markers {
    /// Takes note of a marker; true if now those of all spout tasks have arrived. A marker may
    /// come again, and the answer is the same then.
    ///
    /// # Errors
    /// The tuple is no marker.
    pub fn note(&mut self, marker: &Tuple<'_>) -> Result<bool, TupleError> {
        let tasks: usize = marker.get("spout_tasks")?;
        self.seen.insert(marker.get("spout_task")?);
        Ok(self.seen.len() == tasks)
    }
}
