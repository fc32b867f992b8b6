//! How the tasks of a spout are made, live on after a panic, and end.

use storm_model::{TaskId, Time};
use storm_topology::builder::SpoutFactory;
use storm_topology::{AnySpout, ComponentError, TaskHook};

use super::{MAX_ERROR_PAUSE, MIN_IDLE, Mood, SpoutExecutor, SpoutTask, TreeCounts};
use crate::bolt_executor::{PATIENCE, pause_after};
use crate::executor::{StartError, TaskMaker};
use crate::ledger::Ledger;
use crate::panics::{self, Panic};
use crate::report::ErrorKind;

impl SpoutTask {
    /// Makes and opens a task.
    pub(crate) fn start(
        maker: &TaskMaker,
        factory: &SpoutFactory,
        id: TaskId,
        ledger: Ledger,
        streams: usize,
    ) -> Result<SpoutTask, StartError> {
        let (spout, hooks, has_waker) = open(maker, factory, id, 1).map_err(|error| StartError {
            component: maker.component.clone(),
            task: id,
            message: panics::text_of(&error),
        })?;
        Ok(SpoutTask {
            id,
            spout: Some(spout),
            hooks,
            ledger,
            mood: Mood::Ready,
            idle_pause: MIN_IDLE,
            error_pause: MAX_ERROR_PAUSE / 16,
            has_waker,
            is_activated: false,
            incarnation: 1,
            panics: 0,
            tracked: 0,
            replayed: 0,
            ended: vec![TreeCounts::default(); streams],
            lost: 0,
        })
    }
}

type Opened = (Box<dyn AnySpout>, Vec<Box<dyn TaskHook>>, bool);

fn open(
    maker: &TaskMaker,
    factory: &SpoutFactory,
    task: TaskId,
    incarnation: u64,
) -> Result<Opened, ComponentError> {
    let ctx = maker.context(task, incarnation);
    let spout = panics::guard(|| {
        let mut spout = factory();
        spout.open(&ctx)?;
        Ok::<_, ComponentError>(spout)
    })??;
    Ok((spout, ctx.take_hooks(), ctx.took_waker()))
}

impl SpoutExecutor {
    /// The user's code panicked: its pending trees are lost with its memory; a new instance reads
    /// its source anew.
    #[cold]
    pub(super) fn recover(&mut self, rank: usize, panic: Panic, now: Time) {
        let task = &mut self.tasks[rank];
        task.panics += 1;
        task.lost += task.ledger.abandon() as u64;
        self.state.unreceived.clear();
        self.port.report_as(ErrorKind::Panicked, task.id, panic.to_string());
        self.rebuild(rank, now);
    }

    pub(super) fn rebuild(&mut self, rank: usize, now: Time) {
        let task = &mut self.tasks[rank];
        task.incarnation += 1;
        task.is_activated = false;
        // Before the next instance is made: it may want what the old one holds.
        panics::forgive_drops(task.spout.take().into_iter());
        panics::forgive_drops(task.hooks.drain(..));
        match open(&self.maker, &self.factory, task.id, task.incarnation) {
            Ok((spout, hooks, has_waker)) => {
                (task.spout, task.hooks) = (Some(spout), hooks);
                task.has_waker = has_waker;
                let pause = pause_after(task.panics);
                task.mood = pause.map_or(Mood::Ready, |p| Mood::Pause(now + p));
            }
            Err(error) => {
                task.panics = task.panics.max(PATIENCE) + 1;
                task.mood = Mood::Broken(now + pause_after(task.panics).unwrap_or(MAX_ERROR_PAUSE));
                self.port.report(task.id, &error);
            }
        }
    }

    pub(super) fn stop(&mut self, now: Time) {
        for task in &mut self.tasks {
            if let Err(panic) = panics::guard(|| task.spout.iter_mut().for_each(|s| s.close())) {
                self.port.report_as(ErrorKind::Panicked, task.id, panic.to_string());
            }
            task.hooks.iter_mut().for_each(|h| panics::forgive(|| h.cleanup()));
        }
        self.emitter.outbox.flush(now);
        for task in self.tasks.drain(..) {
            panics::forgive_drops(task.spout.into_iter());
            panics::forgive_drops(task.hooks.into_iter());
        }
    }
}
