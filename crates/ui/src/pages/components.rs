//! Spouts and bolts as rows of tables and as boxes of a graph; errors and workers of a topology.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use storm_figures::{ComponentFigures, Diagnosis, Figures, Latency, Window};
use storm_model::ComponentKind;
use storm_rpc::v1;

use crate::draw::graph::{Edge, Graph, Node};
use crate::draw::{Html, shortened};
use crate::pages::parts::{self, Num};
use crate::pages::{supervisor, text};
use crate::view::{ClusterView, TopologyView};

/// A spout or bolt in one window.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) href: String,
    pub(super) kind: ComponentKind,
    pub(super) is_bottleneck: bool,
    pub(super) waits: String,
    /// The same with links.
    pub(super) waits_for: Html,
    pub(super) errors: usize,
    pub(super) executors: Num,
    pub(super) tasks: Num,
    pub(super) rate: Num,
    pub(super) emitted: Num,
    pub(super) transferred: Num,
    pub(super) executed: Num,
    pub(super) acked: Num,
    pub(super) failed: Num,
    pub(super) pending: Num,
    pub(super) complete: Num,
    pub(super) complete_p99: Num,
    pub(super) execute: Num,
    pub(super) execute_p99: Num,
    pub(super) process: Num,
    pub(super) process_p99: Num,
    pub(super) capacity: Html,
    pub(super) queue: Html,
    pub(super) last_error: Option<Failure>,
}

/// An error, for people.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// Of its row: what it was told with stays its own, and no other has it.
    pub(super) key: String,
    pub(super) time_ms: u64,
    pub(super) time: String,
    pub(super) ago: String,
    pub(super) component: String,
    pub(super) component_href: String,
    pub(super) task: u32,
    pub(super) address: String,
    pub(super) kind: String,
    pub(super) summary: String,
    pub(super) message: String,
    pub(super) is_long: bool,
    pub(super) suppressed: u64,
    pub(super) logs: String,
}

/// A worker of a topology.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) host: String,
    pub(super) port: u32,
    pub(super) supervisor: String,
    pub(super) pid: u32,
    pub(super) state: Html,
    pub(super) executors: Num,
    pub(super) components: String,
    pub(super) uptime: Num,
    pub(super) memory: Num,
    pub(super) restarts: Num,
    pub(super) logs: String,
    pub(super) restart: String,
}

/// So many in a window, a second; as long as it was there.
pub(super) fn per_sec(count: u64, figures: &Figures, window: Window) -> f64 {
    let span = window.span().map_or(figures.uptime, |span| span.min(figures.uptime));
    if span.is_zero() { 0.0 } else { count as f64 / span.as_secs_f64() }
}

/// The mean; none where nothing was measured.
pub(super) fn mean(latency: &Latency) -> Option<Duration> {
    (!latency.is_empty()).then(|| latency.mean())
}

/// A quantile; none where nothing was measured.
pub(super) fn quantile(latency: &Latency, q: f64) -> Option<Duration> {
    (!latency.is_empty()).then(|| latency.quantile(q))
}

/// The components in order of their names: those of the specification, whether they have reported or not.
///
/// `prefix` leads from the page to the components' pages.
pub(super) fn rows(view: &TopologyView, diagnosis: &Diagnosis, prefix: &str, window: Window) -> Vec<Row> {
    let statuses: BTreeMap<&str, &v1::ComponentStatus> =
        view.status.components.iter().map(|status| (status.id.as_str(), status)).collect();
    let none = Figures::default();
    let row = |(id, spec): (&storm_model::ComponentId, &storm_model::ComponentSpec)| {
        let counted = view.figures.component(id.as_str());
        let status = statuses.get(id.as_str());
        let figures = counted.map_or(&none, |counted| &counted.figures[window]);
        let gauges = counted.map(|counted| counted.gauges.clone()).unwrap_or_default();
        let is_bolt = spec.kind == ComponentKind::Bolt;
        let done = if is_bolt { figures.executed } else { figures.emitted };
        let errors = view.status.errors.iter().filter(|error| error.component == *id.as_str());
        let waits = diagnosis.waits.get(id).cloned().unwrap_or_default();
        Row {
            id: id.to_string(),
            href: text::encoded(id.as_str()),
            kind: spec.kind,
            is_bottleneck: diagnosis.bottleneck.as_ref() == Some(id),
            waits_for: parts::words(&waits, &view.spec, prefix),
            waits: waits.replace('`', ""),
            errors: errors.clone().count(),
            executors: Num::plain(status.map_or(spec.executors, |status| status.executors)),
            tasks: Num::plain(status.map_or(spec.tasks, |status| status.tasks)),
            rate: Num::rate(per_sec(done, figures, window)),
            emitted: Num::count(figures.emitted),
            transferred: Num::count(figures.transferred),
            executed: Num::count(figures.executed),
            acked: Num::count(figures.acked),
            failed: Num::bad(figures.failed),
            pending: Num::count(gauges.pending),
            complete: Num::latency(mean(&figures.complete_latency)),
            complete_p99: Num::latency(quantile(&figures.complete_latency, 0.99)),
            execute: Num::latency(mean(&figures.execute_latency)),
            execute_p99: Num::latency(quantile(&figures.execute_latency, 0.99)),
            process: Num::latency(mean(&figures.process_latency)),
            process_p99: Num::latency(quantile(&figures.process_latency, 0.99)),
            capacity: parts::capacity((is_bolt && counted.is_some()).then_some(figures.capacity)),
            queue: parts::queue(gauges.queue_fill, gauges.credit_out, gauges.window_rows),
            last_error: errors.max_by_key(|error| error.time_ms).map(|error| failure(view, None, error)),
        }
    };
    view.spec.components.iter().map(row).collect()
}

/// All errors, the newest first; those of one component where it is given.
pub(super) fn failures(view: &TopologyView, cluster: Option<&ClusterView>, of: Option<&str>) -> Vec<Failure> {
    let errors = view.status.errors.iter().filter(|error| of.is_none_or(|of| error.component == of));
    let mut failures: Vec<Failure> = errors.map(|error| failure(view, cluster, error)).collect();
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.time_ms));
    // Several may be of the same millisecond: their rows have to be told apart.
    let mut same: HashMap<String, u32> = HashMap::new();
    for failure in &mut failures {
        let count = same.entry(failure.key.clone()).or_default();
        *count += 1;
        if *count > 1 {
            failure.key = format!("{}-{count}", failure.key);
        }
    }
    failures
}

fn failure(view: &TopologyView, cluster: Option<&ClusterView>, error: &v1::ErrorReport) -> Failure {
    const SUMMARY: usize = 110;
    let first = error.message.lines().next().unwrap_or_default();
    let supervisor = cluster.and_then(|cluster| supervisor_of(view, cluster, &error.host, error.port));
    let topology = view.summary().id;
    Failure {
        key: format!("{}-{}-{}@{}:{}", error.time_ms, error.component, error.task, error.host, error.port),
        time_ms: error.time_ms,
        time: text::moment(error.time_ms),
        ago: text::ago(view.asked, error.time_ms),
        component: error.component.clone(),
        component_href: text::encoded(&error.component),
        task: error.task,
        address: format!("{}:{}", error.host, error.port),
        kind: error.kind.clone(),
        summary: shortened(first, SUMMARY),
        is_long: error.message.chars().count() > SUMMARY || error.message.lines().count() > 1,
        message: error.message.clone(),
        suppressed: error.suppressed,
        logs: supervisor.map_or(String::new(), |supervisor| {
            supervisor::worker_log(&supervisor::address(supervisor), &topology, error.port)
        }),
    }
}

/// The supervisor that has, or had, a worker: a host may have several.
fn supervisor_of<'a>(
    view: &TopologyView,
    cluster: &'a ClusterView,
    host: &str,
    port: u32,
) -> Option<&'a v1::SupervisorSummary> {
    let supervisors = &cluster.cluster.supervisors;
    let worker = view.status.workers.iter().find(|worker| worker.host == host && worker.port == port);
    let of_worker = worker.and_then(|worker| supervisors.iter().find(|s| s.id == worker.supervisor_id));
    of_worker.or_else(|| supervisors.iter().find(|s| s.host == host && s.slots.contains(&port)))
}

/// The workers, in order of their hosts and ports.
pub(super) fn workers(view: &TopologyView, cluster: Option<&ClusterView>) -> Vec<Worker> {
    let topology = view.summary().id;
    let worker = |worker: &v1::WorkerStatus| {
        let supervisors = cluster.map_or(&[][..], |cluster| &cluster.cluster.supervisors);
        let supervisor = supervisors.iter().find(|supervisor| supervisor.id == worker.supervisor_id);
        Worker {
            host: worker.host.clone(),
            port: worker.port,
            supervisor: text::encoded(&worker.supervisor_id),
            pid: worker.pid,
            state: parts::worker_state(worker.state()),
            executors: Num::plain(worker.executors.len() as u64),
            components: placed(&worker.executors),
            uptime: Num::span(worker.uptime_secs),
            memory: Num::bytes(worker.memory_bytes),
            restarts: Num::bad(worker.restarts),
            logs: supervisor.map_or(String::new(), |supervisor| {
                supervisor::worker_log(&supervisor::address(supervisor), &topology, worker.port)
            }),
            restart: format!("restart?host={}&port={}", text::encoded(&worker.host), worker.port),
        }
    };
    let mut workers: Vec<&v1::WorkerStatus> = view.status.workers.iter().collect();
    workers.sort_by_key(|worker| (crate::draw::slots::natural(&worker.host), worker.port));
    workers.into_iter().map(worker).collect()
}

/// What runs in a worker: `3 × split, 1 × count`.
fn placed(executors: &[v1::Executor]) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for executor in executors {
        *counts.entry(&executor.component).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{count} × {name}")).collect();
    counts.join(", ")
}

/// The graph of a topology, or of a component with its neighbours.
///
/// `prefix` leads from the page to the components' pages. Rates are those of ten minutes.
pub(super) fn graph(view: &TopologyView, diagnosis: &Diagnosis, prefix: &str, around: Option<&str>) -> Graph {
    let spec = &view.spec;
    let is_shown = |id: &str| {
        around.is_none_or(|around| {
            let feeds = |to: &str, from: &str| {
                spec.components
                    .get(to)
                    .is_some_and(|to| to.inputs.iter().any(|input| input.component == *from))
            };
            id == around || feeds(id, around) || feeds(around, id)
        })
    };
    let shown: Vec<_> = spec.components.iter().filter(|(id, _)| is_shown(id.as_str())).collect();
    let index: BTreeMap<&str, usize> =
        shown.iter().enumerate().map(|(i, (id, _))| (id.as_str(), i)).collect();
    let rows = rows(view, diagnosis, prefix, Window::TenMinutes);
    let rows: BTreeMap<&str, &Row> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
    let nodes = shown.iter().map(|(id, component)| {
        let row = rows[id.as_str()];
        let counted = view.figures.component(id.as_str());
        node(row, component, counted, format!("{prefix}{}", row.href), around == Some(id.as_str()))
    });
    let nodes = nodes.collect();

    let mut edges = Vec::new();
    for (id, component) in &shown {
        for input in &component.inputs {
            let Some(from) = index.get(input.component.as_str()) else { continue };
            if around.is_some_and(|around| around != id.as_str() && input.component != *around) {
                continue;
            }
            let rate = view.figures.component(id.as_str()).map_or(0.0, |counted| input_rate(counted, input));
            edges.push((*from, index[id.as_str()], input, id.as_str(), rate));
        }
    }
    let most = edges.iter().map(|(.., rate)| *rate).fold(0.0, f64::max);
    let edges = edges.into_iter().map(|(from, to, input, id, rate)| {
        let grouping = grouping(&input.grouping);
        let stream = input.stream.as_str();
        Edge {
            from,
            to,
            label: if stream == "default" { grouping.clone() } else { format!("{stream}: {grouping}") },
            rate: if rate > 0.0 { text::rate(rate) } else { "idle".to_owned() },
            // By magnitude: a stream of a hundredth is still seen.
            weight: if rate > 0.0 { ((rate / most).log10() / 4.0 + 1.0).clamp(0.05, 1.0) } else { 0.0 },
            title: format!(
                "{} → {id}\nstream {stream}, {grouping} grouping\n{} executed, mean of ten minutes",
                input.component,
                text::rate(rate)
            ),
        }
    });
    Graph { nodes, edges: edges.collect() }
}

fn node(
    row: &Row,
    component: &storm_model::ComponentSpec,
    counted: Option<&ComponentFigures>,
    href: String,
    is_here: bool,
) -> Node {
    let is_bolt = component.kind == ComponentKind::Bolt;
    let (speed, p99) =
        if is_bolt { (&row.execute, &row.execute_p99) } else { (&row.complete, &row.complete_p99) };
    let executors = &row.executors.text;
    let of = |num: &Num, one, many| format!("{} {}", num.text, text::noun(num.sort as u64, one, many));
    let latency = if speed.sort < 0.0 { String::new() } else { format!(" · {}", speed.text) };
    let what = if is_bolt { "execute latency" } else { "complete latency" };
    let mut title = format!(
        "{} ({})\n{}, {}\n{} {}\n{what} mean {}, p99 {}",
        row.id,
        if is_bolt { "bolt" } else { "spout" },
        of(&row.executors, "executor", "executors"),
        of(&row.tasks, "task", "tasks"),
        row.rate.text,
        if is_bolt { "executed" } else { "emitted" },
        speed.text,
        p99.text,
    );
    if !row.waits.is_empty() {
        title.push('\n');
        title.push_str(&row.waits);
    }
    if let Some(failure) = &row.last_error {
        let known = text::counted(row.errors as u64, "error", "errors");
        title = format!("{title}\n{known}, the last one {}: {}", failure.ago, failure.summary);
    }
    Node {
        name: row.id.clone(),
        href,
        kind: component.kind,
        about: if is_bolt {
            format!("{executors} ex{latency}")
        } else {
            format!("{executors} ex · {}", row.rate.text)
        },
        title,
        load: is_bolt.then(|| counted.map_or(0.0, |counted| counted.figures[Window::TenMinutes].capacity)),
        errors: row.errors,
        is_bottleneck: row.is_bottleneck,
        is_here,
    }
}

fn input_rate(counted: &ComponentFigures, input: &storm_model::InputSpec) -> f64 {
    let found = counted.inputs.iter().find(|i| i.component == input.component && i.stream == input.stream);
    let window = Window::TenMinutes;
    found.map_or(0.0, |found| per_sec(found.figures[window].executed, &counted.figures[window], window))
}

/// A grouping with the fields that it looks at: `fields (word)`.
pub(super) fn grouping(grouping: &storm_model::GroupingSpec) -> String {
    let name = match grouping {
        storm_model::GroupingSpec::Custom(name) => format!("custom {name}"),
        grouping => grouping.name().to_owned(),
    };
    match grouping.key_fields() {
        Some(fields) => {
            let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
            format!("{name} ({})", fields.join(", "))
        }
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Seed, SeedOptions};
    use crate::source::Source as _;

    /// A topology and a cluster, with these errors: hosts and ports.
    async fn failing(errors: &[(&str, u32)]) -> (TopologyView, ClusterView) {
        let seed = Seed::new(SeedOptions::small());
        let cluster = ClusterView::clone(&*seed.cluster().await.unwrap());
        let mut view = TopologyView::clone(&*seed.topology(&cluster.topologies[0].id).await.unwrap());
        let error = |(host, port): &(&str, u32)| v1::ErrorReport {
            time_ms: 1_767_600_000_000,
            host: (*host).to_owned(),
            port: *port,
            ..Default::default()
        };
        view.status.errors = errors.iter().map(error).collect();
        (view, cluster)
    }

    #[tokio::test]
    async fn an_error_leads_to_its_log_also_where_a_host_has_several_supervisors() {
        let (mut view, mut cluster) = failing(&[("a", 6700), ("a", 6800), ("a", 6900), ("b", 6700)]).await;
        let supervisor = |id: &str, rpc_port, slots: &[u32]| v1::SupervisorSummary {
            id: id.to_owned(),
            host: "a".to_owned(),
            rpc_port,
            slots: slots.to_vec(),
            ..Default::default()
        };
        // The first one would like to have 6700, too; the worker there is the other one's.
        cluster.cluster.supervisors = vec![supervisor("s1", 1, &[6700]), supervisor("s2", 2, &[6700, 6800])];
        view.status.workers = vec![v1::WorkerStatus {
            host: "a".to_owned(),
            port: 6700,
            supervisor_id: "s2".to_owned(),
            ..Default::default()
        }];
        let failures = failures(&view, Some(&cluster), None);
        let logs: Vec<&str> = failures.iter().map(|failure| failure.logs.as_str()).collect();
        assert!(logs[0].contains("address=a%3A2&") && logs[0].contains("6700"), "{logs:?}");
        assert!(logs[1].contains("address=a%3A2&") && logs[1].contains("6800"), "{logs:?}");
        assert_eq!(logs[2..], ["", ""], "nobody has these");
    }

    #[tokio::test]
    async fn errors_of_the_same_moment_are_told_apart() {
        let (view, _) = failing(&[("a", 1), ("a", 1), ("a", 2), ("a", 1)]).await;
        let failures = failures(&view, None, None);
        let keys: std::collections::BTreeSet<&str> = failures.iter().map(|f| f.key.as_str()).collect();
        assert_eq!(keys.len(), 4, "{keys:?}");
    }
}
