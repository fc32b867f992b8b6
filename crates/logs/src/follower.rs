//! A log read while it grows.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A place in a log, from where it is read on. It stays right when the log is emptied and begun anew. When the
/// log is renamed and another takes its place, the former is read to its end first.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    file: File,
    position: u64,
}

/// Some bytes of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Where they stand. Lower than the end of what was read before where the log has begun anew.
    pub offset: u64,
    /// The bytes of the whole log now.
    pub size: u64,
    /// The bytes; none where nothing has come.
    pub data: Vec<u8>,
}

impl Follower {
    /// At a byte of a log; below 0: so many before its end. A place behind the end is the end.
    ///
    /// # Errors
    /// When the log cannot be opened.
    pub fn open(path: &Path, start: i64) -> io::Result<Follower> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let position = match u64::try_from(start) {
            Ok(start) => start.min(size),
            Err(_) => size.saturating_sub(start.unsigned_abs()),
        };
        Ok(Follower::at(file, path.to_owned(), position))
    }

    /// At a byte of a log that is open.
    pub fn at(file: File, path: PathBuf, position: u64) -> Follower {
        Follower { path, file, position }
    }

    /// Where the next bytes will stand, unless the log begins anew.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The bytes of the log now.
    ///
    /// # Errors
    /// When the file system does not say.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// What has come since, up to so many bytes.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read_on(&mut self, most: u64) -> io::Result<Read> {
        let read = self.read(most)?;
        if !read.data.is_empty() || most == 0 {
            return Ok(read);
        }
        let now = match fs::symlink_metadata(&self.path) {
            Ok(now) if now.is_file() => now,
            // It was renamed and is not there again.
            Ok(_) => return Ok(read),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(read),
            Err(error) => return Err(error),
        };
        let open = self.file.metadata()?;
        if (now.dev(), now.ino()) == (open.dev(), open.ino()) {
            return Ok(read);
        }
        match File::open(&self.path) {
            Ok(file) => (self.file, self.position) = (file, 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(read),
            Err(error) => return Err(error),
        }
        self.read(most)
    }

    fn read(&mut self, most: u64) -> io::Result<Read> {
        let size = self.size()?;
        if size < self.position {
            self.position = 0;
        }
        let offset = self.position;
        let mut data = Vec::new();
        self.file.seek(SeekFrom::Start(offset))?;
        (&self.file).take(most.min(size - offset)).read_to_end(&mut data)?;
        self.position += data.len() as u64;
        Ok(Read { offset, size, data })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write as _;

    use super::*;

    fn read(follower: &mut Follower, most: u64) -> (u64, String) {
        let read = follower.read_on(most).unwrap();
        (read.offset, String::from_utf8(read.data).unwrap())
    }

    #[test]
    fn a_place_may_be_counted_from_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        fs::write(&log, "0123456789").unwrap();
        for (start, position) in [(0, 0), (3, 3), (10, 10), (11, 10), (-4, 6), (-11, 0), (i64::MIN, 0)] {
            assert_eq!(Follower::open(&log, start).unwrap().position(), position, "{start}");
        }
        let mut follower = Follower::open(&log, -4).unwrap();
        assert_eq!(read(&mut follower, 3), (6, "678".to_owned()));
        assert_eq!(read(&mut follower, 3), (9, "9".to_owned()));
        assert_eq!(read(&mut follower, 3), (10, String::new()));
        assert_eq!(follower.read_on(0).unwrap(), Read { offset: 10, size: 10, data: Vec::new() });
    }

    #[test]
    fn a_log_that_is_emptied_is_read_from_its_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut writer = OpenOptions::new().append(true).create(true).open(&log).unwrap();
        writer.write_all(b"before").unwrap();
        let mut follower = Follower::open(&log, 0).unwrap();
        assert_eq!(read(&mut follower, 100), (0, "before".to_owned()));
        writer.set_len(0).unwrap();
        writer.write_all(b"new").unwrap();
        assert_eq!(read(&mut follower, 100), (0, "new".to_owned()));
    }

    #[test]
    fn a_log_that_is_renamed_is_read_to_its_end_first() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut writer = OpenOptions::new().append(true).create(true).open(&log).unwrap();
        writer.write_all(b"before ").unwrap();
        let mut follower = Follower::open(&log, 0).unwrap();
        assert_eq!(read(&mut follower, 100), (0, "before ".to_owned()));
        fs::rename(&log, directory.path().join("log.1")).unwrap();
        writer.write_all(b"end").unwrap();
        assert_eq!(read(&mut follower, 100), (7, "end".to_owned()));
        assert_eq!(read(&mut follower, 100), (10, String::new()));
        fs::write(&log, "new").unwrap();
        assert_eq!(read(&mut follower, 100), (0, "new".to_owned()));
    }

    #[test]
    fn a_link_in_place_of_a_log_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (log, secret) = (directory.path().join("log"), directory.path().join("secret"));
        fs::write(&log, "").unwrap();
        fs::write(&secret, "secret").unwrap();
        let mut follower = Follower::open(&log, 0).unwrap();
        fs::remove_file(&log).unwrap();
        std::os::unix::fs::symlink(secret, &log).unwrap();
        assert_eq!(read(&mut follower, 100), (0, String::new()));
    }
}
