//! Collects the counts and writes them.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bounded_input::{Counts, Report, WriteError, check_file, replace_file, write_counts};
use storm_rs::prelude::*;
use storm_rs::{Clock, Time};

/// Words shown when there is no file to write them to.
const SHOWN: usize = 20;

/// The words with their counts, to a file or, the most frequent ones, to stdout.
pub(crate) struct Words {
    out: Option<PathBuf>,
    counts: Counts,
    started: Option<(Arc<dyn Clock>, Time)>,
}

impl Words {
    pub(crate) fn new(out: Option<PathBuf>) -> Words {
        Words { out, counts: Counts::default(), started: None }
    }

    fn show(&self, counts: &[(&[u8], u64)]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if self.out.is_none() {
            write_counts(&mut stdout, &counts[..counts.len().min(SHOWN)])?;
        }
        let (total, different) = (self.counts.total(), self.counts.len());
        let secs = self
            .started
            .as_ref()
            .map_or(0.0, |(clock, started)| clock.now().since(*started).as_secs_f64());
        let rate = total as f64 / secs.max(1e-9);
        writeln!(stdout, "{total} words, {different} different, in {secs:.3} s: {rate:.0} words/s")
    }
}

impl Report for Words {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.started = Some((ctx.clock(), ctx.now()));
        Ok(self.out.as_deref().map_or(Ok(()), check_file)?)
    }

    fn add(&mut self, total: &Tuple<'_>) -> Result<(), BoltError> {
        self.counts.set(total.get("word")?, total.get("count")?);
        Ok(())
    }

    fn publish(&mut self) -> Result<(), BoltError> {
        let counts = self.counts.by_count();
        if let Some(path) = &self.out {
            replace_file(path, |file| write_counts(file, &counts))?;
        }
        Ok(self.show(&counts).map_err(WriteError::at("stdout".as_ref()))?)
    }
}
