//! `rebalance`: places a topology anew.

use std::collections::HashMap;

use storm_model::Status;
use storm_rpc::nimbus_client::command_id;
use storm_rpc::{CallError, Nimbuses, v1};

use super::wait::{self, Seen};
use crate::args::Rebalance;
use crate::context::Context;
use crate::output;

pub(super) async fn run(context: &Context, args: &Rebalance) -> Result<(), CallError> {
    let nimbuses = context.nimbuses()?;
    let mut executors = HashMap::new();
    for (component, count) in &args.executors {
        if executors.insert(component.clone(), *count).is_some() {
            return Err(CallError::usage(format!("-e names the component '{component}' twice")));
        }
    }
    let request = v1::RebalanceRequest {
        command_id: command_id(),
        name: args.name.clone().unwrap_or_default(),
        wait_secs: args.wait_secs,
        workers: args.workers,
        executors,
        dry_run: args.dry_run,
    };
    let reply = nimbuses.rebalance(&request).await?;
    let mut moved = None;
    if args.wait.wait && !args.dry_run {
        moved = Some(wait_until_placed(context, &nimbuses, args, &reply.topology_id).await?);
    }
    print(context, args, &reply, moved);
    Ok(())
}

/// Gives the number of tuples that failed because of it.
async fn wait_until_placed(
    context: &Context,
    nimbuses: &Nimbuses,
    args: &Rebalance,
    id: &str,
) -> Result<u64, CallError> {
    let what = format!("{id} is placed anew and settled");
    wait::until(args.wait, context.is_json, &what, async || {
        let topology = nimbuses.get_topology(id).await?;
        let is_placed =
            wait::status_of(&topology)? != Status::Rebalancing && topology.pending_action.is_none();
        if is_placed && topology.is_settled {
            return Ok(Seen::Done(topology.moved));
        }
        Ok(wait::not_yet(&topology))
    })
    .await
}

fn print(context: &Context, args: &Rebalance, reply: &v1::RebalanceReply, moved: Option<u64>) {
    if context.is_json {
        output::json(&output::json::Rebalance {
            id: reply.topology_id.clone(),
            name: reply.name.clone(),
            notes: reply.notes.clone(),
            moves: reply.moves.iter().map(Into::into).collect(),
            moved,
        });
        return;
    }
    let name = &reply.name;
    output::line(&match (args.dry_run, moved) {
        (true, _) if reply.moves.is_empty() => format!("nothing of {name} would move"),
        (true, _) => format!("of {name} would move:"),
        (false, None) => format!("{name} is being placed anew"),
        (false, Some(0)) => format!("{name} is placed anew; no tuple failed because of it"),
        (false, Some(moved)) => format!("{name} is placed anew; {moved} tuples failed because of it"),
    });
    if !reply.moves.is_empty() {
        output::line(&output::people::moves(&reply.moves));
    }
    reply.notes.iter().for_each(|note| output::note(note));
}
