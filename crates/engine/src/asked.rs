//! Who waits for an executor's figures.
//!
//! One request is in an executor's lane at a time, and whoever asks meanwhile joins it: an executor that
//! is stuck in user code is asked every second, for as long as it is stuck.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};

use storm_figures::ExecutorSnapshot;

/// What shows that somebody waits: kept as long as that.
#[derive(Default)]
pub(crate) struct Patience(Arc<()>);

/// Somebody who wants figures.
pub(crate) struct Asker {
    reply: mpsc::Sender<ExecutorSnapshot>,
    patience: Weak<()>,
}

impl Asker {
    /// Somebody who takes answers as long as `patience` is there.
    pub(crate) fn new(reply: mpsc::Sender<ExecutorSnapshot>, patience: &Patience) -> Asker {
        Asker { reply, patience: Arc::downgrade(&patience.0) }
    }

    fn waits(&self) -> bool {
        self.patience.strong_count() > 0
    }
}

/// Who waits for a request that is in the lane; `None` once it was taken out.
type Open = Mutex<Option<Vec<Asker>>>;

/// A request. Dropped with the lane, it tells those who wait that nobody will answer.
pub(crate) struct Asked(Arc<Open>);

impl Asked {
    /// Answers those who still wait.
    pub(crate) fn answer(&self, mut snapshot: impl FnMut() -> ExecutorSnapshot) {
        let askers = lock(&self.0).take().unwrap_or_default();
        for asker in askers.into_iter().filter(Asker::waits) {
            asker.reply.send(snapshot()).ok();
        }
    }
}

/// The request of an executor that may be in its lane.
#[derive(Default)]
pub(crate) struct Request(Mutex<Weak<Open>>);

impl Request {
    /// Joins the request that is in the lane; if there is none, the answer is one to be put there.
    pub(crate) fn join(&self, asker: Asker) -> Option<Asked> {
        let mut request = lock(&self.0);
        if let Some(open) = request.upgrade()
            && let Some(askers) = &mut *lock(&open)
        {
            askers.retain(Asker::waits);
            askers.push(asker);
            return None;
        }
        let open = Arc::new(Mutex::new(Some(vec![asker])));
        *request = Arc::downgrade(&open);
        Some(Asked(open))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it is used")]

    use std::sync::mpsc::TryRecvError;

    use storm_model::{ComponentKind, ExecutorId, TaskId};

    use super::*;
    use crate::lanes::{Address, Control, Lanes, Surroundings, lanes};

    fn executor() -> (Address, Lanes) {
        lanes(Surroundings { senders: 1, targets: 1, tasks: 1, is_spout: false, is_here: true })
    }

    fn ask(address: &Address) -> (Patience, mpsc::Receiver<ExecutorSnapshot>) {
        let (reply, answers) = mpsc::channel();
        let patience = Patience::default();
        address.ask(Asker::new(reply, &patience));
        (patience, answers)
    }

    fn figures() -> ExecutorSnapshot {
        ExecutorSnapshot::new(
            "c".into(),
            ComponentKind::Bolt,
            ExecutorId { first: TaskId(1), last: TaskId(1) },
        )
    }

    #[test]
    fn an_executor_that_is_stuck_has_one_request_in_its_lane() {
        let (address, lanes) = executor();
        for _ in 0..100 {
            let (patience, answers) = ask(&address);
            assert_eq!(answers.try_recv(), Err(TryRecvError::Empty), "it is stuck");
            drop(patience);
        }
        let (_one, first) = ask(&address);
        let (_two, second) = ask(&address);
        assert_eq!(lanes.control.len(), 1);
        let Some(Control::Snapshot(asked)) = lanes.control.take() else { panic!("a request") };
        let mut computed = 0;
        asked.answer(|| {
            computed += 1;
            figures()
        });
        assert_eq!(computed, 2, "nobody else waits");
        assert!(first.try_recv().is_ok() && second.try_recv().is_ok());
        // Whoever comes after the answer asks anew, even while the old request is still in somebody's hands.
        let (_three, third) = ask(&address);
        let Some(Control::Snapshot(next)) = lanes.control.take() else { panic!("a request") };
        next.answer(figures);
        assert!(third.try_recv().is_ok());
    }

    #[test]
    fn who_asks_one_that_has_ended_hears_so_at_once() {
        let (address, lanes) = executor();
        let (_before, waiting) = ask(&address);
        drop(lanes);
        assert_eq!(waiting.try_recv(), Err(TryRecvError::Disconnected));
        let (_after, late) = ask(&address);
        assert_eq!(late.try_recv(), Err(TryRecvError::Disconnected));
    }
}
