//! Tests of the core, on a virtual clock, packet by packet.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::packet::*;
use crate::tree::open_acl;

const SECOND: Duration = Duration::from_secs(1);

/// A core with its clients.
struct World {
    core: Core,
    now: Now,
    connections: u64,
    /// Transactions that were given out.
    log: Vec<Txn>,
    /// Events that came and nobody asked for yet.
    events: Vec<Seen>,
    closed: Vec<ConnectionId>,
}

/// A client with a session.
#[derive(Clone, Debug)]
struct Client {
    connection: ConnectionId,
    session: i64,
    password: Vec<u8>,
    timeout_ms: i32,
}

/// Who was told what.
type Seen = (ConnectionId, EventKind, String);

impl World {
    fn new() -> World {
        World::with_state(State::default())
    }

    fn with_state(state: State) -> World {
        let now = Now { clock: SECOND, unix_millis: 1_700_000_000_000 };
        let core = Core::new(state, Limits::default(), now);
        World { core, now, connections: 0, log: vec![], events: vec![], closed: vec![] }
    }

    /// The same state in a new process.
    fn restart(self) -> World {
        let mut state = State::default();
        self.log.iter().for_each(|txn| state.replay(txn).expect("it fits"));
        let World { log, connections, .. } = self;
        World { log, connections, ..World::with_state(state) }
    }

    /// Steps the core; the answer is what was sent, without lengths, events apart.
    fn step(&mut self, event: Event) -> Vec<(ConnectionId, Vec<u8>)> {
        let mut sent = Vec::new();
        for effect in self.core.step(self.now, event) {
            match effect {
                Effect::Append(txn) => self.log.push(txn),
                Effect::Close { connection } => self.closed.push(connection),
                Effect::Send { connection, bytes } => {
                    let packet = bytes[4..].to_vec();
                    let input = &mut Input::new(&packet);
                    match ReplyHeader::read(input) {
                        Ok(header) if header.xid == XID_EVENT => {
                            let event = WatcherEvent::read(input).unwrap();
                            let kinds = [
                                EventKind::Created,
                                EventKind::Deleted,
                                EventKind::DataChanged,
                                EventKind::ChildrenChanged,
                            ];
                            let kind = kinds[usize::try_from(event.kind - 1).unwrap()];
                            self.events.push((connection, kind, event.path));
                        }
                        _ => sent.push((connection, packet)),
                    }
                }
            }
        }
        sent
    }

    fn open(&mut self, session: i64, password: &[u8], timeout_ms: i32) -> Client {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let password_here = [u8::try_from(self.connections).unwrap(); 16];
        let address = [127, 0, 0, 1].into();
        self.step(Event::Connected { connection, address, password: password_here });
        let request = ConnectRequest {
            begin: ConnectRequestBegin {
                protocol: 0,
                last_zxid_seen: 0,
                timeout_ms,
                session,
                password: Some(password.to_vec()),
            },
            read_only: Some(false),
        };
        let sent = self.step(Event::Received { connection, frame: request.to_bytes().into() });
        let response = ConnectResponse::read(&mut Input::new(&sent[0].1)).unwrap();
        let password = response.password.unwrap();
        Client { connection, session: response.session, password, timeout_ms: response.timeout_ms }
    }

    fn connect(&mut self) -> Client {
        self.open(0, &[0; 16], 4_000)
    }

    fn resume(&mut self, client: &Client) -> Client {
        self.open(client.session, &client.password, client.timeout_ms)
    }

    /// Sends a request and takes its reply.
    fn ask(&mut self, client: &Client, request: Request) -> Result<Vec<u8>, i32> {
        let mut packet = RequestHeader { xid: 77, op: request.op() }.to_bytes();
        request.write_body(&mut packet);
        let sent = self.step(Event::Received { connection: client.connection, frame: packet.into() });
        let [(connection, reply)] = sent.as_slice() else { panic!("one reply: {sent:?}") };
        assert_eq!(*connection, client.connection);
        let input = &mut Input::new(reply);
        let header = ReplyHeader::read(input).unwrap();
        assert_eq!(header.xid, if matches!(request, Request::Ping(_)) { XID_PING } else { 77 });
        assert_eq!(header.zxid, self.core.state.zxid);
        if header.error == 0 { Ok(reply[16..].to_vec()) } else { Err(header.error) }
    }

    fn create(&mut self, client: &Client, path: &str, flags: i32) -> Result<String, i32> {
        let body = self.ask(client, Request::Create(create(path, flags)))?;
        Ok(CreateResponse::read(&mut Input::new(&body)).unwrap().path)
    }

    fn stat(&mut self, client: &Client, path: &str) -> Result<Stat, i32> {
        let body = self.ask(client, Request::Exists(watch(path, false)))?;
        Ok(StatResponse::read(&mut Input::new(&body)).unwrap().stat)
    }

    fn multi(&mut self, client: &Client, ops: Vec<WriteOp>) -> Vec<MultiResult> {
        let body = self.ask(client, Request::Multi(Multi(ops))).unwrap();
        MultiResponse::read(&mut Input::new(&body)).unwrap().0
    }

    /// Lets time pass in ticks.
    fn pass(&mut self, duration: Duration) {
        let tick = Duration::from_millis(100);
        let end = self.now.clock + duration;
        while self.now.clock < end {
            self.now.clock += tick;
            self.now.unix_millis += 100;
            self.step(Event::Ticked);
        }
    }

    fn take_events(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.events)
    }
}

fn create(path: &str, flags: i32) -> CreateRequest {
    CreateRequest { path: path.to_owned(), data: Some(b"data".to_vec()), acl: vec![open_acl()], flags }
}

fn watch(path: &str, watch: bool) -> WatchRequest {
    WatchRequest { path: path.to_owned(), watch }
}

fn versioned(path: &str, version: i32) -> VersionedRequest {
    VersionedRequest { path: path.to_owned(), version }
}

fn set_data(path: &str, version: i32) -> SetDataRequest {
    SetDataRequest { path: path.to_owned(), data: Some(b"new".to_vec()), version }
}

fn delete(path: &str) -> Request {
    Request::Delete(versioned(path, -1))
}

fn children(body: &[u8]) -> Vec<String> {
    ChildrenResponse::read(&mut Input::new(body)).unwrap().children
}

const PERSISTENT: i32 = 0;
const EPHEMERAL: i32 = 1;
const SEQUENTIAL: i32 = 2;
const NO_NODE: i32 = ErrorCode::NoNode as i32;
const NO_AUTH: i32 = ErrorCode::NoAuth as i32;

// === Sessions ===

#[test]
fn a_timeout_is_brought_within_the_limits() {
    let mut world = World::new();
    for (asked, granted) in [(-1, 1_000), (0, 1_000), (4_000, 4_000), (i32::MAX, 60_000)] {
        assert_eq!(world.open(0, &[], asked).timeout_ms, granted);
    }
}

#[test]
fn a_silent_session_expires_after_its_timeout_and_not_before() {
    let mut world = World::new();
    let client = world.connect();
    let other = world.open(0, &[], 60_000);
    world.create(&client, "/e", EPHEMERAL).unwrap();
    world.pass(SECOND * 39 / 10);
    assert!(world.stat(&other, "/e").is_ok());
    world.pass(SECOND / 10);
    assert_eq!(world.stat(&other, "/e"), Err(NO_NODE));
    assert_eq!(world.closed, [client.connection]);
    assert_eq!(world.core.sessions(), 1);
}

#[test]
fn pings_keep_a_session() {
    let mut world = World::new();
    let client = world.connect();
    for _ in 0..10 {
        world.pass(SECOND * 3);
        world.ask(&client, Request::Ping(Nothing {})).unwrap();
    }
    assert_eq!(world.core.sessions(), 1);
}

#[test]
fn a_session_outlives_its_connection() {
    let mut world = World::new();
    let client = world.connect();
    world.create(&client, "/e", EPHEMERAL).unwrap();
    world.step(Event::Disconnected { connection: client.connection });
    world.pass(SECOND * 3);
    let again = world.resume(&client);
    assert_eq!((again.session, &again.password), (client.session, &client.password));
    world.pass(SECOND * 3);
    assert_eq!(world.stat(&again, "/e").unwrap().ephemeral_owner, client.session);
    assert_eq!(world.log.len(), 2, "a session is opened once");
}

#[test]
fn a_wrong_password_or_session_is_answered_with_zeros() {
    let mut world = World::new();
    let client = world.connect();
    let thief = world.open(client.session, &[9; 16], 4_000);
    assert_eq!((thief.session, thief.timeout_ms, thief.password), (0, 0, vec![0; 16]));
    let stranger = world.open(client.session + 1, &client.password, 4_000);
    assert_eq!(stranger.session, 0);
    assert_eq!(world.closed, [thief.connection, stranger.connection]);
    assert!(world.stat(&client, "/").is_ok(), "the owner is not disturbed");
}

#[test]
fn a_session_has_one_connection_the_last() {
    let mut world = World::new();
    let client = world.connect();
    let again = world.resume(&client);
    assert_eq!(world.closed, [client.connection]);
    // The shell reports the old one's end: that must not touch the new one.
    world.step(Event::Disconnected { connection: client.connection });
    assert!(world.stat(&again, "/").is_ok());
    world.pass(SECOND * 5);
    assert_eq!(world.closed, [client.connection, again.connection]);
}

#[test]
fn closing_a_session_takes_its_ephemerals_before_the_answer() {
    let mut world = World::new();
    let (client, other) = (world.connect(), world.connect());
    world.create(&client, "/e", EPHEMERAL).unwrap();
    world.ask(&other, Request::Exists(watch("/e", true))).unwrap();
    world.ask(&client, Request::CloseSession(Nothing {})).unwrap();
    assert_eq!(world.take_events(), [(other.connection, EventKind::Deleted, "/e".to_owned())]);
    assert_eq!(world.closed, [client.connection]);
    assert_eq!(world.resume(&client).session, 0);
}

#[test]
fn sessions_resume_after_a_restart_or_expire_one_timeout_later() {
    let mut world = World::new();
    let (client, gone) = (world.connect(), world.connect());
    world.create(&client, "/kept", EPHEMERAL).unwrap();
    world.create(&gone, "/lost", EPHEMERAL).unwrap();
    let mut world = world.restart();
    world.pass(SECOND * 3);
    let client = world.resume(&client);
    assert_ne!(client.session, 0);
    assert!(world.stat(&client, "/lost").is_ok());
    world.pass(SECOND);
    assert_eq!(world.stat(&client, "/lost"), Err(NO_NODE));
    assert!(world.stat(&client, "/kept").is_ok());
    let new = world.connect();
    assert!(new.session > client.session.max(gone.session));
}

#[test]
fn a_client_that_has_seen_more_than_the_server_is_sent_away() {
    let mut world = World::new();
    let client = world.connect();
    let connection = ConnectionId(99);
    world.step(Event::Connected { connection, address: [127, 0, 0, 1].into(), password: [0; 16] });
    let begin = ConnectRequestBegin {
        protocol: 0,
        last_zxid_seen: 1_000,
        timeout_ms: 4_000,
        session: client.session,
        password: Some(client.password),
    };
    let sent = world.step(Event::Received { connection, frame: begin.to_bytes().into() });
    assert_eq!(sent, []);
    assert!(world.closed.contains(&connection));
}

// === Nodes ===

#[test]
fn a_sequence_counts_what_was_ever_made() {
    let mut world = World::new();
    let client = world.connect();
    world.create(&client, "/q", PERSISTENT).unwrap();
    assert_eq!(world.create(&client, "/q/n-", SEQUENTIAL).unwrap(), "/q/n-0000000000");
    world.create(&client, "/q/other", PERSISTENT).unwrap();
    world.ask(&client, delete("/q/n-0000000000")).unwrap();
    assert_eq!(world.create(&client, "/q/", SEQUENTIAL | EPHEMERAL).unwrap(), "/q/0000000002");
    let stat = world.stat(&client, "/q").unwrap();
    assert_eq!((stat.cversion, stat.children), (4, 2));
}

#[test]
fn a_stat_tells_a_nodes_history() {
    let mut world = World::new();
    let client = world.connect();
    world.create(&client, "/a", PERSISTENT).unwrap();
    world.pass(SECOND);
    world.ask(&client, Request::SetData(set_data("/a", 0))).unwrap();
    world.create(&client, "/a/b", PERSISTENT).unwrap();
    let wanted = Stat {
        czxid: 2,
        mzxid: 3,
        ctime_ms: 1_700_000_000_000,
        mtime_ms: 1_700_000_001_000,
        version: 1,
        cversion: 1,
        aversion: 0,
        ephemeral_owner: 0,
        data_length: 3,
        children: 1,
        pzxid: 4,
    };
    assert_eq!(world.stat(&client, "/a"), Ok(wanted));
}

#[test]
fn what_cannot_be_is_refused() {
    let mut world = World::new();
    let client = world.connect();
    world.create(&client, "/e", EPHEMERAL).unwrap();
    world.create(&client, "/a", PERSISTENT).unwrap();
    world.create(&client, "/a/b", PERSISTENT).unwrap();
    let zxid = world.core.state.zxid;
    let refused = |code: ErrorCode| Err(code.number());
    assert_eq!(world.create(&client, "/e/x", PERSISTENT), refused(ErrorCode::NoChildrenForEphemerals));
    assert_eq!(world.create(&client, "/a", PERSISTENT), refused(ErrorCode::NodeExists));
    assert_eq!(world.create(&client, "/", PERSISTENT), refused(ErrorCode::NodeExists));
    assert_eq!(world.create(&client, "/x/y", PERSISTENT), refused(ErrorCode::NoNode));
    assert_eq!(world.create(&client, "x", PERSISTENT), refused(ErrorCode::BadArguments));
    assert_eq!(world.create(&client, "/a/..", PERSISTENT), refused(ErrorCode::BadArguments));
    assert_eq!(world.create(&client, "/ttl", 5), refused(ErrorCode::Unimplemented));
    assert_eq!(world.create(&client, "/odd", 99), refused(ErrorCode::BadArguments));
    let mut no_acl = create("/x", PERSISTENT);
    no_acl.acl.clear();
    assert_eq!(world.ask(&client, Request::Create(no_acl)), Err(ErrorCode::InvalidAcl.number()));
    for (request, code) in [
        (delete("/a"), ErrorCode::NotEmpty),
        (delete("/"), ErrorCode::BadArguments),
        (delete("/zookeeper"), ErrorCode::BadArguments),
        (delete("/x"), ErrorCode::NoNode),
        (Request::Delete(versioned("/a/b", 1)), ErrorCode::BadVersion),
        (Request::SetData(set_data("/a", 7)), ErrorCode::BadVersion),
        (Request::SetData(set_data("a", 7)), ErrorCode::BadArguments),
        (Request::GetData(watch("/x", true)), ErrorCode::NoNode),
        (Request::Reconfig(Nothing {}), ErrorCode::ReconfigDisabled),
    ] {
        assert_eq!(world.ask(&client, request), Err(code.number()));
    }
    assert_eq!(world.core.state.zxid, zxid, "nothing has happened");
    assert_eq!(world.core.watches.count(), 0);
}

#[test]
fn after_an_unreadable_request_the_next_one_is_served() {
    let mut world = World::new();
    let client = world.connect();
    let packet = RequestHeader { xid: 5, op: 1 }.to_bytes();
    let sent = world.step(Event::Received { connection: client.connection, frame: packet.into() });
    let header = ReplyHeader::read(&mut Input::new(&sent[0].1)).unwrap();
    assert_eq!((header.xid, header.error), (5, ErrorCode::MarshallingError.number()));
    assert!(world.stat(&client, "/").is_ok());
}

#[test]
fn what_is_no_request_is_closed() {
    let mut world = World::new();
    let client = world.connect();
    let packet = RequestHeader { xid: 5, op: 999 }.to_bytes();
    let sent = world.step(Event::Received { connection: client.connection, frame: packet.into() });
    let header = ReplyHeader::read(&mut Input::new(&sent[0].1)).unwrap();
    assert_eq!((header.xid, header.error), (5, ErrorCode::Unimplemented.number()));
    let other = world.connect();
    world.step(Event::Received { connection: other.connection, frame: vec![1, 2].into() });
    assert_eq!(world.closed, [client.connection, other.connection]);
}

#[test]
fn ephemerals_and_descendants_are_listed() {
    let mut world = World::new();
    let (client, other) = (world.connect(), world.connect());
    world.create(&client, "/a", PERSISTENT).unwrap();
    world.create(&client, "/a/e", EPHEMERAL).unwrap();
    world.create(&client, "/e", EPHEMERAL).unwrap();
    world.create(&other, "/theirs", EPHEMERAL).unwrap();
    let ephemerals = |path: &str| Request::GetEphemerals(PathRequest { path: path.to_owned() });
    assert_eq!(children(&world.ask(&client, ephemerals("/")).unwrap()), ["/a/e", "/e"]);
    assert_eq!(children(&world.ask(&client, ephemerals("/a")).unwrap()), ["/a/e"]);
    let count = Request::GetAllChildrenNumber(PathRequest { path: "/a".to_owned() });
    assert_eq!(world.ask(&client, count).unwrap(), 1.to_bytes());
}

// === Multi ===

#[test]
fn a_multi_is_one_transaction() {
    let mut world = World::new();
    let client = world.connect();
    let results = world.multi(
        &client,
        vec![
            WriteOp::Create(create("/a", PERSISTENT)),
            WriteOp::Create2(create("/a/n-", SEQUENTIAL)),
            WriteOp::SetData(set_data("/a", 0)),
            WriteOp::Check(versioned("/a", 1)),
            WriteOp::Delete(versioned("/a/n-0000000000", -1)),
        ],
    );
    assert_eq!(results.len(), 5);
    assert!(matches!(&results[1], MultiResult::Create2(made) if made.path == "/a/n-0000000000"));
    let stat = world.stat(&client, "/a").unwrap();
    assert_eq!((stat.czxid, stat.mzxid, stat.pzxid, stat.version, stat.cversion), (2, 2, 2, 1, 2));
    assert_eq!(world.log.len(), 2);
    assert_eq!(world.log[1].changes.len(), 4);
}

#[test]
fn a_multi_that_fails_leaves_no_trace_and_tells_where() {
    let mut world = World::new();
    let client = world.connect();
    world.create(&client, "/a", PERSISTENT).unwrap();
    world.ask(&client, Request::Exists(watch("/b", true))).unwrap_err();
    let before = world.core.state.clone();
    let results = world.multi(
        &client,
        vec![
            WriteOp::Create(create("/b", EPHEMERAL)),
            WriteOp::SetData(set_data("/a", 0)),
            WriteOp::Check(versioned("/a", 0)),
            WriteOp::Delete(versioned("/a", -1)),
        ],
    );
    let errors = [0, 0, ErrorCode::BadVersion.number(), ErrorCode::RuntimeInconsistency.number()];
    let wanted = errors.map(|error| MultiResult::Error(ErrorResponse { error }));
    assert_eq!(results, wanted);
    assert_eq!(world.core.state, before);
    assert_eq!(world.take_events(), []);
}

#[test]
fn a_multi_of_reads_answers_each_for_itself() {
    let mut world = World::new();
    let client = world.connect();
    let ops = ["/", "/x"].map(|path| ReadOp::GetChildren(watch(path, false))).to_vec();
    let body = world.ask(&client, Request::MultiRead(Multi(ops))).unwrap();
    let MultiResponse(results) = MultiResponse::read(&mut Input::new(&body)).unwrap();
    let children = vec!["zookeeper".to_owned()];
    assert_eq!(results[0], MultiResult::GetChildren(ChildrenResponse { children }));
    assert_eq!(results[1], MultiResult::Error(ErrorResponse { error: NO_NODE }));
}

// === Watches ===

#[test]
fn watches_tell_before_the_answer_and_once() {
    let mut world = World::new();
    let (client, other) = (world.connect(), world.connect());
    world.ask(&other, Request::Exists(watch("/a", true))).unwrap_err();
    world.ask(&other, Request::GetChildren(watch("/", true))).unwrap();
    world.create(&client, "/a", PERSISTENT).unwrap();
    world.create(&client, "/b", PERSISTENT).unwrap();
    let wanted = [
        (other.connection, EventKind::Created, "/a".to_owned()),
        (other.connection, EventKind::ChildrenChanged, "/".to_owned()),
    ];
    assert_eq!(world.take_events(), wanted);

    world.ask(&client, Request::GetData(watch("/a", true))).unwrap();
    let mut packet = RequestHeader { xid: 3, op: 5 }.to_bytes();
    set_data("/a", -1).write(&mut packet);
    let received = Event::Received { connection: client.connection, frame: packet.into() };
    let effects = world.core.step(world.now, received);
    let [Effect::Append(_), Effect::Send { bytes: event, .. }, Effect::Send { bytes: reply, .. }] =
        effects.as_slice()
    else {
        panic!("{effects:?}")
    };
    assert_eq!(event[4..8], XID_EVENT.to_be_bytes());
    assert_eq!(reply[4..8], 3_i32.to_be_bytes());
}

#[test]
fn persistent_watches_stay_until_they_are_removed() {
    let mut world = World::new();
    let client = world.connect();
    let watcher = |kind| WatcherRequest { path: "/a".to_owned(), kind };
    world.ask(&client, Request::AddWatch(watcher(1))).unwrap();
    assert_eq!(world.ask(&client, Request::AddWatch(watcher(2))), Err(ErrorCode::MarshallingError.number()));
    world.create(&client, "/a", PERSISTENT).unwrap();
    world.create(&client, "/a/b", PERSISTENT).unwrap();
    world.ask(&client, delete("/a/b")).unwrap();
    let seen: Vec<(EventKind, String)> =
        world.take_events().into_iter().map(|(_, kind, path)| (kind, path)).collect();
    let wanted = [(EventKind::Created, "/a"), (EventKind::Created, "/a/b"), (EventKind::Deleted, "/a/b")];
    assert_eq!(seen, wanted.map(|(kind, path)| (kind, path.to_owned())));

    let no_watcher = Err(ErrorCode::NoWatcher.number());
    assert_eq!(world.ask(&client, Request::RemoveWatches(watcher(2))), no_watcher);
    assert_eq!(world.ask(&client, Request::CheckWatches(watcher(5))), Ok(vec![]));
    assert_eq!(world.ask(&client, Request::RemoveWatches(watcher(3))), Ok(vec![]));
    assert_eq!(world.ask(&client, Request::CheckWatches(watcher(3))), no_watcher);
    world.ask(&client, delete("/a")).unwrap();
    assert_eq!(world.take_events(), []);
}

#[test]
fn watches_end_with_their_connection() {
    let mut world = World::new();
    let (client, other) = (world.connect(), world.connect());
    world.ask(&client, Request::GetChildren(watch("/", true))).unwrap();
    world.resume(&client);
    world.create(&other, "/a", PERSISTENT).unwrap();
    assert_eq!(world.take_events(), []);
}

#[test]
fn a_client_that_comes_back_is_told_what_it_missed() {
    let mut world = World::new();
    let (client, other) = (world.connect(), world.connect());
    for path in ["/same", "/changed", "/gone", "/parent", "/childless"] {
        world.create(&other, path, PERSISTENT).unwrap();
    }
    let since_zxid = world.core.state.zxid;
    world.ask(&other, Request::SetData(set_data("/changed", -1))).unwrap();
    world.ask(&other, delete("/gone")).unwrap();
    world.create(&other, "/parent/child", PERSISTENT).unwrap();
    let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<String>>();
    let client = world.resume(&client);
    let request = SetWatches2Request {
        since_zxid,
        data: paths(&["/same", "/changed", "/gone"]),
        exist: paths(&["/parent", "/never"]),
        child: paths(&["/parent", "/childless", "/gone"]),
        persistent: paths(&["/p"]),
        recursive: paths(&["/r"]),
    };
    world.ask(&client, Request::SetWatches2(request)).unwrap();
    let seen: Vec<(EventKind, String)> =
        world.take_events().into_iter().map(|(_, kind, path)| (kind, path)).collect();
    let wanted = [
        (EventKind::DataChanged, "/changed"),
        (EventKind::Deleted, "/gone"),
        (EventKind::Created, "/parent"),
        (EventKind::ChildrenChanged, "/parent"),
        (EventKind::Deleted, "/gone"),
    ];
    assert_eq!(seen, wanted.map(|(kind, path)| (kind, path.to_owned())));
    // The others watch: data of /same, the making of /never, children of /childless, /p twice, /r.
    assert_eq!(world.core.watches.count(), 6);
}

#[test]
fn who_may_not_read_a_node_is_not_told_of_it() {
    let mut world = World::new();
    let (client, other) = (world.connect(), world.connect());
    let add = WatcherRequest { path: "/".to_owned(), kind: 1 };
    world.ask(&other, Request::AddWatch(add)).unwrap();
    let auth = AuthRequest { kind: 0, scheme: "digest".to_owned(), auth: Some(b"ann:1".to_vec()) };
    world.ask(&client, Request::Auth(auth)).unwrap();
    let mut secret = create("/secret", PERSISTENT);
    secret.acl = vec![Acl { permissions: 31, scheme: "auth".to_owned(), id: String::new() }];
    world.ask(&client, Request::Create(secret)).unwrap();
    world.create(&client, "/open", PERSISTENT).unwrap();
    assert_eq!(world.take_events(), [(other.connection, EventKind::Created, "/open".to_owned())]);
}

// === ACLs ===

#[test]
fn acls_protect_nodes() {
    let mut world = World::new();
    let (ann, other) = (world.connect(), world.connect());
    let auth = AuthRequest { kind: 0, scheme: "digest".to_owned(), auth: Some(b"ann:1".to_vec()) };
    world.ask(&ann, Request::Auth(auth)).unwrap();
    let who = world.ask(&ann, Request::WhoAmI(Nothing {})).unwrap();
    let WhoAmIResponse { clients } = WhoAmIResponse::read(&mut Input::new(&who)).unwrap();
    let info = |scheme: &str, user: &str| ClientInfo { scheme: scheme.to_owned(), user: user.to_owned() };
    assert_eq!(clients, [info("ip", "127.0.0.1"), info("digest", "ann")]);

    world.create(&ann, "/a", PERSISTENT).unwrap();
    let read_only = Acl { permissions: permission::READ, ..open_acl() };
    let all_of_ann = Acl { permissions: 31, scheme: "auth".to_owned(), id: String::new() };
    let acl = vec![read_only.clone(), all_of_ann];
    let set_acl = |version| {
        let acl = acl.clone();
        Request::SetAcl(SetAclRequest { path: "/a".to_owned(), acl, version })
    };
    assert_eq!(world.ask(&ann, set_acl(1)), Err(ErrorCode::BadVersion.number()));
    world.ask(&ann, set_acl(0)).unwrap();

    assert_eq!(world.ask(&other, Request::SetData(set_data("/a", -1))), Err(NO_AUTH));
    assert_eq!(world.create(&other, "/a/b", PERSISTENT), Err(NO_AUTH));
    assert_eq!(world.ask(&other, set_acl(-1)), Err(ErrorCode::InvalidAcl.number()));
    assert!(world.ask(&other, Request::GetData(watch("/a", false))).is_ok());
    assert!(world.ask(&ann, Request::SetData(set_data("/a", -1))).is_ok());

    let get_acl = || Request::GetAcl(PathRequest { path: "/a".to_owned() });
    let seen = world.ask(&other, get_acl()).unwrap();
    let GetAclResponse { acl, stat } = GetAclResponse::read(&mut Input::new(&seen)).unwrap();
    assert_eq!((acl[0].clone(), acl[1].id.as_str(), stat.aversion), (read_only, "ann:x", 1));
    let seen = world.ask(&ann, get_acl()).unwrap();
    let GetAclResponse { acl, .. } = GetAclResponse::read(&mut Input::new(&seen)).unwrap();
    assert!(acl[1].id.len() > "ann:x".len());
}

#[test]
fn who_fails_to_authenticate_is_closed() {
    let mut world = World::new();
    let client = world.connect();
    let auth = AuthRequest { kind: 0, scheme: "kerberos".to_owned(), auth: None };
    assert_eq!(world.ask(&client, Request::Auth(auth)), Err(ErrorCode::AuthFailed.number()));
    assert_eq!(world.closed, [client.connection]);
}

// === Words ===

#[test]
fn words_are_answered_and_closed() {
    let mut world = World::new();
    let client = world.connect();
    world.create(&client, "/e", EPHEMERAL).unwrap();
    for (word, part) in [
        (*b"ruok", "imok"),
        (*b"srvr", "Mode: standalone\n"),
        (*b"stat", "/127.0.0.1[1](sid=0x1"),
        (*b"mntr", "zk_ephemerals_count\t1\n"),
        (*b"cons", "/127.0.0.1[1](sid=0x1"),
        (*b"envi", "zookeeper.version=3.9"),
        (*b"isro", "rw"),
    ] {
        let connection = ConnectionId(50);
        world.step(Event::Connected { connection, address: [127, 0, 0, 1].into(), password: [0; 16] });
        let word = Word::from_letters(word).unwrap();
        let effects = world.core.step(world.now, Event::Asked { connection, word });
        let [Effect::Send { bytes, .. }, Effect::Close { .. }] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        let text = std::str::from_utf8(bytes).unwrap();
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(Word::from_letters(*b"kill"), None);
}

// === Properties ===

/// Requests that find nodes of each other.
fn request() -> impl Strategy<Value = Request> {
    let path = || proptest::string::string_regex("(/[ab]){1,3}").expect("it is an expression");
    let version = || -1..2_i32;
    let op = || {
        prop_oneof![
            (path(), 0..5_i32).prop_map(|(path, flags)| WriteOp::Create(create(&path, flags))),
            (path(), version()).prop_map(|(path, version)| WriteOp::Delete(versioned(&path, version))),
            (path(), version()).prop_map(|(path, version)| WriteOp::SetData(set_data(&path, version))),
            (path(), version()).prop_map(|(path, version)| WriteOp::Check(versioned(&path, version))),
        ]
    };
    prop_oneof![
        4 => op().prop_map(|op| match op {
            WriteOp::Create(body) => Request::Create(body),
            WriteOp::Delete(body) => Request::Delete(body),
            WriteOp::SetData(body) => Request::SetData(body),
            op => Request::Multi(Multi(vec![op])),
        }),
        2 => vec(op(), 0..5).prop_map(|ops| Request::Multi(Multi(ops))),
        1 => path().prop_map(|path| Request::Exists(watch(&path, true))),
        1 => path().prop_map(|path| Request::GetChildren2(watch(&path, true))),
        1 => (path(), 0..2_i32).prop_map(|(path, kind)| Request::AddWatch(WatcherRequest { path, kind })),
        1 => any::<Request>().prop_filter("it ends the session", |request| {
            !matches!(request, Request::CloseSession(_) | Request::Auth(_))
        }),
    ]
}

proptest! {
    #[test]
    fn the_log_leads_to_the_state(
        steps in vec((0..3_usize, request(), 0..1_500_u64, any::<bool>()), 0..40),
    ) {
        let mut world = World::new();
        let mut clients = [world.connect(), world.connect(), world.connect()];
        for (index, request, pause, reconnects) in steps {
            world.pass(Duration::from_millis(pause));
            if reconnects || world.closed.contains(&clients[index].connection) {
                clients[index] = world.resume(&clients[index]);
                if clients[index].session == 0 {
                    clients[index] = world.connect();
                }
            }
            world.ask(&clients[index], request).ok();
        }
        let mut replayed = State::default();
        for txn in &world.log {
            let read = Txn::read(&mut Input::new(&txn.to_bytes())).expect("it was written so");
            replayed.replay(&read).expect("it fits");
        }
        replayed.next_session = world.core.state.next_session;
        prop_assert_eq!(&replayed, &world.core.state);
        prop_assert_eq!(State::from_snapshot(&replayed.to_snapshot()), Ok(replayed));
    }

    #[test]
    fn no_packets_make_the_core_panic(frames in vec(vec(any::<u8>(), 0..100), 0..6), is_connected in any::<bool>()) {
        let mut world = World::new();
        let connection = if is_connected {
            world.connect().connection
        } else {
            let connection = ConnectionId(8);
            world.step(Event::Connected { connection, address: [127, 0, 0, 1].into(), password: [0; 16] });
            connection
        };
        for frame in frames {
            world.core.step(world.now, Event::Received { connection, frame: frame.into() });
        }
    }

    #[test]
    fn no_mangled_requests_make_the_core_panic(
        requests in vec((request(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 0..20),
    ) {
        let mut world = World::new();
        let mut client = world.connect();
        for (request, at, byte, is_cut) in requests {
            let mut packet = RequestHeader { xid: 77, op: request.op() }.to_bytes();
            request.write_body(&mut packet);
            let at = at.index(packet.len());
            packet[at] = byte;
            if is_cut {
                packet.truncate(at + 1);
            }
            world.step(Event::Received { connection: client.connection, frame: packet.into() });
            if world.closed.contains(&client.connection) {
                client = world.connect();
            }
        }
    }
}
