//! What is changed of a topology while it runs reaches its workers, also those that start, and ends by itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use storm_model::{Level, LogLevel, Sampling, Tuning};

use crate::kit::{Cluster, free_port};
use crate::{all_running, chain};

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A level that ends so many milliseconds from now; 0: never.
fn level(level: Level, within_ms: u64, reset: Option<Level>) -> LogLevel {
    let until_ms = if within_ms == 0 { 0 } else { now_ms() + within_ms };
    LogLevel { level, timeout_secs: 0, until_ms, reset }
}

/// What loggers were set to, of all workers.
fn levels(cluster: &Cluster) -> Vec<String> {
    let events = cluster.events().into_iter();
    events.filter_map(|event| Some(event.strip_prefix("levels")?.trim().to_owned())).collect()
}

fn until_levels(cluster: &Cluster, what: &str, wanted: &[&str]) {
    cluster.until_events(what, |_| levels(cluster).len() >= wanted.len());
    assert_eq!(levels(cluster), wanted, "{what}");
}

#[test]
fn levels_hold_from_the_start_of_a_worker_and_end_at_their_time() {
    let mut cluster = Cluster::new(10_000);
    cluster.plan.gap = Duration::from_millis(1);
    let port = free_port();
    let all = ["numbers", "relay", "sink"].map(crate::plan::executors).concat();
    cluster.assign_executors(1, vec![(port, 1, all)]);
    cluster.tune(|tuning| {
        tuning.log_levels.insert("ROOT".to_owned(), level(Level::Warn, 0, None));
    });
    cluster.start(port, 0);
    all_running(&cluster, &[port]);
    let mut wanted = vec!["ROOT=WARN"];
    until_levels(&cluster, "they hold", &wanted);
    let prepared = cluster.events().iter().position(|event| event.starts_with("prepared")).unwrap();
    let set = cluster.events().iter().position(|event| event.starts_with("levels")).unwrap();
    assert!(set < prepared, "they hold before user code runs");

    let old = cluster.change(|book| book.tuning.clone());
    cluster.tune(|tuning| {
        tuning.log_levels.insert("a".to_owned(), level(Level::Trace, 2000, None));
        tuning.log_levels.insert("b".to_owned(), level(Level::Off, 4000, Some(Level::Info)));
    });
    // Somebody who lags behind is not believed.
    cluster.tell_tuning(&old);
    wanted.extend(["ROOT=WARN a=TRACE b=OFF", "ROOT=WARN b=OFF", "ROOT=WARN b=INFO"]);
    until_levels(&cluster, "they end", &wanted);
    cluster.tune(|tuning| *tuning = Tuning { version: tuning.version, ..Tuning::default() });
    wanted.push("");
    until_levels(&cluster, "they are taken back", &wanted);
}

#[test]
fn a_worker_without_its_supervisor_hears_of_levels_from_nimbus() {
    let (mut cluster, ports) = chain(20_000);
    cluster.plan.gap = Duration::from_millis(1);
    ports.iter().for_each(|port| cluster.start(*port, 0));
    all_running(&cluster, &ports);
    cluster.stop_serving();
    cluster.tune(|tuning| {
        tuning.log_levels.insert("a".to_owned(), level(Level::Debug, 0, None));
    });
    until_levels(&cluster, "all three set it", &["a=DEBUG"; 3]);
}

#[test]
fn sampled_tuples_are_written_until_that_ends_and_by_the_next_life_too() {
    let (mut cluster, ports) = chain(1_000_000);
    cluster.plan.gap = Duration::from_millis(1);
    let [a, b, _] = ports;
    ports.iter().for_each(|port| cluster.start(*port, 0));
    all_running(&cluster, &ports);
    let lines = |cluster: &Cluster, port: u16| -> Vec<String> {
        let text = std::fs::read_to_string(cluster.events_log(port)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    cluster.tune(|tuning| {
        tuning.sampling.insert("".into(), Sampling { is_on: true, percent: 100.0 });
        tuning.sampling.insert("numbers".into(), Sampling { is_on: false, percent: 100.0 });
    });
    cluster.until("the relay's are written", |_| lines(&cluster, b).len() > 10);
    assert!(lines(&cluster, a).is_empty(), "the spout is not sampled");
    for line in lines(&cluster, b) {
        let parts: Vec<&str> = line.splitn(5, ',').collect();
        let [date, component, task, message_id, values] = parts[..] else { panic!("{line}") };
        assert!(date.ends_with('Z') && date.len() == 24, "{line}");
        assert_eq!((component, matches!(task, "2" | "3")), ("relay", true), "{line}");
        assert!(message_id.starts_with("1:") && message_id.len() == 18, "{line}");
        assert!(values.starts_with('[') && values.ends_with(']'), "{line}");
    }
    let written = lines(&cluster, b).len();
    cluster.kill(b);
    let killed = lines(&cluster, b).len();
    assert!(killed >= written);
    cluster.start(b, 1);
    cluster.until("the next life obeys", |_| lines(&cluster, b).len() > killed + 10);

    cluster.tune(|tuning| tuning.sampling.clear());
    let rows = |events: &[String]| crate::numbers(events, "row").len();
    let is_over = (0..20).any(|_| {
        let (written, before) = (lines(&cluster, b).len(), rows(&cluster.events()));
        cluster.until_events("more rows", |events| rows(events) > before + 200);
        lines(&cluster, b).len() == written
    });
    assert!(is_over, "tuples are sampled still");
}
