//! Files in chunks: how a blob goes over the wire, and what it is named.
//!
//! A blob is named by its SHA-256. The first chunk of an upload or a download names it; chunks have
//! at most 1 MB.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::launch::hex;
use crate::v1::{BlobChunk, BlobRef};

/// Bytes of a chunk, at most.
pub const CHUNK_BYTES: usize = 1 << 20;
/// Chunks that are read ahead of the network; the reader waits when they are full.
const CHUNKS_AHEAD: usize = 4;

/// Name and size of a file's content. Blocks while it reads.
///
/// # Errors
/// When the file cannot be read.
pub fn reference(path: &Path) -> io::Result<BlobRef> {
    let mut digest = Sha256::new();
    let size = io::copy(&mut File::open(path)?, &mut digest)?;
    Ok(BlobRef { digest: hex(&digest.finalize()), size })
}

/// The chunks of a file, the first with its name. An empty file is one empty chunk. The reader ends
/// with its receiver.
pub fn chunks(path: PathBuf, blob: BlobRef) -> mpsc::Receiver<io::Result<BlobChunk>> {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    tokio::task::spawn_blocking(move || {
        let sent = read_chunks(&path, blob, |chunk| sender.blocking_send(Ok(chunk)).is_ok());
        if let Err(error) = sent {
            sender.blocking_send(Err(error)).ok();
        }
    });
    receiver
}

fn read_chunks(path: &Path, blob: BlobRef, mut take: impl FnMut(BlobChunk) -> bool) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut name = Some(blob);
    loop {
        let mut data = Vec::with_capacity(CHUNK_BYTES);
        file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut data)?;
        let is_last = data.len() < CHUNK_BYTES;
        let is_empty = data.is_empty() && name.is_none();
        let chunk = BlobChunk { blob: name.take(), data: Bytes::from(data) };
        if is_empty || !take(chunk) || is_last {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_in_chunks_and_is_named_by_its_content() {
        for size in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1] {
            let content: Vec<u8> = (0..size).map(|i| i as u8).collect();
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("blob");
            std::fs::write(&path, &content).unwrap();
            let blob = reference(&path).unwrap();
            assert_eq!(blob, BlobRef { digest: hex(&Sha256::digest(&content)), size: size as u64 });
            let mut chunks = Vec::new();
            read_chunks(&path, blob.clone(), |chunk| {
                chunks.push(chunk);
                true
            })
            .unwrap();
            assert_eq!(chunks[0].blob, Some(blob));
            assert!(chunks.iter().skip(1).all(|chunk| chunk.blob.is_none() && !chunk.data.is_empty()));
            assert_eq!(chunks.iter().flat_map(|chunk| chunk.data.to_vec()).collect::<Vec<_>>(), content);
        }
    }
}
