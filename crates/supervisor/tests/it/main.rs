//! A supervisor with a real ZooKeeper protocol, a Nimbus that only listens, and workers that are
//! processes.
#![allow(clippy::unwrap_used, reason = "a test fails where it is used")]
#![allow(clippy::print_stdout, reason = "the worker's output is its log")]

mod fake_nimbus;
mod fake_worker;
mod figures;
mod land;
mod lives;
mod logs;
mod service;
mod trouble;
