//! What should run here, port by port. Pure.
//!
//! A slot is given to a topology by an assignment that lists it. It is taken away by a newer
//! assignment of the same topology that does not list it, or by the topology's tombstone, and by
//! nothing else: what is absent or cannot be read says nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use storm_cluster::{BinaryRecord, TopologyRecord};
use storm_model::{Assignment, ComponentId, ConfigMap, Status, SupervisorId, TopologyId, Tuning, WorkerSlot};

use crate::slot::Work;

/// What is known of a topology: all that it takes to start a worker of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    /// Its id.
    pub id: TopologyId,
    /// Its name.
    pub name: String,
    /// What it is meant to do, once the assignment that this goes with is known: see [`Topology::state`].
    pub status: Status,
    /// The version of that assignment.
    #[serde(default)]
    pub status_since: u64,
    /// How often it was given another status: see [`TopologyRecord::status_version`].
    #[serde(default)]
    pub status_version: u64,
    /// What it was meant to do before, as far as that was known.
    #[serde(default)]
    pub former_status: Option<Status>,
    /// The version of that.
    #[serde(default)]
    pub former_version: u64,
    /// Its code.
    pub binary: BinaryRecord,
    /// What the binary is started with.
    pub arguments: Vec<String>,
    /// The configuration in effect.
    pub config: ConfigMap,
    /// Digest of the specification.
    pub spec_digest: String,
    /// Executors that a rebalance has set.
    pub executors: BTreeMap<ComponentId, u32>,
    /// What was changed of it since it was submitted.
    #[serde(default)]
    pub tuning: Tuning,
    /// The newest assignment that was seen.
    pub assignment: Option<Assignment>,
}

impl Topology {
    /// What a record says, without an assignment.
    pub fn of(record: &TopologyRecord) -> Topology {
        Topology {
            id: record.id.clone(),
            name: record.name.clone(),
            status: record.status,
            status_since: record.assignment_version,
            status_version: record.status_version,
            former_status: None,
            former_version: 0,
            binary: record.binary.clone(),
            arguments: record.arguments.clone(),
            config: record.config.clone(),
            spec_digest: record.spec_digest.clone(),
            executors: record.executors.clone(),
            tuning: record.tuning.clone(),
            assignment: None,
        }
    }

    /// What its workers are to do now, with the version of that. Record and assignment are written together but
    /// read one after the other: workers that a new assignment ends must not begin to emit again before they
    /// know it.
    pub fn state(&self) -> Option<(Status, u64)> {
        let version = self.assignment.as_ref().map_or(0, |assignment| assignment.version);
        if version < self.status_since {
            Some((self.former_status?, self.former_version))
        } else {
            Some((self.status, self.status_version))
        }
    }

    /// Patience with a silent worker of it, in milliseconds.
    fn silence_ms(&self) -> Option<u64> {
        let secs = self.config.get("topology.worker.timeout.secs")?.as_u64()?;
        Some(secs.saturating_mul(1000))
    }
}

/// What is to become of a slot.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It runs this.
    Run(Work),
    /// It runs nothing any more.
    Withdraw,
    /// Nothing is known that would change it.
    Keep,
}

/// All that this supervisor has read, the newest of each.
#[derive(Clone, Debug)]
pub struct Assignments {
    me: SupervisorId,
    topologies: BTreeMap<TopologyId, Topology>,
    /// Assignments of topologies whose record was not seen.
    early: BTreeMap<TopologyId, Assignment>,
    tombstones: BTreeSet<TopologyId>,
    /// The longest patience that a topology may ask for.
    max_silence_ms: u64,
}

impl Assignments {
    /// What a supervisor knew when it stopped.
    pub fn new(
        me: SupervisorId,
        kept: impl IntoIterator<Item = Topology>,
        max_silence_ms: u64,
    ) -> Assignments {
        let topologies = kept.into_iter().map(|topology| (topology.id.clone(), topology)).collect();
        let (early, tombstones) = (BTreeMap::new(), BTreeSet::new());
        Assignments { me, topologies, early, tombstones, max_silence_ms }
    }

    /// A topology.
    pub fn topology(&self, id: &TopologyId) -> Option<&Topology> {
        self.topologies.get(id)
    }

    /// Every topology that is known.
    pub fn topologies(&self) -> impl Iterator<Item = &Topology> {
        self.topologies.values()
    }

    /// Whether a user has killed it for good.
    pub fn is_removed(&self, id: &TopologyId) -> bool {
        self.tombstones.contains(id)
    }

    /// Takes in a topology's record; whether anything is new.
    pub fn take_record(&mut self, record: &TopologyRecord) -> bool {
        if self.is_removed(&record.id) {
            return false;
        }
        // After a restart, another server of ZooKeeper may answer, which lags behind what was read before.
        let known = self.topology(&record.id);
        let (status, tuning) = known.map_or((0, 0), |known| (known.status_version, known.tuning.version));
        let is_late = record.status_version < status || record.tuning.version < tuning;
        // A Nimbus of before these were counted writes neither.
        if is_late && record.status_version != 0 {
            return false;
        }
        let mut topology = Topology::of(record);
        let old = self.topologies.get_mut(&record.id);
        topology.assignment = match &old {
            Some(old) => old.assignment.clone(),
            None => self.early.remove(&record.id),
        };
        if let Some(old) = &old {
            let is_as_before = (old.status, old.status_since) == (topology.status, topology.status_since);
            let former = if is_as_before { None } else { old.state() };
            topology.former_status = if is_as_before { old.former_status } else { former.map(|f| f.0) };
            topology.former_version =
                if is_as_before { old.former_version } else { former.map_or(0, |f| f.1) };
        }
        if old.is_some_and(|old| *old == topology) {
            return false;
        }
        self.topologies.insert(topology.id.clone(), topology);
        true
    }

    /// Takes in an assignment; whether it is newer than what was known.
    pub fn take_assignment(&mut self, id: &TopologyId, assignment: &Assignment) -> bool {
        if self.is_removed(id) {
            return false;
        }
        let known = match self.topologies.get(id) {
            Some(topology) => topology.assignment.as_ref(),
            None => self.early.get(id),
        };
        if known.is_some_and(|known| known.version >= assignment.version) {
            return false;
        }
        match self.topologies.get_mut(id) {
            Some(topology) => topology.assignment = Some(assignment.clone()),
            None => {
                self.early.insert(id.clone(), assignment.clone());
            }
        }
        true
    }

    /// Takes in a tombstone; whether it is new.
    pub fn take_tombstone(&mut self, id: &TopologyId) -> bool {
        self.early.remove(id);
        self.tombstones.insert(id.clone())
    }

    /// Forgets what a tombstone is written for and nothing here runs.
    pub fn forget(&mut self, id: &TopologyId) {
        self.topologies.remove(id);
    }

    /// Whether an assignment lists this supervisor.
    pub fn concerns_me(&self, id: &TopologyId) -> bool {
        let assignment = self.topology(id).and_then(|topology| topology.assignment.as_ref());
        assignment.is_some_and(|a| a.workers.iter().any(|worker| worker.slot.supervisor == self.me))
    }

    /// What a slot that is to run `current` should run.
    pub fn verdict(&self, port: u16, current: Option<&Work>) -> Verdict {
        if let Some(current) = current {
            if let Some(work) = self.work(&current.topology, port) {
                return Verdict::Run(work);
            }
            let is_gone = self.is_removed(&current.topology) || self.is_unlisted(&current.topology, port);
            if !is_gone {
                return Verdict::Keep;
            }
        }
        // Two list it only while one of them is being replaced.
        let listed = self.topologies.keys().find_map(|id| self.work(id, port));
        match listed {
            Some(work) => Verdict::Run(work),
            None if current.is_some() => Verdict::Withdraw,
            None => Verdict::Keep,
        }
    }

    /// An assignment is known, and it does not list the slot. It is not older than the one that did,
    /// for older ones are not taken in.
    fn is_unlisted(&self, id: &TopologyId, port: u16) -> bool {
        let assignment = self.topology(id).and_then(|topology| topology.assignment.as_ref());
        assignment.or_else(|| self.early.get(id)).is_some_and(|a| a.worker(&self.slot(port)).is_none())
    }

    fn work(&self, id: &TopologyId, port: u16) -> Option<Work> {
        if self.is_removed(id) {
            return None;
        }
        let topology = self.topology(id)?;
        let worker = topology.assignment.as_ref()?.worker(&self.slot(port))?;
        let mut executors = worker.executors.clone();
        executors.sort();
        Some(Work {
            topology: id.clone(),
            number: worker.number,
            executors,
            digest: topology.binary.digest.clone(),
            silence_ms: topology.silence_ms().map(|ms| ms.min(self.max_silence_ms)),
        })
    }

    fn slot(&self, port: u16) -> WorkerSlot {
        WorkerSlot { supervisor: self.me.clone(), port }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it is used")]

    use storm_model::{AssignedExecutor, ExecutorId, TaskId, WorkerAssignment};

    use super::*;

    fn topology(id: &str) -> Topology {
        Topology {
            id: id.into(),
            name: id.to_owned(),
            status: Status::Active,
            status_since: 0,
            status_version: 0,
            former_status: None,
            former_version: 0,
            binary: BinaryRecord { digest: "d".to_owned(), size: 1, ..BinaryRecord::default() },
            arguments: Vec::new(),
            config: ConfigMap::from([("topology.worker.timeout.secs".to_owned(), 30.into())]),
            spec_digest: String::new(),
            executors: BTreeMap::new(),
            tuning: Tuning::default(),
            assignment: None,
        }
    }

    fn assignment(version: u64, workers: &[(&str, u16, u64)]) -> Assignment {
        let worker = |(supervisor, port, number): &(&str, u16, u64)| WorkerAssignment {
            slot: WorkerSlot { supervisor: (*supervisor).into(), port: *port },
            host: "h".to_owned(),
            number: *number,
            executors: [5, 1]
                .map(|task| AssignedExecutor {
                    component: "c".into(),
                    executor: ExecutorId { first: TaskId(task), last: TaskId(task) },
                })
                .into(),
        };
        Assignment { version, workers: workers.iter().map(worker).collect() }
    }

    fn known() -> Assignments {
        let mut known = Assignments::new("me".into(), [topology("a"), topology("b")], 10_000);
        assert!(known.take_assignment(&"a".into(), &assignment(1, &[("me", 6700, 1), ("other", 6701, 2)])));
        known
    }

    fn run(known: &Assignments, port: u16, current: Option<&Work>) -> Work {
        match known.verdict(port, current) {
            Verdict::Run(work) => work,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_listed_slot_runs_and_others_are_left_alone() {
        let known = known();
        let work = run(&known, 6700, None);
        assert_eq!((work.number, work.silence_ms), (1, Some(10_000)));
        assert!(work.executors.is_sorted());
        assert_eq!(known.verdict(6701, None), Verdict::Keep);
    }

    #[test]
    fn only_a_newer_assignment_or_a_tombstone_withdraws() {
        let mut known = known();
        let work = run(&known, 6700, None);
        assert!(!known.take_assignment(&"a".into(), &assignment(1, &[])), "not newer");
        assert_eq!(run(&known, 6700, Some(&work)), work);

        let mut newer = known.clone();
        assert!(newer.take_assignment(&"a".into(), &assignment(2, &[("other", 6701, 2)])));
        assert_eq!(newer.verdict(6700, Some(&work)), Verdict::Withdraw);
        assert_eq!(newer.verdict(6700, None), Verdict::Keep);

        known.take_tombstone(&"a".into());
        assert_eq!(known.verdict(6700, Some(&work)), Verdict::Withdraw);
        assert!(!known.take_assignment(&"a".into(), &assignment(3, &[("me", 6700, 3)])));
    }

    #[test]
    fn a_state_counts_when_its_assignment_is_known() {
        let spec = storm_model::TopologySpec::default();
        let record = |status, assignment_version, status_version| TopologyRecord {
            id: "a".into(),
            name: "a".to_owned(),
            status,
            previous_status: None,
            workers: 1,
            executors: BTreeMap::new(),
            owner: String::new(),
            launched_ms: 0,
            binary: BinaryRecord::default(),
            arguments: Vec::new(),
            config: ConfigMap::new(),
            spec: spec.clone(),
            spec_digest: String::new(),
            pending: None,
            assignment_number: 1,
            assignment_version,
            status_version,
            rebalances: 0,
            tuning: Tuning::default(),
            explanation: String::new(),
        };
        let mut known = known();
        let state = |known: &Assignments| known.topology(&"a".into()).unwrap().state();
        assert!(known.take_record(&record(Status::Rebalancing, 1, 4)));
        assert_eq!(state(&known), Some((Status::Rebalancing, 4)));
        // The end of the rebalance is read before the assignment that was written with it.
        assert!(known.take_record(&record(Status::Active, 2, 5)));
        assert!(!known.take_record(&record(Status::Active, 2, 5)));
        assert_eq!(state(&known), Some((Status::Rebalancing, 4)));
        assert!(known.take_assignment(&"a".into(), &assignment(2, &[("other", 6701, 3)])));
        assert_eq!(state(&known), Some((Status::Active, 5)));
        // A server that lags behind.
        assert!(!known.take_record(&record(Status::Inactive, 1, 3)));
        assert_eq!(state(&known), Some((Status::Active, 5)));
        // A Nimbus of before statuses were counted.
        assert!(known.take_record(&record(Status::Inactive, 2, 0)));
        assert_eq!(state(&known), Some((Status::Inactive, 0)));
        let tuned = |version| {
            let tuning = Tuning { version, ..Tuning::default() };
            TopologyRecord { tuning, ..record(Status::Inactive, 2, 6) }
        };
        assert!(known.take_record(&tuned(3)) && !known.take_record(&tuned(2)));
        assert!(!known.take_record(&tuned(0)), "from before it was tuned for the first time");
        assert_eq!(known.topology(&"a".into()).unwrap().tuning.version, 3);
        // A Nimbus of before that.
        assert!(known.take_record(&record(Status::Inactive, 2, 0)));
        assert_eq!(known.topology(&"a".into()).unwrap().tuning.version, 0);
        let mut new = Assignments::new("me".into(), [], 0);
        new.take_record(&record(Status::Active, 2, 1));
        assert_eq!(state(&new), None, "nothing is known of before");
    }

    #[test]
    fn what_is_unknown_keeps_running() {
        let work = run(&known(), 6700, None);
        let nothing = Assignments::new("me".into(), [], 0);
        assert_eq!(nothing.verdict(6700, Some(&work)), Verdict::Keep);
    }

    #[test]
    fn a_slot_goes_to_another_topology_only_when_the_first_has_let_go() {
        let mut known = known();
        let work = run(&known, 6700, None);
        known.take_assignment(&"b".into(), &assignment(1, &[("me", 6700, 1)]));
        assert_eq!(run(&known, 6700, Some(&work)).topology, "a");
        known.take_assignment(&"a".into(), &assignment(2, &[]));
        assert_eq!(run(&known, 6700, Some(&work)).topology, "b");
    }
}
