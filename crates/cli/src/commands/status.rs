//! `status`: how a topology runs.

use storm_rpc::CallError;

use super::wait::now_ms;
use crate::args::Named;
use crate::context::Context;
use crate::output;

pub(super) async fn run(context: &Context, args: &Named) -> Result<(), CallError> {
    let status = context.nimbuses()?.get_topology(&args.name).await?;
    if context.is_json {
        output::json(&output::json::Status::from(&status));
    } else {
        output::line(&output::people::status(&status, now_ms()));
    }
    Ok(())
}
