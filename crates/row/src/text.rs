//! Text without a second check: the crate's only `unsafe`.
#![expect(unsafe_code, reason = "checking UTF-8 at every read costs more than the read")]

/// The text that `bytes` are.
///
/// To be called only with bytes that lie under a text tag, or as a map's key, in a builder, batch
/// or owned row. Three ways lead there, and there is no fourth: `RowBuilder` copies a `&str`; a view
/// is copied; `Batch::from_wire` has checked the bytes (`check.rs`).
#[inline]
pub(crate) fn trusted(bytes: &[u8]) -> &str {
    debug_assert!(str::from_utf8(bytes).is_ok(), "bytes under a text tag are not UTF-8");
    // SAFETY: the bytes were a `&str` when written, or were checked on receipt, see above. Views
    // borrow their buffer, so nothing changes them meanwhile.
    unsafe { str::from_utf8_unchecked(bytes) }
}
