//! Adds exclamation marks.

use std::io::{self, Write};

use storm_rs::prelude::*;

/// Of so many tuples of a task one is printed.
const SAMPLE: u64 = 50;

/// Whether a task shows what it does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Print {
    Nothing,
    Samples,
}

/// Emits its input with three exclamation marks.
pub(crate) struct Exclaim {
    print: Print,
    count: u64,
}

impl Exclaim {
    /// Prints samples, or not.
    pub(crate) fn new(print: Print) -> Exclaim {
        Exclaim { print, count: 0 }
    }
}

impl Bolt for Exclaim {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["word"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let word = format!("{}!!!", input.get::<&str>("word")?);
        if self.print == Print::Samples && self.count.is_multiple_of(SAMPLE) {
            writeln!(io::stdout(), "{word}")?;
        }
        self.count += 1;
        out.emit((word,));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use storm_rs::testing::BoltTest;

    use super::*;

    #[test]
    fn a_word_is_exclaimed_and_anything_else_fails() {
        let mut exclaim = BoltTest::new(Exclaim::new(Print::Nothing)).input("word", ["word"]);
        let done = exclaim.execute(("mike",));
        assert_eq!(done.assert_acked().emitted(), [values!["mike!!!"]]);
        exclaim.execute((7,)).assert_failed("field 'word'");
    }
}
