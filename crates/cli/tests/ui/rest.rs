//! The interface for programs, on a cluster that runs.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::http;
use crate::kit::{is_all_built, root, wait_until};
use crate::ui::Ui;

/// A latency as the interface tells it: milliseconds as a text.
#[track_caller]
fn assert_latency(value: &Value) {
    let millis: f64 =
        value.as_str().unwrap_or_default().parse().unwrap_or_else(|_| panic!("{value} is no latency"));
    assert!((0.0..60_000.0).contains(&millis), "{millis} ms");
}

#[test]
fn its_figures_are_those_of_the_cluster() {
    let ui = Ui::start();
    let id = ui.submit_numbers();
    let listed = ui.listed("at-least-once");

    let cluster = ui.rest("cluster/summary");
    let of_cluster =
        ["supervisors", "topologies", "slotsTotal", "slotsUsed", "slotsFree"].map(|key| &cluster[key]);
    assert_eq!(of_cluster, [2, 1, 8, 3, 5], "{cluster}");
    assert_eq!(
        [&cluster["executorsTotal"], &cluster["tasksTotal"]],
        [&listed["executorsTotal"], &listed["tasksTotal"]]
    );

    let topologies = ui.rest("topology/summary");
    let [topology] = &topologies["topologies"].as_array().unwrap()[..] else { panic!("{topologies}") };
    for key in ["id", "name", "status", "executorsTotal", "workersTotal", "tasksTotal"] {
        assert_eq!(topology[key], listed[key], "{key}");
    }

    // Each worker reports by itself, about once a second.
    let read = || ui.rest(&format!("topology/{id}?sys=false&window=600"));
    let has_counted = |part: &Value, key: &str| part[key].as_u64() > Some(0);
    wait_until("all workers have reported", || {
        let page = read();
        let bolts = page["bolts"].as_array().unwrap();
        bolts.iter().all(|bolt| has_counted(bolt, "executed")) && has_counted(&page["spouts"][0], "acked")
    });
    let page = read();
    let names = |list: &str, key: &str| -> Vec<Value> {
        page[list].as_array().unwrap().iter().map(|one| one[key].clone()).collect()
    };
    assert_eq!(names("spouts", "spoutId"), ["source"]);
    assert_eq!(names("bolts", "boltId"), ["relay1", "relay2", "sink"]);
    assert_eq!(page["workers"].as_array().unwrap().len(), 3);
    let all = page["topologyStats"].as_array().unwrap().iter().find(|s| s["window"] == ":all-time").unwrap();
    assert!(all["emitted"].as_u64() > Some(0) && all["acked"].as_u64() > Some(0), "{all}");
    assert_latency(&all["completeLatency"]);
    assert_latency(&page["spouts"][0]["completeLatency"]);
    for bolt in page["bolts"].as_array().unwrap() {
        assert!(bolt["executed"].as_u64() > Some(0), "{bolt}");
        ["capacity", "executeLatency", "processLatency"].iter().for_each(|key| assert_latency(&bolt[*key]));
    }
    let acked = || ui.rest(&format!("topology/{id}"))["spouts"][0]["acked"].as_u64();
    let before = acked();
    wait_until("more is acked", || acked() > before);

    let bolt = ui.rest(&format!("topology/{id}/component/relay1"));
    assert_eq!(
        [&bolt["componentType"], &bolt["executors"], &bolt["tasks"]],
        [&json!("bolt"), &json!(2), &json!(2)]
    );
    assert_eq!(bolt["inputStats"][0]["component"], "source");
    assert_eq!(bolt["executorStats"].as_array().unwrap().len(), 2);

    let supervisors = ui.rest("supervisor/summary");
    let all = supervisors["supervisors"].as_array().unwrap();
    assert_eq!(all.len(), 2);
    assert!(
        all.iter().all(|s| s["slotsTotal"] == 4 && s["uptimeSeconds"].as_u64().is_some()),
        "{supervisors}"
    );
    assert_eq!(all.iter().map(|s| s["slotsUsed"].as_u64().unwrap()).sum::<u64>(), 3);
    let nimbuses = ui.rest("nimbus/summary");
    assert_eq!(
        [&nimbuses["nimbuses"][0]["status"], &nimbuses["nimbuses"][1]],
        [&json!("Leader"), &Value::Null]
    );

    let missing = ui.get("/api/v1/topology/no-such-topology");
    assert_eq!(missing.status, 500, "as Storm has it: {missing:?}");
    assert!(
        missing.body.contains("NotAliveException: there is no topology 'no-such-topology'"),
        "{missing:?}"
    );

    let killed = http::ask(&ui.address, "POST", &format!("/api/v1/topology/{id}/kill/0"), &[], "").json();
    assert_eq!([&killed["topologyOperation"], &killed["status"]], ["kill", "success"]);
    wait_until("it is gone", || ui.rest("topology/summary")["topologies"] == json!([]));
}

/// The contract is data, and so is who reads it: both stand with the crate of the interface.
#[test]
fn it_keeps_its_contract_on_a_cluster_that_runs() {
    let ui = Ui::with(&["ui.cors.origins=[\"*\"]"]);
    ui.submit_numbers();
    let mut check = match is_all_built() {
        true => Command::new(newest_test("contract-")),
        false => {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["test", "--quiet", "--locked", "-p", "storm-ui", "--test", "contract"]);
            cargo
        }
    };
    check.current_dir(root()).env("STORM_UI_CONTRACT", format!("http://{}", ui.address));
    let said = check.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(said.status.success(), "{}{}", text(&said.stdout), text(&said.stderr));
}

/// The test binary beside this one whose name begins so.
fn newest_test(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let beside = this.parent().unwrap().read_dir().unwrap().map(|entry| entry.unwrap().path());
    let fits = |path: &PathBuf| {
        path.extension().is_none() && path.file_name().unwrap().to_string_lossy().starts_with(name)
    };
    let written = |path: &PathBuf| path.metadata().unwrap().modified().unwrap();
    beside.filter(fits).max_by_key(written).expect("it is built")
}
