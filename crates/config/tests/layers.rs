//! Layers as they come from outside: precedence, environment, files and their errors.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use storm_config::{Config, Origin, Search, Sources, topology_layer};

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("a map")
}

fn env(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn check_yaml(text: &str, expected: Expect) {
    let mut config = Config::defaults();
    let result = config.layer_yaml_text(Path::new("storm.yaml"), text);
    let errors = result.expect_err("the text is wrong");
    expected.assert_eq(&errors.to_string());
}

fn check_env(name: &str, value: &str, key: &str, expected: Value) {
    let mut config = Config::defaults();
    config.layer_environment([env(name, value)]).expect("the variable fits");
    assert_eq!(config.get(key), Some(&expected));
    assert_eq!(config.origin(key), Some(&Origin::Environment { variable: name.to_owned() }));
}

#[test]
fn each_layer_beats_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let storm_yaml = dir.path().join("storm.yaml");
    let topology_file = dir.path().join("topology.yaml");
    fs::write(&storm_yaml, "topology.workers: 2\nui.port: 1\nui.title: a\ntopology.priority: 1\n").unwrap();
    fs::write(&topology_file, "# one\ntopology.workers: 5\ntopology.parallelism.split: 3\n").unwrap();
    let mut sources = Sources::local(
        [
            env("STORM_RS_CONF", storm_yaml.to_str().unwrap()),
            env("STORM_RS_TOPOLOGY_CONF", topology_file.to_str().unwrap()),
            env("TOPOLOGY_WORKERS", "3"),
            env("UI_PORT", "2"),
            env("TOPOLOGY_PRIORITY", "2"),
            env("HOME", "/nowhere"),
            env("TOPOLOGY_NO_SUCH_KEY", "x"),
            env("topology_debug", "true"),
            env("TOPOLOGY_PARALLELISM_COMPONENT", "3"),
        ],
        map(json!({"topology.workers": 4, "topology.priority": 3, "mine": true})),
    );
    let config = sources.load().unwrap();
    assert_eq!(config.get("topology.workers"), Some(&json!(5)));
    assert_eq!(
        config.origin("topology.workers"),
        Some(&Origin::TopologyFile { path: topology_file, line: 2 })
    );
    assert_eq!(config.get("topology.priority"), Some(&json!(3)));
    assert_eq!(config.get("ui.port"), Some(&json!(2)));
    assert_eq!(config.origin("ui.title"), Some(&Origin::File { path: storm_yaml, line: 3 }));
    assert!(!config.get_bool("topology.debug"));
    assert_eq!(config.parallelism().into_iter().collect::<Vec<_>>(), [("split".to_owned(), 3)]);
    assert_eq!(config.to_json()["mine"], json!(true));

    sources.arguments = vec!["topology.workers=6".into(), "mine=[1]".into(), "yours=a b".into()];
    let config = sources.load().unwrap();
    assert_eq!(config.get_count("topology.workers"), Some(6));
    assert_eq!(config.user("mine"), Some(&json!([1])));
    assert_eq!(config.user("yours"), Some(&json!("a b")));
}

#[test]
fn variables_are_read_by_the_kind_of_their_key() {
    check_env("TOPOLOGY_DEBUG", "true", "topology.debug", json!(true));
    check_env("TOPOLOGY_NAME", "42", "topology.name", json!("42"));
    check_env("NIMBUS_SEEDS", "a,b", "nimbus.seeds", json!(["a", "b"]));
    check_env("SUPERVISOR_SLOTS_PORTS", "[1, 2]", "supervisor.slots.ports", json!([1, 2]));
    check_env("TOPOLOGY_ENVIRONMENT", "{A: b}", "topology.environment", json!({"A": "b"}));
    check_env("SUPERVISOR_CPU_CAPACITY", "800", "supervisor.cpu.capacity", json!(800.0));
    check_env("TOPOLOGY_AUTO_CREDENTIALS", "x", "topology.auto-credentials", json!("x"));
    let retries = "supervisor.blobstore.download.max_retries";
    check_env("SUPERVISOR_BLOBSTORE_DOWNLOAD_MAX_RETRIES", "9", retries, json!(9));
}

#[test]
fn a_variable_that_does_not_fit_is_named() {
    let mut config = Config::defaults();
    let errors = config.layer_environment([env("UI_PORT", "http")]).unwrap_err();
    expect![[r#"
        'ui.port' in the variable UI_PORT must be a whole number (1 to 65535), but is the string 'http' (Port on which pages and REST are served)"#]]
    .assert_eq(&errors.to_string());
    config.layer_environment([env("UI_PORT", "")]).unwrap();
    assert_eq!(config.get_count("ui.port"), Some(8080));
}

#[test]
fn a_port_that_a_container_platform_sets_is_passed_over() {
    let mut config = Config::defaults();
    config.layer_environment([env("UI_PORT", "tcp://10.0.0.1:80")]).unwrap();
    assert_eq!(config.get_count("ui.port"), Some(8080));
    let notes: Vec<_> = config.notes().iter().map(ToString::to_string).collect();
    expect![
        "'ui.port' in the variable UI_PORT has no effect: the variable is one that container platforms set for a service of that name"
    ]
    .assert_eq(&notes.join("\n"));
}

#[test]
fn the_first_storm_yaml_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let home = Some(at("home"));
    let mut search = Search { named: None, conf_dir: Some(at("conf")), current_dir: at("here"), home };
    assert_eq!(search.find(), None);
    for place in ["home/.storm-rs/dev", "home/.storm", "here", "conf"] {
        fs::create_dir_all(at(place)).unwrap();
        fs::write(at(place).join("storm.yaml"), "").unwrap();
        assert_eq!(search.find(), Some(at(place).join("storm.yaml")));
    }
    search.named = Some(at("none.yaml"));
    assert_eq!(search.find(), search.named);
}

#[test]
fn what_is_submitted_with_a_topology_is_checked_and_keeps_its_nulls() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("topology.yaml");
    fs::write(&file, "topology.workers: 2\nmine: [1]\ntopology.debug: ~\n").unwrap();
    let layer = topology_layer(Some(&file), &["topology.workers=3".into(), "yours=x".into()]).unwrap();
    let expected = json!({"topology.workers": 3, "mine": [1], "topology.debug": null, "yours": "x"});
    assert_eq!(Value::Object(layer), expected);

    fs::write(&file, "topology.wrokers: 2\n").unwrap();
    let errors = topology_layer(Some(&file), &["topology.workers=0".into(), "a".into()]).unwrap_err();
    assert_eq!(errors.0.len(), 3);
}

#[test]
fn yaml_problems_name_file_and_line() {
    check_yaml(
        "a: 1\ntopology.mesage.timeout.secs: 3\ntopology.debug: 'true'\n",
        expect![[r#"
            unknown key 'topology.mesage.timeout.secs' in storm.yaml, line 2: did you mean 'topology.message.timeout.secs'?
            'topology.debug' in storm.yaml, line 3 must be true or false, but is the string 'true': leave out the quotes (Whether every tuple that is emitted or received is logged)"#]],
    );
    check_yaml(
        "topology.workers: 1\ntopology.workers: 2\n",
        expect!["storm.yaml, line 2, has the key 'topology.workers' twice, first in line 1: remove one"],
    );
    check_yaml("6700: x\n", expect!["storm.yaml, line 1, has the number 6700 for a key: put it in quotes"]);
    check_yaml(
        "- a\n",
        expect![[r#"storm.yaml, line 1, holds the list ["a"], not a map: write 'key: value' lines"#]],
    );
    check_yaml(
        "a: [1\n",
        expect!["storm.yaml, line 2, is not YAML: while parsing a flow sequence, expected ',' or ']'"],
    );
}

#[test]
fn a_missing_file_is_named() {
    let sources = Sources { storm_yaml: Some(PathBuf::from("no/such.yaml")), ..Sources::default() };
    let errors = sources.load().unwrap_err().to_string();
    assert!(errors.starts_with("cannot read the configuration file no/such.yaml: "), "{errors}");
}

#[test]
fn the_problems_of_all_layers_come_together() {
    let sources = Sources {
        environment: vec![env("TOPOLOGY_WORKERS", "many")],
        topology_code: map(json!({"topology.workers": -1})),
        arguments: vec!["topology.workers".into(), "ui.prot=1".into()],
        ..Sources::default()
    };
    expect![[r#"
        'topology.workers' in the variable TOPOLOGY_WORKERS must be a whole number (>= 1), but is the string 'many' (Worker processes that the topology asks for)
        'topology.workers' in the topology's code is out of range: it must be a whole number (>= 1), but is the number -1 (Worker processes that the topology asks for)
        'topology.workers' in -c has no '=': write key=value
        unknown key 'ui.prot' in -c: did you mean 'ui.port'?"#]]
    .assert_eq(&sources.load().unwrap_err().to_string());
}

#[test]
fn a_storm_yaml_written_for_storm_is_accepted() {
    let text = "\
# the usual file of a Storm cluster
storm.zookeeper.servers:
    - \"zk1\"
    - \"zk2\"
nimbus.seeds: [\"n1\"]
storm.local.dir: /var/storm
supervisor.slots.ports:
    - 6700
    - 6701
ui.port: 8081
nimbus.childopts: \"-Xmx1024m\"
topology.spout.wait.strategy: \"org.apache.storm.policy.WaitStrategyPark\"
pacemaker.servers: []
drpc.servers:
    - \"d1\"
";
    let mut config = Config::defaults();
    config.layer_yaml_text(Path::new("storm.yaml"), text).unwrap();
    assert_eq!(config.get_strs("storm.zookeeper.servers"), ["zk1", "zk2"]);
    assert_eq!(config.get_ints("supervisor.slots.ports"), [6700, 6701]);
    let noted: Vec<_> = config.notes().into_iter().map(|note| note.key).collect();
    assert_eq!(noted, ["drpc.servers", "nimbus.childopts", "topology.spout.wait.strategy"]);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        drop(Config::defaults().layer_yaml_text(Path::new("x"), &text));
    }

    #[test]
    fn no_nearly_yaml_makes_the_reader_panic(
        text in "([a-c]|[:\\-?,&*!|>'\"%@`#{}\\[\\]<~. \n\t\r0-9]|: |- |\n  |topology\\.workers: |\\.inf|0x|\u{feff}){0,60}"
    ) {
        drop(Config::defaults().layer_yaml_text(Path::new("x"), &text));
    }

    #[test]
    fn no_variable_makes_the_reader_panic(at in any::<prop::sample::Index>(), text in "\\PC{0,40}") {
        let keys: Vec<_> = storm_config::keys::all().collect();
        let variable = keys[at.index(keys.len())].variable();
        drop(Config::defaults().layer_environment([(variable, text)]));
    }

    #[test]
    fn a_string_in_json_quotes_comes_back(text in "[ -~]{0,40}") {
        let mut config = Config::defaults();
        let yaml = format!("mine: {}\n", json!(text));
        config.layer_yaml_text(Path::new("x"), &yaml).unwrap();
        prop_assert_eq!(config.user("mine"), Some(&json!(text)));
    }
}
