//! What is counted of a peer.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was counted of a peer since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerFigures {
    /// Of the data lane.
    pub data: LaneFigures,
    /// Of the control lane.
    pub control: LaneFigures,
}

/// What was counted of one lane. Bytes are those on the wire, headers included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneFigures {
    /// Frames pulled from the source and numbered.
    pub frames_sent: u64,
    /// Of them, those that the peer has confirmed. The rest is lost when the session ends.
    pub frames_confirmed: u64,
    /// Frames handed to the sink.
    pub frames_received: u64,
    /// Frames that came again after a reconnect and were dropped.
    pub frames_duplicate: u64,
    /// Bytes written, what was sent again included.
    pub bytes_written: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Connections that came through the handshake; all but the first are reconnects.
    pub connections: u64,
}

/// The counters behind [`LaneFigures`]. Each is written by one thread.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) duplicates: AtomicU64,
    pub(crate) written: AtomicU64,
    pub(crate) read: AtomicU64,
    pub(crate) connections: AtomicU64,
}

/// Adds to a counter that only this thread writes.
pub(crate) fn add(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}
