//! What is watched is seen.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use storm_cluster::{Children, Cluster, Error, Snapshot, paths};

use crate::proxy::Way;
use crate::server::Server;
use crate::{PATIENCE, Raw, conformance, connect, options, proxied, soon, topology};

conformance! {
    every_final_state_is_seen_whatever_the_network_does;
    every_final_state_is_seen_after_a_restart_of_the_server;
    absent_and_unreadable_are_two_things;
    a_node_that_cannot_be_understood_is_neither_absent_nor_touched;
    a_record_of_a_newer_version_is_named;
}

/// Makes changes, some of which undo others.
async fn stir(cluster: &Cluster, directory: &str, rng: &mut StdRng, changes: usize) {
    for _ in 0..changes {
        let path = paths::child(directory, &format!("n{}", rng.random_range(0..6)));
        let content = Raw(rng.random::<u32>().to_string().into_bytes());
        let mut transaction = cluster.transaction();
        match cluster.get::<Raw>(&path).await.unwrap() {
            None => transaction.create(&path, &content),
            Some(node) if rng.random_bool(0.3) => transaction.delete(&path, Some(node.version)),
            Some(node) => transaction.set(&path, &content, node.version),
        };
        cluster.multi(&transaction).await.unwrap();
    }
}

async fn truth(cluster: &Cluster, directory: &str) -> BTreeMap<String, Raw> {
    let mut nodes = BTreeMap::new();
    for name in cluster.children(directory).await.unwrap() {
        let path = paths::child(directory, &name);
        if let Some(node) = cluster.get::<Raw>(&path).await.unwrap() {
            nodes.insert(name, node.value);
        }
    }
    nodes
}

fn values(children: &Children<String, Raw>) -> BTreeMap<String, Raw> {
    children.iter().map(|(name, node)| (name.clone(), node.clone().unwrap().value)).collect()
}

async fn every_final_state_is_seen_whatever_the_network_does(server: Server) {
    let proxy = proxied(&server).await;
    let mut slow = options(proxy.address());
    slow.session_timeout = Duration::from_secs(20);
    // No help from there.
    slow.resync = PATIENCE * 2;
    let watching = Cluster::connect(slow).await.unwrap();
    let writing = connect(server.address()).await;
    let directory = writing.paths().commands();
    let mut tree = watching.watch_tree::<String, Raw>(&directory);
    let mut names = watching.watch_children(&directory);
    let mut node = watching.watch_node::<Raw>(&paths::child(&directory, "n0"));
    let mut rng = StdRng::seed_from_u64(7);
    for round in 0..12 {
        stir(&writing, &directory, &mut rng, 8).await;
        match round % 3 {
            0 => proxy.reset(),
            1 => {
                proxy.replies(Way::Held);
                stir(&writing, &directory, &mut rng, 4).await;
                proxy.reset();
            }
            _ => {}
        }
        stir(&writing, &directory, &mut rng, 4).await;
        let truth = truth(&writing, &directory).await;
        let fits =
            |now: &Snapshot<Children<String, Raw>>| now.present().is_some_and(|all| values(all) == truth);
        if tokio::time::timeout(PATIENCE, tree.wait_for(fits)).await.is_err() {
            panic!("round {round}: {:?} is not {truth:?}", tree.current());
        }
        soon(
            "the names",
            names.wait_for(|now| now.present().is_some_and(|names| names.iter().eq(truth.keys()))),
        )
        .await
        .unwrap();
        soon(
            "the node",
            node.wait_for(|now| match now {
                Snapshot::Present(node) => truth.get("n0") == Some(&node.value),
                Snapshot::Absent => !truth.contains_key("n0"),
                Snapshot::Unknown { .. } => false,
            }),
        )
        .await
        .unwrap();
    }
}

async fn every_final_state_is_seen_after_a_restart_of_the_server(mut server: Server) {
    let mut slow = options(server.address());
    slow.session_timeout = Duration::from_secs(20);
    slow.resync = PATIENCE * 2;
    let watching = Cluster::connect(slow.clone()).await.unwrap();
    slow.operation_timeout = PATIENCE / 2;
    let writing = Cluster::connect(slow).await.unwrap();
    let directory = writing.paths().commands();
    let mut tree = watching.watch_tree::<String, Raw>(&directory);
    let mut rng = StdRng::seed_from_u64(8);
    for _ in 0..3 {
        stir(&writing, &directory, &mut rng, 8).await;
        server.stop().await;
        server.start_again().await;
        stir(&writing, &directory, &mut rng, 8).await;
        let truth = truth(&writing, &directory).await;
        soon("the truth", tree.wait_for(|now| now.present().is_some_and(|all| values(all) == truth)))
            .await
            .unwrap();
    }
}

async fn absent_and_unreadable_are_two_things(server: Server) {
    let proxy = proxied(&server).await;
    let watching = connect(proxy.address()).await;
    let writing = connect(server.address()).await;
    let directory = format!("{}/elsewhere", writing.paths().root());
    let mut tree = watching.watch_tree::<String, Raw>(&directory);
    let mut names = watching.watch_children(&directory);
    assert!(tree.current().is_unknown());
    soon("absent", tree.wait_for(|now| *now == Snapshot::Absent)).await.unwrap();
    soon("absent", names.wait_for(|now| *now == Snapshot::Absent)).await.unwrap();
    let mut transaction = writing.transaction();
    transaction.create(&directory, &Raw(Vec::new()));
    transaction.create(&paths::child(&directory, "a/b"), &Raw(b"1".to_vec()));
    writing.multi(&transaction).await.unwrap();
    let one =
        |now: &Snapshot<Children<String, Raw>>| now.present().is_some_and(|all| all.contains_key("a/b"));
    soon("present", tree.wait_for(one)).await.unwrap();
    soon("present", names.wait_for(|now| now.present().is_some_and(|names| names.contains("a/b"))))
        .await
        .unwrap();

    proxy.close();
    let unknown = soon("unknown", tree.wait_for(Snapshot::is_unknown)).await.unwrap();
    assert!(unknown.last().is_some_and(|all| all.contains_key("a/b")), "{unknown:?}");
    let mut impatient = tree.clone();
    soon("close", watching.close()).await;
    assert!(
        soon("the end", async {
            loop {
                if let Err(error) = impatient.changed().await {
                    return error == Error::Closed;
                }
            }
        })
        .await
    );
}

async fn a_node_that_cannot_be_understood_is_neither_absent_nor_touched(server: Server) {
    let cluster = connect(server.address()).await;
    let mut watch = cluster.watch_topologies();
    let path = cluster.paths().topology(&"bad".into());
    let mut one = cluster.watch_topology(&"bad".into());
    let mut transaction = cluster.transaction();
    transaction.create_topology(&topology("good")).create(&path, &Raw(b"{\"version\":1".to_vec()));
    cluster.multi(&transaction).await.unwrap();
    let all =
        soon("both", watch.wait_for(|now| now.present().is_some_and(|all| all.len() == 2))).await.unwrap();
    let all = all.present().unwrap();
    assert!(all["good"].is_ok());
    let error = all["bad"].as_ref().unwrap_err().to_string();
    assert!(error.contains(&path), "{error}");
    soon("unknown", one.wait_for(|now| matches!(now, Snapshot::Unknown { why, .. } if why.contains(&path))))
        .await
        .unwrap();
    assert!(matches!(cluster.topology(&"bad".into()).await, Err(Error::Record(_))));
    assert!(cluster.topologies().await.unwrap()["bad"].is_err());
    assert_eq!(cluster.get::<Raw>(&path).await.unwrap().unwrap().version, 0);
}

async fn a_record_of_a_newer_version_is_named(server: Server) {
    let cluster = connect(server.address()).await;
    let path = cluster.paths().topology(&"new".into());
    let mut transaction = cluster.transaction();
    transaction.create(&path, &Raw(b"{\"version\":99}".to_vec()));
    cluster.multi(&transaction).await.unwrap();
    let error = cluster.topology(&"new".into()).await.unwrap_err().to_string();
    assert!(error.contains(&path) && error.contains("version 99"), "{error}");
}
