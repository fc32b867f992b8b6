//! What goes over one line between two workers.

use std::sync::Arc;
use std::time::Duration;

use storm_rs::engine::Run;
use storm_rs::prelude::*;

use super::Lengths;
use super::error::Error;
use super::figure::Figure;
use super::halves::Halves;
use crate::constant::Null;
use crate::data::Text;
use crate::meter::{Meter, Sample};
use crate::rows::at_least;
use crate::running;
use crate::word_count::{self, Layout};

/// Different words, a power of two.
const WORDS: usize = 1024;
/// Bytes of a word.
const WORD_BYTES: usize = 20;
/// How long it runs before it is measured, at least.
const WARM_UP: Duration = Duration::from_millis(500);

/// Untracked words of 20 bytes from a spout in one worker to a bolt in another that does nothing.
pub(super) fn constant(lengths: Lengths) -> Result<Vec<Figure>, Error> {
    let make = || {
        let mut t = TopologyBuilder::new();
        t.set_spout("words", || Words { words: words(), next: 0 }, 1);
        t.set_bolt("null", || Null, 1).shuffle_grouping("words");
        t.build().expect("the topology is sound")
    };
    let far = far_rate(make, &["words"], "null", lengths.fast)?;
    let near = near_rate(make(), "null", lengths.fast);
    let foreign = far.foreign.max(near.foreign);
    let [rate, ratio] = [far.items_per_sec() / 1e6, far.items_per_sec() / near.items_per_sec()];
    let wanted = at_least(8.0, 15.0, 30.0);
    Ok(vec![
        Figure::new("one data connection, 20-byte words", " M tuples/s", wanted, rate, far.foreign),
        Figure::new("one data connection, of the same in one process", "", None, ratio, foreign),
        Figure::new("one data connection, CPU per tuple", " ns", None, far.cpu_ns(), far.foreign),
        Figure::new("the same in one process, CPU per tuple", " ns", None, near.cpu_ns(), near.foreign),
    ])
}

/// Word count whose words change workers, against that in one worker; untracked.
pub(super) fn word_count(lengths: Lengths) -> Result<Vec<Figure>, Error> {
    let text = Text::generate();
    let make = || word_count::topology(&text, u64::MAX, Layout::ONE_ONE, false, &Arc::default());
    let two = far_rate(make, &["sentences", "split"], "count", lengths.fast)?;
    let one = near_rate(make(), "count", lengths.fast);
    let foreign = one.foreign.max(two.foreign);
    let name = "word count 1-1-1, words to another worker, rate of that in one process";
    Ok(vec![
        Figure::new(name, "", None, two.items_per_sec() / one.items_per_sec(), foreign),
        Figure::new(
            "word count 1-1-1, words to another worker, CPU of that in one process",
            "",
            None,
            two.cpu_ns() / one.cpu_ns(),
            foreign,
        ),
    ])
}

/// Tuples that a bolt in the second worker takes, once all is warm.
fn far_rate(make: impl Fn() -> Topology, near: &[&str], bolt: &str, time: Duration) -> Result<Sample, Error> {
    let halves = Halves::start(make, near)?;
    halves.run_for(WARM_UP.max(time / 4));
    let executed = || halves.far().sum(bolt, |task| task.executed());
    let (meter, before) = (Meter::start(), executed());
    halves.run_for(time);
    let sample = meter.stop(executed() - before);
    halves.stop();
    Ok(sample)
}

/// The same where there is one worker.
fn near_rate(topology: Topology, bolt: &str, time: Duration) -> Sample {
    let mut run = running::start(topology);
    running::run_for(&run, WARM_UP.max(time / 4));
    let executed = |run: &Run| run.snapshot(Duration::from_secs(10)).sum(bolt, |task| task.executed());
    let (meter, before) = (Meter::start(), executed(&run));
    running::run_for(&run, time);
    let sample = meter.stop(executed(&run) - before);
    run.stop();
    sample
}

fn words() -> Arc<[String]> {
    (0..WORDS).map(|number| format!("{number:0>WORD_BYTES$}")).collect()
}

/// Emits words as fast as it can.
struct Words {
    words: Arc<[String]>,
    next: usize,
}

impl Spout for Words {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["word"]);
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, ()>) -> Result<Next, SpoutError> {
        out.emit((self.words[self.next % WORDS].as_str(),));
        self.next += 1;
        Ok(Next::Emitted)
    }
}
