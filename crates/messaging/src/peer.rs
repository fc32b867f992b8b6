//! A session with another worker: its two lanes and their threads.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread, ThreadId};
use std::{io, mem};

use rand::TryRngCore as _;
use rand::rngs::OsRng;
use storm_model::assignment::Incarnation;

use crate::endpoint::Context;
use crate::error::{Error, ProtocolError, SinkError};
use crate::figures::PeerFigures;
use crate::frame::FrameError;
use crate::handshake::Proven;
use crate::hello::{Hello, Refusal, check_name};
use crate::lane::Lane;
use crate::lines::Lines;
use crate::link::{Arrived, Link};
use crate::pairing::{Admission, Pairing};
use crate::reader::Reader;
use crate::writer::Writer;

/// Takes the events of a peer.
pub type Handler = Arc<dyn Fn(PeerEvent) + Send + Sync>;

/// Which worker, and who dials.
#[derive(Clone, Debug)]
pub struct PeerSpec {
    /// `host:port`; looked up at each attempt to dial. The side that is dialled does not read it.
    pub address: String,
    /// Its slot, as text.
    pub slot: String,
    /// The incarnation that is expected. The number must be this one; of the restarts this is the lowest
    /// that is accepted (0 when unknown), and the session stays with those of the first handshake.
    pub incarnation: Incarnation,
    /// Whether this side dials. Exactly one of the two sides does.
    pub dials: bool,
}

/// What happens to a peer. Events come one at a time and in order, on threads of the peer: the handler
/// must not block. It may close or drop the peer.
#[derive(Debug)]
pub enum PeerEvent {
    /// Both lanes are connected.
    Connected {
        /// The incarnation on the other end.
        incarnation: Incarnation,
    },
    /// One of the lanes is not connected any more. The peer reconnects by itself; nothing is lost.
    Disconnected {
        /// What was seen.
        why: Why,
    },
    /// The other side does not talk to this one. It has proved that it holds the key. Reported when it
    /// changes; the dialler goes on trying.
    Refused(Refusal),
    /// This side does not talk to who is at the other end: it proved nothing, or is not the one expected,
    /// or the gate refuses it. Says nothing about this worker. Reported when it changes; the dialler
    /// goes on trying.
    Rejected(Refusal),
    /// The other worker lives anew: as another incarnation, or without memory of this session. The peer has
    /// stopped for good; what it had not confirmed is lost. Drop it, and make another if it is needed.
    SessionOver {
        /// Who is there now.
        incarnation: Incarnation,
    },
    /// The session cannot go on. The peer has stopped for good.
    Failed(Failure),
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The sink refused a frame.
    #[error("a frame was not taken: {0}")]
    Sink(#[from] SinkError),
    /// One of the two sides broke the rules.
    #[error("{0}")]
    Protocol(#[from] ProtocolError),
    /// A source, a sink or a handler panicked.
    #[error("a thread of the peer panicked: {0}")]
    Panicked(String),
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// The peer closed it.
    #[error("the peer closed the connection")]
    Closed,
    /// Nothing came for [`Settings::silence`](crate::Settings::silence).
    #[error("the peer was silent")]
    Silent,
    /// The peer has dialled again.
    #[error("the peer has connected again")]
    Replaced,
    /// What came is not a frame.
    #[error("{0}")]
    Corrupt(#[from] FrameError),
    /// The operating system says so.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A session with a worker. Dropping it closes it.
pub struct Peer {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Peer {
    pub(crate) fn start(
        context: Arc<Context>,
        spec: PeerSpec,
        data: Lines,
        control: Lines,
        events: Handler,
    ) -> Result<Peer, Error> {
        check_name("the name of the peer's slot", &spec.slot)?;
        let shared = Arc::new(Shared {
            pairing: Mutex::new(Pairing::new(spec.incarnation, random_session()?)),
            links: [Lane::Data, Lane::Control].map(|lane| Arc::new(Link::new(lane))),
            state: Mutex::default(),
            events: Events::new(events),
            context,
            spec,
        });
        // From here on a failure closes what was started.
        let peer = Peer { shared: shared.clone(), threads: Mutex::default() };
        for (link, lines) in shared.links.iter().zip([data, control]) {
            let settings = shared.context.settings.clone();
            let writer = Writer::new(link.clone(), lines.source, settings);
            let handle = peer.spawn("out", link, move || Ok(writer.run()?))?;
            link.set_writer(handle);
            let reader = Reader::new(shared.clone(), link.clone(), lines.sink);
            peer.spawn("in", link, move || reader.run())?;
        }
        if !shared.spec.dials {
            shared.context.register(&shared);
        }
        Ok(peer)
    }

    fn spawn(
        &self,
        way: &str,
        link: &Link,
        run: impl FnOnce() -> Result<(), Failure> + Send + 'static,
    ) -> Result<Thread, Error> {
        let shared = self.shared.clone();
        let name = format!("peer-{}-{way}", link.lane);
        let handle = thread::Builder::new().name(name).spawn(move || {
            let outcome = panic::catch_unwind(AssertUnwindSafe(run));
            match outcome {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => shared.end(PeerEvent::Failed(failure)),
                Err(panic) => shared.end(PeerEvent::Failed(Failure::Panicked(text_of(&*panic)))),
            }
        })?;
        let thread = handle.thread().clone();
        lock(&self.threads).push(handle);
        Ok(thread)
    }

    /// Which worker it is with.
    pub fn spec(&self) -> &PeerSpec {
        &self.shared.spec
    }

    /// What was counted so far.
    pub fn figures(&self) -> PeerFigures {
        let [data, control] = &self.shared.links;
        PeerFigures { data: data.figures(), control: control.figures() }
    }

    /// Closes both connections and joins the threads of the peer, but not the one that this is called on.
    /// What is not confirmed is lost. No event comes after it, unless it is called by a handler.
    ///
    /// It takes as long as the calls of sources, sinks and handlers that are under way, and the look-up
    /// of the peer's address if that is.
    pub fn close(&self) {
        self.shared.stop();
        self.shared.events.silence();
        let threads = mem::take(&mut *lock(&self.threads));
        for handle in threads {
            if handle.thread().id() != thread::current().id() {
                // A panic was reported as an event.
                handle.join().ok();
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the threads of a peer and those of the endpoint share.
pub(crate) struct Shared {
    pub(crate) context: Arc<Context>,
    pub(crate) spec: PeerSpec,
    pairing: Mutex<Pairing>,
    links: [Arc<Link>; 2],
    state: Mutex<State>,
    events: Events,
}

#[derive(Default)]
struct State {
    up: [bool; 2],
    has_ended: bool,
    /// The last that was reported since the peer was connected.
    refused: Option<Refusal>,
    rejected: Option<Refusal>,
}

impl Shared {
    pub(crate) fn pairing(&self) -> MutexGuard<'_, Pairing> {
        lock(&self.pairing)
    }

    /// Whether who speaks is the one this peer is for, perhaps in another life.
    pub(crate) fn expects(&self, hello: &Hello) -> bool {
        hello.from.incarnation.number == self.spec.incarnation.number
    }

    /// A connection has come in, proved; the reader of its lane will answer it. What does not belong to the
    /// session comes back, with what is to be said.
    pub(crate) fn arrive(&self, hello: &Hello, arrived: Arrived) -> Result<(), (Proven, Refusal)> {
        let incarnation = hello.from.incarnation;
        let mut pairing = self.pairing();
        match pairing.admit(incarnation, hello.lane, &arrived.terms, true) {
            // Under the lock, so that an earlier one cannot take its place.
            Admission::Admitted => self.links[hello.lane.index()].offer(arrived),
            Admission::Stale => {}
            Admission::Refused(refusal) => return Err((arrived.proven, refusal)),
            Admission::Over => {
                drop(pairing);
                self.end(PeerEvent::SessionOver { incarnation });
                return Err((arrived.proven, Refusal::OtherSession));
            }
        }
        Ok(())
    }

    /// A lane is connected.
    pub(crate) fn is_up(&self, lane: Lane) {
        let incarnation = self.pairing().theirs().unwrap_or(self.spec.incarnation);
        let mut state = lock(&self.state);
        (state.refused, state.rejected) = (None, None);
        state.up[lane.index()] = true;
        let is_connected = state.up == [true; 2] && !state.has_ended;
        self.report(state, is_connected.then_some(PeerEvent::Connected { incarnation }));
    }

    /// A lane is not connected any more.
    pub(crate) fn is_down(&self, lane: Lane, why: Why) {
        let slot = &self.spec.slot;
        tracing::debug!(slot, %lane, %why, "a connection to a worker ended");
        let mut state = lock(&self.state);
        let was_connected = state.up == [true; 2] && !state.has_ended;
        state.up[lane.index()] = false;
        self.report(state, was_connected.then_some(PeerEvent::Disconnected { why }));
    }

    /// The other side does not talk to this one.
    pub(crate) fn refused(&self, refusal: Refusal) {
        let mut state = lock(&self.state);
        let is_news = state.refused.as_ref() != Some(&refusal) && !state.has_ended;
        state.refused = Some(refusal.clone());
        self.report(state, is_news.then_some(PeerEvent::Refused(refusal)));
    }

    /// This side does not talk to the other.
    pub(crate) fn reject(&self, refusal: Refusal) {
        let mut state = lock(&self.state);
        let is_news = state.rejected.as_ref() != Some(&refusal) && !state.has_ended;
        state.rejected = Some(refusal.clone());
        self.report(state, is_news.then_some(PeerEvent::Rejected(refusal)));
    }

    /// The session is over; this is the last event.
    pub(crate) fn end(&self, event: PeerEvent) {
        let mut state = lock(&self.state);
        let is_first = !mem::replace(&mut state.has_ended, true);
        // Queued before the threads stop, so that it comes before they are joined.
        self.events.queue(is_first.then_some(event));
        drop(state);
        self.stop();
        self.events.deliver();
    }

    fn stop(&self) {
        self.context.forget(self);
        for link in &self.links {
            link.close();
        }
    }

    /// Queued under the lock, so that the order is that of the states; delivered without it.
    fn report(&self, state: MutexGuard<'_, State>, event: Option<PeerEvent>) {
        self.events.queue(event);
        drop(state);
        self.events.deliver();
    }
}

/// Hands events over one at a time, in order, and without a lock: whoever brings one while another is
/// being handed over leaves it in the queue. The queue is bounded by what the threads of a peer can see
/// while a handler runs, which must not block.
struct Events {
    handler: Handler,
    queue: Mutex<Queue>,
    is_idle: Condvar,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<PeerEvent>,
    delivering: Option<ThreadId>,
    is_silent: bool,
}

impl Events {
    fn new(handler: Handler) -> Events {
        Events { handler, queue: Mutex::default(), is_idle: Condvar::new() }
    }

    fn queue(&self, event: Option<PeerEvent>) {
        lock(&self.queue).events.extend(event);
    }

    fn deliver(&self) {
        let mut queue = lock(&self.queue);
        if queue.delivering.is_some() {
            return;
        }
        while let Some(event) = queue.events.pop_front().filter(|_| !queue.is_silent) {
            queue.delivering = Some(thread::current().id());
            drop(queue);
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| (self.handler)(event)));
            queue = lock(&self.queue);
            queue.delivering = None;
            self.is_idle.notify_all();
            if let Err(panic) = outcome {
                drop(queue);
                panic::resume_unwind(panic);
            }
        }
    }

    /// Lets no event through any more, and waits for the one under way unless this is its thread.
    fn silence(&self) {
        let mut queue = lock(&self.queue);
        queue.is_silent = true;
        queue.events.clear();
        let me = thread::current().id();
        while queue.delivering.is_some_and(|thread| thread != me) {
            queue = self.is_idle.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn random_session() -> Result<u64, Error> {
    loop {
        match OsRng.try_next_u64().map_err(io::Error::other)? {
            0 => {}
            session => return Ok(session),
        }
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text").to_owned()
}
