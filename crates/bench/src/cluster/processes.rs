//! Processes as `/proc` shows them.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::meter::TICKS_PER_SEC;
use crate::soak::parse_resident;

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    is_zombie: bool,
    pub(super) parent: i32,
    /// CPU time in ticks: its own, and that of children it has waited for.
    own: u64,
    children: u64,
}

impl Stat {
    fn of(pid: i32) -> Option<Stat> {
        Stat::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(stat: &str) -> Option<Stat> {
        // The name may hold anything; the other fields follow its last bracket, the third first.
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Stat {
            is_zombie: fields[0] == "Z",
            parent: i32::try_from(number(4)?).ok()?,
            own: number(14)? + number(15)?,
            children: number(16)? + number(17)?,
        })
    }
}

/// All processes.
fn all() -> BTreeMap<i32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, Stat::of(pid)?))).collect()
}

/// The processes that this one has started and not yet waited for.
pub(super) fn children(parent: i32) -> Vec<i32> {
    let is_child = |stat: &Stat| stat.parent == parent && !stat.is_zombie;
    all().into_iter().filter(|(_, stat)| is_child(stat)).map(|(pid, _)| pid).collect()
}

/// CPU time of a process.
pub(super) fn cpu(pid: i32) -> Option<Duration> {
    Some(ticks(Stat::of(pid)?.own))
}

/// CPU time of this process, its children and theirs, those that have ended included.
pub(super) fn family_cpu() -> Duration {
    let all = all();
    let me = own_pid();
    let is_ours = |pid: &i32| {
        let mut pid = *pid;
        while pid != me {
            match all.get(&pid) {
                Some(stat) => pid = stat.parent,
                None => return false,
            }
        }
        true
    };
    let ours = all.iter().filter(|(pid, _)| is_ours(pid));
    ticks(ours.map(|(_, stat)| stat.own + stat.children).sum())
}

fn ticks(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / TICKS_PER_SEC)
}

/// Memory of a process that is in RAM, in bytes.
pub(super) fn resident(pid: i32) -> Option<u64> {
    parse_resident(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// The words of its command line.
pub(super) fn command_line(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).split('\0').map(str::to_owned).collect()
}

/// Those in whose environment a variable has this value.
pub(super) fn with_variable(name: &str, value: &str) -> Vec<i32> {
    let wanted = format!("{name}={value}");
    let has_it = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    all().into_keys().filter(|pid| *pid != own_pid() && has_it(pid)).collect()
}

/// Sends a signal; that there is nobody left is fine.
pub(super) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        kill_process(pid, signal).ok();
    }
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_have_any_name() {
        let stat = "7 (a) b (c) S 3 7 7 0 -1 4194560 1 2 3 4 10 20 300 4000 20 0 1 0 5 6 7";
        let parsed = Stat::parse(stat).unwrap();
        assert_eq!(parsed, Stat { is_zombie: false, parent: 3, own: 30, children: 4300 });
        assert!(Stat::parse("7 (a) Z 3 7 7 0 -1 4194560 1 2 3 4 10 20 300 4000 20").unwrap().is_zombie);
        assert_eq!(Stat::parse("7 (a) S 3"), None);
    }

    #[test]
    fn this_process_is_of_its_family() {
        let me = own_pid();
        assert!(cpu(me).unwrap() <= family_cpu());
        assert!(resident(me).unwrap() > 0);
        assert!(children(Stat::of(me).unwrap().parent).contains(&me));
    }
}
