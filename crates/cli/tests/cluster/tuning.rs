//! What is changed of a topology while it runs: levels of its loggers, and tuples that are written down.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::kit::{Dev, signal, wait_until};

/// The files of this name of all workers of a topology.
fn files(dev: &Dev, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dev.path("data")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                dirs.push(path);
            } else if path.file_name().is_some_and(|file| file == name) {
                found.push(path);
            }
        }
    }
    found
}

/// Lines of all of them that hold a text.
fn lines(dev: &Dev, name: &str, text: &str) -> usize {
    let texts = files(dev, name).into_iter().map(|file| fs::read_to_string(file).unwrap_or_default());
    texts.map(|all| all.lines().filter(|line| line.contains(text)).count()).sum()
}

/// Waits until there are no more such lines although workers report, which they do each second.
fn wait_until_no_more(dev: &Dev, name: &str, text: &str) {
    let mut looks = 0;
    let mut before = (usize::MAX, Value::Null);
    wait_until("there are no more", || {
        let uptime = dev.workers("hello")[0]["uptimeSeconds"].clone();
        if uptime == before.1 {
            return false;
        }
        let now = (lines(dev, name, text), uptime);
        looks = if now.0 == before.0 { looks + 1 } else { 0 };
        before = now;
        looks == 3
    });
}

#[test]
fn levels_and_samples_reach_every_worker_and_its_next_life_until_they_are_taken_back() {
    let dev = Dev::start();
    dev.submit("exclamation", &["--name", "hello"], &[]);
    assert!(dev.runs_with("hello", 3));

    // === Levels ===

    let debug_lines = || lines(&dev, "worker.log", " DEBUG ");
    assert_eq!(debug_lines(), 0);
    let refused = dev.storm(&["--json", "log-level", "hello", "h2=LOUD"]);
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("'LOUD' is no level"), "{refused:?}");
    // The line to the supervisor tells of every report.
    dev.storm(&["log-level", "hello", "h2=DEBUG", "ROOT=warn:3600"]).ok();
    let has_some = |file: &PathBuf| fs::read_to_string(file).unwrap_or_default().contains(" DEBUG ");
    wait_until("all workers tell more", || {
        let logs = files(&dev, "worker.log");
        logs.len() == 3 && logs.iter().all(has_some)
    });
    let levels = &dev.status("hello")["logLevels"];
    assert_eq!((&levels[0]["logger"], &levels[0]["level"]), (&json!("ROOT"), &json!("WARN")), "{levels}");
    assert_eq!(
        levels[1],
        json!({"logger": "h2", "level": "DEBUG", "timeoutSeconds": 0, "untilMs": null,
        "resetLevel": null})
    );
    assert!(dev.storm(&["status", "hello"]).ok().stdout.contains("h2      DEBUG"));

    // === Samples ===

    assert!(files(&dev, "events.log").is_empty());
    dev.storm(&["debug", "hello", "exclaim1", "--enable", "100"]).ok();
    wait_until("tuples are written", || lines(&dev, "events.log", ",exclaim1,") > 10);
    assert_eq!(lines(&dev, "events.log", ",word,") + lines(&dev, "events.log", ",exclaim2,"), 0);
    dev.storm(&["debug", "hello", "--enable"]).ok();
    wait_until("tuples of the spout are written", || lines(&dev, "events.log", ",word,") > 10);
    let shown = dev.json(&["debug", "hello"]);
    let percents: Vec<_> = shown["debug"].as_array().unwrap().iter().map(|o| &o["samplingPercent"]).collect();
    assert_eq!(percents, [&json!(10.0), &json!(100.0)], "{shown}");

    // === The next life ===

    let before = dev.worker_pids("hello");
    for (pid, log) in before.iter().zip(files(&dev, "worker.log")) {
        // What the next life says stands in a file of its own.
        fs::remove_file(log).unwrap();
        signal(*pid, Signal::SIGKILL);
    }
    files(&dev, "events.log").into_iter().for_each(|log| fs::remove_file(log).unwrap());
    wait_until("all live anew", || {
        let now = dev.worker_pids("hello");
        dev.runs_with("hello", 3) && now.iter().all(|pid| !before.contains(pid))
    });
    wait_until("all workers tell more again", || {
        let logs = files(&dev, "worker.log");
        logs.len() == 3 && logs.iter().all(has_some)
    });
    wait_until("tuples are written again", || lines(&dev, "events.log", ",exclaim1,") > 10);
    // WARN holds from the first line on that somebody may say after it has heard of it.
    assert_eq!(lines(&dev, "worker.log", "all workers are ready"), 0);

    // === The end ===

    dev.storm(&["log-level", "hello", "--remove", "h2"]).ok();
    dev.storm(&["debug", "hello", "--disable"]).ok();
    let status = dev.status("hello");
    assert_eq!(
        (&status["debug"], status["logLevels"].as_array().unwrap().len()),
        (&json!([]), 1),
        "{status}"
    );
    wait_until_no_more(&dev, "worker.log", " DEBUG ");
    wait_until_no_more(&dev, "events.log", ",");
}
