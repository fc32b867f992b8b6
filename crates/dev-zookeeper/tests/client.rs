//! The server as the client library sees it that storm-rs uses.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use storm_dev_zookeeper::{DataError, Options, Server, ServerError};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zookeeper_client::{
    Acl, Acls, AddWatchMode, AuthId, Client, Connector, CreateMode, CreateOptions, Error, EventType,
    LockClient, LockOptions, LockPrefix, MultiReadResult, MultiWriteError, MultiWriteResult, Permission,
    SessionState,
};

const TIMEOUT: Duration = Duration::from_secs(2);

async fn start() -> Server {
    Server::start(Options::default()).await.unwrap()
}

async fn start_in(dir: &TempDir, port: u16) -> Result<Server, ServerError> {
    let address = ([127, 0, 0, 1], port).into();
    Server::start(Options { address, data_dir: Some(dir.path().to_owned()), ..Options::default() }).await
}

fn connector() -> Connector {
    Client::connector().with_session_timeout(TIMEOUT)
}

async fn connect(server: &Server) -> Client {
    connector().connect(&server.address().to_string()).await.unwrap()
}

const fn persistent() -> CreateOptions<'static> {
    CreateMode::Persistent.with_acls(Acls::anyone_all())
}

const fn ephemeral() -> CreateOptions<'static> {
    CreateMode::Ephemeral.with_acls(Acls::anyone_all())
}

#[tokio::test]
async fn nodes_are_made_read_changed_and_deleted() {
    let server = start().await;
    let client = connect(&server).await;
    let (made, _) = client.create("/a", b"1", &persistent()).await.unwrap();
    assert_eq!(client.get_data("/a").await.unwrap(), (b"1".to_vec(), made));
    assert_eq!(client.create("/a", b"1", &persistent()).await.unwrap_err(), Error::NodeExists);
    assert_eq!(client.create("/b/c", b"1", &persistent()).await.unwrap_err(), Error::NoNode);

    let stat = client.set_data("/a", b"22", Some(0)).await.unwrap();
    assert_eq!((stat.version, stat.data_length, stat.czxid), (1, 2, made.czxid));
    assert_eq!(client.set_data("/a", b"3", Some(0)).await.unwrap_err(), Error::BadVersion);
    assert_eq!(client.delete("/a", Some(0)).await.unwrap_err(), Error::BadVersion);

    client.mkdir("/a/b/c", &persistent()).await.unwrap();
    assert_eq!(client.list_children("/a").await.unwrap(), ["b"]);
    assert_eq!(client.get_children("/a").await.unwrap().1.num_children, 1);
    assert_eq!(client.count_descendants_number("/a").await.unwrap(), 2);
    assert_eq!(client.delete("/a", None).await.unwrap_err(), Error::NotEmpty);
    client.delete("/a/b/c", None).await.unwrap();
    client.delete("/a/b", None).await.unwrap();
    client.delete("/a", Some(1)).await.unwrap();
    assert_eq!(client.check_stat("/a").await.unwrap(), None);
    client.sync("/").await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_may_be_a_megabyte() {
    let server = start().await;
    let client = connect(&server).await;
    let data = vec![7; 1_000_000];
    client.create("/big", &data, &persistent()).await.unwrap();
    assert_eq!(client.get_data("/big").await.unwrap().0, data);
}

#[tokio::test]
async fn sequences_and_ephemerals() {
    let server = start().await;
    let client = connect(&server).await;
    let sequential = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
    for number in 0..3 {
        let (stat, sequence) = client.create("/n-", b"", &sequential).await.unwrap();
        assert_eq!(sequence.into_i64(), number);
        assert_eq!(stat.ephemeral_owner, client.session_id().0);
    }
    let paths = ["/n-0000000000", "/n-0000000001", "/n-0000000002"];
    assert_eq!(client.list_ephemerals("/").await.unwrap(), paths);

    let other = connect(&server).await;
    let (_, watcher) = other.check_and_watch_stat(paths[0]).await.unwrap();
    drop(client);
    assert_eq!(watcher.changed().await.event_type, EventType::NodeDeleted);
    assert_eq!(other.list_children("/").await.unwrap(), ["zookeeper"]);
}

#[tokio::test]
async fn watches_tell() {
    let server = start().await;
    let (client, other) = (connect(&server).await, connect(&server).await);
    let (none, made) = client.check_and_watch_stat("/a").await.unwrap();
    assert_eq!(none, None);
    let mut recursive = client.watch("/a", AddWatchMode::PersistentRecursive).await.unwrap();
    let (_, _, listed) = client.get_and_watch_children("/").await.unwrap();
    let (stat, _) = other.create("/a", b"", &persistent()).await.unwrap();
    let event = made.changed().await;
    assert_eq!(
        (event.event_type, event.path.as_str(), event.zxid),
        (EventType::NodeCreated, "/a", stat.czxid)
    );
    assert_eq!(listed.changed().await.event_type, EventType::NodeChildrenChanged);

    let mut node = client.watch("/a", AddWatchMode::Persistent).await.unwrap();
    let (_, _, changed) = client.get_and_watch_data("/a").await.unwrap();
    other.create("/a/b", b"", &persistent()).await.unwrap();
    other.set_data("/a", b"1", None).await.unwrap();
    other.set_data("/a", b"2", None).await.unwrap();
    assert_eq!(changed.changed().await.event_type, EventType::NodeDataChanged);
    use EventType::{NodeChildrenChanged, NodeCreated, NodeDataChanged};
    for wanted in [NodeChildrenChanged, NodeDataChanged, NodeDataChanged] {
        assert_eq!(node.changed().await.event_type, wanted);
    }
    for (wanted, path) in
        [(NodeCreated, "/a"), (NodeCreated, "/a/b"), (NodeDataChanged, "/a"), (NodeDataChanged, "/a")]
    {
        let event = recursive.changed().await;
        assert_eq!((event.event_type, event.path.as_str()), (wanted, path));
    }
    // Who drops a watcher is not told any more, and the server neither has to tell.
    drop((node, recursive));
    other.set_data("/a", b"3", None).await.unwrap();
    client.sync("/").await.unwrap();
    assert!(String::from_utf8(send(&server, b"mntr").await).unwrap().contains("zk_watch_count\t0\n"));
}

#[tokio::test]
async fn multis_are_all_or_nothing() {
    let server = start().await;
    let client = connect(&server).await;
    let mut writer = client.new_multi_writer();
    writer.add_create("/a", b"1", &persistent()).unwrap();
    writer.add_check_version("/a", 0).unwrap();
    writer.add_set_data("/a", b"2", Some(0)).unwrap();
    let results = writer.commit().await.unwrap();
    assert!(
        matches!(&results[0], MultiWriteResult::Create { path, stat } if path == "/a" && stat.version == 0)
    );
    assert!(matches!(&results[2], MultiWriteResult::SetData { stat } if stat.version == 1));

    let mut writer = client.new_multi_writer();
    writer.add_delete("/a", None).unwrap();
    writer.add_check_version("/b", 0).unwrap();
    writer.add_create("/c", b"", &persistent()).unwrap();
    let refused = writer.commit().await.unwrap_err();
    assert_eq!(refused, MultiWriteError::OperationFailed { index: 1, source: Error::NoNode });

    let mut checked = client.new_check_writer("/a", Some(1)).unwrap();
    checked.add_delete("/a", None).unwrap();
    checked.add_create("/b", b"", &persistent()).unwrap();
    checked.commit().await.unwrap();

    let mut reader = client.new_multi_reader();
    reader.add_get_children("/").unwrap();
    reader.add_get_data("/a").unwrap();
    let results = reader.commit().await.unwrap();
    assert!(matches!(&results[0], MultiReadResult::Children { children } if *children == ["b", "zookeeper"]));
    assert!(matches!(&results[1], MultiReadResult::Error { err: Error::NoNode }));
}

#[tokio::test]
async fn a_chroot_is_the_clients_matter() {
    let server = start().await;
    let client = connect(&server).await;
    client.mkdir("/storm", &persistent()).await.unwrap();
    let below = connector().connect(&format!("{}/storm", server.address())).await.unwrap();
    below.create("/a", b"", &persistent()).await.unwrap();
    assert!(client.check_stat("/storm/a").await.unwrap().is_some());
}

#[tokio::test]
async fn digests_protect_nodes() {
    let server = start().await;
    let (ann, other) = (connect(&server).await, connect(&server).await);
    ann.auth("digest", b"ann:secret").await.unwrap();
    let users = ann.list_auth_users().await.unwrap();
    assert!(users.iter().any(|user| user.scheme() == "digest" && user.user() == "ann"));
    let options = CreateMode::Persistent.with_acls(Acls::creator_all());
    ann.create("/mine", b"", &options).await.unwrap();
    assert_eq!(other.get_data("/mine").await.unwrap_err(), Error::NoAuth);
    assert_eq!(other.create("/x", b"", &options).await.unwrap_err(), Error::InvalidAcl);
    ann.set_data("/mine", b"1", None).await.unwrap();

    let reading = Acl::new(Permission::READ, AuthId::anyone());
    ann.set_acl("/mine", &[reading], Some(0)).await.unwrap();
    assert_eq!(other.get_data("/mine").await.unwrap().0, b"1");
    assert_eq!(ann.set_data("/mine", b"2", None).await.unwrap_err(), Error::NoAuth);
}

async fn lock<'a>(client: &'a Client, prefix: LockPrefix<'a>) -> LockClient<'a> {
    let options = LockOptions::new(Acls::anyone_all());
    client.lock(prefix, b"", options.with_ancestor_options(persistent()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn two_clients_take_turns_with_a_lock() {
    let server = start().await;
    let (first, second) = (connect(&server).await, connect(&server).await);
    let prefixes: [fn() -> LockPrefix<'static>; 2] = [
        || LockPrefix::new_shared("/shared/n-").unwrap(),
        || LockPrefix::new_custom("/custom/n-".to_owned(), "n-").unwrap(),
    ];
    for prefix in prefixes {
        let held = lock(&first, prefix()).await;
        let (dir, _) = held.lock_path().rsplit_once('/').unwrap();
        let node = format!("{dir}-mine");
        held.create(&node, b"", &persistent()).await.unwrap();

        let waiting = lock(&second, prefix());
        tokio::pin!(waiting);
        let both_there = async {
            loop {
                let (children, _, watcher) = first.get_and_watch_children(dir).await.unwrap();
                if children.len() == 2 {
                    break;
                }
                watcher.changed().await;
            }
        };
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("the lock is held"),
            () = both_there => {}
        }
        drop(held);
        let held = waiting.await;
        held.set_data(&node, b"second", None).await.unwrap();
    }
}

#[tokio::test]
async fn a_session_without_a_client_expires() {
    let server = start().await;
    let other = connect(&server).await;
    let detached = connector().with_detached().with_session_timeout(Duration::from_secs(1));
    let client = detached.connect(&server.address().to_string()).await.unwrap();
    assert_eq!(client.session_timeout(), Duration::from_secs(1));
    client.create("/e", b"", &ephemeral()).await.unwrap();
    let (_, watcher) = other.check_and_watch_stat("/e").await.unwrap();
    let session = client.into_session();
    assert_eq!(watcher.changed().await.event_type, EventType::NodeDeleted);

    let late = connector().with_session(session).connect(&server.address().to_string()).await;
    assert_eq!(late.unwrap_err(), Error::SessionExpired);
}

#[tokio::test]
async fn a_session_goes_on_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let server = start_in(&dir, 0).await.unwrap();
    let port = server.address().port();
    let client = connect(&server).await;
    let (stat, _) = client.create("/e", b"1", &ephemeral()).await.unwrap();
    let (_, _, watcher) = client.get_and_watch_data("/e").await.unwrap();
    let mut states = client.state_watcher();
    server.stop().await.unwrap();
    while states.changed().await != SessionState::Disconnected {}

    let server = start_in(&dir, port).await.unwrap();
    while states.changed().await != SessionState::SyncConnected {}
    assert_eq!(client.get_data("/e").await.unwrap(), (b"1".to_vec(), stat));
    assert_eq!(client.list_ephemerals("/").await.unwrap(), ["/e"]);
    // The watch was set again.
    connect(&server).await.set_data("/e", b"2", None).await.unwrap();
    assert_eq!(watcher.changed().await.event_type, EventType::NodeDataChanged);
    let (_, sequence) = client
        .create("/n-", b"", &CreateMode::PersistentSequential.with_acls(Acls::anyone_all()))
        .await
        .unwrap();
    assert_eq!(sequence.into_i64(), 1, "counting goes on");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_session_that_does_not_come_back_after_a_restart_expires() {
    let dir = TempDir::new().unwrap();
    let server = start_in(&dir, 0).await.unwrap();
    let detached = connector().with_detached().with_session_timeout(Duration::from_secs(1));
    let client = detached.connect(&server.address().to_string()).await.unwrap();
    client.create("/e", b"", &ephemeral()).await.unwrap();
    drop(client);
    server.stop().await.unwrap();

    let server = start_in(&dir, 0).await.unwrap();
    let client = connect(&server).await;
    let (stat, watcher) = client.check_and_watch_stat("/e").await.unwrap();
    assert!(stat.is_some(), "it has a timeout to come back");
    assert_eq!(watcher.changed().await.event_type, EventType::NodeDeleted);
}

#[tokio::test]
async fn what_is_in_use_is_told() {
    let dir = TempDir::new().unwrap();
    let server = start_in(&dir, 0).await.unwrap();
    let port = server.address().port();
    let error = start_in(&dir, 0).await.unwrap_err();
    assert!(matches!(error, ServerError::Data(DataError::InUse { .. })), "{error}");
    let error = start_in(&TempDir::new().unwrap(), port).await.unwrap_err();
    assert!(matches!(error, ServerError::Listen { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("cannot listen on 127.0.0.1:{port}: ")), "{error}");

    // Both are free when the stop has been waited for.
    server.stop().await.unwrap();
    start_in(&dir, port).await.unwrap().stop().await.unwrap();
}

/// Sends bytes, says that no more will come, and reads to the end.
async fn send(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // A close with bytes unread is a reset.
    stream.read_to_end(&mut answer).await.ok();
    answer
}

#[tokio::test]
async fn words_are_answered() {
    let server = start().await;
    assert_eq!(send(&server, b"ruok").await, b"imok");
    assert!(String::from_utf8(send(&server, b"srvr").await).unwrap().contains("Mode: standalone"));
    assert!(String::from_utf8(send(&server, b"mntr").await).unwrap().contains("zk_znode_count\t4"));
}

#[tokio::test]
async fn nonsense_is_closed_and_harms_nobody() {
    let server = start().await;
    let client = connect(&server).await;
    for nonsense in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0xff; 64], &[0, 0, 0, 2, 1, 2], &[0x7f], b""] {
        assert_eq!(send(&server, nonsense).await, b"");
    }
    client.sync("/").await.unwrap();
}

#[tokio::test]
async fn connections_above_the_limit_are_closed() {
    let server = Server::start(Options { max_connections: 1, ..Options::default() }).await.unwrap();
    let client = connect(&server).await;
    assert_eq!(send(&server, b"ruok").await, b"");
    client.sync("/").await.unwrap();
}

#[tokio::test]
async fn many_requests_may_be_on_their_way() {
    let server = start().await;
    let client = connect(&server).await;
    client.create("/n", b"", &persistent()).await.unwrap();
    let sets: Vec<_> = (0..2_000).map(|_| client.set_data("/n", b"x", None)).collect();
    let mut version = 0;
    for set in sets {
        version += 1;
        assert_eq!(set.await.unwrap().version, version);
    }
}
