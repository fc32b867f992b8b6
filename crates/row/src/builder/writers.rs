//! What a row calls to write its fields.

use std::collections::BTreeMap;

use bytes::Bytes;
use storm_model::Value;

use super::RowBuilder;
use crate::field::FieldRef;
use crate::row_error::RowError;
use crate::slot::{self, kind};
use crate::values::Values;

/// The field writers: each writes the next field.
impl RowBuilder {
    /// Writes a null.
    #[inline]
    pub fn null(&mut self) {
        self.put(slot::NULL);
    }

    /// Writes a bool.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.put(slot::fixed(kind::BOOL, u64::from(value)));
    }

    /// Writes an integer.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.put(slot::fixed(kind::INT, value as u64));
    }

    /// Writes a float.
    #[inline]
    pub fn float(&mut self, value: f64) {
        self.put(slot::fixed(kind::FLOAT, value.to_bits()));
    }

    /// Writes text.
    #[inline]
    pub fn str(&mut self, value: &str) {
        self.var(kind::STR, value.as_bytes());
    }

    /// Writes raw bytes.
    #[inline]
    pub fn bytes(&mut self, value: &[u8]) {
        self.var(kind::BYTES, value);
    }

    /// Writes raw bytes; from [`BIG_VALUE`](crate::BIG_VALUE) on they are shared instead of copied.
    pub fn big(&mut self, value: Bytes) {
        self.var_shared(kind::BYTES, value);
    }

    /// Writes a serde type that is encoded already; see [`Opaque`](crate::Opaque).
    #[inline]
    pub fn opaque(&mut self, encoded: &[u8]) {
        self.var(kind::OPAQUE, encoded);
    }

    /// Writes any value.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.null(),
            Value::Bool(x) => self.bool(*x),
            Value::Int(x) => self.int(*x),
            Value::Float(x) => self.float(*x),
            Value::Str(x) => self.str(x),
            Value::Bytes(x) => self.bytes(x),
            Value::Opaque(x) => self.opaque(x),
            Value::List(x) => self.encoded(kind::LIST, |encoder| encoder.list(x, 0)),
            Value::Map(x) => self.encoded(kind::MAP, |encoder| encoder.map(x, 0)),
        }
    }

    /// Writes a list of values.
    pub fn list(&mut self, items: &[Value]) {
        self.encoded(kind::LIST, |encoder| encoder.list(items, 0));
    }

    /// Writes a map of values.
    pub fn map(&mut self, entries: &BTreeMap<String, Value>) {
        self.encoded(kind::MAP, |encoder| encoder.map(entries, 0));
    }

    /// Copies a value of another row.
    #[inline]
    pub fn field(&mut self, field: FieldRef<'_>) {
        match field {
            FieldRef::Null => self.null(),
            FieldRef::Bool(x) => self.bool(x),
            FieldRef::Int(x) => self.int(x),
            FieldRef::Float(x) => self.float(x),
            FieldRef::Str(x) => self.str(x),
            FieldRef::Bytes(x) => self.bytes(x),
            FieldRef::Opaque(x) => self.opaque(x),
            FieldRef::List(x) => self.var(kind::LIST, x.bytes()),
            FieldRef::Map(x) => self.var(kind::MAP, x.bytes()),
        }
    }

    /// Copies field `i` of another row; a value of [`BIG_VALUE`](crate::BIG_VALUE) and more is
    /// shared. Does nothing if there is no such field.
    pub fn field_of(&mut self, values: Values<'_>, i: usize) {
        match (values.shared(i), values.kind(i)) {
            (Some(bytes), Some(kind)) => self.var_shared(kind, bytes.clone()),
            _ => {
                if let Some(field) = values.field(i) {
                    self.field(field);
                }
            }
        }
    }

    /// Says that the row cannot be written; the first such error is returned by
    /// [`write_row`](RowBuilder::write_row).
    #[cold]
    pub fn error(&mut self, error: RowError) {
        self.plain = false;
        self.error.get_or_insert(error);
    }
}
