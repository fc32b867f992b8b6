//! How the tasks of a bolt are made, live on after a panic, and end.

use std::time::Duration;

use storm_model::{TaskId, Time};
use storm_topology::builder::BoltFactory;
use storm_topology::{Bolt, ComponentError, FailCause, TaskHook};

use super::{BoltExecutor, BoltState, BoltTask, PATIENCE, Source};
use crate::emit::{BoltCounts, fail_row};
use crate::executor::{StartError, TaskMaker};
use crate::panics::{self, Panic};
use crate::report::ErrorKind;

impl BoltTask {
    /// Makes and prepares a task.
    pub(crate) fn start(
        maker: &TaskMaker,
        factory: &BoltFactory,
        id: TaskId,
        inputs: usize,
    ) -> Result<BoltTask, StartError> {
        let (bolt, hooks) = prepare(maker, factory, id, 1).map_err(|error| StartError {
            component: maker.component.clone(),
            task: id,
            message: error.chain(),
        })?;
        Ok(BoltTask {
            id,
            bolt: Some(bolt),
            hooks,
            incarnation: 1,
            counts: BoltCounts::default(),
            executed: vec![0; inputs],
            panics: 0,
        })
    }
}

type Prepared = (Box<dyn Bolt>, Vec<Box<dyn TaskHook>>);

fn prepare(
    maker: &TaskMaker,
    factory: &BoltFactory,
    task: TaskId,
    incarnation: u64,
) -> Result<Prepared, ComponentError> {
    let ctx = maker.context(task, incarnation);
    let bolt = panics::guard(|| {
        let mut bolt = factory();
        bolt.prepare(&ctx)?;
        Ok::<_, ComponentError>(bolt)
    })??;
    Ok((bolt, ctx.take_hooks()))
}

impl BoltExecutor {
    /// The user's code panicked: fails the row it was at and gives the task a new instance.
    #[cold]
    pub(super) fn recover(&mut self, panic: Panic, now: Time) {
        let rank = self.state.running;
        let BoltState { data, looped, row_of, progress, retained, .. } = &mut self.state;
        if let Some(source) = row_of.take() {
            let hand = if source == Source::Looped { looped } else { data };
            let row = hand.parcel.as_ref().and_then(|p| p.batch.peek(hand.current));
            let task = &mut self.tasks[rank];
            let is_failed = row.is_some_and(|row| {
                fail_row(row, progress, &mut task.counts, retained, &mut self.acks, FailCause::Panicked)
            });
            if is_failed && !task.hooks.is_empty() {
                panics::forgive(|| task.hooks.iter_mut().for_each(|h| h.bolt_fail(task.id)));
            }
        }
        let task = &mut self.tasks[rank];
        task.panics += 1;
        self.port.report_as(ErrorKind::Panicked, task.id, panic.to_string());
        self.rebuild(rank, now);
    }

    /// Gives a task a new instance; pauses when that fails or when it keeps panicking.
    pub(super) fn rebuild(&mut self, rank: usize, now: Time) {
        let task = &mut self.tasks[rank];
        task.incarnation += 1;
        // Before the next instance is made: it may want what the old one holds.
        panics::forgive_drops(task.bolt.take().into_iter());
        panics::forgive_drops(task.hooks.drain(..));
        match prepare(&self.maker, &self.factory, task.id, task.incarnation) {
            Ok((bolt, hooks)) => (task.bolt, task.hooks) = (Some(bolt), hooks),
            Err(error) => {
                task.panics = task.panics.max(PATIENCE) + 1;
                self.port.report(task.id, &error);
            }
        }
        if let Some(pause) = pause_after(self.tasks[rank].panics) {
            let until = now + pause;
            self.state.paused_until = Some(self.state.paused_until.map_or(until, |p| p.max(until)));
        }
    }

    pub(super) fn stop(&mut self, now: Time) {
        for task in &mut self.tasks {
            if let Err(panic) = panics::guard(|| task.bolt.iter_mut().for_each(|b| b.cleanup())) {
                self.port.report_as(ErrorKind::Panicked, task.id, panic.to_string());
            }
            task.hooks.iter_mut().for_each(|h| panics::forgive(|| h.cleanup()));
        }
        self.emitter.outbox.flush(now);
        self.acks.flush();
        for task in self.tasks.drain(..) {
            panics::forgive_drops(task.bolt.into_iter());
            panics::forgive_drops(task.hooks.into_iter());
        }
        while let Some(message) = self.lanes.messages.take() {
            panics::forgive(|| drop(message));
        }
    }
}

/// How long a task pauses after so many panics in a row.
pub(crate) fn pause_after(panics: u32) -> Option<Duration> {
    let doublings = panics.checked_sub(PATIENCE)?.min(7);
    Some(Duration::from_millis(100 << doublings))
}
