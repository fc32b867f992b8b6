//! The text whose words are counted: sentences of ten words whose frequencies follow Zipf's law.

use std::collections::HashSet;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Words of a sentence.
pub const SENTENCE_WORDS: u64 = 10;
/// Different words.
const VOCABULARY: usize = 20_000;
/// Different sentences, a power of two; half a megabyte, so that the text is no test of memory.
const SENTENCES: usize = 8192;

/// Sentences, repeated without end.
#[derive(Clone, Debug)]
pub struct Text(Arc<[String]>);

impl Text {
    /// The same in each run.
    pub fn generate() -> Text {
        let mut rng = SmallRng::seed_from_u64(7);
        let words = vocabulary(&mut rng);
        // The sum of the weights 1/rank up to each rank.
        let sums: Vec<f64> = (1..=VOCABULARY)
            .scan(0.0, |sum, rank| {
                *sum += 1.0 / rank as f64;
                Some(*sum)
            })
            .collect();
        let sum = sums[VOCABULARY - 1];
        let mut word = || {
            let drawn = rng.random_range(0.0..sum);
            words[sums.partition_point(|s| *s <= drawn)].as_str()
        };
        let sentence = |_| (0..SENTENCE_WORDS).map(|_| word()).collect::<Vec<_>>().join(" ");
        Text((0..SENTENCES).map(sentence).collect())
    }

    /// The sentence of this number.
    #[inline]
    pub fn sentence(&self, number: u64) -> &str {
        &self.0[number as usize & (SENTENCES - 1)]
    }
}

/// Calls `word` with each word of a sentence. One loop for all jobs, made part of each of them: what
/// the compiler makes of a library's iterator differs from job to job by more than a row may.
#[inline(always)]
pub fn each_word<'a>(sentence: &'a str, mut word: impl FnMut(&'a str)) {
    let mut rest = sentence;
    while let Some(end) = rest.bytes().position(|byte| byte == b' ') {
        let (first, after) = rest.split_at(end);
        word(first);
        rest = after.split_at(1).1;
    }
    word(rest);
}

fn vocabulary(rng: &mut SmallRng) -> Vec<String> {
    let mut known = HashSet::new();
    let mut words = Vec::with_capacity(VOCABULARY);
    while words.len() < VOCABULARY {
        let length = rng.random_range(3..=11);
        let word: String = (0..length).map(|_| char::from(rng.random_range(b'a'..=b'z'))).collect();
        if known.insert(word.clone()) {
            words.push(word);
        }
    }
    words
}
