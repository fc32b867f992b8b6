//! Does what the slots decide: the one task that owns them, their processes and their workers' lines.
//!
//! Everything that happens comes to it as a [`Message`] or as a change in ZooKeeper, one after the
//! other; what takes long (downloads, the ends of processes) is waited for elsewhere.

mod line;
mod reading;
mod processes;
mod seen;
mod strays;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use storm_cluster::Cluster;
use storm_model::{AssignedExecutor, SupervisorId, Time, TopologyId, WorkerSlot};
use storm_rpc::launch::{WORKER_FILE_VARIABLE, WorkerFile};
use storm_rpc::v1::{self, BlobRef, DrainRound, RestartedWorker, WorkerReport, WorkerState};
use storm_rpc::{CallError, ErrorCode};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::assignments::Assignments;
use crate::container::Spawner;
use crate::figures::Figures;
use crate::local_state::{Broken, LocalState};
use crate::localizer::Localizer;
use crate::metrics::Shown;
use crate::options::Options;
use crate::peers::Peers;
use crate::process::{self, ProcessId};
use crate::report::Outbox;
use crate::slot::{Effect, Event, Kept, Life, Patience, Slot, State, Tenant};

pub(crate) use line::Line;
use reading::Watches;
pub(crate) use seen::Seen;
use strays::Strays;

/// Messages that wait for the slots. Whoever sends more waits: lines of workers, ends of processes.
pub(crate) const MESSAGES: usize = 1024;
/// Slots are stepped at least so often: what was missed is noticed, and a stall of this process too.
const TICK: Duration = Duration::from_millis(500);
/// How long a supervisor that starts waits for ZooKeeper, until it starts again what it did run before.
const READ_WITHIN: Duration = Duration::from_secs(3);
/// How often logs are looked at whether they have grown too large.
const ROTATE_EVERY: Duration = Duration::from_secs(2);
/// How often unused binaries are looked for.
const CLEAN_EVERY: Duration = Duration::from_secs(30);
/// Workers that end with this supervisor have so long.
const END_WITHIN: Duration = Duration::from_millis(7500);
/// Killed workers are gone after some milliseconds, unless their disk or their memory hangs.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// What happens outside of ZooKeeper.
pub(crate) enum Message {
    /// Something that a slot waits for.
    Slot {
        port: u16,
        event: Event,
    },
    /// A worker has opened a line.
    Attached {
        line: Line,
        report: WorkerReport,
    },
    Reported {
        line: u64,
        report: WorkerReport,
    },
    Detached {
        line: u64,
    },
    /// Nimbus asks workers whether nothing is on its way.
    Asked {
        rounds: Vec<DrainRound>,
    },
    /// The machine is healthy, or not.
    Checked {
        is_healthy: bool,
    },
    RestartAsked {
        port: u16,
        answer: oneshot::Sender<Result<RestartedWorker, CallError>>,
    },
}

/// What [`Slots`] is made of.
pub(crate) struct Parts {
    pub(crate) options: Options,
    pub(crate) id: SupervisorId,
    /// Of the service, as it is listened to.
    pub(crate) rpc_port: u16,
    pub(crate) state: Arc<LocalState>,
    pub(crate) cluster: Cluster,
    pub(crate) localizer: Arc<Localizer>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) spawner: Spawner,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) shown: Arc<Shown>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) messages: mpsc::Sender<Message>,
}

/// The slots of this machine.
pub(crate) struct Slots {
    parts: Parts,
    origin: Instant,
    assignments: Assignments,
    slots: BTreeMap<u16, Slot>,
    lines: BTreeMap<u64, Line>,
    /// What the worker of a slot has reported last, as far as it is told at once when it changes.
    reported: BTreeMap<u16, (Life, WorkerReport)>,
    seen: watch::Sender<Arc<Seen>>,
    cluster_id: Option<String>,
    /// ZooKeeper holds this supervisor's cluster: what is read there counts.
    is_our_cluster: bool,
    /// What is wrong with ZooKeeper, in words.
    problem: String,
    /// What runs here and is absent from ZooKeeper.
    strays: Strays,
    /// What of the former life could not be read, in words.
    broken: Vec<String>,
    /// What was not running at the start may be started.
    is_up: bool,
    /// When all slots are stepped next, whatever else happens.
    next_tick: Instant,
    tasks: JoinSet<()>,
}

// === Start and end ===

impl Slots {
    /// Takes up what a former life has left: living workers are adopted, before anything else.
    pub(crate) async fn new(parts: Parts) -> Slots {
        let Options { ref host, max_silence_timeout, .. } = parts.options;
        let (kept, broken): (Vec<_>, Vec<_>) = parts.state.topologies().into_iter().partition(Result::is_ok);
        let broken = broken.into_iter().filter_map(Result::err).map(|Broken(text)| text).collect();
        let kept = kept.into_iter().filter_map(Result::ok);
        let assignments = Assignments::new(parts.id.clone(), kept, max_silence_timeout.as_millis() as u64);
        let seen =
            Seen { id: parts.id.clone(), host: host.clone(), slots: BTreeMap::new(), problems: Vec::new() };
        let cluster_id = parts.state.cluster_id();
        let mut slots = Slots {
            origin: Instant::now(),
            assignments,
            slots: BTreeMap::new(),
            lines: BTreeMap::new(),
            reported: BTreeMap::new(),
            seen: watch::Sender::new(Arc::new(seen)),
            cluster_id,
            is_our_cluster: false,
            problem: String::new(),
            strays: Strays::default(),
            broken,
            is_up: false,
            next_tick: Instant::now(),
            tasks: JoinSet::new(),
            parts,
        };
        slots.adopt().await;
        slots
    }

    /// What the service sees.
    pub(crate) fn seen(&self) -> watch::Receiver<Arc<Seen>> {
        self.seen.subscribe()
    }

    async fn adopt(&mut self) {
        // Only topologies can be broken so far.
        let knows_assignments = self.broken.is_empty();
        let mut kept = self.parts.state.slots();
        let mut found: Vec<_> = process::find_by_variable(WORKER_FILE_VARIABLE, &self.workers_dir())
            .into_iter()
            .filter_map(|(file, process)| Some((port_of(file.parent()?)?, file, process)))
            .collect();
        // A port that is not configured any more has a slot as long as something runs there.
        let configured = self.parts.options.slots.iter().copied();
        let ports: BTreeSet<u16> =
            configured.chain(kept.keys().copied()).chain(found.iter().map(|(port, ..)| *port)).collect();
        for port in ports {
            let mut kept = match kept.remove(&port) {
                Some(Ok(kept)) => kept,
                Some(Err(Broken(text))) => {
                    self.broken.push(format!("port {port}: {text}"));
                    self.recover(port, true, knows_assignments)
                }
                None => self.recover(port, false, knows_assignments),
            };
            if let Some(tenant) = &mut kept.tenant {
                let life = tenant.life();
                if tenant.process.is_none() {
                    let wanted = self.worker_file(&life.topology, port);
                    let it = found.iter().find(|(_, file, _)| *file == wanted);
                    tenant.process = it.map(|(_, _, process)| process.clone());
                }
                let living = tenant.process.clone().filter(ProcessId::is_alive);
                let (topology, incarnation) = (&life.topology, life.incarnation);
                if let Some(process) = living {
                    tracing::info!(%topology, port, %incarnation, pid = process.pid, "worker adopted");
                    self.watch_process(port, life, process, None);
                } else {
                    tracing::info!(%topology, port, %incarnation, "worker has ended meanwhile");
                    tenant.process = None;
                }
            }
            let tenant = kept.tenant.as_ref().and_then(|tenant| tenant.process.as_ref());
            found.retain(|(_, _, process)| Some(process) != tenant);
            for (_, file, process) in found.extract_if(.., |(of, ..)| *of == port) {
                // Two in one slot would be one too many, and of this one nothing is known.
                let file = file.display();
                tracing::error!(port, pid = process.pid, %file, "ending a worker that no slot knows of");
                process.signal_group(Signal::SIGKILL);
                tokio::time::timeout(GONE_WITHIN, process.ended()).await.ok();
            }
            let is_alive = kept.tenant.as_ref().is_some_and(|tenant| tenant.process.is_some());
            let Options { start_timeout, silence_timeout, stop_wait, .. } = self.parts.options;
            let patience = Patience { start: start_timeout, silence: silence_timeout, stop: stop_wait };
            self.slots.insert(port, Slot::new(self.now(), patience, kept, is_alive));
        }
    }

    /// A slot whose file is absent or cannot be read: how often its workers were started stands in their own
    /// files, for each is written before a start. Where it does not, counting goes on from a number that was
    /// never reached: the seconds since 1970. Where not even the assignments are known, it does so for all.
    fn recover(&self, port: u16, is_broken: bool, knows_assignments: bool) -> Kept {
        let mut starts = BTreeMap::new();
        let mut unreadable = BTreeSet::new();
        for directory in entries(&self.workers_dir()).filter(|directory| port_of(directory) == Some(port)) {
            let text = match std::fs::read(directory.join("worker.json")) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(_) => Vec::new(),
            };
            if let Ok(WorkerFile { topology_id, incarnation, .. }) = serde_json::from_slice(&text) {
                starts.insert((topology_id, incarnation.number), incarnation.restarts + 1);
            } else {
                unreadable.insert(directory);
            }
        }
        let is_lost = is_broken || !unreadable.is_empty();
        let beyond = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        for topology in self.assignments.topologies().filter(|_| is_lost) {
            let slot = WorkerSlot { supervisor: self.parts.id.clone(), port };
            let worker = topology.assignment.as_ref().and_then(|assignment| assignment.worker(&slot));
            if let Some(worker) = worker {
                starts.entry((topology.id.clone(), worker.number)).or_insert(beyond);
            }
            unreadable.remove(&self.worker_dir(&topology.id, port));
        }
        let floor = if is_lost && (!knows_assignments || !unreadable.is_empty()) { beyond } else { 0 };
        if is_lost || !starts.is_empty() {
            tracing::warn!(port, ?starts, floor, "what was kept of a slot is lost; restarts are counted on");
        }
        Kept::recovered(starts.into_iter().map(|((topology, number), next)| (topology, number, next)), floor)
    }

    /// Runs until `shutdown`, which is awaited first of all.
    pub(crate) async fn run(
        &mut self,
        messages: &mut mpsc::Receiver<Message>,
        shutdown: &mut (impl Future<Output = ()> + Unpin),
    ) {
        let mut watches = Watches::new(&self.parts.cluster);
        let mut state = self.parts.cluster.state();
        let clean_logs_every = self.parts.options.log_keep.look_every;
        let [mut rotate, mut clean, mut clean_logs] =
            [ROTATE_EVERY, CLEAN_EVERY, CLEAN_EVERY].map(|every| Instant::now() + every);
        // What is known from before may be long out of date, so ZooKeeper is asked first. But not for long.
        let patience = Instant::now() + READ_WITHIN;
        while !self.is_up {
            tokio::select! {
                biased;
                () = &mut *shutdown => return,
                message = messages.recv() => if let Some(message) = message { self.take(message).await; },
                () = watches.changed() => self.read(&watches).await,
                () = tokio::time::sleep_until(patience) => {
                    tracing::warn!("ZooKeeper does not answer: starting what ran here before");
                    self.is_up = true;
                    self.read(&watches).await;
                }
            }
            self.publish();
        }
        self.judge_all().await;
        self.tick().await;
        loop {
            let due = self.due();
            tokio::select! {
                biased;
                () = &mut *shutdown => return,
                // Before the messages: there may always be one, and a slot that is not stepped takes that for
                // a stall of this supervisor.
                () = tokio::time::sleep_until(due) => self.tick().await,
                message = messages.recv() => {
                    // This holds a sender itself.
                    if let Some(message) = message { self.take(message).await; }
                }
                () = watches.changed() => self.read(&watches).await,
                _ = state.changed() => self.read(&watches).await,
            }
            while self.tasks.try_join_next().is_some() {}
            if rotate <= Instant::now() {
                rotate = Instant::now() + ROTATE_EVERY;
                self.rotate_logs();
            }
            if clean <= Instant::now() {
                clean = Instant::now() + CLEAN_EVERY;
                self.clean();
            }
            if clean_logs <= Instant::now() {
                clean_logs = Instant::now() + clean_logs_every;
                self.clean_logs();
            }
            self.publish();
        }
    }

    /// Ends all workers, and waits for that, but not for ever.
    pub(crate) async fn end_workers(&mut self, messages: &mut mpsc::Receiver<Message>) {
        let end = Instant::now() + END_WITHIN;
        for port in self.ports() {
            self.step(port, Event::Closed).await;
        }
        while self.slots.values().any(|slot| slot.tenant().is_some()) && Instant::now() < end {
            let due = self.due().min(end);
            tokio::select! {
                message = messages.recv() => if let Some(message) = message { self.take(message).await; },
                () = tokio::time::sleep_until(due) => self.tick().await,
            }
        }
        for slot in self.slots.values() {
            if let Some(process) = slot.tenant().and_then(|tenant| tenant.process.as_ref()) {
                process.signal_group(Signal::SIGKILL);
            }
        }
        self.publish();
    }

    fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed()
    }

    fn due(&self) -> Instant {
        let deadline = self.slots.values().filter_map(Slot::deadline).min();
        // A deadline is over when it has passed, not when it has come.
        let due = deadline.map(|deadline| deadline.since(Time::ZERO) + Duration::from_millis(1));
        due.map_or(self.next_tick, |due| (self.origin + due).min(self.next_tick))
    }

    fn ports(&self) -> Vec<u16> {
        self.slots.keys().copied().collect()
    }

    async fn tick(&mut self) {
        self.next_tick = Instant::now() + TICK;
        for port in self.ports() {
            self.step(port, Event::Ticked).await;
        }
        self.tell_strays();
    }
}

// === What happens here ===

impl Slots {
    async fn take(&mut self, message: Message) {
        match message {
            Message::Slot { port, event } => self.step(port, event).await,
            Message::Attached { line, report } => self.attached(line, report).await,
            Message::Reported { line, report } => {
                let Some(line) = self.lines.get_mut(&line) else { return };
                line.answered(report.quiet_look.map(|look| look.round));
                let (life, port, executors) = (line.life.clone(), line.port, line.executors.clone());
                if line.is_ours {
                    self.heard(life, port, &executors, report).await;
                }
            }
            Message::Detached { line } => {
                self.lines.remove(&line);
            }
            Message::Asked { rounds } => self.lines.retain(|_, line| {
                let round = rounds.iter().find(|round| line.life.topology == *round.topology_id);
                round.is_none_or(|round| line.ask(Instant::now(), round.round))
            }),
            Message::Checked { is_healthy } => {
                for port in self.ports() {
                    self.step(port, Event::Barred(!is_healthy)).await;
                }
            }
            Message::RestartAsked { port, answer } => {
                answer.send(self.restart(port).await).ok();
            }
        }
    }

    /// The process of a slot, if it is this life.
    fn tenant(&self, life: &Life, port: u16) -> Option<&Tenant> {
        self.slots.get(&port).and_then(Slot::tenant).filter(|tenant| tenant.life() == *life)
    }

    async fn attached(&mut self, mut line: Line, report: WorkerReport) {
        let (life, port) = (line.life.clone(), line.port);
        let (topology, incarnation) = (&life.topology, life.incarnation);
        // It has come back on a new one.
        self.lines.retain(|_, old| old.life != life || old.port != port);
        if let Some(tenant) = self.tenant(&life, port) {
            line.is_ours = true;
            line.executors = tenant.work.executors.as_slice().into();
        }
        let (is_tenant, executors) = (line.is_ours, line.executors.clone());
        tracing::info!(%topology, port, %incarnation, is_tenant, "worker attached");
        let known = self.assignments.topology(topology);
        if known.is_some_and(|known| !line.tell(known)) {
            return;
        }
        let is_removed = self.assignments.is_removed(topology);
        let has_successor =
            self.slots.get(&port).and_then(Slot::incarnation).is_some_and(|newest| {
                newest.topology == life.topology && newest.incarnation > life.incarnation
            });
        if !is_tenant && (is_removed || has_successor) {
            line.order_stop(self.parts.options.stop_wait, "another worker has its place");
        }
        // It may have been told to stop while it was not there.
        if let Some(State::Stopping { .. }) = self.slots.get(&port).filter(|_| is_tenant).map(Slot::state) {
            line.order_stop(self.parts.options.stop_wait, "it was to stop");
        }
        line.answered(report.quiet_look.map(|look| look.round));
        self.lines.insert(line.id, line);
        if is_tenant {
            self.heard(life, port, &executors, report).await;
        }
    }

    async fn heard(
        &mut self,
        life: Life,
        port: u16,
        executors: &Arc<[AssignedExecutor]>,
        mut report: WorkerReport,
    ) {
        report.slot = Some(v1::Slot { supervisor_id: self.parts.id.to_string(), port: port.into() });
        // What changes by itself from second to second can wait for the next report.
        let standing = WorkerReport {
            state: report.state,
            assignment_version: report.assignment_version,
            quiet_look: report.quiet_look,
            is_active: report.is_active,
            is_done: report.is_done,
            missing_peers: report.missing_peers.clone(),
            ..WorkerReport::default()
        };
        let stands = (life.clone(), standing);
        let is_news = !report.errors.is_empty() || self.reported.get(&port) != Some(&stands);
        self.reported.insert(port, stands);
        // Of one that is killed for good nobody asks any more.
        if !self.assignments.is_removed(&life.topology) {
            self.parts.figures.put((&life, port), executors, report.uptime_ms, &report.figures);
        }
        self.parts.shown.reported(self.name_of(&life.topology), &report);
        self.parts.outbox.put(report);
        self.step(port, Event::Heard { life }).await;
        if is_news {
            self.publish();
            self.parts.outbox.hurry();
        }
    }

    async fn restart(&mut self, port: u16) -> Result<RestartedWorker, CallError> {
        let slot = self.slots.get(&port);
        let Some(work) = slot.and_then(Slot::wanted) else {
            return Err(CallError::new(ErrorCode::Invalid, format!("no worker runs on port {port} here")));
        };
        let topology_id = work.topology.to_string();
        self.step(port, Event::RestartAsked).await;
        let restarts = self.slots[&port].next_restarts();
        Ok(RestartedWorker { topology_id, restarts })
    }

    /// Steps a slot and does what it decides, in order.
    async fn step(&mut self, port: u16, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = self.now();
            let Some(slot) = self.slots.get_mut(&port) else { return };
            let had = slot.tenant().map(|tenant| tenant.work.topology.clone());
            if let Event::Exited { life, how } = &event {
                let (topology, incarnation) = (&life.topology, life.incarnation);
                if matches!(slot.state(), State::Stopping { failure: None, .. }) {
                    tracing::info!(%topology, port, %incarnation, how, "worker ended, as it was told to");
                } else {
                    tracing::warn!(%topology, port, %incarnation, how, "worker ended");
                }
            }
            if let Event::Exited { .. } | Event::StartFailed { .. } = &event
                && let Some(tenant) = slot.tenant().filter(|tenant| !tenant.has_attached)
            {
                self.parts.localizer.distrust(&tenant.work.digest);
            }
            let ending = match &event {
                Event::Exited { life, .. } => Some((life.clone(), "exit")),
                Event::StartFailed { life, .. } => Some((life.clone(), "start")),
                _ => None,
            };
            let failures = slot.recent_failures(now);
            let effects = slot.step(now, event);
            if let Some((life, kind)) = ending.filter(|_| slot.recent_failures(now) > failures) {
                let message = slot.problem().to_owned();
                self.note_end(&life, port, kind, message);
            }
            let mut is_kept = Ok(());
            for effect in effects {
                match effect {
                    Effect::Save => is_kept = self.save(port).await,
                    Effect::Fetch { digest } => self.fetch(port, digest),
                    Effect::Start { life, work } => {
                        // A start that nobody would remember could be repeated with the same number.
                        let started = match std::mem::replace(&mut is_kept, Ok(())) {
                            Ok(()) => self.launch(port, &life, &work).await,
                            Err(error) => Err(error),
                        };
                        events.push_back(match started {
                            Ok(process) => Event::Started { life, process },
                            Err(error) => Event::StartFailed { life, error: error.to_string() },
                        });
                    }
                    Effect::OrderStop { life, within, reason } => {
                        // If it does not hear, SIGTERM follows.
                        if let Some(line) = self.lines.values().find(|l| l.life == life && l.port == port) {
                            line.order_stop(within, reason);
                        }
                    }
                    Effect::Signal { life, kill } => self.signal(port, &life, kill),
                    Effect::Report => {
                        self.publish();
                        self.parts.outbox.hurry();
                    }
                }
            }
            // The last of its workers may have ended.
            let has = self.slots[&port].tenant();
            if let Some(id) = had.filter(|_| has.is_none()) {
                self.bury(&id);
            }
        }
    }

    /// A worker has ended against its will: that is an error of its topology.
    fn note_end(&self, life: &Life, port: u16, kind: &str, message: String) {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let error = v1::ErrorReport {
            time_ms: now.as_millis() as u64,
            host: self.parts.options.host.clone(),
            port: port.into(),
            message: format!("the worker {message}"),
            kind: kind.to_owned(),
            ..v1::ErrorReport::default()
        };
        let last = WorkerReport {
            topology_id: life.topology.to_string(),
            slot: Some(v1::Slot { supervisor_id: self.parts.id.to_string(), port: port.into() }),
            incarnation: Some(life.incarnation.into()),
            state: WorkerState::BackingOff.into(),
            ..WorkerReport::default()
        };
        self.parts.shown.failed(&last.topology_id, self.name_of(&life.topology), &error);
        self.parts.outbox.put_error(last, error);
    }

    fn name_of<'a>(&'a self, id: &'a TopologyId) -> &'a str {
        self.assignments.topology(id).map_or(id.as_str(), |topology| &topology.name)
    }

    async fn save(&self, port: u16) -> io::Result<()> {
        let Some(slot) = self.slots.get(&port) else { return Ok(()) };
        let (state, kept) = (Arc::clone(&self.parts.state), slot.kept().clone());
        let saved = on_disk(move || state.save_slot(port, &kept)).await;
        if let Err(error) = &saved {
            tracing::error!(port, %error, "cannot keep how a slot stands");
        }
        saved
            .map_err(|error| io::Error::new(error.kind(), format!("cannot keep that it is started: {error}")))
    }

    fn fetch(&mut self, port: u16, digest: String) {
        let size = self.assignments.topologies().find(|topology| topology.binary.digest == digest);
        let blob = BlobRef { size: size.map_or(0, |topology| topology.binary.size), digest };
        let (localizer, messages) = (Arc::clone(&self.parts.localizer), self.parts.messages.clone());
        self.tasks.spawn(async move {
            let fetched = localizer.fetch(&blob).await;
            let digest = blob.digest;
            let event = match fetched {
                Ok(()) => Event::BlobReady { digest },
                Err(error) => {
                    tracing::warn!(port, digest, error = error.message, "no binary for a worker");
                    Event::BlobFailed { digest, error: error.message, is_local: error.is_local }
                }
            };
            messages.send(Message::Slot { port, event }).await.ok();
        });
    }

    fn signal(&self, port: u16, life: &Life, kill: bool) {
        let tenant = self.slots.get(&port).and_then(Slot::tenant).filter(|tenant| tenant.life() == *life);
        let Some(process) = tenant.and_then(|tenant| tenant.process.as_ref()) else { return };
        let signal = if kill { Signal::SIGKILL } else { Signal::SIGTERM };
        tracing::info!(topology = %life.topology, port, pid = process.pid, %signal, "worker is signalled");
        process.signal_group(signal);
    }
}

/// The paths in a directory.
fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// The port of a worker's directory, `<topology id>-<port>`.
fn port_of(directory: &Path) -> Option<u16> {
    directory.file_name()?.to_str()?.rsplit_once('-')?.1.parse().ok()
}

/// Does what waits for the disk, on a thread that may.
async fn on_disk(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(io::Error::other(error)),
    }
}
