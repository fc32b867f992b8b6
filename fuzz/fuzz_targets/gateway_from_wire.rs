//! Any frames from a peer worker: refused, or harmless. The frames of two workers among each other
//! come between them, and are never refused.
#![no_main]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use storm_engine::gateway::{ControlIn, ControlOut, DataIn, DataOut, FrameError, Gateway, Line, kind};
use storm_engine::{ComponentSettings, ErrorKind, Event, Options, Run, Settings};
use storm_model::{ExecutorId, TaskTable};
use storm_row::{Anchor, Batch, Header, RowBuilder, TaskId, Value};
use storm_topology::{
    Bolt, BoltError, BoltOutput, FailCause, Next, OutputDeclarer, Spout, SpoutError, SpoutOutput, Topology,
    TopologyBuilder, Tuple,
};

/// By their numbers: two spouts, three bolts in a cycle, two sinks. They have a task each, from 1.
const HERE: [[usize; 3]; 2] = [[0, 2, 5], [1, 3, 6]];
/// With the one that is left.
const EXECUTORS: u8 = 7;

#[derive(Arbitrary, Debug)]
struct Step {
    /// Which worker gets it.
    to: bool,
    frame: Frame,
}

#[derive(Arbitrary, Debug)]
enum Frame {
    Data(u8, Vec<u8>),
    Control(u8, Vec<u8>),
    Rows(Rows),
    /// Task, root, code, edges.
    Acks(Vec<(Number, u64, u8, u64)>),
    /// Executor, rows, bytes; executor, window.
    Credit(Vec<(Number, u64, u64)>, Vec<(Number, u64)>),
    /// The line breaks, and there is another one.
    Break,
}

#[derive(Arbitrary, Debug)]
struct Rows {
    is_looped: bool,
    to: Number,
    from: Number,
    rows: Vec<Row>,
    /// Parts before the last one.
    parts: u8,
    /// Bytes with another value.
    wrong: Vec<(u16, u8)>,
}

#[derive(Arbitrary, Debug)]
struct Row {
    target: Number,
    source: Number,
    stream: u8,
    anchors: Vec<(Number, u64, u64)>,
    values: Values,
}

#[derive(Arbitrary, Debug)]
enum Values {
    Declared(i64, String),
    Any(Vec<Field>),
    Long(u16),
}

#[derive(Arbitrary, Debug)]
enum Field {
    Null,
    Int(i64),
    Str(String),
    Bytes(Vec<u8>),
    List(Vec<Field>),
}

impl From<Field> for Value {
    fn from(field: Field) -> Value {
        match field {
            Field::Null => Value::Null,
            Field::Int(x) => Value::Int(x),
            Field::Str(x) => Value::Str(x),
            Field::Bytes(x) => Value::Bytes(x),
            Field::List(x) => Value::List(x.into_iter().map(Value::from).collect()),
        }
    }
}

/// Of an executor or a task, mostly one that there is.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Number {
    Known(u8),
    Any(u32),
}

impl Number {
    fn executor(self) -> u32 {
        match self {
            Number::Known(number) => u32::from(number % EXECUTORS),
            Number::Any(number) => number,
        }
    }

    fn task(self) -> TaskId {
        TaskId(self.executor().wrapping_add(1))
    }
}

struct Worker {
    run: Run,
    gateway: Gateway,
    here: Vec<ExecutorId>,
}

/// A line as the fuzzer and as the other worker use it.
struct Ends {
    line: Arc<Line>,
    forged: (DataIn, ControlIn),
    honest: (DataIn, ControlIn),
    out: (DataOut, ControlOut),
}

thread_local! {
    static WORKERS: [Worker; 2] = HERE.map(start);
}

fuzz_target!(|steps: Vec<Step>| {
    WORKERS.with(|workers| {
        let mut lines = join(workers);
        for Step { to, frame } in steps {
            if matches!(frame, Frame::Break) {
                lines = join(workers);
            } else {
                feed(&mut lines[usize::from(to)], frame).ok();
            }
            exchange(workers, &mut lines);
        }
    });
});

fn start(here: [usize; 3]) -> Worker {
    let topology = topology();
    let all = storm_model::tasks::executors(&topology.spec, &TaskTable::new(&topology.spec));
    assert_eq!(all.len(), usize::from(EXECUTORS));
    let mut here: Vec<ExecutorId> = here.iter().map(|index| all[*index].1).collect();
    if here[0].first == TaskId(2) {
        here.push(all[4].1);
    }
    let numbers = ComponentSettings { max_spout_pending: 10, ..ComponentSettings::default() };
    let settings = Settings {
        message_timeout: Duration::from_secs(1),
        max_tuple_bytes: 1 << 20,
        components: [("numbers".into(), numbers)].into(),
        ..Settings::default()
    };
    let options = Options { name: "fuzzed".to_owned(), seed: 7, is_active: true };
    let these: BTreeSet<ExecutorId> = here.iter().copied().collect();
    let (run, gateway) = Run::prepare(topology, settings, options, Some(these)).expect("it starts");
    run.start_spouts();
    Worker { run, gateway, here }
}

fn join(workers: &[Worker; 2]) -> [Ends; 2] {
    [0, 1].map(|i: usize| {
        let line = workers[i].gateway.line(&workers[1 - i].here);
        workers[i].gateway.set_lines([&line]);
        let ins = || (line.data_in(), line.control_in());
        Ends { forged: ins(), honest: ins(), out: (line.data_out(), line.control_out()), line: line.clone() }
    })
}

fn feed(Ends { line, forged: (data, control), .. }: &mut Ends, frame: Frame) -> Result<(), FrameError> {
    let before = line.rows_received();
    match frame {
        Frame::Data(kind, body) => data.frame(kind % kind::FREE, &body),
        Frame::Control(kind, body) => control.frame(kind % kind::FREE, &body),
        Frame::Rows(rows) => {
            let (kind, count) = (if rows.is_looped { kind::LOOPED } else { kind::ROWS }, rows.rows.len());
            let is_changed = !rows.wrong.is_empty();
            let parts = rows.parts % 3;
            let body = body_of(rows);
            let (mut rest, part) = (&body[..], body.len() / 3);
            for _ in 0..parts {
                data.frame(kind::PART, &rest[..part])?;
                rest = &rest[part..];
            }
            data.frame(kind, rest)?;
            assert!(is_changed || line.rows_received() - before <= count as u64);
            Ok(())
        }
        Frame::Acks(acks) => {
            let mut body = Vec::new();
            for (task, root, code, edges) in acks {
                body.extend_from_slice(&task.task().0.to_le_bytes());
                body.extend_from_slice(&(root % 64).to_le_bytes());
                body.push(code % 10);
                body.extend_from_slice(&(if code % 10 == 0 { edges } else { edges % 2 }).to_le_bytes());
            }
            control.frame(kind::ACKS, &body)
        }
        Frame::Credit(returned, windows) => {
            let mut body = (returned.len() as u32).to_le_bytes().to_vec();
            for (executor, rows, bytes) in returned {
                body.extend_from_slice(&executor.executor().to_le_bytes());
                body.extend_from_slice(&rows.to_le_bytes());
                body.extend_from_slice(&bytes.to_le_bytes());
            }
            for (executor, window) in windows {
                body.extend_from_slice(&executor.executor().to_le_bytes());
                body.extend_from_slice(&window.to_le_bytes());
            }
            control.frame(kind::CREDIT, &body)
        }
        Frame::Break => Ok(()),
    }?;
    control.batch_end();
    Ok(())
}

fn body_of(rows: Rows) -> Vec<u8> {
    let (mut builder, mut batch) = (RowBuilder::new(1 << 20), Batch::new());
    for Row { target, source, stream, anchors, values } in rows.rows {
        let values: Vec<Value> = match values {
            Values::Declared(n, text) => vec![Value::Int(n), Value::Str(text)],
            Values::Any(fields) => fields.into_iter().map(Value::from).collect(),
            Values::Long(length) => vec![Value::Int(1), Value::Str("x".repeat(length.into()))],
        };
        let header = Header { target: target.task(), source: source.task(), stream: u16::from(stream % 3) };
        let anchor =
            |(task, root, edge): (Number, u64, u64)| Anchor { task: task.task(), root: root % 64, edge };
        let anchors: Vec<Anchor> = anchors.into_iter().map(anchor).collect();
        if let Ok(view) = builder.write_row(&values) {
            batch.push(header, &anchors, &view);
        }
    }
    let mut body = [rows.to.executor().to_le_bytes(), rows.from.executor().to_le_bytes()].concat();
    batch.to_wire(&mut body);
    for (at, byte) in rows.wrong {
        let at = usize::from(at) % body.len();
        body[at] = byte;
    }
    body
}

/// Lets the workers talk to each other for a while.
fn exchange(workers: &[Worker; 2], lines: &mut [Ends; 2]) {
    let mut body = Vec::new();
    for _ in 0..4 {
        for from in [0, 1] {
            for _ in 0..64 {
                body.clear();
                let Some(kind) = lines[from].out.0.next(&mut body) else { break };
                lines[1 - from].honest.0.frame(kind, &body).expect("a worker has sent it");
            }
            for _ in 0..64 {
                body.clear();
                let Some(kind) = lines[from].out.1.next(&mut body) else { break };
                lines[1 - from].honest.1.frame(kind, &body).expect("a worker has sent it");
            }
            lines[1 - from].honest.1.batch_end();
        }
        std::thread::yield_now();
    }
    for worker in workers {
        while let Some(event) = worker.run.next_event(Duration::ZERO) {
            let is_broken = match &event {
                Event::Error(report) => report.kind == ErrorKind::Panicked,
                Event::Ended { .. } => true,
                _ => false,
            };
            assert!(!is_broken, "{event:?}");
        }
    }
}

// === The topology ===

/// Rounds that a number goes are counted in this unit.
const ROUND: i64 = 100_000;

struct Numbers(i64);

impl Spout for Numbers {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n", "text"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        self.0 += 1;
        // Otherwise it would take all of the machine.
        if self.0 % 4 != 0 {
            return Ok(Next::Idle);
        }
        out.emit_tracked(self.0, (self.0 % (2 * ROUND), "x"));
        Ok(Next::Emitted)
    }

    fn fail(&mut self, _: i64, _: FailCause) {}
}

struct Round;

impl Bolt for Round {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n", "text"]).stream("again", ["n", "text"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        assert_eq!(input.values().to_values().len(), 2);
        let (n, text) = (input.get::<i64>("n")?.rem_euclid(3 * ROUND), input.get::<&str>("text")?);
        if n >= ROUND {
            out.reset_timeout(input);
            out.emit_to("again", (n - ROUND, text));
        } else {
            out.emit((n, text));
        }
        Ok(())
    }
}

struct Sink;

impl Bolt for Sink {
    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        if input.get::<i64>("n")? % 3 == 0 {
            out.fail(input);
        }
        Ok(())
    }
}

fn topology() -> Topology {
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers(0), 2);
    t.set_bolt("round", || Round, 3).shuffle_grouping("numbers").fields_grouping(("round", "again"), ["n"]);
    t.set_bolt("sink", || Sink, 2).shuffle_grouping("round");
    t.build().expect("it is valid")
}
