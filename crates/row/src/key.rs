//! Grouping keys: which rows belong together, by a hash that never changes.
//!
//! A fields grouping hashes an encoding of its own, so that the format of rows may change and rows
//! still go to the same task:
//!
//! ```text
//! key     field*                       in the order of the grouping's fields
//! field   | 0 |                        null
//!         | 1 | 0 or 1 |               bool
//!         | 2 | i64 |                  int
//!         | 3 | f64 bits |             float; -0 as 0, every NaN as one
//!         | 4 | length | bytes |       text and bytes alike
//!         | 5 | length | field* |      list
//!         | 6 | length | (key field)* |   map, sorted by key; key: length, text
//! length  | u8 |                       below 255
//!         | 255 | u32 |                from there on
//! ```
//!
//! Little endian. Lengths stand before what they measure, so ("ab", "c") and ("a", "bc") differ. An
//! int and a float differ even when equal. The hash is xxh3-64 with [`KEY_SEED`]; its upper 15 bits
//! are the key group, and a table maps groups to tasks. All of this is fixed for ever: saved state
//! and running topologies rely on it.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::field::FieldRef;
use crate::layout::len_u32;
use crate::slot::{kind, place};
use crate::values::Values;

/// Seed of the key hash ("STORM-RS").
pub const KEY_SEED: u64 = 0x53_54_4f_52_4d_2d_52_53;

/// Number of key groups.
pub const KEY_GROUPS: u32 = 1 << 15;

/// Tags of the key encoding. They are not those of slots, which may change.
mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const BOOL: u8 = 1;
    pub(super) const INT: u8 = 2;
    pub(super) const FLOAT: u8 = 3;
    pub(super) const TEXT: u8 = 4;
    pub(super) const LIST: u8 = 5;
    pub(super) const MAP: u8 = 6;
}

/// Why a row has no key. The caller adds the component and the field's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The field is a serde type, or holds one, whose encoding need not be the same for equal
    /// values.
    #[error("field {field} is opaque and cannot be a grouping key")]
    Opaque {
        /// Position of the field in the row.
        field: usize,
    },
    /// The row has no such field.
    #[error("grouping by field {field}, but the row has {arity} fields")]
    NoField {
        /// Position of the field.
        field: usize,
        /// Number of fields of the row.
        arity: usize,
    },
}

/// Hashes the fields that a grouping groups by.
#[derive(Clone, Debug, Default)]
pub struct KeyEncoder {
    scratch: Vec<u8>,
}

impl KeyEncoder {
    /// An encoder. It allocates at its first use, and again only for a longer key.
    pub const fn new() -> Self {
        KeyEncoder { scratch: Vec::new() }
    }

    /// The hash of the key: those of the values that stand at the positions `fields`, in that order.
    ///
    /// # Errors
    /// If a field is opaque or does not exist.
    #[inline]
    pub fn hash(&mut self, values: &Values<'_>, fields: &[usize]) -> Result<u64, KeyError> {
        if let [field] = fields
            && let Some(key) = values.short_text(*field)
        {
            return Ok(xxh3_64_with_seed(key, KEY_SEED));
        }
        self.scratch.clear();
        for &field in fields {
            let Some(value) = values.field(field) else {
                return Err(KeyError::NoField { field, arity: values.arity() });
            };
            encode(value, &mut self.scratch).map_err(|OpaqueKey| KeyError::Opaque { field })?;
        }
        Ok(xxh3_64_with_seed(&self.scratch, KEY_SEED))
    }

    /// The key group of a hash: below [`KEY_GROUPS`].
    #[inline(always)]
    pub fn group(hash: u64) -> u32 {
        (hash >> (u64::BITS - KEY_GROUPS.trailing_zeros())) as u32
    }
}

/// The usual key, one short text, need not be copied: its slot looks like its encoding.
const _: () = assert!(tag::TEXT == kind::STR | place::INLINE);

struct OpaqueKey;

#[inline]
fn encode(field: FieldRef<'_>, out: &mut Vec<u8>) -> Result<(), OpaqueKey> {
    match field {
        FieldRef::Str(x) => text(x.as_bytes(), out),
        FieldRef::Bytes(x) => text(x, out),
        FieldRef::Int(x) => fixed(tag::INT, x as u64, out),
        field => return encode_rare(field, out),
    }
    Ok(())
}

fn encode_rare(field: FieldRef<'_>, out: &mut Vec<u8>) -> Result<(), OpaqueKey> {
    match field {
        FieldRef::Null => out.push(tag::NULL),
        FieldRef::Bool(x) => out.extend_from_slice(&[tag::BOOL, u8::from(x)]),
        FieldRef::Float(x) => fixed(tag::FLOAT, normal(x).to_bits(), out),
        FieldRef::List(items) => {
            out.push(tag::LIST);
            length(items.len(), out);
            for item in items {
                encode(item, out)?;
            }
        }
        FieldRef::Map(entries) => {
            out.push(tag::MAP);
            length(entries.len(), out);
            for (key, value) in entries {
                length(key.len(), out);
                out.extend_from_slice(key.as_bytes());
                encode(value, out)?;
            }
        }
        FieldRef::Opaque(_) => return Err(OpaqueKey),
        FieldRef::Str(_) | FieldRef::Bytes(_) | FieldRef::Int(_) => return encode(field, out),
    }
    Ok(())
}

#[inline]
fn text(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag::TEXT);
    length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

#[inline]
fn length(length: usize, out: &mut Vec<u8>) {
    if length < 255 {
        out.push(length as u8);
    } else {
        out.push(255);
        out.extend_from_slice(&len_u32(length).to_le_bytes());
    }
}

#[inline]
fn fixed(tag: u8, bits: u64, out: &mut Vec<u8>) {
    let mut field = [tag, 0, 0, 0, 0, 0, 0, 0, 0];
    field[1..].copy_from_slice(&bits.to_le_bytes());
    out.extend_from_slice(&field);
}

/// One NaN for all, with bits written out so that no platform changes them, and one zero.
fn normal(x: f64) -> f64 {
    if x.is_nan() {
        f64::from_bits(0x7ff8_0000_0000_0000)
    } else if x == 0.0 {
        0.0
    } else {
        x
    }
}
