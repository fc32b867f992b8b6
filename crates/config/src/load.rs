//! The layers as they come from the outside: files, environment, command line.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::config::{Setting, check_all};
use crate::{Config, ConfigError, ConfigErrors, Note, Origin, keys, yaml};

/// The variable that names the cluster's file in local mode.
pub const CONF_VARIABLE: &str = "STORM_RS_CONF";

/// The variable that names the file given from outside for a topology in local mode.
pub const TOPOLOGY_CONF_VARIABLE: &str = "STORM_RS_TOPOLOGY_CONF";

/// The variable that names a directory with a `storm.yaml`.
pub const CONF_DIR_VARIABLE: &str = "STORM_CONF_DIR";

/// Where a command looks for `storm.yaml`: the first of the named file, [`CONF_DIR_VARIABLE`], the
/// current directory, `~/.storm`, and the directory of `storm-rs dev`.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The file that is named on the command line. It must exist.
    pub named: Option<PathBuf>,
    /// The directory that [`CONF_DIR_VARIABLE`] names.
    pub conf_dir: Option<PathBuf>,
    /// The current directory.
    pub current_dir: PathBuf,
    /// The user's home.
    pub home: Option<PathBuf>,
}

impl Search {
    /// What is looked at, in this order.
    pub fn candidates(&self) -> Vec<PathBuf> {
        if let Some(named) = &self.named {
            return vec![named.clone()];
        }
        let home = |below: &str| self.home.as_ref().map(|home| home.join(below));
        let directories =
            [self.conf_dir.clone(), Some(self.current_dir.clone()), home(".storm"), home(".storm-rs/dev")];
        directories.into_iter().flatten().map(|directory| directory.join("storm.yaml")).collect()
    }

    /// The file to read: the named one, whether it exists or not, else the first that exists.
    pub fn find(&self) -> Option<PathBuf> {
        self.named.clone().or_else(|| self.candidates().into_iter().find(|path| path.is_file()))
    }
}

/// What is given from outside for a topology that is submitted: its file and, above that, `key=value`
/// arguments, checked. Nulls stay: they ask for the default again.
///
/// # Errors
/// All problems of both.
pub fn topology_layer(file: Option<&Path>, arguments: &[String]) -> Result<Map<String, Value>, ConfigErrors> {
    let (mut settings, mut errors) = (Vec::new(), Vec::new());
    let in_file = file.map_or(Ok(Vec::new()), |path| {
        let origin = |line| Origin::TopologyFile { path: path.to_owned(), line };
        parse(path, &read(path)?, origin).and_then(check_all)
    });
    for part in [in_file, parse_arguments(arguments).and_then(check_all)] {
        match part {
            Ok(part) => settings.extend(part),
            Err(part) => errors.extend(part.0),
        }
    }
    if !errors.is_empty() {
        return Err(ConfigErrors(errors));
    }
    Ok(settings.into_iter().map(|setting| (setting.key, setting.value)).collect())
}

/// What makes a configuration, from the weakest layer to the strongest.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The cluster's file, `storm.yaml`.
    pub storm_yaml: Option<PathBuf>,
    /// Environment variables. Only those that spell a known key are read.
    pub environment: Vec<(String, String)>,
    /// What the topology's code sets.
    pub topology_code: Map<String, Value>,
    /// The file given from outside for this topology.
    pub topology_file: Option<PathBuf>,
    /// `key=value` from the command line.
    pub arguments: Vec<String>,
}

impl Sources {
    /// The sources of local mode: the two files are named by [`CONF_VARIABLE`] and
    /// [`TOPOLOGY_CONF_VARIABLE`] among the given variables.
    pub fn local(
        environment: impl IntoIterator<Item = (String, String)>,
        topology_code: Map<String, Value>,
    ) -> Self {
        let environment: Vec<_> = environment.into_iter().collect();
        let file = |variable: &str| {
            let named = environment.iter().find(|(name, _)| name == variable);
            named.filter(|(_, path)| !path.is_empty()).map(|(_, path)| PathBuf::from(path))
        };
        let (storm_yaml, topology_file) = (file(CONF_VARIABLE), file(TOPOLOGY_CONF_VARIABLE));
        Self { storm_yaml, environment, topology_code, topology_file, arguments: Vec::new() }
    }

    /// Puts all layers together.
    ///
    /// # Errors
    /// All problems of all layers.
    pub fn load(&self) -> Result<Config, ConfigErrors> {
        let mut config = Config::defaults();
        let mut errors = Vec::new();
        let mut keep = |result: Result<(), ConfigErrors>| {
            errors.extend(result.err().into_iter().flat_map(|errors| errors.0));
        };
        if let Some(path) = &self.storm_yaml {
            keep(config.layer_yaml(path));
        }
        keep(config.layer_environment(self.environment.iter().cloned()));
        keep(config.layer(&Origin::TopologyCode, &self.topology_code));
        if let Some(path) = &self.topology_file {
            keep(config.layer_topology_yaml(path));
        }
        keep(config.layer_arguments(&self.arguments));
        if errors.is_empty() { Ok(config) } else { Err(ConfigErrors(errors)) }
    }
}

impl Config {
    /// The defaults with the cluster's file over them.
    ///
    /// # Errors
    /// If the file cannot be read, is not a YAML map, or sets what must not be set.
    pub fn load_yaml(path: &Path) -> Result<Self, ConfigErrors> {
        let mut config = Self::defaults();
        config.layer_yaml(path)?;
        Ok(config)
    }

    /// Puts the cluster's file over what is there.
    ///
    /// # Errors
    /// As [`Config::load_yaml`].
    pub fn layer_yaml(&mut self, path: &Path) -> Result<(), ConfigErrors> {
        let text = read(path)?;
        self.layer_yaml_text(path, &text)
    }

    /// Puts the text of the cluster's file over what is there; `path` is only named in messages.
    ///
    /// # Errors
    /// As [`Config::load_yaml`].
    pub fn layer_yaml_text(&mut self, path: &Path, text: &str) -> Result<(), ConfigErrors> {
        let origin = |line| Origin::File { path: path.to_owned(), line };
        self.apply(parse(path, text, origin)?)
    }

    /// Puts the file given from outside for this topology over what is there.
    ///
    /// # Errors
    /// As [`Config::load_yaml`].
    pub fn layer_topology_yaml(&mut self, path: &Path) -> Result<(), ConfigErrors> {
        let text = read(path)?;
        let origin = |line| Origin::TopologyFile { path: path.to_owned(), line };
        self.apply(parse(path, &text, origin)?)
    }

    /// Puts environment variables over what is there: those that spell a known key in capitals
    /// with underscores, such as `TOPOLOGY_MESSAGE_TIMEOUT_SECS`. Others are ignored, as are empty
    /// ones; a `.._PORT` that holds `tcp://..` is ignored with a note, for container platforms set
    /// such for their services.
    ///
    /// # Errors
    /// Every value that does not fit its key.
    pub fn layer_environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigErrors> {
        let mut settings = Vec::new();
        for (variable, text) in variables {
            let Some(key) = keys::find_variable(&variable).filter(|_| !text.is_empty()) else { continue };
            let is_link = variable.ends_with("_PORT") && text.starts_with("tcp://");
            let (name, origin) = (key.name.to_owned(), Origin::Environment { variable });
            if is_link {
                let note = "the variable is one that container platforms set for a service of that name";
                self.pass_over(Note { key: name, note, origin });
            } else {
                settings.push(Setting { key: name, value: key.kind.parse(&text), origin });
            }
        }
        self.apply(settings)
    }

    /// Puts `key=value` arguments over what is there. The value of a user's key is read as JSON,
    /// or is a string where it is none.
    ///
    /// # Errors
    /// Every argument without `=`, unknown key and value that does not fit its key.
    pub fn layer_arguments<S: AsRef<str>>(
        &mut self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<(), ConfigErrors> {
        self.apply(parse_arguments(arguments)?)
    }
}

fn parse_arguments<S: AsRef<str>>(
    arguments: impl IntoIterator<Item = S>,
) -> Result<Vec<Setting>, ConfigErrors> {
    let (mut settings, mut errors) = (Vec::new(), Vec::new());
    for argument in arguments {
        let argument = argument.as_ref();
        let Some((key, text)) = argument.split_once('=') else {
            errors.push(ConfigError::Argument { argument: argument.to_owned() });
            continue;
        };
        let key = key.trim();
        let value = match keys::find(key) {
            Some(known) => known.kind.parse(text),
            None => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        };
        settings.push(Setting { key: key.to_owned(), value, origin: Origin::Argument });
    }
    if errors.is_empty() {
        return Ok(settings);
    }
    // The other arguments are checked all the same, to report everything at once.
    errors.extend(check_all(settings).err().into_iter().flat_map(|errors| errors.0));
    Err(ConfigErrors(errors))
}

fn read(path: &Path) -> Result<String, ConfigErrors> {
    let text = fs::read_to_string(path);
    Ok(text.map_err(|source| ConfigError::Read { path: path.to_owned(), source })?)
}

fn parse(path: &Path, text: &str, origin: impl Fn(usize) -> Origin) -> Result<Vec<Setting>, ConfigErrors> {
    let lines = yaml::parse_document(text).map_err(|problems| {
        let error = |problem: yaml::Problem| ConfigError::Yaml {
            path: path.to_owned(),
            line: problem.line,
            reason: problem.reason,
        };
        ConfigErrors(problems.into_iter().map(error).collect())
    })?;
    let setting = |line: yaml::Line| Setting { key: line.key, value: line.value, origin: origin(line.line) };
    Ok(lines.into_iter().map(setting).collect())
}
