//! What the caller gives: where frames come from, and where they go.

use crate::error::SinkError;

/// The two ends of one lane on this side.
pub struct Lines {
    /// Where the frames come from that go to the peer.
    pub source: Box<dyn Source>,
    /// Where the frames go that come from the peer.
    pub sink: Box<dyn Sink>,
}

/// Where frames come from. A thread that writes pulls them, one after the other.
pub trait Source: Send {
    /// Called on the thread that will pull, before anything else and again after a reconnect: whoever has
    /// news must unpark this thread ([`std::thread::Thread::unpark`]).
    fn attach(&mut self);

    /// Appends the next frame's body to `body` and returns its kind, at most
    /// [`KIND_MAX`](crate::frame::KIND_MAX); None when there is nothing now.
    ///
    /// What `body` holds already is other frames: it may be appended to, and nothing else. What was appended
    /// before a None is taken away again. A body above [`Settings::body_bytes`](crate::Settings::body_bytes)
    /// ends the session.
    fn next(&mut self, body: &mut Vec<u8>) -> Option<u8>;
}

/// Where frames go. The thread that reads hands them over.
pub trait Sink: Send {
    /// A frame has arrived, exactly once and in order. Must not block.
    ///
    /// # Errors
    /// Ends the session.
    fn frame(&mut self, kind: u8, body: &[u8]) -> Result<(), SinkError>;

    /// All frames that were read at once have been handed over.
    fn batch_end(&mut self) {}
}
