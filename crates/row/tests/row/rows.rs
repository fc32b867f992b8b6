//! Building rows: every value comes back, every mistake is an error.

use std::cell::Cell;

use proptest::prelude::*;
use serde::{Serialize, Serializer};
use storm_row::{
    BIG_VALUE, Batch, Bytes, FieldRef, MAX_DEPTH, MAX_FIELDS, Opaque, Row, RowBuilder, RowError, ToField,
    Value, row_bytes, values,
};

use crate::arbitrary::{self, HEADER, builder, nest};

proptest! {
    #[test]
    fn any_values_come_back(values in arbitrary::values()) {
        let mut builder = builder();
        prop_assert_eq!(builder.write_row(&values).unwrap().to_values(), &values[..]);
        prop_assert_eq!(builder.values().to_values(), values);
    }

    #[test]
    fn a_view_writes_the_same_row(values in arbitrary::values()) {
        let (mut builder, mut copier) = (builder(), builder());
        let view = builder.write_row(&values).unwrap();
        let copy = copier.write_row(&view).unwrap();
        prop_assert_eq!(copy.to_values(), values);
        prop_assert_eq!(copy.byte_len(), view.byte_len());
        prop_assert_eq!(copy, view);
    }

    #[test]
    fn fields_of_a_view_write_the_same_row(values in arbitrary::values()) {
        struct Fields<'a>(Vec<FieldRef<'a>>);
        impl Row for Fields<'_> {
            fn arity(&self) -> usize {
                self.0.len()
            }
            fn write(&self, out: &mut RowBuilder) {
                self.0.iter().for_each(|field| field.write(out));
            }
        }

        let (mut builder, mut copier) = (builder(), builder());
        let view = builder.write_row(&values).unwrap();
        let copy = copier.write_row(&Fields(view.iter().collect())).unwrap();
        prop_assert_eq!(copy.to_values(), values);
    }
}

#[test]
fn values_lie_inline_up_to_14_bytes_then_in_the_tail_then_outside() {
    let mut builder = builder();
    for (len, bytes) in [(0, 16), (14, 16), (15, 31), (BIG_VALUE - 1, 16 + BIG_VALUE - 1)] {
        for value in [Value::Str("x".repeat(len)), Value::Bytes(vec![7; len])] {
            let values = builder.write_row(&[value]).unwrap();
            assert_eq!(values.byte_len(), bytes);
            assert_eq!(values.shared(0), None);
        }
    }
    let values = builder.write_row(&("x".repeat(BIG_VALUE),)).unwrap();
    assert_eq!(values.byte_len(), 16 + BIG_VALUE);
    assert_eq!(values.shared(0).unwrap().len(), BIG_VALUE);
}

#[test]
fn every_length_of_short_text_comes_back() {
    let mut builder = builder();
    for len in 0..20 {
        let text: String = ('a'..).take(len).collect();
        let values = builder.write_row(&(&text, len)).unwrap();
        assert_eq!(values.field(0), Some(FieldRef::Str(&text)));
        assert_eq!(values.field(1), Some(FieldRef::Int(len as i64)));
        assert_eq!(values.field(2), None);
    }
}

#[test]
fn bytes_of_4_kb_are_shared_not_copied() {
    let bytes = Bytes::from(vec![7; BIG_VALUE]);
    let mut builder = builder();
    let values = builder.write_row(&(&bytes,)).unwrap();
    assert_eq!(values.shared(0).unwrap().as_ptr(), bytes.as_ptr());

    let mut copier = RowBuilder::new(1 << 20);
    let copy = copier.write_row(&values).unwrap();
    assert_eq!(copy.shared(0).unwrap().as_ptr(), bytes.as_ptr());
}

#[test]
fn rows_of_any_kind_can_be_written() {
    let mut builder = builder();
    assert_eq!(builder.write_row(&()).unwrap().arity(), 0);
    let tuple = (1u8, 2.5f32, 'ß', None::<i32>, (), b"ab", Some("x"), true);
    let expected = values![1, 2.5, "ß", None::<i32>, None::<i32>, b"ab".to_vec(), "x", true];
    assert_eq!(builder.write_row(&tuple).unwrap().to_values(), expected);
    assert_eq!(builder.write_row(&&tuple).unwrap().to_values(), expected);
    assert_eq!(builder.write_row(&expected).unwrap().to_values(), expected);
    assert_eq!(builder.write_row(&expected[..2]).unwrap().to_values(), values![1, 2.5]);
    assert_eq!(builder.write_row(&[Value::Null, Value::Null]).unwrap().arity(), 2);
    assert_eq!(builder.write_row(&(values![1, 2],)).unwrap().to_values(), [values![1, 2].into()]);
    let sixteen = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    assert_eq!(builder.write_row(&sixteen).unwrap().field(15), Some(FieldRef::Int(16)));
}

#[test]
fn nan_and_minus_zero_keep_their_bits() {
    let mut builder = builder();
    for x in [f64::from_bits(0x7ff8_dead_beef_0001), -0.0] {
        let Some(FieldRef::Float(y)) = builder.write_row(&(x,)).unwrap().field(0) else {
            panic!("not a float")
        };
        assert_eq!(y.to_bits(), x.to_bits());
    }
}

#[test]
fn integers_that_do_not_fit_are_refused_with_their_position() {
    let mut builder = builder();
    let fits = (i64::MAX as u64, i128::from(i64::MIN), 5usize, 5isize, 5u128);
    let fits = builder.write_row(&fits).unwrap().to_values();
    assert_eq!(fits, values![i64::MAX, i64::MIN, 5, 5, 5]);
    assert_eq!(
        builder.write_row(&(1, u64::MAX, u128::MAX)),
        Err(RowError::IntTooWide { field: 1, value: "18446744073709551615".into() })
    );
    assert_eq!(builder.values().arity(), 0);
    assert_eq!(builder.write_row(&(1,)).unwrap().to_values(), values![1]);
}

/// A row that announces `arity` fields and writes others.
struct Wrong<T>(usize, Vec<T>);

impl<T: ToField> Row for Wrong<T> {
    fn arity(&self) -> usize {
        self.0
    }
    fn write(&self, out: &mut RowBuilder) {
        self.1.iter().for_each(|x| x.write(out));
    }
}

#[test]
fn a_row_that_writes_another_number_of_fields_is_refused() {
    let mut builder = builder();
    for long in ["", "longer than a slot can hold"] {
        for (arity, written) in [(2, 1), (1, 2), (0, 1), (1, 0)] {
            let row = Wrong(arity, vec![long; written]);
            let result = builder.write_row(&row).map(|_| ());
            assert_eq!(result, Err(RowError::Arity { arity, written }));
            assert_eq!(builder.values().arity(), 0);
        }
    }
    assert_eq!(
        builder.write_row(&Wrong(MAX_FIELDS + 1, vec![1])).map(|_| ()),
        Err(RowError::TooManyFields { fields: MAX_FIELDS + 1, max: MAX_FIELDS })
    );
    let row = vec![Value::Null; MAX_FIELDS];
    assert_eq!(builder.write_row(&row).unwrap().arity(), MAX_FIELDS);
}

#[test]
fn a_row_above_the_limit_is_refused_with_its_size() {
    let mut builder = RowBuilder::new(10_000);
    let too_large = |bytes| Err(RowError::TooLarge { bytes, max: 10_000 });
    let mut size = |row: &dyn Row| builder.write_row(row).map(|values| values.byte_len());

    assert_eq!(size(&vec![Value::Null; 625]), Ok(10_000));
    assert_eq!(size(&vec![Value::Null; 626]), too_large(10_016));
    assert_eq!(size(&("x".repeat(9_984),)), Ok(10_000));
    assert_eq!(size(&("x".repeat(9_985),)), too_large(10_001));
    assert_eq!(size(&(Bytes::from(vec![0; 9_985]),)), too_large(10_001));
    assert_eq!(size(&("x".repeat(4_000), "x".repeat(4_000), "x".repeat(2_000))), too_large(10_048));
    assert!(matches!(size(&(values!["x".repeat(20_000)],)), Err(RowError::TooLarge { .. })));
    assert!(matches!(size(&(Opaque("x".repeat(20_000)),)), Err(RowError::TooLarge { .. })));
    assert_eq!(size(&(1,)), Ok(16));
}

#[test]
fn lists_and_maps_nest_64_deep() {
    let mut builder = builder();
    let deepest = nest(MAX_DEPTH);
    assert_eq!(builder.write_row(&(&deepest,)).unwrap().to_values(), [deepest]);
    assert_eq!(builder.write_row(&(nest(MAX_DEPTH + 1),)), Err(RowError::TooDeep { max: MAX_DEPTH }));
}

#[test]
fn a_serde_type_that_refuses_is_an_error_with_its_position() {
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not today"))
        }
    }
    let error = builder().write_row(&(1, Opaque(Refuses))).map(|_| ()).unwrap_err();
    assert_eq!(error, RowError::Opaque { field: 1, message: "not today".into() });
    assert_eq!(error.to_string(), "field 1: cannot be encoded: not today");
}

#[test]
fn a_row_that_panics_leaves_no_row_behind() {
    struct Panics;
    impl Row for Panics {
        fn arity(&self) -> usize {
            2
        }
        fn write(&self, out: &mut RowBuilder) {
            out.str("longer than a slot can hold");
            panic!("as told");
        }
    }
    let mut builder = builder();
    builder.write_row(&(1, 2)).unwrap();
    let call = std::panic::AssertUnwindSafe(|| builder.write_row(&Panics).map(|_| ()));
    std::panic::catch_unwind(call).unwrap_err();
    assert_eq!(builder.values().arity(), 0);
    assert_eq!(builder.write_row(&("a", 1)).unwrap().to_values(), values!["a", 1]);
}

#[test]
fn writing_outside_of_a_row_changes_nothing() {
    let mut builder = builder();
    let row = (1, "longer than a slot can hold");
    builder.write_row(&row).unwrap();
    let before = builder.values().to_values();
    builder.int(7);
    builder.str("longer than a slot can hold");
    builder.str(&"x".repeat(BIG_VALUE));
    builder.value(&nest(3));
    assert_eq!(builder.values().to_values(), before);
    assert_eq!(builder.values().byte_len(), row_bytes(0, &builder.values()) - 20);
    let mut batch = Batch::new();
    batch.push(HEADER, &[], &builder.values());
    crate::wire::assert_round_trip(&batch);
}

#[test]
fn a_row_that_builds_another_one_within_is_refused_or_whole() {
    /// Writes `inner`, then `more` fields, and claims to be `arity` fields.
    struct Within<'a> {
        arity: usize,
        inner: &'a dyn Row,
        more: usize,
    }
    impl Row for Within<'_> {
        fn arity(&self) -> usize {
            self.arity
        }
        fn write(&self, out: &mut RowBuilder) {
            out.write_row(self.inner).unwrap();
            (0..self.more).for_each(|_| out.int(1));
        }
    }

    let (text, list, big) = ("x".repeat(15), values!["a", "b"], "x".repeat(BIG_VALUE));
    let inner: [&dyn Row; 5] = [&(1,), &(1, &text), &("x".repeat(32), 2), &(&list, 2), &(&big, &text)];
    let accepted = Cell::new(0);
    for inner in inner {
        for (arity, more) in (0..6).flat_map(|arity| (0..4).map(move |more| (arity, more))) {
            let mut builder = builder();
            if let Ok(values) = builder.write_row(&Within { arity, inner, more }) {
                assert_eq!(values.arity(), arity);
                let mut batch = Batch::new();
                batch.push(HEADER, &[], &values);
                crate::wire::assert_round_trip(&batch);
                accepted.set(accepted.get() + 1);
            }
        }
    }
    assert!(accepted.get() > 0);
}
