//! A batch between workers: the rows as they lie in memory, behind a head, before their big values.
//!
//! ```text
//! 0         2     4           8           16            24
//! | version | 0   | big count | row count | rows length | rows ... | big value*
//!
//! big value   | length u32 | bytes |
//! ```
//!
//! Little endian. Framing, checksum and the sending in pieces are the transport's.

use bytes::Bytes;

use crate::batch::Batch;
use crate::check::{self, RowFault};
use crate::layout::{BIG_VALUE, HEADER_LEN, len_u32, u16_at, u32_at, u64_at};
use crate::row_ref::RowRef;

/// Version of this format and of that of rows.
pub const WIRE_VERSION: u16 = 1;

const HEAD_LEN: usize = 24;

/// How much a batch from the wire may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireLimits {
    /// Bytes of the whole batch.
    pub bytes: usize,
    /// Number of rows.
    pub rows: usize,
    /// Bytes of one row, big values not counted.
    pub row_bytes: usize,
}

/// 64 MB in all, and in one row; a million rows.
impl Default for WireLimits {
    fn default() -> Self {
        WireLimits { bytes: 64 << 20, rows: 1 << 20, row_bytes: 64 << 20 }
    }
}

/// Why bytes are not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The sender speaks another version.
    #[error("batch of version {found}, this side reads {WIRE_VERSION}")]
    Version {
        /// The sender's version.
        found: u16,
    },
    /// A reserved part of the head is in use.
    #[error("batch uses reserved bytes")]
    Reserved,
    /// The bytes end before what they announce.
    #[error("batch is cut short")]
    Cut,
    /// There are bytes behind the batch's end.
    #[error("batch is followed by {bytes} more bytes")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// The batch is above [`WireLimits::bytes`].
    #[error("batch of {bytes} bytes is above the limit of {max}")]
    TooLarge {
        /// Bytes of the batch.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The batch is above [`WireLimits::rows`].
    #[error("batch of {rows} rows is above the limit of {max}")]
    TooManyRows {
        /// Rows announced.
        rows: u64,
        /// The limit.
        max: usize,
    },
    /// A row is above [`WireLimits::row_bytes`].
    #[error("row {row} of {bytes} bytes is above the limit of {max}")]
    RowTooLarge {
        /// Position of the row.
        row: usize,
        /// Bytes of the row.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The batch does not hold the rows that it announces.
    #[error("batch announces {announced} rows and holds another number")]
    RowCount {
        /// Rows announced.
        announced: u64,
    },
    /// A value outside the rows is too short for that, or belongs to no row.
    #[error("big value {index} is out of place")]
    BigValue {
        /// Its position.
        index: usize,
    },
    /// A row is malformed.
    #[error("row {row}: {fault}")]
    Row {
        /// Position of the row.
        row: usize,
        /// What is wrong with it.
        fault: RowFault,
    },
}

impl Batch {
    /// Appends the batch's wire form to `out`.
    pub fn to_wire(&self, out: &mut Vec<u8>) {
        out.reserve(self.wire_len());
        out.extend_from_slice(&WIRE_VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&len_u32(self.big().len()).to_le_bytes());
        out.extend_from_slice(&(self.row_count() as u64).to_le_bytes());
        out.extend_from_slice(&(self.rows().len() as u64).to_le_bytes());
        out.extend_from_slice(self.rows());
        for value in self.big() {
            out.extend_from_slice(&len_u32(value.len()).to_le_bytes());
            out.extend_from_slice(value);
        }
    }

    /// Bytes of the batch's wire form.
    pub fn wire_len(&self) -> usize {
        HEAD_LEN + self.byte_len() + 4 * self.big().len()
    }

    /// Reads a batch's wire form, which must be all of `bytes`, and checks all of it: afterwards
    /// every value of every row can be read. Whether the target tasks and streams exist and the
    /// streams have so many fields is the caller's to check.
    ///
    /// # Errors
    /// If the bytes are anything else than what [`to_wire`](Self::to_wire) writes, or above a limit.
    /// Nothing is allocated by a number read from the bytes.
    pub fn from_wire(bytes: &[u8], limits: &WireLimits) -> Result<Batch, WireError> {
        Batch::from_wire_if(bytes, limits, |_| Ok(()))
    }

    /// As [`from_wire`](Self::from_wire), with a check of the caller's for each row while it is looked at
    /// anyway. That a row passed says nothing of those behind it.
    ///
    /// # Errors
    /// As those of [`from_wire`](Self::from_wire), and what `check` returns.
    pub fn from_wire_if<E: From<WireError>>(
        bytes: &[u8],
        limits: &WireLimits,
        check: impl FnMut(RowRef<'_>) -> Result<(), E>,
    ) -> Result<Batch, E> {
        let Head { row_count, arena, rest, big_count } = Head::read(bytes, limits)?;
        let big = read_big(rest, big_count)?;
        let starts = check_rows(arena, row_count, &big, limits, check)?;
        let big_bytes = big.iter().map(Bytes::len).sum();
        Ok(Batch::of_parts(arena.to_vec(), starts, big, big_bytes))
    }
}

/// What a batch announces, and where its parts lie.
struct Head<'a> {
    row_count: usize,
    big_count: usize,
    arena: &'a [u8],
    /// The big values.
    rest: &'a [u8],
}

impl<'a> Head<'a> {
    fn read(bytes: &'a [u8], limits: &WireLimits) -> Result<Head<'a>, WireError> {
        if bytes.len() > limits.bytes {
            return Err(WireError::TooLarge { bytes: bytes.len(), max: limits.bytes });
        }
        // The version first: all the rest may be different in another one.
        let Some(version) = bytes.first_chunk().map(|chunk| u16::from_le_bytes(*chunk)) else {
            return Err(WireError::Cut);
        };
        if version != WIRE_VERSION {
            return Err(WireError::Version { found: version });
        }
        let Some((head, rest)) = bytes.split_at_checked(HEAD_LEN) else {
            return Err(WireError::Cut);
        };
        if u16_at(head, 2) != 0 {
            return Err(WireError::Reserved);
        }
        let big_count = u32_at(head, 4) as usize;
        let row_count = u64_at(head, 8);
        if row_count > limits.rows as u64 {
            return Err(WireError::TooManyRows { rows: row_count, max: limits.rows });
        }
        let arena_len = usize::try_from(u64_at(head, 16)).map_err(|_| WireError::Cut)?;
        let Some((arena, rest)) = rest.split_at_checked(arena_len) else {
            return Err(WireError::Cut);
        };
        // A row takes a header at least, so this also bounds what is reserved for their starts.
        if row_count > (arena.len() / HEADER_LEN) as u64 {
            return Err(WireError::RowCount { announced: row_count });
        }
        Ok(Head { row_count: row_count as usize, big_count, arena, rest })
    }
}

fn read_big(mut rest: &[u8], count: usize) -> Result<Vec<Bytes>, WireError> {
    let mut big = Vec::new();
    for index in 0..count {
        let Some((len, after)) = rest.split_first_chunk() else {
            return Err(WireError::Cut);
        };
        let len = u32::from_le_bytes(*len) as usize;
        if len < BIG_VALUE {
            return Err(WireError::BigValue { index });
        }
        let Some((value, after)) = after.split_at_checked(len) else {
            return Err(WireError::Cut);
        };
        big.push(Bytes::copy_from_slice(value));
        rest = after;
    }
    if rest.is_empty() { Ok(big) } else { Err(WireError::Trailing { bytes: rest.len() }) }
}

/// Checks every row and returns where each starts.
fn check_rows<E: From<WireError>>(
    arena: &[u8],
    count: usize,
    big: &[Bytes],
    limits: &WireLimits,
    mut check: impl FnMut(RowRef<'_>) -> Result<(), E>,
) -> Result<Vec<usize>, E> {
    let mut starts = Vec::with_capacity(count);
    let (mut at, mut big_used) = (0, 0);
    for row in 0..count {
        let rest = &arena[at..];
        let bytes = check::row(rest, big, &mut big_used).map_err(|fault| WireError::Row { row, fault })?;
        if bytes > limits.row_bytes {
            return Err(WireError::RowTooLarge { row, bytes, max: limits.row_bytes }.into());
        }
        check(RowRef::new(&rest[..bytes], big))?;
        starts.push(at);
        at += bytes;
    }
    if at != arena.len() {
        return Err(WireError::RowCount { announced: count as u64 }.into());
    }
    if big_used != big.len() {
        return Err(WireError::BigValue { index: big_used }.into());
    }
    Ok(starts)
}
