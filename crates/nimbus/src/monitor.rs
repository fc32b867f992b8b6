//! The loop of a Nimbus: one task that knows the state, over one closed list of events.
//!
//! It alone writes, one transaction after the other, with the leader's token; so nothing that it reads
//! is older than what it wrote. It acts on every event at once. What changed without an event is found
//! by the slow tick, which reads everything again.
//!
//! A write that fails changes nothing here. When its outcome is unknown, everything is read again
//! before anything else happens. While ZooKeeper is waited for, questions are answered and reports are
//! taken in: neither changes a record. Commands wait for their turn, up to [`BACKLOG`] of them.

use std::collections::{BTreeSet, VecDeque};
use std::pin::pin;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use storm_cluster::{
    Children, Cluster, CommandRecord, Election, Error, LeaderToken, Leadership, SessionState, Snapshot,
    SupervisorRecord,
};
use storm_figures::{Keeper, Keepers};
use storm_model::{SupervisorId, Time, TopologyId};
use storm_rpc::{CallError, v1};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::{Clock, wall_ms};
use crate::commands::{Answer, Command, Context, Limits};
use crate::heartbeats::Liveness;
use crate::identity::Remembered;
use crate::options::Options;
use crate::pages::Question;
use crate::state::{Change, State};

/// Events that wait; whoever brings one more waits until there is room.
pub(crate) const EVENTS: usize = 1024;
/// Events that wait while ZooKeeper is waited for; what comes when it is full is refused.
const BACKLOG: usize = 256;
/// Milliseconds between two reports of a supervisor.
pub(crate) const REPORT_EVERY_MS: u32 = 1000;
/// The same while a topology drains: its end is found out from reports.
const DRAIN_REPORT_EVERY_MS: u32 = 50;
/// Deletions of old nodes in one transaction.
const SWEPT_AT_ONCE: usize = 100;
/// How often the leader looks who is silent, at least.
const LOOK: Duration = Duration::from_millis(500);
/// Pause after a reading or writing that failed.
const RETRY: Duration = Duration::from_millis(200);
/// How often the errors of a topology are written, at most.
const ERRORS_EVERY: Duration = Duration::from_secs(1);
/// How often it is noted how much of a wait has passed.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// How often old commands and tombstones are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long a command's answer is kept: whoever repeats it does so within minutes.
const COMMANDS_KEPT_MS: u64 = 60 * 60 * 1000;
/// How long a tombstone is kept: a supervisor that was away for longer asks people.
const TOMBSTONES_KEPT_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// What can happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// This process leads, or leads no longer.
    LeadershipChanged(Leadership),
    /// The session with ZooKeeper is other than it was.
    SessionChanged,
    /// Supervisors came or went.
    SupervisorsChanged(Snapshot<Children<SupervisorId, SupervisorRecord>>),
    /// A supervisor reported.
    SupervisorReported(Time, Box<v1::SupervisorReport>, oneshot::Sender<v1::SupervisorReply>),
    /// A supervisor told what it had kept of figures: of a topology, or that this was all.
    FiguresKept(
        Time,
        SupervisorId,
        Option<(TopologyId, Box<Keeper>)>,
        oneshot::Sender<Result<(), CallError>>,
    ),
    /// Somebody computes figures of a topology, from a copy of what is kept.
    FiguresCopied(TopologyId, oneshot::Sender<Option<Keepers<SupervisorId>>>),
    /// A worker reported directly.
    WorkerReported(Time, Box<v1::WorkerReport>, oneshot::Sender<Result<v1::WorkerReportReply, CallError>>),
    /// Somebody wants something done.
    Commanded(Command, oneshot::Sender<Result<Answer, CallError>>),
    /// A command was carried out elsewhere, and its answer is to be kept.
    Done(CommandRecord, oneshot::Sender<()>),
    /// Somebody wants to know something.
    Asked(Question),
    /// A time has come.
    Ticked,
}

/// What the service has to know of the loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// It leads, and has read what there is.
    pub(crate) is_leading: bool,
}

/// The loop and what it knows.
pub(crate) struct Monitor {
    options: Options,
    clock: Clock,
    cluster: Cluster,
    remembered: Remembered,
    events: mpsc::Receiver<Event>,
    /// What came while ZooKeeper was waited for.
    backlog: VecDeque<Event>,
    token: Option<LeaderToken>,
    standing: watch::Sender<Standing>,
    /// Whether the records were read since this process leads: then there is something to answer with.
    has_read: bool,
    /// Whether that is so and none of its writes is in doubt.
    is_loaded: bool,
    state: State,
    submits: u64,
    /// What is due next, beside the waits of topologies.
    reload: Time,
    sweep: Time,
    note: Time,
    retry: Time,
    trouble: Option<String>,
}

impl Monitor {
    pub(crate) fn new(
        options: Options,
        clock: Clock,
        cluster: Cluster,
        events: mpsc::Receiver<Event>,
        standing: watch::Sender<Standing>,
    ) -> Monitor {
        let state = State::new(Liveness::new(options.supervisor_timeout));
        let remembered = Remembered::new(&options.directory());
        let now = clock.now();
        Monitor {
            options,
            clock,
            cluster,
            remembered,
            events,
            backlog: VecDeque::new(),
            token: None,
            standing,
            has_read: false,
            is_loaded: false,
            state,
            submits: 0,
            reload: now,
            sweep: now + SWEEP_EVERY,
            note: now,
            retry: now,
            trouble: None,
        }
    }

    /// Runs until the events or the cluster end.
    pub(crate) async fn run(mut self, election: &mut Election) {
        let mut session = self.cluster.state();
        let mut supervisors = self.cluster.watch_supervisors();
        let mut event = Event::LeadershipChanged(election.leadership());
        loop {
            self.handle(event).await;
            // Reports come in crowds; the rest is done once for all that are here.
            for _ in 0..EVENTS {
                let Some(next) = self.waiting() else { break };
                self.handle(next).await;
            }
            self.act().await;
            self.tell();
            let until = match self.backlog.is_empty() {
                true => self.next_tick().since(self.clock.now()),
                false => Duration::ZERO,
            };
            event = tokio::select! {
                leadership = election.changed() => match leadership {
                    Ok(leadership) => Event::LeadershipChanged(leadership),
                    Err(_) => return,
                },
                changed = session.changed() => match changed {
                    Ok(()) => Event::SessionChanged,
                    Err(_) => return,
                },
                snapshot = supervisors.changed() => match snapshot {
                    Ok(snapshot) => Event::SupervisorsChanged(snapshot),
                    Err(_) => return,
                },
                next = self.events.recv() => match next {
                    Some(next) => next,
                    None => return,
                },
                () = tokio::time::sleep(until) => Event::Ticked,
            };
        }
    }

    fn waiting(&mut self) -> Option<Event> {
        self.backlog.pop_front().or_else(|| self.events.try_recv().ok())
    }

    /// Waits for ZooKeeper. What it need not be waited for goes on meanwhile.
    async fn during<T>(&mut self, zookeeper: impl Future<Output = T>) -> T {
        let mut zookeeper = pin!(zookeeper);
        loop {
            let event = tokio::select! {
                biased;
                done = &mut zookeeper => return done,
                Some(event) = self.events.recv() => event,
            };
            match event {
                // They change no record.
                Event::SupervisorReported(..)
                | Event::WorkerReported(..)
                | Event::FiguresKept(..)
                | Event::FiguresCopied(..) => self.take(event),
                Event::Asked(question) if self.has_read => self.answer(question),
                event if self.backlog.len() < BACKLOG => self.backlog.push_back(event),
                Event::Commanded(_, reply) => {
                    reply.send(Err(CallError::busy())).ok();
                }
                // Whoever waits for the answer hears that there is none.
                _ => {}
            }
        }
    }

    /// Tells the service how this loop stands.
    fn tell(&self) {
        let standing = Standing { is_leading: self.has_read };
        self.standing.send_if_modified(|told| std::mem::replace(told, standing) != standing);
    }

    fn next_tick(&self) -> Time {
        let now = self.clock.now();
        if self.token.is_none() {
            return now + self.options.monitor_freq;
        }
        if !self.is_loaded {
            return self.retry.max(now);
        }
        let mut next = (now + LOOK.min(self.options.supervisor_timeout / 4)).min(self.reload);
        if let Some(deadline) = self.state.next_deadline() {
            next = next.min(deadline);
        }
        if now < self.retry { next.max(self.retry) } else { next }
    }

    // === Events ===

    async fn handle(&mut self, event: Event) {
        match event {
            Event::LeadershipChanged(Leadership::Leading(token)) => {
                tracing::info!("this nimbus leads");
                self.token = Some(token);
                self.has_read = false;
                self.is_loaded = false;
                self.tell();
                self.retry = self.clock.now();
                self.state = State::new(Liveness::new(self.options.supervisor_timeout));
                // Answers to the rounds of a former leader must not be taken for answers to ours.
                self.state.last_round = SmallRng::from_os_rng().random_range(0..u64::MAX / 2);
            }
            Event::LeadershipChanged(Leadership::Following) => self.step_down(),
            Event::SessionChanged => self.listen(),
            Event::SupervisorsChanged(Snapshot::Present(supervisors)) => self.set_supervisors(&supervisors),
            // Not known is not gone.
            Event::SupervisorsChanged(_) | Event::Ticked => {}
            Event::SupervisorReported(..)
            | Event::WorkerReported(..)
            | Event::FiguresKept(..)
            | Event::FiguresCopied(..) => self.take(event),
            // Whoever gave it does not wait any more: if it is given again, it has its turn.
            Event::Commanded(_, reply) if reply.is_closed() => {}
            Event::Commanded(command, reply) => {
                let answer = self.command(&command).await;
                if let Err(error) = &answer {
                    tracing::info!(?command, %error, "command refused");
                }
                reply.send(answer).ok();
            }
            Event::Done(record, reply) => {
                if let Err(error) = self.commit(vec![Change::PutCommand(record)]).await {
                    tracing::warn!(%error, "cannot keep the answer to a command");
                }
                reply.send(()).ok();
            }
            Event::Asked(question) => self.answer(question),
        }
    }

    /// Takes a report in.
    fn take(&mut self, event: Event) {
        match event {
            Event::SupervisorReported(at, report, reply) => {
                let id = report.supervisor_id.clone();
                self.state.supervisor_reported(at, wall_ms(), *report);
                reply.send(self.supervisor_reply(&id)).ok();
            }
            Event::WorkerReported(at, report, reply) => {
                let id = report.topology_id.clone();
                self.state.worker_reported(at, *report);
                reply.send(self.worker_reply(&id)).ok();
            }
            Event::FiguresKept(at, id, kept, reply) => {
                // Before the topologies are read, there is nothing that it could be joined with.
                let is_taken = if self.has_read { Ok(()) } else { Err(CallError::no_leader()) };
                match kept {
                    Some((topology, kept)) if is_taken.is_ok() => {
                        self.state.figures_kept(at, &id, topology, *kept);
                    }
                    None if is_taken.is_ok() => self.state.all_figures_kept(id),
                    _ => {}
                }
                reply.send(is_taken).ok();
            }
            Event::FiguresCopied(id, reply) => {
                reply.send(self.state.topologies.get(&id).map(|topology| topology.keeper.clone())).ok();
            }
            _ => {}
        }
    }

    fn answer(&mut self, question: Question) {
        let (now, is_ready) = (self.clock.now(), self.has_read);
        question.answer(&mut self.state, now, wall_ms(), is_ready, self.trouble.as_deref());
    }

    fn set_supervisors(&mut self, children: &Children<SupervisorId, SupervisorRecord>) {
        let mut registered = std::collections::BTreeMap::new();
        for (id, node) in children {
            match node {
                Ok(record) => {
                    registered.insert(id.clone(), record.value.clone());
                }
                Err(error) => {
                    tracing::warn!(supervisor = %id, %error, "cannot understand a supervisor");
                    if let Some(known) = self.state.supervisors.get(id) {
                        registered.insert(id.clone(), known.record.clone());
                    }
                }
            }
        }
        self.state.set_supervisors(registered);
    }

    fn step_down(&mut self) {
        self.has_read = false;
        if self.token.take().is_some() {
            tracing::info!("this nimbus does not lead any more");
        }
        self.is_loaded = false;
        self.state = State::new(Liveness::new(self.options.supervisor_timeout));
        self.tell();
    }

    /// Silence counts while this process leads and ZooKeeper answers it, and only then.
    fn listen(&mut self) {
        let is_healthy = matches!(*self.cluster.state().borrow(), SessionState::Connected { .. });
        if is_healthy && self.is_ready() {
            self.state.liveness.listen(self.clock.now());
        } else {
            self.state.liveness.stop_listening();
        }
    }

    fn is_ready(&self) -> bool {
        self.is_loaded && self.token.as_ref().is_some_and(LeaderToken::is_valid)
    }

    fn supervisor_reply(&mut self, id: &str) -> v1::SupervisorReply {
        if !self.is_ready() {
            return v1::SupervisorReply { report_every_ms: REPORT_EVERY_MS, ..Default::default() };
        }
        let is_draining = self.state.is_draining(self.clock.now());
        let report_every_ms = if is_draining { DRAIN_REPORT_EVERY_MS } else { REPORT_EVERY_MS };
        let wants_figures = self.state.wants_figures(id);
        v1::SupervisorReply { report_every_ms, rounds: self.state.rounds(id), wants_figures }
    }

    fn worker_reply(&mut self, id: &str) -> Result<v1::WorkerReportReply, CallError> {
        if !self.is_ready() {
            return Err(CallError::no_leader());
        }
        if self.state.tombstones.contains(id) && !self.state.topologies.contains_key(id) {
            // It is killed for good: no assignment of it lists anybody.
            let nowhere = storm_model::Assignment { version: u64::MAX, workers: Vec::new() };
            let assignment = Some((&TopologyId::from(id), &nowhere).into());
            return Ok(v1::WorkerReportReply {
                assignment,
                state: v1::TopologyState::Killed.into(),
                state_version: u64::MAX,
                round: 0,
                tuning: None,
            });
        }
        let round = self.state.round(id).unwrap_or_default();
        let topology = self.state.topologies.get(id).ok_or_else(|| CallError::no_such_topology(id))?;
        let assignment = topology.assignment().map(|a| (&TopologyId::from(id), a).into());
        let state = v1::TopologyState::from(topology.record().status).into();
        let state_version = topology.record().status_version;
        // What was never tuned has no version by which a worker could tell that this is late.
        let tuning = Some(&topology.record().tuning).filter(|tuning| tuning.version != 0).map(Into::into);
        Ok(v1::WorkerReportReply { assignment, state, round, state_version, tuning })
    }

    async fn command(&mut self, command: &Command) -> Result<Answer, CallError> {
        self.load_if_needed().await;
        if !self.is_ready() {
            return Err(CallError::no_leader());
        }
        let (cluster, id) = (self.cluster.clone(), command.id().to_owned());
        let known = self.during(async move { cluster.command(&id).await }).await;
        if let Some(record) = known.map_err(|error| refused(&error))? {
            return Ok(Answer::from_json(&record.value.answer));
        }
        if !self.is_ready() {
            return Err(CallError::no_leader());
        }
        let context = Context {
            now: self.clock.now(),
            wall_ms: wall_ms(),
            submits: self.submits + 1,
            config: &self.options.config,
            limits: Limits { workers: self.options.max_workers, executors: self.options.max_executors },
        };
        let decision = command.decide(&self.state, &context)?;
        if !decision.changes.is_empty() {
            self.commit(decision.changes).await.map_err(|error| refused(&error))?;
        }
        self.tell();
        self.submits += u64::from(matches!(command, Command::Submit(_)));
        let answer = &decision.answer;
        tracing::info!(id = command.id(), topology = answer.topology_id, "command carried out");
        Ok(decision.answer)
    }

    // === Acting ===

    /// Does all that is due.
    async fn act(&mut self) {
        self.load_if_needed().await;
        if !self.is_ready() {
            self.listen();
            return;
        }
        let now = self.clock.now();
        if now >= self.reload {
            self.load().await;
        }
        self.listen();
        self.state.look(self.clock.now());
        loop {
            if self.clock.now() < self.retry {
                return;
            }
            let batches = self.state.due(self.clock.now(), wall_ms());
            if batches.is_empty() {
                break;
            }
            for changes in batches {
                match self.commit(changes.clone()).await {
                    Ok(()) => {}
                    // It will not become smaller by itself, and the others shall not wait for it.
                    Err(error @ Error::TooLarge { .. }) => {
                        tracing::error!(%error, "cannot write, left as it is");
                        self.state.record_problems.push(error.to_string());
                        let abandoned = self.state.give_up(&changes, wall_ms(), &error.to_string());
                        if let Some(change) = abandoned
                            && let Err(error) = self.commit(vec![change]).await
                        {
                            tracing::error!(%error, "cannot give up a rebalance");
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot write, trying again");
                        self.retry = self.clock.now() + RETRY;
                        self.state.is_dirty = true;
                        return;
                    }
                }
            }
        }
        self.state.note_settled(self.clock.now());
        if self.state.frozen.is_none() {
            self.keep_notes().await;
        }
    }

    async fn load_if_needed(&mut self) {
        let is_leader = self.token.as_ref().is_some_and(LeaderToken::is_valid);
        if is_leader && !self.is_loaded && self.clock.now() >= self.retry {
            self.load().await;
        }
    }

    /// Reads everything.
    async fn load(&mut self) {
        self.reload = self.clock.now() + self.options.monitor_freq;
        match self.read().await {
            Ok(()) => {
                self.is_loaded = true;
                self.has_read = true;
                self.trouble = None;
                self.tell();
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read the state of the cluster, nothing changes meanwhile");
                self.trouble = Some(error.to_string());
                self.retry = self.clock.now() + RETRY;
            }
        }
        self.listen();
    }

    async fn read(&mut self) -> Result<(), Error> {
        let Some(token) = self.token.clone() else { return Ok(()) };
        let (is_first, is_in_doubt) = (!self.has_read, !self.is_loaded);
        let cluster = self.cluster.clone();
        let reading = async move {
            if is_in_doubt {
                cluster.sync().await?;
            }
            let found = cluster.cluster_id().await?.map(|record| record.value.id);
            let tombstones = cluster.children(&cluster.paths().tombstones()).await?;
            let topologies = cluster.topologies().await?;
            let assignments = cluster.assignments().await?;
            Ok::<_, Error>((found, tombstones, topologies, assignments))
        };
        let (found, tombstones, topologies, assignments) = self.during(reading).await?;
        let tombstones: BTreeSet<TopologyId> = tombstones.into_iter().map(TopologyId::from).collect();
        let found = match found {
            // The first leader of a new cluster, as far as anybody knows.
            None if topologies.is_empty() && self.remembered.read().is_ok_and(|id| id.is_none()) => {
                let id = storm_rpc::nimbus_client::command_id();
                Some(self.during(async move { token.ensure_cluster_id(&id).await }).await?.id)
            }
            found => found,
        };
        let agreed = self.remembered.agree(found.as_deref());
        if let Err(reason) = &agreed
            && self.state.frozen.as_ref() != Some(reason)
        {
            tracing::error!(reason, "nothing is moved, removed or changed");
        }
        if is_first {
            let cluster = self.cluster.clone();
            let supervisors = self.during(async move { cluster.supervisors().await }).await?;
            self.set_supervisors(&supervisors);
        }
        self.state.frozen = agreed.err();
        self.state.load(self.clock.now(), wall_ms(), topologies, assignments, tombstones);
        if is_first {
            let ids: Vec<TopologyId> = self.state.topologies.keys().cloned().collect();
            for id in ids {
                let (cluster, of) = (self.cluster.clone(), id.clone());
                // They are for people only: without them it goes on.
                match self.during(async move { cluster.errors(&of).await }).await {
                    Ok(Some(errors)) => {
                        let topology = self.state.topologies.get_mut(&id);
                        topology.into_iter().for_each(|topology| topology.remember_errors(&errors.value));
                    }
                    Ok(None) => {}
                    Err(error) => tracing::warn!(topology = %id, %error, "cannot read its last errors"),
                }
            }
        }
        Ok(())
    }

    /// Writes all changes in one transaction, and takes note of them.
    async fn commit(&mut self, mut changes: Vec<Change>) -> Result<(), Error> {
        let token = self.token.clone().ok_or(Error::Deposed)?;
        self.state.count_statuses(&mut changes);
        let result = self.write(&token, &changes).await;
        match result {
            Ok(versions) => {
                for (change, version) in changes.into_iter().zip(versions) {
                    self.state.apply(self.clock.now(), wall_ms(), change, version);
                }
                Ok(())
            }
            Err(error) => {
                // Whatever it was, what is there now is read before anything else is done.
                if !matches!(error, Error::TooLarge { .. }) {
                    self.is_loaded = false;
                    self.retry = self.clock.now();
                }
                Err(error)
            }
        }
    }

    async fn write(&mut self, token: &LeaderToken, changes: &[Change]) -> Result<Vec<i32>, Error> {
        let mut transaction = self.cluster.transaction();
        let mut removed = None;
        for change in changes {
            match change {
                Change::PutTopology(record) => match self.state.topologies.get(&record.id) {
                    Some(known) if !known.is_record_gone => {
                        transaction.set_topology(record, known.record.version)
                    }
                    // One that vanished is written again from memory, for somebody wants it to be there.
                    Some(_) | None => transaction.create_topology(record),
                },
                Change::PutAssignment(id, assignment) => {
                    let record = storm_cluster::AssignmentRecord { assignment: assignment.clone() };
                    let topology =
                        self.state.topologies.get(id).filter(|topology| !topology.is_assignment_gone);
                    let known = topology.and_then(|topology| topology.assignment.as_ref());
                    match known {
                        // Its version was not read with it, and nobody can have built on it.
                        _ if topology.is_some_and(|topology| topology.unreadable.is_some()) => {
                            transaction.replace_assignment(id, &record)
                        }
                        Some(known) => transaction.set_assignment(id, &record, known.version),
                        None => transaction.create_assignment(id, &record),
                    }
                }
                Change::PutCommand(record) => transaction.create_command(record),
                Change::Remove(tombstone) => {
                    removed = Some(tombstone.clone());
                    &mut transaction
                }
            };
        }
        let token = token.clone();
        let Some(tombstone) = removed else {
            return self.during(async move { token.multi(&transaction).await }).await;
        };
        let version = self.state.topologies.get(&tombstone.id).map_or(-1, |known| known.record.version);
        let id = tombstone.id.clone();
        self.during(async move { token.remove_topology(&tombstone, version, &transaction).await }).await?;
        tracing::info!(topology = %id, "topology removed");
        Ok(vec![-1; changes.len()])
    }

    // === What is noted now and then ===

    async fn keep_notes(&mut self) {
        let Some(token) = self.token.clone() else { return };
        let now = self.clock.now();
        let mut errors = Vec::new();
        for (id, topology) in &mut self.state.topologies {
            let is_time = topology.errors_written.is_none_or(|at| now.since(at) >= ERRORS_EVERY);
            if topology.errors_to_write && is_time && !topology.is_record_gone {
                topology.errors_to_write = false;
                topology.errors_written = Some(now);
                errors.push((id.clone(), topology.errors_record()));
            }
        }
        for (id, record) in errors {
            let (token, of) = (token.clone(), id.clone());
            if let Err(error) = self.during(async move { token.put_errors(&of, &record).await }).await {
                tracing::debug!(topology = %id, %error, "cannot keep its errors");
                let topology = self.state.topologies.get_mut(&id);
                topology.into_iter().for_each(|topology| topology.errors_to_write = true);
            }
        }
        if now >= self.note {
            self.note = now + NOTE_EVERY;
            let waiting = self.state.topologies.values().filter(|topology| !topology.is_record_gone);
            let waiting = waiting.filter_map(|topology| {
                let wait = topology.wait?;
                let mut record = topology.record().clone();
                let elapsed = u64::try_from(wait.elapsed(now).as_millis()).unwrap_or(u64::MAX);
                record.pending.as_mut()?.elapsed_ms = elapsed;
                Some(Change::PutTopology(Box::new(record)))
            });
            for change in waiting.collect::<Vec<_>>() {
                if let Err(error) = self.commit(vec![change]).await {
                    tracing::debug!(%error, "cannot note how much of a wait has passed");
                    return;
                }
            }
        }
        if now >= self.sweep {
            self.sweep = now + SWEEP_EVERY;
            let cluster = self.cluster.clone();
            if let Err(error) = self.during(sweep(cluster, token)).await {
                tracing::debug!(%error, "cannot sweep old answers and tombstones");
            }
        }
    }
}

/// Forgets answers and tombstones that nobody asks for any more.
async fn sweep(cluster: Cluster, token: LeaderToken) -> Result<(), Error> {
    let now = wall_ms();
    let mut old = Vec::new();
    for (id, command) in cluster.commands().await? {
        if command.is_ok_and(|command| now.saturating_sub(command.value.done_ms) > COMMANDS_KEPT_MS) {
            old.push(cluster.paths().command(&id));
        }
    }
    for (id, tombstone) in cluster.tombstones().await? {
        if tombstone.is_ok_and(|t| now.saturating_sub(t.value.killed_ms) > TOMBSTONES_KEPT_MS) {
            old.push(cluster.paths().tombstone(&id));
        }
    }
    for some in old.chunks(SWEPT_AT_ONCE) {
        let mut transaction = cluster.transaction();
        some.iter().for_each(|path| {
            transaction.delete(path, None);
        });
        token.multi(&transaction).await?;
    }
    Ok(())
}

/// What a command is told when ZooKeeper refuses or does not answer.
fn refused(error: &Error) -> CallError {
    match error {
        Error::TooLarge { .. } => CallError::invalid(error.to_string()),
        Error::Deposed => CallError::no_leader(),
        // The same command again finds out what became of the first.
        _ => CallError { message: error.to_string(), ..CallError::no_leader() },
    }
}
