//! Any clients of the development server: each request has one answer, what changes the state is
//! written down and nothing else changes it, and all sessions end.
#![no_main]

mod jute;

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use storm_dev_zookeeper::{ConnectionId, Core, Effect, Event, Limits, Now, State, Word};

/// Operations and the fields of their bodies, as letters of [`jute::fields`]; `m` and `r` are multis.
const OPERATIONS: [(i32, &str); 29] = [
    (1, "pdaf"),
    (2, "pv"),
    (3, "pb"),
    (4, "pb"),
    (5, "pdv"),
    (6, "p"),
    (7, "pav"),
    (8, "pb"),
    (9, "p"),
    (11, ""),
    (12, "pb"),
    (13, "pv"),
    (14, "m"),
    (15, "pdaf"),
    (16, ""),
    (17, "pv"),
    (18, "pv"),
    (19, "pdaf"),
    (21, "pdafl"),
    (22, "r"),
    (100, "vtd"),
    (101, "lwww"),
    (103, "p"),
    (104, "p"),
    (105, "lwwwww"),
    (106, "pv"),
    (107, ""),
    (-11, ""),
    (99, "l"),
];
const WRITES: [(i32, &str); 7] =
    [(1, "pdaf"), (2, "pv"), (5, "pdv"), (13, "pv"), (15, "pdaf"), (19, "pdaf"), (21, "pdafl")];
const READS: [(i32, &str); 3] = [(4, "pb"), (8, "pb"), (1, "pdaf")];
const PING: i32 = 11;
const WORDS: [Word; 4] = [Word::Srvr, Word::Stat, Word::Mntr, Word::Cons];

struct World {
    core: Core,
    now: Now,
    /// Open ones, and whether they have a session.
    connections: Vec<(ConnectionId, bool)>,
    opened: u64,
    /// All that ever were, with their passwords.
    sessions: Vec<(i64, [u8; 16])>,
    xid: i32,
}

fuzz_target!(|bytes: &[u8]| {
    let now = Now { clock: Duration::ZERO, unix_millis: 1_700_000_000_000 };
    let core = Core::new(State::default(), Limits::default(), now);
    let mut world = World { core, now, connections: vec![], opened: 0, sessions: vec![], xid: 0 };
    let mut u = Unstructured::new(bytes);
    // An error: nothing is left to draw from.
    while !u.is_empty() && world.act(&mut u).is_ok() {}
    world.now.clock += 2 * Limits::default().max_session_timeout;
    world.step(Event::Ticked);
    assert_eq!(world.core.sessions(), 0);
});

impl World {
    fn act(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let connection = match self.connections.as_slice() {
            [] => return self.connect(u),
            some => *u.choose(some)?,
        };
        match u.int_in_range(0..=24)? {
            0..=2 => self.connect(u)?,
            3 => {
                self.connections.retain(|open| *open != connection);
                self.step(Event::Disconnected { connection: connection.0 });
            }
            4 | 5 => {
                self.now.clock += Duration::from_millis(u.int_in_range(0..=30_000)?);
                self.step(Event::Ticked);
            }
            6 => {
                self.step(Event::Asked { connection: connection.0, word: *u.choose(&WORDS)? });
            }
            7 => {
                // The process ends and another one goes on with its state.
                let sessions = self.core.sessions();
                self.core = Core::new(self.core.state().clone(), Limits::default(), self.now);
                self.connections.clear();
                assert_eq!(self.core.sessions(), sessions);
            }
            8 => {
                let length = u.int_in_range(0..=60)?.min(u.len());
                let frame = u.bytes(length)?.to_vec().into();
                self.step(Event::Received { connection: connection.0, frame });
            }
            _ if connection.1 => self.ask(connection.0, u)?,
            _ => self.introduce(connection.0, u)?,
        }
        Ok(())
    }

    fn connect(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.opened += 1;
        let connection = ConnectionId(self.opened);
        let password = [u.arbitrary()?; 16];
        self.step(Event::Connected { connection, address: [127, 0, 0, 1].into(), password });
        self.connections.push((connection, false));
        self.introduce(connection, u)
    }

    /// The first packet of a connection.
    fn introduce(&mut self, connection: ConnectionId, u: &mut Unstructured<'_>) -> Result<()> {
        let known = if self.sessions.is_empty() || u.arbitrary()? {
            (0, [0; 16])
        } else {
            *u.choose(&self.sessions)?
        };
        let (session, password) = if jute::rarely(u)? { (u.arbitrary()?, [9; 16]) } else { known };
        let mut packet = Vec::new();
        jute::int(0, &mut packet);
        jute::fields("l", u, &mut packet)?;
        jute::int(u.arbitrary()?, &mut packet);
        jute::long(session, &mut packet);
        jute::buffer(&password, &mut packet);
        if u.arbitrary()? {
            packet.push(0);
        }
        jute::mangle(u, &mut packet)?;
        for (to, bytes) in self.step(Event::Received { connection, frame: packet.into() }) {
            assert_eq!(to, connection);
            let session = i64::from_be_bytes(bytes[12..20].try_into().expect("eight bytes"));
            if session != 0 {
                let password = bytes[24..40].try_into().expect("16 bytes");
                self.sessions.push((session, password));
                self.connections.iter_mut().filter(|open| open.0 == to).for_each(|open| open.1 = true);
            }
        }
        Ok(())
    }

    fn ask(&mut self, connection: ConnectionId, u: &mut Unstructured<'_>) -> Result<()> {
        self.xid += 1;
        let (op, shape) = *u.choose(&OPERATIONS)?;
        let mut body = Vec::new();
        match shape {
            "m" => multi(&WRITES, u, &mut body)?,
            "r" => multi(&READS, u, &mut body)?,
            fields => jute::fields(fields, u, &mut body)?,
        }
        jute::mangle(u, &mut body)?;
        let mut packet = Vec::new();
        jute::int(self.xid, &mut packet);
        jute::int(op, &mut packet);
        packet.extend_from_slice(&body);
        let xid = if op == PING { -2 } else { self.xid };
        let sent = self.step(Event::Received { connection, frame: packet.into() });
        let is_answer =
            |(to, bytes): &&(ConnectionId, Vec<u8>)| *to == connection && bytes[4..8] == xid.to_be_bytes();
        assert_eq!(sent.iter().filter(is_answer).count(), 1, "operation {op}: {sent:?}");
        Ok(())
    }

    /// What is sent, by connection.
    fn step(&mut self, event: Event) -> Vec<(ConnectionId, Vec<u8>)> {
        let before = self.core.state().clone();
        let is_word = matches!(event, Event::Asked { .. });
        let (mut sent, mut is_written) = (Vec::new(), false);
        for effect in self.core.step(self.now, event) {
            match effect {
                Effect::Append(_) => is_written = true,
                Effect::Send { connection, bytes } => {
                    assert!(self.connections.iter().any(|open| open.0 == connection), "it is closed");
                    let claimed = bytes.first_chunk().map(|length| u32::from_be_bytes(*length) as usize);
                    assert!(is_word || claimed == Some(bytes.len() - 4));
                    sent.push((connection, bytes.to_vec()));
                }
                Effect::Close { connection } => self.connections.retain(|open| open.0 != connection),
            }
        }
        assert_eq!(is_written, *self.core.state() != before);
        sent
    }
}

fn multi(operations: &[(i32, &str)], u: &mut Unstructured<'_>, out: &mut Vec<u8>) -> Result<()> {
    for _ in 0..u.int_in_range(0..=4)? {
        let (op, shape) = *u.choose(operations)?;
        multi_header(op, false, out);
        jute::fields(shape, u, out)?;
    }
    multi_header(-1, true, out);
    Ok(())
}

fn multi_header(op: i32, is_end: bool, out: &mut Vec<u8>) {
    jute::int(op, out);
    out.push(is_end.into());
    jute::int(-1, out);
}
