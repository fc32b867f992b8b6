//! Who is on the other end, and who may talk to us.

use std::fmt;

use storm_model::assignment::Incarnation;
use thiserror::Error;

use crate::error::Error;
use crate::lane::Lane;

/// Longest name of a topology or a slot, in bytes: so a hello stays far below its limit.
pub const NAME_MAX: usize = 1024;

/// Who this worker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Id of the topology.
    pub topology: String,
    /// The slot, as text.
    pub slot: String,
    /// The incarnation.
    pub incarnation: Incarnation,
}

impl Identity {
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_name("the topology's id", &self.topology)?;
        check_name("the name of the slot", &self.slot)
    }
}

pub(crate) fn check_name(what: &'static str, name: &str) -> Result<(), Error> {
    match name.len() {
        length if length > NAME_MAX => Err(Error::NameTooLong { what, length, max: NAME_MAX }),
        _ => Ok(()),
    }
}

/// The key that the workers of one topology share.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl Key {
    /// From the bytes of the key; 32 of them are as good as it gets.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Key {
        Key(bytes.into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// How a worker introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Who speaks.
    pub from: Identity,
    /// Slot of the worker that it speaks to.
    pub to_slot: String,
    /// [`Incarnation::number`] of the worker that it means to speak to. The side that is dialled does not
    /// know and repeats its caller's.
    pub to_number: u64,
    /// Version of the assignment that it knows.
    pub assignment_version: u64,
    /// Which of the two connections this is.
    pub lane: Lane,
    /// Random, fresh for every connection.
    pub nonce: [u8; 32],
}

/// Decides who may talk to this worker. It is asked only about hellos whose sender has proved that it
/// holds the key, by the side that was dialled and by the side that dials alike.
pub trait Gate: Send + Sync {
    /// The version of the assignment that this worker knows; it goes into its hellos.
    fn assignment_version(&self) -> u64;

    /// Whether the newest assignment has this worker. Called on a thread that the peer waits for; must not
    /// block. Who has to catch up first answers [`Refusal::NotYetKnown`]: the peer tries again.
    fn judge(&self, hello: &Hello) -> Verdict;

    /// A worker that holds the key has refused this one, whether there is a [`Peer`](crate::Peer) for it or
    /// not. Must not block.
    fn refused(&self, by: &Hello, refusal: &Refusal) {
        tracing::debug!(slot = by.from.slot, %refusal, "refused by a worker");
    }
}

/// What a [`Gate`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may talk.
    Accept,
    /// It may not; it is told why.
    Refuse(Refusal),
}

/// Why a worker does not talk to another.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The other is of another topology. When its key differs too this is what it says, not what it proved.
    #[error("the worker is of another topology")]
    WrongTopology,
    /// The other has another key than this one. Only the dialler finds it: the dialled sees it hang up.
    #[error("the worker does not hold the key of the topology")]
    WrongKey,
    /// The other speaks another version of the protocol. Found by this side, not proved.
    #[error("the worker speaks version {theirs} of the protocol, not {ours}", ours = crate::handshake::VERSION)]
    WrongVersion {
        /// The version that it speaks.
        theirs: u16,
    },
    /// The worker at this address has another slot.
    #[error("the worker at this address has the slot {slot}")]
    WrongSlot {
        /// The slot that it has.
        slot: String,
    },
    /// There is a newer incarnation of the refused worker's slot. Always proved.
    #[error("the worker was replaced by {newest}")]
    Replaced {
        /// The newest that is known.
        newest: Incarnation,
    },
    /// The refusing side does not know the other yet, and is catching up. The dialler tries again.
    #[error("the worker is not known yet")]
    NotYetKnown,
    /// One side still holds a session with an earlier life of the other. It ends by itself; the dialler
    /// tries again.
    #[error("the worker still holds an earlier session")]
    OtherSession,
    /// Another reason, as text of at most 512 bytes; longer text is cut.
    #[error("{0}")]
    Other(String),
}
