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
    /// Link to each task's executor.
    pub(crate) links: Vec<u32>,
    /// Rows sent.
    pub(crate) transferred: u64,
}

/// A task that gets a row, and the link to its executor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination {
    pub(crate) task: TaskId,
    pub(crate) link: u32,
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
        values: Values<'_>,
    ) -> Result<(), RouteError> {
        let RouteScratch { keys, random, ranks, to } = scratch;
        to.clear();
        let mut chooser = Chooser { keys, random };
        if let [Edge { grouping: Grouping::One, tasks, links, key_fields, .. }] = &self.edges[..]
            && key_fields.is_empty()
        {
            to.push(Destination { task: tasks[0], link: links[0] });
            return Ok(());
        }
        for edge in &mut self.edges {
            ranks.clear();
            let Edge { grouping, tasks, links, component, key_fields, .. } = edge;
            if matches!(grouping, Grouping::One) && !key_fields.is_empty() {
                check_keys(values, key_fields)
                    .map_err(|e| RouteError::Choose(ChooseError::Key(e), component.clone()))?;
            }
            let has_credit = |rank: usize| outbox.has_credit(links[rank]);
            grouping
                .choose(&mut chooser, source, values, tasks, has_credit, ranks)
                .map_err(|e| RouteError::Choose(e, component.clone()))?;
            to.extend(
                ranks
                    .iter()
                    .map(|&rank| Destination { task: tasks[rank as usize], link: links[rank as usize] }),
            );
        }
        Ok(())
    }

    /// The task that the emitter named.
    pub(crate) fn choose_direct(&self, scratch: &mut RouteScratch, task: TaskId) -> Result<(), RouteError> {
        let to = &mut scratch.to;
        to.clear();
        for edge in &self.edges {
            if let Ok(rank) = edge.tasks.binary_search(&task) {
                to.push(Destination { task, link: edge.links[rank] });
                return Ok(());
            }
        }
        Err(RouteError::NotSubscribed(task))
    }

    /// Counts what was sent to whom.
    #[inline(always)]
    pub(crate) fn count(&mut self, to: &[Destination]) {
        self.emitted += 1;
        match &mut self.edges[..] {
            [only] => only.transferred += to.len() as u64,
            edges => {
                for edge in edges {
                    let (first, last) = (edge.tasks[0], edge.tasks[edge.tasks.len() - 1]);
                    edge.transferred +=
                        to.iter().filter(|d| first <= d.task && d.task <= last).count() as u64;
                }
            }
        }
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
