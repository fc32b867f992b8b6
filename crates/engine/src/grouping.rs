//! Which of a bolt's tasks gets a row: one instance per emitting task and subscription.

pub(crate) mod fields;
pub(crate) mod partial_key;
pub(crate) mod shuffle;

use storm_model::TaskId;
use storm_row::{KeyEncoder, KeyError, Values};
use storm_topology::CustomGrouping;

use crate::ids::EdgeIds;
use fields::KeyGroups;
use partial_key::PartialKey;
use shuffle::Ring;

/// A grouping at work. Targets are numbered by their rank among the receiving component's tasks.
pub(crate) enum Grouping {
    /// The only task, or the lowest.
    One,
    /// Shuffle, evenly by turns or by load.
    Shuffle(Ring),
    /// By key.
    Fields(KeyGroups),
    /// One of two by key.
    PartialKey(PartialKey),
    /// All.
    All,
    /// A random one.
    Random,
    /// By the emitter's word.
    Direct,
    /// By the user's code.
    Custom(Box<dyn CustomGrouping>, Vec<TaskId>),
}

/// Why no task could be chosen.
#[derive(Debug)]
pub(crate) enum ChooseError {
    /// A field cannot be a key.
    Key(KeyError),
    /// A custom grouping chose a task that is not a target.
    Foreign(TaskId),
}

/// What groupings need for a choice.
pub(crate) struct Chooser<'a> {
    pub(crate) keys: &'a mut KeyEncoder,
    pub(crate) random: &'a mut EdgeIds,
}

impl Grouping {
    /// The rank of the chosen target, for a grouping that always chooses one of `targets` many;
    /// `credit` tells how many rows to a target would go out at once. `None`: ask
    /// [`choose_many`](Grouping::choose_many).
    #[inline(always)]
    pub(crate) fn choose_one(
        &mut self,
        chooser: &mut Chooser<'_>,
        values: &Values<'_>,
        targets: usize,
        credit: impl FnMut(usize) -> i64,
    ) -> Result<Option<u32>, ChooseError> {
        Ok(Some(match self {
            Grouping::One => 0,
            Grouping::Shuffle(ring) => ring.next(credit),
            Grouping::Fields(groups) => {
                let hash = chooser.keys.hash(values, &groups.fields).map_err(ChooseError::Key)?;
                groups.target(hash)
            }
            Grouping::PartialKey(partial) => {
                let hash = chooser.keys.hash(values, &partial.fields).map_err(ChooseError::Key)?;
                partial.target(hash)
            }
            Grouping::Random => chooser.random.below(targets) as u32,
            Grouping::All | Grouping::Direct | Grouping::Custom(..) => return Ok(None),
        }))
    }

    /// Appends the ranks of the chosen targets, for a grouping that may choose any number of them.
    /// `targets` are the receiving tasks, ascending.
    pub(crate) fn choose_many(
        &mut self,
        source: TaskId,
        values: &Values<'_>,
        targets: &[TaskId],
        chosen: &mut Vec<u32>,
    ) -> Result<(), ChooseError> {
        match self {
            Grouping::All => chosen.extend(0..targets.len() as u32),
            Grouping::Custom(custom, tasks) => {
                tasks.clear();
                custom.choose(source, *values, tasks);
                for task in tasks.iter() {
                    let rank = targets.binary_search(task).map_err(|_| ChooseError::Foreign(*task))?;
                    chosen.push(rank as u32);
                }
            }
            // The emitter's task is looked up before a grouping is asked; all others choose one.
            _ => {}
        }
        Ok(())
    }
}

/// Whether a field can be a key at all; for the choice among one task, where no hash is needed but
/// the same rows are to be refused as among many.
#[inline(always)]
pub(crate) fn check_keys(values: &Values<'_>, fields: &[usize]) -> Result<(), KeyError> {
    if fields.iter().any(|field| values.may_be_opaque(*field)) {
        return try_keys(values, fields);
    }
    Ok(())
}

#[cold]
fn try_keys(values: &Values<'_>, fields: &[usize]) -> Result<(), KeyError> {
    KeyEncoder::new().hash(values, fields).map(drop)
}

#[cfg(test)]
mod tests;
