//! Where ZooKeeper is and how patient this process is with it.

use std::fmt;
use std::time::Duration;

use crate::error::Error;

/// How to reach ZooKeeper: `storm.zookeeper.*`.
///
/// ```
/// let mut options = storm_cluster::Options::new(["zk-1", "zk-2:2182"]);
/// options.root = "/production".to_owned();
/// assert_eq!(options.connect_string()?, "zk-1:2181,zk-2:2182");
/// # Ok::<(), storm_cluster::Error>(())
/// ```
#[derive(Clone)]
pub struct Options {
    /// Names or addresses of the servers, each with a port of its own or without.
    pub servers: Vec<String>,
    /// Port of servers that name none; 2181 by default.
    pub port: u16,
    /// The node below which everything lies; `/storm` by default.
    pub root: String,
    /// How long a process may be silent before ZooKeeper takes it for dead; 4 s by default. The servers
    /// may grant another time.
    pub session_timeout: Duration,
    /// How long one operation may take; 5 s by default. A write whose outcome has to be found out may
    /// take twice as long.
    pub operation_timeout: Duration,
    /// How often everything that is watched is read again, whether or not it seems to have changed;
    /// 15 s by default.
    pub resync: Duration,
    /// Name and password for ZooKeeper's digest authentication, as `user:password`. With it, nobody
    /// else can read or change the nodes.
    pub auth: Option<String>,
}

impl Options {
    /// The defaults, for these servers.
    pub fn new<S: Into<String>>(servers: impl IntoIterator<Item = S>) -> Options {
        Options {
            servers: servers.into_iter().map(Into::into).collect(),
            port: 2181,
            root: "/storm".to_owned(),
            session_timeout: Duration::from_millis(4000),
            operation_timeout: Duration::from_secs(5),
            resync: Duration::from_secs(15),
            auth: None,
        }
    }

    /// All servers with their ports, as ZooKeeper's clients take them.
    ///
    /// # Errors
    /// [`Error::BadOption`] if a server or the timeouts make no sense.
    pub fn connect_string(&self) -> Result<String, Error> {
        let bad = |reason: String| Err(Error::BadOption { reason });
        if self.servers.is_empty() {
            return bad("storm.zookeeper.servers is empty: name at least one server".to_owned());
        }
        for (key, time) in [
            ("storm.zookeeper.session.timeout", self.session_timeout),
            ("the time for an operation", self.operation_timeout),
            ("the time between two full readings", self.resync),
        ] {
            if time.is_zero() {
                return bad(format!("{key} is 0: it must be longer"));
            }
        }
        if self.auth.as_ref().is_some_and(|auth| !auth.contains(':')) {
            return bad("storm.zookeeper.auth.payload must be of the form user:password".to_owned());
        }
        let mut addresses = Vec::with_capacity(self.servers.len());
        for server in &self.servers {
            let colons = server.matches(':').count();
            let (host, port) = match server.rsplit_once(':') {
                // A bare IPv6 address has colons and no port.
                Some((host, port)) if colons == 1 || host.ends_with(']') => match port.parse() {
                    Ok(port) => (host.to_owned(), port),
                    Err(_) => {
                        return bad(format!(
                            "storm.zookeeper.servers has '{server}': '{port}' is no port, as in zk-1:2181"
                        ));
                    }
                },
                _ if colons > 1 && !server.starts_with('[') => (format!("[{server}]"), self.port),
                _ => (server.clone(), self.port),
            };
            if host.is_empty() || host.contains(['/', ',', ' ']) || port == 0 {
                return bad(format!(
                    "storm.zookeeper.servers has '{server}': it must be like zk-1 or zk-1:2181"
                ));
            }
            addresses.push(format!("{host}:{port}"));
        }
        Ok(addresses.join(","))
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { servers, port, root, session_timeout, operation_timeout, resync, auth } = self;
        f.debug_struct("Options")
            .field("servers", servers)
            .field("port", port)
            .field("root", root)
            .field("session_timeout", session_timeout)
            .field("operation_timeout", operation_timeout)
            .field("resync", resync)
            .field("auth", &auth.as_ref().map(|_| "a secret"))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_get_the_port_that_they_lack() {
        let options = Options::new(["a", "b:1", "::1", "[::1]:5", "[::1]"]);
        assert_eq!(options.connect_string().unwrap(), "a:2181,b:1,[::1]:2181,[::1]:5,[::1]:2181");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for server in ["", ":1", "a:b", "a:0", "a/b", "a,b", "a:99999"] {
            let error = Options::new([server]).connect_string().unwrap_err().to_string();
            assert!(error.contains("storm.zookeeper.servers"), "{server}: {error}");
        }
        assert!(Options::new([""; 0]).connect_string().is_err());
    }

    #[test]
    fn a_secret_is_not_shown() {
        let mut options = Options::new(["a"]);
        options.auth = Some("me:hidden".into());
        assert!(!format!("{options:?}").contains("hidden"));
    }
}
