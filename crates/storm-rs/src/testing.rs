//! Tests of one's own bolts, spouts and topologies, in milliseconds.
//!
//! **A bolt by itself** ([`BoltTest`]): give it tuples, see what it emits and whether it acks.
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
//! assert!(done.is_acked());
//! assert_eq!(done.emitted(), [values!["to"], values!["be"]]);
//! assert!(split.execute((7,)).error().unwrap().contains("'sentence'"));
//! ```
//!
//! **A spout by itself** ([`SpoutTest`]): ask it, ack and fail what it tracked.
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
//! **A whole topology** ([`TopologyTest`]): the engine on one thread and a virtual clock, spouts
//! replaced by fixed tuples, in an order drawn from a seed. A 30 s timeout takes no time.
//!
//! ```
//! use storm_rs::prelude::*;
//! use storm_rs::testing::{TopologyTest, for_each_seed};
//! # struct Lines;
//! # impl Spout for Lines {
//! #     type MessageId = ();
//! #     fn declare_outputs(&self, out: &mut OutputDeclarer) { out.fields(["n"]); }
//! #     fn next_tuple(&mut self, _: &mut SpoutOutput<()>) -> Result<Next, SpoutError> { Ok(Next::Done) }
//! # }
//! # struct Double;
//! # impl Bolt for Double {
//! #     fn declare_outputs(&self, out: &mut OutputDeclarer) { out.fields(["n"]); }
//! #     fn execute(&mut self, input: &Tuple, out: &mut BoltOutput) -> Result<(), BoltError> {
//! #         out.emit((2 * input.get::<i64>("n")?,));
//! #         Ok(())
//! #     }
//! # }
//!
//! fn topology() -> Result<Topology, TopologyError> {
//!     let mut t = TopologyBuilder::new();
//!     t.set_spout("lines", || Lines, 1);
//!     t.set_bolt("double", || Double, 3).shuffle_grouping("lines");
//!     t.build()
//! }
//!
//! for_each_seed(1..=10, |seed| {
//!     let run = TopologyTest::new(topology().unwrap())
//!         .replace_spout("lines", [(1,), (2,), (3,)])
//!         .seed(seed)
//!         .complete();
//!     assert_eq!(run.emitted_sorted("double"), [values![2], values![4], values![6]]);
//!     assert_eq!((run.acked("lines"), run.failed("lines")), (3, 0));
//! });
//! ```

mod bolt;
mod fakes;
mod record;
mod seeds;
mod spout;
mod topology;

pub use bolt::{BoltTest, Done, Outcome};
pub use record::{Emission, compare_values};
pub use seeds::for_each_seed;
pub use spout::{Asked, Slot, SpoutTest};
pub use topology::{Completed, TopologyTest};
