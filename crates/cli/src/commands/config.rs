//! `config`: the effective configuration, and where each value comes from.

use serde_json::{Map, Value, json};
use storm_config::Origin;

use crate::args::ShowConfig;
use crate::context::Context;
use crate::output;

/// Keys whose value proves who one is: nobody has to see it.
const HIDDEN: [&str; 1] = ["storm.zookeeper.auth.payload"];

pub(super) fn run(context: &Context, args: &ShowConfig) {
    let rows = rows(context, args);
    let notes: Vec<_> = context.config.notes().iter().map(ToString::to_string).collect();
    if context.is_json {
        let keys: Map<String, Value> = rows
            .into_iter()
            .map(|(key, value, origin)| (key, json!({"value": value, "origin": origin})))
            .collect();
        output::json(&json!({"file": context.file, "config": keys, "notes": notes}));
        return;
    }
    let rows = rows.into_iter().map(|(key, value, origin)| {
        let value = if value.is_null() { "-".to_owned() } else { value.to_string() };
        [key, value, origin]
    });
    output::line(&output::table(["KEY", "VALUE", "SET"], rows));
    notes.iter().for_each(|note| output::note(note));
}

fn rows(context: &Context, args: &ShowConfig) -> Vec<(String, Value, String)> {
    let shown = context.config.iter().filter(|(key, _, origin)| {
        key.starts_with(&args.prefix) && !(args.set_only && matches!(origin, Origin::Default))
    });
    shown
        .map(|(key, value, origin)| {
            let is_hidden = HIDDEN.contains(&key) && !value.is_null();
            let value = if is_hidden { Value::from("(hidden)") } else { value.clone() };
            (key.to_owned(), value, origin.to_string())
        })
        .collect()
}
