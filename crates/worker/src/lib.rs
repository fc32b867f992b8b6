//! One worker process: executors of a topology, joined with those of its peers.
