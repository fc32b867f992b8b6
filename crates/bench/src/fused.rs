//! Reference (a): the job fused in one thread with static types; what the machine can do at best.

use rustc_hash::FxHashMap;

use crate::data::{SENTENCE_WORDS, Text, each_word};
use crate::meter::{Meter, Sample};
use crate::word_count::Counts;

/// Counts the words of so many sentences.
pub fn run(text: &Text, sentences: u64) -> (Sample, Counts) {
    let meter = Meter::start();
    let mut counts: FxHashMap<&str, u64> = FxHashMap::default();
    for number in 0..sentences {
        each_word(text.sentence(number), |word| *counts.entry(word).or_default() += 1);
    }
    let sample = meter.stop(sentences * SENTENCE_WORDS);
    (sample, counts.into_iter().map(|(word, count)| (word.to_owned(), count)).collect())
}
