//! Any values: built, pushed, sent and received they are the same.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use storm_row::{Anchor, Batch, Header, RowBuilder, TaskId, Value, WireLimits};

#[derive(Arbitrary, Debug)]
struct Row {
    header: (u32, u32, u16),
    anchors: Vec<(u32, u64, u64)>,
    values: Vec<Field>,
}

#[derive(Arbitrary, Debug)]
enum Field {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Bytes(Vec<u8>),
    /// The lengths at which a value changes its place are beyond what the fuzzer tries by itself.
    Long(u16, u8),
    List(Vec<Field>),
    Map(BTreeMap<String, Field>),
    Opaque(Vec<u8>),
}

impl From<Field> for Value {
    fn from(field: Field) -> Value {
        match field {
            Field::Null => Value::Null,
            Field::Bool(x) => Value::Bool(x),
            Field::Int(x) => Value::Int(x),
            // NaN equals nothing.
            Field::Float(x) => Value::Float(if x.is_nan() { 0.0 } else { x }),
            Field::Str(x) => Value::Str(x),
            Field::Bytes(x) => Value::Bytes(x),
            Field::Long(len, byte) => Value::Bytes(vec![byte; usize::from(len)]),
            Field::List(x) => Value::List(x.into_iter().map(Value::from).collect()),
            Field::Map(x) => Value::Map(x.into_iter().map(|(k, v)| (k, v.into())).collect()),
            Field::Opaque(x) => Value::Opaque(x),
        }
    }
}

fuzz_target!(|rows: Vec<Row>| {
    let (mut builder, mut batch) = (RowBuilder::new(1 << 24), Batch::new());
    let mut expected = Vec::new();
    for Row { header: (target, source, stream), anchors, values } in rows {
        let values: Vec<Value> = values.into_iter().map(Value::from).collect();
        let anchors: Vec<Anchor> =
            anchors.into_iter().map(|(task, root, edge)| Anchor { task: TaskId(task), root, edge }).collect();
        let header = Header { target: TaskId(target), source: TaskId(source), stream };
        // Too deep, too many fields, too large: refused, and nothing is pushed.
        if let Ok(view) = builder.write_row(&values) {
            batch.push(header, &anchors, &view);
            expected.push((header, anchors, values));
        }
    }

    let mut sent = Vec::new();
    batch.to_wire(&mut sent);
    let received = Batch::from_wire(&sent, &WireLimits::default()).expect("what was built is valid");
    for batch in [batch, received] {
        assert_eq!(batch.row_count(), expected.len());
        for (row, (header, anchors, values)) in batch.iter().zip(&expected) {
            assert_eq!(row.header(), *header);
            assert!(row.anchors().eq(anchors.iter().copied()));
            assert_eq!(row.values().to_values(), *values);
        }
    }
});
