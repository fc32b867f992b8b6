//! What the examples share that read an input once and write one exact result.
//!
//! A stream has no end, an input file has. How does a topology spread over processes know that all
//! is counted? By three steps, each of which begins when the one before is *acked*:
//!
//! ```text
//!            default: the lines                        totals
//!   spout ──────────────────────► (split ►) count ────────────► writer ──► file
//!     │   end: all lines acked, to every task ▲                   ▲
//!     ├───────────────────────────────────────┘                   │
//!     └── commit: end acked, so the writer has the totals ────────┘
//! ```
//!
//! 1. Each task of the [`FileSpout`] emits its lines, tracked.
//! 2. When all its lines are acked, it emits one marker on stream [`END`], which every task of a
//!    bolt with a state gets (`all_grouping`). A task that has seen the markers of all spout tasks
//!    ([`Markers`]) emits its totals, anchored to the last marker: its ack means that the
//!    [`Writer`] has them.
//! 3. Then the spout task emits one marker on stream [`COMMIT`] to the writer (`global_grouping`),
//!    which writes the result when it has them all. Acked, the spout task is done.
//!
//! Lines and markers that fail are emitted again. Markers and totals can come twice without harm; a
//! line that was emitted again may be counted twice (at least once), which the spout reports.
//! Counts are in memory: when a worker dies, its counts are lost, and the input is to be counted
//! anew.

pub mod args;
pub mod counts;
pub mod files;
pub mod input;
pub mod markers;
pub mod spout;
#[cfg(feature = "testing")]
pub mod testing;
pub mod writer;

pub use args::Common;
pub use counts::{Counts, Totals, write_counts};
pub use files::{WriteError, check_dir, check_file, replace_file, show};
pub use input::{Input, Line, Lines};
pub use markers::{COMMIT, END, Markers};
pub use spout::{FileSpout, KeyOf, Mark};
pub use writer::{Report, Writer, exit_code};
