//! The binaries of topologies: fetched by digest, verified, kept once however many slots run them.
//!
//! `<local dir>/supervisor/blobs/<digest>` is complete or not there: a download lies beside its place
//! until its digest was found right. What a former life of this supervisor has left, and what a worker could
//! not be started from, is looked at again before it is used. One that is not used goes after an hour, for
//! it may come back.
//!
//! Nimbuses are asked first; when none has a binary, other supervisors may.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use storm_cluster::Cluster;
use storm_rpc::launch::hex;
use storm_rpc::v1::{BlobChunk, BlobRef};
use storm_rpc::{CallError, blob};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;
use tonic::Streaming;

use crate::peers::Peers;

/// A download that brings nothing for so long is given up.
const CHUNK_WITHIN: Duration = Duration::from_secs(15);
/// Supervisors that are asked at most for what no Nimbus has.
const SUPERVISORS_ASKED: usize = 16;
/// How long a blob is kept that no slot and no topology of this supervisor uses.
pub(crate) const KEEP_UNUSED: Duration = Duration::from_secs(3600);

/// Why a blob is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FetchError {
    /// In words.
    pub(crate) message: String,
    /// This machine is at fault.
    pub(crate) is_local: bool,
}

impl FetchError {
    fn remote(message: String) -> FetchError {
        FetchError { message, is_local: false }
    }

    fn local(path: &Path, error: &io::Error) -> FetchError {
        FetchError { message: format!("cannot write {}: {error}", path.display()), is_local: true }
    }
}

/// The blobs of this supervisor.
pub(crate) struct Localizer {
    directory: PathBuf,
    peers: Arc<Peers>,
    /// Where other supervisors are found; `None` in tests.
    cluster: Option<Cluster>,
    /// Blobs whose content was looked at in this life.
    verified: Mutex<BTreeSet<String>>,
    /// One download per digest at a time; the others wait for it.
    in_flight: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    unused_since: Mutex<BTreeMap<String, Instant>>,
}

impl Localizer {
    /// Opens the directory, and removes what a download has left there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open(
        directory: PathBuf,
        peers: Arc<Peers>,
        cluster: Option<Cluster>,
    ) -> io::Result<Localizer> {
        std::fs::create_dir_all(&directory)?;
        for entry in std::fs::read_dir(&directory)?.flatten() {
            if entry.file_name().to_str().is_none_or(|name| !is_digest(name)) {
                std::fs::remove_file(entry.path()).ok();
            }
        }
        let (in_flight, unused_since, verified) = (Mutex::default(), Mutex::default(), Mutex::default());
        Ok(Localizer { directory, peers, cluster, in_flight, unused_since, verified })
    }

    /// Where a blob lies, or will.
    pub(crate) fn path(&self, digest: &str) -> PathBuf {
        self.directory.join(digest)
    }

    /// A blob that is here, with its size.
    pub(crate) fn find(&self, digest: &str) -> Option<(PathBuf, BlobRef)> {
        let path = Some(self.path(digest)).filter(|_| is_digest(digest))?;
        let size = std::fs::metadata(&path).ok()?.len();
        Some((path, BlobRef { digest: digest.to_owned(), size }))
    }

    /// Sees that a blob is here.
    pub(crate) async fn fetch(&self, blob: &BlobRef) -> Result<(), FetchError> {
        let digest = &blob.digest;
        if !is_digest(digest) {
            return Err(FetchError::remote(format!("'{digest}' is not the digest of a binary")));
        }
        let gate = Arc::clone(self.lock_in_flight().entry(digest.clone()).or_default());
        let turn = gate.lock().await;
        let fetched = if self.is_here(digest).await { Ok(()) } else { self.fetch_from_any(blob).await };
        drop(turn);
        let mut in_flight = self.lock_in_flight();
        // Nobody else waits: this one and the map.
        if Arc::strong_count(&gate) <= 2 {
            in_flight.remove(digest);
        }
        fetched
    }

    /// Has a blob looked at again before it is used the next time: what was started from it has failed.
    pub(crate) fn distrust(&self, digest: &str) {
        self.lock_verified().remove(digest);
    }

    /// Whether a blob is here, and is what it should be.
    async fn is_here(&self, digest: &str) -> bool {
        let Some((path, _)) = self.find(digest) else { return false };
        if self.lock_verified().contains(digest) {
            return true;
        }
        let file = path.clone();
        let found = tokio::task::spawn_blocking(move || blob::reference(&file)).await;
        match found {
            Ok(Ok(found)) if found.digest == digest => {
                self.lock_verified().insert(digest.to_owned());
                return true;
            }
            Ok(Ok(found)) => {
                tracing::error!(digest, found = found.digest, "a binary is damaged; fetching it anew");
            }
            Ok(Err(error)) => tracing::error!(digest, %error, "a binary cannot be read; fetching it anew"),
            Err(error) => tracing::error!(digest, %error, "a binary cannot be looked at"),
        }
        std::fs::remove_file(&path).ok();
        false
    }

    async fn fetch_from_any(&self, blob: &BlobRef) -> Result<(), FetchError> {
        let of_nimbus = match self.fetch_from_nimbuses(blob).await {
            Err(error) if !error.is_local => error,
            fetched => return fetched,
        };
        let Some(cluster) = &self.cluster else { return Err(of_nimbus) };
        for supervisor in self.peers.supervisors(cluster).await.into_iter().take(SUPERVISORS_ASKED) {
            let Ok(stream) = supervisor.download_blob(blob.clone()).await else { continue };
            match self.store(blob, stream).await {
                Ok(()) => {
                    let digest = &blob.digest;
                    tracing::warn!(digest, "binary fetched from another supervisor: no Nimbus gives it");
                    return Ok(());
                }
                Err(error) if error.is_local => return Err(error),
                Err(_) => {}
            }
        }
        Err(of_nimbus)
    }

    async fn fetch_from_nimbuses(&self, blob: &BlobRef) -> Result<(), FetchError> {
        let mut last = FetchError::remote("no Nimbus is configured".to_owned());
        for nimbus in self.peers.nimbuses() {
            let fetched = match nimbus.download_blob(blob).await {
                Ok(stream) => self.store(blob, stream).await,
                Err(CallError { message, .. }) => Err(FetchError::remote(message)),
            };
            match fetched {
                Ok(()) => {
                    tracing::info!(digest = blob.digest, "binary fetched");
                    return Ok(());
                }
                Err(error) if error.is_local => return Err(error),
                Err(error) => last = error,
            }
        }
        let message = format!("cannot fetch the binary: {}", last.message);
        Err(FetchError { message, ..last })
    }

    async fn store(&self, blob: &BlobRef, mut chunks: Streaming<BlobChunk>) -> Result<(), FetchError> {
        let path = self.path(&blob.digest);
        let beside = Beside(self.directory.join(format!("{}.new", blob.digest)));
        let local = |error: io::Error| FetchError::local(&beside.0, &error);
        let mut file = tokio::fs::File::create(&beside.0).await.map_err(local)?;
        let mut digest = Sha256::new();
        let mut size = 0_u64;
        loop {
            let chunk = match tokio::time::timeout(CHUNK_WITHIN, chunks.message()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => break,
                Ok(Err(status)) => return Err(FetchError::remote(CallError::from(status).message)),
                Err(_) => return Err(FetchError::remote("the download has stalled".to_owned())),
            };
            size += chunk.data.len() as u64;
            if blob.size > 0 && size > blob.size {
                break;
            }
            digest.update(&chunk.data);
            file.write_all(&chunk.data).await.map_err(local)?;
        }
        if hex(&digest.finalize()) != blob.digest {
            let message = format!("{size} bytes came that are not the binary {}", blob.digest);
            return Err(FetchError::remote(message));
        }
        file.set_permissions(std::fs::Permissions::from_mode(0o755)).await.map_err(local)?;
        file.sync_all().await.map_err(local)?;
        // A file that is open for writing cannot be executed.
        drop(file.into_std().await);
        std::fs::rename(&beside.0, &path).map_err(local)?;
        self.lock_verified().insert(blob.digest.clone());
        std::fs::File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(local)
    }

    /// Removes blobs that were not `in_use` for long.
    pub(crate) fn clean(&self, now: Instant, in_use: &BTreeSet<&str>) {
        let mut unused = self.unused_since.lock().expect("never panics while it holds the lock");
        unused.retain(|digest, _| !in_use.contains(digest.as_str()));
        let in_flight = self.lock_in_flight();
        for entry in std::fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let Some(digest) = entry.file_name().to_str().map(str::to_owned) else { continue };
            if !is_digest(&digest) || in_use.contains(digest.as_str()) || in_flight.contains_key(&digest) {
                continue;
            }
            let since = *unused.entry(digest.clone()).or_insert(now);
            if now.duration_since(since) >= KEEP_UNUSED && std::fs::remove_file(entry.path()).is_ok() {
                tracing::info!(digest, "unused binary removed");
                self.lock_verified().remove(&digest);
                unused.remove(&digest);
            }
        }
    }

    fn lock_verified(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.verified.lock().expect("never panics while it holds the lock")
    }

    fn lock_in_flight(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<tokio::sync::Mutex<()>>>> {
        self.in_flight.lock().expect("never panics while it holds the lock")
    }
}

/// A file that is gone when this is dropped, unless it was renamed.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it is used")]

    use storm_rpc::client::Token;

    use super::*;

    /// Nobody can be asked.
    fn alone(directory: &Path) -> Localizer {
        let peers = Peers::new("me".into(), Token::new(""), &[]).unwrap();
        Localizer::open(directory.to_owned(), Arc::new(peers), None).unwrap()
    }

    #[tokio::test]
    async fn what_was_left_is_looked_at_once_and_again_when_it_failed() {
        let directory = tempfile::tempdir().unwrap();
        let digest = hex(&Sha256::digest("whole"));
        let path = directory.path().join(&digest);
        let blob = BlobRef { digest: digest.clone(), size: 5 };
        std::fs::write(&path, "whole").unwrap();
        let localizer = alone(directory.path());
        localizer.fetch(&blob).await.unwrap();
        std::fs::write(&path, "whale").unwrap();
        localizer.fetch(&blob).await.unwrap();
        localizer.distrust(&digest);
        let error = localizer.fetch(&blob).await.unwrap_err();
        assert_eq!(error.message, "cannot fetch the binary: no Nimbus is configured");
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_is_not_used_goes_late_and_leftovers_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let [used, unused] = ["a", "b"].map(|letter| letter.repeat(64));
        for name in [&used, &unused, &format!("{used}.new")] {
            std::fs::write(directory.path().join(name), "x").unwrap();
        }
        let localizer = alone(directory.path());
        assert!(!directory.path().join(format!("{used}.new")).exists());
        let in_use = BTreeSet::from([used.as_str()]);
        let now = Instant::now();
        localizer.clean(now, &in_use);
        localizer.clean(now + KEEP_UNUSED - Duration::from_secs(1), &in_use);
        assert!(localizer.find(&unused).is_some());
        localizer.clean(now + KEEP_UNUSED, &in_use);
        assert!(localizer.find(&unused).is_none());
        assert!(localizer.find(&used).is_some());
    }

    #[tokio::test]
    async fn a_digest_is_no_path() {
        let directory = tempfile::tempdir().unwrap();
        let localizer = alone(directory.path());
        assert!(localizer.find("../lock").is_none());
        let error = localizer.fetch(&BlobRef { digest: "../x".to_owned(), size: 0 }).await.unwrap_err();
        assert_eq!(error.message, "'../x' is not the digest of a binary");
    }
}
