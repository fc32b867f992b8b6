//! Every example counts right on a cluster, spread over three workers on two supervisors.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::kit::{Dev, root, wait_until};

const THREE: [&str; 2] = ["-c", "topology.workers=3"];

/// Runs an example, with this option for its output, until `is_right`.
#[track_caller]
fn counts(name: &str, args: &[&str], is_right: impl Fn(&Path) -> bool) {
    let dev = Dev::start();
    let out = dev.path("out");
    dev.submit(name, &THREE, &[&["--out", out.to_str().unwrap()], args].concat());
    let workers = dev.workers(name);
    assert_eq!(workers.len(), 3, "{workers:?}");
    let supervisors: BTreeSet<&str> = workers.iter().map(|w| w["supervisorId"].as_str().unwrap()).collect();
    assert_eq!(supervisors.len(), 2, "spread over both supervisors");
    wait_until("the result is right", || is_right(&out));
}

fn equals(found: &Path, oracle: &str) -> bool {
    let oracle = fs::read(root().join("examples/data/oracle").join(oracle)).unwrap();
    fs::read(found).is_ok_and(|found| found == oracle)
}

#[test]
fn word_count_is_right() {
    counts("word-count", &["--split", "3", "--count", "3"], |out| equals(out, "wc-alice.fields.tsv"));
}

#[test]
fn log_processing_is_right() {
    counts("log-processing", &["--parse", "3", "--visits", "3"], |out| {
        ["status", "per-minute", "per-ip", "bytes-by-status", "visits"]
            .iter()
            .all(|name| equals(&out.join(format!("{name}.tsv")), &format!("web.{name}.tsv")))
    });
}

#[test]
fn spike_detection_is_right() {
    let args = ["--readings", "2", "--average", "3", "--detect", "3"];
    counts("spike-detection", &args, |out| equals(out, "sensor-machine-temperature.spikes.w1000.t0.03.tsv"));
}

/// What one of its components has done.
fn of(dev: &Dev, name: &str, component: &str, figure: &str) -> u64 {
    let status = dev.status(name);
    let components = status["components"].as_array().unwrap();
    let found: &Value = components.iter().find(|c| c["id"] == component).unwrap();
    found[figure].as_u64().unwrap()
}

#[test]
fn all_that_exclamation_and_random_digit_emit_is_processed() {
    let dev = Dev::start();
    dev.submit("exclamation", &THREE, &["--seconds", "5"]);
    dev.submit("random-digit", &THREE, &["--seconds", "5"]);
    for (name, spout, last) in [("exclamation", "word", "exclaim2"), ("random-digit", "spout", "even")] {
        wait_until("all that was emitted has been executed", || {
            let emitted = of(&dev, name, spout, "emitted");
            emitted > 0 && emitted == of(&dev, name, last, "executed")
        });
        assert_eq!(of(&dev, name, last, "failed"), 0);
    }
}
