//! Runs the binary and compares what it writes, byte by byte.

#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use bounded_input::testing::{Finished, assert_same_bytes, assert_same_file, data, run};

const BINARY: &str = env!("CARGO_BIN_EXE_spike-detection");

fn spikes(out: &Path, args: &[&str]) -> Finished {
    run(BINARY, [&["--out", out.to_str().unwrap()], args].concat())
}

#[test]
fn the_machine_has_these_spikes_for_any_parallelism() {
    let parallel = ["--readings", "3", "--average", "4", "--detect", "3"];
    for (window, threshold) in [("100", "0.03"), ("100", "0.25"), ("1000", "0.03"), ("1000", "0.25")] {
        for more in [&[][..], &parallel] {
            let dir = tempfile::tempdir().unwrap();
            let out = dir.path().join("new/spikes.tsv");
            let args = [&["--window", window, "--threshold", threshold], more].concat();
            spikes(&out, &args).assert_success();
            let oracle = format!("oracle/sensor-machine-temperature.spikes.w{window}.t{threshold}.tsv");
            assert_same_file(&out, &data(&oracle));
        }
    }
}

/// 30,000 rows of 23 devices, whose values are whole numbers so that averages are exact.
fn readings() -> Vec<(String, i64, String)> {
    let mut random = 1_u64;
    let mut next = |n: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % n
    };
    let row = |i| (format!("t{i}"), next(1000) as i64, format!("device {}", next(23)));
    (0..30_000).map(row).collect()
}

/// The same in one loop.
fn spikes_in_one_loop(rows: &[(String, i64, String)], window: usize, threshold: f64) -> String {
    let mut last = HashMap::<&str, Vec<i64>>::new();
    let mut spikes = Vec::new();
    for (i, (timestamp, value, device)) in rows.iter().enumerate() {
        let values = last.entry(device).or_default();
        values.push(*value);
        let values = &values[values.len().saturating_sub(window)..];
        let average = values.iter().sum::<i64>() as f64 / values.len() as f64;
        if (*value as f64 - average).abs() > threshold * average {
            spikes.push(format!("{}\t{timestamp}\t{value}\n", i + 1));
        }
    }
    spikes.concat()
}

#[test]
fn each_device_has_its_own_average_in_order_for_any_parallelism() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("readings.csv"), dir.path().join("spikes.tsv"));
    let rows = readings();
    let text: String = rows.iter().map(|(t, v, d)| format!("{t},{v},{d}\r\n")).collect();
    fs::write(&file, format!("timestamp,value,device\r\n{text}")).unwrap();
    for [readings, average, detect] in [["1", "1", "1"], ["1", "3", "2"], ["2", "2", "2"], ["4", "5", "3"]] {
        let args = ["--window", "7", "--threshold", "0.8", "--file", file.to_str().unwrap()];
        let parallel = ["--readings", readings, "--average", average, "--detect", detect];
        spikes(&out, &[args, parallel].concat()).assert_success();
        assert_same_bytes(&fs::read(&out).unwrap(), spikes_in_one_loop(&rows, 7, 0.8).as_bytes());
    }
}

#[test]
fn malformed_rows_count_as_rows_and_in_no_average() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("readings.csv"), dir.path().join("spikes.tsv"));
    fs::write(&file, "timestamp,value\na,10\nb,oops\nc\nd,10\ne,nan\nf,010.00e1").unwrap();
    let args = ["--window", "3", "--threshold", "0.5", "--file", file.to_str().unwrap()];
    let finished = spikes(&out, &args).assert_success();
    assert_eq!(fs::read_to_string(&out).unwrap(), "6\tf\t010.00e1\n");
    assert!(finished.stdout.contains("1 spikes, 3 malformed rows"), "{finished:?}");
}

#[test]
fn a_file_without_readings_has_no_spikes() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("readings.csv"), dir.path().join("spikes.tsv"));
    for text in ["", "timestamp,value", "timestamp,value,device\r\n"] {
        fs::write(&file, text).unwrap();
        spikes(&out, &["--file", file.to_str().unwrap()]).assert_success();
        assert_eq!(fs::read(&out).unwrap(), b"");
    }
}

#[test]
fn a_file_that_is_missing_or_has_another_header_ends_with_1_and_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("readings.csv"), dir.path().join("spikes.tsv"));
    for _ in 0..2 {
        let finished = spikes(&out, &["--file", file.to_str().unwrap()]);
        assert_eq!(finished.status.code(), Some(1), "{finished:?}");
        assert!(finished.stderr.contains(file.to_str().unwrap()), "{finished:?}");
        fs::write(&file, "2013-12-02 21:15:00,73.9\n").unwrap();
    }
}
