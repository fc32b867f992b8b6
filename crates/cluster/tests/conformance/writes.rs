//! Each write has one outcome, and who writes knows it or knows that he does not.

use std::time::Duration;

use storm_cluster::{Cluster, Error, LIMIT, Snapshot};

use crate::proxy::Way;
use crate::server::Server;
use crate::{PATIENCE, Raw, conformance, connect, options, proxied, soon};

conformance! {
    a_node_that_is_too_large_is_refused_before_it_is_sent;
    a_reply_that_is_lost_does_not_hide_that_it_was_done;
    a_request_that_is_lost_is_made_again;
    a_write_that_nobody_can_vouch_for_says_so;
    a_write_without_a_connection_is_not_made_later;
    somebody_elses_change_is_not_overwritten;
}

/// A client through a proxy, and one beside it.
async fn pair(server: &Server) -> (crate::proxy::Proxy, Cluster, Cluster) {
    let proxy = proxied(server).await;
    let mut slow = options(proxy.address());
    slow.session_timeout = Duration::from_secs(20);
    slow.operation_timeout = PATIENCE / 2;
    let cluster = Cluster::connect(slow).await.unwrap();
    (proxy, cluster, connect(server.address()).await)
}

async fn a_node_that_is_too_large_is_refused_before_it_is_sent(server: Server) {
    let cluster = connect(server.address()).await;
    let path = cluster.paths().command("c");
    let create = |size| {
        let mut transaction = cluster.transaction();
        transaction.create(&path, &Raw(vec![b'x'; size]));
        let cluster = &cluster;
        async move { cluster.multi(&transaction).await }
    };
    let error = create(LIMIT + 1).await.unwrap_err();
    assert_eq!(error, Error::TooLarge { path: path.clone(), size: LIMIT + 1, limit: LIMIT });
    // The connection has not suffered, and what is just small enough gets through.
    create(LIMIT).await.unwrap();
    assert_eq!(cluster.get::<Raw>(&path).await.unwrap().unwrap().value.0.len(), LIMIT);
}

async fn a_reply_that_is_lost_does_not_hide_that_it_was_done(server: Server) {
    let (proxy, cluster, other) = pair(&server).await;
    let path = cluster.paths().command("c");
    let mut watch = other.watch_node::<Raw>(&path);
    let mut version = 0;
    for step in 0..3 {
        let content = Raw(format!("step {step}").into_bytes());
        let mut transaction = cluster.transaction();
        match step {
            0 => transaction.create(&path, &content),
            1 => transaction.set(&path, &content, version),
            _ => transaction.delete(&path, Some(version)),
        };
        proxy.replies(Way::Held);
        let writing = cluster.clone();
        let write = tokio::spawn(async move { writing.multi(&transaction).await });
        let is_done = |now: &Snapshot<storm_cluster::Versioned<Raw>>| match now {
            Snapshot::Present(node) => node.value == content,
            Snapshot::Absent => step == 2,
            Snapshot::Unknown { .. } => false,
        };
        soon("the write", watch.wait_for(is_done)).await.unwrap();
        proxy.reset();
        let versions = soon("the outcome", write).await.unwrap().unwrap();
        assert_eq!(versions, [[0, 1, -1][step]]);
        version = versions[0];
    }
}

async fn a_request_that_is_lost_is_made_again(server: Server) {
    let (proxy, cluster, other) = pair(&server).await;
    let path = cluster.paths().command("c");
    for (step, expected) in [0, 1].into_iter().enumerate() {
        let mut transaction = cluster.transaction();
        let content = Raw(vec![step as u8]);
        match step {
            0 => transaction.create(&path, &content),
            _ => transaction.set(&path, &content, 0),
        };
        proxy.requests(Way::Lost);
        let writing = cluster.clone();
        let write = tokio::spawn(async move { writing.multi(&transaction).await });
        tokio::task::yield_now().await;
        proxy.reset();
        assert_eq!(soon("the outcome", write).await.unwrap(), Ok(vec![expected]));
        other.sync().await.unwrap();
        let node = other.get::<Raw>(&path).await.unwrap().unwrap();
        assert_eq!((node.value, node.version), (content, expected));
    }
}

async fn a_write_that_nobody_can_vouch_for_says_so(server: Server) {
    let proxy = proxied(&server).await;
    let mut hasty = options(proxy.address());
    hasty.operation_timeout = Duration::from_millis(500);
    let cluster = Cluster::connect(hasty).await.unwrap();
    let path = cluster.paths().command("c");
    let mut transaction = cluster.transaction();
    transaction.create(&path, &Raw(Vec::new()));
    proxy.replies(Way::Held);
    let error = soon("an error", cluster.multi(&transaction)).await.unwrap_err();
    assert!(
        matches!(&error, Error::OutcomeUnknown { action: "create", path: of, .. } if *of == path),
        "{error}"
    );
    assert!(error.is_transient());
    let error = soon("an error", cluster.get::<Raw>(&path)).await.unwrap_err();
    assert!(matches!(error, Error::Unanswered { .. } | Error::Unreachable { .. }), "{error}");
}

async fn a_write_without_a_connection_is_not_made_later(server: Server) {
    let proxy = proxied(&server).await;
    let mut hasty = options(proxy.address());
    hasty.operation_timeout = Duration::from_millis(300);
    hasty.session_timeout = Duration::from_secs(20);
    let cluster = Cluster::connect(hasty).await.unwrap();
    let path = cluster.paths().command("c");
    let mut transaction = cluster.transaction();
    transaction.create(&path, &Raw(Vec::new()));
    proxy.both(Way::Held);
    let mut state = cluster.state();
    let suspended = state.wait_for(|state| matches!(state, storm_cluster::SessionState::Suspended { .. }));
    soon("loss", suspended).await.unwrap();
    let error = soon("an error", cluster.multi(&transaction)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    proxy.reset();
    soon("return", cluster.wait_connected(PATIENCE)).await.unwrap();
    let other = connect(server.address()).await;
    // Whatever the first one had in its bag is before this in the queue of its session.
    soon("a round", async { while cluster.sync().await.is_err() {} }).await;
    other.sync().await.unwrap();
    assert_eq!(other.get::<Raw>(&path).await, Ok(None));
}

async fn somebody_elses_change_is_not_overwritten(server: Server) {
    let cluster = connect(server.address()).await;
    let path = cluster.paths().command("c");
    let mut create = cluster.transaction();
    create.create(&path, &Raw(b"1".to_vec()));
    assert_eq!(cluster.multi(&create).await, Ok(vec![0]));
    assert_eq!(cluster.multi(&create).await, Err(Error::Exists { path: path.clone() }));
    let mut set = cluster.transaction();
    set.check(&path, None).set(&path, &Raw(b"2".to_vec()), 0);
    assert_eq!(cluster.multi(&set).await.unwrap()[1], 1);
    assert_eq!(cluster.multi(&set).await, Err(Error::Changed { path: path.clone() }));
    let gone = cluster.paths().command("gone");
    let mut delete = cluster.transaction();
    delete.delete(&path, Some(1)).delete(&gone, None);
    assert_eq!(cluster.multi(&delete).await, Err(Error::Absent { path: gone }));
    assert!(cluster.get::<Raw>(&path).await.unwrap().is_some());
    assert_eq!(cluster.multi(&cluster.transaction()).await, Ok(vec![]));
}
