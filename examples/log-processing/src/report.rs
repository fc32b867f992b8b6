//! Collects the figures and writes them.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bounded_input::{Report, Totals, WriteError, check_dir, replace_file, show, write_counts};
use storm_rs::prelude::*;

use crate::parse::MALFORMED;

/// Paths shown when there is no directory to write to.
const SHOWN: usize = 10;

/// All figures, to the files of a directory or, in short, to stdout.
#[derive(Default)]
pub(crate) struct Figures {
    out: Option<PathBuf>,
    by_status: Totals,
    bytes_by_status: Totals,
    per_minute: Totals,
    per_ip: Totals,
    visits: Totals<Visits>,
    /// Numbers of the malformed lines: a line that comes again is still one.
    malformed: BTreeSet<u64>,
}

/// The visits of a path.
#[derive(PartialEq)]
struct Visits {
    total: u64,
    unique: u64,
}

impl Figures {
    /// Writes to this directory, or to stdout.
    pub(crate) fn new(out: Option<PathBuf>) -> Figures {
        Figures { out, ..Figures::default() }
    }

    fn write(&mut self, dir: &Path) -> Result<(), WriteError> {
        for (name, counts) in [
            ("status.tsv", self.by_status.by_count(|n| *n)),
            ("bytes-by-status.tsv", self.bytes_by_status.by_key()),
            ("per-minute.tsv", self.per_minute.by_key()),
            ("per-ip.tsv", self.per_ip.by_count(|n| *n)),
        ] {
            replace_file(&dir.join(name), |file| write_counts(file, counts))?;
        }
        let visits = self.visits.by_count(|visits| visits.total);
        replace_file(&dir.join("visits.tsv"), |file| write_visits(file, visits))
    }

    fn show(&mut self, stdout: &mut dyn Write) -> io::Result<()> {
        let by_status = self.by_status.by_count(|n| *n);
        let visits = self.visits.by_count(|visits| visits.total);
        if self.out.is_none() {
            write_counts(stdout, by_status)?;
            write_visits(stdout, &visits[..visits.len().min(SHOWN)])?;
        }
        let requests: u64 = by_status.iter().map(|(_, count)| count).sum();
        let (clients, paths, malformed) = (self.per_ip.by_key().len(), visits.len(), self.malformed.len());
        writeln!(stdout, "{requests} requests, {clients} clients, {paths} paths, {malformed} malformed lines")
    }
}

fn write_visits(out: &mut dyn Write, visits: &[(Box<[u8]>, Visits)]) -> io::Result<()> {
    for (path, Visits { total, unique }) in visits {
        write!(out, "{total}\t{unique}\t")?;
        out.write_all(path)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

impl Report for Figures {
    fn prepare(&mut self, _: &TaskContext) -> Result<(), BoltError> {
        Ok(self.out.as_deref().map_or(Ok(()), check_dir)?)
    }

    fn add(&mut self, total: &Tuple<'_>) -> Result<(), BoltError> {
        if total.is_from_stream(MALFORMED) {
            self.malformed.insert(total.get("number")?);
            return Ok(());
        }
        match total.source_component().as_str() {
            "status" => {
                let status = total.get("status")?;
                self.by_status.push(status, total.get("count")?);
                self.bytes_by_status.push(status, total.get("bytes")?);
            }
            "minutes" => self.per_minute.push(total.get("minute")?, total.get("count")?),
            "ips" => self.per_ip.push(total.get("ip")?, total.get("count")?),
            _ => {
                let visits = Visits { total: total.get("total")?, unique: total.get("unique")? };
                self.visits.push(total.get("path")?, visits);
            }
        }
        Ok(())
    }

    fn publish(&mut self) -> Result<(), BoltError> {
        if let Some(dir) = self.out.clone() {
            self.write(&dir)?;
        }
        Ok(show(|stdout| self.show(stdout))?)
    }
}
