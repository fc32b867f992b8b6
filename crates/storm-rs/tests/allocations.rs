//! What the engine allocates while tuples flow: next to nothing. Batches, ack buffers, ledger slots and
//! keys are used again; what is left is counted here.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and its numbers are worth reading"
)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use storm_rs::engine::stepped::Stepped;
use storm_rs::engine::{ComponentSettings, ErrorKind, Event, Options, Run, Settings, VirtualClock};
use storm_rs::prelude::*;
use storm_rs::{ComponentId, Time};

/// The system's allocator, which counts.
mod counting {
    #![expect(unsafe_code, reason = "an allocator cannot be written without")]

    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    static COUNT: AtomicU64 = AtomicU64::new(0);

    thread_local! {
        /// Const and without a destructor, so that reading it does not allocate.
        static IS_EXEMPT: Cell<bool> = const { Cell::new(false) };
    }

    struct Counting;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    fn count() {
        if !IS_EXEMPT.get() {
            COUNT.fetch_add(1, Relaxed);
        }
    }

    // SAFETY: all of it is the system's allocator; counting touches no memory of others.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            count();
            // SAFETY: the caller's promise, passed on.
            unsafe { System.alloc(layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            count();
            // SAFETY: the caller's promise, passed on.
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn realloc(&self, place: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
            count();
            // SAFETY: the caller's promise, passed on.
            unsafe { System.realloc(place, layout, new_size) }
        }

        unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
            // SAFETY: the caller's promise, passed on.
            unsafe { System.dealloc(place, layout) }
        }
    }

    /// Allocations of all threads but those that are exempt, since the process began.
    pub(super) fn allocations() -> u64 {
        COUNT.load(Relaxed)
    }

    /// The allocations of this thread are not counted.
    pub(super) fn exempt_this_thread() {
        IS_EXEMPT.set(true);
    }
}

/// Counts are of the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Words until everything has its size.
const WARM_UP: u64 = 1_000_000;
/// Words over which allocations are counted, each time.
const WORDS: u64 = 250_000;
/// How often; the least counts: a machine that is busy with something else makes batches smaller,
/// and more of them.
const TIMES: usize = 4;
/// So many words make the thread of the test look.
const LOOK: u64 = 1 << 14;

/// Every word fits into its slot of a row.
const SENTENCES: [&str; 5] = [
    "the cow jumped over the moon",
    "an apple a day keeps the doctor away",
    "four score and seven years ago",
    "snow white and the seven dwarfs",
    "i am at two with nature",
];

/// Emits sentences without end.
struct Sentences {
    is_tracked: bool,
    next: usize,
}

impl Spout for Sentences {
    type MessageId = usize;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["sentence"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, usize>) -> Result<Next, SpoutError> {
        let sentence = SENTENCES[self.next % SENTENCES.len()];
        if self.is_tracked {
            out.emit_tracked(self.next, (sentence,));
        } else {
            out.emit((sentence,));
        }
        self.next += 1;
        Ok(Next::Emitted)
    }
}

struct Split;

impl Bolt for Split {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["word"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        input.get::<&str>("sentence")?.split(' ').for_each(|word| out.emit((word,)));
        Ok(())
    }
}

/// Counts words in a map, which has all of them after the first sentences.
struct Count {
    counts: HashMap<String, u64>,
    /// Words of all tasks.
    words: Arc<AtomicU64>,
    /// Who waits for them.
    test: Thread,
}

impl Bolt for Count {
    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let word = input.get::<&str>("word")?;
        match self.counts.get_mut(word) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(word.to_owned(), 1)),
        }
        if self.words.fetch_add(1, Relaxed).is_multiple_of(LOOK) {
            self.test.unpark();
        }
        Ok(())
    }
}

fn word_count(is_tracked: bool, parallelism: u32) -> (Topology, Arc<AtomicU64>) {
    let words = Arc::<AtomicU64>::default();
    let mut t = TopologyBuilder::new();
    t.set_spout("sentences", move || Sentences { is_tracked, next: 0 }, parallelism);
    t.set_bolt("split", || Split, parallelism).shuffle_grouping("sentences");
    let (counted, test) = (words.clone(), thread::current());
    let count = move || Count { counts: HashMap::new(), words: counted.clone(), test: test.clone() };
    t.set_bolt("count", count, parallelism).fields_grouping("split", ["word"]);
    (t.build().unwrap(), words)
}

/// Few pending trees: the ledger has its size when the warm-up is over.
fn settings(threads: Option<u32>) -> Settings {
    let sentences = ComponentSettings { max_spout_pending: 1000, ..Default::default() };
    let mut settings = Settings { threads, ..Settings::default() };
    settings.components.insert(ComponentId::from("sentences"), sentences);
    settings
}

/// Counts allocations over some words; `go_to` returns when there are so many.
///
/// Why it is not none at all: a lane takes new memory for every 31 batches that go through it, a
/// batch or an ack buffer is made anew where the used ones are all on their way, and once a second a
/// shuffle looks at loads. All of that is per batch or per second, not per tuple.
#[track_caller]
fn check(what: &str, words: &AtomicU64, words_per_allocation: u64, mut go_to: impl FnMut(u64)) {
    go_to(WARM_UP);
    let mut counts: Vec<(u64, u64)> = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let (allocations, begin) = (counting::allocations(), words.load(Relaxed));
        go_to(begin + WORDS);
        counts.push((counting::allocations() - allocations, words.load(Relaxed) - begin));
    }
    println!("{what}: (allocations, words) {counts:?}");
    let is_none_per_tuple = counts.iter().any(|(count, words)| count * words_per_allocation < *words);
    assert!(is_none_per_tuple, "{what}: (allocations, words) {counts:?}");
}

fn on_threads(is_tracked: bool, threads: Option<u32>, parallelism: u32) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    counting::exempt_this_thread();
    let (topology, words) = word_count(is_tracked, parallelism);
    let options = Options { name: "allocations".to_owned(), seed: 1, is_active: true };
    let mut run = Run::start(topology, settings(threads), options).unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let tracked = if is_tracked { "tracked" } else { "untracked" };
    let what = format!("{tracked}, {threads:?} threads, parallelism {parallelism}");
    // How many rows a batch has is up to the machine; a tuple that allocates would be above 1.
    check(&what, &words, 50, |count| {
        while words.load(Relaxed) < count {
            assert!(Instant::now() < deadline, "{what}: no more than {words:?} words");
            thread::park_timeout(Duration::from_secs(1));
        }
    });
    run.stop();
    while let Some(event) = run.next_event(Duration::ZERO) {
        // A thread that the machine holds up may be taken for one that blocks.
        let is_slow = matches!(&event, Event::Error(e) if e.kind == ErrorKind::Slow);
        assert!(is_slow || !matches!(event, Event::Error(_)), "{event:?}");
    }
}

#[test]
fn untracked_words_need_no_memory_of_their_own() {
    for threads in [None, Some(1), Some(2)] {
        on_threads(false, threads, 1);
        on_threads(false, threads, 3);
    }
}

#[test]
fn tracked_words_need_no_memory_of_their_own() {
    for threads in [None, Some(1), Some(2)] {
        on_threads(true, threads, 1);
        on_threads(true, threads, 3);
    }
}

/// The same number each time.
#[test]
fn steps_need_no_memory_of_their_own() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for is_tracked in [false, true] {
        let (topology, words) = word_count(is_tracked, 1);
        let clock = Arc::new(VirtualClock::new());
        let mut run = Stepped::start(topology, settings(None), clock, 1).unwrap();
        let what = if is_tracked { "tracked, stepped" } else { "untracked, stepped" };
        // The steps are made in an order that is drawn anew, into a new list, for some rows each.
        check(what, &words, 10, |count| {
            assert!(run.run_while(Time::from_secs(36_000), |_| words.load(Relaxed) < count));
        });
    }
}
