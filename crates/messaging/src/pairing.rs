//! Which life of the other worker a session belongs to. Pure.
//!
//! A session is the memory of two workers: what each has sent and received. It holds as long as both have it.
//! So each side draws a random number with its memory, and remembers the other's from the first
//! connection on; whoever comes with another number, or as another incarnation, is somebody else.

use storm_model::assignment::Incarnation;

use crate::handshake::Terms;
use crate::hello::Refusal;
use crate::lane::Lane;

/// What one side knows of a session.
#[derive(Debug)]
pub(crate) struct Pairing {
    expected: Incarnation,
    session: u64,
    theirs: Option<(Incarnation, u64)>,
    attempts: [u64; 2],
}

/// Whether a connection belongs to the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It does.
    Admitted,
    /// It does not; the other side is told so.
    Refused(Refusal),
    /// It is of the session, but a newer one came before it.
    Stale,
    /// The other side lives anew: the session is over.
    Over,
}

impl Pairing {
    /// `session` is random and not 0.
    pub(crate) fn new(expected: Incarnation, session: u64) -> Pairing {
        Pairing { expected, session, theirs: None, attempts: [0; 2] }
    }

    /// The other side, once it was met.
    pub(crate) fn theirs(&self) -> Option<Incarnation> {
        self.theirs.map(|(incarnation, _)| incarnation)
    }

    /// What this side brings into its next connection as the dialler.
    pub(crate) fn dial(&mut self, lane: Lane, received: u64) -> Terms {
        self.attempts[lane.index()] += 1;
        self.terms(lane, received)
    }

    /// What this side brings into a connection.
    pub(crate) fn terms(&self, lane: Lane, received: u64) -> Terms {
        let known = self.theirs.map_or(0, |(_, session)| session);
        Terms { session: self.session, known, attempt: self.attempts[lane.index()], received }
    }

    /// Somebody has said who he is, and proved it.
    pub(crate) fn meet(&self, incarnation: Incarnation) -> Admission {
        let oldest = self.theirs().unwrap_or(self.expected);
        if incarnation < oldest {
            return Admission::Refused(Refusal::Replaced { newest: oldest });
        }
        if incarnation.number > self.expected.number || self.theirs().is_some_and(|met| incarnation > met) {
            return Admission::Over;
        }
        Admission::Admitted
    }

    /// He has accepted, with his terms. From here on the session is with him.
    pub(crate) fn admit(
        &mut self,
        incarnation: Incarnation,
        lane: Lane,
        terms: &Terms,
        is_dialled: bool,
    ) -> Admission {
        match self.meet(incarnation) {
            Admission::Admitted => {}
            other => return other,
        }
        if self.theirs.is_some_and(|(_, session)| session != terms.session) {
            return Admission::Over;
        }
        if terms.known != 0 && terms.known != self.session {
            return Admission::Refused(Refusal::OtherSession);
        }
        let newest = &mut self.attempts[lane.index()];
        if is_dialled && terms.attempt <= *newest {
            return Admission::Stale;
        }
        if is_dialled {
            *newest = terms.attempt;
        }
        self.theirs = Some((incarnation, terms.session));
        Admission::Admitted
    }

    /// He has refused. Says whether the session is over with it.
    pub(crate) fn is_over(&self, refusal: &Refusal) -> bool {
        *refusal == Refusal::OtherSession && self.theirs.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Incarnation = Incarnation { number: 4, restarts: 1 };

    fn met() -> Pairing {
        let mut pairing = Pairing::new(Incarnation { restarts: 0, ..LIFE }, 100);
        assert_eq!(pairing.admit(LIFE, Lane::Data, &terms(7, 0, 1), true), Admission::Admitted);
        pairing
    }

    fn terms(session: u64, known: u64, attempt: u64) -> Terms {
        Terms { session, known, attempt, received: 0 }
    }

    #[test]
    fn more_restarts_than_expected_are_accepted_at_first_and_then_held() {
        let pairing = met();
        assert_eq!(pairing.theirs(), Some(LIFE));
        assert_eq!(pairing.meet(LIFE), Admission::Admitted);
        assert_eq!(pairing.meet(Incarnation { restarts: 2, ..LIFE }), Admission::Over);
        let older = Admission::Refused(Refusal::Replaced { newest: LIFE });
        assert_eq!(pairing.meet(Incarnation { restarts: 0, ..LIFE }), older);
    }

    #[test]
    fn another_number_is_somebody_else() {
        let pairing = Pairing::new(LIFE, 100);
        assert_eq!(pairing.meet(Incarnation { number: 5, restarts: 0 }), Admission::Over);
        let older = Admission::Refused(Refusal::Replaced { newest: LIFE });
        assert_eq!(pairing.meet(Incarnation { number: 3, restarts: 9 }), older);
    }

    #[test]
    fn a_worker_without_memory_of_the_session_ends_it() {
        assert_eq!(met().admit(LIFE, Lane::Control, &terms(8, 0, 1), true), Admission::Over);
    }

    #[test]
    fn a_side_without_memory_refuses_one_that_has_it_and_so_ends_it_there() {
        let mut fresh = Pairing::new(LIFE, 200);
        let refused = Admission::Refused(Refusal::OtherSession);
        assert_eq!(fresh.admit(LIFE, Lane::Data, &terms(7, 100, 5), true), refused);
        assert_eq!(fresh.theirs(), None);
        assert!(met().is_over(&Refusal::OtherSession) && !fresh.is_over(&Refusal::OtherSession));
    }

    #[test]
    fn a_connection_that_was_overtaken_is_stale() {
        let mut pairing = met();
        assert_eq!(pairing.admit(LIFE, Lane::Data, &terms(7, 100, 3), true), Admission::Admitted);
        assert_eq!(pairing.admit(LIFE, Lane::Data, &terms(7, 100, 2), true), Admission::Stale);
        assert_eq!(pairing.admit(LIFE, Lane::Control, &terms(7, 100, 2), true), Admission::Admitted);
    }

    #[test]
    fn a_dialler_counts_its_attempts_and_tells_whom_it_has_met() {
        let mut pairing = Pairing::new(LIFE, 100);
        assert_eq!(pairing.dial(Lane::Data, 3), Terms { session: 100, known: 0, attempt: 1, received: 3 });
        assert_eq!(pairing.admit(LIFE, Lane::Data, &terms(7, 100, 1), false), Admission::Admitted);
        assert_eq!(pairing.dial(Lane::Data, 5), Terms { session: 100, known: 7, attempt: 2, received: 5 });
    }
}
