//! Rebalance under load: nothing fails because of it.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;

use crate::kit::{ByHand, Daemon, Dev, Flow, Kind, Load, Plan, arrivals, logs, signal, wait_until};

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

#[test]
fn under_load_no_tuple_fails_and_each_arrives_once() {
    let load = Load { count: 30_000, rate: 3000, fail_rate: 0.0, ..Load::default() };
    let flow = Flow::with(Dev::start(), load);
    let mut moved = 0;
    for (wanted, workers) in [(["-n", "6"], 6), (["-n", "2"], 2), (["-e", "relay1=1"], 2)] {
        flow.wait_for_more(1000);
        let mut command = vec!["rebalance", "at-least-once", "--wait"];
        command.extend(wanted);
        let said = flow.cluster.json(&command);
        moved += said["moved"].as_u64().unwrap();
        assert!(flow.cluster.runs_with("at-least-once", workers), "{wanted:?}");
    }
    assert_eq!(flow.cluster.status("at-least-once")["executorsTotal"], 5);
    let (dev, done) = flow.end_with();
    assert_eq!(done["failed"], moved, "what fails is told: {done}");
    if moved == 0 {
        let arrivals = arrivals(&dev.path("numbers"));
        assert_eq!(arrivals.len(), load.count, "each number has arrived once: {done}");
    }
}

/// The relays have one task each, so what keeps the order of each hop keeps that of a source's numbers all
/// the way; nothing fails, so nothing is emitted again. A task of the sink appends to one file in all its
/// lives, before it acks.
#[test]
fn under_load_the_order_is_kept_from_task_to_task() {
    let load = Load { count: 150_000, rate: 9000, fail_rate: 0.0, workers: 2, tasks: [3, 1, 4] };
    let flow = Flow::with(Dev::start(), load);
    let mut homes = flow.worker_pids();
    let mut moves_under_load = 0;
    for (wanted, workers) in
        [(["-n", "4"], 4), (["-e", "sink=2"], 4), (["-n", "6"], 6), (["-e", "sink=4"], 6), (["-n", "2"], 2)]
    {
        flow.wait_for_more(5000);
        let mut command = vec!["rebalance", "at-least-once", "--wait"];
        command.extend(wanted);
        let said = flow.cluster.json(&command);
        assert_eq!(said["moved"], 0, "{wanted:?}: {said}");
        assert!(flow.cluster.runs_with("at-least-once", workers), "{wanted:?}");
        let before = std::mem::replace(&mut homes, flow.worker_pids());
        assert!(!homes.is_subset(&before), "{wanted:?} has moved somebody");
        let arrived = flow.arrived();
        moves_under_load += u32::from(arrived < load.count);
        if arrived + 10_000 > load.count {
            // A slow machine: the next move would come after the load.
            break;
        }
    }
    assert!(moves_under_load >= 2, "only {moves_under_load} moves ended before the load did");
    let (dev, done) = flow.end_with();
    assert_eq!((&done["failed"], &done["replayed"]), (&0.into(), &0.into()), "{done}");
    let logs = logs(&dev.path("numbers"));
    assert_eq!(logs.len(), 4);
    assert_eq!(logs.iter().map(Vec::len).sum::<usize>(), load.count, "each number has arrived once: {done}");
    for log in logs {
        for task in 0..3 {
            let numbers: Vec<u64> = log.iter().copied().filter(|number| number % 3 == task).collect();
            assert!(numbers.len() > 1000, "every task sends to every other: {}", numbers.len());
            assert!(numbers.is_sorted(), "task {task} of the source was overtaken by itself");
        }
    }
}

#[test]
fn a_topology_spreads_when_slots_appear() {
    let plan = Plan { nimbuses: 1, supervisors: 1, slots: 2, ..Plan::on(Kind::Embedded) };
    let hand = ByHand::start(plan).unwrap();
    let mut flow = Flow::with(hand, Load { workers: 4, ..Load::default() });
    let status = flow.cluster.status("at-least-once");
    assert_eq!(
        ["workersTotal", "workersRequested", "unplacedExecutors"].map(|key| status[key].as_u64().unwrap()),
        [2, 4, 0]
    );
    assert!(status["explanation"].as_str().unwrap().contains("2"), "{status:#}");
    flow.cluster.add_supervisor();
    wait_until("it has its four workers", || flow.cluster.runs_with("at-least-once", 4));
    let supervisors: BTreeSet<String> =
        flow.cluster.workers("at-least-once").into_iter().map(|w| w["supervisorId"].to_string()).collect();
    assert_eq!(supervisors.len(), 2);
    flow.end();
}

#[test]
fn nodes_may_freeze_in_the_middle_of_it() {
    let plan = Plan { nimbuses: 1, supervisors: 3, ..Plan::on(Kind::Embedded) };
    let mut flow = Flow::with(ByHand::start(plan).unwrap(), Load { count: 10_000, ..Load::default() });
    let hand = &mut flow.cluster;
    let frozen: Vec<i32> = hand.supervisors[..2]
        .iter()
        .map(Daemon::pid)
        .flat_map(|supervisor| [vec![supervisor], hand.workers_of(supervisor)].concat())
        .collect();
    let before = hand.status("at-least-once")["assignmentVersion"].clone();
    let rebalance = hand.begin(&["rebalance", "at-least-once", "-n", "6", "-w", "3", "--wait"]);
    wait_until("it is accepted", || hand.status("at-least-once")["status"] == "REBALANCING");
    frozen.iter().for_each(|pid| signal(*pid, Signal::SIGSTOP));
    wait_until("it is placed anew", || hand.status("at-least-once")["assignmentVersion"] != before);
    wait_until("they are missed", || hand.storm(&["health"]).stdout.contains("silent"));
    frozen.iter().for_each(|pid| signal(*pid, Signal::SIGCONT));
    rebalance.end().ok();
    wait_until("six workers run", || hand.runs_with("at-least-once", 6));
    hand.wait_until_ready();
    flow.end();
}

/// Without a wait nothing drains, so what was on its way fails, and the answer says how much that was.
#[test]
fn without_a_wait_what_fails_is_what_it_says() {
    let load = Load { count: 30_000, rate: 3000, fail_rate: 0.0, ..Load::default() };
    let plan = Plan { nimbuses: 1, supervisors: 2, ..Plan::on(Kind::Embedded) };
    let flow = Flow::with(ByHand::start(plan).unwrap(), load);
    let mut moved = 0;
    for (number, workers) in [("6", 6), ("2", 2)] {
        flow.wait_for_more(1000);
        let said = flow.cluster.json(&["rebalance", "at-least-once", "-n", number, "-w", "0", "--wait"]);
        moved += said["moved"].as_u64().unwrap();
        assert!(flow.cluster.runs_with("at-least-once", workers), "{said}");
    }
    let (_, done) = flow.end_with();
    assert_eq!(done["failed"], moved, "what fails is told: {done}");
}
