//! The programs that are measured: they lie beside this one.

use std::env;
use std::path::PathBuf;

use super::error::Error;

/// A program of this workspace, of the profile that this one was built with.
fn program(name: &str) -> Result<PathBuf, Error> {
    let this = env::current_exe().map_err(Error::io("cannot tell where this program is"))?;
    let path = this.with_file_name(name);
    if path.is_file() { Ok(path) } else { Err(Error::Missing(path)) }
}

/// The command.
pub(super) fn storm_rs() -> Result<PathBuf, Error> {
    program("storm-rs")
}

/// A topology that emits numbers at a rate, and writes down which have arrived.
pub(super) fn at_least_once() -> Result<PathBuf, Error> {
    program("at-least-once")
}

/// A topology that counts words.
pub(super) fn word_count() -> Result<PathBuf, Error> {
    program("word-count")
}
