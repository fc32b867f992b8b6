//! Executors of other workers, as those here see them: an address like any other, behind which a
//! line to the peer worker empties the lanes.
//!
//! A proxy has an account of its own. The receiver tells how large its window is (its share of the
//! executor's inbox), and returns credit when rows are taken there, so a sender here cannot tell a
//! proxy from a neighbour. What is under way is noted: when the peer starts anew, its credit is back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::bell::Bell;
use crate::credit::Grant;

/// What an executor of another worker has in place of a thread.
pub(crate) struct Proxy {
    peer: RwLock<Arc<Peer>>,
    under_way: Mutex<UnderWay>,
}

/// Rows that were sent to an executor of another worker, or came from it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UnderWay {
    /// Sent, their credit not yet back.
    pub(crate) credit: Grant,
    /// All rows that were sent to it.
    pub(crate) sent: u64,
    /// All rows that came from it.
    pub(crate) received: u64,
}

impl Proxy {
    pub(crate) fn new() -> Proxy {
        Proxy { peer: RwLock::default(), under_way: Mutex::default() }
    }

    /// The peer that runs the executor now.
    pub(crate) fn peer(&self) -> Arc<Peer> {
        self.peer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on this peer runs it. Rings its bells: there may be something for it already.
    pub(crate) fn set_peer(&self, peer: &Arc<Peer>) {
        *self.peer.write().unwrap_or_else(PoisonError::into_inner) = peer.clone();
        peer.data_bell.ring();
        peer.control_bell.ring();
    }

    pub(crate) fn ring_for_data(&self) {
        self.peer.read().unwrap_or_else(PoisonError::into_inner).data_bell.ring();
    }

    pub(crate) fn ring_for_acks(&self) {
        self.peer.read().unwrap_or_else(PoisonError::into_inner).control_bell.ring();
    }

    pub(crate) fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        // Plain sums: a poisoned state is a sound one.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One life of a peer worker.
#[derive(Default)]
pub(crate) struct Peer {
    /// Which: credit of rows that came from another one is not for this one.
    pub(crate) life: u32,
    /// There are rows for it.
    pub(crate) data_bell: Bell,
    /// There is something else for it.
    pub(crate) control_bell: Bell,
    /// By executor here: how many of the peer's executors send to it.
    pub(crate) senders: BTreeMap<u32, i64>,
    news: Mutex<News>,
}

/// What a peer is to be told of executors here.
#[derive(Default)]
pub(crate) struct News {
    /// Credit of rows that were taken.
    pub(crate) returned: BTreeMap<u32, Grant>,
    /// Windows that have changed.
    pub(crate) windows: BTreeMap<u32, i64>,
}

impl Peer {
    /// A peer whose executors send so much.
    pub(crate) fn new(life: u32, senders: BTreeMap<u32, i64>) -> Peer {
        Peer { life, senders, ..Peer::default() }
    }

    /// Rows of this life of the peer were taken by an executor.
    pub(crate) fn give_back(&self, executor: u32, grant: Grant) {
        let mut news = self.news();
        let sum = news.returned.entry(executor).or_default();
        sum.rows += grant.rows;
        sum.bytes += grant.bytes;
        drop(news);
        self.control_bell.ring();
    }

    /// The share of the peer in an executor's window; computed when it is noted, so that of two who
    /// tell at once the one who knows less does not have the last word.
    pub(crate) fn tell_window(&self, executor: u32, rows: impl FnOnce() -> i64) {
        let mut news = self.news();
        news.windows.insert(executor, rows());
        drop(news);
        self.control_bell.ring();
    }

    /// Takes all that is to be told; at most one entry for each executor.
    pub(crate) fn take_news(&self) -> News {
        std::mem::take(&mut *self.news())
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of a window is for so many of all senders: at least one row.
pub(crate) fn share(window: i64, senders: i64, of: i64) -> i64 {
    (window.saturating_mul(senders) / of.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_at_least_one_row() {
        assert_eq!(share(100, 1, 4), 25);
        assert_eq!(share(3, 1, 4), 1);
        assert_eq!(share(100, 3, 3), 100);
    }

    #[test]
    fn news_of_an_executor_are_told_as_one() {
        let peer = Peer::default();
        peer.give_back(3, Grant { rows: 2, bytes: 20 });
        peer.give_back(3, Grant { rows: 1, bytes: 10 });
        peer.tell_window(4, || 7);
        peer.tell_window(4, || 9);
        let news = peer.take_news();
        assert_eq!(news.returned, BTreeMap::from([(3, Grant { rows: 3, bytes: 30 })]));
        assert_eq!(news.windows, BTreeMap::from([(4, 9)]));
        assert!(peer.take_news().returned.is_empty());
        assert!(peer.control_bell.is_rung());
    }
}
