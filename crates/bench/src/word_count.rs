//! The engine counts words: sentences -> split -> count.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rustc_hash::FxHashMap;
use storm_rs::prelude::*;

use crate::data::{Text, each_word};
use crate::meter::Sample;
use crate::running;

/// How often each word came.
pub type Counts = BTreeMap<String, u64>;

/// Executors, and the threads that run them.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Executors of the spout; each emits its share of the sentences.
    pub spouts: u32,
    /// Executors of the bolt that splits sentences.
    pub splits: u32,
    /// Executors of the bolt that counts words.
    pub counts: u32,
    /// Threads that share the executors; a thread for each if `None`. With it a sentence is split in
    /// the process, and if the engine can on the thread, that emitted it.
    pub threads: Option<u32>,
}

impl Layout {
    /// One executor each.
    pub const ONE_ONE: Layout = Layout { spouts: 1, splits: 1, counts: 1, threads: None };
    /// One spout, two of each bolt.
    pub const TWO_TWO: Layout = Layout { spouts: 1, splits: 2, counts: 2, threads: None };
    /// Two of each on two threads: the only way between the threads is that of a word to its count.
    pub const CHAINED: Layout = Layout { spouts: 2, splits: 2, counts: 2, threads: Some(2) };
}

/// Counts the words of so many sentences.
pub fn run(text: &Text, sentences: u64, layout: Layout, is_tracked: bool) -> (Sample, Counts) {
    let counts = Arc::new(Mutex::new(Counts::new()));
    let topology = topology(text, sentences, layout, is_tracked, &counts);
    let sample = running::complete(topology, |figures| figures.sum("count", |task| task.executed()));
    let counts = std::mem::take(&mut *counts.lock().expect("no task has panicked"));
    (sample, counts)
}

/// Counts the words of so many sentences; when it stops, the counts are added to `counts`.
pub(crate) fn topology(
    text: &Text,
    sentences: u64,
    layout: Layout,
    is_tracked: bool,
    counts: &Arc<Mutex<Counts>>,
) -> Topology {
    let mut t = TopologyBuilder::new();
    let text = text.clone();
    let spout = move || Sentences { text: text.clone(), sentences, is_tracked, next: 0, step: 1 };
    t.set_spout("sentences", spout, layout.spouts);
    add_split_and_count(&mut t, layout, counts);
    t.build().expect("the topology is sound")
}

/// Adds the bolts `split` and `count` behind a spout `sentences`; when the topology stops, the counts
/// are added to `counts`.
pub(crate) fn add_split_and_count(t: &mut TopologyBuilder, layout: Layout, counts: &Arc<Mutex<Counts>>) {
    let counts = counts.clone();
    let count = move || Count { counts: FxHashMap::default(), total: counts.clone() };
    let split = t.set_bolt("split", || Split, layout.splits);
    match layout.threads {
        Some(_) => split.local_or_shuffle_grouping("sentences"),
        None => split.shuffle_grouping("sentences"),
    };
    t.set_bolt("count", count, layout.counts).fields_grouping("split", ["word"]);
    if let Some(threads) = layout.threads {
        t.config("topology.executor.threads", threads);
    }
}

struct Sentences {
    text: Text,
    sentences: u64,
    is_tracked: bool,
    next: u64,
    /// The tasks of the spout, whose sentences take turns.
    step: u64,
}

impl Spout for Sentences {
    type MessageId = u64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["sentence"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        (self.next, self.step) = (ctx.task_index() as u64, ctx.task_count() as u64);
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, u64>) -> Result<Next, SpoutError> {
        if self.next >= self.sentences {
            return Ok(Next::Done);
        }
        let sentence = self.text.sentence(self.next);
        match self.is_tracked {
            true => out.emit_tracked(self.next, (sentence,)),
            false => out.emit((sentence,)),
        }
        self.next += self.step;
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
        each_word(input.get("sentence")?, |word| out.emit((word,)));
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
