//! From configuration to what the engine runs with.

use std::sync::Arc;

use serde_json::{Map, Value as Json};
use storm_config::{Config, ConfigErrors, ExecutorThreads, Origin, TopologyView, component_view};
use storm_engine::{ComponentSettings, Settings};
use storm_model::{ComponentId, ConfigMap};
use storm_topology::{Topology, TopologyError};

/// Why a topology cannot run with its configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// Keys or values that are wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// A parallelism that does not fit.
    #[error(transparent)]
    Topology(#[from] TopologyError),
}

/// Applies what configuration says about parallelism to the topology, and computes the engine's
/// settings.
///
/// # Errors
/// Unknown or wrong keys of a component, or a parallelism that cannot be.
pub fn configure(topology: &mut Topology, config: &Config) -> Result<Settings, ConfigureError> {
    let view = TopologyView::of(config);
    let components: Vec<ComponentId> = topology.spec.components.keys().cloned().collect();
    let mut settings = Settings {
        message_timeout: view.message_timeout,
        timeouts: view.message_timeouts_enabled,
        tracking: view.tracking,
        max_tuple_bytes: usize::try_from(view.max_tuple_bytes).unwrap_or(usize::MAX),
        memory_budget: view.memory_budget_bytes,
        load_aware: view.load_aware,
        error_interval: view.error_throttle_interval,
        errors_per_interval: view.max_errors_per_interval,
        threads: match view.executor_threads {
            ExecutorThreads::PerExecutor => None,
            ExecutorThreads::Shared(threads) => Some(threads),
        },
        events: None,
        config: Arc::new(map_of(config)),
        components: Default::default(),
    };
    let mut caps = Vec::new();
    for id in &components {
        let own: Map<String, Json> = topology.spec.components[id].config.clone().into_iter().collect();
        let view = component_view(config, id.as_str(), &own)?;
        let spec = topology.spec.components.get_mut(id).expect("its own key");
        if let (Some(tasks), false) = (view.tasks, spec.tasks_fixed) {
            (spec.tasks, spec.tasks_fixed) = (tasks, true);
        }
        if let Some(max) = view.max_task_parallelism {
            caps.push((id, max));
        }
        let component = ComponentSettings {
            max_spout_pending: view.max_spout_pending.unwrap_or(TopologyView::PENDING_CAP),
            tick: view.tick,
            debug: view.debug,
            config: Arc::new(map_of(&config.for_component(id.as_str(), &own)?)),
        };
        settings.components.insert(id.clone(), component);
    }
    for (component, executors) in config.parallelism() {
        topology.set_parallelism(&component, executors)?;
    }
    // As in Storm's normalisation: the cap has the last word.
    for (id, max) in caps {
        topology.cap_tasks(id.as_str(), max);
    }
    topology.check()?;
    Ok(settings)
}

/// The configuration of a submitted topology: the submitter's own below its code, what was given for
/// this submission above.
///
/// # Errors
/// Unknown or wrong keys.
pub fn layered(
    topology: &Topology,
    below: &Map<String, Json>,
    above: &Map<String, Json>,
) -> Result<Config, ConfigureError> {
    let code = topology.spec.config.clone().into_iter().collect();
    let mut config = Config::defaults();
    config.layer(&Origin::Submitter, below)?;
    config.layer(&Origin::TopologyCode, &code)?;
    config.layer(&Origin::Argument, above)?;
    Ok(config)
}

fn map_of(config: &Config) -> ConfigMap {
    config.iter().map(|(key, value, _)| (key.to_owned(), value.clone())).collect()
}
