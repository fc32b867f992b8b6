//! `#[derive(Row)]`: see `storm_rs::Row`.

use proc_macro::TokenStream;

/// Derives `Row` and `FromTuple` for a struct with named fields.
#[proc_macro_derive(Row, attributes(row))]
pub fn derive_row(_: TokenStream) -> TokenStream {
    TokenStream::new()
}
