//! Components of a topology under test, watched: what they emit, what they get, what of a spout is
//! acked and failed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use storm_engine::VirtualClock;
use storm_model::{ComponentId, StreamId, StreamSpec, TaskId, Time};
use storm_row::{RowBuilder, Values};
use storm_topology::{
    AnySpout, Bolt, BoltError, BoltOutput, Clock, ComponentError, EmitError, Factory, FailCause, Message,
    Next, OutputDeclarer, Outputs, SpoutError, SpoutSink, TaskContext, TaskHook, Tuple,
};

use super::record::{Record, stream_note};

/// What happened in a run so far. Everything in it is in the order in which it happened.
pub(super) struct Journal {
    clock: Arc<VirtualClock>,
    begin: Time,
    notes: Mutex<Notes>,
}

#[derive(Default)]
pub(super) struct Notes {
    pub(super) emits: Vec<Record>,
    pub(super) arrivals: Vec<Record>,
    /// Tracked tuples of spouts.
    pub(super) trees: Vec<Tree>,
    /// The place in `trees` of what is pending, by spout task and slot.
    pub(super) pending: BTreeMap<(TaskId, u32), usize>,
    /// Rows of replaced spouts that failed too often.
    pub(super) given_up: Vec<String>,
}

/// A tracked tuple of a spout.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) root: Record,
    /// What became of it, and when; `None` while it is pending.
    pub(super) end: Option<(End, Duration)>,
}

/// What became of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Acked,
    Failed(FailCause),
    /// Its spout panicked while it was pending.
    Lost,
}

impl Journal {
    pub(super) fn new(clock: Arc<VirtualClock>) -> Journal {
        let begin = clock.now();
        Journal { clock, begin, notes: Mutex::default() }
    }

    /// Time since the start of the test.
    pub(super) fn now(&self) -> Duration {
        self.clock.now().since(self.begin)
    }

    /// A moment as time since the start of the test.
    pub(super) fn since_start(&self, time: Time) -> Duration {
        time.since(self.begin)
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, task: TaskId, slot: u32, end: End) {
        let now = self.now();
        let mut notes = self.notes();
        if let Some(at) = notes.pending.remove(&(task, slot)) {
            notes.trees[at].end = Some((end, now));
        }
    }
}

/// The same component, watched.
pub(super) fn watched(
    id: &ComponentId,
    outputs: &[StreamSpec],
    factory: Factory,
    journal: &Arc<Journal>,
) -> Factory {
    let watch = Watch { component: id.clone(), outputs: outputs.into(), journal: journal.clone() };
    match factory {
        Factory::Bolt(make) => Factory::Bolt(Arc::new(move || {
            let bolt = make();
            Box::new(WatchedBolt { bolt, watch: watch.clone() })
        })),
        Factory::Spout(make) => Factory::Spout(Arc::new(move || {
            let spout = make();
            Box::new(WatchedSpout { spout, watch: watch.clone(), task: TaskId(0) })
        })),
    }
}

/// Writes down what a task does.
#[derive(Clone)]
struct Watch {
    component: ComponentId,
    outputs: Arc<[StreamSpec]>,
    journal: Arc<Journal>,
}

impl Watch {
    fn emitted(&self, task: TaskId, stream: &StreamSpec, values: Values<'_>) -> Record {
        Record {
            emitter: (self.component.clone(), task),
            receiver: None,
            stream: stream.id.clone(),
            fields: stream.fields.clone(),
            values: values.to_values(),
            anchors: Vec::new(),
            at: self.journal.now(),
        }
    }
}

impl TaskHook for Watch {
    fn emit(&mut self, task: TaskId, stream: &StreamId, values: Values<'_>, _: usize) {
        let spec = self.outputs.iter().find(|s| s.id == *stream).expect("the engine knows the stream");
        let record = self.emitted(task, spec, values);
        self.journal.notes().emits.push(record);
    }

    fn bolt_execute(&mut self, task: TaskId, tuple: &Tuple<'_>) {
        let record = Record {
            emitter: (tuple.source_component().clone(), tuple.source_task()),
            receiver: Some((self.component.clone(), task)),
            stream: tuple.source_stream().clone(),
            fields: tuple.fields().clone(),
            values: tuple.values().to_values(),
            anchors: tuple.row().anchors().collect(),
            at: self.journal.now(),
        };
        self.journal.notes().arrivals.push(record);
    }
}

struct WatchedBolt {
    bolt: Box<dyn Bolt>,
    watch: Watch,
}

impl Bolt for WatchedBolt {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        self.bolt.declare_outputs(out);
    }

    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        ctx.add_hook(self.watch.clone());
        self.bolt.prepare(ctx)
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.bolt.execute(input, out)
    }

    fn on_tick(&mut self, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.bolt.on_tick(out)
    }

    fn on_message(&mut self, message: Message, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.bolt.on_message(message, out)
    }

    fn cleanup(&mut self) {
        self.bolt.cleanup();
    }
}

struct WatchedSpout {
    spout: Box<dyn AnySpout>,
    watch: Watch,
    task: TaskId,
}

impl AnySpout for WatchedSpout {
    fn open(&mut self, ctx: &TaskContext) -> Result<(), ComponentError> {
        self.task = ctx.task();
        // What a former life of the task had pending.
        let journal = &self.watch.journal;
        let former: Vec<_> =
            journal.notes().pending.keys().filter(|(t, _)| *t == self.task).copied().collect();
        former.into_iter().for_each(|(task, slot)| journal.end(task, slot, End::Lost));
        ctx.add_hook(self.watch.clone());
        self.spout.open(ctx)
    }

    fn next_tuple(
        &mut self,
        outputs: &Outputs,
        builder: &mut RowBuilder,
        sink: &mut dyn SpoutSink,
    ) -> (Result<Next, SpoutError>, Option<Box<EmitError>>) {
        let mut sink = WatchedSink { sink, watch: &self.watch, task: self.task };
        self.spout.next_tuple(outputs, builder, &mut sink)
    }

    fn ack(&mut self, slot: u32) {
        self.watch.journal.end(self.task, slot, End::Acked);
        self.spout.ack(slot);
    }

    fn fail(&mut self, slot: u32, cause: FailCause) {
        self.watch.journal.end(self.task, slot, End::Failed(cause));
        self.spout.fail(slot, cause);
    }

    fn fail_refused(&mut self) -> usize {
        self.spout.fail_refused()
    }

    fn activate(&mut self) {
        self.spout.activate();
    }

    fn deactivate(&mut self) {
        self.spout.deactivate();
    }

    fn close(&mut self) {
        self.spout.close();
    }
}

/// Notes the tracked tuples of a spout by their slots.
struct WatchedSink<'a> {
    sink: &'a mut dyn SpoutSink,
    watch: &'a Watch,
    task: TaskId,
}

impl SpoutSink for WatchedSink<'_> {
    fn emit(
        &mut self,
        stream: u16,
        task: Option<TaskId>,
        tracked: bool,
        values: Values<'_>,
    ) -> Result<Option<u32>, EmitError> {
        let slot = self.sink.emit(stream, task, tracked, values)?;
        if let Some(slot) = slot {
            let root = self.watch.emitted(self.task, &self.watch.outputs[usize::from(stream)], values);
            let mut notes = self.watch.journal.notes();
            let place = notes.trees.len();
            notes.trees.push(Tree { root, end: None });
            notes.pending.insert((self.task, slot), place);
        }
        Ok(slot)
    }

    fn pending(&self) -> usize {
        self.sink.pending()
    }

    fn report_error(&mut self, error: ComponentError) {
        self.sink.report_error(error);
    }

    fn now(&self) -> Time {
        self.sink.now()
    }
}

impl Tree {
    /// The tuple as a line of a message begins.
    pub(super) fn told(&self) -> String {
        let Record { emitter: (component, task), stream, at, .. } = &self.root;
        let stream = stream_note(stream);
        format!("{} of '{component}' (task {task}){stream}, emitted {at:?} after the start,", self.root)
    }
}
