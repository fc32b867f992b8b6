//! Lists and maps of owned values into their encoding.

use std::collections::BTreeMap;

use storm_model::Value;

use crate::layout::{MAX_DEPTH, len_u32};
use crate::row_error::RowError;
use crate::slot::kind;

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
    pub(crate) fn map(&mut self, entries: &BTreeMap<String, Value>, depth: usize) -> Result<(), RowError> {
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
    fn measured(&mut self, part: impl FnOnce(&mut Self) -> Result<(), RowError>) -> Result<(), RowError> {
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
