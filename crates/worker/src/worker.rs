//! The loop of a worker: follows its orders and its peers, tells how it is.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rand::TryRngCore;
use rand::rngs::OsRng;
use storm_engine::{ErrorKind, Event, Options, Run, RunError, Settings};
use storm_figures::Snapshot;
use storm_logs::Limit;
use storm_messaging::{Identity, Key, Refusal};
use storm_model::tasks::{TaskTable, executors};
use storm_model::{Assignment, ExecutorId, Status, WorkerSlot};
use storm_rpc::launch::WorkerFile;
use storm_rpc::v1::{self, WorkerState};
use storm_topology::{FailCause, Resources, Topology, WorkerHook, WorkerInfo};

use crate::control_line::{ControlLine, Ends, Outgoing};
use crate::events_log::EventsLog;
use crate::gate::{Doorkeeper, slot_text};
use crate::life::{Life, Order, Part, are_known};
use crate::mailbox::{Mailbox, News};
use crate::peers::Peers;
use crate::quiet::Rounds;
use crate::reporting;
use crate::start::{Made, Making, Start};
use crate::stuck::Stuck;
use crate::tuning::{Loggers, Tuner};

/// Time between two sets of figures.
const FIGURES_EVERY: Duration = Duration::from_secs(1);
/// How often to look whether everything is processed, while it is waited for.
const QUIET_EVERY: Duration = Duration::from_millis(10);
/// How long a snapshot waits for executors that are busy in user code.
const SNAPSHOT_WAIT: Duration = Duration::from_millis(200);
/// How long `close` and `cleanup` of tasks may take beyond the time that was given for the end.
const CLOSE_WAIT: Duration = Duration::from_secs(1);
/// Time to end in after a termination signal.
const SIGNAL_WAIT: Duration = Duration::from_secs(2);
/// Events of the engine that are taken before orders and peers are heard again.
const EVENTS_AT_ONCE: usize = 1000;
/// The engine itself panicked: a bug of storm-rs.
const ENGINE_PANICKED: u8 = 20;

/// Why a worker could not start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A component, a hook or a thread could not be started.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The port is taken.
    #[error("port {port} of this worker is taken: {source}")]
    Port {
        /// The slot's port.
        port: u16,
        /// The system's words.
        source: std::io::Error,
    },
    /// The network part could not start.
    #[error(transparent)]
    Messaging(#[from] storm_messaging::Error),
    /// The topology that was made here has other executors than the assignment.
    #[error(
        "the assignment lists executors that this topology does not have: its parallelism was changed \
         meanwhile; this worker has to start anew"
    )]
    Parallelism,
    /// The thread that makes the tasks could not be started.
    #[error("the thread that makes the tasks could not be started: {0}")]
    Maker(#[source] std::io::Error),
    /// The thread of the line to the supervisor could not be started.
    #[error("the line to the supervisor could not be started: {0}")]
    ControlLine(#[source] std::io::Error),
    /// Termination signals cannot be caught.
    #[error("cannot catch termination signals: {0}")]
    Signal(#[from] ctrlc::Error),
}

/// What a worker has of the process that it runs in.
pub struct Process {
    /// What the process logs with.
    pub loggers: Box<dyn Loggers>,
    /// How large the file of sampled tuples becomes.
    pub events_limit: Limit,
}

/// Ends a worker from outside. Clones are the same.
#[derive(Clone, Default)]
pub struct Stopper(Arc<Mailbox>);

impl Stopper {
    /// Has the worker end in good order, within this time.
    pub fn stop(&self, within: Duration, reason: &str) {
        self.0.post(News::Stop { within, reason: reason.to_owned() });
    }
}

/// Works on a part of a topology until the assignment does not want it any more, or it is told to stop; a
/// termination signal does that, too.
///
/// Exit codes: 0 it has ended in good order; 1 it could not start, or a component said that the topology
/// cannot go on; 20 the engine itself panicked.
///
/// # Errors
/// When it could not start. The supervisor has been told.
pub fn run(
    file: WorkerFile,
    topology: Topology,
    settings: Settings,
    process: Process,
) -> Result<ExitCode, WorkerError> {
    let stopper = Stopper::default();
    let signalled = stopper.clone();
    ctrlc::set_handler(move || signalled.stop(SIGNAL_WAIT, "a termination signal"))?;
    run_until(file, topology, settings, process, &stopper)
}

/// As [`run`], but leaves signals alone: it ends when it is told so.
///
/// # Errors
/// As [`run`].
pub fn run_until(
    file: WorkerFile,
    topology: Topology,
    settings: Settings,
    process: Process,
    stopper: &Stopper,
) -> Result<ExitCode, WorkerError> {
    let mailbox = stopper.0.clone();
    let outgoing = Arc::new(Outgoing::new(first_report(&file)));
    let ends = Ends {
        topology: file.topology_id.clone(),
        supervisor: file.supervisor_address.clone(),
        nimbuses: file.nimbus_addresses.clone(),
        token: file.token.clone(),
    };
    let line =
        ControlLine::start(ends, outgoing.clone(), mailbox.clone()).map_err(WorkerError::ControlLine)?;
    let result = work(&file, topology, settings, process, &mailbox, &outgoing);
    if let Err(error) = &result {
        outgoing.error(start_error(&file, error));
    }
    outgoing.update(true, |report| report.state = WorkerState::Stopping.into());
    line.end();
    result
}

fn first_report(file: &WorkerFile) -> v1::WorkerReport {
    let slot = WorkerSlot { supervisor: file.supervisor_id.clone(), port: file.port };
    v1::WorkerReport {
        topology_id: file.topology_id.to_string(),
        slot: Some((&slot).into()),
        incarnation: Some(file.incarnation.into()),
        pid: std::process::id(),
        state: WorkerState::Starting.into(),
        ..Default::default()
    }
}

/// An error of the worker as a whole.
fn own_error(file: &WorkerFile, kind: &str, message: String) -> v1::ErrorReport {
    v1::ErrorReport {
        time_ms: reporting::millis(SystemTime::now()),
        host: file.host.clone(),
        port: file.port.into(),
        message,
        kind: kind.to_owned(),
        ..Default::default()
    }
}

/// Why it could not start, under the component that is at fault if one is.
fn start_error(file: &WorkerFile, error: &WorkerError) -> v1::ErrorReport {
    let report = own_error(file, "start", error.to_string());
    match error {
        WorkerError::Run(RunError::Start(start)) => {
            v1::ErrorReport { component: start.component.to_string(), task: start.task.0, ..report }
        }
        _ => report,
    }
}

/// Tells tasks and hooks where they run.
struct Introduce(WorkerInfo);

impl WorkerHook for Introduce {
    fn start(
        &self,
        resources: &mut Resources,
        _: &storm_model::ConfigMap,
    ) -> Result<(), storm_topology::ComponentError> {
        self.0.clone().introduce(resources);
        Ok(())
    }
}

fn work(
    file: &WorkerFile,
    mut topology: Topology,
    mut settings: Settings,
    process: Process,
    mailbox: &Arc<Mailbox>,
    outgoing: &Arc<Outgoing>,
) -> Result<ExitCode, WorkerError> {
    let me = WorkerSlot { supervisor: file.supervisor_id.clone(), port: file.port };
    let life = Life { slot: me.clone(), incarnation: file.incarnation };
    let mut start = Start::new(&life, mailbox, Tuner::new(process.loggers));
    if !start.await_assignment() {
        return Ok(ExitCode::SUCCESS);
    }
    // Before the tasks are made: a port that is not free is told at once.
    let Some(listener) = start.listen(&file.bind, file.port)? else { return Ok(ExitCode::SUCCESS) };
    let Some((assignment, (state, state_version))) = start.known() else { return Ok(ExitCode::SUCCESS) };
    let Part::Mine(mine) = life.part(assignment) else { return Ok(ExitCode::SUCCESS) };
    let all = executors(&topology.spec, &TaskTable::new(&topology.spec));
    let all: BTreeSet<ExecutorId> = all.into_iter().map(|(_, executor)| executor).collect();
    if !are_known(&all, assignment) {
        return Err(WorkerError::Parallelism);
    }
    let executors = mine.executors.clone();
    let here = executors.iter().map(|e| e.executor).collect();
    let info = WorkerInfo { host: file.host.clone(), port: file.port, incarnation: file.incarnation };
    topology.worker_hooks.insert(0, Arc::new(Introduce(info)));
    let options = Options {
        name: file.topology_name.clone(),
        // Edge ids and ledgers of two lives must have nothing in common.
        seed: OsRng.try_next_u64().unwrap_or_else(|_| reporting::millis(SystemTime::now())),
        is_active: state == Status::Active,
    };
    // Ends when the tasks have ended.
    let events = events_log(file, process.events_limit);
    settings.events = events.as_ref().map(EventsLog::sink);
    let Made { mut run, gateway } = match start.make(topology, settings, options, here)? {
        Making::Made(made) => *made,
        Making::Stopped(made) => {
            if let Some(mut made) = made {
                close(&mut made.run, CLOSE_WAIT, |_| ());
            }
            return Ok(ExitCode::SUCCESS);
        }
        Making::Panicked => {
            outgoing.error(own_error(file, "exit", ENGINE_BUG.to_owned()));
            return Ok(ExitCode::from(ENGINE_PANICKED));
        }
    };
    mailbox.tell(run.signaller());
    outgoing.wake_by(run.signaller());
    let identity = Identity {
        topology: file.topology_id.to_string(),
        slot: slot_text(&me),
        incarnation: file.incarnation,
    };
    let gate = Arc::new(Doorkeeper::new(mailbox.clone()));
    let key = Key::new(file.peer_key.as_bytes());
    let listening = Peers::listen(listener, identity, me, key, gateway, gate, mailbox.clone());
    let peers = match listening {
        Ok(peers) => peers,
        Err(error) => {
            close(&mut run, CLOSE_WAIT, |_| ());
            return Err(error.into());
        }
    };
    outgoing.update(true, |report| report.state = WorkerState::Prepared.into());
    let now = Instant::now();
    let (known, tuner) = start.into_known();
    if tuner.samples() {
        run.sample(|component| tuner.percent_of(component.as_str()));
    }
    let mut worker = Worker {
        file: file.clone(),
        life: life.clone(),
        executors,
        all,
        run,
        peers,
        outgoing: outgoing.clone(),
        state,
        state_version,
        version: 0,
        newest_heard: 0,
        are_spouts_started: false,
        has_started: false,
        rounds: Rounds::default(),
        stuck: Stuck::default(),
        tuner,
        next_figures: now,
        is_broken: false,
    };
    // What was told while the tasks were made.
    if let Some((assignment, (newest, state_version))) = known {
        worker.state_version = state_version;
        worker.run_as(state, newest);
        if let Then::End(within) = worker.follow(&assignment) {
            return Ok(worker.end(within, mailbox));
        }
    }
    Ok(worker.live(mailbox))
}

/// Where sampled tuples go, if the supervisor says where.
fn events_log(file: &WorkerFile, limit: Limit) -> Option<EventsLog> {
    let started = EventsLog::start(file.events_log.clone()?, limit);
    started.inspect_err(|error| tracing::warn!(%error, "no tuples can be sampled")).ok()
}

const ENGINE_BUG: &str = "the engine panicked; this is a bug of storm-rs, the log says more";

/// Ends all tasks, as far as they end within this time; one that hangs in user code is left behind. False
/// when the engine panicked meanwhile.
fn close(run: &mut Run, within: Duration, mut told: impl FnMut(storm_engine::ErrorReport)) -> bool {
    let mut is_sound = true;
    let deadline = Instant::now() + within;
    run.begin_stop();
    while !run.has_ended() && Instant::now() < deadline {
        match run.next_event(Duration::from_millis(10)) {
            Some(Event::Error(report)) => told(report),
            Some(Event::Ended { has_panicked: true, .. }) => is_sound = false,
            _ => {}
        }
    }
    if run.has_ended() {
        run.finish_stop();
    } else {
        tracing::warn!("a task hangs in user code: it is left behind");
    }
    is_sound
}

struct Worker {
    file: WorkerFile,
    life: Life,
    executors: Vec<storm_model::AssignedExecutor>,
    /// Those of the whole topology.
    all: BTreeSet<ExecutorId>,
    /// Ends before the lines do.
    run: Run,
    peers: Peers,
    outgoing: Arc<Outgoing>,
    /// What the topology is meant to do.
    state: Status,
    /// How often it was given another state; 0: not known.
    state_version: u64,
    version: u64,
    /// The newest version that a peer has named.
    newest_heard: u64,
    /// Spouts may emit, as far as the topology is active.
    are_spouts_started: bool,
    has_started: bool,
    rounds: Rounds,
    stuck: Stuck,
    tuner: Tuner,
    next_figures: Instant,
    /// A component has said that the topology cannot go on.
    is_broken: bool,
}

/// What the loop goes on with.
enum Then {
    Go,
    /// End in good order within this time.
    End(Duration),
    /// The engine has panicked.
    Panicked,
}

impl Worker {
    fn live(mut self, mailbox: &Mailbox) -> ExitCode {
        loop {
            match self.turn(mailbox) {
                Then::Go => {}
                Then::End(within) => return self.end(within, mailbox),
                Then::Panicked => return ExitCode::from(ENGINE_PANICKED),
            }
            if self.is_broken {
                // Whoever starts it again finds the same; the back-off keeps that rare.
                self.end(Duration::ZERO, mailbox);
                return ExitCode::FAILURE;
            }
        }
    }

    fn turn(&mut self, mailbox: &Mailbox) -> Then {
        let now = Instant::now();
        let mut wait = self.next_figures.saturating_duration_since(now);
        if self.open_round().is_some() {
            wait = wait.min(QUIET_EVERY);
        }
        if let Some(at) = self.peers.next_reopening() {
            wait = wait.min(at.saturating_duration_since(now));
        }
        let now_ms = reporting::millis(SystemTime::now());
        self.tuner.look(now_ms);
        if let Some(until_end) = self.tuner.wait(now_ms) {
            wait = wait.min(until_end);
        }
        if let Then::Panicked = self.take_events(wait) {
            return Then::Panicked;
        }
        while let Some(news) = mailbox.take() {
            match self.hear(news) {
                Then::Go => {}
                then => return then,
            }
        }
        self.peers.reopen(Instant::now());
        self.start_or_hold();
        self.tell();
        Then::Go
    }

    /// Waits for an event and takes it and those behind it, but not so many that nobody else is heard.
    fn take_events(&mut self, wait: Duration) -> Then {
        let mut wait = wait;
        for _ in 0..EVENTS_AT_ONCE {
            match self.run.next_event(wait) {
                None => break,
                Some(Event::Error(report)) => self.report_error(report),
                Some(Event::Ended { has_panicked: true, .. }) => {
                    self.outgoing.error(own_error(&self.file, "exit", ENGINE_BUG.to_owned()));
                    return Then::Panicked;
                }
                Some(
                    Event::Ended { .. }
                    | Event::Signal
                    | Event::SpoutDone
                    | Event::Idle
                    | Event::Prepared(..),
                ) => {}
            }
            wait = Duration::ZERO;
        }
        Then::Go
    }

    fn hear(&mut self, news: News) -> Then {
        match news {
            News::Assignment(assignment) => return self.follow(&assignment),
            News::State(state, version) => self.set_state(state, version),
            News::Tuning(tuning) => {
                if self.tuner.take(tuning, reporting::millis(SystemTime::now())) {
                    self.run.sample(|component| self.tuner.percent_of(component.as_str()));
                }
            }
            News::Stop { within, reason } => {
                // While the topology drains, its wait was the time to end in, and that is over.
                let within = if self.is_quiet_awaited() { Duration::ZERO } else { within };
                if self.state == Status::Rebalancing {
                    self.fail_as_moved();
                }
                tracing::info!(reason, within_secs = within.as_secs(), "told to stop");
                return Then::End(within);
            }
            News::Peer { slot, line, event } => {
                let outcome = self.peers.happened(&slot, line, event, Instant::now());
                if let Some(trouble) = outcome.trouble {
                    self.outgoing.error(own_error(&self.file, "reported", trouble));
                }
                if outcome.has_lost {
                    self.run.hasten();
                }
            }
            News::Told { slot, line, standing } => {
                self.peers.told(&slot, line, standing);
                if standing.version > self.version.max(self.newest_heard) {
                    self.newest_heard = standing.version;
                    self.outgoing.ask();
                }
            }
            News::Stale { by, refusal } => {
                if let Some(refusal) = refusal {
                    tracing::warn!(peer = by, %refusal, "refused; asking for the newest assignment");
                    if let Refusal::Replaced { newest } = refusal
                        && self.life.is_replaced_by(newest)
                    {
                        let message =
                            format!("incarnation {newest} of this worker has shown itself: {by} says so");
                        self.outgoing.error(own_error(&self.file, "exit", message));
                        return Then::End(Duration::ZERO);
                    }
                }
                self.outgoing.ask();
            }
            News::Made => {}
        }
        Then::Go
    }

    /// Does what a newer assignment says.
    fn follow(&mut self, assignment: &Assignment) -> Then {
        let version = assignment.version;
        match self.life.judge(self.version, &self.executors, &self.all, assignment) {
            Order::Ignore => return Then::Go,
            Order::Leave(reason) => {
                tracing::info!(version, reason, "ending");
                if self.state != Status::Killed {
                    self.fail_as_moved();
                }
                return Then::End(Duration::ZERO);
            }
            Order::Follow => {}
        }
        let is_first = std::mem::replace(&mut self.version, version) == 0;
        let has_lost = self.peers.follow(assignment, Instant::now());
        // At once: what spouts emit from here on may meet a worker that does not know of it yet.
        self.start_or_hold();
        tracing::info!(version, workers = assignment.workers.len(), "follows the assignment");
        if has_lost && !is_first {
            match self.state {
                // The wait for it to be processed is over.
                Status::Rebalancing => self.fail_as_moved(),
                _ => self.run.hasten(),
            }
        }
        self.rounds.forget();
        self.outgoing.update(true, |report| {
            report.assignment_version = version;
            report.quiet_look = None;
        });
        Then::Go
    }

    /// Nobody waits any longer for what is pending: its targets are moved.
    fn fail_as_moved(&mut self) {
        let pending = self.run.snapshot(SNAPSHOT_WAIT).spouts(|task| task.pending);
        self.run.fail_pending(FailCause::Moved);
        self.outgoing.update(true, |report| report.moved += pending);
    }

    fn set_state(&mut self, state: Status, version: u64) {
        let is_same_version = std::mem::replace(&mut self.state_version, version) == version;
        let former = std::mem::replace(&mut self.state, state);
        if former == state {
            if !is_same_version {
                // It had another one in between, and what was said before that is over.
                self.rounds.forget();
                self.outgoing.update(true, |report| report.quiet_look = None);
            }
            return;
        }
        tracing::info!(from = %former, to = %state, "the topology changes its state");
        self.run_as(former, state);
        let is_active = self.is_active();
        self.outgoing.update(true, |report| {
            report.is_active = is_active;
            report.quiet_look = None;
            report.is_done = false;
        });
    }

    /// Tells the spouts, if it makes a difference to them.
    fn run_as(&mut self, former: Status, state: Status) {
        self.state = state;
        self.rounds.forget();
        match (former == Status::Active, state == Status::Active) {
            (false, true) => self.run.activate(),
            (true, false) => self.run.deactivate(),
            _ => {}
        }
    }

    /// Whether spouts are told to emit.
    fn is_active(&self) -> bool {
        self.state == Status::Active && self.are_spouts_started
    }

    /// Whether somebody waits for all to be processed.
    fn is_quiet_awaited(&self) -> bool {
        matches!(self.state, Status::Killed | Status::Rebalancing)
    }

    /// Spouts begin when all workers are ready. A line that breaks later stops nobody.
    fn start_or_hold(&mut self) {
        let is_ready = self.peers.are_ready();
        if is_ready == self.are_spouts_started {
            return;
        }
        self.are_spouts_started = is_ready;
        if is_ready {
            self.run.start_spouts();
            if !std::mem::replace(&mut self.has_started, true) {
                tracing::info!("all workers are ready: the spouts begin");
            }
        } else {
            self.run.hold_spouts();
        }
        let state = if is_ready { WorkerState::Running } else { WorkerState::Prepared };
        let (is_active, missing) = (self.is_active(), self.peers.missing());
        self.outgoing.update(true, |report| {
            report.state = state.into();
            report.is_active = is_active;
            report.missing_peers = missing;
        });
    }

    fn report_error(&mut self, report: storm_engine::ErrorReport) {
        let (component, task) = (&report.component, report.task);
        tracing::error!(%component, %task, error = report.message, "error of a component");
        self.is_broken |= report.kind == ErrorKind::Fatal;
        self.outgoing.error(reporting::error(report, &self.file.host, self.file.port));
    }

    /// The round that Nimbus waits for. Spouts that have not heard yet that they are to stop are not quiet, though
    /// they look so.
    fn open_round(&self) -> Option<u64> {
        self.rounds.open(self.outgoing.round()).filter(|_| self.is_quiet_awaited())
    }

    /// Looks whether nothing is on its way here, if Nimbus asks.
    fn look(&mut self) -> Option<v1::QuietLook> {
        // Before the look: it belongs to no round that is asked meanwhile.
        let round = self.open_round()?;
        // A line that is made anew may have been counted at its other end in its former life.
        if !self.peers.missing().is_empty() {
            return None;
        }
        let before = self.peers.rows();
        let is_complete = self.run.is_complete();
        let after = self.peers.rows();
        let look = self.rounds.look(round, is_complete, before, after)?;
        Some(v1::QuietLook { state_version: self.state_version, ..look })
    }

    /// Reports figures when they are due, and at once that everything is processed.
    fn tell(&mut self) {
        if let Some(look) = self.look() {
            self.outgoing.update(true, |report| report.quiet_look = Some(look));
        }
        let now = Instant::now();
        if now < self.next_figures {
            return;
        }
        self.next_figures = now + FIGURES_EVERY;
        if self.newest_heard > self.version {
            self.outgoing.ask();
        }
        let snapshot = self.run.snapshot(SNAPSHOT_WAIT);
        self.tell_stuck(&snapshot);
        let figures = reporting::figures(&snapshot);
        let missing = self.peers.missing();
        let is_active = self.is_active();
        let is_done = is_active && self.run.is_complete();
        self.outgoing.update(false, |report| {
            report.figures = figures.into();
            report.pending = snapshot.spouts(|task| task.pending);
            report.missing_peers = missing;
            report.is_done = is_done;
            report.is_active = is_active;
            report.memory_bytes = reporting::memory_bytes();
        });
    }

    fn tell_stuck(&mut self, snapshot: &Snapshot) {
        let answered = snapshot.executors.iter().map(|e| e.executor);
        for (executor, silent) in self.stuck.look(Instant::now(), &self.executors, answered) {
            let message = reporting::stuck(executor.executor, silent);
            tracing::warn!(component = %executor.component, message, "an executor does not answer");
            self.outgoing.error(v1::ErrorReport {
                component: executor.component.to_string(),
                task: executor.executor.first.0,
                ..own_error(&self.file, "slow", message)
            });
        }
    }

    /// Ends in good order: nothing more is emitted, what is there is processed as far as time allows,
    /// tasks are closed. A task that hangs in user code is left behind.
    fn end(&mut self, within: Duration, mailbox: &Mailbox) -> ExitCode {
        self.outgoing.update(true, |report| report.state = WorkerState::Stopping.into());
        self.run.hold_spouts();
        self.run.deactivate();
        let mut deadline = Instant::now() + within;
        let mut is_sound = true;
        while is_sound && !self.run.is_complete() && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            is_sound = !matches!(self.take_events(QUIET_EVERY.min(left)), Then::Panicked);
            while let Some(news) = mailbox.take() {
                match news {
                    // A peer that is started again may hold what is waited for.
                    News::Peer { .. } | News::Tuning(_) => drop(self.hear(news)),
                    News::Stop { within, .. } => deadline = deadline.min(Instant::now() + within),
                    // Its peers leave, too: what is not done by now is moved.
                    News::Assignment(newest) => {
                        let order = self.life.judge(self.version, &self.executors, &self.all, &newest);
                        if matches!(order, Order::Leave(_)) && self.state != Status::Killed {
                            self.fail_as_moved();
                            deadline = Instant::now();
                        }
                    }
                    _ => {}
                }
            }
            self.peers.reopen(Instant::now());
            self.tell();
        }
        let figures = reporting::figures(&self.run.snapshot(SNAPSHOT_WAIT));
        self.outgoing.update(true, |report| report.figures = figures.into());
        let (outgoing, file) = (&self.outgoing, &self.file);
        is_sound &= close(&mut self.run, CLOSE_WAIT.max(within / 4), |report| {
            tracing::error!(component = %report.component, task = %report.task, error = report.message, "error of a component");
            outgoing.error(reporting::error(report, &file.host, file.port));
        });
        if is_sound { ExitCode::SUCCESS } else { ExitCode::from(ENGINE_PANICKED) }
    }
}
