//! One lane of a session: numbering, keeping and confirming frames. Pure.
//!
//! A lane is two halves that never wait for each other. [`Outgoing`] numbers frames and keeps them until the
//! peer's count covers them; after a reconnect it goes back to the first one that the peer has not. [`Incoming`]
//! takes each number once and in order. So each frame arrives exactly once, however often and wherever
//! the connection breaks, as long as both halves of both sides live.

use std::collections::VecDeque;

use crate::error::ProtocolError;
use crate::frame::{self, Frame, KIND_MAX};

/// Buffers above this are not recycled: one long frame must not be paid for as long as the peer lives.
const RECYCLED_BYTES_MAX: usize = 256 << 10;
/// As many buffers are held for the next frames; of the default size it is 2 MB.
const RECYCLED_MAX: usize = 32;

/// The frames that go to the peer.
///
/// They lie one behind the other in buffers, which are written as they are. A buffer is filled further even
/// when what it holds was written already, so that rare small frames do not take one each. It is free
/// again when the peer has all of it.
#[derive(Debug)]
pub struct Outgoing {
    buffers: VecDeque<Buffer>,
    /// What is to be written next: a buffer, and an offset in it, where a frame begins.
    at: (usize, usize),
    /// The number of the next frame.
    next: u64,
    confirmed: u64,
    kept_bytes: usize,
    free: Vec<Vec<u8>>,
    body_max: usize,
    buffer_bytes: usize,
}

#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
    first: u64,
    frames: u64,
}

impl Outgoing {
    /// With nothing sent. Buffers are filled until they hold `buffer_bytes`; a body has `body_max` bytes at
    /// most, and no more than a header can say.
    pub fn new(body_max: usize, buffer_bytes: usize) -> Outgoing {
        let body_max = body_max.min(u32::MAX as usize);
        Outgoing {
            buffers: VecDeque::new(),
            at: (0, 0),
            next: 0,
            confirmed: 0,
            kept_bytes: 0,
            free: Vec::new(),
            body_max,
            buffer_bytes,
        }
    }

    /// How many frames there were so far.
    pub fn frames(&self) -> u64 {
        self.next
    }

    /// How many of them the peer has.
    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Bytes in buffers of which the peer lacks something.
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Whether the buffer to be written next takes no more frames.
    pub fn is_ready(&self) -> bool {
        let is_full = |buffer: &Buffer| buffer.bytes.len() >= self.buffer_bytes;
        !self.unwritten().is_empty() && self.buffers.get(self.at.0).is_some_and(is_full)
    }

    /// Adds a frame, which `fill` appends to the buffer; `received` is how many frames came from the peer.
    /// Says whether there was one: `fill` returns its kind, or None when it has nothing.
    ///
    /// # Errors
    /// When the frame is none that can be sent. It is not added.
    pub fn push(
        &mut self,
        received: u64,
        fill: impl FnOnce(&mut Vec<u8>) -> Option<u8>,
    ) -> Result<bool, ProtocolError> {
        if self.buffers.back().is_none_or(|last| last.bytes.len() >= self.buffer_bytes) {
            if self.unwritten().is_empty() {
                self.at = (self.buffers.len(), 0);
            }
            let bytes = self.free.pop().unwrap_or_default();
            self.buffers.push_back(Buffer { bytes, first: self.next, frames: 0 });
        }
        let last = self.buffers.back_mut().expect("one was pushed if there was none");
        let start = frame::begin(&mut last.bytes);
        let kind = fill(&mut last.bytes);
        let outcome = match (kind, last.bytes.len().checked_sub(start + frame::HEADER_BYTES)) {
            (_, None) => Err(ProtocolError::BufferShortened),
            (None, _) => Ok(None),
            (Some(kind), _) if kind > KIND_MAX => Err(ProtocolError::ReservedKind { kind }),
            (_, Some(length)) if length > self.body_max => {
                Err(ProtocolError::BodyTooLong { length, max: self.body_max })
            }
            (Some(kind), _) => Ok(Some(kind)),
        };
        let Ok(Some(kind)) = outcome else {
            last.bytes.truncate(start);
            return outcome.map(|_| false);
        };
        frame::finish(&mut last.bytes, start, kind, self.next, received);
        last.frames += 1;
        self.next += 1;
        self.kept_bytes += last.bytes.len() - start;
        Ok(true)
    }

    /// What is to be written next: whole frames, empty when everything was written.
    pub fn unwritten(&self) -> &[u8] {
        self.buffers.get(self.at.0).map_or(&[], |buffer| &buffer.bytes[self.at.1..])
    }

    /// All of [`Outgoing::unwritten`] was written.
    pub fn wrote(&mut self) {
        let (index, _) = self.at;
        let Some(buffer) = self.buffers.get(index) else { return };
        self.at = if index + 1 < self.buffers.len() { (index + 1, 0) } else { (index, buffer.bytes.len()) };
    }

    /// The peer has this many frames; buffers that it has all of are freed. A count below an earlier
    /// one says nothing: frames that are sent again bear the count of their time.
    ///
    /// # Errors
    /// When so many were never sent.
    pub fn confirm(&mut self, count: u64) -> Result<(), ProtocolError> {
        if count > self.next {
            return Err(ProtocolError::CountAhead { count, sent: self.next });
        }
        self.confirmed = self.confirmed.max(count);
        while let Some(first) = self.buffers.front() {
            // A peer that confirms what is not even written gets the rest nevertheless.
            let is_written = self.at.0 > 0 || self.at.1 == first.bytes.len();
            if !is_written || first.first + first.frames > self.confirmed {
                break;
            }
            self.at = if self.at.0 > 0 { (self.at.0 - 1, self.at.1) } else { (0, 0) };
            let mut bytes = self.buffers.pop_front().expect("it is the first").bytes;
            self.kept_bytes -= bytes.len();
            if bytes.capacity() <= RECYCLED_BYTES_MAX && self.free.len() < RECYCLED_MAX {
                bytes.clear();
                self.free.push(bytes);
            }
        }
        Ok(())
    }

    /// There is a new connection, whose peer says that it has this many frames: the next one is written next.
    ///
    /// # Errors
    /// When so many were never sent, or when it had confirmed more before.
    pub fn reconnect(&mut self, count: u64) -> Result<(), ProtocolError> {
        if count < self.confirmed {
            return Err(ProtocolError::CountBack { count, confirmed: self.confirmed });
        }
        // All that was written is lost unless it is counted, so nothing before `count` is to be written.
        self.at = match self.buffers.back() {
            Some(last) => (self.buffers.len() - 1, last.bytes.len()),
            None => (0, 0),
        };
        self.confirm(count)?;
        self.at = (0, 0);
        if let Some(first) = self.buffers.front() {
            for _ in first.first..count {
                self.at.1 += frame::length_at(&first.bytes, self.at.1);
            }
        }
        Ok(())
    }
}

/// The frames that come from the peer.
#[derive(Debug, Default)]
pub struct Incoming {
    frames: u64,
}

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Take it.
    New,
    /// Drop it: it came before.
    Duplicate,
    /// Drop it: all that it brings is its count.
    Sign,
}

impl Incoming {
    /// How many frames came.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// A frame has come.
    ///
    /// # Errors
    /// When frames are missing before it.
    pub fn arrive(&mut self, frame: &Frame<'_>) -> Result<Arrival, ProtocolError> {
        if frame.number > self.frames {
            return Err(ProtocolError::Gap { expected: self.frames, number: frame.number });
        }
        if frame.kind > KIND_MAX {
            return Ok(Arrival::Sign);
        }
        if frame.number < self.frames {
            return Ok(Arrival::Duplicate);
        }
        self.frames += 1;
        Ok(Arrival::New)
    }
}

#[cfg(test)]
mod tests;
