use proptest::prelude::*;

use super::*;
use crate::frame::{Decoded, decode};

const BODY_MAX: usize = 400;
const BUFFER: usize = 256;

fn push(outgoing: &mut Outgoing, received: u64, body: &[u8]) {
    let is_added = outgoing.push(received, |buffer| {
        buffer.extend_from_slice(body);
        Some(1)
    });
    assert_eq!(is_added, Ok(true));
}

/// One side, and the bytes that it has written on the present connection and the other has not read.
struct Side {
    outgoing: Outgoing,
    incoming: Incoming,
    pushed: Vec<Vec<u8>>,
    taken: Vec<Vec<u8>>,
    wire: Vec<u8>,
}

impl Side {
    fn new() -> Side {
        Side {
            outgoing: Outgoing::new(BODY_MAX, BUFFER),
            incoming: Incoming::default(),
            pushed: Vec::new(),
            taken: Vec::new(),
            wire: Vec::new(),
        }
    }

    fn push(&mut self, body: Vec<u8>) {
        push(&mut self.outgoing, self.incoming.frames(), &body);
        self.pushed.push(body);
    }

    fn write(&mut self) {
        self.wire.extend_from_slice(self.outgoing.unwritten());
        self.outgoing.wrote();
    }

    fn sign(&mut self) {
        let start = frame::begin(&mut self.wire);
        let (number, count) = (self.outgoing.frames(), self.incoming.frames());
        // Only when all is written may a sign bear the next number.
        if self.outgoing.unwritten().is_empty() {
            frame::finish(&mut self.wire, start, frame::KIND_CONFIRM, number, count);
        } else {
            self.wire.truncate(start);
        }
    }

    fn read(&mut self, wire: &mut Vec<u8>, frames: usize) {
        for _ in 0..frames {
            let Ok(Decoded::Frame(frame)) = decode(wire, BODY_MAX) else { return };
            self.outgoing.confirm(frame.count).unwrap();
            if self.incoming.arrive(&frame).unwrap() == Arrival::New {
                self.taken.push(frame.body.to_vec());
            }
            let length = frame.encoded_bytes();
            wire.drain(..length);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(bool, Vec<u8>),
    Write(bool),
    Sign(bool),
    Read(bool, usize),
    /// The connection breaks: of what is under way, so much arrives each way.
    Break(prop::sample::Index, prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let body = proptest::collection::vec(any::<u8>(), 0..BODY_MAX);
    prop_oneof![
        4 => (any::<bool>(), body).prop_map(|(side, body)| Step::Push(side, body)),
        4 => any::<bool>().prop_map(Step::Write),
        1 => any::<bool>().prop_map(Step::Sign),
        3 => (any::<bool>(), 1..5usize).prop_map(|(side, frames)| Step::Read(side, frames)),
        1 => any::<(prop::sample::Index, prop::sample::Index)>().prop_map(|(a, b)| Step::Break(a, b)),
    ]
}

fn reconnect(sides: &mut [Side; 2], cuts: [usize; 2]) {
    for (from, cut) in cuts.into_iter().enumerate() {
        let mut wire = std::mem::take(&mut sides[from].wire);
        wire.truncate(cut);
        sides[1 - from].read(&mut wire, usize::MAX);
    }
    let [a, b] = sides;
    a.outgoing.reconnect(b.incoming.frames()).unwrap();
    b.outgoing.reconnect(a.incoming.frames()).unwrap();
}

proptest! {
    #[test]
    fn each_body_arrives_once_and_in_order(steps in proptest::collection::vec(step(), 0..120)) {
        let mut sides = [Side::new(), Side::new()];
        for step in steps {
            match step {
                Step::Push(side, body) => sides[usize::from(side)].push(body),
                Step::Write(side) => sides[usize::from(side)].write(),
                Step::Sign(side) => sides[usize::from(side)].sign(),
                Step::Read(side, frames) => {
                    let mut wire = std::mem::take(&mut sides[1 - usize::from(side)].wire);
                    sides[usize::from(side)].read(&mut wire, frames);
                    sides[1 - usize::from(side)].wire = wire;
                }
                Step::Break(a, b) => {
                    let cuts = [a.index(sides[0].wire.len() + 1), b.index(sides[1].wire.len() + 1)];
                    reconnect(&mut sides, cuts);
                }
            }
            for (from, to) in [(0, 1), (1, 0)] {
                let (pushed, taken) = (&sides[from].pushed, &sides[to].taken);
                prop_assert_eq!(&pushed[..taken.len()], &taken[..]);
                let bytes = sides[from].outgoing.kept_bytes();
                let lost: usize = pushed[taken.len()..].iter().map(|body| body.len()).sum();
                prop_assert!(bytes >= lost, "of {} missing bytes {} are kept", lost, bytes);
            }
        }
        // Whatever happened: one more connection that holds brings everything.
        reconnect(&mut sides, [0, 0]);
        for side in &mut sides {
            while !side.outgoing.unwritten().is_empty() {
                side.write();
            }
        }
        let all = [sides[0].wire.len(), sides[1].wire.len()];
        reconnect(&mut sides, all);
        for (from, to) in [(0, 1), (1, 0)] {
            prop_assert_eq!(&sides[from].pushed, &sides[to].taken);
            prop_assert_eq!(sides[from].outgoing.kept_bytes(), 0);
            prop_assert_eq!(sides[from].outgoing.confirmed(), sides[from].outgoing.frames());
        }
    }

    #[test]
    fn a_peer_that_says_anything_gets_an_error_or_what_it_lacks(
        said in proptest::collection::vec(said(), 0..60),
    ) {
        let (mut outgoing, mut incoming) = (Outgoing::new(BODY_MAX, BUFFER), Incoming::default());
        for said in said {
            let outcome = match said {
                Said::Push(length) => {
                    push(&mut outgoing, incoming.frames(), &vec![7; length]);
                    Ok(())
                }
                Said::Write => {
                    outgoing.wrote();
                    Ok(())
                }
                Said::Confirm(count) => outgoing.confirm(count),
                Said::Arrive(kind, number) => {
                    incoming.arrive(&Frame { kind, number, count: 0, body: &[] }).map(drop)
                }
                Said::Reconnect(count) => outgoing.reconnect(count).map(|()| {
                    let mut next = count;
                    while !outgoing.unwritten().is_empty() {
                        let mut bytes = outgoing.unwritten();
                        while let Ok(Decoded::Frame(frame)) = decode(bytes, BODY_MAX) {
                            assert_eq!(frame.number, next);
                            next += 1;
                            bytes = &bytes[frame.encoded_bytes()..];
                        }
                        assert!(bytes.is_empty());
                        outgoing.wrote();
                    }
                    assert_eq!(next, outgoing.frames());
                }),
            };
            // The session ends with the first error.
            if outcome.is_err() {
                break;
            }
        }
    }
}

/// What an untrue peer makes a side do, among what the side does itself.
#[derive(Clone, Debug)]
enum Said {
    Push(usize),
    Write,
    Confirm(u64),
    Reconnect(u64),
    Arrive(u8, u64),
}

fn said() -> impl Strategy<Value = Said> {
    let count = || prop_oneof![9 => 0..12_u64, 1 => any::<u64>()];
    prop_oneof![
        4 => (0..BODY_MAX).prop_map(Said::Push),
        2 => Just(Said::Write),
        1 => count().prop_map(Said::Confirm),
        1 => count().prop_map(Said::Reconnect),
        1 => (any::<u8>(), count()).prop_map(|(kind, number)| Said::Arrive(kind, number)),
    ]
}

#[test]
fn a_gap_is_an_error() {
    let mut incoming = Incoming::default();
    let frame = Frame { kind: 0, number: 1, count: 0, body: &[] };
    assert_eq!(incoming.arrive(&frame), Err(ProtocolError::Gap { expected: 0, number: 1 }));
}

#[test]
fn a_sign_after_a_lost_frame_is_an_error() {
    let mut incoming = Incoming::default();
    let sign = Frame { kind: frame::KIND_CONFIRM, number: 3, count: 0, body: &[] };
    assert_eq!(incoming.arrive(&sign), Err(ProtocolError::Gap { expected: 0, number: 3 }));
}

#[test]
fn counts_of_what_was_never_sent_are_errors() {
    let mut outgoing = Outgoing::new(BODY_MAX, BUFFER);
    push(&mut outgoing, 0, b"one");
    assert_eq!(outgoing.confirm(2), Err(ProtocolError::CountAhead { count: 2, sent: 1 }));
    outgoing.wrote();
    outgoing.confirm(1).unwrap();
    assert_eq!(outgoing.reconnect(0), Err(ProtocolError::CountBack { count: 0, confirmed: 1 }));
}

#[test]
fn small_frames_share_a_buffer_even_when_written_one_by_one() {
    let mut outgoing = Outgoing::new(BODY_MAX, BUFFER);
    for _ in 0..4 {
        push(&mut outgoing, 0, b"small");
        assert_eq!(outgoing.unwritten().len(), frame::HEADER_BYTES + 5);
        outgoing.wrote();
    }
    assert_eq!(outgoing.buffers.len(), 1);
}

#[test]
fn freed_buffers_are_used_again() {
    let mut outgoing = Outgoing::new(BODY_MAX, BUFFER);
    push(&mut outgoing, 0, &[7; BUFFER]);
    let place = outgoing.unwritten().as_ptr();
    outgoing.wrote();
    outgoing.confirm(1).unwrap();
    assert_eq!(outgoing.kept_bytes(), 0);
    push(&mut outgoing, 0, &[7; BUFFER]);
    assert_eq!(outgoing.unwritten().as_ptr(), place);
}

#[test]
fn what_cannot_be_sent_is_not_added() {
    let mut outgoing = Outgoing::new(BODY_MAX, BUFFER);
    let too_long = outgoing.push(0, |buffer| {
        buffer.extend_from_slice(&[0; BODY_MAX + 1]);
        Some(1)
    });
    assert_eq!(too_long, Err(ProtocolError::BodyTooLong { length: BODY_MAX + 1, max: BODY_MAX }));
    let reserved = outgoing.push(0, |_| Some(KIND_MAX + 1));
    assert_eq!(reserved, Err(ProtocolError::ReservedKind { kind: KIND_MAX + 1 }));
    assert_eq!(outgoing.push(0, |_| None), Ok(false));
    assert!(outgoing.unwritten().is_empty() && outgoing.frames() == 0);
    // A source that clears the whole buffer, frames of others included, is caught too.
    push(&mut outgoing, 0, b"one");
    let cleared = outgoing.push(0, |buffer| {
        buffer.clear();
        Some(1)
    });
    assert_eq!(cleared, Err(ProtocolError::BufferShortened));
}

#[test]
fn a_full_buffer_that_was_written_does_not_hide_the_next_one() {
    let mut outgoing = Outgoing::new(BODY_MAX, BUFFER);
    push(&mut outgoing, 0, &[7; BUFFER]);
    assert!(outgoing.is_ready());
    outgoing.wrote();
    assert!(!outgoing.is_ready());
    push(&mut outgoing, 0, b"next");
    assert_eq!(outgoing.unwritten().len(), frame::HEADER_BYTES + 4);
}
