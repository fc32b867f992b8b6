//! One value as it lies in a row.

use storm_model::Value;

use crate::nested::{ListRef, MapRef};

/// A value, borrowed from the row that holds it.
///
/// Equality is that of the values: floats as floats (NaN differs from itself), lists and maps item
/// by item, an int never equals a float, nor text bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldRef<'a> {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A signed integer of 64 bits.
    Int(i64),
    /// A float of 64 bits.
    Float(f64),
    /// Text.
    Str(&'a str),
    /// Raw bytes.
    Bytes(&'a [u8]),
    /// A list.
    List(ListRef<'a>),
    /// A map with text keys.
    Map(MapRef<'a>),
    /// A serde type, see [`Opaque`](crate::Opaque).
    Opaque(&'a [u8]),
}

impl FieldRef<'_> {
    /// Copies the value out of the row.
    pub fn to_value(self) -> Value {
        match self {
            FieldRef::Null => Value::Null,
            FieldRef::Bool(x) => Value::Bool(x),
            FieldRef::Int(x) => Value::Int(x),
            FieldRef::Float(x) => Value::Float(x),
            FieldRef::Str(x) => Value::Str(x.to_owned()),
            FieldRef::Bytes(x) => Value::Bytes(x.to_vec()),
            FieldRef::List(x) => Value::List(x.to_values()),
            FieldRef::Map(x) => Value::Map(x.to_values()),
            FieldRef::Opaque(x) => Value::Opaque(x.to_vec()),
        }
    }

    /// Whether there is no value.
    #[inline]
    pub fn is_null(self) -> bool {
        matches!(self, FieldRef::Null)
    }

    /// What kind of value this is, as error messages name it.
    pub fn type_name(self) -> &'static str {
        match self {
            FieldRef::Null => "null",
            FieldRef::Bool(_) => "bool",
            FieldRef::Int(_) => "int",
            FieldRef::Float(_) => "float",
            FieldRef::Str(_) => "text",
            FieldRef::Bytes(_) => "bytes",
            FieldRef::List(_) => "list",
            FieldRef::Map(_) => "map",
            FieldRef::Opaque(_) => "opaque",
        }
    }
}
