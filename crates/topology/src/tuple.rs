//! A tuple as a bolt sees it: a view of a row and of the stream it came by.

use std::fmt;

use storm_model::{ComponentId, Fields, StreamId, TaskId};
use storm_row::{FieldRef, FromField, Row, RowBuilder, RowRef, Values};

use crate::error::{TupleError, TupleErrorReason};

/// Where a tuple came from: one stream of one component.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamInfo {
    /// The component that emitted it.
    pub component: ComponentId,
    /// The stream.
    pub stream: StreamId,
    /// Names of the values.
    pub fields: Fields,
}

/// A tuple: values that are read by name or position, in place.
///
/// It borrows the batch it came in; what is to outlive `execute` is copied out by type
/// (`get::<String>`) or kept with [`BoltOutput::retain`](crate::BoltOutput::retain).
#[derive(Clone, Copy)]
pub struct Tuple<'a> {
    row: RowRef<'a>,
    source: &'a StreamInfo,
}

impl<'a> Tuple<'a> {
    /// A tuple of these parts; for engines and test kits.
    #[inline]
    pub fn new(row: RowRef<'a>, source: &'a StreamInfo) -> Tuple<'a> {
        Tuple { row, source }
    }

    /// The value of a field, by name or by position, as the type asked for: `&str`, any integer,
    /// `f64`, `bool`, `&[u8]`, `String`, `Option<_>`, `Value`, `Opaque<_>` and others.
    ///
    /// # Errors
    /// Names component, stream and field when the field is not there, has another type, is out of
    /// the type's range or, for text, is not UTF-8. With `?` it fails the tuple.
    #[inline(always)]
    pub fn get<T: FromField<'a>>(&self, key: impl FieldKey) -> Result<T, TupleError> {
        let Some(value) = key.index(&self.source.fields).and_then(|i| self.row.values().field(i)) else {
            return Err(self.error(key.to_string(), self.no_such_field()));
        };
        match T::from_field(value) {
            Ok(value) => Ok(value),
            Err(reason) => Err(self.error(key.name(&self.source.fields), reason.into())),
        }
    }

    /// The value of a field as it is, or `None` where there is no such field.
    pub fn field(&self, key: impl FieldKey) -> Option<FieldRef<'a>> {
        self.row.values().field(key.index(&self.source.fields)?)
    }

    /// All values as a struct that derives `Row`, matched by field name.
    ///
    /// # Errors
    /// As [`get`](Tuple::get).
    pub fn to<T: FromTuple<'a>>(&self) -> Result<T, TupleError> {
        T::from_tuple(self)
    }

    /// Whether the stream has a field of this name.
    pub fn contains(&self, field: &str) -> bool {
        self.source.fields.index(field).is_some()
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.row.values().arity()
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names of the values.
    pub fn fields(&self) -> &'a Fields {
        &self.source.fields
    }

    /// The values; also good to be emitted on as they are.
    #[inline]
    pub fn values(&self) -> Values<'a> {
        self.row.values()
    }

    /// The component that emitted it.
    pub fn source_component(&self) -> &'a ComponentId {
        &self.source.component
    }

    /// The stream it came by.
    pub fn source_stream(&self) -> &'a StreamId {
        &self.source.stream
    }

    /// Whether this component emitted it.
    ///
    /// ```no_run
    /// # use storm_topology::*;
    /// # fn f(input: &Tuple) {
    /// if input.is_from("orders") && input.is_from_stream("late") { /* .. */ }
    /// # }
    /// ```
    #[inline]
    pub fn is_from(&self, component: &str) -> bool {
        self.source.component == *component
    }

    /// Whether it came by this stream. Streams of two components may have the same name: then ask
    /// [`is_from`](Tuple::is_from), too.
    #[inline]
    pub fn is_from_stream(&self, stream: &str) -> bool {
        self.source.stream == *stream
    }

    /// The task that emitted it.
    #[inline]
    pub fn source_task(&self) -> TaskId {
        self.row.source()
    }

    /// Whether a spout waits for the outcome of this tuple.
    pub fn is_tracked(&self) -> bool {
        self.row.anchor_count() > 0
    }

    /// The row below; for engines and test kits.
    #[inline]
    pub fn row(&self) -> RowRef<'a> {
        self.row
    }

    #[cold]
    fn no_such_field(&self) -> TupleErrorReason {
        TupleErrorReason::NoSuchField { known: self.source.fields.to_string() }
    }

    #[cold]
    fn error(&self, field: String, reason: TupleErrorReason) -> TupleError {
        let StreamInfo { component, stream, .. } = self.source.clone();
        TupleError { component, stream, field, reason }
    }
}

impl Row for Tuple<'_> {
    fn arity(&self) -> usize {
        self.len()
    }

    fn write(&self, out: &mut RowBuilder) {
        self.values().write(out);
    }
}

impl fmt::Debug for Tuple<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source.component, self.source.stream)?;
        let named = self.source.fields.iter().zip(self.values().iter());
        f.debug_map().entries(named).finish()
    }
}

/// A field's name or position.
pub trait FieldKey: Copy {
    /// Its position among `fields`.
    fn index(self, fields: &Fields) -> Option<usize>;

    /// How messages call it.
    fn name(self, fields: &Fields) -> String;

    /// How messages call it when it is not among the fields.
    fn to_string(self) -> String;
}

impl FieldKey for &str {
    #[inline]
    fn index(self, fields: &Fields) -> Option<usize> {
        fields.index(self)
    }

    fn name(self, _: &Fields) -> String {
        self.to_owned()
    }

    fn to_string(self) -> String {
        self.to_owned()
    }
}

impl FieldKey for usize {
    #[inline]
    fn index(self, _: &Fields) -> Option<usize> {
        Some(self)
    }

    fn name(self, fields: &Fields) -> String {
        fields.name(self).map_or_else(|| FieldKey::to_string(self), str::to_owned)
    }

    fn to_string(self) -> String {
        format!("#{self}")
    }
}

/// A struct that can be read from a tuple; derived by `#[derive(Row)]`.
pub trait FromTuple<'a>: Sized {
    /// Reads each field by its name.
    ///
    /// # Errors
    /// The first field that is missing or of another type.
    fn from_tuple(tuple: &Tuple<'a>) -> Result<Self, TupleError>;
}
