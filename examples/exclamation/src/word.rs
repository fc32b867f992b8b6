//! Emits names.

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use storm_rs::Time;
use storm_rs::prelude::*;

const NAMES: [&str; 5] = ["nathan", "mike", "jackson", "golda", "bertels"];
/// Pause between two names of a task, as in Storm's TestWordSpout.
const PAUSE: Duration = Duration::from_millis(100);

/// Emits a random name every 100 ms, untracked.
pub(crate) struct Word {
    seconds: Option<u64>,
    random: SmallRng,
    open: Option<Open>,
}

struct Open {
    next: Time,
    end: Time,
}

impl Word {
    /// Emits for so many seconds, or for ever.
    pub(crate) fn new(seconds: Option<u64>) -> Word {
        Word { seconds, random: SmallRng::from_os_rng(), open: None }
    }
}

impl Spout for Word {
    type MessageId = ();

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["word"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        let end = self.seconds.map_or(Time::MAX, |s| ctx.now() + Duration::from_secs(s));
        self.open = Some(Open { next: ctx.now(), end });
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, ()>) -> Result<Next, SpoutError> {
        let open = self.open.as_mut().expect("open comes before all else");
        let now = out.now();
        if open.end <= now {
            return Ok(Next::Done);
        }
        if open.next <= now {
            open.next = now + PAUSE;
            out.emit((*NAMES.choose(&mut self.random).expect("there are names"),));
        }
        Ok(Next::Until(open.next.min(open.end)))
    }
}

#[cfg(test)]
mod tests {
    use storm_rs::testing::SpoutTest;

    use super::*;

    #[test]
    fn a_name_comes_every_100_ms_until_the_time_is_over() {
        let mut word = SpoutTest::new(Word::new(Some(1)));
        for _ in 0..20 {
            word.ask();
            word.advance(PAUSE / 2);
        }
        assert_eq!(word.emits().len(), 10);
        assert_eq!(word.ask().next(), Some(Next::Done));
    }
}
