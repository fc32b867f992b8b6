//! The loop of a Nimbus: one task that knows the state, over one closed list of events.
//!
//! It alone writes, one transaction after the other, with the leader's token; so nothing that it reads
//! is older than what it wrote. It acts on every event at once. What changed without an event is found
//! by the slow tick, which reads everything again.
//!
//! A write that fails changes nothing here. When its outcome is unknown, everything is read again
//! before anything else happens.

use std::time::Duration;

use storm_cluster::{
    Children, Cluster, CommandRecord, Election, Error, LeaderToken, Leadership, SessionState, Snapshot,
    SupervisorRecord,
};
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
    SupervisorReported(Time, Box<v1::SupervisorReport>),
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

/// The loop and what it knows.
pub(crate) struct Monitor {
    options: Options,
    clock: Clock,
    cluster: Cluster,
    remembered: Remembered,
    token: Option<LeaderToken>,
    /// Whether it leads, for the service.
    leading: watch::Sender<bool>,
    /// Whether the records were read since this process leads and none of its writes is in doubt.
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
        leading: watch::Sender<bool>,
    ) -> Monitor {
        let state = State::new(Liveness::new(options.supervisor_timeout));
        let remembered = Remembered::new(&options.directory());
        let now = clock.now();
        Monitor {
            options,
            clock,
            cluster,
            remembered,
            token: None,
            leading,
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
    pub(crate) async fn run(mut self, mut events: mpsc::Receiver<Event>, election: &mut Election) {
        let mut session = self.cluster.state();
        let mut supervisors = self.cluster.watch_supervisors();
        let mut event = Event::LeadershipChanged(election.leadership());
        loop {
            self.handle(event).await;
            // Reports come in crowds; the rest is done once for all that are here.
            for _ in 0..EVENTS {
                let Ok(next) = events.try_recv() else { break };
                self.handle(next).await;
            }
            self.act().await;
            let until = self.next_tick().since(self.clock.now());
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
                next = events.recv() => match next {
                    Some(next) => next,
                    None => return,
                },
                () = tokio::time::sleep(until) => Event::Ticked,
            };
        }
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
                self.leading.send_replace(true);
                self.is_loaded = false;
                self.retry = self.clock.now();
                self.state = State::new(Liveness::new(self.options.supervisor_timeout));
            }
            Event::LeadershipChanged(Leadership::Following) => self.step_down(),
            Event::SessionChanged => self.listen(),
            Event::SupervisorsChanged(Snapshot::Present(supervisors)) => self.set_supervisors(&supervisors),
            // Not known is not gone.
            Event::SupervisorsChanged(_) | Event::Ticked => {}
            Event::SupervisorReported(at, report) => {
                self.state.supervisor_reported(at, wall_ms(), *report);
            }
            Event::WorkerReported(at, report, reply) => {
                let id = report.topology_id.clone();
                self.state.worker_reported(at, *report);
                reply.send(self.worker_reply(&id)).ok();
            }
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
            Event::Asked(question) => {
                let is_ready = self.is_ready();
                question.answer(
                    &mut self.state,
                    self.clock.now(),
                    wall_ms(),
                    is_ready,
                    self.trouble.as_deref(),
                );
            }
        }
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
        self.leading.send_replace(false);
        if self.token.take().is_some() {
            tracing::info!("this nimbus does not lead any more");
        }
        self.is_loaded = false;
        self.state = State::new(Liveness::new(self.options.supervisor_timeout));
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

    fn worker_reply(&self, id: &str) -> Result<v1::WorkerReportReply, CallError> {
        if !self.is_ready() {
            return Err(CallError::no_leader());
        }
        let topology = self.state.topologies.get(id).ok_or_else(|| CallError::no_such_topology(id))?;
        let assignment = topology.assignment().map(|a| (&TopologyId::from(id), a).into());
        let state = v1::TopologyState::from(topology.record().status).into();
        Ok(v1::WorkerReportReply { assignment, state })
    }

    async fn command(&mut self, command: &Command) -> Result<Answer, CallError> {
        self.load_if_needed().await;
        if !self.is_ready() {
            return Err(CallError::no_leader());
        }
        let known = self.cluster.command(command.id()).await.map_err(|error| self.refused(&error))?;
        if let Some(record) = known {
            return Ok(Answer::from_json(&record.value.answer));
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
            self.commit(decision.changes).await.map_err(|error| self.refused(&error))?;
        }
        self.submits += u64::from(matches!(command, Command::Submit(_)));
        let answer = &decision.answer;
        tracing::info!(id = command.id(), topology = answer.topology_id, "command carried out");
        Ok(decision.answer)
    }

    /// What a command is told when ZooKeeper refuses or does not answer.
    fn refused(&self, error: &Error) -> CallError {
        match error {
            Error::TooLarge { .. } => CallError::invalid(error.to_string()),
            Error::Absent { .. } => CallError::other(error.to_string()),
            Error::Deposed => CallError::no_leader(),
            // The same command again finds out what became of the first.
            _ => CallError { message: error.to_string(), ..CallError::no_leader() },
        }
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
                match self.commit(changes).await {
                    Ok(()) => {}
                    // It will not become smaller by itself, and the others shall not wait for it.
                    Err(error @ Error::TooLarge { .. }) => {
                        tracing::error!(%error, "cannot write");
                        self.state.record_problems.push(error.to_string());
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
                self.trouble = None;
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
        let is_first = !self.is_loaded;
        if is_first {
            self.cluster.sync().await?;
        }
        let found = self.cluster.cluster_id().await?.map(|record| record.value.id);
        let topologies = self.cluster.topologies().await?;
        let found = match found {
            // The first leader of a new cluster, as far as anybody knows.
            None if topologies.is_empty() && self.remembered.read().is_ok_and(|id| id.is_none()) => {
                let id = storm_rpc::nimbus_client::command_id();
                Some(token.ensure_cluster_id(&id).await?.id)
            }
            found => found,
        };
        let agreed = self.remembered.agree(found.as_deref());
        if let Err(reason) = &agreed
            && self.state.frozen.as_ref() != Some(reason)
        {
            tracing::error!(reason, "nothing is moved, removed or changed");
        }
        let assignments = self.cluster.assignments().await?;
        if is_first {
            let supervisors = self.cluster.supervisors().await?;
            self.set_supervisors(&supervisors);
        }
        self.state.frozen = agreed.err();
        self.state.load(self.clock.now(), wall_ms(), topologies, assignments);
        if is_first {
            for (id, topology) in &mut self.state.topologies {
                // They are for people only: without them it goes on.
                match self.cluster.errors(id).await {
                    Ok(Some(errors)) => topology.remember_errors(&errors.value),
                    Ok(None) => {}
                    Err(error) => tracing::warn!(topology = %id, %error, "cannot read its last errors"),
                }
            }
        }
        Ok(())
    }

    /// Writes all changes in one transaction, and takes note of them.
    async fn commit(&mut self, changes: Vec<Change>) -> Result<(), Error> {
        let token = self.token.clone().ok_or(Error::Deposed)?;
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

    async fn write(&self, token: &LeaderToken, changes: &[Change]) -> Result<Vec<i32>, Error> {
        let mut transaction = self.cluster.transaction();
        let mut removed = None;
        for change in changes {
            match change {
                Change::PutTopology(record) => match self.state.topologies.get(&record.id) {
                    Some(known) => transaction.set_topology(record, known.record.version),
                    None => transaction.create_topology(record),
                },
                Change::PutAssignment(id, assignment) => {
                    let record = storm_cluster::AssignmentRecord { assignment: assignment.clone() };
                    let topology =
                        self.state.topologies.get(id).filter(|topology| !topology.is_assignment_gone);
                    let known = topology.and_then(|topology| topology.assignment.as_ref());
                    match known {
                        Some(known) => transaction.set_assignment(id, &record, known.version),
                        None => transaction.create_assignment(id, &record),
                    }
                }
                Change::PutCommand(record) => transaction.create_command(record),
                Change::Remove(tombstone) => {
                    removed = Some(tombstone);
                    &mut transaction
                }
            };
        }
        let Some(tombstone) = removed else { return token.multi(&transaction).await };
        let version = self.state.topologies.get(&tombstone.id).map_or(-1, |known| known.record.version);
        token.remove_topology(tombstone, version, &transaction).await?;
        tracing::info!(topology = %tombstone.id, "topology removed");
        Ok(vec![-1; changes.len()])
    }

    // === What is noted now and then ===

    async fn keep_notes(&mut self) {
        let Some(token) = self.token.clone() else { return };
        let now = self.clock.now();
        for (id, topology) in &mut self.state.topologies {
            let is_time = topology.errors_written.is_none_or(|at| now.since(at) >= ERRORS_EVERY);
            if topology.errors_to_write && is_time {
                topology.errors_to_write = false;
                topology.errors_written = Some(now);
                if let Err(error) = token.put_errors(id, &topology.errors_record()).await {
                    tracing::debug!(topology = %id, %error, "cannot keep its errors");
                    topology.errors_to_write = true;
                }
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
            if let Err(error) = self.sweep(&token).await {
                tracing::debug!(%error, "cannot sweep old answers and tombstones");
            }
        }
    }

    /// Forgets answers and tombstones that nobody asks for any more.
    async fn sweep(&self, token: &LeaderToken) -> Result<(), Error> {
        let now = wall_ms();
        for (id, command) in self.cluster.commands().await? {
            if command.is_ok_and(|command| now.saturating_sub(command.value.done_ms) > COMMANDS_KEPT_MS) {
                token.multi(self.cluster.transaction().delete_command(&id)).await?;
            }
        }
        for (id, tombstone) in self.cluster.tombstones().await? {
            if tombstone.is_ok_and(|t| now.saturating_sub(t.value.killed_ms) > TOMBSTONES_KEPT_MS) {
                token.multi(self.cluster.transaction().delete_tombstone(&id)).await?;
            }
        }
        Ok(())
    }
}
