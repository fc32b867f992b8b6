//! Whole clusters of real processes: `storm-rs dev`, topologies submitted to it, and what they survive.
//!
//! Each test has a cluster of its own on free ports, in a directory of its own; one at a time, because
//! they would take each other's time.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;
mod basics;
mod examples;
mod losses;
mod rebalance;
