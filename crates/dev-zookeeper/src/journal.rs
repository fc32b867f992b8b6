//! The data directory: a log of transactions, now and then replaced by a snapshot.
//!
//! ```text
//! lock                    locked by the server that uses the directory
//! snapshot.<generation>   the state with which the log of the generation begins; generation 0 has none
//! log.<generation>        what has happened since
//! *.new                   a snapshot that was not finished
//! ```
//!
//! A batch of transactions is one record ([`format`]), synced before anybody is answered; so what a
//! crash can damage is the last record, and nothing in it has been promised. At the start it is cut
//! off. Damage before the last record is an error.
//!
//! A log that has grown large ([`COMPACT_BYTES`], and twice the last snapshot) begins anew: the
//! snapshot of the next generation is written under another name, synced and renamed. From the rename
//! on it counts, with an empty log if the crash was too early for one.

mod format;

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use self::format::{LOG_HEAD, LogError};
use crate::state::{State, StateError, Txn};

/// A log shorter than this is not replaced by a snapshot.
const COMPACT_BYTES: u64 = 16 << 20;

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file cannot be read or written.
    #[error("cannot use {path}: {reason}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        reason: std::io::Error,
    },
    /// Another server uses the directory.
    #[error("the data directory {path} is in use by another server", path = path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A file does not hold what was written.
    #[error(
        "{path} is damaged: {what}; restore the data directory from a copy, or remove it to start empty",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// An open data directory; it is locked until this is dropped.
#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    generation: u64,
    log: File,
    log_bytes: u64,
    snapshot_bytes: u64,
    compact_bytes: u64,
    _lock: File,
}

impl Journal {
    /// Opens a directory, which is made if it is missing, and reads the state.
    pub(crate) fn open(dir: &Path) -> Result<(Journal, State), DataError> {
        fs::create_dir_all(dir).map_err(io(dir))?;
        let lock = lock(dir)?;
        let files = Files::list(dir)?;
        let generation = files.snapshots.iter().copied().max().unwrap_or(0);
        if let Some(orphan) = files.logs.iter().find(|log| **log > generation) {
            let path = log_path(dir, *orphan);
            return Err(DataError::Damaged { path, what: "its snapshot is missing".to_owned() });
        }
        let (mut state, snapshot_bytes) =
            if generation == 0 { (State::default(), 0) } else { read_snapshot(dir, generation)? };
        let (log, log_bytes) = open_log(dir, generation, &mut state)?;
        files.remove_all_but(dir, generation)?;
        let compact_bytes = COMPACT_BYTES;
        let journal = Journal {
            dir: dir.to_owned(),
            generation,
            log,
            log_bytes,
            snapshot_bytes,
            compact_bytes,
            _lock: lock,
        };
        Ok((journal, state))
    }

    /// Writes a batch of transactions and waits until it is safe. After an error nothing more may be
    /// written: a record may stand there in part.
    pub(crate) fn append(&mut self, txns: &[Txn]) -> Result<(), DataError> {
        let record = format::record(self.log_bytes, txns);
        let written = self.log.write_all(&record).and_then(|()| self.log.sync_data());
        written.map_err(io(&log_path(&self.dir, self.generation)))?;
        self.log_bytes += record.len() as u64;
        Ok(())
    }

    /// A journal that cannot be written.
    #[cfg(test)]
    pub(crate) fn broken(dir: &Path) -> Journal {
        let (mut journal, _) = Journal::open(dir).expect("the directory is whole");
        journal.log = File::open(log_path(dir, 0)).expect("it has just been made");
        journal
    }

    /// Whether it is time for [`Journal::compact`].
    pub(crate) fn is_large(&self) -> bool {
        self.log_bytes > self.compact_bytes.max(2 * self.snapshot_bytes)
    }

    /// Replaces the log by a snapshot of the state that it has led to.
    pub(crate) fn compact(&mut self, snapshot: &[u8]) -> Result<(), DataError> {
        let next = self.generation + 1;
        let path = snapshot_path(&self.dir, next);
        let unfinished = path.with_extension("new");
        let bytes = format::snapshot(snapshot);
        let write = || {
            let mut file = File::create(&unfinished)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            sync_dir(&self.dir)
        };
        write().map_err(io(&path))?;
        let (log, log_bytes) = open_log(&self.dir, next, &mut State::default())?;
        let files = Files::list(&self.dir)?;
        files.remove_all_but(&self.dir, next)?;
        tracing::info!(
            log_bytes = self.log_bytes,
            snapshot_bytes = bytes.len(),
            "a snapshot replaces the log"
        );
        (self.generation, self.log, self.log_bytes) = (next, log, log_bytes);
        self.snapshot_bytes = bytes.len() as u64;
        Ok(())
    }
}

/// The generations that a directory holds.
#[derive(Default)]
struct Files {
    snapshots: Vec<u64>,
    logs: Vec<u64>,
    unfinished: Vec<PathBuf>,
}

impl Files {
    fn list(dir: &Path) -> Result<Files, DataError> {
        let mut files = Files::default();
        for entry in fs::read_dir(dir).map_err(io(dir))? {
            let path = entry.map_err(io(dir))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            match name.split_once('.') {
                Some((_, "new")) => files.unfinished.push(path),
                Some(("snapshot", generation)) => files.snapshots.extend(generation.parse::<u64>().ok()),
                Some(("log", generation)) => files.logs.extend(generation.parse::<u64>().ok()),
                _ => {}
            }
        }
        Ok(files)
    }

    fn remove_all_but(&self, dir: &Path, generation: u64) -> Result<(), DataError> {
        let is_old = |old: &&u64| **old != generation;
        let snapshots = self.snapshots.iter().filter(is_old).map(|old| snapshot_path(dir, *old));
        let logs = self.logs.iter().filter(is_old).map(|old| log_path(dir, *old));
        let mut old = snapshots.chain(logs).chain(self.unfinished.iter().cloned());
        old.try_for_each(|path| fs::remove_file(&path).map_err(io(&path)))
    }
}

fn lock(dir: &Path) -> Result<File, DataError> {
    let path = dir.join("lock");
    let opened = OpenOptions::new().create(true).write(true).truncate(false).open(&path);
    let file = opened.map_err(io(&path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(DataError::InUse { path: dir.to_owned() }),
        Err(error) => Err(io(&path)(error.into())),
    }
}

fn read_snapshot(dir: &Path, generation: u64) -> Result<(State, u64), DataError> {
    let path = snapshot_path(dir, generation);
    let bytes = fs::read(&path).map_err(io(&path))?;
    let damaged = |what: String| DataError::Damaged { path: path.clone(), what };
    let payload = format::read_snapshot(&bytes).ok_or_else(|| damaged("the checksum differs".to_owned()))?;
    let state = State::from_snapshot(payload).map_err(|error| damaged(error.to_string()))?;
    Ok((state, bytes.len() as u64))
}

/// Opens the log of a generation, or begins it, and applies what it holds.
fn open_log(dir: &Path, generation: u64, state: &mut State) -> Result<(File, u64), DataError> {
    let path = log_path(dir, generation);
    let io = io(&path);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        read => read.map_err(&io)?,
    };
    let mut log = OpenOptions::new().append(true).create(true).open(&path).map_err(&io)?;
    if LOG_HEAD.starts_with(&bytes) {
        // It is new, or the crash came while it was begun.
        let mut begin = || {
            log.set_len(0)?;
            log.write_all(LOG_HEAD)?;
            log.sync_all()?;
            sync_dir(dir)
        };
        begin().map_err(&io)?;
        return Ok((log, LOG_HEAD.len() as u64));
    }
    let mut apply = |txn: &Txn| state.replay(txn);
    let whole = format::read_log(&bytes, &mut apply).map_err(|error: LogError<StateError>| {
        DataError::Damaged { path: path.clone(), what: error.to_string() }
    })?;
    if whole < bytes.len() {
        let torn = bytes.len() - whole;
        tracing::warn!(path = %path.display(), bytes = torn, "cutting off a record that was not finished");
        log.set_len(whole as u64).and_then(|()| log.sync_all()).map_err(&io)?;
    }
    Ok((log, whole as u64))
}

fn snapshot_path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("snapshot.{generation}"))
}

fn log_path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("log.{generation}"))
}

/// Makes names in a directory safe.
fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> DataError {
    let path = path.to_owned();
    move |reason| DataError::Io { path: path.clone(), reason }
}

#[cfg(test)]
mod tests;
