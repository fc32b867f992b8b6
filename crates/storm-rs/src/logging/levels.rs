//! Levels that are changed while a worker runs.

use std::collections::BTreeMap;

use storm_model::Level;
use storm_model::tuning::ROOT_LOGGER;
use storm_worker::Loggers;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Directive, LevelFilter};

type Reload = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send>;

/// What the process logs with, and what the environment says that it tells.
pub(crate) struct Levels {
    base: String,
    reload: Reload,
}

impl Levels {
    pub(super) fn new(
        base: String,
        reload: impl Fn(EnvFilter) -> Result<(), String> + Send + 'static,
    ) -> Levels {
        Levels { base, reload: Box::new(reload) }
    }
}

impl Loggers for Levels {
    fn set(&mut self, levels: &BTreeMap<String, Level>) -> Result<(), String> {
        let mut filter = super::filter(&self.base);
        let mut wrong = Vec::new();
        for (logger, level) in levels {
            match directive(logger, *level) {
                Ok(directive) => filter = filter.add_directive(directive),
                Err(error) => wrong.push(format!("'{logger}': {error}")),
            }
        }
        (self.reload)(filter)?;
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }
}

/// It replaces one of the same logger.
fn directive(logger: &str, level: Level) -> Result<Directive, String> {
    if logger == ROOT_LOGGER {
        let level = match level {
            Level::Off => LevelFilter::OFF,
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        };
        return Ok(level.into());
    }
    format!("{logger}={level}").parse().map_err(|error| format!("{error}"))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is told by loggers `a` and `a::b` and one that nobody names, with these levels above a base.
    fn told(base: &str, steps: &[&[(&str, Level)]]) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        let builder = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .with_env_filter(super::super::filter(base))
            .with_filter_reloading();
        let handle = builder.reload_handle();
        let mut levels =
            Levels::new(base.to_owned(), move |filter| handle.reload(filter).map_err(|e| e.to_string()));
        let say = || {
            tracing::debug!(target: "a", "a");
            tracing::debug!(target: "a::b", "b");
            tracing::debug!(target: "c", "c");
            tracing::info!(target: "c", "d");
        };
        let mut all = Vec::new();
        tracing::subscriber::with_default(builder.finish(), || {
            for step in steps {
                let step = step.iter().map(|(logger, level)| ((*logger).to_owned(), *level)).collect();
                levels.set(&step).unwrap();
                say();
                let text = String::from_utf8(std::mem::take(&mut *lines.0.lock().unwrap())).unwrap();
                all.push(text.lines().filter_map(|line| line.split(' ').next_back()).collect());
            }
        });
        all
    }

    #[test]
    fn levels_stand_above_the_environments_and_go_without_a_trace() {
        use Level::{Debug, Off, Warn};
        let steps: &[&[(&str, Level)]] = &[
            &[],
            &[("a", Debug)],
            &[("a", Debug), ("a::b", Warn)],
            &[("ROOT", Debug)],
            &[("ROOT", Off), ("a::b", Debug)],
            &[],
        ];
        assert_eq!(told("info", steps), ["d", "abd", "ad", "abcd", "b", "d"]);
        assert_eq!(told("warn,a=debug", steps), ["ab", "ab", "a", "abcd", "ab", "ab"]);
        assert_eq!(told("a=debug", &[&[("a", Warn), ("ROOT", Debug)], &[]]), ["cd", "ab"]);
    }

    #[test]
    fn a_logger_that_is_none_is_told() {
        let mut levels = Levels::new("info".to_owned(), |_| Ok(()));
        let error = levels.set(&[("a[b=".to_owned(), Level::Info)].into()).unwrap_err();
        assert!(error.starts_with("'a[b=': "), "{error}");
        let mut levels = Levels::new("info".to_owned(), |_| Err("gone".to_owned()));
        assert_eq!(levels.set(&BTreeMap::new()), Err("gone".to_owned()));
    }
}
