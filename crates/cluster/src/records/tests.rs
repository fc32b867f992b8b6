//! What is written is what is read, and nothing that stands in a node does harm.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;
use storm_model::{AssignedExecutor, ExecutorId, Level, LogLevel, Sampling, WorkerAssignment, WorkerSlot};

use super::*;

fn text() -> impl Strategy<Value = String> {
    any::<String>()
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(text(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn config() -> impl Strategy<Value = ConfigMap> {
    btree_map(text(), json(), 0..4)
}

fn component() -> impl Strategy<Value = ComponentId> {
    text().prop_map(ComponentId::from)
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Active), Just(Status::Inactive), Just(Status::Killed), Just(Status::Rebalancing)]
}

fn pending() -> impl Strategy<Value = PendingAction> {
    let kind = prop_oneof![
        Just(PendingKind::Kill),
        (option::of(any::<u32>()), btree_map(component(), any::<u32>(), 0..3))
            .prop_map(|(workers, executors)| PendingKind::Rebalance { workers, executors }),
    ];
    (kind, any::<u64>(), any::<u64>(), any::<u64>(), text()).prop_map(
        |(kind, started_ms, wait_secs, elapsed_ms, command)| PendingAction {
            kind,
            started_ms,
            wait_secs,
            elapsed_ms,
            command,
        },
    )
}

fn tuning() -> impl Strategy<Value = Tuning> {
    let level = || prop_oneof![Just(Level::Off), Just(Level::Warn), Just(Level::Trace)];
    let log_level = (level(), any::<(u32, u64)>(), option::of(level())).prop_map(
        |(level, (timeout_secs, until_ms), reset)| LogLevel { level, timeout_secs, until_ms, reset },
    );
    let sampling = (any::<bool>(), 0.0..=100.0).prop_map(|(is_on, percent)| Sampling { is_on, percent });
    let sampling = btree_map(component(), sampling, 0..3);
    (any::<u64>(), btree_map(text(), log_level, 0..3), sampling)
        .prop_map(|(version, log_levels, sampling)| Tuning { version, log_levels, sampling })
}

prop_compose! {
    fn topology()(
        (id, name, owner, explanation, spec_digest) in (text(), text(), text(), text(), text()),
        status in status(),
        previous_status in option::of(status()),
        (workers, launched_ms, size) in any::<(u32, u64, u64)>(),
        (assignment_number, assignment_version, status_version, rebalances) in any::<(u64, u64, u64, u64)>(),
        executors in btree_map(component(), any::<u32>(), 0..3),
        arguments in vec(text(), 0..3),
        (config, topology_config) in (config(), config()),
        (digest, file_name) in (text(), text()),
        (arch, glibc) in (option::of(text()), option::of(text())),
        pending in option::of(pending()),
        tuning in tuning(),
    ) -> TopologyRecord {
        TopologyRecord {
            id: id.into(),
            name,
            status,
            previous_status,
            workers,
            executors,
            owner,
            launched_ms,
            binary: BinaryRecord { digest, file_name, size, arch, glibc },
            arguments,
            config,
            spec: TopologySpec { config: topology_config, ..TopologySpec::default() },
            spec_digest,
            pending,
            assignment_number,
            assignment_version,
            status_version,
            rebalances,
            explanation,
            tuning,
        }
    }
}

prop_compose! {
    fn supervisor()(
        (id, host, arch, software) in (text(), text(), text(), text()),
        (rpc_port, started_ms) in any::<(u16, u64)>(),
        slots in vec(any::<u16>(), 0..5),
        glibc in option::of(text()),
        meta in config(),
    ) -> SupervisorRecord {
        SupervisorRecord { id: id.into(), host, rpc_port, slots, arch, glibc, software, started_ms, meta }
    }
}

fn assignment() -> impl Strategy<Value = AssignmentRecord> {
    let executor = (component(), any::<u32>(), any::<u32>()).prop_map(|(component, first, last)| {
        AssignedExecutor { component, executor: ExecutorId { first: TaskId(first), last: TaskId(last) } }
    });
    let worker = (text(), any::<u16>(), text(), any::<u64>(), vec(executor, 0..3)).prop_map(
        |(supervisor, port, host, number, executors)| WorkerAssignment {
            slot: WorkerSlot { supervisor: supervisor.into(), port },
            host,
            number,
            executors,
        },
    );
    (any::<u64>(), vec(worker, 0..3))
        .prop_map(|(version, workers)| AssignmentRecord { assignment: Assignment { version, workers } })
}

fn errors() -> impl Strategy<Value = ErrorsRecord> {
    let error = (any::<(u64, u32, u16, u64)>(), component(), text(), text(), text()).prop_map(
        |((time_ms, task, port, suppressed), component, host, message, kind)| ErrorRecord {
            time_ms,
            component,
            task: TaskId(task),
            host,
            port,
            message,
            kind,
            suppressed,
        },
    );
    vec(error, 0..4).prop_map(|errors| ErrorsRecord { errors })
}

#[track_caller]
fn comes_back<R: Record + std::fmt::Debug>(record: &R) -> Result<(), TestCaseError> {
    let bytes = record.encode();
    let json: Value = serde_json::from_slice(&bytes).expect("it is JSON");
    prop_assert_eq!(&json["version"], &Value::from(R::VERSION));
    prop_assert_eq!(&R::decode("/a", &bytes).expect("it was just written"), record);
    Ok(())
}

fn decode_all(bytes: &[u8]) -> Vec<Option<RecordError>> {
    vec![
        decode::<ClusterIdRecord>(bytes),
        decode::<LeaderRecord>(bytes),
        decode::<NimbusRecord>(bytes),
        decode::<SupervisorRecord>(bytes),
        decode::<TopologyRecord>(bytes),
        decode::<AssignmentRecord>(bytes),
        decode::<CommandRecord>(bytes),
        decode::<ErrorsRecord>(bytes),
        decode::<TombstoneRecord>(bytes),
    ]
}

/// Whatever can be read comes back when it is written.
fn decode<R: Record + std::fmt::Debug>(bytes: &[u8]) -> Option<RecordError> {
    match R::decode("/a", bytes) {
        Ok(record) => {
            assert_eq!(R::decode("/a", &record.encode()), Ok(record));
            None
        }
        Err(error) => Some(error),
    }
}

proptest! {
    #[test]
    fn a_topology_comes_back(record in topology()) {
        comes_back(&record)?;
    }

    #[test]
    fn a_supervisor_comes_back(record in supervisor()) {
        comes_back(&record)?;
    }

    #[test]
    fn an_assignment_comes_back(record in assignment()) {
        comes_back(&record)?;
    }

    #[test]
    fn errors_come_back(record in errors()) {
        comes_back(&record)?;
    }

    #[test]
    fn small_records_come_back(
        (host, text, id) in (text(), text(), text()),
        port in any::<u16>(),
        time_ms in any::<u64>(),
        answer in json(),
    ) {
        comes_back(&ClusterIdRecord { id: id.clone() })?;
        comes_back(&LeaderRecord { host: host.clone(), port, since_ms: time_ms })?;
        comes_back(&NimbusRecord { host, port, software: text.clone(), started_ms: time_ms })?;
        comes_back(&CommandRecord { id: id.clone(), answer, done_ms: time_ms })?;
        let (name, command) = (text.clone(), text);
        comes_back(&TombstoneRecord { id: id.into(), name, killed_ms: time_ms, command })?;
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        decode_all(&bytes);
    }

    #[test]
    fn arbitrary_json_never_panics(json in json()) {
        decode_all(json.to_string().as_bytes());
    }

    #[test]
    fn a_damaged_record_never_panics(
        record in topology(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = record.encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        decode_all(&bytes);
        decode_all(&bytes[..end.index(bytes.len())]);
    }
}

#[test]
fn fields_of_a_later_time_are_tolerated() {
    let bytes = br#"{"version":1,"host":"a","port":1,"since_ms":2,"mood":{"good":true}}"#;
    let expected = LeaderRecord { host: "a".into(), port: 1, since_ms: 2 };
    assert_eq!(LeaderRecord::decode("/storm/leader", bytes), Ok(expected));
}

#[test]
fn a_topology_of_before_is_not_tuned() {
    let binary = r#"{"digest":"d","file_name":"f","size":1}"#;
    let record = format!(
        r#"{{"version":1,"id":"a","name":"a","status":"ACTIVE","workers":1,"owner":"me","launched_ms":1,
            "binary":{binary},"spec":{{"components":{{}},"config":{{}}}},"spec_digest":""}}"#
    );
    let record = TopologyRecord::decode("/a", record.as_bytes()).unwrap();
    assert_eq!(record.tuning, Tuning::default());
}

#[test]
fn a_newer_version_is_named_with_its_node() {
    let bytes = br#"{"version":7,"place":"elsewhere"}"#;
    let error = LeaderRecord::decode("/storm/leader", bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the leader in ZooKeeper's node /storm/leader has version 7, and this storm-rs understands up to 1: \
         upgrade it"
    );
}

#[test]
fn corrupt_content_is_named_with_its_node() {
    for bytes in
        ["", "{", "[]", "null", "{}", "{\"version\":\"1\"}", "{\"version\":1}", "{\"version\":-1}", "\u{0}"]
    {
        for error in decode_all(bytes.as_bytes()) {
            let error = error.expect(bytes).to_string();
            assert!(error.contains("ZooKeeper's node /a"), "{bytes}: {error}");
        }
    }
}

#[test]
fn nesting_without_end_is_an_error() {
    let bytes = format!("{{\"version\":1,\"id\":\"a\",\"done_ms\":1,\"answer\":{}", "[".repeat(100_000));
    CommandRecord::decode("/a", bytes.as_bytes()).unwrap_err();
}

#[test]
fn a_record_is_easy_to_read() {
    let record = LeaderRecord { host: "nimbus-1".into(), port: 6627, since_ms: 1_764_000_000_000 };
    let json = String::from_utf8(record.encode()).unwrap();
    assert_eq!(json, r#"{"version":1,"host":"nimbus-1","port":6627,"since_ms":1764000000000}"#);
}
