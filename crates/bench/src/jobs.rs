//! Which jobs there are, and in what order they run: each once per round.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::constant::{self, Path as ConstPath};
use crate::data::Text;
use crate::latency::{self, Latency, Path};
use crate::many::{self, Grouping, Many};
use crate::meter::{Sample, wait_for_quiet};
use crate::word_count::{self, Layout};
use crate::{fused, idle, naive};

/// How long a job waits for a quiet moment of the machine before it starts.
pub(crate) const QUIET_WAIT_MAX: Duration = Duration::from_millis(500);

/// Something to measure.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// What it is called in tables and on the command line.
    pub name: &'static str,
    /// What the figures are per.
    pub item: &'static str,
    /// What it does.
    pub work: Work,
}

/// What a job does.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// So many sentences or tuples, as fast as it can, from its start to its end.
    Fast(fn(&Text, u64) -> Sample),
    /// As fast as it can for a while, once each executor has had so many tuples.
    Warm(fn(u64, Duration) -> Sample),
    /// At this rate, for as long as latencies are measured.
    Paced(Path, u64),
    /// Nothing.
    Idle,
}

/// All jobs, in the order of a round.
pub const JOBS: &[Job] = &[
    fast("fused", "word", |text, n| fused::run(text, n).0),
    fast("count-1-1-1", "word", |text, n| word_count::run(text, n, Layout::ONE_ONE, false).0),
    fast("count-1-1-1-tracked", "word", |text, n| word_count::run(text, n, Layout::ONE_ONE, true).0),
    fast("naive", "word", |text, n| naive::run(text, n, Layout::ONE_ONE, false).0),
    fast("naive-tracked", "word", |text, n| naive::run(text, n, Layout::ONE_ONE, true).0),
    fast("count-1-2-2", "word", |text, n| word_count::run(text, n, Layout::TWO_TWO, false).0),
    fast("count-1-2-2-tracked", "word", |text, n| word_count::run(text, n, Layout::TWO_TWO, true).0),
    fast("naive-1-2-2", "word", |text, n| naive::run(text, n, Layout::TWO_TWO, false).0),
    fast("naive-1-2-2-tracked", "word", |text, n| naive::run(text, n, Layout::TWO_TWO, true).0),
    fast("count-chained-tracked", "word", |text, n| word_count::run(text, n, Layout::CHAINED, true).0),
    fast("null", "tuple", |_, n| constant::run(n, ConstPath::Null, false)),
    fast("null-tracked", "tuple", |_, n| constant::run(n, ConstPath::Null, true)),
    fast("id-null", "tuple", |_, n| constant::run(n, ConstPath::IdNull, false)),
    fast("id-null-tracked", "tuple", |_, n| constant::run(n, ConstPath::IdNull, true)),
    warm("shuffle-4", |tuples, time| many::run(Many::FOUR, Grouping::Shuffle, tuples, time)),
    warm("shuffle-1000", |tuples, time| many::run(Many::THOUSAND, Grouping::Shuffle, tuples, time)),
    warm("shuffle-1000-shared", |tuples, time| many::run(Many::SHARED, Grouping::Shuffle, tuples, time)),
    warm("fields-4", |tuples, time| many::run(Many::FOUR, Grouping::Fields, tuples, time)),
    warm("fields-1000", |tuples, time| many::run(Many::THOUSAND, Grouping::Fields, tuples, time)),
    warm("fields-1000-shared", |tuples, time| many::run(Many::SHARED, Grouping::Fields, tuples, time)),
    paced("loop-1k", Path::Null, 1_000),
    paced("loop-10k", Path::Null, 10_000),
    paced("split-count-loop-1k", Path::WordCount, 1_000),
    paced("split-count-loop-10k", Path::WordCount, 10_000),
    Job { name: "idle", item: "executor", work: Work::Idle },
];

/// A job of so many items.
pub const fn fast(name: &'static str, item: &'static str, work: fn(&Text, u64) -> Sample) -> Job {
    Job { name, item, work: Work::Fast(work) }
}

const fn warm(name: &'static str, work: fn(u64, Duration) -> Sample) -> Job {
    Job { name, item: "tuple", work: Work::Warm(work) }
}

const fn paced(name: &'static str, path: Path, per_sec: u64) -> Job {
    Job { name, item: "tree", work: Work::Paced(path, per_sec) }
}

/// Those of the jobs that have one of these names, or that contain it where none has it; all if no
/// name is given.
pub fn choose(jobs: &[Job], only: &[String]) -> Vec<Job> {
    choose_by(jobs, |job| job.name, only)
}

/// The same of whatever has a name.
pub(crate) fn choose_by<J: Copy>(jobs: &[J], name: fn(&J) -> &'static str, only: &[String]) -> Vec<J> {
    let is_exact = |only: &str| jobs.iter().any(|job| name(job) == only);
    let is_wanted = |job: &&J| {
        let fits =
            |only: &String| if is_exact(only) { name(job) == only } else { name(job).contains(&**only) };
        only.is_empty() || only.iter().any(fits)
    };
    jobs.iter().filter(is_wanted).copied().collect()
}

/// How long jobs take.
#[derive(Clone, Copy, Debug)]
pub struct Lengths {
    /// Of a job that does what it can.
    pub fast: Duration,
    /// Of a job that emits at a rate.
    pub paced: Duration,
    /// Of the job that does nothing.
    pub idle: Duration,
    /// Tuples that each executor has had on average when a warm job begins to be measured.
    pub warm_tuples: u64,
    /// Of a warm job from there on.
    pub warm: Duration,
}

impl Default for Lengths {
    fn default() -> Lengths {
        Lengths {
            fast: Duration::from_millis(400),
            paced: Duration::from_secs(1),
            idle: Duration::from_secs(2),
            warm_tuples: 2_000,
            warm: Duration::from_secs(1),
        }
    }
}

impl Lengths {
    /// For a smoke test.
    pub fn quick() -> Lengths {
        let tenth = Duration::from_millis(100);
        Lengths { fast: tenth, paced: 2 * tenth, idle: 3 * tenth, warm_tuples: 500, warm: 3 * tenth }
    }
}

/// What a job gave in one round.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Times.
    pub sample: Sample,
    /// Of a job that emits at a rate.
    pub latency: Option<Latency>,
}

/// What the jobs gave in one round, by name.
pub type Round = BTreeMap<&'static str, Measured>;

/// Runs the jobs, round by round.
pub fn measure(text: &Text, jobs: &[Job], lengths: Lengths, rounds: u32) -> Vec<Round> {
    let sizes: Vec<u64> = jobs.iter().map(|job| size(text, job, lengths)).collect();
    let round = |_| {
        let one = |(job, size): (&Job, &u64)| {
            wait_for_quiet(QUIET_WAIT_MAX.min(lengths.paced));
            (job.name, run(text, job, *size, lengths))
        };
        jobs.iter().zip(&sizes).map(one).collect()
    };
    (0..rounds).map(round).collect()
}

/// Runs a job once.
pub(crate) fn run(text: &Text, job: &Job, size: u64, lengths: Lengths) -> Measured {
    match job.work {
        Work::Fast(work) => Measured { sample: work(text, size), latency: None },
        Work::Warm(work) => Measured { sample: work(lengths.warm_tuples, lengths.warm), latency: None },
        Work::Paced(path, per_sec) => {
            let (sample, latency) = latency::run(text, path, per_sec, lengths.paced);
            Measured { sample, latency: Some(latency) }
        }
        Work::Idle => Measured { sample: idle::run(lengths.idle), latency: None },
    }
}

/// The sentences or tuples that a fast job does in its time; it is warm afterwards.
fn size(text: &Text, job: &Job, lengths: Lengths) -> u64 {
    let Work::Fast(work) = job.work else { return 0 };
    let mut size = 2_000;
    loop {
        let took = work(text, size).wall;
        if took >= lengths.fast / 8 {
            return (size as f64 * lengths.fast.as_secs_f64() / took.as_secs_f64()) as u64;
        }
        size *= 4;
    }
}
