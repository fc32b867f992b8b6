//! `#[derive(Row)]`: the macro behind `storm_rs::Row`, which is where its users find it.
//!
//! It knows nothing of the other crates but the names in `::storm_rs` that its output mentions:
//! `Row`, `RowBuilder`, `ToField`, `FromTuple`, `Tuple`, `TupleError` and `Opaque`.

use proc_macro::TokenStream;

mod expand;

/// Derives `Row` and `FromTuple` for a struct with named fields: the struct can be emitted, and a
/// tuple can be read as the struct with `Tuple::to`.
///
/// Writing follows the order of the fields, reading goes by their names, so a reader may name only
/// the fields it needs, in any order. The constant `FIELDS` has the names in order, for
/// `declare_outputs` and for groupings.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use storm_rs::prelude::*;
///
/// #[derive(Serialize, Deserialize)]
/// enum Agent {
///     Person,
///     Robot { name: String },
/// }
///
/// #[derive(Row)]
/// struct Hit<'a> {
///     path: &'a str,
///     #[row(rename = "bytes")]
///     size: u64,
///     #[row(opaque)]
///     agent: Agent,
/// }
///
/// struct Parse;
///
/// impl Bolt for Parse {
///     fn declare_outputs(&self, out: &mut OutputDeclarer) {
///         out.fields(Hit::FIELDS); // path, bytes, agent
///     }
///
///     fn execute(&mut self, input: &Tuple, out: &mut BoltOutput) -> Result<(), BoltError> {
///         let line: &str = input.get("line")?;
///         let agent = match line.split_once("bot/") {
///             Some((_, version)) => Agent::Robot { name: format!("bot {version}") },
///             None => Agent::Person,
///         };
///         out.emit(Hit { path: line, size: line.len() as u64, agent });
///         Ok(())
///     }
/// }
///
/// struct Sum(u64);
///
/// impl Bolt for Sum {
///     fn execute(&mut self, input: &Tuple, _: &mut BoltOutput) -> Result<(), BoltError> {
///         let hit: Hit = input.to()?; // `hit.path` lies in the tuple: nothing is copied
///         if let Agent::Person = hit.agent {
///             self.0 += hit.size;
///         }
///         Ok(())
///     }
/// }
/// ```
///
/// # Fields
/// A field's type must be `ToField` to be written and `FromField` to be read. The struct may have
/// type and const parameters, and one lifetime: that of the tuple that it is read from. A struct
/// without a lifetime owns its values and may outlive the tuple.
///
/// # Attributes
/// - `#[row(rename = "name")]` on a field: its name in the tuple.
/// - `#[row(opaque)]` on a field: a serde type, encoded as by `Opaque`; writing it does not clone
///   it. Such a field can be no key of a grouping.
///
/// # Errors
/// Enums, unions, tuple structs, more than one lifetime and two fields of the same name do not
/// compile.
#[proc_macro_derive(Row, attributes(row))]
pub fn derive_row(input: TokenStream) -> TokenStream {
    expand::derive(input.into()).unwrap_or_else(|error| error.into_compile_error()).into()
}
