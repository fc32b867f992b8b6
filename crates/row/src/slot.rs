//! The 16 bytes of one value: tags, writing, reading. Drawn in `layout.rs`.

use bytes::Bytes;

use crate::field::FieldRef;
use crate::layout::{u32_at, u64_at};
use crate::nested::{ListRef, MapRef};
use crate::text;

/// Bytes of a slot.
pub(crate) const SLOT_LEN: usize = 16;
/// Longest value that fits into its slot.
pub(crate) const INLINE_MAX: usize = 14;

pub(crate) type Slot = [u8; SLOT_LEN];

/// What a value is: the low bits of a slot's tag, and the tag of a nested value.
pub(crate) mod kind {
    pub(crate) const MASK: u8 = 0x0f;
    /// Zero, so that a slot not yet written is a null.
    pub(crate) const NULL: u8 = 0;
    pub(crate) const BOOL: u8 = 1;
    pub(crate) const INT: u8 = 2;
    pub(crate) const FLOAT: u8 = 3;
    pub(crate) const STR: u8 = 4;
    pub(crate) const BYTES: u8 = 5;
    pub(crate) const LIST: u8 = 6;
    pub(crate) const MAP: u8 = 7;
    pub(crate) const OPAQUE: u8 = 8;
}

/// Where the bytes of a value of no fixed length are: the high bits of a slot's tag.
pub(crate) mod place {
    pub(crate) const MASK: u8 = 0xf0;
    pub(crate) const INLINE: u8 = 0x00;
    pub(crate) const TAIL: u8 = 0x10;
    pub(crate) const BIG: u8 = 0x20;
}

pub(crate) const NULL: Slot = [0; SLOT_LEN];

/// A value of fixed length: bool, int or float.
#[inline]
pub(crate) fn fixed(kind: u8, value: u64) -> Slot {
    ((u128::from(value) << 64) | u128::from(kind)).to_le_bytes()
}

/// A value of at most [`INLINE_MAX`] bytes.
#[inline]
pub(crate) fn inline(kind: u8, bytes: &[u8]) -> Slot {
    let head = u16::from_le_bytes([kind | place::INLINE, bytes.len() as u8]);
    (u128::from(head) | (short(bytes) << 16)).to_le_bytes()
}

/// Up to [`INLINE_MAX`] bytes as a number, zeros behind them. Two reads that overlap cover any
/// length of a class, where they agree; a copy of unknown length would be a call of `memcpy`.
#[inline]
fn short(bytes: &[u8]) -> u128 {
    let len = bytes.len();
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        u128::from(first) | (u128::from(last) << (8 * (len - 8)))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        u128::from(u64::from(first) | (u64::from(last) << (8 * (len - 4))))
    } else if let (Some(first), Some(last)) = (bytes.first(), bytes.last()) {
        let (middle, last_at) = (len / 2, len - 1);
        u128::from(
            u32::from(*first)
                | (u32::from(bytes[middle]) << (8 * middle))
                | (u32::from(*last) << (8 * last_at)),
        )
    } else {
        0
    }
}

/// A longer value: `at` is its offset in the body, or its index in the list of big values.
#[inline]
pub(crate) fn outline(kind: u8, place: u8, len: u32, at: u32) -> Slot {
    (u128::from(kind | place) | (u128::from(len) << 32) | (u128::from(at) << 64)).to_le_bytes()
}

/// Slot `i` of a body.
#[inline]
pub(crate) fn at(body: &[u8], i: usize) -> &Slot {
    body[i * SLOT_LEN..].first_chunk().expect("a body holds its slots")
}

/// The index of a big value in its list, if that is where the value is.
#[inline]
pub(crate) fn big_index(slot: &Slot) -> Option<usize> {
    (slot[0] & place::MASK == place::BIG).then(|| u32_at(slot, 8) as usize)
}

/// The value of slot `i`.
#[inline(always)]
pub(crate) fn read<'a>(body: &'a [u8], big: &'a [Bytes], i: usize) -> FieldRef<'a> {
    let slot = at(body, i);
    match slot[0] & kind::MASK {
        kind::NULL => FieldRef::Null,
        kind::BOOL => FieldRef::Bool(slot[8] != 0),
        kind::INT => FieldRef::Int(u64_at(slot, 8) as i64),
        kind::FLOAT => FieldRef::Float(f64::from_bits(u64_at(slot, 8))),
        kind => typed(kind, var_bytes(body, big, slot)),
    }
}

/// The bytes of a value of no fixed length.
#[inline(always)]
fn var_bytes<'a>(body: &'a [u8], big: &'a [Bytes], slot: &'a Slot) -> &'a [u8] {
    match slot[0] & place::MASK {
        place::INLINE => &slot[2..2 + usize::from(slot[1])],
        place::TAIL => {
            let offset = u32_at(slot, 8) as usize;
            &body[offset..offset + u32_at(slot, 4) as usize]
        }
        _ => &big[u32_at(slot, 8) as usize],
    }
}

/// The bytes of a value as that value.
#[inline]
pub(crate) fn typed(kind: u8, bytes: &[u8]) -> FieldRef<'_> {
    match kind {
        kind::STR => FieldRef::Str(text::trusted(bytes)),
        kind::BYTES => FieldRef::Bytes(bytes),
        kind::LIST => FieldRef::List(ListRef::trusted(bytes)),
        kind::MAP => FieldRef::Map(MapRef::trusted(bytes)),
        _ => FieldRef::Opaque(bytes),
    }
}
