//! What can be a field of an emitted row.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use storm_model::Value;

use crate::builder::RowBuilder;
use crate::field::FieldRef;
use crate::nested::{ListRef, MapRef};
use crate::opaque::Opaque;
use crate::row_error::RowError;

/// A value that can be written as a field.
///
/// Integers are written as `i64`; one that does not fit makes the row an error. Serde types are
/// written within [`Opaque`].
pub trait ToField {
    /// Writes the value as the next field: exactly one call of a field writer of `out`.
    fn write(&self, out: &mut RowBuilder);
}

macro_rules! to_field {
    ($($ty:ty => |$x:ident, $out:ident| $write:expr;)*) => {
        $(impl ToField for $ty {
            #[inline]
            fn write(&self, $out: &mut RowBuilder) {
                let $x = self;
                $write
            }
        })*
    };
}

to_field! {
    bool => |x, out| out.bool(*x);
    i8 => |x, out| out.int(i64::from(*x));
    i16 => |x, out| out.int(i64::from(*x));
    i32 => |x, out| out.int(i64::from(*x));
    i64 => |x, out| out.int(*x);
    u8 => |x, out| out.int(i64::from(*x));
    u16 => |x, out| out.int(i64::from(*x));
    u32 => |x, out| out.int(i64::from(*x));
    f32 => |x, out| out.float(f64::from(*x));
    f64 => |x, out| out.float(*x);
    char => |x, out| out.str(x.encode_utf8(&mut [0; 4]));
    str => |x, out| out.str(x);
    String => |x, out| out.str(x);
    Cow<'_, str> => |x, out| out.str(x);
    Box<str> => |x, out| out.str(x);
    Arc<str> => |x, out| out.str(x);
    [u8] => |x, out| out.bytes(x);
    Vec<u8> => |x, out| out.bytes(x);
    Cow<'_, [u8]> => |x, out| out.bytes(x);
    Box<[u8]> => |x, out| out.bytes(x);
    Arc<[u8]> => |x, out| out.bytes(x);
    Bytes => |x, out| out.big(x.clone());
    Value => |x, out| out.value(x);
    [Value] => |x, out| out.list(x);
    Vec<Value> => |x, out| out.list(x);
    BTreeMap<String, Value> => |x, out| out.map(x);
    FieldRef<'_> => |x, out| out.field(*x);
    ListRef<'_> => |x, out| out.field(FieldRef::List(*x));
    MapRef<'_> => |x, out| out.field(FieldRef::Map(*x));
}

macro_rules! wide_ints {
    ($($ty:ty)*) => {
        $(impl ToField for $ty {
            #[inline]
            fn write(&self, out: &mut RowBuilder) {
                match i64::try_from(*self) {
                    Ok(x) => out.int(x),
                    Err(_) => too_wide(self.to_string(), out),
                }
            }
        })*
    };
}

wide_ints! { u64 i128 u128 isize usize }

#[cold]
fn too_wide(value: String, out: &mut RowBuilder) {
    let field = out.position();
    out.error(RowError::IntTooWide { field, value });
    out.null();
}

/// A null.
impl ToField for () {
    #[inline]
    fn write(&self, out: &mut RowBuilder) {
        out.null();
    }
}

/// Raw bytes.
impl<const N: usize> ToField for [u8; N] {
    #[inline]
    fn write(&self, out: &mut RowBuilder) {
        out.bytes(self);
    }
}

/// `None` is a null.
impl<T: ToField> ToField for Option<T> {
    #[inline]
    fn write(&self, out: &mut RowBuilder) {
        match self {
            Some(x) => x.write(out),
            None => out.null(),
        }
    }
}

impl<T: ToField + ?Sized> ToField for &T {
    #[inline]
    fn write(&self, out: &mut RowBuilder) {
        (**self).write(out);
    }
}

impl<T: Serialize> ToField for Opaque<T> {
    fn write(&self, out: &mut RowBuilder) {
        out.serialize(&self.0);
    }
}
