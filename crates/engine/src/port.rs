//! What tasks reach of their executor from outside of a call: wake, post, resolve, report.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Wake, Waker};

use storm_model::{ComponentId, ExecutorId, TaskId};
use storm_topology::{
    Clock, ComponentError, EmitError, Message, MessagePort, Refused, Resolution, RetainedHome, TaskPort,
};

use crate::directory::Directory;
use crate::lanes::Control;
use crate::panics::{self, Panic};
use crate::report::{ErrorKind, ErrorReport, Throttle};
use crate::run::Event;

/// The outer face of one executor; shared by the handles and contexts that it gave out.
pub(crate) struct ExecutorPort {
    pub(crate) directory: Arc<Directory>,
    pub(crate) index: u32,
    pub(crate) component: ComponentId,
    pub(crate) executor: ExecutorId,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) throttle: Mutex<Throttle>,
    pub(crate) has_broken_contract: AtomicBool,
    pub(crate) has_ended_topology: AtomicBool,
    pub(crate) events: mpsc::Sender<Event>,
}

impl ExecutorPort {
    /// Reports an error of a task unless it is a quiet one.
    pub(crate) fn report(&self, task: TaskId, error: &ComponentError) {
        if error.is_quiet() {
            return;
        }
        let kind = match error.get().downcast_ref::<EmitError>() {
            _ if error.is_fatal() => ErrorKind::Fatal,
            Some(emit) if emit.is_contract_violation() => ErrorKind::Contract,
            _ if error.get().is::<Panic>() => ErrorKind::Panicked,
            _ => ErrorKind::Reported,
        };
        self.report_as(kind, task, panics::text_of(error));
    }

    pub(crate) fn report_as(&self, kind: ErrorKind, task: TaskId, message: String) {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        // What ends a run must not be swallowed, and once is enough.
        let is_first = match kind {
            ErrorKind::Contract => !self.has_broken_contract.swap(true, Ordering::Relaxed),
            ErrorKind::Fatal => !self.has_ended_topology.swap(true, Ordering::Relaxed),
            ErrorKind::Reported | ErrorKind::Panicked | ErrorKind::Slow => false,
        };
        let admitted = throttle.admit(self.clock.now()).or(is_first.then_some(0));
        drop(throttle);
        let Some(suppressed) = admitted else { return };
        let component = self.component.clone();
        let time = self.clock.wall();
        let report = ErrorReport { time, component, task, kind, message, suppressed };
        // Nobody listens any more when the run is over.
        self.events.send(Event::Error(report)).ok();
    }

    fn rank(&self, task: TaskId) -> usize {
        (task.0 - self.executor.first.0) as usize
    }
}

impl MessagePort for ExecutorPort {
    fn post(&self, task: TaskId, message: Message) -> Result<(), (Refused, Message)> {
        self.directory[self.index].post(task, message)
    }
}

impl RetainedHome for ExecutorPort {
    fn resolve(&self, key: u64, resolution: Resolution) {
        self.directory[self.index].control(Control::Resolve(key, resolution));
    }
}

impl TaskPort for ExecutorPort {
    fn waker(&self, task: TaskId) -> Waker {
        let (directory, executor) = (self.directory.clone(), self.index);
        Waker::from(Arc::new(TaskWaker { directory, executor, rank: self.rank(task) }))
    }

    fn report_error(&self, task: TaskId, error: ComponentError) {
        self.report(task, &error);
    }
}

struct TaskWaker {
    directory: Arc<Directory>,
    executor: u32,
    rank: usize,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.directory[self.executor].wake_task(self.rank);
    }
}
