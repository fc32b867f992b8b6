//! Reading fields as Rust types.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use storm_row::{Bytes, FieldError, FieldRef, FromField, ListRef, MapRef, Opaque, ToField, Value, values};

use crate::arbitrary::builder;

/// Writes `x` as a field and hands the field to `read`.
fn with<R>(x: impl ToField, read: impl FnOnce(FieldRef<'_>) -> R) -> R {
    read(builder().write_row(&(x,)).unwrap().field(0).unwrap())
}

/// Writes `x` and reads it as a `T`.
fn cast<T: for<'a> FromField<'a>>(x: impl ToField) -> Result<T, FieldError> {
    with(x, |field| T::from_field(field))
}

#[test]
fn every_type_reads_what_it_wrote() {
    macro_rules! same {
        ($($x:expr => $ty:ty),* $(,)?) => {
            $(assert_eq!(cast::<$ty>($x), Ok($x.into()));)*
        };
    }
    same! {
        true => bool, i8::MIN => i8, i16::MIN => i16, i32::MIN => i32, i64::MIN => i64, 5 => i128,
        u8::MAX => u8, u16::MAX => u16, u32::MAX => u32, 5u64 => u64, 5u64 => u128,
        5usize => usize, 5isize => isize, 0.1f32 => f32, 0.1 => f64, 'é' => char,
        "short" => String, "rather a longer text" => Box<str>, "x" => Arc<str>,
        Box::<str>::from("boxed") => Box<str>, Arc::<str>::from("shared") => Arc<str>,
        vec![1u8, 2] => Vec<u8>, [1u8, 2] => [u8; 2], Box::<[u8]>::from([0u8, 255]) => Box<[u8]>,
        Arc::<[u8]>::from([0u8, 255]) => Arc<[u8]>, Bytes::from_static(b"ab") => Bytes,
        values![1, "a"] => Vec<Value>, Some(5) => Option<i32>, None::<i32> => Option<i32>,
        Value::from(5) => Value, Value::Null => Value,
    }
    let map = BTreeMap::from([("a".to_owned(), Value::Int(1)), ("b".to_owned(), Value::Null)]);
    assert_eq!(cast(&map), Ok(map));
    with("text", |f| assert_eq!(<&str>::from_field(f), Ok("text")));
    with("text", |f| assert!(matches!(Cow::<str>::from_field(f), Ok(Cow::Borrowed("text")))));
    with("text", |f| assert_eq!(<&[u8]>::from_field(f), Ok(&b"text"[..])));
    with(Cow::Borrowed("text"), |f| assert_eq!(f, FieldRef::Str("text")));
    with(Cow::<[u8]>::Owned(vec![7]), |f| {
        assert_eq!(f, FieldRef::Bytes(&[7]));
        assert!(matches!(Cow::<[u8]>::from_field(f), Ok(Cow::Borrowed([7]))));
    });
    with((), |f| assert_eq!(FieldRef::from_field(f), Ok(FieldRef::Null)));
}

#[test]
fn integers_are_checked_against_their_range() {
    assert_eq!(cast::<u8>(256), Err(FieldError::OutOfRange { wanted: "u8", found: 256 }));
    assert_eq!(cast::<u64>(-1), Err(FieldError::OutOfRange { wanted: "u64", found: -1 }));
    assert_eq!(cast::<i8>(-128), Ok(-128));
}

#[test]
fn floats_take_integers_only_if_exact_and_integers_take_no_floats() {
    assert_eq!(cast::<f64>(1i64 << 53), Ok(9_007_199_254_740_992.0));
    let found = (1i64 << 53) + 1;
    assert_eq!(cast::<f64>(found), Err(FieldError::OutOfRange { wanted: "f64", found }));
    let found = i64::MAX;
    assert_eq!(cast::<f64>(found), Err(FieldError::OutOfRange { wanted: "f64", found }));
    assert_eq!(cast::<f32>(1 << 24), Ok(16_777_216.0));
    assert!(cast::<f32>((1 << 24) + 1).is_err());
    assert_eq!(cast::<f32>(0.1f64), Ok(0.1f32));
    assert_eq!(cast::<f32>(f64::INFINITY), Ok(f32::INFINITY));
    assert!(cast::<f32>(f64::NAN).unwrap().is_nan());
    let found = 1e300;
    assert_eq!(cast::<f32>(found), Err(FieldError::FloatOutOfRange { wanted: "f32", found }));
    let error = cast::<i32>(1.0).unwrap_err();
    assert_eq!(error, FieldError::WrongType { wanted: "i32", found: "float" });
    assert_eq!(error.to_string(), "expected i32, found float");
}

#[test]
fn bytes_are_text_if_they_are_utf8() {
    assert_eq!(cast::<String>(b"abc"), Ok("abc".into()));
    assert_eq!(cast::<String>([b'a', 0xff]), Err(FieldError::NotUtf8 { valid_up_to: 1 }));
    assert_eq!(cast::<Vec<u8>>("abc"), Ok(b"abc".to_vec()));
}

#[test]
fn lengths_are_checked() {
    let wrong = |wanted, found| FieldError::WrongLength { wanted, found };
    assert_eq!(cast::<[u8; 2]>("abc"), Err(wrong(2, 3)));
    assert_eq!(cast::<char>("éé"), Err(wrong(1, 2)));
    assert_eq!(cast::<char>(""), Err(wrong(1, 0)));
}

#[test]
fn a_null_is_nothing_but_none() {
    assert_eq!(cast::<Option<i64>>(()), Ok(None));
    let wrong = |wanted| FieldError::WrongType { wanted, found: "null" };
    assert_eq!(cast::<i64>(()), Err(wrong("i64")));
    assert_eq!(cast::<String>(()), Err(wrong("text")));
}

#[test]
fn lists_and_maps_are_read_as_they_lie_there() {
    with(values![1, "a", values![2]], |field| {
        let list = ListRef::from_field(field).unwrap();
        assert_eq!((list.len(), list.iter().len(), list.is_empty()), (3, 3, false));
        assert_eq!(list.get(1), Some(FieldRef::Str("a")));
        assert_eq!(list.get(3), None);
        assert_eq!(format!("{list:?}"), r#"[Int(1), Str("a"), List([Int(2)])]"#);
    });
    let map = BTreeMap::from([("b".to_owned(), Value::Int(2)), ("d".to_owned(), Value::Null)]);
    with(map, |field| {
        let map = MapRef::from_field(field).unwrap();
        assert_eq!(map.len(), 2);
        assert_eq!(map.get("b"), Some(FieldRef::Int(2)));
        assert_eq!(map.get("d"), Some(FieldRef::Null));
        for absent in ["", "a", "c", "e"] {
            assert_eq!(map.get(absent), None);
        }
        assert_eq!(map.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["b", "d"]);
    });
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    lines: Vec<(String, f64)>,
    note: Option<String>,
}

#[test]
fn serde_types_come_back_at_any_size() {
    for lines in [0, 1, 20, 1000] {
        let lines = vec![("screws".to_owned(), 9.5); lines];
        let order = Order { id: 7, lines, note: None };
        let Opaque(back) = cast::<Opaque<Order>>(Opaque(&order)).unwrap();
        assert_eq!(back, order);
    }
    assert_eq!(cast(Opaque(())), Ok(Opaque(())));
}

#[test]
fn an_opaque_field_must_decode_to_its_end() {
    assert!(matches!(cast::<Opaque<u32>>(Opaque(7u64)), Err(FieldError::Opaque(_))));
    assert!(matches!(cast::<Opaque<u64>>(Opaque(7u32)), Err(FieldError::Opaque(_))));
    // A length that no memory holds.
    assert!(matches!(cast::<Opaque<Vec<u64>>>(Opaque(u64::MAX)), Err(FieldError::Opaque(_))));
    assert!(matches!(cast::<Opaque<String>>(Opaque(1u64 << 40)), Err(FieldError::Opaque(_))));
    let wrong = FieldError::WrongType { wanted: "opaque", found: "int" };
    assert_eq!(cast::<Opaque<u64>>(7), Err(wrong));
}
