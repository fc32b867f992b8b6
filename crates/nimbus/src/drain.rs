//! Whether nothing is on its way any more in a topology whose spouts were stopped. Pure.
//!
//! Its workers are asked in rounds. A worker answers a round when it finds, after it was asked, that nothing is
//! on its way in it, with the rows that it had handed to peers and taken from peers by that very moment. When
//! all have answered, and only then, the next round is asked. So every answer to a round was true at a moment
//! before the next one is asked, and every answer to that one at a moment after it, however long questions and
//! reports are on their way.
//!
//! An answer that was given under another assignment, or in an older state of the topology, is none: who has not
//! heard yet of what has changed may yet do something else.
//!
//! The topology is quiet when two rounds after one another have the same answers, and in these as many rows
//! were taken as were handed over (Mattern's four counters). For at the moment at which the second round
//! is asked, no fewer rows are taken than the first one says, and no more are handed over than the second one says;
//! as these are equal, no row is between two workers. And who has taken none between his answers has had
//! nothing to do between them.

use std::collections::BTreeMap;

use storm_model::{Incarnation, WorkerSlot};

/// What a worker answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its life.
    pub incarnation: Incarnation,
    /// Rows handed to peers.
    pub sent: u64,
    /// Rows taken from peers.
    pub received: u64,
}

type Answers = BTreeMap<WorkerSlot, Answer>;

/// Follows a topology from the moment when its spouts were told to stop.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    /// The round that is asked.
    round: Option<u64>,
    answers: Answers,
    /// The answers to the round before, if as many rows were taken as were handed over.
    former: Option<Answers>,
    is_quiet: bool,
}

impl Drain {
    /// The round that the workers are to be asked. `last` is the number of the last round of all, which no
    /// other may have: a late answer must not be taken for one to a later round.
    pub fn ask(&mut self, last: &mut u64) -> u64 {
        *self.round.get_or_insert_with(|| {
            *last += 1;
            *last
        })
    }

    /// Takes a worker's answer. `slots` are the workers of the assignment; all others may have ended.
    pub fn answered<'a>(
        &mut self,
        slot: &WorkerSlot,
        round: u64,
        answer: Answer,
        slots: impl IntoIterator<Item = &'a WorkerSlot>,
    ) {
        if self.round != Some(round) || self.is_quiet {
            return;
        }
        self.answers.insert(slot.clone(), answer);
        if !slots.into_iter().all(|slot| self.answers.contains_key(slot)) {
            return;
        }
        self.round = None;
        let answers = std::mem::take(&mut self.answers);
        let sum = |rows: fn(&Answer) -> u64| answers.values().map(|a| u128::from(rows(a))).sum::<u128>();
        let is_balanced = sum(|a| a.sent) == sum(|a| a.received);
        self.is_quiet = is_balanced && self.former.as_ref() == Some(&answers);
        self.former = is_balanced.then_some(answers);
    }

    /// Whether a round was answered as it is when nothing is on its way: another one may be all that is missing.
    pub fn is_calm(&self) -> bool {
        self.former.is_some()
    }

    /// Whether nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slots(count: u16) -> Vec<WorkerSlot> {
        (0..count).map(|port| WorkerSlot { supervisor: "a".into(), port: 6700 + port }).collect()
    }

    fn answer(sent: u64, received: u64) -> Answer {
        Answer { incarnation: Incarnation { number: 1, restarts: 0 }, sent, received }
    }

    /// A whole round of two workers.
    fn round(drain: &mut Drain, last: &mut u64, answers: [Answer; 2]) -> bool {
        let (asked, slots) = (drain.ask(last), slots(2));
        for (slot, answer) in slots.iter().zip(answers) {
            drain.answered(slot, asked, answer, &slots);
        }
        drain.is_quiet()
    }

    #[test]
    fn two_equal_rounds_are_quiet() {
        let (mut drain, mut last) = (Drain::default(), 0);
        let calm = [answer(5, 2), answer(2, 5)];
        assert!(!round(&mut drain, &mut last, calm));
        assert!(drain.is_calm());
        assert!(round(&mut drain, &mut last, calm));
        assert_eq!(last, 2);
    }

    #[test]
    fn rows_on_their_way_are_not_quiet() {
        let (mut drain, mut last) = (Drain::default(), 0);
        let mut round = |answers| round(&mut drain, &mut last, answers);
        assert!(!round([answer(5, 2), answer(2, 4)]));
        assert!(!round([answer(5, 2), answer(2, 4)]));
        assert!(!round([answer(5, 2), answer(2, 5)]));
        assert!(!round([answer(6, 2), answer(2, 6)]), "something moved between the rounds");
        assert!(round([answer(6, 2), answer(2, 6)]));
    }

    #[test]
    fn a_worker_that_was_started_again_begins_anew() {
        let (mut drain, mut last) = (Drain::default(), 0);
        let calm = [answer(0, 0), answer(0, 0)];
        round(&mut drain, &mut last, calm);
        let again = Answer { incarnation: Incarnation { number: 1, restarts: 1 }, ..answer(0, 0) };
        assert!(!round(&mut drain, &mut last, [calm[0], again]));
        assert!(round(&mut drain, &mut last, [calm[0], again]));
    }

    #[test]
    fn an_answer_counts_for_its_round_alone() {
        let (mut drain, mut last, slots) = (Drain::default(), 7, slots(2));
        let calm = [answer(0, 0), answer(0, 0)];
        for _ in 0..10 {
            let asked = drain.ask(&mut last);
            drain.answered(&slots[0], asked, calm[0], &slots);
        }
        assert_eq!(last, 8, "one worker is no round");
        assert!(!round(&mut drain, &mut last, calm));
        drain.ask(&mut last);
        for _ in 0..2 {
            drain.answered(&slots[0], 8, calm[0], &slots);
            drain.answered(&slots[1], 8, calm[1], &slots);
            assert!(!drain.is_quiet(), "that was said before");
        }
        assert!(round(&mut drain, &mut last, calm));
    }

    /// Something under way, in the hands of whoever delays it.
    #[derive(Clone, Copy, Debug)]
    enum Parcel {
        /// A row, and how many hops are left of what is made of it.
        Row {
            to: usize,
            hops: u32,
        },
        Question {
            to: usize,
            round: u64,
        },
        Report {
            from: usize,
            round: u64,
            answer: Answer,
        },
    }

    #[derive(Clone, Debug, Default)]
    struct Worker {
        /// Rows that it has taken and not worked on yet, by their hops.
        inbox: Vec<u32>,
        sent: u64,
        received: u64,
        asked: u64,
        answered: u64,
    }

    /// Workers among which rows run out, and a Nimbus that asks them. Whatever is under way arrives in any order.
    struct World {
        workers: Vec<Worker>,
        parcels: Vec<Parcel>,
        drain: Drain,
        last: u64,
    }

    impl World {
        fn is_empty(&self) -> bool {
            let is_row = |parcel: &Parcel| matches!(parcel, Parcel::Row { .. });
            !self.parcels.iter().any(is_row) && self.workers.iter().all(|worker| worker.inbox.is_empty())
        }

        /// A worker works on a row, which may make one or two others, or answers what it was asked.
        fn work(&mut self, who: usize, draw: usize) {
            let count = self.workers.len();
            let worker = &mut self.workers[who];
            if worker.inbox.is_empty() {
                if worker.asked != worker.answered {
                    worker.answered = worker.asked;
                    let answer = answer(worker.sent, worker.received);
                    let report = Parcel::Report { from: who, round: worker.asked, answer };
                    // Reports may be told twice, and later.
                    self.parcels.extend(std::iter::repeat_n(report, 1 + draw % 2));
                }
                return;
            }
            let hops = worker.inbox.swap_remove(draw % worker.inbox.len());
            let other = (who + 1 + draw % count.max(2)) % count;
            let made = if hops == 0 { 0 } else { 1 + usize::from(draw.is_multiple_of(4)) };
            for (to, hops) in [(other, hops.saturating_sub(1)), (who + 1, hops / 2)].into_iter().take(made) {
                if to % count == who {
                    worker.inbox.push(hops);
                } else {
                    worker.sent += 1;
                    self.parcels.push(Parcel::Row { to: to % count, hops });
                }
            }
        }

        /// Something that is under way arrives: a row, or something else.
        fn arrive(&mut self, is_row: bool, draw: usize) {
            let fits = |parcel: &Parcel| matches!(parcel, Parcel::Row { .. }) == is_row;
            let fitting: Vec<usize> = (0..self.parcels.len()).filter(|at| fits(&self.parcels[*at])).collect();
            if fitting.is_empty() {
                return;
            }
            match self.parcels.swap_remove(fitting[draw % fitting.len()]) {
                Parcel::Row { to, hops } => {
                    self.workers[to].received += 1;
                    self.workers[to].inbox.push(hops);
                }
                Parcel::Question { to, round } => {
                    let worker = &mut self.workers[to];
                    worker.asked = worker.asked.max(round);
                }
                Parcel::Report { from, round, answer } => {
                    let slots = slots(self.workers.len() as u16);
                    self.drain.answered(&slots[from], round, answer, &slots);
                }
            }
        }

        fn ask(&mut self, to: usize) {
            let round = self.drain.ask(&mut self.last);
            self.parcels.push(Parcel::Question { to, round });
        }
    }

    proptest! {
        #[test]
        fn it_is_never_quiet_while_a_row_is_on_its_way_and_always_in_the_end(
            rows in proptest::collection::vec((0usize..3, 0u32..30), 1..4),
            count in 1usize..4,
            steps in proptest::collection::vec((0usize..8, any::<u16>(), any::<u16>()), 0..600),
        ) {
            let workers = vec![Worker::default(); count];
            let mut world = World { workers, parcels: Vec::new(), drain: Drain::default(), last: 0 };
            rows.into_iter().for_each(|(who, hops)| world.workers[who % count].inbox.push(hops));
            for (what, who, draw) in steps {
                let (who, draw) = (usize::from(who) % count, usize::from(draw));
                match what {
                    0 => (0..count).for_each(|who| world.ask(who)),
                    1 => world.arrive(true, draw),
                    2..5 => world.arrive(false, draw),
                    _ => world.work(who, draw),
                }
                prop_assert!(!world.drain.is_quiet() || world.is_empty());
            }
            for turn in 0..10_000 {
                (0..count).for_each(|who| world.work(who, turn));
                while !world.parcels.is_empty() {
                    world.arrive(turn % 2 == 0, turn);
                    world.arrive(turn % 2 != 0, turn);
                    prop_assert!(!world.drain.is_quiet() || world.is_empty());
                }
                if world.drain.is_quiet() {
                    break;
                }
                (0..count).for_each(|who| world.ask(who));
            }
            prop_assert!(world.drain.is_quiet());
        }
    }
}
