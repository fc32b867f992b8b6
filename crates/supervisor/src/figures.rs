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
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use storm_figures::{Keeper, Snapshot};
use storm_model::{Incarnation, Time, TopologyId};
use storm_rpc::v1::KeptFigures;
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
/// Pause after nobody took them.
const RETRY: Duration = Duration::from_secs(2);
/// Bytes in one message.
const PART: usize = 1 << 20;
/// The clock begins so long before this process does: what is kept is older.
const BEFORE: Duration = Duration::from_secs(40 * 24 * 3600);

/// What was heard last of a life of a worker.
struct Heard {
    at: Time,
    uptime_ms: u64,
    figures: Bytes,
}

#[derive(Default)]
struct Waiting {
    /// By topology, life and port: a later life comes later. Of each the last few, oldest first.
    heard: BTreeMap<(TopologyId, Incarnation, u16), VecDeque<Heard>>,
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
            if [".new", ".broken"].iter().any(|end| name.ends_with(end)) {
                continue;
            }
            let read = fs::read(&path).map_err(|error| error.to_string());
            match read.and_then(|bytes| parse(now, &bytes)) {
                Ok(keeper) => {
                    let kept = Kept { keeper, ..Kept::default() };
                    figures.kept().insert(name.into(), kept);
                }
                Err(error) => {
                    tracing::error!(path = %path.display(), error, "cannot read figures that were kept; put aside");
                    fs::rename(&path, path.with_file_name(format!("{name}.broken"))).ok();
                }
            }
        }
        Ok(figures)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("never panics while it holds the lock")
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<TopologyId, Kept>> {
        self.kept.lock().expect("never panics while it holds the lock")
    }

    fn now(&self) -> Time {
        Time::ZERO + BEFORE + self.started.elapsed()
    }

    /// Takes figures that a worker reported.
    pub(crate) fn put(&self, life: &Life, port: u16, uptime_ms: u64, figures: &Bytes) {
        if figures.is_empty() || !is_file_name(life.topology.as_str()) {
            return;
        }
        let key = (life.topology.clone(), life.incarnation, port);
        let heard = Heard { at: self.now(), uptime_ms, figures: figures.clone() };
        let mut waiting = self.waiting();
        let of_life = waiting.heard.entry(key).or_default();
        of_life.push_back(heard);
        if of_life.len() > HEARD {
            of_life.pop_front();
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
        for ((topology, life, port), heard) in heard {
            let mut needed = Vec::new();
            for Heard { at, uptime_ms, figures } in heard.iter().rev() {
                match serde_json::from_slice::<Snapshot>(figures) {
                    Ok(snapshot) => {
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
                fs::remove_file(self.directory.join(topology.as_str())).ok();
            }
        }
    }

    /// Takes in what waits, and writes what is other than in its file. For a thread that may wait for the disk.
    pub(crate) fn write(&self) {
        self.take_in();
        let mut kept = self.kept();
        for (topology, kept) in kept.iter_mut().filter(|(_, kept)| kept.is_changed) {
            let mut bytes = wall_ms().to_le_bytes().to_vec();
            bytes.extend_from_slice(&kept.keeper.to_portable(self.now()));
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
                tokio::task::spawn_blocking(work).await.ok();
            }
        };
        let telling = async {
            loop {
                self.wanted.notified().await;
                if self.is_wanted.load(Ordering::Relaxed) && !self.tell(supervisor, peers).await {
                    tokio::time::sleep(RETRY).await;
                }
            }
        };
        tokio::join!(every, telling);
    }

    /// Tells Nimbus what is kept; whether it was taken.
    async fn tell(self: &Arc<Self>, supervisor: &str, peers: &Peers) -> bool {
        let (figures, id) = (Arc::clone(self), supervisor.to_owned());
        let Ok(messages) = tokio::task::spawn_blocking(move || figures.messages(&id)).await else {
            return false;
        };
        for nimbus in peers.nimbuses() {
            match tokio::time::timeout(TELL_WITHIN, nimbus.report_figures(&messages)).await {
                Ok(Ok(())) => {
                    self.is_wanted.store(false, Ordering::Relaxed);
                    return true;
                }
                Ok(Err(error)) => tracing::debug!(%error, ?nimbus, "does not take figures"),
                Err(_) => tracing::debug!(?nimbus, "takes figures too slowly"),
            }
        }
        false
    }
}

fn wall_ms() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as u64
}

/// A file's keeper; the figures are older by the time since it was written.
fn parse(now: Time, bytes: &[u8]) -> Result<Keeper, String> {
    let (written, rest) = bytes.split_first_chunk::<8>().ok_or("it ends too early")?;
    let ago = wall_ms().saturating_sub(u64::from_le_bytes(*written));
    Keeper::from_portable(now - Duration::from_millis(ago), rest).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it is used")]

    use storm_figures::{ExecutorSnapshot, Latency, StreamCount, TaskSnapshot, Window};
    use storm_model::{ComponentKind, ExecutorId, TaskId};

    use super::*;

    fn life(topology: &str, restarts: u64) -> Life {
        Life { topology: topology.into(), incarnation: Incarnation { number: 1, restarts } }
    }

    /// Of a spout that has emitted so much.
    fn figures(emitted: u64) -> Bytes {
        let task = TaskSnapshot {
            task: TaskId(1),
            incarnation: 1,
            streams: vec![StreamCount { emitted, ..StreamCount::new("default".into()) }],
            inputs: Vec::new(),
            tracked: 0,
            pending: 0,
            lost: 0,
            replayed: 0,
            retained: 0,
            oldest_retained_ns: 0,
            metrics: Vec::new(),
        };
        let executor = ExecutorSnapshot {
            component: "numbers".into(),
            kind: ComponentKind::Spout,
            executor: ExecutorId { first: TaskId(1), last: TaskId(1) },
            tasks: vec![task],
            queue_latency: Latency::default(),
            late_acks: 0,
            dropped: 0,
            window_rows: 1,
            credit_out: 0,
            uptime: Duration::from_secs(5),
            busy: Duration::ZERO,
        };
        serde_json::to_vec(&Snapshot { executors: vec![executor] }).unwrap().into()
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
        book.put(&life("a-1-1", 0), 6700, 100, &figures(10));
        book.put(&life("a-1-1", 1), 6700, 50, &figures(7));
        // Its last words, after those of the next.
        book.put(&life("a-1-1", 0), 6700, 200, &figures(11));
        book.put(&life("b-2-1", 0), 6701, 200, &figures(3));
        assert_eq!((told(&book, "a-1-1"), told(&book, "b-2-1")), (18, 3));
        book.write();
        drop(book);
        let book = Figures::open(path.clone()).unwrap();
        assert_eq!(told(&book, "a-1-1"), 18);
        book.put(&life("a-1-1", 1), 6700, 80, &figures(9));
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
        book.put(&life("a-1-1", 0), 6700, 100, &figures(10));
        book.put(&life("../a", 0), 6700, 100, &figures(10));
        book.write();
        let mut bytes = fs::read(path.join("a-1-1")).unwrap();
        bytes[30] ^= 1;
        fs::write(path.join("a-1-1"), bytes).unwrap();
        fs::write(path.join("b-1-1"), b"short").unwrap();
        assert!(Figures::open(path.clone()).unwrap().kept().is_empty());
        assert!(path.join("a-1-1.broken").exists() && path.join("b-1-1.broken").exists());
        assert!(Figures::open(path).unwrap().kept().is_empty());
    }
}
