//! A running topology: start order, commands, figures, end.
//!
//! Start: worker hooks; the threads, which make the tasks of their executors; when all are prepared the
//! spouts are told to start, so that no tuple waits for a bolt that is not there. End: every
//! executor is told to stop, threads are joined, worker hooks in reverse.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use storm_figures::{ExecutorSnapshot, Snapshot};
use storm_model::{ComponentId, ExecutorId};
use storm_topology::{Clock, ComponentError, FailCause, Topology};

use crate::asked::{Asker, Patience};
use crate::clock::SystemClock;
use crate::executor::StartError;
use crate::executor_thread::{self, Crew, Floor};
use crate::gateway::Gateway;
use crate::lanes::{Control, Lanes};
use crate::panics;
use crate::report::ErrorReport;
use crate::settings::Settings;
use crate::traffic;
use crate::watchdog::{self, Threads};
use crate::wiring::{Beginning, Wiring};

/// How a run begins.
pub struct Options {
    /// Name of the topology.
    pub name: String,
    /// Seed of all random numbers: edge ids, shuffles.
    pub seed: u64,
    /// Whether spouts emit from the start.
    pub is_active: bool,
}

/// What happens in a run.
#[derive(Debug)]
pub enum Event {
    /// A component had an error.
    Error(ErrorReport),
    /// A spout executor has become done: all its spouts have said `Done`, or are inactive, and
    /// nothing of theirs is pending.
    SpoutDone,
    /// An executor has nothing to do; only sent once [`Run::watch`] was called.
    Idle,
    /// An executor has made its tasks; for the start only.
    Prepared(usize, Result<(), StartError>),
    /// The thread of an executor has ended.
    Ended {
        /// Which.
        index: usize,
        /// Whether by a panic of the engine itself.
        has_panicked: bool,
    },
    /// Somebody else wants the attention of who waits for events; see [`Run::signaller`].
    Signal,
}

/// Why a run did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A component could not be opened or prepared.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A worker hook or resource failed.
    #[error("a worker resource could not be made: {}", .0.chain())]
    Hook(ComponentError),
    /// The system refuses a thread.
    #[error(
        "thread {index} of {count} could not be started: {source}; set topology.executor.threads to a number, \
         lower the parallelism, or raise the limit on threads"
    )]
    Thread {
        /// Which.
        index: usize,
        /// Of how many.
        count: usize,
        /// The system's words.
        source: std::io::Error,
    },
}

/// A running topology.
pub struct Run {
    wiring: Arc<Wiring>,
    threads: Arc<Threads>,
    watchdog: Option<JoinHandle<()>>,
    is_stopped: bool,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
}

impl Run {
    /// Starts a topology and waits until all tasks are prepared.
    ///
    /// # Errors
    /// A worker hook, an `open` or a `prepare` failed, or a thread could not be had. Everything
    /// that was started has been stopped again.
    pub fn start(topology: Topology, settings: Settings, options: Options) -> Result<Run, RunError> {
        let (run, _) = Run::prepare(topology, settings, options, None)?;
        run.start_spouts();
        Ok(run)
    }

    /// Starts the part of a topology that runs in this worker, and waits until its tasks are prepared.
    /// Spouts emit nothing before [`start_spouts`](Run::start_spouts). `here`: the executors of this
    /// worker, `None` for all; the gateway leads to the others.
    ///
    /// # Errors
    /// As [`start`](Run::start).
    pub fn prepare(
        topology: Topology,
        settings: Settings,
        options: Options,
        here: Option<BTreeSet<ExecutorId>>,
    ) -> Result<(Run, Gateway), RunError> {
        panics::install_hook();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let (sender, events) = mpsc::channel();
        let beginning = Beginning {
            name: options.name,
            clock: clock.clone(),
            seed: options.seed,
            is_active: options.is_active,
            cores,
            events: sender.clone(),
            here,
        };
        let (wiring, lanes) = Wiring::new(topology, settings, beginning).map_err(RunError::Hook)?;
        let wiring = Arc::new(wiring);
        let is_here = |index: usize| wiring.directory[index as u32].proxy().is_none();
        let (near, far): (Vec<_>, Vec<_>) =
            lanes.into_iter().enumerate().partition(|(index, _)| is_here(*index));
        let gateway = Gateway::new(wiring.clone(), far);
        let floor = Arc::new(Floor { wiring: wiring.clone(), clock, events: sender.clone(), cores });
        let threads = Arc::new(Threads::new(floor.clone()));
        let mut run = Run { wiring, threads, watchdog: None, is_stopped: false, events, sender };
        if let Err(error) = run.start_threads(&floor, near) {
            run.stop();
            return Err(error);
        }
        let mut early = Vec::new();
        if let Err(error) = run.await_preparation(&mut early) {
            run.stop();
            return Err(error.into());
        }
        // Errors reported by `open` and `prepare` are for whoever listens from now on.
        for event in early {
            run.sender.send(event).ok();
        }
        Ok((run, gateway))
    }

    /// Spouts may emit, as far as the topology is active.
    pub fn start_spouts(&self) {
        self.tell_all(|| Control::Start);
    }

    /// Spouts emit nothing until [`start_spouts`](Run::start_spouts) is called again: a part of the
    /// topology is not ready. Unlike a deactivation it is not told to them.
    pub fn hold_spouts(&self) {
        self.tell_all(|| Control::Hold);
    }

    /// Fails all trees that are pending now.
    pub fn fail_pending(&self, cause: FailCause) {
        self.tell_all(|| Control::Fail(cause));
    }

    fn start_threads(&mut self, floor: &Arc<Floor>, lanes: Vec<(usize, Lanes)>) -> Result<(), RunError> {
        let mut lanes: BTreeMap<usize, Lanes> = lanes.into_iter().collect();
        let crews = self.wiring.crews.clone();
        let count = crews.len();
        for (index, members) in crews.iter().enumerate() {
            let crew = Arc::new(Crew::new(members.iter().copied()));
            let lanes = members.iter().map(|i| (*i, lanes.remove(i).expect("each is in one crew"))).collect();
            let name = match &members[..] {
                [only] => format!("{}{}", self.wiring.executors[*only].0, self.wiring.executors[*only].1),
                _ => format!("executors-{}", index + 1),
            };
            let handle = executor_thread::start(floor, &crew, lanes, name)
                .map_err(|source| RunError::Thread { index, count, source })?;
            self.threads.add(crew, handle);
        }
        if crews.iter().any(|members| members.len() > 1) {
            let watchdog = watchdog::start(self.threads.clone()).map_err(|source| RunError::Thread {
                index: count,
                count,
                source,
            })?;
            self.watchdog = Some(watchdog);
        }
        Ok(())
    }

    fn await_preparation(&self, early: &mut Vec<Event>) -> Result<(), StartError> {
        let mut waiting = self.executor_count();
        let mut first_error = None;
        while waiting > 0 {
            match self.events.recv().expect("the run holds a sender") {
                Event::Prepared(_, result) => {
                    waiting -= 1;
                    if let Err(error) = result {
                        first_error.get_or_insert(error);
                    }
                }
                // By a panic of the engine, before it could say how its tasks are.
                Event::Ended { index, has_panicked: true } => {
                    waiting -= 1;
                    let (component, executor) = self.wiring.executors[index].clone();
                    let message = "the engine panicked; this is a bug of storm-rs".to_owned();
                    first_error.get_or_insert(StartError { component, task: executor.first, message });
                }
                event => early.push(event),
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// The next event; `None` when none comes within `timeout`.
    pub fn next_event(&self, timeout: Duration) -> Option<Event> {
        self.events.recv_timeout(timeout).ok()
    }

    /// Makes [`next_event`](Run::next_event) return [`Event::Signal`], from any thread.
    pub fn signaller(&self) -> impl Fn() + Send + 'static + use<> {
        let sender = self.sender.clone();
        move || {
            sender.send(Event::Signal).ok();
        }
    }

    /// Spouts emit again.
    pub fn activate(&self) {
        self.tell_all(|| Control::Activate);
    }

    /// Spouts emit no more; what is pending is processed.
    pub fn deactivate(&self) {
        self.tell_all(|| Control::Deactivate);
    }

    /// A part of the topology is lost: no spout waits longer than 1 s, or four times its p99
    /// complete latency, for what is pending now.
    pub fn hasten(&self) {
        self.tell_all(|| Control::Hasten);
    }

    /// Has so many of a hundred tuples that each component emits go to the sink of the settings, from now on.
    pub fn sample(&self, percent_of: impl Fn(&ComponentId) -> f64) {
        for ((component, _), address) in self.wiring.executors.iter().zip(self.wiring.directory.iter()) {
            if address.proxy().is_none() {
                address.control(Control::Sample(percent_of(component)));
            }
        }
    }

    /// Asks for [`Event::Idle`] from now on.
    pub fn watch(&self) {
        self.wiring.directory.is_watched.store(true, Ordering::SeqCst);
    }

    /// Whether all spouts are done or inactive.
    pub fn is_done(&self) -> bool {
        traffic::is_done(self.wiring.directory.iter().map(|a| &a.traffic))
    }

    /// Whether all spouts are done or inactive and everything is processed.
    pub fn is_complete(&self) -> bool {
        traffic::is_complete(self.wiring.directory.iter().map(|a| &a.traffic))
    }

    /// Whether nothing is on its way, pending or retained.
    pub fn is_quiet(&self) -> bool {
        traffic::is_quiet(self.wiring.directory.iter().map(|a| &a.traffic))
    }

    /// The figures of all executors that answer within `timeout`; one that is stuck in user code
    /// is left out.
    #[expect(clippy::disallowed_methods, reason = "a deadline for people, not for tuples")]
    pub fn snapshot(&self, timeout: Duration) -> Snapshot {
        let deadline = Instant::now() + timeout;
        let (reply, answers) = mpsc::channel::<ExecutorSnapshot>();
        let patience = Patience::default();
        for address in self.wiring.directory.here() {
            address.ask(Asker::new(reply.clone(), &patience));
        }
        drop(reply);
        let mut executors = Vec::with_capacity(self.executor_count());
        while executors.len() < self.executor_count() {
            let left = deadline.saturating_duration_since(Instant::now());
            match answers.recv_timeout(left) {
                Ok(executor) => executors.push(executor),
                Err(_) => break,
            }
        }
        executors.sort_by_key(|e| e.executor.first);
        Snapshot { executors }
    }

    /// Number of executors in this worker.
    pub fn executor_count(&self) -> usize {
        self.wiring.directory.here().count()
    }

    /// Stops every executor, calls `close` and `cleanup`, and waits for their threads; a task that
    /// is stuck in user code is waited for.
    pub fn stop(&mut self) {
        self.begin_stop();
        self.finish_stop();
    }

    /// Tells every executor to stop; [`has_ended`](Run::has_ended) tells when they have.
    pub fn begin_stop(&self) {
        self.tell_all(|| Control::Stop);
    }

    /// Whether the threads of all executors have ended.
    pub fn has_ended(&self) -> bool {
        self.threads.have_ended()
    }

    /// Waits for the threads of all executors, and tells the worker's hooks.
    pub fn finish_stop(&mut self) {
        self.threads.join(self.watchdog.take());
        self.is_stopped = true;
        self.wiring.shut_down();
    }

    fn tell_all(&self, mut control: impl FnMut() -> Control) {
        for address in self.wiring.directory.here() {
            address.control(control());
        }
    }
}

impl Drop for Run {
    /// Tells every executor to stop, and does not wait for it.
    fn drop(&mut self) {
        if !self.is_stopped {
            self.begin_stop();
            self.threads.leave();
        }
    }
}
