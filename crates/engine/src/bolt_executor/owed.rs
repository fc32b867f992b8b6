//! Credit of rows that came from other workers, before it goes back.
//!
//! Each time it does costs a frame and wakes a thread here and there, so while the executor is busy it goes
//! when it is a quarter of what the sender may have out. Whenever the executor flushes, and so before it waits for
//! anything, all goes: a sender that starves has a receiver that is at work.

use crate::credit::{Grant, WINDOW_BYTES};
use crate::directory::Directory;
use crate::proxy::{Peer, Proxy};

/// What is owed, by the life of the worker that the rows came from.
#[derive(Default)]
pub(crate) struct Owed(Vec<Debt>);

struct Debt {
    life: u32,
    /// One of the executors that they came from: it leads to the peer.
    origin: u32,
    grant: Grant,
}

impl Owed {
    /// Where to note the credit of rows from this executor.
    #[inline]
    pub(crate) fn of(&mut self, origin: u32, life: u32) -> &mut Grant {
        let at = self.0.iter().position(|debt| debt.life == life).unwrap_or_else(|| {
            self.0.push(Debt { life, origin, grant: Grant::default() });
            self.0.len() - 1
        });
        &mut self.0[at].grant
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives back what is much, in the name of executor `me`.
    #[inline]
    pub(crate) fn pay_much(&mut self, me: u32, directory: &Directory) {
        self.pay(me, directory, |peer, owed| {
            4 * owed.rows >= directory.share_of(me, peer) || 4 * owed.bytes >= WINDOW_BYTES
        });
    }

    /// Gives back everything.
    pub(crate) fn pay_all(&mut self, me: u32, directory: &Directory) {
        self.pay(me, directory, |_, _| true);
    }

    fn pay(&mut self, me: u32, directory: &Directory, is_due: impl Fn(&Peer, Grant) -> bool) {
        self.0.retain(|debt| {
            let peer = directory[debt.origin].proxy().map(Proxy::peer);
            // Of a former life all credit is lost, and there is nobody to miss it.
            let Some(peer) = peer.filter(|peer| peer.life == debt.life) else { return false };
            let is_due = is_due(&peer, debt.grant);
            if is_due {
                peer.give_back(me, debt.grant);
            }
            !is_due
        });
    }
}
