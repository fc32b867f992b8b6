//! The thread that reads a lane: finds a connection, hands over what comes on it, finds another.

use std::io::{self, Read as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Instant;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use crate::backoff::Backoff;
use crate::figures::add;
use crate::frame::{self, Decoded, HEADER_BYTES};
use crate::handshake::{HandshakeError, Reply};
use crate::hello::{Refusal, Verdict};
use crate::lines::Sink;
use crate::link::{self, Arrived, Connection, Link, Setback};
use crate::pairing::Admission;
use crate::peer::{Failure, PeerEvent, Shared, Why};
use crate::session::{Arrival, Incoming};

pub(crate) struct Reader {
    shared: Arc<Shared>,
    link: Arc<Link>,
    sink: Box<dyn Sink>,
    incoming: Incoming,
    received_bytes: u64,
    backoff: Backoff,
    rng: SmallRng,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, link: Arc<Link>, sink: Box<dyn Sink>) -> Reader {
        let backoff = Backoff::new(shared.context.settings.backoff);
        let rng = SmallRng::from_os_rng();
        Reader { shared, link, sink, incoming: Incoming::default(), received_bytes: 0, backoff, rng }
    }

    /// Until the lane is closed.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        while let Some(connection) = self.connect() {
            add(&self.link.counters.connections, 1);
            let stream = connection.stream.clone();
            self.link.announce(Some(connection));
            self.shared.is_up(self.link.lane);
            let why = self.read(&stream);
            self.link.leave();
            self.link.announce(None);
            self.shared.is_down(self.link.lane, why?);
        }
        Ok(())
    }

    /// The next connection, through the handshake; None when the lane is closed.
    fn connect(&mut self) -> Option<Connection> {
        while !self.link.is_closed() {
            let connection = if self.shared.spec.dials { self.dial() } else { self.answer() };
            let silence = self.shared.context.settings.silence;
            let settled = connection.and_then(|connection| {
                if let Some(Connection { stream, .. }) = &connection {
                    link::settle(stream, silence)?;
                }
                Ok(connection)
            });
            match settled {
                Ok(Some(connection)) => {
                    self.backoff.reset();
                    return Some(connection);
                }
                Ok(None) => {}
                Err(Setback::Io(error)) => {
                    let (slot, lane) = (&self.shared.spec.slot, self.link.lane);
                    tracing::debug!(slot, %lane, %error, "no connection to a worker");
                }
                Err(Setback::Handshake(error)) => self.mistrust(&error),
            }
            self.link.leave();
            if self.shared.spec.dials {
                let wait = self.backoff.wait(&mut self.rng);
                self.link.pause(wait);
            }
        }
        None
    }

    /// Who answered is not the one we look for, or is not known to be.
    fn mistrust(&self, error: &HandshakeError) {
        let (slot, lane) = (&self.shared.spec.slot, self.link.lane);
        tracing::debug!(slot, %lane, %error, "a handshake failed");
        match *error {
            HandshakeError::WrongKey => self.shared.reject(Refusal::WrongKey),
            HandshakeError::WrongTopology => self.shared.reject(Refusal::WrongTopology),
            HandshakeError::Version { theirs } => self.shared.reject(Refusal::WrongVersion { theirs }),
            HandshakeError::Magic | HandshakeError::TooLong { .. } | HandshakeError::Malformed => {}
        }
    }

    /// Answers the connection that the endpoint brings. The last one is down by now, so what was received on
    /// it is final.
    fn answer(&mut self) -> Result<Option<Connection>, Setback> {
        let Some(Arrived { stream, proven, terms, deadline }) = self.link.await_arrival() else {
            return Ok(None);
        };
        let told = self.incoming.frames();
        let ours = self.shared.pairing().terms(self.link.lane, told);
        link::send(&stream, &proven.reply(&Reply::Accept(ours)), deadline)?;
        Ok(Some(Connection { stream, confirmed: terms.received, told }))
    }

    fn dial(&mut self) -> Result<Option<Connection>, Setback> {
        let deadline = Instant::now() + self.shared.context.settings.handshake;
        let mut error = io::Error::new(io::ErrorKind::NotFound, "the address stands for none");
        for address in self.shared.spec.address.to_socket_addrs()? {
            let stream = Arc::new(link::socket(&address)?);
            if !self.link.enter(&stream) {
                return Ok(None);
            }
            match link::connect(&stream, &address, deadline) {
                Ok(()) => return self.introduce(stream, deadline),
                Err(failed) => error = failed,
            }
        }
        Err(error.into())
    }

    fn introduce(
        &mut self,
        stream: Arc<TcpStream>,
        deadline: Instant,
    ) -> Result<Option<Connection>, Setback> {
        let context = &self.shared.context;
        let lane = self.link.lane;
        let (slot, number) = (&self.shared.spec.slot, self.shared.spec.incarnation.number);
        let hello = context.hello(slot, number, lane)?;
        let (proven, theirs) = link::greet(&stream, deadline, context.key.clone(), &hello)?;
        let incarnation = theirs.from.incarnation;
        let verdict = if theirs.from.topology != context.identity.topology {
            Admission::Refused(Refusal::WrongTopology)
        } else if theirs.from.slot != *slot {
            Admission::Refused(Refusal::WrongSlot { slot: theirs.from.slot.clone() })
        } else {
            match context.gate.judge(&theirs) {
                Verdict::Accept => self.shared.pairing().meet(incarnation),
                Verdict::Refuse(refusal) => Admission::Refused(refusal),
            }
        };
        let told = self.incoming.frames();
        let reply = match &verdict {
            Admission::Admitted => Reply::Accept(self.shared.pairing().dial(lane, told)),
            Admission::Refused(refusal) => Reply::Refuse(refusal.clone()),
            Admission::Stale | Admission::Over => Reply::Refuse(Refusal::OtherSession),
        };
        link::send(&stream, &proven.reply(&reply), deadline)?;
        match verdict {
            Admission::Admitted => {}
            Admission::Refused(refusal) => {
                self.shared.reject(refusal);
                return Ok(None);
            }
            Admission::Stale | Admission::Over => {
                self.shared.end(PeerEvent::SessionOver { incarnation });
                return Ok(None);
            }
        }
        let terms = match link::receive_reply(&stream, &proven, deadline)? {
            Reply::Accept(terms) => terms,
            Reply::Refuse(refusal) => {
                context.gate.refused(&theirs, &refusal);
                if self.shared.pairing().is_over(&refusal) {
                    self.shared.end(PeerEvent::SessionOver { incarnation });
                } else {
                    self.shared.refused(refusal);
                }
                return Ok(None);
            }
        };
        let admission = self.shared.pairing().admit(incarnation, lane, &terms, false);
        match admission {
            Admission::Admitted => Ok(Some(Connection { stream, confirmed: terms.received, told })),
            Admission::Refused(_) | Admission::Stale => Ok(None),
            Admission::Over => {
                self.shared.end(PeerEvent::SessionOver { incarnation });
                Ok(None)
            }
        }
    }

    /// Reads frames until the connection ends.
    fn read(&mut self, mut stream: &TcpStream) -> Result<Why, Failure> {
        let settings = self.shared.context.settings.clone();
        let usual = settings.read_bytes.max(HEADER_BYTES);
        let mut buffer = vec![0; usual];
        // What was read and is not handed over yet.
        let (mut start, mut end) = (0, 0);
        loop {
            let length = match stream.read(&mut buffer[end..]) {
                Ok(0) if self.link.has_arrival() => return Ok(Why::Replaced),
                Ok(0) => return Ok(Why::Closed),
                Ok(length) => length,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return Ok(Why::Silent),
                    _ => return Ok(Why::Io(error)),
                },
            };
            end += length;
            add(&self.link.counters.read, length as u64);
            let before = self.incoming.frames();
            let outcome = self.hand_over(&buffer[start..end], settings.body_bytes);
            if self.incoming.frames() > before {
                self.sink.batch_end();
                self.link.received(self.incoming.frames(), self.received_bytes, &settings);
            }
            let needs = match outcome {
                Ok((taken, needs)) => {
                    start += taken;
                    needs
                }
                Err(Ending::Connection(why)) => return Ok(why),
                Err(Ending::Session(failure)) => return Err(failure),
            };
            if start == end {
                (start, end) = (0, 0);
                // A very long frame must not be paid for as long as the connection lives.
                if buffer.len() > usual * 4 {
                    buffer = vec![0; usual];
                }
                continue;
            }
            // Room for the rest of the frame, and for a long read.
            if buffer.len() - start < needs || buffer.len() - end < buffer.len() / 2 {
                buffer.copy_within(start..end, 0);
                (start, end) = (0, end - start);
            }
            if buffer.len() < needs {
                buffer.resize(needs, 0);
            }
        }
    }

    /// Hands over the whole frames in `bytes`: how much of it they took, and how much the next one takes.
    fn hand_over(&mut self, bytes: &[u8], body_max: usize) -> Result<(usize, usize), Ending> {
        let mut taken = 0;
        loop {
            let frame = match frame::decode(&bytes[taken..], body_max) {
                Ok(Decoded::Frame(frame)) => frame,
                Ok(Decoded::Incomplete(needs)) => return Ok((taken, needs)),
                Err(error) => return Err(Ending::Connection(Why::Corrupt(error))),
            };
            self.link.count(frame.count).map_err(Failure::from)?;
            match self.incoming.arrive(&frame).map_err(Failure::from)? {
                Arrival::New => {
                    self.received_bytes += frame.encoded_bytes() as u64;
                    self.sink.frame(frame.kind, frame.body).map_err(Failure::from)?;
                }
                Arrival::Duplicate => add(&self.link.counters.duplicates, 1),
                Arrival::Sign => {}
            }
            taken += frame.encoded_bytes();
        }
    }
}

/// What ends with what came.
enum Ending {
    Connection(Why),
    Session(Failure),
}

impl From<Failure> for Ending {
    fn from(failure: Failure) -> Ending {
        Ending::Session(failure)
    }
}
