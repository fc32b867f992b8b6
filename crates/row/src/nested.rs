//! Lists and maps: their encoding, and views that read them as they lie there.
//!
//! ```text
//! list    | count u32 | item*          |
//! map     | count u32 | (key item)*    |      keys strictly ascending by their bytes
//! key     | length u32 | text          |
//! item    | tag |                             null
//!         | tag | 1 byte |                    bool
//!         | tag | 8 bytes |                   int, float
//!         | tag | length u32 | bytes |        text, bytes, opaque; list and map as above
//! ```

mod encoder;

use std::collections::BTreeMap;
use std::fmt;

use storm_model::Value;

use crate::field::FieldRef;
use crate::layout::{u32_at, u64_at};
use crate::slot::{kind, typed};
use crate::text;

pub(crate) use encoder::Encoder;

/// A list, borrowed from the row that holds it. Items are decoded as they are asked for.
#[derive(Clone, Copy)]
pub struct ListRef<'a> {
    bytes: &'a [u8],
}

/// A map with text keys, borrowed from the row that holds it. Entries are decoded as they are asked
/// for.
#[derive(Clone, Copy)]
pub struct MapRef<'a> {
    bytes: &'a [u8],
}

impl<'a> ListRef<'a> {
    #[inline]
    pub(crate) fn trusted(bytes: &'a [u8]) -> Self {
        ListRef { bytes }
    }

    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Number of items.
    #[inline]
    pub fn len(self) -> usize {
        u32_at(self.bytes, 0) as usize
    }

    /// Whether there is no item.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Item `i`; walks over those before it.
    pub fn get(self, i: usize) -> Option<FieldRef<'a>> {
        self.iter().nth(i)
    }

    /// The items in order.
    pub fn iter(self) -> ListIter<'a> {
        ListIter { items: Items { rest: &self.bytes[4..] }, left: self.len() }
    }

    /// Copies the items out of the row.
    pub fn to_values(self) -> Vec<Value> {
        self.iter().map(FieldRef::to_value).collect()
    }
}

impl<'a> MapRef<'a> {
    #[inline]
    pub(crate) fn trusted(bytes: &'a [u8]) -> Self {
        MapRef { bytes }
    }

    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Number of entries.
    #[inline]
    pub fn len(self) -> usize {
        u32_at(self.bytes, 0) as usize
    }

    /// Whether there is no entry.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of `key`; walks over those before it.
    pub fn get(self, key: &str) -> Option<FieldRef<'a>> {
        let (found, value) = self.iter().find(|&(k, _)| key <= k)?;
        (found == key).then_some(value)
    }

    /// The entries, sorted by key.
    pub fn iter(self) -> MapIter<'a> {
        MapIter { items: Items { rest: &self.bytes[4..] }, left: self.len() }
    }

    /// Copies the entries out of the row.
    pub fn to_values(self) -> BTreeMap<String, Value> {
        self.iter().map(|(k, v)| (k.to_owned(), v.to_value())).collect()
    }
}

/// The items of a [`ListRef`].
#[derive(Clone, Debug)]
pub struct ListIter<'a> {
    items: Items<'a>,
    left: usize,
}

/// The entries of a [`MapRef`].
#[derive(Clone, Debug)]
pub struct MapIter<'a> {
    items: Items<'a>,
    left: usize,
}

impl<'a> Iterator for ListIter<'a> {
    type Item = FieldRef<'a>;

    fn next(&mut self) -> Option<FieldRef<'a>> {
        self.left = self.left.checked_sub(1)?;
        Some(self.items.item())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a> Iterator for MapIter<'a> {
    type Item = (&'a str, FieldRef<'a>);

    fn next(&mut self) -> Option<(&'a str, FieldRef<'a>)> {
        self.left = self.left.checked_sub(1)?;
        let key = text::trusted(self.items.var());
        Some((key, self.items.item()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ListIter<'_> {}
impl ExactSizeIterator for MapIter<'_> {}

/// Walks over encoded items that were checked or written here.
#[derive(Clone, Debug)]
struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Items<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at(n);
        self.rest = rest;
        head
    }

    fn var(&mut self) -> &'a [u8] {
        let len = u32_at(self.take(4), 0);
        self.take(len as usize)
    }

    fn item(&mut self) -> FieldRef<'a> {
        match self.take(1)[0] {
            kind::NULL => FieldRef::Null,
            kind::BOOL => FieldRef::Bool(self.take(1)[0] != 0),
            kind::INT => FieldRef::Int(u64_at(self.take(8), 0) as i64),
            kind::FLOAT => FieldRef::Float(f64::from_bits(u64_at(self.take(8), 0))),
            kind => typed(kind, self.var()),
        }
    }
}

impl PartialEq for ListRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl PartialEq for MapRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for ListRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for MapRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for ListRef<'a> {
    type Item = FieldRef<'a>;
    type IntoIter = ListIter<'a>;

    fn into_iter(self) -> ListIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for MapRef<'a> {
    type Item = (&'a str, FieldRef<'a>);
    type IntoIter = MapIter<'a>;

    fn into_iter(self) -> MapIter<'a> {
        self.iter()
    }
}
