//! What is changed of a topology while it runs, as far as it concerns this process.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use storm_model::{Level, Tuning};

/// Sets how much the loggers of this process tell.
pub trait Loggers: Send {
    /// From now on these levels hold above what the process began with, by crate or module;
    /// [`ROOT_LOGGER`](storm_model::tuning::ROOT_LOGGER) stands for all that are not named. What an earlier call set
    /// and this one does not is as it was in the beginning.
    ///
    /// # Errors
    /// Why that is not possible, or not for all of them, in words.
    fn set(&mut self, levels: &BTreeMap<String, Level>) -> Result<(), String>;
}

/// Knows what was changed, and sets levels when their time comes and when it is over. Moments are milliseconds
/// since 1970, by the clock of this machine.
pub(crate) struct Tuner {
    tuning: Tuning,
    loggers: Box<dyn Loggers>,
    /// What was set last.
    held: BTreeMap<String, Level>,
    /// When something is over next.
    next_end: Option<u64>,
}

impl Tuner {
    pub(crate) fn new(loggers: Box<dyn Loggers>) -> Tuner {
        Tuner { tuning: Tuning::default(), loggers, held: BTreeMap::new(), next_end: None }
    }

    /// Takes what it is told, if that is newer than what it knows. Whether other tuples are sampled by that.
    pub(crate) fn take(&mut self, tuning: Tuning, now_ms: u64) -> bool {
        // 0: a Nimbus that does not know of this has written the record since.
        if tuning.version != 0 && tuning.version <= self.tuning.version {
            return false;
        }
        let is_other = tuning.sampling != self.tuning.sampling;
        self.tuning = tuning;
        self.set_levels(now_ms);
        is_other
    }

    /// Ends what is over.
    pub(crate) fn look(&mut self, now_ms: u64) {
        if self.next_end.is_some_and(|end| end <= now_ms) {
            self.set_levels(now_ms);
        }
    }

    /// How long until something is over.
    pub(crate) fn wait(&self, now_ms: u64) -> Option<Duration> {
        self.next_end.map(|end| Duration::from_millis(end.saturating_sub(now_ms)))
    }

    /// How many of a hundred tuples of a component are sampled.
    pub(crate) fn percent_of(&self, component: &str) -> f64 {
        self.tuning.percent_of(component)
    }

    /// Whether any tuples are sampled.
    pub(crate) fn samples(&self) -> bool {
        !self.tuning.sampling.is_empty()
    }

    fn set_levels(&mut self, now_ms: u64) {
        let levels = self.tuning.levels_at(now_ms);
        self.next_end = self.tuning.next_end(now_ms);
        if levels == self.held {
            return;
        }
        let mut text = String::new();
        for (logger, level) in &levels {
            write!(text, "{}{logger}={level}", if text.is_empty() { "" } else { " " })
                .expect("a string takes everything");
        }
        // Before it is so: afterwards it may not be shown.
        tracing::info!(levels = text, "the levels of the loggers change");
        if let Err(error) = self.loggers.set(&levels) {
            tracing::warn!(levels = text, error, "the levels of the loggers cannot be changed");
        }
        self.held = levels;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use storm_model::{LogLevel, Sampling};

    use super::*;

    #[derive(Clone, Default)]
    struct Noted(Arc<Mutex<Vec<BTreeMap<String, Level>>>>);

    impl Loggers for Noted {
        fn set(&mut self, levels: &BTreeMap<String, Level>) -> Result<(), String> {
            self.0.lock().unwrap().push(levels.clone());
            Err("never".to_owned())
        }
    }

    fn debug_until(version: u64, until_ms: u64) -> Tuning {
        let level = LogLevel { level: Level::Debug, timeout_secs: 0, until_ms, reset: None };
        Tuning { version, log_levels: [("a".to_owned(), level)].into(), ..Tuning::default() }
    }

    #[test]
    fn levels_are_set_once_and_end_at_their_time() {
        let noted = Noted::default();
        let mut tuner = Tuner::new(Box::new(noted.clone()));
        let taken = || std::mem::take(&mut *noted.0.lock().unwrap());
        let debug = BTreeMap::from([("a".to_owned(), Level::Debug)]);
        assert_eq!(tuner.wait(0), None);
        assert!(!tuner.take(debug_until(2, 1000), 100));
        assert_eq!((taken(), tuner.wait(100)), (vec![debug], Some(Duration::from_millis(900))));
        // Told again, told late, and longer.
        tuner.take(debug_until(2, 1000), 100);
        tuner.take(debug_until(1, 0), 100);
        tuner.take(debug_until(3, 2000), 100);
        tuner.look(1000);
        assert_eq!((taken(), tuner.wait(1000)), (vec![], Some(Duration::from_secs(1))));
        tuner.look(2000);
        tuner.look(2001);
        assert_eq!((taken(), tuner.wait(2000)), (vec![BTreeMap::new()], None));
        // It was over before it was told.
        tuner.take(debug_until(4, 2000), 3000);
        assert!(taken().is_empty());
    }

    #[test]
    fn a_record_of_before_takes_everything_back() {
        let noted = Noted::default();
        let mut tuner = Tuner::new(Box::new(noted.clone()));
        let sampling = [("a".into(), Sampling { is_on: true, percent: 50.0 })].into();
        let tuning = Tuning { sampling, ..debug_until(7, 0) };
        assert!(tuner.take(tuning.clone(), 0) && !tuner.take(tuning, 0));
        assert_eq!((tuner.percent_of("a"), tuner.percent_of("b"), tuner.samples()), (50.0, 0.0, true));
        assert!(tuner.take(Tuning::default(), 0));
        assert_eq!((tuner.percent_of("a"), tuner.samples()), (0.0, false));
        // It is counted from the start again.
        tuner.take(debug_until(1, 0), 0);
        let sets: Vec<usize> = noted.0.lock().unwrap().iter().map(BTreeMap::len).collect();
        assert_eq!(sets, [1, 0, 1]);
    }
}
