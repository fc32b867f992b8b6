//! The output of workers: which logs are kept, how they are found and read line by line.
//!
//! A worker writes to `<artifacts>/<topology id>/<port>/worker.log`, opened for append. Older parts are
//! `worker.log.1` (the newest) to `worker.log.3`. Before a start, when nobody has the file open, it is
//! renamed. While a worker runs it is copied and then emptied: the worker goes on at the new end.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use storm_logs::{Follower, Read, entries, is_of, port_of, worker_log};

/// Bytes of a log that are read at once.
const READ_AT_ONCE: u64 = 1 << 20;
/// A line is cut there: whoever logs without ever ending a line does not fill our memory.
const MAX_LINE: usize = 64 << 10;
/// Where the last words of a process are looked for: so many bytes from the end.
const LAST_WORDS: u64 = 64 << 10;
/// They are cut there.
const LAST_WORDS_CHARS: usize = 300;

// === Keeping ===

/// Which logs of former workers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// All logs together may have so many bytes; beyond that the oldest go.
    pub bytes: u64,
    /// Those that nobody has written to for so long go in any case.
    pub age: Option<Duration>,
    /// How often that is looked at.
    pub look_every: Duration,
}

/// Removes logs of workers that are not `in_use`: those that are too old, and the oldest where all together
/// are too large.
pub(crate) fn clean(artifacts: &Path, in_use: &BTreeSet<(String, u16)>, keep: Keep, now: SystemTime) {
    let mut total = 0;
    let mut unused = Vec::new();
    for id in entries(artifacts) {
        for port in entries(&artifacts.join(&id)).filter_map(|name| port_of(&name)) {
            let directory = artifacts.join(&id).join(port.to_string());
            let files = entries(&directory).filter_map(|name| fs::metadata(directory.join(name)).ok());
            let (mut bytes, mut written) = (0, SystemTime::UNIX_EPOCH);
            for file in files {
                bytes += file.len();
                written = written.max(file.modified().unwrap_or(now));
            }
            total += bytes;
            if !in_use.contains(&(id.clone(), port)) {
                unused.push((written, bytes, directory));
            }
        }
    }
    unused.sort();
    for (written, bytes, directory) in unused {
        let age = now.duration_since(written).unwrap_or_default();
        if total <= keep.bytes && keep.age.is_none_or(|most| age <= most) {
            break;
        }
        match fs::remove_dir_all(&directory) {
            Ok(()) => {
                total = total.saturating_sub(bytes);
                tracing::info!(directory = %directory.display(), bytes, ?age, "old logs removed");
            }
            Err(error) => {
                tracing::warn!(directory = %directory.display(), %error, "cannot remove old logs");
            }
        }
        // The topology's own, if that was its last port here.
        directory.parent().map(fs::remove_dir);
    }
}

// === Finding ===

/// The logs of a topology, by name or id, and a port; empty and `None` stand for any. Of several
/// topologies that had the same port (or the same name, one after the other) the one that was
/// written to last.
pub(crate) fn find(artifacts: &Path, topology: &str, port: Option<u16>) -> Vec<(u16, PathBuf)> {
    let mut newest: std::collections::BTreeMap<u16, (SystemTime, PathBuf)> = Default::default();
    for directory in entries(artifacts).filter(|name| is_of(name, topology)) {
        for port in entries(&artifacts.join(&directory)).filter_map(|name| port_of(&name)) {
            let log = worker_log(artifacts, &directory, port);
            let Ok(written) = fs::metadata(&log).and_then(|metadata| metadata.modified()) else { continue };
            let entry = newest.entry(port).or_insert_with(|| (written, log.clone()));
            if written > entry.0 {
                *entry = (written, log);
            }
        }
    }
    let wanted = newest.into_iter().filter(|(found, _)| port.is_none_or(|port| port == *found));
    wanted.map(|(port, (_, log))| (port, log)).collect()
}

// === Reading ===

/// The place up to which a log was read.
#[derive(Debug)]
pub(crate) struct Cursor {
    follower: Follower,
    /// The start of a line whose end has not come.
    rest: Vec<u8>,
}

/// The last lines of a log that hold a text, and where to go on.
///
/// # Errors
/// When the log cannot be read.
pub(crate) fn tail(log: &Path, count: usize, grep: &str) -> io::Result<(Vec<String>, Cursor)> {
    let file = File::open(log)?;
    let mut lines = std::collections::VecDeque::new();
    let mut reader = BufReader::new(file);
    // Without a text to look for only the end is of interest.
    if grep.is_empty() {
        let size = reader.get_ref().metadata()?.len();
        let start = size.saturating_sub(READ_AT_ONCE.max(count as u64 * 512));
        if start > 0 {
            reader.seek(SeekFrom::Start(start))?;
            let mut cut = Vec::new();
            reader.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut cut)?;
        }
    }
    let mut rest = Vec::new();
    loop {
        rest.clear();
        let read = reader.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut rest)?;
        let is_whole = rest.last() == Some(&b'\n') || read == MAX_LINE;
        if read == 0 || !is_whole {
            break;
        }
        push_line(&rest, grep, |line| {
            lines.push_back(line);
            if lines.len() > count {
                lines.pop_front();
            }
        });
    }
    let position = reader.stream_position()?;
    let follower = Follower::at(reader.into_inner(), log.to_owned(), position);
    Ok((lines.into(), Cursor { follower, rest }))
}

/// The last line that says something, of what was written from `start` on: what a process said before
/// it ended. One that `says_why` has ended by an error of its own, which may have many lines: the first counts.
pub(crate) fn last_words(log: &Path, start: u64, says_why: bool) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let size = file.metadata().ok()?.len();
    // It was rotated meanwhile when it is shorter.
    let start = if size < start { 0 } else { start };
    file.seek(SeekFrom::Start(start.max(size.saturating_sub(LAST_WORDS)))).ok()?;
    let mut bytes = Vec::new();
    file.take(LAST_WORDS).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    // A panic ends with a note on backtraces.
    let says_something = |line: &&str| !line.trim().is_empty() && !line.starts_with("note: ");
    let is_why = |line: &&str| line.starts_with("error: ") || line.contains("panicked at ");
    let why = text.lines().rev().find(is_why).filter(|line| says_why && line.starts_with("error: "));
    let line = why.or_else(|| text.lines().rev().find(says_something))?;
    Some(line.trim().chars().take(LAST_WORDS_CHARS).collect())
}

impl Cursor {
    /// The lines that have come since.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn read_on(&mut self, grep: &str) -> io::Result<Vec<String>> {
        let end = self.follower.position();
        let Read { offset, data, .. } = self.follower.read_on(READ_AT_ONCE)?;
        if offset != end {
            // The log has begun anew: the rest of that line will not come.
            self.rest.clear();
        }
        self.rest.extend(data);
        let mut lines = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            push_line(&line, grep, |line| lines.push(line));
        }
        if self.rest.len() > MAX_LINE {
            push_line(&std::mem::take(&mut self.rest), grep, |line| lines.push(line));
        }
        Ok(lines)
    }
}

fn push_line(bytes: &[u8], grep: &str, take: impl FnOnce(String)) {
    let line = String::from_utf8_lossy(bytes);
    let line = line.trim_end_matches(['\n', '\r']);
    if line.contains(grep) {
        take(line.to_owned());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it is used")]

    use std::fs::OpenOptions;
    use std::io::Write as _;

    use super::*;

    #[test]
    fn old_logs_go_by_age_and_by_size_but_none_that_is_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let write = |id: &str, port: u16, bytes: usize, age_secs: u64| {
            let log = worker_log(directory.path(), id, port);
            fs::create_dir_all(log.parent().unwrap()).unwrap();
            fs::write(&log, vec![b'x'; bytes]).unwrap();
            let written = SystemTime::now() - Duration::from_secs(age_secs);
            File::options().write(true).open(&log).unwrap().set_modified(written).unwrap();
        };
        let all = || {
            let ids = entries(directory.path());
            let ports = |id: String| {
                let ports: Vec<_> = entries(&directory.path().join(&id)).collect();
                ports.into_iter().map(move |port| format!("{id}:{port}"))
            };
            let mut all: Vec<_> = ids.flat_map(ports).collect();
            all.sort();
            all
        };
        write("used-1-1", 6700, 100, 900);
        write("old-2-1", 6700, 10, 900);
        write("large-3-1", 6700, 100, 300);
        write("large-3-1", 6701, 100, 200);
        write("new-4-1", 6700, 10, 100);
        let in_use = BTreeSet::from([("used-1-1".to_owned(), 6700)]);
        let look_every = Duration::from_secs(600);
        let keep = Keep { bytes: 230, age: None, look_every };
        clean(directory.path(), &in_use, keep, SystemTime::now());
        assert_eq!(all(), ["large-3-1:6701", "new-4-1:6700", "used-1-1:6700"]);
        let keep = Keep { bytes: 230, age: Some(Duration::from_secs(150)), look_every };
        clean(directory.path(), &in_use, keep, SystemTime::now());
        assert_eq!(all(), ["new-4-1:6700", "used-1-1:6700"]);
        assert!(!directory.path().join("large-3-1").exists());
    }

    #[test]
    fn the_tail_ends_with_whole_lines_and_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("worker.log");
        fs::write(&log, "one\ntwo\nthree\nfo").unwrap();
        let (lines, mut cursor) = tail(&log, 2, "").unwrap();
        assert_eq!(lines, ["two", "three"]);
        let mut writer = OpenOptions::new().append(true).open(&log).unwrap();
        writer.write_all(b"ur\nfive\n").unwrap();
        assert_eq!(cursor.read_on("").unwrap(), ["four", "five"]);
        assert!(cursor.read_on("").unwrap().is_empty());
        writer.set_len(0).unwrap();
        writer.write_all(b"six\n").unwrap();
        assert_eq!(cursor.read_on("").unwrap(), ["six"]);
        assert_eq!(tail(&log, 5, "nothing").unwrap().0, [""; 0]);
    }

    #[test]
    fn the_last_words_are_those_of_this_life() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("worker.log");
        fs::write(&log, "of before\nout of cheese\nnote: run with a backtrace\n\n").unwrap();
        assert_eq!(last_words(&log, 10, true).as_deref(), Some("out of cheese"));
        assert_eq!(last_words(&log, 24, true), None);
        assert_eq!(last_words(&log, 1000, true).as_deref(), Some("out of cheese"));
        fs::write(&log, "error: it is another one\n{\n  \"a\": 1\n}\n").unwrap();
        assert_eq!(last_words(&log, 0, true).as_deref(), Some("error: it is another one"));
        assert_eq!(last_words(&log, 0, false).as_deref(), Some("}"));
        fs::write(&log, "error: of before\nthread 'x' panicked at a.rs:1:1:\nboom\n").unwrap();
        assert_eq!(last_words(&log, 0, true).as_deref(), Some("boom"));
    }

    #[test]
    fn logs_are_found_by_name_id_and_port() {
        let directory = tempfile::tempdir().unwrap();
        for (id, port) in [("words-1-10", 6700), ("words-1-10", 6701), ("more-words-2-11", 6702)] {
            let log = worker_log(directory.path(), id, port);
            fs::create_dir_all(log.parent().unwrap()).unwrap();
            fs::write(log, "").unwrap();
        }
        let ports = |topology: &str, port| -> Vec<u16> {
            find(directory.path(), topology, port).into_iter().map(|(port, _)| port).collect()
        };
        assert_eq!(ports("words", None), [6700, 6701]);
        assert_eq!(ports("more-words-2-11", None), [6702]);
        assert_eq!(ports("", Some(6701)), [6701]);
        assert!(ports("word", None).is_empty() && ports("words", Some(6702)).is_empty());
    }
}
