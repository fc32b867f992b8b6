//! The bell: what wakes a thread that waits for executors' lanes.

use std::sync::PoisonError;

use crate::sync::{AtomicBool, Ordering, RwLock, Thread, thread};

/// What tells an executor that there is something for it, and wakes the thread that steps it.
/// Ringing it before the thread waits is not lost.
#[derive(Default)]
pub(crate) struct Bell {
    is_rung: AtomicBool,
    thread: RwLock<Option<Thread>>,
}

impl Bell {
    /// From now on the current thread is the one to wake.
    pub(crate) fn hang(&self) {
        *self.thread.write().unwrap_or_else(PoisonError::into_inner) = Some(thread::current());
    }

    #[inline]
    pub(crate) fn ring(&self) {
        // Who rang before and was not heard yet has woken the thread already.
        if self.is_rung.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(thread) = &*self.thread.read().unwrap_or_else(PoisonError::into_inner) {
            thread.unpark();
        }
    }

    /// Whether it was rung and nobody has taken it.
    pub(crate) fn is_rung(&self) -> bool {
        self.is_rung.load(Ordering::Acquire)
    }

    /// Whether it was rung since the last call. What was done before it was rung is seen after.
    #[inline]
    pub(crate) fn take(&self) -> bool {
        self.is_rung.load(Ordering::Relaxed) && self.is_rung.swap(false, Ordering::AcqRel)
    }
}
