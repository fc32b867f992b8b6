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

#[cfg(test)]
mod tests {
    use storm_rs::testing::BoltTest;

    use super::*;

    #[test]
    fn a_spike_is_further_from_the_average_than_its_part() {
        let fields = ["row", "timestamp", "text", "value", "average"];
        let mut detect = BoltTest::new(Detect::new(0.1)).input("average", fields);
        for (row, value) in [(1, 100.0), (2, 110.0), (3, 110.1), (4, 89.0)] {
            detect.execute((row, "now", "text", value, 100.0)).assert_acked();
        }
        detect.emits().assert_each_once(["row"], [(3,), (4,)]);
    }
}
