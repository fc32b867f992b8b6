//! How the tasks of a bolt are made, live on after a panic, and end.

use std::time::Duration;

use storm_model::{TaskId, Time};
use storm_topology::builder::BoltFactory;
use storm_topology::{Bolt, ComponentError, FailCause, TaskHook};

use super::{BoltExecutor, BoltState, BoltTask, PATIENCE, Source};
use crate::emit::{InputCounts, TaskBook, fail_row};
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
    ) -> Result<(BoltTask, TaskBook), StartError> {
        let (bolt, hooks) = prepare(maker, factory, id, 1).map_err(|error| StartError {
            component: maker.component.clone(),
            task: id,
            message: panics::text_of(&error),
        })?;
        let book = TaskBook { id, hooks, inputs: vec![InputCounts::default(); inputs], retained: 0 };
        Ok((BoltTask { bolt: Some(bolt), incarnation: 1, panics: 0 }, book))
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
            let book = &mut self.books[rank];
            let is_failed = row.is_some_and(|row| {
                let input = self.sources.input(row, &mut None).0;
                fail_row(row, input, progress, book, retained, &mut self.acks, FailCause::Panicked)
            });
            if is_failed && !book.hooks.is_empty() {
                panics::forgive(|| book.hooks.iter_mut().for_each(|h| h.bolt_fail(book.id)));
            }
        }
        self.tasks[rank].panics += 1;
        self.port.report_as(ErrorKind::Panicked, self.books[rank].id, panic.to_string());
        self.rebuild(rank, now);
    }

    /// Gives a task a new instance; pauses when that fails or when it keeps panicking.
    pub(super) fn rebuild(&mut self, rank: usize, now: Time) {
        let (task, book) = (&mut self.tasks[rank], &mut self.books[rank]);
        task.incarnation += 1;
        // Before the next instance is made: it may want what the old one holds.
        panics::forgive_drops(task.bolt.take().into_iter());
        panics::forgive_drops(book.hooks.drain(..));
        match prepare(&self.maker, &self.factory, book.id, task.incarnation) {
            Ok((bolt, hooks)) => (task.bolt, book.hooks) = (Some(bolt), hooks),
            Err(error) => {
                task.panics = task.panics.max(PATIENCE) + 1;
                self.port.report(book.id, &error);
            }
        }
        if let Some(pause) = pause_after(self.tasks[rank].panics) {
            let until = now + pause;
            self.state.paused_until = Some(self.state.paused_until.map_or(until, |p| p.max(until)));
        }
    }

    pub(super) fn stop(&mut self, now: Time) {
        for (task, book) in self.tasks.iter_mut().zip(&mut self.books) {
            if let Err(panic) = panics::guard(|| task.bolt.iter_mut().for_each(|b| b.cleanup())) {
                self.port.report_as(ErrorKind::Panicked, book.id, panic.to_string());
            }
            book.hooks.iter_mut().for_each(|h| panics::forgive(|| h.cleanup()));
        }
        self.emitter.outbox.flush(now);
        self.acks.flush();
        for task in self.tasks.drain(..) {
            panics::forgive_drops(task.bolt.into_iter());
        }
        for book in self.books.drain(..) {
            panics::forgive_drops(book.hooks.into_iter());
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
