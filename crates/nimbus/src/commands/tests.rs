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
    assert_eq!(
        decision.answer.notes,
        ["9 workers were asked for, but there are 4 executors: it gets 4 at most"]
    );
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

#[test]
fn what_no_supervisor_could_start_is_refused() {
    let refused = |change: fn(&mut v1::SubmitRequest)| {
        let mut request = submit();
        change(&mut request);
        let error = Fixture::new().decide(Command::Submit(Box::new(request))).unwrap_err();
        assert_eq!(error.code, ErrorCode::Invalid, "{error}");
        error.message
    };
    let long = refused(|r| r.name = "w".repeat(300));
    assert!(long.ends_with("it has 300 bytes, and 180 is the most"), "{long}");
    let file = refused(|r| r.file_name = "../../bin/sh".to_owned());
    assert!(file.starts_with("'../../bin/sh' cannot be the name of the binary's file"), "{file}");
    let argument = refused(|r| r.arguments = vec!["a\0b".to_owned()]);
    assert!(argument.starts_with("the argument 'a\\0b' contains a NUL"), "{argument}");

    let of_size = |executors: u32, tasks: u32| {
        let mut spec = testing::spec();
        let words = spec.components.get_mut("words").unwrap();
        (words.executors, words.tasks) = (executors, tasks);
        let request = v1::SubmitRequest { spec: serde_json::to_vec(&spec).unwrap(), ..submit() };
        Fixture::new().decide(Command::Submit(Box::new(request))).unwrap_err().message
    };
    assert_eq!(
        of_size(u32::MAX, u32::MAX),
        "the topology has 4294967297 tasks, and storm-rs runs 100000 of one topology at most"
    );
    let executors = of_size(50_000, 50_000);
    assert!(
        executors.starts_with("50002 executors on 9 workers are more than the assignment"),
        "{executors}"
    );
}

#[test]
fn a_rebalance_asks_for_no_more_than_a_cluster_can_hold() {
    let mut fixture = Fixture::new().with(testing::topology("one", 1));
    fixture.limits.workers = Some(8);
    let request = v1::RebalanceRequest { workers: Some(9), ..v1::RebalanceRequest::default() };
    let error = fixture.decide(Command::Rebalance(request)).unwrap_err();
    assert_eq!(error.message, "9 workers are more than nimbus.slots.perTopology allows, which is 8");
}

#[test]
fn a_rebalance_says_what_is_in_the_way_and_nothing_else() {
    let fixture = Fixture::new().with(testing::topology("one", 1));
    let notes = |workers, dry_run| {
        let request =
            v1::RebalanceRequest { workers: Some(workers), dry_run, ..v1::RebalanceRequest::default() };
        fixture.decide(Command::Rebalance(request)).unwrap().answer.notes
    };
    assert_eq!(notes(2, true), Vec::<String>::new());
    assert_eq!(notes(2, false), Vec::<String>::new());
    assert_eq!(notes(3, true), ["as the cluster is now, 2 of 3 workers placed: no free slot on host-a"]);
}

#[test]
fn this_nimbus_own_file_does_not_change_what_was_described() {
    let mut fixture = Fixture::new();
    let own = [
        "topology.tasks=5",
        "topology.max.task.parallelism=1",
        "topology.parallelism.words=9",
        "topology.message.timeout.secs=99",
        "topology.max.spout.pending=77",
        "topology.debug=true",
        "theirs=1",
    ];
    fixture.config.layer_arguments(own).unwrap();
    let mut spec = testing::spec();
    spec.config.insert("topology.debug".to_owned(), false.into());
    let request = v1::SubmitRequest {
        spec: serde_json::to_vec(&spec).unwrap(),
        config: br#"{"topology.message.timeout.secs": 7, "topology.tasks": 2}"#.to_vec(),
        ..submit()
    };
    let decision = fixture.decide(Command::Submit(Box::new(request))).unwrap();
    let record = put(&decision);
    let config = &record.config;
    assert_eq!(config["topology.message.timeout.secs"], 7, "the submission wins");
    assert_eq!(config["topology.debug"], false, "then the code");
    assert_eq!(config["topology.max.spout.pending"], 77, "then this file");
    assert_eq!(config["topology.tasks"], 2, "as the submitter applied it");
    assert!(!config.contains_key("topology.max.task.parallelism"), "{config:?}");
    assert!(!config.contains_key("topology.parallelism.words"));
    assert!(!config.contains_key("theirs"));
    assert_eq!(record.spec, spec, "nothing is applied twice");
}

#[test]
fn an_id_is_not_used_again_after_a_kill() {
    let mut fixture = Fixture::new();
    fixture.state.tombstones.insert("words-3-1764000000".into());
    let decision = fixture.decide(Command::Submit(Box::new(submit()))).unwrap();
    assert_eq!(decision.answer.topology_id, "words-4-1764000000");
}

#[test]
fn what_a_binary_needs_stands_with_it() {
    let request = v1::SubmitRequest { arch: "x86_64".to_owned(), ..submit() };
    let decision = Fixture::new().decide(Command::Submit(Box::new(request))).unwrap();
    let binary = &put(&decision).binary;
    assert_eq!((binary.arch.as_deref(), &binary.glibc), (Some("x86_64"), &None));
}

#[test]
fn ids_of_commands_can_be_names_of_nodes() {
    assert!(Command::check_id(&storm_rpc::nimbus_client::command_id()).is_ok());
    for bad in ["", "a b", "\u{7f}", "ü", &"x".repeat(129)] {
        assert_eq!(Command::check_id(bad).unwrap_err().code, ErrorCode::Usage, "{bad}");
    }
}

fn set_levels(levels: &[(&str, &str, u32, &str)]) -> Command {
    let level = |(logger, level, timeout_secs, reset): &(&str, &str, u32, &str)| v1::LogLevel {
        logger: (*logger).to_owned(),
        level: (*level).to_owned(),
        timeout_secs: *timeout_secs,
        until_ms: 7,
        reset_level: (*reset).to_owned(),
    };
    let levels = levels.iter().map(level).collect();
    Command::SetLogLevels(v1::LogLevelsRequest {
        command_id: "c".to_owned(),
        name: "words".to_owned(),
        levels,
    })
}

fn set_debug(component: &str, enable: bool, sampling_percent: f64) -> Command {
    let (command_id, name, component) = ("c".to_owned(), "words".to_owned(), component.to_owned());
    Command::SetDebug(v1::DebugRequest { command_id, name, component, enable, sampling_percent })
}

/// What stands in the record, as `logger=level@until>reset`.
fn levels_of(record: &TopologyRecord) -> Vec<String> {
    let levels = storm_rpc::convert::log_levels(&record.tuning);
    levels.iter().map(|l| format!("{}={}@{}>{}", l.logger, l.level, l.until_ms, l.reset_level)).collect()
}

#[test]
fn levels_are_kept_with_their_end_and_counted() {
    let fixture = Fixture::new().with(testing::topology("words", 1));
    let levels = [("", "all", 0, ""), ("word_count::split", "Fatal", 30, "info"), ("b", "WARNING", 1, "")];
    let decision = fixture.decide(set_levels(&levels)).unwrap();
    let record = put(&decision).clone();
    let wanted = ["ROOT=TRACE@0>", "b=WARN@1764000001123>", "word_count::split=ERROR@1764000030123>INFO"];
    assert_eq!((levels_of(&record), record.tuning.version), (wanted.map(str::to_owned).into(), 1));

    let fixture = fixture.with(record);
    let decision =
        fixture.decide(set_levels(&[("root", "", 0, ""), ("word-count", "debug", 0, "")])).unwrap();
    let record = put(&decision);
    assert_eq!((record.tuning.log_levels.len(), record.tuning.version), (3, 2));
    assert_eq!(decision.answer.notes.len(), 1, "modules have no '-': {:?}", decision.answer.notes);
    let decision = fixture.decide(set_levels(&[("c", "", 0, "")])).unwrap();
    assert_eq!(decision.answer.notes, ["the level of 'c' was not changed"]);
    assert_eq!(decision.changes.len(), 1, "the answer alone is written");
}

#[test]
fn what_is_no_level_or_no_logger_is_refused() {
    let fixture = Fixture::new().with(testing::topology("words", 1));
    for (levels, words) in [
        ([("a", "LOUD", 0, "")], "'LOUD' is no level: there are ALL"),
        ([("a", "INFO", 0, "quiet")], "'quiet' is no level: there are ALL"),
        ([("a,b", "INFO", 0, "")], "'a,b' is no name of a logger"),
        ([("a[b", "", 0, "")], "'a[b' is no name of a logger"),
    ] {
        let error = fixture.decide(set_levels(&levels)).unwrap_err();
        assert!(error.code == ErrorCode::Invalid && error.message.starts_with(words), "{error:?}");
    }
    let many: Vec<String> = (0..=100).map(|n| format!("a{n}")).collect();
    let many: Vec<_> = many.iter().map(|logger| (logger.as_str(), "INFO", 0, "")).collect();
    assert_eq!(fixture.decide(set_levels(&many)).unwrap_err().code, ErrorCode::Invalid);
    let other =
        Command::SetLogLevels(v1::LogLevelsRequest { name: "other".to_owned(), ..Default::default() });
    assert_eq!(fixture.decide(other).unwrap_err().code, ErrorCode::NoSuchTopology);
}

#[test]
fn a_level_leaves_the_record_when_its_time_is_over() {
    let mut fixture = Fixture::new().with(testing::topology("words", 1));
    let levels = [("a", "DEBUG", 10, ""), ("b", "DEBUG", 10, "WARN"), ("c", "DEBUG", 20, "")];
    let record = put(&fixture.decide(set_levels(&levels)).unwrap()).clone();
    fixture = fixture.with(record);
    fixture.state.is_dirty = false;
    let start = 1_764_000_000_123;
    assert!(fixture.state.due(Time::ZERO, start + 9_999).is_empty());
    let due = fixture.state.due(Time::ZERO, start + 10_000);
    let [Change::PutTopology(record)] = &due[0][..] else { panic!("{due:?}") };
    assert_eq!(levels_of(record), ["b=WARN@0>".to_owned(), format!("c=DEBUG@{}>", start + 20_000)]);
    assert_eq!(record.tuning.version, 2);
    fixture = fixture.with((**record).clone());
    fixture.state.is_dirty = false;
    assert!(fixture.state.due(Time::ZERO, start + 10_000).is_empty());
}

#[test]
fn a_component_can_be_sampled_or_left_out_and_the_end_is_for_all() {
    let fixture = Fixture::new().with(testing::topology("words", 1));
    let after = |fixture: Fixture, command| {
        let decision = fixture.decide(command).unwrap();
        let record = put(&decision).clone();
        let options = storm_rpc::convert::debug_options(&record.tuning).into_iter();
        let options: Vec<_> =
            options.map(|o| format!("{}:{}:{}", o.component, o.enable, o.sampling_percent)).collect();
        (fixture.with(record), options.join(" "))
    };
    let (fixture, options) = after(fixture, set_debug("count", true, 50.0));
    assert_eq!(options, "count:true:50");
    let (fixture, options) = after(fixture, set_debug("count", false, 0.0));
    assert_eq!(options, "");
    let (fixture, _) = after(fixture, set_debug("", true, 10.0));
    let (fixture, options) = after(fixture, set_debug("count", false, 0.0));
    assert_eq!(options, ":true:10 count:false:10");
    assert_eq!(fixture.state.find("words").unwrap().record().tuning.version, 4);
    let again = fixture.decide(set_debug("count", false, 0.0)).unwrap();
    assert_eq!((again.answer.notes, again.changes.len()), (vec!["it is off already".to_owned()], 1));
    // All are all, but those with a share of their own keep it.
    let (fixture, _) = after(fixture, set_debug("words", true, 70.0));
    let (fixture, options) = after(fixture, set_debug("", true, 10.0));
    assert_eq!(options, ":true:10 words:true:70");
    let (fixture, options) = after(fixture, set_debug("", false, 0.0));
    assert_eq!(options, "");

    let error = fixture.decide(set_debug("cuont", true, 10.0)).unwrap_err();
    assert_eq!((error.code, &*error.message), (ErrorCode::Invalid, "'words' has no component 'cuont'"));
    assert_eq!(error.advice, "there are: count, words");
    for percent in [-1.0, 100.5, f64::NAN] {
        assert_eq!(fixture.decide(set_debug("", true, percent)).unwrap_err().code, ErrorCode::Invalid);
    }
}
