//! What is changed of a topology while it runs: what its loggers tell, and which of its tuples are sampled.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ComponentId;

/// The logger that stands for all that have no level of their own.
pub const ROOT_LOGGER: &str = "ROOT";
/// The key of [`Tuning::sampling`] that stands for all components that have no share of their own.
pub const ALL_COMPONENTS: &str = "";
/// Percent of the tuples that are sampled when nobody says how many: Storm's number.
pub const SAMPLING_PERCENT: f64 = 10.0;

/// What was changed of a topology since it was submitted. [`Default`]: nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// How often it was changed; 0: never. Who is told of two knows by it which is the newer one.
    #[serde(default)]
    pub version: u64,
    /// By logger: a crate or module as in `RUST_LOG`, or [`ROOT_LOGGER`].
    #[serde(default)]
    pub log_levels: BTreeMap<String, LogLevel>,
    /// By component, or [`ALL_COMPONENTS`].
    #[serde(default)]
    pub sampling: BTreeMap<ComponentId, Sampling>,
}

/// What a logger tells, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLevel {
    /// How much it tells.
    pub level: Level,
    /// For so many seconds, as it was asked for; 0: until it is changed.
    #[serde(default)]
    pub timeout_secs: u32,
    /// Milliseconds since 1970 at which that is over; 0: never.
    #[serde(default)]
    pub until_ms: u64,
    /// How much it tells from then on; `None`: what it told before.
    #[serde(default)]
    pub reset: Option<Level>,
}

/// Which share of the tuples that a component emits is written down.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Whether any is.
    pub is_on: bool,
    /// How many of a hundred.
    pub percent: f64,
}

/// How much a logger tells: lines of this level and of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Nothing.
    Off,
    /// What somebody has to act on.
    Error,
    /// What goes worse than it should.
    Warn,
    /// What begins and ends.
    Info,
    /// What was decided.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Off => "OFF",
            Level::Error => "ERROR",
            Level::Warn => "WARN",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
            Level::Trace => "TRACE",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that is no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no level: there are ALL, TRACE, DEBUG, INFO, WARN, ERROR, FATAL and OFF")]
pub struct UnknownLevel(String);

impl FromStr for Level {
    type Err = UnknownLevel;

    /// Reads the words of log4j, too, in any case.
    fn from_str(word: &str) -> Result<Level, UnknownLevel> {
        match word.to_ascii_uppercase().as_str() {
            "OFF" => Ok(Level::Off),
            "ERROR" | "FATAL" => Ok(Level::Error),
            "WARN" | "WARNING" => Ok(Level::Warn),
            "INFO" => Ok(Level::Info),
            "DEBUG" => Ok(Level::Debug),
            "TRACE" | "ALL" => Ok(Level::Trace),
            _ => Err(UnknownLevel(word.to_owned())),
        }
    }
}

impl LogLevel {
    /// Whether its time is over at a moment, in milliseconds since 1970.
    fn is_over(&self, now_ms: u64) -> bool {
        self.until_ms != 0 && self.until_ms <= now_ms
    }
}

impl Tuning {
    /// Whether everything is as it was submitted.
    pub fn is_empty(&self) -> bool {
        self.log_levels.is_empty() && self.sampling.is_empty()
    }

    /// The levels that hold at a moment, in milliseconds since 1970, by logger.
    pub fn levels_at(&self, now_ms: u64) -> BTreeMap<String, Level> {
        let at = |level: &LogLevel| if level.is_over(now_ms) { level.reset } else { Some(level.level) };
        self.log_levels.iter().filter_map(|(logger, level)| Some((logger.clone(), at(level)?))).collect()
    }

    /// The next moment after this one at which the time of a level is over.
    pub fn next_end(&self, now_ms: u64) -> Option<u64> {
        self.log_levels.values().map(|level| level.until_ms).filter(|until| *until > now_ms).min()
    }

    /// Turns levels whose time is over at a moment into what holds from then on. Whether there were any.
    pub fn settle(&mut self, now_ms: u64) -> bool {
        if !self.log_levels.values().any(|level| level.is_over(now_ms)) {
            return false;
        }
        self.log_levels.retain(|_, level| {
            if !level.is_over(now_ms) {
                return true;
            }
            let reset = level.reset;
            if let Some(after) = reset {
                *level = LogLevel { level: after, timeout_secs: 0, until_ms: 0, reset: None };
            }
            reset.is_some()
        });
        true
    }

    /// How many of a hundred tuples of a component are sampled.
    pub fn percent_of(&self, component: &str) -> f64 {
        let option = self.sampling.get(component).or_else(|| self.sampling.get(ALL_COMPONENTS));
        option.filter(|option| option.is_on).map_or(0.0, |option| option.percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuning(levels: &[(&str, Level, u64, Option<Level>)]) -> Tuning {
        let entry = |(logger, level, until_ms, reset): &(&str, Level, u64, Option<Level>)| {
            let level = LogLevel { level: *level, timeout_secs: 0, until_ms: *until_ms, reset: *reset };
            ((*logger).to_owned(), level)
        };
        Tuning { log_levels: levels.iter().map(entry).collect(), ..Tuning::default() }
    }

    fn held(tuning: &Tuning, now_ms: u64) -> String {
        let held = tuning.levels_at(now_ms);
        held.iter().map(|(logger, level)| format!("{logger}={level}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_level_ends_at_its_time_and_not_before() {
        let mut tuning = tuning(&[
            ("ROOT", Level::Debug, 0, None),
            ("a", Level::Trace, 100, None),
            ("b", Level::Off, 200, Some(Level::Warn)),
        ]);
        assert_eq!(held(&tuning, 99), "ROOT=DEBUG a=TRACE b=OFF");
        assert_eq!(held(&tuning, 100), "ROOT=DEBUG b=OFF");
        assert_eq!(held(&tuning, 200), "ROOT=DEBUG b=WARN");
        assert_eq!([99, 100, 200].map(|now| tuning.next_end(now)), [Some(100), Some(200), None]);
        assert!(!tuning.clone().settle(99));
        let before = [150, 500].map(|now| held(&tuning, now));
        assert!(tuning.settle(150) && !tuning.settle(150));
        assert_eq!(tuning.log_levels.len(), 2);
        assert_eq!([150, 500].map(|now| held(&tuning, now)), before);
        assert!(tuning.settle(200));
        assert_eq!((held(&tuning, 200), tuning.next_end(0)), ("ROOT=DEBUG b=WARN".to_owned(), None));
    }

    #[test]
    fn the_words_of_log4j_are_understood() {
        let words =
            [("all", Level::Trace), ("FATAL", Level::Error), ("Warning", Level::Warn), ("off", Level::Off)];
        for (word, level) in words {
            assert_eq!(word.parse(), Ok(level));
        }
        for level in [Level::Off, Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace] {
            assert_eq!(level.name().parse(), Ok(level));
        }
        let error = "loud".parse::<Level>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "'loud' is no level: there are ALL, TRACE, DEBUG, INFO, WARN, ERROR, FATAL and OFF"
        );
    }

    #[test]
    fn a_share_of_its_own_goes_before_that_of_all() {
        let share = |is_on, percent| Sampling { is_on, percent };
        let mut tuning = Tuning::default();
        assert_eq!(tuning.percent_of("a"), 0.0);
        tuning.sampling.insert(ALL_COMPONENTS.into(), share(true, 10.0));
        tuning.sampling.insert("b".into(), share(false, 50.0));
        tuning.sampling.insert("c".into(), share(true, 50.0));
        assert_eq!(["a", "b", "c"].map(|component| tuning.percent_of(component)), [10.0, 0.0, 50.0]);
    }

    #[test]
    fn what_was_never_tuned_is_empty() {
        let tuning: Tuning = serde_json::from_str("{}").unwrap();
        assert_eq!(tuning, Tuning::default());
        assert!(tuning.is_empty());
        let level: LogLevel = serde_json::from_str(r#"{"level":"DEBUG"}"#).unwrap();
        assert_eq!(level, LogLevel { level: Level::Debug, timeout_secs: 0, until_ms: 0, reset: None });
    }
}
