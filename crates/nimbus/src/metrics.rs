//! What Nimbus shows to Prometheus: of itself always, of the cluster while it leads.

use std::time::Duration;

use storm_cluster::{Cluster, SessionState};
use storm_exposition::{Page, Session};
use storm_figures::metrics;
use storm_model::{ComponentKind, ComponentSpec, Status, SupervisorId, Time};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use crate::assign;
use crate::clock::Clock;
use crate::monitor::{Event, Standing};
use crate::pages::Question;
use crate::service::Service;
use crate::state::{State, Supervisor, Topology};

/// A scrape does not wait for longer than ten seconds, and rather has some figures than none.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const MAX_PENDING: &str = "topology.max.spout.pending";

/// Where figures come from.
#[derive(Clone)]
pub(crate) struct Shown {
    clock: Clock,
    since: Time,
    cluster: Cluster,
    events: mpsc::Sender<Event>,
    standing: watch::Receiver<Standing>,
}

impl Shown {
    pub(crate) fn new(service: &Service) -> Shown {
        Shown {
            clock: service.clock,
            since: service.clock.now(),
            cluster: service.cluster.clone(),
            events: service.events.clone(),
            standing: service.standing.clone(),
        }
    }

    /// Serves them until `stopped` changes or nobody can change it any more.
    pub(crate) async fn serve(self, listener: TcpListener, mut stopped: watch::Receiver<()>) {
        let collect = move || {
            let shown = self.clone();
            async move { shown.page().await }
        };
        let end = async { drop(stopped.changed().await) };
        if let Err(error) = storm_exposition::serve(listener, collect, end).await {
            tracing::error!(%error, "the server of metrics has ended");
        }
    }

    async fn page(&self) -> Page {
        let mut page = Page::default();
        page.daemon("nimbus", self.clock.now().since(self.since));
        page.session("nimbus", session(&self.cluster.state().borrow()));
        let is_leading = self.standing.borrow().is_leading;
        page.number(&metrics::LEADER, &[], f64::from(u8::from(is_leading)));
        if is_leading && let Ok(Some(cluster)) = tokio::time::timeout(ANSWER_WITHIN, self.ask()).await {
            page.merge(cluster);
        }
        page
    }

    async fn ask(&self) -> Option<Page> {
        let (reply, answer) = oneshot::channel();
        self.events.send(Event::Asked(Question::Metrics(reply))).await.ok()?;
        answer.await.ok()?
    }
}

fn session(state: &SessionState) -> Session {
    match state {
        SessionState::Connecting => Session::Connecting,
        SessionState::Connected { .. } => Session::Connected,
        SessionState::Suspended { .. } => Session::Suspended,
        SessionState::Expired => Session::Expired,
        _ => Session::Closed,
    }
}

/// What a leader knows of the cluster.
pub(crate) fn of_cluster(state: &State) -> Page {
    let mut page = Page::default();
    let is_alive = |(id, supervisor): &(&SupervisorId, &Supervisor)| {
        supervisor.is_registered && !state.verdict.silent.contains(*id)
    };
    let alive = || state.supervisors.iter().filter(is_alive);
    page.by_state(&metrics::SUPERVISORS, ["alive", "silent"], |which| match which {
        "alive" => alive().count(),
        _ => state.supervisors.len() - alive().count(),
    });
    let slots: usize = alive().map(|(_, supervisor)| supervisor.record.slots.len()).sum();
    let used = state.used_slots();
    let used = used.keys().filter(|slot| alive().any(|(id, _)| *id == slot.supervisor)).count();
    page.by_state(&metrics::CLUSTER_SLOTS, ["used", "free"], |which| match which {
        "used" => used,
        _ => slots.saturating_sub(used),
    });
    for status in [Status::Active, Status::Inactive, Status::Killed, Status::Rebalancing] {
        let such = state.topologies.values().filter(|topology| topology.record().status == status).count();
        page.number(&metrics::TOPOLOGIES, &[&status.to_string()], such as f64);
    }
    for topology in state.topologies.values() {
        of_topology(&mut page, topology);
    }
    page
}

fn of_topology(page: &mut Page, topology: &Topology) {
    let record = topology.record();
    let name = record.name.as_str();
    let wanted = assign::wanted(&record.spec, &record.executors);
    let placed = topology.assignment().map(assign::standing).unwrap_or_default();
    let unplaced = wanted.iter().filter(|executor| !placed.contains_key(&executor.executor)).count();
    let workers = topology.assignment().map_or(0, |assignment| assignment.workers.len());
    let tasks: u32 = record.spec.components.values().map(|component| component.tasks).sum();
    page.number(&metrics::WORKERS, &[name], workers as f64);
    page.number(&metrics::EXECUTORS, &[name], wanted.len() as f64);
    page.number(&metrics::UNPLACED, &[name], unplaced as f64);
    page.number(&metrics::TASKS, &[name], tasks.into());
    let limit = |spout: &ComponentSpec| {
        let own = spout.config.get(MAX_PENDING).or_else(|| record.config.get(MAX_PENDING));
        own.and_then(serde_json::Value::as_u64)
    };
    let spouts = record.spec.components.iter().filter(|(_, spec)| spec.kind == ComponentKind::Spout);
    for (id, limit) in spouts.filter_map(|(id, spec)| Some((id, limit(spec)?))) {
        page.count(&metrics::PENDING_LIMIT, &[name, id.as_str()], limit);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use storm_exposition::Format;

    use super::*;
    use crate::heartbeats::Liveness;
    use crate::state::Change;
    use crate::testing;

    #[test]
    fn the_cluster_is_counted() {
        let mut state = State::new(Liveness::new(Duration::from_secs(4)));
        let supervisor = |id: &str, slots| (id.into(), testing::supervisor(id, slots));
        state.set_supervisors([supervisor("a", 2), supervisor("b", 1)].into());
        state.verdict.silent.insert("b".into());
        let mut record = testing::topology("words", 2);
        record.config.insert(MAX_PENDING.to_owned(), json!(100));
        state.apply(Time::from_secs(1), 0, Change::PutTopology(Box::new(record)), 1);
        let text = of_cluster(&state).text(Format::Plain);
        for line in [
            r#"storm_cluster_supervisors{state="alive"} 1.0"#,
            r#"storm_cluster_supervisors{state="silent"} 1.0"#,
            r#"storm_cluster_slots{state="free"} 2.0"#,
            r#"storm_cluster_topologies{state="ACTIVE"} 1.0"#,
            r#"storm_cluster_topologies{state="KILLED"} 0.0"#,
            r#"storm_topology_executors{topology="words"} 4.0"#,
            r#"storm_unplaced_executors{topology="words"} 4.0"#,
            r#"storm_topology_tasks{topology="words"} 6.0"#,
            r#"storm_pending_limit_tuples{topology="words",component="words"} 100.0"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "no {line}:\n{text}");
        }
    }
}
