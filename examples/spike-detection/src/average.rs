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
