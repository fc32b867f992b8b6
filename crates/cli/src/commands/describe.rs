//! `describe`: what a topology binary says of itself.

use storm_config::topology_layer;
use storm_model::validate;
use storm_rpc::CallError;

use crate::args::{Common, Describe};
use crate::binary::Layers;
use crate::context::{Context, divide, invalid_config};
use crate::{binary, output};

pub(super) async fn run(common: &Common, args: &Describe) -> Result<(), CallError> {
    let (with_topology, set) = divide(&common.set);
    let context = Context::load(&Common { set, ..common.clone() })?;
    let above = topology_layer(None, &with_topology).map_err(|errors| invalid_config(&errors))?;
    let layers = Layers { below: context.below_topology(), above };
    let needs = binary::needs(&args.binary)?;
    binary::check_runs_here(&args.binary, &needs)?;
    let description = binary::describe(&args.binary, &args.arguments, &layers).await?;
    if common.json {
        output::json(&description);
    } else {
        output::line(&output::people::description(&description));
        for problem in validate::problems(&description.spec) {
            output::note(&problem.to_string());
        }
    }
    Ok(())
}
