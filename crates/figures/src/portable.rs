//! Figures as bytes, for a file or another process: compact, and checked when they are read.
//!
//! ```text
//! b"storm-figures"   version   what was written   checksum (FNV-1a of all before it, 8 bytes)
//!
//! number     varint, as in a packed latency
//! duration   seconds, nanoseconds: two numbers
//! text       length and UTF-8 where it occurs first, with 0 before; then its place among the texts, from 1
//! list       its length, and one after the other
//! ```

use std::collections::HashMap;
use std::time::Duration;

use storm_model::{ComponentId, StreamId};
use thiserror::Error;

/// How the bytes begin.
const MAGIC: &[u8] = b"storm-figures";
/// Grows whenever something is written otherwise.
const VERSION: u64 = 1;

/// Bytes that are no figures, or not those of this version.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadPortable {
    /// They are something else, or were damaged.
    #[error("these are no figures, or they were damaged")]
    Damaged,
    /// Another version has written them.
    #[error("figures of version {0}, and this storm-rs understands {VERSION}")]
    Version(u64),
    /// They end too early.
    #[error("figures that end too early")]
    Cut,
    /// They say what cannot be.
    #[error("figures with {0}")]
    Wrong(&'static str),
}

/// What can be written down and read again.
pub(crate) trait Portable: Sized {
    fn write(&self, to: &mut Writer);
    fn read(from: &mut Reader<'_>) -> Result<Self, BadPortable>;
}

/// Takes what is written.
pub(crate) struct Writer {
    bytes: Vec<u8>,
    /// Texts that were written, by their places.
    texts: HashMap<String, u64>,
}

impl Writer {
    pub(crate) fn new() -> Writer {
        let mut writer = Writer { bytes: MAGIC.to_vec(), texts: HashMap::new() };
        writer.number(VERSION);
        writer
    }

    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// Bytes with their length.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        if let Some(place) = self.texts.get(text) {
            return self.number(*place);
        }
        self.texts.insert(text.to_owned(), self.texts.len() as u64 + 1);
        self.number(0);
        self.bytes(text.as_bytes());
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let sum = checksum(&self.bytes);
        self.bytes.extend_from_slice(&sum.to_le_bytes());
        self.bytes
    }
}

/// Gives back what was written.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    texts: Vec<Text>,
}

/// A text that was read; whoever has the same name shares its memory.
struct Text {
    component: ComponentId,
    stream: StreamId,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Reader<'a>, BadPortable> {
        let (rest, sum) = bytes.split_last_chunk::<8>().ok_or(BadPortable::Damaged)?;
        let inner = rest.strip_prefix(MAGIC).ok_or(BadPortable::Damaged)?;
        if u64::from_le_bytes(*sum) != checksum(rest) {
            return Err(BadPortable::Damaged);
        }
        let mut reader = Reader { bytes: inner, texts: Vec::new() };
        match reader.number()? {
            VERSION => Ok(reader),
            other => Err(BadPortable::Version(other)),
        }
    }

    /// One over bytes that stand in another one.
    pub(crate) fn over(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, texts: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn number(&mut self) -> Result<u64, BadPortable> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.bytes.split_first().ok_or(BadPortable::Cut)?;
            self.bytes = rest;
            let part = u64::from(first & 0x7f);
            if part << shift >> shift != part {
                break;
            }
            number |= part << shift;
            if first & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(BadPortable::Wrong("a number of more than 64 bits"))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], BadPortable> {
        let length = usize::try_from(self.number()?).map_err(|_| BadPortable::Cut)?;
        let (bytes, rest) = self.bytes.split_at_checked(length).ok_or(BadPortable::Cut)?;
        self.bytes = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&Text, BadPortable> {
        let place = self.number()?;
        if place == 0 {
            let text = std::str::from_utf8(self.bytes()?).map_err(|_| BadPortable::Wrong("a broken text"))?;
            self.texts.push(Text { component: text.into(), stream: text.into() });
        }
        let index = if place == 0 { self.texts.len() as u64 } else { place } - 1;
        let text = usize::try_from(index).ok().and_then(|index| self.texts.get(index));
        text.ok_or(BadPortable::Wrong("a text that was not written"))
    }

    /// Nothing may be left.
    pub(crate) fn finish(self) -> Result<(), BadPortable> {
        if self.is_empty() { Ok(()) } else { Err(BadPortable::Wrong("more than there should be")) }
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

impl Portable for u64 {
    fn write(&self, to: &mut Writer) {
        to.number(*self);
    }

    fn read(from: &mut Reader<'_>) -> Result<u64, BadPortable> {
        from.number()
    }
}

impl Portable for Duration {
    fn write(&self, to: &mut Writer) {
        to.number(self.as_secs());
        to.number(self.subsec_nanos().into());
    }

    fn read(from: &mut Reader<'_>) -> Result<Duration, BadPortable> {
        let (secs, nanos) = (from.number()?, from.number()?);
        let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
        Ok(Duration::new(secs, nanos.ok_or(BadPortable::Wrong("a second of too many nanoseconds"))?))
    }
}

impl<T: Portable> Portable for Option<T> {
    fn write(&self, to: &mut Writer) {
        to.number(self.is_some().into());
        self.iter().for_each(|value| value.write(to));
    }

    fn read(from: &mut Reader<'_>) -> Result<Option<T>, BadPortable> {
        match from.number()? {
            0 => Ok(None),
            1 => Ok(Some(T::read(from)?)),
            _ => Err(BadPortable::Wrong("something that is neither there nor absent")),
        }
    }
}

impl Portable for ComponentId {
    fn write(&self, to: &mut Writer) {
        to.text(self.as_str());
    }

    fn read(from: &mut Reader<'_>) -> Result<ComponentId, BadPortable> {
        Ok(from.text()?.component.clone())
    }
}

impl Portable for StreamId {
    fn write(&self, to: &mut Writer) {
        to.text(self.as_str());
    }

    fn read(from: &mut Reader<'_>) -> Result<StreamId, BadPortable> {
        Ok(from.text()?.stream.clone())
    }
}

impl<A: Portable, B: Portable> Portable for (A, B) {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
        self.1.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<(A, B), BadPortable> {
        Ok((A::read(from)?, B::read(from)?))
    }
}
