//! When spouts may begin: all tasks are prepared, and every line between two workers stands. Pure.
//!
//! A worker has its tasks before it has lines. When all its lines have stood at once under a version of
//! the assignment it is *ready* for that version, and says so to each peer. The spouts of a worker begin when
//! it and all its peers are ready for its version: so no row of theirs meets a bolt that is not there, nor one
//! that still sends to where its targets were before.
//!
//! Ready is for good: a line that breaks later stops nobody, and a worker that is only started again joins
//! the others while they go on.

use std::collections::BTreeMap;

use storm_model::WorkerSlot;

/// What one worker knows of the readiness of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Barrier {
    version: u64,
    ready: u64,
    peers: BTreeMap<WorkerSlot, Standing>,
}

#[derive(Clone, Copy, Debug)]
struct Standing {
    number: u64,
    is_connected: bool,
    /// The newest version that it was ready for.
    ready: u64,
}

impl Barrier {
    /// From now on these are the peers, by slot with their numbers. Whoever has another number than before is
    /// somebody else.
    pub(crate) fn follow(&mut self, version: u64, peers: impl IntoIterator<Item = (WorkerSlot, u64)>) {
        let former = std::mem::take(&mut self.peers);
        let standing = |slot: &WorkerSlot, number| {
            let known = former.get(slot).filter(|known| known.number == number).copied();
            known.unwrap_or(Standing { number, is_connected: false, ready: 0 })
        };
        self.peers =
            peers.into_iter().map(|(slot, number)| (slot.clone(), standing(&slot, number))).collect();
        self.version = version;
        self.look();
    }

    /// The line to a peer stands, or does not any more.
    pub(crate) fn connected(&mut self, slot: &WorkerSlot, is_connected: bool) {
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.is_connected = is_connected;
        }
        self.look();
    }

    /// A peer has said for which version it is ready.
    pub(crate) fn told(&mut self, slot: &WorkerSlot, ready: u64) {
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.ready = peer.ready.max(ready);
        }
    }

    fn look(&mut self) {
        if self.peers.values().all(|peer| peer.is_connected) {
            self.ready = self.version;
        }
    }

    /// The newest version for which this worker was ready.
    pub(crate) fn ready(&self) -> u64 {
        self.ready
    }

    /// Whether spouts may emit.
    pub(crate) fn is_open(&self) -> bool {
        self.ready == self.version && self.peers.values().all(|peer| peer.ready >= self.version)
    }

    /// Peers that are not connected, or that have not been ready yet.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &WorkerSlot> {
        let is_missing = |peer: &Standing| !peer.is_connected || peer.ready < self.version;
        self.peers.iter().filter(move |(_, peer)| is_missing(peer)).map(|(slot, _)| slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(port: u16) -> WorkerSlot {
        WorkerSlot { supervisor: "s".into(), port }
    }

    fn peers<const N: usize>(peers: [(u16, u64); N]) -> [(WorkerSlot, u64); N] {
        peers.map(|(port, number)| (slot(port), number))
    }

    fn missing(barrier: &Barrier) -> Vec<u16> {
        barrier.missing().map(|slot| slot.port).collect()
    }

    /// Follows version 1 with peers 1 and 2, and is open.
    fn open() -> Barrier {
        let mut barrier = Barrier::default();
        barrier.follow(1, peers([(1, 11), (2, 12)]));
        for port in [1, 2] {
            barrier.connected(&slot(port), true);
            barrier.told(&slot(port), 1);
        }
        assert!(barrier.is_open());
        barrier
    }

    #[test]
    fn a_worker_alone_waits_for_nobody() {
        let mut barrier = Barrier::default();
        barrier.follow(3, []);
        assert!(barrier.is_open());
        assert_eq!(barrier.ready(), 3);
    }

    #[test]
    fn it_opens_when_all_lines_stand_and_all_have_said_so() {
        let mut barrier = Barrier::default();
        barrier.follow(1, peers([(1, 11), (2, 12)]));
        barrier.connected(&slot(1), true);
        barrier.told(&slot(1), 1);
        assert_eq!((barrier.ready(), missing(&barrier)), (0, vec![2]));
        barrier.connected(&slot(2), true);
        assert_eq!((barrier.ready(), barrier.is_open()), (1, false), "2 may lack a line to 1");
        barrier.told(&slot(2), 1);
        assert!(barrier.is_open() && missing(&barrier).is_empty());
    }

    #[test]
    fn a_line_that_breaks_later_and_a_peer_that_restarts_stop_nobody() {
        let mut barrier = open();
        barrier.connected(&slot(1), false);
        assert!(barrier.is_open());
        assert_eq!(missing(&barrier), [1]);
    }

    #[test]
    fn each_version_is_waited_for_by_all_who_stay() {
        let mut barrier = open();
        barrier.follow(2, peers([(1, 11), (2, 12)]));
        assert_eq!((barrier.ready(), barrier.is_open()), (2, false), "they may still send to who is gone");
        barrier.told(&slot(1), 2);
        barrier.told(&slot(2), 3);
        assert!(barrier.is_open(), "who is further on has been ready for less");
    }

    #[test]
    fn a_peer_of_another_number_begins_anew() {
        let mut barrier = open();
        barrier.follow(2, peers([(1, 11), (2, 13)]));
        barrier.told(&slot(1), 2);
        assert_eq!((barrier.ready(), missing(&barrier)), (1, vec![2]));
        barrier.connected(&slot(2), true);
        barrier.told(&slot(2), 2);
        assert!(barrier.is_open());
    }

    #[test]
    fn a_line_that_is_down_when_the_assignment_changes_is_waited_for() {
        let mut barrier = open();
        barrier.connected(&slot(1), false);
        barrier.follow(2, peers([(1, 11)]));
        barrier.told(&slot(1), 2);
        assert!(!barrier.is_open());
        barrier.connected(&slot(1), true);
        assert!(barrier.is_open());
    }

    #[test]
    fn strangers_change_nothing() {
        let mut barrier = open();
        barrier.connected(&slot(9), false);
        barrier.told(&slot(9), 1);
        assert!(barrier.is_open() && missing(&barrier).is_empty());
    }
}
