//! Local mode: the topology in this process, until it is done or told to stop.

mod figures;
mod table;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::TryRngCore;
use rand::rngs::OsRng;
use storm_config::{Config, TopologyView, load_local};
use storm_engine::{ErrorKind, ErrorReport, Event, Options, Run, RunError, Snapshot};
use storm_topology::Topology;

use crate::configure::{ConfigureError, configure};
use crate::logging;
use crate::progress::Progress;
use figures::{Figures, FiguresError};

/// How long Ctrl-C waits for pending trees, in seconds.
const WAIT_VARIABLE: &str = "STORM_RS_WAIT_SECS";
/// How long a run that did not complete waits for `close` and `cleanup` of its tasks.
const STOP_WAIT: Duration = Duration::from_secs(2);
/// How long a snapshot waits for executors that are busy in user code.
const SNAPSHOT_WAIT: Duration = Duration::from_millis(200);

/// Why a local run could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    #[error(transparent)]
    Configure(#[from] ConfigureError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("{WAIT_VARIABLE} is '{0}', which is not a number of seconds")]
    WaitSecs(String),
    #[error(transparent)]
    Figures(#[from] FiguresError),
    #[error("cannot catch Ctrl-C: {0}")]
    Signal(#[from] ctrlc::Error),
}

/// Runs a topology in this process.
pub(crate) fn run(name: &str, mut topology: Topology) -> Result<ExitCode, LocalError> {
    let progress = Progress::start();
    logging::init(progress.bar());
    if cfg!(panic = "abort") {
        tracing::warn!("built with panic = \"abort\": a panic in one tuple ends the process");
    }
    let code = topology.spec.config.clone().into_iter().collect();
    let config = load_local(code).map_err(ConfigureError::from)?;
    for note in config.notes() {
        tracing::info!("{note}");
    }
    let settings = configure(&mut topology, &config)?;
    let wait = wait_time(&config)?;
    let figures = Figures::wanted(name)?;
    let seed = OsRng.try_next_u64().unwrap_or_else(|_| u64::from(std::process::id()));
    let options = Options { name: name.to_owned(), seed, is_active: true };
    let interrupts = Interrupts::catch()?;
    let run = Run::start(topology, settings, options)?;
    interrupts.tell(run.signaller());
    Ok(Local { run, progress, figures, interrupts, wait, drain_until: None, broken: None }.follow())
}

fn wait_time(config: &Config) -> Result<Duration, LocalError> {
    match std::env::var(WAIT_VARIABLE) {
        Ok(text) => text.trim().parse().map(Duration::from_secs).map_err(|_| LocalError::WaitSecs(text)),
        Err(_) => Ok(TopologyView::of(config).message_timeout),
    }
}

type Signaller = Box<dyn Fn() + Send>;

/// Ctrl-C and termination signals, counted from before the topology starts.
struct Interrupts(Arc<(AtomicUsize, Mutex<Option<Signaller>>)>);

impl Interrupts {
    fn catch() -> Result<Interrupts, LocalError> {
        let shared = Arc::new((AtomicUsize::new(0), Mutex::new(None::<Signaller>)));
        let handler = shared.clone();
        ctrlc::set_handler(move || {
            handler.0.fetch_add(1, Ordering::SeqCst);
            if let Some(signal) = &*handler.1.lock().unwrap_or_else(PoisonError::into_inner) {
                signal();
            }
        })?;
        Ok(Interrupts(shared))
    }

    /// Has the run's events tell of interrupts, also of one that came before.
    fn tell(&self, signal: impl Fn() + Send + 'static) {
        let mut told = self.0.1.lock().unwrap_or_else(PoisonError::into_inner);
        if self.count() > 0 {
            signal();
        }
        *told = Some(Box::new(signal));
    }

    fn count(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }
}

/// Why a run ends.
enum Ending {
    /// Everything is processed.
    Complete,
    /// Ctrl-C, and time has run out.
    Unfinished,
    /// A second Ctrl-C.
    Killed,
    /// A component broke its own declarations, or said that the topology cannot go on.
    Broken,
    /// The engine itself panicked.
    EngineFailed,
}

struct Local {
    run: Run,
    progress: Progress,
    /// None unless the user wants them.
    figures: Option<Figures>,
    interrupts: Interrupts,
    wait: Duration,
    /// Ctrl-C was pressed: end at this moment at the latest.
    drain_until: Option<Instant>,
    /// The first error that ends the run.
    broken: Option<ErrorReport>,
}

impl Local {
    /// Follows the run to its end.
    fn follow(mut self) -> ExitCode {
        let ending = loop {
            if let Some(ending) = self.turn() {
                break ending;
            }
        };
        // With nothing left to do all of them answer at once, unless the machine is busy elsewhere.
        let patience = if matches!(ending, Ending::Complete) { STOP_WAIT } else { SNAPSHOT_WAIT };
        let snapshot = self.run.snapshot(patience);
        if matches!(ending, Ending::Killed) || !self.stop(&ending) {
            // Whatever hangs, hangs: the user has insisted.
            self.progress.bar().finish_and_clear();
            self.finish_figures(&snapshot);
            return ExitCode::from(130);
        }
        self.progress.finish(&snapshot);
        let is_written = self.finish_figures(&snapshot);
        if let Some(report) = &self.broken {
            // It may have come so late that all was processed before it was seen.
            logging::print_error(&last_words(report));
            return ExitCode::FAILURE;
        }
        match ending {
            Ending::Complete if is_written => ExitCode::SUCCESS,
            Ending::Unfinished => {
                let pending = snapshot.spouts(|t| t.pending);
                logging::print_error(&format!(
                    "stopped with {pending} tuples pending after {} s; {WAIT_VARIABLE} sets how long to wait",
                    self.wait.as_secs()
                ));
                ExitCode::FAILURE
            }
            Ending::Complete | Ending::Broken | Ending::EngineFailed | Ending::Killed => ExitCode::FAILURE,
        }
    }

    /// Shows the figures for the last time, if the user wants them; false if they cannot be written.
    fn finish_figures(&mut self, snapshot: &Snapshot) -> bool {
        let Some(figures) = self.figures.take() else { return true };
        let shown = figures.finish(snapshot, &self.progress);
        if let Err(error) = &shown {
            logging::print_error(&error.to_string());
        }
        shown.is_ok()
    }

    /// Ends all tasks; what hangs in user code is left behind after a while. False when the user
    /// insists with another Ctrl-C.
    fn stop(&mut self, ending: &Ending) -> bool {
        let patience = if matches!(ending, Ending::Complete) { self.wait.max(STOP_WAIT) } else { STOP_WAIT };
        let deadline = Instant::now() + patience;
        let interrupts = self.interrupts.count();
        self.run.begin_stop();
        while !self.run.has_ended() && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            // A thread says that it ends shortly before it has ended.
            match self.run.next_event(left.min(Duration::from_millis(20))) {
                Some(Event::Error(report)) => self.note(report),
                _ if self.interrupts.count() > interrupts.max(1) => return false,
                _ => {}
            }
        }
        if self.run.has_ended() {
            self.run.finish_stop();
        } else {
            tracing::warn!("a task hangs in user code: it is left behind");
        }
        while let Some(event) = self.run.next_event(Duration::ZERO) {
            if let Event::Error(report) = event {
                self.note(report);
            }
        }
        true
    }

    /// Logs an error and keeps it if it ends the run.
    fn note(&mut self, report: ErrorReport) {
        log(&report);
        if let Some(figures) = &mut self.figures {
            figures.note(&report);
        }
        if report.kind.ends_local_run() {
            self.broken.get_or_insert(report);
        }
    }

    /// Waits for the next thing to happen.
    fn turn(&mut self) -> Option<Ending> {
        let mut timeout = self.progress.due_in();
        if let Some(figures) = &self.figures {
            timeout = timeout.min(figures.due_in());
        }
        if let Some(until) = self.drain_until {
            timeout = timeout.min(until.saturating_duration_since(Instant::now()));
        }
        match self.run.next_event(timeout) {
            Some(Event::Error(report)) => {
                self.note(report);
                if self.broken.is_some() {
                    return Some(Ending::Broken);
                }
            }
            Some(Event::Signal) if self.interrupts.count() > 1 => return Some(Ending::Killed),
            Some(Event::Signal) => {
                tracing::info!(
                    "stopping: spouts emit no more, what is pending is processed; Ctrl-C again ends at once"
                );
                self.drain_until = Some(Instant::now() + self.wait);
                self.run.watch();
                self.run.deactivate();
            }
            Some(Event::Ended { has_panicked: true, .. }) => {
                logging::print_error("the engine has failed: this is a bug of storm-rs");
                return Some(Ending::EngineFailed);
            }
            Some(Event::SpoutDone | Event::Idle | Event::Prepared(..) | Event::Ended { .. }) => {}
            None if self.drain_until.is_some_and(|until| Instant::now() >= until) => {
                return Some(Ending::Unfinished);
            }
            None => self.look(),
        }
        if self.run.is_done() {
            self.run.watch();
            if self.run.is_complete() {
                return Some(Ending::Complete);
            }
        }
        None
    }

    /// Shows what is due.
    fn look(&mut self) {
        let snapshot = self.run.snapshot(SNAPSHOT_WAIT);
        if self.progress.due_in().is_zero() {
            self.progress.show(&snapshot);
        }
        if let Some(figures) = self.figures.as_mut().filter(|figures| figures.due_in().is_zero()) {
            figures.observe(&snapshot, &self.progress);
        }
    }
}

/// Why the run has ended, for people.
pub(crate) fn last_words(report: &ErrorReport) -> String {
    let ErrorReport { component, task, message, .. } = report;
    match report.kind {
        ErrorKind::Fatal => format!("'{component}' (task {task}) ended the topology: {message}"),
        _ => format!("'{component}' (task {task}) broke its own declarations: {message}"),
    }
}

fn log(report: &ErrorReport) {
    let suppressed = (report.suppressed > 0).then_some(report.suppressed);
    let ErrorReport { component, task, message, .. } = report;
    match report.kind {
        ErrorKind::Slow => tracing::warn!(%component, task = task.0, suppressed, "{message}"),
        _ => tracing::error!(%component, task = task.0, suppressed, "{message}"),
    }
}
