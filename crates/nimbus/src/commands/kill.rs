//! Ends a topology: its spouts stop, and it is removed when nothing is on its way, or the wait is over.

use storm_cluster::PendingKind;
use storm_model::Status;
use storm_rpc::{CallError, v1};

use super::{Answer, Context, Decision, named, pending, wait_secs};
use crate::state::{Change, State};
use crate::transitions::{self, Effect, Event};

pub(super) fn decide(
    state: &State,
    context: &Context<'_>,
    request: &v1::KillRequest,
) -> Result<Decision, CallError> {
    let topology = named(state, &request.name)?;
    let mut record = topology.record().clone();
    let wait_secs = wait_secs(&record, request.wait_secs);
    let remaining = topology.wait.map(|wait| wait.remaining(context.now));
    let event = Event::Killed { wait_secs };
    let step = transitions::step(&record.name, record.status, record.previous_status, remaining, event)?;
    let mut answer = Answer::of(&record);
    match (record.status, step.effect) {
        (Status::Killed, Effect::Wait { .. }) => {
            answer.notes.push(format!("it was being killed already: now within {wait_secs} s"));
        }
        (Status::Killed, _) => answer.notes.push("it is being killed already, and sooner".to_owned()),
        (Status::Rebalancing, _) => answer.notes.push("its rebalance is off".to_owned()),
        _ => {}
    }
    record.status = step.status;
    record.previous_status = step.previous;
    if let Effect::Wait { wait_secs } = step.effect {
        record.pending = Some(pending(context, PendingKind::Kill, wait_secs, &request.command_id));
    }
    let changes =
        if record == *topology.record() { vec![] } else { vec![Change::PutTopology(Box::new(record))] };
    Ok(Decision { changes, answer })
}
