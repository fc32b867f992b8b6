//! The cluster in, assignments out: who runs where, and why.
//!
//! [`schedule`] is a function of what the cluster looks like, without I/O, clock or randomness. It
//! places as Storm's `DefaultScheduler` does, moves less, and says why a topology got less than it
//! asked for. [`schedule_isolated`] does the same after giving some topologies machines of their own.
//!
//! - `cluster_view`: supervisors, slots, topologies, and who holds which slot;
//! - `even`: the order of free slots, and how executors are dealt to them;
//! - `default`: what stays where it stands, and what is placed anew;
//! - `isolation`: machines of their own;
//! - `explain`: the sentence for people.
//!
//! What always holds (and is tested in `tests/postconditions.rs`):
//!
//! - Each executor is placed once, or reported as unplaced with the reason.
//! - A slot belongs to one topology.
//! - A supervisor that is unusable, or refuses a topology, keeps what it runs and gets nothing new.
//! - The answer is stable: given back as what stands, it is the answer again.
//! - An executor that stands somewhere is moved only for a rebalance, or to make the workers of its
//!   topology even when their number changes; what survives the loss of a worker stays where it is.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use storm_model::assignment::AssignedExecutor;
//! use storm_model::ids::{ExecutorId, TaskId};
//! use storm_scheduler::{ClusterView, SupervisorView, TopologyView, schedule};
//!
//! let cluster = ClusterView {
//!     supervisors: vec![SupervisorView::new("sup-a", "host-a", [6700, 6701])],
//!     ..ClusterView::default()
//! };
//! let task = |task| ExecutorId { first: TaskId(task), last: TaskId(task) };
//! let executor = |first| AssignedExecutor { component: "words".into(), executor: task(first) };
//! let topology = TopologyView {
//!     id: "words-1-1764000000".into(),
//!     name: "words".into(),
//!     workers: 3,
//!     executors: (1..=4).map(executor).collect(),
//!     current: BTreeMap::new(),
//!     spread_again: false,
//! };
//!
//! let placement = &schedule(&cluster, &[topology])["words-1-1764000000"];
//! assert_eq!(placement.executors[&task(1)].to_string(), "sup-a:6700");
//! assert_eq!(placement.executors[&task(2)].to_string(), "sup-a:6701");
//! assert_eq!(placement.explanation, "2 of 3 workers placed: no free slot on host-a");
//! ```

mod cluster_view;
mod default;
mod even;
mod explain;
mod isolation;
#[cfg(test)]
mod testing;

use std::collections::{BTreeMap, BTreeSet};

use storm_model::assignment::{AssignedExecutor, WorkerSlot};
use storm_model::ids::{ExecutorId, TopologyId};

pub use crate::cluster_view::{ClusterView, SupervisorView, TopologyView};
pub use crate::even::sort_slots;
pub use crate::isolation::schedule_isolated;

use crate::cluster_view::Slots;

/// Where the executors of a topology are to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The slot of each executor, those that stay where they are included.
    pub executors: BTreeMap<ExecutorId, WorkerSlot>,
    /// The executors without a slot and why, by first task.
    pub unplaced: Vec<(AssignedExecutor, String)>,
    /// One line for people: "3 of 6 workers placed: no free slot on host-a, host-b".
    pub explanation: String,
    /// Whether [`Placement::executors`] differs from [`TopologyView::current`].
    pub is_changed: bool,
}

impl Placement {
    /// Number of workers: slots with at least one executor.
    pub fn worker_count(&self) -> usize {
        self.executors.values().collect::<BTreeSet<_>>().len()
    }
}

/// Places the executors of each topology, served in the given order: oldest first.
///
/// Takes any view. What contradicts itself is read so that the promises of the crate hold: of two
/// topologies in one slot the first keeps it, supervisors of one id are one, and of two topologies
/// of one id only the first counts.
pub fn schedule(cluster: &ClusterView, topologies: &[TopologyView]) -> BTreeMap<TopologyId, Placement> {
    let cluster = cluster.merged();
    let mut slots = Slots::new(&cluster);
    let mut served: Vec<(&TopologyView, BTreeMap<ExecutorId, WorkerSlot>)> = Vec::new();
    let mut ids = BTreeSet::new();
    for topology in topologies.iter().filter(|topology| ids.insert(&topology.id)) {
        let standing = slots.claim(topology);
        served.push((topology, standing));
    }
    for (topology, standing) in &mut served {
        let placed = match topology.spread_again.then(|| default::spread_again(topology, &slots)).flatten() {
            Some(placed) => placed,
            None => default::place(topology, standing, &slots),
        };
        slots.give(&topology.id, standing.values().collect(), placed.values().collect());
        *standing = placed;
    }
    // The first round may have freed slots, after those had their turn who could use them. The
    // second frees none, for a topology that stands as a whole only grows: so there is no third.
    for (topology, standing) in &mut served {
        let placed = default::place(topology, standing, &slots);
        slots.give(&topology.id, standing.values().collect(), placed.values().collect());
        *standing = placed;
    }
    served
        .into_iter()
        .map(|(topology, executors)| (topology.id.clone(), placement(topology, executors, &slots)))
        .collect()
}

fn placement(
    topology: &TopologyView,
    executors: BTreeMap<ExecutorId, WorkerSlot>,
    slots: &Slots<'_>,
) -> Placement {
    let waiting: BTreeMap<ExecutorId, &AssignedExecutor> = topology
        .executors
        .iter()
        .rev() // of two with one id, the first
        .filter(|wanted| !executors.contains_key(&wanted.executor))
        .map(|wanted| (wanted.executor, wanted))
        .collect();
    let reason = if waiting.is_empty() { String::new() } else { explain::shortage(topology, slots) };
    Placement {
        unplaced: waiting.into_values().map(|executor| (executor.clone(), reason.clone())).collect(),
        explanation: explain::explain(topology, &executors, slots),
        is_changed: executors != topology.current,
        executors,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    #[test]
    fn exclamation_spreads_from_three_to_six_workers_evenly() {
        // 15 executors of 18 tasks, as the example of Storm's tutorial.
        let parts = [("exclaim1", 3, 3), ("exclaim2", 2, 5), ("word", 10, 10)];
        let cluster = cluster(&[("a", 4), ("b", 4)]);
        let mut topology = TopologyView { executors: executors_of(&parts), ..topology("exclamation", 3, 0) };

        let three = &schedule(&cluster, std::slice::from_ref(&topology))[&topology.id];
        assert_eq!(counts(three), [("a:1", 5), ("a:2", 5), ("b:1", 5)].map(owned));
        assert_eq!(three.explanation, "3 of 3 workers placed");

        topology.current = three.executors.clone();
        topology.workers = 6;
        topology.spread_again = true;
        let six = &schedule(&cluster, &[topology.clone()])[&topology.id];
        let expected = [("a:1", 3), ("a:2", 3), ("a:3", 2), ("b:1", 3), ("b:2", 2), ("b:3", 2)];
        assert_eq!(counts(six), expected.map(owned));

        topology.spread_again = false;
        let grown = &schedule(&cluster, &[topology.clone()])[&topology.id];
        assert_eq!(grown.worker_count(), 6);
        assert_eq!(per_supervisor(grown), [("a", 3), ("b", 3)].map(owned));
        assert_eq!(moved(&topology, grown), 15 - (3 + 3 + 3), "three workers keep three executors each");
    }

    #[test]
    fn a_slot_that_a_rebalance_frees_is_used_at_once() {
        let cluster = cluster(&[("a", 4)]);
        let old = topology("old", 3, 6);
        let young = topology("young", 3, 6);
        let both = schedule(&cluster, &[old.clone(), young.clone()]);
        assert_eq!(both[&young.id].explanation, "1 of 3 workers placed: no free slot on host-a");

        let old = TopologyView { workers: 1, spread_again: true, ..standing(&old, &both[&old.id]) };
        let both = schedule(&cluster, &[standing(&young, &both[&young.id]), old.clone()]);
        assert_eq!(both[&old.id].worker_count(), 1);
        assert_eq!(both[&young.id].worker_count(), 3);
    }

    #[test]
    fn the_first_of_two_in_one_slot_keeps_it() {
        let cluster = cluster(&[("a", 2)]);
        let one = TopologyView { current: at(&[("a:1", 1..=2)]), ..topology("one", 1, 2) };
        let two = TopologyView { current: at(&[("a:1", 1..=2)]), ..topology("two", 1, 2) };
        let placed = schedule(&cluster, &[one.clone(), two.clone()]);
        assert!(!placed[&one.id].is_changed);
        assert_eq!(counts(&placed[&two.id]), [("a:2", 2)].map(owned));
    }

    #[test]
    fn an_executor_that_is_no_longer_wanted_leaves_its_slot() {
        let cluster = cluster(&[("a", 1)]);
        let shrunk = TopologyView { current: at(&[("a:1", 3..=9)]), ..topology("shrunk", 1, 0) };
        let waiting = topology("waiting", 1, 1);
        let placed = schedule(&cluster, &[shrunk.clone(), waiting.clone()]);
        assert!(placed[&shrunk.id].executors.is_empty() && placed[&shrunk.id].is_changed);
        assert_eq!(placed[&waiting.id].unplaced, []);
    }
}
