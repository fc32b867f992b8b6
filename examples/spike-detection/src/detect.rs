//! Compares readings with their average.

use storm_rs::prelude::*;

/// Emits the readings that are further from their average than a part of it.
pub(crate) struct Detect {
    threshold: f64,
}

impl Detect {
    /// A spike is further from the average than `threshold` times the average.
    pub(crate) fn new(threshold: f64) -> Detect {
        Detect { threshold }
    }
}

impl Bolt for Detect {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["row", "timestamp", "text"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let (value, average): (f64, f64) = (input.get("value")?, input.get("average")?);
        if (value - average).abs() > self.threshold * average {
            let (row, timestamp, text): (u64, &[u8], &[u8]) =
                (input.get("row")?, input.get("timestamp")?, input.get("text")?);
            out.emit((row, timestamp, text));
        }
        Ok(())
    }
}
