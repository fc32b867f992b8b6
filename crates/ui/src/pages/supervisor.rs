//! A supervisor: its machine, its slots and what they hold.

use std::collections::HashMap;

use askama::Template;
use storm_rpc::v1;

use crate::app::App;
use crate::draw::colour::of_topology;
use crate::draw::{Html, slots};
use crate::pages::parts::{self, Num};
use crate::pages::{Ask, Page, Trouble, text};

/// How a supervisor is called: by its host; where a host has several, by its port, too.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Name {
    pub(crate) host: String,
    /// `:6628`, or its id where not even the ports differ; empty where the host says it all.
    pub(crate) rest: String,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.host, self.rest)
    }
}

/// The hosts of a cluster: how many supervisors each has, and each of its ports.
pub(crate) struct Hosts<'a> {
    hosts: HashMap<&'a str, usize>,
    ports: HashMap<(&'a str, u32), usize>,
}

impl<'a> Hosts<'a> {
    pub(crate) fn new(cluster: &'a v1::ClusterSummary) -> Hosts<'a> {
        let mut hosts = Hosts { hosts: HashMap::new(), ports: HashMap::new() };
        for supervisor in &cluster.supervisors {
            *hosts.hosts.entry(&supervisor.host).or_default() += 1;
            *hosts.ports.entry((&supervisor.host, supervisor.rpc_port)).or_default() += 1;
        }
        hosts
    }

    /// The name of one of them.
    pub(crate) fn name(&self, supervisor: &v1::SupervisorSummary) -> Name {
        let (host, port) = (supervisor.host.as_str(), supervisor.rpc_port);
        let is_alone = self.hosts.get(host).is_none_or(|count| *count == 1);
        let has_port = self.ports.get(&(host, port)).is_none_or(|count| *count == 1);
        let rest = match (is_alone, has_port) {
            (true, _) => String::new(),
            (false, true) => format!(":{port}"),
            (false, false) => format!(" {}", supervisor.id),
        };
        Name { host: host.to_owned(), rest }
    }
}

/// A row of the supervisors' table.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) id: String,
    pub(super) href: String,
    /// Its machine, and its port where several are on it.
    pub(super) name: Name,
    pub(super) state: Html,
    pub(super) slots: Html,
    pub(super) executors: Num,
    pub(super) memory: Num,
    pub(super) load: Html,
    pub(super) uptime: Num,
    pub(super) version: String,
    pub(super) about: String,
    pub(super) logs: String,
    pub(super) unhealthy: String,
}

#[derive(Template)]
#[template(path = "supervisor.html")]
struct Supervisor<'a> {
    root: &'a str,
    summary: Summary,
    row: slots::Row,
    address: String,
    workers: Vec<Worker>,
}

/// What a slot holds.
#[derive(Debug)]
struct Worker {
    port: u32,
    topology: String,
    href: String,
    paint: String,
    owner: String,
    state: Html,
    pid: u32,
    uptime: Num,
    memory: Num,
    executors: Num,
    load: Html,
    components: String,
    logs: String,
}

pub(super) async fn page(app: &App, ask: &Ask, id: &str) -> Result<Page, Trouble> {
    let view = app.source.cluster().await?;
    let supervisor = view.cluster.supervisors.iter().find(|supervisor| supervisor.id == id);
    let supervisor =
        supervisor.ok_or_else(|| Trouble::NotFound(format!("There is no supervisor '{id}'.")))?;
    let hosts = Hosts::new(&view.cluster);
    let page = Supervisor {
        root: &ask.root,
        summary: summary(supervisor, &hosts),
        row: slots::row(supervisor, &hosts),
        address: address(supervisor),
        workers: supervisor.held.iter().map(|slot| worker(supervisor, slot)).collect(),
    };
    Ok(Page::live(format!("Supervisor {}", page.summary.name), &page))
}

/// Where its logs are read.
pub(super) fn address(supervisor: &v1::SupervisorSummary) -> String {
    format!("{}:{}", supervisor.host, supervisor.rpc_port)
}

/// Its row.
pub(super) fn summary(supervisor: &v1::SupervisorSummary, hosts: &Hosts<'_>) -> Summary {
    let held = &supervisor.held;
    let used = held.len().max(supervisor.used_slots.len());
    let total = supervisor.slots.len();
    let state = if supervisor.is_silent {
        parts::badge("bad", "silent", "nobody has heard of it for longer than its time-out")
    } else if supervisor.unhealthy.is_empty() {
        parts::badge("good", "healthy", "it reports, and takes work")
    } else {
        parts::badge("warn", "unhealthy", &supervisor.unhealthy)
    };
    let share = if total == 0 { None } else { Some(used as f64 / total as f64) };
    let mut slots = Html::new();
    match share {
        None => slots.put(format_args!(r#"<td class="n nil" data-v="0">0/0</td>"#)),
        // A full supervisor is no trouble: no heat here.
        Some(share) => slots.put(format_args!(
            r#"<td class="n gauge" data-v="{share}" title="slots that hold a worker"><span class="bar plain" style="--s:{:.0}%"></span>{used}/{total}</td>"#,
            share.min(1.0) * 100.0
        )),
    }
    let load = held
        .iter()
        .map(|slot| slot.load)
        .filter(|load| load.is_finite())
        .fold(None, |most: Option<f64>, load| Some(most.map_or(load, |most| most.max(load))));
    Summary {
        id: supervisor.id.clone(),
        href: text::encoded(&supervisor.id),
        name: hosts.name(supervisor),
        state,
        slots,
        executors: Num::plain(held.iter().map(|slot| slot.executors.len() as u64).sum::<u64>()),
        memory: Num::bytes(held.iter().map(|slot| slot.memory_bytes).sum()),
        load: parts::bar(
            load,
            &load.map(text::percent).unwrap_or_default(),
            "how busy the busiest worker is",
        ),
        uptime: Num::span(supervisor.uptime_secs),
        version: supervisor.version.clone(),
        about: [supervisor.arch.as_str(), supervisor.glibc.as_str()].join(" ").trim().to_owned(),
        logs: format!("logs?address={}", text::encoded(&address(supervisor))),
        unhealthy: supervisor.unhealthy.clone(),
    }
}

fn worker(supervisor: &v1::SupervisorSummary, slot: &v1::SlotSummary) -> Worker {
    let mut components: Vec<&str> =
        slot.executors.iter().map(|executor| executor.component.as_str()).collect();
    components.sort_unstable();
    components.dedup();
    Worker {
        port: slot.port,
        topology: slot.topology_name.clone(),
        href: text::encoded(&slot.topology_id),
        paint: of_topology(&slot.topology_id),
        owner: slot.owner.clone(),
        state: parts::worker_state(slot.state()),
        pid: slot.pid,
        uptime: Num::span(slot.uptime_secs),
        memory: Num::bytes(slot.memory_bytes),
        executors: Num::plain(slot.executors.len() as u64),
        load: parts::bar(
            Some(slot.load),
            &text::percent(slot.load),
            "share of the time in which its executors were busy",
        ),
        components: components.join(", "),
        logs: worker_log(&address(supervisor), &slot.topology_id, slot.port),
    }
}

/// Link to the log of a worker, from the root.
pub(super) fn worker_log(address: &str, topology_id: &str, port: u32) -> String {
    let file = format!("{topology_id}/{port}/worker.log");
    format!("logs/view?address={}&file={}", text::encoded(address), text::encoded(&file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supervisors_of_one_machine_have_names_of_their_own() {
        let supervisor = |id: &str, host: &str, rpc_port| v1::SupervisorSummary {
            id: id.to_owned(),
            host: host.to_owned(),
            rpc_port,
            ..Default::default()
        };
        let supervisors = vec![
            supervisor("s1", "a", 6628),
            supervisor("s2", "b", 6628),
            supervisor("s3", "b", 6629),
            supervisor("s4", "c", 6628),
            supervisor("s5", "c", 6628),
        ];
        let cluster = v1::ClusterSummary { supervisors, ..Default::default() };
        let hosts = Hosts::new(&cluster);
        let names: Vec<_> = cluster.supervisors.iter().map(|s| hosts.name(s).to_string()).collect();
        assert_eq!(names, ["a", "b:6628", "b:6629", "c s4", "c s5"]);
    }
}
