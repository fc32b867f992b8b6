//! How a row of the table is written.
//!
//! A doc comment, the name, and a builder: `"topology.debug": flag(false).per_component();`.

use super::{Key, Standing};
use crate::kind::{KeyDefault, Kind};

/// Makes the keys that have a meaning, from doc comment, name and row.
macro_rules! table {
    ($($(#[doc = $doc:literal])+ $name:literal: $row:expr;)*) => {
        pub(super) const KEYS: &[$crate::keys::Key] = &[$(
            $crate::keys::Key { name: $name, doc: concat!($($doc),+).trim_ascii(), ..$row },
        )*];
    };
}

/// Makes the keys without a meaning, grouped by the note that says why.
macro_rules! unused {
    ($($note:ident { $($name:literal => $doc:literal,)* })*) => {
        pub(super) const UNUSED: &[$crate::keys::Key] = &[$($(
            $crate::keys::Key {
                name: $name,
                doc: $doc,
                ..$crate::keys::row::no_meaning($crate::keys::notes::$note)
            },
        )*)*];
    };
}

pub(super) use {table, unused};

/// Storm's whole numbers are 32 bits wide.
const INT_MAX: i64 = i32::MAX as i64;

const fn row(kind: Kind, default: KeyDefault) -> Key {
    Key { name: "", kind, default, doc: "", standing: Standing::Same, per_component: false, is_read: true }
}

impl Key {
    pub(super) const fn ours(self, reason: &'static str) -> Self {
        Self { standing: Standing::Ours(reason), ..self }
    }

    pub(super) const fn not_yet(self) -> Self {
        Self { is_read: false, ..self }
    }

    pub(super) const fn per_component(self) -> Self {
        Self { per_component: true, ..self }
    }
}

pub(super) const fn no_meaning(note: &'static str) -> Key {
    Key { standing: Standing::NoMeaning(note), is_read: false, ..row(Kind::Any, KeyDefault::Null) }
}

pub(super) const fn flag(default: bool) -> Key {
    row(Kind::Bool, KeyDefault::Bool(default))
}

pub(super) const fn int(min: i64, default: i64) -> Key {
    row(Kind::Int { min, max: INT_MAX }, KeyDefault::Int(default))
}

pub(super) const fn opt_int(min: i64) -> Key {
    row(Kind::Int { min, max: INT_MAX }, KeyDefault::Null)
}

pub(super) const fn port(default: i64) -> Key {
    row(Kind::Int { min: 1, max: 65_535 }, KeyDefault::Int(default))
}

/// A port, or 0 for none.
pub(super) const fn port_or_none(default: i64) -> Key {
    row(Kind::Int { min: 0, max: 65_535 }, KeyDefault::Int(default))
}

pub(super) const fn ports(default: &'static [i64]) -> Key {
    row(Kind::IntList { min: 1, max: 65_535 }, KeyDefault::IntList(default))
}

/// A number above zero, or from zero on.
pub(super) const fn float(zero: bool, default: f64) -> Key {
    row(Kind::Float { zero }, KeyDefault::Float(default))
}

pub(super) const fn text(default: &'static str) -> Key {
    row(Kind::Str, KeyDefault::Str(default))
}

pub(super) const fn opt_text() -> Key {
    row(Kind::Str, KeyDefault::Null)
}

pub(super) const fn texts(default: &'static [&'static str]) -> Key {
    row(Kind::StrList, KeyDefault::StrList(default))
}

pub(super) const fn opt_text_or_texts() -> Key {
    row(Kind::StrOrStrList, KeyDefault::Null)
}

pub(super) const fn opt_map() -> Key {
    row(Kind::Map, KeyDefault::Null)
}

pub(super) const fn opt_text_map() -> Key {
    row(Kind::StrMap, KeyDefault::Null)
}

pub(super) const fn opt_number_map() -> Key {
    row(Kind::NumMap, KeyDefault::Null)
}

/// One of a few words, or a number.
pub(super) const fn word_or_int(words: &'static [&'static str], min: i64) -> Key {
    row(Kind::WordOrInt { words, min, max: INT_MAX }, KeyDefault::Str(words[0]))
}
