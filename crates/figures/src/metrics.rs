//! What every figure is called, once: Storm's name, the Prometheus name, unit and meaning.
//!
//! Nothing else names a metric: [`ALL`] has those of topologies, [`DAEMON`] those of daemons, and
//! [`PROCESS`] those that every process shows to Prometheus under names that are not ours. Names follow
//! `storm_<noun>_<unit>[_total]`, with `_total` for counters alone. `docs/metrics.md` is made from these
//! tables.

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
    Bytes,
    Fds,
    Executors,
    Leaders,
    Requests,
    Restarts,
    Sessions,
    Slots,
    Supervisors,
    Tasks,
    Topologies,
    Workers,
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
            Unit::Bytes => "bytes",
            Unit::Fds => "fds",
            Unit::Executors => "executors",
            Unit::Leaders => "leaders",
            Unit::Requests => "requests",
            Unit::Restarts => "restarts",
            Unit::Sessions => "sessions",
            Unit::Slots => "slots",
            Unit::Supervisors => "supervisors",
            Unit::Tasks => "tasks",
            Unit::Topologies => "topologies",
            Unit::Workers => "workers",
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
const NOTHING: &[&str] = &[];
/// `daemon` is `nimbus`, `supervisor` or `ui`.
const DAEMONS: &[&str] = &["daemon"];
const DAEMON_STATE: &[&str] = &["daemon", "state"];
const STATE: &[&str] = &["state"];
const TOPOLOGY: &[&str] = &["topology"];
/// `port` is that of the slot.
const WORKER: &[&str] = &["topology", "port"];
const ROUTE: &[&str] = &["route", "code"];

/// Declares each metric as a constant, and all of them in order.
macro_rules! metrics {
    ($(#[$about:meta])* $all:ident = $(
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

        $(#[$about])*
        pub const $all: &[Metric] = &[$($constant),+];
    };
}

metrics! {
    /// Every metric of topologies, in the order of the documentation.
    ALL =
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

metrics! {
    /// Every metric of the daemons, in the order of the documentation. What is said of the cluster as a
    /// whole, the Nimbus that leads says alone.
    DAEMON =
    LEADER: "leader", "storm_nimbus_leaders", None, Gauge, Leaders, NOTHING,
        "1 where the Nimbus leads, 0 where it does not.";
    SUPERVISORS: "supervisors", "storm_cluster_supervisors", None, Gauge, Supervisors, STATE,
        "Supervisors by state: `alive` or `silent`.";
    CLUSTER_SLOTS: "cluster slots", "storm_cluster_slots", None, Gauge, Slots, STATE,
        "Slots of the supervisors that are alive by state: `used` or `free`.";
    TOPOLOGIES: "topologies", "storm_cluster_topologies", None, Gauge, Topologies, STATE,
        "Topologies by state, as Storm calls it: `ACTIVE`, `INACTIVE`, `KILLED` or `REBALANCING`.";
    WORKERS: "workers", "storm_topology_workers", None, Gauge, Workers, TOPOLOGY,
        "Workers that a topology has.";
    EXECUTORS: "executors", "storm_topology_executors", None, Gauge, Executors, TOPOLOGY,
        "Executors that a topology should have.";
    UNPLACED: "unplaced executors", "storm_unplaced_executors", None, Gauge, Executors, TOPOLOGY,
        "Executors of a topology that have no slot.";
    TASKS: "tasks", "storm_topology_tasks", None, Gauge, Tasks, TOPOLOGY,
        "Tasks of a topology.";
    PENDING_LIMIT: "pending limit", "storm_pending_limit_tuples", None, Gauge, Tuples, COMPONENT,
        "Trees that each task of a spout may have pending, where that is limited by configuration.";
    SLOTS: "slots", "storm_supervisor_slots", None, Gauge, Slots, STATE,
        "Slots of a supervisor by state: `used` or `free`.";
    SUPERVISED: "supervised workers", "storm_supervisor_workers", None, Gauge, Workers, STATE,
        "Workers of a supervisor by state, as `storm-rs status` shows it.";
    RESTARTS: "restarts", "storm_worker_restarts_total", None, Counter, Restarts, WORKER,
        "Starts of a worker after its first one, since its executors were assigned to it.";
    WORKER_MEMORY: "worker memory", "storm_worker_memory_bytes", None, Gauge, Bytes, WORKER,
        "Resident memory of a worker.";
    WORKER_UPTIME: "worker uptime", "storm_worker_uptime_seconds", None, Gauge, Seconds, WORKER,
        "Time since a worker started.";
    UI_REQUESTS: "requests", "storm_ui_requests_total", None, Counter, Requests, ROUTE,
        "Requests to the pages and the REST interface, by route and status code.";
    DAEMON_UPTIME: "daemon uptime", "storm_daemon_uptime_seconds", None, Gauge, Seconds, DAEMONS,
        "Time since the daemon started.";
    SESSION: "session", "storm_zookeeper_sessions", None, Gauge, Sessions, DAEMON_STATE,
        "1 for the state of the daemon's session with ZooKeeper (`connecting`, `connected`, `suspended`, `expired`, `closed`).";
}

metrics! {
    /// What every process shows, under Prometheus' own names.
    PROCESS =
    PROCESS_CPU: "processor time", "process_cpu_seconds_total", None, Counter, Seconds, NOTHING,
        "Processor time of the process, user and system.";
    PROCESS_MEMORY: "resident memory", "process_resident_memory_bytes", None, Gauge, Bytes, NOTHING,
        "Resident memory of the process.";
    PROCESS_OPEN_FDS: "open files", "process_open_fds", None, Gauge, Fds, NOTHING,
        "Files and sockets that the process has open.";
    PROCESS_MAX_FDS: "open files allowed", "process_max_fds", None, Gauge, Fds, NOTHING,
        "Files and sockets that the process may have open.";
    PROCESS_START: "start", "process_start_time_seconds", None, Gauge, Seconds, NOTHING,
        "When the process started, in seconds since 1970.";
}

/// Every metric there is.
pub fn every() -> impl Iterator<Item = &'static Metric> {
    ALL.iter().chain(DAEMON).chain(PROCESS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        for of in [|metric: &Metric| metric.name, |metric: &Metric| metric.title] {
            assert_eq!(every().map(of).collect::<BTreeSet<_>>().len(), every().count());
        }
        let of_storm: Vec<_> = every().filter_map(|metric| metric.storm).collect();
        assert_eq!(of_storm.iter().collect::<BTreeSet<_>>().len(), of_storm.len());
    }

    #[test]
    fn names_follow_the_template() {
        for Metric { name, kind, unit, .. } in ALL.iter().chain(DAEMON) {
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
        for Metric { title, name, help, .. } in every() {
            assert!(title.chars().all(|c| c.is_ascii_lowercase() || c == ' '), "{title}");
            assert!(
                help.ends_with('.') && help.starts_with(|c: char| c.is_uppercase() || c == '1'),
                "{name}"
            );
            assert!(!help.contains('\n') && !help.trim_end_matches('.').contains(". "), "{name}");
        }
        assert!(ALL.iter().all(|metric| metric.labels.starts_with(COMPONENT)));
    }
}
