//! Where results go: files that are there as a whole or not at all, and stdout.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};
use thiserror::Error;

/// A file or directory could not be written.
#[derive(Debug, Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct WriteError {
    path: PathBuf,
    source: io::Error,
}

impl WriteError {
    /// The error of this path; for `map_err`.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> WriteError {
        move |source| WriteError { path: path.to_owned(), source }
    }
}

/// Writes a file by way of a temporary one beside it: a reader sees the old content or the new one,
/// a crash leaves one of the two. Missing directories are created.
///
/// # Errors
/// The path and why it cannot be written.
pub fn replace_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    replace(path, write).map_err(WriteError::at(path))
}

/// Makes sure, before hours of counting, that a file at this path can be written.
///
/// # Errors
/// The path and why it cannot be written.
pub fn check_file(path: &Path) -> Result<(), WriteError> {
    let check = || {
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        temporary_beside(path).map(drop)
    };
    check().map_err(WriteError::at(path))
}

/// Makes sure that files in this directory can be written; it is created.
///
/// # Errors
/// The path and why it cannot be written.
pub fn check_dir(dir: &Path) -> Result<(), WriteError> {
    temporary_in(dir).map(drop).map_err(WriteError::at(dir))
}

/// Writes to stdout. That the reader of a pipe has seen enough is no error.
///
/// # Errors
/// Why it cannot be written.
pub fn show(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), WriteError> {
    let mut stdout = BufWriter::new(io::stdout().lock());
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(WriteError::at(Path::new("stdout"))(error))
        }
        _ => Ok(()),
    }
}

fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let temporary = temporary_beside(path)?;
    let mut buffer = BufWriter::new(temporary.as_file());
    write(&mut buffer)?;
    buffer.flush()?;
    drop(buffer);
    temporary.as_file().sync_all()?;
    temporary.persist(path)?;
    Ok(())
}

fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    // The parent of a bare file name is "", which means the working directory.
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    temporary_in(dir.unwrap_or(Path::new(".")))
}

fn temporary_in(dir: &Path) -> io::Result<NamedTempFile> {
    fs::create_dir_all(dir)?;
    let mut builder = Builder::new();
    builder.prefix(".writing-");
    // A temporary file is private by default; the result is to have the rights that a file has
    // which is simply created, and the umask applies to these, too.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(dir)
}
