//! Clusters under test: what can be asked of each, and the one that `storm-rs dev` makes.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

mod by_hand;
mod flow;
mod zookeeper;

pub(crate) use self::by_hand::{ByHand, Daemon, Plan};
pub(crate) use self::flow::{Flow, Load, arrivals, arrived, logs};
pub(crate) use self::zookeeper::Kind;

/// Until then whatever is waited for has happened, on however busy a machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(25);
const STORM_RS: &str = env!("CARGO_BIN_EXE_storm-rs");
const EXAMPLES: [&str; 6] =
    ["at-least-once", "exclamation", "log-processing", "random-digit", "spike-detection", "word-count"];

/// Whether `cargo test` has just built the tests and binaries of the whole workspace, as `.ci/run` says by
/// `STORM_TEST_BUILT`: another build of a few packages has other features, and takes minutes.
pub(crate) fn is_all_built() -> bool {
    std::env::var_os("STORM_TEST_BUILT").is_some()
}

/// The binary of an example, built if need be.
pub(crate) fn example(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        if is_all_built() {
            return;
        }
        // `cargo test` builds the binaries of the packages that it tests, which may not be all.
        let mut build = Command::new(env!("CARGO"));
        build.current_dir(root()).args(["build", "--quiet", "--locked"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        for name in EXAMPLES {
            build.args(["-p", name]);
        }
        assert!(build.status().unwrap().success(), "the examples do not build");
    });
    Path::new(STORM_RS).with_file_name(name)
}

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Looks again and again until it is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    wait_within(DEADLINE, what, is_so);
}

#[track_caller]
pub(crate) fn wait_within(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::park_timeout(LOOK);
    }
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    fn of(output: Output) -> Said {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Said {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let said = self.ok();
        serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e} in {said:?}"))
    }
}

/// A command that was begun. It is killed when this is dropped.
pub(crate) struct Begun {
    child: Option<Child>,
    what: String,
}

impl Begun {
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    pub(crate) fn signal(&self, which: Signal) {
        let child = self.child.as_ref().expect("it was not waited for");
        signal(i32::try_from(child.id()).unwrap(), which);
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn end(mut self) -> Said {
        let what = self.what.clone();
        wait_until(&what, || self.has_ended());
        Said::of(self.child.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// What can be asked of a cluster, however it was put together. There is one at a time.
pub(crate) struct Cluster {
    dir: TempDir,
    conf: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Waits for its turn. Commands will read this configuration, in a directory of its own.
    fn new(conf: &str) -> Cluster {
        static ONE: Mutex<()> = Mutex::new(());
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        Cluster { conf: dir.path().join(conf), dir, _alone: alone }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// A command to this cluster.
    pub(crate) fn storm(&self, args: &[&str]) -> Said {
        self.storm_with(args.iter().map(|arg| OsString::from(*arg)).collect())
    }

    fn storm_with(&self, args: Vec<OsString>) -> Said {
        Said::of(self.command(args).output().unwrap())
    }

    fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(STORM_RS);
        command.arg("--config").arg(&self.conf).args(args).stdin(Stdio::null());
        command
    }

    /// A command that goes on while the test does something else.
    pub(crate) fn begin(&self, args: &[&str]) -> Begun {
        let mut command = self.command(args);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Begun { child: Some(child), what: format!("{args:?} ends") }
    }

    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        self.storm(&[&["--json"], args].concat()).json()
    }

    /// Submits an example with these options of `submit` and arguments of its own, and waits until it
    /// runs.
    #[track_caller]
    pub(crate) fn submit(&self, name: &str, options: &[&str], args: &[&str]) -> Said {
        let mut all: Vec<OsString> = vec!["submit".into(), example(name).into(), "--wait".into()];
        all.extend(options.iter().map(OsString::from));
        all.push("--".into());
        all.extend(args.iter().map(OsString::from));
        let said = self.storm_with(all);
        if said.code != 0 {
            panic!("{said:?}\n{}", self.logs());
        }
        said
    }

    #[track_caller]
    pub(crate) fn status(&self, name: &str) -> Value {
        self.json(&["status", name])
    }

    /// The workers of a topology, as `status` shows them.
    pub(crate) fn workers(&self, name: &str) -> Vec<Value> {
        self.status(name)["workers"].as_array().unwrap().clone()
    }

    pub(crate) fn worker_pids(&self, name: &str) -> Vec<i32> {
        let pid = |worker: &Value| i32::try_from(worker["pid"].as_u64().unwrap()).unwrap();
        self.workers(name).iter().map(pid).collect()
    }

    /// Whether so many workers run, each with a process.
    pub(crate) fn runs_with(&self, name: &str, workers: usize) -> bool {
        let all = self.workers(name);
        all.len() == workers && all.iter().all(|w| w["state"] == "RUNNING" && w["pid"].as_u64() > Some(0))
    }

    /// Processes of this cluster by number, with their command lines.
    pub(crate) fn processes(&self) -> BTreeMap<i32, String> {
        let dir = self.dir.path().to_str().unwrap();
        let mut found = BTreeMap::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            let cwd = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            let is_ours = command.contains(dir) || cwd.starts_with(dir);
            if is_ours && is_alive(pid) {
                found.insert(pid, command);
            }
        }
        found
    }

    /// Processes of one of the daemons.
    pub(crate) fn daemons(&self, role: &str) -> Vec<i32> {
        let is_it = |command: &str| {
            let mut words = command.split(' ');
            words.next().is_some_and(|program| program.ends_with("storm-rs")) && words.any(|w| w == role)
        };
        self.processes().into_iter().filter(|(_, command)| is_it(command)).map(|(pid, _)| pid).collect()
    }

    /// The workers that a supervisor has started.
    pub(crate) fn workers_of(&self, supervisor: i32) -> Vec<i32> {
        let is_child = |pid: &i32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
            parent == Some(supervisor)
        };
        self.processes().into_keys().filter(is_child).collect()
    }

    /// The last lines of all logs, for the message of a test that fails.
    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        let mut dirs = vec![self.dir.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() && !path.is_symlink() {
                    dirs.push(path);
                } else if path.extension().is_some_and(|e| e == "log" || e == "err" || e == "out") {
                    let log = fs::read_to_string(&path).unwrap_or_default();
                    let lines: Vec<&str> = log.lines().rev().take(40).collect();
                    writeln!(text, "=== {}", path.display()).unwrap();
                    lines.into_iter().rev().for_each(|line| writeln!(text, "{line}").unwrap());
                }
            }
        }
        text
    }
    #[allow(clippy::print_stdout, reason = "what a failed test shows")]
    fn show_if_failed(&self) {
        if std::thread::panicking() {
            println!("{}", self.logs());
            println!("{:?}", self.storm(&["list"]));
        }
    }

    /// Kills what is left of it; a test that went well has left nothing.
    fn clear(&self) {
        let left = self.processes();
        left.keys().for_each(|pid| signal(*pid, Signal::SIGKILL));
        assert!(left.is_empty() || std::thread::panicking(), "left behind: {left:?}");
    }
}

/// A running `storm-rs dev`.
pub(crate) struct Dev {
    dev: Child,
    cluster: Cluster,
}

impl Deref for Dev {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Dev {
    /// A cluster of two supervisors with four slots each.
    pub(crate) fn start() -> Dev {
        Dev::with(&[])
    }

    pub(crate) fn with(args: &[&str]) -> Dev {
        let cluster = Cluster::new("data/storm.yaml");
        let dev = launch(cluster.dir.path(), args);
        let cluster = Dev { dev, cluster };
        cluster.wait_until_ready();
        cluster
    }

    fn wait_until_ready(&self) {
        wait_until("the cluster is ready", || {
            let said = fs::read_to_string(self.path("dev.out")).unwrap_or_default();
            if self.has_ended() {
                panic!("dev has ended: {said} {}", fs::read_to_string(self.path("dev.err")).unwrap());
            }
            said.lines().any(|line| line.starts_with("ready")) && self.conf.exists()
        });
    }

    fn has_ended(&self) -> bool {
        !is_alive(self.pid())
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.dev.id()).unwrap()
    }

    /// Ends dev in good order and starts it again on the same directory.
    pub(crate) fn restart(&mut self) {
        self.stop();
        fs::remove_file(self.path("dev.out")).unwrap();
        self.dev = launch(self.dir.path(), &[]);
        self.wait_until_ready();
    }

    /// Ends dev in good order.
    pub(crate) fn stop(&mut self) {
        kill(Pid::from_raw(self.pid()), Signal::SIGTERM).ok();
        self.dev.wait().unwrap();
        assert_eq!(self.processes(), BTreeMap::new(), "all ends with dev");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.show_if_failed();
        end(&mut self.dev);
        self.clear();
    }
}

/// Ends a process in good order, or else by force.
fn end(child: &mut Child) {
    let is_running = |child: &mut Child| matches!(child.try_wait(), Ok(None));
    if is_running(child) {
        signal(i32::try_from(child.id()).unwrap(), Signal::SIGTERM);
    }
    let deadline = Instant::now() + Duration::from_secs(15);
    while is_running(child) && Instant::now() < deadline {
        std::thread::park_timeout(LOOK);
    }
    child.kill().ok();
    child.wait().ok();
}

fn launch(dir: &Path, args: &[&str]) -> Child {
    let file = |name| fs::File::options().create(true).append(true).open(dir.join(name)).unwrap();
    let mut command = Command::new(STORM_RS);
    command.arg("dev").arg("--data-dir").arg(dir.join("data")).args(args);
    // Nothing of who runs the tests.
    command.env("HOME", dir).env_remove("STORM_CONF_DIR").current_dir(dir);
    command.stdin(Stdio::null()).stdout(file("dev.out")).stderr(file("dev.err"));
    command.spawn().unwrap()
}

pub(crate) fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).ok();
}

/// Whether there is such a process, and it is no zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may hold anything; the state follows its last bracket.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
