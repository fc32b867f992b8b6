//! What every figure is called, once: Storm's name, the Prometheus name, unit and meaning.
//!
//! Nothing else names a metric. Prometheus names follow `storm_<noun>_<unit>[_total]`, with `_total`
//! for counters alone. `docs/metrics.md` is made from this table.

mod page;

pub use page::docs;

/// A figure as it is shown to other systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// What people read.
    pub title: &'static str,
    /// Its Prometheus name.
    pub name: &'static str,
    /// Storm's name for it, without the suffix for streams; none if Storm does not have it.
    pub storm: Option<&'static str>,
    /// How its values come about.
    pub kind: MetricKind,
    /// What it is counted or measured in.
    pub unit: Unit,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
}

/// How the values of a metric come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows while its executor lives.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How values are distributed.
    Histogram,
}

impl MetricKind {
    /// Prometheus' word for it.
    pub const fn word(self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        }
    }
}

/// What a metric is counted or measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a unit is its name")]
pub enum Unit {
    Tuples,
    Rows,
    Acks,
    Errors,
    Lives,
    Seconds,
    Ratio,
    Events,
    Value,
}

impl Unit {
    /// The unit as it stands in a name.
    pub const fn word(self) -> &'static str {
        match self {
            Unit::Tuples => "tuples",
            Unit::Rows => "rows",
            Unit::Acks => "acks",
            Unit::Errors => "errors",
            Unit::Lives => "lives",
            Unit::Seconds => "seconds",
            Unit::Ratio => "ratio",
            Unit::Events => "events",
            Unit::Value => "value",
        }
    }
}

const TASK: &[&str] = &["topology", "component", "task"];
const STREAM: &[&str] = &["topology", "component", "task", "stream"];
/// `source` is the component that emits to the input's stream; empty where a spout's own is meant.
const INPUT: &[&str] = &["topology", "component", "task", "source", "stream"];
const EXECUTOR: &[&str] = &["topology", "component", "executor"];
const COMPONENT: &[&str] = &["topology", "component"];
const USER: &[&str] = &["topology", "component", "task", "metric"];

/// Declares each metric as a constant, and all of them in order.
macro_rules! metrics {
    ($(
        $constant:ident: $title:literal, $name:literal, $storm:expr, $kind:ident, $unit:ident, $labels:ident,
            $help:literal;
    )+) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                title: $title,
                name: $name,
                storm: $storm,
                kind: MetricKind::$kind,
                unit: Unit::$unit,
                labels: $labels,
                help: $help,
            };
        )+

        /// Every metric, in the order of the documentation.
        pub const ALL: &[Metric] = &[$($constant),+];
    };
}

metrics! {
    EMITTED: "emitted", "storm_emitted_tuples_total", Some("__emit-count"), Counter, Tuples, STREAM,
        "Tuples emitted, however many tasks got them.";
    TRANSFERRED: "transferred", "storm_transferred_tuples_total", Some("__transfer-count"), Counter, Tuples, STREAM,
        "Tuples sent to tasks: one that goes to three tasks counts three times.";
    EXECUTED: "executed", "storm_executed_tuples_total", Some("__execute-count"), Counter, Tuples, INPUT,
        "Tuples that a bolt executed.";
    ACKED: "acked", "storm_acked_tuples_total", Some("__ack-count"), Counter, Tuples, INPUT,
        "Tuples acked: of a bolt its inputs, of a spout its trees.";
    FAILED: "failed", "storm_failed_tuples_total", Some("__fail-count"), Counter, Tuples, INPUT,
        "Tuples failed: of a bolt its inputs, of a spout its trees, those that timed out included.";
    TRACKED: "tracked", "storm_tracked_tuples_total", None, Counter, Tuples, TASK,
        "Tuples that a spout emitted with a message id.";
    LOST: "lost", "storm_lost_tuples_total", None, Counter, Tuples, TASK,
        "Trees of a spout that were pending when a life of its task ended.";
    REPLAYED: "replayed", "storm_replayed_tuples_total", None, Counter, Tuples, TASK,
        "Tuples that a spout emitted again after they had failed.";
    PENDING: "pending", "storm_pending_tuples", None, Gauge, Tuples, TASK,
        "Trees of a spout that are neither acked nor failed.";
    RETAINED: "retained", "storm_retained_tuples", None, Gauge, Tuples, TASK,
        "Tuples that a bolt retains, to ack or fail them later.";
    OLDEST_RETAINED: "oldest retained", "storm_oldest_retained_seconds", None, Gauge, Seconds, TASK,
        "Age of the oldest tuple that a bolt retains.";
    LATE_ACKS: "late acks", "storm_late_acks_total", None, Counter, Acks, EXECUTOR,
        "Acks and fails that came for trees which had ended.";
    DROPPED: "dropped", "storm_dropped_rows_total", Some("receive-queue-dropped_messages"), Counter, Rows, EXECUTOR,
        "Untracked rows that were refused because their cycle was full.";
    EXECUTE_LATENCY: "execute latency", "storm_execute_latency_seconds", Some("__execute-latency"), Histogram, Seconds, INPUT,
        "Time that a bolt spent in execute.";
    PROCESS_LATENCY: "process latency", "storm_process_latency_seconds", Some("__process-latency"), Histogram, Seconds, INPUT,
        "Time from the start of execute to the ack.";
    COMPLETE_LATENCY: "complete latency", "storm_complete_latency_seconds", Some("__complete-latency"), Histogram, Seconds, STREAM,
        "Time from a spout's emit to the ack of the tree.";
    QUEUE_LATENCY: "queue latency", "storm_queue_latency_seconds", Some("receive-queue-sojourn_time_ms"), Histogram, Seconds, EXECUTOR,
        "Time that rows waited for their executor, from the flush of their batch until it was taken.";
    CAPACITY: "capacity", "storm_capacity_ratio", Some("__capacity"), Gauge, Ratio, EXECUTOR,
        "Share of the last ten minutes that was spent in execute: about 1 and above it is a bottleneck.";
    QUEUE_WINDOW: "queue window", "storm_queue_window_rows", Some("receive-queue-capacity"), Gauge, Rows, EXECUTOR,
        "Rows that the inbox may hold now.";
    QUEUE_USED: "queue used", "storm_queue_used_rows", Some("receive-queue-population"), Gauge, Rows, EXECUTOR,
        "Rows that the inbox holds, or that senders have drawn credit for.";
    QUEUE_FILL: "queue fill", "storm_queue_fill_ratio", Some("receive-queue-pct_full"), Gauge, Ratio, EXECUTOR,
        "How full the inbox is, from 0 to 1.";
    BUSY: "busy", "storm_busy_seconds_total", None, Counter, Seconds, EXECUTOR,
        "Time that an executor was not waiting: in user code and in the engine.";
    UPTIME: "uptime", "storm_executor_uptime_seconds", Some("uptimeSecs"), Gauge, Seconds, EXECUTOR,
        "Time since the executor started.";
    LIVES: "lives", "storm_task_lives", None, Gauge, Lives, TASK,
        "Number of the task's life since its executor started: grows with every panic.";
    ERRORS: "errors", "storm_reported_errors_total", Some("__reported-error-count"), Counter, Errors, COMPONENT,
        "Errors of a component, those that the limit swallowed included.";
    USER_COUNTER: "counter", "storm_user_events_total", None, Counter, Events, USER,
        "A counter of the topology's own code, by its name.";
    USER_GAUGE: "gauge", "storm_user_gauge_value", None, Gauge, Value, USER,
        "A gauge of the topology's own code, by its name.";
    USER_HISTOGRAM: "histogram", "storm_user_histogram_value", None, Histogram, Value, USER,
        "A histogram of the topology's own code, by its name.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        for of in [|metric: &Metric| metric.name, |metric: &Metric| metric.title] {
            assert_eq!(ALL.iter().map(of).collect::<BTreeSet<_>>().len(), ALL.len());
        }
        let of_storm: Vec<_> = ALL.iter().filter_map(|metric| metric.storm).collect();
        assert_eq!(of_storm.iter().collect::<BTreeSet<_>>().len(), of_storm.len());
    }

    #[test]
    fn names_follow_the_template() {
        for Metric { name, kind, unit, .. } in ALL {
            let rest = name.strip_prefix("storm_").expect(name);
            let is_counter = *kind == MetricKind::Counter;
            let rest = if is_counter { rest.strip_suffix("_total").expect(name) } else { rest };
            let noun = rest.strip_suffix(unit.word()).and_then(|rest| rest.strip_suffix('_')).expect(name);
            assert!(!noun.is_empty() && !noun.ends_with("_total"), "{name}");
            assert!(noun.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        }
    }

    #[test]
    fn each_says_what_it_is_in_a_sentence() {
        for Metric { title, name, help, labels, .. } in ALL {
            assert!(title.chars().all(|c| c.is_ascii_lowercase() || c == ' '), "{title}");
            assert!(help.ends_with('.') && help.starts_with(char::is_uppercase), "{name}");
            assert!(!help.contains('\n') && !help.trim_end_matches('.').contains(". "), "{name}");
            assert!(labels.starts_with(COMPONENT), "{name}");
        }
    }
}
