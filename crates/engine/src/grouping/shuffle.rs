//! Shuffle grouping: a ring of targets that is walked through (Storm's `ShuffleGrouping` and
//! `LoadAwareShuffleGrouping`).
//!
//! By turns, every target stands in the ring once. By load, each target has a weight from 0 to 100
//! that falls by 10 when it is busier than the least busy one and rises by 1 when it is not, and
//! stands in the ring in proportion. Either way a target without credit is passed over while
//! another has some: a slow task does not hold up a sender that may choose.
//!
//! Among more than [`MANY`] targets each gets [`RUN`] rows at its turn, where Storm gives it one: the
//! buffers of so many targets do not fit into a cache, and a row for each costs twice as much. Not
//! so a target with little credit, which is slow: rows that wait for it could be with others.

use crate::ids::EdgeIds;

/// Weight of a target that is not busy.
const FULL_WEIGHT: u32 = 100;
/// Load above the least busy target's that counts as busier.
const TOLERANCE: f64 = 0.05;

/// Targets up to which each gets one row at its turn.
const MANY: usize = 64;
/// Rows that a target gets at its turn among many.
const RUN: u32 = 8;
/// Credit from which on it gets them.
const PLENTY: i64 = 8 * RUN as i64;

/// The order in which targets are chosen.
pub(crate) struct Ring {
    ranks: Vec<u32>,
    /// Place of the target whose turn it is.
    at: usize,
    /// Rows that it still gets.
    left: u32,
    /// Rows that each gets at its turn.
    run: u32,
    /// Present when the ring looks at loads.
    weights: Option<Vec<u32>>,
    /// Who was found last although the ring did not name it.
    spare: usize,
}

impl Ring {
    /// By turns, in random order.
    pub(crate) fn by_turns(targets: usize, random: &mut EdgeIds) -> Ring {
        let mut ranks: Vec<u32> = (0..targets as u32).collect();
        shuffle(&mut ranks, random);
        Ring { ranks, at: 0, left: run_among(targets), run: run_among(targets), weights: None, spare: 0 }
    }

    /// By load; [`refresh`](Ring::refresh) tells the loads.
    pub(crate) fn by_load(targets: usize, random: &mut EdgeIds) -> Ring {
        let (run, weights) = (run_among(targets), Some(vec![FULL_WEIGHT; targets]));
        let mut ring = Ring { ranks: vec![], at: 0, left: run, run, weights, spare: 0 };
        ring.fill(random);
        ring
    }

    /// Whether it wants to know loads.
    pub(crate) fn is_load_aware(&self) -> bool {
        self.weights.is_some()
    }

    /// The next target.
    #[inline]
    pub(crate) fn next(&mut self, mut credit: impl FnMut(usize) -> i64) -> u32 {
        let first = self.step();
        let there_is = credit(first as usize);
        if there_is < PLENTY {
            self.left = 0;
        }
        if there_is > 0 {
            return first;
        }
        // As many tries as reach every target in a ring by turns.
        let targets = self.weights.as_ref().map_or(self.ranks.len(), Vec::len);
        for _ in 1..targets {
            self.left = 0;
            let rank = self.step();
            if rank != first && credit(rank as usize) > 0 {
                self.left = 0;
                return rank;
            }
        }
        if self.weights.is_none() {
            return first;
        }
        // By load the next places may all be of the same few. All of them, from where one was found before.
        let found = (1..=targets).map(|i| (self.spare + i) % targets).find(|rank| credit(*rank) > 0);
        match found {
            Some(rank) => {
                self.spare = rank;
                rank as u32
            }
            None => first,
        }
    }

    #[inline]
    fn step(&mut self) -> u32 {
        if self.left == 0 {
            self.left = self.run;
            self.at += 1;
            if self.at == self.ranks.len() {
                self.at = 0;
            }
        }
        self.left -= 1;
        self.ranks[self.at]
    }

    /// Takes note of the targets' loads, from 0 (idle) to 1; to be called once a second.
    pub(crate) fn refresh(&mut self, loads: &[f64], random: &mut EdgeIds) {
        let Some(weights) = &mut self.weights else { return };
        let least = loads.iter().copied().fold(f64::INFINITY, f64::min);
        let before = weights.clone();
        for (weight, load) in weights.iter_mut().zip(loads) {
            *weight = if *load <= least + TOLERANCE {
                (*weight + 1).min(FULL_WEIGHT)
            } else {
                weight.saturating_sub(10)
            };
        }
        if *weights != before {
            self.fill(random);
        }
    }

    fn fill(&mut self, random: &mut EdgeIds) {
        let Some(weights) = &self.weights else { return };
        let targets = weights.len();
        // Storm's capacity: enough places for the weights to show.
        let capacity = if targets == 1 { 1 } else { (5 * targets).max(1000) };
        let sum: u32 = weights.iter().sum();
        self.ranks.clear();
        (self.at, self.left) = (0, self.run);
        if sum == 0 {
            self.ranks.extend(0..targets as u32);
        } else {
            for (rank, weight) in weights.iter().enumerate() {
                let places = *weight as usize * capacity / sum as usize;
                self.ranks.extend(std::iter::repeat_n(rank as u32, places));
            }
            // What integer division left over goes to targets that have places.
            let placed = self.ranks.len();
            for _ in placed..capacity {
                self.ranks.push(self.ranks[random.below(placed)]);
            }
        }
        shuffle(&mut self.ranks, random);
    }
}

fn run_among(targets: usize) -> u32 {
    if targets > MANY { RUN } else { 1 }
}

fn shuffle(ranks: &mut [u32], random: &mut EdgeIds) {
    for i in (1..ranks.len()).rev() {
        ranks.swap(i, random.below(i + 1));
    }
}
