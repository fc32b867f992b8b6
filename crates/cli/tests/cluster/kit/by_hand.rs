//! Clusters that are put together by hand, each daemon a process of its own, as people do it.

use std::fs::{self, File};
use std::ops::Deref;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::zookeeper::{Kind, ZooKeeper, free_ports};
use super::{Cluster, STORM_RS, end, signal, wait_until};

/// What a cluster is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) zookeeper: Kind,
    pub(crate) nimbuses: usize,
    pub(crate) supervisors: usize,
    pub(crate) slots: usize,
    /// Silence after which ZooKeeper gives a daemon up.
    pub(crate) session_ms: u64,
}

impl Plan {
    /// Two Nimbuses and two supervisors of four slots, for sessions of two seconds.
    pub(crate) fn on(zookeeper: Kind) -> Plan {
        Plan { zookeeper, nimbuses: 2, supervisors: 2, slots: 4, session_ms: 2000 }
    }
}

/// A cluster of processes that the test has started. What ends is not started again by itself.
pub(crate) struct ByHand {
    // Dropped in this order.
    pub(crate) supervisors: Vec<Daemon>,
    pub(crate) nimbuses: Vec<Daemon>,
    pub(crate) zookeeper: ZooKeeper,
    slots: usize,
    cluster: Cluster,
}

impl Deref for ByHand {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl ByHand {
    /// Starts one, and waits until topologies can be submitted to it. None where the server is missing.
    pub(crate) fn start(plan: Plan) -> Option<ByHand> {
        if !plan.zookeeper.is_here() {
            return None;
        }
        let cluster = Cluster::new("storm.yaml");
        let zookeeper = ZooKeeper::start(plan.zookeeper, cluster.dir.path());
        let secret = cluster.path("secret");
        let file = File::options().create_new(true).write(true).mode(0o600).open(&secret);
        std::io::Write::write_all(&mut file.unwrap(), b"the secret of this cluster\n").unwrap();
        let ports = free_ports(plan.nimbuses);
        let settings = json!({
            "storm.zookeeper.servers": zookeeper.servers(),
            "storm.zookeeper.session.timeout": plan.session_ms,
            "storm.cluster.secret.file": secret,
            "nimbus.seeds": ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>(),
        });
        // JSON is YAML.
        fs::write(&cluster.conf, settings.to_string()).unwrap();
        let mut hand =
            ByHand { supervisors: Vec::new(), nimbuses: Vec::new(), zookeeper, slots: plan.slots, cluster };
        for port in ports {
            hand.add_nimbus(port);
        }
        for _ in 0..plan.supervisors {
            hand.add_supervisor();
        }
        hand.wait_until_ready();
        Some(hand)
    }

    /// Its settings of its own stand in its arguments.
    fn add_nimbus(&mut self, port: u16) {
        let name = format!("nimbus-{}", self.nimbuses.len() + 1);
        let set = |key: &str, value: String| ["-c".to_owned(), format!("{key}={value}")];
        let mut arguments = vec!["nimbus".to_owned()];
        arguments.extend(set("storm.local.dir", self.path(&name).display().to_string()));
        arguments.extend(set("nimbus.thrift.port", port.to_string()));
        let daemon = Daemon::start(&self.cluster, name, port, arguments, Vec::new());
        self.nimbuses.push(daemon);
    }

    /// Adds a supervisor. Its settings of its own stand in its environment.
    pub(crate) fn add_supervisor(&mut self) {
        let name = format!("supervisor-{}", self.supervisors.len() + 1);
        let ports = free_ports(1 + self.slots);
        let slots: Vec<String> = ports[1..].iter().map(ToString::to_string).collect();
        let environment = [
            ("STORM_LOCAL_DIR", self.path(&name).display().to_string()),
            ("SUPERVISOR_THRIFT_PORT", ports[0].to_string()),
            ("SUPERVISOR_SLOTS_PORTS", slots.join(",")),
        ];
        // So that nothing is left when somebody interrupts the tests.
        let arguments = vec!["supervisor".to_owned(), "--stop-workers".to_owned()];
        let daemon = Daemon::start(&self.cluster, name, ports[0], arguments, environment.into());
        self.supervisors.push(daemon);
    }

    /// Until one Nimbus leads, all others know it, and every supervisor reports to it.
    #[track_caller]
    pub(crate) fn wait_until_ready(&self) {
        let alive: Vec<&Daemon> = self.nimbuses.iter().filter(|nimbus| nimbus.is_alive()).collect();
        wait_until("the cluster is healthy", || {
            let all = self.health(&["health"]);
            let supervisors = all["checks"].as_array().unwrap().iter().filter(|c| c["role"] == "supervisor");
            all["healthy"] == true
                && supervisors.count() == self.supervisors.len()
                && alive.iter().all(|nimbus| self.check(nimbus)["healthy"] == true)
        });
    }

    fn health(&self, args: &[&str]) -> Value {
        let said = self.storm(&[&["--json"], args].concat());
        serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e} in {said:?}"))
    }

    fn check(&self, nimbus: &Daemon) -> Value {
        let seed = format!("nimbus.seeds=127.0.0.1:{}", nimbus.port);
        self.health(&["-c", &seed, "health", "nimbus"])["checks"][0].clone()
    }

    /// Whether this Nimbus is well and leads.
    pub(crate) fn leads(&self, nimbus: usize) -> bool {
        let check = self.check(&self.nimbuses[nimbus]);
        check["healthy"] == true && check["role"] == "leader"
    }

    /// Which of the Nimbuses leads; waits for one.
    #[track_caller]
    pub(crate) fn leader(&self) -> usize {
        let mut leader = None;
        wait_until("a nimbus leads", || {
            leader = (0..self.nimbuses.len()).find(|nimbus| self.leads(*nimbus));
            leader.is_some()
        });
        leader.unwrap()
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        self.show_if_failed();
        // The supervisors end their workers; all at once, for each has its seconds.
        self.supervisors.iter().for_each(|daemon| daemon.signal(Signal::SIGTERM));
        self.supervisors.iter_mut().for_each(Daemon::end);
        self.nimbuses.iter().for_each(|daemon| daemon.signal(Signal::SIGTERM));
        self.nimbuses.iter_mut().for_each(Daemon::end);
        self.zookeeper.kill();
        self.clear();
    }
}

/// A daemon's process. It is killed when this is dropped.
pub(crate) struct Daemon {
    port: u16,
    conf: PathBuf,
    dir: PathBuf,
    log: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    process: Option<Child>,
}

impl Daemon {
    fn start(
        cluster: &Cluster,
        name: String,
        port: u16,
        arguments: Vec<String>,
        environment: Vec<(&'static str, String)>,
    ) -> Daemon {
        let (conf, dir) = (cluster.conf.clone(), cluster.path(&name));
        let log = cluster.path(&format!("{name}.log"));
        let mut daemon = Daemon { port, conf, dir, log, arguments, environment, process: None };
        daemon.start_again();
        daemon
    }

    /// Starts it again, on its directory.
    pub(crate) fn start_again(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new(STORM_RS);
        command.arg("--config").arg(&self.conf).args(&self.arguments);
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(command.spawn().unwrap());
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.process.as_ref().expect("it runs").id()).unwrap()
    }

    pub(crate) fn signal(&self, which: Signal) {
        if self.is_alive() {
            signal(self.pid(), which);
        }
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Ends it in good order.
    pub(crate) fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            end(&mut process);
        }
    }

    /// A path in its directory.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.join(below)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
    }
}
