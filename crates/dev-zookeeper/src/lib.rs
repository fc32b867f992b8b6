//! A ZooKeeper-protocol server of one node, for development and tests.
