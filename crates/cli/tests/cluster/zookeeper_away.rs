//! ZooKeeper is away: nothing stops, nothing is deleted, and afterwards all goes on.

use std::time::{Duration, Instant};

use crate::kit::{ByHand, Flow, Kind, Load, Plan, wait_until};

#[test]
fn nothing_stops_while_zookeeper_is_away() {
    away(Kind::Embedded);
}

/// ZooKeeper is restarted, and then down for longer than all sessions last.
pub(crate) fn away(kind: Kind) {
    let plan = Plan::on(kind);
    let Some(hand) = ByHand::start(plan) else { return };
    let mut flow = Flow::with(hand, Load { count: 12_000, ..Load::default() });
    let workers = flow.worker_pids();
    let id = flow.cluster.status("at-least-once")["id"].clone();

    flow.cluster.zookeeper.kill();
    flow.cluster.zookeeper.start_again();
    flow.cluster.wait_until_ready();

    let since = Instant::now();
    flow.cluster.zookeeper.kill();
    flow.wait_for_more(1000);
    let all_sessions = Duration::from_millis(plan.session_ms) * 2;
    wait_until("all sessions are over", || since.elapsed() > all_sessions);
    assert_eq!(flow.cluster.storm(&["health"]).code, 1, "it is told");
    flow.cluster.zookeeper.start_again();
    flow.cluster.wait_until_ready();
    let hand = &flow.cluster;
    let list = hand.json(&["list"]);
    assert_eq!(list["topologies"][0]["id"], id, "nothing is deleted: {list}");
    assert_eq!(list["topologies"][0]["status"], "ACTIVE");

    hand.submit("random-digit", &["--name", "digits", "-c", "topology.workers=1"], &[]);
    hand.storm(&["kill", "digits", "-w", "1", "--wait"]).ok();
    wait_until("all workers are known", || hand.runs_with("at-least-once", 3));
    assert_eq!(flow.worker_pids(), workers, "nothing was stopped");
    flow.end();
}
