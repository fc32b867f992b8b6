//! Values, rows and batches at random, and what the other tests build them with.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use storm_row::{Anchor, Batch, Header, RowBuilder, RowRef, TaskId, Value};

pub(crate) const HEADER: Header = Header { target: TaskId(3), source: TaskId(1), stream: 2 };

/// A builder without a limit that matters.
pub(crate) fn builder() -> RowBuilder {
    RowBuilder::new(usize::MAX)
}

/// A batch of one row.
pub(crate) fn batch_of(values: &[Value]) -> Batch {
    let (mut builder, mut batch) = (builder(), Batch::new());
    batch.push(HEADER, &[], &builder.write_row(values).unwrap());
    batch
}

/// All that a row says, owned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlainRow {
    pub(crate) header: Header,
    pub(crate) anchors: Vec<Anchor>,
    pub(crate) values: Vec<Value>,
}

impl PlainRow {
    pub(crate) fn of(row: RowRef<'_>) -> PlainRow {
        PlainRow { header: row.header(), anchors: row.anchors().collect(), values: row.values().to_values() }
    }

    pub(crate) fn push_to(&self, batch: &mut Batch, builder: &mut RowBuilder) -> usize {
        batch.push(self.header, &self.anchors, &builder.write_row(&self.values).unwrap())
    }
}

pub(crate) fn batch(rows: &[PlainRow]) -> Batch {
    let (mut builder, mut batch) = (builder(), Batch::new());
    for row in rows {
        row.push_to(&mut batch, &mut builder);
    }
    batch
}

pub(crate) fn plain(batch: &Batch) -> Vec<PlainRow> {
    batch.iter().map(PlainRow::of).collect()
}

/// Lengths around those at which a value changes its place.
fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 0..20usize,
        2 => 13..=16usize,
        1 => 20..200usize,
        1 => 4080..=4100usize,
    ]
}

fn text() -> impl Strategy<Value = String> {
    (len(), "[a-zäö€🦀]").prop_map(|(len, c)| {
        let mut text = c.repeat(len / c.len());
        text.push_str(&"x".repeat(len - text.len()));
        text
    })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    (len(), any::<u8>()).prop_map(|(len, byte)| (0..len).map(|i| byte ^ i as u8).collect())
}

/// Any value but NaN, which equals nothing.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("NaN", |x| !x.is_nan()).prop_map(Value::Float),
        text().prop_map(Value::Str),
        bytes().prop_map(Value::Bytes),
        bytes().prop_map(Value::Opaque),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::List),
            btree_map("[a-zé]{0,20}", inner, 0..6).prop_map(Value::Map),
        ]
    })
}

pub(crate) fn values() -> impl Strategy<Value = Vec<Value>> {
    vec(value(), 0..6)
}

fn anchor() -> impl Strategy<Value = Anchor> {
    (any::<u32>(), any::<u64>(), any::<u64>()).prop_map(|(task, root, edge)| Anchor {
        task: TaskId(task),
        root,
        edge,
    })
}

pub(crate) fn row() -> impl Strategy<Value = PlainRow> {
    let header = (any::<u32>(), any::<u32>(), any::<u16>()).prop_map(|(target, source, stream)| Header {
        target: TaskId(target),
        source: TaskId(source),
        stream,
    });
    (header, vec(anchor(), 0..3), values()).prop_map(|(header, anchors, values)| PlainRow {
        header,
        anchors,
        values,
    })
}

pub(crate) fn rows() -> impl Strategy<Value = Vec<PlainRow>> {
    vec(row(), 0..6)
}

/// `depth` lists and maps around an int.
pub(crate) fn nest(depth: usize) -> Value {
    (0..depth).fold(Value::Int(1), |inner, i| match i % 2 {
        0 => Value::List(vec![inner]),
        _ => Value::Map(BTreeMap::from([("k".to_owned(), inner)])),
    })
}
