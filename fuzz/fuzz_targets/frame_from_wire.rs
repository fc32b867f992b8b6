//! Any bytes as what comes on a lane: an error, the beginning of a frame, or a frame that is sent as
//! the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use storm_messaging::frame::{self, Decoded, HEADER_BYTES};

const BODY_MAX: usize = 1 << 10;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check(&with_right_checksums(bytes));
});

fn check(bytes: &[u8]) {
    match frame::decode(bytes, BODY_MAX) {
        Ok(Decoded::Frame(found)) => {
            let mut sent = Vec::new();
            let start = frame::begin(&mut sent);
            sent.extend_from_slice(found.body);
            frame::finish(&mut sent, start, found.kind, found.number, found.count);
            assert_eq!(sent, bytes[..found.encoded_bytes()]);
            for length in [HEADER_BYTES - 1, sent.len() - 1] {
                let cut = frame::decode(&sent[..length], BODY_MAX);
                assert!(matches!(cut, Ok(Decoded::Incomplete(needs)) if needs > length));
            }
        }
        Ok(Decoded::Incomplete(needs)) => {
            assert!(bytes.len() < needs && needs <= HEADER_BYTES + BODY_MAX);
        }
        Err(_) => {}
    }
}

/// The same with the magic number and the checksums, which nobody finds by trying.
fn with_right_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some((header, body)) = bytes.split_at_mut_checked(HEADER_BYTES) {
        header[..4].copy_from_slice(b"StRF");
        let length = u32::from_le_bytes(header[24..28].try_into().expect("four bytes")) as usize;
        let body = &body[..length.min(body.len())];
        header[28..32].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
        let checksum = crc32fast::hash(&header[..32]);
        header[32..].copy_from_slice(&checksum.to_le_bytes());
    }
    bytes
}
