//! Processes of this machine: who they are, whether they live, when they end, how they are told to.
//!
//! A pid alone names nobody for long, so a process is a pid and the time of its start.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::PidfdFlags;
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How often a process is looked at where the kernel does not tell of its end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its pid.
    pub pid: u32,
    /// When it was started: ticks of the kernel's clock since the machine was.
    pub start_time: u64,
    /// Which start of the machine; empty where that is not known.
    pub boot: String,
}

#[expect(
    deprecated,
    reason = "its successor is unsafe for types that lie about their descriptor; this one does not"
)]
fn readable(fd: OwnedFd) -> Option<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE).ok()
}

/// What the kernel says of a process.
struct Stat {
    state: char,
    session: u32,
    start_time: u64,
}

/// Reads `/proc/<pid>/stat`. The name in it may hold anything, so it is read from behind its bracket.
fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        session: fields.get(3)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

impl ProcessId {
    /// The process with this pid now; `None` when there is none.
    pub fn of(pid: u32) -> Option<ProcessId> {
        Some(ProcessId { pid, start_time: stat(pid)?.start_time, boot: boot() })
    }

    /// Whether it has not ended. A zombie has.
    pub fn is_alive(&self) -> bool {
        let is_it = |stat: &Stat| stat.start_time == self.start_time && !matches!(stat.state, 'Z' | 'X');
        self.boot == boot() && stat(self.pid).is_some_and(|stat| is_it(&stat))
    }

    /// Waits for its end.
    pub async fn ended(&self) {
        let raw = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        let watched =
            raw.and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()).and_then(readable);
        // Opened by pid: it is the right one if it lives still.
        if let Some(fd) = watched.filter(|_| self.is_alive())
            && fd.readable().await.is_ok()
        {
            return;
        }
        while self.is_alive() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Sends a signal to the process and to all that it has started and that stayed in its group.
    /// Whether it arrived.
    pub fn signal_group(&self, signal: Signal) -> bool {
        if !self.is_alive() {
            return false;
        }
        let Ok(pid) = i32::try_from(self.pid) else { return false };
        match killpg(Pid::from_raw(pid), signal) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(pid, %error, "cannot signal a worker");
                false
            }
        }
    }

    /// Ends what is left of its group after its own end.
    pub fn sweep_group(&self) {
        let Ok(pid) = i32::try_from(self.pid) else { return };
        // While a group has members no new process gets its number; if there is a process with that
        // number, and it is not the old one, the group is somebody else's.
        if stat(self.pid).is_some_and(|stat| stat.start_time != self.start_time) || self.boot != boot() {
            return;
        }
        match killpg(Pid::from_raw(pid), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => tracing::debug!(pid, %error, "cannot end what a worker has left behind"),
        }
    }
}

/// The processes that lead a session of their own and were started with this variable in their
/// environment, with a value below `directory`; with their values. So workers are found of which nobody has
/// written down the pid.
pub fn find_by_variable(name: &str, directory: &Path) -> Vec<(PathBuf, ProcessId)> {
    let mut prefix = name.as_bytes().to_vec();
    prefix.push(b'=');
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        // Of another user, or gone: unreadable.
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mut variables = environment.split(|byte| *byte == 0);
        let value = variables.find_map(|variable| variable.strip_prefix(prefix.as_slice()))?;
        let value = PathBuf::from(std::ffi::OsStr::from_bytes(value));
        let leads = value.starts_with(directory) && stat(pid).is_some_and(|stat| stat.session == pid);
        let process = ProcessId::of(pid).filter(|process| leads && process.is_alive())?;
        Some((value, process))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it is used")]

    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_read_over() {
        let text = "17 (a) b (c) S 1 17 9 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 4711 1 2 3";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.state, stat.session, stat.start_time), ('S', 9, 4711));
        assert!(parse_stat("17 (a").is_none());
    }

    #[test]
    fn this_process_lives_and_one_with_another_start_does_not() {
        let me = ProcessId::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(!ProcessId { start_time: me.start_time + 1, ..me.clone() }.is_alive());
        assert!(!ProcessId { boot: "another".to_owned(), ..me }.is_alive());
    }

    #[tokio::test]
    async fn an_end_is_seen() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let process = ProcessId::of(child.id()).unwrap();
        let ended = tokio::spawn({
            let process = process.clone();
            async move { process.ended().await }
        });
        child.kill().unwrap();
        ended.await.unwrap();
        assert!(!process.is_alive());
        child.wait().unwrap();
    }
}
