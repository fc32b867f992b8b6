//! The start of a worker, until its tasks are made: what it is told meanwhile counts at once, however long
//! user code takes.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use storm_engine::gateway::Gateway;
use storm_engine::{Options, Run, RunError, Settings};
use storm_model::{Assignment, ExecutorId, Status};
use storm_topology::Topology;

use crate::life::{Life, Part};
use crate::mailbox::{Mailbox, News};
use crate::reporting::millis;
use crate::tuning::Tuner;
use crate::worker::WorkerError;

/// How long a former worker may still hold the port.
const PORT_WAIT: Duration = Duration::from_secs(20);
/// Time between two attempts to get it.
const PORT_RETRY: Duration = Duration::from_millis(50);

/// What the topology is meant to do, and how often it was given another state; 0: not known.
pub(crate) type Told = (Status, u64);

/// What a worker that starts has been told.
pub(crate) struct Start<'a> {
    life: &'a Life,
    mailbox: &'a Arc<Mailbox>,
    assignment: Option<Assignment>,
    state: Option<Told>,
    tuner: Tuner,
    /// It is not to go on beyond this moment.
    until: Option<Instant>,
}

/// What a worker has when it begins to work.
pub(crate) struct Made {
    pub(crate) run: Run,
    pub(crate) gateway: Gateway,
}

/// How the making of the tasks ended.
pub(crate) enum Making {
    Made(Box<Made>),
    /// It was told to stop before that: what is there, if anything, is to be ended.
    Stopped(Option<Box<Made>>),
    /// The engine itself has panicked.
    Panicked,
}

impl<'a> Start<'a> {
    pub(crate) fn new(life: &'a Life, mailbox: &'a Arc<Mailbox>, tuner: Tuner) -> Start<'a> {
        Start { life, mailbox, assignment: None, state: None, tuner, until: None }
    }

    /// The newest assignment, and what the topology is meant to do.
    pub(crate) fn known(&self) -> Option<(&Assignment, Told)> {
        Some((self.assignment.as_ref()?, self.state?))
    }

    /// All that it has been told: the newest assignment, what the topology is meant to do, and what was changed
    /// of it.
    pub(crate) fn into_known(self) -> (Option<(Assignment, Told)>, Tuner) {
        (self.assignment.zip(self.state), self.tuner)
    }

    /// Waits for the next news, at most until then.
    fn wait(&mut self, until: Option<Instant>) -> Option<News> {
        loop {
            let now_ms = millis(SystemTime::now());
            self.tuner.look(now_ms);
            let tuned = self.tuner.wait(now_ms).map(|wait| Instant::now() + wait);
            let soonest = until.into_iter().chain(tuned).min();
            let news = self.mailbox.wait(soonest);
            if news.is_some() || until.is_some_and(|until| Instant::now() >= until) {
                return news;
            }
        }
    }

    /// Waits for the first assignment and what the topology is meant to do. False when it is to stop.
    pub(crate) fn await_assignment(&mut self) -> bool {
        while self.known().is_none() && self.until.is_none() {
            if let Some(news) = self.wait(None) {
                self.hear(news);
            }
        }
        self.until.is_none()
    }

    /// Takes the port. `None` when it is to stop.
    pub(crate) fn listen(&mut self, bind: &str, port: u16) -> Result<Option<TcpListener>, WorkerError> {
        let deadline = Instant::now() + PORT_WAIT;
        while self.until.is_none() {
            match TcpListener::bind((bind, port)) {
                Ok(listener) => return Ok(Some(listener)),
                // A former worker may be about to end.
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                    if let Some(news) = self.wait(Some(Instant::now() + PORT_RETRY)) {
                        self.hear(news);
                    }
                }
                Err(source) => return Err(WorkerError::Port { port, source }),
            }
        }
        Ok(None)
    }

    /// Makes the tasks, on a thread of its own: user code may block there for as long as it likes.
    pub(crate) fn make(
        &mut self,
        topology: Topology,
        settings: Settings,
        options: Options,
        here: BTreeSet<ExecutorId>,
    ) -> Result<Making, WorkerError> {
        let (sender, made) = mpsc::channel::<Result<Box<Made>, RunError>>();
        let done = Announce(self.mailbox.clone());
        let maker = std::thread::Builder::new().name("maker".to_owned()).spawn(move || {
            let _done = done;
            let made = Run::prepare(topology, settings, options, Some(here));
            sender.send(made.map(|(run, gateway)| Box::new(Made { run, gateway }))).ok();
        });
        maker.map_err(WorkerError::Maker)?;
        loop {
            match self.wait(self.until) {
                Some(News::Made) => {
                    let made = match made.recv() {
                        Ok(made) => made?,
                        Err(mpsc::RecvError) => return Ok(Making::Panicked),
                    };
                    return Ok(match self.until {
                        None => Making::Made(made),
                        Some(_) => Making::Stopped(Some(made)),
                    });
                }
                Some(news) => self.hear(news),
                None => {
                    tracing::warn!("tasks are still being made in user code: they are left behind");
                    return Ok(Making::Stopped(None));
                }
            }
        }
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Assignment(new) => {
                if self.assignment.as_ref().is_some_and(|known| known.version >= new.version) {
                    return;
                }
                match self.life.part(&new) {
                    Part::NotYet => return,
                    Part::Mine(_) => {}
                    Part::Past => {
                        let version = new.version;
                        tracing::info!(version, "the assignment does not list this worker; ending");
                        self.stop(Duration::ZERO);
                    }
                }
                self.assignment = Some(new);
            }
            News::State(new, version) => self.state = Some((new, version)),
            News::Tuning(new) => {
                self.tuner.take(new, millis(SystemTime::now()));
            }
            News::Stop { within, reason } => {
                tracing::info!(reason, "told to stop during the start");
                self.stop(within);
            }
            // There are no peers yet.
            News::Made | News::Peer { .. } | News::Told { .. } | News::Stale { .. } => {}
        }
    }

    fn stop(&mut self, within: Duration) {
        let until = Instant::now() + within;
        self.until = Some(self.until.map_or(until, |known| known.min(until)));
    }
}

/// Says that the tasks are made, or that they will never be.
struct Announce(Arc<Mailbox>);

impl Drop for Announce {
    fn drop(&mut self) {
        self.0.post(News::Made);
    }
}
