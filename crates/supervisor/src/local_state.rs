//! What survives a restart of this supervisor, in `<local dir>/supervisor/state`.
//!
//! ```text
//! lock                      held while a supervisor runs here
//! supervisor-id             made once
//! cluster-id                the cluster that it has worked for
//! slots/<port>.json         what should run, what may run with pid and start time, restarts
//! topologies/<id>.json      what is needed to start a worker of it, and its last assignment
//! ```
//!
//! Each file is written beside its place, brought to disk and renamed, before anything else may depend
//! on it: it is the old one or the new one, whatever happens. One that cannot be read all the same is kept
//! aside as `<name>.broken`, and people are told. The files hold configuration of topologies, so they are for
//! their owner alone.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use storm_model::{SupervisorId, TopologyId};

use crate::assignments::Topology;
use crate::error::SupervisorError;
use crate::slot::Kept;

/// The files, and the lock on them.
#[derive(Debug)]
pub(crate) struct LocalState {
    directory: PathBuf,
    _lock: Flock<File>,
}

impl LocalState {
    /// Opens what is there, or makes it.
    ///
    /// # Errors
    /// When another supervisor runs on the same directory, or the directory cannot be written.
    pub(crate) fn open(directory: &Path) -> Result<LocalState, SupervisorError> {
        let broken = |source| SupervisorError::LocalDir { path: directory.to_owned(), source };
        for inner in ["slots", "topologies"] {
            fs::create_dir_all(directory.join(inner)).map_err(broken)?;
        }
        let lock = File::create(directory.join("lock")).map_err(broken)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
            .map_err(|_| SupervisorError::Taken { path: directory.to_owned() })?;
        Ok(LocalState { directory: directory.to_owned(), _lock: lock })
    }

    /// The id of this supervisor; made at the first call.
    ///
    /// # Errors
    /// When it cannot be read or written. A new one for one that cannot be read would give up the workers.
    pub(crate) fn supervisor_id(&self) -> io::Result<SupervisorId> {
        let path = self.directory.join("supervisor-id");
        match fs::read_to_string(&path) {
            Ok(id) if !id.trim().is_empty() && is_file_name(id.trim()) => {
                return Ok(SupervisorId::from(id.trim()));
            }
            Ok(_) => {
                let text = format!("{} holds no id: restore it, or remove it for a new one", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let bytes: [u8; 16] = StdRng::from_os_rng().random();
        let id = storm_rpc::launch::hex(&bytes);
        write_file(&path, id.as_bytes(), 0o644)?;
        Ok(SupervisorId::from(id))
    }

    /// The cluster that this supervisor has worked for.
    pub(crate) fn cluster_id(&self) -> Option<String> {
        read_line(&self.directory.join("cluster-id"))
    }

    /// Remembers the cluster.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn set_cluster_id(&self, id: &str) -> io::Result<()> {
        write_file(&self.directory.join("cluster-id"), id.as_bytes(), 0o644)
    }

    /// What was kept of each slot; a file that cannot be read is put aside, and its error told.
    pub(crate) fn slots(&self) -> BTreeMap<u16, Result<Kept, Broken>> {
        self.records("slots").filter_map(|(name, kept)| Some((name.parse().ok()?, kept))).collect()
    }

    /// Keeps a slot.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn save_slot(&self, port: u16, kept: &Kept) -> io::Result<()> {
        write_json(&self.directory.join(format!("slots/{port}.json")), kept)
    }

    /// The topologies that were kept, as [`LocalState::slots`].
    pub(crate) fn topologies(&self) -> Vec<Result<Topology, Broken>> {
        self.records("topologies").map(|(_, topology)| topology).collect()
    }

    /// Keeps a topology.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn save_topology(&self, topology: &Topology) -> io::Result<()> {
        write_json(&self.topology_path(&topology.id), topology)
    }

    /// Forgets a topology.
    pub(crate) fn remove_topology(&self, id: &TopologyId) {
        fs::remove_file(self.topology_path(id)).ok();
    }

    fn topology_path(&self, id: &TopologyId) -> PathBuf {
        self.directory.join(format!("topologies/{id}.json"))
    }

    fn records<T: DeserializeOwned>(
        &self,
        inner: &str,
    ) -> impl Iterator<Item = (String, Result<T, Broken>)> + use<T> {
        let entries = fs::read_dir(self.directory.join(inner)).into_iter().flatten().flatten();
        entries.filter_map(|entry| {
            let path = entry.path();
            let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
            let read = fs::read(&path).map_err(serde_json::Error::io);
            let record = read.and_then(|bytes| serde_json::from_slice(&bytes)).map_err(|error| {
                let aside = path.with_extension("json.broken");
                fs::rename(&path, &aside).ok();
                tracing::error!(path = %path.display(), %error, "cannot read what was kept; put aside");
                Broken(format!("cannot read {} (kept aside as .broken): {error}", path.display()))
            });
            Some((name, record))
        })
    }
}

/// A file that cannot be read: which and why, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) String);

fn read_line(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn write_json(path: &Path, record: &impl Serialize) -> io::Result<()> {
    write_file(path, &serde_json::to_vec_pretty(record)?, 0o600)
}

/// Puts a file in its place as a whole, and onto the disk.
pub(crate) fn write_file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let beside = directory.join(name);
    // One that was left behind may have another mode.
    fs::remove_file(&beside).ok();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&beside, path)?;
    File::open(directory)?.sync_all()
}

/// Whether a name from outside may stand in a path as one part of it.
pub(crate) fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= 200 && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it is used")]

    use super::*;

    #[test]
    fn an_id_is_made_once_and_a_directory_has_one_supervisor() {
        let directory = tempfile::tempdir().unwrap();
        let state = LocalState::open(directory.path()).unwrap();
        let id = state.supervisor_id().unwrap();
        assert_eq!(state.supervisor_id().unwrap(), id);
        assert!(matches!(LocalState::open(directory.path()), Err(SupervisorError::Taken { .. })));
        drop(state);
        assert_eq!(LocalState::open(directory.path()).unwrap().supervisor_id().unwrap(), id);
    }

    #[test]
    fn slots_come_back_and_what_is_broken_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let state = LocalState::open(directory.path()).unwrap();
        state.save_slot(6700, &Kept::default()).unwrap();
        fs::write(directory.path().join("slots/6701.json"), "{").unwrap();
        let slots = state.slots();
        assert_eq!(slots[&6700], Ok(Kept::default()));
        assert!(slots[&6701].as_ref().is_err_and(|broken| broken.0.contains("slots/6701.json")));
        assert!(directory.path().join("slots/6701.json.broken").exists());
        assert_eq!(state.slots().into_keys().collect::<Vec<_>>(), [6700]);
    }

    #[test]
    fn what_is_kept_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let state = LocalState::open(directory.path()).unwrap();
        state.save_slot(6700, &Kept::default()).unwrap();
        let mode = fs::metadata(directory.path().join("slots/6700.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_id_that_cannot_be_read_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let state = LocalState::open(directory.path()).unwrap();
        for text in ["", " \n", "a/b"] {
            fs::write(directory.path().join("supervisor-id"), text).unwrap();
            assert!(state.supervisor_id().is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_from_outside_do_not_leave_their_directory() {
        assert!(is_file_name("words-1-1764000000"));
        for name in ["", "..", "a/b", "/"] {
            assert!(!is_file_name(name));
        }
    }
}
