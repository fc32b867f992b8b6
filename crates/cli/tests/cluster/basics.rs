//! Commands of people, from submit to kill.

use serde_json::json;

use crate::kit::{Dev, example, wait_until};

#[test]
fn a_topology_is_submitted_listed_and_killed() {
    let dev = Dev::start();
    assert_eq!(dev.json(&["list"]), json!({"topologies": []}));
    dev.submit("exclamation", &["--name", "hello"], &[]);
    let list = dev.json(&["list"]);
    let row = &list["topologies"][0];
    assert_eq!(row["name"], "hello");
    assert_eq!(row["status"], "ACTIVE");
    assert!(row["id"].as_str().unwrap().starts_with("hello-1-"), "{row}");
    let numbers = ["workersTotal", "workersRequested", "executorsTotal", "tasksTotal", "unplacedExecutors"];
    assert_eq!(numbers.map(|key| row[key].as_u64().unwrap()), [3, 3, 15, 18, 0]);
    assert!(dev.runs_with("hello", 3), "{:#}", dev.status("hello"));
    wait_until("tuples flow", || {
        let status = dev.status("hello");
        let components = status["components"].as_array().unwrap();
        let exclaim2 = components.iter().find(|c| c["id"] == "exclaim2").unwrap();
        exclaim2["executed"].as_u64() > Some(0)
    });
    dev.storm(&["kill", "hello", "--wait"]).ok();
    assert_eq!(dev.json(&["list"]), json!({"topologies": []}));
    wait_until("its workers have ended", || {
        dev.processes().values().all(|command| !command.starts_with("exclamation"))
    });
}

#[test]
fn a_name_is_taken_once_and_a_topology_that_is_not_there_is_told() {
    let dev = Dev::start();
    dev.submit("random-digit", &["--name", "digits"], &[]);
    let again =
        dev.storm(&["--json", "submit", example("random-digit").to_str().unwrap(), "--name", "digits"]);
    assert_eq!(again.code, 4, "{again:?}");
    let error: serde_json::Value = serde_json::from_str(again.stderr.lines().last().unwrap()).unwrap();
    assert!(error["message"].as_str().unwrap().contains("digits"), "{error}");
    for command in
        [&["kill", "other"][..], &["status", "other"], &["rebalance", "other"], &["activate", "other"]]
    {
        let refused = dev.storm(command);
        assert_eq!(refused.code, 3, "{command:?}: {refused:?}");
        assert!(refused.stderr.contains("other"), "{refused:?}");
    }
}

#[test]
fn spouts_rest_while_a_topology_is_inactive() {
    let dev = Dev::start();
    dev.submit("random-digit", &["--name", "digits"], &[]);
    let emitted = || -> u64 {
        let status = dev.status("digits");
        let components = status["components"].as_array().unwrap();
        components.iter().find(|c| c["id"] == "spout").unwrap()["emitted"].as_u64().unwrap()
    };
    wait_until("the spout emits", || emitted() > 0);
    dev.storm(&["deactivate", "digits", "--wait"]).ok();
    assert_eq!(dev.status("digits")["status"], "INACTIVE");
    let mut last = emitted();
    // Two reports with the same figures: nothing is emitted any more.
    wait_until("the spout rests", || {
        std::thread::park_timeout(std::time::Duration::from_millis(2500));
        let now = emitted();
        std::mem::replace(&mut last, now) == now
    });
    dev.storm(&["activate", "digits", "--wait"]).ok();
    wait_until("the spout emits again", || emitted() > last);
}

#[test]
fn a_cluster_that_is_started_again_carries_on() {
    let mut dev = Dev::start();
    dev.submit("random-digit", &["--name", "digits"], &[]);
    let id = dev.status("digits")["id"].clone();
    dev.restart();
    wait_until("the topology runs again", || dev.runs_with("digits", 2));
    assert_eq!(dev.status("digits")["id"], id);
    dev.stop();
}
