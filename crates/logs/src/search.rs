//! How a log is searched: in blocks, so that the size of the log does not matter.
//!
//! Matches do not overlap, and each has at least a byte. A plain text is a text of bytes, and may hold the ends of
//! lines. A regular expression sees one line after the other, without its end; a line that is longer than
//! [`MAX_LINE`] is several.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;

use regex::bytes::{Regex, RegexBuilder};

use crate::error::LogError;

/// So many bytes around a match are shown.
const CONTEXT: usize = 128;
/// So much of a match is shown.
const SHOWN: usize = 1 << 10;
/// The longest text that is searched for, as in Storm.
const MAX_TEXT: usize = 1 << 10;
/// Where a line is cut.
const MAX_LINE: usize = 64 << 10;
/// Bytes that are read at once.
const BLOCK: usize = 256 << 10;
/// The most memory that a regular expression may be compiled to, and its cache as much again.
const REGEX_BYTES: usize = 1 << 20;

/// What is searched for.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    /// Of a plain text: how many bytes it has.
    plain: Option<usize>,
}

/// A place where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Its first byte.
    pub offset: u64,
    /// Up to 128 bytes before it.
    pub before: String,
    /// The match itself; of a very long one the beginning.
    pub text: String,
    /// Up to 128 bytes after it.
    pub after: String,
}

/// What was found in a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// In order.
    pub matches: Vec<Match>,
    /// Where to go on, unless the log was searched to its end.
    pub next: Option<u64>,
}

impl Pattern {
    /// A text, or what a regular expression fits. When the case is ignored, it is that of all letters for a regular
    /// expression, and that of ASCII for a text.
    ///
    /// # Errors
    /// When it is empty or too long, or no regular expression, or one that is too large.
    pub fn new(text: &str, is_regex: bool, ignore_case: bool) -> Result<Pattern, LogError> {
        let bad = |why: String| Err(LogError::BadText(why));
        if text.is_empty() {
            return bad("it is empty".to_owned());
        }
        if text.len() > MAX_TEXT {
            return bad(format!("it has {} bytes, and {MAX_TEXT} are allowed", text.len()));
        }
        let mut builder = if is_regex {
            RegexBuilder::new(text)
        } else {
            let bytes: String = text.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
            let mut builder = RegexBuilder::new(&bytes);
            // Its bytes are bytes, whatever they mean together.
            builder.unicode(false);
            builder
        };
        builder.case_insensitive(ignore_case).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES);
        match builder.build() {
            Ok(regex) => Ok(Pattern { regex, plain: (!is_regex).then_some(text.len()) }),
            Err(regex::Error::CompiledTooBig(_)) => bad("the regular expression is too large".to_owned()),
            Err(error) => bad(format!("this is no regular expression: {error}")),
        }
    }

    /// Searches a log from a byte on for the first so many matches. Ends early, and as if there were no more, once
    /// `is_unwanted`. Blocks.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn search(
        &self,
        log: &Path,
        start: u64,
        most: usize,
        is_unwanted: &dyn Fn() -> bool,
    ) -> io::Result<Matches> {
        self.search_in_blocks(File::open(log)?, start, most, is_unwanted, BLOCK)
    }

    fn search_in_blocks(
        &self,
        log: File,
        start: u64,
        most: usize,
        is_unwanted: &dyn Fn() -> bool,
        block: usize,
    ) -> io::Result<Matches> {
        let search = Search { regex: &self.regex, most, is_unwanted, found: Matches::default() };
        let start = start.min(log.metadata()?.len());
        match self.plain {
            Some(length) => {
                let window = Window::open(log, start.saturating_sub(CONTEXT as u64), block)?;
                search.text(window, start, length)
            }
            None => {
                let window = Window::open(log, start.saturating_sub(MAX_LINE as u64), block)?;
                search.lines(window, start)
            }
        }
    }
}

struct Search<'a> {
    regex: &'a Regex,
    most: usize,
    is_unwanted: &'a dyn Fn() -> bool,
    found: Matches,
}

impl Search<'_> {
    fn text(mut self, mut window: Window, start: u64, length: usize) -> io::Result<Matches> {
        let mut at = start;
        while self.is_wanted(at) {
            let is_end = window.fill(at, length)?;
            let bytes = window.from(at);
            if let Some(found) = self.regex.find(bytes) {
                let range = at + found.start() as u64..at + found.end() as u64;
                at = range.end;
                self.take(&mut window, range)?;
            } else if is_end {
                return Ok(self.found);
            } else {
                // The end may be the beginning of one.
                at += (bytes.len() + 1 - length) as u64;
            }
        }
        Ok(self.found)
    }

    fn lines(mut self, mut window: Window, start: u64) -> io::Result<Matches> {
        let mut at = window.line_start(start)?;
        // Within the line, so that what looks at its beginning sees it.
        let mut offset = (start - at) as usize;
        while self.is_wanted(at + offset as u64) {
            window.fill(at, MAX_LINE)?;
            let bytes = window.from(at);
            if bytes.is_empty() {
                return Ok(self.found);
            }
            let bytes = &bytes[..bytes.len().min(MAX_LINE)];
            let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
            let line = &bytes[..end];
            let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
            let found = if offset <= line.len() { self.regex.find_at(line, offset) } else { None };
            match found.map(|found| found.range()) {
                // Of no bytes.
                Some(found) if found.is_empty() => offset = found.end + 1,
                Some(found) => {
                    offset = found.end;
                    self.take(&mut window, at + found.start as u64..at + found.end as u64)?;
                }
                None => (at, offset) = (at + end as u64, 0),
            }
        }
        Ok(self.found)
    }

    /// Whether to go on; if not because enough was found, here is where another call does.
    fn is_wanted(&mut self, at: u64) -> bool {
        if self.found.matches.len() >= self.most {
            self.found.next = Some(at);
            return false;
        }
        !(self.is_unwanted)()
    }

    fn take(&mut self, window: &mut Window, range: Range<u64>) -> io::Result<()> {
        window.fill(range.start, (range.end - range.start) as usize + CONTEXT)?;
        let (before, text, after) = window.around(&range);
        self.found.matches.push(Match {
            offset: range.start,
            before: lossy(from_border(before)),
            text: lossy(if text.len() > SHOWN { to_border(&text[..SHOWN]) } else { text }),
            after: lossy(if after.len() == CONTEXT { to_border(after) } else { after }),
        });
        Ok(())
    }
}

// === Blocks ===

/// The part of a log that is in memory.
struct Window {
    log: io::Take<File>,
    block: usize,
    /// Where `bytes` begin.
    base: u64,
    bytes: Vec<u8>,
    is_end: bool,
}

impl Window {
    /// Opens one from a byte on to where the log ends now: one that grows faster than it is read would never end.
    fn open(mut log: File, base: u64, block: usize) -> io::Result<Window> {
        let size = log.metadata()?.len();
        log.seek(SeekFrom::Start(base))?;
        Ok(Window { log: log.take(size.saturating_sub(base)), block, base, bytes: Vec::new(), is_end: false })
    }

    /// Has at least so many bytes from a place on, unless the log ends before; whether it ends with what is here.
    /// What lies more than the context before that place may be gone then.
    fn fill(&mut self, at: u64, wanted: usize) -> io::Result<bool> {
        let wanted_end = at + wanted as u64;
        if self.end() < wanted_end && !self.is_end {
            let unneeded = at.saturating_sub(CONTEXT as u64).saturating_sub(self.base);
            let unneeded = usize::try_from(unneeded).map_or(self.bytes.len(), |n| n.min(self.bytes.len()));
            self.bytes.drain(..unneeded);
            self.base += unneeded as u64;
        }
        while self.end() < wanted_end && !self.is_end {
            let read = self.log.by_ref().take(self.block as u64).read_to_end(&mut self.bytes)?;
            self.is_end = read == 0;
        }
        Ok(self.is_end)
    }

    fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// The place of a byte among those in memory.
    fn index(&self, at: u64) -> usize {
        usize::try_from(at.saturating_sub(self.base)).map_or(self.bytes.len(), |at| at.min(self.bytes.len()))
    }

    fn from(&self, at: u64) -> &[u8] {
        &self.bytes[self.index(at)..]
    }

    /// The context before a place, what is in it, and the context after it.
    fn around(&self, range: &Range<u64>) -> (&[u8], &[u8], &[u8]) {
        let (start, end) = (self.index(range.start), self.index(range.end));
        let after = &self.bytes[end..];
        (
            &self.bytes[start.saturating_sub(CONTEXT)..start],
            &self.bytes[start..end],
            &after[..after.len().min(CONTEXT)],
        )
    }

    /// Where the line of a byte begins; in a line that is too long to tell, it is the byte itself.
    fn line_start(&mut self, at: u64) -> io::Result<u64> {
        let base = self.base;
        self.fill(base, MAX_LINE)?;
        let before = &self.bytes[..self.index(at)];
        Ok(match memchr::memrchr(b'\n', before) {
            Some(end) => base + end as u64 + 1,
            None if base == 0 => 0,
            None => at,
        })
    }
}

// === Text ===

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Without the end of a character whose beginning was cut off.
fn from_border(bytes: &[u8]) -> &[u8] {
    let cut = bytes.iter().take(3).take_while(|byte| is_continuation(**byte)).count();
    &bytes[cut..]
}

/// Without the beginning of a character whose end was cut off.
fn to_border(bytes: &[u8]) -> &[u8] {
    let last = bytes.iter().rev().take(4).position(|byte| !is_continuation(*byte));
    let Some(after) = last else { return bytes };
    let start = bytes.len() - 1 - after;
    let needed = match bytes[start] {
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
        _ => 1,
    };
    if needed > after + 1 { &bytes[..start] } else { bytes }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests;
