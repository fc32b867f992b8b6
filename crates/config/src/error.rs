//! What can be wrong with a configuration. Each message names the key, the reason and the mend.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::Origin;
use crate::keys::Key;

/// One thing that is wrong with a configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A key under one of Storm's prefixes that is not in the table.
    #[error("unknown key '{key}' {origin}: {}", mend_unknown(*.nearest))]
    Unknown {
        /// The key as it was written.
        key: String,
        /// The known key that was probably meant.
        nearest: Option<&'static str>,
        /// Where it was set.
        origin: Origin,
    },
    /// A value of another type than the key's.
    #[error("'{key}' {origin} must be {}, but is {found} ({})", .known.kind, gist(.known))]
    WrongType {
        /// The key.
        key: String,
        /// Its row of the table: what it takes and does.
        known: &'static Key,
        /// What was found.
        found: String,
        /// Where it was set.
        origin: Origin,
    },
    /// A value of the right type that is too small or too large.
    #[error(
        "'{key}' {origin} is out of range: it must be {}, but is {found} ({})",
        .known.kind,
        gist(.known)
    )]
    OutOfRange {
        /// The key.
        key: String,
        /// Its row of the table: what it takes and does.
        known: &'static Key,
        /// What was found.
        found: String,
        /// Where it was set.
        origin: Origin,
    },
    /// A key of the whole topology or cluster in the configuration of one component.
    #[error(
        "'{key}' {origin} has no effect on a single component: set it in the configuration of the \
         whole topology"
    )]
    NotPerComponent {
        /// The key.
        key: String,
        /// The component.
        origin: Origin,
    },
    /// An argument that is not of the form `key=value`.
    #[error("'{argument}' in -c has no '=': write key=value")]
    Argument {
        /// The argument.
        argument: String,
    },
    /// A file that is not a YAML map with distinct keys.
    #[error("{}, line {line}, {reason}", .path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A file that cannot be read.
    #[error("cannot read the configuration file {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a key does, as a part of a sentence.
fn gist(key: &Key) -> &'static str {
    key.doc.trim_end_matches('.')
}

fn mend_unknown(nearest: Option<&'static str>) -> String {
    match nearest {
        Some(key) => format!("did you mean '{key}'?"),
        None => "keys of your own stand under a prefix that is not Storm's".to_owned(),
    }
}

/// All that is wrong, one line each.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}
