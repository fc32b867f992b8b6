//! The table holds every key of Storm, and the page made from it every key of the table.

use storm_config::{docs, keys};

#[test]
fn every_key_of_storm_is_known() {
    let names = include_str!("storm-keys.txt");
    let unknown: Vec<_> = names.lines().filter(|name| keys::find(name).is_none()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_other_key_is_marked_as_ours() {
    let names: Vec<_> = include_str!("storm-keys.txt").lines().collect();
    let added: Vec<_> = keys::all().filter(|key| !names.contains(&key.name)).collect();
    assert!(added.iter().all(|key| matches!(key.standing, keys::Standing::Ours(_))));
    let added: Vec<_> = added.iter().map(|key| key.name).collect();
    expect_test::expect![[r#"
        [
            "nimbus.metrics.port",
            "storm.bind.address",
            "storm.cluster.secret.file",
            "storm.log.dir",
            "supervisor.metrics.port",
            "topology.executor.threads",
            "topology.max.tuple.bytes",
            "topology.parallelism.COMPONENT",
            "ui.authentication",
            "ui.authentication.header",
            "ui.authentication.proxies",
            "ui.authentication.users.file",
            "ui.cors.origins",
            "ui.hosts",
            "ui.path.prefix",
        ]
    "#]]
    .assert_debug_eq(&added);
}

#[test]
fn the_page_has_a_row_for_every_key() {
    let page = docs();
    for key in keys::all() {
        assert_eq!(page.matches(&format!("\n| `{}` |", key.name)).count(), 1, "{}", key.name);
    }
    assert!(page.contains(
        "| `topology.debug` | true or false | `false` | Whether every tuple that is emitted or \
         received is logged. **component** |"
    ));
}
