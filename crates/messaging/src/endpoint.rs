//! The listener of a worker: takes connections, and finds the peer that each belongs to.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write as _};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rand::TryRngCore as _;
use rand::rngs::OsRng;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::Error;
use crate::handshake::{self, Dialled, HandshakeError, Reply};
use crate::hello::{Gate, Hello, Identity, Key, Refusal, Verdict};
use crate::lane::Lane;
use crate::lines::Lines;
use crate::link::{self, Arrived, Setback};
use crate::peer::{Handler, Peer, PeerSpec, Shared, lock};
use crate::settings::Settings;

/// How long accepting rests when the operating system has no descriptor left.
const EXHAUSTED_REST: Duration = Duration::from_millis(100);

/// A worker's end of all its connections. Dropping it closes it; its peers live on, but those that are dialled
/// are not found any more.
pub struct Endpoint {
    context: Arc<Context>,
    address: SocketAddr,
    accepting: Mutex<Option<Accepting>>,
}

struct Accepting {
    thread: JoinHandle<()>,
    /// A byte on it, or its end, stops the thread.
    stop: UnixStream,
}

impl Endpoint {
    /// Starts to listen, with the default [`Settings`].
    ///
    /// # Errors
    /// When a name in `identity` is too long, or there is no thread.
    pub fn listen(
        listener: TcpListener,
        identity: Identity,
        key: Key,
        gate: Arc<dyn Gate>,
    ) -> Result<Endpoint, Error> {
        Endpoint::with_settings(listener, identity, key, gate, Settings::default())
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// When a name in `identity` is too long, or there is no thread.
    pub fn with_settings(
        listener: TcpListener,
        identity: Identity,
        key: Key,
        gate: Arc<dyn Gate>,
        settings: Settings,
    ) -> Result<Endpoint, Error> {
        identity.check()?;
        let address = listener.local_addr()?;
        // Accepting is waited for together with the stop, and must not block when a caller is gone by then.
        listener.set_nonblocking(true)?;
        let (stop, stopped) = UnixStream::pair()?;
        let context = Arc::new(Context { identity, key, gate, settings, peers: Mutex::default() });
        let strangers = Strangers { context: context.clone(), shaking: VecDeque::new(), listener, stopped };
        let thread = thread::Builder::new().name("peers-accept".into()).spawn(move || strangers.run())?;
        let accepting = Mutex::new(Some(Accepting { thread, stop }));
        Ok(Endpoint { context, address, accepting })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts a session with a worker. Of several with the same slot that are dialled, the newest is found.
    ///
    /// # Errors
    /// When the slot's name is too long, or there is no thread.
    pub fn peer(&self, spec: PeerSpec, data: Lines, control: Lines, events: Handler) -> Result<Peer, Error> {
        Peer::start(self.context.clone(), spec, data, control, events)
    }

    /// Stops listening and joins its threads: those that a handshake goes on in, too. Not to be called by a
    /// [`Gate`] or a handler of events, which may run on one of them.
    pub fn close(&self) {
        let accepting = lock(&self.accepting).take();
        if let Some(Accepting { thread, mut stop }) = accepting {
            stop.write_all(&[0]).ok();
            thread.join().ok();
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.close();
    }
}

/// What all connections of a worker share.
pub(crate) struct Context {
    pub(crate) identity: Identity,
    pub(crate) key: Key,
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) settings: Settings,
    /// Those that are dialled, by slot.
    peers: Mutex<HashMap<String, Weak<Shared>>>,
}

impl Context {
    pub(crate) fn register(&self, peer: &Arc<Shared>) {
        lock(&self.peers).insert(peer.spec.slot.clone(), Arc::downgrade(peer));
    }

    /// Connections do not find this peer any more.
    pub(crate) fn forget(&self, peer: &Shared) {
        let mut peers = lock(&self.peers);
        if peers.get(&peer.spec.slot).is_some_and(|found| std::ptr::eq(found.as_ptr(), peer)) {
            peers.remove(&peer.spec.slot);
        }
    }

    fn find(&self, slot: &str) -> Option<Arc<Shared>> {
        lock(&self.peers).get(slot)?.upgrade()
    }

    /// How this worker introduces itself.
    pub(crate) fn hello(&self, to_slot: &str, to_number: u64, lane: Lane) -> io::Result<Hello> {
        let mut nonce = [0; 32];
        OsRng.try_fill_bytes(&mut nonce).map_err(io::Error::other)?;
        Ok(Hello {
            from: self.identity.clone(),
            to_slot: to_slot.to_owned(),
            to_number,
            assignment_version: self.gate.assignment_version(),
            lane,
            nonce,
        })
    }

    /// The whole handshake of the side that was dialled, but for its reply when it accepts: that is for
    /// the thread that reads the lane, since only that one knows how much has come.
    fn shake(&self, stream: &Arc<TcpStream>) -> Result<(), Setback> {
        let deadline = Instant::now() + self.settings.handshake;
        stream.set_nodelay(true)?;
        let hello = match link::receive(stream, deadline) {
            Err(Setback::Handshake(error @ HandshakeError::Version { .. })) => {
                link::send(stream, &handshake::our_version(), deadline)?;
                return Err(error.into());
            }
            hello => hello?,
        };
        let ours = self.hello("", 0, Lane::Data)?;
        let (dialled, answer) = Dialled::begin(self.key.clone(), &hello, |theirs| Hello {
            to_slot: theirs.from.slot.clone(),
            to_number: theirs.from.incarnation.number,
            lane: theirs.lane,
            ..ours
        })?;
        link::send(stream, &answer, deadline)?;
        let (proven, hello, reply) = dialled.replied(&link::receive(stream, deadline)?)?;
        let peer = self.find(&hello.from.slot);
        let (proven, refusal) = match (reply, peer) {
            (Reply::Refuse(refusal), peer) => {
                self.gate.refused(&hello, &refusal);
                if let Some(peer) = peer.filter(|peer| peer.expects(&hello)) {
                    peer.refused(refusal);
                }
                return Ok(());
            }
            (Reply::Accept(terms), peer) => match (self.judge(&hello), peer) {
                (Verdict::Refuse(refusal), _) => (proven, refusal),
                (Verdict::Accept, None) => (proven, Refusal::NotYetKnown),
                (Verdict::Accept, Some(peer)) => {
                    let arrived = Arrived { stream: stream.clone(), proven, terms, deadline };
                    match peer.arrive(&hello, arrived) {
                        Ok(()) => return Ok(()),
                        Err((proven, refusal)) => (proven, refusal),
                    }
                }
            },
        };
        tracing::debug!(slot = hello.from.slot, %refusal, "a worker was refused");
        Ok(link::send(stream, &proven.reply(&Reply::Refuse(refusal)), deadline)?)
    }

    fn judge(&self, hello: &Hello) -> Verdict {
        if hello.from.topology != self.identity.topology {
            return Verdict::Refuse(Refusal::WrongTopology);
        }
        if hello.to_slot != self.identity.slot {
            return Verdict::Refuse(Refusal::WrongSlot { slot: self.identity.slot.clone() });
        }
        self.gate.judge(hello)
    }
}

/// The thread that accepts connections, with a thread for each that has not proved yet who it is. When there
/// are too many of those the oldest is closed: an honest one is done in milliseconds, and comes again.
struct Strangers {
    context: Arc<Context>,
    listener: TcpListener,
    stopped: UnixStream,
    /// By age. The connection may be a peer's by now, so it is not held.
    shaking: VecDeque<(Weak<TcpStream>, JoinHandle<()>)>,
}

impl Strangers {
    fn run(mut self) {
        while self.wait(true, None) {
            match self.listener.accept() {
                Ok((stream, from)) => self.take(stream, from),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    if !self.wait(false, Some(EXHAUSTED_REST)) {
                        break;
                    }
                }
            }
        }
        for (stream, thread) in mem::take(&mut self.shaking) {
            hang_up(&stream);
            thread.join().ok();
        }
    }

    /// Waits for a connection, or for the time to pass. Says whether to go on.
    fn wait(&self, for_connections: bool, at_most: Option<Duration>) -> bool {
        let awaited = if for_connections { PollFlags::IN } else { PollFlags::empty() };
        let mut descriptors =
            [PollFd::new(&self.stopped, PollFlags::IN), PollFd::new(&self.listener, awaited)];
        let at_most = at_most.and_then(|time| Timespec::try_from(time).ok());
        // An error is a signal that came meanwhile; what it is about is found out by trying.
        poll(&mut descriptors, at_most.as_ref()).ok();
        descriptors[0].revents().is_empty()
    }

    fn take(&mut self, stream: TcpStream, from: SocketAddr) {
        let (done, going): (VecDeque<_>, _) =
            mem::take(&mut self.shaking).into_iter().partition(|(_, thread)| thread.is_finished());
        self.shaking = going;
        for (_, thread) in done {
            thread.join().ok();
        }
        while self.shaking.len() >= self.context.settings.strangers.max(1) {
            let Some((oldest, thread)) = self.shaking.pop_front() else { break };
            tracing::debug!("too many connections without a name: the oldest is closed");
            hang_up(&oldest);
            thread.join().ok();
        }
        let stream = Arc::new(stream);
        let held = Arc::downgrade(&stream);
        let context = self.context.clone();
        let name = "peers-handshake".to_owned();
        let spawned = thread::Builder::new().name(name).spawn(move || {
            if let Err(error) = context.shake(&stream) {
                tracing::debug!(%from, %error, "a connection did not prove who it is");
            }
        });
        match spawned {
            Ok(thread) => self.shaking.push_back((held, thread)),
            Err(error) => tracing::warn!(%error, "no thread for a connection"),
        }
    }
}

fn hang_up(stream: &Weak<TcpStream>) {
    if let Some(stream) = stream.upgrade() {
        stream.shutdown(Shutdown::Both).ok();
    }
}
