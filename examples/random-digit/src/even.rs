//! Lets even digits pass.

use storm_rs::prelude::*;

/// Emits its input if it is even.
pub(crate) struct Even;

impl Bolt for Even {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["digit"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        if input.get::<u8>("digit")?.is_multiple_of(2) {
            out.emit(input);
        }
        Ok(())
    }
}
