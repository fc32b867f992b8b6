//! A row of its own, for handles that outlive the batch.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::layout::len_u32;
use crate::row_ref::RowRef;
use crate::slot::SLOT_LEN;

/// A row that was copied out of its batch: one allocation, clones share it. Big values are shared
/// with the batch.
#[derive(Clone)]
pub struct OwnedRow {
    bytes: Arc<[u8]>,
    big: Box<[Bytes]>,
}

impl OwnedRow {
    #[inline]
    pub(crate) fn new(row: RowRef<'_>) -> Self {
        if row.has_big() {
            Self::with_big(row)
        } else {
            OwnedRow { bytes: row.bytes().into(), big: Box::default() }
        }
    }

    #[cold]
    fn with_big(row: RowRef<'_>) -> Self {
        let values = row.values();
        let mut bytes = row.bytes().to_vec();
        let body = bytes.len() - values.body().len();
        let mut big = Vec::new();
        for (i, value) in values.big_values() {
            let index = body + i * SLOT_LEN + 8;
            bytes[index..index + 4].copy_from_slice(&len_u32(big.len()).to_le_bytes());
            big.push(value.clone());
        }
        OwnedRow { bytes: bytes.into(), big: big.into() }
    }

    /// The row as a view.
    #[inline]
    pub fn as_ref(&self) -> RowRef<'_> {
        RowRef::new(&self.bytes, &self.big)
    }
}

impl fmt::Debug for OwnedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}
