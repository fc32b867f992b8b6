//! The loop of a worker: follows its orders and its peers, tells how it is.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rand::TryRngCore;
use rand::rngs::OsRng;
use storm_engine::{ErrorKind, Event, Options, Run, RunError, Settings};
use storm_messaging::{Identity, Key};
use storm_model::{Assignment, ExecutorId, Status, WorkerAssignment, WorkerSlot};
use storm_rpc::launch::WorkerFile;
use storm_rpc::v1::{self, WorkerState};
use storm_topology::{FailCause, Topology};

use crate::control_line::{ControlLine, Ends, Outgoing};
use crate::gate::{Doorkeeper, slot_text};
use crate::mailbox::{Mailbox, News};
use crate::peers::Peers;
use crate::reporting;

/// Time between two sets of figures.
const FIGURES_EVERY: Duration = Duration::from_secs(1);
/// How often to look whether everything is processed, while it is waited for.
const QUIET_EVERY: Duration = Duration::from_millis(50);
/// How long a snapshot waits for executors that are busy in user code.
const SNAPSHOT_WAIT: Duration = Duration::from_millis(200);
/// How long `close` and `cleanup` of tasks may take beyond the time that was given for the end.
const CLOSE_WAIT: Duration = Duration::from_secs(1);
/// Time to end in after a termination signal.
const SIGNAL_WAIT: Duration = Duration::from_secs(2);
/// How long a former worker may still hold the port.
const PORT_WAIT: Duration = Duration::from_secs(20);
/// Time between two attempts to get it.
const PORT_RETRY: Duration = Duration::from_millis(50);

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
    /// The thread of the line to the supervisor could not be started.
    #[error("the line to the supervisor could not be started: {0}")]
    ControlLine(#[source] std::io::Error),
    /// Termination signals cannot be caught.
    #[error("cannot catch termination signals: {0}")]
    Signal(#[from] ctrlc::Error),
}

/// Works on a part of a topology until the assignment does not want it any more, or it is told to stop.
///
/// Exit codes: 0 it has ended in good order; 1 it could not start, or a component said that the topology
/// cannot go on; 20 the engine itself panicked.
///
/// # Errors
/// When it could not start. The supervisor has been told.
pub fn run(file: WorkerFile, topology: Topology, settings: Settings) -> Result<ExitCode, WorkerError> {
    let mailbox = Arc::new(Mailbox::default());
    let signalled = mailbox.clone();
    ctrlc::set_handler(move || {
        signalled.post(News::Stop { within: SIGNAL_WAIT, reason: "a termination signal".to_owned() });
    })?;
    let outgoing = Arc::new(Outgoing::new(first_report(&file)));
    let ends = Ends {
        supervisor: file.supervisor_address.clone(),
        nimbuses: file.nimbus_addresses.clone(),
        token: file.token.clone(),
    };
    let line =
        ControlLine::start(ends, outgoing.clone(), mailbox.clone()).map_err(WorkerError::ControlLine)?;
    let result = work(&file, topology, settings, &mailbox, &outgoing);
    if let Err(error) = &result {
        outgoing.error(own_error(&file, "start", error.to_string()));
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

fn work(
    file: &WorkerFile,
    topology: Topology,
    settings: Settings,
    mailbox: &Arc<Mailbox>,
    outgoing: &Arc<Outgoing>,
) -> Result<ExitCode, WorkerError> {
    let me = WorkerSlot { supervisor: file.supervisor_id.clone(), port: file.port };
    let Some((assignment, state)) = await_assignment(file, &me, mailbox) else {
        return Ok(ExitCode::SUCCESS);
    };
    let Some(mine) = own_part(&assignment, &me, file) else {
        tracing::info!(version = assignment.version, "the assignment does not list this worker; ending");
        return Ok(ExitCode::SUCCESS);
    };
    // Before the tasks are made: a port that is not free is told at once.
    let listener = listen(file)?;
    let here: BTreeSet<ExecutorId> = mine.executors.iter().map(|e| e.executor).collect();
    let options = Options {
        name: file.topology_name.clone(),
        // Edge ids and ledgers of two lives must have nothing in common.
        seed: OsRng.try_next_u64().unwrap_or_else(|_| reporting::millis(SystemTime::now())),
        is_active: state == Status::Active,
    };
    let (run, gateway) = Run::prepare(topology, settings, options, Some(here))?;
    mailbox.tell(run.signaller());
    let identity = Identity {
        topology: file.topology_id.to_string(),
        slot: slot_text(&me),
        incarnation: file.incarnation,
    };
    let gate = Arc::new(Doorkeeper::new(mailbox.clone()));
    let key = Key::new(file.peer_key.as_bytes());
    let peers = Peers::listen(listener, identity, me.clone(), key, gateway, gate, mailbox.clone())?;
    outgoing.update(true, |report| report.state = WorkerState::Prepared.into());
    let executors = mine.executors;
    let mut worker = Worker {
        file: file.clone(),
        me,
        executors,
        run,
        peers,
        outgoing: outgoing.clone(),
        state,
        version: 0,
        are_spouts_started: false,
        has_started: false,
        told_quiet: false,
        next_figures: Instant::now(),
        is_broken: false,
    };
    worker.follow(&assignment)?;
    worker.live(mailbox)
}

/// The first assignment and what the topology is meant to do; `None` when it is to stop.
fn await_assignment(file: &WorkerFile, me: &WorkerSlot, mailbox: &Mailbox) -> Option<(Assignment, Status)> {
    let (mut assignment, mut state) = (None::<Assignment>, None);
    loop {
        match mailbox.wait() {
            News::Assignment(new) => {
                if assignment.as_ref().is_none_or(|old| old.version <= new.version) {
                    // One that is older than the one which started this worker is of no use.
                    let is_ours = own_part(&new, me, file).is_some();
                    let is_past = new.worker(me).is_none_or(|w| w.number > file.incarnation.number);
                    if is_ours || is_past {
                        assignment = Some(new);
                    }
                }
            }
            News::State(new) => state = Some(new),
            News::Stop { reason, .. } => {
                tracing::info!(reason, "told to stop before the start");
                return None;
            }
            News::Peer { .. } | News::Prepared { .. } | News::Stale { .. } => {}
        }
        if let (Some(_), Some(state)) = (&assignment, state) {
            return assignment.map(|assignment| (assignment, state));
        }
    }
}

/// What this worker runs, if the assignment lists this life of it.
fn own_part(assignment: &Assignment, me: &WorkerSlot, file: &WorkerFile) -> Option<WorkerAssignment> {
    assignment.worker(me).filter(|worker| worker.number == file.incarnation.number).cloned()
}

fn listen(file: &WorkerFile) -> Result<TcpListener, WorkerError> {
    let deadline = Instant::now() + PORT_WAIT;
    loop {
        match TcpListener::bind((file.bind.as_str(), file.port)) {
            Ok(listener) => return Ok(listener),
            // A former worker may be about to end.
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                std::thread::park_timeout(PORT_RETRY);
            }
            Err(source) => return Err(WorkerError::Port { port: file.port, source }),
        }
    }
}

struct Worker {
    file: WorkerFile,
    me: WorkerSlot,
    executors: Vec<storm_model::AssignedExecutor>,
    /// Ends before the lines do.
    run: Run,
    peers: Peers,
    outgoing: Arc<Outgoing>,
    /// What the topology is meant to do.
    state: Status,
    version: u64,
    /// Spouts may emit, as far as the topology is active.
    are_spouts_started: bool,
    has_started: bool,
    told_quiet: bool,
    next_figures: Instant,
    /// A component has said that the topology cannot go on.
    is_broken: bool,
}

/// What the loop goes on with.
enum Then {
    Go,
    /// End in good order within this time.
    End(Duration),
    Fail(ExitCode),
}

impl Worker {
    fn live(mut self, mailbox: &Mailbox) -> Result<ExitCode, WorkerError> {
        loop {
            let then = self.turn(mailbox)?;
            match then {
                Then::Go => {}
                Then::End(within) => return Ok(self.end(within)),
                Then::Fail(code) => return Ok(code),
            }
        }
    }

    fn turn(&mut self, mailbox: &Mailbox) -> Result<Then, WorkerError> {
        let mut wait = self.next_figures.saturating_duration_since(Instant::now());
        if self.state != Status::Active {
            wait = wait.min(QUIET_EVERY);
        }
        let mut event = self.run.next_event(wait);
        while let Some(happened) = event {
            match happened {
                Event::Error(report) => self.report_error(report),
                Event::Ended { has_panicked: true, .. } => {
                    let message = "the engine panicked; this is a bug of storm-rs, the log says more";
                    self.outgoing.error(own_error(&self.file, "exit", message.to_owned()));
                    return Ok(Then::Fail(ExitCode::from(20)));
                }
                Event::Ended { .. }
                | Event::Signal
                | Event::SpoutDone
                | Event::Idle
                | Event::Prepared(..) => {}
            }
            event = self.run.next_event(Duration::ZERO);
        }
        if self.is_broken {
            // Whoever starts it again finds the same; the back-off keeps that rare.
            self.end(Duration::ZERO);
            return Ok(Then::Fail(ExitCode::FAILURE));
        }
        while let Some(news) = mailbox.take() {
            match self.hear(news)? {
                Then::Go => {}
                then => return Ok(then),
            }
        }
        self.start_or_hold();
        self.tell();
        Ok(Then::Go)
    }

    fn hear(&mut self, news: News) -> Result<Then, WorkerError> {
        match news {
            News::Assignment(assignment) => return self.follow(&assignment),
            News::State(state) => self.set_state(state),
            News::Stop { within, reason } => {
                tracing::info!(reason, within_secs = within.as_secs(), "told to stop");
                return Ok(Then::End(within));
            }
            News::Peer { slot, line, event } => {
                if self.peers.happened(&slot, line, event)? {
                    self.run.hasten();
                }
            }
            News::Prepared { slot, line } => self.peers.prepared(&slot, line),
            News::Stale { by, refusal } => {
                if let Some(refusal) = refusal {
                    tracing::warn!(peer = by, %refusal, "refused; asking for the newest assignment");
                }
                self.outgoing.ask();
            }
        }
        Ok(Then::Go)
    }

    /// Does what a newer assignment says.
    fn follow(&mut self, assignment: &Assignment) -> Result<Then, WorkerError> {
        if assignment.version <= self.version {
            return Ok(Then::Go);
        }
        let mine = own_part(assignment, &self.me, &self.file);
        if mine.is_none_or(|mine| mine.executors != self.executors) {
            tracing::info!(version = assignment.version, "the newest assignment does not list this worker");
            return Ok(Then::End(Duration::ZERO));
        }
        let is_first = std::mem::replace(&mut self.version, assignment.version) == 0;
        let changes = self.peers.follow(assignment)?;
        let workers = assignment.workers.len();
        tracing::info!(version = assignment.version, workers, "follows the assignment");
        if changes.has_lost && !is_first {
            match self.state {
                // The wait for it to be processed is over.
                Status::Rebalancing => {
                    let pending = self.run.snapshot(SNAPSHOT_WAIT).spouts(|task| task.pending);
                    self.run.fail_pending(FailCause::Moved);
                    self.outgoing.update(true, |report| report.moved += pending);
                }
                _ => self.run.hasten(),
            }
        }
        self.start_or_hold();
        self.outgoing.update(true, |report| report.assignment_version = assignment.version);
        Ok(Then::Go)
    }

    fn set_state(&mut self, state: Status) {
        let former = std::mem::replace(&mut self.state, state);
        if former == state {
            return;
        }
        tracing::info!(from = %former, to = %state, "the topology changes its state");
        match (former == Status::Active, state == Status::Active) {
            (false, true) => self.run.activate(),
            (true, false) => self.run.deactivate(),
            _ => {}
        }
        self.told_quiet = false;
        self.outgoing.update(true, |report| {
            report.is_active = state == Status::Active;
            report.is_quiet = false;
        });
    }

    /// Spouts begin when all tasks of the topology are prepared and all lines stand. A line that breaks
    /// later stops nobody.
    fn start_or_hold(&mut self) {
        let is_ready = self.peers.are_prepared() && (self.are_spouts_started || self.peers.are_connected());
        if is_ready == self.are_spouts_started {
            return;
        }
        self.are_spouts_started = is_ready;
        if is_ready {
            self.run.start_spouts();
            if !std::mem::replace(&mut self.has_started, true) {
                tracing::info!("all workers are prepared: the spouts begin");
            }
        } else {
            self.run.hold_spouts();
        }
        let state = if is_ready { WorkerState::Running } else { WorkerState::Prepared };
        self.outgoing.update(true, |report| report.state = state.into());
    }

    fn report_error(&mut self, report: storm_engine::ErrorReport) {
        let (component, task) = (&report.component, report.task);
        tracing::error!(%component, %task, error = report.message, "error of a component");
        self.is_broken |= report.kind == ErrorKind::Fatal;
        self.outgoing.error(reporting::error(report, &self.file.host, self.file.port));
    }

    /// Reports figures when they are due, and at once that everything is processed.
    fn tell(&mut self) {
        let is_quiet = self.state != Status::Active && self.run.is_quiet();
        let (rows_sent, rows_received) = self.peers.rows();
        let is_news = is_quiet != self.told_quiet;
        self.told_quiet = is_quiet;
        if is_news {
            self.outgoing.update(true, |report| {
                (report.rows_sent, report.rows_received) = (rows_sent, rows_received);
                report.is_quiet = is_quiet;
            });
        }
        if Instant::now() < self.next_figures {
            return;
        }
        self.next_figures = Instant::now() + FIGURES_EVERY;
        let snapshot = self.run.snapshot(SNAPSHOT_WAIT);
        let figures = serde_json::to_vec(&snapshot).unwrap_or_default();
        let missing = self.peers.missing();
        let is_done = self.run.is_complete();
        let is_active = self.state == Status::Active && self.are_spouts_started;
        self.outgoing.update(false, |report| {
            report.figures = figures.into();
            report.pending = snapshot.spouts(|task| task.pending);
            report.is_quiet = is_quiet;
            (report.rows_sent, report.rows_received) = (rows_sent, rows_received);
            report.missing_peers = missing;
            report.is_done = is_done;
            report.is_active = is_active;
            report.memory_bytes = reporting::memory_bytes();
        });
    }

    /// Ends in good order: nothing more is emitted, what is there is processed as far as time allows,
    /// tasks are closed. A task that hangs in user code is left behind.
    fn end(&mut self, within: Duration) -> ExitCode {
        self.outgoing.update(true, |report| report.state = WorkerState::Stopping.into());
        self.run.hold_spouts();
        self.run.deactivate();
        let deadline = Instant::now() + within;
        while !self.run.is_quiet() && Instant::now() < deadline {
            self.pass_time(QUIET_EVERY.min(deadline.saturating_duration_since(Instant::now())));
        }
        let snapshot = self.run.snapshot(SNAPSHOT_WAIT);
        let figures = serde_json::to_vec(&snapshot).unwrap_or_default();
        self.outgoing.update(true, |report| report.figures = figures.into());
        self.run.begin_stop();
        let deadline = Instant::now() + CLOSE_WAIT.max(within / 4);
        while !self.run.has_ended() && Instant::now() < deadline {
            self.pass_time(Duration::from_millis(10));
        }
        if self.run.has_ended() {
            self.run.finish_stop();
        } else {
            tracing::warn!("a task hangs in user code: it is left behind");
        }
        ExitCode::SUCCESS
    }

    fn pass_time(&mut self, time: Duration) {
        if let Some(Event::Error(report)) = self.run.next_event(time) {
            self.report_error(report);
        }
    }
}
