//! What the process uses, from `/proc`. What cannot be read is left out.

use std::fs;

use storm_figures::metrics;

use crate::page::Page;

impl Page {
    /// Adds what this process uses, under Prometheus' own names.
    pub fn process(&mut self) {
        let read = |path: &str| fs::read_to_string(path).ok();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let stat = read("/proc/self/stat");
        let memory = read("/proc/self/status").and_then(|status| resident_bytes(&status));
        let max_fds = read("/proc/self/limits").and_then(|limits| max_open_files(&limits));
        let open_fds = fs::read_dir("/proc/self/fd").ok().map(|fds| fds.flatten().count() as f64);
        let boot = read("/proc/stat").and_then(|stat| boot_time(&stat));
        let start = boot.zip(stat.as_deref().and_then(|stat| field(stat, START)));
        let cpu = stat.as_deref().and_then(|stat| Some(field(stat, USER)? + field(stat, SYSTEM)?));
        for (metric, value) in [
            (&metrics::PROCESS_CPU, cpu.map(|spent| spent / ticks)),
            (&metrics::PROCESS_MEMORY, memory),
            (&metrics::PROCESS_OPEN_FDS, open_fds),
            (&metrics::PROCESS_MAX_FDS, max_fds),
            (&metrics::PROCESS_START, start.map(|(boot, since)| boot + since / ticks)),
        ] {
            if let Some(value) = value {
                self.number(metric, &[], value);
            }
        }
    }
}

/// Fields of `/proc/self/stat` by their numbers in proc(5).
const USER: usize = 14;
const SYSTEM: usize = 15;
const START: usize = 22;

/// A field from the third on: the second is the name, which may hold blanks and parentheses.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(number - 3)?.parse().ok()
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

/// The soft limit; none where there is no limit.
fn max_open_files(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Format;

    #[test]
    fn the_files_of_the_kernel_are_understood() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 500 0 0 0 31 11 0 0 20 0 9 0 4242 1000 300";
        assert_eq!(
            [USER, SYSTEM, START].map(|number| field(stat, number)),
            [Some(31.0), Some(11.0), Some(4242.0)]
        );
        assert_eq!(field("garbage", USER), None);
        assert_eq!(resident_bytes("Name: a\nVmRSS:\t  2048 kB\n"), Some(2_097_152.0));
        let limits = "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024                 4096 files\n";
        assert_eq!(max_open_files(limits), Some(1024.0));
        assert_eq!(boot_time("cpu 1\nbtime 1700000000\n"), Some(1_700_000_000.0));
    }

    #[test]
    fn this_process_uses_something() {
        let mut page = Page::default();
        page.process();
        let text = page.text(Format::Plain);
        for metric in metrics::PROCESS.iter().filter(|metric| **metric != metrics::PROCESS_MAX_FDS) {
            let start = format!("{} ", metric.name);
            assert!(text.lines().any(|line| line.starts_with(&start)), "no {}:\n{text}", metric.name);
        }
    }
}
