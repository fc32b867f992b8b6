//! Batches: what is pushed is what is read, copies share big values, buffers stay small.

use proptest::prelude::*;
use storm_row::{Anchor, BIG_VALUE, Batch, Cursor, Header, OwnedRow, TaskId, row_bytes};

use crate::arbitrary::{self, HEADER, PlainRow, batch, batch_of, builder, plain};

proptest! {
    #[test]
    fn rows_come_back_in_order(rows in arbitrary::rows()) {
        let (mut builder, mut batch) = (builder(), Batch::new());
        let mut bytes = 0;
        for row in &rows {
            let values = builder.write_row(&row.values).unwrap();
            let announced = row_bytes(row.anchors.len(), &values);
            let pushed = batch.push(row.header, &row.anchors, &values);
            prop_assert_eq!(pushed, announced);
            bytes += pushed;
            prop_assert_eq!(batch.byte_len(), bytes);
        }
        prop_assert_eq!(batch.row_count(), rows.len());
        prop_assert_eq!(batch.is_empty(), rows.is_empty());
        prop_assert_eq!(plain(&batch), rows.clone());

        let mut cursor = Cursor::default();
        for row in &rows {
            prop_assert_eq!(&PlainRow::of(batch.peek(cursor).unwrap()), row);
            prop_assert_eq!(&PlainRow::of(batch.next(&mut cursor).unwrap()), row);
        }
        prop_assert_eq!(cursor.position(), rows.len());
        prop_assert!(batch.next(&mut cursor).is_none() && batch.peek(cursor).is_none());
    }

    #[test]
    fn copied_rows_are_the_same_and_outlive_their_batch(
        rows in arbitrary::rows(),
        before in arbitrary::rows(),
    ) {
        let mut from = batch(&rows);
        let mut to = batch(&before);
        let owned: Vec<OwnedRow> = from.iter().map(|row| row.to_owned_row()).collect();
        let mut bytes = to.byte_len();
        for row in from.iter() {
            let pushed = to.push_row(row);
            prop_assert_eq!(pushed, row.byte_len());
            bytes += pushed;
        }
        prop_assert_eq!(to.byte_len(), bytes);
        from.clear();

        let copied: Vec<_> = to.iter().skip(before.len()).map(PlainRow::of).collect();
        prop_assert_eq!(&copied, &rows);
        crate::wire::assert_round_trip(&to);
        let owned: Vec<_> = owned.iter().map(|row| PlainRow::of(row.clone().as_ref())).collect();
        prop_assert_eq!(&owned, &rows);
    }

    #[test]
    fn values_of_a_row_can_be_pushed_on(rows in arbitrary::rows()) {
        let from = batch(&rows);
        let mut to = Batch::new();
        for row in from.iter() {
            to.push(row.header(), &row.anchors().collect::<Vec<_>>(), &row.values());
        }
        prop_assert_eq!(plain(&to), rows);
    }
}

#[test]
fn header_and_anchors_come_back() {
    let header = Header { target: TaskId(u32::MAX), source: TaskId(7), stream: 9 };
    let anchors = [1, 2, 3].map(|i| Anchor { task: TaskId(i), root: u64::MAX, edge: 5 });
    let mut batch = Batch::new();
    batch.push(header, &anchors, &builder().write_row(&("x",)).unwrap());

    let row = batch.iter().next().unwrap();
    assert_eq!((row.target(), row.source(), row.stream()), (TaskId(u32::MAX), TaskId(7), 9));
    assert_eq!((row.anchor_count(), row.anchors().len()), (3, 3));
    assert_eq!(row.anchor(2), Some(anchors[2]));
    assert_eq!(row.anchor(3), None);
    assert_eq!(row.byte_len(), 20 + 3 * 20 + 16);
}

#[test]
fn copies_share_big_values() {
    let batch = batch_of(&["small".into(), "x".repeat(BIG_VALUE).into()]);
    let row = batch.iter().next().unwrap();
    let at = row.values().shared(1).unwrap().as_ptr();

    let mut copy = batch_of(&["y".repeat(BIG_VALUE).into()]);
    copy.push_row(row);
    assert_eq!(copy.iter().nth(1).unwrap().values().shared(1).unwrap().as_ptr(), at);

    let owned = copy.iter().nth(1).unwrap().to_owned_row();
    assert_eq!(owned.as_ref().values().shared(1).unwrap().as_ptr(), at);
    let clone = owned.clone();
    drop(owned);
    assert_eq!(clone.as_ref().values().shared(1).unwrap().as_ptr(), at);
}

#[test]
fn an_old_cursor_never_leads_into_a_row() {
    let mut batch = batch(&vec![row_of(1); 3]);
    let mut old = Cursor::default();
    batch.next(&mut old);
    batch.clear();
    assert!(batch.peek(old).is_none());
    for fields in 2..5 {
        row_of(fields).push_to(&mut batch, &mut builder());
    }
    assert_eq!(batch.peek(old).unwrap().values().arity(), 3);
}

fn row_of(fields: usize) -> PlainRow {
    PlainRow { header: HEADER, anchors: vec![], values: vec![1.into(); fields] }
}

#[test]
fn a_batch_grows_beyond_64_kb_and_then_starts_anew() {
    let mut builder = builder();
    let values = builder.write_row(&("x".repeat(1000),)).unwrap();
    let mut batch = Batch::new();
    for _ in 0..200 {
        batch.push(HEADER, &[], &values);
    }
    assert_eq!(batch.byte_len(), 200 * (20 + 16 + 1000));
    assert!(batch.iter().all(|row| row.values() == values));
    batch.clear();
    assert_eq!((batch.row_count(), batch.byte_len()), (0, 0));
    batch.push(HEADER, &[], &values);
    assert_eq!(batch.iter().next().unwrap().values(), values);
}

#[test]
fn batches_and_owned_rows_go_to_other_threads() {
    fn send<T: Send>() {}
    fn send_sync<T: Send + Sync>() {}
    send::<Batch>();
    send_sync::<OwnedRow>();
}
