//! `errors`: what the components of a topology reported.

use storm_rpc::CallError;

use crate::args::Named;
use crate::context::Context;
use crate::output;

pub(super) async fn run(context: &Context, args: &Named) -> Result<(), CallError> {
    let errors = context.nimbuses()?.get_topology(&args.name).await?.errors;
    if context.is_json {
        output::json(&output::json::Errors::from(&*errors));
    } else {
        output::line(&output::people::errors(&errors));
    }
    Ok(())
}
