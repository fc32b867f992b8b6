//! The engine moves a constant: const-spout -> null and const-spout -> id -> null.

use storm_rs::prelude::*;

use crate::meter::Sample;
use crate::running;

/// What Storm's own benchmark emits.
pub(crate) const CONSTANT: &str = "some data";

/// Which bolts there are.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Path {
    /// The spout, and a bolt that does nothing.
    Null,
    /// A bolt that passes the tuple on between the two.
    IdNull,
}

/// Moves so many tuples; a tuple counts once, however many bolts it meets.
pub(crate) fn run(tuples: u64, path: Path, is_tracked: bool) -> Sample {
    let mut t = TopologyBuilder::new();
    t.set_spout("const", move || Constant { left: tuples, is_tracked }, 1);
    let source = match path {
        Path::Null => "const",
        Path::IdNull => {
            t.set_bolt("id", || Id, 1).shuffle_grouping("const");
            "id"
        }
    };
    t.set_bolt("null", || Null, 1).shuffle_grouping(source);
    let topology = t.build().expect("the topology is sound");
    running::complete(topology, |figures| figures.sum("null", |task| task.executed()))
}

struct Constant {
    left: u64,
    is_tracked: bool,
}

impl Spout for Constant {
    type MessageId = u64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["text"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, u64>) -> Result<Next, SpoutError> {
        if self.left == 0 {
            return Ok(Next::Done);
        }
        match self.is_tracked {
            true => out.emit_tracked(self.left, (CONSTANT,)),
            false => out.emit((CONSTANT,)),
        }
        self.left -= 1;
        Ok(Next::Emitted)
    }

    fn fail(&mut self, number: u64, cause: FailCause) {
        panic!("tuple {number} failed: {cause}");
    }
}

struct Id;

impl Bolt for Id {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["text"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        out.emit(input.values());
        Ok(())
    }
}

/// Does nothing.
pub(crate) struct Null;

impl Bolt for Null {
    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        Ok(())
    }
}
