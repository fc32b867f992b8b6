//! What the workers here have counted, kept through restarts of this supervisor and told to every new leader.
//!
//! One file per topology, `<local dir>/supervisor/figures/<topology id>`: milliseconds since 1970 at which it was
//! written (eight bytes), and a keeper in its portable form. It stays as long as the topology exists, also when
//! no worker of it is here any more.
//!
//! Figures come with the reports of workers, about once a second. Nobody reads them here, so they wait, and are
//! taken in every [`TAKE_EVERY`]: totals only grow, and the last of a life says all. An executor that was busy
//! when its worker asked is not in it; then those before are read as well.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use storm_figures::{ExecutorSnapshot, Keeper, Snapshot};
use storm_model::{AssignedExecutor, Incarnation, Time, TopologyId};
use storm_rpc::v1::KeptFigures;
use storm_rpc::{CallError, ErrorCode};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::local_state::{is_file_name, write_file};
use crate::peers::Peers;
use crate::slot::Life;

/// How often what waits is taken in. Windows and trends are as exact as that.
const TAKE_EVERY: Duration = Duration::from_secs(5);
/// Figures of one life that wait at most.
const HEARD: usize = 16;
/// How often files are written.
const WRITE_EVERY: Duration = Duration::from_secs(30);
/// A Nimbus that takes longer is passed over.
const TELL_WITHIN: Duration = Duration::from_secs(60);
/// Pause after nobody took them; it doubles each time.
const RETRY: Duration = Duration::from_secs(2);
/// The longest of these pauses: then a new leader is there.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Pause after a leader has said that it will not take them: another one may.
const REFUSED: Duration = Duration::from_secs(600);
/// Bytes in one message.
const PART: usize = 1 << 20;
/// How the files of those that could not be read are called.
const BROKEN: &str = ".broken";
/// No file is older: 2025-01-01, in milliseconds since 1970. A clock that says so was not set yet.
const OLDEST_MS: u64 = 1_735_689_600_000;
/// The clock begins so long before this process does: what is kept is older.
const BEFORE: Duration = Duration::from_secs(40 * 24 * 3600);

/// What was heard last of a life of a worker.
struct Heard {
    at: Time,
    uptime_ms: u64,
    figures: Bytes,
}

/// The last few of a life, oldest first, and the executors that it was given.
struct HeardOfLife {
    executors: Arc<[AssignedExecutor]>,
    heard: VecDeque<Heard>,
}

#[derive(Default)]
struct Waiting {
    /// By topology, life and port: a later life comes later.
    heard: BTreeMap<(TopologyId, Incarnation, u16), HeardOfLife>,
    /// Topologies that are gone.
    gone: Vec<TopologyId>,
}

#[derive(Default)]
struct Kept {
    keeper: Keeper,
    /// Other than in its file.
    is_changed: bool,
    /// The last life that reported on a port, and the most executors that it told of at once.
    executors: BTreeMap<u16, (Incarnation, usize)>,
}

/// The figures of the workers here.
pub(crate) struct Figures {
    directory: PathBuf,
    started: Instant,
    waiting: Mutex<Waiting>,
    kept: Mutex<BTreeMap<TopologyId, Kept>>,
    is_wanted: AtomicBool,
    wanted: Notify,
}

impl Figures {
    /// Reads what is kept. What cannot be read is put aside: figures are for people, and work goes on without.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub(crate) fn open(directory: PathBuf) -> io::Result<Figures> {
        fs::create_dir_all(&directory)?;
        let figures = Figures {
            directory,
            started: Instant::now(),
            waiting: Mutex::default(),
            kept: Mutex::default(),
            is_wanted: AtomicBool::new(false),
            wanted: Notify::new(),
        };
        let now = figures.now();
        for entry in fs::read_dir(&figures.directory)?.flatten() {
            let path = entry.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if [".new", BROKEN].iter().any(|end| name.ends_with(end)) {
                continue;
            }
            let read = fs::read(&path).map_err(|error| error.to_string());
            let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok().map(since_1970);
            match read.and_then(|bytes| parse(now, wall_ms(), modified, &bytes)) {
                Ok(keeper) => {
                    let kept = Kept { keeper, ..Kept::default() };
                    figures.kept().insert(name.into(), kept);
                }
                Err(error) => {
                    tracing::error!(path = %path.display(), error, "cannot read figures that were kept; put aside");
                    fs::rename(&path, path.with_file_name(format!("{name}{BROKEN}"))).ok();
                }
            }
        }
        Ok(figures)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One topology's figures may be wrong after a panic, which is no reason to keep none of the others.
    fn kept(&self) -> MutexGuard<'_, BTreeMap<TopologyId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Time {
        Time::ZERO + BEFORE + self.started.elapsed()
    }

    /// Takes figures that a worker reported, which was given these executors.
    pub(crate) fn put(
        &self,
        (life, port): (&Life, u16),
        executors: &Arc<[AssignedExecutor]>,
        uptime_ms: u64,
        figures: &Bytes,
    ) {
        if figures.is_empty() || !is_file_name(life.topology.as_str()) {
            return;
        }
        let key = (life.topology.clone(), life.incarnation, port);
        let heard = Heard { at: self.now(), uptime_ms, figures: figures.clone() };
        let mut waiting = self.waiting();
        let of_life = waiting
            .heard
            .entry(key)
            .or_insert_with(|| HeardOfLife { executors: executors.clone(), heard: VecDeque::new() });
        of_life.heard.push_back(heard);
        if of_life.heard.len() > HEARD {
            of_life.heard.pop_front();
        }
    }

    /// A topology is gone for good.
    pub(crate) fn forget(&self, topology: &TopologyId) {
        let mut waiting = self.waiting();
        waiting.heard.retain(|(of, ..), _| of != topology);
        waiting.gone.push(topology.clone());
    }

    /// Whether Nimbus wants to be told what is kept.
    pub(crate) fn set_wanted(&self, is_wanted: bool) {
        self.is_wanted.store(is_wanted, Ordering::Relaxed);
        if is_wanted {
            self.wanted.notify_one();
        }
    }

    /// Takes in what waits. For a thread that may wait for the disk.
    fn take_in(&self) {
        let mut kept = self.kept();
        let Waiting { heard, gone } = std::mem::take(&mut *self.waiting());
        for ((topology, life, port), HeardOfLife { executors, heard }) in heard {
            let mut needed = Vec::new();
            for Heard { at, uptime_ms, figures } in heard.iter().rev() {
                match serde_json::from_slice::<Snapshot>(figures) {
                    Ok(mut snapshot) => {
                        let is_given = |e: &ExecutorSnapshot| {
                            executors.iter().any(|g| g.executor == e.executor && g.component == e.component)
                        };
                        if snapshot.keep(is_given) {
                            tracing::debug!(%topology, port, "figures of what the worker was not given");
                        }
                        let kept = kept.entry(topology.clone()).or_default();
                        let (of, most) = kept.executors.entry(port).or_default();
                        if *of != life {
                            (*of, *most) = (life, 0);
                        }
                        // Of a life that nothing was read of yet it is not known who may be missing.
                        let is_whole = *most > 0 && snapshot.executors.len() >= *most;
                        *most = snapshot.executors.len().max(*most);
                        needed.push((*at, *uptime_ms, snapshot));
                        if is_whole {
                            break;
                        }
                    }
                    Err(error) => tracing::debug!(%topology, port, %error, "figures not understood"),
                }
            }
            let Some(kept) = kept.get_mut(&topology) else { continue };
            for (at, uptime_ms, snapshot) in needed.iter().rev() {
                kept.keeper.observe_life(*at, life, *uptime_ms, snapshot);
                kept.is_changed = true;
            }
        }
        for topology in gone {
            kept.remove(&topology);
            if is_file_name(topology.as_str()) {
                for end in ["", BROKEN] {
                    fs::remove_file(self.directory.join(format!("{topology}{end}"))).ok();
                }
            }
        }
    }

    /// Takes in what waits, and writes what is other than in its file. For a thread that may wait for the disk.
    pub(crate) fn write(&self) {
        self.take_in();
        let (now, mut kept) = (self.now(), self.kept());
        // Of tasks that have moved away, only the sums are of use after a day.
        kept.values_mut().for_each(|kept| kept.is_changed |= kept.keeper.tidy(now));
        for (topology, kept) in kept.iter_mut().filter(|(_, kept)| kept.is_changed) {
            let mut bytes = wall_ms().to_le_bytes().to_vec();
            bytes.extend_from_slice(&kept.keeper.to_portable(now));
            match write_file(&self.directory.join(topology.as_str()), &bytes, 0o600) {
                Ok(()) => kept.is_changed = false,
                Err(error) => tracing::warn!(%topology, %error, "cannot keep figures"),
            }
        }
    }

    /// All that is kept, in messages for Nimbus. For a thread that has time.
    fn messages(&self, supervisor: &str) -> Vec<KeptFigures> {
        self.take_in();
        let mut messages = Vec::new();
        for (topology, kept) in self.kept().iter() {
            let mut bytes = Bytes::from(kept.keeper.to_portable(self.now()));
            while !bytes.is_empty() {
                messages.push(KeptFigures {
                    supervisor_id: supervisor.to_owned(),
                    topology_id: topology.to_string(),
                    data: bytes.split_to(bytes.len().min(PART)),
                    is_last: false,
                });
            }
        }
        let supervisor_id = supervisor.to_owned();
        messages.push(KeptFigures { supervisor_id, is_last: true, ..KeptFigures::default() });
        messages
    }

    /// Keeps them for ever, and tells them to whoever wants them.
    pub(crate) async fn keep_for_ever(self: &Arc<Self>, supervisor: &str, peers: &Peers) {
        let every = async {
            let mut written = Instant::now();
            loop {
                tokio::time::sleep(TAKE_EVERY).await;
                let is_due = written.elapsed() >= WRITE_EVERY;
                if is_due {
                    written = Instant::now();
                }
                let figures = Arc::clone(self);
                let work = move || if is_due { figures.write() } else { figures.take_in() };
                if let Err(error) = tokio::task::spawn_blocking(work).await {
                    tracing::error!(%error, "figures of workers were not taken in");
                }
            }
        };
        let telling = async {
            let mut refusals = Refusals::default();
            loop {
                self.wanted.notified().await;
                if !self.is_wanted.load(Ordering::Relaxed) {
                    continue;
                }
                let told = self.tell(supervisor, peers).await;
                if told.is_ok() {
                    self.is_wanted.store(false, Ordering::Relaxed);
                }
                if let Some(pause) = refusals.note(told) {
                    tokio::time::sleep(pause).await;
                }
            }
        };
        tokio::join!(every, telling);
    }

    /// Tells Nimbus what is kept.
    async fn tell(self: &Arc<Self>, supervisor: &str, peers: &Peers) -> Result<(), CallError> {
        let (figures, id) = (Arc::clone(self), supervisor.to_owned());
        let messages = tokio::task::spawn_blocking(move || figures.messages(&id)).await;
        let messages = messages.map_err(|error| {
            tracing::error!(%error, "cannot tell what is kept of figures");
            CallError::other(error.to_string())
        })?;
        let mut last = CallError::no_leader();
        for nimbus in peers.nimbuses() {
            last = match tokio::time::timeout(TELL_WITHIN, nimbus.report_figures(&messages)).await {
                Ok(Ok(())) => return Ok(()),
                // That is the leader's word, whoever has passed it on.
                Ok(Err(error)) if error.code == ErrorCode::Invalid => return Err(error),
                Ok(Err(error)) => error,
                Err(_) => CallError::other("figures are taken too slowly"),
            };
            tracing::debug!(error = %last, ?nimbus, "does not take figures");
        }
        Err(last)
    }
}

/// How often the figures were not taken, one time after the other.
#[derive(Debug, Default)]
struct Refusals {
    count: u32,
    is_told: bool,
}

impl Refusals {
    /// Takes note of how it went. How long to wait until it is tried again.
    fn note(&mut self, told: Result<(), CallError>) -> Option<Duration> {
        let Err(error) = told else {
            *self = Refusals::default();
            return None;
        };
        if error.code == ErrorCode::Invalid {
            // It will not be better next time.
            if !std::mem::replace(&mut self.is_told, true) {
                tracing::warn!(
                    %error,
                    "the leader does not take the figures that are kept here: what workers counted before it led \
                     is not shown; to begin anew, stop this supervisor and remove the files in supervisor/figures"
                );
            }
            return Some(REFUSED);
        }
        let pause = RETRY.saturating_mul(1 << self.count.min(16)).min(RETRY_MAX);
        self.count += 1;
        Some(pause)
    }
}

fn wall_ms() -> u64 {
    since_1970(SystemTime::now())
}

fn since_1970(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// A file's keeper; the figures are older by the time since it was written. The clock may have been set since
/// then: of what it and the file system say, the later counts, and what is impossible does not.
fn parse(now: Time, wall_ms: u64, modified_ms: Option<u64>, bytes: &[u8]) -> Result<Keeper, String> {
    let (written, rest) = bytes.split_first_chunk::<8>().ok_or("it ends too early")?;
    let known = [Some(u64::from_le_bytes(*written)), modified_ms].into_iter().flatten();
    let ago = known.filter(|at| *at >= OLDEST_MS).map(|at| wall_ms.saturating_sub(at)).min().unwrap_or(0);
    Keeper::from_portable(now - Duration::from_millis(ago), rest).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it is used")]

    use storm_figures::{ExecutorSnapshot, StreamCount, TaskSnapshot, Window};
    use storm_model::{ComponentKind, ExecutorId, TaskId};

    use super::*;

    fn life(topology: &str, restarts: u64) -> Life {
        Life { topology: topology.into(), incarnation: Incarnation { number: 1, restarts } }
    }

    /// Of a spout that has emitted so much.
    fn figures(emitted: u64) -> Bytes {
        let task = TaskSnapshot {
            incarnation: 1,
            streams: vec![StreamCount { emitted, ..StreamCount::new("default".into()) }],
            ..TaskSnapshot::new(TaskId(1))
        };
        let executor = ExecutorSnapshot {
            tasks: vec![task],
            window_rows: 1,
            uptime: Duration::from_secs(5),
            ..ExecutorSnapshot::new(
                "numbers".into(),
                ComponentKind::Spout,
                ExecutorId { first: TaskId(1), last: TaskId(1) },
            )
        };
        serde_json::to_vec(&Snapshot { executors: vec![executor] }).unwrap().into()
    }

    fn put(book: &Figures, life: &Life, port: u16, uptime_ms: u64, figures: &Bytes) {
        let executor = ExecutorId { first: TaskId(1), last: TaskId(1) };
        let given = AssignedExecutor { component: "numbers".into(), executor };
        book.put((life, port), &[given].into(), uptime_ms, figures);
    }

    /// All that a topology has emitted, as a leader hears it.
    fn told(figures: &Figures, topology: &str) -> u64 {
        let messages = figures.messages("s");
        assert!(messages.last().unwrap().is_last);
        let its = messages.iter().filter(|message| message.topology_id == topology);
        let bytes: Vec<u8> = its.flat_map(|message| message.data.to_vec()).collect();
        if bytes.is_empty() {
            return 0;
        }
        let now = figures.now();
        Keeper::from_portable(now, &bytes).unwrap().report(now).stats(Window::AllTime).emitted
    }

    #[test]
    fn lives_add_up_and_survive_restarts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("figures");
        let book = Figures::open(path.clone()).unwrap();
        put(&book, &life("a-1-1", 0), 6700, 100, &figures(10));
        put(&book, &life("a-1-1", 1), 6700, 50, &figures(7));
        // Its last words, after those of the next.
        put(&book, &life("a-1-1", 0), 6700, 200, &figures(11));
        put(&book, &life("b-2-1", 0), 6701, 200, &figures(3));
        assert_eq!((told(&book, "a-1-1"), told(&book, "b-2-1")), (18, 3));
        book.write();
        drop(book);
        let book = Figures::open(path.clone()).unwrap();
        assert_eq!(told(&book, "a-1-1"), 18);
        put(&book, &life("a-1-1", 1), 6700, 80, &figures(9));
        assert_eq!(told(&book, "a-1-1"), 20);
        book.forget(&"a-1-1".into());
        book.write();
        assert_eq!((told(&book, "a-1-1"), told(&book, "b-2-1")), (0, 3));
        drop(book);
        assert_eq!(told(&Figures::open(path.clone()).unwrap(), "a-1-1"), 0);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    }

    #[test]
    fn what_is_broken_is_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("figures");
        let book = Figures::open(path.clone()).unwrap();
        put(&book, &life("a-1-1", 0), 6700, 100, &figures(10));
        put(&book, &life("../a", 0), 6700, 100, &figures(10));
        book.write();
        let mut bytes = fs::read(path.join("a-1-1")).unwrap();
        bytes[30] ^= 1;
        fs::write(path.join("a-1-1"), bytes).unwrap();
        fs::write(path.join("b-1-1"), b"short").unwrap();
        assert!(Figures::open(path.clone()).unwrap().kept().is_empty());
        assert!(path.join("a-1-1.broken").exists() && path.join("b-1-1.broken").exists());
        let book = Figures::open(path.clone()).unwrap();
        assert!(book.kept().is_empty());
        // It goes with its topology.
        book.forget(&"a-1-1".into());
        book.write();
        assert!(!path.join("a-1-1.broken").exists() && path.join("b-1-1.broken").exists());
    }

    #[test]
    fn executors_that_a_worker_was_not_given_do_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let book = Figures::open(directory.path().join("figures")).unwrap();
        let text = String::from_utf8(figures(10).to_vec()).unwrap();
        let invented = [
            text.replace(r#""first":1,"last":1"#, r#""first":1,"last":4000000000"#),
            text.replace(r#""first":1,"last":1"#, r#""first":5,"last":0"#),
            text.replace("numbers", "letters"),
        ];
        for (uptime_ms, bad) in (1..).zip(invented) {
            assert_ne!(bad, text);
            put(&book, &life("a-1-1", 0), 6700, uptime_ms, &bad.into());
        }
        assert_eq!(told(&book, "a-1-1"), 0);
        put(&book, &life("a-1-1", 0), 6700, 100, &figures(10));
        assert_eq!(told(&book, "a-1-1"), 10);
    }

    #[test]
    fn what_was_told_of_tasks_that_moved_away_becomes_small() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("figures");
        let book = Figures::open(path.clone()).unwrap();
        put(&book, &life("a-1-1", 0), 6700, 100, &figures(10));
        book.write();
        let size = || fs::metadata(path.join("a-1-1")).unwrap().len();
        // As if two days had passed.
        let now = book.now();
        let bytes = book.kept()[&TopologyId::from("a-1-1")].keeper.to_portable(now);
        let old = Keeper::from_portable(now - Duration::from_secs(2 * 24 * 3600), &bytes).unwrap();
        book.kept().insert("a-1-1".into(), Kept { keeper: old, ..Kept::default() });
        let before = size();
        book.write();
        assert!(size() < before, "{} < {before}", size());
        assert_eq!(told(&book, "a-1-1"), 10);
    }

    #[test]
    fn a_panic_does_not_end_the_figures() {
        let directory = tempfile::tempdir().unwrap();
        let book = Arc::new(Figures::open(directory.path().join("figures")).unwrap());
        let other = Arc::clone(&book);
        let panicked = std::thread::spawn(move || {
            let _guards = (other.kept(), other.waiting());
            panic!("with both locks");
        });
        assert!(panicked.join().is_err());
        put(&book, &life("a-1-1", 0), 6700, 100, &figures(10));
        assert_eq!(told(&book, "a-1-1"), 10);
    }

    #[test]
    fn a_leader_that_refuses_is_not_asked_again_and_again() {
        let mut refusals = Refusals::default();
        let away = || Err(CallError::no_leader());
        let pauses: Vec<u64> = (0..7).map(|_| refusals.note(away()).unwrap().as_secs()).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(refusals.note(Ok(())), None);
        assert_eq!(refusals.note(away()), Some(RETRY));
        assert_eq!(refusals.note(Err(CallError::invalid("too many figures"))), Some(REFUSED));
    }

    #[test]
    fn a_file_is_as_old_as_the_later_of_two_clocks_says() {
        let mut keeper = Keeper::default();
        let now = Time::ZERO + BEFORE;
        keeper.observe(now, &serde_json::from_slice::<Snapshot>(&figures(10)).unwrap());
        let of = |written_ms: u64| [&written_ms.to_le_bytes()[..], &keeper.to_portable(now)].concat();
        let (today, day) = (OLDEST_MS + 1_000_000_000, 24 * 3600 * 1000);
        let lately = |written_ms, modified_ms| {
            let keeper = parse(now, today, modified_ms, &of(written_ms)).unwrap();
            keeper.report(now).stats(Window::TenMinutes).emitted
        };
        assert_eq!(lately(today, None), 10);
        assert_eq!(lately(today - day, Some(today - day)), 0);
        assert_eq!(lately(5_000, Some(today)), 10, "written before the clock was set");
        assert_eq!(lately(5_000, Some(6_000)), 10, "as the file system was");
        assert_eq!(lately(today + day, None), 10, "the clock was set back");
    }
}
