//! Whole clusters of real processes: of `storm-rs dev` or put together by hand, topologies submitted to
//! them, and what they survive.
//!
//! Each test has a cluster of its own on free ports, in a directory of its own; one at a time, because
//! they would take each other's time. Without java or the package `zookeeper`, the tests with the real
//! ZooKeeper print a line and pass, unless `STORM_TEST_REQUIRE` contains `zookeeper`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;
mod basics;
mod logs;
mod examples;
mod losses;
mod rebalance;
mod tuning;
mod nimbuses;
mod zookeeper_away;
mod real_zookeeper;
