//! Runs the binary and compares what it writes, byte by byte.

#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use bounded_input::testing::{assert_same_bytes, assert_same_file, data, run, run_with, start};
use storm_rs::FiguresReport;
use storm_rs::figures::{ComponentFigures, Window};

const BINARY: &str = env!("CARGO_BIN_EXE_word-count");

/// Counts the words of `file`, or of the embedded book, into a new file and returns that.
fn count(file: Option<&Path>, tokens: &str, parallelism: [u32; 3]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("new/dir/words.tsv");
    let [lines, split, count] = parallelism.map(|n| n.to_string());
    let mut args = vec!["--tokens", tokens, "--lines", &lines, "--split", &split, "--count", &count];
    args.extend(["--out", out.to_str().unwrap()]);
    if let Some(file) = file {
        args.extend(["--file", file.to_str().unwrap()]);
    }
    run(BINARY, args).assert_success();
    let written: Vec<_> = fs::read_dir(out.parent().unwrap()).unwrap().collect();
    assert_eq!(written.len(), 1, "left something behind: {written:?}");
    fs::read(out).unwrap()
}

/// What `tr -s ' \t' '\n' | sort | uniq -c` would count.
fn counted_in_one_loop(text: &[u8], tokens: &str) -> Vec<u8> {
    let mut counts = BTreeMap::<Vec<u8>, u64>::new();
    let mut word = Vec::new();
    for &byte in text.iter().chain(b"\n") {
        let kept = match tokens {
            "alpha" => byte.is_ascii_alphabetic().then(|| byte.to_ascii_lowercase()),
            _ => (byte != b' ' && byte != b'\t' && byte != b'\n').then_some(byte),
        };
        match kept {
            Some(byte) => word.push(byte),
            None if word.is_empty() => {}
            None => *counts.entry(std::mem::take(&mut word)).or_default() += 1,
        }
    }
    let mut sorted: Vec<_> = counts.into_iter().collect();
    sorted.sort_by(|(_, m), (_, n)| n.cmp(m));
    let lines = sorted.into_iter().map(|(word, n)| [format!("{n}\t").as_bytes(), &word, b"\n"].concat());
    lines.collect::<Vec<_>>().concat()
}

fn oracle(tokens: &str) -> Vec<u8> {
    fs::read(data(&format!("oracle/wc-alice.{tokens}.tsv"))).unwrap()
}

#[test]
fn the_book_has_these_words_for_any_parallelism() {
    for tokens in ["fields", "alpha"] {
        for parallelism in [[1, 1, 1], [1, 2, 2], [2, 4, 3], [5, 1, 7]] {
            assert_same_bytes(&count(None, tokens, parallelism), &oracle(tokens));
        }
    }
}

#[test]
fn a_named_file_is_read_instead_of_the_embedded_one() {
    let file = data("wc-alice.txt");
    assert_same_bytes(&count(Some(&file), "alpha", [2, 2, 2]), &oracle("alpha"));
}

#[test]
fn any_bytes_are_counted_as_coreutils_would() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("odd.txt");
    let texts: [&[u8]; 7] = [
        b"",
        b"\n\n \t \n",
        b"no newline at the end\nend",
        b"dos\r\nline ends\r\nform\x0cfeed \x0c dos\r\n",
        "no\u{a0}break \u{a0} \u{2003}em\u{2003} na\u{ef}ve \u{feff}".as_bytes(),
        b"\xff\xfe \xc3 \xc3\x28\n\0 nul\0nul \0\n\xff\xfe \x80\tx",
        b"A a B b a\n\tThe the THE-the\n",
    ];
    for text in texts {
        fs::write(&file, text).unwrap();
        for tokens in ["fields", "alpha"] {
            assert_same_bytes(&count(Some(&file), tokens, [2, 2, 3]), &counted_in_one_loop(text, tokens));
        }
    }
}

#[test]
fn a_bigger_file_with_long_lines_is_counted_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("big.txt");
    let book = fs::read(data("wc-alice.txt")).unwrap();
    let one_line: Vec<u8> = book.iter().map(|b| if *b == b'\n' { b' ' } else { *b }).collect();
    let text = [&one_line, &b"\n"[..], &book, &book, &book, &book, &one_line].concat();
    fs::write(&file, &text).unwrap();
    assert_same_bytes(&count(Some(&file), "fields", [2, 2, 2]), &counted_in_one_loop(&text, "fields"));
}

#[test]
fn without_out_the_twenty_most_frequent_words_and_the_rate_are_shown() {
    let shown = run(BINARY, ["--tokens", "alpha"]).assert_success().stdout;
    let top20 = fs::read_to_string(data("oracle/wc-alice.alpha.top20.tsv")).unwrap();
    assert!(shown.starts_with(&top20), "{shown}");
    assert!(shown.contains("27341 words, 2572 different"), "{shown}");
    assert!(shown.contains("words/s"), "{shown}");
}

#[test]
fn an_existing_result_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("words.tsv");
    fs::write(&out, "old").unwrap();
    run(BINARY, ["--out", out.to_str().unwrap()]).assert_success();
    assert_same_file(&out, &data("oracle/wc-alice.fields.tsv"));
}

#[test]
fn a_missing_file_ends_with_1_and_its_path() {
    let finished = run(BINARY, ["--file", "/no/such/book.txt"]);
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stderr.contains("/no/such/book.txt"), "{finished:?}");
}

#[test]
fn a_result_that_cannot_be_written_ends_with_1_and_its_path() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    // A directory below a file, and a directory itself, fail for every user, root included.
    for out in [dir.path().join("file/words.tsv"), dir.path().to_owned()] {
        let finished = run(BINARY, ["--out", out.to_str().unwrap()]);
        assert_eq!(finished.status.code(), Some(1), "{finished:?}");
        assert!(finished.stderr.contains(out.to_str().unwrap()), "{finished:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_result_that_can_be_written_no_more_ends_with_1_and_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let (pipe, results) = (dir.path().join("pipe"), dir.path().join("results"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let out = results.join("words.tsv");
    let running = start(BINARY, ["--file", pipe.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    running.wait_until("the directory is made", || results.exists());
    // The input is still to come. Meanwhile a file takes the directory's place.
    running.wait_until("the directory is empty", || fs::remove_dir(&results).is_ok());
    fs::write(&results, "").unwrap();
    fs::write(&pipe, "some words").unwrap();
    let finished = running.finish();
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stderr.contains(out.to_str().unwrap()), "{finished:?}");
}

#[test]
fn many_different_words_are_written_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("distinct.txt"), dir.path().join("words.tsv"));
    let words: Vec<String> = (0..300_000_u64).map(|i| format!("w{}", i * 7919 % 300_007)).collect();
    fs::write(&file, words.chunks(10).map(|line| line.join(" ")).collect::<Vec<_>>().join("\n")).unwrap();
    run(BINARY, ["--file", file.to_str().unwrap(), "--out", out.to_str().unwrap()]).assert_success();
    let text = fs::read(&file).unwrap();
    assert_same_bytes(&fs::read(&out).unwrap(), &counted_in_one_loop(&text, "fields"));
}

#[test]
fn the_figures_are_those_of_the_book() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("figures.json");
    let book = fs::read(data("wc-alice.txt")).unwrap();
    let lines = book.split_inclusive(|b| *b == b'\n').count() as u64;
    let oracle = String::from_utf8(oracle("alpha")).unwrap();
    let counts = oracle.lines().map(|line| line.split_once('\t').unwrap().0.parse::<u64>().unwrap());
    let (words, different) = (counts.clone().sum::<u64>(), counts.count() as u64);
    // Two readers send a marker each to three counters and to the report.
    let (readers, counters) = (2, 3);
    let args = ["--tokens", "alpha", "--lines", "2", "--split", "2", "--count", "3"];
    run_with(BINARY, args, &[("STORM_RS_FIGURES_JSON", &json)]).assert_success();

    let report: FiguresReport = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let of = |component: &str| report.figures.component(component).unwrap();
    let figures = |component: &ComponentFigures| {
        let all = &component.figures[Window::AllTime];
        [all.emitted, all.transferred, all.executed, all.acked, all.failed]
    };
    let roots = lines + 2 * readers;
    assert_eq!(figures(of("lines")), [roots, lines + readers * (counters + 1), 0, roots, 0]);
    assert_eq!(figures(of("split")), [words, words, lines, lines, 0]);
    let counted = words + readers * counters;
    assert_eq!(figures(of("count")), [different, different, counted, counted, 0]);
    let written = different + readers;
    assert_eq!(figures(of("report")), [0, 0, written, written, 0]);
    assert_eq!(of("lines").figures.all_time.complete_latency.count(), roots);
    assert_eq!(of("count").tasks.len() as u64, counters);
    assert_eq!(report.errors.components().count(), 0);
}

#[test]
fn help_tells_of_the_environment() {
    let help = run(BINARY, ["--help"]).assert_success().stdout;
    for name in ["--tokens", "STORM_RS_FIGURES ", "STORM_RS_FIGURES_JSON", "RUST_LOG"] {
        assert!(help.contains(name), "no {name}: {help}");
    }
}
