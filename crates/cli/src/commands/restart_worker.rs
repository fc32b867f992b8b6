//! `restart-worker`: ends a worker in good order and starts it again.

use storm_rpc::nimbus_client::command_id;
use storm_rpc::{CallError, Nimbuses, v1};

use super::wait::{self, Seen};
use crate::args::RestartWorker;
use crate::context::Context;

pub(super) async fn run(context: &Context, args: &RestartWorker) -> Result<(), CallError> {
    let nimbuses = context.nimbuses()?;
    let (host, port) = &args.place;
    let before = if args.wait.wait { find(&nimbuses, host, *port).await? } else { None };
    let request =
        v1::RestartWorkerRequest { command_id: command_id(), host: host.clone(), port: (*port).into() };
    let reply = nimbuses.restart_worker(&request).await?;
    if let Some(before) = before {
        let id = &reply.topology_id;
        let what = format!("the worker at {host}:{port} runs again");
        wait::until(args.wait, context.is_json, &what, async || {
            let topology = nimbuses.get_topology(id).await?;
            let now = worker(&topology, host, *port);
            let is_new = now.is_some_and(|now| {
                (now.number, now.restarts) > (before.number, before.restarts)
                    && now.state() == v1::WorkerState::Running
            });
            Ok(if is_new { Seen::Done(()) } else { wait::not_yet(&topology) })
        })
        .await?;
        super::accepted(context, reply, &format!("the worker at {host}:{port} runs again"));
        return Ok(());
    }
    super::accepted(context, reply, &format!("the worker at {host}:{port} is started again"));
    Ok(())
}

/// The worker at a place, of whatever topology.
async fn find(nimbuses: &Nimbuses, host: &str, port: u16) -> Result<Option<v1::WorkerStatus>, CallError> {
    for topology in nimbuses.list_topologies().await?.topologies {
        let topology = nimbuses.get_topology(&topology.id).await?;
        if let Some(worker) = worker(&topology, host, port) {
            return Ok(Some(worker.clone()));
        }
    }
    Ok(None)
}

fn worker<'a>(topology: &'a v1::TopologyStatus, host: &str, port: u16) -> Option<&'a v1::WorkerStatus> {
    topology.workers.iter().find(|worker| worker.host == host && worker.port == u32::from(port))
}
