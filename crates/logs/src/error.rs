//! What can go wrong with logs, and what it becomes for callers.

use std::io;

use storm_rpc::CallError;
use thiserror::Error;
use tonic::Status;

/// So much of a name is repeated to those who said it.
const SHOWN_CHARS: usize = 200;
/// So many bytes of names of other files stand in an advice: it is sent in a header.
const ADVICE_BYTES: usize = 1000;

/// Why logs cannot be found, read or searched.
#[derive(Debug, Error)]
pub enum LogError {
    /// No file could have this name.
    #[error("'{}' is no name of a log file", shown(.0))]
    BadName(String),
    /// No file has it.
    #[error("there is no log file '{}' here", shown(.name))]
    NoSuchFile {
        /// The name.
        name: String,
        /// Names of files that are there.
        there: Vec<String>,
    },
    /// The text cannot be searched for.
    #[error("cannot search for this: {0}")]
    BadText(String),
    /// The daemon has no such logs at all.
    #[error("this daemon has no logs of {0}")]
    NotHere(&'static str),
    /// The file system says no.
    #[error("cannot read the logs: {0}")]
    Unreadable(#[from] io::Error),
}

impl From<LogError> for CallError {
    fn from(error: LogError) -> CallError {
        let message = error.to_string();
        match error {
            LogError::BadName(_) => CallError::invalid(message)
                .advise("write <topology id>/<port>/<file> for a worker's, the file alone for a daemon's"),
            LogError::NoSuchFile { there, .. } if there.is_empty() => {
                CallError::invalid(message).advise("there are none")
            }
            LogError::NoSuchFile { there, .. } => {
                let mut advice = format!("there are {}", there.len());
                for (name, before) in there.iter().zip([": "].into_iter().chain(std::iter::repeat(", "))) {
                    if advice.len() + name.len() > ADVICE_BYTES {
                        advice += " and others";
                        break;
                    }
                    advice = advice + before + name;
                }
                CallError::invalid(message).advise(advice)
            }
            LogError::BadText(_) => CallError::invalid(message),
            LogError::NotHere(_) => {
                CallError::invalid(message).advise("supervisors have those of the workers on their machine")
            }
            LogError::Unreadable(_) => CallError::other(message),
        }
    }
}

impl From<LogError> for Status {
    fn from(error: LogError) -> Status {
        CallError::from(error).into()
    }
}

fn shown(name: &str) -> String {
    name.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_names_files_that_are_there() {
        let name = "a/1/wörker.log\n".to_owned();
        let there = vec!["nimbus.log".to_owned(), "nimbus.log.1".to_owned()];
        let error = CallError::from(LogError::NoSuchFile { name: name.clone(), there });
        assert_eq!(error.message, "there is no log file 'a/1/wörker.log\\n' here");
        assert_eq!(error.advice, "there are 2: nimbus.log, nimbus.log.1");
        let there = (0..1000).map(|number| format!("{number:0100}")).collect();
        let error = CallError::from(LogError::NoSuchFile { name, there });
        assert!(error.advice.len() < 2 * ADVICE_BYTES && error.advice.ends_with(" and others"));
    }
}
