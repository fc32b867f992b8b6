//! Who runs where: slots, incarnations of workers, and the assignment of a topology.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ComponentId, ExecutorId, SupervisorId, TaskId};

/// A place for one worker: a port of a supervisor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkerSlot {
    /// Whose.
    pub supervisor: SupervisorId,
    /// The port that the worker listens on for its peers.
    pub port: u16,
}

impl fmt::Display for WorkerSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.supervisor, self.port)
    }
}

/// One life of a worker process. A newer one of the same slot and topology is greater.
///
/// The number comes with the assignment and is never used again within a topology; the restarts are
/// counted by the supervisor, which may start a worker again without asking anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation {
    /// Which assignment of this slot.
    pub number: u64,
    /// How often the worker was started again since.
    pub restarts: u64,
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.number, self.restarts)
    }
}

/// Where the executors of a topology run.
///
/// Absent from the cluster's memory means "unknown", never "nothing": see ARCHITECTURE.md.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Grows with every change.
    pub version: u64,
    /// The workers, by slot.
    pub workers: Vec<WorkerAssignment>,
}

/// What one worker runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerAssignment {
    /// Where.
    pub slot: WorkerSlot,
    /// Name or address under which its peers reach it.
    pub host: String,
    /// Its [`Incarnation::number`].
    pub number: u64,
    /// Its executors, by first task.
    pub executors: Vec<AssignedExecutor>,
}

/// An executor and the component whose tasks it runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AssignedExecutor {
    /// The component.
    pub component: ComponentId,
    /// Its tasks.
    pub executor: ExecutorId,
}

impl Assignment {
    /// The worker at a slot.
    pub fn worker(&self, slot: &WorkerSlot) -> Option<&WorkerAssignment> {
        self.workers.iter().find(|worker| worker.slot == *slot)
    }

    /// The worker that runs a task.
    pub fn worker_of(&self, task: TaskId) -> Option<&WorkerAssignment> {
        self.workers.iter().find(|worker| worker.executors.iter().any(|e| e.executor.contains(task)))
    }
}

/// What a topology is meant to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Runs.
    Active,
    /// Runs, its spouts emit nothing.
    Inactive,
    /// Ends: its spouts emit nothing, and it is removed when its wait is over.
    Killed,
    /// Is about to be placed anew: its spouts emit nothing meanwhile.
    Rebalancing,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Status::Active => "ACTIVE",
            Status::Inactive => "INACTIVE",
            Status::Killed => "KILLED",
            Status::Rebalancing => "REBALANCING",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_life_is_greater() {
        let life = |number, restarts| Incarnation { number, restarts };
        assert!(life(2, 0) > life(1, 9) && life(2, 1) > life(2, 0));
    }

    #[test]
    fn a_status_reads_as_in_storm() {
        assert_eq!(serde_json::to_string(&Status::Rebalancing).unwrap(), "\"REBALANCING\"");
        assert_eq!(Status::Killed.to_string(), "KILLED");
    }
}
