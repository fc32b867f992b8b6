//! The configuration of a Nimbus as it tells it: without what may be a secret.

use storm_config::Config;
use storm_rpc::v1;

/// What is told instead of a secret.
const HIDDEN: &str = "*****";
/// What stands in the names of keys whose values may be secrets.
const SECRET: [&str; 5] = ["password", "passwd", "payload", "secret", "credentials"];
/// What only says where a secret is.
const PLACES: [&str; 2] = [".file", ".path"];

/// Every key with value and origin, sorted by key.
pub(crate) fn entries(config: &Config) -> Vec<v1::ConfigEntry> {
    let entry = |(key, value, origin): (&str, &serde_json::Value, &storm_config::Origin)| {
        let hidden = HIDDEN.into();
        let value = if value.is_null() || !may_be_secret(key) { value } else { &hidden };
        let value = serde_json::to_vec(value).expect("JSON with text keys");
        v1::ConfigEntry { key: key.to_owned(), value, origin: origin.to_string() }
    };
    config.iter().map(entry).collect()
}

fn may_be_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    SECRET.iter().any(|part| key.contains(part)) && !PLACES.iter().any(|place| key.ends_with(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_told_and_where_they_are_is() {
        let mut config = Config::defaults();
        let text = "storm.zookeeper.auth.payload: me:open sesame\nmy.db.Password: x\n\
                    storm.cluster.secret.file: etc/secret\nui.port: 7\n";
        config.layer_yaml_text(std::path::Path::new("storm.yaml"), text).unwrap();
        let entries = entries(&config);
        let of = |key: &str| entries.iter().find(|entry| entry.key == key).unwrap();
        let value = |key: &str| String::from_utf8(of(key).value.clone()).unwrap();
        assert_eq!(value("storm.zookeeper.auth.payload"), "\"*****\"");
        assert_eq!(value("my.db.Password"), "\"*****\"");
        assert_eq!(value("storm.cluster.secret.file"), "\"etc/secret\"");
        assert_eq!((value("ui.port").as_str(), &*of("ui.port").origin), ("7", "in storm.yaml, line 4"));
        assert_eq!(&*of("nimbus.thrift.port").origin, "in the defaults");
        assert!(entries.is_sorted_by_key(|entry| entry.key.clone()));
    }
}
