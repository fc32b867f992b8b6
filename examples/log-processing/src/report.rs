//! Collects the figures and writes them.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bounded_input::{Counts, Report, WriteError, check_dir, replace_file, write_counts};
use rustc_hash::FxHashMap;
use storm_rs::prelude::*;

use crate::parse::MALFORMED;

/// Paths shown when there is no directory to write to.
const SHOWN: usize = 10;

/// All figures, to the files of a directory or, in short, to stdout.
pub(crate) struct Figures {
    out: Option<PathBuf>,
    status: Counts,
    bytes_by_status: Counts,
    per_minute: Counts,
    per_ip: Counts,
    /// Total and unique visits of each path.
    visits: FxHashMap<Box<[u8]>, (u64, u64)>,
    /// Numbers of the malformed lines: a line that comes again is still one.
    malformed: BTreeSet<u64>,
}

impl Figures {
    pub(crate) fn new(out: Option<PathBuf>) -> Figures {
        Figures {
            out,
            status: Counts::default(),
            bytes_by_status: Counts::default(),
            per_minute: Counts::default(),
            per_ip: Counts::default(),
            visits: FxHashMap::default(),
            malformed: BTreeSet::new(),
        }
    }

    /// By total descending, then by path.
    fn visits(&self) -> Vec<(u64, u64, &[u8])> {
        let mut sorted: Vec<_> =
            self.visits.iter().map(|(path, (total, unique))| (*total, *unique, &**path)).collect();
        sorted.sort_unstable_by(|(m, _, a), (n, _, b)| n.cmp(m).then(a.cmp(b)));
        sorted
    }

    fn write(&self, dir: &Path) -> Result<(), WriteError> {
        for (name, counts) in [
            ("status.tsv", self.status.by_count()),
            ("bytes-by-status.tsv", self.bytes_by_status.by_key()),
            ("per-minute.tsv", self.per_minute.by_key()),
            ("per-ip.tsv", self.per_ip.by_count()),
        ] {
            replace_file(&dir.join(name), |file| write_counts(file, &counts))?;
        }
        replace_file(&dir.join("visits.tsv"), |file| write_visits(file, &self.visits()))
    }

    fn show(&self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if self.out.is_none() {
            write_counts(&mut stdout, &self.status.by_count())?;
            let visits = self.visits();
            write_visits(&mut stdout, &visits[..visits.len().min(SHOWN)])?;
        }
        let (requests, clients, paths) =
            (self.status.total(), self.per_ip.len(), self.visits.len());
        let malformed = self.malformed.len();
        writeln!(
            stdout,
            "{requests} requests, {clients} clients, {paths} paths, {malformed} malformed lines"
        )
    }
}

fn write_visits(out: &mut dyn Write, visits: &[(u64, u64, &[u8])]) -> io::Result<()> {
    for (total, unique, path) in visits {
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
        if *total.source_stream() == *MALFORMED {
            self.malformed.insert(total.get("number")?);
            return Ok(());
        }
        match total.source_component().as_str() {
            "status" => {
                let status = total.get("status")?;
                self.status.set(status, total.get("count")?);
                self.bytes_by_status.set(status, total.get("bytes")?);
            }
            "minutes" => self.per_minute.set(total.get("minute")?, total.get("count")?),
            "ips" => self.per_ip.set(total.get("ip")?, total.get("count")?),
            _ => {
                let path: &[u8] = total.get("path")?;
                self.visits.insert(path.into(), (total.get("total")?, total.get("unique")?));
            }
        }
        Ok(())
    }

    fn publish(&mut self) -> Result<(), BoltError> {
        if let Some(dir) = &self.out {
            self.write(dir)?;
        }
        Ok(self.show().map_err(WriteError::at("stdout".as_ref()))?)
    }
}
