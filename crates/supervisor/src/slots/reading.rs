//! What the slots take from ZooKeeper. What is absent there or cannot be read says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storm_cluster::{
    AssignmentRecord, Children, Cluster, ClusterIdRecord, Snapshot, TombstoneRecord, TopologyRecord,
    Versioned, Watch,
};
use storm_model::TopologyId;

use super::{Slots, entries, on_disk};
use crate::assignments::Verdict;
use crate::local_state;
use crate::slot::{Event, Slot, Work};

/// What is followed there.
pub(super) struct Watches {
    cluster_id: Watch<Versioned<ClusterIdRecord>>,
    topologies: Watch<Children<TopologyId, TopologyRecord>>,
    assignments: Watch<Children<TopologyId, AssignmentRecord>>,
    tombstones: Watch<Children<TopologyId, TombstoneRecord>>,
}

impl Watches {
    pub(super) fn new(cluster: &Cluster) -> Watches {
        Watches {
            cluster_id: cluster.watch_cluster_id(),
            topologies: cluster.watch_topologies(),
            assignments: cluster.watch_assignments(),
            tombstones: cluster.watch_tombstones(),
        }
    }

    fn are_known(&self) -> bool {
        let Watches { cluster_id, topologies, assignments, tombstones } = self;
        !cluster_id.current().is_unknown()
            && !topologies.current().is_unknown()
            && !assignments.current().is_unknown()
            && !tombstones.current().is_unknown()
    }

    pub(super) async fn changed(&mut self) {
        let closed = tokio::select! {
            changed = self.cluster_id.changed() => changed.is_err(),
            changed = self.topologies.changed() => changed.is_err(),
            changed = self.assignments.changed() => changed.is_err(),
            changed = self.tombstones.changed() => changed.is_err(),
        };
        if closed {
            std::future::pending().await
        }
    }
}

impl Slots {
    /// Takes in what is there now. What is absent or cannot be read says nothing.
    pub(super) async fn read(&mut self, watches: &Watches) {
        if let Err(problem) = self.check_cluster_id(&watches.cluster_id.current()) {
            self.is_our_cluster = false;
            if problem != self.problem {
                // At the start nothing was read yet.
                if self.is_up || !matches!(watches.cluster_id.current(), Snapshot::Unknown { .. }) {
                    tracing::warn!(problem, "what runs here is left as it is");
                }
                self.problem = problem;
            }
            return;
        }
        if !std::mem::replace(&mut self.is_our_cluster, true) && !self.problem.is_empty() && self.is_up {
            tracing::info!("ZooKeeper can be read again");
        }
        self.problem.clear();
        // The first judgement is made when all is known.
        if !self.is_up && !watches.are_known() {
            return;
        }
        self.is_up = true;
        let mut changed = BTreeSet::new();
        if let Snapshot::Present(tombstones) = watches.tombstones.current() {
            for id in tombstones.iter().filter(|(_, node)| node.is_ok()).map(|(id, _)| id) {
                if self.assignments.take_tombstone(id) {
                    changed.insert(id.clone());
                }
            }
        }
        if let Snapshot::Present(topologies) = watches.topologies.current() {
            for (id, node) in topologies.iter() {
                match node {
                    Ok(record) if record.value.id == *id && local_state::is_file_name(id.as_str()) => {
                        if self.assignments.take_record(&record.value) {
                            changed.insert(id.clone());
                        }
                    }
                    Ok(_) => tracing::warn!(topology = %id, "the record of a topology has another name"),
                    Err(error) => tracing::warn!(topology = %id, %error, "cannot read a topology"),
                }
            }
            self.note_strays(&topologies);
        }
        if let Snapshot::Present(assignments) = watches.assignments.current() {
            for (id, node) in assignments.iter() {
                match node {
                    Ok(record) => {
                        if self.assignments.take_assignment(id, &record.value.assignment) {
                            changed.insert(id.clone());
                        }
                    }
                    Err(error) => tracing::warn!(topology = %id, %error, "cannot read an assignment"),
                }
            }
        }
        if changed.is_empty() {
            return;
        }
        for id in &changed {
            self.keep_topology(id).await;
        }
        self.judge_all().await;
        for id in &changed {
            self.bury(id);
        }
        self.tell_lines(&changed);
    }

    /// Whether this is the cluster that this supervisor works for; why not, in words.
    fn check_cluster_id(&mut self, read: &Snapshot<Versioned<ClusterIdRecord>>) -> Result<(), String> {
        let found = match read {
            Snapshot::Present(record) => &record.value.id,
            Snapshot::Absent => return Err("there is no cluster id in ZooKeeper".to_owned()),
            Snapshot::Unknown { .. } => return Err("ZooKeeper cannot be read".to_owned()),
        };
        match &self.cluster_id {
            Some(ours) if ours == found => return Ok(()),
            Some(ours)
                if self.slots.values().any(|slot| slot.wanted().is_some() || slot.tenant().is_some()) =>
            {
                return Err(format!(
                    "ZooKeeper holds cluster '{found}', and the workers here belong to cluster '{ours}': \
                     stop them, or point 'storm.zookeeper.servers' to the right one"
                ));
            }
            _ => {}
        }
        if let Err(error) = self.parts.state.set_cluster_id(found) {
            return Err(format!("cannot remember the cluster: {error}"));
        }
        self.cluster_id = Some(found.clone());
        Ok(())
    }

    /// Notes what runs here and is absent there: it is left running.
    fn note_strays<R>(&mut self, known: &BTreeMap<TopologyId, R>) {
        let works = self.slots.iter().filter_map(|(port, slot)| Some((*port, &slot.wanted()?.topology)));
        let strays: BTreeSet<(u16, TopologyId)> = works
            .filter(|(_, id)| !known.contains_key(*id) && !self.assignments.is_removed(id))
            .map(|(port, id)| (port, id.clone()))
            .collect();
        self.strays.note(self.now(), strays);
    }

    /// Tells people of topologies that stay absent.
    pub(super) fn tell_strays(&mut self) {
        let now = self.now();
        let Slots { strays, slots, assignments, .. } = self;
        let due = strays.due(now, |(port, id)| {
            let wanted = slots.get(port).and_then(Slot::wanted);
            wanted.is_some_and(|work| work.topology == *id) && !assignments.is_removed(id)
        });
        for (port, topology) in due {
            tracing::warn!(port, %topology, "a topology is absent from the cluster; it is left running");
        }
    }

    /// Keeps what it takes to start a worker without ZooKeeper.
    async fn keep_topology(&self, id: &TopologyId) {
        let is_used = self.uses(id) || self.assignments.concerns_me(id);
        let Some(topology) = self.assignments.topology(id).filter(|_| is_used).cloned() else { return };
        let state = Arc::clone(&self.parts.state);
        let kept = on_disk(move || state.save_topology(&topology)).await;
        if let Err(error) = kept {
            tracing::error!(topology = %id, %error, "cannot keep a topology; without ZooKeeper it cannot be started");
        }
    }

    fn uses(&self, id: &TopologyId) -> bool {
        let is_it = |work: &Work| work.topology == *id;
        self.slots.values().any(|slot| {
            slot.wanted().is_some_and(is_it) || slot.tenant().is_some_and(|tenant| is_it(&tenant.work))
        })
    }

    pub(super) async fn judge_all(&mut self) {
        for port in self.ports() {
            let current = self.slots[&port].wanted();
            match self.assignments.verdict(port, current) {
                Verdict::Run(work) => self.step(port, Event::Assigned(work)).await,
                Verdict::Withdraw => self.step(port, Event::Withdrawn).await,
                Verdict::Keep => {}
            }
        }
    }

    /// Removes what is left of a topology with a tombstone, once nothing of it runs. Its logs stay.
    pub(super) fn bury(&mut self, id: &TopologyId) {
        if !self.assignments.is_removed(id) || self.uses(id) || !self.is_our_cluster {
            return;
        }
        self.assignments.forget(id);
        self.parts.state.remove_topology(id);
        self.parts.figures.forget(id);
        // Ports that are not configured any more count as well.
        let is_its = |directory: &Path| {
            let name = directory.file_name().and_then(|name| name.to_str());
            name.and_then(|name| name.rsplit_once('-'))
                .is_some_and(|(of, port)| *id == *of && port.parse::<u16>().is_ok())
        };
        let directories: Vec<PathBuf> =
            entries(&self.workers_dir()).filter(|directory| is_its(directory)).collect();
        if directories.is_empty() {
            return;
        }
        self.tasks.spawn_blocking(move || {
            for directory in directories {
                if let Err(error) = std::fs::remove_dir_all(&directory) {
                    tracing::warn!(path = %directory.display(), %error, "cannot remove a worker's directory");
                }
            }
        });
    }

    fn tell_lines(&mut self, changed: &BTreeSet<TopologyId>) {
        let assignments = &self.assignments;
        self.lines.retain(|_, line| {
            let topology = assignments.topology(&line.life.topology).filter(|t| changed.contains(&t.id));
            topology.is_none_or(|topology| line.tell(topology))
        });
        // What is to be asked of them now stands in the reply.
        self.parts.outbox.hurry();
    }
}
