//! Trees that failed because their cycle was full: what is left of them is not worth executing, and
//! would keep the cycle full for ever.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;
use storm_model::TaskId;

/// Trees remembered; roots are never used twice, so that an old one does no harm.
const REMEMBERED: usize = 4096;

/// The last trees that an executor, or the way in from a peer, saw fail in a full cycle.
#[derive(Default)]
pub(crate) struct Doomed {
    roots: FxHashSet<(TaskId, u64)>,
    order: VecDeque<(TaskId, u64)>,
}

impl Doomed {
    /// Whether it is news.
    pub(crate) fn add(&mut self, task: TaskId, root: u64) -> bool {
        let is_new = self.roots.insert((task, root));
        if is_new {
            self.order.push_back((task, root));
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.roots.remove(&oldest);
            }
        }
        is_new
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(crate) fn contains(&self, task: TaskId, root: u64) -> bool {
        self.roots.contains(&(task, root))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered() {
        let mut doomed = Doomed::default();
        for root in 0..REMEMBERED as u64 + 10 {
            assert!(doomed.add(TaskId(1), root));
            assert!(!doomed.add(TaskId(1), root));
        }
        assert!(!doomed.contains(TaskId(1), 9) && doomed.contains(TaskId(1), 10));
        assert!(!doomed.contains(TaskId(2), 10));
    }
}
