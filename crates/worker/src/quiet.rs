//! When a worker says that nothing is on its way in it. Pure.
//!
//! What it says is compared with what other workers say, who looked at other times: rows between two workers
//! are in nobody's sight but in the sums of what was sent and received. A look is worth something only
//! when both numbers are those of the very moment at which nothing was on its way here, and two workers
//! are only known to have been quiet at the same time when each was so for longer than it takes to tell.

use std::time::{Duration, Instant};

/// How long it has to have been so.
const HOLD: Duration = Duration::from_millis(100);

/// Rows that were handed to peers, and taken from them.
pub(crate) type Rows = (u64, u64);

/// Watches the end of a worker's activity.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quiet {
    since: Option<(Instant, Rows)>,
}

impl Quiet {
    /// A look: whether everything was processed, and the rows that were counted before that was asked and
    /// after it. Whether the worker has been quiet for long enough.
    pub(crate) fn look(&mut self, now: Instant, is_complete: bool, before: Rows, after: Rows) -> bool {
        if !is_complete || before != after {
            self.since = None;
            return false;
        }
        match self.since {
            Some((since, rows)) if rows == after => now.duration_since(since) >= HOLD,
            _ => {
                self.since = Some((now, after));
                false
            }
        }
    }

    /// Something is to happen: what was seen does not count any more.
    pub(crate) fn forget(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at these milliseconds; the rows stay as they are during a look.
    fn looks(looks: &[(u64, bool, Rows)]) -> Vec<bool> {
        let (start, mut quiet) = (Instant::now(), Quiet::default());
        let mut look =
            |&(at, is_complete, rows)| quiet.look(start + Duration::from_millis(at), is_complete, rows, rows);
        looks.iter().map(&mut look).collect()
    }

    #[test]
    fn it_has_to_be_so_for_a_while() {
        let rows = (3, 4);
        assert_eq!(looks(&[(0, true, rows), (50, true, rows), (100, true, rows)]), [false, false, true]);
        assert_eq!(looks(&[(0, true, rows), (50, false, rows), (100, true, rows)]), [false; 3]);
    }

    #[test]
    fn rows_that_came_or_went_begin_it_anew() {
        assert_eq!(looks(&[(0, true, (3, 4)), (100, true, (3, 5)), (150, true, (3, 5))]), [false; 3]);
        assert_eq!(
            looks(&[(0, true, (3, 4)), (100, true, (4, 4)), (200, true, (4, 4))]),
            [false, false, true]
        );
    }

    #[test]
    fn a_row_that_comes_during_the_look_was_not_looked_at() {
        let (now, mut quiet) = (Instant::now(), Quiet::default());
        assert!(!quiet.look(now, true, (0, 0), (0, 0)));
        assert!(!quiet.look(now + HOLD, true, (0, 0), (0, 1)));
        assert!(!quiet.look(now + HOLD * 2, true, (0, 1), (0, 1)));
        assert!(quiet.look(now + HOLD * 3, true, (0, 1), (0, 1)));
        quiet.forget();
        assert!(!quiet.look(now + HOLD * 4, true, (0, 1), (0, 1)));
    }
}
