//! The bytes of a log and of a snapshot.
//!
//! ```text
//! log        "srszklg1", then records: "txns", u32 length of the payload, u32 checksum, payload
//! payload    vector of transactions
//! checksum   CRC-32 of the record's offset in the file (u64) and the payload
//! snapshot   "srszksn1", u32 CRC-32 of the rest, state
//! ```
//!
//! All numbers are big-endian. The offset is in the checksum so that a record is one at its place
//! only, and not as data of a znode.

use crc32fast::Hasher;

use crate::jute::{Input, Jute, JuteError};
use crate::state::Txn;

/// What a log begins with.
pub(super) const LOG_HEAD: &[u8; 8] = b"srszklg1";
const SNAPSHOT_HEAD: &[u8; 8] = b"srszksn1";
const RECORD_HEAD: &[u8; 4] = b"txns";

/// Why a log cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LogError<E> {
    #[error("it does not begin as a log")]
    Head,
    #[error("the record at byte {at} is broken, and whole ones follow")]
    Broken { at: usize },
    #[error("the record at byte {at} is whole, but is none: {reason}")]
    Malformed { at: usize, reason: JuteError },
    #[error("the record at byte {at} cannot be applied: {reason}")]
    Refused { at: usize, reason: E },
}

/// A record for this place in the log.
pub(super) fn record(offset: u64, txns: &[Txn]) -> Vec<u8> {
    let mut payload = Vec::new();
    i32::try_from(txns.len()).expect("a batch is bounded").write(&mut payload);
    txns.iter().for_each(|txn| txn.write(&mut payload));
    let length = u32::try_from(payload.len()).expect("a batch is bounded");
    let mut record = Vec::with_capacity(payload.len() + 12);
    record.extend_from_slice(RECORD_HEAD);
    record.extend_from_slice(&length.to_be_bytes());
    record.extend_from_slice(&checksum(offset, &payload).to_be_bytes());
    record.extend_from_slice(&payload);
    record
}

fn checksum(offset: u64, payload: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&offset.to_be_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Applies the transactions of a log in order. The answer is where the last whole record ends: what
/// follows is a record that was not finished.
pub(super) fn read_log<E>(
    log: &[u8],
    apply: &mut impl FnMut(&Txn) -> Result<(), E>,
) -> Result<usize, LogError<E>> {
    if !log.starts_with(LOG_HEAD) {
        return Err(LogError::Head);
    }
    let mut at = LOG_HEAD.len();
    while let Some((payload, end)) = whole_record(log, at) {
        let malformed = |reason| LogError::Malformed { at, reason };
        for txn in Vec::<Txn>::read(&mut Input::new(payload)).map_err(malformed)? {
            apply(&txn).map_err(|reason| LogError::Refused { at, reason })?;
        }
        at = end;
    }
    let rest = log.get(at..).unwrap_or_default();
    let heads = rest.windows(RECORD_HEAD.len()).enumerate().filter(|(_, window)| window == RECORD_HEAD);
    if heads.into_iter().any(|(behind, _)| whole_record(log, at + behind).is_some()) {
        return Err(LogError::Broken { at });
    }
    Ok(at)
}

/// The payload of the record at this place, and where it ends.
fn whole_record(log: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = log.get(at..)?.strip_prefix(RECORD_HEAD)?;
    let (length, rest) = rest.split_first_chunk()?;
    let (stored, rest) = rest.split_first_chunk()?;
    let payload = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let is_whole = checksum(at as u64, payload) == u32::from_be_bytes(*stored);
    is_whole.then(|| (payload, log.len() - rest.len() + payload.len()))
}

/// A snapshot's file.
pub(super) fn snapshot(state: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(SNAPSHOT_HEAD.len() + 4 + state.len());
    file.extend_from_slice(SNAPSHOT_HEAD);
    file.extend_from_slice(&crc32fast::hash(state).to_be_bytes());
    file.extend_from_slice(state);
    file
}

/// The state in a snapshot's file, if it is whole.
pub(super) fn read_snapshot(file: &[u8]) -> Option<&[u8]> {
    let (stored, state) = file.strip_prefix(SNAPSHOT_HEAD)?.split_first_chunk()?;
    (crc32fast::hash(state) == u32::from_be_bytes(*stored)).then_some(state)
}
