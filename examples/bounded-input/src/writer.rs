//! The one task that writes the result.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use storm_rs::prelude::*;

use crate::markers::{COMMIT, Markers};

/// A result in the making: what a [`Writer`] collects and writes.
pub trait Report: Send + 'static {
    /// Called once, before the first total: the time to see whether the result can be written.
    ///
    /// # Errors
    /// It cannot; the topology does not start.
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError>;

    /// Takes a total; it replaces the one of the same key, since it may come again.
    ///
    /// # Errors
    /// The tuple is not what was expected.
    fn add(&mut self, total: &Tuple<'_>) -> Result<(), BoltError>;

    /// Writes the result: all totals have come.
    ///
    /// # Errors
    /// The path and why it cannot be written.
    fn publish(&mut self) -> Result<(), BoltError>;
}

/// A bolt of one task that collects totals and, when every spout task has said [`COMMIT`], writes
/// the result.
#[derive(Default)]
pub struct Writer<R> {
    report: R,
    commits: Markers,
}

impl<R: Report> Writer<R> {
    /// Writes this report.
    pub fn new(report: R) -> Writer<R> {
        Writer { report, commits: Markers::default() }
    }
}

impl<R: Report> Bolt for Writer<R> {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.report.prepare(ctx)
    }

    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        if !input.is_from_stream(COMMIT) {
            return self.report.add(input);
        }
        if self.commits.note(input)? {
            let published = self.report.publish();
            // The spout has the marker sent again a few times, so a later success counts.
            UNWRITTEN.store(published.is_err(), Ordering::Relaxed);
            return published;
        }
        Ok(())
    }
}

/// Whether the last attempt of this process to write a result failed.
static UNWRITTEN: AtomicBool = AtomicBool::new(false);

/// The exit code of a run whose result may have failed to be written: a topology does not end by a
/// tuple's failure, but this program has not done what it was asked to.
pub fn exit_code(run: ExitCode) -> ExitCode {
    if UNWRITTEN.load(Ordering::Relaxed) { ExitCode::FAILURE } else { run }
}
