//! Lets the spouts of a topology emit, or not.

use storm_rpc::{CallError, v1};

use super::{Answer, Decision, named};
use crate::state::{Change, State};
use crate::transitions::{self, Event};

pub(super) fn decide(
    state: &State,
    request: &v1::TopologyCommand,
    is_active: bool,
) -> Result<Decision, CallError> {
    let topology = named(state, &request.name)?;
    let mut record = topology.record().clone();
    let event = if is_active { Event::Activated } else { Event::Deactivated };
    let step = transitions::step(&record.name, record.status, record.previous_status, None, event)?;
    let mut answer = Answer::of(&record);
    if step.status == record.status {
        answer.notes.push(format!("it is {} already", step.status));
    }
    record.status = step.status;
    let changes =
        if record == *topology.record() { vec![] } else { vec![Change::PutTopology(Box::new(record))] };
    Ok(Decision { changes, answer })
}
