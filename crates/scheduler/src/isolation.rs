//! Machines of their own for some topologies (Storm's `IsolationScheduler`, in a simple form).
//!
//! First each isolated topology gets its machines: those it runs on, then those with the most slots.
//! They refuse all others, what others run there counts as lost, and the topology is refused
//! everywhere else. Then everything is placed as usual.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use storm_model::assignment::WorkerSlot;
use storm_model::ids::{SupervisorId, TopologyId};

use crate::cluster_view::{ClusterView, SupervisorView, TopologyView};
use crate::{Placement, schedule};

/// Rounds until the choice of hosts and the placement must agree: one more than any view has needed.
const ROUNDS_MAX: usize = 4;

/// Like [`schedule`], where the topologies named in `machines` get as many hosts of their own, or as
/// many as there are. A number of 0 counts as 1, and no topology gets more hosts than workers.
///
/// Who runs on a host that becomes another's is moved, or waits if there is no slot elsewhere. Nobody
/// is moved away from an unusable supervisor.
pub fn schedule_isolated(
    cluster: &ClusterView,
    topologies: &[TopologyView],
    machines: &BTreeMap<String, u32>,
) -> BTreeMap<TopologyId, Placement> {
    let cluster = &cluster.merged();
    let mut ids = BTreeSet::new();
    let mut topologies = topologies.to_vec();
    topologies.retain(|topology| ids.insert(topology.id.clone()));
    let mut placed = schedule_on_reserved(cluster, &topologies, machines);
    // A topology may turn out to need another number of hosts than was kept for it: it had a slot that
    // was another's, or was made whole on fewer.
    for _ in 1..ROUNDS_MAX {
        let settled: Vec<TopologyView> = topologies
            .iter()
            .map(|topology| TopologyView {
                current: placed[&topology.id].executors.clone(),
                spread_again: false,
                ..topology.clone()
            })
            .collect();
        placed = schedule_on_reserved(cluster, &settled, machines);
        if placed.values().all(|placement| !placement.is_changed) {
            break;
        }
    }
    for topology in &topologies {
        if let Some(placement) = placed.get_mut(&topology.id) {
            placement.is_changed = placement.executors != topology.current;
        }
    }
    placed
}

fn schedule_on_reserved(
    cluster: &ClusterView,
    topologies: &[TopologyView],
    machines: &BTreeMap<String, u32>,
) -> BTreeMap<TopologyId, Placement> {
    let reserved = reserve(cluster, topologies, machines);
    let refusal = |host: &str, topology: &TopologyView| match reserved.get(host) {
        Some(owner) if owner.id == topology.id => None,
        Some(owner) => Some(format!("kept for {}", owner.name)),
        None if machines.contains_key(&topology.name) => Some("not a machine of its own".to_owned()),
        None => None,
    };

    let mut restricted = cluster.clone();
    for supervisor in &mut restricted.supervisors {
        for topology in topologies {
            if let Some(reason) = refusal(&supervisor.host, topology) {
                supervisor.refuses.entry(topology.id.clone()).or_insert(reason);
            }
        }
    }
    let by_id: BTreeMap<&SupervisorId, &SupervisorView> =
        cluster.supervisors.iter().map(|supervisor| (&supervisor.id, supervisor)).collect();
    let may_stay = |topology: &TopologyView, slot: &WorkerSlot| {
        by_id.get(&slot.supervisor).is_none_or(|supervisor| {
            supervisor.unusable.is_some() || refusal(&supervisor.host, topology).is_none()
        })
    };
    let staying: Vec<TopologyView> = topologies
        .iter()
        .map(|topology| {
            let mut topology = topology.clone();
            let mut current = std::mem::take(&mut topology.current);
            current.retain(|_, slot| may_stay(&topology, slot));
            TopologyView { current, ..topology }
        })
        .collect();
    schedule(&restricted, &staying)
}

/// The hosts that are kept for isolated topologies.
fn reserve<'a>(
    cluster: &'a ClusterView,
    topologies: &'a [TopologyView],
    machines: &BTreeMap<String, u32>,
) -> BTreeMap<&'a str, &'a TopologyView> {
    let mut reserved = BTreeMap::new();
    for topology in topologies {
        let Some(&asked) = machines.get(&topology.name) else { continue };
        let asked = usize::try_from(asked.max(1)).unwrap_or(usize::MAX).min(topology.usable_workers());
        for host in choose(cluster, topology, asked, &reserved) {
            reserved.insert(host, topology);
        }
    }
    reserved
}

/// What a host has for one topology.
#[derive(Default)]
struct Host {
    own_workers: usize,
    open_slots: usize,
}

fn choose<'a>(
    cluster: &'a ClusterView,
    topology: &TopologyView,
    asked: usize,
    reserved: &BTreeMap<&'a str, &'a TopologyView>,
) -> Vec<&'a str> {
    let wanted = topology.wanted();
    let current = || topology.current.iter().filter(|(executor, _)| wanted.contains(executor));
    let standing: BTreeSet<&WorkerSlot> = current().map(|(_, slot)| slot).collect();
    let mut hosts: BTreeMap<&str, Host> = BTreeMap::new();
    for supervisor in cluster.supervisors.iter().filter(|view| !reserved.contains_key(&*view.host)) {
        let host = hosts.entry(&supervisor.host).or_default();
        host.own_workers += standing.iter().filter(|slot| slot.supervisor == supervisor.id).count();
        if supervisor.unusable.is_none() && !supervisor.refuses.contains_key(&topology.id) {
            host.open_slots += supervisor.slots.len();
        }
    }
    let mut ranked: Vec<(&str, Host)> =
        hosts.into_iter().filter(|(_, host)| host.own_workers + host.open_slots > 0).collect();
    ranked.sort_by_key(|(name, host)| (Reverse(host.own_workers), Reverse(host.open_slots), *name));

    // One that has all its workers needs no further host.
    let is_whole = current().count() == wanted.len();
    let is_served = is_whole && standing.len() >= topology.usable_workers() && !topology.spread_again;
    let own = ranked.iter().filter(|(_, host)| host.own_workers > 0).count();
    let usable = if is_served { &ranked[..own] } else { &ranked[..] };
    let (first, others) = usable.split_at(asked.min(usable.len()));
    // Hosts that get nothing new count, lest a silence takes a host from others; but not alone.
    let is_open = |(_, host): &&(&str, Host)| host.open_slots > 0;
    let has_open = first.iter().any(|host| is_open(&host));
    let added = others.iter().find(is_open).filter(|_| !has_open);
    first.iter().chain(added).map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    fn machines(name: &str, number: u32) -> BTreeMap<String, u32> {
        BTreeMap::from([(name.to_owned(), number)])
    }

    #[test]
    fn an_isolated_topology_has_its_hosts_alone() {
        let cluster = cluster(&[("a", 4), ("b", 4), ("c", 2)]);
        let (alone, other) = (topology("alone", 3, 6), topology("other", 3, 6));
        let placed = schedule_isolated(&cluster, &[other.clone(), alone.clone()], &machines("alone", 2));
        assert_eq!(per_supervisor(&placed[&alone.id]), [("a", 2), ("b", 1)].map(owned));
        assert_eq!(per_supervisor(&placed[&other.id]), [("c", 2)].map(owned));
        assert_eq!(
            placed[&other.id].explanation,
            "2 of 3 workers placed: no free slot on host-c; not on host-a, host-b (kept for alone)"
        );
    }

    #[test]
    fn others_make_way_and_wait_if_they_must() {
        let cluster = cluster(&[("a", 2)]);
        let other = TopologyView { current: at(&[("a:1", 1..=2)]), ..topology("other", 1, 2) };
        let alone = topology("alone", 1, 1);
        let placed = schedule_isolated(&cluster, &[other.clone(), alone.clone()], &machines("alone", 1));
        assert_eq!(counts(&placed[&alone.id]), [("a:1", 1)].map(owned));
        assert!(placed[&other.id].is_changed);
        assert_eq!(
            placed[&other.id].explanation,
            "0 of 1 worker placed, 2 executors wait: not on host-a (kept for alone)"
        );
    }

    #[test]
    fn it_stays_on_its_hosts_when_larger_ones_come() {
        let alone = topology("alone", 2, 4);
        let small = cluster(&[("a", 2), ("b", 2)]);
        let before =
            &schedule_isolated(&small, std::slice::from_ref(&alone), &machines("alone", 2))[&alone.id];
        let alone = standing(&alone, before);
        let large = cluster(&[("a", 2), ("b", 2), ("c", 9)]);
        let after =
            schedule_isolated(&large, &[topology("other", 2, 2), alone.clone()], &machines("alone", 2));
        assert!(!after[&alone.id].is_changed);
        assert_eq!(per_supervisor(&after["other-1"]), [("c", 2)].map(owned));
    }

    #[test]
    fn a_lost_machine_is_replaced_and_the_other_stays_as_it_is() {
        let two = cluster(&[("a", 4), ("b", 4)]);
        let alone = topology("alone", 4, 8);
        let before = &schedule_isolated(&two, std::slice::from_ref(&alone), &machines("alone", 2))[&alone.id];
        let mut alone = standing(&alone, before);
        alone.current.retain(|_, slot| slot.supervisor == "a");
        let after = &schedule_isolated(
            &cluster(&[("a", 4), ("c", 4)]),
            std::slice::from_ref(&alone),
            &machines("alone", 2),
        )[&alone.id];
        assert_eq!(moved(&alone, after), 0);
        assert!(per_supervisor(after).iter().any(|(supervisor, _)| supervisor == "c"));
    }

    #[test]
    fn a_silent_machine_is_kept_but_what_is_lost_beside_it_finds_another() {
        let mut cluster = cluster(&[("a", 2), ("b", 2), ("c", 2)]);
        cluster.supervisors[0].unusable = Some("silent".into());
        let mut alone = TopologyView { current: at(&[("a:1", 1..=2)]), ..topology("alone", 1, 2) };
        let other = TopologyView { current: at(&[("b:1", 1..=2)]), ..topology("other", 1, 2) };
        let all = [alone.clone(), other.clone()];
        let placed = schedule_isolated(&cluster, &all, &machines("alone", 1));
        assert!(placed.values().all(|placement| !placement.is_changed));

        alone.current = at(&[("a:1", 1..=1)]);
        let placed = schedule_isolated(&cluster, &[alone.clone(), other], &machines("alone", 1));
        assert_eq!(moved(&alone, &placed[&alone.id]), 0);
        assert_eq!(placed[&alone.id].unplaced, []);
    }

    #[test]
    fn nobody_is_moved_away_from_a_silent_machine() {
        let mut cluster = cluster(&[("a", 2), ("b", 2)]);
        cluster.supervisors[0].unusable = Some("silent".into());
        // Both stand on the silent host, which becomes the machine of one of them.
        let alone = TopologyView { current: at(&[("a:1", 1..=2)]), ..topology("alone", 1, 2) };
        let other = TopologyView { current: at(&[("a:2", 1..=2)]), ..topology("other", 1, 2) };
        let placed = schedule_isolated(&cluster, &[alone, other], &machines("alone", 1));
        assert!(placed.values().all(|placement| !placement.is_changed));
    }

    #[test]
    fn a_host_without_slots_keeps_what_it_runs() {
        // Its supervisor runs with another number of ports now, none, and so has nothing to keep for it.
        let cluster = cluster(&[("a", 2), ("b", 0)]);
        let first = topology("first", 2, 2);
        let second = TopologyView { current: at(&[("b:1", 1..=2)]), ..topology("second", 1, 2) };
        let both = BTreeMap::from([("first".to_owned(), 2), ("second".to_owned(), 1)]);
        let placed = schedule_isolated(&cluster, &[first.clone(), second.clone()], &both);
        assert_eq!(per_supervisor(&placed[&first.id]), [("a", 2)].map(owned));
        assert!(!placed[&second.id].is_changed);
    }
}
