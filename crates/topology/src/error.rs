//! What can go wrong in a component, and what its author sees.

use std::error::Error;
use std::fmt;

use storm_model::{ComponentId, SpecError, StreamId, TaskId};
use storm_row::{FieldError, RowError};
use thiserror::Error;

/// Why a bolt failed its input. Made by `?` from any error; see [`ComponentError`].
pub type BoltError = ComponentError;

/// Why a spout could not go on. Made by `?` from any error; see [`ComponentError`].
pub type SpoutError = ComponentError;

/// An error of user code: any error, boxed. It does not implement [`Error`] itself, so that `?`
/// converts every error into it.
pub struct ComponentError {
    source: Box<dyn Error + Send + Sync>,
    severity: Severity,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Severity {
    Quiet,
    Reported,
    Fatal,
}

impl ComponentError {
    /// An error that is only a message.
    pub fn msg(message: impl Into<String>) -> ComponentError {
        ComponentError { source: message.into().into(), severity: Severity::Reported }
    }

    /// An error that fails the input without being reported (Storm's `FailedException`; any other
    /// error is also reported, like its `ReportedFailedException`).
    pub fn quiet(message: impl Into<String>) -> ComponentError {
        ComponentError { severity: Severity::Quiet, ..ComponentError::msg(message) }
    }

    /// An error that ends the whole topology: no tuple can be processed any more, and trying again
    /// will not help. From a message, from any error, or from an error of this type.
    ///
    /// Returned by any method of a spout or bolt, or reported, it stops the topology without
    /// waiting for what is pending; a local run ends with exit code 1 and this message. The input
    /// fails as with any other error.
    ///
    /// ```
    /// use storm_topology::*;
    ///
    /// fn check(columns: usize) -> Result<(), BoltError> {
    ///     if columns != 3 {
    ///         return Err(BoltError::fatal(format!("table 'orders' has {columns} columns, not 3")));
    ///     }
    ///     std::fs::metadata("/").map_err(BoltError::fatal)?;
    ///     Ok(())
    /// }
    ///
    /// assert!(check(4).unwrap_err().is_fatal());
    /// assert!(check(3).is_ok());
    /// ```
    pub fn fatal(error: impl Into<ComponentError>) -> ComponentError {
        ComponentError { severity: Severity::Fatal, ..error.into() }
    }

    /// Whether it is to be kept out of the reports.
    pub fn is_quiet(&self) -> bool {
        self.severity == Severity::Quiet
    }

    /// Whether it ends the whole topology.
    pub fn is_fatal(&self) -> bool {
        self.severity == Severity::Fatal
    }

    /// The error inside.
    pub fn get(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.source
    }

    /// The message with those of its causes.
    pub fn chain(&self) -> String {
        let mut text = self.source.to_string();
        let mut next = self.source.source();
        while let Some(cause) = next {
            let cause_text = cause.to_string();
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            next = cause.source();
        }
        text
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for ComponentError {
    fn from(source: E) -> ComponentError {
        ComponentError { source: source.into(), severity: Severity::Reported }
    }
}

impl fmt::Display for ComponentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl fmt::Debug for ComponentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain())
    }
}

/// Why a field of a tuple could not be read.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("field '{field}' of stream '{stream}' of '{component}': {reason}")]
pub struct TupleError {
    /// The component that emitted the tuple.
    pub component: ComponentId,
    /// The stream it came by.
    pub stream: StreamId,
    /// Name of the field, or its position where it has no name.
    pub field: String,
    /// What is wrong with it.
    pub reason: TupleErrorReason,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum TupleErrorReason {
    /// The stream has no such field.
    #[error("no such field; the stream has {known}")]
    NoSuchField {
        /// The fields that it has.
        known: String,
    },
    /// The value does not have the wanted type.
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// Why an emit was refused. In `execute` and `next_tuple` an error of [`emit`] fails the input.
///
/// [`emit`]: crate::BoltOutput::emit
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the fields are the words of the message")]
pub enum EmitError {
    /// The stream was not declared.
    #[error("'{component}' emitted to stream '{stream}', which it does not declare; it declares: {known}")]
    UnknownStream { component: ComponentId, stream: String, known: String },
    /// Another number of values than the stream has fields.
    #[error("'{component}' emitted {found} values to stream '{stream}', which has {expected} fields")]
    WrongArity { component: ComponentId, stream: StreamId, expected: usize, found: usize },
    /// `emit` on a direct stream.
    #[error("'{component}' emitted to direct stream '{stream}' without naming a task: use emit_direct")]
    DirectStream { component: ComponentId, stream: StreamId },
    /// `emit_direct` on a stream that is not direct.
    #[error("'{component}' emitted directly to stream '{stream}', which is not a direct stream")]
    NotDirectStream { component: ComponentId, stream: StreamId },
    /// A direct emit to a task that does not listen.
    #[error(
        "'{component}' emitted to task {task} on direct stream '{stream}', but that task does not subscribe to it"
    )]
    NotSubscribed { component: ComponentId, stream: StreamId, task: TaskId },
    /// A grouping could not tell the task.
    #[error("'{component}' emitted to stream '{stream}', which is grouped on field '{field}': {reason}")]
    Key { component: ComponentId, stream: StreamId, field: String, reason: String },
    /// A custom grouping named a task that is not among the targets.
    #[error(
        "the custom grouping of '{target}' on stream '{stream}' of '{component}' chose task {task}, which is none of its tasks"
    )]
    ForeignTask { component: ComponentId, stream: StreamId, target: ComponentId, task: TaskId },
    /// The values could not be written.
    #[error("'{component}' emitted to stream '{stream}': {source}")]
    Row { component: ComponentId, stream: StreamId, source: RowError },
    /// One call emitted more than the worker may hold.
    #[error(
        "'{component}' emitted {row_bytes} more bytes while {waiting_bytes} bytes wait for slower receivers: \
         above the worker's memory budget of {budget_bytes} bytes (topology.worker.max.heap.size.mb)"
    )]
    OverBudget { component: ComponentId, row_bytes: u64, waiting_bytes: u64, budget_bytes: u64 },
    /// All 2^24 slots of the spout task's ledger are pending.
    #[error(
        "'{component}' has 16,777,215 tuples pending: it emits many from one next_tuple; emit fewer per call"
    )]
    TooManyPending { component: ComponentId },
    /// Anchored to tuples of more trees than a row has room for.
    #[error("'{component}' anchored one tuple to {trees} trees, at most {max} are possible: emit several")]
    TooManyAnchors { component: ComponentId, trees: usize, max: usize },
    /// The row would travel round a cycle that is full; its trees fail with `LoopBudget`.
    #[error("the cycle through '{component}' is full")]
    LoopBudget { component: ComponentId },
    /// Anchored to a tuple that this executor does not hold.
    #[error(
        "'{component}' anchored to a tuple that is already acked or failed, or that another executor holds"
    )]
    ForeignAnchor { component: ComponentId },
}

impl EmitError {
    /// Whether it is a mistake in the code, as opposed to unlucky data or load. Local mode ends
    /// with exit code 1 on such an error.
    pub fn is_contract_violation(&self) -> bool {
        !matches!(
            self,
            EmitError::OverBudget { .. }
                | EmitError::TooManyPending { .. }
                | EmitError::LoopBudget { .. }
                | EmitError::Row { .. }
                | EmitError::Key { .. }
        )
    }
}

/// Everything that is wrong with a topology.
#[derive(Debug)]
pub struct TopologyError {
    problems: Vec<SpecError>,
}

impl TopologyError {
    /// An error of at least one problem.
    pub(crate) fn new(problems: Vec<SpecError>) -> TopologyError {
        TopologyError { problems }
    }

    /// The problems, at least one.
    pub fn problems(&self) -> &[SpecError] {
        &self.problems
    }
}

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl Error for TopologyError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spout::FailCause;

    #[test]
    fn an_error_is_reported_quiet_or_fatal_and_keeps_its_causes() {
        let severity = |e: &ComponentError| (e.is_quiet(), e.is_fatal());
        assert_eq!(severity(&ComponentError::msg("a")), (false, false));
        assert_eq!(severity(&ComponentError::quiet("a")), (true, false));
        assert_eq!(severity(&std::fmt::Error.into()), (false, false));
        let source = std::io::Error::other(FailCause::Timeout);
        for fatal in [
            ComponentError::fatal("timeout"),
            ComponentError::fatal(source),
            ComponentError::fatal(ComponentError::quiet("timeout")),
        ] {
            assert_eq!((severity(&fatal), &*fatal.chain()), ((false, true), "timeout"));
        }
    }
}
