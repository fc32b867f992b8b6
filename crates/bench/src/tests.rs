//! Every job does what it says, at a tiny size; nothing is said of speed.

use std::time::Duration;

use crate::constant::{self, Path as ConstPath};
use crate::data::{SENTENCE_WORDS, Text};
use crate::jobs::{self, JOBS, Job, Lengths, Work};
use crate::many::{self, Grouping, Many};
use crate::rows::{self, Row, Wanted, at_least, at_most};
use crate::word_count::{self, Counts, Layout};
use crate::{fused, naive};

const SENTENCES: u64 = 3_000;

#[test]
fn fused_naive_and_engine_count_the_same_words() {
    let text = Text::generate();
    let mut wanted = Counts::new();
    for word in (0..SENTENCES).flat_map(|number| text.sentence(number).split(' ')) {
        *wanted.entry(word.to_owned()).or_default() += 1;
    }
    let engine = |layout, is_tracked| word_count::run(&text, SENTENCES, layout, is_tracked);
    let naive = |layout, is_tracked| naive::run(&text, SENTENCES, layout, is_tracked);
    let all = [
        ("fused", fused::run(&text, SENTENCES)),
        ("naive", naive(Layout::ONE_ONE, false)),
        ("naive tracked", naive(Layout::ONE_ONE, true)),
        ("naive 1-2-2", naive(Layout::TWO_TWO, false)),
        ("naive 1-2-2 tracked", naive(Layout::TWO_TWO, true)),
        ("1-1-1", engine(Layout::ONE_ONE, false)),
        ("1-1-1 tracked", engine(Layout::ONE_ONE, true)),
        ("1-2-2", engine(Layout::TWO_TWO, false)),
        ("1-2-2 tracked", engine(Layout::TWO_TWO, true)),
        ("chained tracked", engine(Layout::CHAINED, true)),
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
fn many_executors_share_the_tuples() {
    for threads in [None, Some(2)] {
        let many = Many { bolts: 20, threads };
        for grouping in [Grouping::Shuffle, Grouping::Fields] {
            let sample = many::run(many, grouping, 50, Duration::from_millis(20));
            assert!(sample.items > 0, "{many:?} {grouping:?}");
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
    let lengths = Lengths { fast: tiny, paced: tiny, idle: tiny, warm_tuples: 8, warm: tiny };
    // A thousand threads are too much for a test.
    let (huge, jobs): (Vec<Job>, Vec<Job>) = JOBS.iter().partition(|job| job.name.contains("1000"));
    let mut rounds = jobs::measure(&Text::generate(), &jobs, lengths, 2);
    for round in &mut rounds {
        round.extend(huge.iter().map(|job| (job.name, round["shuffle-4"].clone())).collect::<Vec<_>>());
    }
    let rows = rows::of(&rounds, true);
    assert_eq!(rows.len(), 35);
    for job in JOBS {
        assert!(rounds.iter().all(|round| round[job.name].sample.items > 0), "{} does nothing", job.name);
    }
    for row in &rows {
        assert!(row.min <= row.median && row.median <= row.max, "{row:?}");
        assert_eq!(row.wanted.is_none(), row.verdict().is_empty(), "{row:?}");
    }
}

#[test]
fn a_row_is_judged_by_what_is_wanted_of_it() {
    let verdict = |median, wanted| {
        let (name, unit, min, max, quiet_rounds) = (String::new(), "", median, median, 1);
        Row { name, unit, median, min, max, quiet_rounds, wanted }.verdict()
    };
    let rate = at_least(1.0, 2.0, 3.0);
    assert_eq!([0.9, 1.0, 2.0].map(|n| verdict(n, rate)), ["below required", "below target", "ok"]);
    let time = at_most(3.0, 2.0, 1.0);
    assert_eq!([3.1, 3.0, 2.0].map(|n| verdict(n, time)), ["below required", "below target", "ok"]);
    let only_target = Wanted { required: None, ..rate.unwrap() };
    assert_eq!([0.9, 2.0].map(|n| verdict(n, Some(only_target))), ["below target", "ok"]);
    let only_required = Wanted { target: None, ..time.unwrap() };
    assert_eq!([3.1, 3.0].map(|n| verdict(n, Some(only_required))), ["below required", "ok"]);
    assert_eq!(verdict(1.0, None), "");
}

#[test]
fn jobs_are_chosen_by_name_or_part_of_it() {
    let names = |only: &[&str]| {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        jobs::choose(JOBS, &only).iter().map(|job| job.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]).len(), JOBS.len());
    assert_eq!(names(&["count-1-1-1"]), ["count-1-1-1"]);
    assert_eq!(names(&["naive", "null-tr"]), ["naive", "null-tracked", "id-null-tracked"]);
    assert_eq!(names(&["gone"]), [""; 0]);
}
