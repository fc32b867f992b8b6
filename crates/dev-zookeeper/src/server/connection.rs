//! A connection: bytes in, cut into packets; packets out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use super::driver::Message;
use crate::core::{ConnectionId, Event, Word};
use crate::packet::{FrameError, next_frame};
use crate::state::Password;

/// How many requests of a connection are on their way: more are read when replies have been written.
pub(super) const REQUESTS_MAX: usize = 64;

/// How many bytes may wait to be written to a client; with more, it is closed.
pub(super) const OUTBOX_MAX: usize = 128 << 20;

/// How long a client may take to send its first packet.
const FIRST_PACKET_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may not read while there is something to be written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How much room there is for a read. What a client says of a packet's length makes no more.
const READ_ROOM: usize = 16 << 10;

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("no packet came in time")]
    Silent,
}

/// What waits to be written to a client.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: mpsc::UnboundedSender<Outgoing>,
    bytes: Arc<AtomicUsize>,
}

#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) bytes: Bytes,
    /// Of the request that this answers; gone when it has been written.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Outbox {
    pub(super) fn new() -> (Outbox, mpsc::UnboundedReceiver<Outgoing>, Arc<AtomicUsize>) {
        let (queue, outgoing) = mpsc::unbounded_channel();
        let bytes = Arc::new(AtomicUsize::new(0));
        (Outbox { queue, bytes: Arc::clone(&bytes) }, outgoing, bytes)
    }

    /// Queues bytes; tells whether there was room.
    pub(super) fn send(&self, bytes: Bytes, permit: Option<OwnedSemaphorePermit>) -> bool {
        let waiting = self.bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        // The connection may have ended, as its client will have noticed.
        self.queue.send(Outgoing { bytes, _permit: permit }).ok();
        waiting <= OUTBOX_MAX
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(
    id: ConnectionId,
    stream: TcpStream,
    peer: SocketAddr,
    password: Password,
    inbox: mpsc::Sender<Message>,
) {
    stream.set_nodelay(true).ok();
    let (reading, writing) = stream.into_split();
    let (outbox, outgoing, waiting) = Outbox::new();
    let connected = Event::Connected { connection: id, address: peer.ip(), password };
    if inbox.send(Message { event: connected, permit: None, outbox: Some(outbox) }).await.is_err() {
        return;
    }
    let disconnected =
        || Message { event: Event::Disconnected { connection: id }, permit: None, outbox: None };
    let written = write(writing, outgoing, waiting);
    tokio::pin!(written);
    let read = async {
        match read(id, reading, &inbox).await {
            Ok(()) => {}
            Err(error @ ReadError::Frame(_)) => {
                tracing::warn!(connection = id.0, %peer, %error, "closing a connection");
            }
            Err(error) => tracing::debug!(connection = id.0, %peer, %error, "a connection has failed"),
        }
        inbox.send(disconnected()).await.ok();
    };
    tokio::select! {
        () = read => {
            // What is still to be written is written: `echo ruok | nc` closes before it reads.
            written.await;
        }
        () = &mut written => {
            inbox.send(disconnected()).await.ok();
        }
    }
}

async fn read(
    id: ConnectionId,
    mut stream: OwnedReadHalf,
    inbox: &mpsc::Sender<Message>,
) -> Result<(), ReadError> {
    let permits = Arc::new(Semaphore::new(REQUESTS_MAX));
    let mut received = BytesMut::new();
    let first = async {
        while received.len() < size_of::<i32>() {
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(false);
            }
        }
        Ok::<bool, ReadError>(true)
    };
    if !timeout(FIRST_PACKET_TIMEOUT, first).await.map_err(|_| ReadError::Silent)?? {
        return Ok(());
    }
    if let Some(word) = received.first_chunk().and_then(|letters| Word::from_letters(*letters)) {
        let event = Event::Asked { connection: id, word };
        inbox.send(Message { event, permit: None, outbox: None }).await.ok();
        return Ok(());
    }
    let mut is_first = true;
    loop {
        while let Some(frame) = next_frame(&mut received)? {
            is_first = false;
            let permit = Arc::clone(&permits).acquire_owned().await.ok();
            let event = Event::Received { connection: id, frame };
            if inbox.send(Message { event, permit, outbox: None }).await.is_err() {
                return Ok(());
            }
        }
        received.reserve(READ_ROOM);
        let read = stream.read_buf(&mut received);
        let count = if is_first {
            timeout(FIRST_PACKET_TIMEOUT, read).await.map_err(|_| ReadError::Silent)??
        } else {
            read.await?
        };
        if count == 0 {
            return Ok(());
        }
    }
}

/// Writes until the outbox is gone, or the client.
async fn write(
    mut stream: OwnedWriteHalf,
    mut outgoing: mpsc::UnboundedReceiver<Outgoing>,
    waiting: Arc<AtomicUsize>,
) {
    while let Some(Outgoing { bytes, _permit }) = outgoing.recv().await {
        let written = timeout(WRITE_TIMEOUT, stream.write_all(&bytes)).await;
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
        waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
    }
    stream.shutdown().await.ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_has_a_bound() {
        let (outbox, _outgoing, _) = Outbox::new();
        let megabyte = Bytes::from(vec![0; 1 << 20]);
        for _ in 0..=OUTBOX_MAX >> 20 {
            assert!(outbox.send(megabyte.clone(), None));
        }
        assert!(!outbox.send(megabyte, None));
    }
}
