//! What a running call of a bolt emits, acks, fails and retains.

use std::sync::Arc;

use storm_figures::Latency;
use storm_model::{TaskId, Time};
use storm_row::{Anchor, MAX_ANCHORS, RowRef, Values};
use storm_topology::{
    AnchorTo, Anchoring, BoltSink, ComponentError, EmitError, FailCause, Resolution, Retained, RetainedHome,
    TaskHook, Tuple,
};

use super::Emitter;
use crate::acks::AckOutbox;
use crate::doomed::Doomed;
use crate::port::ExecutorPort;
use crate::retained::RetainedTable;
use crate::routing::Choice;
use crate::sources::Sources;

/// What has become of the input so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputState {
    /// No input: a tick, a message.
    None,
    /// To be acked or failed when `execute` returns.
    Open,
    /// The user has acked or failed it.
    Settled,
    /// The user has retained it, under this key.
    Retained(u64),
}

/// What calls write of one bolt task.
pub(crate) struct TaskBook {
    pub(crate) id: TaskId,
    pub(crate) hooks: Vec<Box<dyn TaskHook>>,
    /// By input.
    pub(crate) inputs: Vec<InputCounts>,
    /// Tuples retained now.
    pub(crate) retained: u64,
}

/// Counts of one task and input.
#[derive(Clone, Debug, Default)]
pub(crate) struct InputCounts {
    pub(crate) executed: u64,
    pub(crate) acked: u64,
    pub(crate) failed: u64,
    /// Time in `execute`.
    pub(crate) execute: Latency,
    /// Time from `execute` to the ack.
    pub(crate) process: Latency,
}

/// A retained tuple has been acked or failed.
pub(crate) struct Settled {
    /// Rank of its task within the executor.
    pub(crate) rank: usize,
    /// Which input of the bolt it came by.
    pub(crate) input: usize,
    pub(crate) is_ack: bool,
    /// When it came.
    pub(crate) since: Time,
}

/// The output of one running call of a bolt.
pub(crate) struct BoltCall<'a> {
    pub(crate) emitter: &'a mut Emitter,
    pub(crate) acks: &'a mut AckOutbox,
    pub(crate) retained: &'a mut RetainedTable,
    pub(crate) doomed: &'a mut Doomed,
    pub(crate) port: &'a Arc<ExecutorPort>,
    pub(crate) home: &'a Arc<dyn RetainedHome>,
    pub(crate) sources: &'a Sources,
    /// By rank.
    pub(crate) books: &'a mut [TaskBook],
    /// Rank of the task within its executor.
    pub(crate) rank: usize,
    pub(crate) now: Time,
    /// The row that is executed, and by which input of the bolt it came.
    pub(crate) input: Option<(RowRef<'a>, usize)>,
    /// Survives a panic of the call.
    pub(crate) progress: &'a mut Progress,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) state: InputState,
    /// XOR of the edges anchored to the input so far.
    pub(crate) edges: u64,
}

impl BoltCall<'_> {
    /// Acks the input unless that is settled.
    #[inline(always)]
    pub(crate) fn ack_input(&mut self) {
        if let (InputState::Open, Some((row, input))) = (self.progress.state, self.input) {
            self.progress.state = InputState::Settled;
            let book = &mut self.books[self.rank];
            book.inputs[input].acked += 1;
            for anchor in row.anchors() {
                self.acks.fold(anchor.task, anchor.root, anchor.edge ^ self.progress.edges);
            }
            if !book.hooks.is_empty() {
                book.hooks.iter_mut().for_each(|h| h.bolt_ack(book.id));
            }
        }
    }

    /// Fails the input unless that is settled; also one that was retained in this call.
    pub(crate) fn fail_input(&mut self, cause: FailCause) {
        let Some((row, input)) = self.input else { return };
        let book = &mut self.books[self.rank];
        let is_failed = fail_row(row, input, self.progress, book, self.retained, self.acks, cause);
        if is_failed && !book.hooks.is_empty() {
            book.hooks.iter_mut().for_each(|h| h.bolt_fail(book.id));
        }
    }

    /// Whether this row is the input; anything else is a mistake of the user, who is told.
    fn is_input(&self, row: RowRef<'_>) -> bool {
        let is_input = self.row().is_some_and(|input| input.is_same(row));
        if !is_input {
            let component = self.emitter.outputs.component.clone();
            self.port.report(self.task(), &EmitError::ForeignAnchor { component }.into());
        }
        is_input
    }

    fn task(&self) -> TaskId {
        self.books[self.rank].id
    }

    /// The input.
    #[inline(always)]
    fn row(&self) -> Option<RowRef<'_>> {
        self.input.map(|(row, _)| row)
    }

    /// Roots and edges of a row anchored to several tuples: one new edge for each tuple, in all of
    /// its trees; a tree of several of them gets the XOR (Storm's `BoltOutputCollectorImpl`).
    fn emit_multi_anchored(
        &mut self,
        choice: Choice,
        stream: u16,
        values: &Values<'_>,
        anchors: &[AnchorTo<'_>],
    ) -> Result<(), EmitError> {
        let mut keys: Vec<Option<u64>> = Vec::with_capacity(anchors.len());
        for anchor in anchors {
            let key = match anchor {
                AnchorTo::Input(tuple) if self.row().is_some_and(|i| i.is_same(tuple.row())) => {
                    match self.progress.state {
                        InputState::Retained(key) => Some(key),
                        _ => None,
                    }
                }
                AnchorTo::Input(_) => {
                    let component = self.emitter.outputs.component.clone();
                    return Err(EmitError::ForeignAnchor { component });
                }
                AnchorTo::Retained(retained) => {
                    let is_held = retained.is_from(self.home) && self.retained.get(retained.key()).is_some();
                    if !is_held {
                        let component = self.emitter.outputs.component.clone();
                        return Err(EmitError::ForeignAnchor { component });
                    }
                    Some(retained.key())
                }
            };
            keys.push(key);
        }
        // A tuple named twice is one anchor.
        keys.sort_unstable();
        keys.dedup();
        let trees: usize = keys
            .iter()
            .map(|key| match key {
                None => self.row().map_or(0, |i| i.anchor_count()),
                Some(key) => self.retained.get(*key).map_or(0, |e| e.anchors.len()),
            })
            .sum();
        if trees > MAX_ANCHORS {
            let component = self.emitter.outputs.component.clone();
            return Err(EmitError::TooManyAnchors { component, trees, max: MAX_ANCHORS });
        }
        self.emit_anchored_to(choice, stream, values, &keys);
        Ok(())
    }

    /// Anchored to retained tuples by key; `None` is the input.
    fn emit_anchored_to(&mut self, choice: Choice, stream: u16, values: &Values<'_>, keys: &[Option<u64>]) {
        let (input, state) = (self.input.map(|(row, _)| row), self.progress.state);
        let (retained, input_edges) = (&mut *self.retained, &mut self.progress.edges);
        self.emitter.send(choice, self.rank, stream, values, |edges, out| {
            out.clear();
            for key in keys {
                let edge = edges.next();
                match key {
                    None => {
                        // Once acked or failed, the input anchors nothing.
                        let Some(input) = input.filter(|_| state == InputState::Open) else { continue };
                        *input_edges ^= edge;
                        out.extend(input.anchors().map(|a| Anchor { edge, ..a }));
                    }
                    Some(key) => {
                        let Some(entry) = retained.get(*key) else { continue };
                        entry.edges ^= edge;
                        out.extend(entry.anchors.iter().map(|a| Anchor { edge, ..*a }));
                    }
                }
            }
            merge(out);
        });
    }

    /// The row would enter a cycle that is full: its trees fail; a row without trees is dropped.
    #[cold]
    fn refuse_loop(&mut self, anchoring: Anchoring<'_>, error: EmitError) -> Result<(), EmitError> {
        let mut anchors: Vec<Anchor> = Vec::new();
        match anchoring {
            Anchoring::None => {}
            Anchoring::Input => match self.progress.state {
                InputState::Open => anchors.extend(self.row().iter().flat_map(|i| i.anchors())),
                InputState::Retained(key) => {
                    anchors.extend(self.retained.get(key).iter().flat_map(|e| &e.anchors));
                }
                // What is settled anchors nothing.
                InputState::None | InputState::Settled => {}
            },
            Anchoring::To(to) => {
                for to in to {
                    match to {
                        AnchorTo::Input(tuple) => anchors.extend(tuple.row().anchors()),
                        AnchorTo::Retained(r) => {
                            anchors.extend(self.retained.get(r.key()).iter().flat_map(|e| &e.anchors));
                        }
                    }
                }
            }
        }
        for anchor in &anchors {
            self.acks.fail(anchor.task, anchor.root, FailCause::LoopBudget);
            self.doomed.add(anchor.task, anchor.root);
        }
        if anchors.is_empty() {
            self.emitter.dropped += 1;
            return Ok(());
        }
        Err(error)
    }
}

/// One anchor per tree: the XOR of its edges.
fn merge(anchors: &mut Vec<Anchor>) {
    if anchors.len() < 2 {
        return;
    }
    anchors.sort_unstable_by_key(|a| (a.task, a.root));
    anchors.dedup_by(|later, kept| {
        let is_same = (later.task, later.root) == (kept.task, kept.root);
        if is_same {
            kept.edge ^= later.edge;
        }
        is_same
    });
}

impl BoltSink for BoltCall<'_> {
    #[inline]
    fn emit(
        &mut self,
        stream: u16,
        task: Option<TaskId>,
        anchoring: Anchoring<'_>,
        values: Values<'_>,
    ) -> Result<(), EmitError> {
        let anchor_count = match (anchoring, self.input) {
            (Anchoring::Input, Some((input, _))) if self.progress.state == InputState::Open => {
                input.anchor_count()
            }
            _ => 0,
        };
        // Not by value: a copy to the stack would wait for what was just written there.
        let row = &values;
        let choice = match self.emitter.route(self.rank, stream, task, anchor_count, row) {
            Ok(choice) => choice,
            Err(error @ EmitError::LoopBudget { .. }) => return self.refuse_loop(anchoring, error),
            Err(error) => return Err(error),
        };
        match anchoring {
            Anchoring::To(anchors) => self.emit_multi_anchored(choice, stream, row, anchors)?,
            Anchoring::Input if matches!(self.progress.state, InputState::Retained(_)) => {
                let InputState::Retained(key) = self.progress.state else { unreachable!("just matched") };
                self.emit_anchored_to(choice, stream, row, &[Some(key)]);
            }
            Anchoring::Input if anchor_count == 1 => {
                let anchor = self.row().and_then(|i| i.anchor(0)).expect("it has one anchor");
                self.progress.edges ^= self.emitter.send_to_one_tree(choice, self.rank, stream, row, anchor);
            }
            Anchoring::Input if anchor_count > 0 => {
                let (input, _) = self.input.expect("it has anchors");
                let input_edges = &mut self.progress.edges;
                self.emitter.send(choice, self.rank, stream, row, |edges, anchors| {
                    let edge = edges.next();
                    *input_edges ^= edge;
                    anchors.clear();
                    anchors.extend(input.anchors().map(|a| Anchor { edge, ..a }));
                });
            }
            _ => self.emitter.send_to_no_tree(choice, self.rank, stream, row),
        }
        let book = &mut self.books[self.rank];
        if !book.hooks.is_empty() {
            let targets = self.emitter.targets(&choice).len();
            let stream = self.emitter.stream_id(stream);
            book.hooks.iter_mut().for_each(|h| h.emit(book.id, stream, values, targets));
        }
        Ok(())
    }

    fn ack(&mut self, input: RowRef<'_>) {
        if self.is_input(input) {
            self.ack_input();
        }
    }

    fn fail(&mut self, input: RowRef<'_>) {
        if self.is_input(input) {
            self.fail_input(FailCause::Failed);
        }
    }

    fn retain(&mut self, input: &Tuple<'_>) -> Retained {
        let row = input.row();
        let source = self.sources.info_arc(row.source(), row.stream());
        let by = self.input.map(|(_, by)| by).filter(|_| self.is_input(row));
        let (Some(by), InputState::Open) = (by, self.progress.state) else {
            // Settled already: the handle's ack and fail will find nothing.
            return Retained::new(input, source, u64::MAX, self.home.clone());
        };
        self.books[self.rank].retained += 1;
        let anchors = row.anchors().collect();
        let key = self.retained.add(self.rank, by, anchors, self.progress.edges, self.now);
        self.progress.state = InputState::Retained(key);
        Retained::new(input, source, key, self.home.clone())
    }

    fn reset_timeout(&mut self, input: RowRef<'_>) {
        for anchor in input.anchors() {
            self.acks.reset(anchor.task, anchor.root);
        }
    }

    fn report_error(&mut self, error: ComponentError) {
        self.port.report(self.task(), &error);
    }

    fn now(&self) -> Time {
        self.now
    }
}

/// Fails the row of a call that has not ended well, unless it is settled: false then.
pub(crate) fn fail_row(
    row: RowRef<'_>,
    input: usize,
    progress: &mut Progress,
    book: &mut TaskBook,
    retained: &mut RetainedTable,
    acks: &mut AckOutbox,
    cause: FailCause,
) -> bool {
    match std::mem::replace(&mut progress.state, InputState::Settled) {
        InputState::Open => {}
        InputState::Retained(key) if retained.remove(key).is_some() => book.retained -= 1,
        _ => return false,
    }
    book.inputs[input].failed += 1;
    for anchor in row.anchors() {
        acks.fail(anchor.task, anchor.root, cause);
    }
    true
}

/// Carries out what became of a retained tuple; `None` if it is not settled by that, or was before.
pub(crate) fn resolve(
    retained: &mut RetainedTable,
    acks: &mut AckOutbox,
    key: u64,
    resolution: Resolution,
) -> Option<Settled> {
    if resolution == Resolution::ResetTimeout {
        for anchor in &retained.get(key)?.anchors {
            acks.reset(anchor.task, anchor.root);
        }
        return None;
    }
    let entry = retained.remove(key)?;
    let is_ack = resolution == Resolution::Ack;
    for anchor in &entry.anchors {
        if is_ack {
            acks.fold(anchor.task, anchor.root, anchor.edge ^ entry.edges);
        } else {
            acks.fail(anchor.task, anchor.root, FailCause::Failed);
        }
    }
    Some(Settled { rank: entry.task, input: entry.input, is_ack, since: entry.since })
}
