//! The configuration as the engine reads it: plain fields, units in their types.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{Config, ConfigError, ConfigErrors, Origin, keys};

/// What the engine needs to know about a topology, or about one component of it.
#[derive(Clone, Debug, PartialEq)]
pub struct TopologyView {
    /// Worker processes that the topology asks for.
    pub workers: u32,
    /// The most tasks that a component may have.
    pub max_task_parallelism: Option<u32>,
    /// Tasks of a component, where that differs from its executors.
    pub tasks: Option<u32>,
    /// The most tuples of one spout task that wait for their ack; `None` is
    /// [`TopologyView::PENDING_CAP`].
    pub max_spout_pending: Option<u32>,
    /// Time after which a tuple that is not fully acked fails.
    pub message_timeout: Duration,
    /// Whether tuples that are not acked in time fail.
    pub message_timeouts_enabled: bool,
    /// Whether tuples are tracked at all.
    pub tracking: bool,
    /// Whether every tuple is logged.
    pub debug: bool,
    /// Time between two tick tuples; `None` for no ticks.
    pub tick: Option<Duration>,
    /// Whether the shuffle regards the load of its targets.
    pub load_aware: bool,
    /// Time for which `max_errors_per_interval` counts.
    pub error_throttle_interval: Duration,
    /// The most errors that an executor reports in one interval.
    pub max_errors_per_interval: u32,
    /// Bytes of waiting rows that a worker holds before it refuses more.
    pub memory_budget_bytes: u64,
    /// Bytes of the largest tuple.
    pub max_tuple_bytes: u64,
    /// Threads of the pool that all tasks of a worker share.
    pub shared_threads: u32,
    /// Threads that run the executors.
    pub executor_threads: ExecutorThreads,
    /// Bytes from which a worker's `events.log` is begun anew.
    pub events_log_bytes: u64,
    /// Older parts of it that are kept.
    pub events_log_parts: u32,
}

/// How executors are spread over threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutorThreads {
    /// Each executor has a thread of its own.
    PerExecutor,
    /// So many threads share all executors of a worker.
    Shared(u32),
}

impl TopologyView {
    /// The pending tuples of a spout task when nothing is configured.
    pub const PENDING_CAP: u32 = 1 << 20;

    /// Reads the view from a checked configuration.
    pub fn of(config: &Config) -> Self {
        let count = |key: &str| config.get_count(key).expect("a count with a default");
        let time = |key: &str| config.get_duration(key).expect("a time with a default");
        let megabytes = config.get_float("topology.worker.max.heap.size.mb");
        let megabytes = megabytes.expect("a number with a default");
        let threads = config.get_count("topology.executor.threads");
        Self {
            workers: count("topology.workers"),
            max_task_parallelism: config.get_count("topology.max.task.parallelism"),
            tasks: config.get_count("topology.tasks"),
            max_spout_pending: config.get_count("topology.max.spout.pending"),
            message_timeout: time("topology.message.timeout.secs"),
            message_timeouts_enabled: config.get_bool("topology.enable.message.timeouts"),
            tracking: config.get_int("topology.acker.executors") != Some(0),
            debug: config.get_bool("topology.debug"),
            tick: config.get_duration("topology.tick.tuple.freq.secs").filter(|period| !period.is_zero()),
            load_aware: !config.get_bool("topology.disable.loadaware.messaging"),
            error_throttle_interval: time("topology.error.throttle.interval.secs"),
            max_errors_per_interval: count("topology.max.error.report.per.interval"),
            // Float to int saturates, which is what a budget beyond all memory should do.
            memory_budget_bytes: (megabytes * 1_048_576.0) as u64,
            max_tuple_bytes: u64::from(count("topology.max.tuple.bytes")),
            shared_threads: count("topology.worker.shared.thread.pool.size"),
            executor_threads: threads.map_or(ExecutorThreads::PerExecutor, ExecutorThreads::Shared),
            events_log_bytes: u64::from(count("topology.eventlogger.rotation.size.mb")) << 20,
            events_log_parts: count("topology.eventlogger.max.retained.files"),
        }
    }
}

impl Config {
    /// This configuration as one component sees it: with the component's own values over it.
    ///
    /// # Errors
    /// What [`Config::layer`] refuses, and Storm's keys that hold only for the whole topology
    /// (Storm ignores those).
    pub fn for_component(&self, component: &str, values: &Map<String, Value>) -> Result<Self, ConfigErrors> {
        let origin = Origin::Component { component: component.to_owned() };
        let mut config = self.clone();
        let layered = config.layer(&origin, values);
        let whole =
            |key: &&String| keys::find(key).is_some_and(|known| known.has_meaning() && !known.per_component);
        let refused = values
            .keys()
            .filter(whole)
            .map(|key| ConfigError::NotPerComponent { key: key.clone(), origin: origin.clone() });
        let mut errors: Vec<_> = refused.collect();
        errors.extend(layered.err().into_iter().flat_map(|errors| errors.0));
        if errors.is_empty() { Ok(config) } else { Err(ConfigErrors(errors)) }
    }
}

/// The view of one component of a topology.
///
/// # Errors
/// As [`Config::for_component`].
pub fn component_view(
    base: &Config,
    component: &str,
    values: &Map<String, Value>,
) -> Result<TopologyView, ConfigErrors> {
    base.for_component(component, values).map(|config| TopologyView::of(&config))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn layered(value: Value) -> Config {
        let mut config = Config::defaults();
        config.layer(&Origin::TopologyCode, value.as_object().unwrap()).unwrap();
        config
    }

    #[test]
    fn defaults_are_storms_and_ours() {
        let view = TopologyView::of(&Config::defaults());
        expect_test::expect![[r#"
            TopologyView {
                workers: 1,
                max_task_parallelism: None,
                tasks: None,
                max_spout_pending: None,
                message_timeout: 30s,
                message_timeouts_enabled: true,
                tracking: true,
                debug: false,
                tick: None,
                load_aware: true,
                error_throttle_interval: 10s,
                max_errors_per_interval: 5,
                memory_budget_bytes: 805306368,
                max_tuple_bytes: 67108864,
                shared_threads: 4,
                executor_threads: PerExecutor,
                events_log_bytes: 104857600,
                events_log_parts: 3,
            }
        "#]]
        .assert_debug_eq(&view);
    }

    #[test]
    fn set_values_reach_their_field() {
        let view = TopologyView::of(&layered(json!({
            "topology.acker.executors": 0,
            "topology.tick.tuple.freq.secs": 2,
            "topology.max.spout.pending": 100,
            "topology.worker.max.heap.size.mb": 0.5,
            "topology.executor.threads": 2,
        })));
        assert!(!view.tracking);
        assert_eq!(view.tick, Some(Duration::from_secs(2)));
        assert_eq!(view.max_spout_pending, Some(100));
        assert_eq!(view.memory_budget_bytes, 524_288);
        assert_eq!(view.executor_threads, ExecutorThreads::Shared(2));
        let zero = layered(json!({"topology.tick.tuple.freq.secs": 0}));
        assert_eq!(TopologyView::of(&zero).tick, None);
    }

    #[test]
    fn a_component_overrides_what_it_may_and_nothing_else() {
        let base = layered(json!({"topology.max.spout.pending": 100, "mine": 1}));
        let own = json!({"topology.max.spout.pending": 7, "topology.tick.tuple.freq.secs": 1,
            "topology.bolts.watermark.event.interval.ms": 500, "mine": 2});
        let config = base.for_component("count", own.as_object().unwrap()).unwrap();
        assert_eq!(TopologyView::of(&config).max_spout_pending, Some(7));
        assert_eq!(config.user("mine"), Some(&json!(2)));

        let own = json!({"topology.workers": 2, "ui.port": 1, "topology.debug": 3});
        let errors = component_view(&base, "count", own.as_object().unwrap()).unwrap_err();
        expect_test::expect![[r#"
            'topology.workers' in the component 'count' has no effect on a single component: set it in the configuration of the whole topology
            'ui.port' in the component 'count' has no effect on a single component: set it in the configuration of the whole topology
            'topology.debug' in the component 'count' must be true or false, but is the number 3 (Whether every tuple that is emitted or received is logged)"#]]
        .assert_eq(&errors.to_string());
    }

    #[test]
    fn a_key_without_meaning_in_a_component_gives_a_note() {
        let own = json!({"topology.spout.wait.strategy": "x"});
        let config = Config::defaults().for_component("lines", own.as_object().unwrap()).unwrap();
        assert_eq!(config.notes().len(), 1);
    }
}
