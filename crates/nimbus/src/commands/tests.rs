//! What commands refuse and lead to, without a cluster.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use storm_model::Status;
use storm_rpc::ErrorCode;

use super::*;
use crate::heartbeats::Liveness;
use crate::testing;

struct Fixture {
    state: State,
    config: Config,
    limits: Limits,
}

impl Fixture {
    fn new() -> Fixture {
        let mut state = State::new(Liveness::new(Duration::from_secs(4)));
        state.set_supervisors([("a".into(), testing::supervisor("a", 2))].into());
        Fixture { state, config: Config::defaults(), limits: Limits::default() }
    }

    fn with(mut self, record: TopologyRecord) -> Fixture {
        self.state.apply(Time::ZERO, 0, Change::PutTopology(Box::new(record)), 0);
        self
    }

    fn decide(&self, command: Command) -> Result<Decision, CallError> {
        let context = Context {
            now: Time::ZERO,
            wall_ms: 1_764_000_000_123,
            submits: 3,
            config: &self.config,
            limits: self.limits,
        };
        command.decide(&self.state, &context)
    }
}

fn submit() -> v1::SubmitRequest {
    v1::SubmitRequest {
        command_id: "c1".to_owned(),
        name: "words".to_owned(),
        spec: serde_json::to_vec(&testing::spec()).unwrap(),
        config: br#"{"topology.workers": 9, "topology.message.timeout.secs": 7, "mine": true}"#.to_vec(),
        contract: storm_rpc::launch::CONTRACT,
        inactive: true,
        ..v1::SubmitRequest::default()
    }
}

fn put(decision: &Decision) -> &TopologyRecord {
    match &decision.changes[0] {
        Change::PutTopology(record) => record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_submission_becomes_a_record_and_its_answer_is_kept_with_it() {
    let decision = Fixture::new().decide(Command::Submit(Box::new(submit()))).unwrap();
    let record = put(&decision);
    assert_eq!(record.id, *"words-3-1764000000");
    assert_eq!((record.status, record.workers), (Status::Inactive, 9));
    assert_eq!(record.config["mine"], Value::Bool(true));
    assert_eq!(record.config["topology.name"], "words");
    assert!(record.config.keys().all(|key| key.starts_with("topology.") || key == "mine"));
    assert_eq!(decision.answer.notes, ["9 workers were asked for, but there are 4 executors: it gets 4"]);
    let Change::PutCommand(kept) = &decision.changes[1] else { panic!("{:?}", decision.changes) };
    assert_eq!(Answer::from_json(&kept.answer), decision.answer);
    assert_eq!(kept.id, "c1");
}

#[test]
fn a_name_is_taken_until_its_topology_is_gone() {
    let mut killed = testing::topology("words", 1);
    killed.status = Status::Killed;
    let error = Fixture::new().with(killed).decide(Command::Submit(Box::new(submit()))).unwrap_err();
    assert_eq!(error.code, ErrorCode::NameTaken);
    assert_eq!(error.message, "topology 'words' is being killed, and its name is taken until it is gone");
}

#[test]
fn a_cluster_may_have_limits() {
    let mut fixture = Fixture::new();
    fixture.limits.workers = Some(8);
    let error = fixture.decide(Command::Submit(Box::new(submit()))).unwrap_err();
    assert!(error.message.starts_with("the topology requests more than 8 workers (9)"), "{error}");
    fixture.limits = Limits { workers: None, executors: Some(3) };
    let error = fixture.decide(Command::Submit(Box::new(submit()))).unwrap_err();
    assert!(error.message.starts_with("the topology requests more than 3 executors (4)"), "{error}");
}

#[test]
fn without_a_wait_the_topologys_own_time_out_counts() {
    let mut record = testing::topology("words", 1);
    record.config.insert("topology.message.timeout.secs".to_owned(), 7.into());
    let fixture = Fixture::new().with(record);
    let kill = v1::KillRequest { name: "words".to_owned(), ..v1::KillRequest::default() };
    let decision = fixture.decide(Command::Kill(kill)).unwrap();
    let pending = put(&decision).pending.clone().unwrap();
    assert_eq!((pending.kind, pending.wait_secs), (PendingKind::Kill, 7));
}

#[test]
fn a_rebalance_without_a_name_means_the_only_topology() {
    let fixture = Fixture::new();
    let rebalance = || Command::Rebalance(v1::RebalanceRequest::default());
    assert_eq!(fixture.decide(rebalance()).unwrap_err().code, ErrorCode::Usage);
    let fixture = fixture.with(testing::topology("one", 1));
    let decision = fixture.decide(rebalance()).unwrap();
    assert_eq!(
        (put(&decision).status, put(&decision).previous_status),
        (Status::Rebalancing, Some(Status::Active))
    );
    let fixture = fixture.with(testing::topology("two", 1));
    assert_eq!(fixture.decide(rebalance()).unwrap_err().message, "which topology? there are: one, two");
}

#[test]
fn nothing_is_changed_while_frozen_but_a_dry_run_may_look() {
    let mut fixture = Fixture::new().with(testing::topology("one", 1));
    fixture.state.frozen = Some("another cluster".to_owned());
    let mut request = v1::RebalanceRequest { dry_run: true, ..v1::RebalanceRequest::default() };
    assert_eq!(fixture.decide(Command::Rebalance(request.clone())).unwrap().changes, []);
    request.dry_run = false;
    let error = fixture.decide(Command::Rebalance(request)).unwrap_err();
    assert_eq!(error.message, "nothing can be changed now: another cluster");
}
