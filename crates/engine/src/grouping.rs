//! Which of a bolt's tasks gets a row: one instance per emitting task and subscription.

pub(crate) mod fields;
pub(crate) mod partial_key;
pub(crate) mod shuffle;

use storm_model::TaskId;
use storm_row::{FieldRef, KeyEncoder, KeyError, Values};
use storm_topology::CustomGrouping;

use crate::ids::EdgeIds;
use fields::KeyTable;
use partial_key::PartialKey;
use shuffle::Ring;

/// A grouping at work. Targets are numbered by their rank among the receiving component's tasks.
pub(crate) enum Grouping {
    /// The only task, or the lowest.
    One,
    /// Shuffle, evenly by turns or by load.
    Shuffle(Ring),
    /// By key.
    Fields(KeyTable),
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
    /// Appends the ranks of the chosen targets. `targets` are the receiving tasks, ascending;
    /// `has_credit` tells whether a row to a target would go out at once.
    #[inline]
    pub(crate) fn choose(
        &mut self,
        chooser: &mut Chooser<'_>,
        source: TaskId,
        values: Values<'_>,
        targets: &[TaskId],
        has_credit: impl FnMut(usize) -> bool,
        chosen: &mut Vec<u32>,
    ) -> Result<(), ChooseError> {
        match self {
            Grouping::One => chosen.push(0),
            Grouping::Shuffle(ring) => chosen.push(ring.next(has_credit)),
            Grouping::Fields(table) => {
                let hash = chooser.keys.hash(values, &table.fields).map_err(ChooseError::Key)?;
                chosen.push(table.target(hash));
            }
            Grouping::PartialKey(partial) => {
                let hash = chooser.keys.hash(values, &partial.fields).map_err(ChooseError::Key)?;
                chosen.push(partial.target(hash));
            }
            Grouping::All => chosen.extend(0..targets.len() as u32),
            Grouping::Random => chosen.push(chooser.random.below(targets.len()) as u32),
            // The emitter's task is looked up before a grouping is asked.
            Grouping::Direct => {}
            Grouping::Custom(custom, tasks) => {
                tasks.clear();
                custom.choose(source, values, tasks);
                for task in tasks.iter() {
                    let rank = targets.binary_search(task).map_err(|_| ChooseError::Foreign(*task))?;
                    chosen.push(rank as u32);
                }
            }
        }
        Ok(())
    }
}

/// Whether a field can be a key at all; for the choice among one task, where no hash is needed but
/// the same rows are to be refused as among many.
pub(crate) fn check_keys(values: Values<'_>, fields: &[usize]) -> Result<(), KeyError> {
    for &field in fields {
        if let Some(FieldRef::Opaque(_)) = values.field(field) {
            return KeyEncoder::new().hash(values, &[field]).map(drop);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
