//! What the scheduler sees: supervisors, slots, topologies; and who holds which slot meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use storm_model::assignment::{AssignedExecutor, WorkerSlot};
use storm_model::ids::{ExecutorId, SupervisorId, TopologyId};

/// The machines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterView {
    /// All that are known, in any order.
    pub supervisors: Vec<SupervisorView>,
    /// Slots that a topology may not be given now, for its worker failed or fell silent there. What
    /// of it stands in such a slot nevertheless stays.
    pub failed: BTreeSet<(TopologyId, WorkerSlot)>,
}

impl ClusterView {
    /// The same with one view for each supervisor, its ports ascending and each once. Of several views
    /// the first has the host, all add ports, and what is closed in one is closed.
    pub(crate) fn merged(&self) -> ClusterView {
        let mut merged: BTreeMap<&SupervisorId, SupervisorView> = BTreeMap::new();
        for view in &self.supervisors {
            let supervisor = merged.entry(&view.id).or_insert_with(|| view.clone());
            supervisor.slots.extend(&view.slots);
            supervisor.slots.sort_unstable();
            supervisor.slots.dedup();
            supervisor.unusable = supervisor.unusable.take().or_else(|| view.unusable.clone());
            supervisor.refuses.extend(view.refuses.clone());
        }
        ClusterView { supervisors: merged.into_values().collect(), failed: self.failed.clone() }
    }
}

/// A supervisor and its slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorView {
    /// Which.
    pub id: SupervisorId,
    /// Its machine, for explanations and for machines of one's own; several supervisors may share it.
    pub host: String,
    /// The ports, in any order.
    pub slots: Vec<u16>,
    /// Why it gets nothing new ("silent", "drained", "blacklisted"). It keeps what it runs. None: it
    /// is usable.
    pub unusable: Option<String>,
    /// The topologies that it gets nothing new of, each with the reason ("built for aarch64").
    pub refuses: BTreeMap<TopologyId, String>,
}

impl SupervisorView {
    /// A usable supervisor that refuses nothing.
    pub fn new(
        id: impl Into<SupervisorId>,
        host: impl Into<String>,
        slots: impl IntoIterator<Item = u16>,
    ) -> SupervisorView {
        SupervisorView {
            id: id.into(),
            host: host.into(),
            slots: slots.into_iter().collect(),
            unusable: None,
            refuses: BTreeMap::new(),
        }
    }

    /// Why it gets nothing new of `topology`; None if it may.
    pub(crate) fn closed(&self, topology: &TopologyId) -> Option<Closed<'_>> {
        let unusable = self.unusable.as_deref().map(Closed::Unusable);
        unusable.or_else(|| self.refuses.get(topology).map(|reason| Closed::Refuses(reason)))
    }

    /// Its slots in the order of its ports.
    pub(crate) fn worker_slots(&self) -> impl Iterator<Item = WorkerSlot> {
        self.slots.iter().map(|&port| WorkerSlot { supervisor: self.id.clone(), port })
    }
}

/// Why a supervisor gets nothing new of a topology.
pub(crate) enum Closed<'a> {
    /// It gets nothing new at all.
    Unusable(&'a str),
    /// It refuses this topology.
    Refuses(&'a str),
}

/// A topology, what it needs and what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyView {
    /// Which.
    pub id: TopologyId,
    /// Its name, by which it is given machines of its own.
    pub name: String,
    /// Number of workers asked for; 0 counts as 1.
    pub workers: u32,
    /// All executors that must run, in any order.
    pub executors: Vec<AssignedExecutor>,
    /// The slots of those that stand in the present assignment and count as alive.
    pub current: BTreeMap<ExecutorId, WorkerSlot>,
    /// A rebalance: its slots count as free and all executors are placed anew. Slots that it may not
    /// be given (of unusable supervisors, for example) are left, unless it had no other.
    pub spread_again: bool,
}

impl TopologyView {
    /// The ids of the executors, ascending by first task, each once.
    pub(crate) fn wanted(&self) -> BTreeSet<ExecutorId> {
        self.executors.iter().map(|wanted| wanted.executor).collect()
    }

    /// Number of workers it can use: as asked for, but none without an executor.
    pub(crate) fn usable_workers(&self) -> usize {
        let asked = usize::try_from(self.workers.max(1)).unwrap_or(usize::MAX);
        asked.min(self.wanted().len())
    }
}

/// The slots of the cluster and their holders, as they change while topologies are served.
pub(crate) struct Slots<'a> {
    supervisors: BTreeMap<&'a SupervisorId, &'a SupervisorView>,
    failed: &'a BTreeSet<(TopologyId, WorkerSlot)>,
    holders: BTreeMap<WorkerSlot, TopologyId>,
}

impl<'a> Slots<'a> {
    /// All slots, held by nobody. The view is a merged one.
    pub(crate) fn new(merged: &'a ClusterView) -> Slots<'a> {
        let supervisors = merged.supervisors.iter().map(|view| (&view.id, view)).collect();
        Slots { supervisors, failed: &merged.failed, holders: BTreeMap::new() }
    }

    /// Takes the slots in which executors of `topology` stand, and returns these executors: those
    /// that are still wanted, in slots that nobody claimed before.
    pub(crate) fn claim(&mut self, topology: &TopologyView) -> BTreeMap<ExecutorId, WorkerSlot> {
        let wanted = topology.wanted();
        let mut standing = BTreeMap::new();
        for (executor, slot) in topology.current.iter().filter(|(executor, _)| wanted.contains(executor)) {
            let holder = self.holders.entry(slot.clone()).or_insert_with(|| topology.id.clone());
            if *holder == topology.id {
                standing.insert(*executor, slot.clone());
            }
        }
        standing
    }

    /// Frees the slots `old` and takes the slots `new`, for `topology`.
    pub(crate) fn give(
        &mut self,
        topology: &TopologyId,
        old: BTreeSet<&WorkerSlot>,
        new: BTreeSet<&WorkerSlot>,
    ) {
        for slot in old.difference(&new) {
            self.holders.remove(*slot);
        }
        for slot in new.difference(&old) {
            let before = self.holders.insert((*slot).clone(), topology.clone());
            debug_assert!(before.is_none(), "{slot} has two holders");
        }
    }

    /// The slots that nobody holds and `topology` may be given.
    pub(crate) fn free(&self, topology: &TopologyId) -> impl Iterator<Item = WorkerSlot> {
        self.offered(topology).filter(|slot| !self.holders.contains_key(slot))
    }

    /// The same, as if it held none.
    pub(crate) fn free_or_own(&self, topology: &TopologyId) -> impl Iterator<Item = WorkerSlot> {
        self.offered(topology)
            .filter(move |slot| self.holders.get(slot).is_none_or(|holder| holder == topology))
    }

    /// Whether `topology` may be given this slot, whoever holds it.
    pub(crate) fn is_open(&self, topology: &TopologyId, slot: &WorkerSlot) -> bool {
        self.supervisors.get(&slot.supervisor).is_some_and(|supervisor| {
            supervisor.closed(topology).is_none()
                && supervisor.slots.contains(&slot.port)
                && !self.is_failed(topology, slot)
        })
    }

    /// The host of a slot, or if it is not known, its supervisor.
    pub(crate) fn host<'s>(&'s self, slot: &'s WorkerSlot) -> &'s str {
        self.supervisors.get(&slot.supervisor).map_or(slot.supervisor.as_str(), |supervisor| &supervisor.host)
    }

    /// Whether a free slot is withheld from `topology` because its worker failed there.
    pub(crate) fn is_withheld(&self, topology: &TopologyId, slot: &WorkerSlot) -> bool {
        !self.holders.contains_key(slot) && self.is_failed(topology, slot)
    }

    /// All supervisors, by id.
    pub(crate) fn supervisors(&self) -> impl Iterator<Item = &'a SupervisorView> {
        self.supervisors.values().copied()
    }

    fn offered(&self, topology: &TopologyId) -> impl Iterator<Item = WorkerSlot> {
        self.supervisors()
            .filter(|supervisor| supervisor.closed(topology).is_none())
            .flat_map(SupervisorView::worker_slots)
            .filter(|slot| !self.is_failed(topology, slot))
    }

    fn is_failed(&self, topology: &TopologyId, slot: &WorkerSlot) -> bool {
        !self.failed.is_empty() && self.failed.contains(&(topology.clone(), slot.clone()))
    }
}

#[cfg(test)]
mod tests {
    use crate::schedule;
    use crate::testing::*;

    #[test]
    fn supervisors_of_one_id_are_one_with_all_their_ports_and_limits() {
        let mut cluster = cluster(&[("a", 2), ("a", 4), ("b", 1)]);
        cluster.supervisors[1].refuses.insert("picky-1".into(), "too small".into());
        let (picky, other) = (topology("picky", 9, 9), topology("other", 9, 9));
        let placed = schedule(&cluster, &[picky.clone(), other.clone()]);
        assert_eq!(per_supervisor(&placed[&picky.id]), [("b", 1)].map(owned));
        assert_eq!(per_supervisor(&placed[&other.id]), [("a", 4)].map(owned));
    }
}
