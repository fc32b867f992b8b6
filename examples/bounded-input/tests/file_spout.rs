//! Drives a spout by hand and looks at the order of what it emits.

#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, SystemTime};

use bounded_input::{Common, FileSpout, KeyOf};
use storm_model::TaskTable;
use storm_rs::prelude::*;
use storm_rs::{
    AnySpout, Clock, ComponentError, EmitError, Message, MessagePort, Outputs, Refused, Resources,
    RowBuilder, SpoutSink, SpoutTask, TaskPort, Time, Values, WorkerContext,
};

/// One task of a spout, its clock, and what it emitted that is neither acked nor failed.
struct Driven {
    task: SpoutTask<FileSpout>,
    outputs: Outputs,
    sink: Sink,
    clock: Arc<StoppedClock>,
}

#[derive(Default)]
struct Sink {
    emitted: Vec<(u16, Vec<Value>)>,
    reported: usize,
}

#[derive(Default)]
struct StoppedClock(AtomicU64);

struct NoPort;

impl Clock for StoppedClock {
    fn now(&self) -> Time {
        Time::from_nanos(self.0.load(Ordering::Relaxed))
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}

impl MessagePort for NoPort {
    fn post(&self, _: TaskId, message: Message) -> Result<(), (Refused, Message)> {
        Err((Refused::Closed, message))
    }
}

impl TaskPort for NoPort {
    fn waker(&self, _: TaskId) -> Waker {
        Waker::noop().clone()
    }

    fn report_error(&self, _: TaskId, _: ComponentError) {}
}

impl SpoutSink for Sink {
    fn emit(
        &mut self,
        stream: u16,
        _: Option<TaskId>,
        tracked: bool,
        values: Values<'_>,
    ) -> Result<Option<u32>, EmitError> {
        assert!(tracked);
        self.emitted.push((stream, values.to_values()));
        Ok(Some(self.emitted.len() as u32 - 1))
    }

    fn pending(&self) -> usize {
        0
    }

    fn report_error(&mut self, _: ComponentError) {
        self.reported += 1;
    }
}

impl Driven {
    fn new(task_count: u32, index: usize, key_of: Option<KeyOf>, repeat: bool, text: &'static str) -> Driven {
        let args = Common { repeat, ..Common::default() };
        let make = move || {
            let spout = FileSpout::new(&args, text.as_bytes());
            if let Some(key_of) = key_of { spout.keyed(key_of) } else { spout }
        };
        let mut t = TopologyBuilder::new();
        t.set_spout("lines", make.clone(), task_count);
        let spec = t.build().unwrap().spec;
        let outputs = Outputs::new("lines".into(), spec.components["lines"].outputs.clone());
        let clock = Arc::new(StoppedClock::default());
        let tasks = TaskTable::new(&spec);
        let id = tasks.tasks_of("lines").nth(index).unwrap();
        let (resources, topology) = (Resources::default(), "test".to_owned());
        let worker = WorkerContext { topology, spec, tasks, resources, clock: clock.clone() };
        let context =
            TaskContext::new(Arc::new(worker), "lines".into(), id, Arc::default(), 1, Arc::new(NoPort));
        let mut task = SpoutTask::new(make());
        task.open(&context).unwrap();
        Driven { task, outputs, sink: Sink::default(), clock }
    }

    fn next(&mut self) -> Next {
        let mut builder = RowBuilder::new(1 << 20);
        let (next, error) = self.task.next_tuple(&self.outputs, &mut builder, &mut self.sink);
        assert!(error.is_none(), "{error:?}");
        next.unwrap()
    }

    /// Asks until there is nothing more, at most 100 times; returns the last answer.
    fn drain(&mut self) -> Next {
        (0..100).map(|_| self.next()).find(|next| *next != Next::Emitted).unwrap_or(Next::Emitted)
    }

    /// What was emitted so far: lines as their text, markers as the names of their streams.
    fn emitted(&self) -> Vec<String> {
        let text = |(stream, values): &(u16, Vec<Value>)| match (*stream, &values[1]) {
            (0, Value::Bytes(line)) => String::from_utf8(line.clone()).unwrap(),
            (1 | 2, _) => self.outputs.streams[usize::from(*stream)].id.to_string(),
            other => panic!("{other:?}"),
        };
        self.sink.emitted.iter().map(text).collect()
    }
}

const FAILED: FailCause = FailCause::Failed;

#[test]
fn each_step_waits_for_the_acks_of_the_one_before() {
    let mut spout = Driven::new(1, 0, None, false, "a\nb\n\nc");
    assert_eq!(spout.drain(), Next::Idle);
    assert_eq!(spout.emitted(), ["a", "b", "", "c"]);
    spout.task.ack(3);
    spout.task.ack(0);
    spout.task.fail(1, FAILED);
    spout.task.ack(2);
    assert_eq!(spout.drain(), Next::Idle);
    assert_eq!(spout.sink.reported, 1);
    assert_eq!(spout.emitted()[4..], ["b"]);
    spout.task.ack(4);
    assert_eq!(spout.drain(), Next::Idle);
    assert_eq!(spout.emitted()[5..], ["end"]);
    spout.task.fail(5, FailCause::Timeout);
    assert_eq!(spout.drain(), Next::Idle);
    spout.task.ack(6);
    assert_eq!(spout.drain(), Next::Idle);
    assert_eq!(spout.emitted()[5..], ["end", "end", "commit"]);
    spout.task.ack(7);
    assert_eq!(spout.drain(), Next::Done);
}

#[test]
fn tasks_share_the_lines() {
    let of = |index, key_of| {
        let mut spout = Driven::new(2, index, key_of, false, "1a\n2b\n3a\n4c\n5b\n6a\n7d");
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
        let mut spout = Driven::new(tasks, 0, None, false, text);
        assert_eq!(spout.drain(), Next::Idle);
        assert_eq!(spout.emitted(), ["end"]);
    }
}

#[test]
fn repeat_begins_again_for_ever() {
    let mut spout = Driven::new(1, 0, None, true, "a\nb");
    assert_eq!(spout.drain(), Next::Emitted);
    assert_eq!(spout.emitted()[..5], ["a", "b", "a", "b", "a"]);
    assert_eq!(Driven::new(1, 0, None, true, "").drain(), Next::Idle);
}

#[test]
fn a_result_that_cannot_be_written_is_given_up_after_three_attempts_with_pauses() {
    let mut spout = Driven::new(1, 0, None, false, "");
    spout.drain();
    spout.task.ack(0);
    for attempt in 1..=3 {
        assert_eq!(spout.drain(), Next::Idle);
        assert_eq!(spout.emitted().len(), 1 + attempt);
        spout.task.fail(attempt as u32, FAILED);
        let next = spout.drain();
        if attempt == 3 {
            assert_eq!(next, Next::Done);
            break;
        }
        let Next::Until(moment) = next else { panic!("{next:?}") };
        assert_eq!(moment.since(spout.clock.now()), Duration::from_secs(1));
        spout.clock.0.store(moment.as_nanos(), Ordering::Relaxed);
    }
}
