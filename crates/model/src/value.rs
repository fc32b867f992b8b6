//! What a field of a tuple may hold, owned.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An owned field value. JSON maps onto these one to one, apart from `Bytes` and `Opaque`.
///
/// On the hot path values are read as views of a row; this type is for nested values and for code
/// that wants to own what it read.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// Any integer type that fits into 64 signed bits.
    Int(i64),
    /// A 64-bit float; NaN is allowed.
    Float(f64),
    /// Text.
    Str(String),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// An ordered list.
    List(Vec<Value>),
    /// A map with text keys, sorted.
    Map(BTreeMap<String, Value>),
    /// A serde type, encoded by the `row` crate; it cannot be a grouping key.
    #[serde(skip)]
    Opaque(Vec<u8>),
}

macro_rules! from {
    ($($from:ty => |$x:ident| $make:expr),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from($x: $from) -> Value {
                $make
            }
        })*
    };
}

from! {
    bool => |x| Value::Bool(x),
    i8 => |x| Value::Int(x.into()),
    i16 => |x| Value::Int(x.into()),
    i32 => |x| Value::Int(x.into()),
    i64 => |x| Value::Int(x),
    u8 => |x| Value::Int(x.into()),
    u16 => |x| Value::Int(x.into()),
    u32 => |x| Value::Int(x.into()),
    f32 => |x| Value::Float(x.into()),
    f64 => |x| Value::Float(x),
    &str => |x| Value::Str(x.to_owned()),
    String => |x| Value::Str(x),
    Vec<u8> => |x| Value::Bytes(x),
    &[u8] => |x| Value::Bytes(x.to_vec()),
    Vec<Value> => |x| Value::List(x),
    BTreeMap<String, Value> => |x| Value::Map(x),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(x: Option<T>) -> Value {
        x.map_or(Value::Null, Into::into)
    }
}
