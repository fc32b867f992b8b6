//! The replayable source.

use std::path::PathBuf;
use std::time::Duration;

use bounded_input::check_dir;
use storm_rs::Time;
use storm_rs::prelude::*;

use crate::ledger::{Emit, Numbers, Share};
use crate::offset::RunDir;

/// How often it is saved what is acked: so much is emitted again after a crash.
const SAVE_EVERY: Duration = Duration::from_millis(250);
/// A source that was held up catches up with the rate for this long at most, instead of with a
/// burst of all that it missed.
const CATCH_UP_MAX: Duration = Duration::from_millis(100);

/// Emits the numbers of this task, each until it is acked, and no faster than the rate.
pub(crate) struct Source {
    count: u64,
    rate: f64,
    out: PathBuf,
    open: Option<Open>,
}

struct Open {
    numbers: Numbers,
    dir: RunDir,
    interval: Duration,
    emit_at: Time,
    save_at: Time,
    /// Numbers that are on their way.
    pending: u64,
    is_active: bool,
    is_done: bool,
}

impl Source {
    /// Emits 1 to `count`, all tasks together `rate` a second, and keeps its books in `out`.
    pub(crate) fn new(count: u64, rate: f64, out: PathBuf) -> Source {
        Source { count, rate, out, open: None }
    }

    fn opened(&mut self) -> &mut Open {
        self.open.as_mut().expect("open comes before all else")
    }

    /// Saves where it stands when it rests and nothing is on its way: from now on it may be moved, and
    /// its next life may open before this one is closed.
    fn save_at_rest(&mut self) {
        let open = self.opened();
        if !open.is_active && open.pending == 0 && !open.is_done {
            // Nobody is to be told of an error here; the next life emits a little more again.
            open.dir.save(open.numbers.ledger()).ok();
        }
    }
}

impl Spout for Source {
    type MessageId = u64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["number"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        check_dir(&self.out)?;
        let dir = RunDir::new(self.out.clone());
        let share =
            Share { count: self.count, task: ctx.task_index() as u64, tasks: ctx.task_count() as u64 };
        self.open = Some(Open {
            numbers: Numbers::resume(dir.load(share)?),
            is_done: dir.is_done(self.count)?,
            dir,
            interval: Duration::try_from_secs_f64(share.tasks as f64 / self.rate).unwrap_or(Duration::MAX),
            emit_at: ctx.now(),
            save_at: ctx.now() + SAVE_EVERY,
            pending: 0,
            is_active: true,
        });
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, u64>) -> Result<Next, SpoutError> {
        let open = self.opened();
        if open.is_done {
            return Ok(Next::Done);
        }
        let now = out.now();
        if open.numbers.ledger().is_complete() {
            open.dir.save(open.numbers.ledger())?;
            open.dir.finish(open.numbers.ledger().share)?;
            open.is_done = true;
            return Ok(Next::Done);
        }
        if open.save_at <= now {
            open.save_at = now + SAVE_EVERY;
            open.dir.save(open.numbers.ledger())?;
        }
        if now < open.emit_at {
            return Ok(Next::Until(open.emit_at.min(open.save_at)));
        }
        let Some(Emit { id, is_replay }) = open.numbers.next() else {
            return Ok(Next::Idle);
        };
        open.emit_at = (open.emit_at + open.interval).max(now - CATCH_UP_MAX);
        open.pending += 1;
        if is_replay {
            out.emit_replayed(id, (id,));
        } else {
            out.emit_tracked(id, (id,));
        }
        Ok(Next::Emitted)
    }

    fn ack(&mut self, id: u64) {
        let open = self.opened();
        open.numbers.ack(id);
        open.pending -= 1;
        self.save_at_rest();
    }

    fn fail(&mut self, id: u64, _: FailCause) {
        let open = self.opened();
        open.numbers.fail(id);
        open.pending -= 1;
        self.save_at_rest();
    }

    fn activate(&mut self) {
        self.opened().is_active = true;
    }

    fn deactivate(&mut self) {
        self.opened().is_active = false;
        self.save_at_rest();
    }

    fn close(&mut self) {
        let Some(open) = &self.open else { return };
        if !open.is_done {
            // Nobody is left to be told of an error; the next run emits a little more again.
            open.dir.save(open.numbers.ledger()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use storm_rs::testing::SpoutTest;

    use super::*;

    #[test]
    fn each_number_is_emitted_until_it_is_acked_and_no_faster_than_the_rate() {
        let dir = tempfile::tempdir().unwrap();
        let mut source = SpoutTest::new(Source::new(3, 10.0, dir.path().to_owned()));
        let begin = source.now();
        while let Some(Next::Emitted | Next::Until(_)) = source.ask().next() {
            source.advance(Duration::from_millis(10));
        }
        source.emits().assert_each_once(["number"], [(1,), (2,), (3,)]).assert_in_order("number");
        assert!(source.now().since(begin) >= Duration::from_millis(200));

        let [one, two, three] = [0, 1, 2].map(|i| source.pending()[i]);
        source.ack(one);
        source.fail(two, FailCause::Timeout);
        source.ack(three);
        source.advance(Duration::from_secs(1));
        let again = source.ask();
        assert_eq!(again.emitted(), [values![2]]);
        source.ack(again.pending()[0]);
        assert_eq!(source.ask().next(), Some(Next::Done));
    }

    #[test]
    fn a_next_life_begins_where_this_one_rests() {
        let dir = tempfile::tempdir().unwrap();
        let life = || SpoutTest::new(Source::new(3, 1000.0, dir.path().to_owned()));
        let mut first = life();
        let asked = first.ask();
        assert_eq!(asked.emitted(), [values![1]]);
        first.deactivate();
        first.ack(asked.pending()[0]);
        assert_eq!(life().ask().emitted(), [values![2]], "before the first one is closed");
        first.close();
    }
}
