//! What the two threads of a lane and those who bring connections share.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType};

use crate::figures::{Counters, LaneFigures};
use crate::handshake::{
    Dialler, HandshakeError, MESSAGE_MAX, PREFIX_BYTES, Proven, Reply, Terms, message_bytes,
};
use crate::hello::Hello;
use crate::lane::Lane;

/// One lane of a peer.
pub(crate) struct Link {
    pub(crate) lane: Lane,
    door: Mutex<Door>,
    bell: Condvar,
    is_closed: AtomicBool,
    /// Frames numbered, by the writer, before they are written.
    pub(crate) sent: AtomicU64,
    /// The peer's count, by the reader.
    pub(crate) confirmed: AtomicU64,
    /// Frames handed to the sink, and their bytes, by the reader.
    pub(crate) received: AtomicU64,
    pub(crate) received_bytes: AtomicU64,
    /// What the peer was told of them, by the writer.
    pub(crate) told: AtomicU64,
    pub(crate) told_bytes: AtomicU64,
    /// The writer knows that there is something to confirm.
    pub(crate) is_armed: AtomicBool,
    /// The writer waits for confirmations.
    pub(crate) is_starved: AtomicBool,
    has_news: AtomicBool,
    writer: OnceLock<Thread>,
    pub(crate) counters: Counters,
}

#[derive(Default)]
struct Door {
    is_closed: bool,
    /// The connection that the reader has, to be shut down by others.
    current: Option<Arc<TcpStream>>,
    /// One that came in, proved, and is to be answered by the reader. A newer one takes its place.
    arrived: Option<Arrived>,
    /// News for the writer: the new connection, or that there is none.
    news: Option<Connection>,
}

/// A connection that came in and belongs to this lane.
pub(crate) struct Arrived {
    pub(crate) stream: Arc<TcpStream>,
    pub(crate) proven: Proven,
    pub(crate) terms: Terms,
    pub(crate) deadline: Instant,
}

/// A connection that has come through the handshake.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) stream: Arc<TcpStream>,
    /// How many frames the peer has.
    pub(crate) confirmed: u64,
    /// How many the peer was told that this side has.
    pub(crate) told: u64,
}

impl Link {
    pub(crate) fn new(lane: Lane) -> Link {
        Link {
            lane,
            door: Mutex::default(),
            bell: Condvar::new(),
            is_closed: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            confirmed: AtomicU64::new(0),
            received: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            told: AtomicU64::new(0),
            told_bytes: AtomicU64::new(0),
            is_armed: AtomicBool::new(false),
            is_starved: AtomicBool::new(false),
            has_news: AtomicBool::new(false),
            writer: OnceLock::new(),
            counters: Counters::default(),
        }
    }

    fn door(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Makes both threads stop: whatever they wait for ends.
    pub(crate) fn close(&self) {
        let mut door = self.door();
        door.is_closed = true;
        self.is_closed.store(true, Ordering::Release);
        door.arrived = None;
        if let Some(current) = &door.current {
            current.shutdown(Shutdown::Both).ok();
        }
        drop(door);
        self.bell.notify_all();
        self.wake_writer();
    }

    /// The thread that writes has started.
    pub(crate) fn set_writer(&self, writer: Thread) {
        self.writer.get_or_init(|| writer);
    }

    pub(crate) fn wake_writer(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// Brings a connection that came in. The one before it is given up.
    pub(crate) fn offer(&self, arrived: Arrived) {
        let mut door = self.door();
        if door.is_closed {
            return;
        }
        if let Some(current) = &door.current {
            current.shutdown(Shutdown::Both).ok();
        }
        door.arrived = Some(arrived);
        self.bell.notify_all();
    }

    /// Waits for a connection to come in; None when closed.
    pub(crate) fn await_arrival(&self) -> Option<Arrived> {
        let mut door = self.door();
        loop {
            if door.is_closed {
                return None;
            }
            if let Some(arrived) = door.arrived.take() {
                door.current = Some(arrived.stream.clone());
                return Some(arrived);
            }
            door = self.bell.wait(door).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn has_arrival(&self) -> bool {
        self.door().arrived.is_some()
    }

    /// From now on others may shut this connection down. Says whether the lane is open.
    pub(crate) fn enter(&self, stream: &Arc<TcpStream>) -> bool {
        let mut door = self.door();
        if !door.is_closed {
            door.current = Some(stream.clone());
        }
        !door.is_closed
    }

    /// The connection is not used any more.
    pub(crate) fn leave(&self) {
        if let Some(current) = self.door().current.take() {
            current.shutdown(Shutdown::Both).ok();
        }
    }

    /// The connection is up or, with None, down; the writer hears of it.
    pub(crate) fn announce(&self, connection: Option<Connection>) {
        let mut door = self.door();
        door.news = connection;
        self.has_news.store(true, Ordering::Release);
        drop(door);
        self.wake_writer();
    }

    /// News about the connection, for the writer.
    pub(crate) fn news(&self) -> Option<Option<Connection>> {
        if !self.has_news.load(Ordering::Acquire) {
            return None;
        }
        let mut door = self.door();
        self.has_news.store(false, Ordering::Release);
        Some(door.news.take())
    }

    /// Waits, but not when closed.
    pub(crate) fn pause(&self, wait: Duration) {
        let door = self.door();
        drop(self.bell.wait_timeout_while(door, wait, |door| !door.is_closed));
    }

    pub(crate) fn figures(&self) -> LaneFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LaneFigures {
            frames_sent: read(&self.sent),
            frames_confirmed: read(&self.confirmed),
            frames_received: read(&self.received),
            frames_duplicate: read(&self.counters.duplicates),
            bytes_written: read(&self.counters.written),
            bytes_read: read(&self.counters.read),
            connections: read(&self.counters.connections),
        }
    }
}

/// Why a handshake ended without a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Setback {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
}

/// A socket that is being connected: another thread may shut it down meanwhile, which ends the attempt.
pub(crate) fn socket(address: &SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = rustix::net::SocketFlags::CLOEXEC;
    let socket: OwnedFd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    Ok(TcpStream::from(socket))
}

/// Connects; `std` does so only together with making the socket.
pub(crate) fn connect(stream: &TcpStream, address: &SocketAddr, deadline: Instant) -> io::Result<()> {
    // The kernel takes the time limit of writes for that of connecting.
    stream.set_write_timeout(Some(left(deadline)?))?;
    rustix::net::connect(stream, address)?;
    // A port of this machine that nobody listens on may be given to the dialling socket itself, which then
    // talks to itself and keeps the port from its owner.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    stream.set_nodelay(true)
}

/// The handshake is over: reads may take as long as the peer may be silent, writes as long as it needs.
pub(crate) fn settle(stream: &TcpStream, silence: Duration) -> io::Result<()> {
    stream.set_read_timeout(Some(silence))?;
    stream.set_write_timeout(None)
}

/// Sends a hello and reads the answer to it.
pub(crate) fn greet(
    stream: &TcpStream,
    deadline: Instant,
    key: crate::hello::Key,
    hello: &Hello,
) -> Result<(Proven, Hello), Setback> {
    let (dialler, message) = Dialler::begin(key, hello);
    send(stream, &message, deadline)?;
    Ok(dialler.answered(&receive(stream, deadline)?)?)
}

pub(crate) fn receive_reply(
    stream: &TcpStream,
    proven: &Proven,
    deadline: Instant,
) -> Result<Reply, Setback> {
    Ok(proven.open(&receive(stream, deadline)?)?)
}

/// Reads a message of the handshake, and not a byte more: what follows is frames.
pub(crate) fn receive(stream: &TcpStream, deadline: Instant) -> Result<Vec<u8>, Setback> {
    let mut prefix = [0; PREFIX_BYTES];
    read_exact(stream, &mut prefix, deadline)?;
    let mut message = [0; MESSAGE_MAX];
    let message = &mut message[..message_bytes(prefix)?];
    read_exact(stream, message, deadline)?;
    Ok(message.to_vec())
}

pub(crate) fn send(mut stream: &TcpStream, message: &[u8], deadline: Instant) -> io::Result<()> {
    stream.set_write_timeout(Some(left(deadline)?))?;
    io::Write::write_all(&mut stream, message)
}

fn read_exact(mut stream: &TcpStream, mut bytes: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match io::Read::read(&mut stream, bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => bytes = &mut bytes[length..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The time that is left, more than none.
fn left(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}
