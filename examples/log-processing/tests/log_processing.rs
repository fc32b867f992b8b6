//! Runs the binary and compares what it writes, byte by byte.

#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::fs;
use std::path::Path;

use bounded_input::testing::{Finished, assert_same_file, data, run};

const BINARY: &str = env!("CARGO_BIN_EXE_log-processing");
const FILES: [&str; 5] = ["status", "per-minute", "per-ip", "bytes-by-status", "visits"];

fn figures(out: &Path, more: &[&str]) -> Finished {
    run(BINARY, [&["--out", out.to_str().unwrap()], more].concat()).assert_success()
}

fn assert_oracle(dir: &Path) {
    for name in FILES {
        assert_same_file(&dir.join(format!("{name}.tsv")), &data(&format!("oracle/web.{name}.tsv")));
    }
    assert_eq!(fs::read_dir(dir).unwrap().count(), FILES.len());
}

#[test]
fn the_log_has_these_figures_for_any_parallelism() {
    let parallel =
        ["--lines", "3", "--parse", "4", "--status", "2", "--minutes", "3", "--ips", "2", "--visits", "5"];
    for more in [&[][..], &["--lines", "2", "--parse", "1"], &parallel] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("new/figures");
        figures(&out, more);
        assert_oracle(&out);
    }
}

#[test]
fn malformed_lines_are_counted_and_reported_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (out, file) = (dir.path().join("figures"), dir.path().join("access.log"));
    let log = fs::read(data("web-apache-combined-10k.log")).unwrap();
    let mut lines: Vec<&[u8]> = log.strip_suffix(b"\n").unwrap().split(|b| *b == b'\n').collect();
    let malformed: [&[u8]; 4] =
        [b"what is this?", b"", b"\xff\xfe\0", b"1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"GET"];
    for (i, line) in malformed.into_iter().enumerate() {
        lines.insert(i * 3000, line);
    }
    fs::write(&file, lines.join(&b'\n')).unwrap();

    let finished = figures(&out, &["--file", file.to_str().unwrap(), "--lines", "2"]);
    assert_oracle(&out);
    assert!(finished.stdout.contains("10000 requests"), "{finished:?}");
    assert!(finished.stdout.contains("4 malformed lines"), "{finished:?}");
    assert!(finished.stderr.contains("malformed"), "{finished:?}");
}

#[test]
fn an_empty_log_has_empty_figures() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("access.log");
    fs::write(&file, "").unwrap();
    let out = dir.path().join("figures");
    figures(&out, &["--file", file.to_str().unwrap()]);
    for name in FILES {
        assert_eq!(fs::read(out.join(format!("{name}.tsv"))).unwrap(), b"");
    }
}

#[test]
fn without_out_a_summary_is_shown() {
    let shown = run(BINARY, [""; 0]).assert_success().stdout;
    assert!(shown.starts_with("9126\t200\n445\t304\n"), "{shown}");
    assert!(shown.contains("807\t683\t/favicon.ico\n"), "{shown}");
    assert!(shown.ends_with("10000 requests, 1753 clients, 1498 paths, 0 malformed lines\n"), "{shown}");
}

#[test]
fn a_missing_file_ends_with_1_and_its_path() {
    let finished = run(BINARY, ["--file", "/no/such/access.log"]);
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stderr.contains("/no/such/access.log"), "{finished:?}");
}

#[test]
fn a_directory_that_cannot_be_made_ends_with_1_and_its_path() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let out = file.path().join("figures");
    let finished = run(BINARY, ["--out", out.to_str().unwrap()]);
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stderr.contains(out.to_str().unwrap()), "{finished:?}");
}
