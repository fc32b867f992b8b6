//! The order of free slots, and how executors are dealt to them (Storm's `EvenScheduler`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use storm_model::assignment::WorkerSlot;
use storm_model::ids::{ExecutorId, SupervisorId};

/// Puts free slots into the order in which they are used: the lowest port of each supervisor, then
/// the second of each, and so on, where supervisors with more free slots come first and those with
/// as many by id. Each slot comes once.
pub fn sort_slots(free: impl IntoIterator<Item = WorkerSlot>) -> Vec<WorkerSlot> {
    let mut ports: BTreeMap<SupervisorId, BTreeSet<u16>> = BTreeMap::new();
    for slot in free {
        ports.entry(slot.supervisor).or_default().insert(slot.port);
    }
    let mut ranked = Vec::new();
    for (supervisor, ports) in ports {
        let free = Reverse(ports.len());
        let slot = |port| WorkerSlot { supervisor: supervisor.clone(), port };
        ranked.extend(ports.into_iter().enumerate().map(|(nth, port)| (nth, free, slot(port))));
    }
    ranked.sort();
    ranked.into_iter().map(|(_, _, slot)| slot).collect()
}

/// Sizes of `parts` parts of `total` that differ by one at most, the larger first; no part for zero.
pub(crate) fn divide(total: usize, parts: usize) -> Vec<usize> {
    (0..parts).map(|i| total / parts + usize::from(i < total % parts)).collect()
}

/// Deals executors to slots in turn, to each as many as it has room for. Without room for all, the
/// last ones are left out.
pub(crate) fn deal(
    executors: impl IntoIterator<Item = ExecutorId>,
    rooms: impl IntoIterator<Item = (WorkerSlot, usize)>,
) -> BTreeMap<ExecutorId, WorkerSlot> {
    let mut turn: VecDeque<(WorkerSlot, usize)> = rooms.into_iter().filter(|(_, room)| *room > 0).collect();
    let mut dealt = BTreeMap::new();
    for executor in executors {
        let Some((slot, room)) = turn.pop_front() else { break };
        dealt.insert(executor, slot.clone());
        if room > 1 {
            turn.push_back((slot, room - 1));
        }
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    fn sorted(slots: &str) -> String {
        let sorted = sort_slots(slots.split_whitespace().map(slot));
        sorted.iter().map(WorkerSlot::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn slots_are_interleaved_from_the_emptiest_supervisor_on() {
        // The example in Storm's EvenScheduler.
        assert_eq!(
            sorted("s1:6700 s1:6701 s2:6700 s2:6701 s2:6702 s3:6700 s3:6703 s3:6702 s3:6701"),
            "s3:6700 s2:6700 s1:6700 s3:6701 s2:6701 s1:6701 s3:6702 s2:6702 s3:6703"
        );
    }

    #[test]
    fn supervisors_with_as_many_free_slots_come_by_id() {
        // Storm's SchedulerModelTest.testSortSlots, in another order.
        assert_eq!(
            sorted("b:6701 b:6700 c:6700 c:6701 c:6702 a:6701 a:6700"),
            "c:6700 a:6700 b:6700 c:6701 a:6701 b:6701 c:6702"
        );
        assert_eq!(sorted("a:2 a:10 a:2"), "a:2 a:10");
        assert_eq!(sorted(""), "");
    }

    #[test]
    fn parts_differ_by_one_at_most() {
        assert_eq!(divide(15, 6), [3, 3, 3, 2, 2, 2]);
        assert_eq!(divide(2, 3), [1, 1, 0]);
        assert!(divide(2, 0).is_empty());
    }

    #[test]
    fn executors_are_dealt_in_turn() {
        let executors = topology("t", 2, 5).wanted();
        let dealt = deal(executors, [(slot("a:1"), 3), (slot("b:1"), 0), (slot("a:2"), 1)]);
        let slots: Vec<_> = dealt.values().map(WorkerSlot::to_string).collect();
        assert_eq!(slots, ["a:1", "a:2", "a:1", "a:1"]);
    }
}
