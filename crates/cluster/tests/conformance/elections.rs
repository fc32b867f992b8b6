//! Who leads, and what those who do not can do.

use std::collections::BTreeSet;
use std::time::Duration;

use storm_cluster::{Cluster, Error, Leadership, Snapshot};
use tokio::time::Instant;

use crate::proxy::Way;
use crate::server::Server;
use crate::{PATIENCE, Raw, SESSION, command, conformance, connect, options, proxied, soon, topology};

conformance! {
    an_orderly_stop_hands_over_at_once;
    an_abrupt_death_hands_over_after_the_session_timeout;
    who_is_cut_off_steps_down_before_another_leads;
    a_write_of_a_deposed_leader_is_refused;
    a_lock_that_somebody_removes_is_contended_for_again;
    a_leader_that_leaves_does_not_wait_for_a_server_that_is_gone;
    connections_that_break_leave_no_ghost;
    a_follower_that_leaves_while_its_connection_breaks_leaves_no_ghost;
    a_follower_that_leaves_holds_up_nobody;
    the_first_leader_names_the_cluster_once;
    a_topology_goes_with_its_tombstone;
}

async fn an_orderly_stop_hands_over_at_once(server: Server) {
    let mut long = options(server.address());
    // Nobody waits for this one to end.
    long.session_timeout = PATIENCE;
    let first = Cluster::connect(long.clone()).await.unwrap();
    let second = Cluster::connect(long).await.unwrap();
    let mut election = first.contend("a", 1);
    let token = soon("leadership", election.leading()).await.unwrap();
    assert_eq!(first.leader().await.unwrap().unwrap().value.host, "a");
    let mut next = second.contend("b", 2);
    soon("resignation", election.resign()).await;
    assert!(!token.is_valid());
    let token = soon("the next", next.leading()).await.unwrap();
    assert_eq!(second.leader().await.unwrap().unwrap().value.host, "b");
    // And back, by closing everything.
    let mut again = first.contend("a", 1);
    soon("close", second.close()).await;
    soon("the first again", again.leading()).await.unwrap();
    assert!(!token.is_valid());
    assert_eq!(first.leader().await.unwrap().unwrap().value.host, "a");
}

async fn a_leader_that_leaves_does_not_wait_for_a_server_that_is_gone(mut server: Server) {
    let mut options = options(server.address());
    // It leads on until half of that is over, and its session lives as long.
    options.session_timeout = PATIENCE;
    options.operation_timeout = Duration::from_millis(300);
    let cluster = Cluster::connect(options).await.unwrap();
    let mut election = cluster.contend("a", 1);
    let token = soon("leadership", election.leading()).await.unwrap();
    server.stop().await;
    let resigned = tokio::time::timeout(Duration::from_secs(8), election.resign()).await;
    assert!(resigned.is_ok(), "it waits for the server");
    assert!(!token.is_valid());
}

async fn an_abrupt_death_hands_over_after_the_session_timeout(server: Server) {
    let address = server.address();
    let (leads, led) = std::sync::mpsc::channel();
    // A runtime that is dropped says no goodbye: its connections just end.
    let doomed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    doomed.spawn(async move {
        let cluster = connect(address).await;
        let mut election = cluster.contend("a", 1);
        let token = election.leading().await.unwrap();
        leads.send(()).unwrap();
        std::future::pending::<()>().await;
        drop((cluster, election, token));
    });
    tokio::task::spawn_blocking(move || led.recv_timeout(PATIENCE)).await.unwrap().unwrap();
    let second = connect(address).await;
    let mut election = second.contend("b", 2);
    let died = Instant::now();
    doomed.shutdown_background();
    soon("the next", election.leading()).await.unwrap();
    let took = died.elapsed();
    println!("took over after {took:?} with a session timeout of {SESSION:?}");
    assert!(took > SESSION / 2, "{took:?}");
    // Half more, and what a busy machine may add.
    assert!(took < SESSION * 3 / 2 + Duration::from_secs(5), "{took:?}");
}

async fn who_is_cut_off_steps_down_before_another_leads(server: Server) {
    let proxy = proxied(&server).await;
    let timeout = Duration::from_secs(4);
    let mut slow = options(proxy.address());
    slow.session_timeout = timeout;
    let first = Cluster::connect(slow).await.unwrap();
    let mut election = first.contend("a", 1);
    let token = soon("leadership", election.leading()).await.unwrap();
    let second = connect(server.address()).await;
    let mut next = second.contend("b", 2);

    let cut = Instant::now();
    proxy.both(Way::Held);
    let lost = async {
        token.lost().await;
        cut.elapsed()
    };
    let taken = async {
        let token = next.leading().await.unwrap();
        (cut.elapsed(), token)
    };
    let (lost, (taken, new)) = soon("both", async { tokio::join!(lost, taken) }).await;
    println!("stepped down after {lost:?}, the next leads after {taken:?}, session timeout {timeout:?}");
    assert!(lost < taken, "stepped down after {lost:?}, when another led since {taken:?}");
    assert!(!token.is_valid());
    assert_eq!(token.create(&first.paths().command("c"), &command("c")).await, Err(Error::Deposed));
    new.create(&second.paths().command("d"), &command("d")).await.unwrap();

    // Back again, it follows.
    proxy.reset();
    soon("return", first.wait_connected(PATIENCE)).await.unwrap();
    assert!(matches!(election.leadership(), Leadership::Following));
    soon("resignation", next.resign()).await;
    soon("its turn", election.leading()).await.unwrap();
}

async fn a_write_of_a_deposed_leader_is_refused(server: Server) {
    let proxy = proxied(&server).await;
    let mut slow = options(proxy.address());
    slow.session_timeout = PATIENCE;
    let first = Cluster::connect(slow).await.unwrap();
    let mut election = first.contend("a", 1);
    let token = soon("leadership", election.leading()).await.unwrap();
    let other = connect(server.address()).await;

    // It writes while it believes to lead, and what it has written is still on its way when its lock
    // goes.
    proxy.requests(Way::Held);
    let path = first.paths().command("late");
    let write = tokio::spawn({
        let (token, path) = (token.clone(), path.clone());
        async move {
            assert!(token.is_valid());
            token.create(&path, &command("late")).await
        }
    });
    tokio::task::yield_now().await;
    let lock = other.children(&other.paths().leader_lock()).await.unwrap().remove(0);
    let mut transaction = other.transaction();
    transaction.delete(&format!("{}/{lock}", other.paths().leader_lock()), None);
    other.multi(&transaction).await.unwrap();
    proxy.requests(Way::Open);
    assert_eq!(soon("an answer", write).await.unwrap(), Err(Error::Deposed));
    other.sync().await.unwrap();
    assert_eq!(other.get::<Raw>(&path).await, Ok(None));
    // The rest of its rights is gone as well.
    let set = token.put(&path, &command("late")).await;
    assert_eq!(set, Err(Error::Deposed));
    let mut transaction = first.transaction();
    transaction.create_topology(&topology("w"));
    assert_eq!(token.multi(&transaction).await, Err(Error::Deposed));
}

async fn a_lock_that_somebody_removes_is_contended_for_again(server: Server) {
    let cluster = connect(server.address()).await;
    let other = connect(server.address()).await;
    let mut election = cluster.contend("a", 1);
    let token = soon("leadership", election.leading()).await.unwrap();
    let directory = other.paths().leader_lock();
    let lock = other.children(&directory).await.unwrap().remove(0);
    let mut transaction = other.transaction();
    transaction.delete(&format!("{directory}/{lock}"), None);
    other.multi(&transaction).await.unwrap();
    soon("loss", token.lost()).await;
    let new = soon("leadership", election.leading()).await.unwrap();
    new.create(&cluster.paths().command("c"), &command("c")).await.unwrap();
    assert_eq!(token.create(&cluster.paths().command("d"), &command("d")).await, Err(Error::Deposed));
}

async fn connections_that_break_leave_no_ghost(server: Server) {
    let proxy = proxied(&server).await;
    let mut slow = options(proxy.address());
    slow.session_timeout = Duration::from_secs(10);
    let first = Cluster::connect(slow.clone()).await.unwrap();
    let second = Cluster::connect(slow).await.unwrap();
    let observer = connect(server.address()).await;
    let directory = observer.paths().leader_lock();
    let mut watch = observer.watch_children(&directory);
    // At another moment of the contention each time: the server has done what it was asked for, and
    // nobody hears of it.
    for requests in 1..=16 {
        proxy.hold_replies_after(requests);
        let mut election = first.contend("a", 1);
        let rival = second.contend("b", 2);
        soon("the moment", proxy.replies_are_held()).await;
        observer.sync().await.unwrap();
        proxy.reset();
        soon("the rival's end", rival.resign()).await;
        soon("leadership", election.leading()).await.unwrap();
        soon("the first's end", election.resign()).await;
        let is_empty = |now: &Snapshot<BTreeSet<String>>| now.present().is_some_and(|names| names.is_empty());
        soon("nothing left", watch.wait_for(is_empty)).await.unwrap();
    }
}

async fn a_follower_that_leaves_while_its_connection_breaks_leaves_no_ghost(server: Server) {
    let proxy = proxied(&server).await;
    let mut slow = options(proxy.address());
    slow.session_timeout = PATIENCE;
    let leading = connect(server.address()).await;
    let following = Cluster::connect(slow).await.unwrap();
    let mut election = leading.contend("a", 1);
    soon("leadership", election.leading()).await.unwrap();
    let mut watch = leading.watch_children(&leading.paths().leader_lock());
    let mut wait_for = async |count: usize| {
        soon("nodes", watch.wait_for(|now| now.present().is_some_and(|names| names.len() == count)))
            .await
            .unwrap();
    };
    for _ in 0..5 {
        let rival = following.contend("b", 2);
        wait_for(2).await;
        proxy.requests(Way::Lost);
        proxy.hold_replies_after(1);
        let resigning = tokio::spawn(rival.resign());
        soon("a lost request", proxy.replies_are_held()).await;
        proxy.reset();
        soon("the end", resigning).await.unwrap();
        wait_for(1).await;
    }
}

async fn a_follower_that_leaves_holds_up_nobody(server: Server) {
    let mut long = options(server.address());
    long.session_timeout = PATIENCE;
    let clusters = [
        Cluster::connect(long.clone()).await.unwrap(),
        Cluster::connect(long.clone()).await.unwrap(),
        Cluster::connect(long).await.unwrap(),
    ];
    let directory = clusters[0].paths().leader_lock();
    let mut watch = clusters[0].watch_children(&directory);
    let mut elections = Vec::new();
    for (n, cluster) in (1..).zip(&clusters) {
        elections.push(cluster.contend("a", n as u16));
        soon("a place", watch.wait_for(|now| now.present().is_some_and(|names| names.len() == n)))
            .await
            .unwrap();
    }
    let mut third = elections.pop().unwrap();
    let second = elections.pop().unwrap();
    let mut first = elections.pop().unwrap();
    soon("leadership", first.leading()).await.unwrap();
    soon("the follower's end", second.resign()).await;
    assert!(matches!(third.leadership(), Leadership::Following));
    drop(first);
    soon("the last", third.leading()).await.unwrap();
}

async fn the_first_leader_names_the_cluster_once(server: Server) {
    let cluster = connect(server.address()).await;
    assert_eq!(cluster.cluster_id().await, Ok(None));
    let mut election = cluster.contend("a", 1);
    let token = soon("leadership", election.leading()).await.unwrap();
    assert_eq!(token.ensure_cluster_id("one").await.unwrap().id, "one");
    assert_eq!(token.ensure_cluster_id("two").await.unwrap().id, "one");
    let node = cluster.cluster_id().await.unwrap().unwrap();
    assert_eq!((node.value.id.as_str(), node.version), ("one", 0));
    // What stands there is kept, understood or not.
    token.put(&cluster.paths().cluster_id(), &Raw(b"?".to_vec())).await.unwrap();
    assert!(matches!(token.ensure_cluster_id("three").await, Err(Error::Record(_))));
    assert_eq!(
        cluster.get::<Raw>(&cluster.paths().cluster_id()).await.unwrap().unwrap().value,
        Raw(b"?".to_vec())
    );
}

async fn a_topology_goes_with_its_tombstone(server: Server) {
    let cluster = connect(server.address()).await;
    let mut election = cluster.contend("a", 1);
    let token = soon("leadership", election.leading()).await.unwrap();
    for (id, has_more) in [("w-1", false), ("w-2", true)] {
        let record = topology(id);
        let mut transaction = cluster.transaction();
        transaction.create_topology(&record).create_command(&command(id));
        token.multi(&transaction).await.unwrap();
        // The same command again does nothing at all.
        let mut again = cluster.transaction();
        again.create_topology(&topology("other")).create_command(&command(id));
        assert!(
            matches!(token.multi(&again).await, Err(Error::Exists { path }) if path.contains("commands"))
        );
        assert_eq!(cluster.topology(&"other".into()).await, Ok(None));
        if has_more {
            let assignment = storm_cluster::AssignmentRecord { assignment: Default::default() };
            let mut transaction = cluster.transaction();
            transaction.create_assignment(&record.id, &assignment);
            token.multi(&transaction).await.unwrap();
            token.put_errors(&record.id, &Default::default()).await.unwrap();
            token.put_errors(&record.id, &Default::default()).await.unwrap();
        }
        let tombstone = storm_cluster::TombstoneRecord {
            id: record.id.clone(),
            name: id.to_owned(),
            killed_ms: 1,
            command: "k".to_owned(),
        };
        let nothing = cluster.transaction();
        let stale = token.remove_topology(&tombstone, 7, &nothing).await;
        assert!(matches!(stale, Err(Error::Changed { .. })), "{stale:?}");
        assert!(cluster.tombstone(&record.id).await.unwrap().is_none());
        token.remove_topology(&tombstone, 0, &nothing).await.unwrap();
        assert_eq!(cluster.tombstone(&record.id).await.unwrap().unwrap().value, tombstone);
        assert_eq!(cluster.topology(&record.id).await, Ok(None));
        assert_eq!(cluster.assignment(&record.id).await, Ok(None));
        assert_eq!(cluster.errors(&record.id).await, Ok(None));
    }
}
