//! `make-secret`: the cluster's secret, where there is none yet.

use std::path::PathBuf;

use serde_json::json;
use storm_rpc::{CallError, Secret};

use crate::args::MakeSecret;
use crate::context::Context;
use crate::{output, secret};

pub(super) fn run(context: &Context, args: &MakeSecret) -> Result<(), CallError> {
    let configured = || context.config.get_str("storm.cluster.secret.file").map(PathBuf::from);
    let file = args.file.clone().or_else(configured).ok_or_else(|| {
        CallError::usage("no file is named for the secret")
            .advise("write `storm-rs make-secret FILE`, or set 'storm.cluster.secret.file'")
    })?;
    let name = file.display();
    let is_made = secret::make(&file)
        .map_err(|error| CallError::other(format!("the secret cannot be written to {name}: {error}")))?;
    // What is there may be another's, and then is not ours to read.
    if !is_made && std::fs::read_to_string(&file).is_ok_and(|text| Secret::new(&text).is_none()) {
        return Err(CallError::other(format!("{name} is there, but holds no secret"))
            .advise("delete it, and a secret is made in its place"));
    }
    if context.is_json {
        output::json(&json!({"file": file, "made": is_made}));
    } else if is_made {
        output::line(&format!("a secret was made in {name}"));
    } else {
        output::line(&format!("{name} is there already and stays as it is"));
    }
    Ok(())
}
