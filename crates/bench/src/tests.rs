//! Every job does what it says, at a tiny size; nothing is said of speed.

use std::time::Duration;

use crate::constant::{self, Path as ConstPath};
use crate::data::{SENTENCE_WORDS, Text};
use crate::jobs::{self, JOBS, Lengths, Work};
use crate::word_count::{self, Counts, Layout};
use crate::{fused, naive, rows};

const SENTENCES: u64 = 3_000;

#[test]
fn fused_naive_and_engine_count_the_same_words() {
    let text = Text::generate();
    let mut wanted = Counts::new();
    for word in (0..SENTENCES).flat_map(|number| text.sentence(number).split(' ')) {
        *wanted.entry(word.to_owned()).or_default() += 1;
    }
    let engine = |layout, is_tracked| word_count::run(&text, SENTENCES, layout, is_tracked);
    let all = [
        ("fused", fused::run(&text, SENTENCES)),
        ("naive", naive::run(&text, SENTENCES, false)),
        ("naive tracked", naive::run(&text, SENTENCES, true)),
        ("1-1-1", engine(Layout::ONE_ONE, false)),
        ("1-1-1 tracked", engine(Layout::ONE_ONE, true)),
        ("1-2-2", engine(Layout::TWO_TWO, false)),
        ("1-2-2 tracked", engine(Layout::TWO_TWO, true)),
    ];
    for (name, (sample, counts)) in all {
        assert_eq!(sample.items, SENTENCES * SENTENCE_WORDS, "{name}");
        assert!(counts == wanted, "{name} counts other words");
    }
}

#[test]
fn every_constant_arrives() {
    for path in [ConstPath::Null, ConstPath::IdNull] {
        for is_tracked in [false, true] {
            assert_eq!(constant::run(5_000, path, is_tracked).items, 5_000);
        }
    }
}

#[test]
fn every_tree_of_the_schedule_is_acked_and_timed() {
    let lengths = Lengths { paced: Duration::from_millis(100), ..Lengths::quick() };
    let text = Text::generate();
    for job in JOBS {
        let Work::Paced(_, per_sec) = job.work else { continue };
        let measured = jobs::run(&text, job, 0, lengths);
        let latency = measured.latency.expect("a paced job has latencies");
        let trees = per_sec / 10;
        assert_eq!(measured.sample.items, trees, "{}", job.name);
        assert_eq!(latency.intended.len(), trees * 9 / 10, "{}: without those of the warm-up", job.name);
        assert_eq!(latency.emitted.len(), trees * 9 / 10, "{}", job.name);
        assert!(latency.intended.max() >= latency.emitted.max(), "{}", job.name);
    }
}

#[test]
fn every_job_has_a_row() {
    let tiny = Duration::from_millis(10);
    let lengths = Lengths { fast: tiny, paced: tiny, idle: tiny };
    let rounds = jobs::measure(&Text::generate(), JOBS, lengths, 2);
    let rows = rows::of(&rounds, true);
    assert_eq!(rows.len(), 26);
    for row in &rows {
        assert!(row.min <= row.median && row.median <= row.max, "{row:?}");
        assert_eq!(row.wanted.is_none(), row.verdict().is_empty(), "{row:?}");
    }
}

#[test]
fn jobs_are_chosen_by_name_or_part_of_it() {
    let names = |only: &[&str]| {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        jobs::choose(&only).iter().map(|job| job.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]).len(), JOBS.len());
    assert_eq!(names(&["count-1-1-1"]), ["count-1-1-1"]);
    assert_eq!(names(&["naive", "null-tr"]), ["naive", "null-tracked", "id-null-tracked"]);
    assert_eq!(names(&["gone"]), [""; 0]);
}
