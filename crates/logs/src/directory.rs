//! Which log files there are, and what they may be called.
//!
//! A name is `<topology id>/<port>/<file>` in a directory of workers, and `<file>` in a daemon's. Directories that are
//! links are not looked into, and a file that is a link counts only when it leads to another one below the same
//! directory.

use std::fs::{self, DirEntry, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::LogError;

/// A directory with log files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirectory {
    path: PathBuf,
    is_workers: bool,
}

/// One of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its name in the directory.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// When it was written last.
    pub modified: SystemTime,
}

impl LogFile {
    /// Whether it is an older part, which nobody writes to any more.
    pub fn is_archived(&self) -> bool {
        part(&self.name).1 > 0
    }
}

impl LogDirectory {
    /// That of the workers of a machine.
    pub fn of_workers(path: PathBuf) -> LogDirectory {
        LogDirectory { path, is_workers: true }
    }

    /// That of a daemon.
    pub fn of_daemon(path: PathBuf) -> LogDirectory {
        LogDirectory { path, is_workers: false }
    }

    /// The files of a topology, by name or id, and a port: empty and `None` stand for any, and a daemon's files are
    /// of neither. Newest topologies stand first, and of each log the newest part.
    ///
    /// # Errors
    /// When the directory is there and cannot be read.
    pub fn list(&self, topology: &str, port: Option<u16>) -> io::Result<Vec<LogFile>> {
        let mut files = Vec::new();
        match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
            read => drop(read?),
        }
        if !self.is_workers {
            add_files(&mut files, &self.path, "");
            files.sort_by(|a, b| part(&a.name).cmp(&part(&b.name)));
            return Ok(files);
        }
        let is_directory = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let mut ids: Vec<String> =
            fitting(&self.path, is_directory).map(|(id, _)| id).filter(|id| is_of(id, topology)).collect();
        ids.sort_by(|a, b| submission(b).cmp(&submission(a)));
        for id in ids {
            let directory = self.path.join(&id);
            let ports = fitting(&directory, is_directory)
                .filter_map(|(name, _)| Some((port_of(&name)?, name)))
                .filter(|(found, _)| port.is_none_or(|port| port == *found));
            let mut ports: Vec<_> = ports.collect();
            ports.sort();
            for (_, port) in ports {
                let first = files.len();
                add_files(&mut files, &directory.join(&port), &format!("{id}/{port}/"));
                files[first..].sort_by(|a, b| part(&a.name).cmp(&part(&b.name)));
            }
        }
        Ok(files)
    }

    /// Where the file of this name is.
    ///
    /// # Errors
    /// When no file could have that name, or none has it; or it leads out of the directory.
    pub fn resolve(&self, name: &str) -> Result<PathBuf, LogError> {
        if !self.is_name(name) {
            return Err(LogError::BadName(name.to_owned()));
        }
        let found = self.path.canonicalize().and_then(|directory| {
            let path = self.path.join(name).canonicalize()?;
            let is_inside = path.starts_with(&directory) && fs::symlink_metadata(&path)?.is_file();
            Ok(is_inside.then_some(path))
        });
        match found {
            Ok(Some(path)) => Ok(path),
            Ok(None) => Err(self.no_such_file(name)),
            Err(error) if is_absence(&error) => Err(self.no_such_file(name)),
            Err(error) => Err(error.into()),
        }
    }

    fn is_name(&self, name: &str) -> bool {
        let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        let parts: Vec<&str> = name.split('/').collect();
        parts.iter().all(|part| is_plain(part))
            && match parts[..] {
                [_] => !self.is_workers,
                [_, port, _] => self.is_workers && port_of(port).is_some(),
                _ => false,
            }
    }

    /// Those that are as near as possible are named: of the same port, else of the same topology, else all.
    fn no_such_file(&self, name: &str) -> LogError {
        let (id, port) = match name.split('/').collect::<Vec<_>>()[..] {
            [id, port, _] => (id, port_of(port)),
            _ => ("", None),
        };
        let all = [(id, port), (id, None), ("", None)].into_iter();
        let all = all.map(|(id, port)| self.list(id, port).unwrap_or_default());
        let there = all.into_iter().find(|files| !files.is_empty()).unwrap_or_default();
        LogError::NoSuchFile {
            name: name.to_owned(),
            there: there.into_iter().map(|file| file.name).collect(),
        }
    }
}

fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
}

/// Where a worker's log is.
pub fn worker_log(workers: &Path, topology: &str, port: u16) -> PathBuf {
    workers.join(topology).join(port.to_string()).join("worker.log")
}

/// The port that a directory is called after.
pub fn port_of(name: &str) -> Option<u16> {
    is_number(name).then(|| name.parse().ok()).flatten()
}

/// Whether an id is, or is one of a topology of this name: `<name>-<submission>-<seconds>`. Every id is one of
/// the empty name.
pub fn is_of(id: &str, name_or_id: &str) -> bool {
    let mut parts = id.rsplitn(3, '-');
    let (seconds, submission, name) = (parts.next(), parts.next(), parts.next());
    name_or_id.is_empty()
        || id == name_or_id
        || (name == Some(name_or_id) && seconds.is_some_and(is_number) && submission.is_some_and(is_number))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// When a topology was submitted, and which submission it was.
fn submission(id: &str) -> (u64, u64, &str) {
    let mut parts = id.rsplitn(3, '-');
    let mut number = || parts.next().and_then(|number| number.parse().ok()).unwrap_or(0);
    (number(), number(), id)
}

/// A log's name, and which part of it this is: 0 for the one that is written to.
fn part(name: &str) -> (&str, u64) {
    let numbered = name.rsplit_once('.').and_then(|(log, number)| {
        let number = if is_number(number) { number.parse().ok() } else { None };
        Some((log, number?))
    });
    numbered.unwrap_or((name, 0))
}

/// The names in a directory, as far as they are text; none when it cannot be read.
pub fn entries(directory: &Path) -> impl Iterator<Item = String> {
    fitting(directory, |_| true).map(|(name, _)| name)
}

fn fitting(directory: &Path, fits: impl Fn(&DirEntry) -> bool) -> impl Iterator<Item = (String, DirEntry)> {
    let all = fs::read_dir(directory).into_iter().flatten().flatten().filter(fits);
    all.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry)))
}

fn add_files(files: &mut Vec<LogFile>, directory: &Path, prefix: &str) {
    let is_file = |entry: &DirEntry| entry.file_type().as_ref().is_ok_and(FileType::is_file);
    for (name, entry) in fitting(directory, is_file) {
        // It was removed meanwhile.
        let Ok(metadata) = entry.metadata() else { continue };
        let modified = Metadata::modified(&metadata).unwrap_or(SystemTime::UNIX_EPOCH);
        files.push(LogFile { name: format!("{prefix}{name}"), size: metadata.len(), modified });
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;
    use storm_rpc::CallError;

    use super::*;

    fn write(path: PathBuf) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }

    fn names(files: io::Result<Vec<LogFile>>) -> Vec<String> {
        files.unwrap().into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn files_of_workers_are_listed_by_topology_and_port() {
        let root = tempfile::tempdir().unwrap();
        let logs = LogDirectory::of_workers(root.path().join("artifacts"));
        assert!(names(logs.list("", None)).is_empty());
        for name in [
            "words-1-10/6701/worker.log",
            "words-1-10/6701/worker.log.10",
            "words-1-10/6701/worker.log.2",
            "words-1-10/6700/events.log",
            "more-words-2-11/6702/worker.log",
            "words-1-10/of no port/worker.log",
            "words-1-10/6701/deeper/worker.log",
            "words-1-10/worker.log",
            "worker.log",
        ] {
            write(logs.path.join(name));
        }
        symlink("worker.log", logs.path.join("words-1-10/6701/link.log")).unwrap();
        symlink(logs.path.join("words-1-10"), logs.path.join("words-3-12")).unwrap();
        let all = [
            "more-words-2-11/6702/worker.log",
            "words-1-10/6700/events.log",
            "words-1-10/6701/worker.log",
            "words-1-10/6701/worker.log.2",
            "words-1-10/6701/worker.log.10",
        ];
        assert_eq!(names(logs.list("", None)), all);
        assert_eq!(names(logs.list("words", None)), all[1..]);
        assert_eq!(names(logs.list("words-1-10", Some(6700))), all[1..2]);
        assert_eq!(names(logs.list("", Some(6702))), all[..1]);
        assert!(
            names(logs.list("word", None)).is_empty() && names(logs.list("words", Some(6702))).is_empty()
        );
        let files = logs.list("words", None).unwrap();
        assert_eq!(files.iter().filter(|file| file.is_archived()).count(), 2);
        assert_eq!(files[0].size, 1);
    }

    #[test]
    fn files_of_a_daemon_have_bare_names() {
        let root = tempfile::tempdir().unwrap();
        let logs = LogDirectory::of_daemon(root.path().to_owned());
        for name in ["nimbus.log.1", "nimbus.log", "deeper/nimbus.log"] {
            write(root.path().join(name));
        }
        assert_eq!(names(logs.list("", None)), ["nimbus.log", "nimbus.log.1"]);
        assert_eq!(
            logs.resolve("nimbus.log").unwrap(),
            root.path().canonicalize().unwrap().join("nimbus.log")
        );
        let error = |name| CallError::from(logs.resolve(name).unwrap_err());
        assert_eq!(error("deeper/nimbus.log").message, "'deeper/nimbus.log' is no name of a log file");
        assert_eq!(error("ui.log").advice, "there are 2: nimbus.log, nimbus.log.1");
        assert_eq!(error("deeper").message, "there is no log file 'deeper' here");
        assert_eq!(error(&"x".repeat(10_000)).code, storm_rpc::ErrorCode::Invalid);
    }

    #[test]
    fn the_nearest_files_are_named() {
        let root = tempfile::tempdir().unwrap();
        let logs = LogDirectory::of_workers(root.path().to_owned());
        for name in ["a-1-1/6700/worker.log", "a-1-1/6701/worker.log", "b-2-2/6700/worker.log"] {
            write(root.path().join(name));
        }
        let advice = |name| CallError::from(logs.resolve(name).unwrap_err()).advice;
        assert_eq!(advice("a-1-1/6701/x"), "there are 1: a-1-1/6701/worker.log");
        assert_eq!(advice("a-1-1/6702/x"), "there are 2: a-1-1/6700/worker.log, a-1-1/6701/worker.log");
        assert!(advice("c-1-1/6702/x").starts_with("there are 3: b-2-2/6700/worker.log, "));
    }

    #[test]
    fn links_count_inside_only() {
        let outside = tempfile::tempdir().unwrap();
        write(outside.path().join("6700/secret"));
        let root = tempfile::tempdir().unwrap();
        let logs = LogDirectory::of_workers(root.path().to_owned());
        write(root.path().join("a/6700/worker.log"));
        symlink("worker.log", root.path().join("a/6700/inside")).unwrap();
        symlink(outside.path().join("6700/secret"), root.path().join("a/6700/outside")).unwrap();
        symlink(outside.path(), root.path().join("b")).unwrap();
        symlink("/dev/zero", root.path().join("a/6700/zero")).unwrap();
        assert!(logs.resolve("a/6700/inside").unwrap().ends_with("a/6700/worker.log"));
        for name in ["a/6700/outside", "b/6700/secret", "a/6700/zero"] {
            assert!(matches!(logs.resolve(name), Err(LogError::NoSuchFile { .. })), "{name}");
        }
        // The directory itself may be reached by one.
        let link = outside.path().join("logs");
        symlink(root.path(), &link).unwrap();
        assert!(LogDirectory::of_workers(link).resolve("a/6700/worker.log").is_ok());
    }

    proptest! {
        #[test]
        fn no_name_leads_out(
            parts in prop::collection::vec(
                prop_oneof![
                    Just(".."), Just("."), Just(""), Just("a"), Just("6700"), Just("worker.log"), Just("out"),
                    Just("in"), Just("\0"), Just("etc"), Just("passwd"), Just("..\0"), Just("secret"),
                ],
                0..7,
            ),
            any: String,
            is_workers: bool,
        ) {
            let outside = tempfile::tempdir().unwrap();
            let root = outside.path().join("logs");
            write(outside.path().join("secret"));
            write(outside.path().join("6700/secret"));
            write(root.join("a/6700/worker.log"));
            write(root.join("worker.log"));
            for directory in [root.clone(), root.join("a"), root.join("a/6700")] {
                symlink(outside.path(), directory.join("out")).unwrap();
                symlink(outside.path().join("secret"), directory.join("secret")).unwrap();
            }
            symlink("worker.log", root.join("in")).unwrap();
            symlink("worker.log", root.join("a/6700/in")).unwrap();
            let logs = LogDirectory { path: root.clone(), is_workers };
            let root = root.canonicalize().unwrap();
            for name in [parts.join("/"), format!("a/6700/{any}"), any] {
                if let Ok(path) = logs.resolve(&name) {
                    prop_assert!(path.starts_with(&root) && path.ends_with("worker.log"), "{}", path.display());
                    prop_assert_eq!(path.canonicalize().unwrap(), path);
                }
            }
        }

        #[test]
        fn what_is_listed_can_be_read(names in prop::collection::vec("[a-z.]{1,3}", 1..5), is_workers: bool) {
            let root = tempfile::tempdir().unwrap();
            let logs = LogDirectory { path: root.path().to_owned(), is_workers };
            let directory = if is_workers { root.path().join("a-1-2/6700") } else { root.path().to_owned() };
            for name in names.iter().filter(|name| !matches!(name.as_str(), "." | "..")) {
                write(directory.join(name));
            }
            for file in logs.list("", None).unwrap() {
                prop_assert!(logs.resolve(&file.name).is_ok());
            }
        }
    }
}
