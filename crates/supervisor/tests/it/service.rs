//! What a supervisor is asked.

use storm_rpc::v1::{BlobRef, LogRequest};

use crate::fake_nimbus::PATIENCE;
use crate::fake_worker;
use crate::land::{Land, PORT, PORTS, WORDS, is_alive};

#[tokio::test]
async fn a_restart_that_is_asked_for_gives_a_new_life() {
    let land = Land::with_worker("").await;
    let slot = land.nimbus.running(PORT).await;
    let restarted = land.calls().restart_worker(PORTS[0]).await.unwrap();
    assert_eq!((restarted.topology_id.as_str(), restarted.restarts), (WORDS, 1));
    let next = land.nimbus.life(PORT, 1, 1).await;
    assert!(!is_alive(slot.pid));
    assert_eq!(next.recent_failures, 0);
    let error = land.calls().restart_worker(PORTS[1]).await.unwrap_err();
    assert_eq!(error.message, "no worker runs on port 6701 here");
}

#[tokio::test]
async fn what_nimbus_asks_is_passed_on_and_answered_at_once() {
    let land = Land::with_worker("").await;
    land.nimbus.running(PORT).await;
    for round in [u64::MAX / 2, 3] {
        land.nimbus.ask(WORDS, round);
        land.nimbus
            .told("it has looked", |told| {
                let look = told.workers.last()?.quiet_look?;
                (look.round == round).then_some(())
            })
            .await;
    }
}

#[tokio::test]
async fn logs_are_read_and_followed() {
    let land = Land::with_worker("").await;
    land.nimbus.running(PORT).await;
    let ask = |request: LogRequest| async {
        let mut stream = land.calls().read_log(request).await.unwrap();
        let mut lines = Vec::new();
        while let Some(some) = stream.message().await.unwrap() {
            assert_eq!((some.host.as_str(), some.port), ("127.0.0.1", PORT));
            lines.extend(some.lines);
        }
        lines
    };
    let by_name = LogRequest { topology: "words".to_owned(), ..LogRequest::default() };
    let attached = LogRequest { follow: true, grep: "attached".to_owned(), ..by_name.clone() };
    let mut stream = land.calls().read_log(attached).await.unwrap();
    let lines = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(lines.lines, ["attached"]);
    drop(stream);
    assert!(ask(by_name.clone()).await.iter().any(|line| line == "attached"));
    let by_port = LogRequest { port: PORT, grep: "greeting".to_owned(), ..LogRequest::default() };
    assert_eq!(ask(by_port).await.len(), 1);
    let component = |name: &str| LogRequest { component: name.to_owned(), ..by_name.clone() };
    assert!(ask(component("count")).await.is_empty() && !ask(component("split")).await.is_empty());
    let elsewhere = LogRequest { supervisor_id: "another".to_owned(), ..by_name.clone() };
    assert!(ask(elsewhere).await.is_empty());

    let follow = LogRequest { follow: true, grep: "stop:".to_owned(), ..by_name };
    let mut stream = land.calls().read_log(follow).await.unwrap();
    land.calls().restart_worker(PORTS[0]).await.unwrap();
    let lines = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(lines.lines, ["stop: a restart was asked for"]);
}

#[tokio::test]
async fn a_binary_is_handed_on() {
    let land = Land::with_worker("").await;
    land.nimbus.running(PORT).await;
    let blob = BlobRef { digest: Land::digest(), size: 0 };
    let mut stream = land.calls().download_blob(blob).await.unwrap();
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!(first.blob.unwrap().size, fake_worker::binary().len() as u64);
    assert_eq!(first.data, fake_worker::binary().as_bytes());
    assert!(stream.message().await.unwrap().is_none());
    let absent = BlobRef { digest: "0".repeat(64), size: 0 };
    assert!(land.calls().download_blob(absent).await.is_err());
}
