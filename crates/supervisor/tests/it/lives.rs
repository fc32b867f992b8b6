//! How workers live and die.

use nix::sys::signal::Signal;
use storm_model::{Incarnation, Status};
use storm_rpc::v1::WorkerState;
use storm_rpc::v1::worker_order::Order;

use crate::fake_nimbus::Told;
use crate::land::{Land, PORT, PORTS, WORDS, ended, is_alive, signal, workers_below};

#[tokio::test]
async fn what_is_assigned_runs_until_it_is_withdrawn() {
    let land = Land::with_worker("").await;
    let record = land.cluster.paths().supervisor(&land.id());
    let mut registered = land.cluster.watch_node::<storm_cluster::SupervisorRecord>(&record);
    let registered = registered.wait_for(|snapshot| snapshot.present().is_some()).await.unwrap();
    let registered = registered.present().unwrap().value.clone();
    assert_eq!((registered.slots, registered.rpc_port), (land.options.slots.clone(), land.options.rpc_port));

    let slot = land.nimbus.running(PORT).await;
    assert!(is_alive(slot.pid));
    assert_eq!((slot.topology_id.as_str(), slot.problem.as_str()), (WORDS, ""));
    let error = |told: &Told| told.workers.iter().find_map(|w| w.errors.first().cloned());
    assert_eq!(land.nimbus.told("an error was reported", error).await.message, "a small one");
    let log = std::fs::read_to_string(land.log()).unwrap();
    let directory = std::fs::canonicalize(land.worker_dir()).unwrap();
    let first = format!("arguments: --lines 7; greeting: good morning; in: {}\n", directory.display());
    assert!(log.starts_with(&first), "{log}");

    land.assign(WORDS, 2, None).await;
    land.nimbus.empty(PORT).await;
    assert!(!is_alive(slot.pid));
    assert!(land.worker_dir().exists(), "only a tombstone deletes");
}

#[tokio::test]
async fn a_killed_worker_is_back_at_once_with_the_next_number() {
    let land = Land::with_worker("").await;
    let slot = land.nimbus.running(PORT).await;
    let killed = std::time::Instant::now();
    signal(slot.pid, Signal::SIGKILL);
    let next = land.nimbus.life(PORT, 1, 1).await;
    println!("killed to running again: {:?}", killed.elapsed());
    assert_ne!(next.pid, slot.pid);
    assert_eq!((next.recent_failures, next.problem.as_str()), (1, ""));
    assert_eq!(land.nimbus.downloads(), 1);
}

#[tokio::test]
async fn a_crash_loop_backs_off_and_says_so() {
    let land = Land::with_worker("crash").await;
    let slot = land
        .nimbus
        .told("it backs off", |told| {
            let slot = told.slot(PORT)?;
            (slot.state() == WorkerState::BackingOff && slot.recent_failures >= 3).then(|| slot.clone())
        })
        .await;
    assert_eq!(slot.problem, "has ended with exit code 7: about to crash");
    let health = land.calls().health().await.unwrap();
    assert_eq!(health.problems, ["port 6700: has ended with exit code 7: about to crash"]);
    let error = |told: &Told| told.workers.iter().find_map(|worker| worker.errors.first().cloned());
    let error = land.nimbus.told("an error was reported", error).await;
    assert_eq!((error.kind.as_str(), error.port), ("exit", PORT));
    assert_eq!(error.message, "the worker has ended with exit code 7: about to crash");
}

#[tokio::test]
async fn a_frozen_worker_is_replaced() {
    let mut land = Land::new().await;
    land.options.silence_timeout = std::time::Duration::from_secs(2);
    land.start().await;
    land.submit(WORDS, "").await;
    land.assign(WORDS, 1, Some(1)).await;
    let slot = land.nimbus.running(PORT).await;
    signal(slot.pid, Signal::SIGSTOP);
    land.nimbus.life(PORT, 1, 1).await;
    assert!(!is_alive(slot.pid));
}

#[tokio::test]
async fn a_frozen_worker_is_replaced_while_others_talk_all_the_time() {
    let mut land = Land::new().await;
    land.options.silence_timeout = std::time::Duration::from_secs(3);
    land.start().await;
    land.submit(WORDS, "").await;
    land.assign_all(WORDS, 1, &[(PORTS[0], 1), (PORTS[1], 2)]).await;
    let slot = land.nimbus.running(PORT).await;
    let other = land.nimbus.running(PORTS[1].into()).await;
    signal(slot.pid, Signal::SIGSTOP);
    land.nimbus.life(PORT, 1, 1).await;
    assert!(!is_alive(slot.pid) && is_alive(other.pid));
}

#[tokio::test]
async fn a_worker_that_does_not_want_to_end_is_killed() {
    let land = Land::with_worker("stubborn").await;
    let slot = land.nimbus.running(PORT).await;
    land.assign(WORDS, 2, Some(2)).await;
    let next = land.nimbus.life(PORT, 2, 0).await;
    assert!(!is_alive(slot.pid) && is_alive(next.pid));
}

#[tokio::test]
async fn a_new_supervisor_adopts_what_lives() {
    let mut land = Land::with_worker("").await;
    let id = land.id();
    let slot = land.nimbus.running(PORT).await;
    land.kill_supervisor().await;
    land.start().await;
    assert_eq!(land.id(), id);
    let orders = |log: &str| log.matches("assignment 1 lists Some(1)").count();
    // It attaches by itself, and is told what it was told before.
    land.nimbus
        .told("it has attached again", |told| {
            let is_running = told.running(PORT).is_some_and(|running| running.pid == slot.pid);
            (is_running && orders(&std::fs::read_to_string(land.log()).unwrap()) == 2).then_some(())
        })
        .await;
    // It is not our child any more; its end is seen nevertheless.
    signal(slot.pid, Signal::SIGKILL);
    land.nimbus.life(PORT, 1, 1).await;
}

#[tokio::test]
async fn what_died_meanwhile_is_started_again_without_zookeeper_and_with_the_next_number() {
    let mut land = Land::with_worker("").await;
    let slot = land.nimbus.running(PORT).await;
    land.kill_supervisor().await;
    signal(slot.pid, Signal::SIGKILL);
    ended(slot.pid).await;
    land.zookeeper.take().unwrap().stop().await.unwrap();
    land.start().await;
    land.nimbus.life(PORT, 1, 1).await;
    assert_eq!(land.nimbus.downloads(), 1);
    assert_eq!(land.calls().health().await.unwrap().problems, ["ZooKeeper cannot be read"]);
}

#[tokio::test]
async fn an_orderly_stop_leaves_workers_alone_unless_told_otherwise() {
    let mut land = Land::with_worker("").await;
    let slot = land.nimbus.running(PORT).await;
    land.stop_supervisor().await;
    assert!(is_alive(slot.pid));

    land.options.stop_workers_on_exit = true;
    land.start().await;
    let adopted = land.nimbus.running(PORT).await;
    assert_eq!(adopted.pid, slot.pid);
    let stopped = std::time::Instant::now();
    land.stop_supervisor().await;
    assert!(stopped.elapsed() < std::time::Duration::from_secs(8));
    assert!(workers_below(land.directory.path()).is_empty());
    assert!(land.cluster.supervisors().await.unwrap().is_empty());

    // What should run is not forgotten by it.
    land.start().await;
    land.nimbus.life(PORT, 1, 1).await;
}

#[tokio::test]
async fn the_state_of_the_topology_reaches_its_workers() {
    let land = Land::with_worker("").await;
    land.nimbus.running(PORT).await;
    for status in [Status::Inactive, Status::Active, Status::Rebalancing] {
        land.submit_as(WORDS, "", status).await;
        let is_active = status == Status::Active;
        land.nimbus
            .told("it has obeyed", |told| {
                let last = told.workers.iter().rev().find(|worker| worker.topology_id == WORDS)?;
                (last.is_active == is_active).then_some(())
            })
            .await;
    }
}

#[tokio::test]
async fn slots_share_one_download() {
    let mut land = Land::new().await;
    land.start().await;
    land.submit(WORDS, "").await;
    land.assign_all(WORDS, 1, &[(PORTS[0], 1), (PORTS[1], 2)]).await;
    for port in PORTS {
        land.nimbus.running(port.into()).await;
    }
    assert_eq!(land.nimbus.downloads(), 1);
}

#[tokio::test]
async fn a_slot_goes_from_one_topology_to_another() {
    let land = Land::with_worker("").await;
    let slot = land.nimbus.running(PORT).await;
    let other = "other-2-1764000001";
    land.submit(other, "").await;
    land.assign(other, 1, Some(1)).await;
    land.assign(WORDS, 2, None).await;
    land.nimbus
        .told("the other one runs", |told| {
            told.running(PORT).filter(|slot| slot.topology_id == other).map(drop)
        })
        .await;
    assert!(!is_alive(slot.pid));
}

#[tokio::test]
async fn a_former_life_that_comes_back_is_told_to_stop() {
    let land = Land::with_worker("").await;
    let slot = land.nimbus.running(PORT).await;
    signal(slot.pid, Signal::SIGKILL);
    land.nimbus.life(PORT, 1, 1).await;
    let orders = land.attach(Incarnation { number: 1, restarts: 0 }).await;
    let [assignment, state, stop] = orders.as_slice() else { panic!("{orders:?}") };
    assert!(matches!(assignment, Order::Assignment(assignment) if assignment.version == 1));
    assert!(matches!(state, Order::State(_)));
    assert!(matches!(stop, Order::Stop(_)));
    // What it reports is not taken for the worker's.
    let pending = |told: &Told| told.workers.iter().any(|worker| worker.pending == Land::PENDING);
    assert!(!land.nimbus.told("something", |told| Some(pending(told))).await);
}

#[tokio::test]
async fn what_was_taken_away_meanwhile_is_not_started_again() {
    let mut land = Land::with_worker("").await;
    let slot = land.nimbus.running(PORT).await;
    land.kill_supervisor().await;
    signal(slot.pid, Signal::SIGKILL);
    ended(slot.pid).await;
    land.assign(WORDS, 2, None).await;
    land.submit("other-2-1764000001", "").await;
    land.start().await;
    land.assign("other-2-1764000001", 1, Some(1)).await;
    land.nimbus
        .told("the other one runs", |told| {
            told.running(PORT).filter(|slot| slot.topology_id != WORDS).map(drop)
        })
        .await;
    assert_eq!(std::fs::read_to_string(land.log()).unwrap().matches("greeting").count(), 1);
}
