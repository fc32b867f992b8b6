//! The clock that sessions expire by.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::core::Now;

/// A gap between two looks at the clock counts as this many ticks at most.
const GAP_MAX_TICKS: u32 = 4;

/// A clock that stands still while the server does.
///
/// While the process is stopped or starved, clients cannot tell it that they are alive. Were that time
/// counted, their sessions would all expire at once when the process goes on.
#[derive(Debug)]
pub(super) struct Clock {
    served: Duration,
    seen: Instant,
    gap_max: Duration,
}

impl Clock {
    pub(super) fn start(tick: Duration) -> Clock {
        Clock { served: Duration::ZERO, seen: Instant::now(), gap_max: tick * GAP_MAX_TICKS }
    }

    pub(super) fn now(&mut self) -> Now {
        let instant = Instant::now();
        self.served += instant.saturating_duration_since(self.seen).min(self.gap_max);
        self.seen = instant;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { clock: self.served, unix_millis: i64::try_from(unix.as_millis()).unwrap_or(i64::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_long_gap_counts_little() {
        let tick = Duration::from_millis(50);
        let mut clock = Clock::start(tick);
        tokio::time::advance(tick).await;
        assert_eq!(clock.now().clock, tick);
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(clock.now().clock, tick * (1 + GAP_MAX_TICKS));
    }
}
