use proptest::prelude::*;

use super::*;

fn incarnation() -> impl Strategy<Value = Incarnation> {
    any::<(u64, u64)>().prop_map(|(number, restarts)| Incarnation { number, restarts })
}

fn hello() -> impl Strategy<Value = Hello> {
    let lane = prop_oneof![Just(Lane::Data), Just(Lane::Control)];
    let names = ("\\PC{0,40}", "\\PC{0,40}", "\\PC{0,40}");
    (names, incarnation(), any::<(u64, u64, [u8; 32])>(), lane).prop_map(
        |((topology, slot, to_slot), incarnation, (to_number, assignment_version, nonce), lane)| {
            let from = Identity { topology, slot, incarnation };
            Hello { from, to_slot, to_number, assignment_version, lane, nonce }
        },
    )
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        any::<[u64; 4]>().prop_map(|[session, known, attempt, received]| {
            Reply::Accept(Terms { session, known, attempt, received })
        }),
        Just(Reply::Refuse(Refusal::WrongTopology)),
        Just(Reply::Refuse(Refusal::WrongKey)),
        any::<u16>().prop_map(|theirs| Reply::Refuse(Refusal::WrongVersion { theirs })),
        "\\PC{0,40}".prop_map(|slot| Reply::Refuse(Refusal::WrongSlot { slot })),
        incarnation().prop_map(|newest| Reply::Refuse(Refusal::Replaced { newest })),
        Just(Reply::Refuse(Refusal::NotYetKnown)),
        Just(Reply::Refuse(Refusal::OtherSession)),
        "\\PC{0,40}".prop_map(|text| Reply::Refuse(Refusal::Other(text))),
    ]
}

/// The body of a message that this side sent.
fn body(message: &[u8]) -> &[u8] {
    let (prefix, body) = message.split_first_chunk().unwrap();
    assert_eq!(message_bytes(*prefix), Ok(body.len()));
    body
}

fn key(byte: u8) -> Key {
    Key::new([byte; 32])
}

fn flip(message: &[u8], bit: prop::sample::Index) -> Vec<u8> {
    let mut flipped = message.to_vec();
    let bit = bit.index(flipped.len() * 8);
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

/// What each side has heard, when all messages arrive as `through` lets them (their number, their body).
type Heard = Result<(Hello, Hello, Reply, Reply), HandshakeError>;

fn run(
    keys: (Key, Key),
    hellos: (&Hello, &Hello),
    replies: (&Reply, &Reply),
    through: impl Fn(u8, &[u8]) -> Vec<u8>,
) -> Heard {
    let (dialler, first) = Dialler::begin(keys.0, hellos.0);
    let (dialled, second) = Dialled::begin(keys.1, &through(1, body(&first)), |_| hellos.1.clone())?;
    let (dialler, heard_hello) = dialler.answered(&through(2, body(&second)))?;
    let third = dialler.reply(replies.0);
    let (dialled, hello, heard_reply) = dialled.replied(&through(3, body(&third)))?;
    let fourth = dialled.reply(replies.1);
    let answer = dialler.open(&through(4, body(&fourth)))?;
    Ok((heard_hello, hello, heard_reply, answer))
}

proptest! {
    #[test]
    fn both_sides_hear_what_the_other_said(a in hello(), b in hello(), yes in reply(), no in reply()) {
        let b = Hello { lane: a.lane, ..b };
        let heard = run((key(1), key(1)), (&a, &b), (&yes, &no), |_, bytes| bytes.to_vec());
        prop_assert_eq!(heard, Ok((b, a, yes, no)));
    }

    #[test]
    fn one_changed_bit_in_any_message_is_not_believed(
        a in hello(), b in hello(), yes in reply(), no in reply(),
        which in 1..=4u8, bit: prop::sample::Index,
    ) {
        let b = Hello { lane: a.lane, ..b };
        let heard = run((key(1), key(1)), (&a, &b), (&yes, &no), |number, bytes| {
            if number == which { flip(bytes, bit) } else { bytes.to_vec() }
        });
        prop_assert!(heard.is_err());
    }

    #[test]
    fn messages_of_another_handshake_prove_nothing(
        a in hello(), b in hello(), yes in reply(), no in reply(), which in 2..=4u8, nonce: [u8; 32],
    ) {
        let b = Hello { lane: a.lane, ..b };
        let earlier = Hello { nonce, ..a.clone() };
        prop_assume!(earlier != a);
        let recorded = std::cell::RefCell::new(Vec::new());
        run((key(1), key(1)), (&earlier, &b), (&yes, &no), |number, bytes| {
            if number == which {
                *recorded.borrow_mut() = bytes.to_vec();
            }
            bytes.to_vec()
        }).unwrap();
        let heard = run((key(1), key(1)), (&a, &b), (&yes, &no), |number, bytes| {
            if number == which { recorded.borrow().clone() } else { bytes.to_vec() }
        });
        prop_assert!(heard.is_err());
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), a in hello()) {
        let (dialler, _) = Dialler::begin(key(1), &a);
        prop_assert!(dialler.answered(&bytes).is_err());
        if let Ok((dialled, _)) = Dialled::begin(key(1), &bytes, |_| a) {
            prop_assert!(dialled.replied(&bytes).is_err());
        }
        decode_hello(&bytes).ok();
        decode_reply(&bytes).ok();
        if let Some(prefix) = bytes.first_chunk() {
            message_bytes(*prefix).ok();
        }
    }

    #[test]
    fn changed_bytes_are_refused_or_sent_as_they_came(
        hello in hello(), reply in reply(), at: prop::sample::Index, byte: u8, end: prop::sample::Index,
    ) {
        for mut bytes in [encode_hello(&hello), encode_reply(&reply)] {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            for bytes in [&bytes[..], &bytes[..end.index(bytes.len())]] {
                if let Ok(hello) = decode_hello(bytes) {
                    prop_assert_eq!(encode_hello(&hello), bytes);
                }
                if let Ok(reply) = decode_reply(bytes) {
                    prop_assert_eq!(encode_reply(&reply), bytes);
                }
            }
        }
    }
}

fn some_hello(topology: &str) -> Hello {
    let from =
        Identity { topology: topology.into(), slot: "s:1".into(), incarnation: Incarnation::default() };
    let lane = Lane::Data;
    Hello { from, to_slot: "s:2".into(), to_number: 0, assignment_version: 0, lane, nonce: [3; 32] }
}

#[test]
fn a_dialler_sees_another_key_and_another_topology() {
    let no = Reply::Refuse(Refusal::NotYetKnown);
    for (topology, error) in [("a", HandshakeError::WrongKey), ("b", HandshakeError::WrongTopology)] {
        let hellos = (&some_hello("a"), &some_hello(topology));
        let heard = run((key(1), key(2)), hellos, (&no, &no), |_, bytes| bytes.to_vec());
        assert_eq!(heard, Err(error));
    }
}

#[test]
fn a_dialler_without_the_key_is_not_believed() {
    let hello = some_hello("a");
    let (_, first) = Dialler::begin(key(2), &hello);
    let (dialled, _) = Dialled::begin(key(1), body(&first), |_| hello.clone()).unwrap();
    let forger = Proven { key: key(2), hellos: dialled.unproven.hellos.clone(), is_dialler: true };
    let forged = forger.reply(&Reply::Refuse(Refusal::NotYetKnown));
    assert_eq!(dialled.replied(body(&forged)).unwrap_err(), HandshakeError::WrongKey);
}

#[test]
fn a_proof_sent_back_proves_nothing() {
    let hello = some_hello("a");
    let (_, first) = Dialler::begin(key(1), &hello);
    let (dialled, second) = Dialled::begin(key(1), body(&first), |_| hello.clone()).unwrap();
    assert_eq!(dialled.replied(body(&second)).unwrap_err(), HandshakeError::WrongKey);
}

#[test]
fn the_longest_hello_fits() {
    let name = "n".repeat(NAME_MAX);
    let hello = Hello { to_slot: name.clone(), ..some_hello(&name) };
    let hello = Hello { from: Identity { slot: name, ..hello.from }, ..hello };
    let (_, first) = Dialler::begin(key(1), &hello);
    let (_, second) = Dialled::begin(key(1), body(&first), |_| hello.clone()).unwrap();
    assert!(second.len() <= PREFIX_BYTES + MESSAGE_MAX);
}

#[test]
fn long_text_of_a_refusal_is_cut_between_characters() {
    let long = Reply::Refuse(Refusal::Other("ä".repeat(TEXT_MAX) + "x"));
    let cut = Reply::Refuse(Refusal::Other("ä".repeat(TEXT_MAX / 2)));
    assert_eq!(decode_reply(&encode_reply(&long)), Ok(cut));
}

#[test]
fn prefixes_of_others_are_told_apart() {
    let prefix = |bytes: &[u8]| message_bytes(bytes.try_into().unwrap());
    assert_eq!(prefix(&our_version()), Ok(0));
    assert_eq!(prefix(b"GET / HT"), Err(HandshakeError::Magic));
    assert_eq!(prefix(b"StHS\x02\x00\xff\xff"), Err(HandshakeError::Version { theirs: 2 }));
    assert_eq!(prefix(b"StHS\x01\x00\xff\xff"), Err(HandshakeError::TooLong { length: 65535 }));
}
