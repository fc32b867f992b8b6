//! Building the values of one row in a buffer that is used again for the next.

use bytes::Bytes;
use serde::Serialize;
use storm_model::Value;

use crate::field::FieldRef;
use crate::layout::{BIG_VALUE, KEEP_MAX, MAX_FIELDS, len_u32};
use crate::nested::Encoder;
use crate::opaque;
use crate::row::Row;
use crate::slot::{self, INLINE_MAX, SLOT_LEN, Slot, kind, place};
use crate::values::Values;

/// Why a row cannot be built. The caller adds the component and the stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The row's [`Row::write`] wrote another number of fields than its [`Row::arity`] says.
    #[error("row of {arity} fields wrote {written}")]
    Arity {
        /// Fields announced.
        arity: usize,
        /// Fields written.
        written: usize,
    },
    /// The row has more fields than a row can have.
    #[error("row has {fields} fields, at most {max} are possible")]
    TooManyFields {
        /// Fields of the row.
        fields: usize,
        /// [`MAX_FIELDS`].
        max: usize,
    },
    /// The row's values take more bytes than the builder's limit.
    #[error("row of {bytes} bytes or more is above the limit of {max}")]
    TooLarge {
        /// Bytes that the row takes at least.
        bytes: usize,
        /// The builder's limit.
        max: usize,
    },
    /// An integer does not fit into 64 signed bits.
    #[error("field {field}: {value} does not fit into a signed 64-bit integer")]
    IntTooWide {
        /// Position of the field.
        field: usize,
        /// The integer.
        value: String,
    },
    /// Lists and maps are nested too deep.
    #[error("lists and maps nest deeper than {max}")]
    TooDeep {
        /// [`MAX_DEPTH`](crate::MAX_DEPTH).
        max: usize,
    },
    /// A serde type refuses to be encoded.
    #[error("field {field}: cannot be encoded: {message}")]
    Opaque {
        /// Position of the field.
        field: usize,
        /// What its encoder says.
        message: String,
    },
}

/// Builds the values of one row at a time in a reused buffer.
///
/// A [`Row`] is written by [`write_row`](Self::write_row), which calls back the field writers
/// ([`int`](Self::int), [`str`](Self::str), …), one call per field and in the order of the fields.
/// An error in a field is kept and returned by `write_row`.
#[derive(Debug)]
pub struct RowBuilder {
    /// The slots written so far; when the row is whole, its body as it lies in a batch.
    body: Vec<u8>,
    /// Where the slots will end: the row's arity in bytes.
    slots_end: usize,
    /// The tails, which move behind the slots when the row is whole.
    tail: Vec<u8>,
    big: Vec<Bytes>,
    /// Bytes of all big values, including those refused for their size.
    big_bytes: usize,
    /// Fields written beyond the row's arity.
    surplus: usize,
    error: Option<RowError>,
    /// Whether the body is a row that was written without an error.
    ready: bool,
    max_bytes: usize,
}

impl RowBuilder {
    /// A builder of rows whose values take at most `max_bytes` (2 GB at most).
    pub fn new(max_bytes: usize) -> Self {
        RowBuilder {
            body: Vec::new(),
            slots_end: 0,
            tail: Vec::new(),
            big: Vec::new(),
            big_bytes: 0,
            surplus: 0,
            error: None,
            ready: false,
            max_bytes: max_bytes.min(i32::MAX as usize),
        }
    }

    /// Builds the values of `row` in place of those before.
    ///
    /// # Errors
    /// If a field cannot be written, the number of fields is not the row's arity, or the values
    /// take more bytes ([`Values::byte_len`]) than the limit. The builder stays usable.
    #[inline]
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
        if self.ready {
            Values::new(&self.body, &self.big, self.slots_end / SLOT_LEN, !self.big.is_empty())
        } else {
            Values::EMPTY
        }
    }

    /// Number of fields of the present row that were written so far: the position of the next one.
    #[inline]
    pub fn position(&self) -> usize {
        self.body.len().min(self.slots_end) / SLOT_LEN + self.surplus
    }

    #[inline]
    fn begin(&mut self, arity: usize) -> Result<(), RowError> {
        self.ready = false;
        if arity > MAX_FIELDS {
            return Err(RowError::TooManyFields { fields: arity, max: MAX_FIELDS });
        }
        self.body.clear();
        self.slots_end = arity * SLOT_LEN;
        self.surplus = 0;
        if self.is_stained {
            self.clean();
        }
        self.body.reserve(self.slots_end);
        Ok(())
    }

    /// Takes back what only few rows leave behind.
    #[cold]
    fn clean(&mut self) {
        if self.body.capacity() > KEEP_MAX {
            self.body = Vec::new();
        }
        self.tail.clear();
        if self.tail.capacity() > KEEP_MAX {
            self.tail = Vec::new();
        }
        self.big.clear();
        self.big_bytes = 0;
        self.error = None;
    }

    #[inline]
    fn finish(&mut self, arity: usize) -> Result<(), RowError> {
        if self.error.is_some() {
            return self.fail();
        }
        if self.position() != arity || self.slots_end != arity * SLOT_LEN {
            return Err(RowError::Arity { arity, written: self.position() });
        }
        let bytes = self.body.len() + self.big_bytes;
        if bytes > self.max_bytes {
            return Err(RowError::TooLarge { bytes, max: self.max_bytes });
        }
        self.ready = true;
        Ok(())
    }

    #[cold]
    fn fail(&mut self) -> Result<(), RowError> {
        self.ready = false;
        self.error.take().map_or(Ok(()), Err)
    }
}

/// The field writers: each writes the next field.
impl RowBuilder {
    /// Writes a null.
    #[inline]
    pub fn null(&mut self) {
        self.put(slot::NULL);
    }

    /// Writes a bool.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.put(slot::fixed(kind::BOOL, u64::from(value)));
    }

    /// Writes an integer.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.put(slot::fixed(kind::INT, value as u64));
    }

    /// Writes a float.
    #[inline]
    pub fn float(&mut self, value: f64) {
        self.put(slot::fixed(kind::FLOAT, value.to_bits()));
    }

    /// Writes text.
    #[inline]
    pub fn str(&mut self, value: &str) {
        self.var(kind::STR, value.as_bytes());
    }

    /// Writes raw bytes.
    #[inline]
    pub fn bytes(&mut self, value: &[u8]) {
        self.var(kind::BYTES, value);
    }

    /// Writes raw bytes; from [`BIG_VALUE`] on they are shared instead of copied.
    pub fn big(&mut self, value: Bytes) {
        self.var_shared(kind::BYTES, value);
    }

    /// Writes a serde type that is encoded already; see [`Opaque`](crate::Opaque).
    #[inline]
    pub fn opaque(&mut self, encoded: &[u8]) {
        self.var(kind::OPAQUE, encoded);
    }

    /// Writes any value.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.null(),
            Value::Bool(x) => self.bool(*x),
            Value::Int(x) => self.int(*x),
            Value::Float(x) => self.float(*x),
            Value::Str(x) => self.str(x),
            Value::Bytes(x) => self.bytes(x),
            Value::Opaque(x) => self.opaque(x),
            Value::List(x) => self.encoded(kind::LIST, |encoder| encoder.list(x, 0)),
            Value::Map(x) => self.encoded(kind::MAP, |encoder| encoder.map(x, 0)),
        }
    }

    /// Writes a list of values.
    pub fn list(&mut self, items: &[Value]) {
        self.encoded(kind::LIST, |encoder| encoder.list(items, 0));
    }

    /// Writes a map of values.
    pub fn map(&mut self, entries: &std::collections::BTreeMap<String, Value>) {
        self.encoded(kind::MAP, |encoder| encoder.map(entries, 0));
    }

    /// Copies a value of another row.
    #[inline]
    pub fn field(&mut self, field: FieldRef<'_>) {
        match field {
            FieldRef::Null => self.null(),
            FieldRef::Bool(x) => self.bool(x),
            FieldRef::Int(x) => self.int(x),
            FieldRef::Float(x) => self.float(x),
            FieldRef::Str(x) => self.str(x),
            FieldRef::Bytes(x) => self.bytes(x),
            FieldRef::Opaque(x) => self.opaque(x),
            FieldRef::List(x) => self.var(kind::LIST, x.bytes()),
            FieldRef::Map(x) => self.var(kind::MAP, x.bytes()),
        }
    }

    /// Copies field `i` of another row; a value of [`BIG_VALUE`] and more is shared. Does nothing
    /// if there is no such field.
    pub fn field_of(&mut self, values: Values<'_>, i: usize) {
        match (values.shared(i), values.kind(i)) {
            (Some(bytes), Some(kind)) => self.var_shared(kind, bytes.clone()),
            _ => {
                if let Some(field) = values.field(i) {
                    self.field(field);
                }
            }
        }
    }

    /// Says that the row cannot be written; the first such error is returned by
    /// [`write_row`](Self::write_row).
    #[cold]
    pub fn error(&mut self, error: RowError) {
        self.error.get_or_insert(error);
    }

    /// Writes a serde type.
    pub(crate) fn serialize<T: Serialize + ?Sized>(&mut self, value: &T) {
        let field = self.position();
        self.encoded(kind::OPAQUE, |encoder| {
            opaque::encode(value, encoder.out, encoder.max, field)
        });
    }

    #[inline]
    fn put(&mut self, slot: Slot) {
        if self.next < self.slots_end {
            self.body[self.next..self.next + SLOT_LEN].copy_from_slice(&slot);
            self.next += SLOT_LEN;
        } else {
            self.surplus += 1;
        }
    }

    #[inline]
    fn var(&mut self, kind: u8, bytes: &[u8]) {
        if bytes.len() <= INLINE_MAX {
            self.put(slot::inline(kind, bytes));
        } else if bytes.len() < BIG_VALUE {
            self.var_tail(kind, bytes);
        } else if self.takes_big(bytes.len()) {
            self.put_big(kind, Bytes::copy_from_slice(bytes));
        }
    }

    fn var_shared(&mut self, kind: u8, bytes: Bytes) {
        if bytes.len() < BIG_VALUE {
            self.var(kind, &bytes);
        } else if self.takes_big(bytes.len()) {
            self.put_big(kind, bytes);
        }
    }

    fn var_tail(&mut self, kind: u8, bytes: &[u8]) {
        if self.next < self.slots_end {
            let offset = len_u32(self.body.len());
            self.body.extend_from_slice(bytes);
            self.put(slot::outline(kind, place::TAIL, len_u32(bytes.len()), offset));
        } else {
            self.surplus += 1;
        }
    }

    /// Counts a big value, and says whether it is to be stored. If not, the field counts as written.
    fn takes_big(&mut self, len: usize) -> bool {
        let room = self.next < self.slots_end;
        if room {
            self.big_bytes = self.big_bytes.saturating_add(len);
        }
        let takes = room && self.big_bytes <= self.max_bytes;
        if !takes {
            self.null();
        }
        takes
    }

    fn put_big(&mut self, kind: u8, bytes: Bytes) {
        let index = len_u32(self.big.len());
        self.put(slot::outline(kind, place::BIG, len_u32(bytes.len()), index));
        self.big.push(bytes);
    }

    /// Lets `encode` append to the tail, then moves what it wrote to where it belongs by its size.
    fn encoded(
        &mut self,
        kind: u8,
        encode: impl FnOnce(&mut Encoder<'_>) -> Result<(), RowError>,
    ) {
        if self.next >= self.slots_end {
            self.surplus += 1;
            return;
        }
        let start = self.body.len();
        let result = encode(&mut Encoder { out: &mut self.body, max: self.max_bytes });
        let len = self.body.len() - start;
        if let Err(error) = result {
            self.body.truncate(start);
            self.error(error);
        } else if len <= INLINE_MAX {
            let short = slot::inline(kind, &self.body[start..]);
            self.body.truncate(start);
            self.put(short);
        } else if len < BIG_VALUE {
            self.put(slot::outline(kind, place::TAIL, len_u32(len), len_u32(start)));
        } else {
            let long = self.body.split_off(start);
            self.var_shared(kind, long.into());
        }
    }
}
