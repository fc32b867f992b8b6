//! Storm's configuration keys, typed and checked.
//!
//! One table ([`keys`]) holds every key with its kind, default and meaning. A [`Config`] is built
//! from layers, each checked against the table and remembered with its [`Origin`]:
//! defaults < `storm.yaml` < environment < the topology's code < what is given from outside for
//! this topology. An unknown key under one of Storm's prefixes is an error that names the nearest
//! known one; all other keys are the user's and pass; a key of Storm that has no meaning here is
//! accepted with a [`Note`]. The engine reads a [`TopologyView`], never a map.
//!
//! Nothing here reads the environment by itself except [`load_local`].
//!
//! ```
//! use std::path::Path;
//! use std::time::Duration;
//! use storm_config::{Config, TopologyView};
//!
//! let mut config = Config::defaults();
//! config.layer_yaml_text(Path::new("storm.yaml"), "topology.workers: 2\nword.min: 3\n")?;
//! config.layer_environment([("TOPOLOGY_MESSAGE_TIMEOUT_SECS".into(), "5".into())])?;
//!
//! let view = TopologyView::of(&config);
//! assert_eq!(view.workers, 2);
//! assert_eq!(view.message_timeout, Duration::from_secs(5));
//! assert_eq!(config.user("word.min").and_then(|min| min.as_i64()), Some(3));
//!
//! let error = config.layer_arguments(["topology.wrokers=3"]).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "unknown key 'topology.wrokers' in -c: did you mean 'topology.workers'?"
//! );
//! # Ok::<(), storm_config::ConfigErrors>(())
//! ```
//!
//! Modules in reading order: the table, what a value may be, the layers, how they are read, the
//! views of them.

use serde_json::{Map, Value};

pub mod keys;
mod kind;
mod origin;
mod error;
mod config;
mod yaml;
mod load;
mod views;
mod secrets;
mod docs;

pub use config::{Config, Note};
pub use docs::docs;
pub use error::{ConfigError, ConfigErrors};
pub use kind::{KeyDefault, Kind, Misfit};
pub use load::{CONF_DIR_VARIABLE, CONF_VARIABLE, Search, Sources, TOPOLOGY_CONF_VARIABLE, topology_layer};
pub use origin::Origin;
pub use secrets::{masked, masked_map};
pub use views::{ExecutorThreads, TopologyView, component_view};

/// Loads the configuration of local mode from the process's environment and the files that it
/// names. Variables that are not UTF-8 are passed over.
///
/// # Errors
/// All problems of all layers.
pub fn load_local(topology_code: Map<String, Value>) -> Result<Config, ConfigErrors> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Sources::local(variables, topology_code).load()
}
