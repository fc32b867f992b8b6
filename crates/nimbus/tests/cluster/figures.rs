//! What people and tools are told of figures, and what becomes of them when the leader goes.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use super::common::*;
use storm_figures::{
    EdgeCount, ExecutorSnapshot, Latency, Snapshot, StreamCount, TaskSnapshot, TopologyFigures, Trend, Window,
};
use storm_model::{ComponentKind, ExecutorId, TaskId};
use storm_rpc::{ErrorCode, Nimbuses, v1};

/// What a life reports of a spout that has emitted so many, half of which are acked, after so many seconds
/// of which it was busy for a quarter.
fn figures(emitted: u64, uptime: u64) -> Vec<u8> {
    let mut complete_latency = Latency::default();
    complete_latency.record_n(Duration::from_millis(8), emitted / 2);
    let edges = vec![EdgeCount { component: "count".into(), transferred: emitted }];
    let acked = emitted / 2;
    let stream =
        StreamCount { emitted, edges, acked, complete_latency, ..StreamCount::new("default".into()) };
    let task = TaskSnapshot {
        streams: vec![stream],
        tracked: emitted,
        pending: emitted - acked,
        ..TaskSnapshot::new(TaskId(3))
    };
    let executor = ExecutorSnapshot {
        tasks: vec![task],
        uptime: Duration::from_secs(uptime),
        busy: Duration::from_secs(uptime) / 4,
        ..ExecutorSnapshot::new(
            "words".into(),
            ComponentKind::Spout,
            ExecutorId { first: TaskId(3), last: TaskId(4) },
        )
    };
    serde_json::to_vec(&Snapshot { executors: vec![executor] }).unwrap()
}

fn behave(supervisor: &Supervisor, restarts: u64, figures: Vec<u8>) {
    let mut manner = supervisor.manner.lock().unwrap();
    (manner.restarts, manner.figures) = (restarts, figures);
}

fn emitted(page: &v1::TopologyStatus) -> u64 {
    page.components.iter().find(|component| component.id == "words").unwrap().emitted
}

async fn all_figures(calls: &Nimbuses) -> (TopologyFigures, Trend) {
    let told = calls.get_figures("words").await.unwrap();
    (serde_json::from_slice(&told.figures).unwrap(), serde_json::from_slice(&told.trend).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_told_as_a_whole_in_lists_and_by_slot() {
    let zoo = Zoo::start().await;
    let nimbus = Nimbus::start(zoo.address(), &zoo.directory.path().join("n")).await;
    let (calls, cluster) = (nimbus.calls(), zoo.client().await);
    let supervisor = Supervisor::start(&zoo, calls.clone(), "a", 2).await;
    let (id, _) = submit(&cluster, &calls, "words", 1).await;
    behave(&supervisor, 0, figures(40, 9));
    page(&calls, "words", |page| emitted(page) == 40).await;
    // They show up a moment later where they are kept for all that ask.
    let mut every = tokio::time::interval(Duration::from_millis(20));
    let (told, trend) = loop {
        every.tick().await;
        let (told, trend) = all_figures(&calls).await;
        if told.stats(Window::AllTime).emitted == 40 {
            break (told, trend);
        }
    };
    assert_eq!((told.stats(Window::TenMinutes).acked, told.components[0].gauges.pending), (20, 20));
    assert_eq!((trend.points.len(), trend.span), (Trend::POINTS, Trend::SPAN));
    let told = calls.get_figures(id.as_str()).await.unwrap();
    assert_eq!(told.topology_id, id.to_string());
    assert_eq!(calls.get_figures("nothing").await.unwrap_err().code, ErrorCode::NoSuchTopology);

    let list = calls.list_topologies().await.unwrap();
    let recent = list.topologies[0].recent.clone().unwrap();
    assert_eq!((recent.emitted, recent.transferred, recent.acked, recent.failed), (40, 40, 20, 0));
    assert_eq!((recent.pending, recent.rates.len(), recent.span_secs), (20, 30, 60));
    assert!(recent.latency_p50_ms >= 8.0 && recent.latency_p99_ms < 8.6 && recent.latency_mean_ms == 8.0);
    assert_eq!(calls.get_topology("words").await.unwrap().summary.unwrap().recent.unwrap().emitted, 40);

    let slots = calls.get_cluster().await.unwrap().supervisors[0].held.clone();
    assert_eq!(slots.len(), 1);
    let slot = &slots[0];
    assert_eq!((&*slot.topology_name, &*slot.owner, slot.pid, slot.load), ("words", "me", 7, 0.25));
    assert_eq!((slot.port, slot.topology_id.as_str(), slot.executors.len()), (6700, id.as_str(), 4));
    assert_eq!(slot.state(), v1::WorkerState::Running);

    let config = calls.get_config().await.unwrap().entries;
    let of = |key: &str| config.iter().find(|entry| entry.key == key).unwrap();
    assert_eq!(of("storm.local.hostname").value, b"\"127.0.0.1\"");
    assert_eq!(of("storm.local.hostname").origin, "in -c");
    nimbus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_leader_counts_on_where_the_old_one_was() {
    let zoo = Zoo::start().await;
    let cluster = zoo.client().await;
    let mut nimbuses = Vec::new();
    for name in ["n1", "n2", "n3"] {
        nimbuses.push(Nimbus::start(zoo.address(), &zoo.directory.path().join(name)).await);
    }
    // The last is asked first, and passes on what comes to it unless it leads.
    let all = calls(nimbuses.iter().rev().map(|nimbus| nimbus.port));
    let supervisor = Supervisor::start(&zoo, all.clone(), "a", 1).await;
    submit(&cluster, &all, "words", 1).await;
    behave(&supervisor, 0, figures(40, 9));
    page(&all, "words", |page| emitted(page) == 40).await;
    let mut wanted = 40;
    for restarts in [1, 2] {
        behave(&supervisor, restarts, figures(7, 2));
        wanted += 7;
        page(&all, "words", |page| emitted(page) == wanted).await;
        let leader = u16::try_from(all.leader().await.unwrap().port).unwrap();
        let at = nimbuses.iter().position(|nimbus| nimbus.port == leader).unwrap();
        nimbuses.remove(at).stop().await;
        // What a life has counted that ended before the new one led, only the supervisor knows.
        page(&all, "words", |page| emitted(page) == wanted).await;
        behave(&supervisor, restarts, figures(9, 4));
        wanted += 2;
        page(&all, "words", |page| emitted(page) == wanted).await;
        let (told, _) = all_figures(&all).await;
        assert!(told.stats(Window::TenMinutes).emitted >= wanted - 2);
        let recent = all.list_topologies().await.unwrap().topologies[0].recent.clone().unwrap();
        assert_eq!(recent.emitted, wanted);
    }
    nimbuses.remove(0).stop().await;
}
