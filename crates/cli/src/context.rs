//! What a command knows of its surroundings: the configuration, and how to reach the cluster.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use storm_config::{CONF_DIR_VARIABLE, Config, ConfigErrors, Origin, Search, keys};
use storm_rpc::client::Token;
use storm_rpc::nimbus_client::Patience;
use storm_rpc::{CallError, ErrorCode, Nimbuses, Secret};

use crate::args::Common;

/// The surroundings of a command.
#[derive(Debug)]
pub(crate) struct Context {
    /// The effective configuration.
    pub(crate) config: Config,
    /// The storm.yaml that was read.
    pub(crate) file: Option<PathBuf>,
    /// Whether to print JSON.
    pub(crate) is_json: bool,
}

impl Context {
    /// Reads the configuration: defaults, storm.yaml, environment, `-c`.
    pub(crate) fn load(common: &Common) -> Result<Context, CallError> {
        let file = search(common).find();
        let mut config = Config::defaults();
        let mut errors = Vec::new();
        let mut keep = |layered: Result<(), ConfigErrors>| {
            errors.extend(layered.err().into_iter().flat_map(|errors| errors.0));
        };
        if let Some(file) = &file {
            keep(config.layer_yaml(file));
        }
        keep(config.layer_environment(environment()));
        keep(config.layer_arguments(&common.set));
        if errors.is_empty() {
            return Ok(Context { config, file, is_json: common.json });
        }
        Err(invalid_config(&ConfigErrors(errors)))
    }

    /// What the submitter's own storm.yaml and environment say to topologies: below what their code says.
    pub(crate) fn below_topology(&self) -> Map<String, Value> {
        let is_own = |origin: &Origin| matches!(origin, Origin::File { .. } | Origin::Environment { .. });
        let concerns = |key: &str| key.starts_with("topology.") || !keys::is_checked(key);
        let all = self.config.iter().filter(|(_, value, origin)| !value.is_null() && is_own(origin));
        all.filter(|(key, ..)| concerns(key)).map(|(key, value, _)| (key.to_owned(), value.clone())).collect()
    }

    /// The cluster's secret; none where no file is configured.
    pub(crate) fn secret(&self) -> Result<Secret, CallError> {
        let Some(path) = self.config.get_str("storm.cluster.secret.file") else { return Ok(Secret::none()) };
        let refuse = |why: String| {
            CallError::new(ErrorCode::NotAuthenticated, format!("the cluster's secret in {path} {why}"))
                .advise(
                    "'storm.cluster.secret.file' must name a file with the cluster's secret, readable by you",
                )
        };
        let text =
            std::fs::read_to_string(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
        let secret = Secret::new(&text);
        if secret.is_none() { Err(refuse("is empty".to_owned())) } else { Ok(secret) }
    }

    /// Where the Nimbuses are, as `host:port`.
    pub(crate) fn nimbus_addresses(&self) -> Vec<String> {
        self.addresses("nimbus.seeds", "nimbus.thrift.port")
    }

    /// Where the ZooKeeper servers are, as `host:port`.
    pub(crate) fn zookeeper_addresses(&self) -> Vec<String> {
        self.addresses("storm.zookeeper.servers", "storm.zookeeper.port")
    }

    fn addresses(&self, hosts: &str, port: &str) -> Vec<String> {
        let port = self.port(port);
        self.config.get_strs(hosts).into_iter().map(|host| with_port(host, port)).collect()
    }

    /// A key that is a port.
    pub(crate) fn port(&self, key: &str) -> u16 {
        let port = self.config.get_count(key).and_then(|port| u16::try_from(port).ok());
        port.expect("a port with a default")
    }

    /// Where daemons of this configuration listen.
    pub(crate) fn bind_address(&self) -> &str {
        self.config.get_str("storm.bind.address").expect("a text with a default")
    }

    /// Name or address under which others reach this machine: the configured one, else the one that
    /// daemons listen on, else what the machine is called.
    pub(crate) fn host(&self) -> String {
        let is_every = matches!(self.bind_address(), "0.0.0.0" | "::");
        if let Some(host) = self.config.get_str("storm.local.hostname") {
            host.to_owned()
        } else if is_every {
            let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
            name.unwrap_or_else(|| "localhost".to_owned())
        } else {
            self.bind_address().to_owned()
        }
    }

    /// The Nimbuses of the cluster.
    pub(crate) fn nimbuses(&self) -> Result<Nimbuses, CallError> {
        self.patient_nimbuses(Patience::default())
    }

    /// The Nimbuses of the cluster, asked with this patience.
    pub(crate) fn patient_nimbuses(&self, patience: Patience) -> Result<Nimbuses, CallError> {
        Nimbuses::new(self.nimbus_addresses(), &Token::daemon(&self.secret()?), patience)
    }
}

/// A configuration that cannot be used.
pub(crate) fn invalid_config(errors: &ConfigErrors) -> CallError {
    CallError::invalid(errors.to_string()).advise(
        "mend it there; docs/configuration.md has all keys, and `storm-rs config` what they are set to",
    )
}

/// Divides `-c` of a submit: what is stored with the topology, and what holds for this command.
pub(crate) fn divide(arguments: &[String]) -> (Vec<String>, Vec<String>) {
    arguments.iter().cloned().partition(|argument| {
        let key = argument.split_once('=').map_or(argument.as_str(), |(key, _)| key).trim();
        key.starts_with("topology.") || !keys::is_checked(key)
    })
}

/// The user's home, where it is known.
pub(crate) fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

/// The user's name.
pub(crate) fn user() -> String {
    let uid = nix::unistd::geteuid();
    let of_system = nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name);
    let of_environment = || std::env::var("USER").ok().filter(|name| !name.is_empty());
    of_system.or_else(of_environment).unwrap_or_else(|| format!("uid-{uid}"))
}

fn search(common: &Common) -> Search {
    Search {
        named: common.config.clone(),
        conf_dir: std::env::var_os(CONF_DIR_VARIABLE).filter(|dir| !dir.is_empty()).map(PathBuf::from),
        current_dir: Path::new(".").to_owned(),
        home: home(),
    }
}

fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// `host:port`; the port is the host's own where it has one.
pub(crate) fn with_port(host: &str, port: u16) -> String {
    let has_port = match host.strip_prefix('[') {
        Some(rest) => rest.contains("]:"),
        None => host.matches(':').count() == 1,
    };
    if has_port {
        host.to_owned()
    } else if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_its_own_is_kept() {
        assert_eq!(with_port("h", 1), "h:1");
        assert_eq!(with_port("h:2", 1), "h:2");
        assert_eq!(with_port("::1", 1), "[::1]:1");
        assert_eq!(with_port("[::1]", 1), "[::1]:1");
        assert_eq!(with_port("[::1]:2", 1), "[::1]:2");
    }

    #[test]
    fn a_host_is_reached_where_it_listens() {
        let host = |set: &[&str]| {
            let mut config = Config::defaults();
            config.layer_arguments(set).unwrap();
            Context { config, file: None, is_json: false }.host()
        };
        assert_eq!(host(&[]), "127.0.0.1");
        assert_eq!(host(&["storm.bind.address=10.0.0.1"]), "10.0.0.1");
        assert_eq!(host(&["storm.bind.address=0.0.0.0", "storm.local.hostname=n1"]), "n1");
        assert_ne!(host(&["storm.bind.address=0.0.0.0"]), "0.0.0.0");
    }

    #[test]
    fn topology_keys_and_the_users_go_with_the_topology() {
        let all = ["topology.workers=2", "mine=1", "nimbus.seeds=a", "storm.zookeeper.port=1", "bad"];
        let (topology, command) = divide(&all.map(str::to_owned));
        assert_eq!(topology, ["topology.workers=2", "mine=1", "bad"]);
        assert_eq!(command, ["nimbus.seeds=a", "storm.zookeeper.port=1"]);
    }

    #[test]
    fn the_submitters_own_configuration_lies_below_the_topologys() {
        let mut config = Config::defaults();
        let text = "topology.workers: 3\nmine: 1\nnimbus.seeds: [a]\ntopology.priority: 1\n";
        config.layer_yaml_text(Path::new("storm.yaml"), text).unwrap();
        let set = ("TOPOLOGY_MESSAGE_TIMEOUT_SECS".to_owned(), "7".to_owned());
        config.layer_environment([set]).unwrap();
        config.layer_arguments(["topology.priority=2", "storm.zookeeper.port=1"]).unwrap();
        let below = Context { config, file: None, is_json: false }.below_topology();
        let wanted =
            serde_json::json!({"topology.workers": 3, "mine": 1, "topology.message.timeout.secs": 7});
        assert_eq!(Value::from(below), wanted);
    }

    #[test]
    fn a_secret_that_cannot_be_read_is_an_error_of_authentication() {
        let mut config = Config::defaults();
        config.layer_arguments(["storm.cluster.secret.file=no/such/file"]).unwrap();
        let context = Context { config, file: None, is_json: false };
        assert_eq!(context.secret().unwrap_err().code, ErrorCode::NotAuthenticated);
    }
}
