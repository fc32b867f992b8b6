//! ZooKeeper for clusters that are put together by hand: the embedded server, the real one as Debian
//! packages it, or three of these that agree with each other.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::{STORM_RS, wait_until};

/// Where Debian's package `zookeeper` puts it; its manifest names all that it needs.
const JAR: &str = "/usr/share/java/zookeeper.jar";
/// Writes its log, where it is installed.
const LOGGER: &str = "/usr/share/java/slf4j-simple.jar";
/// Where nothing is to be seen.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Embedded,
    Real,
    Ensemble,
}

impl Kind {
    /// Whether there is one to start here; there must be if the environment says so.
    #[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
    pub(crate) fn is_here(self) -> bool {
        if self == Kind::Embedded {
            return true;
        }
        let java = Command::new("java").arg("-version").output();
        let has_all = java.is_ok_and(|output| output.status.success()) && Path::new(JAR).exists();
        let required = std::env::var("STORM_TEST_REQUIRE").is_ok_and(|names| names.contains("zookeeper"));
        assert!(has_all || !required, "STORM_TEST_REQUIRE names zookeeper, but java or {JAR} is missing");
        if !has_all {
            println!("skipped: java or {JAR} is missing");
        }
        has_all
    }
}

/// A service that can be stopped and started again, at the same addresses and with what it knew.
pub(crate) struct ZooKeeper {
    nodes: Vec<Node>,
}

impl ZooKeeper {
    pub(super) fn start(kind: Kind, dir: &Path) -> ZooKeeper {
        let count = if kind == Kind::Ensemble { 3 } else { 1 };
        let ports = free_ports(count * 3);
        let members = ports.chunks(3).zip(1..).fold(String::new(), |mut members, (ports, number)| {
            let [of_clients, of_peers, of_election] = [ports[0], ports[1], ports[2]];
            let peer = format!("127.0.0.1:{of_peers}:{of_election};127.0.0.1:{of_clients}");
            writeln!(members, "server.{number}={peer}").unwrap();
            members
        });
        let nodes = ports.chunks(3).zip(1..).map(|(ports, number)| {
            let dir = dir.join(format!("zookeeper-{number}"));
            fs::create_dir_all(dir.join("data")).unwrap();
            if kind != Kind::Embedded {
                let own = if kind == Kind::Ensemble {
                    fs::write(dir.join("data/myid"), number.to_string()).unwrap();
                    members.clone()
                } else {
                    format!("clientPort={}\nclientPortAddress=127.0.0.1\n", ports[0])
                };
                fs::write(dir.join("zoo.cfg"), configuration(&dir) + &own).unwrap();
            }
            Node { kind, dir, address: (Ipv4Addr::LOCALHOST, ports[0]).into(), process: None }
        });
        let mut zookeeper = ZooKeeper { nodes: nodes.collect() };
        zookeeper.start_again();
        zookeeper
    }

    /// Where clients connect.
    pub(super) fn servers(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.address.to_string()).collect()
    }

    /// Kills all of it, as a loss of power would.
    pub(crate) fn kill(&mut self) {
        self.nodes.iter_mut().for_each(Node::kill);
    }

    /// Kills the one that the others follow.
    pub(crate) fn kill_leader(&mut self) {
        let leads = |node: &&mut Node| node.ask().contains("Mode: leader");
        self.nodes.iter_mut().find(leads).expect("one leads").kill();
    }

    /// Starts those that do not run, and waits until all serve.
    pub(crate) fn start_again(&mut self) {
        self.nodes.iter_mut().for_each(Node::start);
        wait_until("zookeeper serves", || self.nodes.iter_mut().all(Node::serves));
    }
}

fn configuration(dir: &Path) -> String {
    format!(
        "tickTime=500\nminSessionTimeout=1000\nmaxSessionTimeout=60000\ninitLimit=20\nsyncLimit=10\n\
         dataDir={}\nadmin.enableServer=false\nmaxClientCnxns=0\n4lw.commands.whitelist=*\n",
        dir.join("data").display()
    )
}

/// A server's process and data. The process is killed when this is dropped.
struct Node {
    kind: Kind,
    dir: PathBuf,
    address: SocketAddr,
    process: Option<Child>,
}

impl Node {
    fn start(&mut self) {
        if self.process.is_some() {
            return;
        }
        let log = File::options().create(true).append(true).open(self.dir.join("zookeeper.log")).unwrap();
        let mut command = if self.kind == Kind::Embedded {
            let mut command = Command::new(STORM_RS);
            command.args(["dev-zookeeper", "--listen", &self.address.to_string()]);
            command.arg("--data-dir").arg(self.dir.join("data"));
            command
        } else {
            let mut command = Command::new("java");
            command.args(["-Xms16m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]);
            command.arg(format!("{JAR}:{LOGGER}"));
            command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain").arg(self.dir.join("zoo.cfg"));
            command
        };
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(command.spawn().unwrap());
    }

    fn serves(&mut self) -> bool {
        let ended = self.process.as_mut().and_then(|process| process.try_wait().unwrap());
        assert!(ended.is_none(), "zookeeper has ended: {ended:?}; see {}", self.dir.display());
        self.ask().contains("Mode:")
    }

    /// What it says of itself; empty if it does not answer. While it starts, the server may take a
    /// question and never answer it.
    fn ask(&self) -> String {
        let conversation = || {
            let mut stream = TcpStream::connect_timeout(&self.address, ANSWER_WITHIN)?;
            stream.set_read_timeout(Some(ANSWER_WITHIN))?;
            stream.write_all(b"srvr")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        conversation().unwrap_or_default()
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ports that nobody listens on now, below those that the system gives to outgoing connections: who
/// tries again and again to reach a server that is down could get the server's own port.
pub(super) fn free_ports(count: usize) -> Vec<u16> {
    let mut random = StdRng::from_os_rng();
    let mut ports = BTreeSet::new();
    while ports.len() < count {
        let port = random.random_range(10_000..32_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            ports.insert(port);
        }
    }
    ports.into_iter().collect()
}
