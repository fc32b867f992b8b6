//! The surroundings of a task that no engine runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use serde_json::Value as Json;
use storm_engine::VirtualClock;
use storm_model::{
    ComponentId, ComponentKind, ComponentSpec, ConfigMap, StreamSpec, TaskId, TaskTable, Time, TopologySpec,
};
use storm_row::Values;
use storm_topology::{
    Clock, ComponentError, Message, MessagePort, Refused, Resolution, Resources, RetainedHome, TaskContext,
    TaskPort, WorkerContext,
};

use super::record::Record;
use super::records::Records;

/// Name of the component under test.
pub(super) const UNDER_TEST: &str = "under-test";
/// An error that was returned, reported or kept by an emit.
#[derive(Clone, Debug)]
pub(super) struct Reported {
    pub(super) message: String,
    pub(super) is_fatal: bool,
}

/// Takes what a task gives to its executor.
#[derive(Default)]
pub(super) struct FakePort {
    errors: Mutex<Vec<Reported>>,
    messages: Mutex<Vec<Message>>,
    resolutions: Mutex<Vec<(u64, Resolution)>>,
}

impl FakePort {
    pub(super) fn report(&self, error: &ComponentError) {
        lock(&self.errors).push(Reported { message: error.chain(), is_fatal: error.is_fatal() });
    }

    pub(super) fn take_errors(&self) -> Vec<Reported> {
        std::mem::take(&mut *lock(&self.errors))
    }

    pub(super) fn take_messages(&self) -> Vec<Message> {
        std::mem::take(&mut *lock(&self.messages))
    }

    pub(super) fn take_resolutions(&self) -> Vec<(u64, Resolution)> {
        std::mem::take(&mut *lock(&self.resolutions))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MessagePort for FakePort {
    fn post(&self, _: TaskId, message: Message) -> Result<(), (Refused, Message)> {
        lock(&self.messages).push(message);
        Ok(())
    }
}

impl RetainedHome for FakePort {
    fn resolve(&self, key: u64, resolution: Resolution) {
        lock(&self.resolutions).push((key, resolution));
    }
}

impl TaskPort for FakePort {
    fn waker(&self, _: TaskId) -> Waker {
        // Nobody sleeps here.
        struct Nobody;
        impl Wake for Nobody {
            fn wake(self: Arc<Self>) {}
        }
        Waker::from(Arc::new(Nobody))
    }

    fn report_error(&self, _: TaskId, error: ComponentError) {
        self.report(&error);
    }
}

/// What a task's context is made from.
pub(super) struct Surroundings {
    pub(super) port: Arc<FakePort>,
    pub(super) clock: Arc<VirtualClock>,
    pub(super) config: ConfigMap,
    pub(super) resources: Resources,
    begin: Time,
    /// Which task it is, of how many.
    task_index: u32,
    task_count: u32,
}

impl Surroundings {
    pub(super) fn new() -> Surroundings {
        let clock = Arc::new(VirtualClock::new());
        Surroundings {
            port: Arc::default(),
            begin: clock.now(),
            clock,
            config: BTreeMap::new(),
            resources: Resources::default(),
            task_index: 0,
            task_count: 1,
        }
    }

    #[track_caller]
    pub(super) fn set_task(&mut self, index: u32, count: u32) {
        assert!(index < count, "there is no task {index} of {count}: they are counted from 0");
        (self.task_index, self.task_count) = (index, count);
    }

    /// The task under test.
    pub(super) fn task(&self) -> TaskId {
        TaskId(self.task_index + 1)
    }

    /// Time since the start of the test.
    pub(super) fn elapsed(&self) -> Duration {
        self.clock.now().since(self.begin)
    }

    /// What the task emitted to stream number `stream`, for assertions.
    pub(super) fn record(&self, stream: &StreamSpec, values: Values<'_>) -> Record {
        Record {
            emitter: (UNDER_TEST.into(), self.task()),
            receiver: None,
            stream: stream.id.clone(),
            fields: stream.fields.clone(),
            values: values.to_values(),
            anchors: Vec::new(),
            at: self.elapsed(),
        }
    }

    /// All that the task emitted so far, to be asserted about.
    pub(super) fn records(&self, streams: &[StreamSpec], records: &[Record]) -> Records {
        let streams = streams.iter().map(|s| (UNDER_TEST.into(), s.clone())).collect();
        let subject = format!("'{UNDER_TEST}' emitted");
        Records::new(subject, vec![self.task()], streams, records.to_vec(), String::new())
    }

    pub(super) fn set(&mut self, key: &str, value: Json) {
        self.config.insert(key.to_owned(), value);
    }

    pub(super) fn context(&self, kind: ComponentKind, outputs: Vec<StreamSpec>) -> TaskContext {
        let component = ComponentId::from(UNDER_TEST);
        let spec = ComponentSpec {
            kind,
            executors: 1,
            tasks: self.task_count,
            tasks_fixed: false,
            outputs,
            inputs: Vec::new(),
            config: BTreeMap::new(),
        };
        let spec =
            TopologySpec { components: [(component.clone(), spec)].into(), config: self.config.clone() };
        let worker = WorkerContext {
            topology: "test".to_owned(),
            tasks: TaskTable::new(&spec),
            spec,
            resources: self.resources.clone(),
            clock: self.clock.clone(),
        };
        let config = Arc::new(self.config.clone());
        TaskContext::new(Arc::new(worker), component, self.task(), config, 1, self.port.clone())
    }
}
