//! Timely dataflow counts words: sentences come in, are split, and words go to the worker that counts
//! them.
//!
//! Tuples are owned strings, one per sentence and one per word. All workers read the same text, each
//! its share. A time is so many sentences; who is a few times ahead of the counting waits, so that
//! memory stays bounded as the engine's does.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::rc::Rc;

use rustc_hash::{FxBuildHasher, FxHashMap};
use storm_bench::data::{SENTENCE_WORDS, Text, each_word};
use storm_bench::meter::{Meter, Sample};
use storm_bench::word_count::Counts;
use timely::Config;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::{Operator, Probe};
use timely::dataflow::{InputHandle, ProbeHandle};
use timely::worker::Worker;

/// Sentences of a worker in one time.
const TIME: u64 = 1024;
/// Times that a worker may be ahead of the counting.
const AHEAD: u64 = 4;

/// What splitting emits: word by word, for which timely's `flat_map` would need a vector per sentence.
type Strings = CapacityContainerBuilder<Vec<String>>;
/// What counting emits.
type Nothing = CapacityContainerBuilder<Vec<()>>;
type WordCounts = FxHashMap<String, u64>;

/// Counts the words of so many sentences with so many workers, each a thread.
pub(crate) fn run(text: &Text, sentences: u64, workers: usize) -> (Sample, Counts) {
    let meter = Meter::start();
    let text = text.clone();
    let config = if workers == 1 { Config::thread() } else { Config::process(workers) };
    let guards = timely::execute(config, move |worker| count(worker, &text, sentences))
        .unwrap_or_else(|error| panic!("timely does not start: {error}"));
    let counted: Vec<WordCounts> = guards
        .join()
        .into_iter()
        .map(|counts| counts.unwrap_or_else(|error| panic!("a worker of timely's failed: {error}")))
        .collect();
    let sample = meter.stop(sentences * SENTENCE_WORDS);
    // By hash: no word has been counted in two places.
    (sample, counted.into_iter().flatten().collect())
}

/// What one worker does; the counts of its words.
fn count(worker: &mut Worker, text: &Text, sentences: u64) -> WordCounts {
    let counts = Rc::new(RefCell::new(WordCounts::default()));
    let mut input = InputHandle::new();
    let probe = ProbeHandle::new();
    let total = counts.clone();
    worker.dataflow::<u64, _, _>(|scope| {
        input
            .to_stream(scope)
            .unary::<Strings, _, _, _>(Pipeline, "Split", |_, _| {
                |sentences, words| {
                    sentences.for_each_time(|time, sentences| {
                        let mut words = words.session(&time);
                        for sentence in sentences.flat_map(|batch: &mut Vec<String>| batch.drain(..)) {
                            each_word(&sentence, |word| words.give(word.to_owned()));
                        }
                    });
                }
            })
            .unary::<Nothing, _, _, _>(Exchange::new(|word: &String| owner(word)), "Count", |_, _| {
                move |words, _| {
                    words.for_each_time(|_, words| {
                        let mut total = total.borrow_mut();
                        for word in words.flat_map(|batch| batch.drain(..)) {
                            *total.entry(word).or_default() += 1;
                        }
                    });
                }
            })
            .probe_with(&probe);
    });
    let (first, step) = (worker.index() as u64, worker.peers());
    for (number, sent) in (first..sentences).step_by(step).zip(1..) {
        input.send(text.sentence(number).to_owned());
        if sent % TIME == 0 {
            let time = sent / TIME;
            input.advance_to(time);
            worker.step();
            while probe.less_than(&time.saturating_sub(AHEAD)) {
                worker.step_or_park(None);
            }
        }
    }
    input.close();
    while !probe.done() {
        worker.step_or_park(None);
    }
    counts.take()
}

/// Decides which worker counts a word. By the upper half of the hash: the maps take the lower bits.
fn owner(word: &str) -> u64 {
    FxBuildHasher.hash_one(word) >> 32
}
