//! What the answers say, without HTTP.

use std::sync::Arc;

use serde_json::Value;
use storm_figures::Window;
use storm_rpc::v1;

use super::format::{AskedWindow, Links};
use super::*;
use crate::Options;
use crate::seed::{Seed, SeedOptions};
use crate::source::Source as _;

fn links() -> Links {
    Links { scheme: "http", authority: "ui:8080".to_owned(), prefix: String::new() }
}

async fn all() -> (Arc<ClusterView>, Vec<Arc<TopologyView>>) {
    let seed = Seed::new(SeedOptions::default());
    let cluster = seed.cluster().await.unwrap();
    let mut topologies = Vec::new();
    for topology in &cluster.topologies {
        topologies.push(seed.topology(&topology.id).await.unwrap());
    }
    (cluster, topologies)
}

fn page(view: &TopologyView, window: &str) -> topology::TopologyPage {
    let window = AskedWindow::new(Some(window));
    topology::topology_page(view, 2, &window, &Options::default(), None, &links())
}

#[tokio::test]
async fn sums_of_the_summary_are_those_of_its_parts() {
    let (cluster, topologies) = all().await;
    let summary = cluster::cluster_summary(&cluster, &Options::default(), Some("ada".to_owned()));
    assert_eq!(summary.topologies, topologies.len());
    let executors: u64 = cluster.topologies.iter().map(|topology| u64::from(topology.executors_total)).sum();
    assert_eq!(summary.executors_total, executors);
    assert_eq!(summary.slots_total, summary.slots_used + summary.slots_free);
    // One is silent: neither it nor its slots count.
    assert_eq!((summary.supervisors, summary.supervisors_silent), (5, 1));
    assert_eq!(summary.slots_total, 20);
    let slots = cluster::slots(&cluster).supervisors;
    let held =
        slots.iter().flat_map(|supervisor| &supervisor.slots).filter(|slot| slot.topology_id.is_some());
    assert_eq!(held.count(), summary.slots_used);
}

#[tokio::test]
async fn a_nimbus_that_is_configured_and_missing_is_offline() {
    let (cluster, _) = all().await;
    let entry = |key: &str, value: &str| v1::ConfigEntry {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
        origin: String::new(),
    };
    let told = |seeds: &str| {
        let entries = vec![entry("nimbus.seeds", seeds), entry("nimbus.thrift.port", "6627")];
        let summary = cluster::nimbus_summary(&cluster, &v1::DaemonConfig { entries }, &links());
        let row =
            |row: &cluster::NimbusRow| format!("{} {} {}", row.host, row.status, row.nimbus_up_time_seconds);
        summary.nimbuses.iter().map(row).collect::<Vec<_>>()
    };
    let alive = ["nimbus-1 Leader 703601", "nimbus-2 Not a Leader 707202"];
    assert_eq!(told(r#"["nimbus-1", "nimbus-2"]"#), alive);
    // Known by other names.
    assert_eq!(told(r#"["10.0.0.1", "10.0.0.2"]"#), alive);
    let three = told(r#"["nimbus-1", "nimbus-2:6627", "nimbus-3"]"#);
    assert_eq!(three.last().unwrap(), "nimbus-3 Offline \"Not applicable\"");
}

#[tokio::test]
async fn a_topology_is_the_sum_of_its_components() {
    for view in all().await.1 {
        for window in Window::ALL {
            let page = page(&view, window.key());
            let stats = page.topology_stats.iter().find(|row| row.window == window.key()).unwrap();
            let spouts = page.spouts.iter().map(|spout| &spout.common);
            let all = spouts.clone().chain(page.bolts.iter().map(|bolt| &bolt.common));
            assert_eq!(stats.emitted, all.clone().map(|row| row.emitted).sum::<u64>());
            assert_eq!(stats.transferred, all.clone().map(|row| row.transferred).sum::<u64>());
            assert_eq!(stats.acked, spouts.map(|row| row.acked).sum::<u64>());
            assert_eq!(page.topology.executors_total, all.map(|row| row.executors).sum::<u32>());
        }
    }
}

#[tokio::test]
async fn executors_that_have_a_place_add_up_to_their_component() {
    for view in all().await.1 {
        let placed: usize = view.status.workers.iter().map(|worker| worker.executors.len()).sum();
        let mut shown = 0;
        for id in view.spec.components.keys() {
            let window = AskedWindow::new(Some("600"));
            let page = component::component_page(&view, id.as_str(), &window, None, &links()).unwrap();
            let json = serde_json::to_value(&page).unwrap();
            let executors = json["executorStats"].as_array().unwrap();
            shown += executors.len();
            let sum: u64 = executors.iter().map(|executor| executor["emitted"].as_u64().unwrap()).sum();
            let windows = json.get("spoutSummary").or_else(|| json.get("boltStats")).unwrap();
            assert_eq!(windows[0]["emitted"], sum, "{id}");
        }
        assert_eq!(shown, placed);
    }
}

#[tokio::test]
async fn the_last_error_is_cut_and_dated() {
    let seed = Seed::new(SeedOptions::default());
    let long = |view: &mut TopologyView| view.status.errors[0].message = "ü".repeat(1_000);
    seed.change("fraud-detection", long).unwrap();
    let view = seed.topology("fraud-detection").await.unwrap();
    let page = page(&view, ":all-time");
    let found = page.bolts.iter().find(|bolt| bolt.common.last_error.error_lapsed_secs.is_some()).unwrap();
    let error = &found.common.last_error;
    assert_eq!((error.last_error.chars().count(), error.error_lapsed_secs), (200, Some(42)));
    assert_eq!(error.error_time, Some(1_767_600_000 - 42));
    assert!(error.error_worker_log_link.contains("/api/v1/log?file=fraud-detection-2-"));
    let none = &page.spouts[0].common.last_error;
    assert_eq!((none.last_error.as_str(), &none.error_port, none.error_time), ("", &Value::from(""), None));
}

#[tokio::test]
async fn what_has_no_place_is_explained() {
    let (cluster, topologies) = all().await;
    let summary = topology::topology_summary(&cluster);
    let row = summary.topologies.iter().find(|row| row.executors_unplaced > 0).unwrap();
    assert!(row.scheduler_info.as_ref().unwrap().ends_with(" no place"));
    let view = topologies.iter().find(|view| view.summary().id == row.id).unwrap();
    let diagnosis = insight::diagnosis(view);
    let unplaced: u32 = diagnosis.unplaced.iter().map(|unplaced| unplaced.executors).sum();
    assert_eq!(unplaced, row.executors_unplaced);
    assert!(!diagnosis.explanation.is_empty());
}

#[tokio::test]
async fn a_graph_has_an_edge_for_every_subscription() {
    for view in all().await.1 {
        let graph = visualization::visualization(&view, &AskedWindow::new(None), &links());
        let edges: usize = graph.values().map(|node| node.inputs.len()).sum();
        let inputs: usize = view.spec.components.values().map(|component| component.inputs.len()).sum();
        assert_eq!((graph.len(), edges), (view.spec.components.len(), inputs));
        for node in graph.values().filter(|node| !node.stats.is_empty()) {
            let of =
                |instance: &visualization::Instance| instance.transferred[":all-time"].values().sum::<u64>();
            let shown: u64 = node.stats.iter().map(of).sum();
            let all: u64 = node.transferred.values().sum();
            assert!(shown.abs_diff(all) <= node.stats.len() as u64, "{shown} of {all}");
        }
    }
}

#[tokio::test]
async fn percentiles_do_not_fall() {
    for view in all().await.1 {
        for component in insight::percentiles(&view, &AskedWindow::new(Some("600"))).components {
            for spread in [component.complete_latency, component.execute_latency, component.queue_latency] {
                let ascending = [spread.p50, spread.p90, spread.p99, spread.p999, spread.max];
                assert!(ascending.is_sorted(), "{ascending:?}");
            }
        }
    }
}
