//! The slot map: each supervisor a row, each slot a cell in the colour of its topology.

use std::collections::BTreeMap;

use storm_rpc::v1;

use crate::draw::colour::of_topology;
use crate::pages::supervisor::{Hosts, Name};
use crate::pages::{parts, text};

/// A supervisor with its slots.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// Its id.
    pub(crate) id: String,
    /// Its machine, and which one of it.
    pub(crate) name: Name,
    /// Nobody has heard of it.
    pub(crate) is_silent: bool,
    /// Why it gets no work; empty when it does.
    pub(crate) unhealthy: String,
    /// Slots that hold work, and all of them.
    pub(crate) used: usize,
    /// In order of their ports.
    pub(crate) cells: Vec<Cell>,
}

/// A slot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    /// Its port.
    pub(crate) port: u32,
    /// The topology that holds it; empty when it is free.
    pub(crate) topology: String,
    /// Its id.
    pub(crate) topology_id: String,
    /// Classes in the stylesheet.
    pub(crate) class: String,
    /// Colour and fill, as CSS variables.
    pub(crate) style: String,
    /// What stands in it: how many executors.
    pub(crate) label: String,
    /// What to read when the pointer is there.
    pub(crate) title: String,
}

/// The rows of a cluster, in order of their hosts.
pub(crate) fn rows(cluster: &v1::ClusterSummary) -> Vec<Row> {
    let hosts = Hosts::new(cluster);
    let mut rows: Vec<Row> = cluster.supervisors.iter().map(|supervisor| row(supervisor, &hosts)).collect();
    let place = |row: &Row| (natural(&row.name.host), natural(&row.name.rest));
    rows.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.id.cmp(&b.id)));
    rows
}

/// The row of a supervisor.
pub(crate) fn row(supervisor: &v1::SupervisorSummary, hosts: &Hosts<'_>) -> Row {
    let held: BTreeMap<u32, &v1::SlotSummary> =
        supervisor.held.iter().map(|slot| (slot.port, slot)).collect();
    let mut ports: Vec<u32> = supervisor.slots.iter().copied().chain(held.keys().copied()).collect();
    ports.sort_unstable();
    ports.dedup();
    let host = &supervisor.host;
    let cells = ports
        .into_iter()
        .map(|port| held.get(&port).map_or_else(|| free(host, port), |slot| cell(host, slot)));
    Row {
        id: supervisor.id.clone(),
        name: hosts.name(supervisor),
        is_silent: supervisor.is_silent,
        unhealthy: supervisor.unhealthy.clone(),
        used: held.len(),
        cells: cells.collect(),
    }
}

fn free(host: &str, port: u32) -> Cell {
    Cell {
        port,
        topology: String::new(),
        topology_id: String::new(),
        class: "slot free".to_owned(),
        style: String::new(),
        label: String::new(),
        title: format!("{host}:{port}\nfree"),
    }
}

fn cell(host: &str, slot: &v1::SlotSummary) -> Cell {
    let (class, state, _) = parts::worker_words(slot.state());
    let mut by_component: BTreeMap<&str, u32> = BTreeMap::new();
    for executor in &slot.executors {
        *by_component.entry(&executor.component).or_default() += 1;
    }
    let mut components: Vec<String> =
        by_component.iter().map(|(name, count)| format!("{count} × {name}")).collect();
    const SHOWN: usize = 10;
    if components.len() > SHOWN {
        let more = components.split_off(SHOWN).len();
        components.push(format!("and {} more", text::counted(more as u64, "component", "components")));
    }
    let title = format!(
        "{}  {host}:{}\n{state}, pid {}, up {}, {}\nbusy {} of the time\n{}",
        slot.topology_name,
        slot.port,
        slot.pid,
        text::span(slot.uptime_secs),
        text::bytes(slot.memory_bytes),
        text::percent(slot.load),
        components.join("\n")
    );
    Cell {
        port: slot.port,
        topology: slot.topology_name.clone(),
        topology_id: slot.topology_id.clone(),
        class: format!("slot {class}"),
        style: format!(
            "{};--load:{:.0}%",
            of_topology(&slot.topology_id),
            if slot.load.is_finite() { slot.load.clamp(0.0, 1.0) * 100.0 } else { 0.0 }
        ),
        label: slot.executors.len().to_string(),
        title,
    }
}

/// A name in parts that compare as people count: `host-2` before `host-10`.
pub(crate) fn natural(name: &str) -> Vec<(u64, String)> {
    let mut parts = Vec::new();
    let mut rest = name.chars().peekable();
    while rest.peek().is_some() {
        let mut letters = String::new();
        while let Some(c) = rest.next_if(|c| !c.is_ascii_digit()) {
            letters.push(c);
        }
        let mut number = 0_u64;
        while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
            number = number.saturating_mul(10).saturating_add(digit.into());
            rest.next();
        }
        // Letters first, then the number after them.
        parts.push((0, letters));
        parts.push((number, String::new()));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(port: u32, load: f64) -> v1::SlotSummary {
        let executor =
            |component: &str| v1::Executor { component: component.to_owned(), first_task: 1, last_task: 1 };
        v1::SlotSummary {
            port,
            topology_name: "words".to_owned(),
            executors: vec![executor("split"), executor("split"), executor("count")],
            load,
            ..Default::default()
        }
    }

    #[test]
    fn every_slot_has_a_cell_in_order() {
        let supervisor = v1::SupervisorSummary {
            slots: vec![6702, 6700, 6701],
            held: vec![slot(6701, 0.5), slot(6800, f64::NAN)],
            ..Default::default()
        };
        let row = row(&supervisor, &Hosts::new(&v1::ClusterSummary::default()));
        let ports: Vec<_> = row.cells.iter().map(|cell| (cell.port, cell.label.as_str())).collect();
        // One that a slot's supervisor no longer offers is shown until it is empty.
        assert_eq!(ports, [(6700, ""), (6701, "3"), (6702, ""), (6800, "3")]);
        assert!(row.cells[1].style.ends_with("--load:50%") && row.cells[1].title.contains("2 × split"));
        assert_eq!(row.used, 2);
    }

    #[test]
    fn two_on_one_host_are_told_apart() {
        let supervisor =
            |rpc_port| v1::SupervisorSummary { host: "h".to_owned(), rpc_port, ..Default::default() };
        let cluster = v1::ClusterSummary {
            supervisors: vec![supervisor(10_000), supervisor(6_628)],
            ..Default::default()
        };
        let names: Vec<_> = rows(&cluster).iter().map(|row| row.name.to_string()).collect();
        assert_eq!(names, ["h:6628", "h:10000"]);
    }

    #[test]
    fn hosts_are_in_the_order_of_their_numbers() {
        let mut hosts = ["host-10", "host-2", "a", "host-2b", "host-"];
        hosts.sort_by_key(|host| natural(host));
        assert_eq!(hosts, ["a", "host-", "host-2", "host-2b", "host-10"]);
    }
}
