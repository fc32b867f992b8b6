//! Commands against a Nimbus that says what the test wants: exit codes, errors, retries.

#![allow(clippy::unwrap_used, reason = "tests")]

mod fake;

use std::process::{Command, Output, Stdio};

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use storm_rpc::client::Token;
use storm_rpc::nimbus_client::Patience;
use storm_rpc::{CallError, Nimbuses, Secret, blob, v1};

use crate::fake::Fake;

/// A command with nothing of who runs the test.
fn storm_rs(arguments: &[&str]) -> Output {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_storm-rs"));
    command.env_clear().env("HOME", nowhere.path()).current_dir(nowhere.path());
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code, stdout, stderr.
fn check(arguments: &[&str], expected: Expect) {
    let output = storm_rs(arguments);
    let code = output.status.code().unwrap();
    let said = format!("{code}\n{}---\n{}", text(&output.stdout), text(&output.stderr));
    // Help has empty lines with spaces, which snapshots cannot hold.
    let lines: Vec<_> = said.split('\n').map(str::trim_end).collect();
    expected.assert_eq(&lines.join("\n"));
}

fn check_error(arguments: &[&str], code: i32, error: &str) -> Value {
    let output = storm_rs(&[arguments, &["--json"]].concat());
    let said: Value = serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!((output.status.code(), said["error"].as_str()), (Some(code), Some(error)), "{said}");
    assert!(said["message"].is_string() && said["advice"].is_string(), "{said}");
    said
}

impl Fake {
    fn command(&self, arguments: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        all.extend(["-c".to_owned(), format!("nimbus.seeds={}", self.address)]);
        all
    }

    fn storm_rs(&self, arguments: &[&str]) -> Output {
        let all = self.command(arguments);
        storm_rs(&all.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn check(&self, arguments: &[&str], expected: Expect) {
        let all = self.command(arguments);
        check(&all.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    fn check_error(&self, arguments: &[&str], code: i32, error: &str) -> Value {
        let all = self.command(arguments);
        check_error(&all.iter().map(String::as_str).collect::<Vec<_>>(), code, error)
    }
}

#[test]
fn what_runs_is_listed() {
    let fake = Fake::start();
    fake.check(
        &["list"],
        expect![[r#"
        0
        NAME   STATUS  UPTIME  WORKERS  EXECUTORS  TASKS  OWNER  ID
        words  ACTIVE  1m 0s       1/1          2      2  ada    words-1-1764000000
        ---
    "#]],
    );
    let output = fake.storm_rs(&["--json", "list"]);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list["topologies"][0]["status"], "ACTIVE");
    assert_eq!(list["topologies"][0]["workersRequested"], 1);
}

#[test]
fn each_kind_of_error_has_its_exit_code() {
    let fake = Fake::start();
    check_error(&["list", "--no-such-flag"], 2, "usage");
    fake.check_error(&["status", "other"], 3, "no-such-topology");
    fake.check_error(&["errors", "other"], 3, "no-such-topology");
    check_error(&["describe", "Cargo.toml"], 5, "invalid");
    check_error(&["list", "-c", "topology.wrokers=1"], 5, "invalid");
    check_error(&["list", "-c", "nimbus.seeds=127.0.0.1:1"], 6, "unreachable");
    check_error(&["list", "-c", "storm.cluster.secret.file=no/such/file"], 7, "not-authenticated");
    fake.check_error(&["logs", "words", "--component", "none"], 1, "other");
}

#[test]
fn people_are_told_what_to_do() {
    let fake = Fake::start();
    fake.check(
        &["status", "other"],
        expect![[r#"
        3
        ---
        error: there is no topology 'other'
         help: `storm-rs list` shows those that run
    "#]],
    );
    check(
        &["list", "--config", "none.yaml"],
        expect![[r#"
            5
            ---
            error: cannot read the configuration file none.yaml: No such file or directory (os error 2)
             help: mend it there; docs/configuration.md has all keys, and `storm-rs config` what they are set to
        "#]],
    );
    check(
        &["describe", "/bin/true"],
        expect![[r#"
        5
        ---
        error: /bin/true ended without describing a topology
         help: a topology's `main` calls `storm_rs::run`; is this the right binary?
    "#]],
    );
    check(
        &["submit", "/bin/sh", "--", "-c", "echo oh >&2; exit 3"],
        expect![[r#"
        5
        ---
        error: /bin/sh could not describe its topology (exit status: 3):
        oh
         help: it runs here with the same arguments as on the cluster, to say what its topology is
    "#]],
    );
    check(
        &["describe", "/etc/passwd"],
        expect![[r#"
        5
        ---
        error: /etc/passwd is a file of another kind, not a Linux program (ELF)
         help: name the binary that cargo builds for Linux, for example target/release/word-count
    "#]],
    );
}

#[test]
fn a_cluster_with_a_secret_lets_only_those_in_who_know_it() {
    let fake = Fake::with_secret("s3cret");
    fake.check_error(&["list"], 7, "not-authenticated");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, "s3cret\n").unwrap();
    let set = format!("storm.cluster.secret.file={}", path.display());
    let output = fake.storm_rs(&["list", "-c", &set]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_command_is_retried_with_the_same_id_until_somebody_leads() {
    let fake = Fake::start();
    fake.lead_after(3);
    let output = fake.storm_rs(&["kill", "words", "-w", "7"]);
    assert!(output.status.success(), "{output:?}");
    let kills = fake.kills();
    assert_eq!(kills.len(), 4);
    assert!(kills.iter().all(|kill| kill.command_id == kills[0].command_id && kill.wait_secs == Some(7)));
}

#[test]
fn a_seed_that_is_dead_is_passed_over() {
    let fake = Fake::start();
    let seeds = format!("nimbus.seeds=127.0.0.1:1,{}", fake.address);
    let output = storm_rs(&["list", "-c", &seeds]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_wait_sees_the_effect_or_runs_out() {
    let fake = Fake::start();
    fake.check_error(&["deactivate", "words", "--wait", "--timeout", "0"], 8, "wait-ran-out");
    let output = fake.storm_rs(&["activate", "words", "--wait"]);
    assert!(output.status.success(), "{output:?}");
    fake.check(
        &["kill", "words", "--wait"],
        expect![[r#"
        0
        words is gone
        ---
        note: as you wish
    "#]],
    );
}

#[test]
fn a_rebalance_says_what_would_move() {
    let fake = Fake::start();
    fake.check(
        &["rebalance", "--dry-run", "-n", "2"],
        expect![[r#"
        0
        of words would move:
        EXECUTOR    FROM     TO
        count[1-1]  h1:6700  h2:6700
        ---
    "#]],
    );
    fake.check_error(&["rebalance", "-e", "count=1", "-e", "count=2"], 2, "usage");
}

#[test]
fn logs_come_from_all_workers() {
    let fake = Fake::start();
    fake.check(
        &["logs", "words"],
        expect![[r#"
        0
        h1:6700 one
        h1:6700 two
        h1:6701 three
        ---
    "#]],
    );
    fake.check(
        &["logs", "words", "--json"],
        expect![[r#"
        0
        {"host":"h1","line":"one","port":6700}
        {"host":"h1","line":"two","port":6700}
        {"host":"h1","line":"three","port":6701}
        ---
    "#]],
    );
}

#[test]
fn logs_that_are_followed_go_on_after_a_break_and_end_with_the_topology() {
    let fake = Fake::start();
    fake.check(
        &["logs", "words", "-f"],
        expect![[r#"
            0
            h1:6700 one
            h1:6700 two
            h1:6701 three
            h1:6700 four
            ---
            note: words was killed
        "#]],
    );
}

/// A command that runs, with the test's own files.
fn begin(directory: &std::path::Path, arguments: &[&str]) -> std::process::Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_storm-rs"));
    command.env_clear().env("HOME", directory).env("TMPDIR", directory).current_dir(directory);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn following_ends_when_nobody_reads() {
    let fake = Fake::start();
    let nowhere = tempfile::tempdir().unwrap();
    let arguments = fake.command(&["logs", "words", "-f"]);
    let mut child = begin(nowhere.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_storm-rs"));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command.args(["completions", "bash"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("error: cannot write the output: "), "{output:?}");
}

/// Processes that were started with this text among their arguments.
fn processes_with(argument: &str) -> usize {
    let pids = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("cmdline"));
    let lines = pids.filter_map(|path| std::fs::read(path).ok());
    lines.filter(|line| line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes())).count()
}

#[test]
fn a_submit_that_is_told_to_end_leaves_nothing_behind() {
    use nix::sys::signal::{Signal, kill};

    let directory = tempfile::tempdir().unwrap();
    // A number that is the arguments' own.
    let mark = format!("{}", 1_000_000 + std::process::id());
    let script = format!("sleep {mark} & echo > started; sleep {mark}");
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut child = begin(directory.path(), &["submit", "/bin/sh", "--", "-c", &script]);
        while processes_with(&mark) < 2 {
            assert!(child.try_wait().unwrap().is_none());
            std::thread::yield_now();
        }
        kill(nix::unistd::Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        while processes_with(&mark) > 0 {
            std::thread::yield_now();
        }
    }
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["started"]);
}

#[test]
fn what_a_binary_prints_without_end_is_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let script = "head -c 30000000 /dev/zero | tr '\\0' x >&2; echo the end >&2; du -s $TMPDIR >&2; exit 3";
    let child = begin(directory.path(), &["submit", "/bin/sh", "--", "-c", script]);
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(5));
    assert!(said.contains("the end\n") && said.len() < 3000, "{said}");
    // In kilobytes.
    let used = said.lines().find_map(|line| line.split_once('\t')?.0.parse::<u64>().ok()).unwrap();
    assert!(used < 1000, "{said}");
}

#[test]
fn a_binary_is_told_the_configuration_that_it_would_have() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("storm.yaml"), "topology.workers: 3\nnimbus.seeds: [a]\nmine: x\n")
        .unwrap();
    std::fs::write(directory.path().join("conf.yaml"), "topology.tasks: 5\nyours: 1\n").unwrap();
    let script = "cat $STORM_RS_DESCRIBE_CONF >&2; stat -c %a $STORM_RS_DESCRIBE_CONF >&2; exit 3";
    let arguments = ["submit", "/bin/sh", "--conf", "conf.yaml", "-c", "yours=2", "--", "-c", script];
    let output = begin(directory.path(), &arguments).wait_with_output().unwrap();
    let said = text(&output.stderr);
    let told = said.lines().find(|line| line.starts_with('{')).unwrap();
    let layers: Value = serde_json::from_str(told.trim_end_matches("600")).unwrap();
    let wanted = json!({
        "below": {"mine": "x", "topology.workers": 3},
        "above": {"topology.tasks": 5, "yours": 2},
    });
    assert_eq!(layers, wanted);
    assert!(said.contains("600\n"), "{said}");
}

#[test]
fn health_is_an_exit_code() {
    let fake = Fake::start();
    let healthy = fake.storm_rs(&["health", "nimbus"]);
    assert!(healthy.status.success(), "{healthy:?}");
    let sick = storm_rs(&["health", "nimbus", "-c", "nimbus.seeds=127.0.0.1:1", "--json"]);
    assert_eq!(sick.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&sick.stdout).unwrap();
    assert_eq!(said["healthy"], json!(false));
    // Somebody listens there who is no ZooKeeper.
    let zookeeper = format!("storm.zookeeper.servers={}", fake.address);
    assert_eq!(storm_rs(&["health", "zookeeper", "-c", &zookeeper]).status.code(), Some(1));
}

#[test]
fn a_nimbus_answers_for_itself_whatever_the_others_lack() {
    let fake = Fake::start();
    fake.has_problems(&["no connection to ZooKeeper"]);
    let (host, port) = fake.address.rsplit_once(':').unwrap();
    let here = format!("storm.local.hostname={host}");
    let port = format!("nimbus.thrift.port={port}");
    let ask = |arguments: &[&str]| storm_rs(&[arguments, &["-c", &here, "-c", &port, "--json"]].concat());
    let alive = ask(&["health", "nimbus", "--here"]);
    let said: Value = serde_json::from_slice(&alive.stdout).unwrap();
    assert!(alive.status.success(), "{said}");
    assert_eq!(said["checks"][0]["what"], format!("nimbus {}", fake.address));
    assert_eq!(said["checks"][0]["problems"], json!(["no connection to ZooKeeper"]), "told all the same");
    // Seeds that nobody serves are not this one's fault; but without --here the problems count.
    let seeds = format!("nimbus.seeds={}", fake.address);
    assert_eq!(ask(&["health", "nimbus", "-c", &seeds]).status.code(), Some(1));
    assert!(ask(&["health", "nimbus", "--here", "-c", "nimbus.seeds=127.0.0.1:1"]).status.success());
    drop(fake);
    assert_eq!(ask(&["health", "nimbus", "--here"]).status.code(), Some(1));
    check_error(&["health", "zookeeper", "--here"], 2, "usage");
    check_error(&["health", "--here"], 2, "usage");
}

#[test]
fn a_secret_is_made_where_there_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    let set = format!("storm.cluster.secret.file={}", path.display());
    let make = |arguments: &[&str]| {
        let output = storm_rs(&[&["make-secret", "--json"], arguments].concat());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    assert_eq!(make(&["-c", &set]), json!({"file": path, "made": true}));
    let made = std::fs::read_to_string(&path).unwrap();
    assert_eq!(made.trim().len(), 64);
    assert_eq!(make(&[path.to_str().unwrap()]), json!({"file": path, "made": false}));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), made);

    check_error(&["make-secret"], 2, "usage");
    check_error(&["make-secret", "no/such/directory/secret"], 1, "other");
    std::fs::write(&path, "\n").unwrap();
    check_error(&["make-secret", path.to_str().unwrap()], 1, "other");
}

#[test]
fn the_configuration_tells_where_it_comes_from() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("storm.yaml");
    std::fs::write(&file, "ui.port: 1\nui.title: x\nstorm.zookeeper.auth.payload: hidden\n").unwrap();
    let arguments = ["config", "--config", file.to_str().unwrap(), "-c", "ui.port=2", "--json"];
    let output = storm_rs(&arguments);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["config"]["ui.port"], json!({"value": 2, "origin": "in -c"}));
    let origin = said["config"]["ui.title"]["origin"].as_str().unwrap();
    assert!(origin.ends_with("storm.yaml, line 2"), "{origin}");
    assert_eq!(said["config"]["storm.bind.address"]["origin"], "in the defaults");
    assert!(!text(&output.stdout).contains("hidden\""));
    check(
        &["config", "ui.p", "-c", "ui.port=3"],
        expect![[r#"
            0
            KEY                        VALUE  SET
            ui.pagination              20     in the defaults
            ui.path.prefix             ""     in the defaults
            ui.port                    3      in -c
            ui.project.bugtracker.url  -      in the defaults
            ---
        "#]],
    );
}

#[test]
fn help_teaches_with_examples() {
    check(
        &["kill", "--help"],
        expect![[r#"
            0
            End a topology

            Usage: storm-rs kill [OPTIONS] <NAME>

            Arguments:
              <NAME>
                      Name or id of the topology

            Options:
              -w, --wait-secs <SECS>
                      The most seconds that pending tuples get [default: topology.message.timeout.secs]

                  --wait
                      Wait until it is done, not only until it is accepted

                  --timeout <SECS>
                      The most seconds that --wait waits, beyond what the command itself may take; then exit code 8
          
                      [default: 120]

              -h, --help
                      Print help (see a summary with '-h')

            Options of every command:
                  --config <FILE>
                      Read this storm.yaml
          
                      Without it: the first of $STORM_CONF_DIR/storm.yaml, ./storm.yaml, ~/.storm/storm.yaml and ~/.storm-rs/dev/storm.yaml, which `storm-rs dev` writes.

              -c <KEY=VALUE>
                      Set a key of the configuration; may be given several times
          
                      It beats storm.yaml and the environment. At submit, keys under 'topology.' and your own are stored with the topology; the others hold for this command alone.

                  --json
                      Print JSON, for scripts; errors too, on stderr

            Examples:
              storm-rs kill word-count               returns at once; what is pending is processed first
              storm-rs kill word-count -w 5 --wait   waits until it is gone, 5 seconds for what is pending
            ---
        "#]],
    );
    for command in ["submit", "rebalance", "logs", "dev", "health", "make-secret"] {
        let help = text(&storm_rs(&[command, "--help"]).stdout);
        assert!(help.contains("Examples:\n"), "{help}");
    }
    let bash = storm_rs(&["completions", "bash"]);
    assert!(text(&bash.stdout).contains("restart-worker"));
    assert!(text(&storm_rs(&["version"]).stdout).starts_with("storm-rs "));
    assert_eq!(storm_rs(&[]).status.code(), Some(2));
}

#[test]
fn a_file_is_uploaded_once() {
    let fake = Fake::start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("binary");
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    std::fs::write(&path, &content).unwrap();
    let reference = blob::reference(&path).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (progress, told) = std::sync::mpsc::channel();
    let upload = async {
        let token = Token::daemon(&Secret::none());
        let nimbuses = Nimbuses::new([&fake.address], &token, Patience::default())?;
        let first = nimbuses.upload(&path, &reference, move |sent| progress.send(sent).unwrap()).await?;
        let second = nimbuses.upload(&path, &reference, |_| panic!("it is there")).await?;
        Ok::<_, CallError>((first, second))
    };
    assert_eq!(runtime.block_on(upload).unwrap(), (true, false));
    assert_eq!(told.iter().collect::<Vec<_>>(), [1 << 20, 2 << 20, 3_000_000]);
    assert_eq!(fake.blobs(), [(v1::BlobRef { size: 3_000_000, ..reference }, content)]);
}

#[test]
fn levels_and_samples_are_changed_and_shown() {
    let fake = Fake::start();
    fake.check(
        &["log-level", "words", "a::b=DEBUG:60"],
        expect![[r#"
        0
        words's log levels are changed
        ---
        note: as you wish
    "#]],
    );
    fake.check(
        &["log-level", "words"],
        expect![[r#"
        0
        LOGGER  LEVEL  ENDS
        a       DEBUG  -
        ---
    "#]],
    );
    fake.check(
        &["debug", "words", "count", "--enable", "2.5"],
        expect![[r#"
        0
        2.5 % of the tuples of 'count' of words go to events.log
        ---
        note: as you wish
    "#]],
    );
    fake.check(
        &["debug", "words"],
        expect![[r#"
        0
        no tuples are sampled
        ---
    "#]],
    );
    let shown = fake.storm_rs(&["--json", "log-level", "words"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["logLevels"][0]["level"], "DEBUG");
    fake.check_error(&["debug", "other", "--disable"], 3, "no-such-topology");
    check_error(&["debug", "words", "--enable", "--disable"], 2, "usage");
}
