//! Counts requests by the value of one field.

use bounded_input::{Counts, END, Markers};
use storm_rs::prelude::*;

/// Counts how often each value of a field comes.
pub(crate) struct Tally {
    field: &'static str,
    counts: Counts,
    ends: Markers,
}

impl Tally {
    /// Counts the values of this field.
    pub(crate) fn of(field: &'static str) -> Tally {
        Tally { field, counts: Counts::default(), ends: Markers::default() }
    }
}

impl Bolt for Tally {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields([self.field, "count"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        if !input.is_from_stream(END) {
            self.counts.add(input.get(self.field)?, 1);
        } else if self.ends.note(input)? {
            for count in self.counts.iter() {
                out.emit(count);
            }
        }
        Ok(())
    }
}
