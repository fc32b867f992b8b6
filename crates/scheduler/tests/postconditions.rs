//! What holds of every answer, for any view of any cluster.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use storm_model::assignment::{AssignedExecutor, WorkerSlot};
use storm_model::ids::{ExecutorId, TaskId, TopologyId};
use storm_scheduler::{ClusterView, Placement, SupervisorView, TopologyView, schedule, schedule_isolated};

type Placements = BTreeMap<TopologyId, Placement>;

const SUPERVISORS: usize = 5;
const PORTS: u16 = 4;
const TOPOLOGIES: usize = 4;

fn topology_id(number: usize) -> TopologyId {
    format!("t{number}-1").into()
}

fn executor(number: u32) -> ExecutorId {
    ExecutorId { first: TaskId(number), last: TaskId(number) }
}

prop_compose! {
    /// Any slot, also of supervisors and ports that are not in the view.
    fn any_slot()(supervisor in 0..SUPERVISORS + 1, port in 0..PORTS + 1) -> WorkerSlot {
        WorkerSlot { supervisor: format!("s{supervisor}").into(), port }
    }
}

prop_compose! {
    /// Supervisors with doubled ids, hosts and ports, usable or not.
    fn any_supervisor()(
        number in 0..SUPERVISORS,
        host in 0..SUPERVISORS,
        slots in prop::collection::vec(0..PORTS, 0..6),
        is_usable in prop::bool::weighted(0.7),
        refuses in prop::collection::btree_set(0..TOPOLOGIES, 0..2),
    ) -> SupervisorView {
        SupervisorView {
            unusable: (!is_usable).then(|| "silent".to_owned()),
            refuses: refuses.into_iter().map(|number| (topology_id(number), "built for aarch64".into())).collect(),
            ..SupervisorView::new(format!("s{number}"), format!("h{host}"), slots)
        }
    }
}

prop_compose! {
    fn any_cluster()(
        supervisors in prop::collection::vec(any_supervisor(), 0..SUPERVISORS),
        failed in prop::collection::btree_set((0..TOPOLOGIES, any_slot()), 0..4),
    ) -> ClusterView {
        let failed = failed.into_iter().map(|(number, slot)| (topology_id(number), slot)).collect();
        ClusterView { supervisors, failed }
    }
}

prop_compose! {
    /// Topologies with doubled ids and executors, and whatever in their present assignment.
    fn any_topology()(
        number in 0..TOPOLOGIES,
        workers in 0u32..7,
        executors in prop::collection::vec(1u32..20, 0..20),
        current in prop::collection::btree_map(1u32..20, any_slot(), 0..20),
        spread_again in prop::bool::weighted(0.2),
    ) -> TopologyView {
        TopologyView {
            id: topology_id(number),
            name: format!("t{number}"),
            workers,
            executors: executors.into_iter().map(assigned).collect(),
            current: current.into_iter().map(|(number, slot)| (executor(number), slot)).collect(),
            spread_again,
        }
    }
}

fn assigned(number: u32) -> AssignedExecutor {
    AssignedExecutor { component: "words".into(), executor: executor(number) }
}

fn any_topologies() -> impl Strategy<Value = Vec<TopologyView>> {
    prop::collection::vec(any_topology(), 0..TOPOLOGIES + 1)
}

prop_compose! {
    /// A cluster where all is well.
    fn sound_cluster()(
        slots in prop::collection::vec(0..PORTS + 1, 1..SUPERVISORS),
    ) -> ClusterView {
        let supervisor = |(i, slots)| SupervisorView::new(format!("s{i}"), format!("h{i}"), 0..slots);
        ClusterView {
            supervisors: slots.into_iter().enumerate().map(supervisor).collect(),
            ..ClusterView::default()
        }
    }
}

prop_compose! {
    fn new_topologies()(
        sizes in prop::collection::vec((1u32..7, 1u32..30), 1..TOPOLOGIES),
    ) -> Vec<TopologyView> {
        let topology = |(number, (workers, executors))| TopologyView {
            id: topology_id(number),
            name: format!("t{number}"),
            workers,
            executors: (1..=executors).map(assigned).collect(),
            current: BTreeMap::new(),
            spread_again: false,
        };
        sizes.into_iter().enumerate().map(topology).collect()
    }
}

/// The topologies as they stand when the placements have come true.
fn standing(topologies: &[TopologyView], placements: &Placements) -> Vec<TopologyView> {
    let stand = |topology: &TopologyView| TopologyView {
        current: placements[&topology.id].executors.clone(),
        spread_again: false,
        ..topology.clone()
    };
    topologies.iter().map(stand).collect()
}

/// The first topology of each id.
fn served(topologies: &[TopologyView]) -> impl Iterator<Item = &TopologyView> {
    let mut ids = BTreeSet::new();
    topologies.iter().filter(move |topology| ids.insert(&topology.id))
}

fn is_open(cluster: &ClusterView, topology: &TopologyId, slot: &WorkerSlot) -> bool {
    let mut same = cluster.supervisors.iter().filter(|view| view.id == slot.supervisor).peekable();
    same.peek().is_some()
        && same.clone().all(|view| view.unusable.is_none() && !view.refuses.contains_key(topology))
        && same.any(|view| view.slots.contains(&slot.port))
        && !cluster.failed.contains(&(topology.clone(), slot.clone()))
}

fn all_slots(cluster: &ClusterView) -> BTreeSet<WorkerSlot> {
    let of = |view: &SupervisorView| {
        let supervisor = view.id.clone();
        let slot = move |port: &u16| WorkerSlot { supervisor: supervisor.clone(), port: *port };
        view.slots.iter().map(slot).collect::<Vec<_>>()
    };
    cluster.supervisors.iter().flat_map(of).collect()
}

fn sizes(placement: &Placement) -> BTreeMap<&WorkerSlot, usize> {
    let mut sizes = BTreeMap::new();
    for slot in placement.executors.values() {
        *sizes.entry(slot).or_default() += 1;
    }
    sizes
}

fn each_executor_is_placed_once_or_has_a_reason(topologies: &[TopologyView], placements: &Placements) {
    assert_eq!(placements.len(), served(topologies).count());
    for topology in served(topologies) {
        let placement = &placements[&topology.id];
        let wanted: BTreeSet<ExecutorId> = topology.executors.iter().map(|wanted| wanted.executor).collect();
        let unplaced: BTreeSet<ExecutorId> = placement.unplaced.iter().map(|(it, _)| it.executor).collect();
        let placed: BTreeSet<ExecutorId> = placement.executors.keys().copied().collect();
        assert_eq!(unplaced.len(), placement.unplaced.len());
        assert!(placed.is_disjoint(&unplaced));
        assert_eq!(&placed | &unplaced, wanted);
        assert!(placement.unplaced.iter().all(|(_, reason)| !reason.is_empty()));
        assert!(!placement.explanation.is_empty());
        assert_eq!(placement.is_changed, placement.executors != topology.current);
    }
}

fn no_slot_is_shared(placements: &Placements) {
    let mut holders = BTreeMap::new();
    for (id, placement) in placements {
        for slot in placement.executors.values() {
            assert_eq!(*holders.entry(slot).or_insert(id), id, "{slot} is shared");
        }
    }
}

fn what_is_closed_gets_nothing_new(cluster: &ClusterView, topologies: &[TopologyView], after: &Placements) {
    for topology in served(topologies) {
        for (executor, slot) in &after[&topology.id].executors {
            let is_new = topology.current.get(executor) != Some(slot);
            assert!(!is_new || is_open(cluster, &topology.id, slot), "{executor} is new in {slot}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_view_has_a_sound_answer(cluster in any_cluster(), topologies in any_topologies()) {
        let placements = schedule(&cluster, &topologies);
        each_executor_is_placed_once_or_has_a_reason(&topologies, &placements);
        no_slot_is_shared(&placements);
        what_is_closed_gets_nothing_new(&cluster, &topologies, &placements);
    }

    #[test]
    fn any_view_with_isolated_topologies_has_a_sound_answer(
        cluster in any_cluster(),
        topologies in any_topologies(),
        machines in prop::collection::btree_map((0..TOPOLOGIES).prop_map(|n| format!("t{n}")), 0u32..4, 0..3),
    ) {
        let placements = schedule_isolated(&cluster, &topologies, &machines);
        each_executor_is_placed_once_or_has_a_reason(&topologies, &placements);
        no_slot_is_shared(&placements);
        what_is_closed_gets_nothing_new(&cluster, &topologies, &placements);
        let again = schedule_isolated(&cluster, &standing(&topologies, &placements), &machines);
        prop_assert!(again.values().all(|placement| !placement.is_changed));
    }

    #[test]
    fn nobody_waits_while_there_is_a_slot(cluster in any_cluster(), topologies in any_topologies()) {
        let placements = schedule(&cluster, &topologies);
        let held: BTreeSet<&WorkerSlot> = placements.values().flat_map(|it| it.executors.values()).collect();
        for (id, placement) in placements.iter().filter(|(_, placement)| !placement.unplaced.is_empty()) {
            prop_assert!(!placement.executors.values().any(|slot| is_open(&cluster, id, slot)));
            let all = all_slots(&cluster);
            prop_assert!(!all.iter().any(|slot| !held.contains(slot) && is_open(&cluster, id, slot)));
        }
    }

    #[test]
    fn who_has_less_than_asked_for_is_told_the_obstacle(
        cluster in any_cluster(),
        topologies in any_topologies(),
    ) {
        let placements = schedule(&cluster, &topologies);
        let held: BTreeSet<&WorkerSlot> = placements.values().flat_map(|it| it.executors.values()).collect();
        let all = all_slots(&cluster);
        for topology in served(&topologies) {
            let placement = &placements[&topology.id];
            let executors = placement.executors.len() + placement.unplaced.len();
            let usable = executors.min(topology.workers.max(1) as usize);
            if placement.worker_count() >= usable {
                continue;
            }
            let has_free = all.iter().any(|slot| !held.contains(slot) && is_open(&cluster, &topology.id, slot));
            let mut slots = placement.executors.values();
            prop_assert!(!has_free || slots.any(|slot| !is_open(&cluster, &topology.id, slot)));
            prop_assert_eq!(has_free, placement.explanation.contains("stay there"));
        }
    }

    #[test]
    fn the_answer_is_stable(cluster in any_cluster(), topologies in any_topologies()) {
        let first = schedule(&cluster, &topologies);
        let again = schedule(&cluster, &standing(&topologies, &first));
        for (id, placement) in &again {
            prop_assert!(!placement.is_changed, "{} was {:?}, is {:?}", id, first[id], placement);
            prop_assert_eq!(&placement.explanation, &first[id].explanation);
        }
    }

    #[test]
    fn the_order_of_supervisors_does_not_matter(cluster in sound_cluster(), topologies in new_topologies()) {
        let mut reversed = cluster.clone();
        reversed.supervisors.reverse();
        prop_assert_eq!(schedule(&cluster, &topologies), schedule(&reversed, &topologies));
    }

    #[test]
    fn a_fresh_schedule_is_even_over_slots_and_supervisors(
        cluster in sound_cluster(),
        mut topologies in new_topologies(),
        spread_again: bool,
    ) {
        topologies.truncate(1);
        if spread_again {
            topologies = standing(&topologies, &schedule(&cluster, &topologies));
            topologies[0].workers += 1;
            topologies[0].spread_again = true;
        }
        let (topology, placement) = (&topologies[0], &schedule(&cluster, &topologies)[&topologies[0].id]);
        let sizes = sizes(placement);
        let asked = (topology.workers as usize).min(topology.executors.len());
        prop_assert_eq!(sizes.len(), asked.min(all_slots(&cluster).len()));
        let (least, most) = (sizes.values().min(), sizes.values().max());
        prop_assert!(least.zip(most).is_none_or(|(least, most)| most - least <= 1));

        let workers = |view: &SupervisorView| sizes.keys().filter(|slot| slot.supervisor == view.id).count();
        for view in &cluster.supervisors {
            let is_full = workers(view) == view.slots.len();
            let most = cluster.supervisors.iter().map(workers).max().unwrap_or(0);
            prop_assert!(is_full || workers(view) + 1 >= most);
        }
    }

    #[test]
    fn survivors_of_a_lost_slot_stay_and_remain_even(
        mut cluster in sound_cluster(),
        topologies in new_topologies(),
        choice: prop::sample::Index,
        is_failed: bool,
    ) {
        let mut before = standing(&topologies, &schedule(&cluster, &topologies));
        let slots: BTreeSet<WorkerSlot> =
            before.iter().flat_map(|topology| topology.current.values().cloned()).collect();
        prop_assume!(!slots.is_empty());
        let lost = slots.iter().nth(choice.index(slots.len())).unwrap();
        let loser = before.iter_mut().find(|it| it.current.values().any(|slot| slot == lost)).unwrap();
        loser.current.retain(|_, slot| slot != lost);
        let loser = loser.clone();
        if is_failed {
            cluster.failed.insert((loser.id.clone(), lost.clone()));
        }

        let placement = &schedule(&cluster, &before)[&loser.id];
        for (executor, slot) in &loser.current {
            prop_assert_eq!(&placement.executors[executor], slot);
        }
        let sizes = sizes(placement);
        let (least, most) = (sizes.values().min(), sizes.values().max());
        prop_assert!(least.zip(most).is_none_or(|(least, most)| most - least <= 1));
    }

    #[test]
    fn what_spreads_to_new_slots_moves_as_little_as_can_be(
        mut cluster in sound_cluster(),
        mut topologies in new_topologies(),
        added in 1..PORTS + 1,
    ) {
        topologies.truncate(1);
        let before = &standing(&topologies, &schedule(&cluster, &topologies))[0];
        cluster.supervisors.push(SupervisorView::new("new", "new", 0..added));
        let placement = &schedule(&cluster, std::slice::from_ref(before))[&before.id];

        let sizes = sizes(placement);
        let new: usize = sizes.iter().filter(|(slot, _)| slot.supervisor == "new").map(|(_, size)| size).sum();
        let moved = before.current.iter().filter(|(it, slot)| placement.executors[it] != **slot).count();
        let (least, most) = (sizes.values().min().unwrap(), sizes.values().max().unwrap());
        prop_assert!(most - least <= 1);
        let was_placed = !before.current.is_empty();
        prop_assert_eq!(moved, if was_placed { new } else { 0 });
    }

    #[test]
    fn isolated_topologies_share_no_host(cluster in sound_cluster(), topologies in new_topologies()) {
        let machines = BTreeMap::from([("t0".to_owned(), 2)]);
        let placements = schedule_isolated(&cluster, &topologies, &machines);
        let hosts = |placement: &Placement| -> BTreeSet<_> {
            placement.executors.values().map(|slot| slot.supervisor.clone()).collect()
        };
        let own = hosts(&placements[&topology_id(0)]);
        prop_assert!(own.len() <= 2);
        for (_, other) in placements.iter().filter(|(id, _)| **id != topology_id(0)) {
            prop_assert!(own.is_disjoint(&hosts(other)));
        }
    }
}
