//! The engine counts words: sentences -> split -> count.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rustc_hash::FxHashMap;
use storm_rs::prelude::*;

use crate::data::Text;
use crate::meter::Sample;
use crate::running;

/// How often each word came.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Executors.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) split: u32,
    pub(crate) count: u32,
}

impl Layout {
    pub(crate) const ONE_ONE: Layout = Layout { split: 1, count: 1 };
    pub(crate) const TWO_TWO: Layout = Layout { split: 2, count: 2 };
}

/// Counts the words of so many sentences.
pub(crate) fn run(text: &Text, sentences: u64, layout: Layout, is_tracked: bool) -> (Sample, Counts) {
    let counts = Arc::new(Mutex::new(Counts::new()));
    let mut t = TopologyBuilder::new();
    let text = text.clone();
    t.set_spout("sentences", move || Sentences { text: text.clone(), sentences, is_tracked, next: 0 }, 1);
    add_split_and_count(&mut t, layout, &counts);
    let topology = t.build().expect("the topology is sound");
    let sample = running::complete(topology, |figures| figures.sum("count", |task| task.executed()));
    let counts = std::mem::take(&mut *counts.lock().expect("no task has panicked"));
    (sample, counts)
}

/// Adds the bolts `split` and `count` behind a spout `sentences`; when the topology stops, the counts
/// are added to `counts`.
pub(crate) fn add_split_and_count(t: &mut TopologyBuilder, layout: Layout, counts: &Arc<Mutex<Counts>>) {
    let counts = counts.clone();
    let count = move || Count { counts: FxHashMap::default(), total: counts.clone() };
    t.set_bolt("split", || Split, layout.split).shuffle_grouping("sentences");
    t.set_bolt("count", count, layout.count).fields_grouping("split", ["word"]);
}

struct Sentences {
    text: Text,
    sentences: u64,
    is_tracked: bool,
    next: u64,
}

impl Spout for Sentences {
    type MessageId = u64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["sentence"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, u64>) -> Result<Next, SpoutError> {
        if self.next == self.sentences {
            return Ok(Next::Done);
        }
        let sentence = self.text.sentence(self.next);
        match self.is_tracked {
            true => out.emit_tracked(self.next, (sentence,)),
            false => out.emit((sentence,)),
        }
        self.next += 1;
        Ok(Next::Emitted)
    }

    fn fail(&mut self, number: u64, cause: FailCause) {
        panic!("sentence {number} failed: {cause}");
    }
}

struct Split;

impl Bolt for Split {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["word"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        for word in input.get::<&str>("sentence")?.split(' ') {
            out.emit((word,));
        }
        Ok(())
    }
}

struct Count {
    counts: FxHashMap<String, u64>,
    total: Arc<Mutex<Counts>>,
}

impl Bolt for Count {
    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let word = input.get::<&str>("word")?;
        match self.counts.get_mut(word) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(word.to_owned(), 1);
            }
        }
        Ok(())
    }

    fn cleanup(&mut self) {
        let mut total = self.total.lock().expect("no task has panicked");
        for (word, count) in self.counts.drain() {
            *total.entry(word).or_default() += count;
        }
    }
}
