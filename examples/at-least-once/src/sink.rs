//! The sink that can be checked.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use bounded_input::WriteError;
use storm_rs::prelude::*;

/// Appends each number to its task's file before it is acked.
pub(crate) struct Sink {
    dir: PathBuf,
    open: Option<(PathBuf, File)>,
    line: Vec<u8>,
}

impl Sink {
    /// Writes to files in this directory.
    pub(crate) fn new(dir: PathBuf) -> Sink {
        Sink { dir, open: None, line: Vec::new() }
    }
}

impl Bolt for Sink {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        let path = self.dir.join(format!("sink-{}.tsv", ctx.task_index()));
        let file = open(&path).map_err(WriteError::at(&path))?;
        self.open = Some((path, file));
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let number: u64 = input.get("number")?;
        let (path, file) = self.open.as_mut().expect("prepare comes before all else");
        self.line.clear();
        writeln!(self.line, "{number}").expect("memory takes it all");
        Ok(append(file, &self.line).map_err(WriteError::at(path))?)
    }
}

fn open(path: &Path) -> io::Result<File> {
    fs::create_dir_all(path.parent().expect("a file in a directory"))?;
    let file = File::options().create(true).read(true).append(true).open(path)?;
    cut_torn_line(&file)?;
    Ok(file)
}

/// One `write`, so that a kill finds the line there or not.
fn append(file: &mut File, line: &[u8]) -> io::Result<()> {
    if file.write(line)? == line.len() {
        return Ok(());
    }
    cut_torn_line(file)?;
    Err(io::ErrorKind::WriteZero.into())
}

/// Removes what stands after the last LF: its writer was killed or had no space, and did not ack.
fn cut_torn_line(file: &File) -> io::Result<()> {
    let mut whole = 0;
    let mut reader = BufReader::new(file);
    io::Seek::rewind(&mut reader)?;
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if line.ends_with(b"\n") {
            whole += line.len() as u64;
        }
        line.clear();
    }
    if file.metadata()?.len() > whole { file.set_len(whole) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_cut_at_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/sink-0.tsv");
        for (before, after) in [("", "7\n"), ("1\n2\n", "1\n2\n7\n"), ("1\n23", "1\n7\n"), ("45", "7\n")] {
            open(&path).unwrap();
            fs::write(&path, before).unwrap();
            append(&mut open(&path).unwrap(), b"7\n").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
    }
}
