//! The spout that stands for another one: it emits the rows that it is given.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use storm_model::{Fields, StreamId, Value};
use storm_topology::{FailCause, Next, Spout, SpoutError, SpoutOutput, TaskContext};

use super::record::{shown, stream_note};
use super::watched::Journal;

/// So often a row is emitted, if it fails each time: then it will not do better, and the test is to
/// end. With every second try failing by chance this is never reached.
const ATTEMPTS_MAX: u32 = 100;

/// The rows of one replaced spout, shared by its tasks and the test.
#[derive(Default)]
pub(super) struct Feed(Mutex<Rows>);

#[derive(Default)]
struct Rows {
    rows: Vec<Row>,
    /// More may follow.
    is_open: bool,
    wakers: Vec<Waker>,
}

#[derive(Clone)]
struct Row {
    stream: StreamId,
    fields: Fields,
    values: Vec<Value>,
}

impl Feed {
    pub(super) fn add(&self, stream: StreamId, fields: Fields, rows: impl Iterator<Item = Vec<Value>>) {
        let row = |values| Row { stream: stream.clone(), fields: fields.clone(), values };
        let mut feed = self.lock();
        feed.rows.extend(rows.map(row));
        feed.wakers.iter().for_each(Waker::wake_by_ref);
    }

    /// Whether more rows may follow.
    pub(super) fn set_open(&self, is_open: bool) {
        let mut feed = self.lock();
        feed.is_open = is_open;
        feed.wakers.iter().for_each(Waker::wake_by_ref);
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Emits the rows of a feed, tracked, and again those that failed.
pub(super) struct Fixed {
    feed: Arc<Feed>,
    journal: Arc<Journal>,
    is_replaying: bool,
    next: usize,
    again: VecDeque<usize>,
    /// Attempts that failed, by row.
    failures: Vec<u32>,
    /// A row has failed too often.
    has_given_up: bool,
    name: String,
}

impl Fixed {
    pub(super) fn new(feed: Arc<Feed>, journal: Arc<Journal>, is_replaying: bool) -> Fixed {
        Fixed {
            feed,
            journal,
            is_replaying,
            next: 0,
            again: VecDeque::new(),
            failures: Vec::new(),
            has_given_up: false,
            name: String::new(),
        }
    }
}

impl Spout for Fixed {
    type MessageId = usize;

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.name = format!("'{}' (task {})", ctx.component(), ctx.task());
        self.feed.lock().wakers.push(ctx.waker());
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, usize>) -> Result<Next, SpoutError> {
        let feed = self.feed.lock();
        if self.has_given_up {
            return Ok(Next::Done);
        }
        let at = match self.again.pop_front() {
            Some(at) => at,
            None if self.next < feed.rows.len() => {
                self.next += 1;
                self.next - 1
            }
            None if feed.is_open => return Ok(Next::Idle),
            None => return Ok(Next::Done),
        };
        let Row { stream, values, .. } = feed.rows[at].clone();
        drop(feed);
        out.on(stream.as_str()).tracked(at).emit(&values);
        Ok(Next::Emitted)
    }

    fn fail(&mut self, at: usize, cause: FailCause) {
        if !self.is_replaying {
            return;
        }
        if self.failures.len() <= at {
            self.failures.resize(at + 1, 0);
        }
        self.failures[at] += 1;
        if self.failures[at] < ATTEMPTS_MAX {
            self.again.push_back(at);
            return;
        }
        self.has_given_up = true;
        let Row { stream, fields, values } = &self.feed.lock().rows[at];
        let (row, name) = (shown(fields, values), &self.name);
        let stream = stream_note(stream);
        self.journal.notes().given_up.push(format!(
            "{row} of {name}{stream} was emitted {ATTEMPTS_MAX} times and failed each time; the last cause: {cause}"
        ));
    }
}
