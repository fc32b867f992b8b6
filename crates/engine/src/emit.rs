//! The engine's side of `emit`: who gets the row, which edges it makes, and off into the outbox.
//!
//! What a row passes on its way is inlined by force, here and in `row`: left to the compiler it was
//! a dozen calls, and an eighth of all CPU (BENCHMARKS.md).

mod bolt_call;
mod spout_call;

use std::sync::Arc;

use storm_model::{StreamId, TaskId};
use storm_row::{Anchor, Header, Values, row_bytes};
use storm_topology::{EmitError, Outputs};

use crate::ids::EdgeIds;
use crate::outbox::Outbox;
use crate::routing::{Choice, Destination, RouteScratch, TaskRoutes, emit_error};
use crate::sampling::{EventSink, SampledTuple, Sampler, message_id, shown};

pub(crate) use bolt_call::{
    BoltCall, InputCounts, InputState, Progress, Settled, TaskBook, fail_row, resolve,
};
pub(crate) use spout_call::SpoutCall;

/// What all emits of one executor go through.
pub(crate) struct Emitter {
    pub(crate) outputs: Arc<Outputs>,
    pub(crate) outbox: Outbox,
    /// By rank of the task within the executor.
    pub(crate) routes: Vec<TaskRoutes>,
    pub(crate) edges: EdgeIds,
    scratch: RouteScratch,
    anchors: Vec<Anchor>,
    /// Emits are logged or sampled: what is checked at each of them is one flag.
    is_watched: bool,
    /// Emits are logged (`topology.debug`).
    is_debug: bool,
    /// Beside the rest, for it is not used as long as nobody watches.
    sampler: Box<Sampler>,
    /// Rows that were refused because their cycle was full and that nobody waits for.
    pub(crate) dropped: u64,
}

impl Emitter {
    pub(crate) fn new(
        outputs: Arc<Outputs>,
        outbox: Outbox,
        routes: Vec<TaskRoutes>,
        mut edges: EdgeIds,
        is_debug: bool,
        sink: Option<Arc<dyn EventSink>>,
    ) -> Emitter {
        let seed = edges.next();
        Emitter {
            outputs,
            outbox,
            routes,
            edges,
            scratch: RouteScratch::new(EdgeIds::seeded(seed)),
            anchors: Vec::new(),
            is_watched: is_debug,
            is_debug,
            sampler: Box::new(Sampler::new(sink, !seed)),
            dropped: 0,
        }
    }

    /// Has so many of a hundred emits written down from now on.
    pub(crate) fn sample(&mut self, percent: f64) {
        self.sampler.set(percent);
        self.is_watched = self.is_debug || self.sampler.is_on();
    }

    /// Tells load-aware groupings how busy their targets are; to be called once a second.
    pub(crate) fn refresh_loads(&mut self) {
        for edge in self.routes.iter_mut().flat_map(|r| &mut r.streams).flat_map(|s| &mut s.edges) {
            if let crate::grouping::Grouping::Shuffle(ring) = &mut edge.grouping
                && ring.is_load_aware()
            {
                let loads: Vec<f64> = edge.targets.iter().map(|to| self.outbox.load(to.link())).collect();
                ring.refresh(&loads, &mut self.scratch.random);
            }
        }
    }

    /// Finds who gets a row, and whether there is room for it. Nothing is sent yet; what is sent next
    /// goes by this choice.
    #[inline(always)]
    fn route(
        &mut self,
        rank: usize,
        stream: u16,
        task: Option<TaskId>,
        anchors: usize,
        values: &Values<'_>,
    ) -> Result<Choice, EmitError> {
        let routes = &mut self.routes[rank];
        let route = &mut routes.streams[usize::from(stream)];
        let found = match task {
            None => route.choose(&mut self.scratch, &mut self.outbox, routes.task, values),
            Some(task) => route.choose_direct(&mut self.scratch, task),
        };
        let choice = match found {
            Ok(choice) => choice,
            Err(error) => return Err(emit_error(error, &self.outputs, stream)),
        };
        if !self.outbox.has_room() {
            self.check_room(choice, anchors, values)?;
        }
        Ok(choice)
    }

    /// Tasks that get the row.
    fn targets<'a>(&'a self, choice: &'a Choice) -> &'a [Destination] {
        match choice {
            Choice::One(to) => std::slice::from_ref(to),
            Choice::Listed => &self.scratch.to,
        }
    }

    #[cold]
    fn check_room(&self, choice: Choice, anchors: usize, values: &Values<'_>) -> Result<(), EmitError> {
        let to = self.targets(&choice);
        let bytes = row_bytes(anchors, values) * to.len();
        if let Some((waiting_bytes, budget_bytes)) = self.outbox.over_budget(bytes) {
            let component = self.outputs.component.clone();
            let row_bytes = bytes as u64;
            return Err(EmitError::OverBudget { component, row_bytes, waiting_bytes, budget_bytes });
        }
        if to.iter().any(|d| self.outbox.is_loop_full(d.link(), bytes)) {
            return Err(EmitError::LoopBudget { component: self.outputs.component.clone() });
        }
        Ok(())
    }

    /// Sends the row that was routed, anchored as `anchors` says after `edge` has given each copy
    /// its edge.
    fn send(
        &mut self,
        choice: Choice,
        rank: usize,
        stream: u16,
        values: &Values<'_>,
        mut edge: impl FnMut(&mut EdgeIds, &mut Vec<Anchor>),
    ) {
        let Emitter { routes, scratch, outbox, edges, anchors, .. } = self;
        let TaskRoutes { task: source, streams } = &mut routes[rank];
        let source = *source;
        // Those of a row that nobody receives would be those of the row before.
        anchors.clear();
        let to = match &choice {
            Choice::One(to) => std::slice::from_ref(to),
            Choice::Listed => &scratch.to,
        };
        for to in to {
            edge(edges, anchors);
            outbox.push(to.link(), Header { target: to.task(), source, stream }, anchors, values);
        }
        streams[usize::from(stream)].count(to);
        if self.is_watched {
            self.watch(choice, source, stream, values);
        }
    }

    /// As [`send`](Emitter::send), for a row of no tree.
    #[inline(always)]
    fn send_to_no_tree(&mut self, choice: Choice, rank: usize, stream: u16, values: &Values<'_>) {
        match choice {
            Choice::One(to) if !self.is_watched => {
                let routes = &mut self.routes[rank];
                let header = Header { target: to.task(), source: routes.task, stream };
                self.outbox.push(to.link(), header, &[], values);
                routes.streams[usize::from(stream)].count_one();
            }
            _ => self.send(choice, rank, stream, values, |_, anchors| anchors.clear()),
        }
    }

    /// As [`send`](Emitter::send), for a row of one tree: returns the XOR of the edges made.
    #[inline(always)]
    fn send_to_one_tree(
        &mut self,
        choice: Choice,
        rank: usize,
        stream: u16,
        values: &Values<'_>,
        anchor: Anchor,
    ) -> u64 {
        let mut made = 0;
        match choice {
            Choice::One(to) if !self.is_watched => {
                made = self.edges.next();
                let routes = &mut self.routes[rank];
                let header = Header { target: to.task(), source: routes.task, stream };
                self.outbox.push(to.link(), header, &[Anchor { edge: made, ..anchor }], values);
                routes.streams[usize::from(stream)].count_one();
            }
            _ => self.send(choice, rank, stream, values, |edges, anchors| {
                let edge = edges.next();
                made ^= edge;
                anchors.clear();
                anchors.push(Anchor { edge, ..anchor });
            }),
        }
        made
    }

    #[cold]
    fn watch(&mut self, choice: Choice, source: TaskId, stream: u16, values: &Values<'_>) {
        if self.is_debug {
            self.log(choice, source, stream, values);
        }
        // Text is made for those only that somebody takes.
        if let Some(sink) = self.sampler.draw().filter(|sink| sink.has_room()) {
            sink.take(SampledTuple {
                component: &self.outputs.component,
                task: source,
                stream: &self.outputs.streams[usize::from(stream)].id,
                message_id: message_id(&self.anchors),
                values: shown(values),
            });
        }
    }

    #[cold]
    fn log(&self, choice: Choice, source: TaskId, stream: u16, values: &Values<'_>) {
        let to: Vec<u32> = self.targets(&choice).iter().map(|d| d.task().0).collect();
        let values: Vec<String> = values.iter().map(|v| format!("{v:?}")).collect();
        tracing::info!(
            component = %self.outputs.component,
            task = source.0,
            stream = %self.outputs.streams[usize::from(stream)].id,
            ?to,
            values = %values.join(", "),
            "emit"
        );
    }

    fn stream_id(&self, stream: u16) -> &StreamId {
        &self.outputs.streams[usize::from(stream)].id
    }
}
