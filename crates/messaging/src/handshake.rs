//! How two workers prove to each other who they are, before anything else is believed. Pure.
//!
//! ```text
//!  dialler                                        dialled
//!     | 1  hello (nonce)                             |
//!     |--------------------------------------------->|
//!     | 2  hello (nonce), proof                      |   proof  = HMAC(key, "dialled", 1, hello of 2)
//!     |<---------------------------------------------|   the dialler asks its gate about the dialled
//!     | 3  reply, proof                              |   proof  = HMAC(key, "dialler", 1, hello of 2, reply)
//!     |--------------------------------------------->|   the dialled asks its gate about the dialler
//!     | 4  reply, proof                              |   proof  = HMAC(key, "answer", 1, hello of 2, reply)
//!     |<---------------------------------------------|   frames, both ways
//! ```
//!
//! A reply accepts, with its sender's [`Terms`], or refuses, with the reason; so a refusal is proved as well.
//! Each message is preceded by `"StHS"`, the version of the protocol (u16) and its length (u16, at most
//! [`MESSAGE_MAX`]), little endian; it stays so in every version. To another version the dialled answers
//! with its own and no bytes.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use storm_model::assignment::Incarnation;
use thiserror::Error;

use crate::hello::{Hello, Identity, Key, NAME_MAX, Refusal};
use crate::lane::Lane;

/// The version of the protocol.
pub const VERSION: u16 = 1;
/// What precedes a message.
pub const PREFIX_BYTES: usize = 8;
/// Longest message, without its prefix.
pub const MESSAGE_MAX: usize = 4096 - PREFIX_BYTES;

const MAGIC: [u8; 4] = *b"StHS";
const PROOF_BYTES: usize = 32;
const TEXT_MAX: usize = 512;

/// What is wrong with the other side, or with one who claims to be it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// It does not begin as a message.
    #[error("the other side does not speak this protocol")]
    Magic,
    /// Another version of the protocol.
    #[error("the other side speaks version {theirs} of the protocol, this one {VERSION}")]
    Version {
        /// The other's.
        theirs: u16,
    },
    /// Longer than any message.
    #[error("a message of {length} bytes, {MESSAGE_MAX} are allowed")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// Not a message of its place.
    #[error("a message of the handshake cannot be read")]
    Malformed,
    /// It does not hold our key.
    #[error("the other side does not hold the key of the topology")]
    WrongKey,
    /// It does not hold our key, and says that it is of another topology.
    #[error("the other side is of another topology")]
    WrongTopology,
}

/// What a side brings into a connection that it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its memory of the session, as a random number other than 0. It changes when the memory is lost.
    pub session: u64,
    /// The other's memory that it has met before; 0 when none.
    pub known: u64,
    /// Counts the connections that the dialler has tried on this lane.
    pub attempt: u64,
    /// How many frames it has received in the session, on this lane.
    pub received: u64,
}

/// What a side says when it has heard who the other is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It talks.
    Accept(Terms),
    /// It does not.
    Refuse(Refusal),
}

/// Reads a prefix: how long the message is.
///
/// # Errors
/// When no message of this version comes.
pub fn message_bytes(prefix: [u8; PREFIX_BYTES]) -> Result<usize, HandshakeError> {
    let [a, b, c, d, version @ .., low, high] = prefix;
    if [a, b, c, d] != MAGIC {
        return Err(HandshakeError::Magic);
    }
    match u16::from_le_bytes(version) {
        VERSION => {}
        theirs => return Err(HandshakeError::Version { theirs }),
    }
    match usize::from(u16::from_le_bytes([low, high])) {
        length if length > MESSAGE_MAX => Err(HandshakeError::TooLong { length }),
        length => Ok(length),
    }
}

/// The answer to another version of the protocol.
pub fn our_version() -> Vec<u8> {
    message(Vec::new())
}

/// The side that dials, when it has sent its hello.
#[derive(Debug)]
pub struct Dialler {
    key: Key,
    hello: Vec<u8>,
    topology: String,
    lane: Lane,
}

impl Dialler {
    /// Begins: the bytes are to be sent.
    pub fn begin(key: Key, hello: &Hello) -> (Dialler, Vec<u8>) {
        let bytes = encode_hello(hello);
        let (topology, lane) = (hello.from.topology.clone(), hello.lane);
        (Dialler { key, hello: bytes.clone(), topology, lane }, message(bytes))
    }

    /// The answer has come: who it is, proved.
    ///
    /// # Errors
    /// When it cannot be read, or proves nothing.
    pub fn answered(self, answer: &[u8]) -> Result<(Proven, Hello), HandshakeError> {
        let (theirs, proof) = split_proof(answer)?;
        let hello = decode_hello(theirs)?;
        let proven = Proven { key: self.key, hellos: join(&[&self.hello, theirs]), is_dialler: true };
        if proven.mac(DIALLED, &[]).verify_slice(proof).is_err() {
            return Err(match hello.from.topology == self.topology {
                true => HandshakeError::WrongKey,
                false => HandshakeError::WrongTopology,
            });
        }
        match hello.lane == self.lane {
            true => Ok((proven, hello)),
            false => Err(HandshakeError::Malformed),
        }
    }
}

/// The side that was dialled, when it has answered. Nothing that the other said is proved yet.
#[derive(Debug)]
pub struct Dialled {
    unproven: Proven,
    theirs: Hello,
}

impl Dialled {
    /// A hello has come; `ours` makes the answer's. The bytes are to be sent.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn begin(
        key: Key,
        hello: &[u8],
        ours: impl FnOnce(&Hello) -> Hello,
    ) -> Result<(Dialled, Vec<u8>), HandshakeError> {
        let theirs = decode_hello(hello)?;
        let mut answer = encode_hello(&ours(&theirs));
        let unproven = Proven { key, hellos: join(&[hello, &answer]), is_dialler: false };
        answer.extend_from_slice(&unproven.mac(DIALLED, &[]).finalize().into_bytes());
        Ok((Dialled { unproven, theirs }, message(answer)))
    }

    /// The dialler's reply has come: who it is and what it says, proved.
    ///
    /// # Errors
    /// When it cannot be read, or proves nothing.
    pub fn replied(self, reply: &[u8]) -> Result<(Proven, Hello, Reply), HandshakeError> {
        let reply = self.unproven.open(reply)?;
        Ok((self.unproven, self.theirs, reply))
    }
}

/// A side that knows who the other is.
#[derive(Debug)]
pub struct Proven {
    key: Key,
    hellos: Vec<u8>,
    is_dialler: bool,
}

const DIALLED: &[u8] = b"storm-rs dialled";
const DIALLER: &[u8] = b"storm-rs dialler";
const ANSWER: &[u8] = b"storm-rs answer";

impl Proven {
    /// The message with this side's reply.
    pub fn reply(&self, reply: &Reply) -> Vec<u8> {
        let mut bytes = encode_reply(reply);
        let label = if self.is_dialler { DIALLER } else { ANSWER };
        let proof = self.mac(label, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&proof);
        message(bytes)
    }

    /// Reads the other side's reply.
    ///
    /// # Errors
    /// When it cannot be read, or proves nothing.
    pub fn open(&self, reply: &[u8]) -> Result<Reply, HandshakeError> {
        let (reply, proof) = split_proof(reply)?;
        let label = if self.is_dialler { ANSWER } else { DIALLER };
        self.mac(label, reply).verify_slice(proof).map_err(|_| HandshakeError::WrongKey)?;
        decode_reply(reply)
    }

    fn mac(&self, label: &[u8], reply: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.key.bytes()).expect("HMAC takes keys of any length");
        mac.update(&join(&[label, &self.hellos, reply]));
        mac
    }
}

/// Parts, each behind its length, so that none can pass for the beginning of the next.
fn join(parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::new();
    for part in parts {
        joined.extend_from_slice(&(part.len() as u64).to_le_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

fn message(bytes: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("names and texts are bounded");
    [&MAGIC[..], &VERSION.to_le_bytes(), &length.to_le_bytes(), &bytes].concat()
}

fn split_proof(bytes: &[u8]) -> Result<(&[u8], &[u8]), HandshakeError> {
    let at = bytes.len().checked_sub(PROOF_BYTES).ok_or(HandshakeError::Malformed)?;
    Ok(bytes.split_at(at))
}

// === Encoding ===
//
// hello: topology, slot, incarnation, slot of the other, its number, assignment version, lane u8, nonce
// reply: 0, four u64 | reason u8, what goes with it
// text:  length u16, UTF-8; numbers u64, little endian

fn encode_hello(hello: &Hello) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_text(&mut bytes, &hello.from.topology, NAME_MAX);
    put_text(&mut bytes, &hello.from.slot, NAME_MAX);
    put_incarnation(&mut bytes, hello.from.incarnation);
    put_text(&mut bytes, &hello.to_slot, NAME_MAX);
    put_number(&mut bytes, hello.to_number);
    put_number(&mut bytes, hello.assignment_version);
    bytes.push(u8::from(hello.lane == Lane::Control));
    bytes.extend_from_slice(&hello.nonce);
    bytes
}

fn decode_hello(bytes: &[u8]) -> Result<Hello, HandshakeError> {
    let mut rest = Rest(bytes);
    let read = |rest: &mut Rest<'_>| {
        let topology = rest.text(NAME_MAX)?;
        let slot = rest.text(NAME_MAX)?;
        let incarnation = rest.incarnation()?;
        let to_slot = rest.text(NAME_MAX)?;
        let to_number = rest.number()?;
        let assignment_version = rest.number()?;
        let lane = match rest.byte()? {
            0 => Lane::Data,
            1 => Lane::Control,
            _ => return None,
        };
        let nonce = rest.array()?;
        let from = Identity { topology, slot, incarnation };
        Some(Hello { from, to_slot, to_number, assignment_version, lane, nonce })
    };
    rest.all(read)
}

fn encode_reply(reply: &Reply) -> Vec<u8> {
    let mut bytes = Vec::new();
    match reply {
        Reply::Accept(terms) => {
            bytes.push(0);
            for number in [terms.session, terms.known, terms.attempt, terms.received] {
                put_number(&mut bytes, number);
            }
        }
        Reply::Refuse(Refusal::WrongTopology) => bytes.push(1),
        Reply::Refuse(Refusal::WrongKey) => bytes.push(2),
        Reply::Refuse(Refusal::WrongVersion { theirs }) => {
            bytes.push(3);
            put_number(&mut bytes, u64::from(*theirs));
        }
        Reply::Refuse(Refusal::WrongSlot { slot }) => {
            bytes.push(4);
            put_text(&mut bytes, slot, NAME_MAX);
        }
        Reply::Refuse(Refusal::Replaced { newest }) => {
            bytes.push(5);
            put_incarnation(&mut bytes, *newest);
        }
        Reply::Refuse(Refusal::NotYetKnown) => bytes.push(6),
        Reply::Refuse(Refusal::OtherSession) => bytes.push(7),
        Reply::Refuse(Refusal::Other(text)) => {
            bytes.push(8);
            put_text(&mut bytes, text, TEXT_MAX);
        }
    }
    bytes
}

fn decode_reply(bytes: &[u8]) -> Result<Reply, HandshakeError> {
    let mut rest = Rest(bytes);
    rest.all(|rest| {
        Some(match rest.byte()? {
            0 => Reply::Accept(Terms {
                session: rest.number()?,
                known: rest.number()?,
                attempt: rest.number()?,
                received: rest.number()?,
            }),
            1 => Reply::Refuse(Refusal::WrongTopology),
            2 => Reply::Refuse(Refusal::WrongKey),
            3 => Reply::Refuse(Refusal::WrongVersion { theirs: u16::try_from(rest.number()?).ok()? }),
            4 => Reply::Refuse(Refusal::WrongSlot { slot: rest.text(NAME_MAX)? }),
            5 => Reply::Refuse(Refusal::Replaced { newest: rest.incarnation()? }),
            6 => Reply::Refuse(Refusal::NotYetKnown),
            7 => Reply::Refuse(Refusal::OtherSession),
            8 => Reply::Refuse(Refusal::Other(rest.text(TEXT_MAX)?)),
            _ => return None,
        })
    })
}

fn put_number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_incarnation(bytes: &mut Vec<u8>, incarnation: Incarnation) {
    put_number(bytes, incarnation.number);
    put_number(bytes, incarnation.restarts);
}

/// Text, cut at the last character that ends within `max` bytes; `max` is below 64 KB.
fn put_text(bytes: &mut Vec<u8>, text: &str, max: usize) {
    let end = (0..=max.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    bytes.extend_from_slice(&u16::try_from(end).expect("the limits are below 64 KB").to_le_bytes());
    bytes.extend_from_slice(&text.as_bytes()[..end]);
}

/// What is left to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// All of it, by `read`, with nothing left over.
    fn all<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Result<T, HandshakeError> {
        read(self).filter(|_| self.0.is_empty()).ok_or(HandshakeError::Malformed)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn incarnation(&mut self) -> Option<Incarnation> {
        Some(Incarnation { number: self.number()?, restarts: self.number()? })
    }

    fn text(&mut self, max: usize) -> Option<String> {
        let length = usize::from(u16::from_le_bytes(self.array()?));
        let (text, rest) = self.0.split_at_checked(length).filter(|_| length <= max)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests;
