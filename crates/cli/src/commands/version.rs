//! `version`.

use serde_json::json;
use storm_rpc::launch::CONTRACT;

use crate::output;

pub(super) fn run(is_json: bool) {
    let version = env!("CARGO_PKG_VERSION");
    if is_json {
        output::json(&json!({"version": version, "contract": CONTRACT}));
    } else {
        output::line(&format!("storm-rs {version}"));
    }
}
