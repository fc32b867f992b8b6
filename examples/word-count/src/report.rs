//! Collects the counts and writes them.

use std::path::PathBuf;
use std::sync::Arc;

use bounded_input::{Report, Totals, check_file, replace_file, show, write_counts};
use storm_rs::prelude::*;
use storm_rs::{Clock, Time};

/// Words shown when there is no file to write them to.
const SHOWN: usize = 20;

/// The words with their counts, to a file or, the most frequent ones, to stdout.
pub(crate) struct Words {
    out: Option<PathBuf>,
    totals: Totals,
    started: Option<(Arc<dyn Clock>, Time)>,
}

impl Words {
    /// Writes to this file, or to stdout.
    pub(crate) fn new(out: Option<PathBuf>) -> Words {
        Words { out, totals: Totals::default(), started: None }
    }

    fn secs(&self) -> f64 {
        let secs = |(clock, started): &(Arc<dyn Clock>, Time)| clock.now().since(*started).as_secs_f64();
        self.started.as_ref().map_or(0.0, secs)
    }
}

impl Report for Words {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.started = Some((ctx.clock(), ctx.now()));
        Ok(self.out.as_deref().map_or(Ok(()), check_file)?)
    }

    fn add(&mut self, total: &Tuple<'_>) -> Result<(), BoltError> {
        self.totals.push(total.get("word")?, total.get("count")?);
        Ok(())
    }

    fn publish(&mut self) -> Result<(), BoltError> {
        let secs = self.secs();
        let counts = self.totals.by_count(|count| *count);
        let shown = match &self.out {
            Some(path) => {
                replace_file(path, |file| write_counts(file, counts))?;
                0
            }
            None => counts.len().min(SHOWN),
        };
        let (total, different) = (counts.iter().map(|(_, count)| count).sum::<u64>(), counts.len());
        let rate = total as f64 / secs.max(1e-9);
        show(|stdout| {
            write_counts(stdout, &counts[..shown])?;
            writeln!(stdout, "{total} words, {different} different, in {secs:.3} s: {rate:.0} words/s")
        })?;
        Ok(())
    }
}
