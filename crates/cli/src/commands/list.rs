//! `list`: the topologies.

use storm_rpc::CallError;

use crate::context::Context;
use crate::output;

pub(super) async fn run(context: &Context) -> Result<(), CallError> {
    let mut list = context.nimbuses()?.list_topologies().await?;
    list.topologies.sort_by(|a, b| a.name.cmp(&b.name));
    if context.is_json {
        output::json(&output::json::TopologyList::from(&list));
    } else {
        output::line(&output::people::topologies(&list));
    }
    Ok(())
}
