//! `debug`: which tuples of a topology are written down.

use storm_rpc::nimbus_client::command_id;
use storm_rpc::{CallError, v1};

use crate::args::Debug;
use crate::context::Context;
use crate::output;

pub(super) async fn run(context: &Context, args: &Debug) -> Result<(), CallError> {
    let nimbuses = context.nimbuses()?;
    if args.enable.is_none() && !args.disable {
        let status = nimbuses.get_topology(&args.name).await?;
        let wanted = |option: &&v1::DebugOption| match &args.component {
            Some(component) => option.component == *component || option.component.is_empty(),
            None => true,
        };
        let options: Vec<v1::DebugOption> = status.debug.iter().filter(wanted).cloned().collect();
        if context.is_json {
            output::json(&output::json::DebugOptions::from(&options[..]));
        } else {
            output::line(&output::people::debug_options(&options));
        }
        return Ok(());
    }
    let component = args.component.clone().unwrap_or_default();
    let request = v1::DebugRequest {
        command_id: command_id(),
        name: args.name.clone(),
        component,
        enable: args.enable.is_some(),
        sampling_percent: args.enable.unwrap_or_default(),
    };
    let reply = nimbuses.set_debug(&request).await?;
    let whose = match &args.component {
        Some(component) => format!("'{component}' of {}", args.name),
        None => args.name.clone(),
    };
    let what = match args.enable {
        Some(percent) => format!("{percent} % of the tuples of {whose} go to events.log"),
        None => format!("no tuples of {whose} go to events.log any more"),
    };
    super::accepted(context, reply, &what);
    Ok(())
}
