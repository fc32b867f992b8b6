//! Shuffle grouping: a ring of targets that is walked through (Storm's `ShuffleGrouping` and
//! `LoadAwareShuffleGrouping`).
//!
//! By turns, every target stands in the ring once. By load, each target has a weight from 0 to 100
//! that falls by 10 when it is busier than the least busy one and rises by 1 when it is not, and
//! stands in the ring in proportion. Either way a target without credit is passed over while
//! another has some: a slow task does not hold up a sender that may choose.

use crate::ids::EdgeIds;

/// Weight of a target that is not busy.
const FULL_WEIGHT: u32 = 100;
/// Load above the least busy target's that counts as busier.
const TOLERANCE: f64 = 0.05;

/// The order in which targets are chosen.
pub(crate) struct Ring {
    ranks: Vec<u32>,
    next: usize,
    /// Present when the ring looks at loads.
    weights: Option<Vec<u32>>,
}

impl Ring {
    /// By turns, in random order.
    pub(crate) fn by_turns(targets: usize, random: &mut EdgeIds) -> Ring {
        let mut ranks: Vec<u32> = (0..targets as u32).collect();
        shuffle(&mut ranks, random);
        Ring { ranks, next: 0, weights: None }
    }

    /// By load; [`refresh`](Ring::refresh) tells the loads.
    pub(crate) fn by_load(targets: usize, random: &mut EdgeIds) -> Ring {
        let mut ring = Ring { ranks: vec![], next: 0, weights: Some(vec![FULL_WEIGHT; targets]) };
        ring.fill(random);
        ring
    }

    /// Whether it wants to know loads.
    pub(crate) fn is_load_aware(&self) -> bool {
        self.weights.is_some()
    }

    /// The next target.
    #[inline]
    pub(crate) fn next(&mut self, mut has_credit: impl FnMut(usize) -> bool) -> u32 {
        let first = self.step();
        if has_credit(first as usize) {
            return first;
        }
        // As many tries as could reach every target in a ring by turns.
        let targets = self.weights.as_ref().map_or(self.ranks.len(), Vec::len);
        for _ in 1..targets {
            let rank = self.step();
            if rank != first && has_credit(rank as usize) {
                return rank;
            }
        }
        first
    }

    #[inline]
    fn step(&mut self) -> u32 {
        let rank = self.ranks[self.next];
        self.next += 1;
        if self.next == self.ranks.len() {
            self.next = 0;
        }
        rank
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
        self.next = 0;
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

fn shuffle(ranks: &mut [u32], random: &mut EdgeIds) {
    for i in (1..ranks.len()).rev() {
        ranks.swap(i, random.below(i + 1));
    }
}
