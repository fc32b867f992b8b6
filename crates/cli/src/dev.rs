//! `dev`: a whole cluster on this machine, in the foreground.
//!
//! ```text
//! DIR/lock            held while the cluster runs
//! DIR/secret          the cluster's secret, 0600
//! DIR/ports.json      the ports of last time
//! DIR/cluster.yaml    what the daemons read
//! DIR/storm.yaml      the same for commands: there, whole, while topologies can be submitted
//! DIR/logs/           a log for each daemon; each in a directory of its own, which it serves, and a link to it
//! DIR/zookeeper/, DIR/nimbus/, DIR/supervisor-N/   what they keep
//! ```
//!
//! The daemons are children of this process, and end with it however it ends.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use serde_json::{Map, Value, json};
use storm_config::Origin;
use storm_rpc::nimbus_client::Patience;
use storm_rpc::{CallError, ErrorCode};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use self::ports::{Ports, Reserved};
use self::processes::{Daemon, Daemons};
use crate::args::{Common, Dev};
use crate::context::{Context, home, with_port};
use crate::{output, secret};

mod ports;
mod processes;

/// Where all listen and reach each other, unless told otherwise.
const HOST: &str = "127.0.0.1";
/// A cluster is ready in a second; one that is not by now will not be.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// People who wait are told so often what for.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// How often to look whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where things are.
#[derive(Clone, Debug)]
struct Directory(PathBuf);

impl Directory {
    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn failed(&self, error: &io::Error) -> CallError {
        CallError::other(format!("cannot use the directory {}: {error}", self.0.display()))
            .advise("--data-dir names another")
    }
}

pub(crate) fn run(common: &Common, args: &Dev) -> Result<(), CallError> {
    let directory = directory(args)?;
    let _lock = lock(&directory)?;
    // What is left of a life that ended without having the time to clean up.
    processes::end_leftovers(&directory.0);
    let failed = |error: io::Error| directory.failed(&error);
    remove(&directory.join("storm.yaml")).map_err(failed)?;
    fs::create_dir_all(directory.join("logs")).map_err(failed)?;
    secret::make(&directory.join("secret")).map_err(failed)?;

    // A cluster of its own: of the files only the one that is named counts.
    let no_file = directory.join("empty.yaml");
    fs::write(&no_file, "{}\n").map_err(failed)?;
    let named = common.config.clone().unwrap_or(no_file);
    let context = Context::load(&Common { config: Some(named), ..common.clone() })?;
    let (ports, _reserved) = ports(&directory, &context, args).map_err(failed)?;
    let settings = settings(&directory, &context, args, &ports);
    write_yaml(&directory.join("cluster.yaml"), &context, &settings).map_err(failed)?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let ended = runtime.block_on(serve(&directory, &context, args, &ports, &settings));
    runtime.shutdown_background();
    processes::end_leftovers(&directory.0);
    remove(&directory.join("storm.yaml")).map_err(failed)?;
    ended
}

// === What it needs ===

fn directory(args: &Dev) -> Result<Directory, CallError> {
    let path = match &args.data_dir {
        Some(path) => path.clone(),
        None => {
            let home =
                home().ok_or_else(|| CallError::other("HOME is not set").advise("name a --data-dir"))?;
            home.join(".storm-rs/dev")
        }
    };
    let directory = Directory(path);
    fs::create_dir_all(&directory.0).map_err(|error| directory.failed(&error))?;
    // Daemons and workers have it in their environment, to be found again.
    let whole = directory.0.canonicalize().map_err(|error| directory.failed(&error))?;
    Ok(Directory(whole))
}

/// Holds the directory for this process alone, until the lock is dropped.
fn lock(directory: &Directory) -> Result<Flock<File>, CallError> {
    let path = directory.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| directory.failed(&error))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, _)| {
        CallError::other(format!("a cluster runs in {} already", directory.0.display()))
            .advise("stop it with Ctrl-C where it runs, or give this one another --data-dir")
    })
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Chooses the ports, and keeps them for the next time.
fn ports(directory: &Directory, context: &Context, args: &Dev) -> io::Result<(Ports, Reserved)> {
    let path = directory.join("ports.json");
    let last = fs::read(&path).ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    let config = &context.config;
    let is_set = |key: &str| !matches!(config.origin(key), None | Some(Origin::Default));
    let first_slot = config.get_ints("supervisor.slots.ports").first().copied();
    let first_slot = first_slot.and_then(|port| u16::try_from(port).ok()).unwrap_or(6700);
    let wanted = ports::Wanted {
        zookeeper: (context.port("storm.zookeeper.port"), is_set("storm.zookeeper.port")),
        nimbus: (context.port("nimbus.thrift.port"), is_set("nimbus.thrift.port")),
        ui: (context.port("ui.port"), is_set("ui.port")),
        nimbus_metrics: (context.port("nimbus.metrics.port"), is_set("nimbus.metrics.port")),
        supervisor_metrics: (context.port("supervisor.metrics.port"), is_set("supervisor.metrics.port")),
        supervisor: (context.port("supervisor.thrift.port"), is_set("supervisor.thrift.port")),
        slot: (first_slot, is_set("supervisor.slots.ports")),
        supervisors: args.supervisors,
        slots: args.slots,
        embeds_zookeeper: args.zookeeper.is_none(),
    };
    let mut system = ports::System::default();
    let ports = ports::choose(&wanted, &last, &mut system)?;
    fs::write(path, serde_json::to_vec_pretty(&ports).expect("plain data"))?;
    Ok((ports, system.release()))
}

// === Configuration ===

/// What every daemon and command of this cluster is told, whatever else is configured.
fn settings(directory: &Directory, context: &Context, args: &Dev, ports: &Ports) -> Map<String, Value> {
    let (zookeeper_host, zookeeper_port) =
        args.zookeeper.clone().unwrap_or((HOST.to_owned(), ports.zookeeper));
    let text = |key: &str| context.config.get_str(key).map(str::to_owned);
    let is_default = |key: &str| matches!(context.config.origin(key), None | Some(Origin::Default));
    let bind = if is_default("storm.bind.address") {
        HOST.to_owned()
    } else {
        text("storm.bind.address").unwrap_or_default()
    };
    let host = text("storm.local.hostname").unwrap_or_else(|| HOST.to_owned());
    let settings = json!({
        "storm.zookeeper.servers": [zookeeper_host],
        "storm.zookeeper.port": zookeeper_port,
        "storm.bind.address": bind,
        "storm.local.hostname": host,
        "storm.cluster.secret.file": directory.join("secret"),
        "nimbus.seeds": [host],
        "nimbus.thrift.port": ports.nimbus,
        "nimbus.metrics.port": ports.metrics,
        "ui.port": ports.ui,
    });
    settings.as_object().cloned().expect("it is written as one")
}

/// Writes a storm.yaml: what the user's file, environment and `-c` say, and above it the settings. JSON
/// is YAML.
fn write_yaml(path: &Path, context: &Context, settings: &Map<String, Value>) -> io::Result<()> {
    let is_given = |origin: &Origin| !matches!(origin, Origin::Default);
    let given = context.config.iter().filter(|(_, value, origin)| is_given(origin) && !value.is_null());
    let mut all: Map<String, Value> = given.map(|(key, value, _)| (key.to_owned(), value.clone())).collect();
    all.extend(settings.clone());
    let mut text = "# Written by `storm-rs dev`; the next start writes it anew.\n".to_owned();
    for (key, value) in all {
        text = text + &key + ": " + &value.to_string() + "\n";
    }
    let part = path.with_extension("part");
    remove(&part)?;
    // What it is made of may hold secrets.
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&part)?;
    file.write_all(text.as_bytes())?;
    fs::rename(part, path)
}

/// Arguments of a daemon: what all read, and what is its own.
fn daemon_arguments(directory: &Directory, own: &[(&str, Value)], command: &[&str]) -> Vec<String> {
    let mut arguments = vec!["--config".to_owned(), directory.join("cluster.yaml").display().to_string()];
    for (key, value) in own {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        arguments.extend(["-c".to_owned(), format!("{key}={value}")]);
    }
    arguments.extend(command.iter().map(|&word| word.to_owned()));
    arguments.extend(["--parent".to_owned(), std::process::id().to_string()]);
    arguments
}

/// A daemon whose log has the name of its `kind`.
fn daemon(
    directory: &Directory,
    name: String,
    kind: &'static str,
    own: &[(&str, Value)],
    command: &[&str],
) -> Daemon {
    let mut daemon = Daemon { name, kind, arguments: Vec::new(), directory: directory.0.clone() };
    // Its output goes there, too.
    let log_dir = ("storm.log.dir", json!(daemon.log().parent()));
    daemon.arguments = daemon_arguments(directory, &[own, &[log_dir]].concat(), command);
    daemon
}

fn zookeeper(directory: &Directory, ports: &Ports) -> Daemon {
    let data = directory.join("zookeeper").display().to_string();
    let listen = format!("{HOST}:{}", ports.zookeeper);
    let command = ["dev-zookeeper", "--data-dir", &data, "--listen", &listen];
    daemon(directory, "zookeeper".to_owned(), "zookeeper", &[], &command)
}

fn nimbus(directory: &Directory) -> Daemon {
    let own = [("storm.local.dir", json!(directory.join("nimbus")))];
    daemon(directory, "nimbus".to_owned(), "nimbus", &own, &["nimbus"])
}

fn ui(directory: &Directory) -> Daemon {
    daemon(directory, "ui".to_owned(), "ui", &[], &["ui"])
}

fn supervisors(directory: &Directory, ports: &Ports) -> Vec<Daemon> {
    let supervisors = (1..).zip(&ports.supervisors).map(|(number, ports)| {
        let name = format!("supervisor-{number}");
        let own = [
            ("storm.local.dir", json!(directory.join(&name))),
            ("supervisor.thrift.port", json!(ports.rpc)),
            ("supervisor.metrics.port", json!(ports.metrics)),
            ("supervisor.slots.ports", json!(ports.slots)),
        ];
        daemon(directory, name, "supervisor", &own, &["supervisor", "--stop-workers"])
    });
    supervisors.collect()
}

// === Running ===

async fn serve(
    directory: &Directory,
    context: &Context,
    args: &Dev,
    ports: &Ports,
    settings: &Map<String, Value>,
) -> Result<(), CallError> {
    let handler =
        |kind| signal(kind).map_err(|error| CallError::other(format!("cannot handle signals: {error}")));
    let mut terminate = handler(SignalKind::terminate())?;
    let mut interrupt = handler(SignalKind::interrupt())?;
    let mut hang_up = handler(SignalKind::hangup())?;
    let mut asked_to_end = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
    };

    let mut daemons = Daemons::new(!args.no_restart);
    let started = Instant::now();
    let all = async {
        if args.zookeeper.is_none() {
            daemons.start_first(zookeeper(directory, ports));
            listening(&format!("{HOST}:{}", ports.zookeeper)).await?;
        }
        daemons.start(nimbus(directory));
        daemons.start(ui(directory));
        for supervisor in supervisors(directory, ports) {
            daemons.start(supervisor);
        }
        ready(directory, settings, ports).await?;
        listening(&with_port(ui_host(context), ports.ui)).await?;
        publish(directory, context, args, ports, settings, started.elapsed())
    };
    let ready = tokio::select! {
        ready = all => Some(ready),
        () = asked_to_end() => None,
    };
    let ended = match ready {
        Some(Ok(())) => {
            asked_to_end().await;
            Ok(())
        }
        None => Ok(()),
        Some(Err(error)) => Err(error),
    };
    // Commands do not have to find a cluster that ends.
    remove(&directory.join("storm.yaml")).ok();
    if ended.is_ok() {
        output::say("ending");
    }
    tokio::select! {
        () = daemons.end() => {}
        // Asked twice: at once.
        () = asked_to_end() => {}
    }
    daemons.kill().await;
    ended
}

/// Where the pages are reached from this machine.
fn ui_host(context: &Context) -> &str {
    match context.config.get_str("ui.host") {
        None | Some("0.0.0.0" | "::") => HOST,
        Some(host) => host,
    }
}

/// Waits until somebody listens.
async fn listening(address: &str) -> Result<(), CallError> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        match TcpStream::connect(address).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                return Err(not_ready(format!("nobody listens at {address}: {error}")));
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY / 4).await,
        }
    }
}

fn not_ready(why: String) -> CallError {
    CallError::new(
        ErrorCode::Unreachable,
        format!("the cluster is not ready after {} s: {why}", READY_WITHIN.as_secs()),
    )
    .advise("the logs of the daemons are in 'logs' of its directory")
}

/// Waits until Nimbus leads and all supervisors are there.
async fn ready(directory: &Directory, settings: &Map<String, Value>, ports: &Ports) -> Result<(), CallError> {
    let config = Some(directory.join("cluster.yaml"));
    let set = settings.iter().map(|(key, value)| {
        format!("{key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    });
    let context = Context::load(&Common { config, set: set.collect(), json: false })?;
    let no_patience = Patience { unheard: Duration::ZERO, heard: Duration::ZERO };
    let nimbuses = context.patient_nimbuses(no_patience)?;
    let deadline = Instant::now() + READY_WITHIN;
    let mut say_at = Instant::now() + SAY_EVERY;
    loop {
        let look = async {
            if !nimbuses.leader().await?.is_me {
                return Err(CallError::other("Nimbus does not lead"));
            }
            let cluster = nimbuses.get_cluster().await?;
            let there = cluster.supervisors.iter().filter(|supervisor| !supervisor.is_silent);
            let there: BTreeSet<_> = there.map(|supervisor| supervisor.rpc_port).collect();
            let missing = ports.supervisors.iter().filter(|ports| !there.contains(&u32::from(ports.rpc)));
            match missing.count() {
                0 => Ok(()),
                missing => Err(CallError::other(format!("{missing} supervisors are not registered"))),
            }
        };
        match look.await {
            Ok(()) => return Ok(()),
            // It will not get better.
            Err(error) if error.code == ErrorCode::NotAuthenticated => return Err(error),
            Err(error) if Instant::now() > deadline => return Err(not_ready(error.message)),
            Err(error) => {
                if Instant::now() > say_at {
                    say_at = Instant::now() + SAY_EVERY;
                    output::say(&format!("not ready yet: {}", error.message));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// Lets the other commands find the cluster, and says so.
fn publish(
    directory: &Directory,
    context: &Context,
    args: &Dev,
    ports: &Ports,
    settings: &Map<String, Value>,
    took: Duration,
) -> Result<(), CallError> {
    let storm_yaml = directory.join("storm.yaml");
    write_yaml(&storm_yaml, context, settings).map_err(|error| directory.failed(&error))?;
    let host = settings["storm.local.hostname"].as_str().unwrap_or(HOST);
    let zookeeper = match &args.zookeeper {
        Some((host, port)) => with_port(host, *port),
        None => with_port(HOST, ports.zookeeper),
    };
    let nimbus = with_port(host, ports.nimbus);
    let ui = format!("http://{}/", with_port(ui_host(context), ports.ui));
    let metrics = |port: u16| (port > 0).then(|| format!("http://{}/metrics", with_port(host, port)));
    let supervisors: Vec<_> =
        ports.supervisors.iter().map(|ports| (with_port(host, ports.rpc), &ports.slots)).collect();
    if context.is_json {
        let supervisors: Vec<_> =
            supervisors.iter().map(|(address, slots)| json!({"address": address, "slots": slots})).collect();
        let of_supervisors = ports.supervisors.iter().map(|ports| metrics(ports.metrics));
        let all_metrics: Vec<_> =
            [metrics(ports.metrics)].into_iter().chain(of_supervisors).flatten().collect();
        output::json_line(&json!({
            "ready": true, "zookeeper": zookeeper, "nimbus": nimbus, "supervisors": supervisors, "ui": ui,
            "metrics": all_metrics,
            "config": storm_yaml, "logs": directory.join("logs"), "pid": std::process::id(),
        }));
        return Ok(());
    }
    output::line("ready");
    let mut rows = vec![["zookeeper".to_owned(), zookeeper], ["nimbus".to_owned(), nimbus]];
    rows.extend((1..).zip(&supervisors).map(|(number, (address, slots))| {
        [format!("supervisor-{number}"), format!("{address}, slots {}", ranges(slots))]
    }));
    rows.push(["ui".to_owned(), ui]);
    rows.extend(metrics(ports.metrics).map(|address| ["metrics".to_owned(), address]));
    rows.push(["config".to_owned(), storm_yaml.display().to_string()]);
    rows.push(["logs".to_owned(), directory.join("logs").display().to_string()]);
    for [name, place] in rows {
        output::line(&format!("  {name:<13} {place}"));
    }
    if home().is_none_or(|home| home.join(".storm-rs/dev/storm.yaml") != storm_yaml) {
        output::line(&format!("other commands find it with `--config {}`", storm_yaml.display()));
    }
    output::say(&format!("ready after {:.1} s; Ctrl-C ends it", took.as_secs_f64()));
    Ok(())
}

/// `6700-6703`, and single ports with commas between.
fn ranges(ports: &[u16]) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for &port in ports {
        match ranges.last_mut() {
            Some((_, last)) if u32::from(*last) + 1 == u32::from(port) => *last = port,
            _ => ranges.push((port, port)),
        }
    }
    let text = ranges
        .into_iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
    text.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use storm_config::Config;

    use super::*;

    #[test]
    fn ports_in_a_row_are_told_as_a_range() {
        assert_eq!(ranges(&[6700, 6701, 6702, 40_000, 6704]), "6700-6702,40000,6704");
        assert_eq!(ranges(&[65_535]), "65535");
    }

    #[test]
    fn a_directory_is_for_one_cluster() {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory(parent.path().to_owned());
        let first = lock(&directory).unwrap();
        assert!(lock(&directory).unwrap_err().message.contains("already"));
        drop(first);
        lock(&directory).unwrap();
    }

    #[test]
    fn daemons_and_commands_read_what_was_chosen() {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory(parent.path().to_owned());
        let mut config = Config::defaults();
        config.layer_arguments(["topology.workers=3", "mine=a b", "nimbus.thrift.port=1"]).unwrap();
        let context = Context { config, file: None, is_json: false };
        let args = Dev { supervisors: 1, slots: 1, data_dir: None, zookeeper: None, no_restart: false };
        let ports = Ports { zookeeper: 5, nimbus: 6, ui: 7, metrics: 8, supervisors: Vec::new() };
        let settings = settings(&directory, &context, &args, &ports);
        let path = directory.join("storm.yaml");
        write_yaml(&path, &context, &settings).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = Config::load_yaml(&path).unwrap();
        assert_eq!(read.get_count("topology.workers"), Some(3));
        assert_eq!(read.user("mine"), Some(&json!("a b")));
        assert_eq!(read.get_count("nimbus.thrift.port"), Some(6));
        assert_eq!(read.get_strs("nimbus.seeds"), [HOST]);
        let secret = directory.join("secret");
        assert_eq!(read.get_str("storm.cluster.secret.file"), secret.to_str());

        // As the daemons are told.
        let own = [("supervisor.slots.ports", json!([1, 2])), ("storm.local.dir", json!("/a b"))];
        let arguments = daemon_arguments(&directory, &own, &[]);
        let set: Vec<_> = arguments.iter().filter(|argument| argument.contains('=')).collect();
        let mut told = Config::defaults();
        told.layer_arguments(&set).unwrap();
        assert_eq!(told.get_ints("supervisor.slots.ports"), [1, 2]);
        assert_eq!(told.get_str("storm.local.dir"), Some("/a b"));
    }
}
