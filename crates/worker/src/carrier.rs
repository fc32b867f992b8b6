//! The engine's lines as messaging's sources and sinks: bytes in, bytes out, and between them what
//! workers tell each other as a whole.
//!
//! ```text
//! kind 16 prepared   | version of the assignment u64 |   on the control lane, once per connection
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use storm_engine::gateway::{ControlIn, ControlOut, DataIn, DataOut, Line, kind};
use storm_messaging::{Lines, Sink, SinkError, Source};
use storm_model::WorkerSlot;

use crate::mailbox::{Mailbox, News};

/// All tasks of the sender are prepared.
const PREPARED: u8 = kind::FREE;

/// What is to be told to a peer as a whole. At most one note for each time that it connects.
#[derive(Default)]
pub(crate) struct Notes(Mutex<VecDeque<(u8, Vec<u8>)>>);

impl Notes {
    /// Tells the peer that all tasks here are prepared.
    pub(crate) fn prepared(&self, version: u64, line: &Line) {
        let note = (PREPARED, version.to_le_bytes().to_vec());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(note);
        line.ring();
    }

    fn take(&self) -> Option<(u8, Vec<u8>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// The data lane of a line.
pub(crate) fn data(line: &Arc<Line>) -> Lines {
    Lines { source: Box::new(DataSource(line.data_out())), sink: Box::new(DataSink(line.data_in())) }
}

/// The control lane of a line. `number` tells it from former ones to the same slot.
pub(crate) fn control(
    line: &Arc<Line>,
    notes: &Arc<Notes>,
    mailbox: &Arc<Mailbox>,
    slot: &WorkerSlot,
    number: u64,
) -> Lines {
    let source = ControlSource { out: line.control_out(), notes: notes.clone() };
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
    notes: Arc<Notes>,
}

impl Source for ControlSource {
    fn attach(&mut self) {
        self.out.attach();
    }

    fn next(&mut self, body: &mut Vec<u8>) -> Option<u8> {
        // The engine first, the notes last: a note that comes while its lanes are looked at has rung the
        // bell, and that ring may have been heard there.
        if let Some(kind) = self.out.next(body) {
            return Some(kind);
        }
        let (kind, note) = self.notes.take()?;
        body.extend_from_slice(&note);
        Some(kind)
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
        if kind == PREPARED {
            self.mailbox.post(News::Prepared { slot: self.slot.clone(), line: self.line });
            return Ok(());
        }
        self.inner.frame(kind, body).map_err(|e| SinkError::new(e.to_string()))
    }

    fn batch_end(&mut self) {
        self.inner.batch_end();
    }
}
