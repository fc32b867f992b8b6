//! Measures one lane over loopback, both ends in this process: how many bytes and frames a second.
//!
//! ```sh
//! cargo run --release -p storm-messaging --example throughput -- [BYTES PER BODY] [SECONDS]
//! ```

#![allow(clippy::print_stdout, reason = "what it measures is what it prints")]

use std::error::Error;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use storm_messaging::{
    Endpoint, Gate, Hello, Identity, Key, Lines, Peer, PeerSpec, Sink, SinkError, Source, Verdict,
};
use storm_model::assignment::Incarnation;

struct Open;

impl Gate for Open {
    fn assignment_version(&self) -> u64 {
        0
    }

    fn judge(&self, _: &Hello) -> Verdict {
        Verdict::Accept
    }
}

/// The same body for ever.
struct Endless(Vec<u8>);

impl Source for Endless {
    fn attach(&mut self) {}

    fn next(&mut self, body: &mut Vec<u8>) -> Option<u8> {
        body.extend_from_slice(&self.0);
        Some(0)
    }
}

struct Silent;

impl Source for Silent {
    fn attach(&mut self) {}

    fn next(&mut self, _: &mut Vec<u8>) -> Option<u8> {
        None
    }
}

/// Looks at each body as little as a sink can.
struct Counted(Arc<AtomicU64>, u64);

impl Sink for Counted {
    fn frame(&mut self, kind: u8, body: &[u8]) -> Result<(), SinkError> {
        self.1 += u64::from(kind) + body.len() as u64;
        Ok(())
    }

    fn batch_end(&mut self) {
        self.0.store(self.1, Ordering::Relaxed);
    }
}

fn endpoint(slot: &str) -> Result<Endpoint, Box<dyn Error>> {
    let incarnation = Incarnation::default();
    let identity = Identity { topology: "throughput".into(), slot: slot.into(), incarnation };
    Ok(Endpoint::listen(TcpListener::bind("127.0.0.1:0")?, identity, Key::new([1; 32]), Arc::new(Open))?)
}

fn peer(from: &Endpoint, to: &Endpoint, slot: &str, data: Lines) -> Result<Peer, Box<dyn Error>> {
    let spec = PeerSpec {
        address: to.address().to_string(),
        slot: slot.into(),
        incarnation: Incarnation::default(),
        dials: slot == "b",
    };
    let control = Lines { source: Box::new(Silent), sink: Box::new(Counted(Arc::default(), 0)) };
    Ok(from.peer(spec, data, control, Arc::new(|_| {}))?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let body: usize = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let (a, b) = (endpoint("a")?, endpoint("b")?);
    let received = Arc::new(AtomicU64::new(0));
    let sink = Box::new(Counted(received.clone(), 0));
    let to_a = peer(&b, &a, "a", Lines { source: Box::new(Silent), sink })?;
    let source = Box::new(Endless((0..body).map(|at| at as u8).collect()));
    let to_b = peer(&a, &b, "b", Lines { source, sink: Box::new(Counted(Arc::default(), 0)) })?;
    while received.load(Ordering::Relaxed) == 0 {
        thread::park_timeout(Duration::from_millis(1));
    }
    for _ in 0..seconds {
        let (from, bytes) = (Instant::now(), received.load(Ordering::Relaxed));
        while from.elapsed() < Duration::from_secs(1) {
            thread::park_timeout(Duration::from_secs(1).saturating_sub(from.elapsed()));
        }
        let bytes = (received.load(Ordering::Relaxed) - bytes) as f64;
        let seconds = from.elapsed().as_secs_f64();
        println!(
            "{:8.0} MB/s {:12.0} frames/s of {body} bytes",
            bytes / seconds / 1e6,
            bytes / seconds / body as f64
        );
    }
    println!("sent: {:?}", to_b.figures().data);
    println!("back: {:?}", to_a.figures().data);
    Ok(())
}
