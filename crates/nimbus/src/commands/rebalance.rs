//! Places a topology anew: over the cluster as it is now, on more or fewer workers, with other numbers
//! of executors. Its spouts stop, and it moves when nothing is on its way, or the wait is over.

use std::collections::BTreeMap;

use storm_cluster::PendingKind;
use storm_model::ComponentId;
use storm_rpc::{CallError, v1};

use super::{Answer, Context, Decision, named, pending, wait_secs};
use crate::state::{Change, State, Topology};
use crate::transitions::{self, Effect, Event};
use crate::{assign, plan};

pub(super) fn decide(
    state: &State,
    context: &Context<'_>,
    request: &v1::RebalanceRequest,
) -> Result<Decision, CallError> {
    let topology = if request.name.is_empty() { the_only_one(state)? } else { named(state, &request.name)? };
    let mut record = topology.record().clone();
    let executors = executors(topology, &request.executors)?;
    let wait_secs = wait_secs(&record, request.wait_secs);
    let event = Event::Rebalanced { wait_secs };
    let step = transitions::step(&record.name, record.status, record.previous_status, None, event)?;
    let mut answer = Answer::of(&record);
    // 0 keeps the number, as in Storm.
    let workers = request.workers.filter(|workers| *workers > 0);
    let before = record.status;
    record.status = step.status;
    record.previous_status = step.previous;
    if let Effect::Wait { wait_secs } = step.effect {
        let kind = PendingKind::Rebalance { workers, executors };
        record.pending = Some(pending(context, kind, wait_secs, &request.command_id));
    }
    let after = plan::rebalanced(&record, before);
    if let Some(most) = context.limits.workers.filter(|most| after.workers > *most) {
        return Err(CallError::invalid(format!(
            "{} workers are more than nimbus.slots.perTopology allows, which is {most}",
            after.workers
        )));
    }
    assign::check_fits(&assign::wanted(&after.spec, &after.executors), after.workers)?;
    let (moves, explanation) = state.moves(&after);
    if moves.is_empty() {
        answer.notes.push("it is placed like that already: no executor moves".to_owned());
    }
    // That all of it is placed needs no words; why something is not, does.
    if let Some((placed, why)) = explanation.split_once(": ") {
        answer.notes.push(format!("as the cluster is now, {placed}: {why}"));
    }
    answer.moves = moves.into_iter().map(Into::into).collect();
    let changes = if request.dry_run { vec![] } else { vec![Change::PutTopology(Box::new(record))] };
    Ok(Decision { changes, answer })
}

fn the_only_one(state: &State) -> Result<&Topology, CallError> {
    let mut all = state.topologies.values();
    match (all.next(), all.next()) {
        (Some(topology), None) => Ok(topology),
        (None, _) => Err(CallError::usage("there is no topology to rebalance")),
        (Some(_), Some(_)) => {
            let names: Vec<&str> = state.topologies.values().map(|t| t.record().name.as_str()).collect();
            Err(CallError::usage(format!("which topology? there are: {}", names.join(", "))))
        }
    }
}

/// The numbers of executors that were asked for, checked.
fn executors(
    topology: &Topology,
    asked: &std::collections::HashMap<String, u32>,
) -> Result<BTreeMap<ComponentId, u32>, CallError> {
    let record = topology.record();
    let mut asked: Vec<_> = asked.iter().collect();
    asked.sort();
    let mut executors = BTreeMap::new();
    for (component, number) in asked {
        let Some(spec) = record.spec.components.get(component.as_str()) else {
            let known: Vec<&str> = record.spec.components.keys().map(ComponentId::as_str).collect();
            return Err(CallError::invalid(format!(
                "there is no component '{component}' in topology '{}'; there are: {}",
                record.name,
                known.join(", ")
            )));
        };
        if *number == 0 {
            return Err(CallError::invalid(format!(
                "component '{component}': the number of executors must be greater than 0"
            )));
        }
        if *number > spec.tasks {
            return Err(CallError::invalid(format!(
                "component '{component}': {number} executors but only {} tasks, and the number of tasks stays for the \
                 topology's life",
                spec.tasks
            ))
            .advise(format!("ask for {} at most, or submit it again with more tasks (num_tasks)", spec.tasks)));
        }
        executors.insert(ComponentId::from(component.as_str()), *number);
    }
    Ok(executors)
}
