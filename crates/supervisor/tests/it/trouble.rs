//! What is absent, broken or false.

use nix::sys::signal::Signal;
use storm_cluster::ClusterIdRecord;
use storm_model::{Incarnation, Status};
use storm_rpc::v1::LogRequest;
use storm_supervisor::{Supervisor, SupervisorError};

use crate::fake_nimbus::Told;
use crate::land::{Land, PORT, WORDS, ended, is_alive, signal};

/// Waits until the worker has heard of something newer than what should not have mattered.
async fn hears_of(land: &Land, status: Status) {
    land.submit_as(WORDS, "", status).await;
    let is_active = status == Status::Active;
    land.nimbus
        .told("the worker heard", |told| {
            told.workers.last().filter(|worker| worker.is_active == is_active).map(|_| ())
        })
        .await;
}

#[tokio::test]
async fn an_absent_assignment_ends_nothing() {
    let land = Land::with_worker("").await;
    let slot = land.nimbus.running(PORT).await;
    land.delete(&land.cluster.paths().assignment(&WORDS.into())).await;
    hears_of(&land, Status::Inactive).await;
    assert_eq!(land.nimbus.running(PORT).await.pid, slot.pid);
    // Nor does an absent topology.
    land.delete(&land.cluster.paths().topology(&WORDS.into())).await;
    let gone = async {
        while land.calls().health().await.unwrap().problems.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::fake_nimbus::PATIENCE, gone).await.unwrap();
    assert!(is_alive(slot.pid));
    assert_eq!(land.nimbus.running(PORT).await.pid, slot.pid);
    let stray = format!("port 6700: the cluster does not know topology '{WORDS}'; it is left running");
    assert_eq!(land.calls().health().await.unwrap().problems, [stray]);
}

#[tokio::test]
async fn a_tombstone_ends_the_worker_and_leaves_its_logs() {
    let land = Land::with_worker("").await;
    let slot = land.nimbus.running(PORT).await;
    land.bury(WORDS).await;
    land.nimbus.empty(PORT).await;
    assert!(!is_alive(slot.pid) && land.log().exists());
    let state = land.options.local_dir.join(format!("supervisor/state/topologies/{WORDS}.json"));
    assert!(!state.exists());
    // The directory goes in the background; the blob stays for an hour.
    let gone = async {
        while land.worker_dir().exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::fake_nimbus::PATIENCE, gone).await.unwrap();
    assert!(land.blobs().join(Land::digest()).exists());
}

#[tokio::test]
async fn another_cluster_changes_nothing_here() {
    let land = Land::with_worker("").await;
    let slot = land.nimbus.running(PORT).await;
    land.write(&land.cluster.paths().cluster_id(), &ClusterIdRecord { id: "c2".to_owned() }).await;
    land.nimbus.running(PORT).await;
    let problem = async {
        loop {
            let problems = land.calls().health().await.unwrap().problems;
            if problems.iter().any(|problem| problem.contains("'c2'")) {
                return problems;
            }
        }
    };
    tokio::time::timeout(crate::fake_nimbus::PATIENCE, problem).await.unwrap();
    land.bury(WORDS).await;
    land.assign(WORDS, 2, None).await;
    // The right one again: only now it counts.
    assert!(is_alive(slot.pid));
    land.write(&land.cluster.paths().cluster_id(), &ClusterIdRecord { id: "c1".to_owned() }).await;
    land.nimbus.empty(PORT).await;
}

#[tokio::test]
async fn half_a_download_leaves_nothing() {
    let mut land = Land::new().await;
    land.nimbus.break_downloads(true);
    land.start().await;
    land.submit(WORDS, "").await;
    land.assign(WORDS, 1, Some(1)).await;
    let problem = land
        .nimbus
        .told("it says why", |told| {
            told.slot(PORT).map(|slot| slot.problem.clone()).filter(|p| !p.is_empty())
        })
        .await;
    assert_eq!(problem, "cannot fetch the binary: the disk is broken");
    land.nimbus.break_downloads(false);
    land.nimbus.running(PORT).await;
    let names: Vec<_> = std::fs::read_dir(land.blobs()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, [std::ffi::OsString::from(Land::digest())]);
    assert!(land.nimbus.downloads() >= 2);
}

#[tokio::test]
async fn the_wrong_secret_and_the_wrong_worker_are_refused() {
    use storm_rpc::client::{self, Token};
    use storm_rpc::v1::WorkerReport;

    let land = Land::with_worker("").await;
    land.nimbus.running(PORT).await;
    let address = format!("127.0.0.1:{}", land.options.rpc_port);
    let attach = async |token: &str| {
        let mut client = client::supervisor(&address, Token::new(token)).unwrap();
        let report = WorkerReport {
            topology_id: WORDS.to_owned(),
            slot: Some(storm_rpc::v1::Slot { supervisor_id: land.id().to_string(), port: PORT }),
            incarnation: Some(Incarnation { number: 1, restarts: 0 }.into()),
            ..WorkerReport::default()
        };
        client.attach(tokio_stream::iter([report])).await.map(drop).map_err(|status| status.code())
    };
    let secret = &land.options.secret;
    let life = |number, restarts| Incarnation { number, restarts };
    let refused = Err(tonic::Code::Unauthenticated);
    assert_eq!(attach("").await, refused);
    assert_eq!(
        attach(&storm_rpc::Secret::new("another").worker_token(&WORDS.into(), life(1, 0))).await,
        refused
    );
    assert_eq!(attach(&secret.worker_token(&WORDS.into(), life(1, 1))).await, refused);
    assert_eq!(attach(&secret.worker_token(&"other".into(), life(1, 0))).await, refused);
    assert_eq!(attach(&secret.daemon_token()).await, refused);
    assert_eq!(attach(&secret.worker_token(&WORDS.into(), life(1, 0))).await, Ok(()));
    // A worker may not do what daemons may.
    let token = Token::new(&secret.worker_token(&WORDS.into(), life(1, 0)));
    let calls = storm_rpc::SupervisorCalls::new(&address, token).unwrap();
    assert_eq!(calls.restart_worker(6700).await.unwrap_err().code, storm_rpc::ErrorCode::NotAuthenticated);
}

#[tokio::test]
async fn one_directory_has_one_supervisor() {
    let mut land = Land::new().await;
    land.start().await;
    let second = storm_supervisor::Options { rpc_port: 0, ..land.options.clone() };
    let error = Supervisor::start(second).await.unwrap_err();
    assert!(matches!(error, SupervisorError::Taken { .. }), "{error}");
    let elsewhere = land.directory.path().join("elsewhere");
    let second = storm_supervisor::Options { local_dir: elsewhere, ..land.options.clone() };
    let error = Supervisor::start(second).await.unwrap_err();
    assert!(matches!(error, SupervisorError::Bind { .. }), "{error}");
}

/// Puts a health script into its place as a whole: it may be run at any time.
fn health_script(land: &Land, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = &land.options.health.directory;
    std::fs::create_dir_all(directory).unwrap();
    let beside = land.directory.path().join(name);
    std::fs::write(&beside, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&beside, directory.join(name)).unwrap();
}

#[tokio::test]
async fn an_unhealthy_machine_says_so_and_its_workers_end() {
    let land = Land::with_worker("").await;
    let slot = land.nimbus.running(PORT).await;
    health_script(&land, "disk", "echo full\nexit 1");
    let unhealthy = |told: &crate::fake_nimbus::Told| {
        Some(told.last.unhealthy.clone()).filter(|text| text.contains("full"))
    };
    land.nimbus.told("it is unhealthy", unhealthy).await;
    ended(slot.pid).await;
    // It is still assigned, but nothing is started here, nor has it failed.
    let state = |told: &Told| told.slot(PORT).filter(|slot| slot.pid == 0).cloned();
    let stopped = land.nimbus.told("its slot is empty", state).await;
    assert_eq!((stopped.recent_failures, stopped.problem.as_str()), (0, ""));
    let problems = land.calls().health().await.unwrap().problems;
    assert_eq!(problems, ["health check disk has ended with exit code 1: full"]);
    // A machine that is well again has its slots back.
    std::fs::remove_file(land.options.health.directory.join("disk")).unwrap();
    let life = land.nimbus.life(PORT, 1, 1).await;
    assert_ne!(life.pid, slot.pid);
    land.nimbus.told("it is well", |told| told.last.unhealthy.is_empty().then_some(())).await;
}

#[tokio::test]
async fn one_check_that_fails_ends_nothing() {
    let land = Land::with_worker("").await;
    let slot = land.nimbus.running(PORT).await;
    let count = land.directory.path().join("count");
    // The first of each two fails.
    let text = format!(
        "n=$(cat {count} 2>/dev/null || echo 0); echo $((n + 1)) >{count}; [ $((n % 2)) = 1 ]",
        count = count.display()
    );
    health_script(&land, "flapping", &text);
    let checked = async {
        let runs = || std::fs::read_to_string(&count).ok()?.trim().parse::<u32>().ok();
        while runs().is_none_or(|runs| runs < 7) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::fake_nimbus::PATIENCE, checked).await.unwrap();
    assert!(is_alive(slot.pid));
    assert!(land.nimbus.told("something", |told| Some(told.last.unhealthy.is_empty())).await);
    assert_eq!(land.nimbus.running(PORT).await.pid, slot.pid);
}

#[tokio::test]
async fn what_happens_while_nimbus_is_away_is_told_later() {
    let land = Land::with_worker("").await;
    let slot = land.nimbus.running(PORT).await;
    land.nimbus.go_away(true);
    signal(slot.pid, Signal::SIGKILL);
    let follow =
        LogRequest { port: PORT, follow: true, grep: "greeting".to_owned(), ..LogRequest::default() };
    let mut stream = land.calls().read_log(follow).await.unwrap();
    let mut lives = 0;
    while lives < 2 {
        let lines = tokio::time::timeout(crate::fake_nimbus::PATIENCE, stream.message()).await.unwrap();
        lives += lines.unwrap().unwrap().lines.len();
    }
    land.nimbus.go_away(false);
    land.nimbus.life(PORT, 1, 1).await;
    let message = "the worker was killed by SIGKILL";
    land.nimbus
        .told("the first life has ended", |told| {
            told.workers
                .iter()
                .flat_map(|worker| &worker.errors)
                .find(|error| error.message == message)
                .map(drop)
        })
        .await;
}

/// A slot whose file says nothing, with a worker that lives.
async fn lose_slot(land: &mut Land) -> u32 {
    let slot = land.nimbus.running(PORT).await;
    land.kill_supervisor().await;
    std::fs::write(land.options.local_dir.join("supervisor/state/slots/6700.json"), "{\"wanted\":").unwrap();
    slot.pid
}

#[tokio::test]
async fn a_slot_whose_file_is_broken_counts_on_and_has_one_worker() {
    let mut land = Land::with_worker("").await;
    let pid = lose_slot(&mut land).await;
    land.start().await;
    land.nimbus.life(PORT, 1, 1).await;
    assert!(!is_alive(pid));
    assert_eq!(crate::land::workers_below(land.directory.path()).len(), 1);
    let problems = land.calls().health().await.unwrap().problems;
    assert!(problems[0].starts_with("port 6700: cannot read ") && problems.len() == 1, "{problems:?}");
    assert!(land.options.local_dir.join("supervisor/state/slots/6700.json.broken").exists());
}

#[tokio::test]
async fn where_nothing_tells_of_former_lives_no_number_comes_again() {
    let mut land = Land::with_worker("").await;
    let pid = lose_slot(&mut land).await;
    signal(pid, Signal::SIGKILL);
    std::fs::remove_dir_all(land.worker_dir()).unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    land.start().await;
    let is_beyond = |told: &crate::fake_nimbus::Told| {
        let life = told.running(PORT)?.incarnation?;
        (life.number == 1 && life.restarts >= now).then_some(())
    };
    land.nimbus.told("counting goes on far beyond", is_beyond).await;
}

#[tokio::test]
async fn a_worker_that_no_slot_knows_of_is_not_joined_by_a_second_one() {
    let mut land = Land::with_worker("").await;
    let slot = land.nimbus.running(PORT).await;
    land.kill_supervisor().await;
    std::fs::remove_file(land.options.local_dir.join("supervisor/state/slots/6700.json")).unwrap();
    land.start().await;
    land.nimbus.life(PORT, 1, 1).await;
    assert!(!is_alive(slot.pid));
}

#[tokio::test]
async fn a_damaged_binary_is_fetched_anew() {
    let mut land = Land::with_worker("").await;
    let slot = land.nimbus.running(PORT).await;
    land.kill_supervisor().await;
    signal(slot.pid, Signal::SIGKILL);
    crate::land::ended(slot.pid).await;
    let path = land.blobs().join(Land::digest());
    let size = std::fs::metadata(&path).unwrap().len();
    std::fs::write(&path, vec![0; size as usize]).unwrap();
    land.start().await;
    land.nimbus.life(PORT, 1, 1).await;
    assert_eq!(land.nimbus.downloads(), 2);
}

#[tokio::test]
async fn a_tombstone_clears_ports_that_are_not_configured_any_more() {
    let land = Land::with_worker("").await;
    land.nimbus.running(PORT).await;
    let old = land.options.local_dir.join(format!("supervisor/workers/{WORDS}-7777"));
    let other = land.options.local_dir.join("supervisor/workers/other-2-1764000001-7777");
    std::fs::create_dir_all(&old).unwrap();
    std::fs::create_dir_all(&other).unwrap();
    land.bury(WORDS).await;
    let gone = async {
        while old.exists() || land.worker_dir().exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::fake_nimbus::PATIENCE, gone).await.unwrap();
    assert!(other.exists());
}

#[tokio::test]
async fn a_nimbus_that_is_only_registered_is_found() {
    let mut land = Land::new().await;
    // Nobody listens at the only one that is configured.
    let address = std::mem::replace(&mut land.options.nimbus_addresses, vec!["127.0.0.1:1".to_owned()]);
    let (host, port) = address[0].rsplit_once(':').unwrap();
    let port = port.parse().unwrap();
    let record =
        storm_cluster::NimbusRecord { host: host.to_owned(), port, software: String::new(), started_ms: 0 };
    land.write(&land.cluster.paths().nimbus(host, port), &record).await;
    land.start().await;
    land.submit(WORDS, "").await;
    land.assign(WORDS, 1, Some(1)).await;
    land.nimbus.running(PORT).await;
    let file = std::fs::read_to_string(land.worker_dir().join("worker.json")).unwrap();
    assert!(file.contains(&address[0]), "{file}");
}

#[tokio::test]
async fn a_binary_that_no_nimbus_gives_comes_from_another_supervisor() {
    use storm_cluster::AssignmentRecord;
    use storm_model::{Assignment, WorkerAssignment, WorkerSlot};

    let land = Land::with_worker("").await;
    land.nimbus.running(PORT).await;
    land.nimbus.break_downloads(true);
    let options = storm_supervisor::Options {
        local_dir: land.directory.path().join("second"),
        rpc_port: 0,
        slots: vec![6800],
        ..land.options.clone()
    };
    let second = Supervisor::start(options).await.unwrap();
    let path = land.cluster.paths().assignment(&WORDS.into());
    let here = |supervisor: storm_model::SupervisorId, port, number| WorkerAssignment {
        slot: WorkerSlot { supervisor, port },
        host: "127.0.0.1".to_owned(),
        number,
        executors: Vec::new(),
    };
    let workers = vec![here(land.id(), 6700, 1), here(second.id().clone(), 6800, 2)];
    land.write(&path, &AssignmentRecord { assignment: Assignment { version: 2, workers } }).await;
    land.nimbus.running(6800).await;
    second.stop().await;
}
