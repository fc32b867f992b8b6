//! Runs the binary and checks that every number arrives.

#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bounded_input::testing::{run, run_with, start};
use serde_json::Value;
use storm_rs::FiguresReport;

const BINARY: &str = env!("CARGO_BIN_EXE_at-least-once");

fn args<'a>(out: &'a Path, count: &'a str, rate: &'a str, fail_rate: &'a str) -> Vec<&'a str> {
    vec!["--out", out.to_str().unwrap(), "--count", count, "--rate", rate, "--fail-rate", fail_rate]
}

/// How often each number stands in the sink's files.
fn arrived(dir: &Path) -> BTreeMap<u64, u64> {
    let mut numbers = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("sink-") && name.ends_with(".tsv") {
            let text = fs::read_to_string(entry.path()).unwrap();
            for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
                *numbers.entry(line.parse().unwrap()).or_default() += 1;
            }
        }
    }
    numbers
}

fn assert_all_arrived(dir: &Path, count: u64) {
    let numbers: Vec<u64> = arrived(dir).into_keys().collect();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
}

/// `emitted`, `acked`, `failed`, `replayed` of a finished run.
fn done(dir: &Path, count: u64) -> [u64; 4] {
    let json: Value = serde_json::from_slice(&fs::read(dir.join("done.json")).unwrap()).unwrap();
    assert_eq!(json["count"], count);
    ["emitted", "acked", "failed", "replayed"].map(|key| json[key].as_u64().unwrap())
}

#[test]
fn without_faults_each_number_arrives_once() {
    for source in ["1", "3"] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("new/run");
        let more = ["--source", source, "--sink", "2"];
        run(BINARY, [&args(&out, "20000", "1e6", "0")[..], &more].concat()).assert_success();
        assert_all_arrived(&out, 20_000);
        assert!(arrived(&out).values().all(|times| *times == 1));
        assert_eq!(done(&out, 20_000), [20_000, 20_000, 0, 0]);
    }
}

#[test]
fn with_faults_each_number_arrives_and_the_books_balance() {
    for source in ["1", "2"] {
        let dir = tempfile::tempdir().unwrap();
        let more = ["--source", source];
        let json = dir.path().join("figures.json");
        let args = [&args(dir.path(), "5000", "1e5", "0.1")[..], &more].concat();
        run_with(BINARY, args, &[("STORM_RS_FIGURES_JSON", &json)]).assert_success();
        assert_all_arrived(dir.path(), 5000);
        let [emitted, acked, failed, replayed] = done(dir.path(), 5000);
        assert_eq!(acked, 5000);
        assert_eq!(emitted, acked + failed);
        assert_eq!(replayed, failed);
        // The mean is 5000 * (1 / 0.81 - 1) = 1173; 20 standard deviations are 750.
        assert!((423..1923).contains(&failed), "{failed} failures");
        let report: FiguresReport = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
        let figures = &report.figures.component("source").unwrap().figures.all_time;
        let of_engine = [figures.emitted, figures.acked, figures.failed, figures.replayed];
        assert_eq!(of_engine, [emitted, acked, failed, replayed], "the engine has the same books");
    }
}

#[test]
fn a_finished_run_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    // An hour's work, were it to be done again.
    let args = args(dir.path(), "10", "0.0028", "0");
    fs::write(
        dir.path().join("done.json"),
        r#"{"count":10,"emitted":10,"acked":10,"failed":0,"replayed":0}"#,
    )
    .unwrap();
    run(BINARY, &args).assert_success();
    assert_eq!(arrived(dir.path()), BTreeMap::new());
}

#[test]
fn a_killed_run_is_carried_on() {
    let dir = tempfile::tempdir().unwrap();
    let args = args(dir.path(), "6000", "5000", "0.02");
    // At this rate 3,500 numbers take two offsets' time at least.
    for (n, must_resume) in [(500, false), (4000, true)] {
        let running = start(BINARY, &args);
        running.wait_until("some numbers have arrived", || arrived(dir.path()).len() >= n);
        running.kill();
        assert!(!dir.path().join("done.json").exists());
        assert!(!must_resume || acked_prefix(dir.path()) > 0);
    }
    let resumed_at = acked_prefix(dir.path());
    run(BINARY, &args).assert_success();
    assert_all_arrived(dir.path(), 6000);
    let [_, acked, _, replayed] = done(dir.path(), 6000);
    assert_eq!(acked, 6000);
    assert!(replayed < 6000 - resumed_at, "{replayed} replays, resumed at {resumed_at}");
}

fn acked_prefix(dir: &Path) -> u64 {
    let Ok(json) = fs::read(dir.join("offset-0")) else { return 0 };
    let offset: Value = serde_json::from_slice(&json).unwrap();
    offset["acked_prefix"].as_u64().unwrap()
}

#[test]
fn a_torn_last_line_of_the_sink_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("sink-0.tsv"), "1\n2\n99999").unwrap();
    run(BINARY, args(dir.path(), "5", "1000", "0")).assert_success();
    assert_all_arrived(dir.path(), 5);
}

#[test]
fn a_directory_that_cannot_be_written_or_belongs_to_another_run_ends_with_1_and_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let finished = dir.path().join("finished");
    run(BINARY, args(&finished, "5", "1000", "0")).assert_success();
    for out in [&file, &finished] {
        let refused = run(BINARY, args(out, "6", "1000", "0"));
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.stderr.contains(out.to_str().unwrap()), "{refused:?}");
    }
}
