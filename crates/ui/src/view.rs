//! What pages and REST are made of: answers of Nimbus at one moment, plain data.

use std::time::SystemTime;

use serde_json::{Map, Value};
use storm_figures::{Diagnosis, TopologyFigures, Trend, diagnose};
use storm_model::TopologySpec;
use storm_rpc::{CallError, v1};

/// The cluster at a moment.
#[derive(Clone, Debug, Default)]
pub struct ClusterView {
    /// Nimbuses and supervisors.
    pub cluster: v1::ClusterSummary,
    /// Topologies, in order of their names.
    pub topologies: Vec<v1::TopologySummary>,
}

/// A topology at a moment.
#[derive(Clone, Debug)]
pub struct TopologyView {
    /// When it was asked for.
    pub asked: SystemTime,
    /// State, workers, errors.
    pub status: v1::TopologyStatus,
    /// What it is made of.
    pub spec: TopologySpec,
    /// Its effective configuration.
    pub config: Map<String, Value>,
    /// What was counted and measured.
    pub figures: TopologyFigures,
    /// Its last 30 minutes.
    pub trend: Trend,
}

impl TopologyView {
    /// From what Nimbus answered.
    ///
    /// # Errors
    /// When a part of it is not understood: the Nimbus is of another version.
    pub fn new(
        asked: SystemTime,
        status: v1::TopologyStatus,
        figures: &v1::TopologyFigures,
    ) -> Result<TopologyView, CallError> {
        fn read<T: serde::de::DeserializeOwned>(what: &str, json: &[u8]) -> Result<T, CallError> {
            serde_json::from_slice(json).map_err(|error| {
                CallError::other(format!("the {what} that Nimbus sent is not understood: {error}"))
                    .advise("is the UI of the same version as Nimbus?")
            })
        }
        Ok(TopologyView {
            asked,
            spec: read("specification", &status.spec)?,
            config: read("configuration", &status.config)?,
            figures: read("topology's figures", &figures.figures)?,
            trend: read("topology's trend", &figures.trend)?,
            status,
        })
    }

    /// What holds it up, by the configuration that is in force.
    pub fn diagnosis(&self) -> Diagnosis {
        let mut spec = self.spec.clone();
        let of_topology = self.config.iter().filter(|(key, _)| key.starts_with("topology."));
        spec.config.extend(of_topology.map(|(key, value)| (key.clone(), value.clone())));
        diagnose(&spec, &self.figures)
    }

    /// State and counts; empty when Nimbus sent none.
    pub fn summary(&self) -> v1::TopologySummary {
        self.status.summary.clone().unwrap_or_default()
    }
}
