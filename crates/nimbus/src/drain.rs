//! Whether nothing is on its way any more in a topology whose spouts were stopped. Pure.
//!
//! A round is a new report of each of its workers. The topology is quiet when in two rounds after
//! one another all workers follow the newest assignment, have their spouts stopped and are quiet,
//! when as many rows were taken from peers as were handed to peers, and when both rounds say the
//! same: rows that are between two workers are in no report, but they are missing from a sum.
//!
//! A report may be some time on its way, so that what stands in one round was not true at one moment.
//! Therefore a worker says that it is quiet only when it has been so for a while, and has to say the same
//! for [`STEADY`] more by its own clock: where no two reports are later than each other by more than both
//! together, there is a moment at which all of it is true.

use std::collections::BTreeMap;
use std::time::Duration;

use storm_model::{Incarnation, WorkerSlot};

/// For how long a worker has to say the same.
pub const STEADY: Duration = Duration::from_millis(40);

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
    /// How long it has lived when it said so.
    pub uptime: Duration,
}

impl Sign {
    fn is_same(&self, other: &Sign) -> bool {
        Sign { uptime: other.uptime, ..*self } == *other
    }
}

/// Follows a topology from the moment when its spouts were told to stop.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    round: BTreeMap<WorkerSlot, Sign>,
    /// The first of the calm rounds that say the same.
    calm: Option<BTreeMap<WorkerSlot, Sign>>,
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
        let Some(first) = self.calm.as_ref().filter(|first| is_calm && are_same(first, &round)) else {
            self.is_quiet = false;
            self.calm = is_calm.then_some(round);
            return;
        };
        let is_steady = |(slot, sign): (&WorkerSlot, &Sign)| {
            first.get(slot).is_some_and(|first| sign.uptime.saturating_sub(first.uptime) >= STEADY)
        };
        self.is_quiet = round.iter().all(is_steady);
    }

    /// Whether the last round was calm: another one may be all that is missing.
    pub fn is_calm(&self) -> bool {
        self.calm.is_some()
    }

    /// Whether nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet
    }
}

fn are_same(one: &BTreeMap<WorkerSlot, Sign>, other: &BTreeMap<WorkerSlot, Sign>) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.0 == b.0 && a.1.is_same(b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots() -> [WorkerSlot; 2] {
        [6700, 6701].map(|port| WorkerSlot { supervisor: "a".into(), port })
    }

    fn sign(sent: u64, received: u64) -> Sign {
        let incarnation = Incarnation { number: 1, restarts: 0 };
        let uptime = Duration::ZERO;
        Sign { incarnation, assignment_version: 3, is_active: false, is_quiet: true, sent, received, uptime }
    }

    /// The second that a worker has lived when it says something grows with everything it says.
    fn round(drain: &mut Drain, signs: [Sign; 2]) -> bool {
        static LIVED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let lived = LIVED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        round_at(drain, signs, Duration::from_secs(lived))
    }

    fn round_at(drain: &mut Drain, signs: [Sign; 2], uptime: Duration) -> bool {
        for (slot, sign) in slots().iter().zip(signs) {
            drain.observe(slot, Sign { uptime, ..sign }, &slots(), 3);
        }
        drain.is_quiet()
    }

    #[test]
    fn what_is_said_twice_at_almost_the_same_time_counts_once() {
        let mut drain = Drain::default();
        let calm = [sign(5, 2), sign(2, 5)];
        assert!(!round_at(&mut drain, calm, Duration::from_millis(1000)));
        assert!(!round_at(&mut drain, calm, Duration::from_millis(1030)));
        assert!(drain.is_calm());
        assert!(round_at(&mut drain, calm, Duration::from_millis(1060)));
    }

    #[test]
    fn a_worker_that_was_started_again_begins_anew() {
        let mut drain = Drain::default();
        let calm = [sign(0, 0), sign(0, 0)];
        round(&mut drain, calm);
        let again = Sign { incarnation: Incarnation { number: 1, restarts: 1 }, ..sign(0, 0) };
        assert!(!round(&mut drain, [calm[0], again]));
        assert!(round(&mut drain, [calm[0], again]));
        let emits = Sign { is_quiet: false, ..calm[0] };
        assert!(!round(&mut drain, [emits, again]), "it was quiet, and is not any more");
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
