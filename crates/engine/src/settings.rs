//! What the engine needs to know of the configuration, as plain values.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use storm_model::{ComponentId, ConfigMap};

use crate::sampling::EventSink;

/// Settings of a topology. [`Default`] has Storm's defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A tree that is not processed within this time fails (`topology.message.timeout.secs`).
    pub message_timeout: Duration,
    /// Whether trees time out at all (`topology.enable.message.timeouts`).
    pub timeouts: bool,
    /// Whether tracked tuples are tracked (`topology.acker.executors` is not 0).
    pub tracking: bool,
    /// Longest row (`topology.max.tuple.bytes`).
    pub max_tuple_bytes: usize,
    /// Bytes of rows that a worker may hold beyond credit and in cycles
    /// (`topology.worker.max.heap.size.mb`).
    pub memory_budget: u64,
    /// Whether shuffles look at the load of their targets (`topology.disable.loadaware.messaging`
    /// turns it off).
    pub load_aware: bool,
    /// Span of the limit on error reports (`topology.error.throttle.interval.secs`).
    pub error_interval: Duration,
    /// Error reports per executor and span (`topology.max.error.report.per.interval`).
    pub errors_per_interval: u32,
    /// Threads that share the executors (`topology.executor.threads`); `None`: each has its own.
    pub threads: Option<u32>,
    /// Where sampled tuples go; `None`: none are sampled.
    pub events: Option<Arc<dyn EventSink>>,
    /// The topology's configuration, as tasks read it.
    pub config: Arc<ConfigMap>,
    /// What differs per component.
    pub components: BTreeMap<ComponentId, ComponentSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            message_timeout: Duration::from_secs(30),
            timeouts: true,
            tracking: true,
            max_tuple_bytes: 64 << 20,
            memory_budget: 768 << 20,
            load_aware: true,
            error_interval: Duration::from_secs(10),
            errors_per_interval: 5,
            threads: None,
            events: None,
            config: Arc::default(),
            components: BTreeMap::new(),
        }
    }
}

/// Settings of one component.
#[derive(Clone, Debug)]
pub struct ComponentSettings {
    /// Pending trees per spout task (`topology.max.spout.pending`).
    pub max_spout_pending: u32,
    /// Time between two calls of `on_tick` (`topology.tick.tuple.freq.secs`).
    pub tick: Option<Duration>,
    /// Whether each emit is logged (`topology.debug`).
    pub debug: bool,
    /// The topology's configuration with the component's own on top.
    pub config: Arc<ConfigMap>,
}

impl Default for ComponentSettings {
    fn default() -> Self {
        ComponentSettings {
            max_spout_pending: MAX_SPOUT_PENDING,
            tick: None,
            debug: false,
            config: Arc::default(),
        }
    }
}

/// Pending trees per spout task when `topology.max.spout.pending` is unset: enough for any
/// throughput, few enough to bound the ledger at some 30 MB.
pub const MAX_SPOUT_PENDING: u32 = 1 << 20;
