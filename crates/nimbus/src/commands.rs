//! What people ask of a leader. Each command is a function of what the leader knows: it refuses, in
//! words, or says what is to be written and answered.
//!
//! Every command that changes something carries an id made by who gives it. Its answer is written in
//! the same transaction as its effect, so that a repetition gets the first answer and has no effect.

pub(crate) mod needs;
mod activate;
mod kill;
mod rebalance;
mod submit;
pub(crate) mod tune;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use storm_cluster::{CommandRecord, PendingAction, PendingKind, TopologyRecord};
use storm_config::Config;
use storm_model::Time;
use storm_rpc::{CallError, v1};

pub(crate) use submit::Limits;

use crate::state::{Change, State, Topology};

/// The longest id of a command: those that storm-rs makes have 32 characters.
const ID_BYTES: usize = 128;

/// A command.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Submit(Box<v1::SubmitRequest>),
    Kill(v1::KillRequest),
    Activate(v1::TopologyCommand),
    Deactivate(v1::TopologyCommand),
    Rebalance(v1::RebalanceRequest),
    SetLogLevels(v1::LogLevelsRequest),
    SetDebug(v1::DebugRequest),
}

/// What every command may need.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) wall_ms: u64,
    /// How many topologies were submitted to this process.
    pub(crate) submits: u64,
    pub(crate) config: &'a Config,
    pub(crate) limits: Limits,
}

/// What a command leads to.
#[derive(Debug)]
pub(crate) struct Decision {
    /// What is to be written, with the answer.
    pub(crate) changes: Vec<Change>,
    pub(crate) answer: Answer,
}

/// What a command is answered. Its JSON is kept in ZooKeeper.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Answer {
    pub(crate) topology_id: String,
    pub(crate) name: String,
    pub(crate) notes: Vec<String>,
    pub(crate) moves: Vec<KeptMove>,
}

/// A move as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct KeptMove {
    component: String,
    first_task: u32,
    last_task: u32,
    from: String,
    to: String,
}

impl Command {
    /// Its id.
    pub(crate) fn id(&self) -> &str {
        match self {
            Command::Submit(request) => &request.command_id,
            Command::Kill(request) => &request.command_id,
            Command::Activate(request) | Command::Deactivate(request) => &request.command_id,
            Command::Rebalance(request) => &request.command_id,
            Command::SetLogLevels(request) => &request.command_id,
            Command::SetDebug(request) => &request.command_id,
        }
    }

    /// Refuses an id that cannot be kept.
    pub(crate) fn check_id(id: &str) -> Result<(), CallError> {
        if id.is_empty() {
            return Err(CallError::usage("the command has no id: whoever gives it has to make one"));
        }
        if id.len() > ID_BYTES || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(CallError::usage(format!(
                "the id of a command has {ID_BYTES} printable ASCII characters at most, and no blanks"
            )));
        }
        Ok(())
    }

    /// Decides what it leads to.
    pub(crate) fn decide(&self, state: &State, context: &Context<'_>) -> Result<Decision, CallError> {
        let is_dry = matches!(self, Command::Rebalance(request) if request.dry_run);
        if let Some(reason) = state.frozen.as_ref().filter(|_| !is_dry) {
            return Err(CallError::other(format!("nothing can be changed now: {reason}")));
        }
        let mut decision = match self {
            Command::Submit(request) => submit::decide(state, context, request)?,
            Command::Kill(request) => kill::decide(state, context, request)?,
            Command::Activate(request) => activate::decide(state, request, true)?,
            Command::Deactivate(request) => activate::decide(state, request, false)?,
            Command::Rebalance(request) => rebalance::decide(state, context, request)?,
            Command::SetLogLevels(request) => tune::log_levels(state, context, request)?,
            Command::SetDebug(request) => tune::debug(state, request)?,
        };
        if !is_dry {
            decision.changes.push(Change::PutCommand(CommandRecord {
                id: self.id().to_owned(),
                answer: decision.answer.to_json(),
                done_ms: context.wall_ms,
            }));
        }
        Ok(decision)
    }
}

impl Answer {
    pub(crate) fn of(topology: &TopologyRecord) -> Answer {
        Answer { topology_id: topology.id.to_string(), name: topology.name.clone(), ..Answer::default() }
    }

    pub(crate) fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("plain data with text keys")
    }

    /// The answer that was kept.
    pub(crate) fn from_json(value: &Value) -> Answer {
        serde_json::from_value(value.clone()).unwrap_or_default()
    }

    pub(crate) fn into_command(self) -> v1::CommandReply {
        v1::CommandReply { topology_id: self.topology_id, notes: self.notes }
    }

    pub(crate) fn into_rebalance(self) -> v1::RebalanceReply {
        let to_move = |kept: KeptMove| v1::rebalance_reply::Move {
            executor: Some(v1::Executor {
                component: kept.component,
                first_task: kept.first_task,
                last_task: kept.last_task,
            }),
            from: kept.from,
            to: kept.to,
        };
        v1::RebalanceReply {
            topology_id: self.topology_id,
            name: self.name,
            notes: self.notes,
            moves: self.moves.into_iter().map(to_move).collect(),
        }
    }
}

impl From<v1::rebalance_reply::Move> for KeptMove {
    fn from(moved: v1::rebalance_reply::Move) -> KeptMove {
        let executor = moved.executor.unwrap_or_default();
        let v1::Executor { component, first_task, last_task } = executor;
        KeptMove { component, first_task, last_task, from: moved.from, to: moved.to }
    }
}

/// The topology that a command names.
fn named<'a>(state: &'a State, name: &str) -> Result<&'a Topology, CallError> {
    state.find(name).ok_or_else(|| CallError::no_such_topology(name))
}

/// The wait that was asked for, or else the topology's own time-out for tuples.
fn wait_secs(topology: &TopologyRecord, asked: Option<u32>) -> u64 {
    let own = || topology.config.get("topology.message.timeout.secs").and_then(Value::as_u64);
    asked.map(u64::from).or_else(own).unwrap_or(30)
}

/// An action that begins to wait now.
fn pending(context: &Context<'_>, kind: PendingKind, wait_secs: u64, command: &str) -> PendingAction {
    let command = command.to_owned();
    PendingAction { kind, started_ms: context.wall_ms, wait_secs, elapsed_ms: 0, command }
}

#[cfg(test)]
mod tests;
