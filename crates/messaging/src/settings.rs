//! Limits and times of an endpoint.

use std::time::Duration;

/// Limits and times of an endpoint and its peers. Those of both ends need not be the same, except that a
/// body that one end sends must be within the limit of the other.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Longest body of a frame. Default: 16 MB and 64 KB for what stands around a value.
    pub body_bytes: usize,
    /// Sent frames that are kept until they are confirmed, per lane. When full, nothing is pulled from the
    /// source until confirmations come. Default: 64 MB.
    pub kept_bytes: usize,
    /// A write goes out when this much is gathered, or nothing more is there. Default: 64 KB.
    pub write_bytes: usize,
    /// Size of the buffer that is read into. Default: 256 KB.
    pub read_bytes: usize,
    /// Received bytes after which they are confirmed at once. Default: 256 KB.
    pub confirm_bytes: u64,
    /// Received frames after which they are confirmed at once. Default: 64.
    pub confirm_frames: u64,
    /// Longest time that a received frame stays unconfirmed. Default: 50 ms.
    pub confirm_after: Duration,
    /// When nothing was sent for this long, a sign of life is. Default: 1 s.
    pub ping_after: Duration,
    /// A connection without any byte from the peer for this long is closed. Default: 5 s.
    pub silence: Duration,
    /// Time for a whole handshake, the connect included. Default: 5 s.
    pub handshake: Duration,
    /// Waits between attempts to dial: the first, doubled up to the second; each is shortened at random by
    /// up to half. Default: 10 ms and 1 s.
    pub backoff: (Duration, Duration),
    /// Connections that have not proved yet who they are. When there are more, the oldest is closed.
    /// Default: 64.
    pub strangers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            body_bytes: (16 << 20) + (64 << 10),
            kept_bytes: 64 << 20,
            write_bytes: 64 << 10,
            read_bytes: 256 << 10,
            confirm_bytes: 256 << 10,
            confirm_frames: 64,
            confirm_after: Duration::from_millis(50),
            ping_after: Duration::from_secs(1),
            silence: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            backoff: (Duration::from_millis(10), Duration::from_secs(1)),
            strangers: 64,
        }
    }
}
