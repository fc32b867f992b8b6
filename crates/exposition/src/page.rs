//! Values by metric and labels, and how they are written down.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use storm_figures::metrics::{Metric, MetricKind};
use storm_figures::{Distribution, Latency};

use crate::buckets;

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4, which everybody reads.
    Plain,
    /// OpenMetrics 1.0.0, which replaces it.
    OpenMetrics,
}

impl Format {
    /// What a client accepts of the two; the plain one if it does not say.
    pub fn accepted(accept: &str) -> Format {
        let is_taken = |part: &str| {
            let mut words = part.split(';').map(str::trim);
            words.next() == Some("application/openmetrics-text") && !words.any(|word| word == "q=0")
        };
        if accept.split(',').any(is_taken) { Format::OpenMetrics } else { Format::Plain }
    }

    /// What it is called in an answer.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Plain => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Values of metrics at a moment.
///
/// There is one value for each metric and labels: the last one wins. So whoever knows of two lives of a
/// task tells of the older one first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    families: BTreeMap<&'static str, Family>,
}

#[derive(Clone, Debug, PartialEq)]
struct Family {
    metric: &'static Metric,
    /// By the values of the labels.
    samples: BTreeMap<Vec<String>, Value>,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Count(u64),
    Number(f64),
    /// Sum, count, and how many up to each limit.
    Histogram(f64, u64, Vec<(f64, u64)>),
}

impl Page {
    /// How often something happened.
    pub fn count(&mut self, metric: &'static Metric, labels: &[&str], count: u64) {
        self.add(metric, labels, Value::Count(count));
    }

    /// How much there is of something; what is no number is left out.
    pub fn number(&mut self, metric: &'static Metric, labels: &[&str], number: f64) {
        if number.is_finite() {
            self.add(metric, labels, Value::Number(number));
        }
    }

    /// How long something took, in seconds.
    pub fn latency(&mut self, metric: &'static Metric, labels: &[&str], latency: &Latency) {
        let (sum, buckets) = (latency.sum().as_secs_f64(), buckets::of_latency(latency));
        self.add(metric, labels, Value::Histogram(sum, latency.count(), buckets));
    }

    /// How numbers are distributed.
    pub fn distribution(&mut self, metric: &'static Metric, labels: &[&str], numbers: &Distribution) {
        let (sum, buckets) = (numbers.sum(), buckets::of_distribution(numbers));
        self.add(metric, labels, Value::Histogram(sum, numbers.count(), buckets));
    }

    fn add(&mut self, metric: &'static Metric, labels: &[&str], value: Value) {
        debug_assert_eq!(labels.len(), metric.labels.len(), "the labels of {}", metric.name);
        let family = self.families.entry(metric.name);
        let family = family.or_insert_with(|| Family { metric, samples: BTreeMap::new() });
        family.samples.insert(labels.iter().map(|label| escaped(label)).collect(), value);
    }

    /// Adds all that stands on another page.
    pub fn merge(&mut self, other: Page) {
        for (name, family) in other.families {
            match self.families.get_mut(name) {
                Some(known) => known.samples.extend(family.samples),
                None => {
                    self.families.insert(name, family);
                }
            }
        }
    }

    /// Writes it down.
    pub fn text(self, format: Format) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string takes everything");
        match format {
            Format::OpenMetrics => text,
            Format::Plain => plain(&text),
        }
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { metric, samples } in self.families.values() {
            let (name, kind) = match metric.kind {
                MetricKind::Counter => (family_name(metric), MetricType::Counter),
                MetricKind::Gauge => (metric.name, MetricType::Gauge),
                MetricKind::Histogram => (metric.name, MetricType::Histogram),
            };
            let mut encoder = encoder.encode_descriptor(name, metric.help, None, kind)?;
            for (labels, value) in samples {
                let labels: Vec<(&str, &str)> =
                    metric.labels.iter().copied().zip(labels.iter().map(String::as_str)).collect();
                if labels.is_empty() {
                    write(&mut encoder, metric.kind, value)?;
                } else {
                    write(&mut encoder.encode_family(&labels)?, metric.kind, value)?;
                }
            }
        }
        Ok(())
    }
}

fn write(encoder: &mut MetricEncoder<'_>, kind: MetricKind, value: &Value) -> fmt::Result {
    match (kind, value) {
        (MetricKind::Counter, Value::Count(count)) => {
            encoder.encode_counter::<NoLabelSet, u64, u64>(count, None)
        }
        (MetricKind::Counter, Value::Number(number)) => {
            encoder.encode_counter::<NoLabelSet, f64, u64>(number, None)
        }
        // As a float: beyond 2^63 the library refuses whole numbers.
        (_, Value::Count(count)) => encoder.encode_gauge(&(*count as f64)),
        (_, Value::Number(number)) => encoder.encode_gauge(number),
        (_, Value::Histogram(sum, count, buckets)) => {
            encoder.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)
        }
    }
}

/// In OpenMetrics a counter's family has no `_total`: its sample has.
fn family_name(metric: &Metric) -> &'static str {
    metric.name.strip_suffix(TOTAL).unwrap_or(metric.name)
}

const TOTAL: &str = "_total";

/// The library writes labels as they are.
fn escaped(label: &str) -> String {
    label.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// From OpenMetrics to the format before it: there a counter's family is called like its sample, and
/// nothing marks the end. All else that is written here is the same in both.
fn plain(text: &str) -> String {
    let counters: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut plain = String::with_capacity(text.len());
    for line in text.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(word), Some(name), Some(rest)) if counters.contains(&name) => {
                plain.extend(["# ", word, " ", name, TOTAL, " ", rest]);
            }
            _ => plain.push_str(line),
        }
        plain.push('\n');
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;
    use storm_figures::metrics;

    use super::*;

    fn page() -> Page {
        let mut page = Page::default();
        page.count(&metrics::LOST, &["words", "lines", "1"], 7);
        page.count(&metrics::PENDING, &["words", "a\"b\\c\nd", "1"], 3);
        page.number(&metrics::BUSY, &["words", "lines", "[1-2]"], 1.5);
        page.number(&metrics::CAPACITY, &["words", "lines", "[1-2]"], f64::NAN);
        page.number(&metrics::PROCESS_OPEN_FDS, &[], 12.0);
        page
    }

    #[test]
    fn open_metrics_is_written_by_the_library() {
        expect![[r##"
            # HELP process_open_fds Files and sockets that the process has open.
            # TYPE process_open_fds gauge
            process_open_fds 12.0
            # HELP storm_busy_seconds Time that an executor was not waiting: in user code and in the engine.
            # TYPE storm_busy_seconds counter
            storm_busy_seconds_total{topology="words",component="lines",executor="[1-2]"} 1.5
            # HELP storm_lost_tuples Trees of a spout that were pending when a life of its task ended.
            # TYPE storm_lost_tuples counter
            storm_lost_tuples_total{topology="words",component="lines",task="1"} 7
            # HELP storm_pending_tuples Trees of a spout that are neither acked nor failed.
            # TYPE storm_pending_tuples gauge
            storm_pending_tuples{topology="words",component="a\"b\\c\nd",task="1"} 3.0
            # EOF
        "##]]
        .assert_eq(&page().text(Format::OpenMetrics));
    }

    #[test]
    fn the_plain_format_names_counters_in_full() {
        expect![[r##"
            # HELP process_open_fds Files and sockets that the process has open.
            # TYPE process_open_fds gauge
            process_open_fds 12.0
            # HELP storm_busy_seconds_total Time that an executor was not waiting: in user code and in the engine.
            # TYPE storm_busy_seconds_total counter
            storm_busy_seconds_total{topology="words",component="lines",executor="[1-2]"} 1.5
            # HELP storm_lost_tuples_total Trees of a spout that were pending when a life of its task ended.
            # TYPE storm_lost_tuples_total counter
            storm_lost_tuples_total{topology="words",component="lines",task="1"} 7
            # HELP storm_pending_tuples Trees of a spout that are neither acked nor failed.
            # TYPE storm_pending_tuples gauge
            storm_pending_tuples{topology="words",component="a\"b\\c\nd",task="1"} 3.0
        "##]]
        .assert_eq(&page().text(Format::Plain));
    }

    #[test]
    fn histograms_count_up_to_each_limit() {
        let mut latency = Latency::default();
        latency.record_n(Duration::from_millis(2), 3);
        latency.record(Duration::from_secs(100));
        let mut page = Page::default();
        page.latency(&metrics::QUEUE_LATENCY, &["w", "c", "[1-1]"], &latency);
        let text = page.text(Format::Plain);
        let line = |le: &str| {
            let start = format!("storm_queue_latency_seconds_bucket{{le=\"{le}\",topology=\"w\"");
            text.lines().find(|line| line.starts_with(&start)).and_then(|line| line.split(' ').next_back())
        };
        assert_eq!(
            [line("0.001"), line("0.003"), line("30.0"), line("+Inf")].map(Option::unwrap),
            ["0", "3", "3", "4"]
        );
        let labels = r#"{topology="w",component="c",executor="[1-1]"}"#;
        assert!(text.contains(&format!("storm_queue_latency_seconds_sum{labels} 100.006\n")), "{text}");
        assert!(text.contains(&format!("storm_queue_latency_seconds_count{labels} 4\n")), "{text}");
    }

    #[test]
    fn the_last_value_wins() {
        let (mut page, mut newer) = (page(), Page::default());
        newer.count(&metrics::LOST, &["words", "lines", "1"], 9);
        page.merge(newer);
        let text = page.text(Format::Plain);
        assert!(text.contains(r#"task="1"} 9"#) && !text.contains(r#"task="1"} 7"#), "{text}");
    }

    #[test]
    fn clients_get_what_they_accept() {
        let of_prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(Format::accepted(of_prometheus), Format::OpenMetrics);
        for other in ["", "*/*", "text/html", "application/openmetrics-text; q=0, */*"] {
            assert_eq!(Format::accepted(other), Format::Plain, "{other}");
        }
    }
}
