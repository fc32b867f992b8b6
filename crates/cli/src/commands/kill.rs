//! `kill`: ends a topology.

use storm_rpc::nimbus_client::command_id;
use storm_rpc::{CallError, ErrorCode, v1};

use super::wait::{self, Seen};
use crate::args::Kill;
use crate::context::Context;

pub(super) async fn run(context: &Context, args: &Kill) -> Result<(), CallError> {
    let nimbuses = context.nimbuses()?;
    let request =
        v1::KillRequest { command_id: command_id(), name: args.name.clone(), wait_secs: args.wait_secs };
    let reply = nimbuses.kill(&request).await?;
    if !args.wait.wait {
        super::accepted(context, reply, &format!("{} ends", args.name));
        return Ok(());
    }
    let id = &reply.topology_id;
    wait::until(args.wait, context.is_json, &format!("{id} is gone"), async || {
        match nimbuses.get_topology(id).await {
            Ok(topology) => Ok(wait::not_yet(&topology)),
            Err(error) if error.code == ErrorCode::NoSuchTopology => Ok(Seen::Done(())),
            Err(error) => Err(error),
        }
    })
    .await?;
    super::accepted(context, reply, &format!("{} is gone", args.name));
    Ok(())
}
