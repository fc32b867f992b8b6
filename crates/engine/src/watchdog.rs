//! Where executors share threads: one that is held up by user code must not hold up the others.
//!
//! A call cannot be moved while it runs, but the others can: they get a new thread, and the one that
//! blocks keeps its own, for good. So a thread that is held up starves its neighbours for a second
//! once, and as many threads come up as there are executors that block.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle, park_timeout};
use std::time::Duration;

use crate::executor_thread::{self, Crew, Floor};
use crate::report::{ErrorKind, ErrorReport};
use crate::run::Event;

/// A step that takes longer has blocked, where each thread has a core. It may have been a hundred calls
/// that turned slow together, so this is far above what a step is meant to take.
const LIMIT: Duration = Duration::from_secs(1);
/// How often threads are looked at.
const PERIOD: Duration = Duration::from_millis(50);

/// The threads of a run.
pub(crate) struct Threads {
    floor: Arc<Floor>,
    crews: Mutex<Vec<Arc<Crew>>>,
    handles: Mutex<Vec<JoinHandle<()>>>,
    /// Nobody waits for the threads.
    is_left: AtomicBool,
    is_over: AtomicBool,
}

impl Threads {
    pub(crate) fn new(floor: Arc<Floor>) -> Threads {
        let (crews, handles) = (Mutex::default(), Mutex::default());
        let (is_left, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
        Threads { floor, crews, handles, is_left, is_over }
    }

    /// A thread was started.
    pub(crate) fn add(&self, crew: Arc<Crew>, handle: JoinHandle<()>) {
        lock(&self.crews).push(crew);
        lock(&self.handles).push(handle);
    }

    /// Whether all threads have ended.
    pub(crate) fn have_ended(&self) -> bool {
        lock(&self.handles).iter().all(JoinHandle::is_finished)
    }

    /// Waits for all threads, also for those that the watchdog starts meanwhile, and ends it.
    pub(crate) fn join(&self, watchdog: Option<JoinHandle<()>>) {
        self.join_started();
        self.is_over.store(true, Ordering::Release);
        if let Some(watchdog) = watchdog {
            watchdog.thread().unpark();
            watchdog.join().ok();
        }
        self.join_started();
    }

    fn join_started(&self) {
        let next = || lock(&self.handles).pop();
        while let Some(thread) = next() {
            // A panic of the engine was told by `Event::Ended`.
            thread.join().ok();
        }
    }

    /// Nobody will wait: the watchdog ends when the threads have.
    pub(crate) fn leave(&self) {
        self.is_left.store(true, Ordering::Release);
    }

    fn are_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire) || self.is_left.load(Ordering::Acquire) && self.have_ended()
    }

    /// Gives the neighbours of every executor that blocks a new thread.
    fn look(self: &Arc<Threads>) {
        let crews = lock(&self.crews).clone();
        let limit = LIMIT * (crews.len() / self.floor.cores).max(1) as u32;
        for crew in crews {
            let Some((index, since)) = crew.stepping() else { continue };
            let age = self.floor.clock.now().since(since);
            if age < limit || crew.len() < 2 {
                continue;
            }
            let (name, threads) = (format!("executors-{}", lock(&self.crews).len() + 1), self.clone());
            let taken = move |crew| {
                lock(&threads.crews).push(crew);
                threads.report(index, age);
            };
            match executor_thread::take_over(&self.floor, &crew, (index, since), name, taken) {
                Ok(handle) => lock(&self.handles).push(handle),
                Err(error) => tracing::warn!(%error, "no thread for executors whose thread is held up"),
            }
        }
    }

    fn report(&self, index: usize, age: Duration) {
        let (component, executor) = self.floor.wiring.executors[index].clone();
        let message = format!(
            "a call took more than {} ms on a thread that executors share (topology.executor.threads); \
             the executor has got a thread of its own. What blocks belongs into an async task or a pool",
            age.as_millis()
        );
        let report = ErrorReport {
            time: self.floor.clock.wall(),
            component,
            task: executor.first,
            kind: ErrorKind::Slow,
            message,
            suppressed: 0,
        };
        self.floor.events.send(Event::Error(report)).ok();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the watchdog.
pub(crate) fn start(threads: Arc<Threads>) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name("watchdog".to_owned()).spawn(move || {
        while !threads.are_over() {
            threads.look();
            park_timeout(PERIOD);
        }
    })
}
