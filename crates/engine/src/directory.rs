//! All executors of a topology, as those of this worker see them.

use std::ops::Index;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::budget::Budget;
use crate::lanes::Address;
use crate::proxy::{Peer, share};

/// The addresses of all executors by index, and the memory budget that those of this worker share.
pub(crate) struct Directory {
    addresses: Vec<Address>,
    inboxes: Vec<Inbox>,
    peers: RwLock<Vec<Arc<Peer>>>,
    pub(crate) budget: Budget,
    /// Spout executors above a cycle.
    pub(crate) above_cycles: Vec<u32>,
    /// Somebody wants to know when executors have nothing to do.
    pub(crate) is_watched: AtomicBool,
}

/// How large the inbox of an executor is, and for whom.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// Executors that send to it.
    pub(crate) senders: i64,
    /// Those of them in this worker.
    pub(crate) near_senders: i64,
    /// Rows that it may hold.
    pub(crate) window: AtomicI64,
}

impl Directory {
    pub(crate) fn new(
        addresses: Vec<Address>,
        inboxes: Vec<Inbox>,
        budget: Budget,
        above_cycles: Vec<u32>,
    ) -> Directory {
        Directory {
            addresses,
            inboxes,
            peers: RwLock::default(),
            budget,
            above_cycles,
            is_watched: AtomicBool::new(false),
        }
    }

    /// Sets the window of an executor of this worker: what is for those here, and for each peer.
    pub(crate) fn resize(&self, executor: u32, rows: i64, wake: &mut Vec<u32>) {
        let Inbox { senders, near_senders, window } = &self.inboxes[executor as usize];
        window.store(rows, Ordering::SeqCst);
        self[executor].account.resize(share(rows, *near_senders, *senders), wake);
        if near_senders < senders {
            for peer in self.peers.read().unwrap_or_else(PoisonError::into_inner).iter() {
                self.tell_window(peer, executor);
            }
        }
    }

    /// Tells these peers from now on, and no others, of windows; the new ones all of them.
    pub(crate) fn set_peers(&self, peers: Vec<Arc<Peer>>) {
        let former = {
            let mut list = self.peers.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *list, peers.clone())
        };
        // After it is in the list: a window that changes meanwhile is told once too often.
        for peer in peers.iter().filter(|peer| !former.iter().any(|f| Arc::ptr_eq(f, peer))) {
            peer.senders.keys().for_each(|executor| self.tell_window(peer, *executor));
        }
    }

    fn tell_window(&self, peer: &Peer, executor: u32) {
        let Inbox { senders, window, .. } = &self.inboxes[executor as usize];
        if let Some(theirs) = peer.senders.get(&executor) {
            peer.tell_window(executor, || share(window.load(Ordering::SeqCst), *theirs, *senders));
        }
    }

    /// How many rows a peer may have out to an executor of this worker.
    pub(crate) fn share_of(&self, executor: u32, peer: &Peer) -> i64 {
        let Inbox { senders, window, .. } = &self.inboxes[executor as usize];
        let theirs = peer.senders.get(&executor).copied().unwrap_or(1);
        share(window.load(Ordering::Relaxed), theirs, *senders)
    }

    /// Wakes the spouts that paused because a cycle was full.
    pub(crate) fn wake_above_cycles(&self) {
        self.wake_all(&mut self.above_cycles.clone());
    }

    /// The executors of this worker.
    pub(crate) fn here(&self) -> impl Iterator<Item = &Address> + Clone {
        self.addresses.iter().filter(|address| address.proxy().is_none())
    }

    /// Rings these executors' bells and empties the list.
    pub(crate) fn wake_all(&self, executors: &mut Vec<u32>) {
        for executor in executors.drain(..) {
            self[executor].wake();
        }
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Address> {
        self.addresses.iter()
    }
}

impl Index<u32> for Directory {
    type Output = Address;

    #[inline]
    fn index(&self, executor: u32) -> &Address {
        &self.addresses[executor as usize]
    }
}
