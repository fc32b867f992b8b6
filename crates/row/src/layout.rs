//! The layout of a row, drawn and named.
//!
//! ```text
//! row     0        4        8        12       14       16        18      20
//!         | length | target | source | stream | fields | anchors | flags | anchor* | slot* | tail |
//!
//! anchor  0            4          12         20
//!         | spout task | root     | edge     |
//!
//! slot    0     1     2        4        8                 16
//!         | tag | 0 .................. | the value        |   bool (1 byte, 7 zero), int, float
//!         | tag | len | up to 14 bytes, then zeros        |   short text, bytes, list, map, opaque
//!         | tag | 0           | length | offset | 0       |   the same from 15 bytes on: in the tail
//!         | tag | 0           | length | index  | 0       |   the same from 4 KB on: outside
//! ```
//!
//! Little endian throughout, no alignment. `length` counts the whole row with itself. A tag's low
//! four bits say what the value is, its high four bits where its bytes are.
//!
//! An offset counts from the first slot, so slots and tail (together the *body*) may be copied
//! anywhere. Tails lie one behind the other in the order of their slots, without gaps. An index
//! counts in the batch's list of big values, in the order of rows and slots, each used once; bit 0
//! of `flags` says that the row has any, so that all other rows are copied as plain bytes. What is
//! reserved is zero. So every row has exactly one encoding.

use storm_model::TaskId;

/// Values of this many bytes and more lie outside the batch's buffer and are shared by copies.
pub const BIG_VALUE: usize = 4096;

/// Lists and maps nest at most this deep; one in a field has depth 1.
pub const MAX_DEPTH: usize = 64;

/// A row has at most this many fields.
pub const MAX_FIELDS: usize = u16::MAX as usize;

/// A row has at most this many anchors.
pub const MAX_ANCHORS: usize = u16::MAX as usize;

/// Bytes of a row before its anchors.
pub(crate) const HEADER_LEN: usize = 20;
/// Bytes of an anchor.
pub(crate) const ANCHOR_LEN: usize = 20;

/// Flag: the row has values outside the batch's buffer.
pub(crate) const HAS_BIG: u16 = 1;

/// Buffers above this size are not kept for reuse.
pub(crate) const KEEP_MAX: usize = 64 << 10;

/// A tree that a row belongs to, and the row's edge in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Anchor {
    /// Task of the spout that owns the tree.
    pub task: TaskId,
    /// Root of the tree: the spout's slot (24 bits) and generation (40 bits), opaque here.
    pub root: u64,
    /// The row's edge in the tree.
    pub edge: u64,
}

/// Where a row comes from and goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The task that is to receive the row.
    pub target: TaskId,
    /// The task that emitted the row.
    pub source: TaskId,
    /// Number of the stream among those of the source's component.
    pub stream: u16,
}

impl Header {
    #[inline]
    pub(crate) fn encode(self, length: u32, fields: u16, anchors: u16, flags: u16) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..4].copy_from_slice(&length.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.target.0.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.source.0.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.stream.to_le_bytes());
        bytes[14..16].copy_from_slice(&fields.to_le_bytes());
        bytes[16..18].copy_from_slice(&anchors.to_le_bytes());
        bytes[18..20].copy_from_slice(&flags.to_le_bytes());
        bytes
    }
}

impl Anchor {
    #[inline]
    pub(crate) fn encode(self) -> [u8; ANCHOR_LEN] {
        let mut bytes = [0; ANCHOR_LEN];
        bytes[0..4].copy_from_slice(&self.task.0.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.root.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.edge.to_le_bytes());
        bytes
    }

    #[inline]
    pub(crate) fn decode(bytes: &[u8]) -> Anchor {
        Anchor { task: TaskId(u32_at(bytes, 0)), root: u64_at(bytes, 4), edge: u64_at(bytes, 12) }
    }
}

/// Reads of the fixed parts of a row that was checked or built here: a panic is a bug of this crate.
macro_rules! read_at {
    ($($name:ident -> $int:ty),*) => {
        $(#[inline]
        pub(crate) fn $name(bytes: &[u8], at: usize) -> $int {
            let chunk = bytes[at..].first_chunk().expect("the fixed part of a row is whole");
            <$int>::from_le_bytes(*chunk)
        })*
    };
}

read_at! { u16_at -> u16, u32_at -> u32, u64_at -> u64 }

/// The length of a part of a row. Parts are limited to [`u32::MAX`] before they are written.
#[inline]
pub(crate) fn len_u32(len: usize) -> u32 {
    debug_assert!(u32::try_from(len).is_ok(), "a part of {len} bytes was let through");
    len as u32
}
