//! Counts requests and their bytes by status.

use bounded_input::{Counts, END, Markers};
use storm_rs::prelude::*;

/// Counts the requests and sums up the bytes of each status.
#[derive(Default)]
pub(crate) struct Statuses {
    requests: Counts,
    bytes: Counts,
    ends: Markers,
}

impl Bolt for Statuses {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["status", "count", "bytes"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        if !input.is_from_stream(END) {
            let status = input.get("status")?;
            self.requests.add(status, 1);
            self.bytes.add(status, input.get("bytes")?);
        } else if self.ends.note(input)? {
            for (status, count) in self.requests.iter() {
                out.emit((status, count, self.bytes.of(status)));
            }
        }
        Ok(())
    }
}
