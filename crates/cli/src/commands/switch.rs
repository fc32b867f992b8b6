//! `activate` and `deactivate`: whether the spouts of a topology emit.

use storm_model::Status;
use storm_rpc::nimbus_client::command_id;
use storm_rpc::{CallError, v1};

use super::wait;
use crate::args::Switch;
use crate::context::Context;

pub(super) async fn run(context: &Context, args: &Switch, is_on: bool) -> Result<(), CallError> {
    let nimbuses = context.nimbuses()?;
    let request = v1::TopologyCommand { command_id: command_id(), name: args.name.clone() };
    let reply =
        if is_on { nimbuses.activate(&request).await? } else { nimbuses.deactivate(&request).await? };
    if args.wait.wait {
        let wanted = if is_on { Status::Active } else { Status::Inactive };
        wait::settled(&nimbuses, args.wait, context.is_json, &reply.topology_id, wanted).await?;
    }
    let what = if is_on { "is activated" } else { "is deactivated" };
    super::accepted(context, reply, &format!("{} {what}", args.name));
    Ok(())
}
