//! Tests of the data directory: what comes back after any crash, and what is refused.

use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::state::{Change, Make, OpenSession, SetData};
use crate::tree::{Stamp, open_acl};

fn open(dir: &TempDir) -> (Journal, State) {
    Journal::open(dir.path()).expect("the directory is whole")
}

fn txn(zxid: i64, change: Change) -> Txn {
    Txn { stamp: Stamp { zxid, unix_millis: 1_000 + zxid }, changes: vec![change] }
}

fn make(zxid: i64, owner: i64) -> Txn {
    let path = format!("/{zxid}");
    txn(zxid, Change::Make(Make { path, data: Some(vec![7; 20]), acl: vec![open_acl()], owner }))
}

/// Writes three records, the last of two transactions; the answer is the states before and after it.
fn fill(journal: &mut Journal, mut state: State) -> (State, State) {
    let password = Some(vec![3; 16]);
    let session = txn(1, Change::OpenSession(OpenSession { session: 5, timeout_ms: 4_000, password }));
    let set = txn(4, Change::SetData(SetData { path: "/3".to_owned(), data: Some(b"txns".to_vec()) }));
    let mut before = State::default();
    for batch in [vec![session], vec![make(2, 5)], vec![make(3, 0), set]] {
        before = state.clone();
        batch.iter().for_each(|txn| state.replay(txn).expect("it fits"));
        journal.append(&batch).expect("there is room");
    }
    (before, state)
}

#[test]
fn the_state_comes_back() {
    let dir = TempDir::new().unwrap();
    let (mut journal, empty) = open(&dir);
    assert_eq!(empty, State::default());
    let (_, wanted) = fill(&mut journal, empty);
    drop(journal);
    assert_eq!(open(&dir).1, wanted);
}

#[test]
fn a_torn_tail_is_cut_off_wherever_it_is_torn() {
    let dir = TempDir::new().unwrap();
    let (mut journal, empty) = open(&dir);
    let (before, after) = fill(&mut journal, empty);
    drop(journal);
    let path = log_path(dir.path(), 0);
    let whole = fs::read(&path).unwrap();
    let last = whole.windows(4).rposition(|window| window == b"txns").unwrap();
    // The data of the last znode are "txns": the record begins one occurrence before.
    let begin = whole[..last].windows(4).rposition(|window| window == b"txns").unwrap();
    for length in begin..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let (mut journal, state) = open(&dir);
        assert_eq!(state, before, "cut after {length} of {} bytes", whole.len());
        assert_eq!(fs::metadata(&path).unwrap().len(), begin as u64);
        // What is written next stands where the torn record stood.
        journal.append(&[make(3, 0)]).expect("there is room");
        drop(journal);
        assert_eq!(open(&dir).1.zxid, 3);
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(open(&dir).1, after);
}

#[test]
fn a_tail_of_zeros_is_a_torn_one() {
    let dir = TempDir::new().unwrap();
    let (mut journal, empty) = open(&dir);
    let (_, wanted) = fill(&mut journal, empty);
    drop(journal);
    let path = log_path(dir.path(), 0);
    let mut bytes = fs::read(&path).unwrap();
    let whole = bytes.len();
    bytes.resize(whole + 5_000, 0);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(open(&dir).1, wanted);
    assert_eq!(fs::metadata(&path).unwrap().len(), whole as u64);
}

#[test]
fn a_log_that_was_hardly_begun_is_begun_again() {
    let dir = TempDir::new().unwrap();
    drop(open(&dir));
    for length in 0..LOG_HEAD.len() {
        fs::write(log_path(dir.path(), 0), &LOG_HEAD[..length]).unwrap();
        assert_eq!(open(&dir).1, State::default());
    }
}

#[test]
fn damage_before_the_last_record_is_an_error() {
    let dir = TempDir::new().unwrap();
    let (mut journal, empty) = open(&dir);
    fill(&mut journal, empty);
    drop(journal);
    let path = log_path(dir.path(), 0);
    let whole = fs::read(&path).unwrap();
    let second = whole.windows(4).enumerate().filter(|(_, window)| window == b"txns").nth(1).unwrap().0;
    for at in 0..second {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        fs::write(&path, &damaged).unwrap();
        assert!(matches!(Journal::open(dir.path()), Err(DataError::Damaged { .. })), "byte {at}");
    }
}

#[test]
fn a_snapshot_replaces_the_log() {
    let dir = TempDir::new().unwrap();
    let (mut journal, empty) = open(&dir);
    let (_, mut state) = fill(&mut journal, empty);
    journal.compact_bytes = journal.log_bytes;
    assert!(!journal.is_large());
    journal.append(&[make(5, 0)]).expect("there is room");
    state.replay(&make(5, 0)).expect("it fits");
    assert!(journal.is_large());
    journal.compact(&state.to_snapshot()).expect("there is room");
    assert!(!journal.is_large());
    journal.append(&[make(6, 0)]).expect("there is room");
    state.replay(&make(6, 0)).expect("it fits");
    drop(journal);

    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["lock", "log.1", "snapshot.1"]);
    assert_eq!(open(&dir).1, state);
}

#[test]
fn a_crash_at_any_step_of_a_snapshot_loses_nothing() {
    let dir = TempDir::new().unwrap();
    let (mut journal, empty) = open(&dir);
    let (_, state) = fill(&mut journal, empty);
    drop(journal);
    let bytes = format::snapshot(&state.to_snapshot());

    // Not finished: the log counts.
    fs::write(snapshot_path(dir.path(), 1).with_extension("new"), &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(open(&dir).1, state);
    // Renamed, with the log of before still there, and none of its own.
    fs::write(snapshot_path(dir.path(), 1), &bytes).unwrap();
    assert_eq!(open(&dir).1, state);
    assert!(!log_path(dir.path(), 0).exists());
    assert_eq!(open(&dir).1, state);
}

#[test]
fn a_damaged_snapshot_is_an_error() {
    let dir = TempDir::new().unwrap();
    let (mut journal, state) = open(&dir);
    journal.compact(&state.to_snapshot()).expect("there is room");
    drop(journal);
    let path = snapshot_path(dir.path(), 1);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, &damaged).unwrap();
        assert!(matches!(Journal::open(dir.path()), Err(DataError::Damaged { .. })), "byte {at}");
    }
    // A log whose snapshot is gone is not the whole story.
    fs::remove_file(&path).unwrap();
    assert!(matches!(Journal::open(dir.path()), Err(DataError::Damaged { .. })));
}

#[test]
fn a_directory_has_one_user() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(&dir);
    assert!(matches!(Journal::open(dir.path()), Err(DataError::InUse { .. })));
    drop(journal);
    open(&dir);
}

// === What no server has written ===

/// Opens a directory whose snapshot is whole, and holds this.
fn open_forged(bytes: &[u8]) -> Result<(Journal, State), DataError> {
    let dir = TempDir::new().unwrap();
    drop(open(&dir));
    fs::write(snapshot_path(dir.path(), 1), format::snapshot(bytes)).unwrap();
    Journal::open(dir.path())
}

/// Works with a state: a session is opened and closed, and all others expire.
fn work(state: State) {
    use crate::core::{ConnectionId, Core, Event, Limits, Now};
    use crate::jute::Jute as _;
    let now = |secs| Now { clock: std::time::Duration::from_secs(secs), unix_millis: 1_700_000_000_000 };
    let mut core = Core::new(state, Limits::default(), now(0));
    let connection = ConnectionId(1);
    core.step(now(0), Event::Connected { connection, address: [127, 0, 0, 1].into(), password: [7; 16] });
    let begin = crate::packet::ConnectRequestBegin {
        protocol: 0,
        last_zxid_seen: 0,
        timeout_ms: 4_000,
        session: 0,
        password: Some(vec![0; 16]),
    };
    core.step(now(0), Event::Received { connection, frame: begin.to_bytes().into() });
    core.step(now(1_000_000), Event::Ticked);
    assert_eq!(core.sessions(), 0);
}

#[test]
fn a_snapshot_that_no_server_has_written_is_refused_and_named() {
    let mut whole = State::default();
    let open = OpenSession { session: 5, timeout_ms: 4_000, password: Some(vec![3; 16]) };
    for txn in [txn(1, Change::OpenSession(open)), make(2, 5), make(3, 0)] {
        whole.replay(&txn).expect("it fits");
    }
    work(open_forged(&whole.to_snapshot()).expect("it is whole").1);
    let forge = |change: &dyn Fn(&mut State)| {
        let mut state = whole.clone();
        change(&mut state);
        state.to_snapshot()
    };
    let node = whole.tree.get("/3").unwrap().clone();
    let of_session = crate::tree::Znode { owner: 5, ..node.clone() };
    let put = |path: &str, node: &crate::tree::Znode| {
        let (path, node) = (path.to_owned(), node.clone());
        forge(&move |state| {
            state.tree.restore(path.clone(), node.clone());
        })
    };
    let forged = [
        ("below an ephemeral", put("/2/child", &node)),
        ("below an ephemeral", put("/2/child", &of_session)),
        ("cannot be the path", put("2", &of_session)),
        ("cannot be the path", put("/3/", &of_session)),
        ("no root", put("/", &of_session)),
        ("is none that", forge(&|state| state.zxid = i64::MAX)),
        ("is none that", forge(&|state| state.zxid = -1)),
        ("is none that", forge(&|state| state.next_session = i64::MAX)),
        (
            "is none that",
            forge(&|state| {
                let session = state.sessions[&5].clone();
                state.sessions.insert(i64::MAX, session);
            }),
        ),
        ("no root", forge(&|state| state.tree = crate::tree::Tree::empty())),
    ];
    for (wanted, bytes) in forged {
        let error = open_forged(&bytes).expect_err(wanted).to_string();
        assert!(error.contains("snapshot.1 is damaged: ") && error.contains(wanted), "{error}");
        assert!(error.contains("restore the data directory from a copy"), "{error}");
    }
}

#[test]
fn a_log_that_no_server_has_written_is_refused_and_named() {
    let open = |session| OpenSession { session, timeout_ms: 4_000, password: Some(vec![3; 16]) };
    let bad_path = Make { path: "/a/".to_owned(), data: None, acl: vec![open_acl()], owner: 5 };
    let below = Make { path: "/2/child".to_owned(), data: None, acl: vec![open_acl()], owner: 0 };
    let a = Make { path: "/a".to_owned(), data: None, acl: vec![open_acl()], owner: 0 };
    let forged = [
        ("is none that", vec![Txn { stamp: Stamp { zxid: i64::MAX, unix_millis: 0 }, changes: vec![] }]),
        ("is none that", vec![txn(1, Change::OpenSession(open(i64::MAX)))]),
        ("cannot be the path", vec![txn(1, Change::Make(a)), txn(2, Change::Make(bad_path))]),
        ("NoChildrenForEphemerals", vec![make(2, 5), txn(3, Change::Make(below))]),
    ];
    for (wanted, txns) in forged {
        let dir = TempDir::new().unwrap();
        let (mut journal, _) = super::Journal::open(dir.path()).unwrap();
        journal.append(&txns).expect("there is room");
        drop(journal);
        let error = Journal::open(dir.path()).expect_err(wanted).to_string();
        assert!(error.contains("log.0 is damaged: ") && error.contains(wanted), "{error}");
    }
}

// === Properties ===

/// All that a log holds, and where its last whole record ends.
fn read(log: &[u8]) -> Result<(Vec<Txn>, usize), LogError<StateError>> {
    let mut txns = Vec::new();
    let mut take = |txn: &Txn| {
        txns.push(txn.clone());
        Ok(())
    };
    let end = format::read_log(log, &mut take)?;
    Ok((txns, end))
}

proptest! {
    #[test]
    fn a_log_is_read_back(batches in vec(vec((any::<u32>(), any::<Change>()), 0..3), 0..4)) {
        let mut log = LOG_HEAD.to_vec();
        let mut written = Vec::new();
        for batch in batches {
            let txns: Vec<Txn> = batch.into_iter().map(|(zxid, change)| txn(zxid.into(), change)).collect();
            log.extend_from_slice(&format::record(log.len() as u64, &txns));
            written.extend(txns);
        }
        prop_assert_eq!(read(&log), Ok((written, log.len())));
    }

    #[test]
    fn no_bytes_make_the_reader_of_a_log_panic(bytes in vec(any::<u8>(), 0..200), mark in 0..200_usize) {
        read(&bytes).ok();
        let mut log = [LOG_HEAD, &bytes[..]].concat();
        read(&log).ok();
        let at = mark.min(log.len());
        log.splice(at..at, *b"txns");
        read(&log).ok();
        format::read_snapshot(&log);
    }
}
