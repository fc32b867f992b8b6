//! A keeper between processes: written down, read, and joined with what was heard meanwhile.
//!
//! Two keepers of the same source have heard the same reports, one of them only from some moment on, or only
//! up to one. What one has beyond the other is told by lives: of each task both know which life told last,
//! and the totals of one life are counted from the same beginning.

use std::collections::BTreeMap;
use std::sync::Arc;

use storm_model::{ComponentKind, Incarnation, TaskId, Time};

use super::{Keeper, KeptTask};
use crate::figures::Gauges;
use crate::history::History;
use crate::portable::{BadPortable, Portable, Reader, Writer};
use crate::total::Total;
use crate::totals::TaskTotal;
use crate::trend::{Gain, Recorder};

impl Keeper {
    /// All that was counted, for a file or another process. What there is of something at a moment (gauges,
    /// metrics of users' code, executors) is left out: the next report says it.
    pub fn to_portable(&self, now: Time) -> Vec<u8> {
        let mut to = Writer::new();
        self.trend.write(now, &mut to);
        to.number(self.tasks.len() as u64);
        for (task, kept) in &self.tasks {
            to.number(task.0.into());
            kept.component.write(&mut to);
            to.number(match kept.kind {
                ComponentKind::Spout => 0,
                ComponentKind::Bolt => 1,
            });
            kept.first.write(&mut to);
            kept.told.write(&mut to);
            to.number(kept.incarnation);
            kept.history.write(now, &mut to);
        }
        to.finish()
    }

    /// What [`Keeper::to_portable`] wrote, at `now` on the clock of who reads it. That clock should have run
    /// for longer than figures are to be remembered: what would lie before its zero lies there.
    ///
    /// # Errors
    /// When these are other bytes, damaged ones, or those of another version.
    pub fn from_portable(now: Time, bytes: &[u8]) -> Result<Keeper, BadPortable> {
        let mut from = Reader::new(bytes)?;
        let trend = Recorder::read(now, &mut from)?;
        let mut tasks = BTreeMap::new();
        for _ in 0..from.number()? {
            let task = u32::try_from(from.number()?).map_err(|_| BadPortable::Wrong("an impossible task"))?;
            let component = Portable::read(&mut from)?;
            let kind = match from.number()? {
                0 => ComponentKind::Spout,
                1 => ComponentKind::Bolt,
                _ => return Err(BadPortable::Wrong("something that is neither spout nor bolt")),
            };
            let (first, told) = (Portable::read(&mut from)?, Portable::read(&mut from)?);
            let incarnation = from.number()?;
            let history = History::read(now, &mut from)?;
            let (gauges, metrics) = (Gauges::default(), Vec::new());
            let kept = KeptTask { component, kind, history, first, told, incarnation, gauges, metrics };
            tasks.insert(TaskId(task), Arc::new(kept));
        }
        from.finish()?;
        Ok(Keeper { tasks, executors: BTreeMap::new(), trend: Arc::new(trend), pending: 0 })
    }

    /// Joins what the same source had kept before, and perhaps goes on to keep, with what was heard of it here:
    /// as if all of it had been heard here. Whether reports came before or after makes no difference, and
    /// neither does doing it twice.
    pub fn join(&mut self, now: Time, mut kept: Keeper) {
        let heard = Arc::make_mut(&mut self.trend);
        heard.advance(now, self.pending);
        let trend = Arc::make_mut(&mut kept.trend);
        trend.advance_as(now, heard);
        for (task, here) in std::mem::take(&mut self.tasks) {
            match kept.tasks.get_mut(&task) {
                Some(there) => {
                    let over = here.history.seen().since(there.history.seen());
                    let gain = Gain::of(there.kind, &Arc::make_mut(there).go_on(&here));
                    trend.add(here.history.seen(), over, &gain);
                }
                None => {
                    let all = here.history.all_time();
                    trend.add(here.history.seen(), all.uptime, &Gain::of(here.kind, &all));
                    kept.tasks.insert(task, here);
                }
            }
        }
        self.tasks = kept.tasks;
        self.trend = kept.trend;
    }
}

impl KeptTask {
    /// Takes over what another has heard of the same task beyond this one; says what was gained.
    fn go_on(&mut self, here: &KeptTask) -> TaskTotal {
        self.incarnation = here.incarnation;
        self.gauges = here.gauges.clone();
        self.metrics.clone_from(&here.metrics);
        if here.told <= self.told {
            return TaskTotal::default();
        }
        let (mine, its) = (&self.history, &here.history);
        let life = self.told.0;
        let gained = if here.first > life {
            its.all_time()
        } else if here.told.0 == life {
            its.newest().since(mine.newest()).unwrap_or_default()
        } else if here.first == life {
            its.all_time().since(mine.newest()).unwrap_or_else(|| its.newest().clone())
        } else {
            its.newest().clone()
        };
        self.told = here.told;
        self.history.go_on(&here.history, gained)
    }
}

impl Portable for Incarnation {
    fn write(&self, to: &mut Writer) {
        to.number(self.number);
        to.number(self.restarts);
    }

    fn read(from: &mut Reader<'_>) -> Result<Incarnation, BadPortable> {
        Ok(Incarnation { number: from.number()?, restarts: from.number()? })
    }
}
