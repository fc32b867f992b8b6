//! Frames: what travels on a lane after the handshake. Pure.
//!
//! ```text
//!  0        4     5     6      8          16         24      28          32          36
//!  +--------+-----+-----+------+----------+----------+-------+-----------+-----------+------
//!  | "StRF" | ver | kind| zero | number   | count    | length| body crc  | header crc| body
//!  +--------+-----+-----+------+----------+----------+-------+-----------+-----------+------
//!  | 4      | 1   | 1   | 2    | 8        | 8        | 4     | 4         | 4         | length
//! ```
//!
//! Little endian. `number` counts the frames of the session on this lane, from 0; `count` says how many the
//! sender has received from the other side by then. Both checksums are CRC-32; that of the header is over
//! all bytes before it, and is checked before its length is believed. A frame above [`KIND_MAX`] has
//! no number of its own: it bears that of the next frame, and is not kept.

/// Bytes of a header.
pub const HEADER_BYTES: usize = 36;

/// The highest kind of the caller's frames; those above are the crate's own.
pub const KIND_MAX: u8 = 0xef;

/// An empty frame that brings a count, and shows that the sender lives.
pub const KIND_CONFIRM: u8 = 0xff;

const MAGIC: [u8; 4] = *b"StRF";
const VERSION: u8 = 1;
const HEADER_CHECKSUM_AT: usize = HEADER_BYTES - 4;

/// A frame in the buffer that it was read into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The caller's word for what it is.
    pub kind: u8,
    /// How many frames of the session came before it.
    pub number: u64,
    /// How many frames its sender had received.
    pub count: u64,
    /// What it brings.
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// Its length with the header.
    pub fn encoded_bytes(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }
}

/// What bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A whole frame.
    Frame(Frame<'a>),
    /// The beginning of one. It takes at least this many bytes in all, and no more than the limit allows.
    Incomplete(usize),
}

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It does not begin as one.
    #[error("no frame begins here")]
    Magic,
    /// The header was damaged.
    #[error("the checksum of a frame's header is wrong")]
    HeaderChecksum,
    /// It is of another version, or has a kind that nobody knows.
    #[error("a frame of version {version} and kind {kind} is unknown")]
    Unknown {
        /// The version.
        version: u8,
        /// The kind.
        kind: u8,
    },
    /// The body is above the limit.
    #[error("the body of a frame has {length} bytes, {max} are allowed")]
    TooLong {
        /// Its length.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// The body was damaged.
    #[error("the checksum of a frame's body is wrong")]
    BodyChecksum,
}

/// Makes room for a header; the body is to be appended behind it. Returns where the frame begins.
pub fn begin(buffer: &mut Vec<u8>) -> usize {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER_BYTES]);
    start
}

/// Writes the header of the frame that begins at `start` and ends where the buffer does.
///
/// # Panics
/// When `start` did not come from [`begin`], or the body has 4 GB.
pub fn finish(buffer: &mut [u8], start: usize, kind: u8, number: u64, count: u64) {
    let (header, body) = buffer
        .get_mut(start..)
        .and_then(|frame| frame.split_at_mut_checked(HEADER_BYTES))
        .expect("begin() made room for the header");
    let length = u32::try_from(body.len()).expect("a body is far below 4 GB");
    header[0..4].copy_from_slice(&MAGIC);
    header[4..8].copy_from_slice(&[VERSION, kind, 0, 0]);
    header[8..16].copy_from_slice(&number.to_le_bytes());
    header[16..24].copy_from_slice(&count.to_le_bytes());
    header[24..28].copy_from_slice(&length.to_le_bytes());
    header[28..32].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    let checksum = crc32fast::hash(&header[..HEADER_CHECKSUM_AT]);
    header[HEADER_CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads the frame at the beginning of `bytes`.
///
/// # Errors
/// When no frame begins there, whatever follows.
pub fn decode(bytes: &[u8], body_max: usize) -> Result<Decoded<'_>, FrameError> {
    let known = bytes.len().min(MAGIC.len());
    if bytes[..known] != MAGIC[..known] {
        return Err(FrameError::Magic);
    }
    let Some((header, rest)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Ok(Decoded::Incomplete(HEADER_BYTES));
    };
    if crc32fast::hash(&header[..HEADER_CHECKSUM_AT]) != u32_at(header, HEADER_CHECKSUM_AT) {
        return Err(FrameError::HeaderChecksum);
    }
    let (version, kind) = (header[4], header[5]);
    if version != VERSION || header[6..8] != [0, 0] || (kind > KIND_MAX && kind != KIND_CONFIRM) {
        return Err(FrameError::Unknown { version, kind });
    }
    let length = u32_at(header, 24) as usize;
    if length > body_max {
        return Err(FrameError::TooLong { length, max: body_max });
    }
    let Some(body) = rest.get(..length) else {
        return Ok(Decoded::Incomplete(HEADER_BYTES + length));
    };
    if crc32fast::hash(body) != u32_at(header, 28) {
        return Err(FrameError::BodyChecksum);
    }
    Ok(Decoded::Frame(Frame { kind, number: u64_at(header, 8), count: u64_at(header, 16), body }))
}

/// The length of the whole frame whose header, written by [`finish`], stands at `at`.
pub(crate) fn length_at(buffer: &[u8], at: usize) -> usize {
    HEADER_BYTES + u32_at(buffer, at + 24) as usize
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes are four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes are eight bytes"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 4096;

    fn encode(kind: u8, number: u64, count: u64, body: &[u8]) -> Vec<u8> {
        let mut buffer = Vec::new();
        let start = begin(&mut buffer);
        buffer.extend_from_slice(body);
        finish(&mut buffer, start, kind, number, count);
        buffer
    }

    fn body() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..300)
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(
            kind in 0..=KIND_MAX, number: u64, count: u64, body in body(), behind in body(),
        ) {
            let mut bytes = encode(kind, number, count, &body);
            let length = bytes.len();
            bytes.extend_from_slice(&behind);
            let frame = Frame { kind, number, count, body: &body };
            prop_assert_eq!(decode(&bytes, MAX), Ok(Decoded::Frame(frame)));
            prop_assert_eq!(frame.encoded_bytes(), length);
            prop_assert_eq!(length_at(&bytes, 0), length);
        }

        #[test]
        fn every_truncation_is_incomplete(number: u64, count: u64, body in body()) {
            let bytes = encode(7, number, count, &body);
            for length in 0..bytes.len() {
                let needs = if length < HEADER_BYTES { HEADER_BYTES } else { bytes.len() };
                prop_assert_eq!(decode(&bytes[..length], MAX), Ok(Decoded::Incomplete(needs)));
            }
        }

        #[test]
        fn every_flipped_bit_is_an_error(number: u64, count: u64, body in body()) {
            let mut bytes = encode(7, number, count, &body);
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(decode(&bytes, MAX).is_err(), "bit {} was flipped unseen", bit);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            decode(&bytes, MAX).ok();
        }

        #[test]
        fn an_arbitrary_header_with_right_checksums_does_no_harm(
            header in proptest::array::uniform28(any::<u8>()), body in body(),
        ) {
            let mut bytes = [&header[..], &crc32fast::hash(&body).to_le_bytes()].concat();
            bytes[..4].copy_from_slice(&MAGIC);
            bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
            bytes.extend_from_slice(&body);
            if let Ok(Decoded::Incomplete(needs)) = decode(&bytes, MAX) {
                prop_assert!(needs <= HEADER_BYTES + MAX);
            }
        }
    }

    #[test]
    fn a_body_above_the_limit_is_refused_by_its_header() {
        let bytes = encode(1, 0, 0, &[0; MAX + 1]);
        let error = FrameError::TooLong { length: MAX + 1, max: MAX };
        assert_eq!(decode(&bytes[..HEADER_BYTES], MAX), Err(error));
    }

    #[test]
    fn kinds_of_later_versions_are_unknown() {
        let error = FrameError::Unknown { version: VERSION, kind: KIND_MAX + 1 };
        assert_eq!(decode(&encode(KIND_MAX + 1, 0, 0, &[]), MAX), Err(error));
    }
}
