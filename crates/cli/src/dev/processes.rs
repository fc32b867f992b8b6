//! The daemons of `dev`: started, started again when they end, ended.

use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use storm_config::keys;
use storm_logs::Limit;
use storm_rpc::launch::WORKER_FILE_VARIABLE;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::output;

/// In the environment of each daemon, and so of its workers: the directory of its cluster.
const DEV_VARIABLE: &str = "STORM_RS_DEV";
/// Pauses before a daemon is started again: they double from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A daemon that ran for so long is well: its next pause is the first one.
const WELL_AFTER: Duration = Duration::from_secs(10);
/// What supervisors and Nimbus get to end in good order: a supervisor ends its workers first, within 8 s.
const END_WITHIN: Duration = Duration::from_millis(8500);
/// What ZooKeeper gets, when all others have ended: together less than 10 s.
const END_FIRST_WITHIN: Duration = Duration::from_millis(700);
/// So many bytes from the end of a log an error is looked for.
const ERROR_WITHIN: usize = 4 << 10;
/// A daemon's log that is larger when the daemon starts is set aside.
const LOG_LIMIT: Limit = Limit { bytes: 10 << 20, keep: 1 };
/// How often to look whether what was killed is gone.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long that may take.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// A daemon to run.
#[derive(Clone, Debug)]
pub(super) struct Daemon {
    /// Its name here.
    pub(super) name: String,
    /// What its log is called.
    pub(super) kind: &'static str,
    /// Arguments of this program.
    pub(super) arguments: Vec<String>,
    /// The cluster's.
    pub(super) directory: PathBuf,
}

impl Daemon {
    /// Where its output goes: the file that it would write its log to by itself, so that panics stand there, too.
    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("logs").join(&self.name).join(format!("{}.log", self.kind))
    }

    /// Opens that file, and makes the link to it beside those of the other daemons.
    fn open_log(&self) -> std::io::Result<File> {
        let (logs, log) = (self.directory.join("logs"), self.log());
        fs::create_dir_all(logs.join(&self.name))?;
        storm_logs::rotate_closed(&log, LOG_LIMIT)?;
        let (link, target) = (logs.join(format!("{}.log", self.name)), log.strip_prefix(&logs));
        let target = target.expect("it lies below");
        if fs::read_link(&link).ok().as_deref() != Some(target) {
            fs::remove_file(&link).ok();
            std::os::unix::fs::symlink(target, &link)?;
        }
        OpenOptions::new().create(true).append(true).open(&log)
    }
}

/// What the daemons are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Run,
    End,
    Kill,
}

/// The daemons that run. Each has a task that waits for its end; the tasks live on this thread, and must
/// not move: the daemons end when the thread ends that started them.
pub(super) struct Daemons {
    restarts: bool,
    first: Group,
    others: Group,
}

struct Group {
    order: watch::Sender<Order>,
    tasks: JoinSet<()>,
}

impl Group {
    fn new() -> Group {
        Group { order: watch::Sender::new(Order::Run), tasks: JoinSet::new() }
    }

    fn start(&mut self, daemon: Daemon, restarts: bool) {
        let order = self.order.subscribe();
        self.tasks.spawn(keep(daemon, restarts, order));
    }

    fn tell(&self, order: Order) {
        self.order.send_if_modified(|now| {
            let is_stricter = order > *now;
            *now = order.max(*now);
            is_stricter
        });
    }

    async fn end(&mut self, within: Duration) {
        self.tell(Order::End);
        if tokio::time::timeout(within, self.ended()).await.is_err() {
            self.kill().await;
        }
    }

    async fn kill(&mut self) {
        self.tell(Order::Kill);
        self.ended().await;
    }

    async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Daemons {
    /// None yet. `restarts`: those that end are started again.
    pub(super) fn new(restarts: bool) -> Daemons {
        Daemons { restarts, first: Group::new(), others: Group::new() }
    }

    /// Starts the one that ends last, for the others need it.
    pub(super) fn start_first(&mut self, daemon: Daemon) {
        self.first.start(daemon, self.restarts);
    }

    /// Starts one of the others.
    pub(super) fn start(&mut self, daemon: Daemon) {
        self.others.start(daemon, self.restarts);
    }

    /// Ends all in good order, and whoever does not end by force.
    pub(super) async fn end(&mut self) {
        self.others.end(END_WITHIN).await;
        self.first.end(END_FIRST_WITHIN).await;
    }

    /// Ends all by force.
    pub(super) async fn kill(&mut self) {
        self.others.kill().await;
        self.first.kill().await;
    }
}

/// Runs a daemon until it is told to end.
async fn keep(daemon: Daemon, restarts: bool, mut order: watch::Receiver<Order>) {
    let mut pause = PAUSES.0;
    loop {
        let started = Instant::now();
        let log = daemon.log();
        let log_start = fs::metadata(&log).map_or(0, |metadata| metadata.len());
        let how = match spawn(&daemon) {
            Ok(mut child) => tokio::select! {
                ended = child.wait() => ended.map_or_else(|error| error.to_string(), |status| status.to_string()),
                () = told(&mut order, Order::End) => return end(child, order).await,
            },
            Err(error) => format!("cannot be started: {error}"),
        };
        let name = &daemon.name;
        let how = last_error(&log, log_start).map_or(how.clone(), |error| format!("{how}: {error}"));
        let log = log.display();
        if !restarts {
            output::say(&format!("{name} ended ({how}); its log is {log}"));
            return;
        }
        if started.elapsed() > WELL_AFTER {
            pause = PAUSES.0;
        }
        output::say(&format!("{name} ended ({how}); starting it again; its log is {log}"));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = told(&mut order, Order::End) => return,
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

fn spawn(daemon: &Daemon) -> std::io::Result<Child> {
    let log = daemon.open_log()?;
    let mut command = Command::new(own_program()?);
    command.args(&daemon.arguments).env(DEV_VARIABLE, &daemon.directory);
    // They stand in the file that all daemons read, below what must be so in this cluster.
    let set = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for variable in set.filter(|name| keys::find_variable(name).is_some()) {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // Ctrl-C on the terminal is for this process, which ends them in order.
    command.process_group(0).kill_on_drop(true);
    command.spawn()
}

/// This program. When another build has taken its place meanwhile, its own file is still there for the kernel.
fn own_program() -> std::io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    Ok(if path.exists() { path } else { PathBuf::from("/proc/self/exe") })
}

/// What a daemon that could not start said last: it is found behind this place of its log, near the end.
fn last_error(log: &Path, start: u64) -> Option<String> {
    let bytes = fs::read(log).ok()?;
    // It was set aside meanwhile when it is shorter.
    let start = usize::try_from(start).ok().filter(|start| *start <= bytes.len()).unwrap_or(0);
    let text = String::from_utf8_lossy(&bytes[start.max(bytes.len().saturating_sub(ERROR_WITHIN))..]);
    let error = text.lines().rev().find_map(|line| line.strip_prefix("error: "))?;
    Some(error.to_owned())
}

/// Waits for an order, or a stricter one.
async fn told(orders: &mut watch::Receiver<Order>, order: Order) {
    if orders.wait_for(|now| *now >= order).await.is_err() {
        // Nobody is left to give one; whoever waits is being dropped, too.
        std::future::pending::<()>().await;
    }
}

async fn end(mut child: Child, mut order: watch::Receiver<Order>) {
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) {
        // Not reaped yet, so the number is still its own.
        kill(Pid::from_raw(pid), Signal::SIGTERM).ok();
    }
    tokio::select! {
        _ = child.wait() => {}
        () = told(&mut order, Order::Kill) => {
            child.kill().await.ok();
        }
    }
}

/// Kills what is left of a cluster: workers whose supervisor is dead, daemons whose parent was killed
/// and that could not end.
pub(super) fn end_leftovers(directory: &Path) {
    let deadline = std::time::Instant::now() + GONE_WITHIN;
    let (never, wait) = std::sync::mpsc::channel::<()>();
    loop {
        let left = leftovers(directory);
        for pid in &left {
            kill(*pid, Signal::SIGKILL).ok();
        }
        if left.is_empty() || std::time::Instant::now() > deadline {
            drop(never);
            return;
        }
        wait.recv_timeout(LOOK_EVERY).ok();
    }
}

/// Processes of this user, other than this one, that belong to the cluster in a directory.
fn leftovers(directory: &Path) -> Vec<Pid> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id();
    let marks = marks(directory);
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != own)
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| is_marked(&environment, &marks))
        })
        .filter_map(|pid| i32::try_from(pid).ok().map(Pid::from_raw))
        .collect()
}

/// How the environment of such a process begins a variable: whole, and as a beginning.
fn marks(directory: &Path) -> [Vec<u8>; 2] {
    let directory = directory.as_os_str().as_bytes();
    let whole = [DEV_VARIABLE.as_bytes(), b"=", directory].concat();
    let begins = [WORKER_FILE_VARIABLE.as_bytes(), b"=", directory, b"/"].concat();
    [whole, begins]
}

fn is_marked(environment: &[u8], [whole, begins]: &[Vec<u8>; 2]) -> bool {
    environment.split(|byte| *byte == 0).any(|variable| variable == whole || variable.starts_with(begins))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_knows_its_own() {
        let marks = marks(Path::new("/a/dev"));
        assert!(is_marked(b"X=1\0STORM_RS_DEV=/a/dev\0", &marks));
        assert!(is_marked(b"STORM_RS_WORKER_FILE=/a/dev/s/w.json\0X=1", &marks));
        assert!(!is_marked(b"STORM_RS_DEV=/a/dev2\0STORM_RS_WORKER_FILE=/a/dev2/w\0", &marks));
        assert!(!is_marked(b"", &marks));
    }

    #[test]
    fn what_is_left_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = std::process::Command::new("sleep");
        let mut left = command.arg("600").env(DEV_VARIABLE, directory.path()).spawn().unwrap();
        end_leftovers(directory.path());
        assert!(!left.wait().unwrap().success());
        assert!(leftovers(directory.path()).is_empty());
    }

    #[test]
    fn a_daemon_that_cannot_start_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("x.log");
        let before = "error: of before\n";
        fs::write(&log, format!("{before}INFO starts\nerror: the port is taken\n help: another\n")).unwrap();
        assert_eq!(last_error(&log, before.len() as u64).as_deref(), Some("the port is taken"));
        fs::write(&log, before).unwrap();
        assert_eq!(last_error(&log, before.len() as u64), None);
    }

    #[test]
    fn a_log_lies_in_a_directory_of_its_own_and_has_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join("logs");
        let daemon = shell(directory.path(), "x");
        fs::create_dir(&logs).unwrap();
        fs::write(logs.join("x-1.log"), "of a former version").unwrap();
        fs::write(logs.join("y.log"), "of another").unwrap();
        let names = |directory: &Path| {
            let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            names
        };
        for _ in 0..2 {
            std::io::Write::write_all(&mut daemon.open_log().unwrap(), b"ab").unwrap();
        }
        assert_eq!(fs::read_to_string(logs.join("x-1.log")).unwrap(), "abab");
        assert_eq!(names(&logs), ["x-1", "x-1.log", "y.log"]);
        File::options().write(true).open(daemon.log()).unwrap().set_len(LOG_LIMIT.bytes).unwrap();
        daemon.open_log().unwrap();
        assert_eq!(names(&logs.join("x-1")), ["x.log", "x.log.1"]);
        assert_eq!(fs::read_to_string(logs.join("x-1.log")).unwrap(), "");
    }

    fn shell(directory: &Path, script: &str) -> Daemon {
        Daemon {
            name: "x-1".into(),
            kind: "x",
            arguments: vec!["-c".into(), script.into()],
            directory: directory.into(),
        }
    }

    #[tokio::test]
    async fn a_program_that_cannot_be_told_to_end_is_killed() {
        // This test's own program does not know `-c`, so it ends at once and is started again.
        let directory = tempfile::tempdir().unwrap();
        let mut daemons = Daemons::new(true);
        daemons.start(shell(directory.path(), "x"));
        tokio::task::yield_now().await;
        tokio::time::timeout(END_WITHIN, daemons.end()).await.unwrap();
        daemons.kill().await;
    }
}
