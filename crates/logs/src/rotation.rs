//! How logs are kept small: older parts are numbered, the newest is `.1`.
//!
//! A log that nobody has open is renamed, and so is one that this process writes ([`RollingFile`]). One that another
//! process writes is copied and then emptied: it goes on at the new end. What it writes between the last look at
//! the copy and the cut, some microseconds, is lost; the alternative, a pipe, would tie it to this process. Of
//! a log that grew far beyond its limit from one look to the next only the end is copied.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// When a log is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// From this size on.
    pub bytes: u64,
    /// So many older parts are kept.
    pub keep: u32,
}

impl Default for Limit {
    /// 100 MB, and three older ones.
    fn default() -> Limit {
        Limit { bytes: 100 << 20, keep: 3 }
    }
}

/// Rotates a log that nobody has open, if it is too large.
///
/// # Errors
/// When files cannot be renamed.
pub fn rotate_closed(log: &Path, limit: Limit) -> io::Result<()> {
    if size_of(log) < limit.bytes { Ok(()) } else { set_aside(log, limit.keep) }
}

/// Rotates a log that another process writes to, if it is too large. Blocks while it copies.
///
/// # Errors
/// When the files cannot be written. Then nothing is cut off.
pub fn rotate_open(log: &Path, limit: Limit) -> io::Result<()> {
    if size_of(log) < limit.bytes {
        return Ok(());
    }
    if limit.keep > 0 {
        make_room(log, limit.keep)?;
        let mut source = File::open(log)?;
        let mut copy = File::create(numbered(log, 1))?;
        let size = source.metadata()?.len();
        let start = if size > limit.bytes.saturating_mul(2) { size - limit.bytes } else { 0 };
        source.seek(SeekFrom::Start(start))?;
        // The second pass takes what came during the first, which takes long. Both are bounded, for a worker
        // may write faster than it is copied.
        for most in [size - start, limit.bytes] {
            io::copy(&mut (&source).take(most), &mut copy)?;
        }
    }
    OpenOptions::new().write(true).open(log)?.set_len(0)
}

fn set_aside(log: &Path, keep: u32) -> io::Result<()> {
    make_room(log, keep)?;
    if keep == 0 { fs::remove_file(log) } else { fs::rename(log, numbered(log, 1)) }
}

fn make_room(log: &Path, keep: u32) -> io::Result<()> {
    for older in (1..keep).rev() {
        match fs::rename(numbered(log, older), numbered(log, older + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn numbered(log: &Path, number: u32) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn size_of(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |metadata| metadata.len())
}

/// The log that this process writes. Each write is a whole entry, which stays in one part.
#[derive(Debug)]
pub struct RollingFile {
    path: PathBuf,
    limit: Limit,
    file: File,
    size: u64,
}

impl RollingFile {
    /// Opens it for append, and makes it and its directory if need be.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(path: PathBuf, limit: Limit) -> io::Result<RollingFile> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let (file, size) = append_to(&path)?;
        Ok(RollingFile { path, limit, file, size })
    }
}

fn append_to(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

impl Write for RollingFile {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        if self.size >= self.limit.bytes {
            let rotated = set_aside(&self.path, self.limit.keep).and_then(|()| append_to(&self.path));
            match rotated {
                Ok(opened) => (self.file, self.size) = opened,
                // A log that is too large is better than none. What goes wrong now may go well a whole log later.
                Err(_) => self.size = 0,
            }
        }
        self.file.write_all(entry)?;
        self.size += entry.len() as u64;
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_log_is_emptied_and_its_writer_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("worker.log");
        let mut writer = OpenOptions::new().append(true).create(true).open(&log).unwrap();
        let limit = Limit { bytes: 4, keep: 2 };
        for text in ["first\n", "second\n", "third\n"] {
            writer.write_all(text.as_bytes()).unwrap();
            rotate_open(&log, limit).unwrap();
        }
        writer.write_all(b"x\n").unwrap();
        rotate_open(&log, limit).unwrap();
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(read("worker.log"), "x\n");
        assert_eq!(
            (read("worker.log.1"), read("worker.log.2")),
            ("third\n".to_owned(), "second\n".to_owned())
        );
        assert!(!directory.path().join("worker.log.3").exists());
    }

    #[test]
    fn of_a_log_that_grew_far_too_large_the_end_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("worker.log");
        fs::write(&log, "0123456789".repeat(100)).unwrap();
        rotate_open(&log, Limit { bytes: 20, keep: 2 }).unwrap();
        assert_eq!(fs::read_to_string(numbered(&log, 1)).unwrap(), "01234567890123456789");
        assert_eq!(size_of(&log), 0);
    }

    #[test]
    fn a_closed_log_is_renamed() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("worker.log");
        fs::write(&log, "0123456789").unwrap();
        rotate_closed(&log, Limit { bytes: 11, keep: 3 }).unwrap();
        assert!(log.exists());
        rotate_closed(&log, Limit { bytes: 10, keep: 3 }).unwrap();
        assert!(!log.exists() && numbered(&log, 1).exists());
    }

    #[test]
    fn a_log_of_our_own_rolls_between_entries() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("logs/nimbus.log");
        let limit = Limit { bytes: 4, keep: 2 };
        let mut file = RollingFile::open(log.clone(), limit).unwrap();
        for entry in ["first\n", "second\n", "third\n", "a\n"] {
            file.write_all(entry.as_bytes()).unwrap();
        }
        drop(file);
        let mut file = RollingFile::open(log.clone(), limit).unwrap();
        file.write_all(b"b\n").unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!(read(&log), "a\nb\n");
        assert_eq!(
            (read(&numbered(&log, 1)), read(&numbered(&log, 2))),
            ("third\n".into(), "second\n".into())
        );
    }

    #[test]
    fn a_log_that_cannot_be_renamed_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("nimbus.log");
        let mut file = RollingFile::open(log.clone(), Limit { bytes: 1, keep: 1 }).unwrap();
        fs::create_dir(numbered(&log, 1)).unwrap();
        file.write_all(b"first\n").unwrap();
        file.write_all(b"second\n").unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "first\nsecond\n");
    }
}
