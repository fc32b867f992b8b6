//! `logs`: what the workers of a topology wrote.

use std::collections::HashSet;

use serde_json::json;
use storm_rpc::{CallError, v1};
use tokio_stream::StreamExt as _;

use crate::args::Logs;
use crate::context::Context;
use crate::output;

pub(super) async fn run(context: &Context, args: &Logs) -> Result<(), CallError> {
    let nimbuses = context.nimbuses()?;
    let topology = nimbuses.get_topology(&args.name).await?;
    if let Some(component) = &args.component {
        let is_there = |id: &str| topology.components.iter().any(|component| component.id == id);
        if !topology.components.is_empty() && !is_there(component) {
            let known: Vec<_> = topology.components.iter().map(|component| component.id.as_str()).collect();
            return Err(CallError::other(format!("'{}' has no component '{component}'", args.name))
                .advise(format!("there are: {}", known.join(", "))));
        }
    }
    let request = v1::LogRequest {
        topology: args.name.clone(),
        follow: args.follow,
        grep: args.grep.clone().unwrap_or_default(),
        component: args.component.clone().unwrap_or_default(),
        tail: args.tail,
        ..Default::default()
    };
    let mut stream = nimbuses.read_log(&request).await?;
    let places: HashSet<_> = topology.workers.iter().map(|worker| (&worker.host, worker.port)).collect();
    // One worker's lines speak for themselves.
    let is_named = places.len() > 1 || args.follow;
    while let Some(lines) = stream.next().await {
        let lines = lines?;
        for line in &lines.lines {
            if context.is_json {
                output::json_line(&json!({"host": lines.host, "port": lines.port, "line": line}));
            } else if is_named {
                output::line(&format!("{}:{} {line}", lines.host, lines.port));
            } else {
                output::line(line);
            }
        }
    }
    Ok(())
}
