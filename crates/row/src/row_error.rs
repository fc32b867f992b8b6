//! What can be wrong with a row that is emitted.

/// Why a row cannot be built. The caller adds the component and the stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The row's [`Row::write`](crate::Row::write) wrote another number of fields than its
    /// [`Row::arity`](crate::Row::arity) says.
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
        /// [`MAX_FIELDS`](crate::MAX_FIELDS).
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
