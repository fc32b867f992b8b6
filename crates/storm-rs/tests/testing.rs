//! The test kit, tested.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use storm_rs::prelude::*;
use storm_rs::testing::{BoltTest, Outcome, SpoutTest, TopologyTest, for_each_seed};
use storm_rs::{Inbox, Message};

/// Batches of two, written on a tick as well; asks a friend about odd numbers.
#[derive(Default)]
struct Pairs {
    kept: Vec<Retained>,
    inbox: Option<Inbox<i64>>,
}

impl Bolt for Pairs {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["a", "b"]).stream("answers", ["n"]);
    }

    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.inbox = Some(ctx.inbox());
        if ctx.config("refuse").is_some() {
            return Err(BoltError::msg("refused by configuration"));
        }
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let n: i64 = input.get("n")?;
        if n < 0 {
            return Err(BoltError::msg("negative"));
        }
        self.kept.push(out.retain(input));
        if let [a, b] = &self.kept[..] {
            let row: (i64, i64) = (a.tuple().get("n")?, b.tuple().get("n")?);
            out.emit_anchored([a, b], row);
            self.kept.drain(..).for_each(Retained::ack);
        }
        if n % 2 == 1
            && let Some(inbox) = &self.inbox
        {
            inbox.send(n * 10)?;
        }
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.kept.drain(..).for_each(Retained::fail);
        Ok(())
    }

    fn on_message(&mut self, message: Message, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        out.emit_to("answers", (message.take::<i64>()?,));
        Ok(())
    }
}

#[test]
fn a_bolt_that_retains_is_followed_to_the_end_of_its_tuples() {
    let mut pairs = BoltTest::new(Pairs::default()).input("numbers", ["n"]);
    assert_eq!(pairs.execute((2,)).outcome(), Outcome::Retained);
    assert_eq!(pairs.retained(), 1);
    let second = pairs.execute((4,));
    assert_eq!(second.emitted(), [values![2, 4]]);
    assert!(second.emissions()[0].is_anchored);
    assert_eq!((pairs.settled(), pairs.retained()), ((2, 0), 0));
    pairs.execute((6,));
    assert_eq!(pairs.tick().outcome(), Outcome::NoTuple);
    assert_eq!(pairs.settled(), (2, 1));
}

#[test]
fn errors_messages_and_configuration_are_seen() {
    let mut pairs = BoltTest::new(Pairs::default()).input("numbers", ["n"]);
    let done = pairs.execute((-1,));
    assert_eq!((done.outcome(), done.error()), (Outcome::Failed, Some("negative")));
    assert!(pairs.execute(("x",)).error().unwrap().contains("field 'n' of stream 'default' of 'numbers'"));
    pairs.execute((3,));
    let answers = pairs.deliver_messages();
    assert_eq!(answers[0].emitted_to("answers"), [values![30]]);
    assert!(pairs.message("no number").error().unwrap().contains("i64"));
    let refused = BoltTest::new(Pairs::default()).config("refuse", true).prepare();
    assert_eq!(refused.unwrap_err().to_string(), "refused by configuration");
}

/// Emits a number a second.
struct Clockwork(Option<std::sync::Arc<dyn storm_rs::Clock>>, i64);

impl Spout for Clockwork {
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        self.0 = Some(ctx.clock());
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        self.1 += 1;
        out.emit_tracked(self.1, (self.1,));
        let now = self.0.as_ref().map(|c| c.now()).unwrap_or_default();
        Ok(Next::Until(now + Duration::from_secs(1)))
    }
}

#[test]
fn a_spout_is_asked_acked_and_sees_the_virtual_clock() {
    let mut spout = SpoutTest::new(Clockwork(None, 0));
    let first = spout.ask();
    assert_eq!(first.next(), Some(Next::Until(spout.now() + Duration::from_secs(1))));
    spout.advance(Duration::from_secs(5));
    let second = spout.ask();
    assert_eq!(second.next(), Some(Next::Until(spout.now() + Duration::from_secs(1))));
    assert_eq!(spout.pending().len(), 2);
    spout.ack(first.pending()[0]);
    spout.ack(first.pending()[0]);
    assert_eq!(spout.pending(), second.pending());
}

/// Nothing: to be replaced.
struct Nothing;

impl Spout for Nothing {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn next_tuple(&mut self, _: &mut SpoutOutput<'_, ()>) -> Result<Next, SpoutError> {
        Ok(Next::Done)
    }
}

/// Drops the first tuple it sees into a drawer until a tick; passes on the others.
#[derive(Default)]
struct Forgetful(Vec<Retained>, u32);

impl Bolt for Forgetful {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.1 += 1;
        if self.1 == 1 {
            self.0.push(out.retain(input));
        } else {
            out.emit(input.values());
        }
        Ok(())
    }

    fn on_tick(&mut self, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.0.drain(..).for_each(Retained::ack);
        Ok(())
    }
}

fn forgetful() -> Topology {
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Nothing, 1);
    t.set_bolt("forgetful", Forgetful::default, 1).tick_secs(3600).shuffle_grouping("numbers");
    t.build().unwrap()
}

#[test]
fn a_timeout_takes_no_time_and_what_timed_out_is_emitted_again() {
    let run = TopologyTest::new(forgetful()).replace_spout("numbers", [(1,), (2,), (3,)]).complete();
    assert_eq!(run.emitted_sorted("forgetful"), [values![1], values![2], values![3]]);
    assert_eq!((run.acked("numbers"), run.failed("numbers")), (3, 1));
    // The drawer is opened by the tick after an hour.
    assert!(run.took() >= Duration::from_secs(3600), "{:?}", run.took());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let order = |seed| {
        let mut t = TopologyBuilder::new();
        t.set_spout("numbers", || Nothing, 1);
        t.set_bolt("pass", || Pass, 4).shuffle_grouping("numbers");
        let run = TopologyTest::new(t.build().unwrap())
            .replace_spout("numbers", (0..100).map(|n| (n,)))
            .seed(seed)
            .complete();
        run.emitted("pass")
    };
    assert_eq!(order(5), order(5));
    let orders: Vec<_> = (0..5).map(order).collect();
    assert!(orders.iter().any(|o| *o != orders[0]), "five seeds, one order");
}

struct Pass;

impl Bolt for Pass {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        out.emit(input.values());
        Ok(())
    }
}

#[test]
#[should_panic(expected = "not done after")]
fn a_topology_that_does_not_end_is_told() {
    let test = TopologyTest::new(forgetful()).replace_spout("numbers", [(1,)]);
    test.within(Duration::from_secs(600)).complete();
}

#[test]
#[should_panic(expected = "'numbers' has no stream 'other'")]
fn a_stream_that_is_not_there_is_named() {
    drop(TopologyTest::new(forgetful()).replace_stream("numbers", "other", [(1,)]));
}

#[test]
fn each_seed_is_tried() {
    let mut seen = vec![];
    for_each_seed(3..6, |seed| seen.push(seed));
    assert_eq!(seen, [3, 4, 5]);
}
