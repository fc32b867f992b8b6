//! Several Nimbuses under the one name that nginx has for them: whoever commands the cluster notices nothing of
//! which of them live.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::front::{self, Nginx, free_port};
use crate::kit::{ByHand, DEADLINE, Kind, Plan, Said, example, wait_until};

/// A cluster of two Nimbuses, and nginx before them.
struct Behind {
    // Dropped in this order: a cluster looks whether anything is left.
    nginx: Nginx,
    hand: ByHand,
    /// The setting with which the Nimbuses have one name.
    seeds: String,
}

impl Behind {
    fn start() -> Option<Behind> {
        if !front::is_here() {
            return None;
        }
        let hand = ByHand::start(Plan::on(Kind::Embedded)).unwrap();
        let conf: Value =
            serde_json::from_str(&fs::read_to_string(hand.path("storm.yaml")).unwrap()).unwrap();
        let nimbus = |at: usize| format!("server {} ", conf["nimbus.seeds"][at].as_str().unwrap());
        let port = free_port();
        let places = [
            ("listen 6627 ", format!("listen 127.0.0.1:{port} ")),
            ("server nimbus-1.example.org:6627 ", nimbus(0)),
            ("server nimbus-2.example.org:6627 ", nimbus(1)),
        ];
        let nginx = Nginx::start(hand.path("nginx"), "nimbus.conf", &places, port);
        Some(Behind { nginx, hand, seeds: format!("nimbus.seeds=localhost:{port}") })
    }

    /// A command by the one name.
    fn storm(&self, args: &[&str]) -> Said {
        self.hand.storm(&[&["-c", &self.seeds], args].concat())
    }

    /// The state of a topology, by the one name.
    #[track_caller]
    fn state(&self, topology: &str) -> String {
        let status = self.storm(&["--json", "status", topology]).json();
        status["status"].as_str().unwrap_or_default().to_owned()
    }
}

/// A binary that no Nimbus has seen yet.
fn another_binary(hand: &ByHand, name: &str) -> PathBuf {
    let path = hand.path(name);
    fs::copy(example("random-digit"), &path).unwrap();
    // Behind the end of an ELF file there may be anything.
    fs::File::options().append(true).open(&path).unwrap().write_all(name.as_bytes()).unwrap();
    path
}

fn is_uploading(blobs: &Path) -> bool {
    let entries = fs::read_dir(blobs).into_iter().flatten().flatten();
    let parts = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".part-"));
    parts.filter_map(|entry| entry.metadata().ok()).any(|part| part.len() > 0)
}

#[test]
fn one_name_does_for_several_nimbuses() {
    let Some(mut behind) = Behind::start() else { return };
    // nginx takes them by turns: it is the one that leads, and the one that does not.
    for _ in 0..4 {
        behind.storm(&["list"]).ok();
    }
    let binary = another_binary(&behind.hand, "first");
    assert!(binary.metadata().unwrap().len() > 1 << 20, "more than nginx takes unless it is told to");
    behind.storm(&["submit", binary.to_str().unwrap(), "--name", "digits", "--wait"]).ok();
    assert_eq!(behind.state("digits"), "ACTIVE");
    behind.storm(&["logs", "digits"]).ok();
    behind.storm(&["health"]).ok();

    // Errors come through with all that they say.
    let missing = behind.storm(&["status", "nobody"]);
    assert_eq!(missing.code, 3, "{missing:?}");
    assert!(missing.stderr.contains("`storm-rs list` shows those that run"), "{missing:?}");
    let other = behind.hand.path("other-secret");
    fs::write(&other, "another one\n").unwrap();
    let file = format!("storm.cluster.secret.file={}", other.display());
    let refused = behind.storm(&["-c", &file, "list"]);
    assert_eq!(refused.code, 7, "{refused:?}");

    // The leader dies.
    let leader = behind.hand.leader();
    behind.hand.nimbuses[leader].kill();
    assert_eq!(behind.state("digits"), "ACTIVE");
    behind.storm(&["deactivate", "digits", "--wait"]).ok();
    assert_eq!(behind.hand.leader(), 1 - leader);
    let binary = another_binary(&behind.hand, "second");
    behind.storm(&["submit", binary.to_str().unwrap(), "--name", "more", "--wait"]).ok();
    behind.hand.nimbuses[leader].start_again();
    behind.hand.wait_until_ready();

    // The next one, while it takes a binary.
    let leader = behind.hand.leader();
    let binary = another_binary(&behind.hand, "third");
    let submit = behind.hand.begin(&[
        "-c",
        &behind.seeds,
        "submit",
        binary.to_str().unwrap(),
        "--name",
        "most",
        "--wait",
    ]);
    let nimbus = &mut behind.hand.nimbuses[leader];
    let deadline = Instant::now() + DEADLINE;
    while !is_uploading(&nimbus.path("nimbus/blobs")) {
        assert!(Instant::now() < deadline, "it takes no binary");
        std::thread::yield_now();
    }
    nimbus.kill();
    submit.end().ok();
    assert_eq!(behind.state("most"), "ACTIVE");
    behind.hand.nimbuses[leader].start_again();
    behind.hand.wait_until_ready();

    // And one that hangs: it still takes connections, and does not answer.
    let leader = behind.hand.leader();
    behind.hand.nimbuses[leader].signal(Signal::SIGSTOP);
    wait_until("the other one leads", || behind.hand.leads(1 - leader));
    for _ in 0..4 {
        behind.storm(&["list"]).ok();
    }
    behind.hand.nimbuses[leader].signal(Signal::SIGCONT);
    let log = behind.nginx.log("access.log");
    assert!(log.contains("/storm_rs.v1.Nimbus/UploadBlob HTTP/2.0\" 200"), "it went this way: {log}");
}
