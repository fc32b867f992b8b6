//! streamparse, the Python library for Storm, against our interface: its commands that ask the UI run
//! as they are.
//!
//! It takes a `python3` that can import `streamparse` 5; otherwise a line is printed and the test
//! passes, unless `STORM_TEST_REQUIRE` contains `streamparse`. `STORM_TEST_PYTHON` names another
//! Python.
//!
//! streamparse finds the UI by `config.json`: the host is that of `nimbus`, the port `ui.port`, and
//! without `use_ssh_for_nimbus` it asks directly. Each command asks Leiningen first which Storm a
//! project is built with, where a stand-in says 2.8.8, and compares that with a version that newer
//! setuptools (66 and up, thus any on Python 3.12) do not take for one. There what stands behind that
//! question is called.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use storm_ui::seed::{Seed, SeedOptions};
use storm_ui::{App, Options, Server};

const LEIN: &str = "#!/bin/sh\necho ' [org.apache.storm/storm-core \"2.8.8\"]'\n";

/// What the commands do after the question for the version.
const BEHIND: &str = "
import sys
from streamparse.cli import slot_usage, stats, worker_uptime
command, *rest = sys.argv[1:]
given = dict(zip(rest[::2], rest[1::2]))
if command == 'stats':
    stats.display_stats(given['-e'], topology_name=given.get('-n'), component_name=given.get('-c'))
elif command == 'worker_uptime':
    worker_uptime.display_worker_uptime(given['-e'])
else:
    slot_usage.display_slot_usage(given['-e'])
";

fn python() -> String {
    std::env::var("STORM_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

fn runs(code: &str) -> bool {
    let found = Command::new(python()).args(["-W", "ignore", "-c", code]).output();
    found.is_ok_and(|output| output.status.success())
}

/// A project whose cluster is at this port, and a stand-in for Leiningen.
fn write_project(directory: &Path, port: u16) {
    let config = serde_json::json!({
        "envs": {"prod": {"nimbus": "127.0.0.1", "ui.port": port, "use_ssh_for_nimbus": false, "workers": []}},
    });
    fs::write(directory.join("config.json"), config.to_string()).unwrap();
    let lein = directory.join("lein");
    fs::write(&lein, LEIN).unwrap();
    fs::set_permissions(&lein, fs::Permissions::from_mode(0o755)).unwrap();
}

fn sparse(directory: &Path, is_whole: bool, arguments: &[&str]) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(python())
        .args(if is_whole { ["-m", "streamparse.cli.sparse"] } else { ["-c", BEHIND] })
        .args(arguments)
        .current_dir(directory)
        .env("PATH", format!("{}:{path}", directory.display()))
        // Otherwise it does not run as root.
        .env("LEIN_ROOT", "1")
        .env("PYTHONWARNINGS", "ignore")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "sparse {arguments:?} ended with {}\n{out}\n{err}", output.status);
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_commands_run_unmodified() {
    if !runs("import streamparse.cli.sparse, streamparse.cli.stats") {
        let required = std::env::var("STORM_TEST_REQUIRE").is_ok_and(|names| names.contains("streamparse"));
        assert!(!required, "STORM_TEST_REQUIRE names streamparse, but {} cannot import it", python());
        println!("skipped: {} cannot import streamparse", python());
        return;
    }
    let app = App::new(Seed::new(SeedOptions::default()), Options { port: 0, ..Options::default() });
    let server = Server::bind(&app).await.unwrap();
    let port = server.address().port();
    tokio::spawn(server.serve(app, std::future::pending()));
    let directory = tempfile::tempdir().unwrap();
    write_project(directory.path(), port);
    let all = tokio::task::spawn_blocking(move || {
        let is_whole = runs("from pkg_resources import parse_version; parse_version('0.9.2-incubating')");
        println!("{}", if is_whole { "as commands" } else { "without the question for the version" });
        let run = |arguments: &[&str]| sparse(directory.path(), is_whole, arguments);
        [
            run(&["stats", "-e", "prod"]),
            run(&["stats", "-e", "prod", "-n", "fraud-detection"]),
            run(&["stats", "-e", "prod", "-n", "word-count", "-c", "sentences"]),
            run(&["stats", "-e", "prod", "-n", "word-count", "-c", "count"]),
            run(&["worker_uptime", "-e", "prod"]),
            run(&["slot_usage", "-e", "prod"]),
        ]
    });
    let [cluster, topology, spout, bolt, uptimes, slots] = all.await.unwrap();
    for (output, wanted) in [
        (
            &cluster,
            &["# Cluster summary", "2.8.8", "# Topology summary", "# Supervisor summary", "worker-1"][..],
        ),
        (&topology, &["# Topology stats", "10m 0s", "All time", "# Spouts (All time)", "# Bolt (All time)"]),
        (&spout, &["# Component summary", "# Spout stats", "# Output stats", "# Executors (All time)"]),
        (&bolt, &["# Bolt stats", "# Input stats (All time)", "# Output stats (All time)"]),
        (&uptimes, &["# Worker Stats", "Log URL", "worker-1"]),
        (&slots, &["# Slot (and Executor) Counts by Topology", "worker-1"]),
    ] {
        for wanted in wanted {
            assert!(output.contains(wanted), "no '{wanted}' in\n{output}");
        }
        assert!(!output.contains("MISSING"), "a field is missing in\n{output}");
    }
}
