//! The table of all keys: name, kind, default, doc and standing, a file per prefix.
//!
//! Everything else in this crate is derived from these rows: checking, parsing of text, the
//! documentation, the suggestion for a misspelt key. Rows with a meaning are typed; rows without
//! one only name what Storm uses the key for and what to do here instead.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::kind::{KeyDefault, Kind};

mod drpc;
mod logviewer;
mod nimbus;
mod notes;
mod row;
mod storm;
mod supervisor;
mod topology;
mod ui;
mod worker;

/// The prefixes under which an unknown key is an error. All other keys are the user's.
pub const PREFIXES: [&str; 8] =
    ["topology.", "storm.", "nimbus.", "supervisor.", "worker.", "ui.", "logviewer.", "drpc."];

/// The family of keys that set the number of executors of one component, whatever the code says:
/// `topology.parallelism.` followed by the component's name.
pub const PARALLELISM_PREFIX: &str = "topology.parallelism.";

/// The row that stands for the whole family of [`PARALLELISM_PREFIX`] in the table.
pub(crate) const PARALLELISM: &str = "topology.parallelism.COMPONENT";

// === Key ===

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Storm's name of the key, or ours where Storm has none.
    pub name: &'static str,
    /// What a value must be.
    pub kind: Kind,
    /// The value that holds when no layer sets one.
    pub default: KeyDefault,
    /// What the key does, with its unit, in one or two sentences.
    pub doc: &'static str,
    /// How the key relates to Storm's of the same name.
    pub standing: Standing,
    /// Whether the key may stand in the configuration of a single component.
    pub per_component: bool,
    /// Whether anything reads it. A key that is checked, but not read yet, has no effect: whoever sets it
    /// is told.
    pub is_read: bool,
}

/// How a key relates to Storm's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Means what it means in Storm and has Storm's default.
    Same,
    /// The key or its default is ours, for this reason.
    Ours(&'static str),
    /// Accepted so that Storm's files can be used, but without effect; the text says why and what
    /// to use instead.
    NoMeaning(&'static str),
}

/// The unit in which a number stands in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Millis,
    /// Seconds.
    Secs,
    /// Minutes.
    Mins,
}

impl Key {
    /// The unit of a key that is a time, as its name says it.
    pub fn unit(&self) -> Option<Unit> {
        // Storm leaves the unit out of these names.
        if matches!(
            self.name,
            "storm.zookeeper.session.timeout"
                | "storm.zookeeper.connection.timeout"
                | "storm.zookeeper.retry.interval"
        ) {
            return Some(Unit::Millis);
        }
        match self.name.rsplit('.').next()? {
            "ms" | "millis" => Some(Unit::Millis),
            "sec" | "secs" | "seconds" => Some(Unit::Secs),
            "mins" => Some(Unit::Mins),
            _ => None,
        }
    }

    /// Whether the key has an effect here.
    pub fn has_meaning(&self) -> bool {
        !matches!(self.standing, Standing::NoMeaning(_))
    }

    /// The environment variable that sets this key: capitals, everything else an underscore.
    pub fn variable(&self) -> String {
        self.name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect()
    }
}

// === The table ===

static TABLE: LazyLock<BTreeMap<&'static str, &'static Key>> = LazyLock::new(|| {
    let groups = [
        topology::KEYS,
        topology::UNUSED,
        storm::KEYS,
        storm::UNUSED,
        nimbus::KEYS,
        nimbus::UNUSED,
        supervisor::KEYS,
        supervisor::UNUSED,
        worker::KEYS,
        worker::UNUSED,
        ui::KEYS,
        ui::UNUSED,
        logviewer::KEYS,
        logviewer::UNUSED,
        drpc::UNUSED,
    ];
    let mut table = BTreeMap::new();
    for key in groups.into_iter().flatten() {
        let twice = table.insert(key.name, key).is_some();
        assert!(!twice, "'{}' stands twice in the table", key.name);
    }
    table
});

static VARIABLES: LazyLock<BTreeMap<String, &'static Key>> = LazyLock::new(|| {
    let spellable = all().filter(|key| key.name != PARALLELISM);
    spellable.map(|key| (key.variable(), key)).collect()
});

/// Every row, sorted by name. The family of [`PARALLELISM_PREFIX`] is one row, whose name ends in
/// `COMPONENT`.
pub fn all() -> impl Iterator<Item = &'static Key> {
    TABLE.values().copied()
}

/// The row of `name`; for `topology.parallelism.count` the row of the family.
pub fn find(name: &str) -> Option<&'static Key> {
    let family = name.strip_prefix(PARALLELISM_PREFIX).is_some_and(|component| !component.is_empty());
    let row = if family { PARALLELISM } else { name };
    TABLE.get(row).copied()
}

/// The row that an environment variable of this name sets. The parallelism of components has no
/// variable: their names may hold characters that a variable cannot.
pub fn find_variable(variable: &str) -> Option<&'static Key> {
    VARIABLES.get(variable).copied()
}

/// Whether `name` stands under one of the [`PREFIXES`], so that it must be in the table.
pub fn is_checked(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The known key that `name` was probably meant to be.
pub fn nearest(name: &str) -> Option<&'static str> {
    if PARALLELISM_PREFIX.starts_with(name) && name.len() + 1 >= PARALLELISM_PREFIX.len() {
        return Some(PARALLELISM);
    }
    // One slip in six letters is a typing error; more is another word.
    let farthest = (name.len() / 6).max(2);
    all()
        .map(|key| (strsim::damerau_levenshtein(name, key.name), !key.has_meaning(), key.name))
        .filter(|(distance, ..)| *distance <= farthest)
        .min()
        .map(|(.., key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_is_sorted_and_holds_its_own_prefix() {
        let groups = [
            ("topology.", topology::KEYS),
            ("storm.", storm::KEYS),
            ("nimbus.", nimbus::KEYS),
            ("supervisor.", supervisor::KEYS),
            ("worker.", worker::KEYS),
            ("ui.", ui::KEYS),
            ("logviewer.", logviewer::KEYS),
        ];
        for (prefix, keys) in groups {
            assert!(keys.is_sorted_by_key(|key| key.name), "{prefix} is not sorted");
            assert!(keys.iter().all(|key| key.name.starts_with(prefix)), "{prefix}");
        }
    }

    #[test]
    fn every_key_has_a_doc_sentence() {
        for key in all() {
            assert!(key.doc.ends_with('.') && key.doc.len() > 12, "{}: {:?}", key.name, key.doc);
            assert!(!key.doc.contains("  "), "{}: {:?}", key.name, key.doc);
        }
    }

    #[test]
    fn every_default_satisfies_its_own_kind() {
        for key in all() {
            let default = key.default.to_value();
            if !default.is_null() {
                assert_eq!(key.kind.check(&default).as_ref(), Ok(&default), "{}", key.name);
            }
        }
    }

    #[test]
    fn no_two_keys_share_a_variable() {
        assert_eq!(VARIABLES.len(), all().count() - 1);
    }

    #[test]
    fn a_slip_is_mended_and_another_word_is_not() {
        let nearest_of = |name| nearest(name).unwrap_or("-");
        assert_eq!(nearest_of("topology.mesage.timeout.secs"), "topology.message.timeout.secs");
        assert_eq!(nearest_of("topology.wrokers"), "topology.workers");
        assert_eq!(nearest_of("ui.prot"), "ui.port");
        assert_eq!(nearest_of("topology.parallelism."), PARALLELISM);
        assert_eq!(nearest_of("storm.something.entirely.different"), "-");
    }
}
