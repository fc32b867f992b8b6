//! The clocks, read here and nowhere else in this crate.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use storm_model::Time;

/// The monotonic clock of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock(Instant::now())
    }

    /// Now, long after the clock's zero, so that what lies before its start has a time, too: figures that
    /// supervisors have kept are of weeks.
    pub(crate) fn now(self) -> Time {
        Time::from_secs(40 * 24 * 3600) + self.0.elapsed()
    }
}

/// Milliseconds since 1970 by the clock of this machine.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
