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

use std::collections::BTreeMap;
use std::fmt;

use storm_model::Value;

use crate::builder::RowError;
use crate::field::FieldRef;
use crate::layout::{MAX_DEPTH, len_u32, u32_at, u64_at};
use crate::slot::{kind, typed};
use crate::text;

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

/// Appends lists and maps to a buffer, up to a size.
pub(crate) struct Encoder<'a> {
    pub(crate) out: &'a mut Vec<u8>,
    /// The buffer's length at which to give up.
    pub(crate) max: usize,
}

impl Encoder<'_> {
    /// Appends a list; `depth` counts the lists and maps around it.
    pub(crate) fn list(&mut self, items: &[Value], depth: usize) -> Result<(), RowError> {
        self.enter(items.len(), depth)?;
        items.iter().try_for_each(|item| self.item(item, depth + 1))
    }

    /// Appends a map; `depth` counts the lists and maps around it.
    pub(crate) fn map(
        &mut self,
        entries: &BTreeMap<String, Value>,
        depth: usize,
    ) -> Result<(), RowError> {
        self.enter(entries.len(), depth)?;
        entries.iter().try_for_each(|(key, value)| {
            self.var(key.as_bytes())?;
            self.item(value, depth + 1)
        })
    }

    fn enter(&mut self, count: usize, depth: usize) -> Result<(), RowError> {
        if depth >= MAX_DEPTH {
            return Err(RowError::TooDeep { max: MAX_DEPTH });
        }
        // Each item takes a byte or more.
        self.room(count)?;
        self.out.extend_from_slice(&len_u32(count).to_le_bytes());
        Ok(())
    }

    fn item(&mut self, item: &Value, depth: usize) -> Result<(), RowError> {
        self.room(1)?;
        match item {
            Value::Null => self.out.push(kind::NULL),
            Value::Bool(x) => self.out.extend_from_slice(&[kind::BOOL, u8::from(*x)]),
            Value::Int(x) => {
                self.out.push(kind::INT);
                self.out.extend_from_slice(&x.to_le_bytes());
            }
            Value::Float(x) => {
                self.out.push(kind::FLOAT);
                self.out.extend_from_slice(&x.to_bits().to_le_bytes());
            }
            Value::Str(x) => {
                self.out.push(kind::STR);
                self.var(x.as_bytes())?;
            }
            Value::Bytes(x) => {
                self.out.push(kind::BYTES);
                self.var(x)?;
            }
            Value::Opaque(x) => {
                self.out.push(kind::OPAQUE);
                self.var(x)?;
            }
            Value::List(items) => {
                self.out.push(kind::LIST);
                self.measured(|this| this.list(items, depth))?;
            }
            Value::Map(entries) => {
                self.out.push(kind::MAP);
                self.measured(|this| this.map(entries, depth))?;
            }
        }
        Ok(())
    }

    fn var(&mut self, bytes: &[u8]) -> Result<(), RowError> {
        self.room(bytes.len())?;
        self.out.extend_from_slice(&len_u32(bytes.len()).to_le_bytes());
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes a part behind its length.
    fn measured(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<(), RowError>,
    ) -> Result<(), RowError> {
        let start = self.out.len() + 4;
        self.out.extend_from_slice(&[0; 4]);
        part(self)?;
        let len = len_u32(self.out.len() - start);
        self.out[start - 4..start].copy_from_slice(&len.to_le_bytes());
        Ok(())
    }

    /// Keeps a value that will be refused from being copied first. The row's exact size is checked
    /// when all of it is written.
    fn room(&self, bytes: usize) -> Result<(), RowError> {
        let bytes = self.out.len().saturating_add(bytes);
        if bytes <= self.max { Ok(()) } else { Err(RowError::TooLarge { bytes, max: self.max }) }
    }
}
