//! How the pages are served.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use storm_config::Config;
use thiserror::Error;

/// How the pages are served.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen on: `ui.host`.
    pub host: String,
    /// Names under which the server is asked, beside `localhost` and addresses: `ui.hosts`. They count
    /// where nobody has to log in, if there are any or `host` is of this machine alone.
    pub hosts: Vec<String>,
    /// Port to listen on: `ui.port`. 0 takes a free one.
    pub port: u16,
    /// Path under which everything is served, too, where a proxy hands the whole path on:
    /// `ui.path.prefix`. Empty, or with a slash in front and none at the end.
    pub prefix: String,
    /// Title of the pages: `ui.title`.
    pub title: String,
    /// Whether commands are taken: `ui.actions.enabled`.
    pub actions: bool,
    /// Who is let in: `ui.authentication`.
    pub authentication: Authentication,
    /// Users who are let in: `ui.users`. Empty: all who are known.
    pub users: Vec<String>,
    /// Other sites whose scripts may read the REST interface: `ui.cors.origins`. `*` is any.
    pub cors_origins: Vec<String>,
    /// Page about bugs: `ui.project.bugtracker.url`.
    pub bugtracker: Option<String>,
    /// Page with collected logs: `ui.central.logging.url`.
    pub central_log: Option<String>,
}

/// How it is known who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    /// It is not: whoever reaches the port may see and do everything.
    #[default]
    None,
    /// By name and password.
    Basic {
        /// Names with bcrypt hashes, as `htpasswd -B` writes them: `ui.authentication.users.file`.
        users: Vec<(String, String)>,
    },
    /// A proxy in front says so.
    Header {
        /// Name of the header: `ui.authentication.header`.
        name: String,
        /// Addresses it is believed from: `ui.authentication.proxies`.
        proxies: Vec<IpAddr>,
    },
}

/// A configuration with which nothing can be served.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OptionsError {
    /// A value makes no sense.
    #[error("'{key}' is '{value}': {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it is set to.
        value: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The file with the users is not usable.
    #[error("cannot use the users in {}: {reason}", path.display())]
    Users {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Default for Options {
    /// On 127.0.0.1:8080, with actions, for everybody who reaches it.
    fn default() -> Options {
        Options {
            host: "127.0.0.1".to_owned(),
            hosts: Vec::new(),
            port: 8080,
            prefix: String::new(),
            title: "Storm UI".to_owned(),
            actions: true,
            authentication: Authentication::None,
            users: Vec::new(),
            cors_origins: Vec::new(),
            bugtracker: None,
            central_log: None,
        }
    }
}

impl Options {
    /// Reads them from the configuration, and the users from their file.
    ///
    /// # Errors
    /// If a value makes no sense, or the file with the users cannot be used.
    pub fn from_config(config: &Config) -> Result<Options, OptionsError> {
        let text = |key: &str| config.get_str(key).map(str::to_owned);
        let known = |key: &str| text(key).expect("a text with a default");
        let texts = |key: &str| config.get_strs(key).into_iter().map(str::to_owned).collect::<Vec<String>>();
        let (authentication, users) = (authentication(config)?, texts("ui.users"));
        if authentication == Authentication::None && !users.is_empty() {
            return Err(OptionsError::Value {
                key: "ui.users",
                value: users.join(", "),
                reason: "nobody is known with 'ui.authentication: none'; set that to basic or header"
                    .to_owned(),
            });
        }
        let port = config.get_int("ui.port").and_then(|port| u16::try_from(port).ok());
        Ok(Options {
            host: known("ui.host"),
            hosts: texts("ui.hosts"),
            port: port.expect("a port with a default"),
            prefix: prefix(&known("ui.path.prefix"))?,
            title: known("ui.title"),
            actions: config.get_bool("ui.actions.enabled"),
            authentication,
            users,
            cors_origins: texts("ui.cors.origins"),
            bugtracker: text("ui.project.bugtracker.url"),
            central_log: text("ui.central.logging.url"),
        })
    }
}

fn prefix(value: &str) -> Result<String, OptionsError> {
    let prefix = value.trim_matches('/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    if !prefix.chars().all(is_plain) {
        let reason = "a path of letters, digits and -._~, such as /storm".to_owned();
        return Err(OptionsError::Value { key: "ui.path.prefix", value: value.to_owned(), reason });
    }
    Ok(if prefix.is_empty() { String::new() } else { format!("/{prefix}") })
}

fn authentication(config: &Config) -> Result<Authentication, OptionsError> {
    const KEY: &str = "ui.authentication";
    let value = |key: &'static str, value: &str, reason: &str| OptionsError::Value {
        key,
        value: value.to_owned(),
        reason: reason.to_owned(),
    };
    match config.get_str(KEY).expect("a text with a default") {
        "none" => Ok(Authentication::None),
        "basic" => {
            let missing = "it needs 'ui.authentication.users.file', as `htpasswd -B` writes it";
            let path = config.get_str("ui.authentication.users.file");
            let path = Path::new(path.ok_or_else(|| value(KEY, "basic", missing))?);
            let refuse = |reason: String| OptionsError::Users { path: path.to_owned(), reason };
            let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
            users(&text).map(|users| Authentication::Basic { users }).map_err(refuse)
        }
        "header" => {
            let name = config.get_str("ui.authentication.header").expect("a text with a default");
            let proxies = config.get_strs("ui.authentication.proxies").into_iter().map(|address| {
                let reason = "the IP address of the proxy that sets the header";
                address.parse().map_err(|_| value("ui.authentication.proxies", address, reason))
            });
            Ok(Authentication::Header {
                name: name.to_ascii_lowercase(),
                proxies: proxies.collect::<Result<_, _>>()?,
            })
        }
        other => Err(value(KEY, other, "one of none, basic and header")),
    }
}

/// `name:hash` a line; empty lines and those with `#` are left out.
fn users(text: &str) -> Result<Vec<(String, String)>, String> {
    let lines = (1..).zip(text.lines()).map(|(number, line)| (number, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let users = lines.map(|(number, line)| match line.split_once(':') {
        Some((name, hash)) if !name.is_empty() && hash.starts_with("$2") => {
            Ok((name.to_owned(), hash.to_owned()))
        }
        _ => {
            Err(format!("line {number} is not 'name:bcrypt hash'; `htpasswd -B FILE NAME` writes such lines"))
        }
    });
    let users: Vec<_> = users.collect::<Result<_, _>>()?;
    if users.is_empty() { Err("there is none".to_owned()) } else { Ok(users) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(set: &[&str]) -> Result<Options, OptionsError> {
        let mut config = Config::defaults();
        config.layer_arguments(set).unwrap();
        Options::from_config(&config)
    }

    #[test]
    fn the_defaults_are_those_of_the_keys() {
        let read = options(&[]).unwrap();
        let plain = Options::default();
        assert_eq!((read.host, read.port, read.prefix), (plain.host, plain.port, plain.prefix));
        assert_eq!((read.title, read.actions, read.users), (plain.title, plain.actions, plain.users));
        assert_eq!((read.authentication, read.cors_origins), (plain.authentication, plain.cors_origins));
    }

    #[test]
    fn a_prefix_has_one_form() {
        for given in ["storm/a", "/storm/a", "/storm/a/"] {
            assert_eq!(options(&[&format!("ui.path.prefix={given}")]).unwrap().prefix, "/storm/a");
        }
        let error = options(&["ui.path.prefix=/a b"]).unwrap_err();
        assert!(error.to_string().starts_with("'ui.path.prefix' is '/a b': a path of letters"), "{error}");
    }

    #[test]
    fn users_are_read_and_what_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users");
        let file = format!("ui.authentication.users.file={}", path.display());
        let set = ["ui.authentication=basic", file.as_str()];
        assert!(matches!(options(&set), Err(OptionsError::Users { .. })));
        for bad in ["", "# none\n", "ada:secret\n"] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(options(&set), Err(OptionsError::Users { .. })), "{bad:?}");
        }
        std::fs::write(&path, "# people\nada:$2y$05$abc\n").unwrap();
        let users = vec![("ada".to_owned(), "$2y$05$abc".to_owned())];
        assert_eq!(options(&set).unwrap().authentication, Authentication::Basic { users });
        let error = options(&["ui.authentication=basic"]).unwrap_err().to_string();
        assert!(error.contains("it needs 'ui.authentication.users.file'"), "{error}");
    }

    #[test]
    fn a_header_is_believed_from_addresses() {
        let set = ["ui.authentication=header", "ui.authentication.proxies=[\"10.0.0.1\"]"];
        let Authentication::Header { name, proxies } = options(&set).unwrap().authentication else {
            panic!()
        };
        assert_eq!((name.as_str(), proxies), ("x-forwarded-user", vec!["10.0.0.1".parse().unwrap()]));
        assert!(options(&["ui.authentication=header", "ui.authentication.proxies=[\"proxy\"]"]).is_err());
        assert!(options(&["ui.authentication=kerberos"]).is_err());
        let nobody = options(&["ui.users=[\"ada\"]"]).unwrap_err().to_string();
        assert!(nobody.starts_with("'ui.users' is 'ada': nobody is known"), "{nobody}");
    }
}
