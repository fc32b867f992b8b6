//! The executor's end: runs the future, takes what it queues and learns its outcome.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use storm_model::Time;
use storm_topology::{ComponentError, SpoutError, SpoutOutput};
use tokio::runtime::Builder;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::feed::{Answer, Item};

/// How long the end of the future's thread is waited for. Only a future that blocks needs it.
const MAX_JOIN: Duration = Duration::from_secs(1);

type Outcome = Result<(), SpoutError>;

/// One life of the future, as the executor sees it.
pub(super) struct Run {
    pub(super) queue: mpsc::Receiver<Item>,
    pub(super) verdict: oneshot::Receiver<Outcome>,
    /// What the verdict was, until the queue is empty.
    pub(super) outcome: Option<Outcome>,
    pub(super) since: Time,
    pub(super) cancel: AbortHandle,
    pub(super) thread: Option<OwnThread>,
}

/// What came of asking a run for a tuple.
pub(super) enum Turn {
    Emitted,
    Idle,
    Over(Outcome),
}

/// The thread of a future, and a channel that closes when it is about to end.
pub(super) struct OwnThread {
    handle: JoinHandle<()>,
    ended: Receiver<()>,
}

impl Run {
    pub(super) fn next_tuple(&mut self, out: &mut SpoutOutput<'_, Answer>) -> Turn {
        // Asked before the queue is looked at, or what is queued between the two would be lost.
        self.take_verdict();
        while let Ok(item) = self.queue.try_recv() {
            match item {
                Item::Tuple(tuple) => {
                    tuple.emit(out);
                    return Turn::Emitted;
                }
                Item::Error(error) => out.report_error(error),
            }
        }
        self.outcome.take().map_or(Turn::Idle, Turn::Over)
    }

    fn take_verdict(&mut self) {
        if self.outcome.is_none() {
            self.outcome = match self.verdict.try_recv() {
                Ok(outcome) => Some(outcome),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Closed) => Some(Err(ComponentError::msg(
                    "the future was dropped before it was done: its runtime has shut down, or its destructor panicked",
                ))),
            };
            if self.outcome.is_some() {
                // After an error others may still hold the feed.
                self.queue.close();
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Whoever waits for room is told first, then the future is dropped at its next await.
        self.queue.close();
        self.cancel.abort();
        let Some(OwnThread { handle, ended }) = self.thread.take() else { return };
        match ended.recv_timeout(MAX_JOIN) {
            Err(RecvTimeoutError::Timeout) => tracing::warn!(
                thread = handle.thread().name(),
                "the future of an async spout blocks its thread, which is left behind"
            ),
            // A panic of the runtime itself has been printed; nobody needs it any more.
            _ => drop(handle.join()),
        }
    }
}

/// Runs the future on a runtime and a thread of its own, which ends with it.
pub(super) fn on_own_thread(
    name: String,
    task: impl Future<Output = ()> + Send + 'static,
) -> Result<(AbortHandle, Option<OwnThread>), SpoutError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let task = runtime.spawn(task);
    let cancel = task.abort_handle();
    let (ending, ended) = channel::<()>();
    let handle = std::thread::Builder::new().name(name).spawn(move || {
        // Dropped with the closure, also when it panics: that closes the channel.
        let _ending = ending;
        // It has told its outcome already; an error here only says that it was cancelled.
        drop(runtime.block_on(task));
        // Blocking tasks that the future spawned cannot be cancelled and are not waited for.
        runtime.shutdown_background();
    })?;
    Ok((cancel, Some(OwnThread { handle, ended })))
}

/// Runs the future to its end and tells its outcome.
pub(super) async fn drive(future: impl Future<Output = Outcome>, feeds: watch::Sender<()>, told: Told) {
    let mut future = Box::pin(future);
    let poll = |cx: &mut Context<'_>| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(payload) => Poll::Ready(Err(panic_error(&*payload))),
    };
    let outcome = poll_fn(poll).await;
    drop(future);
    if outcome.is_ok() {
        // Tasks that it spawned may go on feeding.
        feeds.closed().await;
    }
    told.tell(outcome);
}

fn panic_error(payload: &(dyn Any + Send)) -> SpoutError {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    ComponentError::msg(format!("the future panicked: {}", text.unwrap_or("a payload that is not text")))
}

/// The way of the outcome to the executor. It is woken in any case, also when the future is
/// dropped without an outcome, and only after there is something to see: fields are dropped in
/// order.
pub(super) struct Told {
    pub(super) outcome: oneshot::Sender<Outcome>,
    pub(super) wake: WakeOnDrop,
}

impl Told {
    fn tell(self, outcome: Outcome) {
        let Told { outcome: sender, wake } = self;
        // Nobody listens any more when the topology stops.
        sender.send(outcome).ok();
        drop(wake);
    }
}

pub(super) struct WakeOnDrop(pub(super) Waker);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0.wake_by_ref();
    }
}
