//! The essential of it on the real ZooKeeper.

use nix::sys::signal::Signal;

use crate::kit::{ByHand, Flow, Kind, Load, Plan, signal, wait_until};
use crate::nimbuses::{self, Moment};
use crate::zookeeper_away;

#[test]
fn a_topology_runs_and_its_worker_comes_back() {
    let Some(hand) = ByHand::start(Plan::on(Kind::Real)) else { return };
    let flow = Flow::start(hand);
    let victim = *flow.worker_pids().first().unwrap();
    signal(victim, Signal::SIGKILL);
    wait_until("all workers run again", || {
        flow.cluster.runs_with("at-least-once", 3) && !flow.worker_pids().contains(&victim)
    });
    let hand = flow.end();
    hand.storm(&["kill", "at-least-once", "--wait"]).ok();
    assert_eq!(hand.json(&["list"])["topologies"].as_array().unwrap().len(), 0);
}

#[test]
fn a_submit_goes_on_with_the_next_leader() {
    nimbuses::submits(Kind::Real, &[Moment::Accepted]);
}

#[test]
fn deadlines_outlive_the_leader() {
    nimbuses::deadlines(Kind::Real);
}

#[test]
fn nothing_stops_while_zookeeper_is_away() {
    zookeeper_away::away(Kind::Real);
}

#[test]
fn an_ensemble_may_lose_its_leader() {
    let Some(hand) = ByHand::start(Plan::on(Kind::Ensemble)) else { return };
    let mut flow = Flow::with(hand, Load { count: 10_000, ..Load::default() });
    let workers = flow.worker_pids();
    flow.cluster.zookeeper.kill_leader();
    flow.cluster.submit("random-digit", &["--name", "digits", "-c", "topology.workers=1"], &[]);
    let leader = flow.cluster.leader();
    flow.cluster.nimbuses[leader].kill();
    assert_eq!(flow.cluster.leader(), 1 - leader);
    flow.cluster.storm(&["kill", "digits", "-w", "1", "--wait"]).ok();
    flow.cluster.zookeeper.start_again();
    wait_until("all workers are known", || flow.cluster.runs_with("at-least-once", 3));
    assert_eq!(flow.worker_pids(), workers, "nothing was stopped");
    flow.end();
}
