//! How executors reach each other: lanes of batches, acks, control and messages, and the bell.
//!
//! The only file that names the channel library. Every executor has one [`Address`], which all
//! others share, and one set of [`Lanes`], which it alone empties. Nothing here blocks: an executor
//! that finds all its lanes empty waits for its bell (a thread parks; a stepped run just goes on
//! to the next executor).
//!
//! What bounds the lanes: `data` credit; `looped` the worker's memory budget; `acks` 1,024
//! messages, above that acks fold in their sender; `control` the retained handles that exist plus
//! some commands; `messages` 65,536, above that they are given back; the return lanes drop what
//! does not fit.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::{Receiver, SendError, Sender, TrySendError, bounded, unbounded};
use storm_model::{TaskId, Time};
use storm_row::Batch;
use storm_topology::{FailCause, Message, Refused, Resolution};

use crate::acks::AckEntry;
use crate::asked::{Asked, Asker, Request};
use crate::bell::Bell;
use crate::credit::Account;
use crate::proxy::Proxy;
use crate::traffic::Traffic;

const ACK_LANE: usize = 1024;
const MESSAGE_LANE: usize = 1 << 16;
/// Buffers kept for an executor with few targets; one with many gets two for each.
const RETURN_LANE: usize = 64;

/// A batch on its way, and who gets the buffer back.
pub(crate) struct Parcel {
    pub(crate) batch: Batch,
    pub(crate) origin: u32,
    /// By which life of the origin's worker it came; 0 in this worker.
    pub(crate) life: u32,
    /// When it was sent, as of the sender's step.
    pub(crate) sent: Time,
}

/// Acks on their way, and who gets the buffer back.
pub(crate) struct AckParcel {
    pub(crate) entries: Vec<AckEntry>,
    pub(crate) origin: u32,
}

/// What an executor is told.
pub(crate) enum Control {
    /// Every task of the topology is prepared: spouts may emit.
    Start,
    /// Spouts emit nothing until the next `Start`; they are not told.
    Hold,
    /// Spouts emit again.
    Activate,
    /// Spouts emit no more; acks and fails go on.
    Deactivate,
    /// A retained tuple has been acked, failed or given more time.
    Resolve(u64, Resolution),
    /// Tell your figures.
    Snapshot(Asked),
    /// A part of the topology is lost: wait no longer than this for what is pending.
    Hasten,
    /// Fail all that is pending.
    Fail(FailCause),
    /// Write down so many of a hundred tuples that it emits.
    Sample(f64),
    /// End in good order.
    Stop,
}

/// The sending ends of an executor's lanes, and what others may see of it.
pub(crate) struct Address {
    pub(crate) bell: Bell,
    pub(crate) account: Account,
    pub(crate) traffic: Traffic,
    data: Sender<Parcel>,
    looped: Sender<Parcel>,
    acks: Sender<AckParcel>,
    control: Sender<Control>,
    figures: Request,
    messages: Sender<(TaskId, Message)>,
    /// Messages in the lane.
    message_count: AtomicUsize,
    empties: Sender<Batch>,
    empty_acks: Sender<Vec<AckEntry>>,
    /// Executors whose acks did not fit.
    ack_waiters: Mutex<Vec<u32>>,
    /// Per task: its waker was woken.
    woken: Vec<AtomicBool>,
    /// Untracked rows of other workers that were not let in because their cycle was full.
    pub(crate) refused: AtomicU64,
    /// Of an executor that runs in another worker.
    proxy: Option<Proxy>,
}

/// The receiving ends.
pub(crate) struct Lanes {
    pub(crate) data: Lane<Parcel>,
    pub(crate) looped: Lane<Parcel>,
    pub(crate) acks: Lane<AckParcel>,
    pub(crate) control: Lane<Control>,
    pub(crate) messages: Lane<(TaskId, Message)>,
    pub(crate) empties: Lane<Batch>,
    pub(crate) empty_acks: Lane<Vec<AckEntry>>,
}

/// One receiving end.
pub(crate) struct Lane<T>(Receiver<T>);

impl<T> Clone for Lane<T> {
    fn clone(&self) -> Self {
        Lane(self.0.clone())
    }
}

impl<T> Lane<T> {
    /// The next item, if there is one.
    #[inline]
    pub(crate) fn take(&self) -> Option<T> {
        self.0.try_recv().ok()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Items in the lane.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A lane that nothing comes by.
pub(crate) fn no_lane<T>() -> Lane<T> {
    Lane(crossbeam_channel::never())
}

/// What an executor has to do with.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings {
    /// Executors that send to it.
    pub(crate) senders: usize,
    /// Executors that it sends to.
    pub(crate) targets: usize,
    /// Its tasks.
    pub(crate) tasks: usize,
    /// Whether it gets acks.
    pub(crate) is_spout: bool,
    /// Whether it runs in this worker.
    pub(crate) is_here: bool,
}

/// Both ends of the lanes of an executor.
pub(crate) fn lanes(with: Surroundings) -> (Address, Lanes) {
    let Surroundings { senders, targets, tasks, is_spout, is_here } = with;
    let (data, data_out) = unbounded();
    let (looped, looped_out) = unbounded();
    // A bounded lane takes its memory at once: a bolt has none to spare for acks.
    let (acks, acks_out) = bounded(if is_spout { ACK_LANE } else { 1 });
    let (control, control_out) = unbounded();
    let (messages, messages_out) = unbounded();
    // Rows of another worker come in buffers that nobody there gets back.
    let (empties, empties_out) = bounded(if is_here { RETURN_LANE.max(2 * targets) } else { 0 });
    let (empty_acks, empty_acks_out) = bounded(RETURN_LANE);
    let address = Address {
        bell: Bell::default(),
        account: Account::new(senders),
        traffic: Traffic::default(),
        data,
        looped,
        acks,
        control,
        figures: Request::default(),
        messages,
        message_count: AtomicUsize::new(0),
        empties,
        empty_acks,
        ack_waiters: Mutex::default(),
        woken: (0..tasks).map(|_| AtomicBool::new(false)).collect(),
        refused: AtomicU64::new(0),
        proxy: (!is_here).then(Proxy::new),
    };
    let lanes = Lanes {
        data: Lane(data_out),
        looped: Lane(looped_out),
        acks: Lane(acks_out),
        control: Lane(control_out),
        messages: Lane(messages_out),
        empties: Lane(empties_out),
        empty_acks: Lane(empty_acks_out),
    };
    (address, lanes)
}

impl Address {
    /// Sends a batch whose rows have credit, or, on a looped edge, room in the memory budget. An
    /// executor that has ended drops it.
    pub(crate) fn send(&self, parcel: Parcel, looped: bool) {
        let lane = if looped { &self.looped } else { &self.data };
        // The receiver is only gone when the topology stops.
        lane.send(parcel).ok();
        match &self.proxy {
            None => self.bell.ring(),
            Some(proxy) => proxy.ring_for_data(),
        }
    }

    /// Wakes the executor; one of another worker is told by the line to its peer.
    pub(crate) fn wake(&self) {
        match &self.proxy {
            None => self.bell.ring(),
            Some(proxy) => proxy.ring_for_acks(),
        }
    }

    /// What stands for the executor here, if it runs in another worker.
    #[inline]
    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// Sends acks to a spout executor; gives them back when its lane is full, and notes `sender` to
    /// be woken when there is room.
    pub(crate) fn send_acks(&self, parcel: AckParcel) -> Result<(), Vec<AckEntry>> {
        let sender = parcel.origin;
        let refused = match self.try_acks(parcel) {
            Ok(()) => return Ok(()),
            Err(parcel) => parcel,
        };
        {
            let mut waiters = self.ack_waiters.lock().unwrap_or_else(PoisonError::into_inner);
            if !waiters.contains(&sender) {
                waiters.push(sender);
            }
        }
        // Room may have come up before the note was there to be seen.
        self.try_acks(refused).map_err(|parcel| parcel.entries)
    }

    fn try_acks(&self, parcel: AckParcel) -> Result<(), AckParcel> {
        match self.acks.try_send(parcel) {
            Ok(()) => {
                match &self.proxy {
                    None => self.bell.ring(),
                    Some(proxy) => proxy.ring_for_acks(),
                }
                Ok(())
            }
            Err(TrySendError::Full(parcel)) => Err(parcel),
            // The spout executor has ended: nobody waits for these acks.
            Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }

    /// Executors to wake now that the ack lane has room.
    pub(crate) fn take_ack_waiters(&self) -> Vec<u32> {
        // The lock, not a flag: whoever was here first is seen by the other, either by its note or
        // by the room in the lane.
        std::mem::take(&mut self.ack_waiters.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells the executor something.
    pub(crate) fn control(&self, control: Control) {
        self.control.send(control).ok();
        self.bell.ring();
    }

    /// Asks the executor for its figures.
    pub(crate) fn ask(&self, asker: Asker) {
        if let Some(asked) = self.figures.join(asker) {
            self.control(Control::Snapshot(asked));
        }
    }

    /// Puts a message into a task's inbox.
    pub(crate) fn post(&self, task: TaskId, message: Message) -> Result<(), (Refused, Message)> {
        self.traffic.posting();
        // Counted, not a bounded channel: that would take its memory at once, for every executor.
        if self.message_count.fetch_add(1, Ordering::Relaxed) >= MESSAGE_LANE {
            self.message_count.fetch_sub(1, Ordering::Relaxed);
            self.traffic.not_posted();
            return Err((Refused::Full, message));
        }
        match self.messages.send((task, message)) {
            Ok(()) => {
                self.bell.ring();
                Ok(())
            }
            Err(SendError((_, message))) => {
                self.message_count.fetch_sub(1, Ordering::Relaxed);
                self.traffic.not_posted();
                Err((Refused::Closed, message))
            }
        }
    }

    /// A message has been taken out of the lane.
    pub(crate) fn took_message(&self) {
        self.message_count.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns an emptied buffer; dropped when its owner has plenty.
    pub(crate) fn recycle(&self, mut batch: Batch) {
        batch.clear();
        self.empties.try_send(batch).ok();
    }

    /// Returns an emptied ack buffer.
    pub(crate) fn recycle_acks(&self, mut entries: Vec<AckEntry>) {
        entries.clear();
        self.empty_acks.try_send(entries).ok();
    }

    /// Wakes a spout task.
    pub(crate) fn wake_task(&self, task: usize) {
        self.woken[task].store(true, Ordering::Release);
        self.bell.ring();
    }

    /// Whether the task's waker was woken since the last call.
    #[inline]
    pub(crate) fn take_woken(&self, task: usize) -> bool {
        self.woken[task].load(Ordering::Relaxed) && self.woken[task].swap(false, Ordering::Acquire)
    }
}
