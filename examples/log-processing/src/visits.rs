//! Counts visits and visitors by path.

use bounded_input::{END, Markers};
use rustc_hash::{FxHashMap, FxHashSet};
use storm_rs::prelude::*;

/// Counts the requests of each path, and the different clients among them.
#[derive(Default)]
pub(crate) struct Visits {
    paths: FxHashMap<Box<[u8]>, Path>,
    ends: Markers,
}

#[derive(Default)]
struct Path {
    total: u64,
    ips: FxHashSet<Box<[u8]>>,
}

impl Visits {
    fn count(&mut self, path: &[u8], ip: &[u8]) {
        let Some(visits) = self.paths.get_mut(path) else {
            self.paths.insert(path.into(), Path::default());
            return self.count(path, ip);
        };
        visits.total += 1;
        if !visits.ips.contains(ip) {
            visits.ips.insert(ip.into());
        }
    }
}

impl Bolt for Visits {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["path", "total", "unique"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        if !input.is_from_stream(END) {
            self.count(input.get("path")?, input.get("ip")?);
        } else if self.ends.note(input)? {
            for (path, visits) in &self.paths {
                out.emit((&**path, visits.total, visits.ips.len()));
            }
        }
        Ok(())
    }
}
