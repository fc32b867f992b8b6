//! A made-up cluster: for tests, benches and screenshots, the same every time.
//!
//! Nothing runs. Topologies of several shapes and states stand on supervisors, of which one is
//! silent; what they would have counted follows from the rates of their spouts. Commands change what
//! is told afterwards.

mod cluster;
mod commands;
mod figures;
mod logs;
mod random;
mod shapes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde_json::json;
use storm_rpc::{CallError, v1};

use crate::source::{Command, LogBytes, Source};
use crate::view::{ClusterView, TopologyView};

/// How large a made-up cluster is.
#[derive(Clone, Debug)]
pub struct SeedOptions {
    /// Topologies.
    pub topologies: usize,
    /// About so many executors in each.
    pub executors: u32,
    /// Supervisors. The last one is silent when there are at least three.
    pub supervisors: usize,
    /// Slots of each.
    pub slots: u32,
    /// What else it depends on: another number, another cluster.
    pub seed: u64,
    /// The moment at which everything is told.
    pub now: SystemTime,
}

impl SeedOptions {
    /// Three topologies on three supervisors.
    pub fn small() -> SeedOptions {
        SeedOptions { topologies: 3, supervisors: 3, slots: 4, ..SeedOptions::default() }
    }

    /// 200 topologies with some 2,000 executors on 60 supervisors.
    pub fn large() -> SeedOptions {
        SeedOptions { topologies: 200, executors: 7, supervisors: 60, slots: 8, ..SeedOptions::default() }
    }
}

/// Eight topologies, one or more of every state, on six supervisors with too few slots.
impl Default for SeedOptions {
    fn default() -> SeedOptions {
        // 2026-01-05T08:00:00Z.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_600_000);
        SeedOptions { topologies: 8, executors: 12, supervisors: 6, slots: 4, seed: 1, now }
    }
}

/// A made-up cluster. Clones are the same one.
#[derive(Clone)]
pub struct Seed(Arc<Mutex<State>>);

struct State {
    options: SeedOptions,
    cluster: Arc<ClusterView>,
    /// In order of their names, as in the cluster.
    topologies: Vec<Arc<TopologyView>>,
    commands: Vec<Command>,
}

impl Seed {
    /// Makes one up.
    pub fn new(options: SeedOptions) -> Seed {
        Seed(Arc::new(Mutex::new(cluster::make(options))))
    }

    /// The commands that it was given, oldest first, those that failed included.
    pub fn commands(&self) -> Vec<Command> {
        self.state().commands.clone()
    }

    /// Puts what `change` makes of a topology in its place.
    ///
    /// # Errors
    /// When there is no such topology.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut TopologyView)) -> Result<(), CallError> {
        self.state().change(name, change)
    }

    /// Nothing is left half done when a test panics, so that a poisoned lock is as good as another.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn topology(&self, name: &str) -> Result<&Arc<TopologyView>, CallError> {
        let is_it = |view: &&Arc<TopologyView>| {
            let summary = view.status.summary.as_ref();
            summary.is_some_and(|summary| summary.name == name || summary.id == name)
        };
        self.topologies.iter().find(is_it).ok_or_else(|| CallError::no_such_topology(name))
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut TopologyView)) -> Result<(), CallError> {
        let id = self.topology(name)?.summary().id;
        let place = self.topologies.iter().position(|view| view.summary().id == id);
        let view = Arc::make_mut(&mut self.topologies[place.expect("it was found by its id above")]);
        change(view);
        let summaries = &mut Arc::make_mut(&mut self.cluster).topologies;
        for summary in summaries.iter_mut().filter(|summary| summary.id == id) {
            *summary = view.summary();
        }
        Ok(())
    }
}

#[async_trait]
impl Source for Seed {
    async fn cluster(&self) -> Result<Arc<ClusterView>, CallError> {
        // As from Nimbus, every answer is a new one.
        Ok(Arc::new(ClusterView::clone(&self.state().cluster)))
    }

    async fn topology(&self, name: &str) -> Result<Arc<TopologyView>, CallError> {
        Ok(Arc::new(TopologyView::clone(self.state().topology(name)?)))
    }

    async fn config(&self) -> Result<v1::DaemonConfig, CallError> {
        let entry = |(key, value, origin): (&str, serde_json::Value, &str)| v1::ConfigEntry {
            key: key.to_owned(),
            value: value.to_string().into_bytes(),
            origin: origin.to_owned(),
        };
        let entries = [
            ("nimbus.seeds", json!(["nimbus-1", "nimbus-2"]), "/etc/storm/storm.yaml line 4"),
            ("nimbus.thrift.port", json!(6627), "default"),
            ("storm.local.dir", json!("/var/lib/storm"), "/etc/storm/storm.yaml line 9"),
            ("storm.zookeeper.servers", json!(["zookeeper-1"]), "/etc/storm/storm.yaml line 1"),
            ("supervisor.slots.ports", json!([6700, 6701, 6702, 6703]), "default"),
            ("topology.max.spout.pending", serde_json::Value::Null, "default"),
            ("topology.message.timeout.secs", json!(30), "default"),
            ("ui.port", json!(8080), "default"),
        ];
        Ok(v1::DaemonConfig { entries: entries.into_iter().map(entry).collect() })
    }

    async fn command(&self, command: Command) -> Result<v1::RebalanceReply, CallError> {
        let mut state = self.state();
        state.commands.push(command.clone());
        state.command(command)
    }

    async fn list_files(
        &self,
        address: &str,
        request: v1::ListFilesRequest,
    ) -> Result<Vec<v1::LogFile>, CallError> {
        Ok(logs::Disk::at(&self.state(), address)?.list(&request.place.unwrap_or_default()))
    }

    async fn read_file(&self, address: &str, request: v1::ReadFileRequest) -> Result<LogBytes, CallError> {
        logs::Disk::at(&self.state(), address)?.read(&request)
    }

    async fn search_files(
        &self,
        address: &str,
        request: v1::SearchFilesRequest,
    ) -> Result<v1::FoundInFiles, CallError> {
        logs::Disk::at(&self.state(), address)?.search(&request)
    }
}

#[cfg(test)]
mod tests;
