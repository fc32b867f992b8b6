//! The logs of daemons: written once, and served.

use std::fs;
use std::net::TcpListener;

use storm_rpc::Secret;
use storm_rpc::client::{self, Token};
use storm_rpc::v1::{ListFilesRequest, LogPlace};

use crate::kit::{Dev, wait_until};

/// The names of the log files that a daemon has of its own.
fn files_at(address: &str, secret: &Secret) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let place = LogPlace { is_daemon: true, ..LogPlace::default() };
        let mut client = client::logs(address, Token::daemon(secret)).unwrap();
        let listed = client.list_files(ListFilesRequest { place: Some(place) }).await.unwrap().into_inner();
        listed.files.into_iter().map(|file| file.name).collect()
    })
}

#[test]
fn each_daemon_writes_and_serves_a_log_of_its_own() {
    let dev = Dev::start();
    let read = |path: &str| fs::read_to_string(dev.path(path)).unwrap_or_default();
    let secret = Secret::new(&read("data/secret"));
    let ports: serde_json::Value = serde_json::from_str(&read("data/ports.json")).unwrap();
    let address = |port: &serde_json::Value| format!("127.0.0.1:{port}");
    assert_eq!(files_at(&address(&ports["nimbus"]), &secret), ["nimbus.log"]);
    for supervisor in ports["supervisors"].as_array().unwrap() {
        assert_eq!(files_at(&address(&supervisor["rpc"]), &secret), ["supervisor.log"]);
    }
    for (name, line) in [
        ("nimbus", "nimbus serves"),
        ("supervisor-1", "supervisor started"),
        ("supervisor-2", "supervisor started"),
    ] {
        let log = read(&format!("data/logs/{name}.log"));
        assert_eq!(log.matches(line).count(), 1, "{log}");
    }

    // Of a daemon by itself the log goes to stderr and into the file.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (port, local_dir) = (format!("nimbus.thrift.port={port}"), dev.path("another"));
    let local_dir = format!("storm.local.dir={}", local_dir.display());
    let set = [&port, &local_dir, "storm.log.dir=own", "nimbus.metrics.port=0"].map(|set| ["-c", set]);
    let another = dev.begin(&[&["nimbus"], set.as_flattened()].concat());
    wait_until("it serves", || read("another/own/nimbus.log").contains("nimbus serves"));
    another.signal(nix::sys::signal::Signal::SIGTERM);
    let said = another.end().ok().stderr;
    assert_eq!(said.matches("nimbus serves").count(), 1, "{said}");
    // Each has a time of its own before its `Z`.
    let lines = |log: &str| -> Vec<String> {
        log.lines().map(|line| line.split_once('Z').unwrap().1.to_owned()).collect()
    };
    assert_eq!(lines(&said), lines(&read("another/own/nimbus.log")));
}
