//! The topology of these tests: numbers -> relay -> sink, each in a worker of its own. What happens in user
//! code stands in one file that all processes append to, line by line.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value as Json, json};
use storm_engine::Settings;
use storm_engine::settings::ComponentSettings;
use storm_model::{AssignedExecutor, ExecutorId, TaskId};
use storm_topology::{
    Bolt, BoltError, BoltOutput, FailCause, Next, OutputDeclarer, Spout, SpoutError, SpoutOutput,
    TaskContext, Topology, TopologyBuilder, Tuple,
};

/// What a test wants of the topology.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) events: PathBuf,
    /// Numbers to be emitted.
    pub(crate) count: i64,
    /// Time between two of them.
    pub(crate) gap: Duration,
    /// The sink prepares for ever.
    pub(crate) hangs: bool,
    /// The sink breaks at this number.
    pub(crate) fatal_at: i64,
    /// The sink is held up by each number for so long.
    pub(crate) slow: Duration,
}

impl Plan {
    pub(crate) fn new(directory: &Path, count: i64) -> Plan {
        Plan {
            events: directory.join("events"),
            count,
            gap: Duration::from_micros(300),
            hangs: false,
            fatal_at: -1,
            slow: Duration::ZERO,
        }
    }

    pub(crate) fn encode(&self) -> String {
        json!({
            "events": self.events, "count": self.count, "gap": self.gap.as_micros() as u64,
            "hangs": self.hangs, "fatal_at": self.fatal_at, "slow": self.slow.as_micros() as u64,
        })
        .to_string()
    }

    pub(crate) fn decode(text: &str) -> Plan {
        let json: Json = serde_json::from_str(text).unwrap();
        let micros = |key: &str| Duration::from_micros(json[key].as_u64().unwrap());
        Plan {
            events: json["events"].as_str().unwrap().into(),
            count: json["count"].as_i64().unwrap(),
            gap: micros("gap"),
            hangs: json["hangs"].as_bool().unwrap(),
            fatal_at: json["fatal_at"].as_i64().unwrap(),
            slow: micros("slow"),
        }
    }

    pub(crate) fn note(&self, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.events).unwrap();
        // One write: lines of several processes do not mix.
        file.write_all(format!("{text}\n").as_bytes()).unwrap();
    }

    pub(crate) fn topology(&self) -> Topology {
        let mut t = TopologyBuilder::new();
        let plan = self.clone();
        t.set_spout(
            "numbers",
            move || Numbers {
                plan: plan.clone(),
                next: 0,
                again: VecDeque::new(),
                is_new: true,
                worker: String::new(),
            },
            1,
        );
        let plan = self.clone();
        t.set_bolt("relay", move || Relay(plan.clone()), 2).shuffle_grouping("numbers");
        let plan = self.clone();
        t.set_bolt("sink", move || Sink(plan.clone()), 1).shuffle_grouping("relay");
        t.build().unwrap()
    }

    pub(crate) fn settings() -> Settings {
        let mut settings = Settings { message_timeout: Duration::from_secs(60), ..Settings::default() };
        let pending = ComponentSettings { max_spout_pending: 100, ..ComponentSettings::default() };
        settings.components.insert("numbers".into(), pending);
        settings
    }
}

/// The executors, by component; tasks as Storm numbers them.
pub(crate) fn executors(component: &str) -> Vec<AssignedExecutor> {
    let tasks: &[u32] = match component {
        "numbers" => &[1],
        "relay" => &[2, 3],
        "sink" => &[4],
        other => panic!("no component '{other}'"),
    };
    let executor = |task: &u32| ExecutorId { first: TaskId(*task), last: TaskId(*task) };
    tasks.iter().map(|t| AssignedExecutor { component: component.into(), executor: executor(t) }).collect()
}

struct Numbers {
    plan: Plan,
    next: i64,
    again: VecDeque<i64>,
    is_new: bool,
    worker: String,
}

impl Spout for Numbers {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["number"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.worker = ctx.worker().incarnation.to_string();
        self.plan.note("prepared numbers");
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        if std::mem::take(&mut self.is_new) {
            self.plan.note(&format!("begin {}", self.worker));
        }
        if let Some(number) = self.again.pop_front() {
            out.emit_replayed(number, (number,));
        } else if self.next < self.plan.count {
            out.emit_tracked(self.next, (self.next,));
            self.next += 1;
        } else {
            return Ok(Next::Done);
        }
        Ok(Next::Emitted)
    }

    fn ack(&mut self, number: i64) {
        self.plan.note(&format!("ack {number}"));
        std::thread::park_timeout(self.plan.gap);
    }

    fn fail(&mut self, number: i64, cause: FailCause) {
        self.plan.note(&format!("fail {number} {cause}"));
        self.again.push_back(number);
    }
}

struct Relay(Plan);

impl Bolt for Relay {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["number"]);
    }

    fn prepare(&mut self, _: &TaskContext) -> Result<(), BoltError> {
        self.0.note("prepared relay");
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        out.emit((input.get::<i64>("number")?,));
        Ok(())
    }
}

struct Sink(Plan);

impl Bolt for Sink {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        if self.0.hangs {
            loop {
                self.0.note("hangs");
                std::thread::park_timeout(Duration::from_secs(1));
            }
        }
        let worker = ctx.worker();
        self.0.note(&format!("prepared sink {}:{}", worker.incarnation, worker.port));
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let number: i64 = input.get("number")?;
        self.0.note(&format!("row {number}"));
        std::thread::park_timeout(self.0.slow);
        if number == self.0.fatal_at {
            return Err(BoltError::fatal("the table is gone"));
        }
        Ok(())
    }

    fn cleanup(&mut self) {
        self.0.note("cleanup sink");
    }
}
