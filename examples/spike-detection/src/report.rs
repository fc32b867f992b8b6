//! Collects the spikes and writes them in order of their rows.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;

use bounded_input::{Report, check_file, replace_file, show};
use storm_rs::prelude::*;

use crate::average::MALFORMED;

/// Spikes shown when there is no file to write them to.
const SHOWN: usize = 20;

/// The spikes by row, to a file or, the first ones, to stdout.
pub(crate) struct Spikes {
    out: Option<PathBuf>,
    spikes: BTreeMap<u64, Spike>,
    malformed: BTreeSet<u64>,
}

/// A spike as it stands in the input.
struct Spike {
    timestamp: Box<[u8]>,
    text: Box<[u8]>,
}

impl Spikes {
    pub(crate) fn new(out: Option<PathBuf>) -> Spikes {
        Spikes { out, spikes: BTreeMap::new(), malformed: BTreeSet::new() }
    }

    fn write(&self, out: &mut dyn Write, max: usize) -> io::Result<()> {
        for (row, Spike { timestamp, text }) in self.spikes.iter().take(max) {
            write!(out, "{row}\t")?;
            out.write_all(timestamp)?;
            out.write_all(b"\t")?;
            out.write_all(text)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn show(&self, stdout: &mut dyn Write) -> io::Result<()> {
        if self.out.is_none() {
            self.write(stdout, SHOWN)?;
        }
        writeln!(stdout, "{} spikes, {} malformed rows", self.spikes.len(), self.malformed.len())
    }
}

impl Report for Spikes {
    fn prepare(&mut self, _: &TaskContext) -> Result<(), BoltError> {
        Ok(self.out.as_deref().map_or(Ok(()), check_file)?)
    }

    fn add(&mut self, spike: &Tuple<'_>) -> Result<(), BoltError> {
        let row = spike.get("row")?;
        if spike.is_from_stream(MALFORMED) {
            self.malformed.insert(row);
        } else {
            let (timestamp, text): (&[u8], &[u8]) = (spike.get("timestamp")?, spike.get("text")?);
            self.spikes.insert(row, Spike { timestamp: timestamp.into(), text: text.into() });
        }
        Ok(())
    }

    fn publish(&mut self) -> Result<(), BoltError> {
        if let Some(path) = &self.out {
            replace_file(path, |file| self.write(file, usize::MAX))?;
        }
        Ok(show(|stdout| self.show(stdout))?)
    }
}
