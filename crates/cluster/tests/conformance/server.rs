//! Servers to test against: the embedded one, and the real ZooKeeper as Debian packages it.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::PATIENCE;

/// Where Debian's package `zookeeper` puts it; its manifest names all that it needs.
const JAR: &str = "/usr/share/java/zookeeper.jar";

/// Writes its log, where it is installed.
const LOGGER: &str = "/usr/share/java/slf4j-simple.jar";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Embedded,
    Real,
}

/// A server that can be stopped and started again, at the same address and with what it knew.
pub(crate) enum Server {
    Embedded { directory: TempDir, address: SocketAddr, running: Option<storm_dev_zookeeper::Server> },
    Real { node: Node },
}

impl Server {
    /// Starts one; None, with a line that says so, if there is none here to start.
    pub(crate) async fn start(kind: Kind) -> Option<Server> {
        match kind {
            Kind::Embedded => {
                let directory = TempDir::new().unwrap();
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_ports(1)[0]));
                let running = start_embedded(directory.path(), address).await;
                Some(Server::Embedded { address: running.address(), directory, running: Some(running) })
            }
            Kind::Real => {
                if !has_real() {
                    return None;
                }
                // Somebody else may take a port between its choice and its use.
                for _ in 0..5 {
                    let mut node = Node::new(None);
                    if node.start().await {
                        return Some(Server::Real { node });
                    }
                }
                panic!("the real zookeeper does not start");
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Server::Embedded { address, .. } => *address,
            Server::Real { node } => node.address,
        }
    }

    /// Stops it as a crash would, if it can.
    pub(crate) async fn stop(&mut self) {
        match self {
            Server::Embedded { running, .. } => {
                if let Some(server) = running.take() {
                    server.stop().await.unwrap();
                }
            }
            Server::Real { node } => node.kill(),
        }
    }

    pub(crate) async fn start_again(&mut self) {
        match self {
            Server::Embedded { directory, address, running } => {
                *running = Some(start_embedded(directory.path(), *address).await);
            }
            Server::Real { node } => {
                assert!(node.start().await, "the real zookeeper does not start again: {}", node.log());
            }
        }
    }
}

async fn start_embedded(directory: &Path, address: SocketAddr) -> storm_dev_zookeeper::Server {
    let options = storm_dev_zookeeper::Options {
        address,
        data_dir: Some(directory.to_owned()),
        ..storm_dev_zookeeper::Options::default()
    };
    storm_dev_zookeeper::Server::start(options).await.unwrap()
}

/// Whether the real server can be started here; it must be if the environment says so.
pub(crate) fn has_real() -> bool {
    let has_java = Command::new("java").arg("-version").output().is_ok_and(|output| output.status.success());
    let has_all = has_java && Path::new(JAR).exists();
    let required = std::env::var("STORM_TEST_REQUIRE").is_ok_and(|required| required.contains("zookeeper"));
    assert!(has_all || !required, "STORM_TEST_REQUIRE names zookeeper, but java or {JAR} is missing");
    if !has_all {
        println!("skipped: java or {JAR} is missing");
    }
    has_all
}

/// Three real servers that agree with each other.
pub(crate) struct Ensemble {
    pub(crate) nodes: Vec<Node>,
}

impl Ensemble {
    pub(crate) async fn start() -> Option<Ensemble> {
        if !has_real() {
            return None;
        }
        for _ in 0..5 {
            let mut members = String::new();
            let clients: Vec<u16> = free_ports(9);
            for (number, ports) in (1..).zip(clients.chunks(3)) {
                writeln!(
                    members,
                    "server.{number}=127.0.0.1:{}:{};127.0.0.1:{}",
                    ports[0], ports[1], ports[2]
                )
                .unwrap();
            }
            let mut nodes: Vec<Node> = (1..)
                .zip(clients.chunks(3))
                .map(|(number, ports)| Node::new(Some((number, ports[2], &members))))
                .collect();
            nodes.iter_mut().for_each(Node::spawn);
            let mut is_ready = true;
            for node in &mut nodes {
                is_ready &= node.wait_ready().await;
            }
            if is_ready {
                return Some(Ensemble { nodes });
            }
        }
        panic!("the ensemble does not start");
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.address.to_string()).collect()
    }

    /// The one that the others follow.
    pub(crate) async fn leader(&mut self) -> &mut Node {
        let mut leader = None;
        for (index, node) in self.nodes.iter().enumerate() {
            if node.ask("srvr").await.contains("Mode: leader") {
                leader = Some(index);
            }
        }
        &mut self.nodes[leader.expect("one leads")]
    }
}

/// A real server's process and data. The process is killed when this is dropped.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    directory: TempDir,
    process: Option<Child>,
}

impl Node {
    /// Alone, or as a member of an ensemble: its number, its clients' port, and all members.
    fn new(member: Option<(u32, u16, &str)>) -> Node {
        let directory = TempDir::new().unwrap();
        let data = directory.path().join("data");
        fs::create_dir(&data).unwrap();
        let port = member.map_or_else(|| free_ports(1)[0], |(_, port, _)| port);
        let mut config = format!(
            "tickTime=500\nminSessionTimeout=1000\nmaxSessionTimeout=60000\ninitLimit=20\nsyncLimit=10\n\
             dataDir={}\nadmin.enableServer=false\nmaxClientCnxns=0\n4lw.commands.whitelist=*\n",
            data.display()
        );
        match member {
            Some((number, _, members)) => {
                fs::write(data.join("myid"), number.to_string()).unwrap();
                config += members;
            }
            None => write!(config, "clientPort={port}\nclientPortAddress=127.0.0.1\n").unwrap(),
        }
        fs::write(directory.path().join("zoo.cfg"), config).unwrap();
        Node { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), directory, process: None }
    }

    /// Starts it and waits until it serves; false if it has ended instead.
    pub(crate) async fn start(&mut self) -> bool {
        self.spawn();
        self.wait_ready().await
    }

    fn spawn(&mut self) {
        let log = fs::File::create(self.directory.path().join("log")).unwrap();
        let process = Command::new("java")
            .args(["-Xms16m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(format!("{JAR}:{LOGGER}"))
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(self.directory.path().join("zoo.cfg"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.process = Some(process.unwrap());
    }

    async fn wait_ready(&mut self) -> bool {
        let ready = async {
            loop {
                if self.process.as_mut().is_none_or(|process| process.try_wait().unwrap().is_some()) {
                    return false;
                }
                if self.ask("srvr").await.contains("Mode:") {
                    return true;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, ready).await.unwrap_or(false)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// One of the commands of four letters; empty if there is no answer. While it starts, the server may
    /// take a question and never answer it.
    async fn ask(&self, command: &str) -> String {
        let conversation = async {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.write_all(command.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        timeout(Duration::from_secs(1), conversation).await.unwrap_or(Ok(String::new())).unwrap_or_default()
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
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

/// Ports that nobody listens on now, below those that the system gives to outgoing connections: a
/// client that tries again and again to reach a server that is down could get the server's own port.
fn free_ports(count: usize) -> Vec<u16> {
    let mut rng = StdRng::from_os_rng();
    let listeners: Vec<TcpListener> = std::iter::repeat_with(|| rng.random_range(10_000..32_000))
        .filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
        .take(count)
        .collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}
