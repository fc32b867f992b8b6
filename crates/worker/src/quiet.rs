//! What a worker answers when Nimbus asks whether nothing is on its way. Pure.
//!
//! Nimbus asks in rounds. A round is answered by a look that is made after it was asked, and as soon as one
//! finds that nothing is on its way here, with the rows that were handed to peers and taken from them by that very
//! moment: rows between two workers are in nobody's sight but in the sums over all of them.

use storm_rpc::v1::QuietLook;

/// Rows that were handed to peers, and taken from them.
pub(crate) type Rows = (u64, u64);

/// The rounds of a worker's life.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds {
    /// The last one that was answered.
    answered: Option<u64>,
}

impl Rounds {
    /// The round that waits for an answer, of what was asked last.
    pub(crate) fn open(&self, asked: Option<u64>) -> Option<u64> {
        asked.filter(|round| self.answered != Some(*round))
    }

    /// A look that was made for a round: whether everything was processed, and the rows that were counted before
    /// that was asked and after it. The answer, if it is one.
    pub(crate) fn look(
        &mut self,
        round: u64,
        is_complete: bool,
        before: Rows,
        after: Rows,
    ) -> Option<QuietLook> {
        // Else there may have been no moment with both.
        if !is_complete || before != after {
            return None;
        }
        self.answered = Some(round);
        let (rows_sent, rows_received) = after;
        Some(QuietLook { round, rows_sent, rows_received, ..QuietLook::default() })
    }

    /// What was answered was said under other conditions: it is answered again.
    pub(crate) fn forget(&mut self) {
        self.answered = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_answered_once_it_is_quiet_and_not_twice() {
        let (mut rounds, rows) = (Rounds::default(), (3, 4));
        assert_eq!(rounds.open(None), None);
        assert_eq!(rounds.open(Some(7)), Some(7));
        assert_eq!(rounds.look(7, false, rows, rows), None);
        assert_eq!(rounds.open(Some(7)), Some(7));
        let answer = QuietLook { round: 7, rows_sent: 3, rows_received: 4, ..QuietLook::default() };
        assert_eq!(rounds.look(7, true, rows, rows), Some(answer));
        assert_eq!(rounds.open(Some(7)), None);
        assert_eq!(rounds.open(Some(8)), Some(8));
    }

    #[test]
    fn a_row_that_comes_or_goes_during_the_look_was_not_looked_at() {
        let mut rounds = Rounds::default();
        for after in [(0, 1), (1, 0)] {
            assert_eq!(rounds.look(1, true, (0, 0), after), None);
        }
        assert_eq!(rounds.open(Some(1)), Some(1));
    }

    #[test]
    fn what_was_said_under_another_assignment_is_said_again() {
        let mut rounds = Rounds::default();
        assert!(rounds.look(1, true, (0, 0), (0, 0)).is_some());
        rounds.forget();
        assert_eq!(rounds.open(Some(1)), Some(1));
    }
}
