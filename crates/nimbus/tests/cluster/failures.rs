//! What happens when machines, leaders or ZooKeeper fail.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use super::common::*;
use sha2::Digest as _;
use storm_cluster::Snapshot;
use storm_model::Status;

/// Who leads, by port.
async fn leader(cluster: &storm_cluster::Cluster, fits: impl Fn(u16) -> bool) -> u16 {
    let mut watch = cluster.watch_leader();
    let fitting = watch.wait_for(|snapshot| snapshot.present().is_some_and(|leader| fits(leader.value.port)));
    let snapshot = tokio::time::timeout(SOON, fitting).await.expect("a leader").unwrap();
    snapshot.present().unwrap().value.port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_supervisors_work_is_moved_and_most_silent_ones_is_not() {
    let zoo = Zoo::start().await;
    let nimbus = Nimbus::start(zoo.address(), &zoo.directory.path().join("n")).await;
    let (calls, cluster) = (nimbus.calls(), zoo.client().await);
    let mut supervisors = Vec::new();
    for id in ["a", "b", "c"] {
        supervisors.push(Supervisor::start(&zoo, calls.clone(), id, 2).await);
    }
    let (id, before) = submit(&cluster, &calls, "words", 3).await;
    assert_eq!(supervisors_of(&before), ["a", "b", "c"].into());
    supervisors[0].fall_silent();
    let after = assignment(&cluster, &id, |assignment| !supervisors_of(assignment).contains("a")).await;
    assert_eq!(after.workers.len(), 3);
    let kept = after.workers.iter().filter(|worker| before.workers.contains(worker)).count();
    assert_eq!(kept, 2, "the others keep their incarnations");
    let seen = calls.get_cluster().await.unwrap();
    assert!(seen.supervisors.iter().any(|supervisor| supervisor.id == "a" && supervisor.is_silent));

    // Now the other two at once: two of three.
    supervisors[1].fall_silent();
    supervisors[2].fall_silent();
    let health = health(&calls, |health| health.problems.iter().any(|p| p.contains("silent together"))).await;
    assert!(!health.is_healthy);
    let page = page(&calls, "words", |page| page.explanation.contains("silent together")).await;
    assert_eq!(page.assignment_version, after.version);
    nimbus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_fails_again_and_again_is_given_to_another_supervisor() {
    let zoo = Zoo::start().await;
    let nimbus = Nimbus::start(zoo.address(), &zoo.directory.path().join("n")).await;
    let (calls, cluster) = (nimbus.calls(), zoo.client().await);
    let a = Supervisor::start(&zoo, calls.clone(), "a", 2).await;
    let (id, before) = submit(&cluster, &calls, "words", 1).await;
    assert_eq!(supervisors_of(&before), ["a"].into());
    a.manner.lock().unwrap().recent_failures = 3;
    let _b = Supervisor::start(&zoo, calls.clone(), "b", 2).await;
    let after = assignment(&cluster, &id, |assignment| supervisors_of(assignment).contains("b")).await;
    assert_eq!(after.workers.len(), 1);
    nimbus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_passes_calls_on_and_keeps_a_copy() {
    let zoo = Zoo::start().await;
    let first = Nimbus::start(zoo.address(), &zoo.directory.path().join("n1")).await;
    let cluster = zoo.client().await;
    leader(&cluster, |port| port == first.port).await;
    let second = Nimbus::start(zoo.address(), &zoo.directory.path().join("n2")).await;
    let mut nimbuses = cluster.watch_nimbuses();
    let both = nimbuses.wait_for(|all| all.present().is_some_and(|all| all.len() == 2));
    tokio::time::timeout(SOON, both).await.unwrap().unwrap();
    let follower = calls([second.port]);
    let _supervisor = Supervisor::start(&zoo, follower.clone(), "a", 2).await;
    let request = submission(&follower, "words", 1).await;
    let reply = follower.submit(&request).await.unwrap();
    assert!(reply.notes.is_empty(), "{:?}", reply.notes);
    let digest = request.binary.unwrap().digest;
    for directory in ["n1", "n2"] {
        let blob = zoo.directory.path().join(directory).join("nimbus/blobs").join(&digest);
        assert!(blob.is_file(), "the binary is on {directory}");
    }
    page(&follower, "words", |page| page.is_settled).await;
    assert_eq!(follower.health().await.unwrap().role, "follower");
    assert_eq!(u32::from(first.port), follower.leader().await.unwrap().port);

    // The leader loses its copy: it comes back from the follower.
    first.stop().await;
    std::fs::remove_dir_all(zoo.directory.path().join("n1")).unwrap();
    leader(&cluster, |port| port == second.port).await;
    let third = Nimbus::start(zoo.address(), &zoo.directory.path().join("n1")).await;
    health(&calls([third.port]), |health| health.is_healthy).await;
    assert!(zoo.directory.path().join("n1/nimbus/blobs").join(&digest).is_file());
    third.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_leader_goes_on_with_a_kill_and_a_rebalance() {
    let zoo = Zoo::start().await;
    let proxy = Proxy::start(zoo.address()).await;
    let first = Nimbus::start(proxy.address, &zoo.directory.path().join("n1")).await;
    let cluster = zoo.client().await;
    leader(&cluster, |port| port == first.port).await;
    let second = Nimbus::start(zoo.address(), &zoo.directory.path().join("n2")).await;
    let both = calls([first.port, second.port]);
    let supervisor = Supervisor::start(&zoo, both.clone(), "a", 4).await;
    supervisor.manner.lock().unwrap().is_quiet = false;
    let (killed, _) = submit(&cluster, &both, "killed", 1).await;
    let (spread, _) = submit(&cluster, &both, "spread", 1).await;
    both.kill(&kill("killed", 3600)).await.unwrap();
    let mut request = rebalance("spread", 3600);
    request.workers = Some(2);
    both.rebalance(&request).await.unwrap();
    let begun = cluster.topology(&killed).await.unwrap().unwrap().value.pending.unwrap();

    proxy.cut();
    leader(&cluster, |port| port == second.port).await;
    let after = calls([second.port]);
    let page = page(&after, "killed", |page| page.pending_action.is_some()).await;
    let deadline = page.pending_action.unwrap().deadline_ms;
    let wanted = begun.started_ms + 3_600_000;
    assert!(deadline.abs_diff(wanted) < 20_000, "{deadline} is not near {wanted}");
    let again = after.rebalance(&request).await.unwrap();
    assert_eq!(again.topology_id, spread.to_string(), "the command is known");

    supervisor.manner.lock().unwrap().is_quiet = true;
    gone(&cluster, &killed).await;
    assignment(&cluster, &spread, |assignment| assignment.workers.len() == 2).await;
    let record = cluster.topology(&spread).await.unwrap().unwrap().value;
    assert_eq!(record.status, Status::Active);
    second.stop().await;
    drop(first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_another_cluster_nothing_is_deleted_or_changed() {
    let zoo = Zoo::start().await;
    let directory = zoo.directory.path().join("n");
    let nimbus = Nimbus::start(zoo.address(), &directory).await;
    let (calls, cluster) = (nimbus.calls(), zoo.client().await);
    let supervisor = Supervisor::start(&zoo, calls.clone(), "a", 2).await;
    supervisor.manner.lock().unwrap().is_quiet = false;
    let (id, _) = submit(&cluster, &calls, "words", 1).await;
    calls.kill(&kill("words", 2)).await.unwrap();
    nimbus.stop().await;

    std::fs::write(directory.join("nimbus/cluster-id"), "another\n").unwrap();
    let unused = directory.join("nimbus/blobs").join("0".repeat(64));
    std::fs::write(&unused, "unused").unwrap();
    let nimbus = Nimbus::start_with(zoo.address(), &directory, |options| {
        options.blob_deletion_delay = Duration::ZERO;
    })
    .await;
    let calls = nimbus.calls();
    let health = health(&calls, |health| health.problems.iter().any(|p| p.contains("another"))).await;
    assert!(!health.is_healthy);
    // Its time is over by far when the clock of its page says so.
    page(&calls, "words", |page| {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
        u128::from(page.pending_action.as_ref().unwrap().deadline_ms) <= now
    })
    .await;
    let refused = calls.kill(&kill("words", 0)).await.unwrap_err();
    assert!(refused.message.contains("nothing can be changed now"), "{refused}");
    assert!(matches!(
        cluster.watch_topology(&id).wait_for(|s| !s.is_unknown()).await,
        Ok(Snapshot::Present(_))
    ));
    assert!(cluster.assignment(&id).await.unwrap().is_some());
    assert!(unused.is_file());
    nimbus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_zookeeper_is_away_nothing_changes() {
    let zoo = Zoo::start().await;
    let nimbus = Nimbus::start(zoo.address(), &zoo.directory.path().join("n")).await;
    let (calls, cluster) = (nimbus.calls(), zoo.client().await);
    let mut supervisors = Vec::new();
    for id in ["a", "b", "c"] {
        supervisors.push(Supervisor::start(&zoo, calls.clone(), id, 2).await);
    }
    let (id, before) = submit(&cluster, &calls, "words", 3).await;
    let stopped = zoo.stop().await;
    let seen = health(&calls, |health| !health.is_healthy).await;
    assert!(seen.problems[0].contains("no connection to ZooKeeper"), "{:?}", seen.problems);
    supervisors[0].fall_silent();
    let zoo = Zoo::start_again(stopped, false).await;
    // Silence counts from now on, as long as ever.
    let after = assignment(&cluster, &id, |assignment| !supervisors_of(assignment).contains("a")).await;
    assert!(after.version > before.version);
    calls.kill(&kill("words", 3600)).await.unwrap();
    gone(&cluster, &id).await;
    nimbus.stop().await;
    drop(zoo);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_zookeeper_is_no_reason_to_forget_anything() {
    let zoo = Zoo::start().await;
    let directory = zoo.directory.path().join("n");
    let nimbus = Nimbus::start(zoo.address(), &directory).await;
    let (calls, cluster) = (nimbus.calls(), zoo.client().await);
    let supervisor = Supervisor::start(&zoo, calls.clone(), "a", 2).await;
    submit(&cluster, &calls, "words", 1).await;
    nimbus.stop().await;
    // This one deletes at once what nobody uses: what is uploaded, too, so the other one has the same binary.
    let nimbus = Nimbus::start_with(zoo.address(), &directory, |options| {
        options.blob_deletion_delay = Duration::ZERO;
    })
    .await;
    let calls = nimbus.calls();
    let request =
        storm_rpc::v1::SubmitRequest { name: "other".to_owned(), ..submission(&calls, "words", 1).await };
    let stopped = zoo.stop().await;
    let zoo = Zoo::start_again(stopped, true).await;
    health(&calls, |health| health.problems.iter().any(|problem| problem.contains("has forgotten"))).await;
    let refused = calls.submit(&request).await.unwrap_err();
    assert!(refused.message.contains("nothing can be changed now"), "{refused}");
    let digest = storm_rpc::launch::hex(&sha2::Sha256::digest("#!/bin/true words"));
    assert!(zoo.directory.path().join("n/nimbus/blobs").join(digest).is_file());
    assert_eq!(cluster.cluster_id().await.unwrap(), None);
    drop(supervisor);
    nimbus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_zookeeper_blocks_a_write_questions_are_answered() {
    let zoo = Zoo::start().await;
    let proxy = Proxy::start(zoo.address()).await;
    let nimbus = Nimbus::start(proxy.address, &zoo.directory.path().join("n")).await;
    let (calls, cluster) = (nimbus.calls(), zoo.client().await);
    let supervisor = Supervisor::start(&zoo, calls.clone(), "a", 2).await;
    submit(&cluster, &calls, "words", 1).await;
    page(&calls, "words", |page| page.is_settled).await;
    proxy.stall();
    let blocked = tokio::spawn({
        let calls = calls.clone();
        async move { calls.deactivate(&topology_command("words")).await }
    });
    // Some of these come while the write waits.
    for _ in 0..5 {
        tokio::task::yield_now().await;
        let list = tokio::time::timeout(Duration::from_millis(500), calls.list_topologies()).await;
        let list = list.expect("an answer, although ZooKeeper gives none").unwrap();
        assert_eq!(list.topologies[0].name, "words");
        if blocked.is_finished() {
            panic!("the write was not blocked");
        }
    }
    blocked.abort();
    drop(supervisor);
    nimbus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nimbus_ends_soon_although_zookeeper_is_gone() {
    let zoo = Zoo::start().await;
    let nimbus = Nimbus::start(zoo.address(), &zoo.directory.path().join("n")).await;
    let calls = nimbus.calls();
    health(&calls, |health| health.is_healthy).await;
    let _stopped = zoo.stop().await;
    health(&calls, |health| !health.is_healthy).await;
    let begun = std::time::Instant::now();
    nimbus.stop().await;
    // `dev` ends everything within ten seconds.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

/// What no storm-rs has written.
#[derive(Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Garbage;

impl storm_cluster::Record for Garbage {
    const KIND: &'static str = "garbage";

    fn encode(&self) -> Vec<u8> {
        b"{\"version\":1,\"assignm\xff".to_vec()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assignment_that_cannot_be_read_stops_nobody_else() {
    let zoo = Zoo::start().await;
    let first = Nimbus::start(zoo.address(), &zoo.directory.path().join("n1")).await;
    let cluster = zoo.client().await;
    leader(&cluster, |port| port == first.port).await;
    let second = Nimbus::start(zoo.address(), &zoo.directory.path().join("n2")).await;
    let both = calls([first.port, second.port]);
    let _supervisor = Supervisor::start(&zoo, both.clone(), "a", 4).await;
    let (id, before) = submit(&cluster, &both, "words", 1).await;
    let (other, _) = submit(&cluster, &both, "other", 1).await;
    page(&both, "words", |page| page.is_settled).await;
    let path = cluster.paths().assignment(&id);
    let garble = async || {
        let version = cluster.assignment(&id).await.unwrap().unwrap().version;
        let mut transaction = cluster.transaction();
        transaction.set(&path, &Garbage, version);
        cluster.multi(&transaction).await.unwrap();
    };

    // This leader has seen where it runs.
    garble().await;
    health(&both, |health| health.problems.iter().any(|problem| problem.contains(&path))).await;
    assert_eq!(both.list_topologies().await.unwrap().topologies.len(), 2);
    let told = page(&both, "words", |page| !page.errors.is_empty()).await;
    for text in [&told.errors[0].message, &told.explanation] {
        assert!(text.contains(&path) && text.contains("`storm-rs rebalance words`"), "{text}");
    }
    assert_eq!(told.workers.len(), 1);
    both.kill(&kill("other", 0)).await.unwrap();
    gone(&cluster, &other).await;
    both.deactivate(&topology_command("words")).await.unwrap();
    both.activate(&topology_command("words")).await.unwrap();

    // This one has not.
    first.stop().await;
    leader(&cluster, |port| port == second.port).await;
    let (_, third) = submit(&cluster, &both, "third", 1).await;
    assert_ne!(third.workers[0].slot, before.workers[0].slot, "there it runs");
    both.rebalance(&rebalance("words", 0)).await.unwrap();
    let after = assignment(&cluster, &id, |_| true).await;
    assert!(after.version > before.version && after.workers[0].number > before.workers[0].number);
    garble().await;
    health(&both, |health| health.problems.iter().any(|problem| problem.contains(&path))).await;
    both.kill(&kill("words", 0)).await.unwrap();
    gone(&cluster, &id).await;
    assert!(cluster.assignments().await.unwrap().keys().all(|left| *left != id));
    second.stop().await;
}
