//! Nimbuses in a small cluster: the embedded ZooKeeper and supervisors that only pretend.

mod common;
mod commands;
mod failures;
mod figures;
mod logs;
mod supervisors;
