//! What stays where it stands, and what is placed anew (Storm's `DefaultScheduler`).
//!
//! A topology of E executors on n slots is even when the sizes of its workers are E divided by n,
//! each part used once. Slots that fit a part are left alone. Storm empties all others and deals what
//! was in them anew; here a slot that is too full hands over what is too much and one that is not
//! full enough gets some more, so that as few executors move as can be.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use storm_model::assignment::WorkerSlot;
use storm_model::ids::ExecutorId;

use crate::cluster_view::{Slots, TopologyView};
use crate::even::{deal, divide, sort_slots};

/// Places all executors anew, as if the topology had no slot yet. None if it may use no slot.
pub(crate) fn spread_again(
    topology: &TopologyView,
    slots: &Slots<'_>,
) -> Option<BTreeMap<ExecutorId, WorkerSlot>> {
    let wanted = topology.wanted();
    let mut free = sort_slots(slots.free_or_own(&topology.id));
    free.truncate(topology.usable_workers());
    let parts = divide(wanted.len(), free.len());
    (!free.is_empty()).then(|| deal(wanted, free.into_iter().zip(parts)))
}

/// Places the executors that do not stand, and spreads the others if there are slots for more of the
/// workers that were asked for. Otherwise changes nothing, whatever was added to the cluster.
///
/// What stands in slots that the topology may not be given is left as it is: on an unusable
/// supervisor it gets nothing more, and what it has there is not moved without need.
pub(crate) fn place(
    topology: &TopologyView,
    standing: &BTreeMap<ExecutorId, WorkerSlot>,
    slots: &Slots<'_>,
) -> BTreeMap<ExecutorId, WorkerSlot> {
    let mut wanted = topology.wanted();
    let is_whole = standing.len() == wanted.len();
    let mut own: BTreeMap<&WorkerSlot, Vec<ExecutorId>> = BTreeMap::new();
    for (executor, slot) in standing {
        own.entry(slot).or_default().push(*executor);
    }
    if is_whole && own.len() >= topology.usable_workers() {
        return standing.clone();
    }

    let mut placed = BTreeMap::new();
    let mut fixed_workers = 0;
    own.retain(|slot, executors| {
        let is_open = slots.is_open(&topology.id, slot);
        if !is_open {
            fixed_workers += 1;
            placed.extend(executors.iter().map(|executor| (*executor, (*slot).clone())));
        }
        is_open
    });
    wanted.retain(|executor| !placed.contains_key(executor));

    // One worker at least, or those that do not stand would wait for those that are fixed.
    let asked = topology.usable_workers().saturating_sub(fixed_workers).max(1).min(wanted.len());
    let free = sort_slots(slots.free(&topology.id));
    let total = asked.min(own.len() + free.len());
    if total == 0 || (is_whole && total <= own.len()) {
        return standing.clone();
    }

    let (parts, rooms, kept) = trim(own, divide(wanted.len(), total));
    wanted.retain(|executor| !kept.contains_key(executor));
    placed.extend(kept);
    placed.extend(deal(wanted, rooms.into_iter().chain(free.into_iter().zip(parts))));
    placed
}

type Trimmed = (Vec<usize>, Vec<(WorkerSlot, usize)>, BTreeMap<ExecutorId, WorkerSlot>);

/// Gives each slot a part of its size if there is one, and the fullest of the others the largest
/// parts that are left. Returns the parts for further slots, the room in these slots, and the
/// executors that stay.
fn trim(own: BTreeMap<&WorkerSlot, Vec<ExecutorId>>, mut parts: Vec<usize>) -> Trimmed {
    let mut kept = BTreeMap::new();
    let mut bad = Vec::new();
    for (slot, executors) in own {
        match parts.iter().position(|part| *part == executors.len()) {
            Some(fitting) => {
                parts.remove(fitting);
                kept.extend(executors.into_iter().map(|executor| (executor, slot.clone())));
            }
            None => bad.push((slot, executors)),
        }
    }
    bad.sort_by_key(|(_, executors)| Reverse(executors.len()));
    let further = parts.split_off(bad.len().min(parts.len()));
    let mut rooms = Vec::new();
    for (i, (slot, executors)) in bad.into_iter().enumerate() {
        let part = parts.get(i).copied().unwrap_or(0);
        rooms.push((slot.clone(), part.saturating_sub(executors.len())));
        kept.extend(pick(&executors, part).map(|executor| (executor, slot.clone())));
    }
    (further, rooms, kept)
}

/// Picks `count` of the executors, or all, at equal distances: so that of each component some stay and
/// some go, as if they had been dealt to more slots from the start.
fn pick(executors: &[ExecutorId], count: usize) -> impl Iterator<Item = ExecutorId> {
    let count = count.min(executors.len());
    (0..count).map(move |i| executors[i * executors.len() / count])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use crate::{ClusterView, Placement, schedule};

    fn place_one(cluster: &ClusterView, topology: &TopologyView) -> Placement {
        schedule(cluster, std::slice::from_ref(topology)).remove(&topology.id).unwrap()
    }

    /// The topology as it stands after it was placed.
    fn placed(cluster: &ClusterView, topology: &TopologyView) -> TopologyView {
        standing(topology, &place_one(cluster, topology))
    }

    #[test]
    fn an_added_supervisor_does_not_move_a_full_topology() {
        let topology = placed(&cluster(&[("a", 4)]), &topology("t", 4, 9));
        let after = place_one(&cluster(&[("a", 4), ("b", 4)]), &topology);
        assert!(!after.is_changed);
        assert_eq!(after.explanation, "4 of 4 workers placed");
    }

    #[test]
    fn an_uneven_topology_that_is_full_does_not_move_either() {
        let topology = TopologyView { current: at(&[("a:1", 1..=7), ("a:2", 8..=8)]), ..topology("t", 2, 8) };
        assert!(!place_one(&cluster(&[("a", 4)]), &topology).is_changed);
    }

    #[test]
    fn nor_one_that_wants_more_slots_where_there_are_none() {
        let topology = TopologyView { current: at(&[("a:1", 1..=7), ("a:2", 8..=8)]), ..topology("t", 3, 8) };
        assert!(!place_one(&cluster(&[("a", 2)]), &topology).is_changed);
    }

    #[test]
    fn short_of_slots_it_runs_on_those_there_are_and_spreads_later() {
        let topology = placed(&cluster(&[("a", 2)]), &topology("t", 6, 18));
        let grown = place_one(&cluster(&[("a", 2), ("b", 3)]), &topology);
        let expected = [("a:1", 4), ("a:2", 4), ("b:1", 4), ("b:2", 3), ("b:3", 3)];
        assert_eq!(counts(&grown), expected.map(owned));
        assert_eq!(moved(&topology, &grown), 10);
        assert_eq!(grown.explanation, "5 of 6 workers placed: no free slot on host-a, host-b");
    }

    #[test]
    fn what_spreads_later_lies_as_if_it_had_been_dealt_so() {
        let topology = placed(&cluster(&[("a", 1)]), &topology("t", 6, 18));
        let (grown, fresh) = (cluster(&[("a", 1), ("b", 5)]), topology.executors.len() / 6);
        let first: Vec<_> = place_one(&grown, &topology)
            .executors
            .into_iter()
            .filter(|(_, at)| *at == slot("a:1"))
            .map(|(executor, _)| executor.first.0)
            .collect();
        assert_eq!((first.len(), first), (fresh, vec![1, 7, 13]));
    }

    #[test]
    fn a_slot_that_does_not_fit_is_bad_and_only_that_one_changes() {
        // 9 executors on 3 slots are 3, 3, 3: a:1 fits, a:2 is too full, a:3 is lost.
        let topology = TopologyView { current: at(&[("a:1", 1..=3), ("a:2", 4..=8)]), ..topology("t", 3, 9) };
        let after = place_one(&cluster(&[("a", 3)]), &topology);
        assert_eq!(counts(&after), [("a:1", 3), ("a:2", 3), ("a:3", 3)].map(owned));
        assert_eq!(moved(&topology, &after), 2);
    }

    #[test]
    fn the_fullest_slot_keeps_the_most() {
        // 7 executors on 3 slots are 3, 2, 2, and neither slot fits.
        let topology = TopologyView { current: at(&[("a:1", 1..=1), ("a:2", 2..=7)]), ..topology("t", 3, 7) };
        let after = place_one(&cluster(&[("a", 3)]), &topology);
        assert_eq!(counts(&after), [("a:1", 2), ("a:2", 3), ("a:3", 2)].map(owned));
        assert_eq!(moved(&topology, &after), 3);
    }

    #[test]
    fn each_part_is_used_once() {
        // 10 executors on 4 slots are 3, 3, 2, 2: of the three slots with 3 one is bad.
        let topology = TopologyView {
            current: at(&[("a:1", 1..=3), ("a:2", 4..=6), ("a:3", 7..=9)]),
            ..topology("t", 4, 10)
        };
        let after = place_one(&cluster(&[("a", 4)]), &topology);
        assert_eq!(counts(&after), [("a:1", 3), ("a:2", 3), ("a:3", 2), ("a:4", 2)].map(owned));
        assert_eq!(moved(&topology, &after), 1);
    }

    #[test]
    fn what_a_lost_supervisor_ran_goes_to_free_slots_alone() {
        let mut lost = placed(&cluster(&[("a", 3), ("b", 3), ("c", 3)]), &topology("t", 3, 15));
        lost.current.retain(|_, slot| slot.supervisor != "b");
        let after = place_one(&cluster(&[("a", 3), ("c", 3)]), &lost);
        assert_eq!(moved(&lost, &after), 0);
        assert_eq!(counts(&after), [("a:1", 5), ("a:2", 5), ("c:1", 5)].map(owned));
    }

    #[test]
    fn without_a_free_slot_the_survivors_take_over_and_none_of_them_moves() {
        let mut topology = placed(&cluster(&[("a", 3), ("b", 3)]), &topology("t", 6, 18));
        topology.current.retain(|_, at| *at != slot("b:3"));
        let after = place_one(&cluster(&[("a", 3), ("b", 2)]), &topology);
        let expected = [("a:1", 3), ("a:2", 3), ("a:3", 4), ("b:1", 4), ("b:2", 4)];
        assert_eq!(counts(&after), expected.map(owned));
        assert_eq!(moved(&topology, &after), 0);
        assert_eq!(after.explanation, "5 of 6 workers placed: no free slot on host-a, host-b");
    }

    #[test]
    fn a_slot_is_not_given_again_to_the_topology_that_failed_there() {
        let mut cluster = cluster(&[("a", 1), ("b", 1)]);
        let (one, two) = (topology("one", 1, 2), topology("two", 1, 2));
        cluster.failed.insert((one.id.clone(), slot("a:1")));
        let after = schedule(&cluster, &[one.clone(), two.clone()]);
        assert_eq!(counts(&after[&one.id]), [("b:1", 2)].map(owned));
        assert_eq!(counts(&after[&two.id]), [("a:1", 2)].map(owned));
    }

    #[test]
    fn an_unusable_supervisor_keeps_what_it_runs_and_gets_nothing_more() {
        let mut two = cluster(&[("a", 2), ("b", 2)]);
        two.supervisors[0].unusable = Some("silent".into());
        // 6 executors stand on the silent supervisor, 2 beside it; 4 are lost.
        let current = at(&[("a:1", 1..=6), ("b:1", 7..=8)]);
        let topology = TopologyView { current, ..topology("t", 3, 12) };
        let after = place_one(&two, &topology);
        assert_eq!(counts(&after), [("a:1", 6), ("b:1", 3), ("b:2", 3)].map(owned));
        assert_eq!(moved(&topology, &after), 0);
        assert_eq!(after.explanation, "3 of 3 workers placed");
    }

    #[test]
    fn workers_on_an_unusable_supervisor_do_not_make_others_wait() {
        let mut two = cluster(&[("a", 1), ("b", 1)]);
        two.supervisors[0].unusable = Some("silent".into());
        let topology = TopologyView { current: at(&[("a:1", 1..=1)]), ..topology("t", 1, 2) };
        assert_eq!(counts(&place_one(&two, &topology)), [("a:1", 1), ("b:1", 1)].map(owned));
    }

    #[test]
    fn a_rebalance_leaves_an_unusable_supervisor_if_it_can() {
        let mut two = cluster(&[("a", 2), ("b", 2)]);
        two.supervisors[0].unusable = Some("drained".into());
        let current = at(&[("a:1", 1..=2), ("b:1", 3..=4)]);
        let mut topology = TopologyView { current, spread_again: true, ..topology("t", 2, 4) };
        assert_eq!(counts(&place_one(&two, &topology)), [("b:1", 2), ("b:2", 2)].map(owned));

        two.supervisors.pop();
        topology.current = at(&[("a:1", 1..=4)]);
        assert!(!place_one(&two, &topology).is_changed);
    }

    #[test]
    fn no_worker_is_without_an_executor() {
        let after = place_one(&cluster(&[("a", 4)]), &topology("t", 4, 2));
        assert_eq!(after.worker_count(), 2);
        assert_eq!(after.explanation, "2 of 4 workers placed: there are 2 executors");
    }
}
