//! A topology of which nothing may be lost: the example at-least-once.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Cluster, wait_until};

/// The name of the topology.
pub(crate) const NAME: &str = "at-least-once";

/// What flows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) count: usize,
    pub(crate) rate: u32,
    pub(crate) fail_rate: f64,
    pub(crate) workers: u32,
    /// Tasks of the source, of each of the two relays, and of the sink.
    pub(crate) tasks: [u32; 3],
}

impl Default for Load {
    /// For six seconds, on three workers.
    fn default() -> Load {
        Load { count: 6000, rate: 1000, fail_rate: 0.01, workers: 3, tasks: [1, 2, 1] }
    }
}

/// A cluster on which numbers flow.
pub(crate) struct Flow<C> {
    pub(crate) cluster: C,
    load: Load,
}

impl<C: Deref<Target = Cluster>> Flow<C> {
    pub(crate) fn start(cluster: C) -> Flow<C> {
        Flow::with(cluster, Load::default())
    }

    pub(crate) fn with(cluster: C, load: Load) -> Flow<C> {
        let flow = Flow { cluster, load };
        let Load { count, rate, fail_rate, workers, tasks } = load;
        let [count, rate, fail_rate] = [count.to_string(), rate.to_string(), fail_rate.to_string()];
        let [source, relay, sink] = tasks.map(|tasks| tasks.to_string());
        let out = flow.out();
        let flow_of =
            ["--out", out.to_str().unwrap(), "--count", &count, "--rate", &rate, "--fail-rate", &fail_rate];
        let shape = ["--source", &source, "--relay1", &relay, "--relay2", &relay, "--sink", &sink];
        let args = [&flow_of[..], &shape].concat();
        flow.cluster.submit(NAME, &["-c", &format!("topology.workers={workers}")], &args);
        flow.wait_for(200);
        flow
    }

    /// How many numbers there are.
    pub(crate) fn count(&self) -> usize {
        self.load.count
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.cluster.path("numbers")
    }

    /// How many have arrived.
    pub(crate) fn arrived(&self) -> usize {
        arrived(&self.out()).len()
    }

    /// Until so many have arrived.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) {
        let count = count.min(self.load.count);
        wait_until("numbers arrive", || self.arrived() >= count);
    }

    /// Until so many more have arrived.
    #[track_caller]
    pub(crate) fn wait_for_more(&self, count: usize) {
        self.wait_for(self.arrived() + count);
    }

    pub(crate) fn worker_pids(&self) -> BTreeSet<i32> {
        self.cluster.worker_pids(NAME).into_iter().collect()
    }

    /// Until everything has arrived.
    #[track_caller]
    pub(crate) fn end(self) -> C {
        self.end_with().0
    }

    /// Until everything has arrived; with what the source says of it.
    #[track_caller]
    pub(crate) fn end_with(self) -> (C, Value) {
        let done = self.out().join("done.json");
        wait_until("the run is done", || done.exists());
        assert_eq!(self.arrived(), self.load.count, "every number has arrived");
        (self.cluster, serde_json::from_slice(&fs::read(done).unwrap()).unwrap())
    }
}

/// The numbers that have arrived.
pub(crate) fn arrived(dir: &Path) -> BTreeSet<u64> {
    arrivals(dir).into_iter().collect()
}

/// Each arrival.
pub(crate) fn arrivals(dir: &Path) -> Vec<u64> {
    logs(dir).into_iter().flatten().collect()
}

/// What each task of the sink has got, in the order in which it has, across all its lives.
pub(crate) fn logs(dir: &Path) -> Vec<Vec<u64>> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with("sink-") && name.ends_with(".tsv"))
        {
            let text = fs::read_to_string(entry.path()).unwrap();
            let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
            logs.push(lines.map(|line| line.parse::<u64>().unwrap()).collect());
        }
    }
    logs
}
