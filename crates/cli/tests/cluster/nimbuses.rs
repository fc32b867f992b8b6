//! The leading Nimbus of two is lost in the middle of a command: its effect comes, once and in time, and
//! whoever gave it notices nothing.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::kit::{ByHand, Flow, Kind, Load, Plan, example, signal, wait_until, wait_within};

/// When the leader dies in the course of a submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A part of the binary has arrived.
    Uploading,
    /// It has the binary, and nobody else does.
    Stored,
    /// It has written the topology, and may have answered.
    Accepted,
}

#[test]
fn a_submit_goes_on_with_the_next_leader() {
    submits(Kind::Embedded, &[Moment::Uploading, Moment::Stored, Moment::Accepted]);
}

#[test]
fn deadlines_outlive_the_leader() {
    deadlines(Kind::Embedded);
}

#[test]
fn a_leader_that_ends_in_order_hands_over_at_once() {
    // A leader that was killed would be missed for this long.
    let session = Duration::from_secs(20);
    let plan = Plan { session_ms: 20_000, ..Plan::on(Kind::Embedded) };
    let mut flow = Flow::start(ByHand::start(plan).unwrap());
    let leader = flow.cluster.leader();
    flow.cluster.nimbuses[leader].signal(Signal::SIGTERM);
    wait_within(session / 2, "the other one leads", || flow.cluster.leads(1 - leader));
    flow.cluster.nimbuses[leader].end();
    flow.cluster.storm(&["deactivate", "at-least-once", "--wait"]).ok();
    flow.cluster.storm(&["activate", "at-least-once", "--wait"]).ok();
    // And back again.
    flow.cluster.nimbuses[leader].start_again();
    flow.cluster.wait_until_ready();
    flow.cluster.nimbuses[1 - leader].signal(Signal::SIGTERM);
    wait_within(session / 2, "the first one leads again", || flow.cluster.leads(leader));
    flow.end();
}

#[test]
fn what_was_counted_outlives_workers_leaders_and_supervisors() {
    let flow = Flow::start(ByHand::start(Plan::on(Kind::Embedded)).unwrap());
    // These lives have counted as well, and nobody reports of them any more.
    flow.worker_pids().into_iter().for_each(|pid| signal(pid, Signal::SIGKILL));
    let mut hand = flow.end();
    let executed = |hand: &ByHand| {
        let status = hand.status("at-least-once");
        let components = status["components"].as_array().unwrap().iter();
        let executed = components.map(|component| component["executed"].as_u64().unwrap());
        (status["isComplete"] == true).then(|| executed.sum::<u64>())
    };
    // Workers say that they are done a moment before they tell of their last tuples.
    let (mut counted, mut times) = (None, 0);
    wait_until("counts stand still", || {
        let now = executed(&hand);
        times = if now.is_some() && now == counted { times + 1 } else { 0 };
        counted = now;
        times == 50
    });
    let leader = hand.leader();
    hand.nimbuses[leader].kill();
    wait_until("the other one leads", || hand.leads(1 - leader));
    wait_until("it knows what was counted", || executed(&hand) == counted);
    hand.supervisors.iter_mut().for_each(|supervisor| {
        supervisor.end();
        supervisor.start_again();
    });
    hand.nimbuses[leader].start_again();
    hand.wait_until_ready();
    hand.nimbuses[1 - leader].kill();
    wait_until("the first one leads again", || hand.leads(leader));
    wait_until("it knows it, too", || executed(&hand) == counted);
}

/// Submits topologies whose leader dies at these moments.
pub(crate) fn submits(kind: Kind, moments: &[Moment]) {
    let Some(hand) = ByHand::start(Plan::on(kind)) else { return };
    let mut flow = Flow::with(hand, Load { count: 6000 * moments.len(), ..Load::default() });
    for moment in moments {
        let hand = &mut flow.cluster;
        let leader = hand.leader();
        let binary = another_binary(hand, *moment);
        let name = format!("{moment:?}").to_lowercase();
        let stored = hand.nimbuses[leader].log().matches("blob stored").count();
        let accepted = hand.nimbuses[leader].log().matches("command carried out").count();
        let submit = hand.begin(&[
            "--json",
            "submit",
            binary.to_str().unwrap(),
            "--name",
            &name,
            "--inactive",
            "--wait",
            "-c",
            "topology.workers=1",
        ]);
        let nimbus = &mut hand.nimbuses[leader];
        at_once("the moment", || match moment {
            Moment::Uploading => is_uploading(&nimbus.path("nimbus/blobs")),
            Moment::Stored => nimbus.log().matches("blob stored").count() > stored,
            Moment::Accepted => nimbus.log().matches("command carried out").count() > accepted,
        });
        nimbus.kill();
        // Who asks meanwhile gets an answer.
        let listed = hand.json(&["list"]);
        assert!(named(&listed, "at-least-once").len() == 1, "{listed}");
        let answer = submit.end().json();
        let listed = hand.json(&["list"]);
        let rows = named(&listed, &name);
        assert_eq!(rows.len(), 1, "{moment:?}: {listed}");
        assert_eq!((&rows[0]["id"], &rows[0]["status"]), (&answer["id"], &"INACTIVE".into()), "{moment:?}");
        assert!(hand.runs_with(&name, 1));
        hand.nimbuses[leader].start_again();
        hand.wait_until_ready();
    }
    let listed = flow.cluster.json(&["list"]);
    assert_eq!(listed["topologies"].as_array().unwrap().len(), 1 + moments.len(), "{listed}");
    flow.end();
}

/// A binary that no Nimbus has seen yet.
fn another_binary(hand: &ByHand, moment: Moment) -> PathBuf {
    let path = hand.path(&format!("random-digit-{moment:?}"));
    fs::copy(example("random-digit"), &path).unwrap();
    let mut file = fs::File::options().append(true).open(&path).unwrap();
    // Behind the end of an ELF file there may be anything.
    std::io::Write::write_all(&mut file, format!("{moment:?}").as_bytes()).unwrap();
    path
}

fn is_uploading(blobs: &std::path::Path) -> bool {
    let entries = fs::read_dir(blobs).into_iter().flatten().flatten();
    let parts = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".part-"));
    parts.filter_map(|entry| entry.metadata().ok()).any(|part| part.len() > 0)
}

/// Sees it as soon as it is so.
fn at_once(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + crate::kit::DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

fn named(list: &Value, name: &str) -> Vec<Value> {
    let all = list["topologies"].as_array().unwrap().iter();
    all.filter(|row| row["name"] == name).cloned().collect()
}

/// A kill and a rebalance wait for a worker that says nothing, while their leader dies.
pub(crate) fn deadlines(kind: Kind) {
    /// Longer than it takes until another one leads.
    const WAIT: &str = "10";
    let Some(hand) = ByHand::start(Plan::on(kind)) else { return };
    let mut flow = Flow::with(hand, Load { count: 10_000, ..Load::default() });
    let hand = &mut flow.cluster;
    let mut frozen = Vec::new();
    for name in ["ends", "moves"] {
        let patient = "topology.worker.timeout.secs=300";
        hand.submit("random-digit", &["--name", name, "-c", "topology.workers=1", "-c", patient], &[]);
        let pids = hand.worker_pids(name);
        signal(pids[0], Signal::SIGSTOP);
        frozen.extend(pids);
    }
    let ids = ["ends", "moves"].map(|name| hand.status(name)["id"].as_str().unwrap().to_owned());
    let leader = hand.leader();
    hand.storm(&["kill", "ends", "-w", WAIT]).ok();
    let mut rebalance = hand.begin(&["rebalance", "moves", "-w", WAIT, "-n", "2", "--wait"]);
    wait_until("both wait", || {
        ["ends", "moves"].iter().all(|name| hand.status(name)["pendingAction"].is_object())
    });
    let deadline =
        |hand: &ByHand, name| hand.status(name)["pendingAction"]["deadlineMs"].as_u64().unwrap_or_default();
    let before = ["ends", "moves"].map(|name| deadline(hand, name));
    hand.nimbuses[leader].kill();
    assert_eq!(hand.leader(), 1 - leader);
    for (name, before) in ["ends", "moves"].iter().zip(before) {
        let now = deadline(hand, name);
        assert!(now.abs_diff(before) < 500, "{name} was due at {before}, now at {now}");
    }
    wait_until("it is gone", || named(&hand.json(&["list"]), "ends").is_empty());
    assert!(now_ms() >= before[0], "not before its time");
    wait_until("the rebalance is done", || rebalance.has_ended());
    rebalance.end().ok();
    assert!(now_ms() >= before[1], "not before its time");
    assert_eq!(hand.status("moves")["workersTotal"], 2);
    for id in ids {
        let over = |line: &&str| line.contains("wait is over") && line.contains(&id);
        let times: usize = hand.nimbuses.iter().map(|nimbus| nimbus.log().lines().filter(over).count()).sum();
        assert_eq!(times, 1, "{id}");
    }
    wait_until("the workers that were frozen are gone", || {
        frozen.iter().all(|pid| !crate::kit::is_alive(*pid))
    });
    flow.end();
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
