//! A worker as a process: started in a session of its own, with files for its output.
//!
//! Processes are forked by one thread that lives as long as this supervisor: a start waits until the other
//! program runs, which is nothing for a thread that serves others.
#![allow(unsafe_code, reason = "what happens between fork and exec is unsafe by nature; see `start`")]

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::Signal;
use storm_config::keys;
use tokio::sync::oneshot;

use crate::process::ProcessId;

/// Starts that wait for the thread; more are refused. The slots start one at a time.
const WAITING: usize = 16;
/// A program that was just written cannot be started while a child that somebody else has forked holds it
/// open still: until that child has become another program. So often and after such pauses it is tried
/// again.
pub(crate) const BUSY_TRIES: u32 = 20;
pub(crate) const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// A process that is to be started.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) executable: PathBuf,
    /// What it takes for its name: that of the file that was submitted.
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) directory: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) log_limit: storm_logs::Limit,
}

/// A process that was started.
pub(crate) struct Started {
    pub(crate) child: Child,
    pub(crate) process: ProcessId,
    /// Where its output begins in the log.
    pub(crate) log_start: u64,
}

type Answer = io::Result<Started>;

/// The thread that forks.
pub(crate) struct Spawner {
    orders: Option<mpsc::SyncSender<(Launch, oneshot::Sender<Answer>)>>,
    thread: Option<JoinHandle<()>>,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub(crate) fn new() -> io::Result<Spawner> {
        let (orders, taken) = mpsc::sync_channel::<(Launch, oneshot::Sender<Answer>)>(WAITING);
        let thread = std::thread::Builder::new().name("worker-spawner".to_owned()).spawn(move || {
            for (launch, answer) in taken {
                // Who asked may have gone; then the process is found by its environment later.
                answer.send(start(&launch)).ok();
            }
        })?;
        Ok(Spawner { orders: Some(orders), thread: Some(thread) })
    }

    /// Starts a process.
    pub(crate) async fn spawn(&self, launch: Launch) -> Answer {
        for _ in 0..BUSY_TRIES {
            match self.spawn_once(launch.clone()).await {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                answer => return answer,
            }
        }
        self.spawn_once(launch).await
    }

    async fn spawn_once(&self, launch: Launch) -> Answer {
        let (answer, answered) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts workers has ended");
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        orders.try_send((launch, answer)).map_err(|_| io::Error::other("too many starts at once"))?;
        answered.await.map_err(|_| gone())?
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.orders.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn start(launch: &Launch) -> Answer {
    std::fs::create_dir_all(&launch.directory)?;
    if let Some(logs) = launch.log.parent() {
        std::fs::create_dir_all(logs)?;
    }
    storm_logs::rotate_closed(&launch.log, launch.log_limit)?;
    // Files and not pipes: they outlive this supervisor, and a broken pipe makes each `println!` panic.
    let log = OpenOptions::new().append(true).create(true).open(&launch.log)?;
    let log_start = log.metadata()?.len();
    let mut command = Command::new(&launch.executable);
    for (variable, _) in std::env::vars_os().filter(|(name, _)| is_withheld(name)) {
        command.env_remove(variable);
    }
    command
        .arg0(&launch.name)
        .args(&launch.arguments)
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&launch.directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    // SAFETY: between fork and exec only setsid is called, which POSIX allows there: it neither allocates
    // nor takes a lock.
    unsafe {
        command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(io::Error::from));
    }
    let mut child = command.spawn()?;
    match ProcessId::of(child.id()) {
        Some(process) => Ok(Started { child, process, log_start }),
        None => {
            child.kill().ok();
            child.wait().ok();
            Err(io::Error::other("/proc does not show the process: is it mounted?"))
        }
    }
}

/// Whether a variable of this supervisor is none of a worker's business: a key of the cluster's configuration,
/// which may be a secret, or one of ours. The directory of `dev` stays: it is how `dev` finds what is left of it.
fn is_withheld(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    keys::find_variable(name).is_some() || (name.starts_with("STORM_RS_") && name != "STORM_RS_DEV")
}

/// Whether somebody has ended it from outside: then its last words say nothing.
pub(crate) fn was_ended(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    status.signal().is_some_and(|signal| [Signal::SIGKILL as i32, Signal::SIGTERM as i32].contains(&signal))
}

/// How a process has ended, in words.
pub(crate) fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(0), _) => "has ended by itself".to_owned(),
        (Some(code), _) => format!("has ended with exit code {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("was killed by {signal}"),
            Err(_) => format!("was killed by signal {signal}"),
        },
        (None, None) => "has ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it is used")]

    use super::*;
    use crate::process;

    #[test]
    fn what_the_supervisor_was_told_is_none_of_a_workers_business() {
        for name in ["STORM_ZOOKEEPER_AUTH_PAYLOAD", "STORM_CLUSTER_SECRET_FILE", "STORM_RS_MODE"] {
            assert!(is_withheld(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "HOME", "RUST_LOG", "STORM_RS_DEV", "STORMY"] {
            assert!(!is_withheld(OsStr::new(name)), "{name}");
        }
    }

    #[tokio::test]
    async fn a_process_has_its_name_its_session_and_its_files() {
        let directory = tempfile::tempdir().unwrap();
        let worker_file = directory.path().join("a/worker.json");
        let text = "echo $0 $GREETING; pwd; echo oh >&2; exec sleep 1000";
        let launch = Launch {
            executable: "/bin/sh".into(),
            name: "words".to_owned(),
            arguments: ["-c", text].map(str::to_owned).into(),
            environment: vec![
                ("GREETING".to_owned(), "hello".to_owned()),
                ("FILE_OF_WORKER".to_owned(), worker_file.to_str().unwrap().to_owned()),
            ],
            directory: directory.path().join("a"),
            log: directory.path().join("logs/worker.log"),
            log_limit: storm_logs::Limit::default(),
        };
        let spawner = Spawner::new().unwrap();
        let Started { mut child, process: started, .. } = spawner.spawn(launch.clone()).await.unwrap();
        let wanted =
            format!("words hello\n{}\noh\n", directory.path().canonicalize().unwrap().join("a").display());
        let written = async {
            while std::fs::read_to_string(&launch.log).unwrap() != wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), written).await.unwrap();
        // A supervisor that did not write down the pid finds it nevertheless.
        let found = process::find_by_variable("FILE_OF_WORKER", directory.path());
        assert_eq!(found, [(worker_file, started.clone())]);
        assert_eq!(process::find_by_variable("FILE_OF_WORKER", &directory.path().join("b")), []);

        assert!(started.signal_group(Signal::SIGTERM));
        started.ended().await;
        assert_eq!(describe(child.wait().unwrap()), "was killed by SIGTERM");
        assert!(!started.signal_group(Signal::SIGTERM));

        let absent = Launch { executable: directory.path().join("absent"), ..launch };
        assert_eq!(spawner.spawn(absent).await.err().unwrap().kind(), io::ErrorKind::NotFound);
    }
}
