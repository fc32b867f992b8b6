//! The files by which a run carries on, and knows that it is done.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bounded_input::{WriteError, replace_file};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ledger::{Ledger, Share};

/// What a finished run says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    count: u64,
    emitted: u64,
    acked: u64,
    failed: u64,
    replayed: u64,
}

/// A file of a former run cannot be used.
#[derive(Debug, Error)]
pub(crate) enum OffsetError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} belongs to a run with other --count or --source: {found}", path.display())]
    OtherRun { path: PathBuf, found: String },
}

/// The directory of a run.
#[derive(Clone, Debug)]
pub(crate) struct RunDir(PathBuf);

impl RunDir {
    /// The run in this directory.
    pub(crate) fn new(dir: PathBuf) -> RunDir {
        RunDir(dir)
    }

    fn done(&self) -> PathBuf {
        self.0.join("done.json")
    }

    fn offset(&self, task: u64) -> PathBuf {
        self.0.join(format!("offset-{task}"))
    }

    /// Whether the run is finished.
    ///
    /// # Errors
    /// What is there belongs to another run.
    pub(crate) fn is_done(&self, count: u64) -> Result<bool, OffsetError> {
        match read::<Done>(&self.done())? {
            Some(done) if done.count != count => {
                Err(OffsetError::OtherRun { path: self.done(), found: format!("{done:?}") })
            }
            done => Ok(done.is_some()),
        }
    }

    /// Where the task stopped, or its beginning.
    ///
    /// # Errors
    /// What is there belongs to another run.
    pub(crate) fn load(&self, share: Share) -> Result<Ledger, OffsetError> {
        let path = self.offset(share.task);
        match read::<Ledger>(&path)? {
            None => Ok(Ledger::new(share)),
            Some(ledger) if ledger.share == share => Ok(ledger),
            Some(ledger) => Err(OffsetError::OtherRun { path, found: format!("{:?}", ledger.share) }),
        }
    }

    /// Saves where the task is.
    ///
    /// # Errors
    /// The path and why it cannot be written.
    pub(crate) fn save(&self, ledger: &Ledger) -> Result<(), WriteError> {
        write(&self.offset(ledger.share.task), ledger)
    }

    /// Sums up the run if every task has saved that it is complete: the last one to do so finds all
    /// others.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(crate) fn finish(&self, share: Share) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut done = Done { count: share.count, ..Done::default() };
        for task in 0..share.tasks {
            let ledger = self.load(Share { task, ..share })?;
            if !ledger.is_complete() {
                return Ok(());
            }
            done.emitted += ledger.emitted;
            done.acked += ledger.acked();
            done.failed += ledger.failed;
            done.replayed += ledger.replayed;
        }
        Ok(write(&self.done(), &done)?)
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, OffsetError> {
    let failed = |source| OffsetError::Read { path: path.to_owned(), source };
    match fs::read(path) {
        Ok(json) => Ok(Some(serde_json::from_slice(&json).map_err(|e| failed(e.into()))?)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed(e)),
    }
}

fn write(path: &Path, content: &impl Serialize) -> Result<(), WriteError> {
    replace_file(path, |mut file| {
        serde_json::to_writer(&mut file, content)?;
        file.write_all(b"\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Numbers;

    #[test]
    fn the_last_task_to_complete_sums_up() {
        let temp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(temp.path().join("run"));
        for task in 0..3 {
            assert!(!dir.is_done(7).unwrap());
            let share = Share { count: 7, task, tasks: 3 };
            let mut numbers = Numbers::resume(dir.load(share).unwrap());
            while let Some(emit) = numbers.next() {
                numbers.ack(emit.id);
            }
            dir.save(numbers.ledger()).unwrap();
            dir.finish(share).unwrap();
        }
        assert!(dir.is_done(7).unwrap());
        let json = fs::read_to_string(temp.path().join("run/done.json")).unwrap();
        assert_eq!(json, "{\"count\":7,\"emitted\":7,\"acked\":7,\"failed\":0,\"replayed\":0}\n");
    }

    #[test]
    fn another_runs_files_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(temp.path().to_owned());
        let share = Share { count: 0, task: 0, tasks: 1 };
        dir.save(&Ledger::new(share)).unwrap();
        dir.finish(share).unwrap();
        assert!(dir.is_done(0).unwrap());
        for error in [dir.is_done(1).unwrap_err(), dir.load(Share { tasks: 2, ..share }).unwrap_err()] {
            assert!(error.to_string().contains(temp.path().to_str().unwrap()), "{error}");
        }
    }
}
