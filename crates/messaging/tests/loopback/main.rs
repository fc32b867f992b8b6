//! Two workers and their messages over loopback, and those who disturb them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod proxy;
mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use proxy::Proxy;
use storm_messaging::{
    Failure, Lines, Peer, PeerEvent, ProtocolError, Refusal, Settings, Sink, SinkError, Why,
};
use support::{
    Events, Fed, Held, LONG, Living, Numbers, With, Worker, events, idle, life, numbers, spec, wait_until,
    worker, worker_with,
};

/// How long a peer may take to close, whatever the other end does.
const BOUNDED: Duration = Duration::from_secs(10);

fn quick() -> Settings {
    Settings {
        silence: Duration::from_millis(500),
        ping_after: Duration::from_millis(100),
        handshake: Duration::from_secs(1),
        ..Settings::default()
    }
}

/// A pair with these data lines, the first dialling at `address`, connected.
fn pair(a: &Worker, b: &Worker, address: impl ToString, lines: [Lines; 2]) -> ([Peer; 2], [Events; 2]) {
    let [to_b, to_a] = lines;
    let ((a_handler, a_events), (b_handler, b_events)) = (events(), events());
    let accepting = b.endpoint.peer(spec(&a.slot, "", false), to_a, idle(), b_handler).unwrap();
    let dialling = a.endpoint.peer(spec(&b.slot, address, true), to_b, idle(), a_handler).unwrap();
    a_events.connected();
    b_events.connected();
    ([dialling, accepting], [a_events, b_events])
}

#[test]
fn frames_arrive_once_and_in_order_however_often_connections_break() {
    const DATA: u64 = 100_000;
    const CONTROL: u64 = 20_000;
    let (a, b) = (worker("a", life(1, 0)), worker("b", life(1, 0)));
    let proxy = Proxy::new(b.endpoint.address(), Some(300_000));
    let ((a_data, a_data_taken), (a_control, a_control_taken)) = (numbers(DATA, 200), numbers(CONTROL, 40));
    let ((b_data, b_data_taken), (b_control, b_control_taken)) = (numbers(DATA, 200), numbers(CONTROL, 40));
    let ((a_handler, a_events), (b_handler, b_events)) = (events(), events());
    let accepting = b.endpoint.peer(spec("a", "", false), b_data, b_control, b_handler).unwrap();
    let dialling = a.endpoint.peer(spec("b", proxy.address, true), a_data, a_control, a_handler).unwrap();
    wait_until("all frames", || {
        [&a_data_taken, &b_data_taken].iter().all(|taken| taken.load(SeqCst) == DATA)
            && [&a_control_taken, &b_control_taken].iter().all(|taken| taken.load(SeqCst) == CONTROL)
    });
    let cuts = proxy.cuts.load(SeqCst);
    assert!(cuts > 50, "only {cuts} connections were cut");
    let figures = dialling.figures();
    assert!(figures.data.connections > 5 && figures.data.frames_received == DATA);
    for (peer, events) in [(dialling, a_events), (accepting, b_events)] {
        peer.close();
        while let Some(event) = events.left() {
            let is_harmless = matches!(
                event,
                PeerEvent::Connected { .. }
                    | PeerEvent::Disconnected { .. }
                    | PeerEvent::Refused(Refusal::NotYetKnown)
            );
            assert!(is_harmless, "{event:?}");
        }
    }
}

#[test]
fn what_was_sent_is_confirmed_when_nothing_goes_the_other_way() {
    let (a, b) = (worker("a", life(1, 0)), worker("b", life(1, 0)));
    let (lines, _) = numbers(3, 0);
    let (peers, _events) = pair(&a, &b, b.endpoint.address(), [lines, idle()]);
    wait_until("all confirmed", || peers[0].figures().data.frames_confirmed == 3);
}

#[test]
fn news_wake_the_writer() {
    let (a, b) = (worker("a", life(1, 0)), worker("b", life(1, 0)));
    let (fed, held) = (Fed::default(), Held::default());
    let there = Lines { source: Box::new(fed.clone()), sink: Box::new(Held::default()) };
    let here = Lines { source: Box::new(Fed::default()), sink: Box::new(held.clone()) };
    let (_peers, _events) = pair(&a, &b, b.endpoint.address(), [there, here]);
    for number in 1..=100_usize {
        fed.feed(&[7; 10]);
        wait_until("the frame", || held.bodies.lock().unwrap().len() == number);
    }
}

#[test]
fn frames_larger_than_any_buffer_pass() {
    let (a, b) = (worker("a", life(1, 0)), worker("b", life(1, 0)));
    let (fed, held) = (Fed::default(), Held::default());
    let sizes = [0, 1, 70_000, 300_000, 16 << 20, 5, 3 << 20, 2 << 20, 0];
    for size in sizes {
        fed.feed(&vec![size as u8; size]);
    }
    let there = Lines { source: Box::new(fed), sink: Box::new(Held::default()) };
    let here = Lines { source: Box::new(Fed::default()), sink: Box::new(held.clone()) };
    let (_peers, _events) = pair(&a, &b, b.endpoint.address(), [there, here]);
    wait_until("all frames", || held.bodies.lock().unwrap().len() == sizes.len());
    for (body, size) in held.bodies.lock().unwrap().iter().zip(sizes) {
        assert!(body.len() == size && body.iter().all(|byte| *byte == size as u8));
    }
}

#[test]
fn a_worker_with_another_key_is_rejected_before_any_gate_is_asked() {
    let (a, b) = (worker("a", life(1, 0)), worker_with("b", life(1, 0), 2, Settings::default()));
    let (handler, happened) = events();
    let (lines, taken) = numbers(1, 0);
    let _accepting = b.endpoint.peer(spec("a", "", false), lines, idle(), events().0).unwrap();
    let (lines, _) = numbers(1, 0);
    let spec = spec("b", b.endpoint.address(), true);
    let _dialling = a.endpoint.peer(spec, lines, idle(), handler).unwrap();
    assert!(matches!(happened.next(), PeerEvent::Rejected(Refusal::WrongKey)));
    for worker in [&a, &b] {
        assert!(worker.doorman.asked.lock().unwrap().is_empty());
    }
    assert_eq!(taken.load(SeqCst), 0);
}

#[test]
fn a_replaced_worker_is_refused_and_told_so() {
    let (a, b) = (worker("a", life(1, 0)), worker("b", life(1, 0)));
    let refusal = Refusal::Replaced { newest: life(2, 0) };
    *b.doorman.refusal.lock().unwrap() = Some(refusal.clone());
    let (handler, happened) = events();
    let _peer = a.endpoint.peer(spec("b", b.endpoint.address(), true), idle(), idle(), handler).unwrap();
    assert!(matches!(happened.next(), PeerEvent::Refused(told) if told == refusal));
    assert_eq!(a.doorman.refused.lock().unwrap()[0], refusal);
    let asked = b.doorman.asked.lock().unwrap()[0].clone();
    assert_eq!((asked.from.slot.as_str(), asked.from.incarnation), ("a", life(1, 0)));
    assert_eq!((asked.to_slot.as_str(), asked.to_number, asked.assignment_version), ("b", 1, 9));
}

#[test]
fn a_dialler_refuses_too_and_the_dialled_is_told() {
    let (a, b) = (worker("a", life(1, 0)), worker("b", life(1, 0)));
    let refusal = Refusal::Replaced { newest: life(2, 0) };
    *a.doorman.refusal.lock().unwrap() = Some(refusal.clone());
    let (handler, happened) = events();
    let _peer = a.endpoint.peer(spec("b", b.endpoint.address(), true), idle(), idle(), handler).unwrap();
    assert!(matches!(happened.next(), PeerEvent::Rejected(found) if found == refusal));
    // Though it has no peer for who refuses it.
    wait_until("told", || b.doorman.refused.lock().unwrap().contains(&refusal));
}

#[test]
fn a_peer_that_is_not_known_yet_is_found_later() {
    let (a, b) = (worker("a", life(1, 0)), worker("b", life(1, 0)));
    let (handler, happened) = events();
    let to_b = spec("b", b.endpoint.address(), true);
    let _dialling = a.endpoint.peer(to_b, idle(), idle(), handler).unwrap();
    assert!(matches!(happened.next(), PeerEvent::Refused(Refusal::NotYetKnown)));
    let _accepting = b.endpoint.peer(spec("a", "", false), idle(), idle(), events().0).unwrap();
    assert!(matches!(happened.next(), PeerEvent::Connected { incarnation } if incarnation == life(1, 0)));
}

#[test]
fn another_worker_at_the_address_is_rejected() {
    let (a, b) = (worker("a", life(1, 0)), worker("b", life(1, 0)));
    let (handler, happened) = events();
    let to_c = spec("c", b.endpoint.address(), true);
    let _peer = a.endpoint.peer(to_c, idle(), idle(), handler).unwrap();
    let event = happened.next();
    assert!(matches!(&event, PeerEvent::Rejected(Refusal::WrongSlot { slot }) if slot == "b"), "{event:?}");
}

#[test]
fn a_restarted_worker_ends_the_session_at_the_other_end() {
    let (a, b) = (worker("a", life(1, 0)), worker("b", life(1, 0)));
    let proxy = Proxy::new(a.endpoint.address(), None);
    // The one that is dialled sees the dialler's new life.
    let ([dialling, _accepting], [_, a_events]) = pair(&b, &a, proxy.address, [idle(), idle()]);
    drop(dialling);
    drop(b);
    let b = worker("b", life(1, 1));
    let (handler, b_events) = events();
    let to_a = spec("a", proxy.address, true);
    let _dialling = b.endpoint.peer(to_a, idle(), idle(), handler).unwrap();
    let over = a_events.until(|event| matches!(event, PeerEvent::SessionOver { .. }));
    assert!(matches!(over, PeerEvent::SessionOver { incarnation } if incarnation == life(1, 1)));
    // A new peer of the one that went on is found by the restarted one.
    let (handler, a_events) = events();
    let _accepting = a.endpoint.peer(spec("b", "", false), idle(), idle(), handler).unwrap();
    assert!(matches!(a_events.next(), PeerEvent::Connected { incarnation } if incarnation == life(1, 1)));
    b_events.connected();
}

#[test]
fn a_dialled_worker_that_restarts_ends_the_session_of_its_dialler() {
    let (a, b) = (worker("a", life(1, 0)), worker("b", life(1, 0)));
    let again = worker("b", life(1, 3));
    let (switch, target) = (Arc::new(Mutex::new(b.endpoint.address())), again.endpoint.address());
    let address = switchable(switch.clone());
    let ([_dialling, accepting], [a_events, _]) = pair(&a, &b, address, [idle(), idle()]);
    *switch.lock().unwrap() = target;
    drop(accepting);
    let over = a_events.until(|event| matches!(event, PeerEvent::SessionOver { .. }));
    assert!(matches!(over, PeerEvent::SessionOver { incarnation } if incarnation == life(1, 3)));
}

#[test]
fn a_peer_that_was_made_anew_has_no_part_in_the_old_session() {
    // Made anew on either side, the other one's session is over.
    for forgetful in [0, 1] {
        // Their own workers: a late connection of the first round would be one more session.
        let (a, b) = (worker("a", life(1, 0)), worker("b", life(1, 0)));
        let (peers, [a_events, b_events]) = pair(&a, &b, b.endpoint.address(), [idle(), idle()]);
        let [dialling, accepting] = peers;
        let (handler, anew) = events();
        let (_remaining, _anew, old) = if forgetful == 0 {
            drop(dialling);
            let to_b = spec("b", b.endpoint.address(), true);
            (accepting, a.endpoint.peer(to_b, idle(), idle(), handler).unwrap(), b_events)
        } else {
            drop(accepting);
            (dialling, b.endpoint.peer(spec("a", "", false), idle(), idle(), handler).unwrap(), a_events)
        };
        old.until(|event| matches!(event, PeerEvent::SessionOver { .. }));
        drop(anew);
    }
}

#[test]
fn a_silent_connection_is_given_up_and_dialled_again() {
    let (a, b) = (worker_with("a", life(1, 0), 1, quick()), worker_with("b", life(1, 0), 1, quick()));
    let proxy = Proxy::new(b.endpoint.address(), None);
    let (lines, _) = numbers(0, 0);
    let (_peers, [a_events, b_events]) = pair(&a, &b, proxy.address, [lines, idle()]);
    // Without any frame to send, signs of life keep it up.
    a_events.none_for(quick().silence * 2);
    proxy.freeze();
    let down = a_events.until(|event| matches!(event, PeerEvent::Disconnected { .. }));
    assert!(matches!(down, PeerEvent::Disconnected { why: Why::Silent }), "{down:?}");
    proxy.thaw();
    a_events.connected();
    b_events.connected();
}

#[test]
fn no_more_is_kept_than_allowed() {
    const KEPT: usize = 1 << 20;
    let settings = Settings { kept_bytes: KEPT, ..quick() };
    let (a, b) = (worker_with("a", life(1, 0), 1, settings), worker_with("b", life(1, 0), 1, quick()));
    let proxy = Proxy::new(b.endpoint.address(), None);
    let (fed, held) = (Fed::default(), Held::default());
    let there = Lines { source: Box::new(fed.clone()), sink: Box::new(Held::default()) };
    let here = Lines { source: Box::new(Fed::default()), sink: Box::new(held.clone()) };
    let (peers, [a_events, _b_events]) = pair(&a, &b, proxy.address, [there, here]);
    proxy.freeze();
    let frames = 300;
    for _ in 0..frames {
        fed.feed(&[1; 10_000]);
    }
    // Pulled is at most what is kept, and one buffer more.
    a_events.until(|event| matches!(event, PeerEvent::Disconnected { .. }));
    let sent = peers[0].figures().data.frames_sent as usize;
    assert!(sent * 10_000 < KEPT + (128 << 10), "{sent} frames were pulled");
    proxy.thaw();
    proxy.cut();
    wait_until("all frames", || held.bodies.lock().unwrap().len() == frames);
}

#[test]
fn strangers_cannot_keep_others_out() {
    let settings =
        Settings { strangers: 4, handshake: Duration::from_secs(1), silence: LONG, ..Settings::default() };
    let (a, b) = (worker("a", life(1, 0)), worker_with("b", life(1, 0), 1, settings));
    let address = b.endpoint.address();
    let garbage: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 5000],
        b"StHS\x01\x00\xff\xff",
        b"StHS\x01\x00\x20\x00 and so on",
    ];
    for bytes in garbage {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(bytes).ok();
        stream.set_read_timeout(Some(LONG)).unwrap();
        // It is hung up on, without a word.
        assert_eq!(stream.read(&mut [0; 100]).unwrap_or(0), 0);
    }
    // Another version is told ours.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"StHS\x07\x00\x00\x00").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"StHS\x01\x00\x00\x00");
    // More than there is room for, and all say nothing: the oldest make room, the others run into the deadline.
    let from = Instant::now();
    let silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
    let ([dialling, _accepting], _events) = pair(&a, &b, address, [idle(), idle()]);
    for mut stream in silent {
        stream.set_read_timeout(Some(LONG)).unwrap();
        assert_eq!(stream.read(&mut [0; 100]).unwrap_or(0), 0);
    }
    assert!(from.elapsed() < LONG / 2);
    assert_eq!(dialling.figures().data.connections, 1);
}

#[test]
fn an_endpoint_closes_while_strangers_hold_on() {
    let b = worker("b", life(1, 0));
    let _silent: Vec<TcpStream> = (0..5).map(|_| TcpStream::connect(b.endpoint.address()).unwrap()).collect();
    let from = Instant::now();
    b.endpoint.close();
    assert!(from.elapsed() < Settings::default().handshake / 2);
    assert!(TcpStream::connect(b.endpoint.address()).is_err());
}

#[test]
fn a_peer_closes_whatever_the_other_end_does() {
    let a = worker("a", life(1, 0));
    // One that takes the connection and says nothing, and one that is not there.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [mute.local_addr().unwrap(), gone] {
        let living = Living::default();
        let lines = || Lines {
            source: Box::new(With::new(Numbers { next: 0, end: 5, longest: 0 }, &living)),
            sink: Box::new(With::new(Held::default(), &living)),
        };
        let (data, control) = (lines(), lines());
        let peer = a.endpoint.peer(spec("b", address, true), data, control, events().0).unwrap();
        if address != gone {
            drop(mute.accept().unwrap());
            let _second = mute.accept().unwrap();
        }
        let from = Instant::now();
        peer.close();
        assert!(from.elapsed() < BOUNDED);
        assert_eq!(living.count(), 0, "a thread is not joined");
    }
}

#[test]
fn a_peer_closes_while_it_waits_to_be_connected() {
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket};

    // A queue of one that nobody takes from: once it is full, whoever dials waits.
    let full = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&full, &"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap()).unwrap();
    listen(&full, 0).unwrap();
    let full = TcpListener::from(full);
    let address = full.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue is never full");
    }
    let a = worker("a", life(1, 0));
    let peer = a.endpoint.peer(spec("b", address, true), idle(), idle(), events().0).unwrap();
    // Time for its threads to dial; if they have not, the test proves less and still holds.
    thread::park_timeout(Duration::from_millis(100));
    let from = Instant::now();
    peer.close();
    assert!(from.elapsed() < Settings::default().handshake / 2);
}

#[test]
fn a_peer_that_takes_nothing_does_not_block_a_close() {
    let (a, b) = (worker("a", life(1, 0)), worker("b", life(1, 0)));
    let (living, held) = (Living::default(), Held::default());
    held.hold(true);
    let there = Lines {
        source: Box::new(With::new(Numbers { next: 0, end: u64::MAX, longest: 10_000 }, &living)),
        sink: Box::new(With::new(Held::default(), &living)),
    };
    let here = Lines { source: Box::new(Fed::default()), sink: Box::new(held.clone()) };
    let ([dialling, accepting], _events) = pair(&a, &b, b.endpoint.address(), [there, here]);
    wait_until("the sink is stuck", || held.is_reached.load(SeqCst));
    // The writer is stuck when it has written nothing more for a while.
    let mut written = 0;
    while dialling.figures().data.bytes_written != written {
        written = dialling.figures().data.bytes_written;
        thread::park_timeout(Duration::from_millis(50));
    }
    let from = Instant::now();
    dialling.close();
    assert!(from.elapsed() < BOUNDED);
    assert_eq!(living.count(), 0, "a thread is not joined");
    held.hold(false);
    drop(accepting);
}

struct Unwilling;

impl Sink for Unwilling {
    fn frame(&mut self, _: u8, _: &[u8]) -> Result<(), SinkError> {
        Err(SinkError::new("row 3 has no stream"))
    }
}

struct Panicking;

impl Sink for Panicking {
    fn frame(&mut self, _: u8, _: &[u8]) -> Result<(), SinkError> {
        panic!("a broken invariant")
    }
}

#[test]
fn a_sink_that_refuses_or_panics_fails_the_peer() {
    let (a, b) = (worker("a", life(1, 0)), worker("b", life(1, 0)));
    let sinks: [(Box<dyn Sink>, &str); 2] = [
        (Box::new(Unwilling), "a frame was not taken: row 3 has no stream"),
        (Box::new(Panicking), "a thread of the peer panicked: a broken invariant"),
    ];
    for (sink, text) in sinks {
        let here = Lines { source: Box::new(Fed::default()), sink };
        let fed = Fed::default();
        let there = Lines { source: Box::new(fed.clone()), sink: Box::new(Held::default()) };
        let (_peers, [_, happened]) = pair(&a, &b, b.endpoint.address(), [there, here]);
        fed.feed(b"row");
        let failed = happened.until(|event| matches!(event, PeerEvent::Failed(_)));
        assert!(matches!(failed, PeerEvent::Failed(failure) if failure.to_string() == text));
    }
}

#[test]
fn a_source_that_gives_too_much_fails_the_peer() {
    let settings = Settings { body_bytes: 1000, ..Settings::default() };
    let (a, b) = (worker_with("a", life(1, 0), 1, settings), worker("b", life(1, 0)));
    let fed = Fed::default();
    let there = Lines { source: Box::new(fed.clone()), sink: Box::new(Held::default()) };
    let (_peers, [happened, _]) = pair(&a, &b, b.endpoint.address(), [there, idle()]);
    fed.feed(&[0; 1001]);
    let failed = happened.until(|event| matches!(event, PeerEvent::Failed(_)));
    let error = ProtocolError::BodyTooLong { length: 1001, max: 1000 };
    assert!(matches!(failed, PeerEvent::Failed(Failure::Protocol(found)) if found == error));
}

#[test]
fn a_handler_may_drop_its_peer() {
    let (a, b) = (worker("a", life(1, 0)), worker("b", life(1, 0)));
    let place: Arc<Mutex<Option<Peer>>> = Arc::default();
    let (dropped, was_dropped) = mpsc::channel();
    let handler = {
        let place = place.clone();
        move |_| {
            // The peer may not be in its place yet; then it is dropped by the next event.
            let peer = place.lock().unwrap().take();
            if peer.is_some() {
                drop(peer);
                dropped.send(()).unwrap();
            }
        }
    };
    let to_b = spec("b", b.endpoint.address(), true);
    let mut held = place.lock().unwrap();
    *held = Some(a.endpoint.peer(to_b, idle(), idle(), Arc::new(handler)).unwrap());
    drop(held);
    was_dropped.recv_timeout(LONG).unwrap();
    drop(b);
}

/// An address that forwards to whatever is set when a connection comes in.
fn switchable(target: Arc<Mutex<std::net::SocketAddr>>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for near in listener.incoming() {
            let target = *target.lock().unwrap();
            let (Ok(near), Ok(far)) = (near, TcpStream::connect(target)) else { return };
            for (from, to) in [(&near, &far), (&far, &near)] {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                thread::spawn(move || {
                    std::io::copy(&mut from, &mut to).ok();
                    from.shutdown(std::net::Shutdown::Both).ok();
                    to.shutdown(std::net::Shutdown::Both).ok();
                });
            }
        }
    });
    address
}
