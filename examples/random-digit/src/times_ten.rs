//! Multiplies by ten.

use std::io::{self, Write};

use storm_rs::prelude::*;

/// Of so many tuples of a task one is printed.
const SAMPLE: u64 = 10;

/// Emits ten times its input, and prints a sample.
#[derive(Default)]
pub(crate) struct TimesTen {
    count: u64,
}

impl Bolt for TimesTen {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["number"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let digit: u8 = input.get("digit")?;
        let number = digit * 10;
        if self.count.is_multiple_of(SAMPLE) {
            writeln!(io::stdout(), "{digit} * 10 = {number}")?;
        }
        self.count += 1;
        out.emit((number,));
        Ok(())
    }
}
