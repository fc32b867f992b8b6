//! The first page: what runs where, and whether it is well.

use askama::Template;
use storm_rpc::v1;

use crate::app::App;
use crate::draw::colour::of_topology;
use crate::draw::slots::{self, Row};
use crate::draw::{Html, sparkline};
use crate::pages::parts::{self, Num};
use crate::pages::{Ask, Page, Trouble, supervisor, text};
use crate::view::ClusterView;

/// Supervisors beyond which the map packs its cells closer.
const DENSE_ROWS: usize = 24;

#[derive(Template)]
#[template(path = "cluster.html")]
struct Cluster<'a> {
    root: &'a str,
    id: &'a str,
    version: &'a str,
    tiles: Vec<Tile>,
    problems: &'a [String],
    rows: Vec<Row>,
    is_dense: bool,
    topologies: Vec<Topology>,
    unplaced: Vec<Unplaced>,
    nimbuses: Vec<Nimbus>,
    supervisors: Vec<supervisor::Summary>,
}

/// A number that is seen first.
#[derive(Debug)]
pub(super) struct Tile {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) note: String,
    pub(super) class: &'static str,
    pub(super) title: &'static str,
}

/// A row of the topologies' table.
#[derive(Debug)]
pub(super) struct Topology {
    pub(super) id: String,
    pub(super) href: String,
    pub(super) name: String,
    pub(super) owner: String,
    pub(super) paint: String,
    pub(super) state: Html,
    pub(super) uptime: Num,
    pub(super) workers: Num,
    pub(super) executors: Num,
    pub(super) tasks: Num,
    pub(super) rate: Num,
    pub(super) spark: Html,
    pub(super) p50: Num,
    pub(super) p99: Num,
    pub(super) failed: Num,
    pub(super) pending: Num,
    pub(super) unplaced: Num,
}

#[derive(Debug)]
struct Unplaced {
    href: String,
    name: String,
    lines: Vec<String>,
    explanation: String,
}

#[derive(Debug)]
pub(super) struct Nimbus {
    pub(super) address: String,
    pub(super) is_leader: bool,
    pub(super) uptime: Num,
    pub(super) version: String,
    pub(super) logs: String,
}

pub(super) async fn page(app: &App, ask: &Ask) -> Result<Page, Trouble> {
    let view = app.source.cluster().await?;
    let mut unplaced = Vec::new();
    // The scheduler's words are told with the topology; few lack something at a time.
    const EXPLAINED: usize = 8;
    for summary in view.topologies.iter().filter(|topology| topology.unplaced_executors > 0).take(EXPLAINED) {
        if let Ok(topology) = app.source.topology(&summary.id).await {
            unplaced.push(explained(summary, &topology.status));
        }
    }
    let rows = slots::rows(&view.cluster);
    let hosts = supervisor::Hosts::new(&view.cluster);
    let page = Cluster {
        root: &ask.root,
        id: &view.cluster.cluster_id,
        version: &view.cluster.version,
        tiles: tiles(&view),
        problems: &view.cluster.problems,
        is_dense: rows.len() > DENSE_ROWS,
        rows,
        topologies: view.topologies.iter().map(topology).collect(),
        unplaced,
        nimbuses: nimbuses(&view.cluster),
        supervisors: view.cluster.supervisors.iter().map(|one| supervisor::summary(one, &hosts)).collect(),
    };
    Ok(Page::live("Cluster", &page))
}

fn explained(summary: &v1::TopologySummary, status: &v1::TopologyStatus) -> Unplaced {
    let mut reasons: Vec<(&str, u32, Vec<String>)> = Vec::new();
    for unplaced in &status.unplaced {
        let of = format!("{} × {}", unplaced.executors, unplaced.component);
        match reasons.iter_mut().find(|(reason, ..)| *reason == unplaced.reason) {
            Some((_, count, components)) => {
                *count += unplaced.executors;
                components.push(of);
            }
            None => reasons.push((&unplaced.reason, unplaced.executors, vec![of])),
        }
    }
    let line = |(reason, count, components): &(&str, u32, Vec<String>)| {
        format!(
            "{} ({}): {reason}",
            text::counted((*count).into(), "executor", "executors"),
            components.join(", ")
        )
    };
    // The scheduler may have said no more than the reasons do.
    let explanation = status.explanation.trim_end_matches('.');
    let is_more = !reasons.iter().any(|(reason, ..)| reason.trim_end_matches('.') == explanation);
    Unplaced {
        href: text::encoded(&summary.id),
        name: summary.name.clone(),
        lines: reasons.iter().map(line).collect(),
        explanation: if is_more { status.explanation.clone() } else { String::new() },
    }
}

/// Tuples that spouts emit a second, as the last minute went; of a younger topology, as its life went.
pub(super) fn rate(summary: &v1::TopologySummary) -> f64 {
    let Some(recent) = &summary.recent else { return 0.0 };
    let (span, uptime) = (f64::from(recent.span_secs), summary.uptime_secs.max(1) as f64);
    recent.rates.last().map_or(0.0, |rate| rate * span / span.min(uptime))
}

pub(super) fn topology(summary: &v1::TopologySummary) -> Topology {
    let recent = summary.recent.clone().unwrap_or_default();
    let minutes = recent.rates.len() as f64 * f64::from(recent.span_secs) / 60.0;
    let sort = f64::from(summary.workers_total);
    Topology {
        id: summary.id.clone(),
        href: text::encoded(&summary.id),
        name: summary.name.clone(),
        owner: summary.owner.clone(),
        paint: of_topology(&summary.id),
        state: parts::topology_state(summary.status()),
        uptime: Num::span(summary.uptime_secs),
        workers: Num {
            text: format!("{}/{}", summary.workers_total, summary.workers_requested),
            title: format!(
                "{}, {} wished for",
                text::counted(summary.workers_total.into(), "worker runs", "workers run"),
                summary.workers_requested
            ),
            sort,
            is_bad: summary.workers_total < summary.workers_requested,
        },
        executors: Num::plain(summary.executors_total),
        tasks: Num::plain(summary.tasks_total),
        rate: Num::rate(rate(summary)),
        spark: sparkline::small(
            &recent.rates,
            &format!(
                "tuples emitted by spouts, last {}",
                text::counted(minutes.round() as u64, "minute", "minutes")
            ),
        ),
        p50: Num::millis(recent.latency_p50_ms),
        p99: Num::millis(recent.latency_p99_ms),
        failed: Num::bad(recent.failed),
        pending: Num::count(recent.pending),
        unplaced: Num::bad(summary.unplaced_executors.into()),
    }
}

pub(super) fn nimbuses(cluster: &v1::ClusterSummary) -> Vec<Nimbus> {
    let nimbus = |nimbus: &v1::NimbusSummary| {
        let address = format!("{}:{}", nimbus.host, nimbus.port);
        Nimbus {
            logs: format!("logs?address={}", text::encoded(&address)),
            address,
            is_leader: nimbus.is_leader,
            uptime: Num::span(nimbus.uptime_secs),
            version: nimbus.version.clone(),
        }
    };
    cluster.nimbuses.iter().map(nimbus).collect()
}

fn tiles(view: &ClusterView) -> Vec<Tile> {
    let ClusterView { cluster, topologies } = view;
    let sum = |of: fn(&v1::TopologySummary) -> u64| topologies.iter().map(of).sum::<u64>();
    let tile = |name, value, note, class, title| Tile { name, value, note, class, title };
    let active = topologies.iter().filter(|topology| topology.status() == v1::TopologyState::Active).count();
    let silent = cluster.supervisors.iter().filter(|supervisor| supervisor.is_silent).count();
    let unhealthy = cluster.supervisors.iter().filter(|s| !s.is_silent && !s.unhealthy.is_empty()).count();
    // Nobody can place anything on one that is silent.
    let heard = cluster.supervisors.iter().filter(|supervisor| !supervisor.is_silent);
    let (slots, used) = heard.fold((0, 0), |(slots, used), supervisor| {
        (slots + supervisor.slots.len(), used + supervisor.held.len().max(supervisor.used_slots.len()))
    });
    let executors = sum(|topology| topology.executors_total.into());
    let unplaced = sum(|topology| topology.unplaced_executors.into());
    let failed = sum(|topology| topology.recent.as_ref().map_or(0, |recent| recent.failed));
    let acked = sum(|topology| topology.recent.as_ref().map_or(0, |recent| recent.acked));
    let pending = sum(|topology| topology.recent.as_ref().map_or(0, |recent| recent.pending));
    let lost = failed as f64 / (failed + acked).max(1) as f64;
    let has_leader = cluster.nimbuses.iter().any(|nimbus| nimbus.is_leader);
    let supervisors = match (silent, unhealthy) {
        (0, 0) => "all healthy".to_owned(),
        (0, unhealthy) => format!("{unhealthy} unhealthy"),
        (silent, 0) => format!("{silent} silent"),
        (silent, unhealthy) => format!("{silent} silent, {unhealthy} unhealthy"),
    };
    vec![
        tile(
            "Topologies",
            text::exact(topologies.len() as u64),
            format!("{active} active"),
            "",
            "what was submitted and runs",
        ),
        tile(
            "Rate",
            text::rate(topologies.iter().map(rate).sum()),
            format!("{} pending", text::short(pending as f64)),
            "",
            "tuples that all spouts emit; pending are trees that they wait for",
        ),
        tile(
            "Failed",
            text::short(failed as f64),
            format!("{} in 10 min", text::percent(lost)),
            if lost > 0.01 {
                "bad"
            } else if failed > 0 {
                "warn"
            } else {
                ""
            },
            "trees that failed or timed out within the last ten minutes, and their share",
        ),
        tile(
            "Slots",
            format!("{used}/{slots}"),
            format!("{} free", slots.saturating_sub(used)),
            if used >= slots && slots > 0 { "warn" } else { "" },
            "places for workers: one process each",
        ),
        tile(
            "Executors",
            text::exact(executors),
            match unplaced {
                0 => "all placed".to_owned(),
                unplaced => format!("{} not placed", text::exact(unplaced)),
            },
            if unplaced > 0 { "bad" } else { "" },
            "threads that run the tasks of spouts and bolts",
        ),
        tile(
            "Tasks",
            text::exact(sum(|t| t.tasks_total.into())),
            String::new(),
            "",
            "instances of spouts and bolts",
        ),
        tile(
            "Supervisors",
            cluster.supervisors.len().to_string(),
            supervisors,
            if silent + unhealthy > 0 { "bad" } else { "" },
            "one on each machine: it starts and watches workers",
        ),
        tile(
            "Nimbuses",
            cluster.nimbuses.len().to_string(),
            if has_leader { "one leads".to_owned() } else { "nobody leads".to_owned() },
            if has_leader { "" } else { "bad" },
            "they accept topologies and place their executors; one leads, the others stand by",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_a_young_topology_is_that_of_its_life() {
        let of = |uptime_secs, rates: &[f64]| {
            let recent = v1::Recent { rates: rates.to_vec(), span_secs: 60, ..Default::default() };
            rate(&v1::TopologySummary { uptime_secs, recent: Some(recent), ..Default::default() })
        };
        // 500 a second for 6 of 60 s.
        assert_eq!(of(6, &[0.0, 50.0]), 500.0);
        assert_eq!(of(3600, &[9000.0, 50.0]), 50.0);
        assert_eq!(of(0, &[]), 0.0);
        assert_eq!(rate(&v1::TopologySummary::default()), 0.0);
    }
}
