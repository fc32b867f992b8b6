//! The master: takes commands, stores topologies, places their executors.
