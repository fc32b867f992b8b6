//! Serde types as fields, and the one place that names their encoding (bincode 1, fixed-width
//! integers).

use bincode::{ErrorKind, Options};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::row_error::RowError;

/// A serde type as a field of a row.
///
/// Writer and reader must agree on the type; the bytes do not name it. Such a field can be no key
/// of a fields grouping.
///
/// ```
/// use storm_row::{FromField, Opaque, RowBuilder};
///
/// let mut builder = RowBuilder::new(1024);
/// let values = builder.write_row(&(Opaque((1u64, "x")),))?;
/// let Opaque((n, text)) = Opaque::<(u64, String)>::from_field(values.field(0).unwrap())?;
/// assert_eq!((n, text.as_str()), (1, "x"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Opaque<T>(pub T);

/// `limit` bounds what is written or read.
fn options(limit: usize) -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_little_endian()
        .with_limit(limit as u64)
        .reject_trailing_bytes()
}

/// Appends the encoding of `value`, of at most `max` bytes; leaves a torn end behind if it fails.
pub(crate) fn encode<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    max: usize,
    field: usize,
) -> Result<(), RowError> {
    options(max).serialize_into(out, value).map_err(|error| match *error {
        ErrorKind::SizeLimit => RowError::TooLarge { bytes: max + 1, max },
        error => RowError::Opaque { field, message: error.to_string() },
    })
}

/// Decodes from a slice only: a length in it is refused if the slice is shorter, before anything
/// is allocated by it.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    options(bytes.len()).deserialize(bytes).map_err(|error| error.to_string())
}
