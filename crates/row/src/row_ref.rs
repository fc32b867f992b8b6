//! A view of one row: its header, anchors and values.

use std::fmt;

use bytes::Bytes;
use storm_model::TaskId;

use crate::layout::{ANCHOR_LEN, Anchor, HAS_BIG, HEADER_LEN, Header, u16_at, u32_at};
use crate::owned_row::OwnedRow;
use crate::values::Values;

/// A row of a batch, or an owned row.
#[derive(Clone, Copy)]
pub struct RowRef<'a> {
    bytes: &'a [u8],
    /// The list that the slots' indices count in.
    big: &'a [Bytes],
}

impl<'a> RowRef<'a> {
    /// `bytes` is one whole row that was checked or built here.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], big: &'a [Bytes]) -> Self {
        RowRef { bytes, big }
    }

    /// The task that is to receive the row.
    #[inline]
    pub fn target(self) -> TaskId {
        TaskId(u32_at(self.bytes, 4))
    }

    /// The task that emitted the row.
    #[inline]
    pub fn source(self) -> TaskId {
        TaskId(u32_at(self.bytes, 8))
    }

    /// Number of the stream among those of the source's component.
    #[inline]
    pub fn stream(self) -> u16 {
        u16_at(self.bytes, 12)
    }

    /// Target, source and stream.
    #[inline]
    pub fn header(self) -> Header {
        Header { target: self.target(), source: self.source(), stream: self.stream() }
    }

    /// Whether both are views of the very same row, not only equal ones.
    #[inline]
    pub fn is_same(self, other: RowRef<'_>) -> bool {
        std::ptr::eq(self.bytes.as_ptr(), other.bytes.as_ptr())
    }

    /// The values.
    #[inline]
    pub fn values(self) -> Values<'a> {
        let body = &self.bytes[HEADER_LEN + self.anchor_count() * ANCHOR_LEN..];
        Values::new(body, self.big, usize::from(u16_at(self.bytes, 14)), self.has_big())
    }

    /// Number of trees that the row belongs to.
    #[inline]
    pub fn anchor_count(self) -> usize {
        usize::from(u16_at(self.bytes, 16))
    }

    /// Anchor `i`, counted from 0.
    #[inline]
    pub fn anchor(self, i: usize) -> Option<Anchor> {
        (i < self.anchor_count()).then(|| Anchor::decode(&self.bytes[HEADER_LEN + i * ANCHOR_LEN..]))
    }

    /// The trees that the row belongs to, and its edge in each.
    #[inline]
    pub fn anchors(self) -> impl ExactSizeIterator<Item = Anchor> + Clone + 'a {
        let bytes = &self.bytes[HEADER_LEN..][..self.anchor_count() * ANCHOR_LEN];
        bytes.chunks_exact(ANCHOR_LEN).map(Anchor::decode)
    }

    /// Bytes that the row takes in a batch, big values included.
    #[inline]
    pub fn byte_len(self) -> usize {
        HEADER_LEN + self.anchor_count() * ANCHOR_LEN + self.values().byte_len()
    }

    /// Copies the row out of its batch; big values are shared.
    #[inline]
    pub fn to_owned_row(self) -> OwnedRow {
        OwnedRow::new(self)
    }

    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    pub(crate) fn has_big(self) -> bool {
        u16_at(self.bytes, 18) & HAS_BIG != 0
    }
}

impl fmt::Debug for RowRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("target", &self.target())
            .field("source", &self.source())
            .field("stream", &self.stream())
            .field("anchors", &self.anchors().collect::<Vec<_>>())
            .field("values", &self.values())
            .finish()
    }
}
