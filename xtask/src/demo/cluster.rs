//! The cluster as the REST interface shows it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::http;

/// The cluster in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Overview {
    pub(super) slots_total: u64,
    pub(super) executors: u64,
    pub(super) tasks: u64,
    pub(super) topologies: u64,
    /// Slots in use by host, of the supervisors that are there.
    pub(super) used: BTreeMap<String, u64>,
}

impl Overview {
    /// Asks for it. What has no place yet is a reason to ask again.
    pub(super) fn ask(port: u16) -> Result<Overview, String> {
        let summary = get(port, "/api/v1/cluster/summary")?;
        let supervisors = get(port, "/api/v1/supervisor/summary")?;
        let overview = Overview::read(&summary, &supervisors)?;
        if number(&summary, "executorsUnplaced")? > 0 {
            return Err(format!("executors without a place; {}", overview.people()));
        }
        Ok(overview)
    }

    fn read(summary: &Value, supervisors: &Value) -> Result<Overview, String> {
        let used = list(supervisors, "supervisors")?
            .iter()
            .filter(|supervisor| supervisor["silent"] != true)
            .map(|supervisor| Ok((text(supervisor, "host")?, number(supervisor, "slotsUsed")?)));
        Ok(Overview {
            slots_total: number(summary, "slotsTotal")?,
            executors: number(summary, "executorsTotal")?,
            tasks: number(summary, "tasksTotal")?,
            topologies: number(summary, "topologies")?,
            used: used.collect::<Result<_, String>>()?,
        })
    }

    /// How many slots the supervisors use, the least first.
    pub(super) fn spread(&self) -> Vec<u64> {
        let mut spread: Vec<_> = self.used.values().copied().collect();
        spread.sort_unstable();
        spread
    }

    /// In words.
    pub(super) fn people(&self) -> String {
        let spread: Vec<_> = self.spread().iter().map(u64::to_string).collect();
        format!(
            "{} supervisors, {} of {} slots used ({}), {} executors, {} tasks",
            self.used.len(),
            self.used.values().sum::<u64>(),
            self.slots_total,
            spread.join(" + "),
            self.executors,
            self.tasks,
        )
    }
}

/// A worker: its host, port and process. Another process is another worker.
pub(super) type Worker = (String, u64, u64);

/// A topology that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) id: String,
    pub(super) workers: BTreeSet<Worker>,
    /// Where the log of each worker is shown, by host.
    pub(super) logs: BTreeMap<String, String>,
    /// Tuples emitted since the submit.
    pub(super) emitted: u64,
    /// Tuples failed since the submit.
    pub(super) failed: u64,
}

impl Running {
    /// Asks for the one topology that there is. A worker that does not run yet is a reason to ask again.
    pub(super) fn ask(port: u16) -> Result<Running, String> {
        let summary = get(port, "/api/v1/topology/summary")?;
        let [topology] = list(&summary, "topologies")? else {
            return Err(format!("not one topology: {summary}"));
        };
        let id = text(topology, "id")?;
        Running::read(id.clone(), &get(port, &format!("/api/v1/topology/{id}?window=:all-time"))?)
    }

    fn read(id: String, topology: &Value) -> Result<Running, String> {
        let status = text(topology, "status")?;
        if status != "ACTIVE" {
            return Err(format!("the topology is {status}"));
        }
        let (mut workers, mut logs) = (BTreeSet::new(), BTreeMap::new());
        for worker in list(topology, "workers")? {
            let (host, worker_port, pid) =
                (text(worker, "host")?, number(worker, "port")?, number(worker, "pid")?);
            if worker["state"] != "RUNNING" {
                return Err(format!("{host}:{worker_port} is {}", worker["state"]));
            }
            logs.insert(host.clone(), text(worker, "workerLogLink")?);
            workers.insert((host, worker_port, pid));
        }
        let windows = list(topology, "topologyStats")?;
        let of_all_time = windows.iter().find(|window| window["window"] == ":all-time");
        let stats = of_all_time.ok_or("no figures yet")?;
        // Of a topology without tracked tuples there is nothing to fail.
        let failed = stats["failed"].as_u64().unwrap_or_default();
        Ok(Running { id, workers, logs, emitted: number(stats, "emitted")?, failed })
    }

    /// The hosts on which it runs.
    pub(super) fn hosts(&self) -> BTreeSet<&str> {
        self.workers.iter().map(|(host, ..)| host.as_str()).collect()
    }
}

/// The Nimbuses by host, and whether they lead; those that are away are left out.
pub(super) fn nimbuses(port: u16) -> Result<BTreeMap<String, bool>, String> {
    let summary = get(port, "/api/v1/nimbus/summary")?;
    let alive = list(&summary, "nimbuses")?.iter().filter(|nimbus| nimbus["status"] != "Offline");
    alive.map(|nimbus| Ok((text(nimbus, "host")?, nimbus["status"] == "Leader"))).collect()
}

/// The one that leads.
pub(super) fn leader(port: u16) -> Result<String, String> {
    let leading = nimbuses(port)?.into_iter().find(|(_, leads)| *leads);
    leading.map(|(host, _)| host).ok_or_else(|| "no Nimbus leads".to_owned())
}

fn get(port: u16, path: &str) -> Result<Value, String> {
    let body = http::get(port, path)?;
    serde_json::from_str(&body).map_err(|error| format!("{path}: {error} in {body}"))
}

/// A field that is a number.
pub(super) fn number(of: &Value, field: &str) -> Result<u64, String> {
    of[field].as_u64().ok_or_else(|| format!("no number '{field}' in {of}"))
}

/// A field that is a text.
pub(super) fn text(of: &Value, field: &str) -> Result<String, String> {
    of[field].as_str().map(str::to_owned).ok_or_else(|| format!("no text '{field}' in {of}"))
}

/// A field that is a list.
pub(super) fn list<'a>(of: &'a Value, field: &str) -> Result<&'a [Value], String> {
    of[field].as_array().map(Vec::as_slice).ok_or_else(|| format!("no list '{field}' in {of}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn supervisors_that_are_silent_do_not_count() {
        let summary = json!({"slotsTotal": 8, "executorsTotal": 15, "tasksTotal": 18, "topologies": 1});
        let supervisors = json!({"supervisors": [
            {"host": "b", "slotsUsed": 2},
            {"host": "a", "slotsUsed": 1, "silent": false},
            {"host": "c", "slotsUsed": 3, "silent": true},
        ]});
        let overview = Overview::read(&summary, &supervisors).unwrap();
        assert_eq!(overview.spread(), [1, 2]);
        assert_eq!(overview.people(), "2 supervisors, 3 of 8 slots used (1 + 2), 15 executors, 18 tasks");
        assert!(Overview::read(&json!({}), &supervisors).unwrap_err().contains("slotsTotal"));
    }

    #[test]
    fn a_topology_runs_when_all_its_workers_do() {
        let worker =
            |state| json!({"host": "a", "port": 6700, "pid": 7, "state": state, "workerLogLink": "/log"});
        let stats = json!([{"window": "600", "emitted": 1}, {"window": ":all-time", "emitted": 5}]);
        let topology =
            |state| json!({"status": "ACTIVE", "workers": [worker(state)], "topologyStats": stats});
        let running = Running::read("id".to_owned(), &topology("RUNNING")).unwrap();
        assert_eq!((running.emitted, running.hosts()), (5, BTreeSet::from(["a"])));
        assert_eq!(running.workers, BTreeSet::from([("a".to_owned(), 6700, 7)]));
        let error = Running::read("id".to_owned(), &topology("STARTING")).unwrap_err();
        assert!(error.starts_with("a:6700 is"), "{error}");
    }
}
