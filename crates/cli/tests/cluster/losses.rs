//! What a cluster survives, while a topology runs of which nothing may be lost.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::signal::Signal;

use crate::kit::{Dev, Flow, arrived, is_alive, signal, wait_until};

#[test]
fn a_run_without_faults_ends_with_every_number() {
    Flow::start(Dev::start()).end();
}

#[test]
fn a_worker_that_is_killed_is_started_again() {
    let flow = Flow::start(Dev::start());
    for _ in 0..3 {
        let before = arrived(&flow.cluster.path("numbers")).len();
        let victim = flow.cluster.worker_pids("at-least-once")[1];
        signal(victim, Signal::SIGKILL);
        wait_until("all workers run again", || {
            flow.cluster.runs_with("at-least-once", 3)
                && !flow.cluster.worker_pids("at-least-once").contains(&victim)
        });
        flow.wait_for((before + 100).min(flow.count()));
    }
    flow.end();
}

#[test]
fn a_frozen_worker_is_killed_and_started_again() {
    let flow = Flow::start(Dev::start());
    let victim = flow.cluster.worker_pids("at-least-once")[0];
    signal(victim, Signal::SIGSTOP);
    wait_until("another life of it runs", || !is_alive(victim) && flow.cluster.runs_with("at-least-once", 3));
    flow.end();
}

#[test]
fn workers_outlive_their_supervisor_and_are_adopted() {
    let flow = Flow::start(Dev::start());
    let workers: BTreeSet<i32> = flow.cluster.worker_pids("at-least-once").into_iter().collect();
    let supervisors = flow.cluster.daemons("supervisor");
    assert_eq!(supervisors.len(), 2);
    for supervisor in &supervisors {
        signal(*supervisor, Signal::SIGKILL);
    }
    wait_until("dev has started them again", || {
        let now = flow.cluster.daemons("supervisor");
        now.len() == 2 && now.iter().all(|pid| !supervisors.contains(pid))
    });
    wait_until("the same workers are known again", || {
        let now: BTreeSet<i32> = flow.cluster.worker_pids("at-least-once").into_iter().collect();
        now == workers && flow.cluster.runs_with("at-least-once", 3)
    });
    flow.end();
}

#[test]
fn without_nimbus_workers_run_on_and_are_started_again() {
    let flow = Flow::start(Dev::with(&["--no-restart"]));
    let workers = flow.cluster.worker_pids("at-least-once");
    for nimbus in flow.cluster.daemons("nimbus") {
        signal(nimbus, Signal::SIGKILL);
    }
    signal(workers[2], Signal::SIGKILL);
    let out = flow.cluster.path("numbers");
    wait_until("the run is done without a Nimbus", || out.join("done.json").exists());
    assert_eq!(arrived(&out).len(), flow.count());
    assert!(is_alive(workers[0]) && is_alive(workers[1]), "nothing else has been touched");
}

#[test]
fn zookeeper_may_be_away() {
    let flow = Flow::start(Dev::start());
    let workers: BTreeSet<i32> = flow.cluster.worker_pids("at-least-once").into_iter().collect();
    for _ in 0..2 {
        let zookeepers = flow.cluster.daemons("dev-zookeeper");
        assert_eq!(zookeepers.len(), 1);
        signal(zookeepers[0], Signal::SIGKILL);
        wait_until("it is back", || {
            flow.cluster.daemons("dev-zookeeper").first().is_some_and(|now| *now != zookeepers[0])
        });
    }
    let dev = flow.end();
    let now: BTreeSet<i32> = dev.worker_pids("at-least-once").into_iter().collect();
    assert_eq!(now, workers, "nothing was stopped");
}

#[test]
fn a_supervisor_that_dies_with_its_workers_is_started_again_with_them() {
    let flow = Flow::start(Dev::start());
    let supervisor = flow.cluster.daemons("supervisor")[0];
    let of_it = flow.cluster.workers_of(supervisor);
    assert!(!of_it.is_empty());
    for pid in of_it.iter().chain([&supervisor]) {
        signal(*pid, Signal::SIGKILL);
    }
    wait_until("all run again", || flow.cluster.runs_with("at-least-once", 3));
    flow.end();
}

#[test]
fn a_node_that_is_silent_loses_its_work_and_stops_when_it_wakes() {
    let flow = Flow::start(Dev::start());
    let supervisor = flow.cluster.daemons("supervisor")[0];
    let frozen = flow.cluster.workers_of(supervisor);
    assert!(!frozen.is_empty());
    for pid in [supervisor].iter().chain(&frozen) {
        signal(*pid, Signal::SIGSTOP);
    }
    wait_until("its work runs elsewhere", || {
        let pids = flow.cluster.worker_pids("at-least-once");
        flow.cluster.runs_with("at-least-once", pids.len()) && frozen.iter().all(|pid| !pids.contains(pid))
    });
    for pid in [supervisor].iter().chain(&frozen) {
        signal(*pid, Signal::SIGCONT);
    }
    wait_until("the woken workers learn that they were replaced", || {
        frozen.iter().all(|pid| !is_alive(*pid))
    });
    flow.end();
}

#[test]
fn a_worker_that_crashes_at_every_start_is_tried_elsewhere_and_more_and_more_rarely() {
    let dev = Dev::start();
    // Its file is a directory: the spout cannot open it.
    let dir = dev.path("no-file");
    fs::create_dir(&dir).unwrap();
    let submitted = dev.storm(&[
        "submit",
        crate::kit::example("word-count").to_str().unwrap(),
        "--",
        "--file",
        dir.to_str().unwrap(),
    ]);
    submitted.ok();
    wait_until("the error is told", || {
        let errors = dev.status("word-count")["errors"].clone();
        errors.as_array().unwrap().iter().any(|e| e["message"].as_str().unwrap().contains("no-file"))
    });
    // Another topology is not touched by it.
    dev.submit("random-digit", &["--name", "digits"], &[]);
    dev.storm(&["kill", "word-count", "-w", "0", "--wait"]).ok();
    assert!(dev.runs_with("digits", 2));
}
