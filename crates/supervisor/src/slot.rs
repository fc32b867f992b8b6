//! One slot: what should run on a port, what runs there, and what to do about the difference. Pure.
//!
//! ```text
//!            assigned            blob ready             attached
//!  Empty ─────────────► Localizing ───────► Starting ────────────► Running
//!    ▲                    ▲      ▲             │   exited, silent     │
//!    │ withdrawn          │      └─ BackingOff ◄──────────────────────┤
//!    │                    │ other work                                │
//!    └──────────────── Stopping ◄─────────────────────────────────────┘
//!                                  withdrawn, other work, restart asked
//! ```
//!
//! An exit is seen in every state. The first restart is at once, the next after 0.5 s, then twice as
//! long each time up to 30 s; a worker that was attached for a minute starts that count anew. A worker
//! that is silent for too long is killed without being asked: it cannot hear. Before each start the
//! number of restarts is kept on disk, so that it never goes back.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use storm_model::{AssignedExecutor, Incarnation, Time, TopologyId};

use crate::process::ProcessId;

/// Wait before the second restart in a row.
const BACK_OFF_FIRST: Duration = Duration::from_millis(500);
/// The longest wait before a restart.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// So long a worker has to be attached until its failures are forgiven.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// Failures within so long are reported.
const RECENT: Duration = Duration::from_secs(60);
/// A worker that was adopted has at least so long to attach again.
const ADOPTION_GRACE: Duration = Duration::from_secs(15);
/// A process that has not ended after SIGKILL is killed again after so long.
const KILL_AGAIN: Duration = Duration::from_secs(3);
/// When nothing was stepped for longer, this supervisor itself was stopped, and no silence counts.
const STALL: Duration = Duration::from_secs(2);
/// Assignments of this slot whose restarts are remembered. Beyond it the oldest is forgotten; Nimbus
/// never gives its number again.
const COUNTERS: usize = 16;

/// How patient a slot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the start of a process until it attaches.
    pub start: Duration,
    /// From a worker's report until the next.
    pub silence: Duration,
    /// From the order to stop to SIGTERM, and from there to SIGKILL.
    pub stop: Duration,
}

/// What a slot is to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// The topology.
    pub topology: TopologyId,
    /// Number of the incarnation.
    pub number: u64,
    /// Executors, sorted.
    pub executors: Vec<AssignedExecutor>,
    /// SHA-256 of the binary.
    pub digest: String,
    /// Patience with a silent worker, where the topology asks for more than the supervisor's.
    pub silence_ms: Option<u64>,
}

impl Work {
    /// Whether a process that runs this needs no change to run the other.
    pub fn is_same(&self, other: &Work) -> bool {
        self.topology == other.topology && self.number == other.number && self.executors == other.executors
    }
}

/// One life of a worker of one topology.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Life {
    /// Of which topology.
    pub topology: TopologyId,
    /// Which life.
    pub incarnation: Incarnation,
}

/// What happens to a slot.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The newest assignment lists this slot.
    Assigned(Work),
    /// A newer assignment does not list it any more, or its topology has a tombstone.
    Withdrawn,
    /// The binary lies on disk.
    BlobReady {
        /// Which.
        digest: String,
    },
    /// The binary could not be fetched.
    BlobFailed {
        /// Which.
        digest: String,
        /// Why.
        error: String,
        /// This machine is at fault (its disk, say), so that another one may do better.
        is_local: bool,
    },
    /// The process of [`Effect::Start`] runs.
    Started {
        /// Whose.
        life: Life,
        /// Which.
        process: ProcessId,
    },
    /// There is no process for an [`Effect::Start`].
    StartFailed {
        /// Whose.
        life: Life,
        /// Why.
        error: String,
    },
    /// The process has ended.
    Exited {
        /// Whose.
        life: Life,
        /// In words.
        how: String,
    },
    /// The worker has attached, or has reported.
    Heard {
        /// Who.
        life: Life,
    },
    /// Somebody wants the worker to be started again.
    RestartAsked,
    /// This supervisor ends and takes its workers along.
    Closed,
    /// The machine is unhealthy, or well again: until then nothing runs here, whatever is assigned.
    Barred(bool),
    /// Time has passed.
    Ticked,
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Keep [`Slot::kept`] on disk before anything that follows.
    Save,
    /// See that the blob is there; answered by [`Event::BlobReady`] or [`Event::BlobFailed`].
    Fetch {
        /// Which.
        digest: String,
    },
    /// Start a process; answered by [`Event::Started`] or [`Event::StartFailed`].
    Start {
        /// Its life.
        life: Life,
        /// What it runs.
        work: Work,
    },
    /// Tell the worker to end in good order.
    OrderStop {
        /// Whom.
        life: Life,
        /// Within so long.
        within: Duration,
        /// Why.
        reason: &'static str,
    },
    /// Signal its process and all that it has started.
    Signal {
        /// Whom.
        life: Life,
        /// SIGKILL instead of SIGTERM.
        kill: bool,
    },
    /// Tell Nimbus.
    Report,
}

/// Where a slot stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is to run.
    Empty,
    /// Waits for the binary.
    Localizing {
        /// Asks again then; `None` while it is being fetched.
        retry_at: Option<Time>,
        /// Failures in a row.
        attempts: u32,
    },
    /// Has ended and is started again then.
    BackingOff {
        /// When.
        until: Time,
    },
    /// The process was started and has not attached.
    Starting {
        /// Since when.
        since: Time,
    },
    /// Is attached.
    Running {
        /// Since when.
        since: Time,
        /// When it was heard last.
        heard: Time,
    },
    /// Is to end.
    Stopping {
        /// How it was told.
        phase: StopPhase,
        /// When it is told more clearly.
        until: Time,
        /// It had failed already.
        failure: Option<String>,
    },
}

/// How a worker was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopPhase {
    /// By an order.
    Asked,
    /// By SIGTERM.
    Terminated,
    /// By SIGKILL.
    Killed,
}

/// The process of a slot, from before its start until its end was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// What it runs.
    pub work: Work,
    /// How often it was started before.
    pub restarts: u64,
    /// The process; `None` until it is known.
    pub process: Option<ProcessId>,
    /// It has attached once.
    pub has_attached: bool,
}

impl Tenant {
    /// Its life.
    pub fn life(&self) -> Life {
        let incarnation = Incarnation { number: self.work.number, restarts: self.restarts };
        Life { topology: self.work.topology.clone(), incarnation }
    }
}

/// How often the worker of an assignment was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counter {
    topology: TopologyId,
    number: u64,
    next: u64,
}

/// What of a slot survives its supervisor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What should run.
    pub wanted: Option<Work>,
    /// What may run.
    pub tenant: Option<Tenant>,
    counters: Vec<Counter>,
    /// Where counting begins for assignments without a counter; above 0 once counters were lost.
    #[serde(default)]
    floor: u64,
}

impl Kept {
    /// A slot whose file was lost: what is known of starts, as topology, number and the restarts that come
    /// next; and the number that all others begin with.
    pub fn recovered(starts: impl IntoIterator<Item = (TopologyId, u64, u64)>, floor: u64) -> Kept {
        let counters = starts.into_iter().map(|(topology, number, next)| Counter { topology, number, next });
        Kept { counters: counters.collect(), floor, ..Kept::default() }
    }
}

/// A slot.
#[derive(Clone, Debug)]
pub struct Slot {
    patience: Patience,
    kept: Kept,
    state: State,
    /// When the worker failed last, the oldest first; at most what fits into [`RECENT`].
    failures: VecDeque<Time>,
    failures_in_a_row: u32,
    problem: String,
    is_closed: bool,
    is_barred: bool,
    last_step: Time,
}

// === Reading ===

impl Slot {
    /// A slot as it was kept. `is_alive` tells whether the process of its tenant still lives: then it is
    /// adopted and has time to attach again, otherwise it is started again at the next step.
    pub fn new(now: Time, patience: Patience, mut kept: Kept, is_alive: bool) -> Slot {
        if !is_alive {
            kept.tenant = None;
        }
        let state = match &kept.tenant {
            None => State::Empty,
            Some(tenant) if tenant.has_attached => State::Running { since: now, heard: now + ADOPTION_GRACE },
            Some(_) => State::Starting { since: now },
        };
        Slot {
            patience,
            kept,
            state,
            failures: VecDeque::new(),
            failures_in_a_row: 0,
            problem: String::new(),
            is_closed: false,
            is_barred: false,
            last_step: now,
        }
    }

    /// What of it survives.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What should run.
    pub fn wanted(&self) -> Option<&Work> {
        self.kept.wanted.as_ref()
    }

    /// What runs, or is about to end.
    pub fn tenant(&self) -> Option<&Tenant> {
        self.kept.tenant.as_ref()
    }

    /// The life that runs, else the last one of the work that is wanted.
    pub fn incarnation(&self) -> Option<Life> {
        if let Some(tenant) = &self.kept.tenant {
            return Some(tenant.life());
        }
        let Work { topology, number, .. } = self.kept.wanted.as_ref()?;
        let counter = self.counter(topology, *number);
        let restarts = counter.map_or(self.kept.floor, |counter| counter.next.saturating_sub(1));
        let incarnation = Incarnation { number: *number, restarts };
        Some(Life { topology: topology.clone(), incarnation })
    }

    /// The restarts that the next life of what is wanted will have.
    pub fn next_restarts(&self) -> u64 {
        let wanted = self.kept.wanted.as_ref();
        let counter = wanted.and_then(|work| self.counter(&work.topology, work.number));
        counter.map_or(self.kept.floor, |counter| counter.next)
    }

    /// How often it failed within the last minute.
    pub fn recent_failures(&self, now: Time) -> u32 {
        self.failures.iter().filter(|failure| now.since(**failure) < RECENT).count() as u32
    }

    /// Why the worker ended or does not start; empty while all is well.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Whether its worker was heard of within its time.
    pub fn is_silent(&self, now: Time) -> bool {
        match self.state {
            State::Running { heard, .. } => now.since(heard) > self.silence(),
            State::Stopping { ref failure, .. } => failure.is_some(),
            _ => false,
        }
    }

    /// When it has to be stepped at the latest; `None`: not before something happens.
    pub fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Empty => None,
            State::Localizing { retry_at, .. } => retry_at,
            State::BackingOff { until } | State::Stopping { until, .. } => Some(until),
            State::Starting { since } => Some(since + self.patience.start),
            State::Running { heard, .. } => Some(heard + self.silence()),
        }
    }

    fn silence(&self) -> Duration {
        let asked = self.kept.tenant.as_ref().and_then(|tenant| tenant.work.silence_ms);
        self.patience.silence.max(Duration::from_millis(asked.unwrap_or(0)))
    }

    fn counter(&self, topology: &TopologyId, number: u64) -> Option<&Counter> {
        self.kept.counters.iter().find(|c| c.topology == *topology && c.number == number)
    }
}

// === Stepping ===

impl Slot {
    /// Takes in what has happened and says what is to be done.
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Effect> {
        let now = now.max(self.last_step);
        self.forgive_stall(now);
        let before = self.outline();
        let mut effects = Vec::new();
        self.take_in(now, event, &mut effects);
        self.settle(now, &mut effects);
        if self.outline() != before {
            effects.push(Effect::Report);
        }
        effects
    }

    /// What Nimbus is told at once when it changes.
    fn outline(&self) -> (std::mem::Discriminant<State>, Option<Life>, usize) {
        let failures = self.failures.len();
        (std::mem::discriminant(&self.state), self.kept.tenant.as_ref().map(Tenant::life), failures)
    }

    /// While this supervisor did not run it could not hear: that time is no silence.
    fn forgive_stall(&mut self, now: Time) {
        let gap = now.since(self.last_step);
        self.last_step = now;
        if gap <= STALL {
            return;
        }
        match &mut self.state {
            State::Running { heard, .. } => *heard = *heard + gap,
            State::Starting { since } => *since = *since + gap,
            _ => {}
        }
    }

    fn take_in(&mut self, now: Time, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Assigned(work) => self.assigned(work, effects),
            Event::Withdrawn => {
                if self.kept.wanted.take().is_some() {
                    self.forget_failures();
                    effects.push(Effect::Save);
                }
            }
            Event::BlobReady { digest } => self.blob_ready(now, &digest, effects),
            Event::BlobFailed { digest, error, is_local } => self.blob_failed(now, &digest, error, is_local),
            Event::Started { life, process } => self.started(&life, process, effects),
            Event::StartFailed { life, error } => {
                if self.is_tenant(&life) {
                    self.ended(now, format!("could not be started: {error}"), effects);
                }
            }
            Event::Exited { life, how } => {
                if self.is_tenant(&life) {
                    self.ended(now, how, effects);
                }
            }
            Event::Heard { life } => self.heard(now, &life, effects),
            Event::RestartAsked => match self.state {
                State::Starting { .. } | State::Running { .. } => {
                    self.begin_stop(now, "a restart was asked for", effects);
                }
                State::BackingOff { .. } => self.state = State::BackingOff { until: now },
                _ => {}
            },
            Event::Closed => self.is_closed = true,
            Event::Barred(is_barred) => self.is_barred = is_barred,
            Event::Ticked => {}
        }
    }

    fn assigned(&mut self, work: Work, effects: &mut Vec<Effect>) {
        if self.kept.wanted.as_ref() == Some(&work) {
            return;
        }
        let is_other = !self.kept.wanted.as_ref().is_some_and(|wanted| wanted.is_same(&work));
        self.kept.wanted = Some(work);
        effects.push(Effect::Save);
        if is_other {
            self.forget_failures();
            if matches!(self.state, State::Localizing { .. } | State::BackingOff { .. }) {
                self.state = State::Empty;
            }
        }
    }

    fn blob_ready(&mut self, now: Time, digest: &str, effects: &mut Vec<Effect>) {
        let State::Localizing { .. } = self.state else { return };
        let Some(work) = self.kept.wanted.clone().filter(|work| work.digest == digest) else { return };
        if self.is_closed || self.is_barred {
            return;
        }
        let tenant = Tenant { restarts: self.count_start(&work), work, process: None, has_attached: false };
        let life = tenant.life();
        let work = tenant.work.clone();
        self.kept.tenant = Some(tenant);
        self.state = State::Starting { since: now };
        effects.push(Effect::Save);
        effects.push(Effect::Start { life, work });
    }

    fn count_start(&mut self, work: &Work) -> u64 {
        let floor = self.kept.floor;
        let counters = &mut self.kept.counters;
        let known = counters.iter().position(|c| c.topology == work.topology && c.number == work.number);
        // The one in use stands last, so that the first is the one to be forgotten.
        let mut counter = known.map_or_else(
            || Counter { topology: work.topology.clone(), number: work.number, next: floor },
            |at| counters.remove(at),
        );
        let restarts = counter.next;
        counter.next += 1;
        counters.push(counter);
        if counters.len() > COUNTERS {
            counters.remove(0);
        }
        restarts
    }

    fn blob_failed(&mut self, now: Time, digest: &str, error: String, is_local: bool) {
        let State::Localizing { attempts, .. } = self.state else { return };
        if self.kept.wanted.as_ref().is_none_or(|work| work.digest != digest) {
            return;
        }
        // At once is too soon for what has to come over the network.
        let wait = back_off(attempts + 1);
        self.state = State::Localizing { retry_at: Some(now + wait), attempts: attempts + 1 };
        self.problem = error;
        if is_local {
            self.note_failure(now);
        }
    }

    fn started(&mut self, life: &Life, process: ProcessId, effects: &mut Vec<Effect>) {
        let phase = match &self.state {
            State::Stopping { phase, .. } => Some(*phase),
            _ => None,
        };
        let Some(tenant) = self.kept.tenant.as_mut().filter(|tenant| tenant.life() == *life) else { return };
        tenant.process = Some(process);
        effects.push(Effect::Save);
        // Whoever was told before it could hear is told again.
        match phase {
            Some(StopPhase::Terminated) => effects.push(Effect::Signal { life: life.clone(), kill: false }),
            Some(StopPhase::Killed) => effects.push(Effect::Signal { life: life.clone(), kill: true }),
            Some(StopPhase::Asked) | None => {}
        }
    }

    fn heard(&mut self, now: Time, life: &Life, effects: &mut Vec<Effect>) {
        let Some(tenant) = self.kept.tenant.as_mut().filter(|tenant| tenant.life() == *life) else { return };
        let is_first = !std::mem::replace(&mut tenant.has_attached, true);
        match &mut self.state {
            State::Starting { .. } => {
                self.state = State::Running { since: now, heard: now };
                self.problem.clear();
            }
            State::Running { heard, .. } => *heard = now.max(*heard),
            _ => {}
        }
        if is_first {
            effects.push(Effect::Save);
        }
    }

    fn is_tenant(&self, life: &Life) -> bool {
        self.kept.tenant.as_ref().is_some_and(|tenant| tenant.life() == *life)
    }

    /// The process is no more.
    fn ended(&mut self, now: Time, how: String, effects: &mut Vec<Effect>) {
        let Some(tenant) = self.kept.tenant.take() else { return };
        effects.push(Effect::Save);
        let failure = match &mut self.state {
            State::Stopping { failure, .. } => failure.take(),
            State::Running { since, .. } => {
                if now.since(*since) >= HEALTHY_AFTER {
                    self.failures_in_a_row = 0;
                }
                Some(how)
            }
            _ => Some(how),
        };
        self.state = State::Empty;
        let is_wanted = self.kept.wanted.as_ref().is_some_and(|wanted| wanted.is_same(&tenant.work));
        if let Some(failure) = failure.filter(|_| is_wanted) {
            self.state = State::BackingOff { until: now + back_off(self.failures_in_a_row) };
            self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
            self.problem = failure;
            self.note_failure(now);
        }
    }

    fn note_failure(&mut self, now: Time) {
        self.failures.retain(|failure| now.since(*failure) < RECENT);
        self.failures.push_back(now);
    }

    fn forget_failures(&mut self) {
        self.failures.clear();
        self.failures_in_a_row = 0;
        self.problem.clear();
    }

    /// Goes on until nothing more follows from what is known and what time it is.
    fn settle(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let wanted = self.kept.wanted.as_ref().filter(|_| !self.is_closed && !self.is_barred);
        match &self.state {
            State::Empty => {
                if let Some(work) = wanted {
                    effects.push(Effect::Fetch { digest: work.digest.clone() });
                    self.state = State::Localizing { retry_at: None, attempts: 0 };
                }
            }
            State::Localizing { retry_at, attempts } => match wanted {
                None => self.state = State::Empty,
                Some(work) if retry_at.is_some_and(|at| at <= now) => {
                    effects.push(Effect::Fetch { digest: work.digest.clone() });
                    self.state = State::Localizing { retry_at: None, attempts: *attempts };
                }
                Some(_) => {}
            },
            State::BackingOff { until } => {
                if wanted.is_none() || *until <= now {
                    self.state = State::Empty;
                    self.settle(now, effects);
                }
            }
            State::Starting { since } => {
                let is_late = now.since(*since) > self.patience.start;
                let after = format!("did not attach within {} s", self.patience.start.as_secs());
                self.watch_tenant(now, is_late.then_some(after), effects);
            }
            State::Running { heard, .. } => {
                let is_late = now.since(*heard) > self.silence();
                let after = format!("reported nothing for {} s", self.silence().as_secs());
                self.watch_tenant(now, is_late.then_some(after), effects);
            }
            State::Stopping { phase, until, .. } => {
                if *until <= now {
                    let phase = *phase;
                    self.stop_harder(now, phase, effects);
                }
            }
        }
    }

    fn watch_tenant(&mut self, now: Time, late: Option<String>, effects: &mut Vec<Effect>) {
        let Some(tenant) = &self.kept.tenant else { return };
        let wanted = self.kept.wanted.as_ref();
        if self.is_closed {
            self.begin_stop(now, "its supervisor ends", effects);
        } else if self.is_barred {
            self.begin_stop(now, "its machine is unhealthy", effects);
        } else if !wanted.is_some_and(|wanted| wanted.is_same(&tenant.work)) {
            self.begin_stop(now, "its assignment has changed", effects);
        } else if let Some(failure) = late {
            let (life, is_launched) = (tenant.life(), tenant.process.is_some());
            self.problem.clone_from(&failure);
            let (phase, until) = (StopPhase::Killed, now + KILL_AGAIN);
            self.state = State::Stopping { phase, until, failure: Some(failure) };
            if is_launched {
                effects.push(Effect::Signal { life, kill: true });
            }
        }
    }

    fn begin_stop(&mut self, now: Time, reason: &'static str, effects: &mut Vec<Effect>) {
        let Some(tenant) = &self.kept.tenant else { return };
        if tenant.has_attached {
            effects.push(Effect::OrderStop { life: tenant.life(), within: self.patience.stop, reason });
            let (phase, until) = (StopPhase::Asked, now + self.patience.stop);
            self.state = State::Stopping { phase, until, failure: None };
        } else {
            self.state = State::Stopping { phase: StopPhase::Asked, until: now, failure: None };
            self.stop_harder(now, StopPhase::Asked, effects);
        }
    }

    fn stop_harder(&mut self, now: Time, phase: StopPhase, effects: &mut Vec<Effect>) {
        let Some(tenant) = &self.kept.tenant else { return };
        let State::Stopping { failure, .. } = &self.state else { return };
        let failure = failure.clone();
        let kill = phase != StopPhase::Asked;
        if tenant.process.is_some() {
            effects.push(Effect::Signal { life: tenant.life(), kill });
        }
        self.state = if kill {
            State::Stopping { phase: StopPhase::Killed, until: now + KILL_AGAIN, failure }
        } else {
            State::Stopping { phase: StopPhase::Terminated, until: now + self.patience.stop, failure }
        };
    }
}

/// How long to wait after so many failures in a row.
fn back_off(failures_before: u32) -> Duration {
    match failures_before {
        0 => Duration::ZERO,
        n => BACK_OFF_FIRST.saturating_mul(1 << (n - 1).min(16)).min(BACK_OFF_MAX),
    }
}

#[cfg(test)]
mod tests;
