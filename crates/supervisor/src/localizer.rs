//! The binaries of topologies: fetched by digest, verified, kept once however many slots run them.
//!
//! `<local dir>/supervisor/blobs/<digest>` is complete or not there: a download lies beside its place
//! until its digest was found right. One that is not used goes after an hour, for it may come back.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use storm_rpc::launch::hex;
use storm_rpc::v1::{BlobChunk, BlobRef};
use storm_rpc::{CallError, Nimbuses};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;
use tonic::Streaming;

/// A download that brings nothing for so long is given up.
const CHUNK_WITHIN: Duration = Duration::from_secs(15);
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
    /// Each Nimbus by itself: one may have what another has lost.
    nimbuses: Vec<Nimbuses>,
    /// One download per digest at a time; the others wait for it.
    in_flight: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    unused_since: Mutex<BTreeMap<String, Instant>>,
}

impl Localizer {
    /// Opens the directory, and removes what a download has left there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open(directory: PathBuf, nimbuses: Vec<Nimbuses>) -> io::Result<Localizer> {
        std::fs::create_dir_all(&directory)?;
        for entry in std::fs::read_dir(&directory)?.flatten() {
            if entry.file_name().to_str().is_none_or(|name| !is_digest(name)) {
                std::fs::remove_file(entry.path()).ok();
            }
        }
        let (in_flight, unused_since) = (Mutex::default(), Mutex::default());
        Ok(Localizer { directory, nimbuses, in_flight, unused_since })
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
        let fetched = if self.find(digest).is_some() { Ok(()) } else { self.fetch_from_any(blob).await };
        drop(turn);
        let mut in_flight = self.lock_in_flight();
        // Nobody else waits: this one and the map.
        if Arc::strong_count(&gate) <= 2 {
            in_flight.remove(digest);
        }
        fetched
    }

    async fn fetch_from_any(&self, blob: &BlobRef) -> Result<(), FetchError> {
        let mut last = FetchError::remote("no Nimbus is configured".to_owned());
        for nimbus in &self.nimbuses {
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
                unused.remove(&digest);
            }
        }
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

    use super::*;

    #[tokio::test]
    async fn what_is_not_used_goes_late_and_leftovers_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let [used, unused] = ["a", "b"].map(|letter| letter.repeat(64));
        for name in [&used, &unused, &format!("{used}.new")] {
            std::fs::write(directory.path().join(name), "x").unwrap();
        }
        let localizer = Localizer::open(directory.path().to_owned(), Vec::new()).unwrap();
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
        let localizer = Localizer::open(directory.path().to_owned(), Vec::new()).unwrap();
        assert!(localizer.find("../lock").is_none());
        let error = localizer.fetch(&BlobRef { digest: "../x".to_owned(), size: 0 }).await.unwrap_err();
        assert_eq!(error.message, "'../x' is not the digest of a binary");
    }
}
