//! Emits random digits.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use storm_rs::Time;
use storm_rs::prelude::*;

/// Pause between two digits of a task.
const PAUSE: Duration = Duration::from_millis(10);

/// Emits a digit every 10 ms, tracked: one that fails is emitted again.
pub(crate) struct Digit {
    seconds: Option<u64>,
    random: SmallRng,
    again: Vec<u8>,
    open: Option<Open>,
}

struct Open {
    next: Time,
    end: Time,
}

impl Digit {
    /// Emits for so many seconds, or for ever.
    pub(crate) fn new(seconds: Option<u64>) -> Digit {
        Digit { seconds, random: SmallRng::from_os_rng(), again: Vec::new(), open: None }
    }
}

impl Spout for Digit {
    // A digit is all that is needed to emit it again.
    type MessageId = u8;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["digit"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        let end = self.seconds.map_or(Time::MAX, |s| ctx.now() + Duration::from_secs(s));
        self.open = Some(Open { next: ctx.now(), end });
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutOutput<'_, u8>) -> Result<Next, SpoutError> {
        if let Some(digit) = self.again.pop() {
            out.emit_tracked(digit, (digit,));
            return Ok(Next::Emitted);
        }
        let open = self.open.as_mut().expect("open comes before all else");
        let now = out.now();
        if open.end <= now {
            return Ok(Next::Done);
        }
        if open.next <= now {
            open.next = now + PAUSE;
            let digit = self.random.random_range(0..10);
            out.emit_tracked(digit, (digit,));
        }
        Ok(Next::Until(open.next.min(open.end)))
    }

    fn fail(&mut self, digit: u8, _: FailCause) {
        self.again.push(digit);
    }
}

#[cfg(test)]
mod tests {
    use storm_rs::testing::SpoutTest;

    use super::*;

    #[test]
    fn a_digit_that_fails_is_emitted_again() {
        let mut spout = SpoutTest::new(Digit::new(None));
        let first = spout.ask();
        assert_eq!(spout.ask().emitted().len(), 0, "not before the pause is over");
        spout.fail(first.pending()[0], FailCause::Timeout);
        assert_eq!(spout.ask().emitted(), first.emitted());
        spout.advance(PAUSE);
        assert_eq!(spout.ask().emitted().len(), 1);
    }
}
