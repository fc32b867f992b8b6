//! What a field can be read as.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use storm_model::Value;

use crate::field::FieldRef;
use crate::nested::{ListRef, MapRef};
use crate::opaque::{self, Opaque};

/// Why a field cannot be read as asked. The caller adds the component and the field's name.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FieldError {
    /// The value is of another kind.
    #[error("expected {wanted}, found {found}")]
    WrongType {
        /// What was asked for.
        wanted: &'static str,
        /// What the value is, see [`FieldRef::type_name`].
        found: &'static str,
    },
    /// The integer is outside the range of the type, or not one of its values.
    #[error("{found} cannot be exactly a value of {wanted}")]
    OutOfRange {
        /// The type.
        wanted: &'static str,
        /// The integer.
        found: i64,
    },
    /// The float is outside the range of the type.
    #[error("{found} is outside the range of {wanted}")]
    FloatOutOfRange {
        /// The type.
        wanted: &'static str,
        /// The float.
        found: f64,
    },
    /// The bytes are not text.
    #[error("bytes are not UTF-8 after the first {valid_up_to}")]
    NotUtf8 {
        /// Length of the part that is.
        valid_up_to: usize,
    },
    /// Text or bytes are not as long as the type.
    #[error("expected length {wanted}, found {found}")]
    WrongLength {
        /// The type's length.
        wanted: usize,
        /// The value's length.
        found: usize,
    },
    /// A serde type does not decode.
    #[error("cannot be decoded: {0}")]
    Opaque(String),
}

/// A type that a field can be read as.
///
/// Integers are checked against their range. `f64` takes an integer if it is exact. Text and bytes
/// are read as each other, bytes as text if they are UTF-8. `Option` takes a null for `None`.
pub trait FromField<'a>: Sized {
    /// Reads the field.
    ///
    /// # Errors
    /// If the field holds no such value.
    fn from_field(f: FieldRef<'a>) -> Result<Self, FieldError>;
}

#[cold]
fn wrong_type(wanted: &'static str, found: FieldRef<'_>) -> FieldError {
    FieldError::WrongType { wanted, found: found.type_name() }
}

impl<'a> FromField<'a> for FieldRef<'a> {
    #[inline]
    fn from_field(f: FieldRef<'a>) -> Result<Self, FieldError> {
        Ok(f)
    }
}

impl FromField<'_> for Value {
    fn from_field(f: FieldRef<'_>) -> Result<Self, FieldError> {
        Ok(f.to_value())
    }
}

impl<'a, T: FromField<'a>> FromField<'a> for Option<T> {
    #[inline]
    fn from_field(f: FieldRef<'a>) -> Result<Self, FieldError> {
        if f.is_null() { Ok(None) } else { T::from_field(f).map(Some) }
    }
}

impl FromField<'_> for bool {
    #[inline]
    fn from_field(f: FieldRef<'_>) -> Result<Self, FieldError> {
        match f {
            FieldRef::Bool(x) => Ok(x),
            f => Err(wrong_type("bool", f)),
        }
    }
}

macro_rules! ints {
    ($($ty:ident)*) => {
        $(impl FromField<'_> for $ty {
            #[inline]
            fn from_field(f: FieldRef<'_>) -> Result<Self, FieldError> {
                match f {
                    FieldRef::Int(x) => $ty::try_from(x).map_err(|_| FieldError::OutOfRange {
                        wanted: stringify!($ty),
                        found: x,
                    }),
                    f => Err(wrong_type(stringify!($ty), f)),
                }
            }
        })*
    };
}

ints! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }

impl FromField<'_> for f64 {
    #[inline]
    fn from_field(f: FieldRef<'_>) -> Result<Self, FieldError> {
        match f {
            FieldRef::Float(x) => Ok(x),
            FieldRef::Int(x) if x as f64 as i128 == i128::from(x) => Ok(x as f64),
            FieldRef::Int(found) => Err(FieldError::OutOfRange { wanted: "f64", found }),
            f => Err(wrong_type("f64", f)),
        }
    }
}

/// The nearest `f32` of a float, an integer only if it is exact.
impl FromField<'_> for f32 {
    #[inline]
    fn from_field(f: FieldRef<'_>) -> Result<Self, FieldError> {
        match f {
            FieldRef::Float(x) if x.is_finite() && (x as f32).is_infinite() => {
                Err(FieldError::FloatOutOfRange { wanted: "f32", found: x })
            }
            FieldRef::Float(x) => Ok(x as f32),
            FieldRef::Int(x) if x as f32 as i128 == i128::from(x) => Ok(x as f32),
            FieldRef::Int(found) => Err(FieldError::OutOfRange { wanted: "f32", found }),
            f => Err(wrong_type("f32", f)),
        }
    }
}

impl<'a> FromField<'a> for &'a str {
    #[inline]
    fn from_field(f: FieldRef<'a>) -> Result<Self, FieldError> {
        match f {
            FieldRef::Str(x) => Ok(x),
            FieldRef::Bytes(x) => {
                str::from_utf8(x).map_err(|error| FieldError::NotUtf8 { valid_up_to: error.valid_up_to() })
            }
            f => Err(wrong_type("text", f)),
        }
    }
}

impl<'a> FromField<'a> for &'a [u8] {
    #[inline]
    fn from_field(f: FieldRef<'a>) -> Result<Self, FieldError> {
        match f {
            FieldRef::Bytes(x) => Ok(x),
            FieldRef::Str(x) => Ok(x.as_bytes()),
            f => Err(wrong_type("bytes", f)),
        }
    }
}

/// Types that are made of what another type reads.
macro_rules! by {
    ($($ty:ty: $via:ty;)*) => {
        $(impl<'a> FromField<'a> for $ty {
            #[inline]
            fn from_field(f: FieldRef<'a>) -> Result<Self, FieldError> {
                <$via>::from_field(f).map(Into::into)
            }
        })*
    };
}

by! {
    String: &'a str;
    Box<str>: &'a str;
    Arc<str>: &'a str;
    Cow<'a, str>: &'a str;
    Vec<u8>: &'a [u8];
    Cow<'a, [u8]>: &'a [u8];
    Box<[u8]>: &'a [u8];
    Arc<[u8]>: &'a [u8];
}

impl FromField<'_> for Bytes {
    fn from_field(f: FieldRef<'_>) -> Result<Self, FieldError> {
        <&[u8]>::from_field(f).map(Bytes::copy_from_slice)
    }
}

impl<const N: usize> FromField<'_> for [u8; N] {
    fn from_field(f: FieldRef<'_>) -> Result<Self, FieldError> {
        let bytes = <&[u8]>::from_field(f)?;
        let wrong_length = |_| FieldError::WrongLength { wanted: N, found: bytes.len() };
        bytes.try_into().map_err(wrong_length)
    }
}

impl FromField<'_> for char {
    fn from_field(f: FieldRef<'_>) -> Result<Self, FieldError> {
        let text = <&str>::from_field(f)?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(x), None) => Ok(x),
            _ => Err(FieldError::WrongLength { wanted: 1, found: text.chars().count() }),
        }
    }
}

impl<'a> FromField<'a> for ListRef<'a> {
    fn from_field(f: FieldRef<'a>) -> Result<Self, FieldError> {
        match f {
            FieldRef::List(x) => Ok(x),
            f => Err(wrong_type("list", f)),
        }
    }
}

impl<'a> FromField<'a> for MapRef<'a> {
    fn from_field(f: FieldRef<'a>) -> Result<Self, FieldError> {
        match f {
            FieldRef::Map(x) => Ok(x),
            f => Err(wrong_type("map", f)),
        }
    }
}

impl FromField<'_> for Vec<Value> {
    fn from_field(f: FieldRef<'_>) -> Result<Self, FieldError> {
        ListRef::from_field(f).map(ListRef::to_values)
    }
}

impl FromField<'_> for BTreeMap<String, Value> {
    fn from_field(f: FieldRef<'_>) -> Result<Self, FieldError> {
        MapRef::from_field(f).map(MapRef::to_values)
    }
}

impl<T: DeserializeOwned> FromField<'_> for Opaque<T> {
    fn from_field(f: FieldRef<'_>) -> Result<Self, FieldError> {
        match f {
            FieldRef::Opaque(x) => opaque::decode(x).map(Opaque).map_err(FieldError::Opaque),
            f => Err(wrong_type("opaque", f)),
        }
    }
}
