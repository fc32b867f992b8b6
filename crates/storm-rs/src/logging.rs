//! Log lines and the live line of progress, on stderr; stdout is the user's.

#[cfg(feature = "cluster")]
mod levels;

use std::io::{self, IsTerminal, Write};

use indicatif::ProgressBar;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::{MakeWriter, SubscriberBuilder};

#[cfg(feature = "cluster")]
pub(crate) use levels::Levels;

/// Sends log lines to stderr, above the progress line. A subscriber that the user has set stays.
pub(crate) fn init(progress: &ProgressBar) {
    let subscriber = to_stderr(progress).with_env_filter(filter(&directives())).finish();
    // Err: the user has set one, which is fine.
    tracing::subscriber::set_global_default(subscriber).ok();
}

/// As [`init`]; what is told can be changed later.
#[cfg(feature = "cluster")]
pub(crate) fn init_changeable(progress: &ProgressBar) -> Levels {
    let base = directives();
    let builder = to_stderr(progress).with_env_filter(filter(&base)).with_filter_reloading();
    let handle = builder.reload_handle();
    // Err: the user has set one. Then the handle leads nowhere, and says so.
    tracing::subscriber::set_global_default(builder.finish()).ok();
    Levels::new(base, move |filter| handle.reload(filter).map_err(|error| error.to_string()))
}

type ToStderr = SubscriberBuilder<
    tracing_subscriber::fmt::format::DefaultFields,
    tracing_subscriber::fmt::format::Format,
    tracing_subscriber::filter::LevelFilter,
    AboveProgress,
>;

fn to_stderr(progress: &ProgressBar) -> ToStderr {
    tracing_subscriber::fmt()
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        // Where a line cannot be written (a disk is full), what tells of it would panic.
        .log_internal_errors(false)
        .with_writer(AboveProgress(progress.clone()))
}

/// What is told, as the environment says it.
fn directives() -> String {
    let given = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    given.filter(|given| EnvFilter::try_new(given).is_ok()).unwrap_or_else(|| "info".to_owned())
}

fn filter(directives: &str) -> EnvFilter {
    EnvFilter::new(directives)
}

/// What ends the program, for people.
pub(crate) fn print_error(message: &str) {
    // Where it cannot be written, the exit code has to do.
    writeln!(io::stderr(), "error: {message}").ok();
}

/// Writes a line after taking the progress line away for a moment.
struct AboveProgress(ProgressBar);

impl<'a> MakeWriter<'a> for AboveProgress {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

struct Line<'a>(&'a ProgressBar);

impl Write for Line<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write_all(buf))?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
