//! What a running call of a spout emits.

use std::sync::Arc;

use storm_model::{TaskId, Time};
use storm_row::{Anchor, Values};
use storm_topology::{ComponentError, EmitError, SpoutSink, TaskHook};

use super::Emitter;
use crate::ledger::{Ledger, slot_of};
use crate::port::ExecutorPort;

/// The output of one running call of a spout.
pub(crate) struct SpoutCall<'a> {
    pub(crate) emitter: &'a mut Emitter,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) port: &'a Arc<ExecutorPort>,
    pub(crate) hooks: &'a mut Vec<Box<dyn TaskHook>>,
    /// Roots of trees that nobody receives: acked when `next_tuple` has returned.
    pub(crate) unreceived: &'a mut Vec<u64>,
    pub(crate) rank: usize,
    pub(crate) now: Time,
    pub(crate) is_tracking: bool,
    /// Tuples of the task that were emitted with a message id, since its executor started.
    pub(crate) tracked: &'a mut u64,
    /// Those of them that had failed before.
    pub(crate) replayed: &'a mut u64,
    /// Emits of this call, tracked or not.
    pub(crate) emits: u64,
}

impl SpoutSink for SpoutCall<'_> {
    #[inline]
    fn emit(
        &mut self,
        stream: u16,
        task: Option<TaskId>,
        tracked: bool,
        values: Values<'_>,
    ) -> Result<Option<u32>, EmitError> {
        // Not by value: a copy to the stack would wait for what was just written there.
        let row = &values;
        let choice = match self.emitter.route(self.rank, stream, task, usize::from(tracked), row) {
            Ok(choice) => choice,
            Err(EmitError::LoopBudget { .. }) if !tracked => {
                self.emitter.dropped += 1;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let slot = if tracked {
            let Some(root) = self.ledger.open(self.now, stream) else {
                let component = self.emitter.outputs.component.clone();
                return Err(EmitError::TooManyPending { component });
            };
            *self.tracked += 1;
            let mut all = 0;
            if self.is_tracking {
                let task = self.emitter.routes[self.rank].task;
                let anchor = Anchor { task, root, edge: 0 };
                all = self.emitter.send_to_one_tree(choice, self.rank, stream, row, anchor);
            } else {
                self.emitter.send_to_no_tree(choice, self.rank, stream, row);
            }
            if !self.ledger.charge(root, all) {
                self.unreceived.push(root);
            }
            Some(slot_of(root))
        } else {
            self.emitter.send_to_no_tree(choice, self.rank, stream, row);
            None
        };
        self.emits += 1;
        if !self.hooks.is_empty() {
            let task = self.emitter.routes[self.rank].task;
            let targets = self.emitter.targets(&choice).len();
            let stream = self.emitter.stream_id(stream);
            self.hooks.iter_mut().for_each(|h| h.emit(task, stream, values, targets));
        }
        Ok(slot)
    }

    fn pending(&self) -> usize {
        self.ledger.pending()
    }

    fn replayed(&mut self) {
        *self.replayed += 1;
    }

    fn report_error(&mut self, error: ComponentError) {
        self.port.report(self.emitter.routes[self.rank].task, &error);
    }

    fn now(&self) -> Time {
        self.now
    }
}
