//! Several workers on one thread, on a virtual clock, in an order drawn from a seed: executors are stepped,
//! frames wait on the way, lines break and workers start anew.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::time::Duration;

use proptest::prelude::*;
use storm_topology::{
    Bolt, BoltError, BoltOutput, Clock, Next, OutputDeclarer, Spout, SpoutError, SpoutOutput, Topology,
    TopologyBuilder, Tuple,
};

use super::*;
use crate::bolt_executor::owed::Owed;
use crate::clock::VirtualClock;
use crate::credit::WINDOW_BYTES;
use crate::executor::{Executor, Step, earlier};
use crate::ids::EdgeIds;
use crate::lanes::Control;
use crate::settings::{ComponentSettings, Settings};
use crate::traffic;
use crate::wiring::Beginning;

type Log<T> = Arc<Mutex<Vec<T>>>;

/// Emits numbers with a text, tracked, and again what failed.
struct Numbers {
    next: i64,
    again: Vec<i64>,
    plan: Plan,
}

impl Numbers {
    fn of(plan: &Plan) -> impl Fn() -> Numbers + Send + Sync + 'static {
        let plan = plan.clone();
        move || Numbers { next: 0, again: Vec::new(), plan: plan.clone() }
    }
}

/// In this unit a number carries the rounds that it has to go in the cycle.
const ROUND: i64 = 100_000;

impl Spout for Numbers {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n", "text"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        let n = match self.again.pop() {
            Some(n) => n,
            None if self.next == self.plan.count => return Ok(Next::Done),
            None => {
                self.next += 1;
                self.next - 1
            }
        };
        // Every thirteenth is so large that it goes in parts.
        let text_bytes = self.plan.text_bytes;
        let bytes = if n % 13 == 12 { 30 * text_bytes } else { text_bytes };
        out.emit_tracked(n, (n + 2 * ROUND, "x".repeat(bytes)));
        Ok(Next::Emitted)
    }

    fn ack(&mut self, n: i64) {
        self.plan.ended.lock().unwrap().push((n, None));
    }

    fn fail(&mut self, n: i64, cause: FailCause) {
        self.plan.ended.lock().unwrap().push((n, Some(cause)));
        if self.plan.replays {
            self.again.push(n);
        }
    }
}

/// Sends numbers round; fails some of them at random.
struct Round {
    random: EdgeIds,
    failing: usize,
}

impl Bolt for Round {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n", "text"]).stream("again", ["n", "text"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let (n, text) = (input.get::<i64>("n")?, input.get::<&str>("text")?);
        if self.failing > 0 && self.random.below(self.failing) == 0 {
            out.fail(input);
        } else if n >= ROUND {
            out.reset_timeout(input);
            out.emit_to("again", (n - ROUND, text));
        } else {
            out.emit((n, text));
        }
        Ok(())
    }
}

/// Sends on what it gets.
struct Forward;

impl Bolt for Forward {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n", "text"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        out.emit((input.get::<i64>("n")?, input.get::<&str>("text")?));
        Ok(())
    }
}

/// Sends so many copies round, or, when it is none, the number to the sink.
struct Back(Arc<AtomicU32>);

impl Bolt for Back {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n", "text"]).stream("again", ["n", "text"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let (n, text) = (input.get::<i64>("n")?, input.get::<&str>("text")?);
        match self.0.load(Ordering::SeqCst) {
            0 => out.emit((n - 2 * ROUND, text)),
            copies => (0..copies).for_each(|_| out.emit_to("again", (n, text))),
        }
        Ok(())
    }
}

struct Sink(Log<i64>);

impl Bolt for Sink {
    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.0.lock().unwrap().push(input.get("n")?);
        Ok(())
    }
}

#[derive(Clone)]
struct Plan {
    count: i64,
    failing: usize,
    text_bytes: usize,
    /// What fails comes again.
    replays: bool,
    budget: u64,
    ended: Log<(i64, Option<FailCause>)>,
    got: Log<i64>,
    topology: fn(&Plan) -> Topology,
    /// Rows that a cycle of its own topology makes of one.
    copies: Arc<AtomicU32>,
}

impl Plan {
    fn new(count: i64) -> Plan {
        Plan {
            count,
            failing: 0,
            text_bytes: 20,
            replays: true,
            budget: Settings::default().memory_budget,
            ended: Log::default(),
            got: Log::default(),
            topology: Plan::usual,
            copies: Arc::default(),
        }
    }

    fn usual(&self) -> Topology {
        let mut t = TopologyBuilder::new();
        let Plan { count, failing, got, .. } = self.clone();
        t.set_spout("numbers", Numbers::of(self), 2);
        let round = move || Round { random: EdgeIds::seeded(count as u64), failing };
        t.set_bolt("round", round, 3).shuffle_grouping("numbers").fields_grouping(("round", "again"), ["n"]);
        t.set_bolt("sink", move || Sink(got.clone()), 2).shuffle_grouping("round");
        t.build().unwrap()
    }

    /// Rows go round from `there` to `back`, where each becomes several, as long as `copies` says so.
    fn multiplying(&self) -> Topology {
        let mut t = TopologyBuilder::new();
        let Plan { got, copies, .. } = self.clone();
        t.set_spout("numbers", Numbers::of(self), 2);
        t.set_bolt("there", || Forward, 1).shuffle_grouping("numbers").shuffle_grouping(("back", "again"));
        t.set_bolt("back", move || Back(copies.clone()), 1).shuffle_grouping("there");
        t.set_bolt("sink", move || Sink(got.clone()), 1).shuffle_grouping("back");
        t.build().unwrap()
    }

    /// Executors of the topology by their index, by component.
    const NUMBERS: [u32; 2] = [0, 1];
    const ROUND: [u32; 3] = [2, 3, 4];
    const SINK: [u32; 2] = [5, 6];
}

/// A worker.
struct Side {
    wiring: Arc<Wiring>,
    gateway: Gateway,
    executors: Vec<Executor>,
    /// By the number of the peer.
    lines: BTreeMap<usize, Arc<Line>>,
    _events: mpsc::Receiver<crate::run::Event>,
}

impl Side {
    fn new(plan: &Plan, clock: &Arc<VirtualClock>, here: &[u32], seed: u64) -> Side {
        let topology = (plan.topology)(plan);
        let tasks = storm_model::TaskTable::new(&topology.spec);
        let ids = storm_model::tasks::executors(&topology.spec, &tasks);
        let (sender, events) = mpsc::channel();
        let beginning = Beginning {
            name: "stepped".to_owned(),
            clock: clock.clone(),
            seed,
            is_active: true,
            cores: usize::MAX,
            events: sender,
            here: Some(here.iter().map(|index| ids[*index as usize].1).collect()),
        };
        let pending = ComponentSettings { max_spout_pending: 40, ..ComponentSettings::default() };
        let settings = Settings {
            message_timeout: Duration::from_secs(5),
            memory_budget: plan.budget,
            components: [(ComponentId::from("numbers"), pending)].into(),
            ..Settings::default()
        };
        let (wiring, lanes) = Wiring::new(topology, settings, beginning).unwrap();
        let wiring = Arc::new(wiring);
        let (near, far): (Vec<_>, Vec<_>) =
            lanes.into_iter().enumerate().partition(|(index, _)| here.contains(&(*index as u32)));
        let gateway = Gateway::new(wiring.clone(), far);
        let executors: Vec<Executor> =
            near.into_iter().map(|(index, lanes)| wiring.build(index, lanes).unwrap()).collect();
        wiring.directory.here().for_each(|address| address.control(Control::Start));
        Side { wiring, gateway, executors, lines: BTreeMap::new(), _events: events }
    }

    fn ids(&self, executors: &[u32]) -> Vec<ExecutorId> {
        executors.iter().map(|index| self.wiring.executors[*index as usize].1).collect()
    }

    fn directory(&self) -> &Directory {
        &self.wiring.directory
    }

    fn join(&mut self, peer: usize, executors: &[u32]) -> Arc<Line> {
        let line = self.gateway.line(&self.ids(executors));
        self.lines.insert(peer, line.clone());
        self.gateway.set_lines(self.lines.values());
        line
    }

    fn is_quiet(&self) -> bool {
        traffic::is_complete(self.directory().iter().map(|a| &a.traffic))
    }

    /// What is under way is a part of what is out, and the books of an account never go below zero.
    fn check(&self) {
        for address in self.directory().iter() {
            let (out, mut part) = (address.account.outstanding(), Grant::default());
            if let Some(proxy) = address.proxy() {
                part = proxy.under_way().credit;
            }
            assert!(0 <= part.rows && part.rows <= out.rows, "{part:?} of {out:?}");
            assert!(0 <= part.bytes && part.bytes <= out.bytes, "{part:?} of {out:?}");
        }
    }
}

/// One direction between two workers.
struct Way {
    from: usize,
    to: usize,
    out: (DataOut, ControlOut),
    into: (DataIn, ControlIn),
    data: VecDeque<(u8, Vec<u8>)>,
    control: VecDeque<(u8, Vec<u8>)>,
    /// A frame of each kind, not too long, with much in it.
    seen: BTreeMap<u8, Vec<u8>>,
}

impl Way {
    /// Pulls a frame, as one that is written behind others; false when there is none.
    fn pull(&mut self, is_data: bool) -> bool {
        let mut body = b"others".to_vec();
        let kind = if is_data { self.out.0.next(&mut body) } else { self.out.1.next(&mut body) };
        assert!(body.starts_with(b"others"));
        let Some(kind) = kind else {
            assert_eq!(body.len(), 6);
            return false;
        };
        assert!(body.len() - 6 <= PART_BYTES);
        let body = body.split_off(6);
        let seen = self.seen.entry(kind).or_default();
        if seen.is_empty() || seen.len() < body.len() && body.len() < 400 {
            seen.clone_from(&body);
        }
        let queue = if is_data { &mut self.data } else { &mut self.control };
        queue.push_back((kind, body));
        true
    }

    fn deliver(&mut self, is_data: bool) -> bool {
        let queue = if is_data { &mut self.data } else { &mut self.control };
        let Some((kind, body)) = queue.pop_front() else { return false };
        if is_data {
            self.into.0.frame(kind, &body).unwrap();
        } else {
            self.into.1.frame(kind, &body).unwrap();
            if self.control.is_empty() {
                self.into.1.batch_end();
            }
        }
        true
    }
}

/// All workers, and what is under way between them.
struct Net {
    plan: Plan,
    places: Vec<Vec<u32>>,
    sides: Vec<Side>,
    ways: Vec<Way>,
    clock: Arc<VirtualClock>,
    random: EdgeIds,
    starts: u64,
}

impl Net {
    fn new(plan: &Plan, places: &[&[u32]], seed: u64) -> Net {
        let clock = Arc::new(VirtualClock::new());
        let starts = places.len() as u64;
        let place = |(i, here): (usize, &&[u32])| Side::new(plan, &clock, here, seed ^ i as u64);
        let sides = places.iter().enumerate().map(place).collect();
        let places: Vec<Vec<u32>> = places.iter().map(|p| p.to_vec()).collect();
        let random = EdgeIds::seeded(seed);
        let mut net = Net { plan: plan.clone(), places, sides, ways: Vec::new(), clock, random, starts };
        for b in 0..net.sides.len() {
            (0..b).for_each(|a| net.join(a, b));
        }
        net
    }

    /// A new line between two workers; what was under way is lost.
    fn join(&mut self, a: usize, b: usize) {
        self.ways.retain(|w| (w.from, w.to) != (a, b) && (w.from, w.to) != (b, a));
        let at_a = self.sides[a].join(b, &self.places[b]);
        let at_b = self.sides[b].join(a, &self.places[a]);
        for (from, to, out, into) in [(a, b, &at_a, &at_b), (b, a, &at_b, &at_a)] {
            let out = (out.data_out(), out.control_out());
            let into = (into.data_in(), into.control_in());
            let (data, control) = (VecDeque::new(), VecDeque::new());
            self.ways.push(Way { from, to, out, into, data, control, seen: BTreeMap::new() });
        }
    }

    /// A worker dies, and starts anew.
    fn restart(&mut self, side: usize) {
        self.starts += 1;
        self.ways.retain(|w| w.from != side && w.to != side);
        self.sides[side] = Side::new(&self.plan, &self.clock, &self.places[side], self.starts << 8);
        for peer in (0..self.sides.len()).filter(|peer| *peer != side) {
            self.join(side.min(peer), side.max(peer));
        }
    }

    /// Does one thing that can be done; what, is drawn.
    fn step(&mut self) {
        self.clock.advance(Duration::from_micros(1));
        let now = self.clock.now();
        match self.random.below(3) {
            0 => {
                let side = self.random.below(self.sides.len());
                let side = &mut self.sides[side];
                let executor = self.random.below(side.executors.len());
                side.executors[executor].step(now);
            }
            what => {
                let (way, is_data) = (self.random.below(self.ways.len()), self.random.below(2) == 0);
                let way = &mut self.ways[way];
                if what == 1 {
                    way.pull(is_data)
                } else {
                    way.deliver(is_data)
                };
            }
        }
    }

    /// Does all that can be done now, and lets time go on if that is nothing.
    fn settle(&mut self) {
        let (mut is_busy, mut next) = (false, None);
        let now = self.clock.now();
        for side in &mut self.sides {
            for executor in &mut side.executors {
                match executor.step(now) {
                    Step::Wait(until) => next = earlier(next, until),
                    Step::Busy | Step::Ended => is_busy = true,
                }
            }
        }
        for way in &mut self.ways {
            for is_data in [true, false] {
                while way.pull(is_data) | way.deliver(is_data) {
                    is_busy = true;
                }
            }
        }
        match next {
            Some(next) if !is_busy => self.clock.advance_to(next),
            _ => self.clock.advance(Duration::from_micros(10)),
        }
    }

    fn is_complete(&self) -> bool {
        let lines = || self.sides.iter().flat_map(|side| side.lines.values());
        let sent: u64 = lines().map(|line| line.rows_sent()).sum();
        let received: u64 = lines().map(|line| line.rows_received()).sum();
        sent == received && self.sides.iter().all(Side::is_quiet)
    }

    #[track_caller]
    fn complete(&mut self) {
        let mut left = 1_000_000;
        while !self.is_complete() {
            self.settle();
            left -= 1;
            assert!(left > 0, "not done within a million rounds: {:?}", self.plan.ended);
        }
        // The last credit may still be on its way.
        (0..3).for_each(|_| self.settle());
        for side in &self.sides {
            side.check();
            for (index, address) in side.directory().iter().enumerate() {
                assert_eq!(address.account.outstanding(), Grant::default(), "executor {index}");
            }
        }
    }

    /// Numbers and how often each arrived, per spout task.
    fn tally(&self) -> Vec<usize> {
        let mut tally = vec![0; self.plan.count as usize];
        self.plan.got.lock().unwrap().iter().for_each(|n| tally[*n as usize] += 1);
        tally
    }
}

/// Every executor is far from some that it sends to.
const APART: [&[u32]; 3] = [&[0, 2, 5], &[1, 3], &[4, 6]];

#[test]
fn each_row_arrives_once_and_all_credit_comes_home() {
    for seed in 0..20 {
        let text_bytes = if seed % 4 == 0 { 20_000 } else { 20 };
        let plan = Plan { text_bytes, ..Plan::new(100) };
        let mut net = Net::new(&plan, &APART, seed);
        for _ in 0..20_000 {
            net.step();
        }
        net.sides.iter().for_each(Side::check);
        net.complete();
        assert_eq!(net.tally(), [2; 100], "seed {seed}");
        let ended = plan.ended.lock().unwrap();
        assert!(ended.len() == 200 && ended.iter().all(|(_, cause)| cause.is_none()), "{ended:?}");
    }
}

#[test]
fn what_fails_elsewhere_fails_with_its_cause_and_comes_again() {
    for seed in 0..10 {
        let plan = Plan { failing: 7, ..Plan::new(50) };
        let mut net = Net::new(&plan, &APART, seed);
        net.complete();
        let ended = plan.ended.lock().unwrap();
        let is_expected =
            |(_, cause): &(i64, Option<FailCause>)| matches!(cause, None | Some(FailCause::Failed));
        assert!(ended.iter().all(is_expected), "seed {seed}: {ended:?}");
        assert_eq!(ended.iter().filter(|(_, cause)| cause.is_none()).count(), 100);
        assert!(ended.len() > 100);
        assert_eq!(net.tally(), [2; 50]);
    }
}

#[test]
fn lines_that_break_at_any_moment_lose_rows_and_neither_credit_nor_trees() {
    for seed in 0..40 {
        let text_bytes = if seed % 8 == 0 { 20_000 } else { 20 };
        let plan = Plan { text_bytes, ..Plan::new(60) };
        let mut net = Net::new(&plan, &APART, seed);
        for _ in 0..20 {
            for _ in 0..net.random.below(800) {
                net.step();
            }
            net.sides.iter().for_each(Side::check);
            let a = net.random.below(2);
            net.join(a, 2);
            net.sides.iter().for_each(Side::check);
        }
        net.complete();
        assert!(net.tally().iter().all(|times| *times >= 2), "seed {seed}: {:?}", net.tally());
        let ended = plan.ended.lock().unwrap();
        assert_eq!(ended.iter().filter(|(_, cause)| cause.is_none()).count(), 120, "each is acked once");
    }
}

#[test]
fn a_worker_that_dies_at_any_moment_comes_back_with_all_credit() {
    for seed in 0..40 {
        let plan = Plan::new(60);
        let mut net = Net::new(&plan, &[&[0, 1], &[2, 5], &[3, 4, 6]], seed);
        for _ in 0..8 {
            for _ in 0..net.random.below(2_000) {
                net.step();
            }
            let side = 1 + net.random.below(2);
            net.restart(side);
            net.sides.iter().for_each(Side::check);
        }
        net.complete();
        assert!(net.tally().iter().all(|times| *times >= 2), "seed {seed}: {:?}", net.tally());
        let ended = plan.ended.lock().unwrap();
        assert_eq!(ended.iter().filter(|(_, cause)| cause.is_none()).count(), 120, "each is acked once");
    }
}

/// One worker with what sends, one with what takes; a line between them.
fn apart(plan: &Plan) -> Net {
    Net::new(plan, &[&[0, 1], &[2, 3, 4, 5, 6]], 7)
}

#[test]
fn a_cycle_that_multiplies_through_two_workers_keeps_to_the_budget_and_runs_empty() {
    let [back, numbers, sink, there] = [0, 1, 3, 4];
    // The spouts above the cycle are where its rows wait, or they are not.
    for (seed, spouts) in [back, there].into_iter().enumerate() {
        for seed in seed as u64 * 10..seed as u64 * 10 + 5 {
            let (budget, replays) = (100_000, false);
            let plan = Plan { budget, replays, topology: Plan::multiplying, ..Plan::new(30) };
            plan.copies.store(2, Ordering::SeqCst);
            let place =
                |bolt: u32| if bolt == spouts { vec![bolt, numbers, numbers + 1] } else { vec![bolt] };
            let mut net = Net::new(&plan, &[&place(back), &place(there), &[sink]], seed);
            let mut most = 0;
            let mut look = |net: &Net| {
                let used = net.sides.iter().map(|side| side.directory().budget.used()).max();
                most = most.max(used.unwrap());
            };
            for _ in 0..20_000 {
                net.step();
                look(&net);
            }
            while !net.is_complete() {
                net.settle();
                look(&net);
            }
            net.complete();
            assert!((budget / 2..budget + 1_000).contains(&most), "{most} bytes of {budget}");
            assert!(net.sides.iter().all(|side| side.directory().budget.used() == 0));
            let ended = plan.ended.lock().unwrap();
            assert!(ended.iter().all(|(_, cause)| *cause == Some(FailCause::LoopBudget)), "{ended:?}");
            assert_eq!(ended.len(), 60);
        }
    }
}

#[test]
fn untracked_rows_that_find_their_cycle_full_are_dropped_and_counted() {
    let net = Net::new(&Plan { budget: 1_000, ..Plan::new(1) }, &[&[0, 1, 2, 5], &[3, 4, 6]], 3);
    let side = &net.sides[0];
    let first = |index: u32| (index, side.wiring.executors[index as usize].1.first);
    let (to, from) = (first(Plan::ROUND[0]), first(Plan::ROUND[1]));
    let (line, budget, again) = (&side.lines[&1], &side.directory().budget, 1);
    let mut into = line.data_in();
    let mut feed = |looped| {
        into.frame(looped, &row(&net, to, from, again, 2)).unwrap();
        (line.rows_received(), side.directory()[to.0].refused.load(Ordering::SeqCst))
    };
    budget.enter_loop(990);
    assert_eq!(feed(kind::LOOPED), (1, 1));
    assert_eq!(budget.used(), 990);
    budget.leave_loop(990);
    assert_eq!(feed(kind::LOOPED), (2, 1));
    assert!(budget.used() > 0);
}

#[test]
fn trees_that_failed_in_a_full_cycle_are_forgotten_when_there_is_room_for_long() {
    let net = Net::new(&Plan { budget: 1_000, ..Plan::new(1) }, &[&[0, 1, 2, 5], &[3, 4, 6]], 3);
    let side = &net.sides[0];
    let first = |index: u32| (index, side.wiring.executors[index as usize].1.first);
    let (to, from) = (first(Plan::ROUND[0]), first(Plan::ROUND[1]));
    let (line, budget, numbers) = (&side.lines[&1], &side.directory().budget, first(0).1);
    let mut into = line.data_in();
    // Whether a row of this tree is taken.
    let mut feed = |root| {
        let anchors = [storm_row::Anchor { task: numbers, root, edge: 5 }];
        let (before, row) = (budget.used(), anchored_row(&net, to, from, (1, 2), &anchors));
        into.frame(kind::LOOPED, &row).unwrap();
        let taken = budget.used() - before;
        budget.leave_loop(taken as usize);
        taken > 0
    };
    assert!(feed(1));
    budget.enter_loop(990);
    assert!(!feed(1));
    budget.leave_loop(990);
    assert!(!feed(1), "what is left of it");
    {
        // It is nobody's business: others fold their acks meanwhile.
        let _acks = line.acks();
        assert!(feed(2));
    }
    net.clock.advance(FORGET_AFTER / 2);
    budget.enter_loop(300);
    assert!(!feed(1));
    budget.leave_loop(300);
    assert!(!feed(1));
    net.clock.advance(FORGET_AFTER / 2);
    assert!(!feed(1), "it was full in between");
    net.clock.advance(FORGET_AFTER / 2);
    assert!(feed(1));
}

#[test]
fn credit_of_rows_of_a_former_life_is_not_told_to_the_next() {
    let mut net = apart(&Plan::new(100));
    // The first executor of the bolt has its first row, and has not taken it.
    let now = net.clock.now();
    net.sides[0].executors.iter_mut().for_each(|e| _ = e.step(now));
    while net.ways[0].pull(true) | net.ways[0].deliver(true) {}
    assert!(net.sides[1].lines[&0].rows_received() > 0);
    net.join(0, 1);
    net.sides[1].executors.iter_mut().for_each(|e| _ = e.step(now));
    let news = net.sides[1].lines[&0].peer.take_news();
    assert_eq!(news.returned, BTreeMap::new());
    net.complete();
}

#[test]
fn credit_goes_back_in_fair_parts_while_there_is_work_and_all_of_it_when_there_is_none() {
    let net = Net::new(&Plan::new(1), &[&[0], &[1], &[2, 3, 4, 5, 6]], 7);
    let (side, round) = (&net.sides[2], Plan::ROUND[0]);
    let peer = |peer: usize| side.lines[&peer].peer.clone();
    // Each of two workers may have a hundred rows out.
    side.directory().resize(round, 200, &mut Vec::new());
    let mut owed = Owed::default();
    let mut step = |taken: &[(u32, i64, i64)], is_flushed: bool| {
        for (from, rows, bytes) in taken {
            let grant = owed.of(*from, peer(*from as usize).life);
            *grant = Grant { rows: grant.rows + rows, bytes: grant.bytes + bytes };
        }
        if is_flushed {
            owed.pay_all(round, side.directory());
        } else {
            owed.pay_much(round, side.directory());
        }
        [0, 1].map(|i| peer(i).take_news().returned.remove(&round).map_or(0, |grant| grant.rows))
    };
    assert_eq!(step(&[(0, 24, 1), (1, 10, 1)], false), [0, 0]);
    assert_eq!(step(&[(0, 1, 1)], false), [25, 0], "a quarter of what one may have out");
    assert_eq!(step(&[(0, 1, WINDOW_BYTES / 4)], false), [1, 0], "or of the bytes");
    assert_eq!(step(&[(0, 3, 1)], true), [3, 10]);
    assert_eq!(step(&[], true), [0, 0]);
}

#[test]
fn a_bolt_that_waits_owes_nothing() {
    let mut net = apart(&Plan::new(100));
    let first = |net: &Net, index: u32| (index, net.sides[0].wiring.executors[index as usize].1.first);
    let (spout, round) = (first(&net, 0), first(&net, Plan::ROUND[0]));
    // A window of which all that comes is far less than a quarter.
    net.sides[1].directory().resize(round.0, 1_000, &mut Vec::new());
    for _ in 0..5 {
        let body = row(&net, round, spout, 0, 2);
        net.sides[1].lines[&0].data_in().frame(kind::ROWS, &body).unwrap();
    }
    let now = net.clock.now();
    let mut returned = Vec::new();
    let mut step = || {
        let step = net.sides[1].executors[0].step(now);
        let news = net.sides[1].lines[&0].peer.take_news();
        returned.push(news.returned.get(&round.0).map_or(0, |grant| grant.rows));
        step
    };
    while let Step::Busy = step() {}
    // With the first step a flush is due; then there is work, and at last there is none.
    assert_eq!(returned, [1, 0, 4]);
}

#[test]
fn a_new_line_gives_back_what_was_under_way_and_nothing_that_senders_hold() {
    let net = apart(&Plan::new(100));
    let side = &net.sides[0];
    let to = &side.directory()[Plan::ROUND[0]];
    let proxy = to.proxy().unwrap();
    let grant = |rows| Grant { rows, bytes: 10 * rows };
    to.account.resize(100, &mut Vec::new());
    // Two senders hold credit; of one, some rows were pulled and are under way.
    let held = [to.account.draw(10, 0).unwrap(), to.account.draw(10, 1).unwrap()];
    proxy.under_way().credit = grant(3);
    let all = to.account.outstanding();
    side.gateway.line(&side.ids(&net.places[1]));
    assert_eq!(proxy.under_way().credit, Grant::default());
    let out = to.account.outstanding();
    assert_eq!((all.rows - out.rows, all.bytes - out.bytes), (3, 30));
    assert_eq!(to.account.draw(10, 2), None, "one row, until the new life has told its window");
    let mut wake = Vec::new();
    let unused = Grant { rows: held[0].rows - 3, bytes: held[0].bytes - 30 };
    to.account.give_back(unused, &mut wake);
    to.account.give_back(held[1], &mut wake);
    assert_eq!(to.account.outstanding(), Grant::default());
    assert_eq!(wake, [2]);
}

#[test]
fn rows_that_wait_for_a_line_go_by_the_next_one_in_order() {
    let plan = Plan::new(5);
    let mut net = apart(&plan);
    let now = net.clock.now();
    net.sides[0].executors.iter_mut().for_each(|e| _ = e.step(now));
    let sent = |net: &Net| net.sides[0].lines[&1].rows_sent();
    assert_eq!(sent(&net), 0);
    net.join(0, 1);
    assert!(net.sides[0].lines[&1].peer.data_bell.is_rung(), "whoever pulls has to look");
    net.complete();
    assert_eq!(net.tally(), [2; 5]);
    let ended = plan.ended.lock().unwrap();
    assert!(ended.iter().all(|(_, cause)| cause.is_none()), "nothing was lost: {ended:?}");
}

#[test]
fn the_window_of_a_bolt_is_shared_by_all_who_send_to_it() {
    let net = Net::new(&Plan::new(1), &[&[0], &[1], &[2, 3, 4, 5, 6]], 3);
    let directory = net.sides[2].directory();
    directory.resize(Plan::ROUND[0], 100, &mut Vec::new());
    let told = |peer: usize| net.sides[2].lines[&peer].peer.take_news().windows[&Plan::ROUND[0]];
    assert_eq!((told(0), told(1)), (50, 50));
    directory.resize(Plan::ROUND[0], 1, &mut Vec::new());
    assert_eq!((told(0), told(1)), (1, 1));
}

#[test]
fn a_sink_hears_nothing_from_a_worker_that_does_not_send_to_it() {
    let net = Net::new(&Plan::new(1), &[&[0, 1], &[2, 3, 4], &[5, 6]], 3);
    let senders = |side: usize, peer: usize| net.sides[side].lines[&peer].peer.senders.clone();
    assert_eq!(senders(2, 0), BTreeMap::new());
    assert_eq!(senders(2, 1), Plan::SINK.map(|sink| (sink, 3)).into());
    assert_eq!(senders(1, 0), Plan::ROUND.map(|round| (round, 2)).into());
}

#[test]
fn acks_that_piled_up_go_in_frames_of_bounded_size() {
    let net = apart(&Plan::new(1));
    let mut acks = AckOutbox::new(
        Plan::ROUND[0],
        net.sides[1].wiring.directory.clone(),
        crate::lanes::no_lane(),
        net.sides[1].wiring.spout_of.clone(),
    );
    let spout = net.sides[1].wiring.executors[0].1.first;
    // The lane takes a million; the rest is held by tree, and goes as one parcel.
    let count = 1_200_000;
    (0..count).for_each(|root| acks.fold(spout, root, root + 1));
    acks.flush();
    let mut out = net.sides[1].lines[&0].control_out();
    let mut into = net.sides[0].lines[&1].control_in();
    let (mut seen, mut largest, mut body) = (0, 0, Vec::new());
    while seen < count {
        body.clear();
        match out.next(&mut body) {
            Some(kind::ACKS) => {
                assert!(body.len() <= PART_BYTES);
                largest = largest.max(body.len());
                into.frame(kind::ACKS, &body).unwrap();
                seen += (body.len() / ACK_BYTES) as u64;
            }
            Some(_) => {}
            None => acks.flush(),
        }
    }
    assert_eq!((seen, largest), (count, FRAME_ACKS * ACK_BYTES));
}

// === What no honest peer sends ===

/// Real frames of all kinds between the two workers, and a net that is done.
fn real_frames() -> (Net, Vec<(usize, u8, Vec<u8>)>) {
    let plan = Plan { failing: 5, text_bytes: 40, ..Plan::new(14) };
    let mut net = Net::new(&plan, &[&[0, 1, 2, 5], &[3, 4, 6]], 11);
    net.complete();
    let of = |(i, way): (usize, &Way)| way.seen.clone().into_iter().map(move |(kind, body)| (i, kind, body));
    let frames = net.ways.iter().enumerate().flat_map(of).collect();
    (net, frames)
}

/// Feeds a frame and lets everybody work on what came of it.
fn feed(net: &mut Net, way: usize, kind: u8, body: &[u8]) -> Result<(), FrameError> {
    let to = net.ways[way].to;
    let line = net.sides[to].lines[&net.ways[way].from].clone();
    let is_data = matches!(kind, kind::ROWS | kind::LOOPED | kind::PART);
    let result = if is_data {
        line.data_in().frame(kind, body)
    } else {
        let mut into = line.control_in();
        let result = into.frame(kind, body);
        into.batch_end();
        result
    };
    if result.is_ok() {
        let now = net.clock.now();
        net.sides.iter_mut().flat_map(|side| &mut side.executors).for_each(|e| _ = e.step(now));
        for way in &mut net.ways {
            while way.pull(true) | way.pull(false) {}
            way.data.clear();
            way.control.clear();
        }
        net.sides.iter().for_each(Side::check);
    }
    result
}

#[test]
fn every_frame_that_is_cut_or_has_a_wrong_bit_is_refused_or_harmless() {
    let (mut net, frames) = real_frames();
    let kinds: std::collections::BTreeSet<u8> = frames.iter().map(|(_, kind, _)| *kind).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [kind::ROWS, kind::LOOPED, kind::ACKS, kind::CREDIT]);
    for (way, kind, body) in frames {
        for length in 0..body.len() {
            let cut = feed(&mut net, way, kind, &body[..length]);
            let is_data = matches!(kind, kind::ROWS | kind::LOOPED);
            assert!(!is_data || cut.is_err(), "{length} of {} bytes", body.len());
        }
        for bit in 0..8 * body.len() {
            let mut wrong = body.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            // Whatever it is: nobody panics, and the books stay right.
            drop(feed(&mut net, way, kind, &wrong));
        }
        for other in 0..=u8::MAX {
            if !matches!(other, kind::PART) && other != kind {
                drop(feed(&mut net, way, other, &body));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_are_refused_or_harmless(
        bodies in proptest::collection::vec((0u8..8, proptest::collection::vec(any::<u8>(), 0..200)), 1..20)
    ) {
        let mut net = apart(&Plan::new(1));
        net.complete();
        for (kind, body) in bodies {
            drop(feed(&mut net, 0, kind, &body));
            drop(feed(&mut net, 1, kind, &body));
        }
    }

    #[test]
    fn frames_with_many_wrong_bytes_are_refused_or_harmless(
        wrongs in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)
    ) {
        let (mut net, frames) = real_frames();
        for (way, kind, mut body) in frames {
            for (at, value) in &wrongs {
                let at = at.index(body.len());
                body[at] = *value;
            }
            drop(feed(&mut net, way, kind, &body));
        }
    }
}

fn news() -> impl Strategy<Value = News> {
    prop_oneof![
        any::<u64>().prop_map(News::Edges),
        Just(News::ResetTimeout),
        proptest::sample::select(FailCause::ALL.to_vec()).prop_map(News::Failed),
    ]
}

proptest! {
    #[test]
    fn acks_are_read_back(
        acks in proptest::collection::vec((any::<u32>(), any::<u64>(), news()), 0..20),
    ) {
        let mut body = Vec::new();
        let entry = |(task, root, news)| AckEntry { task: TaskId(task), root, news };
        let acks: Vec<AckEntry> = acks.into_iter().map(entry).collect();
        acks.iter().for_each(|ack| write_ack(ack, &mut body));
        let mut reader = Reader { kind: kind::ACKS, left: &body };
        for ack in acks {
            prop_assert_eq!(reader.ack(), Ok(ack));
        }
        prop_assert!(reader.left.is_empty());
    }

    #[test]
    fn any_ack_is_refused_or_written_as_it_came(
        head in proptest::array::uniform12(any::<u8>()), code: u8, edges in prop_oneof![Just(0), any::<u64>()],
    ) {
        let body = [&head[..], &[code], &edges.to_le_bytes()].concat();
        if let Ok(ack) = (Reader { kind: kind::ACKS, left: &body }).ack() {
            let mut written = Vec::new();
            write_ack(&ack, &mut written);
            prop_assert_eq!(written, body);
        }
    }

    #[test]
    fn credit_and_windows_are_read_back(executor: u32, rows in 0..=i64::MAX, bytes in 0..=i64::MAX) {
        let body = credit(&[(executor, rows as u64, bytes as u64)], &[(executor, rows as u64)]);
        let mut reader = Reader { kind: kind::CREDIT, left: &body };
        prop_assert_eq!(reader.u32(), Ok(1));
        prop_assert_eq!(reader.returned(), Ok((executor, Grant { rows, bytes })));
        prop_assert_eq!(reader.window(), Ok((executor, rows)));
        prop_assert!(reader.left.is_empty());
    }
}

fn u32s(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}

fn credit(returned: &[(u32, u64, u64)], windows: &[(u32, u64)]) -> Vec<u8> {
    let mut body = u32s(&[returned.len() as u32]);
    for (executor, rows, bytes) in returned {
        body.extend(u32s(&[*executor]));
        body.extend(rows.to_le_bytes());
        body.extend(bytes.to_le_bytes());
    }
    for (executor, window) in windows {
        body.extend(u32s(&[*executor]));
        body.extend(window.to_le_bytes());
    }
    body
}

#[test]
fn credit_that_was_never_out_is_ignored_and_no_window_is_above_the_limit() {
    let mut net = apart(&Plan::new(10));
    let round = Plan::ROUND[0];
    let to_spouts = 1;
    assert_eq!(net.ways[to_spouts].to, 0);
    let huge = i64::MAX as u64;
    feed(&mut net, to_spouts, kind::CREDIT, &credit(&[(round, huge, huge)], &[])).unwrap();
    let account = |net: &Net| net.sides[0].directory()[round].account.outstanding();
    assert!(account(&net).rows >= 0);
    feed(&mut net, to_spouts, kind::CREDIT, &credit(&[], &[(round, huge)])).unwrap();
    let mut rows = 0;
    while let Some(grant) = net.sides[0].directory()[round].account.try_draw(1) {
        rows += grant.rows;
        // Bytes are given back, so that only the window counts.
        let bytes = Grant { rows: 0, bytes: grant.bytes };
        net.sides[0].directory()[round].account.give_back(bytes, &mut Vec::new());
    }
    assert!((1..=MAX_WINDOW).contains(&rows), "{rows}");
    for wrong in [u64::MAX, huge + 1] {
        let body = credit(&[(round, wrong, 0)], &[]);
        assert_eq!(feed(&mut net, to_spouts, kind::CREDIT, &body), Err(FrameError::Shape(kind::CREDIT)));
    }
}

#[test]
fn a_frame_with_one_wrong_entry_is_not_acted_on_at_all() {
    let mut net = apart(&Plan::new(10));
    let (round, spout) = (Plan::ROUND[0], Plan::NUMBERS[0]);
    let account = |net: &Net| net.sides[0].directory()[round].account.outstanding();
    let now = net.clock.now();
    net.sides[0].executors.iter_mut().for_each(|e| _ = e.step(now));
    while net.ways[0].pull(true) {}
    let out = account(&net);
    assert!(out.rows > 0);
    // The spout runs here and not there.
    let body = credit(&[(round, 1, 1)], &[(round, 5), (spout, 5)]);
    assert_eq!(feed(&mut net, 1, kind::CREDIT, &body), Err(FrameError::Executor(spout)));
    let body = credit(&[(round, 1, 1), (99, 1, 1)], &[]);
    assert_eq!(feed(&mut net, 1, kind::CREDIT, &body), Err(FrameError::Executor(99)));
    assert_eq!(account(&net), out);
    let pending = |net: &Net| -> usize {
        let spouts = net.sides[0].executors.iter();
        spouts.map(|e| if let Executor::Spout(s) = e { s.pending_trees().count() } else { 0 }).sum()
    };
    let trees = pending(&net);
    let Executor::Spout(first) = &net.sides[0].executors[0] else { panic!("it is a spout") };
    let tree = first.pending_trees().next().unwrap();
    let mut body = Vec::new();
    let news = News::Failed(FailCause::Failed);
    write_ack(&AckEntry { task: tree.task, root: tree.root, news }, &mut body);
    let fail = body.clone();
    write_ack(&AckEntry { task: TaskId(0), root: 1, news }, &mut body);
    assert_eq!(feed(&mut net, 1, kind::ACKS, &body), Err(FrameError::Task(TaskId(0))));
    net.sides[0].executors.iter_mut().for_each(|e| _ = e.step(now));
    assert_eq!(net.plan.ended.lock().unwrap().len(), 0);
    assert!(pending(&net) >= trees);
    feed(&mut net, 1, kind::ACKS, &fail).unwrap();
    assert_eq!(net.plan.ended.lock().unwrap()[0].1, Some(FailCause::Failed));
}

#[test]
fn acks_of_trees_of_others_or_of_none_are_refused_or_hit_nothing() {
    let mut net = apart(&Plan::new(10));
    let bolt = net.sides[0].wiring.executors[Plan::ROUND[0] as usize].1.first;
    let spout = net.sides[0].wiring.executors[0].1.first;
    let mut body = Vec::new();
    for (task, is_known) in [(bolt, false), (TaskId(0), false), (TaskId(u32::MAX), false), (spout, true)] {
        body.clear();
        write_ack(&AckEntry { task, root: 77, news: News::Edges(5) }, &mut body);
        let result = feed(&mut net, 1, kind::ACKS, &body);
        assert_eq!(result, if is_known { Ok(()) } else { Err(FrameError::Task(task)) });
        // Where there is no spout, there are no ledgers.
        assert!(feed(&mut net, 0, kind::ACKS, &body).is_err());
    }
    let mut wrong = body.clone();
    wrong[12] = 9;
    assert_eq!(feed(&mut net, 1, kind::ACKS, &wrong), Err(FrameError::Shape(kind::ACKS)));
    // `feed` throws away what is on its way.
    net.join(0, 1);
    net.complete();
    assert!(net.tally().iter().all(|times| *times >= 2));
}

/// A row for `to` from `from`, as these executors' first tasks have it.
fn row(
    net: &Net,
    (to, task): (u32, TaskId),
    (from, source): (u32, TaskId),
    stream: u16,
    fields: usize,
) -> Vec<u8> {
    anchored_row(net, (to, task), (from, source), (stream, fields), &[])
}

fn anchored_row(
    net: &Net,
    (to, task): (u32, TaskId),
    (from, source): (u32, TaskId),
    (stream, fields): (u16, usize),
    anchors: &[storm_row::Anchor],
) -> Vec<u8> {
    let mut builder = storm_row::RowBuilder::new(1 << 20);
    let mut batch = Batch::new();
    let values = vec![storm_model::Value::Int(1); fields];
    let header = storm_row::Header { target: task, source, stream };
    batch.push(header, anchors, &builder.write_row(&values[..]).unwrap());
    let mut body = u32s(&[to, from]);
    batch.to_wire(&mut body);
    assert!(net.sides.len() > 1);
    body
}

#[test]
fn rows_for_what_is_not_here_or_by_what_is_not_subscribed_to_are_refused() {
    let mut net = apart(&Plan::new(1));
    net.complete();
    let first = |net: &Net, index: u32| (index, net.sides[0].wiring.executors[index as usize].1.first);
    let (spout, other) = (first(&net, 0), first(&net, 1));
    let (round, sink) = (first(&net, Plan::ROUND[0]), first(&net, Plan::SINK[0]));
    let mut try_row = |to, from, stream, fields| {
        let body = row(&net, to, from, stream, fields);
        feed(&mut net, 0, kind::ROWS, &body)
    };
    // Executors.
    assert_eq!(try_row((99, round.1), spout, 0, 2), Err(FrameError::Executor(99)));
    assert_eq!(try_row((u32::MAX, round.1), spout, 0, 2), Err(FrameError::Executor(u32::MAX)));
    assert_eq!(try_row(spout, other, 0, 2), Err(FrameError::Executor(spout.0)), "it runs there");
    assert_eq!(try_row(sink, round, 0, 2), Err(FrameError::Executor(round.0)), "it runs here");
    assert_eq!(try_row(round, (99, spout.1), 0, 2), Err(FrameError::Executor(99)));
    // Tasks.
    assert_eq!(try_row((round.0, sink.1), spout, 0, 2), Err(FrameError::Task(sink.1)));
    assert_eq!(try_row((round.0, TaskId(0)), spout, 0, 2), Err(FrameError::Task(TaskId(0))));
    assert_eq!(try_row(round, (spout.0, other.1), 0, 2), Err(FrameError::Task(other.1)));
    assert_eq!(try_row(round, (spout.0, TaskId(u32::MAX)), 0, 2), Err(FrameError::Task(TaskId(u32::MAX))));
    // Streams and fields.
    let stream = |stream| Err(FrameError::Stream { from: spout.1, stream });
    assert_eq!(try_row(round, spout, 1, 2), stream(1));
    assert_eq!(try_row(round, spout, u16::MAX, 2), stream(u16::MAX));
    assert_eq!(try_row(sink, spout, 0, 2), stream(0), "it subscribes to others only");
    assert_eq!(try_row(round, spout, 0, 3), Err(FrameError::Arity { found: 3, wanted: 2 }));
    assert_eq!(try_row(round, spout, 0, 0), Err(FrameError::Arity { found: 0, wanted: 2 }));
    // A batch of nothing.
    let mut body = u32s(&[round.0, spout.0]);
    Batch::new().to_wire(&mut body);
    assert_eq!(feed(&mut net, 0, kind::ROWS, &body), Err(FrameError::Shape(kind::ROWS)));
    let good = row(&net, round, spout, 0, 2);
    assert_eq!(feed(&mut net, 0, kind::ROWS, &good), Ok(()));
}

#[test]
fn parts_without_end_are_refused_at_the_limit() {
    let plan = Plan::new(1);
    let net = apart(&plan);
    let limit = net.sides[1].gateway.shared.limits.bytes;
    let mut into = net.sides[1].lines[&0].data_in();
    let part = vec![0; PART_BYTES];
    let fit = limit / PART_BYTES;
    (0..fit).for_each(|_| into.frame(kind::PART, &part).unwrap());
    assert_eq!(into.frame(kind::PART, &part), Err(FrameError::TooLarge(limit)));
    assert!(into.frame(kind::ROWS, &[]).is_err());
}

#[test]
fn a_wrong_byte_anywhere_in_the_parts_of_a_large_row_is_refused_or_in_its_text() {
    let plan = Plan { text_bytes: 20_000, ..Plan::new(13) };
    let mut net = apart(&plan);
    net.complete();
    let mut builder = storm_row::RowBuilder::new(1 << 20);
    let mut batch = Batch::new();
    let first = |index: u32| net.sides[0].wiring.executors[index as usize].1.first;
    let header = storm_row::Header { target: first(Plan::ROUND[0]), source: first(0), stream: 0 };
    batch.push(header, &[], &builder.write_row(&(1_i64, "x".repeat(600_000))).unwrap());
    let mut whole = u32s(&[Plan::ROUND[0], 0]);
    batch.to_wire(&mut whole);
    let near = |at: usize| at..at + 64;
    let places = (0..200).chain(near(PART_BYTES - 32)).chain(whole.len() - 64..whole.len());
    for at in places {
        let mut wrong = whole.clone();
        wrong[at] ^= 0xFF;
        let mut into = net.sides[1].lines[&0].data_in();
        let (parts, last) = wrong.split_at(2 * PART_BYTES);
        parts.chunks(PART_BYTES).for_each(|part| into.frame(kind::PART, part).unwrap());
        // 0xFF is no text, so that there every byte matters, but those of the values in place.
        let result = into.frame(kind::ROWS, last);
        assert!(result.is_err() || at < 100, "byte {at} of {}", whole.len());
        let now = net.clock.now();
        net.sides[1].executors.iter_mut().for_each(|e| _ = e.step(now));
        while net.ways[1].pull(true) | net.ways[1].pull(false) {}
        net.sides.iter().for_each(Side::check);
        // What was refused has left nothing behind.
        assert!(into.parts.is_empty());
    }
}

#[test]
fn a_number_of_a_frame_that_nobody_knows_is_refused() {
    let net = apart(&Plan::new(1));
    for kind in [0, 6, kind::FREE, u8::MAX] {
        assert_eq!(net.sides[0].lines[&1].data_in().frame(kind, &[]), Err(FrameError::Kind(kind)));
        assert_eq!(net.sides[0].lines[&1].control_in().frame(kind, &[]), Err(FrameError::Kind(kind)));
    }
    assert_eq!(net.sides[0].lines[&1].data_in().frame(kind::ACKS, &[]), Err(FrameError::Kind(kind::ACKS)));
    assert_eq!(net.sides[0].lines[&1].control_in().frame(kind::ROWS, &[]), Err(FrameError::Kind(kind::ROWS)));
}

#[test]
fn executors_that_run_here_or_nowhere_are_left_out_of_a_line() {
    let net = apart(&Plan::new(1));
    let nobody = ExecutorId { first: TaskId(90), last: TaskId(91) };
    let mut ids = net.sides[0].ids(&[0, Plan::ROUND[1], 1]);
    ids.push(nobody);
    let line = net.sides[0].gateway.line(&ids);
    assert_eq!(line.executors, [Plan::ROUND[1]]);
    assert_eq!(net.sides[0].gateway.far_executors().count(), 5);
    // A peer without any.
    let line = net.sides[0].gateway.line(&[]);
    assert_eq!(line.data_out().next(&mut Vec::new()), None);
    assert_eq!(line.control_out().next(&mut Vec::new()), None);
}
