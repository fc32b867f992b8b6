//! Building the values of one row in a buffer that is used again for the next.

mod writers;

use bytes::Bytes;
use serde::Serialize;

use crate::layout::{BIG_VALUE, KEEP_MAX, MAX_FIELDS, len_u32};
use crate::nested::Encoder;
use crate::opaque;
use crate::row::Row;
use crate::row_error::RowError;
use crate::slot::{self, INLINE_MAX, SLOT_LEN, Slot, kind, place};
use crate::values::Values;

/// Builds the values of one row at a time in a reused buffer.
///
/// A [`Row`] is written by [`write_row`](Self::write_row), which calls back the field writers
/// ([`int`](Self::int), [`str`](Self::str), …), one call per field and in the order of the fields.
/// An error in a field is kept and returned by `write_row`.
#[derive(Debug)]
pub struct RowBuilder {
    /// The slots written so far; when the row is whole, its body as it lies in a batch.
    body: Vec<u8>,
    /// Whether all fields so far lie within their slots, so that nothing below `max_bytes` is used.
    plain: bool,
    /// Whether the row that was written last has big values.
    has_big: bool,
    /// Fields and length of the row that was written last; nothing until it is whole.
    done_arity: usize,
    done_len: usize,
    max_bytes: usize,

    /// Where the slots will end: the announced arity in bytes. Only rows that are not plain ask.
    slots_end: usize,
    /// What goes behind the slots when the row is whole.
    tail: Vec<u8>,
    big: Vec<Bytes>,
    big_bytes: usize,
    error: Option<RowError>,
}

impl RowBuilder {
    /// A builder of rows whose values take at most `max_bytes` (2 GB at most).
    pub fn new(max_bytes: usize) -> Self {
        RowBuilder {
            body: Vec::new(),
            plain: true,
            has_big: false,
            done_arity: 0,
            done_len: 0,
            max_bytes: max_bytes.min(i32::MAX as usize),
            slots_end: 0,
            tail: Vec::new(),
            big: Vec::new(),
            big_bytes: 0,
            error: None,
        }
    }

    /// Builds the values of `row` in place of those before.
    ///
    /// # Errors
    /// If a field cannot be written, the number of fields is not the row's arity, or the values
    /// take more bytes ([`Values::byte_len`]) than the limit. The builder stays usable.
    #[inline(always)]
    pub fn write_row<R: Row + ?Sized>(&mut self, row: &R) -> Result<Values<'_>, RowError> {
        let arity = row.arity();
        self.begin(arity)?;
        row.write(self);
        self.finish(arity)?;
        Ok(self.values())
    }

    /// The values of the last row, of arity 0 if writing it failed.
    #[inline]
    pub fn values(&self) -> Values<'_> {
        Values::new(&self.body[..self.done_len], &self.big, self.done_arity, self.has_big)
    }

    /// Number of fields of the present row that were written so far: the position of the next one.
    #[inline]
    pub fn position(&self) -> usize {
        self.body.len() / SLOT_LEN
    }

    #[inline(always)]
    fn begin(&mut self, arity: usize) -> Result<(), RowError> {
        (self.done_arity, self.done_len) = (0, 0);
        self.body.clear();
        if !self.plain || self.body.capacity() > KEEP_MAX {
            self.clean();
        }
        if arity > MAX_FIELDS {
            return Err(RowError::TooManyFields { fields: arity, max: MAX_FIELDS });
        }
        self.slots_end = arity * SLOT_LEN;
        Ok(())
    }

    fn clean(&mut self) {
        self.plain = true;
        self.has_big = false;
        for buffer in [&mut self.body, &mut self.tail] {
            buffer.clear();
            if buffer.capacity() > KEEP_MAX {
                *buffer = Vec::new();
            }
        }
        self.big.clear();
        self.big_bytes = 0;
        self.error = None;
    }

    #[inline(always)]
    fn finish(&mut self, arity: usize) -> Result<(), RowError> {
        let slots_end = arity * SLOT_LEN;
        if !self.plain || self.body.len() != slots_end || slots_end > self.max_bytes {
            self.finish_rare(arity)?;
        }
        (self.done_arity, self.done_len) = (arity, self.body.len());
        Ok(())
    }

    fn finish_rare(&mut self, arity: usize) -> Result<(), RowError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        // The second can differ if the row wrote another one into its own builder.
        let slots_end = arity * SLOT_LEN;
        if self.body.len() != slots_end || self.slots_end != slots_end {
            return Err(RowError::Arity { arity, written: self.position() });
        }
        if !self.has_room(0) {
            return Err(self.too_large(0));
        }
        self.body.extend_from_slice(&self.tail);
        self.has_big = !self.big.is_empty();
        Ok(())
    }

    /// Whether the row may have `more` bytes.
    fn has_room(&self, more: usize) -> bool {
        self.slots_end + self.tail.len() + self.big_bytes + more <= self.max_bytes
    }

    #[cold]
    fn too_large(&self, more: usize) -> RowError {
        let bytes = self.slots_end + self.tail.len() + self.big_bytes + more;
        RowError::TooLarge { bytes, max: self.max_bytes }
    }
}

/// How a value gets to its place.
impl RowBuilder {
    /// Writes a serde type.
    pub(crate) fn serialize<T: Serialize + ?Sized>(&mut self, value: &T) {
        let field = self.position();
        self.encoded(kind::OPAQUE, |encoder| opaque::encode(value, encoder.out, encoder.max, field));
    }

    #[inline]
    fn put(&mut self, slot: Slot) {
        self.body.extend_from_slice(&slot);
    }

    #[inline]
    fn var(&mut self, kind: u8, bytes: &[u8]) {
        if bytes.len() <= INLINE_MAX {
            self.put(slot::inline(kind, bytes));
        } else {
            self.var_long(kind, bytes);
        }
    }

    fn var_long(&mut self, kind: u8, bytes: &[u8]) {
        if !self.takes(bytes.len()) {
            return;
        }
        if bytes.len() < BIG_VALUE {
            let offset = self.slots_end + self.tail.len();
            self.tail.extend_from_slice(bytes);
            self.put(slot::outline(kind, place::TAIL, len_u32(bytes.len()), len_u32(offset)));
        } else {
            self.put_big(kind, Bytes::copy_from_slice(bytes));
        }
    }

    fn var_shared(&mut self, kind: u8, bytes: Bytes) {
        if bytes.len() < BIG_VALUE {
            self.var(kind, &bytes);
        } else if self.takes(bytes.len()) {
            self.put_big(kind, bytes);
        }
    }

    fn put_big(&mut self, kind: u8, bytes: Bytes) {
        let index = len_u32(self.big.len());
        self.put(slot::outline(kind, place::BIG, len_u32(bytes.len()), index));
        self.big_bytes += bytes.len();
        self.big.push(bytes);
    }

    /// Whether a value of `len` bytes is to be stored outside its slot; if not, it is accounted for.
    fn takes(&mut self, len: usize) -> bool {
        self.plain = false;
        if !self.has_room(len) {
            self.error(self.too_large(len));
            self.null();
            return false;
        }
        true
    }

    /// Lets `encode` append to the tail, then moves what it wrote to where it belongs by its size.
    fn encoded(&mut self, kind: u8, encode: impl FnOnce(&mut Encoder<'_>) -> Result<(), RowError>) {
        self.plain = false;
        let start = self.tail.len();
        let result = encode(&mut Encoder { out: &mut self.tail, max: self.max_bytes });
        let len = self.tail.len() - start;
        if let Err(error) = result {
            self.tail.truncate(start);
            self.error(error);
        } else if len <= INLINE_MAX {
            let short = slot::inline(kind, &self.tail[start..]);
            self.tail.truncate(start);
            self.put(short);
        } else if len < BIG_VALUE {
            let offset = self.slots_end + start;
            self.put(slot::outline(kind, place::TAIL, len_u32(len), len_u32(offset)));
        } else {
            let long = self.tail.split_off(start);
            self.var_shared(kind, long.into());
        }
    }
}
