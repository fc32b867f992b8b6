//! Any bytes as a message of the handshake: without the key nothing is believed, and with it they are
//! an error, or are understood by both sides and sent as the same bytes.
#![no_main]

use hmac::{Hmac, Mac};
use libfuzzer_sys::fuzz_target;
use sha2::Sha256;
use storm_messaging::handshake::{Dialled, Dialler, MESSAGE_MAX, PREFIX_BYTES, message_bytes};
use storm_messaging::{Hello, Identity, Key, Lane};
use storm_model::Incarnation;

const KEY: &[u8] = b"the key of the topology";

fuzz_target!(|bytes: &[u8]| {
    if let Some(prefix) = bytes.first_chunk() {
        assert!(message_bytes(*prefix).unwrap_or_default() <= MESSAGE_MAX);
    }
    as_a_hello(bytes);
    as_an_answer(bytes);
    as_a_reply(bytes);
});

fn as_a_hello(bytes: &[u8]) {
    let mut heard = None;
    let dialled = Dialled::begin(key(), bytes, |theirs| {
        heard = Some(theirs.clone());
        hello("b:1", theirs.lane)
    });
    assert_eq!(dialled.is_ok(), heard.is_some());
    if let (Ok((dialled, answer)), Some(heard)) = (dialled, heard) {
        let (dialler, sent) = Dialler::begin(key(), &heard);
        assert_eq!(body(&sent), bytes);
        assert_eq!(dialler.answered(body(&answer)).expect("it has the key").1, hello("b:1", heard.lane));
        assert!(dialled.replied(bytes).is_err(), "a reply without a proof");
    }
}

fn as_an_answer(bytes: &[u8]) {
    for lane in [Lane::Data, Lane::Control] {
        let begin = || Dialler::begin(key(), &hello("a:1", lane));
        let (dialler, first) = begin();
        assert!(dialler.answered(bytes).is_err(), "an answer without a proof");
        let proof = proof(b"storm-rs dialled", &join(&[body(&first), bytes]), &[]);
        if let Ok((_, heard)) = begin().0.answered(&[bytes, &proof].concat()) {
            assert_eq!(heard.lane, lane);
            assert_eq!(body(&Dialler::begin(key(), &heard).1), bytes);
        }
    }
}

fn as_a_reply(bytes: &[u8]) {
    let (dialler, first) = Dialler::begin(key(), &hello("a:1", Lane::Data));
    let (dialled, second) =
        Dialled::begin(key(), body(&first), |_| hello("b:1", Lane::Data)).expect("it is a hello");
    let (theirs, _) = body(&second).split_at(body(&second).len() - proof(&[], &[], &[]).len());
    let hellos = join(&[body(&first), theirs]);
    let (dialler, _) = dialler.answered(body(&second)).expect("it has the key");

    assert!(dialler.open(bytes).is_err(), "a reply without a proof");
    let of_dialler = [bytes, &proof(b"storm-rs dialler", &hellos, bytes)].concat();
    let of_dialled = [bytes, &proof(b"storm-rs answer", &hellos, bytes)].concat();
    match (dialled.replied(&of_dialler), dialler.open(&of_dialled)) {
        (Ok((dialled, _, heard)), Ok(answer)) => {
            assert_eq!(heard, answer);
            assert_eq!(body(&dialler.reply(&heard)), of_dialler);
            assert_eq!(body(&dialled.reply(&heard)), of_dialled);
        }
        (Err(dialled), Err(dialler)) => assert_eq!(dialled, dialler),
        (dialled, dialler) => panic!("the sides differ: {dialled:?}, {dialler:?}"),
    }
}

fn key() -> Key {
    Key::new(KEY)
}

fn hello(slot: &str, lane: Lane) -> Hello {
    let from = Identity { topology: "t".into(), slot: slot.into(), incarnation: Incarnation::default() };
    Hello { from, to_slot: "c:1".into(), to_number: 1, assignment_version: 2, lane, nonce: [3; 32] }
}

/// A message without its prefix.
fn body(message: &[u8]) -> &[u8] {
    &message[PREFIX_BYTES..]
}

/// What proves a message of a side that holds the key; no fuzzer finds that by trying.
fn proof(label: &[u8], hellos: &[u8], reply: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("HMAC takes keys of any length");
    mac.update(&join(&[label, hellos, reply]));
    mac.finalize().into_bytes().to_vec()
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&(part.len() as u64).to_le_bytes(), *part].concat()).collect()
}
