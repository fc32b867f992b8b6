//! What may be a secret is told to nobody: its value is masked wherever a configuration is shown.

use serde_json::{Map, Value};

/// What is shown instead of a secret.
const HIDDEN: &str = "*****";
/// What stands in the names of keys whose values may be secrets.
const SECRET: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "payload",
    "secret",
    "credentials",
    "token",
    "apikey",
    "api.key",
    "access.key",
    "private",
];
/// How names (with dots alone) end that only say where a secret is, how long it is good, or which classes care for it.
const HARMLESS: [&str; 5] = [".file", ".path", ".hours", ".secs", ".auto.credentials"];

/// A value as it may be shown under its key: `*****` where the key, or a key within the value, sounds
/// like a secret. Null stays, so that it is seen what is not set.
///
/// ```
/// use serde_json::json;
///
/// let sink = json!({"host": "db-1", "Password": "open sesame"});
/// assert_eq!(storm_config::masked("my.sink", &sink), json!({"host": "db-1", "Password": "*****"}));
/// assert_eq!(storm_config::masked("my.sink.api_key", &json!("x")), json!("*****"));
/// ```
pub fn masked(key: &str, value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        _ if may_be_secret(key) => HIDDEN.into(),
        Value::Object(map) => Value::Object(masked_map(map)),
        Value::Array(values) => values.iter().map(|value| masked("", value)).collect(),
        plain => plain.clone(),
    }
}

/// The same of a map and all that is in it.
pub fn masked_map(map: &Map<String, Value>) -> Map<String, Value> {
    map.iter().map(|(key, value)| (key.clone(), masked(key, value))).collect()
}

fn may_be_secret(key: &str) -> bool {
    let key = key.to_lowercase().replace(['_', '-'], ".");
    SECRET.iter().any(|part| key.contains(part)) && !HARMLESS.iter().any(|end| key.ends_with(end))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_masked_at_any_depth_and_where_they_are_is_not() {
        let given = json!({
            "storm.zookeeper.auth.payload": "me:open sesame", "my.db.Password": 7, "my.api-key": "x",
            "my.sinks": [{"host": "a", "secret": {"of": "two"}}], "aws.access_key": "x", "my.token": null,
            "storm.cluster.secret.file": "etc/secret", "topology.auto-credentials": ["A"],
            "storm.worker.token.life.time.hours": 24, "topology.workers": 2
        });
        let shown = json!({
            "storm.zookeeper.auth.payload": "*****", "my.db.Password": "*****", "my.api-key": "*****",
            "my.sinks": [{"host": "a", "secret": "*****"}], "aws.access_key": "*****", "my.token": null,
            "storm.cluster.secret.file": "etc/secret", "topology.auto-credentials": ["A"],
            "storm.worker.token.life.time.hours": 24, "topology.workers": 2
        });
        assert_eq!(masked("", &given), shown);
    }

    #[test]
    fn the_defaults_are_shown_as_they_are() {
        for (key, value, _) in crate::Config::defaults().iter() {
            assert_eq!(masked(key, value), *value, "{key}");
        }
    }
}
