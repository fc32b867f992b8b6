//! From stream to tasks: computed once per emitting task, then only looked up.

use std::sync::Arc;

use storm_model::{ComponentId, StreamSpec, TaskId};
use storm_row::{KeyEncoder, KeyError, Values};
use storm_topology::{EmitError, Outputs};

use crate::grouping::{ChooseError, Chooser, Grouping, check_keys};
use crate::ids::EdgeIds;
use crate::outbox::Outbox;

/// Where the rows of one task go.
pub(crate) struct TaskRoutes {
    pub(crate) task: TaskId,
    /// By stream index.
    pub(crate) streams: Vec<StreamRoute>,
}

/// Where the rows of one stream go.
pub(crate) struct StreamRoute {
    pub(crate) edges: Vec<Edge>,
    /// Emits, however many tasks got them.
    pub(crate) emitted: u64,
}

/// One subscription to a stream.
pub(crate) struct Edge {
    pub(crate) component: ComponentId,
    pub(crate) grouping: Grouping,
    /// Fields that the subscription is grouped on: to be refused if they cannot be keys.
    pub(crate) key_fields: Vec<usize>,
    /// The receiving component's tasks, ascending.
    pub(crate) tasks: Arc<[TaskId]>,
    /// The same tasks, each with the link to its executor.
    pub(crate) targets: Vec<Destination>,
    /// Rows sent.
    pub(crate) transferred: u64,
}

/// A task that gets a row, and the link to its executor. One number, so that it stays in a register
/// on the way of an emit: a pair that is written by halves and read as a whole stalls the processor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination(u64);

impl Destination {
    pub(crate) fn new(task: TaskId, link: u32) -> Destination {
        Destination(u64::from(task.0) << 32 | u64::from(link))
    }

    #[inline(always)]
    pub(crate) fn task(self) -> TaskId {
        TaskId((self.0 >> 32) as u32)
    }

    #[inline(always)]
    pub(crate) fn link(self) -> u32 {
        self.0 as u32
    }
}

/// Who gets a row.
#[derive(Clone, Copy)]
pub(crate) enum Choice {
    /// One task, by the stream's only subscription.
    One(Destination),
    /// Those in [`RouteScratch::to`].
    Listed,
}

/// What choices need, used again for each row.
pub(crate) struct RouteScratch {
    pub(crate) keys: KeyEncoder,
    pub(crate) random: EdgeIds,
    ranks: Vec<u32>,
    /// Who gets the row.
    pub(crate) to: Vec<Destination>,
}

impl RouteScratch {
    pub(crate) fn new(random: EdgeIds) -> RouteScratch {
        RouteScratch { keys: KeyEncoder::new(), random, ranks: Vec::new(), to: Vec::new() }
    }
}

/// What a choice failed on; the emitter adds component and stream.
pub(crate) enum RouteError {
    Choose(ChooseError, ComponentId),
    NotSubscribed(TaskId),
}

impl StreamRoute {
    /// Finds who gets these values.
    #[inline(always)]
    pub(crate) fn choose(
        &mut self,
        scratch: &mut RouteScratch,
        outbox: &mut Outbox,
        source: TaskId,
        values: &Values<'_>,
    ) -> Result<Choice, RouteError> {
        if let [only] = &mut self.edges[..]
            && let Some(to) = only.choose_one(scratch, outbox, values)?
        {
            return Ok(Choice::One(to));
        }
        self.list(scratch, outbox, source, values)?;
        Ok(Choice::Listed)
    }

    fn list(
        &mut self,
        scratch: &mut RouteScratch,
        outbox: &mut Outbox,
        source: TaskId,
        values: &Values<'_>,
    ) -> Result<(), RouteError> {
        scratch.to.clear();
        for edge in &mut self.edges {
            if let Some(to) = edge.choose_one(scratch, outbox, values)? {
                scratch.to.push(to);
                continue;
            }
            let RouteScratch { ranks, to, .. } = scratch;
            let Edge { grouping, tasks, targets, component, .. } = edge;
            ranks.clear();
            grouping
                .choose_many(source, values, tasks, ranks)
                .map_err(|e| RouteError::Choose(e, component.clone()))?;
            to.extend(ranks.iter().map(|&rank| targets[rank as usize]));
        }
        Ok(())
    }

    /// The task that the emitter named.
    pub(crate) fn choose_direct(
        &self,
        scratch: &mut RouteScratch,
        task: TaskId,
    ) -> Result<Choice, RouteError> {
        for edge in &self.edges {
            if let Ok(rank) = edge.tasks.binary_search(&task) {
                scratch.to.clear();
                scratch.to.push(edge.targets[rank]);
                return Ok(Choice::Listed);
            }
        }
        Err(RouteError::NotSubscribed(task))
    }

    /// Counts what was sent to the one target of the only subscription.
    #[inline(always)]
    pub(crate) fn count_one(&mut self) {
        self.emitted += 1;
        self.edges[0].transferred += 1;
    }

    /// Counts what was sent to whom.
    pub(crate) fn count(&mut self, to: &[Destination]) {
        self.emitted += 1;
        for edge in &mut self.edges {
            let (first, last) = (edge.tasks[0], edge.tasks[edge.tasks.len() - 1]);
            edge.transferred += to.iter().filter(|d| first <= d.task() && d.task() <= last).count() as u64;
        }
    }
}

impl Edge {
    /// The target, for a grouping that always chooses one.
    #[inline(always)]
    fn choose_one(
        &mut self,
        scratch: &mut RouteScratch,
        outbox: &mut Outbox,
        values: &Values<'_>,
    ) -> Result<Option<Destination>, RouteError> {
        let Edge { grouping, targets, key_fields, .. } = self;
        if let Grouping::One = grouping {
            return match check_keys(values, key_fields) {
                Ok(()) => Ok(Some(targets[0])),
                Err(error) => Err(self.error(ChooseError::Key(error))),
            };
        }
        let mut chooser = Chooser { keys: &mut scratch.keys, random: &mut scratch.random };
        let credit = |rank: usize| outbox.credit(targets[rank].link());
        match grouping.choose_one(&mut chooser, values, targets.len(), credit) {
            Ok(rank) => Ok(rank.map(|rank| targets[rank as usize])),
            Err(error) => Err(self.error(error)),
        }
    }

    #[cold]
    fn error(&self, error: ChooseError) -> RouteError {
        RouteError::Choose(error, self.component.clone())
    }
}

/// The user's error for a choice that failed.
#[cold]
pub(crate) fn emit_error(error: RouteError, outputs: &Outputs, stream: u16) -> EmitError {
    let spec = &outputs.streams[usize::from(stream)];
    let (component, stream) = (outputs.component.clone(), spec.id.clone());
    match error {
        RouteError::NotSubscribed(task) => EmitError::NotSubscribed { component, stream, task },
        RouteError::Choose(ChooseError::Foreign(task), target) => {
            EmitError::ForeignTask { component, stream, target, task }
        }
        RouteError::Choose(ChooseError::Key(error), _) => {
            EmitError::Key { component, stream, field: key_field(&error, spec), reason: error.to_string() }
        }
    }
}

fn key_field(error: &KeyError, spec: &StreamSpec) -> String {
    let (KeyError::Opaque { field } | KeyError::NoField { field, .. }) = *error;
    spec.fields.name(field).map_or_else(|| format!("#{field}"), str::to_owned)
}
