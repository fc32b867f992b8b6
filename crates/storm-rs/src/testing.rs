//! Tests of one's own bolts, spouts and topologies, in milliseconds.
//!
//! - A **bolt by itself**: [`BoltTest`] gives it tuples and shows what it emits, acks, fails, keeps.
//! - A **spout by itself**: [`SpoutTest`] asks it, and acks and fails what it tracked.
//! - A **whole topology**: [`TopologyTest`] runs the engine itself on one thread and a virtual
//!   clock, with spouts replaced by fixed rows, in an order drawn from a seed. The same seed gives
//!   the same run; [`for_each_seed`] tries many.
//!
//! All three tell of the classic faults, in messages that name component, task, tuple, time, what
//! was expected, and the seed:
//!
//! | fault | in a topology | in a bolt alone |
//! |---|---|---|
//! | a lost ack | [`History::assert_all_acked`] | [`BoltTest::assert_all_settled`] |
//! | a failure | [`History::assert_none_failed`], [`History::assert_no_errors`] | [`Done::assert_acked`] |
//! | a loss | [`Records::assert_each_once`], [`Records::assert_each_at_least_once`] | the same |
//! | a duplicate | [`Records::assert_no_duplicates_by`] | the same |
//! | a reordering | [`Records::assert_in_order`] | the same |
//!
//! ```text
//! not everything is acked:
//!   {user: "ann", n: 2} of 'clicks' (task 1), emitted 5µs after the start, is neither acked nor failed after 20s:
//!     'work' (task 3) retained {user: "ann", n: 2} from 'clicks' (task 1) 6µs after the start and holds it
//! expected: every tracked tuple is acked, one that failed when it was emitted again
//! seed 7: `.seed(7)` runs it again
//! ```
//!
//! # A bolt by itself
//!
//! ```
//! use storm_rs::prelude::*;
//! use storm_rs::testing::BoltTest;
//!
//! struct Split;
//!
//! impl Bolt for Split {
//!     fn declare_outputs(&self, out: &mut OutputDeclarer) {
//!         out.fields(["word"]);
//!     }
//!
//!     fn execute(&mut self, input: &Tuple, out: &mut BoltOutput) -> Result<(), BoltError> {
//!         for word in input.get::<&str>("sentence")?.split_whitespace() {
//!             out.emit((word,));
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let mut split = BoltTest::new(Split).input("lines", ["sentence"]);
//! let done = split.execute(("to be",));
//! done.assert_acked();
//! assert_eq!(done.emitted(), [values!["to"], values!["be"]]);
//! split.execute((7,)).assert_failed("field 'sentence'");
//! split.emits().assert_no_duplicates();
//! ```
//!
//! # A spout by itself
//!
//! ```
//! use storm_rs::prelude::*;
//! use storm_rs::testing::SpoutTest;
//!
//! struct Once(bool);
//!
//! impl Spout for Once {
//!     type MessageId = u32;
//!
//!     fn declare_outputs(&self, out: &mut OutputDeclarer) {
//!         out.fields(["greeting"]);
//!     }
//!
//!     fn next_tuple(&mut self, out: &mut SpoutOutput<u32>) -> Result<Next, SpoutError> {
//!         if self.0 {
//!             return Ok(Next::Done);
//!         }
//!         self.0 = true;
//!         out.emit_tracked(1, ("hello",));
//!         Ok(Next::Emitted)
//!     }
//!
//!     fn fail(&mut self, _: u32, _: FailCause) {
//!         self.0 = false;
//!     }
//! }
//!
//! let mut once = SpoutTest::new(Once(false));
//! let asked = once.ask();
//! assert_eq!(asked.emitted(), [values!["hello"]]);
//! once.fail(asked.pending()[0], FailCause::Timeout);
//! assert_eq!(once.ask().emitted(), [values!["hello"]], "emitted again");
//! ```
//!
//! # A whole topology
//!
//! Executors take turns in an order that the seed decides, so that one test sees many
//! interleavings. When a seed fails, the output ends with the command that runs it alone:
//! `STORM_RS_SEED=7 cargo test NAME_OF_THE_TEST`.
//!
//! ```
//! use std::collections::HashMap;
//! use storm_rs::prelude::*;
//! use storm_rs::testing::{TopologyTest, for_each_seed};
//!
//! /// Reads orders from the shop; in tests it is replaced.
//! struct Orders;
//!
//! impl Spout for Orders {
//!     type MessageId = u64;
//!
//!     fn declare_outputs(&self, out: &mut OutputDeclarer) {
//!         out.fields(["user", "id"]);
//!     }
//!
//!     fn next_tuple(&mut self, _: &mut SpoutOutput<u64>) -> Result<Next, SpoutError> {
//!         Err(SpoutError::fatal("there is no shop"))
//!     }
//! }
//!
//! /// Numbers the orders of each user.
//! #[derive(Default)]
//! struct Number(HashMap<String, i64>);
//!
//! impl Bolt for Number {
//!     fn declare_outputs(&self, out: &mut OutputDeclarer) {
//!         out.fields(["user", "id", "number"]);
//!     }
//!
//!     fn execute(&mut self, input: &Tuple, out: &mut BoltOutput) -> Result<(), BoltError> {
//!         let (user, id): (&str, i64) = (input.get("user")?, input.get("id")?);
//!         let number = self.0.entry(user.to_owned()).or_default();
//!         *number += 1;
//!         out.emit((user, id, *number));
//!         Ok(())
//!     }
//! }
//!
//! fn topology() -> Result<Topology, TopologyError> {
//!     let mut t = TopologyBuilder::new();
//!     t.set_spout("orders", || Orders, 1);
//!     t.set_bolt("number", Number::default, 3).fields_grouping("orders", ["user"]);
//!     t.build()
//! }
//!
//! for_each_seed(1..=10, |seed| {
//!     let orders = [("ann", 1), ("bob", 2), ("ann", 3)];
//!     let run = TopologyTest::new(topology().unwrap())
//!         .replace_spout("orders", orders)
//!         .seed(seed)
//!         .complete();
//!     run.assert_all_acked();
//!     run.emits("number").assert_each_once(["user", "id"], orders);
//!     run.emits("number").by_key(["user"]).assert_in_order("number");
//!     assert_eq!(run.emitted_sorted("number")[1], values!["ann", 3, 2]);
//! });
//! ```
//!
//! # Time
//!
//! [`TopologyTest::start`] and [`Running::run_for`] let virtual time pass step by step: a timeout of
//! 30 s, a tick a minute or a window of an hour take no time. Code that asks the engine for the
//! time ([`BoltOutput::now`](crate::BoltOutput::now), [`TaskContext::clock`](crate::TaskContext::clock))
//! sees the virtual clock, too; [`BoltTest::advance`] and [`SpoutTest::advance`] move it for one
//! component.
//!
//! ```
//! use std::time::Duration;
//! use storm_rs::prelude::*;
//! use storm_rs::testing::TopologyTest;
//!
//! /// Reads clicks from the web; in tests it is replaced.
//! struct Clicks;
//!
//! impl Spout for Clicks {
//!     type MessageId = u64;
//!
//!     fn declare_outputs(&self, out: &mut OutputDeclarer) {
//!         out.fields(["page"]);
//!     }
//!
//!     fn next_tuple(&mut self, _: &mut SpoutOutput<u64>) -> Result<Next, SpoutError> {
//!         Ok(Next::Idle)
//!     }
//! }
//!
//! /// Counts the clicks of each hour. They are acked when their count is emitted, so that a crash
//! /// loses none.
//! #[derive(Default)]
//! struct PerHour(Vec<Retained>);
//!
//! impl Bolt for PerHour {
//!     fn declare_outputs(&self, out: &mut OutputDeclarer) {
//!         out.fields(["clicks"]);
//!     }
//!
//!     fn execute(&mut self, input: &Tuple, out: &mut BoltOutput) -> Result<(), BoltError> {
//!         self.0.push(out.retain(input));
//!         Ok(())
//!     }
//!
//!     fn on_tick(&mut self, out: &mut BoltOutput) -> Result<(), BoltError> {
//!         out.emit_anchored(&self.0, (self.0.len(),));
//!         self.0.drain(..).for_each(Retained::ack);
//!         Ok(())
//!     }
//! }
//!
//! const HOUR: Duration = Duration::from_secs(3600);
//!
//! fn test(timeout_secs: u32) -> TopologyTest {
//!     let mut t = TopologyBuilder::new();
//!     t.config("topology.message.timeout.secs", timeout_secs);
//!     t.set_spout("clicks", || Clicks, 1);
//!     t.set_bolt("per-hour", PerHour::default, 1).tick_secs(3600).shuffle_grouping("clicks");
//!     TopologyTest::new(t.build().unwrap())
//! }
//!
//! let mut run = test(2 * 3600).feed_spout("clicks").start();
//! run.feed("clicks", [("/a",), ("/b",)]);
//! run.run_for(HOUR);
//! run.feed("clicks", [("/a",)]);
//! run.run_for(HOUR);
//! assert_eq!(run.emitted("per-hour"), [values![2], values![1]]);
//! run.assert_none_failed();
//!
//! // With the usual timeout of 30 s no click lives to see the end of its hour.
//! let mut run = test(30).without_replay().replace_spout("clicks", [("/a",)]).start();
//! run.run_for(Duration::from_secs(31));
//! assert_eq!(run.failed("clicks"), 1);
//! ```

mod bolt;
mod spout;
mod topology;
mod seeds;
mod history;
mod records;
mod record;
mod fakes;
mod fixed;
mod watched;

pub use bolt::{BoltTest, Done, Outcome};
pub use history::History;
pub use record::{Emission, Record, compare_values};
pub use records::Records;
pub use seeds::for_each_seed;
pub use spout::{Asked, Slot, SpoutTest};
pub use topology::{Running, TopologyTest};

/// Longest row of a test, in bytes.
const MAX_ROW: usize = 64 << 20;
