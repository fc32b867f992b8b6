//! Log lines and the live line of progress, on stderr; stdout is the user's.

use std::io::{self, IsTerminal, Write};

use indicatif::ProgressBar;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Sends log lines to stderr, above the progress line. A subscriber that the user has set stays.
pub(crate) fn init(progress: &ProgressBar) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(AboveProgress(progress.clone()))
        .finish();
    // Err: the user has set one, which is fine.
    tracing::subscriber::set_global_default(subscriber).ok();
}

/// What ends the program, for people.
#[expect(clippy::print_stderr, reason = "the last words of the program")]
pub(crate) fn print_error(message: &str) {
    eprintln!("error: {message}");
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
