//! Whether nothing is on its way any more in a topology whose spouts were stopped. Pure.
//!
//! A round is a new report of each of its workers. The topology is quiet when in two rounds after
//! one another all workers follow the newest assignment, have their spouts stopped and are quiet,
//! when as many rows were taken from peers as were handed to peers, and when both rounds say the
//! same: rows that are between two workers are in no report, but they are missing from a sum.

use std::collections::BTreeMap;

use storm_model::{Incarnation, WorkerSlot};

/// What a worker says that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign {
    /// Its life.
    pub incarnation: Incarnation,
    /// The assignment that it follows.
    pub assignment_version: u64,
    /// Whether its spouts are told to emit.
    pub is_active: bool,
    /// Nothing is on its way in it.
    pub is_quiet: bool,
    /// Rows handed to peers.
    pub sent: u64,
    /// Rows taken from peers.
    pub received: u64,
}

/// Follows a topology from the moment when its spouts were told to stop.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    round: BTreeMap<WorkerSlot, Sign>,
    last: Option<BTreeMap<WorkerSlot, Sign>>,
    is_quiet: bool,
}

impl Drain {
    /// Takes a worker's report. `slots` are the workers of the assignment and `version` its own.
    pub fn observe<'a>(
        &mut self,
        slot: &WorkerSlot,
        sign: Sign,
        slots: impl IntoIterator<Item = &'a WorkerSlot>,
        version: u64,
    ) {
        self.round.insert(slot.clone(), sign);
        if !slots.into_iter().all(|slot| self.round.contains_key(slot)) {
            return;
        }
        let round = std::mem::take(&mut self.round);
        let is_still = |sign: &Sign| sign.is_quiet && !sign.is_active && sign.assignment_version == version;
        let sent: u128 = round.values().map(|sign| u128::from(sign.sent)).sum();
        let received: u128 = round.values().map(|sign| u128::from(sign.received)).sum();
        let is_calm = round.values().all(is_still) && sent == received;
        self.is_quiet = is_calm && self.last.as_ref() == Some(&round);
        self.last = is_calm.then_some(round);
    }

    /// Whether nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots() -> [WorkerSlot; 2] {
        [6700, 6701].map(|port| WorkerSlot { supervisor: "a".into(), port })
    }

    fn sign(sent: u64, received: u64) -> Sign {
        let incarnation = Incarnation { number: 1, restarts: 0 };
        Sign { incarnation, assignment_version: 3, is_active: false, is_quiet: true, sent, received }
    }

    fn round(drain: &mut Drain, signs: [Sign; 2]) -> bool {
        for (slot, sign) in slots().iter().zip(signs) {
            drain.observe(slot, sign, &slots(), 3);
        }
        drain.is_quiet()
    }

    #[test]
    fn two_equal_calm_rounds_are_quiet() {
        let mut drain = Drain::default();
        let calm = [sign(5, 2), sign(2, 5)];
        assert!(!round(&mut drain, calm));
        assert!(round(&mut drain, calm));
    }

    #[test]
    fn rows_on_their_way_are_not_quiet() {
        let mut drain = Drain::default();
        assert!(!round(&mut drain, [sign(5, 2), sign(2, 4)]));
        assert!(!round(&mut drain, [sign(5, 2), sign(2, 4)]));
        assert!(!round(&mut drain, [sign(5, 2), sign(2, 5)]));
        assert!(!round(&mut drain, [sign(6, 2), sign(2, 6)]), "something moved between the rounds");
        assert!(round(&mut drain, [sign(6, 2), sign(2, 6)]));
    }

    #[test]
    fn one_worker_that_reports_often_is_no_round() {
        let mut drain = Drain::default();
        for _ in 0..10 {
            drain.observe(&slots()[0], sign(0, 0), &slots(), 3);
        }
        assert!(!drain.is_quiet());
    }

    #[test]
    fn an_older_assignment_or_a_spout_that_emits_is_not_quiet() {
        let old = Sign { assignment_version: 2, ..sign(0, 0) };
        let active = Sign { is_active: true, ..sign(0, 0) };
        for other in [old, active] {
            let mut drain = Drain::default();
            round(&mut drain, [other, sign(0, 0)]);
            assert!(!round(&mut drain, [other, sign(0, 0)]));
        }
    }
}
