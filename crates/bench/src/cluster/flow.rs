//! A topology whose tuples can be watched: each that arrives makes a file longer.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::dev::{Dev, Worker};
use super::error::Error;
use super::{patience, programs};

/// Name of the topology.
pub(super) const FLOW: &str = "at-least-once";
/// Tuples per second.
const RATE: &str = "1000";
/// Time between two looks at the file.
const LOOK: Duration = Duration::from_millis(1);
/// How long it runs before anything is done to it.
const SETTLE: Duration = Duration::from_secs(2);

/// At-least-once in a cluster: a thousand tuples a second, of which none fails by itself.
pub(super) struct Flow {
    dir: PathBuf,
}

impl Flow {
    /// Submits it, and lets it run for a while in so many workers.
    pub(super) fn start(dev: &Dev, workers: usize) -> Result<(Flow, Vec<Worker>), Error> {
        let dir = dev.path("numbers");
        let config = format!("topology.workers={workers}");
        let words = ["--count", "1000000000", "--rate", RATE, "--fail-rate", "0", "--out"].map(str::as_ref);
        let args = [&words[..], &[dir.as_os_str()]].concat();
        dev.submit(&programs::at_least_once()?, &["-c", &config], &args)?;
        let workers = dev.await_workers(FLOW, workers, &[])?;
        let flow = Flow { dir };
        patience::until("tuples arrive", LOOK, || Ok((length(&flow.arrivals()) > 0).then_some(())))?;
        patience::pass(SETTLE)?;
        Ok((flow, workers))
    }

    fn arrivals(&self) -> PathBuf {
        self.dir.join("sink-0.tsv")
    }

    /// Watches the arrivals from now on.
    pub(super) fn watch(&self) -> Result<Watch, Error> {
        Watch::start(self.arrivals())
    }

    /// Tuples that have failed, by the books of the spout, which are a quarter of a second old.
    pub(super) fn failed(&self) -> Result<f64, Error> {
        let path = self.dir.join("offset-0");
        let text = fs::read_to_string(path).map_err(Error::io("cannot read the books of the spout"))?;
        let books: Option<Json> = serde_json::from_str(&text).ok();
        let failed = books.and_then(|books| books["failed"].as_f64());
        failed.ok_or_else(|| Error::Unexpected(format!("the books of the spout are {text}")))
    }
}

/// A thread that sees when a file grows.
pub(super) struct Watch {
    state: Arc<AtomicU8>,
    thread: Option<JoinHandle<Duration>>,
}

impl Watch {
    const GOES_ON: u8 = 0;
    /// Ends with the next arrival.
    const ENDS: u8 = 1;
    /// Nobody asks any more.
    const IS_OVER: u8 = 2;

    fn start(path: PathBuf) -> Result<Watch, Error> {
        let state = Arc::new(AtomicU8::new(Watch::GOES_ON));
        let watched = state.clone();
        let watch = move || {
            let (mut known, mut since, mut longest) = (length(&path), Instant::now(), Duration::ZERO);
            loop {
                let state = watched.load(Ordering::Relaxed);
                let now = length(&path);
                longest = longest.max(since.elapsed());
                if now != known {
                    (known, since) = (now, Instant::now());
                    if state == Watch::ENDS {
                        return longest;
                    }
                }
                if state == Watch::IS_OVER || since.elapsed() > patience::DEADLINE {
                    return longest;
                }
                thread::park_timeout(LOOK);
            }
        };
        let thread = thread::Builder::new().name("arrivals".to_owned()).spawn(watch);
        let thread = thread.map_err(Error::io("cannot start a thread"))?;
        Ok(Watch { state, thread: Some(thread) })
    }

    /// The longest time without an arrival, up to the next arrival.
    pub(super) fn longest_pause(mut self) -> Result<Duration, Error> {
        let longest = self.end(Watch::ENDS).unwrap_or_default();
        if longest > patience::DEADLINE {
            let (what, within) = ("a tuple arrives".to_owned(), patience::DEADLINE);
            return Err(Error::Late { what, within, detail: String::new() });
        }
        Ok(longest)
    }

    fn end(&mut self, state: u8) -> Option<Duration> {
        self.state.store(state, Ordering::Relaxed);
        self.thread.take()?.join().ok()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end(Watch::IS_OVER);
    }
}

fn length(path: &PathBuf) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}
