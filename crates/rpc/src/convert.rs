//! Messages from and to the model: the only place that knows both.
//!
//! What comes from the network is checked here; afterwards it is trusted.

use storm_model::{
    AssignedExecutor, Assignment, ComponentId, ExecutorId, Incarnation, Level, LogLevel, Sampling, Status,
    SupervisorId, TaskId, TopologyId, Tuning, WorkerAssignment, WorkerSlot,
};
use thiserror::Error;

use crate::status::{CallError, ErrorCode};
use crate::v1;

/// A message that does not say what it should.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("malformed message: {0}")]
pub struct Malformed(String);

impl From<Malformed> for CallError {
    fn from(malformed: Malformed) -> CallError {
        CallError::new(ErrorCode::Other, malformed.to_string())
    }
}

impl From<Malformed> for tonic::Status {
    fn from(malformed: Malformed) -> tonic::Status {
        CallError::from(malformed).into()
    }
}

/// What has to be there.
///
/// # Errors
/// When it is not; `what` names it.
pub fn present<T>(field: Option<T>, what: &str) -> Result<T, Malformed> {
    field.ok_or_else(|| Malformed(format!("{what} is missing")))
}

/// A port.
///
/// # Errors
/// When the number is none.
pub fn port(number: u32) -> Result<u16, Malformed> {
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    port.ok_or_else(|| Malformed(format!("{number} is not a port")))
}

// === Slots ===

impl From<&WorkerSlot> for v1::Slot {
    fn from(slot: &WorkerSlot) -> v1::Slot {
        v1::Slot { supervisor_id: slot.supervisor.to_string(), port: slot.port.into() }
    }
}

impl TryFrom<v1::Slot> for WorkerSlot {
    type Error = Malformed;

    fn try_from(slot: v1::Slot) -> Result<WorkerSlot, Malformed> {
        let port = port(slot.port)?;
        Ok(WorkerSlot { supervisor: SupervisorId::from(slot.supervisor_id), port })
    }
}

// === Incarnations ===

impl From<Incarnation> for v1::Incarnation {
    fn from(Incarnation { number, restarts }: Incarnation) -> v1::Incarnation {
        v1::Incarnation { number, restarts }
    }
}

impl From<v1::Incarnation> for Incarnation {
    fn from(v1::Incarnation { number, restarts }: v1::Incarnation) -> Incarnation {
        Incarnation { number, restarts }
    }
}

// === Executors ===

impl From<&AssignedExecutor> for v1::Executor {
    fn from(assigned: &AssignedExecutor) -> v1::Executor {
        v1::Executor {
            component: assigned.component.to_string(),
            first_task: assigned.executor.first.0,
            last_task: assigned.executor.last.0,
        }
    }
}

impl TryFrom<v1::Executor> for AssignedExecutor {
    type Error = Malformed;

    fn try_from(executor: v1::Executor) -> Result<AssignedExecutor, Malformed> {
        let v1::Executor { component, first_task, last_task } = executor;
        if first_task == 0 || first_task > last_task {
            return Err(Malformed(format!(
                "an executor of '{component}' has tasks {first_task} to {last_task}"
            )));
        }
        let executor = ExecutorId { first: TaskId(first_task), last: TaskId(last_task) };
        Ok(AssignedExecutor { component: ComponentId::from(component), executor })
    }
}

// === Assignments ===

impl From<&WorkerAssignment> for v1::WorkerAssignment {
    fn from(worker: &WorkerAssignment) -> v1::WorkerAssignment {
        v1::WorkerAssignment {
            slot: Some((&worker.slot).into()),
            host: worker.host.clone(),
            number: worker.number,
            executors: worker.executors.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::WorkerAssignment> for WorkerAssignment {
    type Error = Malformed;

    fn try_from(worker: v1::WorkerAssignment) -> Result<WorkerAssignment, Malformed> {
        Ok(WorkerAssignment {
            slot: present(worker.slot, "the slot of a worker")?.try_into()?,
            host: worker.host,
            number: worker.number,
            executors: worker.executors.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl From<(&TopologyId, &Assignment)> for v1::Assignment {
    fn from((topology, assignment): (&TopologyId, &Assignment)) -> v1::Assignment {
        v1::Assignment {
            topology_id: topology.to_string(),
            version: assignment.version,
            workers: assignment.workers.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Assignment> for (TopologyId, Assignment) {
    type Error = Malformed;

    fn try_from(assignment: v1::Assignment) -> Result<(TopologyId, Assignment), Malformed> {
        let v1::Assignment { topology_id, version, workers } = assignment;
        let workers = workers.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        Ok((TopologyId::from(topology_id), Assignment { version, workers }))
    }
}

// === States ===

impl From<Status> for v1::TopologyState {
    fn from(status: Status) -> v1::TopologyState {
        match status {
            Status::Active => v1::TopologyState::Active,
            Status::Inactive => v1::TopologyState::Inactive,
            Status::Killed => v1::TopologyState::Killed,
            Status::Rebalancing => v1::TopologyState::Rebalancing,
        }
    }
}

impl TryFrom<v1::TopologyState> for Status {
    type Error = Malformed;

    fn try_from(state: v1::TopologyState) -> Result<Status, Malformed> {
        match state {
            v1::TopologyState::Active => Ok(Status::Active),
            v1::TopologyState::Inactive => Ok(Status::Inactive),
            v1::TopologyState::Killed => Ok(Status::Killed),
            v1::TopologyState::Rebalancing => Ok(Status::Rebalancing),
            v1::TopologyState::Unspecified => Err(Malformed("the state of a topology is missing".to_owned())),
        }
    }
}

/// The status behind the number that stands in a message.
///
/// # Errors
/// When the number stands for none.
pub fn status_of(number: i32) -> Result<Status, Malformed> {
    let state = v1::TopologyState::try_from(number);
    state.map_err(|_| Malformed(format!("{number} is no state of a topology")))?.try_into()
}

// === Tuning ===

impl From<&Tuning> for v1::Tuning {
    fn from(tuning: &Tuning) -> v1::Tuning {
        v1::Tuning { version: tuning.version, log_levels: log_levels(tuning), debug: debug_options(tuning) }
    }
}

impl TryFrom<v1::Tuning> for Tuning {
    type Error = Malformed;

    fn try_from(tuning: v1::Tuning) -> Result<Tuning, Malformed> {
        let v1::Tuning { version, log_levels, debug } = tuning;
        let level = |word: &str| word.parse::<Level>().map_err(|error| Malformed(error.to_string()));
        let log_level = |told: v1::LogLevel| {
            let v1::LogLevel { logger, level: word, timeout_secs, until_ms, reset_level } = told;
            let reset = Some(&*reset_level).filter(|word| !word.is_empty()).map(level).transpose()?;
            Ok((logger, LogLevel { level: level(&word)?, timeout_secs, until_ms, reset }))
        };
        let sampling = |told: v1::DebugOption| {
            let v1::DebugOption { component, enable, sampling_percent } = told;
            (ComponentId::from(component), Sampling { is_on: enable, percent: sampling_percent })
        };
        Ok(Tuning {
            version,
            log_levels: log_levels.into_iter().map(log_level).collect::<Result<_, Malformed>>()?,
            sampling: debug.into_iter().map(sampling).collect(),
        })
    }
}

/// The levels of a topology's loggers, as they are told.
pub fn log_levels(tuning: &Tuning) -> Vec<v1::LogLevel> {
    let told = |(logger, level): (&String, &LogLevel)| v1::LogLevel {
        logger: logger.clone(),
        level: level.level.to_string(),
        timeout_secs: level.timeout_secs,
        until_ms: level.until_ms,
        reset_level: level.reset.map(|level| level.to_string()).unwrap_or_default(),
    };
    tuning.log_levels.iter().map(told).collect()
}

/// Which tuples of a topology are sampled, as it is told.
pub fn debug_options(tuning: &Tuning) -> Vec<v1::DebugOption> {
    let told = |(component, sampling): (&ComponentId, &Sampling)| v1::DebugOption {
        component: component.to_string(),
        enable: sampling.is_on,
        sampling_percent: sampling.percent,
    };
    tuning.sampling.iter().map(told).collect()
}

/// Name of a worker's state, for people and JSON.
pub fn worker_state_name(number: i32) -> &'static str {
    match v1::WorkerState::try_from(number).unwrap_or(v1::WorkerState::Unspecified) {
        v1::WorkerState::Unspecified => "UNKNOWN",
        v1::WorkerState::Localizing => "LOCALIZING",
        v1::WorkerState::Starting => "STARTING",
        v1::WorkerState::Prepared => "PREPARED",
        v1::WorkerState::Running => "RUNNING",
        v1::WorkerState::Stopping => "STOPPING",
        v1::WorkerState::BackingOff => "BACKING_OFF",
        v1::WorkerState::Silent => "SILENT",
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    fn assignment() -> Assignment {
        let executor = ExecutorId { first: TaskId(3), last: TaskId(4) };
        let executors = vec![AssignedExecutor { component: "count".into(), executor }];
        let slot = WorkerSlot { supervisor: "s1".into(), port: 6700 };
        Assignment {
            version: 7,
            workers: vec![WorkerAssignment { slot, host: "h".into(), number: 2, executors }],
        }
    }

    #[test]
    fn an_assignment_survives_the_wire() {
        let id = TopologyId::from("words-1-1764000000");
        let message = v1::Assignment::from((&id, &assignment()));
        assert_eq!(message.clone().try_into(), Ok::<_, Malformed>((id, assignment())));

        let mut bad = message.clone();
        bad.workers[0].slot = None;
        let error = <(TopologyId, Assignment)>::try_from(bad).unwrap_err();
        assert_eq!(error.to_string(), "malformed message: the slot of a worker is missing");

        let mut bad = message;
        bad.workers[0].executors[0].first_task = 5;
        let error = <(TopologyId, Assignment)>::try_from(bad).unwrap_err();
        assert_eq!(error.to_string(), "malformed message: an executor of 'count' has tasks 5 to 4");
    }

    #[test]
    fn a_tuning_survives_the_wire() {
        let level = |level, reset| LogLevel { level, timeout_secs: 30, until_ms: 7, reset };
        let levels = [("ROOT", level(Level::Debug, None)), ("a::b", level(Level::Off, Some(Level::Info)))];
        let sampling = Sampling { is_on: true, percent: 12.5 };
        let tuning = Tuning {
            version: 3,
            log_levels: levels.map(|(logger, level)| (logger.to_owned(), level)).into(),
            sampling: [("".into(), sampling), ("count".into(), Sampling { is_on: false, ..sampling })].into(),
        };
        assert_eq!(v1::Tuning::from(&tuning).try_into(), Ok::<_, Malformed>(tuning.clone()));
        let mut bad = v1::Tuning::from(&tuning);
        bad.log_levels[0].level = "LOUD".to_owned();
        let error = Tuning::try_from(bad).unwrap_err().to_string();
        assert!(error.starts_with("malformed message: 'LOUD' is no level"), "{error}");
    }

    #[test]
    fn ports_and_states_are_checked() {
        assert_eq!(port(6700), Ok(6700));
        assert!(port(0).is_err() && port(65_536).is_err());
        for status in [Status::Active, Status::Inactive, Status::Killed, Status::Rebalancing] {
            assert_eq!(status_of(v1::TopologyState::from(status) as i32), Ok(status));
        }
        assert!(status_of(0).is_err() && status_of(99).is_err());
    }

    /// An assignment as it may come; most are right.
    fn message() -> impl Strategy<Value = v1::Assignment> {
        let executor = (any::<String>(), 0..5_u32, prop_oneof![9 => 3..9_u32, 1 => any::<u32>()])
            .prop_map(|(component, first_task, last_task)| v1::Executor { component, first_task, last_task });
        let port = prop_oneof![9 => 1..=65_535_u32, 1 => any::<u32>()];
        let slot = (any::<String>(), port).prop_map(|(supervisor_id, port)| v1::Slot { supervisor_id, port });
        let slot = option::weighted(0.95, slot);
        let worker = (slot, any::<String>(), any::<u64>(), vec(executor, 0..3)).prop_map(
            |(slot, host, number, executors)| v1::WorkerAssignment { slot, host, number, executors },
        );
        (any::<String>(), any::<u64>(), vec(worker, 0..3))
            .prop_map(|(topology_id, version, workers)| v1::Assignment { topology_id, version, workers })
    }

    proptest! {
        #[test]
        fn any_assignment_is_refused_or_sent_as_it_came(message in message()) {
            if let Ok((topology, taken)) = <(TopologyId, Assignment)>::try_from(message.clone()) {
                prop_assert_eq!(v1::Assignment::from((&topology, &taken)), message);
            }
        }

        #[test]
        fn no_bytes_make_a_conversion_panic(
            message in message(),
            changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            noise in vec(any::<u8>(), 0..100),
        ) {
            let mut bytes = message.encode_to_vec();
            for (at, byte) in changes {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            for bytes in [bytes, noise] {
                v1::Assignment::decode(&bytes[..]).map(<(TopologyId, Assignment)>::try_from).ok();
                v1::WorkerAssignment::decode(&bytes[..]).map(WorkerAssignment::try_from).ok();
                v1::Executor::decode(&bytes[..]).map(AssignedExecutor::try_from).ok();
                v1::Slot::decode(&bytes[..]).map(WorkerSlot::try_from).ok();
            }
        }

        #[test]
        fn any_number_is_a_state_or_none(number: i32) {
            worker_state_name(number);
            if let Ok(status) = status_of(number) {
                prop_assert_eq!(v1::TopologyState::from(status) as i32, number);
            }
        }
    }
}
