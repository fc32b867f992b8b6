//! Runs the tasks of a spout: takes acks, expires, asks for tuples - in this order, so that an ack
//! that is there always wins over a timeout.

mod figures;
mod lifecycle;

use std::sync::Arc;
use std::time::Duration;

use storm_figures::Latency;
use storm_model::{TaskId, Time};
use storm_row::RowBuilder;
use storm_topology::builder::SpoutFactory;
use storm_topology::{AnySpout, ComponentError, FailCause, Next, Outputs, TaskHook};

use crate::acks::News;
use crate::bolt_executor::LOAD_REFRESH;
use crate::directory::Directory;
use crate::emit::{Emitter, SpoutCall};
use crate::executor::{Step, TaskMaker, earlier};
use crate::lanes::{Control, Lanes};
use crate::ledger::{Ended, Ledger};
use crate::pace::Pace;
use crate::panics;
use crate::port::ExecutorPort;
use crate::report::ErrorKind;
use crate::run::Event;

/// First pause of a spout that has nothing and no waker; it doubles up to [`MAX_IDLE`].
const MIN_IDLE: Duration = Duration::from_millis(1);
/// Longest pause of a spout that has nothing and no waker.
const MAX_IDLE: Duration = Duration::from_millis(10);
/// Longest pause after an error of `next_tuple`; the first is a sixteenth of it.
const MAX_ERROR_PAUSE: Duration = Duration::from_secs(1);
/// A `next_tuple` that takes longer is reported, where each thread has a core.
pub(crate) const SLOW: Duration = Duration::from_millis(100);

/// The tasks of one spout executor and all that they need.
pub(crate) struct SpoutExecutor {
    pub(crate) me: u32,
    pub(crate) directory: Arc<Directory>,
    pub(crate) lanes: Lanes,
    pub(crate) port: Arc<ExecutorPort>,
    pub(crate) builder: RowBuilder,
    pub(crate) emitter: Emitter,
    pub(crate) maker: TaskMaker,
    pub(crate) factory: SpoutFactory,
    pub(crate) tasks: Vec<SpoutTask>,
    pub(crate) max_pending: usize,
    /// A `next_tuple` that takes longer is reported.
    pub(crate) slow: Duration,
    pub(crate) is_tracking: bool,
    /// Whether its tuples can get into a cycle.
    pub(crate) is_above_cycle: bool,
    pub(crate) state: SpoutState,
}

/// One task.
pub(crate) struct SpoutTask {
    id: TaskId,
    /// None while a new instance could not be opened after a panic.
    spout: Option<Box<dyn AnySpout>>,
    hooks: Vec<Box<dyn TaskHook>>,
    ledger: Ledger,
    mood: Mood,
    idle_pause: Duration,
    error_pause: Duration,
    has_waker: bool,
    is_activated: bool,
    incarnation: u64,
    panics: u32,
    tracked: u64,
    replayed: u64,
    /// By stream.
    ended: Vec<TreeCounts>,
    lost: u64,
}

/// What became of the trees of one task and stream.
#[derive(Clone, Default)]
struct TreeCounts {
    acked: u64,
    failed: u64,
    complete: Latency,
}

/// When a task is to be asked for tuples.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    /// Now.
    Ready,
    /// When woken, after an ack or fail, or at this moment.
    Idle(Option<Time>),
    /// When woken, or at this moment.
    Until(Time),
    /// At this moment: it had an error, or keeps panicking.
    Pause(Time),
    /// After a fail.
    Done,
    /// It has no prepared instance; another try at this moment.
    Broken(Time),
}

/// What changes from step to step.
pub(crate) struct SpoutState {
    is_started: bool,
    is_active: bool,
    pace: Pace,
    last_step: Time,
    was_busy: bool,
    calls: usize,
    running: usize,
    next_rank: usize,
    next_refresh: Time,
    started: Time,
    busy: Duration,
    ended: Vec<Ended>,
    /// Roots of trees that nobody receives.
    unreceived: Vec<u64>,
    was_done: bool,
    is_loop_paused: bool,
}

impl SpoutState {
    pub(crate) fn new(message_timeout: Duration, is_active: bool, now: Time) -> SpoutState {
        SpoutState {
            is_started: false,
            is_active,
            pace: Pace::new(message_timeout),
            last_step: now,
            was_busy: false,
            calls: 0,
            running: 0,
            next_rank: 0,
            next_refresh: now + LOAD_REFRESH,
            started: now,
            busy: Duration::ZERO,
            ended: Vec::new(),
            unreceived: Vec::new(),
            was_done: false,
            is_loop_paused: false,
        }
    }
}

impl SpoutTask {
    /// What came back may be the reason to emit more.
    fn stir(&mut self, is_fail: bool) {
        match self.mood {
            Mood::Idle(_) => self.mood = Mood::Ready,
            Mood::Done if is_fail => self.mood = Mood::Ready,
            _ => {}
        }
    }

    fn idle(&mut self, now: Time) {
        self.mood = Mood::Idle((!self.has_waker).then(|| now + self.idle_pause));
        self.idle_pause = (self.idle_pause * 2).min(MAX_IDLE);
    }

    /// Something went wrong: not again without a pause.
    fn pause(&mut self, now: Time) {
        self.mood = Mood::Pause(now + self.error_pause);
        self.error_pause = (self.error_pause * 2).min(MAX_ERROR_PAUSE);
    }
}

impl SpoutExecutor {
    /// Does some 100 microseconds of work.
    pub(crate) fn step(&mut self, now: Time) -> Step {
        let step = self.work(now);
        // All of the step and nothing else: the pace knows nothing of ticks and acks, and counts the
        // waits for credit.
        self.state.busy += self.port.clock.now().since(now);
        step
    }

    fn work(&mut self, now: Time) -> Step {
        self.keep_pace(now);
        self.emitter.outbox.begin(now);
        if self.take_control(now) {
            return Step::Ended;
        }
        let has_more_acks = self.take_acks(now);
        self.expire(now);
        self.emitter.outbox.retry();
        if now >= self.state.next_refresh {
            self.state.next_refresh = now + LOAD_REFRESH;
            self.emitter.refresh_loads();
        }
        self.wake_tasks(now);
        self.run_tasks(now);
        self.emitter.outbox.flush_if_old(now);
        self.end_step(now, has_more_acks)
    }

    /// See [`Executor::rest`](crate::executor::Executor::rest).
    pub(crate) fn rest(&mut self, now: Time) {
        self.keep_pace(now);
        self.state.was_busy = false;
    }

    fn end_step(&mut self, now: Time, has_more_acks: bool) -> Step {
        // Joins the queue for credit, unless there is some by now.
        self.emitter.outbox.retry();
        // A new instance is activated in the next step.
        let is_new = |t: &SpoutTask| t.spout.is_some() && !t.is_activated;
        let can_emit = (0..self.tasks.len()).any(|rank| self.may_emit(rank))
            || self.is_running() && self.tasks.iter().any(is_new);
        self.state.was_busy = self.state.calls > 0;
        if can_emit || has_more_acks || !self.lanes.control.is_empty() {
            self.emitter.outbox.hand_over();
            self.publish();
            return Step::Busy;
        }
        // About to wait: everything goes out first. That is why a DAG cannot wedge.
        self.emitter.outbox.flush(now);
        if self.state.calls > 0 {
            // The wait that follows is none of the spout's time.
            self.rest(self.port.clock.now());
        }
        self.publish();
        if self.directory.is_watched.load(std::sync::atomic::Ordering::SeqCst) {
            self.port.events.send(Event::Idle).ok();
        }
        let mut until = None;
        for task in &self.tasks {
            until = earlier(until, task.ledger.next_expiry());
            if let Mood::Idle(Some(at)) | Mood::Until(at) | Mood::Pause(at) | Mood::Broken(at) = task.mood
                && self.is_running()
            {
                until = earlier(until, Some(at));
            }
        }
        Step::Wait(until)
    }

    fn publish(&mut self) {
        let pending: usize = self.tasks.iter().map(|t| t.ledger.pending()).sum();
        let undone = self.tasks.iter().filter(|t| t.mood != Mood::Done).count() as u64;
        let undone = if self.state.is_active { undone } else { 0 };
        let address = &self.directory[self.me];
        address.traffic.publish(self.emitter.outbox.sent(), 0, pending as u64, undone);
        let is_done = undone == 0 && pending == 0;
        if is_done && !self.state.was_done {
            self.port.events.send(Event::SpoutDone).ok();
        }
        self.state.was_done = is_done;
    }

    fn is_running(&self) -> bool {
        self.state.is_started && self.state.is_active
    }

    fn may_emit(&self, rank: usize) -> bool {
        let task = &self.tasks[rank];
        self.is_running()
            && task.mood == Mood::Ready
            && task.is_activated
            && !self.emitter.outbox.is_blocked()
            && !self.state.is_loop_paused
            && task.ledger.pending() < self.max_pending
    }

    fn keep_pace(&mut self, now: Time) {
        let took = now.since(self.state.last_step);
        if self.state.was_busy {
            self.state.pace.observe(self.state.calls, took);
            if took > self.slow {
                let id = self.tasks[self.state.running].id;
                let message = format!(
                    "next_tuple took up to {} ms: while it runs, acks, fails and timeouts wait; it must not block",
                    took.as_millis()
                );
                self.port.report_as(ErrorKind::Slow, id, message);
            }
        }
        self.state.last_step = now;
        self.state.calls = 0;
    }

    /// True when it is told to stop.
    fn take_control(&mut self, now: Time) -> bool {
        while let Some(control) = self.lanes.control.take() {
            match control {
                Control::Start => self.state.is_started = true,
                Control::Hold => self.state.is_started = false,
                Control::Activate => self.state.is_active = true,
                Control::Deactivate => {
                    self.state.is_active = false;
                    for rank in 0..self.tasks.len() {
                        if std::mem::take(&mut self.tasks[rank].is_activated) {
                            self.call(rank, now, |_, spout, _| spout.deactivate());
                        }
                    }
                }
                Control::Snapshot(asked) => asked.answer(|| self.snapshot(now)),
                Control::Sample(percent) => self.emitter.sample(percent),
                Control::Hasten => {
                    let p99 = self.complete_latency().quantile(0.99);
                    let left = (4 * p99).max(Duration::from_secs(1));
                    self.tasks.iter_mut().for_each(|t| t.ledger.hasten(now, left));
                }
                Control::Fail(cause) => {
                    for rank in 0..self.tasks.len() {
                        let roots: Vec<u64> = self.tasks[rank].ledger.roots().map(|(root, _)| root).collect();
                        for root in roots {
                            if let Some(ended) = self.tasks[rank].ledger.fail(root) {
                                self.failed(rank, ended, cause, now);
                            }
                        }
                    }
                }
                Control::Stop => {
                    self.stop(now);
                    return true;
                }
                Control::Resolve(..) => {}
            }
        }
        false
    }

    /// True when there are more.
    fn take_acks(&mut self, now: Time) -> bool {
        // All that are there now, so that each wins over a timeout in this step.
        let there = self.lanes.acks.len();
        for _ in 0..there {
            let Some(parcel) = self.lanes.acks.take() else { break };
            for entry in &parcel.entries {
                let rank = (entry.task.0 - self.maker.executor.first.0) as usize;
                let ledger = &mut self.tasks[rank].ledger;
                match entry.news {
                    News::Edges(edges) => {
                        if let Some(ended) = ledger.fold(entry.root, edges) {
                            self.acked(rank, ended, now);
                        }
                    }
                    News::Failed(cause) => {
                        if let Some(ended) = ledger.fail(entry.root) {
                            self.failed(rank, ended, cause, now);
                        }
                    }
                    News::ResetTimeout => ledger.reset(entry.root, now),
                }
            }
            self.directory[parcel.origin].recycle_acks(parcel.entries);
        }
        if there > 0 {
            let mut waiters = self.directory[self.me].take_ack_waiters();
            self.directory.wake_all(&mut waiters);
        }
        !self.lanes.acks.is_empty()
    }

    fn acked(&mut self, rank: usize, ended: Ended, now: Time) {
        let task = &mut self.tasks[rank];
        task.stir(false);
        let latency = now.since(ended.emitted);
        let counts = &mut task.ended[usize::from(ended.stream)];
        counts.acked += 1;
        counts.complete.record(latency);
        self.call(rank, now, |id, spout, hooks| {
            hooks.iter_mut().for_each(|h| h.spout_ack(id, latency));
            spout.ack(ended.slot);
        });
    }

    fn failed(&mut self, rank: usize, ended: Ended, cause: FailCause, now: Time) {
        let task = &mut self.tasks[rank];
        task.ended[usize::from(ended.stream)].failed += 1;
        task.stir(true);
        let age = now.since(ended.emitted);
        self.call(rank, now, |id, spout, hooks| {
            hooks.iter_mut().for_each(|h| h.spout_fail(id, cause, age));
            spout.fail(ended.slot, cause);
        });
    }

    fn expire(&mut self, now: Time) {
        for rank in 0..self.tasks.len() {
            let mut ended = std::mem::take(&mut self.state.ended);
            self.tasks[rank].ledger.expire(now, &mut ended);
            for tree in ended.drain(..) {
                self.failed(rank, tree, FailCause::Timeout, now);
            }
            self.state.ended = ended;
        }
    }

    /// Finds out who is to be asked again.
    fn wake_tasks(&mut self, now: Time) {
        if !self.is_running() {
            return;
        }
        self.state.is_loop_paused =
            self.is_above_cycle && self.directory.budget.is_half_full() && self.directory.budget.pause();
        for rank in 0..self.tasks.len() {
            let is_woken = self.directory[self.me].take_woken(rank);
            match self.tasks[rank].mood {
                Mood::Idle(_) | Mood::Until(_) if is_woken => self.tasks[rank].mood = Mood::Ready,
                Mood::Idle(Some(at)) | Mood::Until(at) | Mood::Pause(at) if at <= now => {
                    self.tasks[rank].mood = Mood::Ready;
                }
                Mood::Broken(at) if at <= now => self.rebuild(rank, now),
                _ => {}
            }
            if !self.tasks[rank].is_activated && self.tasks[rank].spout.is_some() {
                self.tasks[rank].is_activated = true;
                self.call(rank, now, |_, spout, _| spout.activate());
            }
        }
    }

    fn run_tasks(&mut self, now: Time) {
        let limit = self.state.pace.rows_per_step();
        while self.state.calls < limit {
            let ranks = self.tasks.len();
            let first = self.state.next_rank;
            let next = (0..ranks).map(|i| (first + i) % ranks).find(|rank| self.may_emit(*rank));
            let Some(rank) = next else { return };
            self.state.next_rank = (rank + 1) % ranks;
            self.ask(rank, now, limit);
        }
    }

    /// Asks one task for tuples: once, or as often as the step allows if it is the only one.
    fn ask(&mut self, rank: usize, now: Time, limit: usize) {
        let times = if self.tasks.len() == 1 { limit - self.state.calls } else { 1 };
        self.state.running = rank;
        let outputs = self.emitter.outputs.clone();
        // One guard around many calls.
        if let Err(panic) = panics::guard(|| {
            for _ in 0..times {
                self.ask_once(&outputs, rank, now);
                if !self.may_emit(rank) {
                    break;
                }
            }
        }) {
            self.recover(rank, panic, now);
        }
        // What nobody receives is acked now that next_tuple has returned.
        if !self.state.unreceived.is_empty() {
            let mut unreceived = std::mem::take(&mut self.state.unreceived);
            for root in unreceived.drain(..) {
                if let Some(tree) = self.tasks[rank].ledger.fold(root, 0) {
                    self.acked(rank, tree, now);
                }
            }
            self.state.unreceived = unreceived;
        }
    }

    #[inline]
    fn ask_once(&mut self, outputs: &Outputs, rank: usize, now: Time) {
        self.state.calls += 1;
        let task = &mut self.tasks[rank];
        let mut call = SpoutCall {
            emitter: &mut self.emitter,
            ledger: &mut task.ledger,
            port: &self.port,
            hooks: &mut task.hooks,
            unreceived: &mut self.state.unreceived,
            rank,
            now,
            is_tracking: self.is_tracking,
            tracked: &mut task.tracked,
            replayed: &mut task.replayed,
            emits: 0,
        };
        let spout = task.spout.as_mut().expect("only a task with an instance is asked");
        let (next, emit_error) = spout.next_tuple(outputs, &mut self.builder, &mut call);
        let emits = call.emits;
        match next {
            Ok(Next::Emitted) if emits > 0 => {
                task.idle_pause = MIN_IDLE;
                task.error_pause = MAX_ERROR_PAUSE / 16;
                // A spout that panics when it is told of acks has not succeeded by emitting.
                if *call.tracked == 0 {
                    task.panics = 0;
                }
            }
            // It said so, but it did not: as if idle, or it would spin.
            Ok(Next::Emitted) => task.mood = Mood::Idle(Some(now + MIN_IDLE)),
            Ok(Next::Idle) => task.idle(now),
            Ok(Next::Until(time)) => task.mood = Mood::Until(time),
            Ok(Next::Done) => task.mood = Mood::Done,
            Err(error) => {
                task.pause(now);
                self.port.report(task.id, &error);
            }
        }
        if let Some(error) = emit_error {
            self.port.report(task.id, &ComponentError::from(*error));
            // It may be emitted again, and be refused again: not without a pause.
            let refused = task.spout.as_mut().map_or(0, |s| s.fail_refused());
            if refused > 0 || task.mood == Mood::Ready {
                task.pause(now);
            }
        }
    }

    /// Calls the user's code outside of `next_tuple`.
    #[inline]
    fn call(
        &mut self,
        rank: usize,
        now: Time,
        user_code: impl FnOnce(TaskId, &mut dyn AnySpout, &mut [Box<dyn TaskHook>]),
    ) {
        let task = &mut self.tasks[rank];
        let Some(spout) = task.spout.as_deref_mut() else { return };
        match panics::guard(|| user_code(task.id, spout, &mut task.hooks)) {
            Ok(()) => task.panics = 0,
            Err(panic) => self.recover(rank, panic, now),
        }
    }
}
