//! Drives a spout by hand and looks at the order of what it emits.

#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::time::Duration;

use bounded_input::{Common, FileSpout, KeyOf};
use storm_rs::prelude::*;
use storm_rs::testing::{Record, Slot, SpoutTest};

/// Task `index` of so many.
fn task(tasks: u32, index: u32, key_of: Option<KeyOf>, repeat: bool, text: &'static str) -> Driven {
    let args = Common { repeat, ..Common::default() };
    let spout = FileSpout::new(&args, text.as_bytes());
    let spout = if let Some(key_of) = key_of { spout.keyed(key_of) } else { spout };
    Driven { spout: SpoutTest::new(spout).task(index, tasks), slots: Vec::new(), errors: Vec::new() }
}

struct Driven {
    spout: SpoutTest,
    /// What was emitted, to be acked or failed.
    slots: Vec<Slot>,
    errors: Vec<String>,
}

impl Driven {
    /// Asks until there is nothing more, at most 100 times; returns the last answer.
    fn drain(&mut self) -> Next {
        let asked = self.spout.drain(100);
        self.slots.extend(asked.pending());
        self.errors.extend(asked.error().map(str::to_owned));
        asked.next().unwrap()
    }

    fn ack(&mut self, at: usize) {
        self.spout.ack(self.slots[at]);
    }

    fn fail(&mut self, at: usize, cause: FailCause) {
        self.spout.fail(self.slots[at], cause);
    }

    /// What was emitted so far: lines as their text, markers as the names of their streams.
    fn emitted(&self) -> Vec<String> {
        let text = |r: &Record| match r.fields().index("line").map(|i| &r.values()[i]) {
            Some(Value::Bytes(line)) => String::from_utf8(line.clone()).unwrap(),
            _ => r.stream().to_string(),
        };
        self.spout.emits().iter().map(text).collect()
    }
}

const FAILED: FailCause = FailCause::Failed;

#[test]
fn each_step_waits_for_the_acks_of_the_one_before() {
    let mut spout = task(1, 0, None, false, "a\nb\n\nc");
    assert_eq!(spout.drain(), Next::Idle);
    assert_eq!(spout.emitted(), ["a", "b", "", "c"]);
    spout.ack(3);
    spout.ack(0);
    spout.fail(1, FAILED);
    spout.ack(2);
    assert_eq!(spout.drain(), Next::Idle);
    assert_eq!(spout.errors.len(), 1, "{:?}", spout.errors);
    assert_eq!(spout.emitted()[4..], ["b"]);
    spout.ack(4);
    assert_eq!(spout.drain(), Next::Idle);
    assert_eq!(spout.emitted()[5..], ["end"]);
    spout.fail(5, FailCause::Timeout);
    assert_eq!(spout.drain(), Next::Idle);
    spout.ack(6);
    assert_eq!(spout.drain(), Next::Idle);
    assert_eq!(spout.emitted()[5..], ["end", "end", "commit"]);
    spout.ack(7);
    assert_eq!(spout.drain(), Next::Done);
}

#[test]
fn tasks_share_the_lines() {
    let of = |index, key_of| {
        let mut spout = task(2, index, key_of, false, "1a\n2b\n3a\n4c\n5b\n6a\n7d");
        spout.drain();
        spout.emitted()
    };
    assert_eq!([of(0, None), of(1, None)], [vec!["2b", "4c", "6a"], vec!["1a", "3a", "5b", "7d"]]);

    let keyed = [0, 1].map(|index| of(index, Some(|line| &line[1..])));
    assert_eq!(keyed[0].len() + keyed[1].len(), 7);
    for key in ["a", "b", "c", "d"] {
        let of_key = |lines: &[String]| lines.iter().filter(|line| line.ends_with(key)).count();
        assert!(of_key(&keyed[0]) == 0 || of_key(&keyed[1]) == 0, "{keyed:?}");
    }
    assert!(keyed.iter().all(|lines| lines.is_sorted()), "{keyed:?}");
}

#[test]
fn a_task_without_lines_says_that_it_has_none() {
    for (tasks, text) in [(1, ""), (3, "only\n")] {
        let mut spout = task(tasks, 0, None, false, text);
        assert_eq!(spout.drain(), Next::Idle);
        assert_eq!(spout.emitted(), ["end"]);
    }
}

#[test]
fn repeat_begins_again_for_ever() {
    let mut spout = task(1, 0, None, true, "a\nb");
    assert_eq!(spout.drain(), Next::Emitted);
    assert_eq!(spout.emitted()[..5], ["a", "b", "a", "b", "a"]);
    assert_eq!(task(1, 0, None, true, "").drain(), Next::Idle);
}

#[test]
fn a_result_that_cannot_be_written_is_given_up_after_three_attempts_with_pauses() {
    let mut spout = task(1, 0, None, false, "");
    spout.drain();
    spout.ack(0);
    for attempt in 1..=3 {
        assert_eq!(spout.drain(), Next::Idle);
        assert_eq!(spout.emitted().len(), 1 + attempt);
        spout.fail(attempt, FAILED);
        let next = spout.drain();
        if attempt == 3 {
            assert_eq!(next, Next::Done);
            break;
        }
        let Next::Until(moment) = next else { panic!("{next:?}") };
        assert_eq!(moment.since(spout.spout.now()), Duration::from_secs(1));
        spout.spout.advance(Duration::from_secs(1));
    }
}
