//! Worker mode: this process works on the part of the topology that a supervisor gave it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use storm_config::TopologyView;
use storm_model::TopologySpec;
use storm_rpc::launch::{CONTRACT, WorkerFile, spec_digest};
use storm_topology::Topology;
use storm_worker::{Limit, Process};

use crate::configure::{ConfigureError, configure, layered};
use crate::logging;
use crate::progress::Progress;

/// Why a worker cannot work.
#[derive(Debug, thiserror::Error)]
enum WorkerModeError {
    /// The file that tells it what to do.
    #[error("cannot read the worker's file {}: {reason}", path.display())]
    File {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The supervisor is of another time.
    #[error(
        "this binary speaks version {CONTRACT} of the contract with daemons, the supervisor version {theirs}; \
         build the topology with the storm-rs of the cluster"
    )]
    Contract {
        /// The supervisor's version.
        theirs: u32,
    },
    /// Configuration that this binary does not understand.
    #[error(transparent)]
    Configure(#[from] ConfigureError),
    /// The code made another topology than when it was submitted.
    #[error(
        "the topology is not the one that was submitted (digest {found}, submitted {wanted}): its code must make \
         the same topology from the same arguments on every machine; it is now\n{now}"
    )]
    Different {
        /// Of what was made here.
        found: String,
        /// Of what was submitted.
        wanted: String,
        /// What was made here, as JSON.
        now: String,
    },
}

/// Works until the assignment does not want this worker any more.
pub(crate) fn run(path: &Path, mut topology: Topology) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let levels = logging::init_changeable(Progress::start().bar());
    let file = read(path)?;
    if file.contract != CONTRACT {
        return Err(WorkerModeError::Contract { theirs: file.contract }.into());
    }
    let config = layered(&topology, &file.cluster_config, &file.submit_config)?;
    let settings = configure(&mut topology, &config).map_err(WorkerModeError::from)?;
    let found = spec_digest(&topology.spec);
    if found != file.spec_digest {
        let now = serde_json::to_string_pretty(&to_be_shown(&topology.spec))?;
        return Err(WorkerModeError::Different { found, wanted: file.spec_digest, now }.into());
    }
    for (component, executors) in &file.executors {
        if let Some(spec) = topology.spec.components.get_mut(component.as_str()) {
            // As Nimbus counts them: no executor is without a task.
            spec.executors = (*executors).clamp(1, spec.tasks.max(1));
        }
    }
    let view = TopologyView::of(&config);
    let process = Process {
        loggers: Box::new(levels),
        events_limit: Limit { bytes: view.events_log_bytes, keep: view.events_log_parts },
    };
    Ok(storm_worker::run(file, topology, settings, process)?)
}

/// A specification for a log that many may read: keys of the user's own may hold passwords, so their values
/// are left out.
fn to_be_shown(spec: &TopologySpec) -> TopologySpec {
    let mut spec = spec.clone();
    let configs = spec.components.values_mut().map(|component| &mut component.config);
    for (key, value) in configs.chain([&mut spec.config]).flatten() {
        if !key.starts_with("topology.") {
            *value = "(not shown)".into();
        }
    }
    spec
}

fn read(path: &Path) -> Result<WorkerFile, WorkerModeError> {
    let error = |reason: String| WorkerModeError::File { path: path.to_owned(), reason };
    let text = std::fs::read(path).map_err(|e| error(e.to_string()))?;
    serde_json::from_slice(&text).map_err(|e| error(e.to_string()))
}

#[cfg(test)]
mod tests {
    use storm_model::{ComponentKind, ComponentSpec};

    use super::*;

    #[test]
    fn values_of_users_are_not_shown() {
        let config = |key: &str, value: &str| [(key.to_owned(), value.into())].into();
        let component = ComponentSpec {
            kind: ComponentKind::Bolt,
            executors: 1,
            tasks: 1,
            tasks_fixed: false,
            outputs: Vec::new(),
            inputs: Vec::new(),
            config: config("store.password", "secret"),
        };
        let spec = TopologySpec {
            components: [("store".into(), component)].into(),
            config: config("topology.version", "7"),
        };
        let shown = serde_json::to_string(&to_be_shown(&spec)).unwrap();
        assert!(shown.contains("store.password") && !shown.contains("secret"), "{shown}");
        assert!(shown.contains(r#""topology.version":"7""#), "{shown}");
    }
}
