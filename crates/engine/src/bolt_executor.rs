//! Runs the tasks of a bolt: takes rows, executes, acks. One step is some 100 microseconds.

mod figures;
mod lifecycle;
pub(crate) mod owed;
mod timing;

use std::sync::Arc;
use std::time::Duration;

use storm_figures::Latency;
use storm_model::{TaskId, Time};
use storm_row::{Batch, Cursor, RowBuilder};
use storm_topology::builder::BoltFactory;
use storm_topology::{
    Bolt, BoltError, BoltOutput, ComponentError, EmitError, FailCause, RetainedHome, Tuple,
};

use crate::acks::AckOutbox;
use crate::credit::Grant;
use crate::directory::Directory;
use crate::doomed::Doomed;
use crate::emit::{BoltCall, Emitter, InputState, Progress, Settled, TaskBook, resolve};
use crate::executor::{Step, TaskMaker, earlier};
use crate::lanes::{Control, Lanes, Parcel};
use crate::outbox::row_len;
use crate::pace::Pace;
use crate::panics;
use crate::port::ExecutorPort;
use crate::retained::RetainedTable;
use crate::run::Event;
use crate::sources::Sources;
use owed::Owed;
use timing::{Stopwatch, Timed};

pub(crate) use lifecycle::pause_after;

/// Messages handled per step, at least.
const MESSAGES_PER_STEP: usize = 64;
/// How often load-aware groupings look at loads.
pub(crate) const LOAD_REFRESH: Duration = Duration::from_secs(1);
/// Panics in a row from which on a task pauses.
pub(crate) const PATIENCE: u32 = 10;

/// The tasks of one bolt executor and all that they need.
pub(crate) struct BoltExecutor {
    pub(crate) me: u32,
    pub(crate) directory: Arc<Directory>,
    pub(crate) lanes: Lanes,
    pub(crate) port: Arc<ExecutorPort>,
    pub(crate) home: Arc<dyn RetainedHome>,
    pub(crate) sources: Sources,
    pub(crate) builder: RowBuilder,
    pub(crate) emitter: Emitter,
    pub(crate) acks: AckOutbox,
    pub(crate) maker: TaskMaker,
    pub(crate) factory: BoltFactory,
    pub(crate) tasks: Vec<BoltTask>,
    /// What a running call writes of each task, by the same rank.
    pub(crate) books: Vec<TaskBook>,
    pub(crate) tick: Option<Duration>,
    /// What reading the clock takes.
    pub(crate) clock_cost: Duration,
    /// Whether an edge that closes a cycle ends here.
    pub(crate) has_loop_input: bool,
    pub(crate) state: BoltState,
}

/// One task.
pub(crate) struct BoltTask {
    /// None while a new instance could not be prepared after a panic.
    bolt: Option<Box<dyn Bolt>>,
    incarnation: u64,
    /// Panics since the last success.
    panics: u32,
}

/// What changes from step to step.
pub(crate) struct BoltState {
    retained: RetainedTable,
    doomed: Doomed,
    data: Hand,
    looped: Hand,
    progress: Progress,
    /// Rank of the task whose call is running.
    running: usize,
    /// Whether the running call executes a row, and of which hand.
    row_of: Option<Source>,
    pace: Pace,
    window: i64,
    last_step: Time,
    was_busy: bool,
    /// Since when its neighbours on the thread have their turn.
    resting: Option<Time>,
    is_idle: bool,
    step_rows: usize,
    returned: Grant,
    /// The same of rows from other workers.
    owed: Owed,
    /// Rows taken, and messages.
    rows: u64,
    messages: u64,
    /// Number of the next row to be timed.
    timed: Timed,
    queue: Latency,
    started: Time,
    busy: Duration,
    next_tick: Option<Time>,
    next_refresh: Time,
    paused_until: Option<Time>,
    wake: Vec<u32>,
}

impl BoltState {
    pub(crate) fn new(message_timeout: Duration, tick: Option<Duration>, now: Time) -> BoltState {
        BoltState {
            retained: RetainedTable::default(),
            doomed: Doomed::default(),
            data: Hand::default(),
            looped: Hand::default(),
            progress: Progress { state: InputState::None, edges: 0 },
            running: 0,
            row_of: None,
            pace: Pace::new(message_timeout),
            window: 1,
            last_step: now,
            was_busy: false,
            resting: None,
            is_idle: true,
            step_rows: 0,
            returned: Grant::default(),
            owed: Owed::default(),
            rows: 0,
            messages: 0,
            timed: Timed::default(),
            queue: Latency::default(),
            started: now,
            busy: Duration::ZERO,
            next_tick: tick.map(|t| now + t),
            next_refresh: now + LOAD_REFRESH,
            paused_until: None,
            wake: Vec::new(),
        }
    }
}

/// The batch being worked on.
#[derive(Default)]
struct Hand {
    parcel: Option<Parcel>,
    cursor: Cursor,
    /// The row being executed.
    current: Cursor,
}

#[derive(Clone, Copy, PartialEq)]
enum Source {
    Data,
    Looped,
}

impl BoltExecutor {
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
        self.emitter.outbox.retry();
        if now >= self.state.next_refresh {
            self.state.next_refresh = now + LOAD_REFRESH;
            self.emitter.refresh_loads();
        }
        if !self.is_paused(now) {
            // What a tick emits beyond credit waits like the output of any other call.
            self.run_ticks(now);
            self.take_messages(now);
            self.run_rows(now);
        }
        self.return_credit();
        if self.emitter.outbox.flush_if_old(now) {
            self.acks.flush();
            self.state.owed.pay_all(self.me, &self.directory);
        }
        self.end_step(now)
    }

    /// See [`Executor::rest`](crate::executor::Executor::rest).
    pub(crate) fn rest(&mut self, now: Time) {
        self.pause(now);
        self.state.resting = Some(now);
    }

    /// What follows is none of the bolt's time.
    fn pause(&mut self, now: Time) {
        self.keep_pace(now);
        self.state.was_busy = false;
    }

    /// Whether no input may be taken: no credit downstream, or a pause after panics.
    fn is_held(&mut self, now: Time) -> bool {
        self.emitter.outbox.is_blocked() || self.is_paused(now)
    }

    /// Whether a task that keeps panicking makes the executor pause; when the pause is over, tries
    /// again to prepare what could not be prepared.
    fn is_paused(&mut self, now: Time) -> bool {
        let Some(until) = self.state.paused_until else { return false };
        if now < until {
            return true;
        }
        self.state.paused_until = None;
        for rank in 0..self.tasks.len() {
            if self.tasks[rank].bolt.is_none() {
                self.rebuild(rank, now);
            }
        }
        if self.tasks.iter().all(|task| task.bolt.is_some()) {
            // The pause for what failed before is over.
            self.state.paused_until = None;
        }
        self.state.paused_until.is_some()
    }

    fn end_step(&mut self, now: Time) -> Step {
        // Joins the queue for credit, unless there is some by now.
        self.emitter.outbox.retry();
        let is_held = self.emitter.outbox.is_blocked() || self.state.paused_until.is_some();
        let has_input = self.has_input();
        self.state.was_busy = has_input || self.state.step_rows > 0;
        if has_input && !is_held || !self.lanes.control.is_empty() {
            self.emitter.outbox.hand_over();
            self.publish();
            return Step::Busy;
        }
        if !is_held && self.state.step_rows > 0 {
            // The wait for input is none of the bolt's time; the wait for credit is.
            self.pause(self.port.clock.now());
        }
        // About to wait: everything goes out first. That is why a DAG cannot wedge.
        self.emitter.outbox.flush(now);
        self.acks.flush();
        self.state.owed.pay_all(self.me, &self.directory);
        if !has_input && !self.state.is_idle {
            self.state.is_idle = true;
            self.directory[self.me].account.idle(&mut self.state.wake);
            self.directory.wake_all(&mut self.state.wake);
        }
        self.publish();
        if self.directory.is_watched.load(std::sync::atomic::Ordering::SeqCst) {
            self.port.events.send(Event::Idle).ok();
        }
        let tick = self.state.next_tick.filter(|_| self.state.paused_until.is_none());
        Step::Wait(earlier(tick, self.state.paused_until))
    }

    fn has_input(&self) -> bool {
        let BoltState { data, looped, .. } = &self.state;
        data.parcel.is_some()
            || looped.parcel.is_some()
            || !self.lanes.data.is_empty()
            || !self.lanes.looped.is_empty()
            || !self.lanes.messages.is_empty()
    }

    fn publish(&self) {
        let address = &self.directory[self.me];
        address.traffic.publish(
            self.emitter.outbox.sent(),
            self.state.rows + self.state.messages,
            self.state.retained.len() as u64,
            0,
        );
    }

    /// Measures the last step and sizes the window by it.
    fn keep_pace(&mut self, now: Time) {
        let state = &mut self.state;
        if let Some(since) = state.resting.take() {
            // Rows wait meanwhile: how many may is a matter of all the time that they do.
            state.pace.wait(now.since(since));
        }
        if state.was_busy {
            let took = now.since(state.last_step);
            state.pace.observe(state.step_rows, took);
            let window = state.pace.window();
            // Small changes are not worth a lock.
            if window < state.window || window > state.window + state.window / 8 {
                state.window = window;
                self.directory.resize(self.me, window, &mut state.wake);
                self.directory.wake_all(&mut state.wake);
            }
        }
        state.last_step = now;
        state.step_rows = 0;
    }

    fn return_credit(&mut self) {
        let state = &mut self.state;
        if state.returned != Grant::default() {
            let returned = std::mem::take(&mut state.returned);
            state.is_idle = false;
            self.directory[self.me].account.take(returned, &mut state.wake);
            self.directory.wake_all(&mut state.wake);
        }
        if !state.owed.is_empty() {
            state.is_idle = false;
            state.owed.pay_much(self.me, &self.directory);
        }
    }

    /// True when it is told to stop.
    fn take_control(&mut self, now: Time) -> bool {
        while let Some(control) = self.lanes.control.take() {
            match control {
                Control::Resolve(key, resolution) => {
                    if let Some(settled) = resolve(&mut self.state.retained, &mut self.acks, key, resolution)
                    {
                        self.resolved(&settled, now);
                    }
                }
                Control::Snapshot(asked) => asked.answer(|| self.snapshot(now)),
                Control::Sample(percent) => self.emitter.sample(percent),
                Control::Stop => {
                    self.stop(now);
                    return true;
                }
                // For spouts.
                Control::Start
                | Control::Hold
                | Control::Activate
                | Control::Deactivate
                | Control::Hasten
                | Control::Fail(_) => {}
            }
        }
        false
    }

    /// A retained tuple is settled.
    fn resolved(&mut self, settled: &Settled, now: Time) {
        let Settled { rank, input, is_ack, since } = *settled;
        let TaskBook { id, hooks, inputs, retained } = &mut self.books[rank];
        let id = *id;
        *retained -= 1;
        if is_ack {
            inputs[input].acked += 1;
            inputs[input].process.record(now.since(since));
        } else {
            inputs[input].failed += 1;
        }
        if hooks.is_empty() {
            return;
        }
        let result = panics::guard(|| {
            hooks.iter_mut().for_each(|h| if is_ack { h.bolt_ack(id) } else { h.bolt_fail(id) });
        });
        if let Err(panic) = result {
            (self.state.running, self.state.row_of) = (rank, None);
            self.recover(panic, now);
        }
    }

    fn take_messages(&mut self, now: Time) {
        // More than rows: a bolt may post one for each row, and its inbox must not fill up meanwhile.
        for _ in 0..MESSAGES_PER_STEP.max(2 * self.state.pace.rows_per_step()) {
            if self.is_held(now) {
                return;
            }
            let Some((task, message)) = self.lanes.messages.take() else { return };
            self.state.messages += 1;
            self.directory[self.me].took_message();
            let rank = self.rank(task);
            self.call(rank, now, |bolt, out| bolt.on_message(message, out));
        }
    }

    fn run_ticks(&mut self, now: Time) {
        let (Some(due), Some(every)) = (self.state.next_tick, self.tick) else { return };
        if now < due {
            return;
        }
        // A tick that was missed is not made up for.
        self.state.next_tick = Some(if due + every > now { due + every } else { now + every });
        for rank in 0..self.tasks.len() {
            self.call(rank, now, |bolt, out| bolt.on_tick(out));
        }
    }

    /// Calls the user's code without an input.
    fn call(
        &mut self,
        rank: usize,
        now: Time,
        user_code: impl FnOnce(&mut dyn Bolt, &mut BoltOutput<'_>) -> Result<(), BoltError>,
    ) {
        self.state.running = rank;
        self.state.row_of = None;
        self.state.progress = Progress { state: InputState::None, edges: 0 };
        let outputs = self.emitter.outputs.clone();
        let mut call = BoltCall {
            emitter: &mut self.emitter,
            acks: &mut self.acks,
            retained: &mut self.state.retained,
            doomed: &mut self.state.doomed,
            port: &self.port,
            home: &self.home,
            sources: &self.sources,
            books: &mut self.books,
            rank,
            now,
            input: None,
            progress: &mut self.state.progress,
        };
        let mut out = BoltOutput::new(&outputs, &mut self.builder, &mut call);
        let Some(bolt) = self.tasks[rank].bolt.as_deref_mut() else { return };
        let result = panics::guard(|| {
            let result = user_code(bolt, &mut out);
            (result, out.into_error())
        });
        match result {
            Ok((Ok(()), None)) => self.tasks[rank].panics = 0,
            Ok((Err(error), _)) => self.port.report(self.books[rank].id, &error),
            Ok((Ok(()), Some(error))) => self.port.report(self.books[rank].id, &ComponentError::from(*error)),
            Err(panic) => self.recover(panic, now),
        }
    }

    fn run_rows(&mut self, now: Time) {
        let limit = self.state.pace.rows_per_step();
        while self.state.step_rows < limit && !self.is_held(now) && self.fill_hands(now) {
            // One guard around many rows: the row at which a panic happened is noted in `state`.
            if let Err(panic) = panics::guard(|| self.run_hand(limit, now)) {
                self.recover(panic, now);
            }
        }
    }

    /// Takes the next batches off the lanes; false when there is no row.
    fn fill_hands(&mut self, now: Time) -> bool {
        let BoltExecutor { lanes, state, directory, .. } = self;
        for (hand, lane) in [(&mut state.looped, &lanes.looped), (&mut state.data, &lanes.data)] {
            if let Some(parcel) = hand.parcel.take_if(|p| p.batch.peek(hand.cursor).is_none()) {
                directory[parcel.origin].recycle(parcel.batch);
            }
            if hand.parcel.is_none() {
                hand.parcel = lane.take();
                hand.cursor = Cursor::default();
                if let Some(Parcel { batch, sent, .. }) = &hand.parcel {
                    state.queue.record_n(now.since(*sent), batch.row_count() as u64);
                }
            }
        }
        state.looped.parcel.is_some() || state.data.parcel.is_some()
    }

    /// Executes rows of the batches in hand: those of cycles first, so that cycles run dry.
    fn run_hand(&mut self, limit: usize, now: Time) {
        let BoltExecutor {
            lanes,
            port,
            home,
            sources,
            builder,
            emitter,
            acks,
            tasks,
            books,
            has_loop_input,
            state,
            directory,
            maker,
            clock_cost,
            ..
        } = self;
        let outputs = emitter.outputs.clone();
        let first = maker.executor.first.0;
        let BoltState {
            retained,
            doomed,
            data,
            looped,
            progress,
            running,
            row_of,
            step_rows,
            returned,
            owed,
            rows,
            timed,
            ..
        } = state;
        let is_loop = looped.parcel.is_some();
        let (hand, source) = if is_loop { (looped, Source::Looped) } else { (data, Source::Data) };
        let Some(parcel) = &hand.parcel else { return };
        let batch: &Batch = &parcel.batch;
        let is_far = parcel.life != 0 && !is_loop;
        let returned = if is_far { owed.of(parcel.origin, parcel.life) } else { returned };
        let sources: &Sources = sources;
        let mut known = None;
        // Made once for many rows; what differs from row to row is set before each.
        let mut call = BoltCall {
            emitter,
            acks,
            retained,
            doomed,
            port,
            home,
            sources,
            books,
            rank: 0,
            now,
            input: None,
            progress,
        };
        while *step_rows < limit && !call.emitter.outbox.is_blocked() {
            hand.current = hand.cursor;
            let Some(row) = batch.next(&mut hand.cursor) else { return };
            *step_rows += 1;
            *rows += 1;
            if is_loop {
                if directory.budget.leave_loop(row_len(row)) {
                    directory.wake_above_cycles();
                }
            } else {
                returned.rows += 1;
                returned.bytes += row_len(row) as i64;
            }
            let rank = (row.target().0 - first) as usize;
            *running = rank;
            *row_of = Some(source);
            let (input, info) = sources.input(row, &mut known);
            call.rank = rank;
            call.input = Some((row, input));
            *call.progress = Progress { state: InputState::Open, edges: 0 };
            let book = &mut call.books[rank];
            book.inputs[input].executed += 1;
            if !call.doomed.is_empty() && row.anchors().any(|a| call.doomed.contains(a.task, a.root)) {
                // A remnant of a tree that has failed because its cycle was full.
                book.inputs[input].failed += 1;
                row.anchors().for_each(|a| call.acks.fail(a.task, a.root, FailCause::LoopBudget));
                *row_of = None;
                continue;
            }
            let tuple = Tuple::new(row, info);
            if !book.hooks.is_empty() {
                book.hooks.iter_mut().for_each(|h| h.bolt_execute(book.id, &tuple));
            }
            let task = &mut tasks[rank];
            let clock = timed.is_due(*rows).then(|| Stopwatch::start(&*port.clock, book.inputs[input].acked));
            let mut out = BoltOutput::new(&outputs, builder, &mut call);
            let bolt = task.bolt.as_mut().expect("an executor with a task without instance takes no rows");
            let result = bolt.execute(&tuple, &mut out);
            let emit_error = out.into_error();
            if result.is_ok() && emit_error.is_none() {
                call.ack_input();
                task.panics = 0;
            } else {
                fail(&mut call, result, emit_error);
            }
            if let Some(clock) = clock {
                let weight = timed.plan(*rows, limit, &mut call.emitter.edges);
                clock.stop(&*port.clock, *clock_cost, weight, &mut call.books[rank].inputs[input]);
            }
            *row_of = None;
            if *has_loop_input && !is_loop && !lanes.looped.is_empty() {
                return;
            }
        }
    }

    fn rank(&self, task: TaskId) -> usize {
        (task.0 - self.maker.executor.first.0) as usize
    }
}

/// `execute` did not end well.
#[cold]
fn fail(call: &mut BoltCall<'_>, result: Result<(), BoltError>, emit_error: Option<Box<EmitError>>) {
    let is_loop_full = matches!(emit_error.as_deref(), Some(EmitError::LoopBudget { .. }));
    call.fail_input(if is_loop_full { FailCause::LoopBudget } else { FailCause::Failed });
    let error = match (result, emit_error) {
        (Err(error), _) => error,
        (Ok(()), Some(error)) => ComponentError::from(*error),
        (Ok(()), None) => return,
    };
    let task = call.emitter.routes[call.rank].task;
    call.port.report(task, &error);
}
