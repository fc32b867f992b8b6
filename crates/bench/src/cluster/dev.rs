//! A cluster of `storm-rs dev`, and commands to it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value as Json;
use tempfile::TempDir;

use super::error::Error;
use super::{patience, processes, programs};

/// Time between two looks at a file.
const LOOK: Duration = Duration::from_millis(2);
/// Time between two commands that ask how things are: each costs some CPU.
const ASK: Duration = Duration::from_millis(20);
/// `dev` promises to end within 10 s.
const END_WITHIN: Duration = Duration::from_secs(15);
/// In the environment of its daemons: which cluster they are of.
const DEV_VARIABLE: &str = "STORM_RS_DEV";

/// A cluster of its own, in a directory of its own, on ports that are free. Dropped, it ends with
/// everything that it has started.
pub(super) struct Dev {
    command: PathBuf,
    dev: Child,
    dir: TempDir,
    ready_after: Duration,
}

/// A worker as `status` shows it.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) pid: i32,
    pub(super) is_running: bool,
    components: Vec<String>,
}

impl Worker {
    pub(super) fn runs(&self, component: &str) -> bool {
        self.components.iter().any(|c| c == component)
    }
}

impl Dev {
    /// Starts a cluster and waits until it is ready.
    pub(super) fn start(args: &[&str]) -> Result<Dev, Error> {
        let command = programs::storm_rs()?;
        let dir = tempfile::tempdir().map_err(Error::io("cannot make a directory"))?;
        let file = |name| File::create(dir.path().join(name)).map_err(Error::io("cannot make a file"));
        let mut start = Command::new(&command);
        start.arg("dev").arg("--data-dir").arg(dir.path().join("data")).args(args);
        // Nothing of who measures.
        start.env("HOME", dir.path()).env_remove("STORM_CONF_DIR").current_dir(dir.path());
        start.stdin(Stdio::null()).stdout(file("dev.out")?).stderr(file("dev.err")?);
        let begin = Instant::now();
        let dev = start.spawn().map_err(Error::io("cannot start storm-rs"))?;
        let mut cluster = Dev { command, dev, dir, ready_after: Duration::ZERO };
        patience::until("`storm-rs dev` is ready", LOOK, || cluster.is_ready())?;
        cluster.ready_after = begin.elapsed();
        Ok(cluster)
    }

    fn is_ready(&mut self) -> Result<Option<()>, Error> {
        let said = fs::read_to_string(self.path("dev.out")).unwrap_or_default();
        if said.lines().any(|line| line.starts_with("ready")) {
            return Ok(Some(()));
        }
        match self.dev.try_wait().map_err(Error::io("cannot wait for storm-rs"))? {
            None => Ok(None),
            Some(_) => {
                let why = fs::read_to_string(self.path("dev.err")).unwrap_or_default();
                Err(Error::Unexpected(format!("`storm-rs dev` has ended: {said}{why}")))
            }
        }
    }

    /// From the start of the command to the word `ready`.
    pub(super) fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// A path in its directory.
    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Runs a command against this cluster.
    pub(super) fn storm<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<String, Error> {
        patience::check()?;
        let mut command = Command::new(&self.command);
        command.arg("--config").arg(self.path("data/storm.yaml")).args(args);
        command.env("HOME", self.dir.path()).env_remove("STORM_CONF_DIR").stdin(Stdio::null());
        let output = command.output().map_err(Error::io("cannot start storm-rs"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let words: Vec<_> = args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect();
        Err(Error::Command {
            command: words.join(" "),
            code: output.status.code().unwrap_or(-1),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// Submits a topology with options of `submit` and arguments of its own.
    pub(super) fn submit(&self, binary: &Path, options: &[&str], args: &[&OsStr]) -> Result<(), Error> {
        let mut all: Vec<OsString> = vec!["submit".into(), binary.into()];
        all.extend(options.iter().map(OsString::from));
        all.push("--".into());
        all.extend(args.iter().map(OsString::from));
        self.storm(&all).map(drop)
    }

    /// How a topology runs.
    pub(super) fn status(&self, name: &str) -> Result<Json, Error> {
        let said = self.storm(&["--json", "status", name])?;
        serde_json::from_str(&said).map_err(|error| Error::Unexpected(format!("{error} in {said}")))
    }

    /// The workers of a topology.
    pub(super) fn workers(&self, name: &str) -> Result<Vec<Worker>, Error> {
        let status = self.status(name)?;
        let worker = |worker: &Json| {
            let executors = worker["executors"].as_array().into_iter().flatten();
            Worker {
                pid: worker["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0),
                is_running: worker["state"] == "RUNNING",
                components: executors
                    .filter_map(|executor| executor["component"].as_str().map(str::to_owned))
                    .collect(),
            }
        };
        Ok(status["workers"].as_array().into_iter().flatten().map(worker).collect())
    }

    /// Waits until a topology runs in so many workers, none of which is one of those that are gone.
    pub(super) fn await_workers(&self, name: &str, count: usize, gone: &[i32]) -> Result<Vec<Worker>, Error> {
        patience::until(&format!("{name} runs in {count} workers"), ASK, || {
            let workers = self.workers(name)?;
            let is_well =
                |worker: &Worker| worker.is_running && worker.pid > 0 && !gone.contains(&worker.pid);
            Ok((workers.len() == count && workers.iter().all(is_well)).then_some(workers))
        })
    }

    /// Its daemons with their names, `dev` among them.
    pub(super) fn daemons(&self) -> Vec<(&'static str, i32)> {
        let name = |pid: &i32| {
            let words = processes::command_line(*pid);
            let roles = ["dev-zookeeper", "nimbus", "supervisor", "ui"];
            roles.into_iter().find(|role| words.iter().any(|word| word == role))
        };
        let children = processes::children(self.pid()).into_iter();
        let named = children.filter_map(|pid| Some((name(&pid)?, pid)));
        named.chain([("dev", self.pid())]).collect()
    }

    /// The supervisor of a worker, and all workers of it.
    pub(super) fn node_of(&self, worker: i32) -> Result<(i32, Vec<i32>), Error> {
        for (name, pid) in self.daemons() {
            let workers = processes::children(pid);
            if name == "supervisor" && workers.contains(&worker) {
                return Ok((pid, workers));
            }
        }
        Err(Error::Unexpected(format!("no supervisor has the worker {worker}")))
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.dev.id()).expect("a process number fits")
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Not waited for yet, so the number is still its own.
        if matches!(self.dev.try_wait(), Ok(None)) {
            processes::signal(self.pid(), Signal::TERM);
        }
        let begin = Instant::now();
        while matches!(self.dev.try_wait(), Ok(None)) && begin.elapsed() < END_WITHIN {
            std::thread::park_timeout(ASK);
        }
        self.dev.kill().ok();
        self.dev.wait().ok();
        // Nothing is left unless `dev` itself has failed.
        let data = self.path("data");
        let data = data.canonicalize().unwrap_or(data);
        for pid in processes::with_variable(DEV_VARIABLE, &data.to_string_lossy()) {
            processes::signal(pid, Signal::KILL);
        }
    }
}
