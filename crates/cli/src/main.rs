//! The command storm-rs: daemons, and everything one does with a cluster.

fn main() {}
