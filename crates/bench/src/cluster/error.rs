//! What can go wrong while a cluster is measured.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A program that has to be built first.
    #[error(
        "there is no {}; build it with `cargo build{} -p storm-cli -p word-count -p at-least-once`",
        .0.display(),
        if cfg!(debug_assertions) { "" } else { " --release" }
    )]
    Missing(PathBuf),
    /// What was waited for did not come.
    #[error("not within {} s: {what}{detail}", within.as_secs())]
    Late {
        /// What.
        what: String,
        /// How long it was waited for.
        within: Duration,
        /// What was seen instead; may be empty.
        detail: String,
    },
    /// A command said no.
    #[error("`storm-rs {command}` failed with exit code {code}: {said}")]
    Command {
        /// Its arguments.
        command: String,
        /// Its exit code, -1 after a signal.
        code: i32,
        /// What it wrote to stderr.
        said: String,
    },
    /// The figures are not what they should be.
    #[error("{0}")]
    Unexpected(String),
    /// The operating system said no.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Its words.
        source: io::Error,
    },
    /// Ctrl-C, or a termination signal.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// The operating system's error in the middle of something; for `map_err`.
    pub(super) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { doing, source }
    }

    /// Whether all that follows would fail by it, too.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Error::Missing(_) | Error::Interrupted)
    }
}
