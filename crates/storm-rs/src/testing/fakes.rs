//! The surroundings of a task that no engine runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use serde_json::Value as Json;
use storm_engine::VirtualClock;
use storm_model::{
    ComponentId, ComponentKind, ComponentSpec, ConfigMap, StreamSpec, TaskId, TaskTable, TopologySpec,
};
use storm_topology::{
    ComponentError, Message, MessagePort, Refused, Resolution, Resources, RetainedHome, TaskContext,
    TaskPort, WorkerContext,
};

/// Name of the component under test.
pub(super) const UNDER_TEST: &str = "under-test";
/// The task under test.
pub(super) const TASK: TaskId = TaskId(1);

/// Takes what a task gives to its executor.
#[derive(Default)]
pub(super) struct FakePort {
    errors: Mutex<Vec<String>>,
    messages: Mutex<Vec<Message>>,
    resolutions: Mutex<Vec<(u64, Resolution)>>,
}

impl FakePort {
    pub(super) fn report(&self, error: &ComponentError) {
        lock(&self.errors).push(error.chain());
    }

    pub(super) fn take_errors(&self) -> Vec<String> {
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
}

impl Surroundings {
    pub(super) fn new() -> Surroundings {
        Surroundings {
            port: Arc::default(),
            clock: Arc::new(VirtualClock::new()),
            config: BTreeMap::new(),
            resources: Resources::default(),
        }
    }

    pub(super) fn set(&mut self, key: &str, value: Json) {
        self.config.insert(key.to_owned(), value);
    }

    pub(super) fn context(&self, kind: ComponentKind, outputs: Vec<StreamSpec>) -> TaskContext {
        let component = ComponentId::from(UNDER_TEST);
        let spec = ComponentSpec {
            kind,
            executors: 1,
            tasks: 1,
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
        TaskContext::new(Arc::new(worker), component, TASK, config, 1, self.port.clone())
    }
}
