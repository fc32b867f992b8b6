//! The files for Prometheus and Grafana under `docs/` say nothing that the tables of metrics do not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use storm_config::Config;
use storm_figures::metrics::{self, Metric, MetricKind};

/// Labels that Prometheus adds, or that limits of histograms have.
const LABELS_OF_PROMETHEUS: &[&str] = &["job", "instance", "le"];
/// Those of Prometheus itself.
const METRICS_OF_PROMETHEUS: &[&str] = &["up"];

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The value of a key of the outermost map. The configuration's reader takes any YAML, and keys that are
/// not Storm's as they are.
fn yaml(path: &str, text: &str, key: &str) -> Value {
    let mut config = Config::defaults();
    config.layer_yaml_text(Path::new(path), text).unwrap_or_else(|error| panic!("{error}"));
    config.user(key).unwrap_or_else(|| panic!("{path} has no '{key}'")).clone()
}

/// Every text that stands under this key, at any depth.
fn texts<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| texts(item, key, found)),
        Value::Object(map) => {
            found.extend(map.get(key).and_then(Value::as_str));
            map.values().for_each(|value| texts(value, key, found));
        }
        _ => {}
    }
}

/// The words of an expression, without what stands in quotes.
fn words(expression: &str) -> Vec<String> {
    let unquoted: String = expression.split('"').step_by(2).collect();
    let is_sign = |sign: char| !sign.is_ascii_alphanumeric() && sign != '_';
    unquoted.split(is_sign).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn metric(name: &str) -> Option<&'static Metric> {
    metrics::every().find(|metric| {
        let rest = name.strip_prefix(metric.name);
        match metric.kind {
            MetricKind::Histogram => rest.is_some_and(|rest| ["_bucket", "_sum", "_count"].contains(&rest)),
            MetricKind::Counter | MetricKind::Gauge => rest == Some(""),
        }
    })
}

/// Words in parentheses after `by`, `on`, and before an equals sign in braces.
fn labels(expression: &str) -> BTreeSet<String> {
    let unquoted: String = expression.split('"').step_by(2).collect();
    let lists =
        ["by (", "on ("].into_iter().flat_map(|start| unquoted.split(start).skip(1).map(|rest| (rest, ')')));
    let lists = lists.chain(unquoted.split('{').skip(1).map(|rest| (rest, '}')));
    let inside = lists.filter_map(|(rest, end)| rest.split(end).next());
    let names = inside
        .flat_map(|list| list.split(','))
        .map(|label| label.split(['=', '!']).next().unwrap_or_default());
    names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

fn check(path: &str, expressions: &[&str]) {
    let known: BTreeSet<&str> = metrics::every().flat_map(|metric| metric.labels).copied().collect();
    for expression in expressions {
        let is_metric = |word: &String| {
            word.starts_with("storm_")
                || word.starts_with("process_")
                || METRICS_OF_PROMETHEUS.contains(&word.as_str())
        };
        let named: Vec<_> = words(expression).into_iter().filter(is_metric).collect();
        assert!(!named.is_empty(), "{path}: no metric in {expression}");
        for name in named {
            let is_known = METRICS_OF_PROMETHEUS.contains(&name.as_str()) || metric(&name).is_some();
            assert!(is_known, "{path}: no metric '{name}' in crates/figures/src/metrics.rs: {expression}");
        }
        for label in labels(expression) {
            let is_known = known.contains(label.as_str()) || LABELS_OF_PROMETHEUS.contains(&label.as_str());
            assert!(is_known, "{path}: no metric has the label '{label}': {expression}");
        }
    }
}

#[test]
fn alerts_name_metrics_that_there_are() {
    let path = "docs/alerts.yml";
    let groups = yaml(path, &read(path), "groups");
    let mut expressions = Vec::new();
    texts(&groups, "expr", &mut expressions);
    let mut alerts = Vec::new();
    texts(&groups, "alert", &mut alerts);
    assert!(alerts.len() >= 8 && alerts.len() == expressions.len(), "{alerts:?}");
    check(path, &expressions);
}

#[test]
fn the_dashboard_shows_metrics_that_there_are() {
    let path = "docs/grafana/storm-rs.json";
    let dashboard: Value = serde_json::from_str(&read(path)).unwrap();
    let mut expressions = Vec::new();
    texts(&dashboard, "expr", &mut expressions);
    assert!(expressions.len() >= 20, "{expressions:?}");
    check(path, &expressions);
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
}

#[test]
fn the_example_of_prometheus_yml_is_yaml() {
    let page = metrics::docs();
    let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let jobs = yaml("prometheus.yml", example, "scrape_configs");
    assert_eq!(jobs[0]["job_name"], "storm");
    for port in ["nimbus.metrics.port", "supervisor.metrics.port"] {
        let port = Config::defaults().get_int(port).unwrap();
        assert!(example.contains(&format!(":{port}'")) && page.contains(&format!(" | {port} |")), "{port}");
    }
}

#[test]
fn metrics_and_labels_are_found_in_expressions() {
    let expression = "sum by (topology, le) (rate(storm_a_bucket{source=\"storm_b\", x!=\"y\"}[5m]))";
    assert_eq!(labels(expression), ["le", "source", "topology", "x"].map(str::to_owned).into());
    let words = words(expression);
    assert!(words.contains(&"storm_a_bucket".to_owned()) && !words.contains(&"storm_b".to_owned()));
    assert!(
        metric("storm_queue_latency_seconds_bucket").is_some()
            && metric("storm_queue_latency_seconds").is_none()
    );
}
