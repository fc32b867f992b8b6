//! Rebalance under load: nothing fails because of it.

use crate::kit::{Dev, wait_until};

#[test]
fn a_topology_moves_to_more_workers_and_back() {
    let dev = Dev::start();
    dev.submit("exclamation", &["--name", "hello"], &[]);
    assert!(dev.runs_with("hello", 3));
    dev.storm(&["rebalance", "hello", "-n", "6", "--wait"]).ok();
    wait_until("six workers run", || dev.runs_with("hello", 6));
    let mut per_supervisor = std::collections::BTreeMap::<String, usize>::new();
    for worker in dev.workers("hello") {
        *per_supervisor.entry(worker["supervisorId"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(per_supervisor.into_values().collect::<Vec<_>>(), [3, 3]);
    dev.storm(&["rebalance", "hello", "-e", "exclaim1=6", "--wait"]).ok();
    wait_until("exclaim1 has six executors", || {
        let status = dev.status("hello");
        status["executorsTotal"] == 18 && dev.runs_with("hello", 6)
    });
    let status = dev.status("hello");
    for component in status["components"].as_array().unwrap() {
        assert_eq!(component["failed"], 0, "{component}");
    }
}
