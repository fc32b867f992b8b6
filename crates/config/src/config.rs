//! A configuration: layers of values, checked against the table and remembered with their origin.
//!
//! A layer is taken as a whole or not at all, and all its problems are reported together.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::keys::{self, Key, PARALLELISM, PARALLELISM_PREFIX, Standing, Unit};
use crate::kind::{Kind, Misfit};
use crate::{ConfigError, ConfigErrors, Origin, yaml};

/// Checked values with their origins.
///
/// Known keys always have a value (`null` where nothing is set and the table has no default); keys
/// of Storm without a meaning here and the user's own keys are there only when they were set.
#[derive(Clone, Debug)]
pub struct Config {
    entries: BTreeMap<String, Entry>,
    /// What was passed over, beside what the entries tell.
    passed_over: Vec<Note>,
}

#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    origin: Origin,
}

/// Says that a value was accepted but has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The key.
    pub key: String,
    /// Why it has no effect, and what to do instead.
    pub note: &'static str,
    /// Where it was set.
    pub origin: Origin,
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "'{}' {} has no effect: {}", self.key, self.origin, self.note)
    }
}

/// One value that a layer sets, before it is checked.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

// === Layers ===

impl Config {
    /// The configuration in which nothing is set.
    pub fn defaults() -> Self {
        let known = keys::all().filter(|key| key.has_meaning() && key.name != PARALLELISM);
        let entries = known.map(|key| (key.name.to_owned(), default_of(key))).collect();
        Self { entries, passed_over: Vec::new() }
    }

    /// Puts a layer over what is there: its values win, its nulls ask for the default again.
    ///
    /// # Errors
    /// Every unknown key under Storm's prefixes and every value that does not fit its key; then
    /// the configuration is unchanged.
    pub fn layer(&mut self, origin: &Origin, map: &Map<String, Value>) -> Result<(), ConfigErrors> {
        self.apply(map.iter().map(|(key, value)| Setting {
            key: key.clone(),
            value: value.clone(),
            origin: origin.clone(),
        }))
    }

    pub(crate) fn apply(&mut self, settings: impl IntoIterator<Item = Setting>) -> Result<(), ConfigErrors> {
        for Setting { key, value, origin } in check_all(settings)? {
            if !value.is_null() {
                self.entries.insert(key, Entry { value, origin });
            } else if let Some(known) = keys::find(&key).filter(|known| known.name == key) {
                self.reset(known);
            } else {
                self.entries.remove(&key);
            }
        }
        Ok(())
    }

    pub(crate) fn pass_over(&mut self, note: Note) {
        self.passed_over.push(note);
    }

    fn reset(&mut self, key: &Key) {
        if key.has_meaning() && key.name != PARALLELISM {
            self.entries.insert(key.name.to_owned(), default_of(key));
        } else {
            self.entries.remove(key.name);
        }
    }
}

fn default_of(key: &Key) -> Entry {
    Entry { value: key.default.to_value(), origin: Origin::Default }
}

/// Checks settings; all their problems come together.
pub(crate) fn check_all(settings: impl IntoIterator<Item = Setting>) -> Result<Vec<Setting>, ConfigErrors> {
    let (mut checked, mut errors) = (Vec::new(), Vec::new());
    for setting in settings {
        match check(setting) {
            Ok(setting) => checked.push(setting),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(checked) } else { Err(ConfigErrors(errors)) }
}

fn check(mut setting: Setting) -> Result<Setting, ConfigError> {
    let Setting { key, value, origin } = &setting;
    let Some(known) = keys::find(key) else {
        if !keys::is_checked(key) {
            return Ok(setting);
        }
        let (key, origin) = (key.clone(), origin.clone());
        return Err(ConfigError::Unknown { nearest: keys::nearest(&key), key, origin });
    };
    if value.is_null() {
        return Ok(setting);
    }
    match known.kind.check(value) {
        Ok(value) => {
            setting.value = value;
            Ok(setting)
        }
        Err(misfit) => {
            let (key, origin) = (key.clone(), origin.clone());
            let found = yaml::found(value) + mend(&known.kind, value);
            Err(match misfit {
                Misfit::Type => ConfigError::WrongType { key, known, found, origin },
                Misfit::Range => ConfigError::OutOfRange { key, known, found, origin },
            })
        }
    }
}

/// Quotes that are missing or too many are the usual reason for a value of the wrong type.
fn mend(kind: &Kind, value: &Value) -> &'static str {
    let unquoted = value.as_str().map(|text| kind.parse(text));
    if unquoted.is_some_and(|value| kind.check(&value).is_ok()) {
        ": leave out the quotes"
    } else if *kind == Kind::Str && (value.is_number() || value.is_boolean()) {
        ": put it in quotes"
    } else {
        ""
    }
}

// === Reading ===

impl Config {
    /// The value of any key; `None` where none is set.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key).map(|entry| &entry.value).filter(|value| !value.is_null())
    }

    /// Where the value of a key comes from.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.entries.get(key).map(|entry| &entry.origin)
    }

    /// The value of one of the user's own keys; `None` for Storm's keys.
    pub fn user(&self, key: &str) -> Option<&Value> {
        if keys::is_checked(key) { None } else { self.get(key) }
    }

    /// Every key with value and origin, sorted by key; values that are not set are null.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value, &Origin)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), &entry.value, &entry.origin))
    }

    /// Every value as one flat JSON object, as Storm shows a topology's configuration.
    pub fn to_json(&self) -> Value {
        self.iter().map(|(key, value, _)| (key.to_owned(), value.clone())).collect()
    }

    /// What was set and has no effect.
    pub fn notes(&self) -> Vec<Note> {
        let notes = self.iter().filter_map(|(key, value, origin)| {
            let note = match keys::find(key) {
                Some(known) => match known.standing {
                    Standing::NoMeaning(note) => note,
                    _ if !known.is_read && *value != known.default.to_value() => {
                        "it is checked, and has no effect yet"
                    }
                    Standing::Same | Standing::Ours(_) => return None,
                },
                None if value.is_object() && keys::is_checked(&format!("{key}.")) => {
                    "keys are written flat: 'topology.workers: 2', not 'workers' below 'topology'"
                }
                None => return None,
            };
            Some(Note { key: key.to_owned(), note, origin: origin.clone() })
        });
        notes.chain(self.passed_over.iter().cloned()).collect()
    }

    /// The number of executors of each component for which one was set from outside its code.
    pub fn parallelism(&self) -> BTreeMap<String, u32> {
        let set = self.iter().filter_map(|(key, value, _)| {
            let component = key.strip_prefix(PARALLELISM_PREFIX)?;
            Some((component.to_owned(), u32::try_from(value.as_i64()?).ok()?))
        });
        set.collect()
    }

    /// The truth value of a key of the table.
    ///
    /// # Panics
    /// If the key is not in the table, is of another kind, or has neither value nor default.
    pub fn get_bool(&self, key: &str) -> bool {
        let value = self.known(key).and_then(Value::as_bool);
        value.unwrap_or_else(|| panic!("'{key}' is not a truth value with a default"))
    }

    /// The whole number of a key of the table.
    ///
    /// # Panics
    /// If the key is not in the table.
    pub fn get_int(&self, key: &str) -> Option<i64> {
        self.known(key).and_then(Value::as_i64)
    }

    /// [`Config::get_int`] for what is counted: `None` also where a word or -1 stands.
    ///
    /// # Panics
    /// If the key is not in the table.
    pub fn get_count(&self, key: &str) -> Option<u32> {
        self.get_int(key).and_then(|number| u32::try_from(number).ok())
    }

    /// The number of a key of the table.
    ///
    /// # Panics
    /// If the key is not in the table.
    pub fn get_float(&self, key: &str) -> Option<f64> {
        self.known(key).and_then(Value::as_f64)
    }

    /// The string of a key of the table.
    ///
    /// # Panics
    /// If the key is not in the table.
    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.known(key).and_then(Value::as_str)
    }

    /// The strings of a key of the table; a single string is a list of one, nothing is none.
    ///
    /// # Panics
    /// If the key is not in the table.
    pub fn get_strs(&self, key: &str) -> Vec<&str> {
        match self.known(key) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// The whole numbers of a key of the table.
    ///
    /// # Panics
    /// If the key is not in the table.
    pub fn get_ints(&self, key: &str) -> Vec<i64> {
        let items = self.known(key).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_i64).collect()
    }

    /// The map of a key of the table.
    ///
    /// # Panics
    /// If the key is not in the table.
    pub fn get_map(&self, key: &str) -> Option<&Map<String, Value>> {
        self.known(key).and_then(Value::as_object)
    }

    /// The time of a key of the table, whatever its unit; `None` also where -1 stands.
    ///
    /// # Panics
    /// If the key is not in the table or is not a time.
    pub fn get_duration(&self, key: &str) -> Option<Duration> {
        let unit = keys::find(key).and_then(Key::unit);
        let unit = unit.unwrap_or_else(|| panic!("'{key}' is not a time"));
        let number = u64::try_from(self.get_int(key)?).ok()?;
        Some(match unit {
            Unit::Millis => Duration::from_millis(number),
            Unit::Secs => Duration::from_secs(number),
            Unit::Mins => Duration::from_secs(number * 60),
        })
    }

    fn known(&self, key: &str) -> Option<&Value> {
        assert!(keys::find(key).is_some(), "'{key}' is not in the table of keys");
        self.get(key)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn layered(value: Value) -> Result<Config, ConfigErrors> {
        let mut config = Config::defaults();
        let map = value.as_object().cloned().unwrap_or_default();
        config.layer(&Origin::TopologyCode, &map).map(|()| config)
    }

    #[test]
    fn a_later_layer_wins_and_null_resets() {
        let mut config = layered(json!({"topology.workers": 3, "mine": 1})).unwrap();
        assert_eq!(config.get_count("topology.workers"), Some(3));
        assert_eq!(config.origin("topology.workers"), Some(&Origin::TopologyCode));
        let nulls = json!({"topology.workers": null, "mine": null});
        config.layer(&Origin::Argument, nulls.as_object().unwrap()).unwrap();
        assert_eq!(config.get_count("topology.workers"), Some(1));
        assert_eq!(config.origin("topology.workers"), Some(&Origin::Default));
        assert_eq!(config.user("mine"), None);
    }

    #[test]
    fn the_users_keys_pass() {
        let config = layered(json!({"word.min": 3, "client.x": [1], "topologyx": {}})).unwrap();
        assert_eq!(config.user("word.min"), Some(&json!(3)));
        assert_eq!(config.user("client.x"), Some(&json!([1])));
        assert_eq!(config.user("topology.workers"), None);
        assert!(config.notes().is_empty());
    }

    #[test]
    fn all_problems_of_a_layer_come_together_and_nothing_is_taken() {
        let mut config = Config::defaults();
        let map = json!({
            "topology.debug": true,
            "topology.mesage.timeout.secs": 3,
            "topology.workers": 0,
            "topology.name": 7,
            "worker.elephants": 1,
        });
        let errors = config.layer(&Origin::TopologyCode, map.as_object().unwrap()).unwrap_err();
        expect_test::expect![[r#"
            unknown key 'topology.mesage.timeout.secs' in the topology's code: did you mean 'topology.message.timeout.secs'?
            'topology.name' in the topology's code must be a string, but is the number 7: put it in quotes (Name of the topology)
            'topology.workers' in the topology's code is out of range: it must be a whole number (>= 1), but is the number 0 (Worker processes that the topology asks for)
            unknown key 'worker.elephants' in the topology's code: keys of your own stand under a prefix that is not Storm's"#]]
        .assert_eq(&errors.to_string());
        assert!(!config.get_bool("topology.debug"));
    }

    #[test]
    fn keys_without_meaning_give_a_note() {
        let config = layered(json!({
            "topology.worker.childopts": "-Xmx1g",
            "topology": {"workers": 2},
            "topology.kryo.register": null,
        }));
        let notes: Vec<_> = config.unwrap().notes().iter().map(Note::to_string).collect();
        expect_test::expect![[r#"
            'topology' in the topology's code has no effect: keys are written flat: 'topology.workers: 2', not 'workers' below 'topology'
            'topology.worker.childopts' in the topology's code has no effect: a native process has no JVM; the memory for waiting rows is 'topology.worker.max.heap.size.mb'"#]]
        .assert_eq(&notes.join("\n"));
    }

    #[test]
    fn parallelism_is_a_family() {
        let config = layered(json!({"topology.parallelism.count": 4})).unwrap();
        assert_eq!(config.parallelism(), BTreeMap::from([("count".to_owned(), 4)]));
        let errors = layered(json!({"topology.parallelism.": 4, "topology.parallelism.a": 0}));
        assert_eq!(errors.unwrap_err().0.len(), 2);
    }

    #[test]
    fn times_have_the_unit_of_their_name() {
        let config = Config::defaults();
        let of = |key| config.get_duration(key).unwrap();
        assert_eq!(of("topology.message.timeout.secs"), Duration::from_secs(30));
        assert_eq!(of("storm.zookeeper.session.timeout"), Duration::from_secs(4));
        assert_eq!(of("supervisor.localizer.cleanup.interval.ms"), Duration::from_secs(30));
        assert_eq!(of("logviewer.cleanup.age.mins"), Duration::from_secs(604_800));
        assert_eq!(config.get_duration("topology.tick.tuple.freq.secs"), None);
    }

    #[test]
    #[should_panic(expected = "not in the table")]
    fn only_known_keys_can_be_asked_for() {
        Config::defaults().get_int("topology.wrokers");
    }
}
