//! The check of rows that came from elsewhere: afterwards readers trust every byte.
//!
//! It accepts exactly what this crate writes: one encoding per row, nothing reserved in use, no
//! tail or big value read twice. So the values never take more room than the bytes received.

use bytes::Bytes;

use crate::layout::{ANCHOR_LEN, BIG_VALUE, HAS_BIG, HEADER_LEN, MAX_DEPTH, u16_at, u32_at, u64_at};
use crate::slot::{self, INLINE_MAX, SLOT_LEN, Slot, kind, place};

/// What is wrong with a row from the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// The row's length is not that of its parts, or goes beyond the batch.
    #[error("length does not match")]
    Length,
    /// A reserved flag is set, or the one for big values is wrong.
    #[error("flags do not match")]
    Flags,
    /// The tag names no kind of value, or no place for it.
    #[error("field {field}: unknown tag {tag:#04x}")]
    Tag {
        /// Position of the field.
        field: usize,
        /// The tag.
        tag: u8,
    },
    /// The slot is not as this crate writes it: reserved bytes, a bool that is neither 0 nor 1, a
    /// length that belongs to another place.
    #[error("field {field}: malformed slot")]
    Slot {
        /// Position of the field.
        field: usize,
    },
    /// The slot's offset or index leads elsewhere than to the next tail or big value.
    #[error("field {field}: value lies out of place")]
    Place {
        /// Position of the field.
        field: usize,
    },
    /// Text is not UTF-8.
    #[error("field {field}: text is not UTF-8")]
    Utf8 {
        /// Position of the field.
        field: usize,
    },
    /// A list or map is malformed or nested too deep.
    #[error("field {field}: malformed list or map")]
    Nested {
        /// Position of the field.
        field: usize,
    },
}

/// Checks the row that `bytes` begin with and returns its length. `big_used` counts the big values
/// of the rows before, and moves on.
pub(crate) fn row(bytes: &[u8], big: &[Bytes], big_used: &mut usize) -> Result<usize, RowFault> {
    if bytes.len() < HEADER_LEN {
        return Err(RowFault::Length);
    }
    let length = u32_at(bytes, 0) as usize;
    let arity = usize::from(u16_at(bytes, 14));
    let anchors = usize::from(u16_at(bytes, 16));
    let flags = u16_at(bytes, 18);
    let body_start = HEADER_LEN + anchors * ANCHOR_LEN;
    if bytes.len() < length || length < body_start + arity * SLOT_LEN {
        return Err(RowFault::Length);
    }

    let before = *big_used;
    let mut body = Body { bytes: &bytes[body_start..length], tail: arity * SLOT_LEN, big, big_used: before };
    for field in 0..arity {
        body.field(field)?;
    }
    if body.tail != body.bytes.len() {
        return Err(RowFault::Length);
    }
    *big_used = body.big_used;
    let has_big = body.big_used > before;
    if flags != if has_big { HAS_BIG } else { 0 } {
        return Err(RowFault::Flags);
    }
    Ok(length)
}

struct Body<'a> {
    bytes: &'a [u8],
    /// Where the next tail must begin.
    tail: usize,
    big: &'a [Bytes],
    /// Which big value must come next.
    big_used: usize,
}

impl Body<'_> {
    fn field(&mut self, field: usize) -> Result<(), RowFault> {
        let slot = *slot::at(self.bytes, field);
        let (kind, place) = (slot[0] & kind::MASK, slot[0] & place::MASK);
        match (kind, place) {
            (kind::NULL, place::INLINE) => same(slot, slot::NULL, field),
            (kind::BOOL, place::INLINE) => same(slot, slot::fixed(kind, u64_at(&slot, 8) & 1), field),
            (kind::INT | kind::FLOAT, place::INLINE) => {
                same(slot, slot::fixed(kind, u64_at(&slot, 8)), field)
            }
            (kind::STR..=kind::OPAQUE, place::INLINE) => {
                let len = usize::from(slot[1]);
                if len > INLINE_MAX {
                    return Err(RowFault::Slot { field });
                }
                same(slot, slot::inline(kind, &slot[2..2 + len]), field)?;
                var(kind, &slot[2..2 + len], field)
            }
            (kind::STR..=kind::OPAQUE, place::TAIL) => self.tail(slot, kind, field),
            (kind::STR..=kind::OPAQUE, place::BIG) => self.big(slot, kind, field),
            _ => Err(RowFault::Tag { field, tag: slot[0] }),
        }
    }

    fn tail(&mut self, slot: Slot, kind: u8, field: usize) -> Result<(), RowFault> {
        let (len, at) = (u32_at(&slot, 4), u32_at(&slot, 8));
        same(slot, slot::outline(kind, place::TAIL, len, at), field)?;
        let len = len as usize;
        if len <= INLINE_MAX || BIG_VALUE <= len {
            return Err(RowFault::Slot { field });
        }
        if at as usize != self.tail || len > self.bytes.len() - self.tail {
            return Err(RowFault::Place { field });
        }
        let bytes = &self.bytes[self.tail..self.tail + len];
        self.tail += len;
        var(kind, bytes, field)
    }

    fn big(&mut self, slot: Slot, kind: u8, field: usize) -> Result<(), RowFault> {
        let (len, at) = (u32_at(&slot, 4), u32_at(&slot, 8));
        same(slot, slot::outline(kind, place::BIG, len, at), field)?;
        let bytes = match self.big.get(self.big_used) {
            Some(bytes) if at as usize == self.big_used => bytes,
            _ => return Err(RowFault::Place { field }),
        };
        if bytes.len() != len as usize {
            return Err(RowFault::Slot { field });
        }
        self.big_used += 1;
        var(kind, bytes, field)
    }
}

fn same(found: Slot, canonical: Slot, field: usize) -> Result<(), RowFault> {
    if found == canonical { Ok(()) } else { Err(RowFault::Slot { field }) }
}

fn var(kind: u8, bytes: &[u8], field: usize) -> Result<(), RowFault> {
    match kind {
        kind::STR => match str::from_utf8(bytes) {
            Ok(_) => Ok(()),
            Err(_) => Err(RowFault::Utf8 { field }),
        },
        kind::LIST | kind::MAP => nested(kind, bytes, 0).ok_or(RowFault::Nested { field }),
        _ => Ok(()),
    }
}

/// Checks a list or map that has `depth` others around it.
fn nested(kind: u8, bytes: &[u8], depth: usize) -> Option<()> {
    if depth >= MAX_DEPTH {
        return None;
    }
    let mut items = Unchecked { rest: bytes };
    let count = items.u32()?;
    let mut last_key = None;
    for _ in 0..count {
        if kind == kind::MAP {
            let key = items.var()?;
            str::from_utf8(key).ok()?;
            // Text is ordered as its bytes are.
            if last_key.is_some_and(|last| last >= key) {
                return None;
            }
            last_key = Some(key);
        }
        item(&mut items, depth)?;
    }
    items.rest.is_empty().then_some(())
}

fn item(items: &mut Unchecked<'_>, depth: usize) -> Option<()> {
    match items.take(1)?[0] {
        kind::NULL => Some(()),
        kind::BOOL => (items.take(1)?[0] <= 1).then_some(()),
        kind::INT | kind::FLOAT => items.take(8).map(|_| ()),
        kind::STR => str::from_utf8(items.var()?).ok().map(|_| ()),
        kind::BYTES | kind::OPAQUE => items.var().map(|_| ()),
        kind @ (kind::LIST | kind::MAP) => nested(kind, items.var()?, depth + 1),
        _ => None,
    }
}

/// Walks over bytes of which nothing is known.
struct Unchecked<'a> {
    rest: &'a [u8],
}

impl<'a> Unchecked<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4).map(|bytes| u32_at(bytes, 0))
    }

    fn var(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.take(len as usize)
    }
}
