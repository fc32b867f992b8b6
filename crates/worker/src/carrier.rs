//! The engine's lines as messaging's sources and sinks: bytes in, bytes out, and between them what
//! workers tell each other as a whole.
//!
//! ```text
//! kind 16 standing   | version that is followed u64 | newest version that is ready u64 |   on the control lane
//! ```

use std::sync::{Arc, Mutex, PoisonError};

use storm_engine::gateway::{ControlIn, ControlOut, DataIn, DataOut, Line, kind};
use storm_messaging::{Lines, Sink, SinkError, Source};
use storm_model::WorkerSlot;

use crate::mailbox::{Mailbox, News};

/// How far the sender is.
const STANDING: u8 = kind::FREE;

/// How far a worker is; see [`Barrier`](crate::barrier::Barrier).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Version of the assignment that it follows.
    pub(crate) version: u64,
    /// The newest version that it was ready for.
    pub(crate) ready: u64,
}

impl Standing {
    fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.version.to_le_bytes());
        bytes[8..].copy_from_slice(&self.ready.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Standing> {
        let (version, rest) = bytes.split_first_chunk()?;
        let ready = rest.try_into().ok()?;
        Some(Standing { version: u64::from_le_bytes(*version), ready: u64::from_le_bytes(ready) })
    }
}

/// What is to be told to a peer as a whole: the newest replaces what was not taken yet.
#[derive(Default)]
pub(crate) struct Note(Mutex<Option<Standing>>);

impl Note {
    /// Tells the peer how far this worker is.
    pub(crate) fn tell(&self, standing: Standing, line: &Line) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(standing);
        line.ring();
    }

    fn take(&self) -> Option<Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The data lane of a line.
pub(crate) fn data(line: &Arc<Line>) -> Lines {
    Lines { source: Box::new(DataSource(line.data_out())), sink: Box::new(DataSink(line.data_in())) }
}

/// The control lane of a line. `number` tells it from former ones to the same slot.
pub(crate) fn control(
    line: &Arc<Line>,
    note: &Arc<Note>,
    mailbox: &Arc<Mailbox>,
    slot: &WorkerSlot,
    number: u64,
) -> Lines {
    let source = ControlSource { out: line.control_out(), note: note.clone() };
    let sink =
        ControlSink { inner: line.control_in(), mailbox: mailbox.clone(), slot: slot.clone(), line: number };
    Lines { source: Box::new(source), sink: Box::new(sink) }
}

struct DataSource(DataOut);

impl Source for DataSource {
    fn attach(&mut self) {
        self.0.attach();
    }

    fn next(&mut self, body: &mut Vec<u8>) -> Option<u8> {
        self.0.next(body)
    }
}

struct DataSink(DataIn);

impl Sink for DataSink {
    fn frame(&mut self, kind: u8, body: &[u8]) -> Result<(), SinkError> {
        self.0.frame(kind, body).map_err(|e| SinkError::new(e.to_string()))
    }
}

struct ControlSource {
    out: ControlOut,
    note: Arc<Note>,
}

impl Source for ControlSource {
    fn attach(&mut self) {
        self.out.attach();
    }

    fn next(&mut self, body: &mut Vec<u8>) -> Option<u8> {
        // What is told is rare and waited for, so it goes before acks. It is looked for again at the end: one that
        // came meanwhile has rung the bell, and that ring may have been heard by the engine.
        self.tell(body).or_else(|| self.out.next(body)).or_else(|| self.tell(body))
    }
}

impl ControlSource {
    fn tell(&self, body: &mut Vec<u8>) -> Option<u8> {
        let standing = self.note.take()?;
        body.extend_from_slice(&standing.encode());
        Some(STANDING)
    }
}

struct ControlSink {
    inner: ControlIn,
    mailbox: Arc<Mailbox>,
    slot: WorkerSlot,
    line: u64,
}

impl Sink for ControlSink {
    fn frame(&mut self, kind: u8, body: &[u8]) -> Result<(), SinkError> {
        if kind == STANDING {
            let standing = Standing::decode(body);
            let standing = standing.ok_or_else(|| SinkError::new("how far the peer is cannot be read"))?;
            self.mailbox.post(News::Told { slot: self.slot.clone(), line: self.line, standing });
            return Ok(());
        }
        self.inner.frame(kind, body).map_err(|e| SinkError::new(e.to_string()))
    }

    fn batch_end(&mut self) {
        self.inner.batch_end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_is_read_as_it_was_written_and_nothing_else_is_read() {
        let standing = Standing { version: 7, ready: u64::MAX - 1 };
        let bytes = standing.encode();
        assert_eq!(Standing::decode(&bytes), Some(standing));
        assert_eq!(Standing::decode(&bytes[1..]), None);
        assert_eq!(Standing::decode(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(Standing::decode(&[]), None);
    }
}
