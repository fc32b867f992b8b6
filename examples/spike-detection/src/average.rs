//! Averages the last values of each device.

use std::num::NonZeroUsize;

use rustc_hash::FxHashMap;
use storm_rs::prelude::*;

use crate::reading::Reading;
use crate::window::Window;

/// Stream of the numbers of malformed rows.
pub(crate) const MALFORMED: &str = "malformed";

/// Emits each reading with the moving average of its device, the reading included. A malformed row
/// is reported, goes to [`MALFORMED`] and is part of no average.
pub(crate) struct Average {
    window: usize,
    devices: FxHashMap<Box<[u8]>, Device>,
}

#[derive(Default)]
struct Device {
    window: Window,
    last_row: u64,
    average: f64,
}

impl Average {
    /// Averages over this many readings.
    pub(crate) fn new(window: NonZeroUsize) -> Average {
        Average { window: window.get(), devices: FxHashMap::default() }
    }

    fn device(&mut self, name: &[u8]) -> &mut Device {
        if !self.devices.contains_key(name) {
            self.devices.insert(name.into(), Device::default());
        }
        self.devices.get_mut(name).expect("just inserted")
    }
}

impl Bolt for Average {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["row", "timestamp", "text", "value", "average"]).stream(MALFORMED, ["row"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let row: u64 = input.get("number")?;
        let Reading { timestamp, text, value } = match Reading::parse(input.get("line")?) {
            Ok(reading) => reading,
            Err(why) => {
                out.report_error(format!("row {row} is malformed: {why}"));
                out.emit_to(MALFORMED, (row,));
                return Ok(());
            }
        };
        let window = self.window;
        let device = self.device(input.get("key")?);
        if row > device.last_row {
            device.last_row = row;
            device.average = device.window.push(value, window);
        } else {
            // Its tree had failed, and its place in the window is gone: a rare near miss beats a
            // reading that nobody looks at.
            out.report_error(format!("row {row} came again after row {}", device.last_row));
        }
        out.emit((row, timestamp, text, value, device.average));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use storm_rs::testing::BoltTest;

    use super::*;

    fn average() -> BoltTest<Average> {
        let window = NonZeroUsize::new(2).expect("2 is not 0");
        BoltTest::new(Average::new(window)).input("readings", ["number", "line", "key"])
    }

    #[test]
    fn each_device_has_an_average_of_its_own() {
        let mut average = average();
        for (row, line) in [(1, "t,2,a"), (2, "t,10,b"), (3, "t,4,a"), (4, "t,8,a")] {
            average.execute((row, line, line.rsplit(',').next())).assert_acked();
        }
        let averages = [(1, 2.0), (2, 10.0), (3, 3.0), (4, 6.0)];
        average.emits().on_stream("default").assert_each_once(["row", "average"], averages);
    }

    #[test]
    fn a_reading_that_comes_again_does_not_count_twice() {
        let mut average = average();
        average.execute((1, "t,2,a", "a"));
        average.execute((2, "t,4,a", "a"));
        let again = average.execute((1, "t,2,a", "a"));
        assert!(again.is_acked() && again.error().is_some_and(|e| e.contains("came again")), "{again:?}");
        assert_eq!(again.emitted()[0][4], Value::Float(3.0));
    }
}
