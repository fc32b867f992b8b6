//! The seam between users' code and whoever runs it: engine or test kit.
//!
//! Values are encoded here, by code that knows their static types; what follows (which tasks,
//! which batch, which ids) is behind one virtual call per emit.

use storm_model::{ComponentId, StreamSpec, TaskId, Time};
use storm_row::{Row, RowBuilder, RowRef, Values};

use crate::error::{ComponentError, EmitError};
use crate::retained::Retained;
use crate::tuple::Tuple;

/// The streams of the component whose task emits.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// The component.
    pub component: ComponentId,
    /// Its streams; a row carries the index.
    pub streams: Vec<StreamSpec>,
    default: Option<u16>,
}

impl Outputs {
    /// The streams of a component.
    pub fn new(component: ComponentId, streams: Vec<StreamSpec>) -> Outputs {
        let default = streams.iter().position(|s| s.id == *storm_model::DEFAULT_STREAM);
        Outputs { component, streams, default: default.map(|i| i as u16) }
    }

    fn find(&self, name: Option<&str>) -> Result<u16, EmitError> {
        let found = match name {
            None => self.default,
            Some(name) => self.streams.iter().position(|s| s.id == *name).map(|i| i as u16),
        };
        found.ok_or_else(|| self.unknown(name))
    }

    #[cold]
    fn unknown(&self, name: Option<&str>) -> EmitError {
        let known: Vec<&str> = self.streams.iter().map(|s| s.id.as_str()).collect();
        EmitError::UnknownStream {
            component: self.component.clone(),
            stream: name.unwrap_or(storm_model::DEFAULT_STREAM).to_owned(),
            known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
        }
    }

    /// Encodes `row` for the stream of this name, checking stream and arity.
    #[inline(always)]
    pub(crate) fn encode<'b, R: Row>(
        &self,
        builder: &'b mut RowBuilder,
        stream: Option<&str>,
        direct: bool,
        row: &R,
    ) -> Result<(u16, Values<'b>), EmitError> {
        let index = self.find(stream)?;
        let spec = &self.streams[usize::from(index)];
        let found = row.arity();
        if found != spec.fields.len() || direct != spec.direct {
            return Err(self.mismatch(spec, found, direct));
        }
        match builder.write_row(row) {
            Ok(values) => Ok((index, values)),
            Err(source) => {
                let (component, stream) = (self.component.clone(), spec.id.clone());
                Err(EmitError::Row { component, stream, source })
            }
        }
    }

    #[cold]
    fn mismatch(&self, spec: &StreamSpec, found: usize, direct: bool) -> EmitError {
        let (component, stream) = (self.component.clone(), spec.id.clone());
        match (direct, spec.direct) {
            (false, true) => EmitError::DirectStream { component, stream },
            (true, false) => EmitError::NotDirectStream { component, stream },
            _ => EmitError::WrongArity { component, stream, expected: spec.fields.len(), found },
        }
    }
}

/// What an emit is anchored to.
#[derive(Clone, Copy)]
pub enum Anchoring<'a> {
    /// The input of the running `execute`; nothing outside of `execute`.
    Input,
    /// Nothing.
    None,
    /// These tuples.
    To(&'a [AnchorTo<'a>]),
}

/// A tuple that an emit can be anchored to: the input of the running `execute` or a retained one.
#[derive(Clone, Copy)]
pub enum AnchorTo<'a> {
    /// The input of the running `execute`.
    Input(&'a Tuple<'a>),
    /// A retained tuple of this executor.
    Retained(&'a Retained),
}

impl<'a> From<&'a Tuple<'a>> for AnchorTo<'a> {
    fn from(tuple: &'a Tuple<'a>) -> Self {
        AnchorTo::Input(tuple)
    }
}

impl<'a> From<&'a Retained> for AnchorTo<'a> {
    fn from(retained: &'a Retained) -> Self {
        AnchorTo::Retained(retained)
    }
}

/// The engine's half of a bolt's output.
pub trait BoltSink {
    /// Sends a row on its way.
    ///
    /// # Errors
    /// What [`EmitError`] lists, apart from stream and arity, which are checked before.
    fn emit(
        &mut self,
        stream: u16,
        task: Option<TaskId>,
        anchoring: Anchoring<'_>,
        values: Values<'_>,
    ) -> Result<(), EmitError>;

    /// Acks the running input now instead of at the end of `execute`.
    fn ack(&mut self, input: RowRef<'_>);

    /// Fails the running input.
    fn fail(&mut self, input: RowRef<'_>);

    /// Takes the running input out of auto-ack.
    fn retain(&mut self, input: &Tuple<'_>) -> Retained;

    /// Starts the timeout of the running input's trees anew.
    fn reset_timeout(&mut self, input: RowRef<'_>);

    /// Reports an error without failing anything.
    fn report_error(&mut self, error: ComponentError);

    /// Time of the call on the engine's clock.
    fn now(&self) -> Time;
}

/// The engine's half of a spout's output.
pub trait SpoutSink {
    /// Sends a row on its way. A tracked row gets a slot that comes back with its ack or fail.
    ///
    /// # Errors
    /// As [`BoltSink::emit`].
    fn emit(
        &mut self,
        stream: u16,
        task: Option<TaskId>,
        tracked: bool,
        values: Values<'_>,
    ) -> Result<Option<u32>, EmitError>;

    /// Tracked tuples of this task that are neither acked nor failed.
    fn pending(&self) -> usize;

    /// The tuple emitted last had failed before.
    fn replayed(&mut self) {}

    /// Reports an error without failing anything.
    fn report_error(&mut self, error: ComponentError);

    /// Time of the call on the engine's clock.
    fn now(&self) -> Time;
}
