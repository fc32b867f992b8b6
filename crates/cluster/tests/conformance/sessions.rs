//! Sessions: what survives, what does not, and what is made again.

use std::time::Duration;

use storm_cluster::{Cluster, Error, Leadership, Options, Registered, SessionState, Snapshot};
use tokio::net::TcpListener;

use crate::proxy::Way;
use crate::server::{Ensemble, Server};
use crate::{PATIENCE, Raw, SESSION, conformance, connect, nimbus, options, proxied, soon};

conformance! {
    a_restart_within_the_timeout_keeps_the_session_and_its_watches;
    an_expired_session_is_followed_by_one_that_has_all_again;
    what_a_former_life_has_registered_is_replaced;
    two_lives_at_once_are_reported;
    what_is_registered_can_be_changed_and_comes_back_when_it_is_removed;
    closing_removes_what_was_registered_at_once;
    a_handle_that_is_dropped_ends_its_session;
    nodes_with_a_secret_are_closed_to_others;
    a_root_of_several_parts_is_made;
}

fn session(state: &SessionState) -> i64 {
    match state {
        SessionState::Connected { session } => *session,
        other => panic!("{other:?}"),
    }
}

async fn a_restart_within_the_timeout_keeps_the_session_and_its_watches(mut server: Server) {
    let mut long = options(server.address());
    long.session_timeout = Duration::from_secs(20);
    long.resync = PATIENCE * 2;
    let cluster = Cluster::connect(long).await.unwrap();
    let other = connect(server.address()).await;
    let mut state = cluster.state();
    let first = session(&state.borrow_and_update());
    let registration = cluster.register(&cluster.paths().nimbus("a", 1), &nimbus("a", 1));
    soon("registration", registration.registered()).await;
    let path = cluster.paths().command("c");
    let mut watch = cluster.watch_node::<Raw>(&path);
    soon("first reading", watch.wait_for(|now| *now == Snapshot::Absent)).await.unwrap();

    server.stop().await;
    soon("loss", state.wait_for(|state| matches!(state, SessionState::Suspended { .. }))).await.unwrap();
    soon("unknown", watch.wait_for(Snapshot::is_unknown)).await.unwrap();
    server.start_again().await;

    let again = soon("return", state.wait_for(|state| matches!(state, SessionState::Connected { .. })));
    assert_eq!(session(&again.await.unwrap()), first);
    soon("absent again", watch.wait_for(|now| *now == Snapshot::Absent)).await.unwrap();
    soon("registration", registration.registered()).await;
    let mut transaction = other.transaction();
    transaction.create(&path, &Raw(b"new".to_vec()));
    soon("the other", other.wait_connected(PATIENCE)).await.unwrap();
    soon("write", other.multi(&transaction)).await.unwrap();
    soon("the event", watch.wait_for(|now| now.present().is_some_and(|node| node.value.0 == b"new")))
        .await
        .unwrap();
}

async fn an_expired_session_is_followed_by_one_that_has_all_again(mut server: Server) {
    let cluster = connect(server.address()).await;
    let mut state = cluster.state();
    let first = session(&state.borrow_and_update());
    let registration = cluster.register(&cluster.paths().nimbus("a", 1), &nimbus("a", 1));
    soon("registration", registration.registered()).await;
    let mut election = cluster.contend("a", 1);
    let token = soon("leadership", election.leading()).await.unwrap();
    let mut watch = cluster.watch_nimbuses();

    server.stop().await;
    soon("step down", token.lost()).await;
    assert!(!token.is_valid());
    assert!(matches!(soon("following", election.changed()).await.unwrap(), Leadership::Following));
    soon("expiry", state.wait_for(|state| *state == SessionState::Expired)).await.unwrap();
    assert!(soon("unknown", watch.wait_for(Snapshot::is_unknown)).await.is_ok());
    server.start_again().await;

    let new = soon("new session", election.leading()).await.unwrap();
    assert!(new.is_valid() && !token.is_valid());
    assert_ne!(session(&cluster.state().borrow()), first);
    soon("registration", registration.registered()).await;
    soon("the node", watch.wait_for(|now| now.present().is_some_and(|all| all.len() == 1))).await.unwrap();
    assert_eq!(token.create(&cluster.paths().command("c"), &Raw(Vec::new())).await, Err(Error::Deposed));
}

async fn what_a_former_life_has_registered_is_replaced(server: Server) {
    let proxy = proxied(&server).await;
    let observer = connect(server.address()).await;
    let mut slow = options(proxy.address());
    slow.session_timeout = Duration::from_secs(20);
    let former = Cluster::connect(slow).await.unwrap();
    let path = former.paths().nimbus("a", 1);
    let registration = former.register(&path, &nimbus("a", 1));
    soon("registration", registration.registered()).await;
    // It dies without a word.
    proxy.both(Way::Held);

    let mut watch = observer.watch_node::<Raw>(&path);
    soon("the former", watch.wait_for(|now| now.present().is_some())).await.unwrap();
    let new = connect(server.address()).await;
    let second = new.register(&path, &nimbus("b", 1));
    soon("the new one", second.registered()).await;
    soon("the node", watch.wait_for(|now| now.present().is_some_and(|node| contains(&node.value, "\"b\""))))
        .await
        .unwrap();
}

async fn two_lives_at_once_are_reported(server: Server) {
    let first = connect(server.address()).await;
    let second = connect(server.address()).await;
    let path = first.paths().nimbus("a", 1);
    let former = first.register(&path, &nimbus("a", 1));
    soon("registration", former.registered()).await;
    let latter = second.register(&path, &nimbus("b", 1));
    soon("registration", latter.registered()).await;
    let mut state = former.state();
    soon("the former knows", state.wait_for(|state| *state == Registered::Taken)).await.unwrap();
    latter.remove().await;
    soon("the former has it again", former.registered()).await;
}

async fn what_is_registered_can_be_changed_and_comes_back_when_it_is_removed(server: Server) {
    let cluster = connect(server.address()).await;
    let other = connect(server.address()).await;
    let path = cluster.paths().nimbus("a", 1);
    let mut watch = other.watch_node::<Raw>(&path);
    let registration = cluster.register(&path, &nimbus("a", 1));
    soon("registration", watch.wait_for(|now| now.present().is_some())).await.unwrap();
    registration.update(&nimbus("b", 1));
    let changed = |now: &Snapshot<storm_cluster::Versioned<Raw>>| {
        now.present().is_some_and(|node| contains(&node.value, "\"b\"") && node.version == 0)
    };
    soon("change", watch.wait_for(|now| now.present().is_some_and(|node| contains(&node.value, "\"b\""))))
        .await
        .unwrap();
    let mut transaction = other.transaction();
    transaction.delete(&path, None);
    other.multi(&transaction).await.unwrap();
    soon("return", watch.wait_for(changed)).await.unwrap();
    registration.remove().await;
    assert_eq!(other.get::<Raw>(&path).await, Ok(None));
}

fn contains(raw: &Raw, text: &str) -> bool {
    String::from_utf8_lossy(&raw.0).contains(text)
}

async fn closing_removes_what_was_registered_at_once(server: Server) {
    let mut long = options(server.address());
    long.session_timeout = PATIENCE;
    let cluster = Cluster::connect(long).await.unwrap();
    let other = connect(server.address()).await;
    let path = cluster.paths().nimbus("a", 1);
    let registration = cluster.register(&path, &nimbus("a", 1));
    soon("registration", registration.registered()).await;
    let kept = cluster.clone();
    let mut state = cluster.state();
    soon("close", cluster.close()).await;
    assert_eq!(*state.borrow_and_update(), SessionState::Closed);
    other.sync().await.unwrap();
    assert_eq!(other.get::<Raw>(&path).await, Ok(None));
    assert_eq!(kept.get::<Raw>(&path).await, Err(Error::Closed));
}

async fn a_handle_that_is_dropped_ends_its_session(server: Server) {
    let mut long = options(server.address());
    long.session_timeout = PATIENCE;
    let cluster = Cluster::connect(long).await.unwrap();
    let other = connect(server.address()).await;
    let path = cluster.paths().nimbus("a", 1);
    let registration = cluster.register(&path, &nimbus("a", 1));
    let mut watch = other.watch_node::<Raw>(&path);
    soon("registration", watch.wait_for(|now| now.present().is_some())).await.unwrap();
    let mut state = cluster.state();
    drop(cluster);
    soon("end", watch.wait_for(|now| *now == Snapshot::Absent)).await.unwrap();
    soon("closed", state.wait_for(|state| *state == SessionState::Closed)).await.unwrap();
    drop(registration);
}

async fn nodes_with_a_secret_are_closed_to_others(server: Server) {
    let secret = |password: Option<&str>| {
        let mut options = options(server.address());
        options.auth = password.map(|password| format!("storm:{password}"));
        options
    };
    let owner = Cluster::connect(secret(Some("rain"))).await.unwrap();
    let path = owner.paths().command("c");
    let mut transaction = owner.transaction();
    transaction.create(&path, &Raw(b"x".to_vec()));
    owner.multi(&transaction).await.unwrap();

    let friend = Cluster::connect(secret(Some("rain"))).await.unwrap();
    assert!(friend.get::<Raw>(&path).await.unwrap().is_some());
    for password in [None, Some("sun")] {
        let stranger = Cluster::start(secret(password)).unwrap();
        let mut watch = stranger.watch_node::<Raw>(&path);
        match soon("an answer", stranger.wait_connected(2 * SESSION)).await {
            Err(error) => assert!(error.to_string().contains("storm.zookeeper.auth"), "{error}"),
            Ok(()) => {
                let error = stranger.get::<Raw>(&path).await.unwrap_err();
                assert!(matches!(error, Error::Denied { .. }), "{error}");
                assert!(soon("unknown", watch.changed()).await.unwrap().is_unknown());
            }
        }
    }
}

async fn a_root_of_several_parts_is_made(server: Server) {
    let mut deep = options(server.address());
    deep.root = "/a/b/c".to_owned();
    let cluster = Cluster::connect(deep).await.unwrap();
    assert_eq!(cluster.topologies().await, Ok(Default::default()));
    let mut children = cluster.children("/a/b/c").await.unwrap();
    children.sort();
    assert_eq!(
        children,
        [
            "assignments",
            "commands",
            "errors",
            "leader-lock",
            "nimbuses",
            "storms",
            "supervisors",
            "tombstones"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_server_is_an_error_that_says_where_it_was_looked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut options = Options::new([address.to_string()]);
    options.session_timeout = Duration::from_millis(300);
    options.operation_timeout = Duration::from_millis(300);
    let error = soon("an error", Cluster::connect(options)).await.err().unwrap().to_string();
    assert!(error.starts_with(&format!("cannot reach ZooKeeper at {address}: ")), "{error}");
    assert!(error.ends_with("is it running? storm.zookeeper.servers says where it is"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ensemble_that_loses_one_of_three_loses_nothing() {
    let Some(mut ensemble) = Ensemble::start().await else {
        return;
    };
    let mut options = Options::new(ensemble.addresses());
    options.session_timeout = Duration::from_secs(10);
    options.operation_timeout = PATIENCE / 2;
    let leader = Cluster::connect(options.clone()).await.unwrap();
    let follower = Cluster::connect(options).await.unwrap();
    let mut state = leader.state();
    let first = session(&state.borrow_and_update());
    let mut election = leader.contend("a", 1);
    let token = soon("leadership", election.leading()).await.unwrap();
    let mut second = follower.contend("b", 1);
    let mut watch = follower.watch_topologies();
    token.create(&leader.paths().topology(&"w".into()), &crate::topology("w")).await.unwrap();
    soon("the topology", watch.wait_for(|now| now.present().is_some_and(|all| all.len() == 1)))
        .await
        .unwrap();

    ensemble.leader().await.kill();
    let record = crate::topology("x");
    soon("a write", token.create(&leader.paths().topology(&"x".into()), &record)).await.unwrap();
    soon("the event", watch.wait_for(|now| now.present().is_some_and(|all| all.len() == 2))).await.unwrap();
    assert!(token.is_valid());
    assert_eq!(session(&leader.state().borrow()), first);
    assert!(matches!(second.leadership(), Leadership::Following));
    soon("resignation", election.resign()).await;
    soon("the next", second.leading()).await.unwrap();
}
