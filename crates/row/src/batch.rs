//! Rows one behind the other in one buffer.

use std::fmt;

use bytes::Bytes;

use crate::layout::{ANCHOR_LEN, Anchor, HAS_BIG, HEADER_LEN, Header, KEEP_MAX, MAX_ANCHORS, len_u32};
use crate::row_ref::RowRef;
use crate::slot::SLOT_LEN;
use crate::values::Values;

/// Longest body that is copied slot by slot.
const INLINE_COPY: usize = 6 * SLOT_LEN;

/// Bytes of a batch's first buffer.
const FIRST_BUFFER: usize = 1024;

/// Rows bound for one executor or one peer worker. It has one owner and is recycled.
#[derive(Default)]
pub struct Batch {
    /// Rows without gaps, up to `used`; room for more behind. The room is initialised, so that a
    /// push is one bounds check and plain stores.
    arena: Vec<u8>,
    used: usize,
    /// Where each row starts. So no cursor, however old, ever leads into the middle of a row.
    starts: Vec<usize>,
    /// Values of 4 KB and more, in the order of rows and slots.
    big: Vec<Bytes>,
    big_bytes: usize,
}

/// A place in a batch: before its next row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    row: usize,
}

impl Cursor {
    /// Number of rows before the cursor.
    #[inline]
    pub fn position(self) -> usize {
        self.row
    }
}

impl Batch {
    /// A batch without rows. It allocates at its first push.
    pub const fn new() -> Self {
        Self::of_parts(Vec::new(), Vec::new(), Vec::new(), 0)
    }

    /// A batch of rows that were checked, with the place where each starts.
    pub(crate) const fn of_parts(
        rows: Vec<u8>,
        starts: Vec<usize>,
        big: Vec<Bytes>,
        big_bytes: usize,
    ) -> Self {
        Batch { used: rows.len(), arena: rows, starts, big, big_bytes }
    }

    /// Appends a row and returns the bytes it took, which are [`row_bytes`](crate::row_bytes).
    ///
    /// # Panics
    /// If there are more than [`MAX_ANCHORS`] anchors, which no caller may let happen.
    #[inline(always)]
    pub fn push(&mut self, header: Header, anchors: &[Anchor], values: &Values<'_>) -> usize {
        assert!(anchors.len() <= MAX_ANCHORS, "a row has at most {MAX_ANCHORS} anchors");
        let body = values.body();
        let length = HEADER_LEN + anchors.len() * ANCHOR_LEN + body.len();
        let flags = if values.has_big() { HAS_BIG } else { 0 };

        let (head, rest) = self.append(length).split_at_mut(HEADER_LEN);
        let (anchored, place) = rest.split_at_mut(anchors.len() * ANCHOR_LEN);
        head.copy_from_slice(&header.encode(
            len_u32(length),
            values.arity() as u16,
            anchors.len() as u16,
            flags,
        ));
        for (place, anchor) in anchored.chunks_exact_mut(ANCHOR_LEN).zip(anchors) {
            place.copy_from_slice(&anchor.encode());
        }
        copy_slots(place, body);
        if values.has_big() { length + self.adopt(values) } else { length }
    }

    /// Appends a copy of a row and returns the bytes it took. Big values are shared.
    #[inline]
    pub fn push_row(&mut self, row: RowRef<'_>) -> usize {
        let bytes = row.bytes();
        self.append(bytes.len()).copy_from_slice(bytes);
        if row.has_big() { bytes.len() + self.adopt(&row.values()) } else { bytes.len() }
    }

    /// Number of rows.
    #[inline(always)]
    pub fn row_count(&self) -> usize {
        self.starts.len()
    }

    /// Bytes of all rows, big values included.
    #[inline(always)]
    pub fn byte_len(&self) -> usize {
        self.used + self.big_bytes
    }

    /// Whether there is no row.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Takes all rows out. Keeps the buffer, unless it is above 64 KB.
    pub fn clear(&mut self) {
        let starts_bytes = self.starts.capacity() * size_of::<usize>();
        let big_bytes = self.big.capacity() * size_of::<Bytes>();
        if self.arena.len().max(starts_bytes).max(big_bytes) > KEEP_MAX {
            *self = Batch::new();
        } else {
            self.used = 0;
            self.starts.clear();
            self.big.clear();
            self.big_bytes = 0;
        }
    }

    /// The row after the cursor, and moves the cursor behind it.
    #[inline(always)]
    pub fn next(&self, cursor: &mut Cursor) -> Option<RowRef<'_>> {
        let row = self.peek(*cursor)?;
        cursor.row += 1;
        Some(row)
    }

    /// The row after the cursor.
    #[inline(always)]
    pub fn peek(&self, cursor: Cursor) -> Option<RowRef<'_>> {
        let start = *self.starts.get(cursor.row)?;
        let end = self.starts.get(cursor.row + 1).map_or(self.used, |end| *end);
        Some(RowRef::new(&self.arena[start..end], &self.big))
    }

    /// The rows in order.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RowRef<'_>> {
        (0..self.row_count()).map(|row| self.peek(Cursor { row }).expect("the row is one of those counted"))
    }

    pub(crate) fn rows(&self) -> &[u8] {
        &self.arena[..self.used]
    }

    pub(crate) fn big(&self) -> &[Bytes] {
        &self.big
    }

    /// Starts a row of `length` bytes at the end.
    #[inline(always)]
    fn append(&mut self, length: usize) -> &mut [u8] {
        let start = self.used;
        let end = start + length;
        if end > self.arena.len() {
            self.grow(end);
        }
        self.starts.push(start);
        self.used = end;
        &mut self.arena[start..end]
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        let len = len.max(2 * self.arena.len()).max(FIRST_BUFFER);
        self.arena.reserve_exact(len - self.arena.len());
        self.arena.resize(len, 0);
    }

    /// Shares the big values of the row just appended, whose slots still count in the list that
    /// `values` came with, and returns their bytes.
    #[cold]
    fn adopt(&mut self, values: &Values<'_>) -> usize {
        let body = self.used - values.body().len();
        let mut bytes = 0;
        for (i, value) in values.big_values() {
            let index = body + i * SLOT_LEN + 8;
            self.arena[index..index + 4].copy_from_slice(&len_u32(self.big.len()).to_le_bytes());
            self.big.push(value.clone());
            bytes += value.len();
        }
        self.big_bytes += bytes;
        bytes
    }
}

/// Copies a body. Most are a few slots: a copy slot by slot is a few moves, where a copy of unknown
/// length would be a call.
#[inline(always)]
fn copy_slots(place: &mut [u8], body: &[u8]) {
    if body.len() > INLINE_COPY {
        place.copy_from_slice(body);
        return;
    }
    let (slots, rest) = body.as_chunks::<SLOT_LEN>();
    let (places, place_of_rest) = place.as_chunks_mut::<SLOT_LEN>();
    for (place, slot) in places.iter_mut().zip(slots) {
        *place = *slot;
    }
    if !rest.is_empty() {
        place_of_rest.copy_from_slice(rest);
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
