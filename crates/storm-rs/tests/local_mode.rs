//! A topology's binary as a user runs it: a process of its own, its exit code and its output.
//!
//! The tests start this very executable anew, with the name of a scene in the environment; there
//! the test `probe` plays `main`.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread::{self, park};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use storm_rs::figures::{Window, metrics};
use storm_rs::prelude::*;
use storm_rs::{Clock, FiguresReport};

// === The topologies ===

const SCENE: &str = "PROBE_SCENE";
/// A file that a scene reads or writes.
const FILE: &str = "PROBE_FILE";

#[test]
fn probe() {
    let Ok(scene) = std::env::var(SCENE) else { return };
    let code = storm_rs::run("probe", || topology(&scene));
    let number = (0..=255).find(|n| ExitCode::from(*n) == code).unwrap();
    std::process::exit(number.into());
}

fn topology(scene: &str) -> Result<Topology, TopologyError> {
    let scene: &'static str = scene.to_owned().leak();
    if scene == "child" {
        // What a process that the build starts finds in its environment.
        let file = std::env::var(FILE).unwrap();
        let script = "echo \"mode ${STORM_RS_MODE-none} out ${STORM_RS_DESCRIBE_OUT-none}\" > \"$0\"";
        assert!(Command::new("sh").args(["-c", script, &file]).status().unwrap().success());
    }
    let mut t = TopologyBuilder::new();
    t.config("greeting", "hello");
    if scene == "config" {
        t.config("topology.message.timeout.secs", 11).config("topology.max.spout.pending", 12);
    }
    let count = if scene == "endless" { i64::MAX } else { 20 };
    t.set_spout("numbers", move || Numbers { scene, next: 0, count, clock: None }, 1);
    let source = if scene == "build error" { "nmubers" } else { "numbers" };
    if scene == "fatal beside a hang" {
        t.set_bolt("hang", || Work { scene: "hang", kept: vec![] }, 1).shuffle_grouping("numbers");
    }
    if scene == "arity beside a hang" {
        t.set_bolt("other", || Other, 1).tick_secs(1).shuffle_grouping("numbers");
    }
    t.set_bolt("work", move || Work { scene, kept: vec![] }, 1).tick_secs(1).shuffle_grouping(source);
    t.build()
}

/// Emits numbers, tracked; endless ones at a gentle pace.
struct Numbers {
    scene: &'static str,
    next: i64,
    count: i64,
    clock: Option<std::sync::Arc<dyn Clock>>,
}

impl Spout for Numbers {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.clock = Some(ctx.clock());
        match self.scene {
            "missing file" => {
                let path = std::env::var(FILE)?;
                fs::File::open(&path).map_err(|e| format!("cannot open {path}: {e}"))?;
            }
            "config" => {
                for key in ["topology.message.timeout.secs", "topology.max.spout.pending", "greeting", "mine"]
                {
                    say(&format!("{key}={}", ctx.config(key).unwrap_or(&Json::Null)));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        if self.next == self.count {
            return Ok(Next::Done);
        }
        let n = self.next;
        self.next += 1;
        if self.scene == "endless" && n == 0 {
            say("begun");
        }
        match self.scene {
            "spout fatal" if n == 3 => return Err(SpoutError::fatal("no such partition")),
            "fatal at the end" => out.emit((n,)),
            "spout arity" if n == 3 => out.emit_tracked(n, (n, n)),
            _ => out.emit_tracked(n, (n,)),
        }
        if self.count < i64::MAX {
            return Ok(Next::Emitted);
        }
        let now = self.clock.as_ref().ok_or("not open")?.now();
        Ok(Next::Until(now + Duration::from_millis(1)))
    }
}

struct Work {
    scene: &'static str,
    kept: Vec<Retained>,
}

impl Bolt for Work {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let n = input.get::<i64>("n")?;
        match self.scene {
            "arity" if n == 3 => out.emit((n, n)),
            "stream" if n == 3 => out.emit_to("nowhere", (n,)),
            "error" if n == 3 => return Err("a bad line".into()),
            "fatal" | "fatal beside a hang" if n == 3 => return Err(BoltError::fatal("no such table")),
            "fatal at the end" if n == 19 => return Err(BoltError::fatal("no such table")),
            "panic" if n == 3 => panic!("bad number {n}"),
            "hang" | "arity beside a hang" if n == 3 => {
                say("hanging");
                loop {
                    park();
                }
            }
            "stuck" if n < 3 => {
                self.kept.push(out.retain(input));
                if n == 2 {
                    say("stuck");
                }
            }
            // Acked at the next tick only: there is always something pending.
            "endless" => {
                self.kept.push(out.retain(input));
                if n == 200 {
                    say("two hundred");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        if self.scene == "endless" {
            self.kept.drain(..).for_each(Retained::ack);
        }
        Ok(())
    }
}

/// Emits what it did not declare, late enough for its neighbour to hang.
struct Other;

impl Bolt for Other {
    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        Ok(())
    }

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields([""; 0]);
    }

    fn on_tick(&mut self, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        out.emit((1_i64,));
        Ok(())
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("stdout is a pipe of the test");
}

// === Running them ===

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(20);

struct Process {
    child: std::process::Child,
    lines: mpsc::Receiver<(bool, String)>,
    readers: Vec<thread::JoinHandle<()>>,
    out: String,
    err: String,
}

struct Ended {
    code: Option<i32>,
    /// Without what the test harness writes.
    out: String,
    err: String,
}

fn command(scene: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["probe", "--exact", "--nocapture", "--test-threads=1"]);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("STORM_") || text.starts_with("TOPOLOGY_") || text.starts_with("RUST_") {
            command.env_remove(&name);
        }
    }
    command.env(SCENE, scene).envs(variables.iter().copied());
    command
}

fn start(scene: &str, variables: &[(&str, &str)]) -> Process {
    let mut command = command(scene, variables);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (sender, lines) = mpsc::channel();
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let readers = vec![forward(out, true, sender.clone()), forward(err, false, sender)];
    Process { child, lines, readers, out: String::new(), err: String::new() }
}

fn forward(
    from: impl Read + Send + 'static,
    is_out: bool,
    to: mpsc::Sender<(bool, String)>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send((is_out, line)).is_err() {
                return;
            }
        }
    })
}

impl Process {
    /// Takes the next line; false when there will be none.
    fn take_line(&mut self, deadline: Instant) -> bool {
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((is_out, line)) => {
                let text = if is_out { &mut self.out } else { &mut self.err };
                text.push_str(&line);
                text.push('\n');
                true
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => false,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                panic!("it goes on and on; stdout:\n{}\nstderr:\n{}", self.out, self.err);
            }
        }
    }

    /// Waits for a piece of text on either.
    fn until(&mut self, text: &str) {
        self.until_times(text, 1);
    }

    /// Waits until a piece of text has come so often.
    fn until_times(&mut self, text: &str, times: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.out.matches(text).count() + self.err.matches(text).count() < times {
            assert!(self.take_line(deadline), "it ended without '{text}':\n{}{}", self.out, self.err);
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        while self.take_line(deadline) {}
        for reader in self.readers {
            reader.join().unwrap();
        }
        let code = self.child.wait().unwrap().code();
        let lines = self.out.lines().map(|l| l.strip_prefix("test probe ... ").unwrap_or(l));
        let lines: Vec<&str> = lines.filter(|l| !l.is_empty() && *l != "running 1 test").collect();
        Ended { code, out: lines.join("\n"), err: self.err }
    }
}

fn run(scene: &str, variables: &[(&str, &str)]) -> Ended {
    start(scene, variables).end()
}

/// Ends with exit code 1, and the last line on stderr tells this error.
fn refused(scene: &str, variables: &[(&str, &str)]) -> String {
    let ended = run(scene, variables);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(!ended.err.contains("RUST_BACKTRACE"), "no panic: {}", ended.err);
    let at = ended.err.find("error: ").unwrap_or_else(|| panic!("no error in: {}", ended.err));
    ended.err.split_at(at + "error: ".len()).1.trim_end().to_owned()
}

// === Ends ===

#[test]
fn it_ends_with_0_when_all_spouts_are_done_and_everything_is_processed() {
    let ended = run("plain", &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.contains("emitted 20, executed 20, acked 20, failed 0, pending 0"), "{}", ended.err);
    assert_eq!(ended.out, "", "stdout is the user's");
}

/// The disk that logs go to is full.
#[test]
fn a_log_that_cannot_be_written_ends_nothing() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let variables = [("RUST_LOG", "debug"), ("STORM_RS_FIGURES", "")];
    for (scene, code) in [("plain", 0), ("build error", 1)] {
        let mut command = command(scene, &variables);
        let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(full()).status().unwrap();
        assert_eq!(ended.code(), Some(code), "{scene}");
    }
}

#[test]
fn an_error_of_a_bolt_is_logged_with_component_and_task_and_the_run_goes_on() {
    let ended = run("error", &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    // Tasks: numbers 1, work 2.
    let line = ended.err.lines().find(|l| l.contains("ERROR")).unwrap();
    assert!(line.contains("a bad line") && line.contains("component=work task=2"), "{line}");
    assert!(ended.err.contains("acked 19, failed 1, pending 0"), "{}", ended.err);
}

#[test]
fn a_panic_is_logged_with_component_task_message_and_place_and_the_run_goes_on() {
    let ended = run("panic", &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let line = ended.err.lines().find(|l| l.contains("panicked at")).unwrap();
    assert!(line.contains("ERROR") && line.contains("component=work task=2"), "{line}");
    assert!(line.contains("bad number 3"), "{line}");
    let (_, place) = line.split_once("local_mode.rs:").unwrap();
    assert!(place.starts_with(|c: char| c.is_ascii_digit()), "{line}");
    assert_eq!(ended.err.matches("bad number 3").count(), 1, "once: {}", ended.err);
    assert!(ended.err.contains("acked 19, failed 1, pending 0"), "{}", ended.err);
}

#[test]
fn a_component_that_breaks_its_declarations_ends_the_run_with_1() {
    for (scene, component, message) in [
        ("arity", "component=work", "'work' emitted 2 values to stream 'default', which has 1 fields"),
        ("stream", "component=work", "'work' emitted to stream 'nowhere', which it does not declare"),
        ("spout arity", "component=numbers", "'numbers' emitted 2 values to stream 'default'"),
    ] {
        let ended = run(scene, &[]);
        assert_eq!(ended.code, Some(1), "{scene}: {}", ended.err);
        let line = ended.err.lines().find(|l| l.contains(message));
        assert!(line.is_some_and(|l| l.contains(component)), "{scene}: {}", ended.err);
    }
}

#[test]
fn a_mistake_in_the_topology_is_told_and_ends_with_1() {
    assert_eq!(
        refused("build error", &[]),
        "topology 'probe': component 'work' subscribes to unknown component 'nmubers'; there are: numbers, work"
    );
}

#[test]
fn a_missing_input_file_ends_with_1_and_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("no such file.txt");
    let error = refused("missing file", &[(FILE, path.to_str().unwrap())]);
    assert!(error.contains(path.to_str().unwrap()), "{error}");
    assert!(error.starts_with("'numbers' (task 1) could not start: "), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

// === Configuration ===

fn file(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_unknown_key_in_the_file_is_an_error_with_the_nearest_one_and_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let yaml = file(directory.path(), "storm.yaml", "topology.workers: 1\ntopology.mesage.timeout.secs: 3\n");
    let error = refused("plain", &[("STORM_RS_CONF", &yaml)]);
    assert_eq!(
        error,
        format!(
            "unknown key 'topology.mesage.timeout.secs' in {yaml}, line 2: did you mean 'topology.message.timeout.secs'?"
        )
    );
}

#[test]
fn a_configuration_file_that_is_not_there_is_an_error_with_its_path() {
    for variable in ["STORM_RS_CONF", "STORM_RS_TOPOLOGY_CONF"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("none.yaml");
        let error = refused("plain", &[(variable, path.to_str().unwrap())]);
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn the_layers_are_storm_yaml_environment_code_and_what_is_given_from_outside() {
    let directory = tempfile::tempdir().unwrap();
    let yaml = "topology.message.timeout.secs: 1\ntopology.max.spout.pending: 2\nmine: yaml\n";
    let yaml = file(directory.path(), "storm.yaml", yaml);
    let outside = file(directory.path(), "mine.yaml", "topology.message.timeout.secs: 5\ngreeting: bye\n");
    // In the code: timeout 11, pending 12, greeting "hello".
    let ended = run("config", &[("STORM_RS_CONF", &yaml)]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let out = |timeout, greeting, mine| {
        format!(
            "topology.message.timeout.secs={timeout}\ntopology.max.spout.pending=12\ngreeting={greeting}\nmine={mine}"
        )
    };
    assert_eq!(ended.out, out(11, r#""hello""#, r#""yaml""#));
    let variables = [("TOPOLOGY_MESSAGE_TIMEOUT_SECS", "3"), ("STORM_RS_TOPOLOGY_CONF", &*outside)];
    assert_eq!(run("config", &variables).out, out(5, r#""bye""#, "null"), "above the code");
}

#[test]
fn a_variable_that_spells_a_known_key_is_read_and_others_are_not() {
    let out = |ended: Ended| -> String {
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        ended.out.lines().take(2).collect::<Vec<_>>().join(" ")
    };
    let beaten = run("config", &[("TOPOLOGY_MESSAGE_TIMEOUT_SECS", "3"), ("TOPOLOGY_NONSENSE", "x")]);
    assert_eq!(out(beaten), "topology.message.timeout.secs=11 topology.max.spout.pending=12");
    let ended = run("plain", &[("TOPOLOGY_DEBUG", "true")]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let emits =
        ended.err.lines().filter(|l| l.contains("component=numbers") && l.contains("values=")).count();
    assert_eq!(emits, 20, "TOPOLOGY_DEBUG logs each emit: {}", ended.err);
}

#[test]
fn a_wrong_value_in_a_variable_is_an_error_that_names_the_variable() {
    let error = refused("plain", &[("TOPOLOGY_MESSAGE_TIMEOUT_SECS", "soon")]);
    assert!(error.contains("in the variable TOPOLOGY_MESSAGE_TIMEOUT_SECS"), "{error}");
    assert!(error.contains("soon"), "{error}");
    let error = refused("plain", &[("STORM_RS_WAIT_SECS", "soon")]);
    assert!(error.contains("STORM_RS_WAIT_SECS") && error.contains("soon"), "{error}");
}

#[test]
fn parallelism_can_be_given_from_outside() {
    let directory = tempfile::tempdir().unwrap();
    let more = file(directory.path(), "more.yaml", "topology.parallelism.numbers: 3\n");
    let ended = run("plain", &[("STORM_RS_TOPOLOGY_CONF", &more)]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.contains("acked 60"), "three spouts of twenty: {}", ended.err);
    let wrong = file(directory.path(), "wrong.yaml", "topology.parallelism.nmubers: 3\n");
    let error = refused("plain", &[("STORM_RS_TOPOLOGY_CONF", &wrong)]);
    assert!(error.contains("'nmubers'") && error.contains("numbers, work"), "{error}");
}

// === Figures ===

/// The figures in a file that a run has written.
fn figures(path: &str) -> FiguresReport {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Emitted, executed, acked and failed of a component, in a window.
fn counts(report: &FiguresReport, component: &str, window: Window) -> [u64; 4] {
    let figures = &report.figures.component(component).unwrap().figures[window];
    [figures.emitted, figures.executed, figures.acked, figures.failed]
}

/// The row of a component in the last table on stderr, cell by cell.
fn table_row(ended: &Ended, component: &str) -> Vec<String> {
    let start = format!("| {component} ");
    let row = ended.err.lines().rfind(|line| line.starts_with(&start));
    let row = row.unwrap_or_else(|| panic!("no row of {component}: {}", ended.err));
    row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn figures_are_shown_at_the_end_as_a_table_and_as_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("figures.json");
    let json = json.to_str().unwrap();
    let ended = run("error", &[("STORM_RS_FIGURES", ""), ("STORM_RS_FIGURES_JSON", json)]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(ended.out, "", "stdout is the user's");
    let report = figures(json);
    for window in Window::ALL {
        assert_eq!(counts(&report, "numbers", window), [20, 0, 19, 1], "{}", window.key());
        assert_eq!(counts(&report, "work", window), [0, 20, 19, 1], "{}", window.key());
    }
    let work = report.figures.component("work").unwrap();
    assert!(work.figures.all_time.execute_latency.count() > 0);
    assert_eq!((work.executors.len(), work.tasks.len(), work.inputs.len()), (1, 1, 1));
    let errors: Vec<_> = report.errors.of("work").map(|e| (&*e.message, e.task)).collect();
    assert_eq!((errors, report.errors.count("work")), (vec![("a bad line", TaskId(2))], 1));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing but the file is left");

    assert!(
        ended.err.contains("figures of 'probe' after ") && ended.err.contains("(All time)"),
        "{}",
        ended.err
    );
    // Component, executors, tasks, emitted, transferred, executed, acked, failed.
    assert_eq!(table_row(&ended, "numbers")[..8], ["numbers", "1", "1", "20", "20", "-", "19", "1"]);
    let work = table_row(&ended, "work");
    assert_eq!(work[..8], ["work", "1", "1", "0", "0", "20", "19", "1"]);
    assert_eq!(work[14..], ["1", "a bad line"]);
    let titles = table_row(&ended, "component");
    for metric in [metrics::EMITTED, metrics::EXECUTED, metrics::ACKED, metrics::CAPACITY] {
        assert!(titles.contains(&metric.title.to_owned()), "{titles:?}");
    }
}

#[test]
fn figures_are_not_shown_unless_somebody_wants_them() {
    let ended = run("plain", &[("STORM_RS_FIGURES_WINDOW", "10m")]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(!ended.err.contains("figures of"), "{}", ended.err);
}

#[test]
fn figures_come_again_and_again_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("figures.json");
    let json = json.to_str().unwrap();
    let variables =
        [("STORM_RS_FIGURES", "1"), ("STORM_RS_FIGURES_WINDOW", "10m"), ("STORM_RS_FIGURES_JSON", json)];
    let mut process = start("endless", &variables);
    // The title of the next one says that the one before is complete.
    process.until_times("figures of 'probe' after ", 2);
    let [emitted, ..] = counts(&figures(json), "numbers", Window::AllTime);
    assert!(emitted > 0, "the file of the first second is there");
    process.signal("INT");
    let ended = process.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.matches("(10m 0s)").count() >= 3, "{}", ended.err);
    let [emitted, _, acked, failed] = counts(&figures(json), "numbers", Window::AllTime);
    let last = ended.err.lines().find(|l| l.contains(" ran ")).unwrap();
    assert!(last.contains(&format!("emitted {emitted}, ")), "{last}");
    assert_eq!((acked, failed), (emitted, 0));
}

#[test]
fn figures_of_a_run_that_ends_badly_are_shown_before_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("figures.json");
    let json = json.to_str().unwrap();
    let ended = run("fatal", &[("STORM_RS_FIGURES", "60"), ("STORM_RS_FIGURES_JSON", json)]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let last = ended.err.lines().last();
    assert_eq!(last, Some("error: 'work' (task 2) ended the topology: no such table"), "{}", ended.err);
    assert_eq!(table_row(&ended, "work")[14..], ["1", "no such table"]);
    assert_eq!(figures(json).errors.last("work").unwrap().message, "no such table");
}

#[test]
fn figures_that_cannot_be_had_are_an_error_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none").join("figures.json");
    let path = path.to_str().unwrap();
    let error = refused("plain", &[("STORM_RS_FIGURES_JSON", path)]);
    assert!(error.starts_with(&format!("cannot write {path}: ")), "{error}");
    let error = refused("plain", &[("STORM_RS_FIGURES", "soon")]);
    assert_eq!(error, "STORM_RS_FIGURES is 'soon', which is not a number of seconds above 0");
    let error = refused("plain", &[("STORM_RS_FIGURES_WINDOW", "2h")]);
    assert!(
        error.starts_with("STORM_RS_FIGURES_WINDOW: unknown window '2h': the windows are 10m"),
        "{error}"
    );
}

#[test]
fn a_file_of_figures_that_can_be_written_no_more_ends_with_1() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("figures.json");
    let mut process = start("endless", &[("STORM_RS_FIGURES_JSON", json.to_str().unwrap())]);
    process.until("two hundred");
    // A directory takes its place, which no file can.
    fs::remove_file(&json).unwrap();
    fs::create_dir(&json).unwrap();
    process.signal("INT");
    let ended = process.end();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains(&format!("error: cannot write {}: ", json.display())), "{}", ended.err);
}

// === Describe mode ===

#[test]
fn describe_mode_writes_json_to_its_file_and_nothing_to_stdout() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("description.json");
    let variables = [("STORM_RS_MODE", "describe"), ("STORM_RS_DESCRIBE_OUT", out.to_str().unwrap())];
    let ended = run("config", &variables);
    assert_eq!((ended.code, &*ended.out, &*ended.err), (Some(0), "", ""));
    let json: Json = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!((&json["contract"], &json["name"]), (&Json::from(1), &Json::from("probe")));
    assert_eq!(json["isDebugBuild"], Json::from(cfg!(debug_assertions)));
    let components = &json["spec"]["components"];
    assert_eq!(components["numbers"]["kind"], "spout");
    assert_eq!(components["work"]["inputs"][0]["component"], "numbers");
    assert_eq!(components["work"]["config"]["topology.tick.tuple.freq.secs"], 1);
    assert_eq!(json["spec"]["config"]["greeting"], "hello");
    // What it says can be read back.
    let description: storm_rs::describe::Description = serde_json::from_value(json).unwrap();
    assert_eq!(description.spec, topology("config").unwrap().spec);
}

#[test]
fn the_mode_is_not_handed_on_to_children() {
    let directory = tempfile::tempdir().unwrap();
    let (out, seen) = (directory.path().join("description.json"), directory.path().join("seen"));
    let (out, seen) = (out.to_str().unwrap(), seen.to_str().unwrap());
    let ended = run("child", &[("STORM_RS_MODE", "describe"), ("STORM_RS_DESCRIBE_OUT", out), (FILE, seen)]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(fs::read_to_string(seen).unwrap(), "mode none out none\n");
}

#[test]
fn describe_mode_tells_a_mistake_in_the_topology_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("description.json");
    let variables = [("STORM_RS_MODE", "describe"), ("STORM_RS_DESCRIBE_OUT", out.to_str().unwrap())];
    assert!(refused("build error", &variables).starts_with("topology 'probe': component 'work' "));
    assert!(!out.exists());
}

#[test]
fn a_description_that_cannot_be_written_is_an_error_with_the_path() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("none").join("description.json");
    let variables = [("STORM_RS_MODE", "describe"), ("STORM_RS_DESCRIBE_OUT", out.to_str().unwrap())];
    assert!(refused("plain", &variables).contains(out.to_str().unwrap()));
}

#[test]
fn an_unknown_or_incomplete_mode_is_an_error() {
    let error = refused("plain", &[("STORM_RS_MODE", "describe")]);
    assert!(error.contains("STORM_RS_DESCRIBE_OUT"), "{error}");
    let error = refused("plain", &[("STORM_RS_MODE", "wroker")]);
    assert!(error.contains("STORM_RS_MODE=wroker"), "{error}");
}

// === Ctrl-C ===

#[test]
fn ctrl_c_stops_the_spouts_lets_pending_trees_finish_and_ends_with_0() {
    for signal in ["INT", "TERM"] {
        let mut process = start("endless", &[]);
        process.until("two hundred");
        process.signal(signal);
        let ended = process.end();
        assert_eq!(ended.code, Some(0), "{signal}: {}", ended.err);
        let last = ended.err.lines().find(|l| l.contains(" ran ")).unwrap();
        assert!(last.contains("failed 0, pending 0"), "{last}");
        let figure = |name: &str| -> u64 {
            let (_, after) = last.split_once(name).unwrap();
            after.split(',').next().unwrap().trim().parse().unwrap()
        };
        assert!(figure("emitted") > 200, "{last}");
        assert_eq!(figure("emitted"), figure("acked"), "{last}");
    }
}

#[test]
fn ctrl_c_is_graceful_from_the_first_tuple_on() {
    for _ in 0..5 {
        let mut process = start("endless", &[]);
        process.until("begun");
        process.signal("INT");
        let ended = process.end();
        assert_eq!(ended.code, Some(0), "no code: the signal has killed it; {}", ended.err);
    }
}

#[test]
fn ctrl_c_waits_no_longer_than_it_is_told_and_ends_with_1_and_the_number_pending() {
    let mut process = start("stuck", &[("STORM_RS_WAIT_SECS", "1")]);
    process.until("stuck");
    process.signal("INT");
    let ended = process.end();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let last = ended.err.lines().last().unwrap();
    assert!(last.starts_with("error: stopped with 3 tuples pending after 1 s"), "{last}");
    assert!(last.contains("STORM_RS_WAIT_SECS"), "{last}");
}

#[test]
fn a_second_ctrl_c_ends_at_once_with_130() {
    let mut process = start("stuck", &[("STORM_RS_WAIT_SECS", "600")]);
    process.until("stuck");
    process.signal("INT");
    process.until("stopping");
    process.signal("INT");
    assert_eq!(process.end().code, Some(130));
}

#[test]
fn a_second_ctrl_c_ends_a_bolt_that_hangs() {
    let mut process = start("hang", &[("STORM_RS_WAIT_SECS", "600")]);
    process.until("hanging");
    process.signal("INT");
    process.until("stopping");
    process.signal("INT");
    assert_eq!(process.end().code, Some(130));
}

#[test]
fn a_bolt_that_hangs_does_not_keep_the_process_beyond_the_wait() {
    let mut process = start("hang", &[("STORM_RS_WAIT_SECS", "1")]);
    process.until("hanging");
    process.signal("INT");
    let ended = process.end();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("tuples pending after 1 s"), "{}", ended.err);
}

#[test]
fn a_broken_declaration_ends_the_run_though_another_bolt_hangs() {
    let ended = run("arity beside a hang", &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("'other' emitted 1 values"), "{}", ended.err);
}

#[test]
fn a_component_that_ends_the_topology_ends_the_run_with_1_and_its_message() {
    for (scene, words) in [
        ("fatal", "'work' (task 2) ended the topology: no such table"),
        ("spout fatal", "'numbers' (task 1) ended the topology: no such partition"),
        ("fatal at the end", "'work' (task 2) ended the topology: no such table"),
        ("fatal beside a hang", "'work' (task 3) ended the topology: no such table"),
    ] {
        let ended = run(scene, &[]);
        assert_eq!(ended.code, Some(1), "{scene}: {}", ended.err);
        assert_eq!(ended.err.lines().last(), Some(&*format!("error: {words}")), "{scene}: {}", ended.err);
        assert!(!ended.err.contains("RUST_BACKTRACE"), "no panic: {}", ended.err);
    }
    let ended = run("arity", &[]);
    let last = ended.err.lines().last().unwrap();
    assert!(
        last.starts_with("error: 'work' (task 2) broke its own declarations: 'work' emitted 2 "),
        "{last}"
    );
}
