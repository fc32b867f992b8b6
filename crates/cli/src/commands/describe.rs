//! `describe`: what a topology binary says of itself.

use storm_model::validate;
use storm_rpc::CallError;

use crate::args::Describe;
use crate::{binary, output};

pub(super) async fn run(args: &Describe, is_json: bool) -> Result<(), CallError> {
    let needs = binary::needs(&args.binary)?;
    binary::check_runs_here(&args.binary, &needs)?;
    let description = binary::describe(&args.binary, &args.arguments).await?;
    if is_json {
        output::json(&description);
    } else {
        output::line(&output::people::description(&description));
        for problem in validate::problems(&description.spec) {
            output::note(&problem.to_string());
        }
    }
    Ok(())
}
