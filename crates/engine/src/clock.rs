//! Clocks: the machine's, and one that only moves when it is told to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use storm_model::Time;
use storm_topology::Clock;

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// A clock that starts now.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes in")]
    pub fn start() -> SystemClock {
        SystemClock(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        // One second on, so that "a while ago" can be told at the start.
        Time::from_secs(1) + self.0.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is where time comes in")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// What reading a clock takes: to be subtracted from what is measured with it.
pub(crate) fn cost_of(clock: &dyn Clock) -> Duration {
    let once = || {
        let before = clock.now();
        clock.now().since(before)
    };
    (0..16).map(|_| once()).min().unwrap_or_default()
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct VirtualClock(AtomicU64);

impl VirtualClock {
    /// A clock at one second.
    pub fn new() -> VirtualClock {
        VirtualClock(AtomicU64::new(1_000_000_000))
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_nanos() as u64, Ordering::SeqCst);
    }

    /// Moves the clock on to `time`, if that is later.
    pub fn advance_to(&self, time: Time) {
        self.0.fetch_max(time.as_nanos(), Ordering::SeqCst);
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        VirtualClock::new()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Time {
        Time::from_nanos(self.0.load(Ordering::SeqCst))
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }
}
