//! What a source task has emitted and what of it is acked.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

/// Which of the numbers 1 to `count` are a task's: those whose remainder is its rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Share {
    pub(crate) count: u64,
    pub(crate) task: u64,
    pub(crate) tasks: u64,
}

impl Share {
    /// The task's first number after `id`, if there is one.
    pub(crate) fn after(self, id: u64) -> Option<u64> {
        let distance = (self.task + self.tasks - (id + 1) % self.tasks) % self.tasks;
        Some(id + 1 + distance).filter(|next| *next <= self.count)
    }

    /// How many of its numbers are not above `id`.
    pub(crate) fn up_to(self, id: u64) -> u64 {
        // 0 has remainder 0 and is no number.
        let below = |n: u64| n / self.tasks + u64::from(n % self.tasks >= self.task);
        below(id) - below(0)
    }
}

/// The books of one task: enough to carry on after a stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    #[serde(flatten)]
    pub(crate) share: Share,
    /// All numbers of the task up to this one are acked.
    acked_prefix: u64,
    /// Numbers above the prefix that are acked, too.
    acked_beyond: BTreeSet<u64>,
    /// The highest number that was ever emitted: emitting one up to it is a replay.
    highest: u64,
    /// Emits.
    pub(crate) emitted: u64,
    /// Failed trees.
    pub(crate) failed: u64,
    /// Emits of a number that had been emitted before.
    pub(crate) replayed: u64,
}

impl Ledger {
    /// Nothing was emitted yet.
    pub(crate) fn new(share: Share) -> Ledger {
        let acked_beyond = BTreeSet::new();
        Ledger { share, acked_prefix: 0, acked_beyond, highest: 0, emitted: 0, failed: 0, replayed: 0 }
    }

    /// Numbers that are acked.
    pub(crate) fn acked(&self) -> u64 {
        self.share.up_to(self.acked_prefix) + self.acked_beyond.len() as u64
    }

    /// Whether every number is acked.
    pub(crate) fn is_complete(&self) -> bool {
        self.share.after(self.acked_prefix).is_none()
    }

    fn emit(&mut self, id: u64) -> Emit {
        self.emitted += 1;
        let is_replay = id <= self.highest;
        self.replayed += u64::from(is_replay);
        self.highest = self.highest.max(id);
        Emit { id, is_replay }
    }

    fn ack(&mut self, id: u64) {
        self.acked_beyond.insert(id);
        while let Some(next) = self.share.after(self.acked_prefix)
            && self.acked_beyond.remove(&next)
        {
            self.acked_prefix = next;
        }
    }
}

/// What is to be emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Emit {
    pub(crate) id: u64,
    /// Whether it had been emitted before: by this life of the task, or by one that did not see it
    /// acked.
    pub(crate) is_replay: bool,
}

/// Decides what is emitted next.
#[derive(Debug)]
pub(crate) struct Numbers {
    ledger: Ledger,
    /// Everything up to here was emitted in this life of the task or acked in a former one.
    position: u64,
    again: VecDeque<u64>,
}

impl Numbers {
    /// Carries on: what is not acked is emitted, again where it had been emitted before.
    pub(crate) fn resume(ledger: Ledger) -> Numbers {
        Numbers { position: ledger.acked_prefix, ledger, again: VecDeque::new() }
    }

    /// The next number to emit, failed ones first; none when all that are left are on their way.
    pub(crate) fn next(&mut self) -> Option<Emit> {
        let id = self.again.pop_front().or_else(|| self.next_unacked())?;
        Some(self.ledger.emit(id))
    }

    fn next_unacked(&mut self) -> Option<u64> {
        loop {
            self.position = self.ledger.share.after(self.position)?;
            if !self.ledger.acked_beyond.contains(&self.position) {
                return Some(self.position);
            }
        }
    }

    pub(crate) fn ack(&mut self, id: u64) {
        self.ledger.ack(id);
    }

    pub(crate) fn fail(&mut self, id: u64) {
        self.ledger.failed += 1;
        self.again.push_back(id);
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(count: u64, task: u64, tasks: u64) -> Share {
        Share { count, task, tasks }
    }

    fn drain(numbers: &mut Numbers) -> Vec<u64> {
        std::iter::from_fn(|| numbers.next()).map(|emit| emit.id).collect()
    }

    #[test]
    fn each_number_is_one_tasks() {
        for (count, tasks) in [(0, 1), (1, 3), (10, 1), (10, 3), (12, 4)] {
            let shares: Vec<Vec<u64>> = (0..tasks)
                .map(|task| drain(&mut Numbers::resume(Ledger::new(share(count, task, tasks)))))
                .collect();
            let mut all = shares.concat();
            all.sort_unstable();
            assert_eq!(all, (1..=count).collect::<Vec<_>>());
            for (task, ids) in shares.iter().enumerate() {
                assert!(ids.iter().all(|id| id % tasks == task as u64));
                assert_eq!(share(count, task as u64, tasks).up_to(count), ids.len() as u64);
            }
        }
    }

    #[test]
    fn what_failed_is_emitted_again() {
        let mut numbers = Numbers::resume(Ledger::new(share(5, 0, 1)));
        assert_eq!(drain(&mut numbers), [1, 2, 3, 4, 5]);
        numbers.fail(4);
        numbers.fail(2);
        let replay = |id| Some(Emit { id, is_replay: true });
        assert_eq!([(); 3].map(|()| numbers.next()), [replay(4), replay(2), None]);
        for id in [1, 3, 5, 4] {
            numbers.ack(id);
        }
        assert!(!numbers.ledger().is_complete());
        numbers.ack(2);
        let ledger = numbers.ledger();
        assert!(ledger.is_complete());
        assert_eq!((ledger.emitted, ledger.acked(), ledger.failed, ledger.replayed), (7, 5, 2, 2));
    }

    #[test]
    fn a_restart_emits_what_is_not_acked() {
        let mut numbers = Numbers::resume(Ledger::new(share(9, 1, 2)));
        assert_eq!([(); 4].map(|()| numbers.next().unwrap().id), [1, 3, 5, 7]);
        numbers.ack(5);
        numbers.ack(1);
        let mut numbers = Numbers::resume(numbers.ledger().clone());
        assert_eq!(drain(&mut numbers), [3, 7, 9]);
        for id in [3, 7, 9] {
            numbers.ack(id);
        }
        let ledger = numbers.ledger();
        assert!(ledger.is_complete());
        assert_eq!((ledger.emitted, ledger.acked(), ledger.failed, ledger.replayed), (7, 5, 0, 2));
    }
}
