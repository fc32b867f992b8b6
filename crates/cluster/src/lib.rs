//! The truth that Nimbuses and supervisors share, in ZooKeeper.
