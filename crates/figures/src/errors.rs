//! The last errors of each component, for people.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use storm_model::{ComponentId, TaskId};

/// An error that a component had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorRecord {
    /// When, on the clock of its worker.
    pub time: SystemTime,
    /// Whose it is.
    pub component: ComponentId,
    /// The task.
    pub task: TaskId,
    /// The message, with those of its causes.
    pub message: String,
    /// Errors of the same executor that were swallowed by the limit since its last one.
    pub suppressed: u64,
}

/// The last errors of each component of a topology.
///
/// Holds [`PER_COMPONENT`](ErrorLog::PER_COMPONENT) of each; when one more comes, the oldest goes.
/// Messages are cut after [`MESSAGE_BYTES`](ErrorLog::MESSAGE_BYTES) bytes.
///
/// ```
/// use std::time::SystemTime;
/// use storm_figures::{ErrorLog, ErrorRecord};
/// use storm_model::TaskId;
///
/// let mut errors = ErrorLog::default();
/// let (time, message) = (SystemTime::UNIX_EPOCH, "no such table".to_owned());
/// errors.add(ErrorRecord { time, component: "sink".into(), task: TaskId(3), message, suppressed: 2 });
/// assert_eq!(errors.last("sink").map(|error| &*error.message), Some("no such table"));
/// assert_eq!(errors.count("sink"), 3);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorLog {
    components: BTreeMap<ComponentId, ComponentErrors>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct ComponentErrors {
    /// How many there ever were.
    count: u64,
    /// Newest first.
    last: VecDeque<ErrorRecord>,
}

impl ErrorLog {
    /// How many errors of a component are held.
    pub const PER_COMPONENT: usize = 20;
    /// How much of a message is held.
    pub const MESSAGE_BYTES: usize = 16 * 1024;

    /// Takes an error in. They may come out of order, as they come from several workers.
    pub fn add(&mut self, mut error: ErrorRecord) {
        cut(&mut error.message);
        let errors = self.components.entry(error.component.clone()).or_default();
        errors.count = errors.count.saturating_add(1).saturating_add(error.suppressed);
        let place = errors.last.partition_point(|newer| newer.time > error.time);
        errors.last.insert(place, error);
        errors.last.truncate(Self::PER_COMPONENT);
    }

    /// The last errors of a component, newest first.
    pub fn of(&self, component: &str) -> impl Iterator<Item = &ErrorRecord> {
        self.components.get(component).into_iter().flat_map(|errors| &errors.last)
    }

    /// The last error of a component.
    pub fn last(&self, component: &str) -> Option<&ErrorRecord> {
        self.of(component).next()
    }

    /// How many errors a component has had, those that were swallowed included.
    pub fn count(&self, component: &str) -> u64 {
        self.components.get(component).map_or(0, |errors| errors.count)
    }

    /// The components that have had errors, in order of their ids.
    pub fn components(&self) -> impl Iterator<Item = &ComponentId> {
        self.components.keys()
    }
}

fn cut(message: &mut String) {
    const SIGN: &str = " [..]";
    if message.len() > ErrorLog::MESSAGE_BYTES {
        let fits = |at: &usize| message.is_char_boundary(*at);
        let end = (0..=ErrorLog::MESSAGE_BYTES - SIGN.len()).rev().find(fits);
        message.truncate(end.expect("0 is a boundary"));
        message.push_str(SIGN);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn error(secs: u64) -> ErrorRecord {
        ErrorRecord {
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(secs),
            component: "bolt".into(),
            task: TaskId(1),
            message: secs.to_string(),
            suppressed: 0,
        }
    }

    #[test]
    fn the_newest_come_first_in_whatever_order_they_come_in() {
        let mut errors = ErrorLog::default();
        [3, 1, 2].map(error).into_iter().for_each(|e| errors.add(e));
        assert_eq!(errors.of("bolt").map(|e| &*e.message).collect::<Vec<_>>(), ["3", "2", "1"]);
        assert_eq!(errors.last("bolt"), Some(&error(3)));
        assert_eq!((errors.last("spout"), errors.count("spout")), (None, 0));
    }

    #[test]
    fn old_ones_go_and_stay_counted() {
        let mut errors = ErrorLog::default();
        (0..100).map(error).for_each(|e| errors.add(e));
        errors.add(ErrorRecord { suppressed: 9, ..error(7) });
        assert_eq!(errors.of("bolt").count(), ErrorLog::PER_COMPONENT);
        assert_eq!(errors.of("bolt").last(), Some(&error(80)));
        assert_eq!(errors.count("bolt"), 110);
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let mut errors = ErrorLog::default();
        errors.add(ErrorRecord { message: "é".repeat(ErrorLog::MESSAGE_BYTES), ..error(1) });
        let message = &errors.last("bolt").unwrap().message;
        assert!(message.len() <= ErrorLog::MESSAGE_BYTES && message.ends_with("é [..]"));
    }

    #[test]
    fn reading_gives_what_was_written() {
        let mut errors = ErrorLog::default();
        [3, 1, 2].map(error).into_iter().for_each(|e| errors.add(e));
        let json = serde_json::to_string(&errors).unwrap();
        assert_eq!(serde_json::from_str::<ErrorLog>(&json).unwrap(), errors);
    }
}
