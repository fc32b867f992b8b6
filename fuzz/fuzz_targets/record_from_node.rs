//! Records with any changes, as nodes of ZooKeeper hold them: an error, or what was decoded comes back
//! when it is encoded. And any names of nodes.
#![no_main]

use std::fmt::Debug;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use storm_cluster::paths::{child, name_of, segment};
use storm_cluster::{
    AssignmentRecord, ClusterIdRecord, CommandRecord, ErrorsRecord, LeaderRecord, NimbusRecord, Record,
    SupervisorRecord, TombstoneRecord, TopologyRecord,
};

#[derive(Arbitrary, Debug)]
enum Content {
    Bytes(Vec<u8>),
    Changed(u8, Vec<Change>),
}

/// What stands at a place is replaced.
#[derive(Arbitrary, Debug)]
struct Change {
    at: u16,
    removed: u8,
    inserted: Inserted,
}

#[derive(Arbitrary, Debug)]
enum Inserted {
    Bytes(Vec<u8>),
    Token(u8),
    /// So many arrays in each other.
    Nested(u8),
    Float(f64),
    Int(i64),
    Text(String),
}

const TOKENS: [&str; 12] = [
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "-0.0",
    "1e999",
    "18446744073709551616",
    "\\u0000",
    "\\ud800",
    "{\"custom\":\"x\"}",
    ",\"version\":1",
];

fuzz_target!(|content: Content| {
    let bytes = match content {
        Content::Bytes(bytes) => bytes,
        Content::Changed(which, changes) => {
            let mut bytes = RECORDS[usize::from(which) % RECORDS.len()].clone();
            changes.iter().for_each(|change| change.make(&mut bytes));
            bytes
        }
    };
    decode::<ClusterIdRecord>(&bytes);
    decode::<LeaderRecord>(&bytes);
    decode::<NimbusRecord>(&bytes);
    decode::<SupervisorRecord>(&bytes);
    decode::<TopologyRecord>(&bytes);
    decode::<AssignmentRecord>(&bytes);
    decode::<CommandRecord>(&bytes);
    decode::<ErrorsRecord>(&bytes);
    decode::<TombstoneRecord>(&bytes);

    let name = String::from_utf8_lossy(&bytes);
    name_of(&name);
    assert_eq!(name_of(&segment(&name)), name);
    assert!(child("/a", &name).rsplit_once('/').is_some_and(|(directory, _)| directory == "/a"));
});

fn decode<R: Record + Debug>(bytes: &[u8]) {
    match R::decode("/a", bytes) {
        Ok(record) => assert_eq!(R::decode("/a", &record.encode()), Ok(record)),
        Err(error) => assert!(error.to_string().contains("/a")),
    }
}

impl Change {
    fn make(&self, bytes: &mut Vec<u8>) {
        let at = usize::from(self.at) % (bytes.len() + 1);
        let end = (at + usize::from(self.removed)).min(bytes.len());
        let inserted = match &self.inserted {
            Inserted::Bytes(bytes) => bytes.clone(),
            Inserted::Token(which) => TOKENS[usize::from(*which) % TOKENS.len()].into(),
            Inserted::Nested(depth) => {
                let depth = usize::from(*depth);
                ["[".repeat(depth), "]".repeat(depth)].concat().into_bytes()
            }
            Inserted::Float(x) => x.to_string().into_bytes(),
            Inserted::Int(x) => x.to_string().into_bytes(),
            Inserted::Text(text) => json!(text).to_string().into_bytes(),
        };
        bytes.splice(at..end, inserted);
    }
}

/// One of each kind, with all that may be in it.
static RECORDS: LazyLock<[Vec<u8>; 9]> = LazyLock::new(|| {
    let component = |kind: &str, inputs| {
        let outputs = json!([{"id": "default", "fields": ["word", "n"], "direct": false}]);
        json!({
            "kind": kind, "executors": 2, "tasks": 4, "tasks_fixed": true, "outputs": outputs,
            "inputs": inputs, "config": {"topology.debug": true},
        })
    };
    let groupings = [json!({"fields": ["word"]}), json!("shuffle"), json!({"custom": "mine"})];
    let inputs =
        groupings.map(|grouping| json!({"component": "s", "stream": "default", "grouping": grouping}));
    let spec = json!({
        "components": {"s": component("spout", json!([])), "b": component("bolt", json!(inputs))},
        "config": {"a.float": 1.5, "a.list": [1, null, "x"]},
    });
    let topology = json!({
        "version": 1, "id": "t-1-2", "name": "t", "status": "ACTIVE", "previous_status": "INACTIVE",
        "workers": 2, "executors": {"b": 3}, "owner": "me", "launched_ms": 1,
        "binary": {"digest": "00ff", "file_name": "t", "size": 9, "arch": "x86_64", "glibc": "2.34"}, "arguments": ["-v"],
        "config": {"topology.workers": 2, "mine": {"x": [1e-7]}}, "spec": spec, "spec_digest": "aa",
        "pending": {
            "kind": {"rebalance": {"workers": 3, "executors": {"b": 1}}}, "started_ms": 1, "wait_secs": 30,
            "elapsed_ms": 5, "command": "c",
        },
        "assignment_number": 4, "assignment_version": 7, "rebalances": 1, "explanation": "too few slots",
    });
    let executor = json!({"component": "b", "executor": {"first": 1, "last": 2}});
    let worker = json!({
        "slot": {"supervisor": "s1", "port": 6700}, "host": "h", "number": 3, "executors": [executor],
    });
    let error = json!({"time_ms": 1, "component": "b", "task": 2, "host": "h", "port": 1, "message": "m", "kind": "exit", "suppressed": 2});
    [
        checked::<ClusterIdRecord>(json!({"version": 1, "id": "c"})),
        checked::<LeaderRecord>(json!({"version": 1, "host": "h", "port": 6627, "since_ms": 1})),
        checked::<NimbusRecord>(
            json!({"version": 1, "host": "h", "port": 6627, "software": "0.1", "started_ms": 1}),
        ),
        checked::<SupervisorRecord>(json!({
            "version": 1, "id": "s1", "host": "h", "rpc_port": 6628, "slots": [6700, 6701], "arch": "x86_64",
            "glibc": "2.39", "software": "0.1", "started_ms": 1, "meta": {"rack": "r1"},
        })),
        checked::<TopologyRecord>(topology),
        checked::<AssignmentRecord>(json!({"version": 1, "assignment": {"version": 7, "workers": [worker]}})),
        checked::<CommandRecord>(json!({"version": 1, "id": "c", "answer": {"ok": [1.5, {}]}, "done_ms": 1})),
        checked::<ErrorsRecord>(json!({"version": 1, "errors": [error]})),
        checked::<TombstoneRecord>(
            json!({"version": 1, "id": "t-1-2", "name": "t", "killed_ms": 1, "command": "c"}),
        ),
    ]
});

/// As it is encoded; it must be a record.
fn checked<R: Record>(json: serde_json::Value) -> Vec<u8> {
    R::decode("/a", json.to_string().as_bytes()).expect("it is one of this kind").encode()
}
