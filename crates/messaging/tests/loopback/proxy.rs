//! A proxy that does harm: cuts connections at random bytes, or stops to forward.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Forwards to an address. Its threads end with the connections of the test.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) cuts: Arc<AtomicU64>,
    is_frozen: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// Each connection is cut when it has forwarded so many bytes at most, both ways together.
    pub(crate) fn new(target: SocketAddr, at_most: Option<u64>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Arc::new(AtomicU64::new(0));
        let is_frozen = Arc::new(AtomicBool::new(false));
        let streams = Arc::new(Mutex::new(Vec::new()));
        let proxy = Proxy { address, cuts, is_frozen, streams };
        let (cuts, is_frozen) = (proxy.cuts.clone(), proxy.is_frozen.clone());
        let streams = proxy.streams.clone();
        thread::spawn(move || {
            let mut rng = SmallRng::seed_from_u64(7);
            for near in listener.incoming() {
                let (Ok(near), Ok(far)) = (near, TcpStream::connect(target)) else { return };
                let budget = at_most.map_or(u64::MAX, |at_most| rng.random_range(0..at_most));
                let budget = Arc::new(AtomicU64::new(budget));
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (budget, cuts, is_frozen) = (budget.clone(), cuts.clone(), is_frozen.clone());
                    thread::spawn(move || forward(&from, &to, &budget, &cuts, &is_frozen));
                }
                streams.lock().unwrap().extend([near, far]);
            }
        });
        proxy
    }

    /// Nothing is forwarded any more on the connections of now; both ends stay open.
    pub(crate) fn freeze(&self) {
        self.is_frozen.store(true, Ordering::SeqCst);
    }

    /// New connections are forwarded again.
    pub(crate) fn thaw(&self) {
        self.is_frozen.store(false, Ordering::SeqCst);
    }

    /// All connections of now break.
    pub(crate) fn cut(&self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

fn forward(
    mut from: &TcpStream,
    mut to: &TcpStream,
    budget: &AtomicU64,
    cuts: &AtomicU64,
    is_frozen: &AtomicBool,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if is_frozen.load(Ordering::SeqCst) {
            // What was read is lost with the connection, whose ends hear nothing more.
            thread::park();
        }
        let take = |left: u64| Some(left - left.min(length as u64));
        let left = budget.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).unwrap();
        let passed = left.min(length as u64) as usize;
        if to.write_all(&buffer[..passed]).is_err() {
            break;
        }
        if passed < length {
            cuts.fetch_add(1, Ordering::SeqCst);
            break;
        }
    }
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}
