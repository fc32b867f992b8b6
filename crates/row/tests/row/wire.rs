//! The wire: what is sent is what is received, and nothing received is trusted.

use proptest::prelude::*;
use storm_row::{Batch, FieldRef, MAX_DEPTH, RowFault, Value, WIRE_VERSION, WireError, WireLimits};

use crate::arbitrary::{self, batch, batch_of, nest, plain};

const LIMITS: WireLimits = WireLimits { bytes: 1 << 20, rows: 1 << 16, row_bytes: 1 << 20 };

fn wire(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::new();
    batch.to_wire(&mut out);
    assert_eq!(out.len(), batch.wire_len());
    out
}

/// Asserts that a batch is what this crate would write, by sending it.
pub(crate) fn assert_round_trip(batch: &Batch) {
    let sent = wire(batch);
    let received = Batch::from_wire(&sent, &LIMITS).unwrap();
    assert_eq!(plain(&received), plain(batch));
    assert_eq!(received.byte_len(), batch.byte_len());
    assert_eq!(wire(&received), sent);
}

/// Reads every value of a batch that was accepted, and asserts that its bytes are the only ones
/// that say so.
fn assert_readable(bytes: &[u8]) {
    if let Ok(batch) = Batch::from_wire(bytes, &LIMITS) {
        assert_eq!(plain(&batch).len(), batch.row_count());
        let _text = format!("{batch:?}");
        assert_eq!(wire(&batch), bytes);
    }
}

proptest! {
    #[test]
    fn batches_come_back(rows in arbitrary::rows()) {
        let batch = batch(&rows);
        assert_round_trip(&batch);
        prop_assert_eq!(plain(&Batch::from_wire(&wire(&batch), &LIMITS).unwrap()), rows);
    }

    #[test]
    fn any_cut_is_an_error(rows in arbitrary::rows(), at in any::<prop::sample::Index>()) {
        let bytes = wire(&batch(&rows));
        prop_assert!(Batch::from_wire(&bytes[..at.index(bytes.len())], &LIMITS).is_err());
    }

    #[test]
    fn more_bytes_are_an_error(rows in arbitrary::rows(), more in 1..50usize) {
        let mut bytes = wire(&batch(&rows));
        bytes.resize(bytes.len() + more, 0);
        prop_assert_eq!(
            Batch::from_wire(&bytes, &LIMITS).unwrap_err(),
            WireError::Trailing { bytes: more }
        );
    }

    #[test]
    fn flipped_bytes_are_an_error_or_another_batch(
        rows in arbitrary::rows(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..4),
    ) {
        let mut bytes = wire(&batch(&rows));
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        assert_readable(&bytes);
    }

    #[test]
    fn bytes_copied_elsewhere_are_an_error_or_another_batch(
        rows in arbitrary::rows(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        len in 1..40usize,
    ) {
        let mut bytes = wire(&batch(&rows));
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        let len = len.min(bytes.len() - from.max(to));
        bytes.copy_within(from..from + len, to);
        assert_readable(&bytes);
    }

    #[test]
    fn random_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        assert_readable(&bytes);
    }
}

#[test]
fn every_single_flip_of_a_small_batch_is_an_error_or_another_batch() {
    let map = Value::Map([("k".to_owned(), Value::Bool(true)), ("l".to_owned(), Value::Null)].into());
    let list = Value::List(vec![1.into(), "äö".into(), map]);
    let values = [Value::Null, true.into(), 1.5.into(), "short".into(), "x".repeat(20).into(), list];
    let sent = wire(&batch_of(&values));
    for at in 0..sent.len() {
        for bit in 0..8 {
            let mut bytes = sent.clone();
            bytes[at] ^= 1 << bit;
            assert_readable(&bytes);
        }
    }
}

/// Changes the wire form of one row and says what the receiver makes of it.
fn tamper(values: &[Value], change: impl FnOnce(&mut Vec<u8>)) -> Result<Batch, WireError> {
    let mut bytes = wire(&batch_of(values));
    change(&mut bytes);
    Batch::from_wire(&bytes, &LIMITS)
}

/// Where the first slot of the first row is.
const SLOT: usize = 24 + 20;

#[test]
fn the_callers_check_sees_whole_rows_in_order_until_it_refuses_one() {
    let rows: Vec<Vec<Value>> = (0..5).map(|n| vec![Value::Int(n), Value::Str("x".repeat(5_000))]).collect();
    let mut batch = Batch::new();
    for values in &rows {
        batch.push_row(batch_of(values).iter().next().unwrap());
    }
    let bytes = wire(&batch);
    let mut seen = Vec::new();
    let result = Batch::from_wire_if(&bytes, &LIMITS, |row| {
        seen.push(row.to_owned_row());
        if seen.len() < 4 { Ok(()) } else { Err(WireError::Reserved) }
    });
    assert_eq!(result.unwrap_err(), WireError::Reserved);
    let expected: Vec<String> = batch.iter().take(4).map(|row| format!("{row:?}")).collect();
    assert_eq!(seen.iter().map(|row| format!("{:?}", row.as_ref())).collect::<Vec<_>>(), expected);
}

#[test]
fn faults_are_named() {
    let row = |fault| WireError::Row { row: 0, fault };
    let fault = |values: &[Value], change: fn(&mut Vec<u8>)| tamper(values, change).unwrap_err();
    let long: [Value; 1] = ["x".repeat(20).into()];

    assert_eq!(fault(&[], |b| b[0] = 9), WireError::Version { found: 9 });
    assert_eq!(fault(&[], |b| b[2] = 1), WireError::Reserved);
    assert_eq!(fault(&[], |b| b[4] = 1), WireError::Cut);
    assert_eq!(fault(&[], |b| b[8] = 2), WireError::RowCount { announced: 2 });
    assert_eq!(fault(&[], |b| b[8] = 0), WireError::RowCount { announced: 0 });
    assert_eq!(fault(&[], |b| b[16] = 21), WireError::Cut);
    assert_eq!(fault(&[], |b| b[24] = 21), row(RowFault::Length));
    assert_eq!(fault(&[], |b| b[24 + 14] = 1), row(RowFault::Length));
    assert_eq!(fault(&[], |b| b[24 + 16] = 1), row(RowFault::Length));
    assert_eq!(fault(&[], |b| b[24 + 18] = 1), row(RowFault::Flags));
    assert_eq!(fault(&[], |b| b[24 + 18] = 2), row(RowFault::Flags));
    let tag = |tag| row(RowFault::Tag { field: 0, tag });
    assert_eq!(fault(&[1.into()], |b| b[SLOT] = 9), tag(9));
    assert_eq!(fault(&[1.into()], |b| b[SLOT] = 0x12), tag(0x12));
    assert_eq!(fault(&long, |b| b[SLOT] = 0x34), tag(0x34));
    let slot = row(RowFault::Slot { field: 0 });
    assert_eq!(fault(&[1.into()], |b| b[SLOT + 1] = 1), slot);
    assert_eq!(fault(&[true.into()], |b| b[SLOT + 8] = 2), slot);
    assert_eq!(fault(&["ab".into()], |b| b[SLOT + 1] = 15), slot);
    assert_eq!(fault(&["ab".into()], |b| b[SLOT + 1] = 1), slot);
    assert_eq!(fault(&long, |b| b[SLOT + 4] = 14), slot);
    let place = row(RowFault::Place { field: 0 });
    assert_eq!(fault(&long, |b| b[SLOT + 8] = 17), place);
    assert_eq!(fault(&long, |b| b[SLOT + 4] = 21), place);
    assert_eq!(fault(&long, |b| b[SLOT + 4] = 19), row(RowFault::Length));
    assert_eq!(fault(&["ab".into()], |b| b[SLOT + 2] = 0xff), row(RowFault::Utf8 { field: 0 }));
    assert_eq!(fault(&long, |b| b[SLOT + 16] = 0xff), row(RowFault::Utf8 { field: 0 }));
}

#[test]
fn a_big_value_belongs_to_exactly_one_slot() {
    let values: [Value; 2] = ["x".repeat(5000).into(), "y".repeat(5000).into()];
    let place = |field| WireError::Row { row: 0, fault: RowFault::Place { field } };
    // Both slots name the first value; the slots change places.
    assert_eq!(tamper(&values, |b| b[SLOT + 16 + 8] = 0).unwrap_err(), place(1));
    assert_eq!(tamper(&values, |b| b[SLOT + 8] = 1).unwrap_err(), place(0));
    // A value more than there are slots.
    let more = tamper(&values, |b| {
        b[4] = 3;
        b.extend_from_slice(&4096u32.to_le_bytes());
        b.resize(b.len() + 4096, 0);
    });
    assert_eq!(more.unwrap_err(), WireError::BigValue { index: 2 });
    // One that should lie in its row, and one that is not text.
    let big = SLOT + 32;
    let small = tamper(&values, |b| b[big..big + 4].copy_from_slice(&4095u32.to_le_bytes()));
    assert_eq!(small.unwrap_err(), WireError::BigValue { index: 0 });
    let broken = tamper(&values, |b| b[big + 4] = 0xff).unwrap_err();
    assert_eq!(broken, WireError::Row { row: 0, fault: RowFault::Utf8 { field: 0 } });
}

#[test]
fn lists_from_the_wire_nest_64_deep() {
    assert_round_trip(&batch_of(&[nest(MAX_DEPTH)]));
    // Wrap the deepest list once more by hand: | 1 | list tag | length | the list |
    let mut inner = 0u32.to_le_bytes().to_vec();
    let mut wrap = |times| {
        for _ in 0..times {
            let mut outer = 1u32.to_le_bytes().to_vec();
            outer.push(6);
            outer.extend_from_slice(&(inner.len() as u32).to_le_bytes());
            outer.append(&mut inner);
            inner = outer;
        }
        inner.clone()
    };
    // Opaque bytes stand in for the list, as a builder refuses it; then the tag is changed.
    let as_list = |list| tamper(&[Value::Opaque(list)], |b| b[SLOT] = 0x16);
    assert!(as_list(wrap(MAX_DEPTH - 1)).is_ok());
    let fault = RowFault::Nested { field: 0 };
    assert_eq!(as_list(wrap(1)).unwrap_err(), WireError::Row { row: 0, fault });
}

#[test]
fn keys_of_a_map_must_ascend() {
    let map = |keys: [u8; 2]| {
        let mut bytes = vec![2, 0, 0, 0];
        for key in keys {
            bytes.extend_from_slice(&[1, 0, 0, 0, key, 0]);
        }
        tamper(&[Value::Opaque(bytes)], |b| b[SLOT] = 0x17)
    };
    let batch = map(*b"ab").unwrap();
    let values = batch.iter().next().unwrap().values();
    assert!(matches!(values.field(0), Some(FieldRef::Map(map)) if map.get("b").is_some()));
    assert!(map(*b"ba").is_err());
    assert!(map(*b"aa").is_err());
}

#[test]
fn limits_hold() {
    let row =
        arbitrary::PlainRow { header: arbitrary::HEADER, anchors: vec![], values: vec![Value::Null; 5] };
    let bytes = wire(&batch(&vec![row; 3]));
    let with = |limits| Batch::from_wire(&bytes, &limits).map(|batch| batch.row_count());
    let exact = WireLimits { bytes: 324, rows: 3, row_bytes: 100 };
    assert_eq!(with(exact), Ok(3));
    assert_eq!(with(WireLimits::default()), Ok(3));
    let error = with(WireLimits { bytes: 323, ..exact });
    assert_eq!(error, Err(WireError::TooLarge { bytes: 324, max: 323 }));
    let error = with(WireLimits { rows: 2, ..exact });
    assert_eq!(error, Err(WireError::TooManyRows { rows: 3, max: 2 }));
    let error = with(WireLimits { row_bytes: 99, ..exact });
    assert_eq!(error, Err(WireError::RowTooLarge { row: 0, bytes: 100, max: 99 }));
}

/// If this fails, the format has changed: then [`WIRE_VERSION`] must change as well.
#[test]
fn the_format_of_version_1_never_changes() {
    assert_eq!(WIRE_VERSION, 1);
    let list = Value::List(vec![1.into(), "b".into(), Value::Null, true.into()]);
    let map = Value::Map([("k".to_owned(), Value::Float(1.5))].into());
    let long: Value = "fifteen letters".into();
    let values = [Value::Null, true.into(), (-2).into(), 1.5.into(), "ab".into(), long, list, map];
    let hex: String = wire(&batch_of(&values)).iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = [
        "01000000000000000100000000000000cb00000000000000", // head
        "cb00000003000000010000000200080000000000",         // row header
        "00000000000000000000000000000000",                 // slot 0
        "01000000000000000100000000000000",                 // slot 1
        "0200000000000000feffffffffffffff",                 // slot 2
        "0300000000000000000000000000f83f",                 // slot 3
        "04026162000000000000000000000000",                 // slot 4
        "140000000f0000008000000000000000",                 // slot 5
        "16000000160000008f00000000000000",                 // slot 6
        "1700000012000000a500000000000000",                 // slot 7
        "6669667465656e206c657474657273",                   // tail: text
        "04000000020100000000000000040100000062000101",     // list
        "01000000010000006b03000000000000f83f",             // map
    ];
    assert_eq!(hex, expected.concat());
}
