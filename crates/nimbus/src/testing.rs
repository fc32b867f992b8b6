//! Small records for the unit tests.

use std::collections::BTreeMap;

use storm_cluster::{BinaryRecord, SupervisorRecord, TopologyRecord};
use storm_model::{
    ComponentKind, ComponentSpec, Fields, GroupingSpec, InputSpec, Status, StreamSpec, TopologySpec,
    WorkerSlot,
};

pub(crate) fn slot(supervisor: &str, port: u16) -> WorkerSlot {
    WorkerSlot { supervisor: supervisor.into(), port }
}

/// A spout `words` with 2 executors of 4 tasks, and a bolt `count` with 2 of 2.
pub(crate) fn spec() -> TopologySpec {
    let component = |kind, executors, tasks, inputs| ComponentSpec {
        kind,
        executors,
        tasks,
        tasks_fixed: true,
        outputs: vec![StreamSpec { id: "default".into(), fields: Fields::new(["word"]), direct: false }],
        inputs,
        config: BTreeMap::new(),
    };
    let input =
        InputSpec { component: "words".into(), stream: "default".into(), grouping: GroupingSpec::Shuffle };
    let words = component(ComponentKind::Spout, 2, 4, vec![]);
    let count = component(ComponentKind::Bolt, 2, 2, vec![input]);
    let components = BTreeMap::from([("words".into(), words), ("count".into(), count)]);
    TopologySpec { components, config: BTreeMap::new() }
}

pub(crate) fn topology(name: &str, workers: u32) -> TopologyRecord {
    let spec = spec();
    TopologyRecord {
        id: format!("{name}-1-1764000000").into(),
        name: name.to_owned(),
        status: Status::Active,
        previous_status: None,
        workers,
        executors: BTreeMap::new(),
        owner: "me".to_owned(),
        launched_ms: 1_764_000_000_000,
        binary: BinaryRecord {
            digest: "ab".repeat(32),
            file_name: name.to_owned(),
            size: 1,
            ..BinaryRecord::default()
        },
        arguments: vec![],
        config: BTreeMap::new(),
        spec_digest: storm_rpc::launch::spec_digest(&spec),
        spec,
        pending: None,
        assignment_number: 0,
        assignment_version: 0,
        status_version: 0,
        rebalances: 0,
        tuning: Default::default(),
        explanation: String::new(),
    }
}

pub(crate) fn supervisor(id: &str, slots: u16) -> SupervisorRecord {
    SupervisorRecord {
        id: id.into(),
        host: format!("host-{id}"),
        rpc_port: 6628,
        slots: (6700..6700 + slots).collect(),
        arch: "x86_64".to_owned(),
        glibc: Some("2.36".to_owned()),
        software: "0.1.0".to_owned(),
        started_ms: 0,
        meta: BTreeMap::new(),
    }
}
