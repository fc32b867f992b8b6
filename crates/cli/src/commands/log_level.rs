//! `log-level`: what the loggers of a topology's workers tell.

use storm_rpc::nimbus_client::command_id;
use storm_rpc::{CallError, v1};

use super::wait::now_ms;
use crate::args::LogLevel;
use crate::context::Context;
use crate::output;

pub(super) async fn run(context: &Context, args: &LogLevel) -> Result<(), CallError> {
    let nimbuses = context.nimbuses()?;
    if args.levels.is_empty() && args.remove.is_empty() {
        let status = nimbuses.get_topology(&args.name).await?;
        if context.is_json {
            output::json(&output::json::LogLevels::from(&status.log_levels[..]));
        } else {
            output::line(&output::people::log_levels(&status.log_levels, now_ms()));
        }
        return Ok(());
    }
    let set = args.levels.iter().map(|(logger, level, timeout_secs)| v1::LogLevel {
        logger: logger.clone(),
        level: level.clone(),
        timeout_secs: *timeout_secs,
        ..v1::LogLevel::default()
    });
    let removed =
        args.remove.iter().map(|logger| v1::LogLevel { logger: logger.clone(), ..v1::LogLevel::default() });
    let levels = removed.chain(set).collect();
    let request = v1::LogLevelsRequest { command_id: command_id(), name: args.name.clone(), levels };
    let reply = nimbuses.set_log_levels(&request).await?;
    super::accepted(context, reply, &format!("{}'s log levels are changed", args.name));
    Ok(())
}
