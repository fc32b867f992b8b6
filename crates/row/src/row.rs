//! What can be emitted: anything that can write itself as a row.

use storm_model::Value;

use crate::builder::RowBuilder;
use crate::to_field::ToField;
use crate::values::Values;

/// A row of values that can be emitted.
///
/// Implemented for tuples of up to 16 [`ToField`]s, slices, arrays and `Vec`s of [`Value`], and
/// views of other rows. For structs there is a derive.
///
/// ```
/// use storm_row::{Row, RowBuilder, values};
///
/// let mut builder = RowBuilder::new(1024);
/// let tuple = builder.write_row(&("storm", 7, true))?.to_values();
/// assert_eq!(tuple, values!["storm", 7, true]);
/// assert_eq!(builder.write_row(&tuple)?.arity(), 3);
/// # Ok::<(), storm_row::RowError>(())
/// ```
pub trait Row {
    /// Number of fields that [`write`](Self::write) writes.
    fn arity(&self) -> usize;

    /// Writes each field, in order, by one call of a field writer of `out`.
    fn write(&self, out: &mut RowBuilder);
}

impl<R: Row + ?Sized> Row for &R {
    #[inline]
    fn arity(&self) -> usize {
        (**self).arity()
    }

    #[inline]
    fn write(&self, out: &mut RowBuilder) {
        (**self).write(out);
    }
}

impl Row for [Value] {
    #[inline]
    fn arity(&self) -> usize {
        self.len()
    }

    #[inline]
    fn write(&self, out: &mut RowBuilder) {
        for value in self {
            out.value(value);
        }
    }
}

impl Row for Vec<Value> {
    #[inline]
    fn arity(&self) -> usize {
        self.len()
    }

    #[inline]
    fn write(&self, out: &mut RowBuilder) {
        Row::write(self.as_slice(), out);
    }
}

impl<const N: usize> Row for [Value; N] {
    #[inline]
    fn arity(&self) -> usize {
        N
    }

    #[inline]
    fn write(&self, out: &mut RowBuilder) {
        Row::write(self.as_slice(), out);
    }
}

/// Copies a view; big values are shared.
impl Row for Values<'_> {
    #[inline]
    fn arity(&self) -> usize {
        Values::arity(*self)
    }

    fn write(&self, out: &mut RowBuilder) {
        for i in 0..Values::arity(*self) {
            out.field_of(*self, i);
        }
    }
}

macro_rules! tuples {
    ($($arity:literal: $($field:ident)*;)*) => {
        $(impl<$($field: ToField),*> Row for ($($field,)*) {
            #[inline]
            fn arity(&self) -> usize {
                $arity
            }

            #[inline]
            #[expect(non_snake_case, reason = "type parameters lend their names to the fields")]
            fn write(&self, out: &mut RowBuilder) {
                let ($($field,)*) = self;
                $($field.write(out);)*
            }
        })*
    };
}

/// The row without fields.
impl Row for () {
    #[inline]
    fn arity(&self) -> usize {
        0
    }

    #[inline]
    fn write(&self, _: &mut RowBuilder) {}
}

tuples! {
    1: A;
    2: A B;
    3: A B C;
    4: A B C D;
    5: A B C D E;
    6: A B C D E F;
    7: A B C D E F G;
    8: A B C D E F G H;
    9: A B C D E F G H I;
    10: A B C D E F G H I J;
    11: A B C D E F G H I J K;
    12: A B C D E F G H I J K L;
    13: A B C D E F G H I J K L M;
    14: A B C D E F G H I J K L M N;
    15: A B C D E F G H I J K L M N O;
    16: A B C D E F G H I J K L M N O P;
}

/// A `Vec` of [`Value`]s, each made by `Value::from`.
///
/// ```
/// use storm_row::{Value, values};
///
/// assert_eq!(values![1, "a", true], [Value::Int(1), Value::Str("a".into()), Value::Bool(true)]);
/// ```
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        <[_]>::into_vec(::std::boxed::Box::<[$crate::Value]>::from([
            $($crate::Value::from($value)),*
        ]))
    };
}
