//! A view of the values of one row.

use std::fmt;

use bytes::Bytes;
use storm_model::Value;

use crate::field::FieldRef;
use crate::layout::{ANCHOR_LEN, HEADER_LEN};
use crate::slot::{self, Slot, kind, place};

/// The values of one row: of a builder, of a row in a batch, or of an owned row.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    /// Slots, then tails.
    body: &'a [u8],
    /// The list that the slots' indices count in.
    big: &'a [Bytes],
    arity: u32,
    has_big: bool,
}

/// The bytes that [`Batch::push`](crate::Batch::push) takes for a row.
#[inline(always)]
pub fn row_bytes(anchors: usize, values: &Values<'_>) -> usize {
    HEADER_LEN + anchors * ANCHOR_LEN + values.byte_len()
}

impl<'a> Values<'a> {
    #[inline(always)]
    pub(crate) fn new(body: &'a [u8], big: &'a [Bytes], arity: usize, has_big: bool) -> Self {
        Values { body, big, arity: arity as u32, has_big }
    }

    /// Number of fields.
    #[inline(always)]
    pub fn arity(self) -> usize {
        self.arity as usize
    }

    /// Field `i`, counted from 0.
    #[inline]
    pub fn field(self, i: usize) -> Option<FieldRef<'a>> {
        (i < self.arity()).then(|| slot::read(self.body, self.big, i))
    }

    /// The bytes of field `i` if it is one of [`BIG_VALUE`](crate::BIG_VALUE) and more, to be kept
    /// or passed on without a copy.
    pub fn shared(self, i: usize) -> Option<&'a Bytes> {
        slot::big_index(self.slot(i)?).map(|index| &self.big[index])
    }

    /// The fields in order.
    #[inline]
    pub fn iter(self) -> impl ExactSizeIterator<Item = FieldRef<'a>> + Clone {
        (0..self.arity()).map(move |i| slot::read(self.body, self.big, i))
    }

    /// Bytes that the values take in a batch, big values included.
    #[inline(always)]
    pub fn byte_len(self) -> usize {
        self.body.len() + if self.has_big { self.big_bytes() } else { 0 }
    }

    /// Copies the values out of the row.
    pub fn to_values(self) -> Vec<Value> {
        self.iter().map(FieldRef::to_value).collect()
    }

    #[inline(always)]
    pub(crate) fn body(self) -> &'a [u8] {
        self.body
    }

    #[inline(always)]
    pub(crate) fn has_big(self) -> bool {
        self.has_big
    }

    /// The positions and bytes of the big values.
    pub(crate) fn big_values(self) -> impl Iterator<Item = (usize, &'a Bytes)> {
        let arity = if self.has_big { self.arity() } else { 0 };
        (0..arity).filter_map(move |i| Some((i, self.shared(i)?)))
    }

    /// The used part of slot `i` if it is text within its slot: tag, length, text.
    #[inline(always)]
    pub(crate) fn short_text(self, i: usize) -> Option<&'a [u8]> {
        let slot = self.slot(i)?;
        (slot[0] == kind::STR | place::INLINE).then(|| &slot[..2 + usize::from(slot[1])])
    }

    /// Whether field `i` is or may hold a serde type, which cannot be a key.
    #[inline(always)]
    pub fn may_be_opaque(self, i: usize) -> bool {
        matches!(self.kind(i), Some(kind::OPAQUE | kind::LIST | kind::MAP))
    }

    #[inline(always)]
    pub(crate) fn kind(self, i: usize) -> Option<u8> {
        self.slot(i).map(|slot| slot[0] & kind::MASK)
    }

    #[inline(always)]
    fn slot(self, i: usize) -> Option<&'a Slot> {
        (i < self.arity()).then(|| slot::at(self.body, i))
    }

    #[cold]
    fn big_bytes(&self) -> usize {
        self.big_values().map(|(_, bytes)| bytes.len()).sum()
    }
}

impl PartialEq for Values<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
