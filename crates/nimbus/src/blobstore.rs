//! Uploaded binaries, named by their SHA-256.
//!
//! ```text
//! <local dir>/nimbus/blobs/<sha-256>      a whole blob
//! <local dir>/nimbus/blobs/.part-<random> one that is being written; removed at start
//! ```
//!
//! A blob gets its name when all of it is on the disk and its digest was seen to be right, so that
//! whatever has a name is whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use storm_model::Time;
use storm_rpc::launch::hex;
use storm_rpc::v1::{BlobChunk, BlobRef};
use tokio::io::AsyncWriteExt;

use crate::error::{BlobError, NimbusError};

const PART: &str = ".part-";

/// The blobs on this machine. Clones are the same store.
#[derive(Clone, Debug)]
pub(crate) struct BlobStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    /// How many running submits need a blob.
    held: Mutex<BTreeMap<String, usize>>,
    /// Since when nobody has referred to a blob.
    unused: Mutex<BTreeMap<String, Time>>,
}

/// Keeps a blob while it lives.
#[derive(Debug)]
pub(crate) struct Held {
    store: BlobStore,
    digest: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.store.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.digest);
            }
        }
    }
}

impl BlobStore {
    /// Opens the store, and removes what was left half written.
    pub(crate) fn open(directory: &Path) -> Result<BlobStore, NimbusError> {
        let directory = directory.join("blobs");
        let failed = |source| NimbusError::Directory { path: directory.clone(), source };
        std::fs::create_dir_all(&directory).map_err(failed)?;
        for entry in std::fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_string_lossy().starts_with(PART) {
                std::fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(BlobStore(Arc::new(Inner { directory, held: Mutex::default(), unused: Mutex::default() })))
    }

    /// Where a blob is, or would be.
    pub(crate) fn path(&self, digest: &str) -> Result<PathBuf, BlobError> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if digest.len() != 64 || !digest.bytes().all(is_hex) {
            return Err(BlobError::Name(digest.escape_debug().to_string()));
        }
        Ok(self.0.directory.join(digest))
    }

    /// Whether a blob is here.
    pub(crate) fn has(&self, digest: &str) -> bool {
        self.path(digest).is_ok_and(|path| path.is_file())
    }

    /// The size of a blob that is here.
    pub(crate) fn size(&self, digest: &str) -> Option<u64> {
        std::fs::metadata(self.path(digest).ok()?).ok().map(|metadata| metadata.len())
    }

    /// Keeps a blob from being removed until the answer is dropped, and for the whole delay after.
    pub(crate) fn hold(&self, digest: &str) -> Held {
        self.0.unused.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held.entry(digest.to_owned()).or_default() += 1;
        Held { store: self.clone(), digest: digest.to_owned() }
    }

    /// Writes what comes, and gives it its name when it is whole and right.
    pub(crate) async fn receive<E: std::fmt::Display>(
        &self,
        mut chunks: impl Stream<Item = Result<BlobChunk, E>> + Unpin,
    ) -> Result<BlobRef, BlobError> {
        let broken = |error: E| BlobError::Broken(error.to_string());
        let first = chunks.next().await.ok_or(BlobError::Unnamed)?.map_err(broken)?;
        let said = first.blob.ok_or(BlobError::Unnamed)?;
        let path = self.path(&said.digest)?;
        let part = Part(self.0.directory.join(format!("{PART}{}", storm_rpc::nimbus_client::command_id())));
        let mut file = tokio::fs::File::create(&part.0).await?;
        let mut digest = Sha256::new();
        let mut size = 0;
        let mut data = Some(first.data);
        while let Some(bytes) = data {
            size += bytes.len() as u64;
            if size > said.size {
                return Err(BlobError::Size { said: said.size, found: size });
            }
            digest.update(&bytes);
            file.write_all(&bytes).await?;
            data = chunks.next().await.transpose().map_err(broken)?.map(|chunk| chunk.data);
        }
        let found = hex(&digest.finalize());
        if size != said.size {
            return Err(BlobError::Size { said: said.size, found: size });
        }
        if found != said.digest {
            return Err(BlobError::Digest { said: said.digest, found });
        }
        file.sync_all().await?;
        drop(file);
        tokio::fs::rename(&part.0, &path).await?;
        tokio::fs::File::open(&self.0.directory).await?.sync_all().await?;
        tracing::info!(digest = said.digest, size, "blob stored");
        Ok(said)
    }

    /// Removes blobs that nobody has referred to for this long. Only to be called while it is certain
    /// what topologies there are.
    pub(crate) fn clean(&self, now: Time, used: &std::collections::BTreeSet<String>, delay: Duration) {
        let Ok(entries) = std::fs::read_dir(&self.0.directory) else { return };
        let mut unused = self.0.unused.lock().unwrap_or_else(PoisonError::into_inner);
        let mut still = BTreeMap::new();
        for entry in entries.flatten() {
            let digest = entry.file_name().to_string_lossy().into_owned();
            let is_held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&digest);
            if self.path(&digest).is_err() || used.contains(&digest) || is_held {
                continue;
            }
            let since = unused.get(&digest).copied().unwrap_or(now);
            if now.since(since) < delay {
                still.insert(digest, since);
            } else if let Err(error) = std::fs::remove_file(entry.path()) {
                tracing::warn!(digest, %error, "cannot remove a blob that nobody refers to");
            } else {
                tracing::info!(digest, "blob removed: no topology refers to it");
            }
        }
        *unused = still;
    }
}

/// Removes what is half written when its writer gives up. After the rename there is nothing to remove.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeSet;

    use tokio_stream::iter;

    use super::*;

    fn chunks(parts: &[&'static [u8]], blob: BlobRef) -> Vec<Result<BlobChunk, String>> {
        let mut blob = Some(blob);
        parts.iter().map(|part| Ok(BlobChunk { blob: blob.take(), data: (*part).into() })).collect()
    }

    fn blob(content: &[u8]) -> BlobRef {
        BlobRef { digest: hex(&Sha256::digest(content)), size: content.len() as u64 }
    }

    #[tokio::test]
    async fn what_is_whole_and_right_gets_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlobStore::open(directory.path()).unwrap();
        let whole = blob(b"hello world");
        store.receive(iter(chunks(&[b"hello ", b"world"], whole.clone()))).await.unwrap();
        assert_eq!(std::fs::read(store.path(&whole.digest).unwrap()).unwrap(), b"hello world");
        assert_eq!((store.has(&whole.digest), store.size(&whole.digest)), (true, Some(11)));
    }

    #[tokio::test]
    async fn what_is_not_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlobStore::open(directory.path()).unwrap();
        let whole = blob(b"hello world");
        let mut broken = chunks(&[b"hello "], whole.clone());
        broken.push(Err("connection lost".to_owned()));
        for bad in [
            chunks(&[b"hello "], whole.clone()),
            chunks(&[b"hello ", b"moon!"], whole.clone()),
            chunks(&[b"hello ", b"world", b"!"], whole.clone()),
            chunks(&[b"x"], BlobRef { digest: "../../etc/passwd".into(), size: 1 }),
            vec![],
            broken,
        ] {
            store.receive(iter(bad)).await.unwrap_err();
        }
        assert_eq!(std::fs::read_dir(directory.path().join("blobs")).unwrap().count(), 0);
    }

    #[test]
    fn halves_are_removed_at_start_and_unused_blobs_after_the_delay() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = directory.path().join("blobs");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(blobs.join(".part-1"), "half").unwrap();
        let digests: Vec<String> = ["a", "b", "c"].map(|c| c.repeat(64)).to_vec();
        for digest in &digests {
            std::fs::write(blobs.join(digest), "whole").unwrap();
        }
        let store = BlobStore::open(directory.path()).unwrap();
        assert!(!blobs.join(".part-1").exists());
        let used = BTreeSet::from([digests[0].clone()]);
        let held = store.hold(&digests[1]);
        let delay = Duration::from_secs(300);
        store.clean(Time::from_secs(10), &used, delay);
        store.clean(Time::from_secs(309), &used, delay);
        assert!(digests.iter().all(|digest| store.has(digest)));
        store.clean(Time::from_secs(310), &used, delay);
        assert_eq!(digests.iter().map(|d| store.has(d)).collect::<Vec<_>>(), [true, true, false]);
        drop(held);
        store.clean(Time::from_secs(311), &used, delay);
        store.clean(Time::from_secs(611), &used, delay);
        assert_eq!(digests.iter().map(|d| store.has(d)).collect::<Vec<_>>(), [true, false, false]);
    }
}
