//! A leader's mind on a virtual clock: what it does with what it hears, without a cluster.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use proptest::prelude::*;
use storm_cluster::{Children, PendingAction, PendingKind};

use super::*;
use crate::testing;

const WINDOW: Duration = Duration::from_secs(4);

/// A leader, and a cluster that does as it says.
struct World {
    state: State,
    now: Time,
    version: i32,
    removed: Vec<TopologyId>,
    /// What workers were asked last.
    rounds: BTreeMap<String, u64>,
}

impl World {
    fn new(supervisors: &[(&str, u16)]) -> World {
        let mut world = World {
            state: State::new(Liveness::new(WINDOW)),
            now: Time::from_secs(1000),
            version: 0,
            removed: vec![],
            rounds: BTreeMap::new(),
        };
        world.register(supervisors);
        world.state.liveness.listen(world.now);
        world
    }

    fn register(&mut self, supervisors: &[(&str, u16)]) {
        let records = supervisors.iter().map(|(id, slots)| ((*id).into(), testing::supervisor(id, *slots)));
        self.state.set_supervisors(records.collect());
    }

    fn wall_ms(&self) -> u64 {
        1_764_000_000_000 + self.now.as_nanos() / 1_000_000
    }

    fn submit(&mut self, name: &str, workers: u32) -> TopologyId {
        let record = testing::topology(name, workers);
        let id = record.id.clone();
        self.put(record);
        self.act();
        id
    }

    fn put(&mut self, record: TopologyRecord) {
        self.version += 1;
        self.state.apply(self.now, self.wall_ms(), Change::PutTopology(Box::new(record)), self.version);
    }

    fn act(&mut self) {
        self.state.look(self.now);
        loop {
            let batches = self.state.due(self.now, self.wall_ms());
            if batches.is_empty() {
                return;
            }
            for change in batches.into_iter().flatten() {
                if let Change::Remove(tombstone) = &change {
                    self.removed.push(tombstone.id.clone());
                }
                self.version += 1;
                self.state.apply(self.now, self.wall_ms(), change, self.version);
            }
        }
    }

    /// Half a second passes, at the end of which these supervisors report.
    fn pass(&mut self, reporting: &[&str]) {
        self.now = self.now + Duration::from_millis(500);
        for id in reporting {
            let asked = self.state.rounds(id).into_iter();
            self.rounds.extend(asked.map(|asked| (asked.topology_id, asked.round)));
            let report = self.report(id);
            self.state.supervisor_reported(self.now, self.wall_ms(), report);
        }
        self.act();
    }

    fn report(&self, id: &str) -> v1::SupervisorReport {
        let mut report =
            v1::SupervisorReport { supervisor_id: id.to_owned(), ..v1::SupervisorReport::default() };
        for (topology, known) in &self.state.topologies {
            let assignment = known.assignment().into_iter();
            for worker in assignment.flat_map(|a| &a.workers).filter(|w| w.slot.supervisor == *id) {
                report.workers.push(self.worker_report(topology, worker));
            }
        }
        report
    }

    fn worker_report(
        &self,
        topology: &TopologyId,
        worker: &storm_model::WorkerAssignment,
    ) -> v1::WorkerReport {
        let known = &self.state.topologies[topology];
        let is_active = known.record().status == Status::Active;
        let asked = self.rounds.get(topology.as_str()).filter(|_| !is_active);
        v1::WorkerReport {
            topology_id: topology.to_string(),
            slot: Some((&worker.slot).into()),
            incarnation: Some(v1::Incarnation { number: worker.number, restarts: 0 }),
            state: v1::WorkerState::Running.into(),
            assignment_version: known.assignment().unwrap().version,
            is_active,
            quiet_look: asked.map(|round| v1::QuietLook { round: *round, ..v1::QuietLook::default() }),
            uptime_ms: self.now.as_nanos() / 1_000_000,
            ..v1::WorkerReport::default()
        }
    }

    fn assignment(&self, id: &TopologyId) -> &Assignment {
        self.state.topologies[id].assignment().unwrap()
    }

    fn homes(&self, id: &TopologyId) -> BTreeSet<String> {
        self.assignment(id).workers.iter().map(|worker| worker.slot.supervisor.to_string()).collect()
    }

    /// What a new leader reads.
    fn read(&self) -> (Children<TopologyId, TopologyRecord>, Children<TopologyId, AssignmentRecord>) {
        let topologies = self.state.topologies.iter().map(|(id, t)| (id.clone(), Ok(t.record.clone())));
        let assignments =
            self.state.topologies.iter().filter_map(|(id, t)| Some((id.clone(), Ok(t.assignment.clone()?))));
        (topologies.collect(), assignments.collect())
    }
}

fn pending(world: &World, kind: PendingKind, wait_secs: u64) -> Option<PendingAction> {
    let command = "c".to_owned();
    Some(PendingAction { kind, started_ms: world.wall_ms(), wait_secs, elapsed_ms: 0, command })
}

#[test]
fn a_supervisor_that_signs_off_keeps_its_workers() {
    let mut world = World::new(&[("a", 2), ("b", 2), ("c", 2)]);
    let id = world.submit("w", 3);
    let before = world.assignment(&id).clone();
    world.register(&[("a", 2), ("b", 2)]);
    for _ in 0..40 {
        world.pass(&["a", "b"]);
        // The worker of c reports directly.
        let orphan = before.workers.iter().find(|worker| worker.slot.supervisor == *"c").unwrap();
        let report = world.worker_report(&id, orphan);
        world.state.worker_reported(world.now, report);
    }
    assert_eq!(*world.assignment(&id), before);
    assert!(world.state.verdict.silent.contains("c"));
    for _ in 0..8 {
        world.pass(&["a", "b"]);
    }
    assert_eq!(world.homes(&id), ["a".to_owned(), "b".to_owned()].into(), "now its worker is silent, too");
}

#[test]
fn where_there_is_no_other_place_it_stays() {
    let mut world = World::new(&[("a", 2)]);
    let id = world.submit("w", 2);
    let before = world.assignment(&id).clone();
    for _ in 0..200 {
        world.pass(&[]);
    }
    assert!(world.state.verdict.lost.contains("a"));
    assert_eq!(*world.assignment(&id), before);
}

#[test]
fn a_kill_ends_early_and_leaves_a_tombstone() {
    let mut world = World::new(&[("a", 2)]);
    let id = world.submit("w", 2);
    world.pass(&["a"]);
    let mut record = world.state.topologies[&id].record().clone();
    record.status = Status::Killed;
    record.pending = pending(&world, PendingKind::Kill, 600);
    world.put(record);
    world.pass(&["a"]);
    assert!(world.removed.is_empty(), "one round is not enough");
    world.pass(&["a"]);
    world.pass(&["a"]);
    assert_eq!(world.removed, [id]);
}

#[test]
fn who_follows_an_older_state_is_not_quiet() {
    let mut world = World::new(&[("a", 2)]);
    let id = world.submit("w", 1);
    let mut record = world.state.topologies[&id].record().clone();
    record.status = Status::Killed;
    record.status_version = 6;
    record.pending = pending(&world, PendingKind::Kill, 600);
    world.put(record);
    let tell = |world: &mut World, state_version| {
        for _ in 0..4 {
            world.now = world.now + Duration::from_millis(500);
            let asked = world.state.rounds("a").into_iter();
            world.rounds.extend(asked.map(|asked| (asked.topology_id, asked.round)));
            let mut report = world.report("a");
            for look in report.workers.iter_mut().filter_map(|worker| worker.quiet_look.as_mut()) {
                look.state_version = state_version;
            }
            let wall_ms = world.wall_ms();
            world.state.supervisor_reported(world.now, wall_ms, report);
        }
        world.state.topologies[&id].is_quiet()
    };
    assert!(!tell(&mut world, 4), "it was to drain before, and has not heard that it may emit since");
    assert!(tell(&mut world, 6));
}

#[test]
fn a_new_leader_goes_on_where_the_old_one_was() {
    let mut world = World::new(&[("a", 4)]);
    let id = world.submit("w", 1);
    let mut record = world.state.topologies[&id].record().clone();
    record.status = Status::Rebalancing;
    record.previous_status = Some(Status::Inactive);
    record.pending =
        pending(&world, PendingKind::Rebalance { workers: Some(2), executors: BTreeMap::new() }, 60);
    world.put(record);
    for _ in 0..40 {
        world.pass(&[]);
    }
    let (topologies, assignments) = world.read();
    world.state = State::new(Liveness::new(WINDOW));
    world.register(&[("a", 4)]);
    let wall_ms = world.wall_ms();
    world.state.load(world.now, wall_ms, topologies, assignments, BTreeSet::new());
    world.act();
    let remaining = world.state.topologies[&id].wait.unwrap().remaining(world.now);
    assert_eq!(remaining, Duration::from_secs(40));
    for _ in 0..80 {
        assert_eq!(world.state.topologies[&id].record().status, Status::Rebalancing);
        world.pass(&[]);
    }
    let record = world.state.topologies[&id].record();
    assert_eq!((record.status, record.workers, &record.pending), (Status::Inactive, 2, &None));
    assert_eq!(world.assignment(&id).workers.len(), 2);
}

#[test]
fn what_is_not_read_is_not_gone() {
    let mut world = World::new(&[("a", 4)]);
    let (one, two) = (world.submit("one", 1), world.submit("two", 1));
    let (mut topologies, mut assignments) = world.read();
    topologies.remove(&one);
    assignments.remove(&two);
    let before = (world.assignment(&one).clone(), world.assignment(&two).clone());
    let wall_ms = world.wall_ms();
    world.state.load(world.now, wall_ms, topologies, assignments.clone(), BTreeSet::new());
    world.act();
    assert_eq!((world.assignment(&one), world.assignment(&two)), (&before.0, &before.1));
    assert_eq!(world.state.record_problems.len(), 2, "{:?}", world.state.record_problems);

    // A leader that never knew them leaves their slots alone.
    let (mut topologies, _) = world.read();
    topologies.remove(&one);
    world.state = State::new(Liveness::new(WINDOW));
    world.register(&[("a", 4)]);
    world.state.load(world.now, wall_ms, topologies, assignments, BTreeSet::new());
    world.act();
    assert!(world.state.topologies[&two].is_astray());
    assert_eq!(world.state.topologies[&two].assignment(), None);
    // Where it runs, its supervisor tells.
    let three = world.submit("three", 4);
    assert_eq!(world.state.topologies[&three].assignment(), None, "nobody has told what is free");
    let mut report = world.report("a");
    report.slots = vec![slot_report(&two, &before.1.workers[0])];
    world.state.supervisor_reported(world.now, wall_ms, report);
    world.act();
    let used: BTreeSet<u16> =
        world.assignment(&three).workers.iter().map(|worker| worker.slot.port).collect();
    assert!(!used.contains(&before.0.workers[0].slot.port), "{used:?}");
    assert!(!used.contains(&before.1.workers[0].slot.port), "{used:?}");
    assert_eq!(used.len(), 2);
}

fn slot_report(topology: &TopologyId, worker: &storm_model::WorkerAssignment) -> v1::SlotReport {
    v1::SlotReport {
        port: worker.slot.port.into(),
        topology_id: topology.to_string(),
        incarnation: Some(v1::Incarnation { number: worker.number, restarts: 0 }),
        ..v1::SlotReport::default()
    }
}

fn garbled(
    assignments: &mut Children<TopologyId, AssignmentRecord>,
    id: &TopologyId,
) -> storm_cluster::RecordError {
    let error = storm_cluster::RecordError::Corrupt {
        kind: "assignment",
        path: format!("/storm/assignments/{id}"),
        reason: "expected value".to_owned(),
    };
    assignments.insert(id.clone(), Err(error.clone()));
    error
}

fn rebalance_now(world: &mut World, id: &TopologyId) {
    let mut record = world.state.topologies[id].record().clone();
    record.status = Status::Rebalancing;
    record.previous_status = Some(Status::Active);
    record.pending = pending(world, PendingKind::Rebalance { workers: None, executors: BTreeMap::new() }, 0);
    world.put(record);
    world.act();
}

#[test]
fn an_assignment_that_cannot_be_read_concerns_its_topology_alone() {
    let mut world = World::new(&[("a", 4)]);
    let (one, two) = (world.submit("one", 1), world.submit("two", 1));
    let before = world.assignment(&two).clone();
    let (topologies, mut assignments) = world.read();
    let error = garbled(&mut assignments, &two);
    let wall_ms = world.wall_ms();
    for _ in 0..3 {
        world.state.load(world.now, wall_ms, topologies.clone(), assignments.clone(), BTreeSet::new());
        world.act();
    }
    assert_eq!(world.state.frozen, None);
    assert_eq!(*world.assignment(&two), before, "left running where it is");
    let errors = &world.state.topologies[&two].errors;
    assert_eq!(errors.len(), 1, "told once: {errors:?}");
    assert!(errors[0].message.starts_with(&error.to_string()), "{errors:?}");
    assert!(errors[0].message.contains("`storm-rs rebalance two`"), "{errors:?}");
    assert!(world.state.topologies[&one].errors.is_empty());
    let three = world.submit("three", 2);
    assert_eq!(world.assignment(&three).workers.len(), 2);
    rebalance_now(&mut world, &two);
    assert_eq!(world.assignment(&two).workers, before.workers, "nobody has to move");
    assert_eq!(world.assignment(&two).version, before.version + 1);
    assert!(!world.state.topologies[&two].is_astray());
}

#[test]
fn a_leader_that_cannot_read_an_assignment_gives_its_slots_to_nobody() {
    let mut world = World::new(&[("a", 3)]);
    let id = world.submit("two", 2);
    let before = world.assignment(&id).clone();
    let (topologies, mut assignments) = world.read();
    garbled(&mut assignments, &id);
    let wall_ms = world.wall_ms();
    world.state = State::new(Liveness::new(WINDOW));
    world.register(&[("a", 3)]);
    world.state.load(world.now, wall_ms, topologies, assignments, BTreeSet::new());
    world.act();
    assert!(world.state.topologies[&id].is_astray());
    let other = world.submit("other", 1);
    assert_eq!(world.state.topologies[&other].assignment(), None);
    let mut report = world.report("a");
    report.slots = before.workers.iter().map(|worker| slot_report(&id, worker)).collect();
    world.state.supervisor_reported(world.now, wall_ms, report);
    world.act();
    let free = world.assignment(&other).workers[0].slot.clone();
    assert!(before.workers.iter().all(|worker| worker.slot != free));
    assert_eq!(world.state.used_slots().len(), 3);
    // Numbers go on where they were, for they stand in the record.
    rebalance_now(&mut world, &id);
    let after = world.assignment(&id).clone();
    assert!(after.version > before.version);
    let used = |assignment: &Assignment| -> BTreeSet<u64> {
        assignment.workers.iter().map(|worker| worker.number).collect()
    };
    assert!(used(&before).iter().max() < used(&after).iter().min(), "{after:?}");
    assert_eq!(after.workers.len(), 2);
}

#[test]
fn nothing_happens_while_frozen() {
    let mut world = World::new(&[("a", 4)]);
    let id = world.submit("w", 1);
    let mut record = world.state.topologies[&id].record().clone();
    record.status = Status::Killed;
    record.pending = pending(&world, PendingKind::Kill, 0);
    world.state.frozen = Some("another cluster".to_owned());
    world.put(record);
    for _ in 0..20 {
        world.pass(&[]);
    }
    assert!(world.removed.is_empty());
    assert_eq!(world.state.next_deadline(), None, "there is nothing to wake up for");
}

#[test]
fn a_removal_that_nobody_saw_is_one() {
    let mut world = World::new(&[("a", 4)]);
    let id = world.submit("w", 2);
    let wall_ms = world.wall_ms();
    // The answer to the removal was lost; all is read again.
    let (none, nothing) = (Children::new(), Children::new());
    world.state.load(world.now, wall_ms, none, nothing, [id].into());
    assert!(world.state.topologies.is_empty());
    assert_eq!(world.state.record_problems, Vec::<String>::new());
    assert!(world.state.used_slots().is_empty());
}

#[test]
fn a_record_tells_with_which_assignment_it_was_written() {
    let mut world = World::new(&[("a", 4)]);
    let id = world.submit("w", 2);
    let version = |world: &World| world.state.topologies[&id].record().assignment_version;
    assert_eq!((version(&world), world.assignment(&id).version), (1, 1));
    let mut record = world.state.topologies[&id].record().clone();
    record.status = Status::Rebalancing;
    record.pending =
        pending(&world, PendingKind::Rebalance { workers: Some(1), executors: BTreeMap::new() }, 0);
    world.put(record);
    world.act();
    assert_eq!((version(&world), world.assignment(&id).version), (2, 2));
    // What follows a lost assignment is newer than it was.
    let mut record = world.state.topologies[&id].record().clone();
    let wanted = crate::assign::wanted(&record.spec, &record.executors);
    let placed = crate::assign::standing(world.assignment(&id));
    let next = crate::assign::next(&mut record, &wanted, None, &placed, |_| String::new()).unwrap();
    assert_eq!(next.version, 3);
}

#[test]
fn a_rebalance_that_cannot_be_written_is_given_up() {
    let mut world = World::new(&[("a", 4)]);
    let id = world.submit("w", 1);
    let mut record = world.state.topologies[&id].record().clone();
    record.status = Status::Rebalancing;
    record.previous_status = Some(Status::Inactive);
    record.pending =
        pending(&world, PendingKind::Rebalance { workers: Some(3), executors: BTreeMap::new() }, 0);
    world.put(record);
    let wall_ms = world.wall_ms();
    let batch = world.state.due(world.now, wall_ms).remove(0);
    let change = world.state.give_up(&batch, wall_ms, "too many bytes").unwrap();
    assert_eq!(world.state.due(world.now, wall_ms), Vec::<Vec<Change>>::new(), "not again and again");
    world.state.apply(world.now, wall_ms, change, 99);
    let topology = &world.state.topologies[&id];
    assert_eq!((topology.record().status, topology.record().workers), (Status::Inactive, 1));
    assert_eq!(topology.errors[0].message, "its rebalance was given up: too many bytes");
    assert_eq!(world.state.next_deadline(), None);
}

#[test]
fn one_end_of_a_worker_is_one_error() {
    let mut world = World::new(&[("a", 1)]);
    let id = world.submit("w", 1);
    let worker = world.assignment(&id).workers[0].clone();
    let told = v1::ErrorReport {
        time_ms: 5,
        host: worker.host.clone(),
        port: worker.slot.port.into(),
        message: "the worker was killed by SIGKILL".to_owned(),
        kind: "exit".to_owned(),
        ..v1::ErrorReport::default()
    };
    let slot = |problem: &str| v1::SlotReport {
        port: worker.slot.port.into(),
        topology_id: id.to_string(),
        incarnation: Some(v1::Incarnation { number: worker.number, restarts: 0 }),
        problem: problem.to_owned(),
        ..v1::SlotReport::default()
    };
    let mut report = world.report("a");
    report.workers[0].errors = vec![told];
    report.slots = vec![slot("was killed by SIGKILL")];
    world.state.supervisor_reported(world.now, 6, report.clone());
    assert_eq!(world.state.topologies[&id].errors.len(), 1);
    // What nobody else tells is told here.
    report.workers.clear();
    report.slots = vec![slot("the disk is full")];
    world.state.supervisor_reported(world.now, 7, report);
    let messages: Vec<_> = world.state.topologies[&id].errors.iter().map(|e| e.message.as_str()).collect();
    assert_eq!(messages, ["the worker was killed by SIGKILL", "the disk is full"]);
}

#[test]
fn who_is_not_assigned_gives_no_sign_of_life() {
    let mut world = World::new(&[("a", 2), ("b", 2), ("c", 2)]);
    let id = world.submit("w", 3);
    let orphan = world.assignment(&id).workers.iter().find(|w| w.slot.supervisor == *"c").unwrap().clone();
    for _ in 0..12 {
        world.pass(&["a", "b"]);
        // A former life of it, which was replaced long ago, speaks from another network.
        let mut report = world.worker_report(&id, &orphan);
        report.incarnation = Some(v1::Incarnation::default());
        world.state.worker_reported(world.now, report);
    }
    assert_eq!(world.homes(&id), ["a".to_owned(), "b".to_owned()].into());
}

#[test]
fn late_reports_and_those_of_former_lives_do_not_count() {
    let mut world = World::new(&[("a", 1)]);
    let id = world.submit("w", 1);
    let worker = world.assignment(&id).workers[0].clone();
    let report = |uptime_ms, number, moved, pid| v1::WorkerReport {
        incarnation: Some(v1::Incarnation { number, restarts: 0 }),
        uptime_ms,
        moved,
        pid,
        ..world.worker_report(&id, &worker)
    };
    let reports = [report(2000, 1, 0, 1), report(1000, 1, 0, 2), report(9000, 0, 4, 3)];
    for report in reports {
        world.state.worker_reported(world.now, report);
    }
    let topology = &world.state.topologies[&id];
    assert_eq!(topology.workers[&worker.slot].report.as_ref().unwrap().1.pid, 1);
    assert_eq!(topology.moved(), 4, "but what they failed when they left does");
}

/// What a life reports of task 3, which has emitted so many.
fn figures(emitted: u64) -> Vec<u8> {
    use storm_figures::{ExecutorSnapshot, StreamCount, TaskSnapshot};
    let task = TaskSnapshot {
        streams: vec![StreamCount { emitted, ..StreamCount::new("default".into()) }],
        ..TaskSnapshot::new(TaskId(3))
    };
    let executor = ExecutorSnapshot {
        tasks: vec![task],
        uptime: Duration::from_secs(9),
        ..ExecutorSnapshot::new(
            "words".into(),
            storm_model::ComponentKind::Spout,
            storm_model::ExecutorId { first: TaskId(3), last: TaskId(4) },
        )
    };
    serde_json::to_vec(&Snapshot { executors: vec![executor] }).unwrap()
}

#[test]
fn what_a_worker_says_last_counts_and_what_is_late_does_not() {
    let mut world = World::new(&[("a", 2)]);
    let id = world.submit("w", 1);
    let first = world.assignment(&id).workers[0].clone();
    let tell = |world: &mut World, number, restarts, uptime_ms, emitted| {
        let report = v1::WorkerReport {
            topology_id: id.to_string(),
            slot: Some((&first.slot).into()),
            incarnation: Some(v1::Incarnation { number, restarts }),
            uptime_ms,
            figures: figures(emitted).into(),
            ..v1::WorkerReport::default()
        };
        world.state.worker_reported(world.now, report);
        let report = world.state.topologies[&id].keeper.report(world.now);
        report.component("words").unwrap().figures[storm_figures::Window::AllTime].emitted
    };
    assert_eq!(tell(&mut world, 1, 0, 1000, 40), 40);
    assert_eq!(tell(&mut world, 1, 1, 500, 3), 43, "it was started again");
    let mut record = world.state.topologies[&id].record().clone();
    record.status = Status::Rebalancing;
    record.pending =
        pending(&world, PendingKind::Rebalance { workers: Some(2), executors: BTreeMap::new() }, 0);
    world.put(record);
    world.act();
    assert!(world.assignment(&id).workers.iter().all(|worker| worker.number > 1));
    assert_eq!(tell(&mut world, 1, 1, 900, 60), 100, "its last words come after the next assignment");
    assert_eq!(tell(&mut world, 2, 0, 100, 5), 105);
    assert_eq!(tell(&mut world, 1, 1, 950, 70), 105, "too late");
    assert_eq!(tell(&mut world, 2, 0, 90, 4), 105, "overtaken by the next");
    assert_eq!(tell(&mut world, 99, 0, 1, 4), 105, "nobody has this number");
    assert_eq!(tell(&mut world, 2, 0, 200, 6), 106);
}

#[test]
fn what_a_topology_does_not_have_is_not_taken() {
    let mut world = World::new(&[("a", 2)]);
    let id = world.submit("w", 1);
    let slot = world.assignment(&id).workers[0].slot.clone();
    let report = |slot: WorkerSlot, figures: Vec<u8>, uptime_ms| v1::WorkerReport {
        topology_id: id.to_string(),
        slot: Some((&slot).into()),
        incarnation: Some(v1::Incarnation { number: 1, restarts: 0 }),
        uptime_ms,
        moved: 3,
        figures: figures.into(),
        ..v1::WorkerReport::default()
    };
    let emitted = |world: &World| {
        let report = world.state.topologies[&id].keeper.report(world.now);
        let words =
            report.component("words").map(|words| words.figures[storm_figures::Window::AllTime].emitted);
        (
            words.unwrap_or(0),
            report.components.iter().map(|component| component.executors.len()).sum::<usize>(),
        )
    };
    for n in 0..100 {
        let nowhere = WorkerSlot { supervisor: format!("made-up-{n}").into(), port: 6700 };
        world.state.worker_reported(world.now, report(nowhere, figures(40), 100));
    }
    assert_eq!((emitted(&world), world.state.topologies[&id].moved()), ((0, 0), 0));
    world.state.worker_reported(world.now, report(slot.clone(), figures(40), 100));
    assert_eq!((emitted(&world), world.state.topologies[&id].moved()), ((40, 1), 3));
    // An executor that would have four thousand million tasks, one that is cut beyond its component.
    let text = String::from_utf8(figures(90)).unwrap();
    for (first, last) in [(5, 0), (3, 1_000), (0, 4)] {
        let bad = text.replace(r#""first":3,"last":4"#, &format!(r#""first":{first},"last":{last}"#));
        assert_ne!(bad, text);
        world.state.worker_reported(world.now, report(slot.clone(), bad.into(), 200));
        assert_eq!(emitted(&world), (40, 1));
    }
    // Of a worker whose assignment cannot be read its supervisor tells.
    world.state.topologies.get_mut(&id).unwrap().homes.clear();
    let mut told = world.report("a");
    told.workers = vec![report(slot, figures(50), 300)];
    let wall_ms = world.wall_ms();
    world.state.supervisor_reported(world.now, wall_ms, told);
    assert_eq!(emitted(&world), (50, 1));
}

#[test]
fn figures_of_a_topology_that_cannot_be_read_yet_are_asked_for_again() {
    let mut world = World::new(&[("a", 2)]);
    let (one, two) = (world.submit("one", 1), world.submit("two", 1));
    let (topologies, assignments) = world.read();
    let mut some = topologies.clone();
    some.remove(&two);
    world.state = State::new(Liveness::new(WINDOW));
    let wall_ms = world.wall_ms();
    let load = |world: &mut World, topologies| {
        let tombstones = ["three".into()].into();
        world.state.load(world.now, wall_ms, topologies, assignments.clone(), tombstones);
    };
    load(&mut world, some.clone());
    let mut kept = Keeper::default();
    kept.observe(world.now, &serde_json::from_slice(&figures(40)).unwrap());
    let tell = |world: &mut World| {
        for id in [one.clone(), two.clone(), "three".into()] {
            world.state.figures_kept(world.now, &"a".into(), id, kept.clone());
        }
        world.state.all_figures_kept("a".into());
        assert!(!world.state.wants_figures("a"), "not again and again");
    };
    tell(&mut world);
    load(&mut world, some);
    assert!(!world.state.wants_figures("a"));
    load(&mut world, topologies);
    assert!(world.state.wants_figures("a"));
    tell(&mut world);
    let report = world.state.topologies[&two].keeper.report(world.now);
    assert_eq!(report.component("words").unwrap().figures[storm_figures::Window::AllTime].emitted, 40);
    assert!(world.state.missed.is_empty());
}

#[test]
fn the_last_errors_of_each_component_are_kept() {
    let mut topology = Topology::new(Versioned { value: testing::topology("w", 1), version: 0 });
    let error = |time_ms, component: &str| v1::ErrorReport {
        time_ms,
        component: component.to_owned(),
        message: "é".repeat(4000),
        kind: "panicked".to_owned(),
        suppressed: 3,
        ..v1::ErrorReport::default()
    };
    topology.add_errors([error(99, "words")]);
    topology.add_errors((0..30).map(|time_ms| error(time_ms, "count")));
    assert_eq!(topology.errors.len(), 11);
    assert_eq!((topology.errors[0].time_ms, topology.errors[10].time_ms), (20, 99));
    assert!(topology.errors.iter().all(|error| error.message.len() <= MESSAGE_BYTES));
    let mut next = Topology::new(topology.record.clone());
    next.remember_errors(&topology.errors_record());
    assert_eq!(next.errors, topology.errors);
    assert!(!next.errors_to_write);
    topology.add_errors(topology.errors.clone());
    topology.add_errors([error(100, "made-up")]);
    assert_eq!(topology.errors.len(), 11, "neither twice nor of what there is not");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever supervisors do, nobody who reports within the window loses work, every executor is in
    /// one place at most, and versions and numbers only grow.
    #[test]
    fn work_is_moved_on_evidence_only(script in proptest::collection::vec(0u8..16, 1..120)) {
        let names = ["a", "b", "c", "d"];
        let mut world = World::new(&names.map(|id| (id, 2)));
        let ids = [world.submit("one", 3), world.submit("two", 3)];
        let mut heard = [world.now; 4];
        for step in script {
            let before: Vec<Assignment> = ids.iter().map(|id| world.assignment(id).clone()).collect();
            let reporting: Vec<&str> = (0..4).filter(|i| step & (1 << i) != 0).map(|i| names[i]).collect();
            world.pass(&reporting);
            for (i, name) in names.iter().enumerate() {
                if reporting.contains(name) {
                    heard[i] = world.now;
                }
            }
            for (id, before) in ids.iter().zip(&before) {
                let after = world.assignment(id);
                let mut seen = BTreeSet::new();
                for executor in after.workers.iter().flat_map(|worker| &worker.executors) {
                    prop_assert!(seen.insert(executor.executor));
                }
                prop_assert_eq!(seen.len(), 4);
                if after == before {
                    continue;
                }
                prop_assert!(after.version > before.version);
                let is_lost = names.iter().zip(heard).any(|(name, heard)| {
                    world.now.since(heard) >= WINDOW && before.workers.iter().any(|w| w.slot.supervisor == **name)
                });
                let grows = after.workers.len() > before.workers.len();
                prop_assert!(is_lost || grows, "moved without evidence");
            }
            let slots = world.state.used_slots().len();
            let workers: usize = ids.iter().map(|id| world.assignment(id).workers.len()).sum();
            prop_assert_eq!(slots, workers, "a slot belongs to one topology");
        }
    }
}

#[test]
fn a_status_is_counted_when_it_is_another_one() {
    let mut world = World::new(&[("a", 1)]);
    let id = world.submit("w", 1);
    let count = |world: &World, status| {
        let mut record = world.state.topologies[&id].record().clone();
        record.status = status;
        let mut changes = [Change::PutTopology(Box::new(record))];
        world.state.count_statuses(&mut changes);
        let [Change::PutTopology(record)] = changes else { unreachable!("it was one") };
        *record
    };
    // Of a Nimbus that did not count.
    assert_eq!(world.state.topologies[&id].record().status_version, 0);
    let counted =
        [Status::Active, Status::Active, Status::Inactive, Status::Inactive, Status::Active].map(|status| {
            let record = count(&world, status);
            let version = record.status_version;
            world.put(record);
            version
        });
    assert_eq!(counted, [1, 1, 2, 2, 3]);
}

#[test]
fn the_work_of_an_unhealthy_machine_is_moved() {
    let mut world = World::new(&[("a", 2), ("b", 2)]);
    let id = world.submit("w", 2);
    assert_eq!(world.homes(&id), ["a".to_owned(), "b".to_owned()].into());
    let before = world.assignment(&id).clone();
    let tell = |world: &mut World, unhealthy: [&str; 2]| {
        for (id, unhealthy) in ["a", "b"].into_iter().zip(unhealthy) {
            let report = v1::SupervisorReport { unhealthy: unhealthy.to_owned(), ..world.report(id) };
            let wall_ms = world.wall_ms();
            world.state.supervisor_reported(world.now, wall_ms, report);
        }
        world.act();
    };
    tell(&mut world, ["", "the disk is full"]);
    let after = world.assignment(&id).clone();
    assert_eq!(world.homes(&id), ["a".to_owned()].into());
    let of_a = |assignment: &Assignment| {
        assignment.workers.iter().find(|worker| worker.slot.port == before.workers[0].slot.port).cloned()
    };
    assert_eq!(of_a(&after), of_a(&before), "who was well runs on");
    // Nor does it come back by itself, or leave the last place there is.
    tell(&mut world, ["", ""]);
    assert_eq!(*world.assignment(&id), after);
    tell(&mut world, ["too hot", "the disk is full"]);
    assert_eq!(*world.assignment(&id), after);
}
