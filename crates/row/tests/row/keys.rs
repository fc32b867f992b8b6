//! Grouping keys: equal values hash equally, others do not, and the hashes never change.

use proptest::prelude::*;
use storm_row::{KEY_GROUPS, KEY_SEED, KeyEncoder, KeyError, Opaque, Row, Value, values};

use crate::arbitrary::{self, builder};

fn try_hash(row: &dyn Row, fields: &[usize]) -> Result<u64, KeyError> {
    KeyEncoder::new().hash(&builder().write_row(row).unwrap(), fields)
}

/// The hash of all fields.
fn hash(row: impl Row) -> u64 {
    let fields: Vec<usize> = (0..row.arity()).collect();
    try_hash(&row, &fields).unwrap()
}

/// What a key says, told in another way than by its encoding. `None` for opaque values.
fn meaning(value: &Value) -> Option<String> {
    Some(match value {
        Value::Opaque(_) => return None,
        Value::Str(text) => format!("{:?}", text.as_bytes()),
        Value::Bytes(bytes) => format!("{bytes:?}"),
        Value::Float(x) => format!("{:?}", x + 0.0),
        Value::List(items) => format!("list{:?}", meanings(items)?),
        Value::Map(entries) => {
            let (keys, values): (Vec<_>, Vec<_>) = entries.clone().into_iter().unzip();
            format!("map{keys:?}{:?}", meanings(&values)?)
        }
        value => format!("{value:?}"),
    })
}

fn meanings(values: &[Value]) -> Option<Vec<String>> {
    values.iter().map(meaning).collect()
}

fn text_as_bytes(value: Value) -> Value {
    match value {
        Value::Str(text) => Value::Bytes(text.into_bytes()),
        Value::List(items) => Value::List(items.into_iter().map(text_as_bytes).collect()),
        value => value,
    }
}

#[test]
fn hashes_never_change() {
    // Computed by another implementation of xxh3 from keys encoded by hand.
    let nested = values![1, "a", values![true]];
    let map = Value::Map([("k".to_owned(), Value::Int(1)), ("l".to_owned(), Value::Null)].into());
    assert_eq!(KEY_SEED, 0x5354_4f52_4d2d_5253);
    assert_eq!(hash(()), 0xd0c7_491c_9493_b95e);
    assert_eq!(hash(("the",)), 0xb4c7_bd04_2981_d205);
    assert_eq!(hash(("quick", "brown")), 0x67c9_8c7f_2e98_f075);
    assert_eq!(
        hash(("a text that is longer than its slot, and longer than 64 bytes too",)),
        0x620a_92c2_7d6d_49b9
    );
    assert_eq!(hash(("x".repeat(254),)), 0xfa53_7b5e_a49b_1279);
    assert_eq!(hash(("x".repeat(255),)), 0xe182_e120_4bcc_346f);
    assert_eq!(hash(("x".repeat(5000),)), 0xa0fa_80c4_1264_e04d);
    assert_eq!(hash((0,)), 0x878c_d5b2_cd57_52fb);
    assert_eq!(hash((-1,)), 0xc871_6124_1ce0_5916);
    assert_eq!(hash((1.5,)), 0x1f09_da6f_b8c4_2e24);
    assert_eq!(hash((0.0,)), 0x7078_3420_f9d6_7f45);
    assert_eq!(hash((f64::NAN,)), 0x628d_250b_30ba_0e87);
    assert_eq!(hash((true,)), 0xd867_1125_8d4c_f898);
    assert_eq!(hash(((),)), 0x07e8_645f_1cd8_c144);
    assert_eq!(hash((nested,)), 0x8f83_83d5_2d32_df70);
    assert_eq!(hash((map,)), 0x1d07_b80c_42e1_f80f);
}

#[test]
fn equal_keys_of_different_types_hash_equally() {
    assert_eq!(hash(("abc",)), hash((b"abc",)));
    assert_eq!(hash(("abc",)), hash((String::from("abc"),)));
    assert_eq!(hash((7u8,)), hash((7i64,)));
    assert_eq!(hash((7usize,)), hash((7i16,)));
    assert_eq!(hash((0.0,)), hash((-0.0,)));
    assert_eq!(hash((f64::NAN,)), hash((-f64::from_bits(0x7ff0_0000_0000_0001),)));
    assert_eq!(hash((values!["a", -0.0],)), hash((values![b"a".to_vec(), 0.0],)));
}

#[test]
fn different_keys_hash_differently() {
    assert_ne!(hash(("ab", "c")), hash(("a", "bc")));
    assert_ne!(hash(("ab", "")), hash(("", "ab")));
    assert_ne!(hash((1,)), hash((1.0,)));
    assert_ne!(hash((0,)), hash((false,)));
    assert_ne!(hash(("",)), hash(((),)));
    assert_ne!(hash(("1",)), hash((1,)));
    assert_ne!(hash((values![1, 2],)), hash((values![values![1], 2],)));
    assert_ne!(hash((values![],)), hash((Value::Map([].into()),)));
}

#[test]
fn only_the_named_fields_count_in_their_order() {
    let (row, other) = (("a", 1, "b"), ("a", 2, "b"));
    assert_eq!(try_hash(&row, &[0, 2]), try_hash(&other, &[0, 2]));
    assert_ne!(try_hash(&row, &[0, 1]), try_hash(&other, &[0, 1]));
    assert_ne!(try_hash(&row, &[0, 2]), try_hash(&row, &[2, 0]));
}

#[test]
fn opaque_and_absent_fields_are_refused() {
    assert_eq!(try_hash(&(1, Opaque(2)), &[0, 1]), Err(KeyError::Opaque { field: 1 }));
    let nested = vec![Value::Opaque(vec![1])];
    assert_eq!(try_hash(&(nested,), &[0]), Err(KeyError::Opaque { field: 0 }));
    assert_eq!(try_hash(&(1, Opaque(2)), &[0]), try_hash(&(1,), &[0]));
    let error = try_hash(&(1,), &[1]).unwrap_err();
    assert_eq!(error, KeyError::NoField { field: 1, arity: 1 });
    assert_eq!(error.to_string(), "grouping by field 1, but the row has 1 fields");
}

#[test]
fn groups_are_the_upper_15_bits() {
    assert_eq!(KeyEncoder::group(0), 0);
    assert_eq!(KeyEncoder::group(u64::MAX), KEY_GROUPS - 1);
    assert_eq!(KeyEncoder::group(1 << 49), 1);
    assert_eq!(KeyEncoder::group((1 << 49) - 1), 0);
}

#[test]
fn groups_are_evenly_used() {
    let mut used = vec![0u32; 64];
    for i in 0..64_000 {
        used[(KeyEncoder::group(hash((i,))) / (KEY_GROUPS / 64)) as usize] += 1;
    }
    assert!(used.iter().all(|&n| (800..1200).contains(&n)), "{used:?}");
}

proptest! {
    #[test]
    fn keys_hash_equally_exactly_if_they_mean_the_same(
        a in arbitrary::values(),
        b in arbitrary::values(),
    ) {
        let (Some(a_means), Some(b_means)) = (meanings(&a), meanings(&b)) else {
            return Ok(());
        };
        prop_assert_eq!(hash(&a) == hash(&b), a_means == b_means);
        let bytes: Vec<Value> = a.iter().cloned().map(text_as_bytes).collect();
        prop_assert_eq!(hash(&a), hash(bytes));
    }

    #[test]
    fn small_keys_hash_equally_exactly_if_they_mean_the_same(
        a in "[ab]{0,2}", b in "[ab]{0,2}", c in "[ab]{0,2}", d in "[ab]{0,2}",
    ) {
        prop_assert_eq!(hash((&a, &b)) == hash((&c, &d)), (&a, &b) == (&c, &d));
        let (ab, cd) = (values![&*a, &*b], values![&*c, &*d]);
        prop_assert_eq!(hash((&ab,)) == hash((&cd,)), ab == cd);
    }
}
