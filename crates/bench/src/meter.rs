//! How a job is measured: elapsed time, CPU time of all threads, and how busy others kept the machine.

use std::fs;
use std::num::NonZero;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Above this share of the machine's CPU time used by others a sample is noisy.
pub const FOREIGN_MAX: f64 = 0.08;

/// Ticks of `/proc/stat` per second: `USER_HZ`, which is 100 on every Linux.
pub(crate) const TICKS_PER_SEC: f64 = 100.0;

/// What a job took.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Words, tuples, trees or executors.
    pub items: u64,
    /// Time that passed.
    pub wall: Duration,
    /// CPU time of all threads.
    pub cpu: Duration,
    /// Share of the machine's CPU time that other processes used.
    pub foreign: f64,
}

impl Sample {
    /// Items per second.
    pub fn items_per_sec(&self) -> f64 {
        self.items as f64 / self.wall.as_secs_f64()
    }

    /// Nanoseconds that passed per item.
    pub fn wall_ns(&self) -> f64 {
        self.wall.as_nanos() as f64 / self.items as f64
    }

    /// Nanoseconds of CPU time per item.
    pub fn cpu_ns(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.items as f64
    }

    /// CPU time as a share of one core, in percent.
    pub fn cpu_percent(&self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }

    /// Whether others used more than [`FOREIGN_MAX`].
    pub fn is_noisy(&self) -> bool {
        self.foreign > FOREIGN_MAX
    }
}

/// A measurement that has begun.
#[derive(Debug)]
pub struct Meter {
    wall: Instant,
    cpu_of: fn() -> Duration,
    cpu: Duration,
    machine: Option<Duration>,
}

impl Meter {
    /// Begins to measure this process.
    pub fn start() -> Meter {
        Meter::of(own_cpu)
    }

    /// Begins to measure those whose CPU time this is; all other CPU time is that of others.
    pub(crate) fn of(cpu_of: fn() -> Duration) -> Meter {
        Meter { machine: machine_cpu(), cpu: cpu_of(), cpu_of, wall: Instant::now() }
    }

    /// What was taken since the start, for so many items.
    pub fn stop(&self, items: u64) -> Sample {
        let wall = self.wall.elapsed();
        let cpu = (self.cpu_of)().saturating_sub(self.cpu);
        let machine = machine_cpu().zip(self.machine).map(|(now, then)| now.saturating_sub(then));
        let foreign = machine.map_or(0.0, |busy| busy.saturating_sub(cpu).as_secs_f64());
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Sample { items, wall, cpu, foreign: foreign / (wall.as_secs_f64() * cores as f64) }
    }
}

/// Waits until other processes leave the machine alone, or until `max` is over.
#[expect(clippy::disallowed_methods, reason = "there is no event for a machine that becomes quiet")]
pub(crate) fn wait_for_quiet(max: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < max {
        let meter = Meter::start();
        thread::sleep(Duration::from_millis(60));
        if !meter.stop(1).is_noisy() {
            return;
        }
    }
}

/// CPU time of all threads of this process, also of those that have ended.
fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// CPU time of all processes, what the hypervisor took included; `None` where nothing tells.
fn machine_cpu() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let mut fields = stat.lines().next()?.split_whitespace().skip(1);
    let mut ticks = || fields.next().map_or(Some(0), |f| f.parse::<u64>().ok());
    let [user, nice, system, _idle, _iowait, irq, softirq, steal] =
        [ticks()?, ticks()?, ticks()?, ticks()?, ticks()?, ticks()?, ticks()?, ticks()?];
    Some(Duration::from_secs_f64((user + nice + system + irq + softirq + steal) as f64 / TICKS_PER_SEC))
}
