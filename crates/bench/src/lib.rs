//! What the benches are made of. `cargo run --release -p storm-bench` measures the engine against two
//! references in the same run; `storm-bench-timely` does so with timely dataflow beside it.
//!
//! Absolute figures of a shared machine move by a factor of two to four; ratios of one round move
//! by some 15 %. So every job is run once per round, and a row is the median of its rounds.
//!
//! Modules in reading order: the text that is counted; the two references; the engine's jobs; how a
//! job is measured; which jobs there are and in what order they run; the rows and what is required
//! of them; how they are printed; the command line; the run of ten minutes that looks at memory; and
//! what is measured of several workers and of a whole cluster.

pub mod data;
pub mod fused;
mod naive;
mod running;
pub mod word_count;
mod constant;
pub mod latency;
mod many;
mod idle;
pub mod meter;
pub mod jobs;
pub mod rows;
pub mod print;
pub mod command;
pub mod soak;
pub mod cluster;
#[cfg(test)]
mod tests;

/// Whether the allocator is jemalloc; else it is the system's.
pub const IS_JEMALLOC: bool = cfg!(all(feature = "jemalloc", not(feature = "system-alloc")));

/// Rows are made by one thread and dropped by another, which other allocators are slow at. Here, so
/// that whatever is compared has the same.
#[cfg(all(feature = "jemalloc", not(feature = "system-alloc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
