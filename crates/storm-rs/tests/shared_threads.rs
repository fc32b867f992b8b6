//! Executors that share real threads (`topology.executor.threads`): what blocks gets a thread of its
//! own, and apart from that nobody can tell from the outside who shares with whom.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "behaviour/kit.rs"]
#[allow(dead_code, unreachable_pub, clippy::type_complexity, reason = "it has helpers for all tests")]
mod kit;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Waker;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use storm_rs::engine::{ComponentSettings, ErrorKind, ErrorReport, Event, Options, Run, Settings, Snapshot};
use storm_rs::prelude::*;
use storm_rs::{ComponentId, Fields, GroupingSpec, Inbox, Message, WorkerHook};

use kit::{Func, Log, Numbers, Outcomes, func, is_exact, log, sink, sorted, taken};

/// Until then everything must have happened, on however busy a machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often a test looks whether it has.
const LOOK: Duration = Duration::from_millis(5);

// === Runs ===

/// Trees have more time than a test, so that those time out that are to.
fn shared(threads: impl Into<Option<u32>>) -> Settings {
    let message_timeout = 5 * DEADLINE;
    Settings { threads: threads.into(), message_timeout, ..Settings::default() }
}

fn with(mut settings: Settings, component: &str, own: ComponentSettings) -> Settings {
    settings.components.insert(ComponentId::from(component), own);
    settings
}

fn pending(max_spout_pending: u32) -> ComponentSettings {
    ComponentSettings { max_spout_pending, ..Default::default() }
}

fn ticking(tick: Duration) -> ComponentSettings {
    ComponentSettings { tick: Some(tick), ..Default::default() }
}

/// Held by a topology, and so by every thread of its run.
struct Held(#[expect(dead_code, reason = "only counted")] Arc<()>);

impl WorkerHook for Held {}

fn options() -> Options {
    Options { name: "shared".to_owned(), seed: 1, is_active: true }
}

/// A run, and what it has reported.
struct Running {
    run: Run,
    errors: Vec<ErrorReport>,
    /// Executors that have ended.
    ended: usize,
    is_stopping: bool,
    held: Arc<()>,
}

impl Running {
    fn start(mut t: TopologyBuilder, settings: Settings) -> Running {
        let held = Arc::new(());
        t.worker_hook(Held(held.clone()));
        let run = Run::start(t.build().unwrap(), settings, options()).unwrap();
        Running { run, errors: Vec::new(), ended: 0, is_stopping: false, held }
    }

    /// Waits until something is so.
    #[track_caller]
    fn until(&mut self, what: &str, is_so: impl Fn(&Running) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_so(self) {
            let is_late = Instant::now() >= deadline;
            assert!(!is_late, "not within {DEADLINE:?}: {what}; {:#?}; {:#?}", self.errors, self.figures());
            let event = self.run.next_event(LOOK);
            self.note(event);
        }
    }

    fn note(&mut self, event: Option<Event>) {
        match event {
            Some(Event::Error(error)) => self.errors.push(error),
            Some(Event::Ended { index, has_panicked }) => {
                assert!(self.is_stopping && !has_panicked, "executor {index} has ended");
                self.ended += 1;
            }
            _ => {}
        }
    }

    fn figures(&self) -> Snapshot {
        self.run.snapshot(Duration::from_secs(10))
    }

    /// What was reported of a component that blocked its thread.
    fn blocks(&self, component: &str) -> Vec<&str> {
        let of = |e: &&ErrorReport| e.kind == ErrorKind::Slow && e.component == *component;
        let messages = self.errors.iter().filter(of).map(|e| &*e.message);
        messages.filter(|m| m.contains("a thread of its own")).collect()
    }

    #[track_caller]
    fn until_moved(&mut self, component: &str) {
        self.until(&format!("'{component}' gets a thread of its own"), |r| !r.blocks(component).is_empty());
    }

    /// Waits until everything is processed, and checks the books.
    #[track_caller]
    fn complete(&mut self) -> Snapshot {
        self.until("everything is processed", |r| r.run.is_complete());
        let figures = self.figures();
        assert_eq!(figures.executors.len(), self.run.executor_count());
        assert_eq!(figures.audit(true), [""; 0]);
        figures
    }

    /// Stops, and returns the errors of the whole run.
    #[track_caller]
    fn stop(mut self) -> Vec<ErrorReport> {
        self.is_stopping = true;
        self.run.stop();
        while let event @ Some(_) = self.run.next_event(Duration::ZERO) {
            self.note(event);
        }
        assert_eq!(self.ended, self.run.executor_count(), "each executor ends once");
        let Running { run, errors, held, .. } = self;
        drop(run);
        assert_eq!(Arc::strong_count(&held), 1, "a thread is left");
        errors
    }
}

/// What is not of a thread that the machine has held up: on a busy one a call may take long although
/// it does nothing.
fn real(errors: Vec<ErrorReport>) -> Vec<ErrorReport> {
    errors.into_iter().filter(|e| e.kind != ErrorKind::Slow).collect()
}

// === Components ===

/// A place where user code blocks until the test opens it.
#[derive(Clone)]
struct Gate(Arc<(AtomicUsize, Mutex<mpsc::Receiver<()>>)>);

/// Open for good when it is dropped.
struct Closed(#[expect(dead_code, reason = "only held")] mpsc::Sender<()>);

fn gate() -> (Gate, Closed) {
    let (sender, receiver) = mpsc::channel();
    (Gate(Arc::new((AtomicUsize::new(0), Mutex::new(receiver)))), Closed(sender))
}

impl Gate {
    fn pass(&self) {
        let (waiting, receiver) = &*self.0;
        waiting.fetch_add(1, SeqCst);
        // An error: it is open.
        receiver.lock().unwrap().recv().ok();
        waiting.fetch_sub(1, SeqCst);
    }

    /// How many wait.
    fn waiting(&self) -> usize {
        self.0.0.load(SeqCst)
    }
}

/// A bolt that writes down on which thread it takes each number, after it has passed a gate.
fn gated(gate: &Gate, taken: &Log<(i64, ThreadId)>) -> impl Fn() -> Func<Taker> + Send + Sync + 'static {
    let (gate, taken) = (gate.clone(), taken.clone());
    move || {
        let (gate, taken) = (gate.clone(), taken.clone());
        Func(Box::new(move |input, _| {
            let n = input.get::<i64>(0)?;
            gate.pass();
            taken.lock().unwrap().push((n, std::thread::current().id()));
            Ok(())
        }))
    }
}

type Taker = Box<dyn FnMut(&Tuple<'_>, &mut BoltOutput<'_>) -> Result<(), BoltError> + Send>;

/// Emits numbers, tracked, until it is told that it is enough.
#[derive(Clone, Default)]
struct Flow {
    next: i64,
    emitted: Arc<AtomicI64>,
    acked: Arc<AtomicUsize>,
    is_enough: Arc<AtomicBool>,
}

impl Spout for Flow {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, ()>) -> Result<Next, SpoutError> {
        if self.is_enough.load(SeqCst) {
            return Ok(Next::Done);
        }
        out.emit_tracked((), (self.next,));
        self.next += 1;
        self.emitted.store(self.next, SeqCst);
        Ok(Next::Emitted)
    }

    fn ack(&mut self, (): ()) {
        self.acked.fetch_add(1, SeqCst);
    }
}

impl Flow {
    /// Adds a flow that a bolt takes, which sees to it that no number is missing and none comes twice.
    fn add(t: &mut TopologyBuilder) -> Flow {
        let flow = Flow::default();
        let spout = flow.clone();
        t.set_spout("flow", move || spout.clone(), 1);
        t.set_bolt("bed", || InOrder(0), 1).shuffle_grouping("flow");
        flow
    }

    fn acked(&self) -> usize {
        self.acked.load(SeqCst)
    }

    /// Ends it; to be asked before it is waited for that everything is processed.
    fn end(&self) {
        self.is_enough.store(true, SeqCst);
    }

    /// Checks that all of it has arrived.
    #[track_caller]
    fn check(&self, figures: &Snapshot, errors: &[ErrorReport]) {
        let emitted = self.emitted.load(SeqCst) as u64;
        assert_eq!(figures.sum("bed", |t| t.executed()), emitted);
        assert_eq!(errors.iter().filter(|e| e.component == *"bed").count(), 0, "{errors:#?}");
    }
}

/// Fails what is not the next number.
struct InOrder(i64);

impl Bolt for InOrder {
    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let n = input.get::<i64>(0)?;
        if n != self.0 {
            return Err(BoltError::msg(format!("{n} after {}", self.0 - 1)));
        }
        self.0 += 1;
        Ok(())
    }
}

/// Counts its ticks.
struct Ticker(Arc<AtomicUsize>);

impl Bolt for Ticker {
    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.0.fetch_add(1, SeqCst);
        Ok(())
    }
}

fn numbers(count: i64, outcomes: &Outcomes) -> impl Fn() -> Numbers + Send + Sync + 'static {
    let outcomes = outcomes.clone();
    move || Numbers::new(count).with_outcomes(&outcomes)
}

/// Keeps each tuple.
fn keep(kept: &Log<Retained>) -> impl Fn() -> Func<Taker> + Send + Sync + 'static {
    let kept = kept.clone();
    move || {
        let kept = kept.clone();
        Func(Box::new(move |input, out| {
            kept.lock().unwrap().push(out.retain(input));
            Ok(())
        }))
    }
}

// === A call that blocks ===

#[test]
fn a_bolt_that_blocks_holds_up_nobody_else_on_its_thread() {
    a_bolt_that_blocks(1);
}

#[test]
fn a_bolt_that_blocks_holds_up_nobody_else_on_two_threads() {
    a_bolt_that_blocks(2);
}

fn a_bolt_that_blocks(threads: u32) {
    let (gate, closed) = gate();
    let (stuck, kept, ticks) = (log(), log(), Arc::new(AtomicUsize::new(0)));
    let (of_stuck, of_kept) = (log(), log());
    let mut t = TopologyBuilder::new();
    let flow = Flow::add(&mut t);
    t.set_spout("bait", numbers(20, &of_stuck), 1);
    t.set_bolt("stuck", gated(&gate, &stuck), 1).shuffle_grouping("bait");
    t.set_spout("forgotten", numbers(1, &of_kept), 1);
    t.set_bolt("keeper", keep(&kept), 1).shuffle_grouping("forgotten");
    let counted = ticks.clone();
    t.set_bolt("ticker", move || Ticker(counted.clone()), 1).shuffle_grouping("forgotten");
    let settings = Settings { message_timeout: Duration::from_secs(3), ..shared(threads) };
    let settings = with(settings, "ticker", ticking(Duration::from_millis(20)));
    let mut r = Running::start(t, with(settings, "flow", pending(64)));

    r.until("the bolt blocks", |_| gate.waiting() == 1);
    let (acks, tocks) = (flow.acked(), ticks.load(SeqCst));
    r.until("acks go on", |_| flow.acked() >= acks + 1000);
    r.until("ticks go on", |_| ticks.load(SeqCst) >= tocks + 5);
    r.until("trees time out", |_| {
        !of_kept.lock().unwrap().is_empty() && !of_stuck.lock().unwrap().is_empty()
    });
    r.until_moved("stuck");
    assert_eq!(gate.waiting(), 1, "it blocks all the time");
    assert!(stuck.lock().unwrap().is_empty());

    drop(closed);
    flow.end();
    kept.lock().unwrap().clear();
    let figures = r.complete();
    assert_eq!(r.blocks("stuck").len(), 1, "{:#?}", r.errors);
    assert!(r.blocks("stuck")[0].contains("topology.executor.threads"), "{:#?}", r.errors);
    let errors = r.stop();
    flow.check(&figures, &errors);
    assert_eq!(real(errors), []);
    let numbers: Vec<i64> = stuck.lock().unwrap().iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    assert_eq!(sorted(&of_kept), [(0, Some(FailCause::Timeout))]);
    let outcomes = sorted(&of_stuck);
    assert_eq!(outcomes[0], (0, Some(FailCause::Timeout)));
    assert_eq!(outcomes.iter().map(|(n, _)| *n).collect::<Vec<_>>(), numbers, "each ends once");
}

#[test]
fn two_bolts_that_block_get_a_thread_each() {
    for threads in 1..=3 {
        let ((left_gate, left_closed), (right_gate, right_closed)) = (gate(), gate());
        let (left, right, third) = (log(), log(), log());
        let (open, _) = gate();
        let mut t = TopologyBuilder::new();
        let flow = Flow::add(&mut t);
        t.set_bolt("third", gated(&open, &third), 1).shuffle_grouping("flow");
        t.set_spout("left bait", numbers(20, &log()), 1);
        t.set_bolt("left", gated(&left_gate, &left), 1).shuffle_grouping("left bait");
        t.set_spout("right bait", numbers(20, &log()), 1);
        t.set_bolt("right", gated(&right_gate, &right), 1).shuffle_grouping("right bait");
        let mut r = Running::start(t, with(shared(threads), "flow", pending(16)));

        r.until("both block", |_| left_gate.waiting() == 1 && right_gate.waiting() == 1);
        if threads == 1 {
            r.until_moved("left");
            r.until_moved("right");
        }
        third.lock().unwrap().clear();
        let acks = flow.acked();
        r.until("the third goes on", |_| flow.acked() >= acks + 1000 && third.lock().unwrap().len() >= 1000);
        assert_eq!((left_gate.waiting(), right_gate.waiting()), (1, 1));

        drop(right_closed);
        r.until("the one goes on while the other blocks", |_| right.lock().unwrap().len() == 20);
        assert_eq!(left_gate.waiting(), 1);
        drop(left_closed);
        flow.end();
        let figures = r.complete();
        for component in ["left", "right"] {
            let reports = r.blocks(component).len();
            let most = if threads == 1 { 1..=1 } else { 0..=1 };
            assert!(most.contains(&reports), "{component} on {threads} threads: {:#?}", r.errors);
        }
        let errors = r.stop();
        flow.check(&figures, &errors);
        assert_eq!(real(errors), []);
        let numbers = |of: &Log<(i64, ThreadId)>| of.lock().unwrap().iter().map(|t| t.0).collect::<Vec<_>>();
        assert_eq!(numbers(&left), (0..20).collect::<Vec<_>>());
        assert_eq!(numbers(&right), (0..20).collect::<Vec<_>>());
        let (left, right, third) = (threads_of(&left), threads_of(&right), threads_of(&third));
        assert!(left.len() == 1 && right.len() == 1, "who blocks keeps its thread: {left:?}, {right:?}");
        let are_apart = left.is_disjoint(&right) && third.is_disjoint(&left) && third.is_disjoint(&right);
        assert!(are_apart, "{left:?}, {right:?}, {third:?}");
    }
}

fn threads_of(taken: &Log<(i64, ThreadId)>) -> HashSet<ThreadId> {
    taken.lock().unwrap().iter().map(|(_, thread)| *thread).collect()
}

#[test]
fn as_many_threads_come_up_as_bolts_block() {
    let (gate, closed) = gate();
    let (taken, outcomes) = (log(), log());
    let mut t = TopologyBuilder::new();
    let flow = Flow::add(&mut t);
    t.set_spout("bait", numbers(200, &outcomes), 1);
    t.set_bolt("stuck", gated(&gate, &taken), 5).shuffle_grouping("bait");
    let mut r = Running::start(t, with(shared(1), "flow", pending(16)));
    r.until("all five block", |_| gate.waiting() == 5);
    r.until("each is reported", |r| r.blocks("stuck").len() == 5);
    let acks = flow.acked();
    r.until("others go on", |_| flow.acked() >= acks + 1000);
    drop(closed);
    flow.end();
    let figures = r.complete();
    let tasks: BTreeSet<TaskId> =
        r.errors.iter().filter(|e| e.component == *"stuck").map(|e| e.task).collect();
    assert_eq!((tasks.len(), r.blocks("stuck").len()), (5, 5), "{:#?}", r.errors);
    let errors = r.stop();
    flow.check(&figures, &errors);
    assert_eq!(threads_of(&taken).len(), 5);
    let mut numbers: Vec<i64> = taken.lock().unwrap().iter().map(|(n, _)| *n).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    assert_eq!(sorted(&outcomes), (0..200).map(|n| (n, None)).collect::<Vec<_>>());
}

/// Blocks once, in `next_tuple`.
struct Stuck(Numbers, Gate, bool);

impl Spout for Stuck {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        self.0.declare_outputs(out);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        if !std::mem::replace(&mut self.2, true) {
            self.1.pass();
        }
        self.0.next_tuple(out)
    }

    fn ack(&mut self, n: i64) {
        self.0.ack(n);
    }

    fn fail(&mut self, n: i64, cause: FailCause) {
        self.0.fail(n, cause);
    }
}

#[test]
fn a_spout_that_blocks_holds_up_nobody_else() {
    let (gate, closed) = gate();
    let (got, outcomes) = (log(), log());
    let mut t = TopologyBuilder::new();
    let flow = Flow::add(&mut t);
    let (inner, held) = (numbers(50, &outcomes), gate.clone());
    t.set_spout("stuck", move || Stuck(inner(), held.clone(), false), 1);
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("stuck");
    let mut r = Running::start(t, with(shared(1), "flow", pending(64)));
    r.until("the spout blocks", |_| gate.waiting() == 1);
    let acks = flow.acked();
    r.until("others go on", |_| flow.acked() >= acks + 1000);
    r.until_moved("stuck");
    drop(closed);
    flow.end();
    let figures = r.complete();
    assert_eq!(r.blocks("stuck").len(), 1, "{:#?}", r.errors);
    let errors = r.stop();
    flow.check(&figures, &errors);
    assert!(is_exact(&got, 50));
    assert_eq!(sorted(&outcomes), (0..50).map(|n| (n, None)).collect::<Vec<_>>());
}

/// Blocks in `on_tick`, `on_message` or `cleanup`.
struct Late {
    place: Place,
    gate: Gate,
    inbox: Log<Inbox<()>>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Place {
    Tick,
    Message,
    Cleanup,
}

impl Late {
    fn pass(&self, place: Place) {
        if self.place == place {
            self.gate.pass();
        }
    }
}

impl Bolt for Late {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.inbox.lock().unwrap().push(ctx.inbox());
        Ok(())
    }

    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.pass(Place::Tick);
        Ok(())
    }

    fn on_message(&mut self, _: Message, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.pass(Place::Message);
        Ok(())
    }

    fn cleanup(&mut self) {
        self.pass(Place::Cleanup);
    }
}

#[test]
fn it_does_not_matter_in_which_call_a_bolt_blocks() {
    for place in [Place::Tick, Place::Message] {
        let ((gate, closed), inbox) = (gate(), log());
        let mut t = TopologyBuilder::new();
        let flow = Flow::add(&mut t);
        let (held, opened) = (gate.clone(), inbox.clone());
        let late = move || Late { place, gate: held.clone(), inbox: opened.clone() };
        t.set_bolt("late", late, 1).shuffle_grouping("flow");
        let settings = with(shared(1), "late", ticking(Duration::from_millis(10)));
        let mut r = Running::start(t, with(settings, "flow", pending(64)));
        inbox.lock().unwrap()[0].send(()).unwrap();
        r.until("it blocks", |_| gate.waiting() == 1);
        r.until_moved("late");
        // "late" gets nothing now, and its trees wait; those of "bed" are 64 at most, so it is the
        // answers to figures that tell that the others go on.
        r.until("others answer", |r| r.run.snapshot(Duration::from_millis(100)).executors.len() == 2);
        assert_eq!(gate.waiting(), 1, "{place:?}");
        drop(closed);
        flow.end();
        let figures = r.complete();
        assert_eq!(r.blocks("late").len(), 1, "{place:?}: {:#?}", r.errors);
        let errors = r.stop();
        flow.check(&figures, &errors);
        assert_eq!(real(errors), []);
    }
}

// === What reaches an executor that has moved ===

/// Emits a number when it is told one and its waker is woken.
struct Told {
    numbers: Log<i64>,
    waker: Log<Waker>,
    outcomes: Outcomes,
    is_enough: Arc<AtomicBool>,
}

impl Spout for Told {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.waker.lock().unwrap().push(ctx.waker());
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        let next = self.numbers.lock().unwrap().pop();
        match next {
            Some(n) => out.emit_tracked(n, (n,)),
            None if self.is_enough.load(SeqCst) => return Ok(Next::Done),
            None => return Ok(Next::Idle),
        }
        Ok(Next::Emitted)
    }

    fn ack(&mut self, n: i64) {
        self.outcomes.lock().unwrap().push((n, None));
    }

    fn fail(&mut self, n: i64, cause: FailCause) {
        self.outcomes.lock().unwrap().push((n, Some(cause)));
    }
}

/// Keeps its inputs; a message acks the last of them.
struct Keeper {
    kept: Vec<Retained>,
    inbox: Log<Inbox<i64>>,
    messages: Log<i64>,
}

impl Bolt for Keeper {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.inbox.lock().unwrap().push(ctx.inbox());
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.kept.push(out.retain(input));
        Ok(())
    }

    fn on_message(&mut self, message: Message, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.messages.lock().unwrap().push(message.take::<i64>()?);
        if let Some(kept) = self.kept.pop() {
            kept.ack();
        }
        Ok(())
    }
}

#[test]
fn wakers_messages_handles_and_commands_reach_who_has_moved() {
    let (gate, closed) = gate();
    let (told, waker, outcomes, is_enough) = (log(), log(), log(), Arc::new(AtomicBool::new(false)));
    let (inbox, messages, kept) = (log(), log(), log());
    let mut t = TopologyBuilder::new();
    let (n, w, o, e) = (told.clone(), waker.clone(), outcomes.clone(), is_enough.clone());
    let spout =
        move || Told { numbers: n.clone(), waker: w.clone(), outcomes: o.clone(), is_enough: e.clone() };
    t.set_spout("told", spout, 1);
    let (i, m) = (inbox.clone(), messages.clone());
    let keeper = move || Keeper { kept: Vec::new(), inbox: i.clone(), messages: m.clone() };
    t.set_bolt("keeper", keeper, 1).shuffle_grouping("told");
    t.set_bolt("handles", keep(&kept), 1).shuffle_grouping("told");
    t.set_spout("bait", numbers(1, &log()), 1);
    t.set_bolt("stuck", gated(&gate, &log()), 1).shuffle_grouping("bait");
    let mut r = Running::start(t, shared(1));
    r.until("the bolt blocks", |_| gate.waiting() == 1);
    r.until_moved("stuck");

    let (waker, inbox) = (waker.lock().unwrap()[0].clone(), inbox.lock().unwrap()[0].clone());
    for n in 0..100 {
        told.lock().unwrap().push(n);
        waker.wake_by_ref();
        r.until("the spout is woken", |_| kept.lock().unwrap().len() == 1);
        inbox.send(n).unwrap();
        r.until("the message comes", |_| messages.lock().unwrap().len() as i64 == n + 1);
        // From this thread: the handle finds its executor wherever it is.
        kept.lock().unwrap().pop().unwrap().ack();
        r.until("the tree is acked", |_| outcomes.lock().unwrap().len() as i64 == n + 1);
    }
    r.run.deactivate();
    told.lock().unwrap().push(100);
    waker.wake_by_ref();
    r.until("only the one that blocks does not answer", |r| {
        r.run.snapshot(Duration::from_millis(100)).executors.len() == 4
    });
    assert_eq!(kept.lock().unwrap().len(), 0, "the spout is inactive");
    r.run.activate();
    r.until("the spout is active again", |_| kept.lock().unwrap().len() == 1);
    kept.lock().unwrap().pop().unwrap().ack();
    inbox.send(100).unwrap();

    drop(closed);
    is_enough.store(true, SeqCst);
    waker.wake_by_ref();
    r.complete();
    assert_eq!(r.blocks("stuck").len(), 1, "{:#?}", r.errors);
    assert_eq!(real(r.stop()), []);
    assert_eq!(sorted(&outcomes), (0..=100).map(|n| (n, None)).collect::<Vec<_>>());
    assert_eq!(taken(&messages), (0..=100).collect::<Vec<_>>());
}

// === Order, groupings, results ===

/// Rows of each source.
const ROWS: i64 = 3000;

/// Rows of one call: those behind one that has to wait may not overtake it.
const ROWS_PER_CALL: i64 = 20;

/// Emits keys and the numbers of the rows, which count from 0 in each task.
struct Counter {
    next: i64,
    outcomes: Outcomes,
}

impl Spout for Counter {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["key", "row"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        if self.next == ROWS {
            return Ok(Next::Done);
        }
        for row in self.next..self.next + ROWS_PER_CALL {
            out.emit_tracked(row, (row % 17, row));
        }
        self.next += ROWS_PER_CALL;
        Ok(Next::Emitted)
    }

    fn ack(&mut self, row: i64) {
        self.outcomes.lock().unwrap().push((row, None));
    }

    fn fail(&mut self, row: i64, cause: FailCause) {
        self.outcomes.lock().unwrap().push((row, Some(cause)));
    }
}

/// What each task got of each task, in order.
type Arrivals = Arc<Mutex<BTreeMap<(TaskId, TaskId), Vec<i64>>>>;

/// Writes down what arrives, blocks before one of its rows if it is the task for that, and emits two
/// rows for each, with numbers of its own.
struct Station {
    arrivals: Arrivals,
    gate: Gate,
    /// Rank of the task that blocks, and at which of its rows.
    blocks_at: (usize, i64),
    task: TaskId,
    rank: usize,
    next: i64,
}

impl Bolt for Station {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["key", "row"]);
    }

    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        (self.task, self.rank) = (ctx.task(), ctx.task_index());
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let row = input.get::<i64>("row")?;
        self.arrivals.lock().unwrap().entry((input.source_task(), self.task)).or_default().push(row);
        if (self.rank, self.next) == self.blocks_at {
            self.gate.pass();
        }
        let key = input.get::<i64>("key")?;
        out.emit((key, 2 * self.next));
        out.emit((key, 2 * self.next + 1));
        self.next += 1;
        Ok(())
    }
}

fn station(
    arrivals: &Arrivals,
    gate: &Gate,
    blocks_at: (usize, i64),
) -> impl Fn() -> Station + Send + Sync + 'static {
    let (arrivals, gate) = (arrivals.clone(), gate.clone());
    move || Station {
        arrivals: arrivals.clone(),
        gate: gate.clone(),
        blocks_at,
        task: TaskId(0),
        rank: 0,
        next: 0,
    }
}

#[test]
fn order_is_kept_by_shuffle_while_executors_move() {
    order_is_kept(&GroupingSpec::Shuffle);
}

#[test]
fn order_is_kept_by_local_or_shuffle_while_executors_move() {
    order_is_kept(&GroupingSpec::LocalOrShuffle);
}

#[test]
fn order_is_kept_by_fields_while_executors_move() {
    order_is_kept(&GroupingSpec::Fields(Fields::new(["key"])));
}

fn order_is_kept(grouping: &GroupingSpec) {
    for threads in 1..=2 {
        let ((middle_gate, middle_closed), (last_gate, last_closed)) = (gate(), gate());
        let (outcomes, middle, last) = (log(), Arrivals::default(), Arrivals::default());
        let mut t = TopologyBuilder::new();
        let told = outcomes.clone();
        t.set_spout("source", move || Counter { next: 0, outcomes: told.clone() }, 3);
        // Early rows: a shuffle passes over a task without credit, so how many one gets is not known.
        t.set_bolt("middle", station(&middle, &middle_gate, (1, 20)), 3).grouping("source", grouping.clone());
        t.set_bolt("last", station(&last, &last_gate, (2, 30)), 3).grouping("middle", grouping.clone());
        let mut r = Running::start(t, shared(threads));
        // Which comes first is not known; it may hold up the other.
        let mut held = vec![("middle", middle_gate, middle_closed), ("last", last_gate, last_closed)];
        while !held.is_empty() {
            r.until("one blocks", |_| held.iter().any(|(_, gate, _)| gate.waiting() == 1));
            let at = held.iter().position(|(_, gate, _)| gate.waiting() == 1).unwrap();
            r.until_moved(held[at].0);
            held.swap_remove(at);
        }
        r.complete();
        assert_eq!(real(r.stop()), []);

        let mut rows: Vec<i64> = (0..ROWS).flat_map(|row| [row; 3]).collect();
        assert_eq!(all_in_order(&middle), rows, "{threads} threads");
        // The tasks in the middle number their rows themselves.
        let passed_on = all_in_order(&last);
        let of_middle = by_receiver(&middle);
        rows = of_middle.values().flat_map(|count| 0..2 * *count as i64).collect();
        rows.sort_unstable();
        assert_eq!(passed_on, rows, "{threads} threads");
        let mut acked: Vec<_> = (0..ROWS).flat_map(|row| [(row, None); 3]).collect();
        acked.sort_unstable_by_key(|(row, _)| *row);
        assert_eq!(sorted(&outcomes), acked);
    }
}

/// Checks that rows of each pair of tasks are in order, and returns all of them, sorted.
#[track_caller]
fn all_in_order(arrivals: &Arrivals) -> Vec<i64> {
    let arrivals = arrivals.lock().unwrap();
    for ((from, to), rows) in arrivals.iter() {
        assert!(rows.is_sorted_by(|a, b| a < b), "task {from} to task {to}: {rows:?}");
    }
    let mut all: Vec<i64> = arrivals.values().flatten().copied().collect();
    all.sort_unstable();
    all
}

fn by_receiver(arrivals: &Arrivals) -> BTreeMap<TaskId, usize> {
    let mut counts = BTreeMap::new();
    for ((_, to), rows) in arrivals.lock().unwrap().iter() {
        *counts.entry(*to).or_default() += rows.len();
    }
    counts
}

/// Emits numbers from each task and writes down its thread.
struct Homely(Numbers, TaskId, Arc<Mutex<BTreeMap<TaskId, ThreadId>>>);

impl Spout for Homely {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        self.0.declare_outputs(out);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.1 = ctx.task();
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        self.2.lock().unwrap().insert(self.1, std::thread::current().id());
        self.0.next_tuple(out)
    }
}

#[test]
fn local_or_shuffle_stays_on_the_thread() {
    // Whose thread the machine holds up may be moved; that has to happen in each of many runs before
    // it hides that tuples change their thread.
    let has_stayed = (0..20).any(|_| {
        let homes = Arc::<Mutex<BTreeMap<_, _>>>::default();
        let visits = Arc::<Mutex<BTreeMap<_, _>>>::default();
        let mut t = TopologyBuilder::new();
        let h = homes.clone();
        t.set_spout("homely", move || Homely(Numbers::new(500), TaskId(0), h.clone()), 3);
        let v = visits.clone();
        let visit = func(move |input: &Tuple<'_>, _: &mut BoltOutput<'_>| {
            let (from, thread) = (input.source_task(), std::thread::current().id());
            *v.lock().unwrap().entry(from).or_insert_with(HashMap::new).entry(thread).or_insert(0) += 1;
            Ok(())
        });
        t.set_bolt("visit", visit, 3).local_or_shuffle_grouping("homely");
        let mut r = Running::start(t, shared(3));
        r.complete();
        let errors = r.stop();
        let (homes, visits) = (homes.lock().unwrap(), visits.lock().unwrap());
        assert_eq!(
            visits.values().map(|by_thread| by_thread.values().sum::<i32>()).collect::<Vec<_>>(),
            [500; 3]
        );
        if !errors.is_empty() {
            assert_eq!(real(errors), []);
            return false;
        }
        for (from, by_thread) in visits.iter() {
            assert_eq!(by_thread.keys().collect::<Vec<_>>(), [&homes[from]], "{by_thread:?}");
        }
        assert_eq!(homes.values().collect::<HashSet<_>>().len(), 3);
        true
    });
    assert!(has_stayed, "no run without a move");
}

const LINES: [&str; 7] = [
    "it was the best of times it was the worst of times",
    "it was the age of wisdom it was the age of foolishness",
    "it was the epoch of belief it was the epoch of incredulity",
    "it was the season of Light it was the season of Darkness",
    "it was the spring of hope it was the winter of despair",
    "we had everything before us we had nothing before us",
    "incomprehensibilities and counterrevolutionaries do not fit into fourteen bytes",
];

/// Emits lines; each of them is emitted again once a bolt has failed it.
struct Lines {
    next: usize,
    again: Vec<usize>,
}

/// Lines of each spout task.
const LINES_PER_SPOUT: usize = 400;

impl Spout for Lines {
    type MessageId = usize;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["line"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, usize>) -> Result<Next, SpoutError> {
        let next = match self.again.pop() {
            Some(line) => line,
            None if self.next == LINES_PER_SPOUT => return Ok(Next::Done),
            None => {
                self.next += 1;
                self.next - 1
            }
        };
        out.emit_tracked(next, (LINES[next % LINES.len()],));
        Ok(Next::Emitted)
    }

    fn fail(&mut self, line: usize, _: FailCause) {
        self.again.push(line);
    }
}

/// Counts words; every hundredth line fails before it is split.
fn word_count(threads: Option<u32>, parallelism: u32) -> (BTreeMap<String, u64>, u64) {
    let counts = Arc::<Mutex<BTreeMap<String, u64>>>::default();
    let mut t = TopologyBuilder::new();
    t.set_spout("lines", || Lines { next: 0, again: vec![] }, parallelism);
    let mut seen = 0;
    let split = func(move |input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        seen += 1;
        if seen % 100 == 0 {
            return Err(BoltError::quiet("the hundredth line"));
        }
        input.get::<&str>("line")?.split(' ').for_each(|word| out.emit((word,)));
        Ok(())
    });
    t.set_bolt("split", split, parallelism).local_or_shuffle_grouping("lines");
    let c = counts.clone();
    let count = func(move |input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        let word = input.get::<&str>(0)?;
        *c.lock().unwrap().entry(word.to_owned()).or_default() += 1;
        out.emit((1,));
        Ok(())
    });
    t.set_bolt("count", count, parallelism).fields_grouping("split", ["n"]);
    t.set_bolt("sum", func(|_: &Tuple<'_>, _: &mut BoltOutput<'_>| Ok(())), parallelism)
        .shuffle_grouping("count");
    let mut r = Running::start(t, shared(threads));
    let figures = r.complete();
    assert_eq!(real(r.stop()), []);
    let counts = counts.lock().unwrap().clone();
    (counts, figures.sum("sum", |t| t.executed()))
}

#[test]
fn results_are_those_of_a_thread_per_executor() {
    for parallelism in 1..=5 {
        let mut expected = BTreeMap::<String, u64>::new();
        for line in (0..LINES_PER_SPOUT).map(|n| LINES[n % LINES.len()]) {
            line.split(' ')
                .for_each(|word| *expected.entry(word.to_owned()).or_default() += u64::from(parallelism));
        }
        let words: u64 = expected.values().sum();
        for threads in [None, Some(1), Some(2), Some(3)] {
            let (counts, sum) = word_count(threads, parallelism);
            assert_eq!(counts, expected, "{threads:?} threads, parallelism {parallelism}");
            assert_eq!(sum, words, "{threads:?} threads, parallelism {parallelism}");
        }
    }
}

// === Failures and the end ===

#[test]
fn a_bolt_that_panics_does_not_hurt_its_neighbours() {
    for threads in 1..=2 {
        let (got, outcomes, fragile_outcomes) = (log(), log(), log());
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", numbers(2000, &outcomes), 1);
        t.set_bolt("sink", sink(&got), 1).shuffle_grouping("numbers");
        let (told, survived) = (fragile_outcomes.clone(), log());
        t.set_spout("again", move || Numbers::replaying(2000).with_outcomes(&told), 1);
        let (hit, s) = (Arc::<Mutex<BTreeSet<i64>>>::default(), survived.clone());
        let fragile = func(move |input: &Tuple<'_>, _: &mut BoltOutput<'_>| {
            let n = input.get::<i64>(0)?;
            let is_first = n % 50 == 7 && hit.lock().unwrap().insert(n);
            assert!(!is_first, "{n} for the first time");
            s.lock().unwrap().push(n);
            Ok(())
        });
        t.set_bolt("fragile", fragile, 1).shuffle_grouping("again");
        let settings = Settings { errors_per_interval: 1000, ..shared(threads) };
        let mut r = Running::start(t, settings);
        let figures = r.complete();
        let errors = real(r.stop());
        assert!(is_exact(&got, 2000));
        assert_eq!(sorted(&outcomes), (0..2000).map(|n| (n, None)).collect::<Vec<_>>());
        let mut numbers = taken(&survived);
        numbers.sort_unstable();
        assert_eq!(numbers, (0..2000).collect::<Vec<_>>());
        assert_eq!(errors.len(), 40);
        assert!(errors.iter().all(|e| e.component == *"fragile" && e.kind == ErrorKind::Panicked));
        assert!(figures.tasks("fragile").all(|t| t.incarnation == 41));
        assert!(figures.tasks("sink").all(|t| t.incarnation == 1));
        let failed = sorted(&fragile_outcomes).into_iter().filter(|(_, cause)| cause.is_some());
        assert!(failed.eq((0..40).map(|i| (50 * i + 7, Some(FailCause::Panicked)))));
    }
}

/// A bolt that cannot be prepared, or can; counts how often it was and how often it ended.
struct Prepared {
    verdict: Result<(), &'static str>,
    prepared: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Bolt for Prepared {
    fn prepare(&mut self, _: &TaskContext) -> Result<(), BoltError> {
        match self.verdict {
            Ok(()) => self.prepared.fetch_add(1, SeqCst),
            Err("panic") => panic!("the disk is on fire"),
            Err(message) => return Err(message.into()),
        };
        Ok(())
    }

    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        Ok(())
    }

    fn cleanup(&mut self) {
        self.ended.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_prepare_that_fails_ends_the_crew() {
    for threads in 1..=3 {
        for (verdict, message) in [("the disk is full", "the disk is full"), ("panic", "the disk is on fire")]
        {
            let (prepared, ended, held) = (Arc::default(), Arc::default(), Arc::new(()));
            let mut t = TopologyBuilder::new();
            t.worker_hook(Held(held.clone()));
            t.set_spout("numbers", || Numbers::new(10), 2);
            for (id, verdict) in [("first", Ok(())), ("second", Err(verdict)), ("third", Ok(()))] {
                let (prepared, ended) =
                    (Arc::<AtomicUsize>::clone(&prepared), Arc::<AtomicUsize>::clone(&ended));
                let bolt = move || Prepared { verdict, prepared: prepared.clone(), ended: ended.clone() };
                t.set_bolt(id, bolt, 2).shuffle_grouping("numbers");
            }
            let Err(error) = Run::start(t.build().unwrap(), shared(threads), options()) else {
                panic!("a topology without its second bolt has started");
            };
            let error = error.to_string();
            assert!(error.contains("'second'") && error.contains(message), "{error}");
            assert_eq!((prepared.load(SeqCst), ended.load(SeqCst)), (4, 4), "{threads} threads");
            assert_eq!(Arc::strong_count(&held), 1, "a thread is left");
        }
    }
}

#[test]
fn a_run_ends_when_the_last_that_blocks_is_through() {
    for threads in 1..=2 {
        let ((gate, closed), taken) = (gate(), log());
        let (prepared, ended) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let mut t = TopologyBuilder::new();
        Flow::add(&mut t);
        t.set_spout("bait", numbers(3, &log()), 1);
        t.set_bolt("stuck", gated(&gate, &taken), 1).shuffle_grouping("bait");
        let (p, e) = (prepared.clone(), ended.clone());
        let other = move || Prepared { verdict: Ok(()), prepared: p.clone(), ended: e.clone() };
        t.set_bolt("other", other, 4).shuffle_grouping("flow");
        let mut r = Running::start(t, with(shared(threads), "flow", pending(16)));
        r.until("it blocks", |_| gate.waiting() == 1);

        // Whether the others have been moved by now or not: they end.
        r.is_stopping = true;
        r.run.begin_stop();
        r.until("all others end", |r| r.ended == r.run.executor_count() - 1);
        assert_eq!((prepared.load(SeqCst), ended.load(SeqCst)), (4, 4));
        assert!(!r.run.has_ended());
        assert_eq!(gate.waiting(), 1);
        drop(closed);
        r.until("all have ended", |r| r.run.has_ended());
        r.stop();
        assert_eq!(taken.lock().unwrap().len(), 1, "what waited behind it is not executed any more");
    }
}

#[test]
fn a_cleanup_that_blocks_does_not_keep_others_from_theirs() {
    let (gate, closed) = gate();
    let (prepared, ended) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", numbers(3, &log()), 1);
    let held = gate.clone();
    let late = move || Late { place: Place::Cleanup, gate: held.clone(), inbox: log() };
    t.set_bolt("late", late, 1).shuffle_grouping("numbers");
    let (p, e) = (prepared, ended.clone());
    let other = move || Prepared { verdict: Ok(()), prepared: p.clone(), ended: e.clone() };
    // Behind "late" in the order of their thread.
    t.set_bolt("other", other, 4).shuffle_grouping("numbers");
    let mut r = Running::start(t, shared(1));
    r.is_stopping = true;
    r.run.begin_stop();
    r.until("all others end", |r| r.ended == r.run.executor_count() - 1);
    assert_eq!((gate.waiting(), ended.load(SeqCst), r.run.has_ended()), (1, 4, false));
    drop(closed);
    r.until("all have ended", |r| r.run.has_ended());
    assert_eq!(real(r.stop()), []);
}

// === Back-pressure, and waking ===

#[test]
fn a_slow_bolt_on_a_shared_thread_bounds_what_is_in_flight() {
    for (threads, tokens) in [(1, 0), (1, 300), (2, 300)] {
        let (executed, emitted) = (Arc::<AtomicI64>::default(), Arc::<AtomicI64>::default());
        let is_enough = Arc::<AtomicBool>::default();
        let (token, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut t = TopologyBuilder::new();
        let (count, enough) = (emitted.clone(), is_enough.clone());
        t.set_spout("flood", move || Flood(count.clone(), enough.clone()), 1);
        t.set_bolt("pass", kit::pass(), 1).shuffle_grouping("flood");
        let count = executed.clone();
        let slow = func(move |_: &Tuple<'_>, _: &mut BoltOutput<'_>| {
            // An error: as fast as it can.
            receiver.lock().unwrap().recv().ok();
            count.fetch_add(1, SeqCst);
            Ok(())
        });
        t.set_bolt("slow", slow, 1).shuffle_grouping("pass");
        let mut r = Running::start(t, shared(threads));
        for n in 1..=tokens {
            token.send(()).unwrap();
            r.until("a token is used", |_| executed.load(SeqCst) == n);
        }
        if threads == 1 {
            r.until_moved("slow");
        }
        // Everybody else has nothing to do when a second look finds what the first has found.
        let waiting = |r: &Running| {
            let figures = r.run.snapshot(Duration::from_millis(100));
            (figures.executors.len() == 2).then(|| figures.sum("flood", |t| t.emitted()))
        };
        let last = Mutex::new(None);
        r.until("the spout comes to rest", |r| {
            let now = waiting(r);
            let before = std::mem::replace(&mut *last.lock().unwrap(), now);
            now.is_some() && now == before
        });
        let in_flight = emitted.load(SeqCst) - executed.load(SeqCst);
        // A window starts with one row and doubles when it was used up, so it is no larger than the
        // rows executed so far; there are two of them, and what is on its way into them.
        assert!(in_flight > 0);
        assert!(in_flight < 4 * (tokens + 64), "{in_flight} in flight after {tokens} on {threads} threads");

        is_enough.store(true, SeqCst);
        drop(token);
        let figures = r.complete();
        for executor in &figures.executors {
            let (component, out, window) = (&executor.component, executor.credit_out, executor.window_rows);
            assert!(out <= window, "{component}: {out} out of a window of {window}");
        }
        assert_eq!(executed.load(SeqCst), emitted.load(SeqCst));
        assert_eq!(real(r.stop()), []);
    }
}

/// Emits untracked numbers until it is told that it is enough, and counts them.
struct Flood(Arc<AtomicI64>, Arc<AtomicBool>);

impl Spout for Flood {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, ()>) -> Result<Next, SpoutError> {
        if self.1.load(SeqCst) {
            return Ok(Next::Done);
        }
        out.emit((self.0.fetch_add(1, SeqCst),));
        Ok(Next::Emitted)
    }
}

/// An inbox holds what its executor does in a thirtieth of the timeout, and it does less of it the more
/// others share its thread.
#[test]
fn no_tuple_times_out_because_it_waits_in_line() {
    for threads in [None, Some(2)] {
        let outcomes = log();
        let mut t = TopologyBuilder::new();
        let told = outcomes.clone();
        t.set_spout("source", move || Counter { next: 0, outcomes: told.clone() }, 5);
        t.set_bolt("parking", Parking::new, 100).shuffle_grouping("source");
        let settings = Settings { message_timeout: Duration::from_secs(3), ..shared(threads) };
        let mut r = Running::start(t, settings);
        r.complete();
        assert_eq!(real(r.stop()), []);
        let late = outcomes.lock().unwrap().iter().filter(|(_, cause)| cause.is_some()).count();
        assert_eq!((outcomes.lock().unwrap().len() as i64, late), (5 * ROWS, 0), "{threads:?} threads");
    }
}

/// A channel that user code waits for parks its thread, and takes the wake-up that was for the
/// engine.
#[test]
fn a_wake_up_is_not_lost_in_a_call_that_parks() {
    for threads in [None, Some(1), Some(2)] {
        let outcomes = log();
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", numbers(500, &outcomes), 1);
        t.set_bolt("parking", Parking::new, 2).shuffle_grouping("numbers");
        t.set_bolt("more parking", Parking::new, 1).shuffle_grouping("numbers");
        // Without timeouts there is no moment at which an executor looks again by itself.
        let settings = Settings { timeouts: false, ..shared(threads) };
        let mut r = Running::start(t, with(settings, "numbers", pending(8)));
        r.complete();
        assert_eq!(real(r.stop()), []);
        assert_eq!(sorted(&outcomes), (0..500).map(|n| (n, None)).collect::<Vec<_>>());
    }
}

/// Waits a millisecond for something that does not come.
struct Parking(mpsc::Receiver<()>, #[expect(dead_code, reason = "only held")] mpsc::Sender<()>);

impl Parking {
    fn new() -> Parking {
        let (sender, nothing) = mpsc::channel();
        Parking(nothing, sender)
    }
}

impl Bolt for Parking {
    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.0.recv_timeout(Duration::from_millis(1)).unwrap_err();
        Ok(())
    }
}
