//! One Nimbus, one ZooKeeper, pretended supervisors: what commands do.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use super::common::*;
use storm_model::Status;
use storm_rpc::client::Token;
use storm_rpc::nimbus_client::{Patience, command_id};
use storm_rpc::{ErrorCode, Nimbuses, Secret, v1};

struct One {
    zoo: Zoo,
    nimbus: Nimbus,
    calls: Nimbuses,
    cluster: storm_cluster::Cluster,
}

async fn one() -> One {
    let zoo = Zoo::start().await;
    let nimbus = Nimbus::start(zoo.address(), &zoo.directory.path().join("n1")).await;
    let cluster = zoo.client().await;
    One { calls: nimbus.calls(), zoo, nimbus, cluster }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submitted_topology_is_placed_and_seen() {
    let one = one().await;
    let _supervisor = Supervisor::start(&one.zoo, one.calls.clone(), "a", 4).await;
    let request = submission(&one.calls, "words", 2).await;
    let reply = one.calls.submit(&request).await.unwrap();
    let id = reply.topology_id.as_str().into();
    let assignment = assignment(&one.cluster, &id, |a| a.workers.len() == 2).await;
    assert_eq!(assignment.workers.iter().map(|w| w.executors.len()).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(assignment.workers.iter().map(|w| w.number).collect::<Vec<_>>(), [1, 2]);

    // The same command again has the same answer and no effect.
    let again = one.calls.submit(&request).await.unwrap();
    assert_eq!(again.topology_id, reply.topology_id);
    let taken = v1::SubmitRequest { command_id: command_id(), ..request.clone() };
    assert_eq!(one.calls.submit(&taken).await.unwrap_err().code, ErrorCode::NameTaken);

    let page = page(&one.calls, "words", |page| page.is_settled).await;
    assert_eq!(page.explanation, "2 of 2 workers placed");
    assert_eq!(page.workers.iter().map(|w| w.state()).collect::<Vec<_>>(), [v1::WorkerState::Running; 2]);
    let config: serde_json::Value = serde_json::from_slice(&page.config).unwrap();
    assert_eq!((&config["topology.workers"], &config["my.key"]), (&2.into(), &serde_json::json!([1])));
    let list = one.calls.list_topologies().await.unwrap();
    let summary = &list.topologies[0];
    assert_eq!((&*summary.name, summary.status()), ("words", v1::TopologyState::Active));
    assert_eq!((summary.executors_total, summary.tasks_total, summary.unplaced_executors), (4, 6, 0));
    let cluster = one.calls.get_cluster().await.unwrap();
    assert_eq!(cluster.supervisors[0].used_slots, [6700, 6701]);
    assert!(cluster.nimbuses[0].is_leader && !cluster.cluster_id.is_empty());
    assert_eq!(health(&one.calls, |health| health.is_healthy).await.role, "leader");

    // All that matters outlives the Nimbus.
    one.nimbus.stop().await;
    let next = Nimbus::start(one.zoo.address(), &one.zoo.directory.path().join("n2")).await;
    let list = next.calls().list_topologies().await.unwrap();
    assert_eq!(list.topologies[0].id, reply.topology_id);
    let again = next.calls().submit(&request).await.unwrap();
    assert_eq!(again.topology_id, reply.topology_id, "the command is known to the next leader");
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_run_is_refused_in_words() {
    let one = one().await;
    let _supervisor = Supervisor::start(&one.zoo, one.calls.clone(), "a", 1).await;
    health(&one.calls, |health| health.is_healthy).await;
    let good = submission(&one.calls, "words", 1).await;
    let submit = |change: fn(&mut v1::SubmitRequest)| {
        let mut request = v1::SubmitRequest { command_id: command_id(), ..good.clone() };
        change(&mut request);
        let calls = one.calls.clone();
        async move { calls.submit(&request).await.unwrap_err() }
    };
    for (error, words) in [
        (submit(|r| r.name = "a/b".into()).await, "'a/b' cannot be the name of a topology: it contains '/'"),
        (submit(|r| r.name = String::new()).await, "it is empty"),
        (
            submit(|r| r.arch = "aarch64".into()).await,
            "no supervisor can run this binary: host-a: built for aarch64",
        ),
        (submit(|r| r.glibc = "2.99".into()).await, "needs glibc 2.99, the machine has 2.36"),
        (submit(|r| r.contract = 99).await, "version 99 of the contract"),
        (submit(|r| r.spec = b"{}".to_vec()).await, "the description of the topology is none"),
        (submit(|r| r.spec = br#"{"components":{}}"#.to_vec()).await, "the topology has no spout"),
        (
            submit(|r| r.config = br#"{"topology.wrokers":3}"#.to_vec()).await,
            "did you mean 'topology.workers'?",
        ),
        (submit(|r| r.binary.as_mut().unwrap().digest = "0".repeat(64)).await, "is not here"),
    ] {
        assert_eq!(error.code, ErrorCode::Invalid, "{error}");
        assert!(error.message.contains(words), "{error}");
    }
    assert!(one.calls.list_topologies().await.unwrap().topologies.is_empty());
    let none = one.calls.kill(&kill("nobody", 0)).await.unwrap_err();
    assert_eq!(none.code, ErrorCode::NoSuchTopology);
    one.nimbus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topology_is_deactivated_and_activated() {
    let one = one().await;
    let _supervisor = Supervisor::start(&one.zoo, one.calls.clone(), "a", 2).await;
    let (id, before) = submit(&one.cluster, &one.calls, "words", 1).await;
    one.calls.deactivate(&topology_command("words")).await.unwrap();
    let page = page(&one.calls, "words", |page| page.is_settled).await;
    assert_eq!(page.summary.unwrap().status(), v1::TopologyState::Inactive);
    one.calls.activate(&topology_command("words")).await.unwrap();
    let again = one.calls.activate(&topology_command("words")).await.unwrap();
    assert_eq!(again.notes, ["it is ACTIVE already"]);
    let record = one.cluster.topology(&id).await.unwrap().unwrap();
    assert_eq!(record.value.status, Status::Active);
    assert_eq!(assignment(&one.cluster, &id, |_| true).await, before, "nobody was restarted");
    one.nimbus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_topology_goes_as_soon_as_it_is_quiet() {
    let one = one().await;
    let _supervisor = Supervisor::start(&one.zoo, one.calls.clone(), "a", 2).await;
    let (id, before) = submit(&one.cluster, &one.calls, "words", 2).await;
    one.calls.kill(&kill("words", 3600)).await.unwrap();
    gone(&one.cluster, &id).await;
    assert_eq!(one.cluster.assignment(&id).await.unwrap(), None);
    // A worker whose supervisor is away hears of it from Nimbus.
    let orphan = v1::WorkerReport {
        topology_id: id.to_string(),
        slot: Some((&before.workers[0].slot).into()),
        ..v1::WorkerReport::default()
    };
    let reply = one.calls.report_worker(&orphan).await.unwrap();
    let newest = reply.assignment.clone().unwrap();
    assert_eq!((reply.state(), newest.workers.len()), (v1::TopologyState::Killed, 0));
    assert!(newest.version > before.version);
    assert_eq!(one.cluster.tombstone(&id).await.unwrap().unwrap().value.name, "words");
    assert!(one.calls.list_topologies().await.unwrap().topologies.is_empty());
    submit(&one.cluster, &one.calls, "words", 1).await;
    one.nimbus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topology_that_is_never_quiet_goes_when_its_time_is_over() {
    let one = one().await;
    let supervisor = Supervisor::start(&one.zoo, one.calls.clone(), "a", 2).await;
    supervisor.manner.lock().unwrap().is_quiet = false;
    let (id, _) = submit(&one.cluster, &one.calls, "words", 2).await;
    let report = v1::SupervisorReport { supervisor_id: "b".into(), ..v1::SupervisorReport::default() };
    assert_eq!(one.calls.report_supervisor(&report).await.unwrap().report_every_ms, 1000);
    one.calls.kill(&kill("words", 3600)).await.unwrap();
    let quick = one.calls.report_supervisor(&report).await.unwrap().report_every_ms;
    assert_eq!(quick, 50, "the end of a drain is found out from reports");
    let page = page(&one.calls, "words", |_| true).await;
    assert_eq!(page.pending_action.unwrap().kind, "kill");
    let refused = one.calls.activate(&topology_command("words")).await.unwrap_err();
    assert_eq!(refused.message, "topology 'words' is being killed");
    let sooner = one.calls.kill(&kill("words", 1)).await.unwrap();
    assert_eq!(sooner.notes, ["it was being killed already: now within 1 s"]);
    gone(&one.cluster, &id).await;
    one.nimbus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebalance_changes_workers_and_executors() {
    let one = one().await;
    let supervisor = Supervisor::start(&one.zoo, one.calls.clone(), "a", 4).await;
    supervisor.manner.lock().unwrap().moved = 3;
    let (id, before) = submit(&one.cluster, &one.calls, "words", 1).await;

    let unknown = v1::RebalanceRequest { executors: [("nobody".into(), 1)].into(), ..rebalance("words", 60) };
    let error = one.calls.rebalance(&unknown).await.unwrap_err();
    assert_eq!(error.message, "there is no component 'nobody' in topology 'words'; there are: count, words");
    let none = v1::RebalanceRequest { executors: [("count".into(), 0)].into(), ..rebalance("words", 60) };
    assert!(one.calls.rebalance(&none).await.unwrap_err().message.contains("must be greater than 0"));
    let many = v1::RebalanceRequest { executors: [("words".into(), 5)].into(), ..rebalance("words", 60) };
    assert!(one.calls.rebalance(&many).await.unwrap_err().message.contains("5 executors but only 4 tasks"));

    let mut request = rebalance("", 3600);
    request.workers = Some(2);
    request.executors = [("words".into(), 4)].into();
    request.dry_run = true;
    let dry = one.calls.rebalance(&request).await.unwrap();
    assert_eq!((&*dry.name, dry.moves.is_empty()), ("words", false));
    assert_eq!(one.cluster.topology(&id).await.unwrap().unwrap().value.status, Status::Active);

    request.dry_run = false;
    let real = one.calls.rebalance(&request).await.unwrap();
    assert_eq!(real.moves, dry.moves);
    let after = assignment(&one.cluster, &id, |a| a.workers.len() == 2).await;
    assert!(after.version > before.version);
    assert_eq!(after.workers.iter().map(|w| w.executors.len()).sum::<usize>(), 6);
    assert!(after.workers.iter().all(|w| w.number > before.workers[0].number));
    let record = one.cluster.topology(&id).await.unwrap().unwrap().value;
    assert_eq!((record.status, record.workers, record.rebalances), (Status::Active, 2, 1));
    assert_eq!(record.pending, None);
    page(&one.calls, "words", |page| page.is_settled).await;
    one.nimbus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebalance_without_a_wait_says_what_moves() {
    let one = one().await;
    let supervisor = Supervisor::start(&one.zoo, one.calls.clone(), "a", 4).await;
    supervisor.manner.lock().unwrap().is_quiet = false;
    let (id, before) = submit(&one.cluster, &one.calls, "words", 1).await;
    page(&one.calls, "words", |page| page.is_settled).await;
    let request = v1::RebalanceRequest { workers: Some(3), ..rebalance("words", 0) };
    let said = one.calls.rebalance(&request).await.unwrap();
    let after = assignment(&one.cluster, &id, |assignment| assignment.workers.len() == 3).await;
    let homes = |assignment: &storm_model::Assignment| -> BTreeMap<u32, String> {
        let of = |worker: &storm_model::WorkerAssignment| {
            let home = format!("{}:{}", worker.host, worker.slot.port);
            let executors = worker.executors.clone().into_iter();
            executors.map(move |executor| (executor.executor.first.0, home.clone())).collect::<Vec<_>>()
        };
        assignment.workers.iter().flat_map(of).collect()
    };
    let (before, after) = (homes(&before), homes(&after));
    let moved: BTreeMap<u32, (&String, &String)> = before
        .iter()
        .map(|(task, from)| (*task, (from, &after[task])))
        .filter(|(_, (from, to))| from != to)
        .collect();
    assert!(!moved.is_empty() && moved.len() < before.len(), "some stay: {moved:?}");
    let told = said.moves.iter().map(|told| {
        let executor = told.executor.as_ref().unwrap();
        (executor.first_task, (&told.from, &told.to))
    });
    assert_eq!(told.collect::<BTreeMap<_, _>>(), moved);
    assert_eq!(said.moves.len(), moved.len(), "each once");
    one.nimbus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_ends_a_rebalance() {
    let one = one().await;
    let supervisor = Supervisor::start(&one.zoo, one.calls.clone(), "a", 4).await;
    supervisor.manner.lock().unwrap().is_quiet = false;
    let (id, before) = submit(&one.cluster, &one.calls, "words", 1).await;
    one.calls
        .rebalance(&v1::RebalanceRequest { workers: Some(2), ..rebalance("words", 3600) })
        .await
        .unwrap();
    let refused = one.calls.rebalance(&rebalance("words", 0)).await.unwrap_err();
    assert_eq!(refused.message, "topology 'words' is being rebalanced");
    let killed = one.calls.kill(&kill("words", 1)).await.unwrap();
    assert_eq!(killed.notes, ["its rebalance is off"]);
    assert_eq!(assignment(&one.cluster, &id, |_| true).await, before);
    gone(&one.cluster, &id).await;
    one.nimbus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_secret_nobody_is_let_in() {
    let one = one().await;
    let patience = Patience::default();
    let address = [format!("127.0.0.1:{}", one.nimbus.port)];
    let stranger = Nimbuses::new(&address, &Token::daemon(&Secret::new("other")), patience).unwrap();
    assert_eq!(stranger.list_topologies().await.unwrap_err().code, ErrorCode::NotAuthenticated);
    let life = storm_model::Incarnation { number: 1, restarts: 0 };
    let token = Secret::new(SECRET).worker_token(&"w-1-1".into(), life);
    let worker = Nimbuses::new(&address, &Token::new(&token), patience).unwrap();
    assert_eq!(worker.kill(&kill("w", 0)).await.unwrap_err().code, ErrorCode::NotAuthenticated);
    let mut report = v1::WorkerReport { topology_id: "other-1-1".into(), ..v1::WorkerReport::default() };
    report.incarnation = Some(life.into());
    assert_eq!(worker.report_worker(&report).await.unwrap_err().code, ErrorCode::NotAuthenticated);
    report.topology_id = "w-1-1".into();
    assert_eq!(worker.report_worker(&report).await.unwrap_err().code, ErrorCode::NoSuchTopology);
    one.nimbus.stop().await;
}
