//! What a supervisor shows to Prometheus: of itself, and the newest figures of each of its workers.
//!
//! Figures are kept as they came and read when somebody asks for them: most are never asked for.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use storm_cluster::SessionState;
use storm_exposition::{Capacities, Page, Session};
use storm_figures::{Snapshot, metrics};
use storm_rpc::convert::worker_state_name;
use storm_rpc::v1::{ErrorReport, Incarnation, SlotReport, WorkerReport, WorkerState};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

/// Errors of workers that are remembered: when a line breaks, a worker tells as many again.
const ERRORS: usize = 200;

/// The states of a worker that its supervisor tells apart.
const STATES: [WorkerState; 7] = [
    WorkerState::Localizing,
    WorkerState::Starting,
    WorkerState::Prepared,
    WorkerState::Running,
    WorkerState::Stopping,
    WorkerState::BackingOff,
    WorkerState::Silent,
];

/// What is shown.
#[derive(Debug)]
pub(crate) struct Shown {
    started: Instant,
    slots: Vec<u16>,
    known: Mutex<Known>,
    capacities: Mutex<Capacities>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    slots: Vec<SlotReport>,
    /// By port.
    workers: BTreeMap<u32, Worker>,
    /// By topology and component, with the topology's name.
    errors: BTreeMap<(String, String), (String, u64)>,
    /// The last ones that workers told, as [`mark`] has them.
    told: VecDeque<u64>,
}

/// A worker as it reported last.
#[derive(Clone, Debug)]
struct Worker {
    topology_id: String,
    /// Its topology's name.
    topology: String,
    incarnation: Incarnation,
    uptime: Duration,
    memory_bytes: u64,
    /// The newest that came: not every report brings some.
    figures: Bytes,
}

impl Worker {
    fn is_of(&self, slot: &SlotReport) -> bool {
        self.topology_id == slot.topology_id && Some(self.incarnation) == slot.incarnation
    }
}

/// Tells errors of lives apart. Two that are the same in all of this are one that was told twice.
fn mark(report: &WorkerReport, error: &ErrorReport) -> u64 {
    let mut hasher = DefaultHasher::new();
    let life = report.incarnation.map(|life| (life.number, life.restarts));
    (&report.topology_id, life).hash(&mut hasher);
    let ErrorReport { time_ms, component, task, host, port, message, kind, suppressed } = error;
    (time_ms, component, task, host, port, message, kind, suppressed).hash(&mut hasher);
    hasher.finish()
}

impl Shown {
    pub(crate) fn new(slots: &[u16]) -> Shown {
        Shown {
            started: Instant::now(),
            slots: slots.to_vec(),
            known: Mutex::default(),
            capacities: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("never panics while it holds the lock")
    }

    /// Takes note of a worker's report, with the name of its topology.
    pub(crate) fn reported(&self, topology: &str, report: &WorkerReport) {
        for error in &report.errors {
            if self.is_news(mark(report, error)) {
                self.failed(&report.topology_id, topology, error);
            }
        }
        let Some(slot) = &report.slot else { return };
        let mut worker = Worker {
            topology_id: report.topology_id.clone(),
            topology: topology.to_owned(),
            incarnation: report.incarnation.unwrap_or_default(),
            uptime: Duration::from_millis(report.uptime_ms),
            memory_bytes: report.memory_bytes,
            figures: report.figures.clone(),
        };
        let mut known = self.lock();
        if let Some(old) = known.workers.get(&slot.port)
            && worker.figures.is_empty()
            && (&old.topology_id, old.incarnation) == (&worker.topology_id, worker.incarnation)
        {
            worker.figures = old.figures.clone();
        }
        known.workers.insert(slot.port, worker);
    }

    /// Whether an error was not told yet. Some are told again, as nobody knew whether they had arrived.
    fn is_news(&self, mark: u64) -> bool {
        let told = &mut self.lock().told;
        let is_news = !told.contains(&mark);
        if is_news {
            told.push_back(mark);
            if told.len() > ERRORS {
                told.pop_front();
            }
        }
        is_news
    }

    /// Takes note of an error of a topology.
    pub(crate) fn failed(&self, topology_id: &str, topology: &str, error: &ErrorReport) {
        let mut known = self.lock();
        let key = (topology_id.to_owned(), error.component.clone());
        let (_, count) = known.errors.entry(key).or_insert_with(|| (topology.to_owned(), 0));
        *count = count.saturating_add(1).saturating_add(error.suppressed);
    }

    /// Takes note of how the slots stand. What is known of those who left them is forgotten.
    pub(crate) fn set_slots(&self, slots: &[SlotReport]) {
        let mut known = self.lock();
        known
            .workers
            .retain(|port, worker| slots.iter().any(|slot| slot.port == *port && worker.is_of(slot)));
        known.errors.retain(|(id, _), _| slots.iter().any(|slot| slot.topology_id == *id));
        known.slots = slots.to_vec();
    }

    fn page(&self, session: Session) -> Page {
        let known = self.lock().clone();
        let mut page = Page::default();
        page.daemon("supervisor", self.started.elapsed());
        page.session("supervisor", session);
        let is_ours = |slot: &&SlotReport| self.slots.iter().any(|port| u32::from(*port) == slot.port);
        let used = known.slots.iter().filter(is_ours).count();
        page.by_state(&metrics::SLOTS, ["used", "free"], |state| match state {
            "used" => used,
            _ => self.slots.len().saturating_sub(used),
        });
        for state in STATES {
            let such = known.slots.iter().filter(|slot| slot.state() == state).count();
            page.number(&metrics::SUPERVISED, &[worker_state_name(state.into())], such as f64);
        }
        let mut snapshots = Vec::new();
        for slot in &known.slots {
            let Some(worker) = known.workers.get(&slot.port).filter(|worker| worker.is_of(slot)) else {
                continue;
            };
            let port = slot.port.to_string();
            let labels = [worker.topology.as_str(), port.as_str()];
            page.count(&metrics::RESTARTS, &labels, worker.incarnation.restarts);
            page.number(&metrics::WORKER_MEMORY, &labels, worker.memory_bytes as f64);
            page.number(&metrics::WORKER_UPTIME, &labels, worker.uptime.as_secs_f64());
            if worker.figures.is_empty() {
                continue;
            }
            match serde_json::from_slice::<Snapshot>(&worker.figures) {
                Ok(snapshot) => snapshots.push((worker, snapshot)),
                Err(error) => tracing::debug!(topology = worker.topology, %error, "figures not understood"),
            }
        }
        // Of a task that has moved from one worker to another here, the younger one tells.
        snapshots.sort_by_key(|(worker, _)| std::cmp::Reverse(worker.uptime));
        let reports = snapshots.iter().map(|(worker, snapshot)| (worker.topology.as_str(), snapshot));
        let mut capacities = self.capacities.lock().expect("never panics while it holds the lock");
        page.topologies(reports, &mut capacities);
        for ((_, component), (topology, count)) in &known.errors {
            page.count(&metrics::ERRORS, &[topology, component], *count);
        }
        page
    }
}

/// Serves them for ever, if there is a listener.
pub(crate) async fn serve(
    shown: Arc<Shown>,
    listener: Option<TcpListener>,
    state: watch::Receiver<SessionState>,
) {
    let Some(listener) = listener else { return };
    let collect = move || {
        let (shown, session) = (Arc::clone(&shown), session(&state.borrow()));
        // Reading the figures of many workers takes a while, and slots shall not wait for it.
        async move { tokio::task::spawn_blocking(move || shown.page(session)).await.unwrap_or_default() }
    };
    if let Err(error) = storm_exposition::serve(listener, collect, std::future::pending()).await {
        tracing::error!(%error, "the server of metrics has ended");
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

#[cfg(test)]
mod tests {
    use storm_exposition::Format;
    use storm_rpc::v1::Slot;

    use super::*;

    const FIGURES: &[u8] =
        br#"{"executors":[{"component":"lines","kind":"spout","executor":{"first":1,"last":1},
        "tasks":[],"queue_latency":QUEUE,"late_acks":7,"dropped":0,"window_rows":1,"credit_out":0,
        "uptime":{"secs":9,"nanos":0},"busy":{"secs":1,"nanos":0}}]}"#;

    fn figures() -> Bytes {
        let queue = serde_json::to_string(&storm_figures::Latency::default()).unwrap();
        String::from_utf8_lossy(FIGURES).replace("QUEUE", &queue).into()
    }

    fn report(restarts: u64, figures: Bytes) -> WorkerReport {
        WorkerReport {
            topology_id: "words-1-17".to_owned(),
            slot: Some(Slot { supervisor_id: "s".to_owned(), port: 6700 }),
            incarnation: Some(Incarnation { number: 1, restarts }),
            memory_bytes: 1 << 20,
            figures,
            ..WorkerReport::default()
        }
    }

    fn slot(restarts: u64, state: WorkerState) -> SlotReport {
        SlotReport {
            port: 6700,
            topology_id: "words-1-17".to_owned(),
            incarnation: Some(Incarnation { number: 1, restarts }),
            state: state.into(),
            ..SlotReport::default()
        }
    }

    fn shows(shown: &Shown, line: &str) -> bool {
        let text = shown.page(Session::Connected).text(Format::Plain);
        text.lines().any(|shown| shown == line)
    }

    #[test]
    fn the_newest_figures_of_a_worker_are_shown_until_it_ends() {
        const LATE: &str = r#"storm_late_acks_total{topology="words",component="lines",executor="[1-1]"} 7"#;
        let shown = Shown::new(&[6700, 6701]);
        shown.set_slots(&[slot(2, WorkerState::Running)]);
        shown.reported("words", &report(2, figures()));
        shown.reported("words", &report(2, Bytes::new()));
        assert!(shows(&shown, LATE));
        assert!(shows(&shown, r#"storm_worker_restarts_total{topology="words",port="6700"} 2"#));
        assert!(shows(&shown, r#"storm_worker_memory_bytes{topology="words",port="6700"} 1048576.0"#));
        assert!(shows(&shown, r#"storm_supervisor_slots{state="free"} 1.0"#));
        assert!(shows(&shown, r#"storm_supervisor_workers{state="RUNNING"} 1.0"#));
        shown.set_slots(&[slot(3, WorkerState::Starting)]);
        assert!(!shows(&shown, LATE));
    }

    #[test]
    fn errors_are_counted_while_their_topology_is_here() {
        const ERRORS: &str = r#"storm_reported_errors_total{topology="words",component="lines"} 4"#;
        let shown = Shown::new(&[6700]);
        let error = ErrorReport { component: "lines".to_owned(), suppressed: 3, ..ErrorReport::default() };
        shown.reported("words", &WorkerReport { errors: vec![error], ..report(0, Bytes::new()) });
        assert!(shows(&shown, ERRORS));
        shown.set_slots(&[slot(1, WorkerState::BackingOff)]);
        assert!(shows(&shown, ERRORS));
        shown.set_slots(&[]);
        assert!(!shows(&shown, ERRORS));
    }

    #[test]
    fn an_error_that_is_told_again_is_counted_once() {
        let shown = Shown::new(&[6700]);
        let error =
            |time_ms| ErrorReport { component: "lines".to_owned(), time_ms, ..ErrorReport::default() };
        let tell = |restarts, times: std::ops::Range<u64>| {
            let errors = times.map(error).collect();
            shown.reported("words", &WorkerReport { errors, ..report(restarts, Bytes::new()) });
        };
        let counts = |count: u64| {
            let labels = r#"{topology="words",component="lines"}"#;
            shows(&shown, &format!("storm_reported_errors_total{labels} {count}"))
        };
        tell(0, 0..3);
        // The line broke before the last of them were known to have come.
        tell(0, 1..4);
        assert!(counts(4));
        tell(1, 1..2);
        assert!(counts(5), "the next life may find the same");
        tell(1, 10..10 + ERRORS as u64);
        tell(1, 10..10 + ERRORS as u64);
        assert!(counts(5 + ERRORS as u64));
    }

    #[test]
    fn figures_that_nobody_understands_are_passed_over() {
        let shown = Shown::new(&[6700]);
        shown.set_slots(&[slot(0, WorkerState::Running)]);
        shown.reported("words", &report(0, Bytes::from_static(b"{}")));
        assert!(shows(&shown, r#"storm_worker_restarts_total{topology="words",port="6700"} 0"#));
    }
}
