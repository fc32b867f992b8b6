//! Counts words.

use bounded_input::{Counts, END, Markers};
use storm_rs::prelude::*;

/// Counts the words that come to this task, and emits the counts when the text has ended.
#[derive(Default)]
pub(crate) struct Count {
    counts: Counts,
    ends: Markers,
}

impl Bolt for Count {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["word", "count"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        if *input.source_stream() != *END {
            self.counts.add(input.get("word")?, 1);
        } else if self.ends.note(input)? {
            for count in self.counts.iter() {
                out.emit(count);
            }
        }
        Ok(())
    }
}
