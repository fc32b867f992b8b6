//! What the worker's loop is told, by all threads around it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use storm_messaging::{PeerEvent, Refusal};
use storm_model::{Assignment, Status, Tuning, WorkerSlot};

use crate::carrier::Standing;

/// News for the loop.
#[derive(Debug)]
pub(crate) enum News {
    /// The newest assignment that the supervisor, or Nimbus, knows.
    Assignment(Assignment),
    /// What the topology is meant to do, and how often it was given another state; 0: not known.
    State(Status, u64),
    /// What was changed of the topology since it was submitted.
    Tuning(Tuning),
    /// End in good order, within this time.
    Stop { within: Duration, reason: String },
    /// Something happened on the line to a peer; `line` tells former lines from the present one.
    Peer { slot: WorkerSlot, line: u64, event: PeerEvent },
    /// A peer has said how far it is.
    Told { slot: WorkerSlot, line: u64, standing: Standing },
    /// The tasks of this worker are made, or cannot be.
    Made,
    /// A worker that is listed in a newer assignment than ours has refused us, or we it.
    Stale { by: WorkerSlotText, refusal: Option<Refusal> },
}

/// A slot as messages name it.
pub(crate) type WorkerSlotText = String;

type Signal = Box<dyn Fn() + Send>;

/// A queue that wakes who waits for it, or for the engine's events. What bounds it: peers and orders,
/// each of which posts only when something changes.
#[derive(Default)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
    is_filled: Condvar,
}

#[derive(Default)]
struct State {
    news: VecDeque<News>,
    signal: Option<Signal>,
}

impl Mailbox {
    pub(crate) fn post(&self, news: News) {
        let mut state = self.lock();
        state.news.push_back(news);
        if let Some(signal) = &state.signal {
            signal();
        }
        self.is_filled.notify_one();
    }

    /// From now on this is called for every news.
    pub(crate) fn tell(&self, signal: impl Fn() + Send + 'static) {
        let mut state = self.lock();
        signal();
        state.signal = Some(Box::new(signal));
    }

    pub(crate) fn take(&self) -> Option<News> {
        self.lock().news.pop_front()
    }

    /// Waits for the next news, at most until then.
    pub(crate) fn wait(&self, until: Option<Instant>) -> Option<News> {
        let mut state = self.lock();
        loop {
            if let Some(news) = state.news.pop_front() {
                return Some(news);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            state = match left {
                None => self.is_filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return None,
                Some(left) => {
                    self.is_filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn news_come_in_order_and_each_is_signalled() {
        let mailbox = Mailbox::default();
        mailbox.post(News::State(Status::Active, 1));
        let rung = Arc::new(AtomicUsize::new(0));
        let told = rung.clone();
        mailbox.tell(move || {
            told.fetch_add(1, Ordering::SeqCst);
        });
        mailbox.post(News::State(Status::Killed, 2));
        assert_eq!(rung.load(Ordering::SeqCst), 2);
        assert!(matches!(mailbox.wait(None), Some(News::State(Status::Active, 1))));
        assert!(matches!(mailbox.take(), Some(News::State(Status::Killed, 2))));
        assert!(mailbox.take().is_none());
        assert!(mailbox.wait(Some(Instant::now())).is_none());
    }
}
