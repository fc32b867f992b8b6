//! Counts words.

use bounded_input::{Counts, END, Markers};
use storm_rs::prelude::*;

/// Counts the words that come to this task, and emits the counts when the text has ended.
#[derive(Default)]
pub(crate) struct Count {
    counts: Counts,
    ends: Markers,
}

impl Bolt for Count {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["word", "count"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        if !input.is_from_stream(END) {
            self.counts.add(input.get("word")?, 1);
        } else if self.ends.note(input)? {
            for count in self.counts.iter() {
                out.emit(count);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use storm_rs::testing::BoltTest;

    use super::*;

    #[test]
    fn the_counts_come_with_the_marker_of_the_last_spout_task() {
        let mut count = BoltTest::new(Count::default()).input("split", ["word"]);
        for word in ["to", "be", "to"] {
            assert!(count.execute((word,)).assert_acked().emitted().is_empty());
        }
        count.set_input("lines", END, ["spout_task", "spout_tasks"]);
        assert!(count.execute((1, 2)).assert_acked().emitted().is_empty());
        let done = count.execute((0, 2));
        let is_anchored = done.assert_acked().emissions().iter().all(|e| e.is_anchored);
        assert!(is_anchored, "the marker is acked when the counts have arrived");
        count.emits().assert_each_once(["word", "count"], [(b"be", 1), (b"to", 2)]);
    }
}
