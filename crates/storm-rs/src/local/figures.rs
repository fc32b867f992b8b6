//! The figures of a local run: as a table on stderr, as JSON in a file, now and then and at the end.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use storm_engine::{ErrorReport, Snapshot, SystemClock};
use storm_figures::{UnknownWindow, Window};

use super::table::table;
use crate::live_figures::{FiguresReport, LiveFigures};
use crate::progress::Progress;

/// How often the table is printed, in seconds.
const SECS_VARIABLE: &str = "STORM_RS_FIGURES";
/// Which window the table shows.
const WINDOW_VARIABLE: &str = "STORM_RS_FIGURES_WINDOW";
/// File that everything is written to as JSON.
const JSON_VARIABLE: &str = "STORM_RS_FIGURES_JSON";
/// How often, where it is not said.
const DEFAULT_EVERY: Duration = Duration::from_secs(10);

/// What is wrong with what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FiguresError {
    #[error("{SECS_VARIABLE} is '{0}', which is not a number of seconds above 0")]
    Secs(String),
    #[error("{WINDOW_VARIABLE}: {0}")]
    Window(UnknownWindow),
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// What the user wants to see.
#[derive(Debug, PartialEq)]
struct Wanted {
    every: Duration,
    table: Option<Window>,
    json: Option<PathBuf>,
}

impl Wanted {
    fn new(
        secs: Option<&str>,
        window: Option<&str>,
        json: Option<PathBuf>,
    ) -> Result<Option<Wanted>, FiguresError> {
        let every = match secs.map(str::trim) {
            None | Some("") => DEFAULT_EVERY,
            Some(text) => match text.parse() {
                Ok(secs) if secs > 0 => Duration::from_secs(secs),
                _ => return Err(FiguresError::Secs(text.to_owned())),
            },
        };
        let window = window.map_or(Ok(Window::AllTime), |name| name.trim().parse());
        let window = window.map_err(FiguresError::Window)?;
        if secs.is_none() && json.is_none() {
            return Ok(None);
        }
        Ok(Some(Wanted { every, table: secs.map(|_| window), json }))
    }

    fn of_environment() -> Result<Option<Wanted>, FiguresError> {
        let text = |name| env::var_os(name).map(|text| text.to_string_lossy().into_owned());
        let json = env::var_os(JSON_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        Wanted::new(text(SECS_VARIABLE).as_deref(), text(WINDOW_VARIABLE).as_deref(), json)
    }
}

/// Shows the figures of a run.
pub(crate) struct Figures {
    topology: String,
    wanted: Wanted,
    live: LiveFigures,
    started: Instant,
    observe_at: Instant,
    show_at: Instant,
}

impl Figures {
    /// What the environment asks for; a file is written at once, to find out whether it can be.
    pub(crate) fn wanted(topology: &str) -> Result<Option<Figures>, FiguresError> {
        let Some(wanted) = Wanted::of_environment()? else { return Ok(None) };
        let now = Instant::now();
        let figures = Figures {
            topology: topology.to_owned(),
            live: LiveFigures::new(Arc::new(SystemClock::start())),
            started: now,
            observe_at: now + LiveFigures::OBSERVE_EVERY.min(wanted.every),
            show_at: now + wanted.every,
            wanted,
        };
        figures.write(&figures.live.report())?;
        Ok(Some(figures))
    }

    /// How long until the next snapshot is due.
    pub(crate) fn due_in(&self) -> Duration {
        self.observe_at.min(self.show_at).saturating_duration_since(Instant::now())
    }

    /// Takes note of an error.
    pub(crate) fn note(&mut self, report: &ErrorReport) {
        self.live.note(report);
    }

    /// Takes note of a snapshot, and shows the figures when it is time for that.
    pub(crate) fn observe(&mut self, snapshot: &Snapshot, progress: &Progress) {
        self.live.observe(snapshot);
        let now = Instant::now();
        self.observe_at = now + LiveFigures::OBSERVE_EVERY;
        if now >= self.show_at {
            // In step with the first one, however long a snapshot took.
            while self.show_at <= now {
                self.show_at += self.wanted.every;
            }
            if let Err(error) = self.show(progress) {
                tracing::warn!("{error}");
            }
        }
    }

    /// Shows the figures at the end.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn finish(mut self, snapshot: &Snapshot, progress: &Progress) -> Result<(), FiguresError> {
        self.live.observe(snapshot);
        self.show(progress)
    }

    fn show(&self, progress: &Progress) -> Result<(), FiguresError> {
        let report = self.live.report();
        if let Some(window) = self.wanted.table {
            let (topology, secs) = (&self.topology, self.started.elapsed().as_secs_f64());
            let window_title = window.title();
            let title = format!("figures of '{topology}' after {secs:.1} s ({window_title})");
            progress.print(&format!("{title}\n{}\n", table(&report, window)));
        }
        self.write(&report)
    }

    fn write(&self, report: &FiguresReport) -> Result<(), FiguresError> {
        let Some(path) = &self.wanted.json else { return Ok(()) };
        replace(path, report).map_err(|source| FiguresError::Write { path: path.clone(), source })
    }
}

/// By another file that takes its place, so that who reads never finds half of it.
fn replace(path: &Path, report: &FiguresReport) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut json = serde_json::to_vec(report)?;
    json.push(b'\n');
    fs::write(&new, json)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_unless_it_is_asked_for() {
        assert_eq!(Wanted::new(None, None, None).unwrap(), None);
        assert_eq!(Wanted::new(None, Some("10m"), None).unwrap(), None);
    }

    #[test]
    fn a_table_comes_every_ten_seconds_of_all_time_unless_something_else_is_said() {
        let (every, json) = (DEFAULT_EVERY, None);
        let table = Some(Window::AllTime);
        assert_eq!(Wanted::new(Some(""), None, None).unwrap(), Some(Wanted { every, table, json }));
        let wanted = Wanted::new(Some(" 3 "), Some("3h"), Some("out.json".into())).unwrap().unwrap();
        assert_eq!((wanted.every, wanted.table), (Duration::from_secs(3), Some(Window::ThreeHours)));
        let wanted = Wanted::new(None, None, Some("out.json".into())).unwrap().unwrap();
        assert_eq!((wanted.every, wanted.table), (DEFAULT_EVERY, None));
    }

    #[test]
    fn what_is_no_time_or_window_is_an_error() {
        let error = |secs, window| Wanted::new(secs, window, None).unwrap_err().to_string();
        for secs in ["0", "-1", "soon", "1.5"] {
            let expected = format!("STORM_RS_FIGURES is '{secs}', which is not a number of seconds above 0");
            assert_eq!(error(Some(secs), None), expected);
        }
        let unknown = error(None, Some("2h"));
        assert!(unknown.starts_with("STORM_RS_FIGURES_WINDOW: unknown window '2h': "), "{unknown}");
    }
}
