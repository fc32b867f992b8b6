//! The spout that reads the input.

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHasher;
use storm_rs::prelude::*;
use storm_rs::{Clock, Time};

use crate::args::Common;
use crate::input::{Bytes, Input, InputError, Line, Lines};
use crate::markers::{COMMIT, END, MARKER_FIELDS};

/// Finds the key of a line: lines of one key go through one task, in order.
pub type KeyOf = fn(&[u8]) -> &[u8];

/// A spout task gives up when the result could not be written this many times.
const COMMITS_MAX: u32 = 3;
/// Pause before the next attempt to have the result written.
const COMMIT_PAUSE: Duration = Duration::from_secs(1);
/// Lines that one call looks at: the lines of other tasks are passed over, and acks wait meanwhile.
const LINES_PER_CALL: usize = 1024;

/// Emits the lines of a file, each tracked, and then the markers; see the crate's documentation.
///
/// Several tasks share the lines: by number modulo tasks, or by key where order per key matters. A
/// line that fails is emitted again. Fields of stream `default`: `number` (from 1), `line` (bytes
/// without the LF) and, if there is one, `key`.
pub struct FileSpout {
    input: Input,
    repeat: bool,
    header: Option<Header>,
    key_of: Option<KeyOf>,
    open: Option<Open>,
}

/// What the first line must be.
struct Header {
    is_header: fn(&[u8]) -> bool,
    expected: &'static str,
}

/// What a tracked tuple is: a line by its number and position, or a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A line.
    Line {
        /// Its number, from 1.
        number: u64,
        /// Position of its first byte.
        start: usize,
    },
    /// The marker that all lines are processed.
    End,
    /// The marker that the writer has all totals.
    Commit,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mark::Line { number, .. } => write!(f, "line {number}"),
            Mark::End => f.write_str("the marker 'end'"),
            Mark::Commit => f.write_str("the marker 'commit'"),
        }
    }
}

/// A task at work.
struct Open {
    bytes: Bytes,
    lines: Lines,
    first: Lines,
    task: usize,
    tasks: usize,
    clock: Arc<dyn Clock>,
    phase: Phase,
    /// What failed and is to be emitted again.
    again: VecDeque<Mark>,
    /// Lines that were emitted and are not acked.
    pending: u64,
    /// Whether any line is this task's.
    has_lines: bool,
    commits_refused: u32,
    not_before: Option<Time>,
    /// The failure to report at the next call.
    failed: Option<(Mark, FailCause)>,
}

/// Each phase ends when what it emitted is acked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Lines,
    Drain,
    End,
    Commit,
    Done,
}

impl FileSpout {
    /// Reads the file that the arguments name, else the embedded bytes.
    pub fn new(args: &Common, embedded: &'static [u8]) -> FileSpout {
        FileSpout {
            input: Input::new(args.file.as_deref(), embedded),
            repeat: args.repeat,
            header: None,
            key_of: None,
            open: None,
        }
    }

    /// Passes over the first line, which must be a header (an empty input has none); the line after
    /// it has number 1.
    pub fn with_header(mut self, is_header: fn(&[u8]) -> bool, expected: &'static str) -> FileSpout {
        self.header = Some(Header { is_header, expected });
        self
    }

    /// Lines of one key are emitted by one task, in order.
    pub fn keyed(mut self, key_of: KeyOf) -> FileSpout {
        self.key_of = Some(key_of);
        self
    }

    /// The lines after the header.
    fn first_line(&self, bytes: &[u8]) -> Result<Lines, InputError> {
        let mut lines = Lines::default();
        let Some(header) = &self.header else {
            return Ok(lines);
        };
        match lines.next_line(bytes) {
            Some(line) if !(header.is_header)(&bytes[line.start..line.end]) => {
                Err(InputError::Header { input: self.input.to_string(), expected: header.expected })
            }
            _ => Ok(lines.counted_from_here()),
        }
    }
}

impl Spout for FileSpout {
    type MessageId = Mark;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        match self.key_of {
            None => out.fields(["number", "line"]),
            Some(_) => out.fields(["number", "line", "key"]),
        };
        out.stream(END, MARKER_FIELDS).stream(COMMIT, MARKER_FIELDS);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        let bytes = self.input.open()?;
        let first = self.first_line(&bytes)?;
        self.open = Some(Open {
            bytes,
            lines: first,
            first,
            task: ctx.task_index(),
            tasks: ctx.task_count(),
            clock: ctx.clock(),
            phase: Phase::Lines,
            again: VecDeque::new(),
            pending: 0,
            has_lines: false,
            commits_refused: 0,
            not_before: None,
            failed: None,
        });
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, Mark>) -> Result<Next, SpoutError> {
        let (key_of, repeat) = (self.key_of, self.repeat);
        let open = self.opened();
        if let Some((mark, cause)) = open.failed.take() {
            out.report_error(format!("{mark} is emitted again ({cause}); what it led to may count twice"));
        }
        if let Some(moment) = open.not_before {
            if open.clock.now() < moment {
                return Ok(Next::Until(moment));
            }
            open.not_before = None;
        }
        if let Some(mark) = open.again.pop_front() {
            open.emit_again(mark, key_of, out);
            return Ok(Next::Emitted);
        }
        Ok(match open.phase {
            Phase::Lines => open.next_line(key_of, repeat, out),
            Phase::Drain if open.pending == 0 => {
                open.phase = Phase::End;
                open.emit_marker(Mark::End, out);
                Next::Emitted
            }
            Phase::Drain | Phase::End | Phase::Commit => Next::Idle,
            Phase::Done => Next::Done,
        })
    }

    fn ack(&mut self, mark: Mark) {
        let open = self.opened();
        match mark {
            Mark::Line { .. } => open.pending -= 1,
            Mark::End => {
                open.phase = Phase::Commit;
                open.again.push_back(Mark::Commit);
            }
            Mark::Commit => open.phase = Phase::Done,
        }
    }

    fn fail(&mut self, mark: Mark, cause: FailCause) {
        let open = self.opened();
        if mark == Mark::Commit && cause == FailCause::Failed {
            // The writer could not write. That may pass (a full disk), but not in a hurry, and a
            // program that never ends would hide it.
            open.commits_refused += 1;
            if open.commits_refused == COMMITS_MAX {
                open.phase = Phase::Done;
                return;
            }
            open.not_before = Some(open.clock.now() + COMMIT_PAUSE);
        } else {
            open.failed = Some((mark, cause));
        }
        open.again.push_back(mark);
    }
}

impl FileSpout {
    #[inline]
    fn opened(&mut self) -> &mut Open {
        self.open.as_mut().expect("open comes before all else")
    }
}

impl Open {
    /// Emits the next line of this task.
    #[inline]
    fn next_line(&mut self, key_of: Option<KeyOf>, repeat: bool, out: &mut SpoutOutput<'_, Mark>) -> Next {
        for _ in 0..LINES_PER_CALL {
            let Some(line) = self.lines.next_line(&self.bytes) else {
                if !repeat {
                    self.phase = Phase::Drain;
                    return Next::Emitted;
                }
                self.lines = self.first;
                return if self.has_lines { Next::Emitted } else { Next::Idle };
            };
            if self.is_mine(line, key_of) {
                self.has_lines = true;
                self.pending += 1;
                self.emit_line(line, key_of, out);
                return Next::Emitted;
            }
        }
        Next::Emitted
    }

    #[inline]
    fn is_mine(&self, line: Line, key_of: Option<KeyOf>) -> bool {
        if self.tasks == 1 {
            return true;
        }
        let share = match key_of {
            None => line.number,
            Some(key_of) => hash(key_of(&self.bytes[line.start..line.end])),
        };
        share % self.tasks as u64 == self.task as u64
    }

    #[inline]
    fn emit_line(&self, line: Line, key_of: Option<KeyOf>, out: &mut SpoutOutput<'_, Mark>) {
        let id = Mark::Line { number: line.number, start: line.start };
        let bytes = &self.bytes[line.start..line.end];
        match key_of {
            None => out.emit_tracked(id, (line.number, bytes)),
            Some(key_of) => out.emit_tracked(id, (line.number, bytes, key_of(bytes))),
        }
    }

    fn emit_marker(&self, mark: Mark, out: &mut SpoutOutput<'_, Mark>) {
        let stream = if mark == Mark::End { END } else { COMMIT };
        out.on(stream).tracked(mark).emit((self.task, self.tasks));
    }

    #[cold]
    fn emit_again(&self, mark: Mark, key_of: Option<KeyOf>, out: &mut SpoutOutput<'_, Mark>) {
        match mark {
            Mark::Line { number, start } => {
                self.emit_line(Lines::line_at(&self.bytes, number, start), key_of, out);
            }
            Mark::End | Mark::Commit => self.emit_marker(mark, out),
        }
    }
}

/// The same in every process, as the tasks that share the lines may be anywhere.
fn hash(key: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(key);
    hasher.finish()
}
