//! The bytes that are read, and their lines.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::{fs, io};

use thiserror::Error;

/// Where the lines come from: a file, or bytes that are embedded in the binary.
#[derive(Clone)]
pub enum Input {
    /// A file; read as a whole when it is opened.
    File(PathBuf),
    /// Bytes within the program.
    Embedded(&'static [u8]),
}

/// The input cannot be used.
#[derive(Debug, Error)]
pub enum InputError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The first line is not what the example can read.
    #[error("{input}: the first line is not '{expected}'")]
    Header {
        /// The file, or that it is the embedded one.
        input: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl Input {
    /// The file if there is one, else the embedded bytes.
    pub fn new(file: Option<&Path>, embedded: &'static [u8]) -> Input {
        file.map_or(Input::Embedded(embedded), |path| Input::File(path.to_owned()))
    }

    /// The bytes. Tasks of one process share those of a file.
    ///
    /// # Errors
    /// The file's path and why it cannot be read.
    pub fn open(&self) -> Result<Bytes, InputError> {
        match self {
            Input::Embedded(bytes) => Ok(Bytes::Embedded(bytes)),
            Input::File(path) => read_shared(path)
                .map(Bytes::File)
                .map_err(|source| InputError::Read { path: path.clone(), source }),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::File(path) => path.display().fmt(f),
            Input::Embedded(_) => f.write_str("the embedded input"),
        }
    }
}

/// The bytes of an input.
#[derive(Clone, Debug)]
pub enum Bytes {
    /// Those of a file, shared by its readers.
    File(Arc<Vec<u8>>),
    /// Those within the program.
    Embedded(&'static [u8]),
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Bytes::File(bytes) => bytes,
            Bytes::Embedded(bytes) => bytes,
        }
    }
}

/// A file whose bytes some task of this process may still hold.
type OpenFile = (PathBuf, Weak<Vec<u8>>);

fn read_shared(path: &Path) -> io::Result<Arc<Vec<u8>>> {
    static OPEN: Mutex<Vec<OpenFile>> = Mutex::new(Vec::new());
    // Held while reading, so that the second task waits for the bytes instead of reading, too.
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|(_, bytes)| bytes.strong_count() > 0);
    if let Some(bytes) = open.iter().find_map(|(p, bytes)| if p == path { bytes.upgrade() } else { None }) {
        return Ok(bytes);
    }
    let bytes = Arc::new(fs::read(path)?);
    open.push((path.to_owned(), Arc::downgrade(&bytes)));
    Ok(bytes)
}

/// One line: where it is, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number in the input, from 1.
    pub number: u64,
    /// Position of its first byte.
    pub start: usize,
    /// Position after its last byte, the LF not counted.
    pub end: usize,
}

/// Reads bytes line by line. A line ends in LF or with the input.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lines {
    start: usize,
    number: u64,
}

impl Lines {
    /// The line that begins here.
    #[inline]
    pub fn line_at(bytes: &[u8], number: u64, start: usize) -> Line {
        let rest = &bytes[start..];
        let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        Line { number, start, end: start + len }
    }

    /// What is left, its first line having number 1.
    pub fn counted_from_here(self) -> Lines {
        Lines { number: 0, ..self }
    }

    /// The next line, if there is one.
    #[inline]
    pub fn next_line(&mut self, bytes: &[u8]) -> Option<Line> {
        if self.start >= bytes.len() {
            return None;
        }
        let line = Lines::line_at(bytes, self.number + 1, self.start);
        *self = Lines { start: line.end + 1, number: line.number };
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<(u64, &[u8])> {
        let mut lines = Lines::default();
        std::iter::from_fn(|| lines.next_line(bytes)).map(|l| (l.number, &bytes[l.start..l.end])).collect()
    }

    #[test]
    fn a_line_ends_in_lf_or_with_the_input() {
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n"), [(1, &b""[..])]);
        assert_eq!(lines(b"a\r\n\nb"), [(1, &b"a\r"[..]), (2, b""), (3, b"b")]);
        assert_eq!(lines(b"a\n"), [(1, &b"a"[..])]);
    }

    #[test]
    fn readers_of_a_file_share_its_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "one\ntwo").unwrap();
        let input = Input::File(file.path().to_owned());
        let (Bytes::File(a), Bytes::File(b)) = (input.open().unwrap(), input.open().unwrap()) else {
            panic!("not from a file");
        };
        assert!(Arc::ptr_eq(&a, &b));
    }
}
