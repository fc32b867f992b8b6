//! Workers for tests: numbered frames, and a gate that remembers what it was asked.

use std::collections::VecDeque;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use storm_messaging::{
    Endpoint, Gate, Handler, Hello, Identity, Key, Lines, PeerEvent, PeerSpec, Refusal, Settings, Sink,
    SinkError, Source, Verdict,
};
use storm_model::assignment::Incarnation;

/// Longer than anything here takes, on the busiest machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn life(number: u64, restarts: u64) -> Incarnation {
    Incarnation { number, restarts }
}

/// Refuses whoever it is told to, and remembers.
#[derive(Default)]
pub(crate) struct Doorman {
    pub(crate) refusal: Mutex<Option<Refusal>>,
    pub(crate) asked: Mutex<Vec<Hello>>,
    pub(crate) refused: Mutex<Vec<Refusal>>,
}

impl Gate for Doorman {
    fn assignment_version(&self) -> u64 {
        9
    }

    fn judge(&self, hello: &Hello) -> Verdict {
        self.asked.lock().unwrap().push(hello.clone());
        self.refusal.lock().unwrap().clone().map_or(Verdict::Accept, Verdict::Refuse)
    }

    fn refused(&self, _: &Hello, refusal: &Refusal) {
        self.refused.lock().unwrap().push(refusal.clone());
    }
}

pub(crate) struct Worker {
    pub(crate) slot: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) doorman: Arc<Doorman>,
}

pub(crate) fn worker(slot: &str, incarnation: Incarnation) -> Worker {
    worker_with(slot, incarnation, 1, Settings::default())
}

pub(crate) fn worker_with(slot: &str, incarnation: Incarnation, key: u8, settings: Settings) -> Worker {
    let doorman = Arc::new(Doorman::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let identity = Identity { topology: "words".into(), slot: slot.into(), incarnation };
    let key = Key::new([key; 32]);
    let endpoint = Endpoint::with_settings(listener, identity, key, doorman.clone(), settings).unwrap();
    Worker { slot: slot.into(), endpoint, doorman }
}

pub(crate) fn spec(slot: &str, address: impl ToString, dials: bool) -> PeerSpec {
    PeerSpec { address: address.to_string(), slot: slot.into(), incarnation: life(1, 0), dials }
}

/// Events of a peer, to be waited for.
pub(crate) struct Events(Receiver<PeerEvent>);

pub(crate) fn events() -> (Handler, Events) {
    let (sender, receiver) = mpsc::channel();
    let handler = move |event| {
        sender.send(event).ok();
    };
    (Arc::new(handler), Events(receiver))
}

impl Events {
    pub(crate) fn next(&self) -> PeerEvent {
        self.0.recv_timeout(LONG).expect("an event comes")
    }

    /// The next one that `is_it`; those before it are passed over.
    pub(crate) fn until(&self, is_it: impl Fn(&PeerEvent) -> bool) -> PeerEvent {
        loop {
            match self.next() {
                event if is_it(&event) => return event,
                _ => {}
            }
        }
    }

    pub(crate) fn connected(&self) {
        self.until(|event| matches!(event, PeerEvent::Connected { .. }));
    }

    /// One that has come already.
    pub(crate) fn left(&self) -> Option<PeerEvent> {
        self.0.try_recv().ok()
    }

    pub(crate) fn none_for(&self, time: Duration) {
        match self.0.recv_timeout(time) {
            Ok(event) => panic!("nothing was to happen: {event:?}"),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}

/// Waits until something holds that has no event.
pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let from = Instant::now();
    while !holds() {
        assert!(from.elapsed() < LONG, "it never came: {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// Counts those that live: the sources and sinks of a peer die with its threads.
#[derive(Clone, Default)]
pub(crate) struct Living(Arc<AtomicUsize>);

impl Living {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// The body of the frame with this number: its length and its content tell if anything is wrong.
pub(crate) fn body(number: u64, longest: u64, body: &mut Vec<u8>) {
    body.extend_from_slice(&number.to_le_bytes());
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..state % (longest + 1) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        body.push((state >> 56) as u8);
    }
}

/// Frames with the numbers up to an end.
pub(crate) struct Numbers {
    pub(crate) next: u64,
    pub(crate) end: u64,
    pub(crate) longest: u64,
}

impl Source for Numbers {
    fn attach(&mut self) {}

    fn next(&mut self, bytes: &mut Vec<u8>) -> Option<u8> {
        if self.next == self.end {
            return None;
        }
        body(self.next, self.longest, bytes);
        self.next += 1;
        Some((self.next % 7) as u8)
    }
}

/// Takes what [`Numbers`] gives, and nothing else.
pub(crate) struct Checked {
    pub(crate) taken: Arc<AtomicU64>,
    pub(crate) longest: u64,
}

impl Sink for Checked {
    fn frame(&mut self, kind: u8, bytes: &[u8]) -> Result<(), SinkError> {
        let number = self.taken.load(Ordering::SeqCst);
        let mut expected = Vec::new();
        body(number, self.longest, &mut expected);
        if bytes != expected || u64::from(kind) != (number + 1) % 7 {
            return Err(SinkError::new(format!("frame {number} is not what was sent")));
        }
        self.taken.store(number + 1, Ordering::SeqCst);
        Ok(())
    }
}

/// Numbered frames one way, and a count of those that came the other way.
pub(crate) fn numbers(end: u64, longest: u64) -> (Lines, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    let source = Box::new(Numbers { next: 0, end, longest });
    let sink = Box::new(Checked { taken: taken.clone(), longest });
    (Lines { source, sink }, taken)
}

pub(crate) fn idle() -> Lines {
    numbers(0, 0).0
}

/// A source that is fed by the test.
#[derive(Clone, Default)]
pub(crate) struct Fed(Arc<Mutex<Feed>>);

#[derive(Default)]
struct Feed {
    bodies: VecDeque<Vec<u8>>,
    puller: Option<Thread>,
}

impl Fed {
    pub(crate) fn feed(&self, body: &[u8]) {
        let mut feed = self.0.lock().unwrap();
        feed.bodies.push_back(body.to_vec());
        if let Some(puller) = &feed.puller {
            puller.unpark();
        }
    }
}

impl Source for Fed {
    fn attach(&mut self) {
        self.0.lock().unwrap().puller = Some(thread::current());
    }

    fn next(&mut self, body: &mut Vec<u8>) -> Option<u8> {
        body.extend_from_slice(&self.0.lock().unwrap().bodies.pop_front()?);
        Some(1)
    }
}

/// A sink that hands bodies to the test, and can be stopped.
#[derive(Clone, Default)]
pub(crate) struct Held {
    pub(crate) bodies: Arc<Mutex<Vec<Vec<u8>>>>,
    is_held: Arc<(Mutex<bool>, Condvar)>,
    pub(crate) is_reached: Arc<AtomicBool>,
}

impl Held {
    pub(crate) fn hold(&self, is_held: bool) {
        *self.is_held.0.lock().unwrap() = is_held;
        self.is_held.1.notify_all();
    }
}

impl Sink for Held {
    fn frame(&mut self, _: u8, body: &[u8]) -> Result<(), SinkError> {
        self.bodies.lock().unwrap().push(body.to_vec());
        self.is_reached.store(true, Ordering::SeqCst);
        let held = self.is_held.0.lock().unwrap();
        drop(self.is_held.1.wait_while(held, |held| *held));
        Ok(())
    }
}

/// A source or sink that is counted among the living.
pub(crate) struct With<T>(T, Living);

impl<T> With<T> {
    pub(crate) fn new(it: T, living: &Living) -> With<T> {
        living.0.fetch_add(1, Ordering::SeqCst);
        With(it, living.clone())
    }
}

impl<T> Drop for With<T> {
    fn drop(&mut self) {
        self.1.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<T: Source> Source for With<T> {
    fn attach(&mut self) {
        self.0.attach();
    }

    fn next(&mut self, body: &mut Vec<u8>) -> Option<u8> {
        self.0.next(body)
    }
}

impl<T: Sink> Sink for With<T> {
    fn frame(&mut self, kind: u8, body: &[u8]) -> Result<(), SinkError> {
        self.0.frame(kind, body)
    }
}
