//! A lane of a session whose peer says anything: an error that ends it, or whatever the peer lacks is
//! sent, each frame once and in order.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use storm_messaging::ProtocolError;
use storm_messaging::frame::{self, Decoded, Frame};
use storm_messaging::session::{Arrival, Incoming, Outgoing};

const BODY_MAX: usize = 300;
const BUFFER_BYTES: usize = 200;

#[derive(Arbitrary, Debug)]
enum Step {
    Push(u8, u16),
    /// The source has nothing, or leaves the buffer shorter than it was.
    PushNothing(bool),
    Write,
    Confirm(Count),
    Reconnect(Count),
    Arrive(u8, Count, Count),
}

/// A number that the peer names.
#[derive(Arbitrary, Debug)]
enum Count {
    /// So far from the right one.
    Near(i8),
    Any(u64),
}

impl Count {
    fn from(&self, right: u64) -> u64 {
        match *self {
            Count::Near(by) => right.saturating_add_signed(by.into()),
            Count::Any(count) => count,
        }
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let (mut outgoing, mut incoming) = (Outgoing::new(BODY_MAX, BUFFER_BYTES), Incoming::default());
    for step in steps {
        if take(&mut outgoing, &mut incoming, &step).is_err() {
            return;
        }
        assert!(outgoing.confirmed() <= outgoing.frames());
    }
});

fn take(outgoing: &mut Outgoing, incoming: &mut Incoming, step: &Step) -> Result<(), ProtocolError> {
    match step {
        Step::Push(kind, length) => {
            let before = outgoing.frames();
            let pushed = outgoing.push(incoming.frames(), |buffer| {
                buffer.resize(buffer.len() + usize::from(*length), *kind);
                Some(*kind)
            });
            let is_sendable = *kind <= frame::KIND_MAX && usize::from(*length) <= BODY_MAX;
            assert_eq!(pushed.is_ok(), is_sendable);
            assert_eq!(outgoing.frames(), before + u64::from(is_sendable));
        }
        Step::PushNothing(false) => assert_eq!(outgoing.push(0, |_| None), Ok(false)),
        Step::PushNothing(true) => {
            outgoing.push(0, |buffer| {
                buffer.pop();
                Some(1)
            })?;
        }
        Step::Write => outgoing.wrote(),
        Step::Confirm(count) => outgoing.confirm(count.from(outgoing.confirmed()))?,
        Step::Reconnect(count) => {
            let count = count.from(outgoing.confirmed());
            outgoing.reconnect(count)?;
            let mut next = count;
            while !outgoing.unwritten().is_empty() {
                let mut bytes = outgoing.unwritten();
                while !bytes.is_empty() {
                    let Ok(Decoded::Frame(frame)) = frame::decode(bytes, BODY_MAX) else {
                        panic!("frame {next} is not whole");
                    };
                    assert_eq!(frame.number, next);
                    next += 1;
                    bytes = &bytes[frame.encoded_bytes()..];
                }
                outgoing.wrote();
            }
            assert_eq!(next, outgoing.frames());
        }
        Step::Arrive(kind, number, count) => {
            let (number, count) = (number.from(incoming.frames()), count.from(outgoing.frames()));
            outgoing.confirm(count)?;
            let before = incoming.frames();
            let arrival = incoming.arrive(&Frame { kind: *kind, number, count, body: &[] })?;
            assert_eq!(arrival == Arrival::New, number == before && *kind <= frame::KIND_MAX);
            assert_eq!(incoming.frames(), before + u64::from(arrival == Arrival::New));
        }
    }
    Ok(())
}
