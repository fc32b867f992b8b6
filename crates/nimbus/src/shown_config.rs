//! Configurations as a Nimbus tells them, its own and those of topologies: without what may be a secret.

use storm_config::{Config, masked};
use storm_model::{ConfigMap, TopologySpec};
use storm_rpc::v1;

/// Every key with value and origin, sorted by key.
pub(crate) fn entries(config: &Config) -> Vec<v1::ConfigEntry> {
    let entry = |(key, value, origin): (&str, &serde_json::Value, &storm_config::Origin)| {
        let value = serde_json::to_vec(&masked(key, value)).expect("JSON with text keys");
        v1::ConfigEntry { key: key.to_owned(), value, origin: origin.to_string() }
    };
    config.iter().map(entry).collect()
}

/// The configuration of a topology.
pub(crate) fn of_map(config: &ConfigMap) -> ConfigMap {
    config.iter().map(|(key, value)| (key.clone(), masked(key, value))).collect()
}

/// A topology with its configuration and that of its components.
pub(crate) fn of_spec(spec: &TopologySpec) -> TopologySpec {
    let mut shown = spec.clone();
    shown.config = of_map(&shown.config);
    for component in shown.components.values_mut() {
        component.config = of_map(&component.config);
    }
    shown
}

#[cfg(test)]
mod tests {
    use storm_model::ComponentId;

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

    #[test]
    fn a_topology_shows_none_of_its_own_nor_of_its_components() {
        let mut spec = TopologySpec::default();
        spec.config.insert("my.db.password".to_owned(), "open sesame".into());
        let component = serde_json::json!({
            "kind": "bolt", "executors": 1, "tasks": 1, "outputs": [], "inputs": [],
            "config": {"my.sink": {"token": "open sesame", "host": "db-1"}}
        });
        spec.components.insert(ComponentId::from("token-bolt"), serde_json::from_value(component).unwrap());
        let shown = serde_json::to_string(&of_spec(&spec)).unwrap();
        assert!(
            !shown.contains("sesame") && shown.contains("token-bolt") && shown.contains("db-1"),
            "{shown}"
        );
    }
}
