//! Bolts that answer later: retained tuples, other threads, async tasks, inboxes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use storm_rs::engine::{ErrorKind, ErrorReport, Event, Options, Run, Settings, Snapshot};
use storm_rs::prelude::*;
use storm_rs::{AnchorTo, EmitError, Inbox, Message, Refused, Time};

use crate::kit::*;

/// Starts a topology on threads.
pub(crate) fn start(topology: Topology, settings: Settings) -> Run {
    let options = Options { name: "behaviour".to_owned(), seed: 7, is_active: true };
    Run::start(topology, settings, options).unwrap()
}

/// Runs on threads until every spout is done and everything is processed, checks the books, and
/// returns the figures and the errors that were reported.
pub(crate) fn run_to_end(topology: Topology, settings: Settings) -> (Snapshot, Vec<ErrorReport>) {
    let mut run = start(topology, settings);
    run.watch();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut errors = Vec::new();
    while !(run.is_done() && run.is_quiet()) {
        assert!(Instant::now() < deadline, "hangs: {:#?}", run.snapshot(Duration::from_secs(1)));
        match run.next_event(Duration::from_secs(1)) {
            Some(Event::Error(error)) => errors.push(error),
            Some(Event::Ended { index, .. }) => panic!("executor {index} has ended"),
            _ => {}
        }
    }
    let snapshot = run.snapshot(Duration::from_secs(10));
    assert_eq!(snapshot.audit(true), [""; 0]);
    run.stop();
    while let Some(event) = run.next_event(Duration::ZERO) {
        if let Event::Error(error) = event {
            errors.push(error);
        }
    }
    (snapshot, errors)
}

/// A thread that does something with each thing that it is sent, until nobody sends any more.
struct Worker<T> {
    sender: Arc<Mutex<Option<mpsc::Sender<T>>>>,
    thread: JoinHandle<()>,
}

impl<T: Send + 'static> Worker<T> {
    fn start(mut work: impl FnMut(T) + Send + 'static) -> Worker<T> {
        let (sender, things) = mpsc::channel();
        let thread = std::thread::spawn(move || things.into_iter().for_each(&mut work));
        Worker { sender: Arc::new(Mutex::new(Some(sender))), thread }
    }

    /// A way to send things that the closure of a bolt can hold.
    fn send(&self) -> impl Fn(T) + Clone + Send + Sync + 'static {
        let sender = self.sender.clone();
        move |thing| sender.lock().unwrap().as_ref().unwrap().send(thing).unwrap()
    }

    fn end(self) {
        drop(self.sender.lock().unwrap().take());
        self.thread.join().unwrap();
    }
}

/// A bolt that keeps every tuple in a log.
fn hold(held: &Log<Retained>) -> impl Fn() -> Hold + Send + Sync + 'static {
    let held = held.clone();
    move || Hold(held.clone())
}

struct Hold(Log<Retained>);

impl Bolt for Hold {
    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let retained = out.retain(input);
        self.0.lock().unwrap().push(retained);
        Ok(())
    }
}

// === Handles on other threads ===

#[test]
fn another_thread_acks_and_fails() {
    let worker = Worker::start(|retained: Retained| {
        let n = retained.tuple().get::<i64>("n").unwrap();
        match n % 3 {
            0 => retained.ack(),
            1 => retained.fail(),
            _ => drop(retained),
        }
    });
    let send = worker.send();
    let outcomes = log();
    let written = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(3000).with_outcomes(&written), 1);
    let elsewhere = func(move |input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        send(out.retain(input));
        Ok(())
    });
    t.set_bolt("elsewhere", elsewhere, 2).shuffle_grouping("numbers");
    let (snapshot, errors) = run_to_end(t.build().unwrap(), settings());
    worker.end();
    assert_eq!(errors, []);
    let outcomes: BTreeMap<_, _> = taken(&outcomes).into_iter().collect();
    assert_eq!(outcomes.len(), 3000);
    for (n, cause) in outcomes {
        assert_eq!(cause, (n % 3 != 0).then_some(FailCause::Failed), "{n}");
    }
    assert_eq!(snapshot.sum("elsewhere", |t| t.acked()), 1000);
    assert_eq!(snapshot.sum("elsewhere", |t| t.failed()), 2000);
    assert_eq!(snapshot.sum("elsewhere", |t| t.retained), 0);
}

#[test]
fn a_tokio_task_acks() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let handle = runtime.handle().clone();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || runtime.block_on(ended));
    let outcomes = log();
    let written = outcomes.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(500).with_outcomes(&written), 1);
    let asking = func(move |input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        let retained = out.retain(input);
        handle.spawn(async move {
            let n = retained.tuple().get::<i64>("n").unwrap();
            tokio::time::sleep(Duration::from_millis(n as u64 % 5)).await;
            retained.ack();
        });
        Ok(())
    });
    t.set_bolt("asking", asking, 1).shuffle_grouping("numbers");
    let (snapshot, errors) = run_to_end(t.build().unwrap(), settings());
    end.send(()).unwrap();
    thread.join().unwrap().unwrap();
    assert_eq!(errors, []);
    assert_eq!(snapshot.spouts(|t| t.acked()), 500);
    assert!(taken(&outcomes).iter().all(|(_, cause)| cause.is_none()));
}

#[test]
fn a_dropped_handle_fails_at_once() {
    let outcomes = log();
    let mut t = TopologyBuilder::new();
    let written = outcomes.clone();
    t.set_spout("numbers", move || Numbers::new(100).with_outcomes(&written), 1);
    let dropping = func(|input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        drop(out.retain(input));
        Ok(())
    });
    t.set_bolt("dropping", dropping, 1).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), settings(), 7);
    assert!(run.run_to_end(Time::from_millis(1100)), "in a tenth of a second, not after the timeout");
    assert!(taken(&outcomes).into_iter().eq((0..100).map(|n| (n, Some(FailCause::Failed)))));
    let snapshot = run.snapshot();
    assert_eq!(snapshot.audit(true), [""; 0]);
    assert_eq!(snapshot.sum("dropping", |t| t.failed()), 100);
    run.stop();
}

#[test]
fn the_values_of_a_handle_outlive_the_batch() {
    let held = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(1000), 1);
    t.set_bolt("hold", hold(&held), 1).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), settings(), 7);
    run.run_until(Time::from_secs(3));
    let snapshot = run.snapshot();
    assert_eq!(snapshot.audit(true), [""; 0]);
    assert_eq!(snapshot.sum("hold", |t| t.retained), 1000);
    assert!(snapshot.sum("hold", |t| t.oldest_retained_ns) > 1_000_000_000);
    assert!(!run.is_quiet());
    let held = taken(&held);
    assert!(held.iter().map(|r| r.tuple().get::<i64>("n").unwrap()).eq(0..1000));
    assert_eq!(held[7].tuple().source_component().as_str(), "numbers");
    held.into_iter().for_each(Retained::ack);
    assert!(run.run_to_end(Time::from_secs(4)));
    assert_eq!(run.snapshot().audit(true), [""; 0]);
    run.stop();
}

#[test]
fn a_handle_may_outlive_its_topology() {
    let held = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(3), 1);
    t.set_bolt("hold", hold(&held), 1).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), settings(), 7);
    run.run_until(Time::from_secs(2));
    run.stop();
    let mut held = taken(&held);
    held.pop().unwrap().ack();
    held[0].reset_timeout();
    assert_eq!(held[1].tuple().get::<i64>("n").unwrap(), 1);
}

#[test]
fn a_second_handle_of_the_same_tuple_settles_nothing() {
    let outcomes = log();
    let mut t = TopologyBuilder::new();
    let written = outcomes.clone();
    t.set_spout("numbers", move || Numbers::new(10).with_outcomes(&written), 1);
    let twice = func(|input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        let (first, second) = (out.retain(input), out.retain(input));
        assert_eq!(second.tuple().get::<i64>("n")?, first.tuple().get::<i64>("n")?);
        drop(second);
        first.ack();
        Ok(())
    });
    t.set_bolt("twice", twice, 1).shuffle_grouping("numbers");
    complete(t.build().unwrap(), settings(), 7);
    assert!(taken(&outcomes).into_iter().eq((0..10).map(|n| (n, None))));
}

// === An ack from another thread never loses a child ===

/// Emits numbers and checks at each ack that all children of the number were processed before.
struct Watchful {
    numbers: Numbers,
    children: usize,
    processed: Arc<Vec<AtomicUsize>>,
    early: Log<i64>,
}

impl Spout for Watchful {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        self.numbers.declare_outputs(out);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        self.numbers.next_tuple(out)
    }

    fn ack(&mut self, n: i64) {
        if self.processed[n as usize].load(SeqCst) != self.children {
            self.early.lock().unwrap().push(n);
        }
    }

    fn fail(&mut self, n: i64, _: FailCause) {
        self.early.lock().unwrap().push(-n);
    }
}

#[test]
fn an_ack_from_another_thread_does_not_overtake_a_child() {
    const COUNT: i64 = 20_000;
    let processed: Arc<Vec<AtomicUsize>> = Arc::new((0..COUNT).map(|_| AtomicUsize::new(0)).collect());
    let (early, got) = (log(), log());
    let mut t = TopologyBuilder::new();
    let (watched, early_acks) = (processed.clone(), early.clone());
    let spout = move || Watchful {
        numbers: Numbers::new(COUNT),
        children: 3,
        processed: watched.clone(),
        early: early_acks.clone(),
    };
    t.set_spout("numbers", spout, 1);
    // The parent is acked by one thread as soon as its children are emitted...
    let quick = Worker::start(Retained::ack);
    let ack = quick.send();
    let parent = func(move |input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        let n = input.get::<i64>("n")?;
        // Edges from before and after the tuple is retained count.
        out.emit((n,));
        let retained = out.retain(input);
        out.emit_anchored([&retained], (n,));
        out.emit_anchored([&retained], (n,));
        ack(retained);
        Ok(())
    });
    t.set_bolt("parent", parent, 2).shuffle_grouping("numbers");
    // ... and the children by another, which takes its time.
    let done = processed;
    let slow = Worker::start(move |retained: Retained| {
        let n = retained.tuple().get::<i64>("n").unwrap();
        std::thread::yield_now();
        done[n as usize].fetch_add(1, SeqCst);
        retained.ack();
    });
    let process = slow.send();
    let sink = got.clone();
    let child = func(move |input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        sink.lock().unwrap().push((TaskId(0), input.get::<i64>("n")?));
        process(out.retain(input));
        Ok(())
    });
    t.set_bolt("child", child, 2).shuffle_grouping("parent");
    let (snapshot, errors) = run_to_end(t.build().unwrap(), settings());
    quick.end();
    slow.end();
    assert_eq!(errors, []);
    assert_eq!(taken(&early), [0; 0], "acked before their children, or failed");
    assert!(tally(&got).into_iter().eq((0..COUNT).map(|n| (n, 3))));
    assert_eq!(snapshot.spouts(|t| t.acked()), COUNT as u64);
    assert_eq!(snapshot.executors.iter().map(|e| e.late_acks).sum::<u64>(), 0);
}

/// What the test does with one of the handles that are around.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Ack,
    Fail,
    Reset,
}

fn answers() -> impl Strategy<Value = Vec<(usize, Answer)>> {
    let answer = prop_oneof![6 => Just(Answer::Ack), 1 => Just(Answer::Fail), 1 => Just(Answer::Reset)];
    proptest::collection::vec((any::<usize>(), answer), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Parents and children are retained and answered in any order between any two steps: a tree
    /// is acked when its last part is, and fails when one part does.
    #[test]
    fn trees_end_as_their_retained_parts_say(seed in any::<u64>(), answers in answers()) {
        let (outcomes, held): (_, Log<Retained>) = (log(), log());
        let mut t = TopologyBuilder::new();
        let written = outcomes.clone();
        t.set_spout("numbers", move || Numbers::new(10).with_outcomes(&written), 1);
        let handles = held.clone();
        let parent = func(move |input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
            let n = input.get::<i64>("n")?;
            let retained = out.retain(input);
            out.emit_anchored([&retained], (n,));
            handles.lock().unwrap().push(retained);
            Ok(())
        });
        t.set_bolt("parent", parent, 1).shuffle_grouping("numbers");
        t.set_bolt("child", hold(&held), 2).shuffle_grouping("parent");
        let mut run = stepped(t.build().unwrap(), settings(), seed);
        // What is left of each tree: parts to ack, none once it failed.
        let mut left: BTreeMap<i64, Option<usize>> = (0..10).map(|n| (n, Some(2))).collect();
        let mut wanted = BTreeMap::new();
        let mut answers = answers.into_iter().chain(std::iter::repeat((0, Answer::Ack)));
        let mut rounds = 0;
        while wanted.len() < 10 || !held.lock().unwrap().is_empty() || rounds < 20 {
            rounds += 1;
            prop_assert!(rounds < 10_000);
            let next = run.clock().clone();
            let until = { use storm_rs::Clock; next.now() } + Duration::from_micros(rounds % 40);
            run.run_until(until);
            let mut held = held.lock().unwrap();
            if held.is_empty() {
                continue;
            }
            let (pick, answer) = answers.next().unwrap();
            let pick = pick % held.len();
            if matches!(answer, Answer::Reset) {
                held[pick].reset_timeout();
                continue;
            }
            let retained = held.swap_remove(pick);
            let n = retained.tuple().get::<i64>("n").unwrap();
            let tree = left.get_mut(&n).unwrap();
            match (answer, &tree) {
                (Answer::Ack, Some(1)) => {
                    wanted.insert(n, None);
                    *tree = Some(0);
                }
                (Answer::Ack, Some(parts)) => *tree = Some(parts - 1),
                (Answer::Fail, Some(_)) => {
                    wanted.insert(n, Some(FailCause::Failed));
                    *tree = None;
                }
                _ => {}
            }
            if matches!(answer, Answer::Ack) { retained.ack() } else { retained.fail() }
            drop(held);
            let told = outcomes.lock().unwrap().iter().filter(|(n, _)| !wanted.contains_key(n)).count();
            prop_assert_eq!(told, 0, "ended too early");
        }
        prop_assert!(run.run_to_end(Time::from_secs(29)), "before any timeout");
        prop_assert_eq!(run.snapshot().audit(true), Vec::<String>::new());
        run.stop();
        let mut outcomes = taken(&outcomes);
        outcomes.sort_by_key(|(n, _)| *n);
        prop_assert!(outcomes.into_iter().eq(wanted));
    }
}

// === Timeouts ===

#[test]
fn a_retained_tuple_times_out_and_its_late_ack_is_counted_and_nothing_else() {
    let (outcomes, held) = (log(), log());
    let mut t = TopologyBuilder::new();
    let written = outcomes.clone();
    t.set_spout("numbers", move || Numbers::new(20).with_outcomes(&written), 1);
    t.set_bolt("hold", hold(&held), 1).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), with_timeout(5), 7);
    run.run_until(Time::from_secs(5));
    assert_eq!(taken(&outcomes), []);
    run.run_until(Time::from_secs(8));
    assert!(taken(&outcomes).into_iter().eq((0..20).map(|n| (n, Some(FailCause::Timeout)))));
    let late = |s: &Snapshot| s.executors.iter().map(|e| e.late_acks).sum::<u64>();
    let before = run.snapshot();
    assert_eq!(before.audit(true), [""; 0]);
    assert_eq!((before.sum("hold", |t| t.retained), late(&before)), (20, 0));
    taken(&held).into_iter().for_each(Retained::ack);
    // Acks of trees that have ended are nothing that a run waits for.
    run.run_until(Time::from_secs(9));
    assert!(run.run_to_end(Time::from_secs(10)));
    let after = run.snapshot();
    assert_eq!(after.audit(true), [""; 0]);
    assert_eq!(taken(&outcomes), [], "they have ended");
    assert_eq!((after.sum("hold", |t| t.acked()), late(&after)), (20, 20));
    assert_eq!(after.spouts(|t| t.failed()), 20);
    run.stop();
}

#[test]
fn resetting_the_timeout_keeps_a_retained_tuple_alive() {
    let (outcomes, held) = (log(), log());
    let mut t = TopologyBuilder::new();
    let written = outcomes.clone();
    t.set_spout("numbers", move || Numbers::new(2).with_outcomes(&written), 1);
    t.set_bolt("hold", hold(&held), 1).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), with_timeout(5), 7);
    run.run_until(Time::from_secs(2));
    let mut held = taken(&held);
    for second in 3..30 {
        held[1].reset_timeout();
        run.run_until(Time::from_secs(second));
    }
    assert_eq!(taken(&outcomes), [(0, Some(FailCause::Timeout))]);
    held.pop().unwrap().ack();
    drop(held);
    assert!(run.run_to_end(Time::from_secs(31)));
    assert_eq!(taken(&outcomes), [(1, None)]);
    assert_eq!(run.snapshot().audit(true), [""; 0]);
    run.stop();
}

// === Anchors of others ===

fn declare_n(out: &mut OutputDeclarer) {
    out.fields(["n"]);
}

#[test]
fn the_handle_of_another_executor_is_no_anchor() {
    let (outcomes, held, refused, got) = (log(), log(), log(), log());
    let mut t = TopologyBuilder::new();
    let written = outcomes.clone();
    t.set_spout("numbers", move || Numbers::new(1).with_outcomes(&written), 1);
    t.set_bolt("hold", hold(&held), 1).shuffle_grouping("numbers");
    let (foreign, mut is_done) = (held.clone(), false);
    let later = move |out: &mut SpoutOutput<'_, i64>| {
        if is_done || foreign.lock().unwrap().is_empty() {
            return Ok(if is_done { Next::Done } else { Next::Idle });
        }
        is_done = true;
        out.emit((0,));
        Ok(Next::Emitted)
    };
    t.set_spout("later", source(declare_n, &log(), later), 1);
    let (foreign, errors) = (held.clone(), refused.clone());
    let anchoring = func(move |_: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        let held = foreign.lock().unwrap();
        let tried = out.on("default").anchored(&[AnchorTo::Retained(&held[0])]).try_emit((1,));
        errors.lock().unwrap().push(tried.unwrap_err());
        out.emit_anchored([&held[0]], (2,));
        Ok(())
    });
    t.set_bolt("anchoring", anchoring, 1).shuffle_grouping("later");
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("anchoring");
    let mut run = stepped(t.build().unwrap(), settings(), 7);
    run.run_until(Time::from_millis(1100));
    let refused = taken(&refused);
    assert!(matches!(refused[..], [EmitError::ForeignAnchor { .. }]), "{refused:?}");
    let errors = run.take_errors();
    assert_eq!(errors[0].kind, ErrorKind::Contract);
    assert!(errors[0].message.contains("'anchoring' anchored to a tuple"), "{errors:?}");
    assert_eq!(taken(&got), []);
    assert_eq!(taken(&outcomes), [], "the tuple itself is none the worse");
    taken(&held).into_iter().for_each(Retained::ack);
    assert!(run.run_to_end(Time::from_secs(2)));
    assert_eq!(taken(&outcomes), [(0, None)]);
    assert_eq!(run.snapshot().audit(true), [""; 0]);
    run.stop();
}

// === Inboxes ===

/// Sends its tuples to a worker and emits the answers.
struct Asking<S> {
    ask: S,
    inbox: Option<Inbox<(Retained, i64)>>,
}

impl<S: Fn((Inbox<(Retained, i64)>, Retained)) + Send + 'static> Bolt for Asking<S> {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.inbox = Some(ctx.inbox());
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        (self.ask)((self.inbox.clone().unwrap(), out.retain(input)));
        Ok(())
    }

    fn on_message(&mut self, message: Message, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let (retained, answer) = message.take::<(Retained, i64)>()?;
        if answer < 0 {
            retained.fail();
            return Ok(());
        }
        out.emit_anchored([&retained], (answer,));
        out.emit_anchored([&retained], (answer,));
        retained.ack();
        Ok(())
    }
}

#[test]
fn answers_come_home_and_are_emitted_anchored() {
    const COUNT: i64 = 5000;
    let worker = Worker::start(|(inbox, retained): (Inbox<(Retained, i64)>, Retained)| {
        let n = retained.tuple().get::<i64>("n").unwrap();
        inbox.send((retained, if n % 10 == 9 { -1 } else { n })).unwrap();
    });
    let ask = worker.send();
    let (outcomes, got) = (log(), log());
    let mut t = TopologyBuilder::new();
    let written = outcomes.clone();
    t.set_spout("numbers", move || Numbers::new(COUNT).with_outcomes(&written), 1);
    // Tasks that share an executor have inboxes of their own.
    t.set_bolt("asking", move || Asking { ask: ask.clone(), inbox: None }, 2)
        .num_tasks(4)
        .shuffle_grouping("numbers");
    let sevens_fail = got.clone();
    let sink = func(move |input: &Tuple<'_>, _: &mut BoltOutput<'_>| {
        let n = input.get::<i64>("n")?;
        sevens_fail.lock().unwrap().push((input.source_task(), n));
        if n % 10 == 7 { Err(BoltError::quiet("seven")) } else { Ok(()) }
    });
    t.set_bolt("sink", sink, 1).shuffle_grouping("asking");
    let (snapshot, errors) = run_to_end(t.build().unwrap(), settings());
    worker.end();
    assert_eq!(errors, []);
    let expected = (0..COUNT).filter(|n| n % 10 != 9).map(|n| (n, 2));
    assert!(tally(&got).into_iter().eq(expected));
    for (n, cause) in taken(&outcomes) {
        assert_eq!(cause, matches!(n % 10, 7 | 9).then_some(FailCause::Failed), "{n}");
    }
    assert_eq!(snapshot.spouts(|t| t.failed()), COUNT as u64 / 5);
    assert_eq!(snapshot.sum("asking", |t| t.failed()), COUNT as u64 / 10);
}

/// Writes down the messages that it gets.
struct Listening {
    inboxes: Log<Inbox<u32>>,
    got: Log<u32>,
    lives: Log<u64>,
    sum: u32,
}

type Heard = (Log<Inbox<u32>>, Log<u32>, Log<u64>);

fn listening(t: &mut TopologyBuilder) -> Heard {
    let heard: Heard = (log(), log(), log());
    let (inboxes, got, lives) = heard.clone();
    t.set_spout("numbers", || Numbers::new(0), 1);
    let bolt = move || Listening { inboxes: inboxes.clone(), got: got.clone(), lives: lives.clone(), sum: 0 };
    t.set_bolt("listening", bolt, 1).shuffle_grouping("numbers");
    heard
}

impl Bolt for Listening {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.inboxes.lock().unwrap().push(ctx.inbox());
        self.lives.lock().unwrap().push(ctx.incarnation());
        Ok(())
    }

    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        Ok(())
    }

    fn on_message(&mut self, message: Message, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let n: u32 = message.take()?;
        self.sum += n;
        assert!(n != 13, "thirteen, after a sum of {}", self.sum);
        self.got.lock().unwrap().push(n);
        Ok(())
    }
}

#[test]
fn a_full_inbox_gives_the_message_back_and_a_closed_one_too() {
    let mut t = TopologyBuilder::new();
    let (inboxes, got, _) = listening(&mut t);
    let mut run = stepped(t.build().unwrap(), settings(), 7);
    let inbox = inboxes.lock().unwrap()[0].clone();
    for n in 0..65_536 {
        inbox.send(n + 100).unwrap();
    }
    for n in [5, 6] {
        let refused = inbox.send(n).unwrap_err();
        assert_eq!((refused.refused, refused.message), (Refused::Full, n));
    }
    assert!(!run.is_quiet(), "messages are on their way");
    assert!(run.run_to_end(Time::from_secs(10)));
    assert!(taken(&got).into_iter().eq(100..65_636), "in order, each once");
    inbox.send(7).unwrap();
    assert!(run.run_to_end(Time::from_secs(11)));
    assert_eq!(taken(&got), [7]);
    assert_eq!(run.snapshot().audit(true), [""; 0]);
    run.stop();
    let refused = inbox.send(8).unwrap_err();
    assert_eq!((refused.refused, refused.message), (Refused::Closed, 8));
    assert_eq!(refused.refused.to_string(), "the task has ended");
}

#[test]
fn an_inbox_is_closed_when_a_run_on_threads_has_stopped() {
    let mut t = TopologyBuilder::new();
    let (inboxes, ..) = listening(&mut t);
    let mut run = start(t.build().unwrap(), settings());
    let inbox = inboxes.lock().unwrap()[0].clone();
    inbox.send(1).unwrap();
    run.stop();
    assert_eq!(inbox.send(2).unwrap_err().refused, Refused::Closed);
}

#[test]
fn a_message_of_another_type_is_an_error_that_names_the_wanted_one() {
    struct Wrong;
    impl Bolt for Wrong {
        fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
            ctx.inbox::<&'static str>().send("seven")?;
            ctx.inbox::<u64>().send(7)?;
            Ok(())
        }
        fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
            Ok(())
        }
        fn on_message(&mut self, message: Message, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
            assert!(message.is::<u64>() != message.is::<&'static str>());
            let n: u64 = message.take()?;
            assert_eq!(n, 7);
            Ok(())
        }
    }
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(0), 1);
    t.set_bolt("wrong", || Wrong, 1).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), settings(), 7);
    assert!(run.run_to_end(Time::from_secs(2)));
    let errors = run.take_errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].kind, ErrorKind::Reported);
    assert_eq!(errors[0].message, "a message that is not a u64");
    run.stop();
}

#[test]
fn a_panic_in_on_message_is_reported_and_the_bolt_built_anew() {
    let mut t = TopologyBuilder::new();
    let (inboxes, got, lives) = listening(&mut t);
    let mut run = stepped(t.build().unwrap(), settings(), 7);
    let inbox = inboxes.lock().unwrap()[0].clone();
    for n in [1, 2, 13, 3] {
        inbox.send(n).unwrap();
    }
    assert!(run.run_to_end(Time::from_secs(2)));
    assert_eq!(taken(&got), [1, 2, 3], "the old inbox is good for the new instance");
    assert_eq!(taken(&lives), [1, 2]);
    let errors = run.take_errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].kind, ErrorKind::Panicked);
    assert!(errors[0].message.contains("async_bolts.rs:"), "{errors:?}");
    assert!(errors[0].message.ends_with("thirteen, after a sum of 16"), "{errors:?}");
    let snapshot = run.snapshot();
    assert_eq!(snapshot.audit(true), [""; 0]);
    assert_eq!(snapshot.tasks("listening").next().unwrap().incarnation, 2);
    run.stop();
}

/// Panics on an answer; what it keeps goes with it.
struct Fragile {
    kept: Vec<Retained>,
    inbox: Option<Inbox<Retained>>,
}

impl Bolt for Fragile {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.inbox = Some(ctx.inbox());
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let retained = out.retain(input);
        match input.get::<i64>("n")? {
            9 => self.inbox.as_ref().unwrap().send(retained)?,
            _ => self.kept.push(retained),
        }
        Ok(())
    }

    fn on_message(&mut self, message: Message, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let retained: Retained = message.take()?;
        panic!("with {} kept, on {retained:?}", self.kept.len());
    }
}

#[test]
fn what_a_bolt_has_retained_fails_when_it_panics() {
    let outcomes = log();
    let mut t = TopologyBuilder::new();
    let written = outcomes.clone();
    t.set_spout("numbers", move || Numbers::new(10).with_outcomes(&written), 1);
    t.set_bolt("fragile", || Fragile { kept: vec![], inbox: None }, 1).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), settings(), 7);
    assert!(run.run_to_end(Time::from_secs(2)), "at once, not after the timeout");
    let mut outcomes = taken(&outcomes);
    outcomes.sort_by_key(|(n, _)| *n);
    assert!(outcomes.into_iter().eq((0..10).map(|n| (n, Some(FailCause::Failed)))));
    let errors = run.take_errors();
    assert!(errors[0].message.contains("with 9 kept, on Retained(numbers:default"), "{errors:?}");
    let snapshot = run.snapshot();
    assert_eq!(snapshot.audit(true), [""; 0]);
    assert_eq!(snapshot.sum("fragile", |t| t.failed()), 10);
    run.stop();
}

#[test]
fn an_error_in_on_message_is_reported_and_a_kept_emit_error_too() {
    struct Sloppy;
    impl Bolt for Sloppy {
        fn declare_outputs(&self, out: &mut OutputDeclarer) {
            out.fields(["n"]);
        }
        fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
            ctx.inbox::<u8>().send(0)?;
            ctx.inbox::<u8>().send(1)?;
            Ok(())
        }
        fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
            Ok(())
        }
        fn on_message(&mut self, message: Message, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
            if message.take::<u8>()? == 0 {
                return Err("zero".into());
            }
            out.emit((1, 2));
            // Without an input this is unanchored.
            out.emit((1,));
            Ok(())
        }
    }
    let got = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(0), 1);
    t.set_bolt("sloppy", || Sloppy, 1).shuffle_grouping("numbers");
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("sloppy");
    let mut run = stepped(t.build().unwrap(), settings(), 7);
    assert!(run.run_to_end(Time::from_secs(2)));
    let errors: Vec<_> = run.take_errors().into_iter().map(|e| (e.kind, e.message)).collect();
    assert_eq!(errors[0], (ErrorKind::Reported, "zero".to_owned()));
    assert_eq!(errors[1].0, ErrorKind::Contract, "{errors:?}");
    assert_eq!(tally(&got), BTreeMap::from([(1, 1)]));
    assert_eq!(run.snapshot().audit(true), [""; 0]);
    run.stop();
}

/// Posts every tuple to the task itself, and acks it in `on_message` alone.
struct Detour(Option<Inbox<Retained>>);

impl Bolt for Detour {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.0 = Some(ctx.inbox());
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.0.as_ref().unwrap().send(out.retain(input))?;
        Ok(())
    }

    fn on_message(&mut self, message: Message, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        message.take::<Retained>()?.ack();
        Ok(())
    }
}

fn detour(count: i64) -> Topology {
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", move || Numbers::new(count), 1);
    t.set_bolt("detour", || Detour(None), 1).shuffle_grouping("numbers");
    t.build().unwrap()
}

#[test]
fn messages_are_handled_while_rows_keep_coming_and_acks_of_handles_too() {
    let (snapshot, errors) = run_to_end(detour(200_000), settings());
    assert_eq!(errors, []);
    assert_eq!(snapshot.spouts(|t| t.acked()), 200_000);
}

#[test]
fn an_inbox_does_not_fill_up_when_every_row_posts_a_message() {
    // On a clock that stands still steps are as long as they get.
    let mut run = stepped(detour(200_000), settings(), 7);
    assert!(run.run_to_end(Time::from_secs(2)));
    assert_eq!(run.take_errors(), []);
    assert_eq!(run.snapshot().spouts(|t| t.acked()), 200_000);
    run.stop();
}

/// Holds something that only one can hold, such as a port or a lock file, as long as it lives.
struct Exclusive {
    is_taken: Arc<AtomicBool>,
    has_taken: bool,
}

impl Bolt for Exclusive {
    fn prepare(&mut self, _: &TaskContext) -> Result<(), BoltError> {
        if self.is_taken.swap(true, SeqCst) {
            return Err("taken".into());
        }
        self.has_taken = true;
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        assert!(input.get::<i64>("n")? != 5, "five");
        Ok(())
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        if self.has_taken {
            self.is_taken.store(false, SeqCst);
        }
    }
}

#[test]
fn a_bolt_that_panicked_is_dropped_before_the_next_one_is_prepared() {
    let is_taken = Arc::new(AtomicBool::new(false));
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(10), 1);
    let exclusive = move || Exclusive { is_taken: is_taken.clone(), has_taken: false };
    t.set_bolt("exclusive", exclusive, 1).shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), settings(), 7);
    let is_done = run.run_to_end(Time::from_secs(300));
    let errors = run.take_errors();
    let messages: Vec<&str> = errors.iter().map(|e| e.message.as_str()).collect();
    assert!(messages.len() == 1 && messages[0].ends_with("five"), "{messages:?}");
    assert!(is_done);
    let snapshot = run.snapshot();
    assert_eq!(snapshot.audit(true), [""; 0]);
    assert_eq!((snapshot.spouts(|t| t.acked()), snapshot.spouts(|t| t.failed())), (9, 1));
    run.stop();
}
