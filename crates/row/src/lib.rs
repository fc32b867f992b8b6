//! Rows and batches: the one representation of tuples, in memory and on the wire.
//!
//! A [`Row`] writes its values into a [`RowBuilder`]; the result is a [`Values`] view, which
//! [`Batch::push`] appends to a batch behind the row's header and anchors. The batch is handed to
//! an executor of the same worker as it is, or sent to another worker as the very same bytes. The
//! reader walks it with a [`Cursor`] and sees [`RowRef`]s, whose fields are [`FieldRef`]s.
//!
//! ```
//! use storm_row::{Batch, FromField, Header, RowBuilder, TaskId};
//!
//! let mut builder = RowBuilder::new(1 << 20);
//! let mut batch = Batch::new();
//! let header = Header { target: TaskId(4), source: TaskId(1), stream: 0 };
//! batch.push(header, &[], &builder.write_row(&("storm", 7))?);
//!
//! let row = batch.iter().next().expect("one row was pushed");
//! let count = row.values().field(1).expect("the row has two fields");
//! assert_eq!(i64::from_field(count)?, 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariants:
//! - In steady state neither building, pushing, walking nor clearing allocates.
//! - Bytes come into a builder or a batch only as typed values, as a copy of another view, or
//!   through [`Batch::from_wire`], which checks everything once. All readers trust them afterwards.
//! - The format is drawn in `layout.rs`, that of nested values in `nested.rs`, of the wire in
//!   `wire.rs`, of grouping keys in `key.rs`. The crate's only `unsafe` stands in `text.rs`.

mod layout;
mod text;

mod field;
mod nested;
mod slot;

mod builder;
mod from_field;
mod opaque;
mod row;
mod row_error;
mod to_field;
mod values;

mod batch;
mod owned_row;
mod row_ref;

mod check;
mod wire;

mod key;

pub use batch::{Batch, Cursor};
pub use builder::RowBuilder;
pub use bytes::Bytes;
pub use check::RowFault;
pub use field::FieldRef;
pub use from_field::{FieldError, FromField};
pub use key::{KEY_GROUPS, KEY_SEED, KeyEncoder, KeyError};
pub use layout::{Anchor, BIG_VALUE, Header, MAX_ANCHORS, MAX_DEPTH, MAX_FIELDS};
pub use nested::{ListIter, ListRef, MapIter, MapRef};
pub use opaque::Opaque;
pub use owned_row::OwnedRow;
pub use row::Row;
pub use row_error::RowError;
pub use row_ref::RowRef;
pub use storm_model::{TaskId, Value};
pub use to_field::ToField;
pub use values::{Values, row_bytes};
pub use wire::{WIRE_VERSION, WireError, WireLimits};
