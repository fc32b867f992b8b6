//! What can go wrong in the demo.

use std::io;

use thiserror::Error;

/// Why the demo ended early.
#[derive(Debug, Error)]
pub(crate) enum DemoError {
    /// There is nothing to play on.
    #[error(
        "no Docker engine answers: {0}; install one and start it, or play on one machine: `storm-rs dev`"
    )]
    NoEngine(String),
    /// There is nothing that reads docker-compose.yml.
    #[error("neither `docker compose` nor `docker-compose` is there; install Docker's compose plugin")]
    NoCompose,
    /// A program is missing.
    #[error("cannot run `{program}`: {error}{advice}")]
    Missing {
        /// Its name.
        program: String,
        /// What the system says.
        error: io::Error,
        /// What to do; begins with a semicolon, or is empty.
        advice: &'static str,
    },
    /// A program said that it failed.
    #[error("`{command}` failed ({how}){said}")]
    Failed {
        /// The program and its arguments.
        command: String,
        /// Its exit code.
        how: String,
        /// The end of what it wrote.
        said: String,
    },
    /// A program did not end.
    #[error("`{command}` did not end within {secs} s")]
    Endless {
        /// The program and its arguments.
        command: String,
        /// How long it had.
        secs: u64,
    },
    /// What a step is to show was not to be seen.
    #[error("not within {secs} s: {what}; last seen: {last}")]
    NotSeen {
        /// What was to be seen.
        what: String,
        /// How long it had.
        secs: u64,
        /// What was there instead.
        last: String,
    },
    /// The image is too large.
    #[error(
        "the image is {megabytes} MB larger than its base, {allowed} are allowed; `docker history` shows why"
    )]
    TooLarge {
        /// What it adds.
        megabytes: u64,
        /// What it may add.
        allowed: u64,
    },
    /// One of our files is not as it is expected to be.
    #[error("{file} has no {what}")]
    Lacks {
        /// The file.
        file: &'static str,
        /// What is looked for there.
        what: String,
    },
    /// Not a port.
    #[error("{variable} is '{text}', not a port")]
    Port {
        /// The variable.
        variable: &'static str,
        /// Its value.
        text: String,
    },
    /// Files, threads, signals.
    #[error("cannot {what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system says.
        error: io::Error,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}
