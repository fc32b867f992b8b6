//! Reference (b): the design that comes to mind first. A thread per executor, one crossbeam message per
//! tuple, values that are owned and shared by count, maps of the standard library; in the tracked form
//! an acker with a thread of its own, as Storm has it.
//!
//! Data wait in bounded queues. Acks do not: the acker sends to the spout, which sends to the acker,
//! and two full queues would wait for each other for ever. The spout's pending trees bound them.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::Arc;
use std::thread::{self, Builder, Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::data::{SENTENCE_WORDS, Text, each_word};
use crate::meter::{Meter, Sample};
use crate::word_count::{Counts, Layout};

/// Messages that a queue holds before its senders wait.
const QUEUE: usize = 4096;
/// Trees that are neither acked nor failed before the spout waits.
const PENDING_MAX: u64 = 4096;

/// A value of a tuple.
#[derive(Clone)]
enum Value {
    Str(Arc<str>),
    #[expect(dead_code, reason = "makes it a value as an engine has to have it")]
    Int(i64),
}

impl Value {
    fn text(&self) -> &Arc<str> {
        match self {
            Value::Str(text) => text,
            Value::Int(_) => unreachable!("the job has texts only"),
        }
    }
}

struct Tuple {
    values: Vec<Value>,
    /// 0 if untracked.
    root: u64,
    edge: u64,
}

/// A message to the acker.
struct Ack {
    root: u64,
    xor: u64,
    is_init: bool,
}

/// Counts the words of so many sentences, with one spout.
pub(crate) fn run(text: &Text, sentences: u64, layout: Layout, is_tracked: bool) -> (Sample, Counts) {
    let meter = Meter::start();
    let counted: Vec<HashMap<Arc<str>, u64>> = thread::scope(|scope| {
        let (to_splits, from_spout) = queues(layout.splits);
        let (to_counts, from_splits) = queues(layout.counts);
        let (to_acker, acks) = unbounded();
        let (to_spout, outcomes) = unbounded();
        let acker = is_tracked.then_some(to_acker);
        if is_tracked {
            start(scope, "acker", move || ack(&acks, &to_spout));
        }
        for (input, number) in from_spout.into_iter().zip(2..) {
            let (to_counts, acker) = (to_counts.clone(), acker.clone());
            start(scope, "split", move || split(&input, &to_counts, acker.as_ref(), Edges(number)));
        }
        // Those of the threads alone keep the queues open.
        drop(to_counts);
        let counting = |input| {
            let acker = acker.clone();
            start(scope, "count", move || count(&input, acker.as_ref()))
        };
        let counting: Vec<_> = from_splits.into_iter().map(counting).collect();
        start(scope, "spout", move || emit(text, sentences, &to_splits, acker.as_ref(), &outcomes));
        counting.into_iter().map(|thread| thread.join().expect("counting does not panic")).collect()
    });
    let sample = meter.stop(sentences * SENTENCE_WORDS);
    // Fields grouping: no word has been counted in two places.
    let counts = counted.into_iter().flatten().map(|(word, count)| (word.as_ref().to_owned(), count));
    (sample, counts.collect())
}

/// A bounded queue for each of so many executors.
fn queues(executors: u32) -> (Vec<Sender<Tuple>>, Vec<Receiver<Tuple>>) {
    (0..executors).map(|_| bounded(QUEUE)).unzip()
}

fn start<'s, T: Send + 's>(
    scope: &'s Scope<'s, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 's,
) -> ScopedJoinHandle<'s, T> {
    Builder::new().name(name.to_owned()).spawn_scoped(scope, work).expect("the system has threads to give")
}

fn emit(
    text: &Text,
    sentences: u64,
    splits: &[Sender<Tuple>],
    acker: Option<&Sender<Ack>>,
    outcomes: &Receiver<u64>,
) {
    let mut edges = Edges(1);
    let mut pending = 0;
    for number in 0..sentences {
        let (mut root, mut edge) = (0, 0);
        if let Some(acker) = acker {
            pending -= outcomes.try_iter().count() as u64;
            while pending >= PENDING_MAX {
                outcomes.recv().expect("the acker outlives its trees");
                pending -= 1;
            }
            (root, edge) = (edges.draw(), edges.draw());
            pending += 1;
            send(acker, Ack { root, xor: edge, is_init: true });
        }
        let values = vec![Value::Str(Arc::from(text.sentence(number)))];
        send(&splits[number as usize % splits.len()], Tuple { values, root, edge });
    }
    for _ in 0..pending {
        outcomes.recv().expect("the acker outlives its trees");
    }
}

fn split(input: &Receiver<Tuple>, counts: &[Sender<Tuple>], acker: Option<&Sender<Ack>>, mut edges: Edges) {
    for tuple in input {
        let mut xor = tuple.edge;
        each_word(tuple.values[0].text(), |word| {
            let mut edge = 0;
            if acker.is_some() {
                edge = edges.draw();
                xor ^= edge;
            }
            let values = vec![Value::Str(Arc::from(word))];
            send(by_field(counts, word), Tuple { values, root: tuple.root, edge });
        });
        if let Some(acker) = acker {
            send(acker, Ack { root: tuple.root, xor, is_init: false });
        }
    }
}

/// The executor that counts this word.
fn by_field<'a>(counts: &'a [Sender<Tuple>], word: &str) -> &'a Sender<Tuple> {
    match counts {
        [only] => only,
        several => {
            let hash = BuildHasherDefault::<DefaultHasher>::new().hash_one(word);
            &several[hash as usize % several.len()]
        }
    }
}

fn count(input: &Receiver<Tuple>, acker: Option<&Sender<Ack>>) -> HashMap<Arc<str>, u64> {
    let mut counts = HashMap::new();
    for tuple in input {
        *counts.entry(tuple.values[0].text().clone()).or_default() += 1;
        if let Some(acker) = acker {
            send(acker, Ack { root: tuple.root, xor: tuple.edge, is_init: false });
        }
    }
    counts
}

/// Tells the spout each tree whose edges have all been made and acked.
fn ack(acks: &Receiver<Ack>, spout: &Sender<u64>) {
    let mut trees: HashMap<u64, (u64, bool)> = HashMap::new();
    for Ack { root, xor, is_init } in acks {
        let (left, is_known) = trees.entry(root).or_default();
        *left ^= xor;
        *is_known |= is_init;
        if *left == 0 && *is_known {
            trees.remove(&root);
            spout.send(root).expect("the spout waits for its trees");
        }
    }
}

fn send<T>(queue: &Sender<T>, message: T) {
    assert!(queue.send(message).is_ok(), "who receives outlives who sends");
}

/// Random ids that are not 0 (`SplitMix64`).
struct Edges(u64);

impl Edges {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) | 1
    }
}
