//! How long to wait before a line is made anew. Pure.

use std::time::{Duration, Instant};

/// A line that has lived for so long was a good one.
const CALM: Duration = Duration::from_secs(10);
/// The first wait after a failure; it doubles.
const FIRST: Duration = Duration::from_millis(50);
/// The longest wait after a failure.
const LONGEST: Duration = Duration::from_secs(5);
/// Renewals in a row that are made at once, when the peer lives anew: both sides may find that out of each
/// other once.
const AT_ONCE: u32 = 4;
/// The longest wait when the peer lives anew.
const LONGEST_FOR_LIFE: Duration = Duration::from_millis(500);

/// Counts renewals that follow quickly after one another: whatever is wrong must not become a circle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Renewals {
    made: Instant,
    quick: u32,
}

impl Renewals {
    pub(crate) fn new(now: Instant) -> Renewals {
        Renewals { made: now, quick: 0 }
    }

    /// A line has been made.
    pub(crate) fn made(&mut self, now: Instant) {
        self.made = now;
    }

    /// The line is over: so long until the next. `has_failed`: something is wrong with it, and may be
    /// again.
    pub(crate) fn wait(&mut self, now: Instant, has_failed: bool) -> Duration {
        if now.duration_since(self.made) >= CALM {
            self.quick = 0;
        }
        let (before, longest) = if has_failed { (0, LONGEST) } else { (AT_ONCE, LONGEST_FOR_LIFE) };
        let quick = self.quick;
        self.quick = quick.saturating_add(1);
        match quick.checked_sub(before) {
            Some(doubled) => FIRST.saturating_mul(1 << doubled.min(16)).min(longest),
            None => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(has_failed: bool, every: Duration) -> Vec<u128> {
        let mut now = Instant::now();
        let mut renewals = Renewals::new(now);
        let mut waits = Vec::new();
        for _ in 0..9 {
            now += every;
            waits.push(renewals.wait(now, has_failed).as_millis());
            renewals.made(now);
        }
        waits
    }

    #[test]
    fn a_new_life_is_met_at_once_but_not_in_a_circle() {
        assert_eq!(waits(false, Duration::from_millis(1)), [0, 0, 0, 0, 50, 100, 200, 400, 500]);
        assert_eq!(waits(false, CALM), [0; 9]);
    }

    #[test]
    fn a_failure_is_waited_out() {
        let quick = waits(true, Duration::from_millis(1));
        assert_eq!(quick, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(waits(true, CALM), [50; 9]);
    }
}
