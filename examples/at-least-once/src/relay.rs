//! A bolt that cannot be relied on.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use storm_rs::prelude::*;

/// One failure in so many is a panic.
const PANICS_1_IN: u32 = 10;

/// Passes on what it gets unless it fails, which it draws anew at each attempt.
pub(crate) struct Relay {
    fail_rate: f64,
    random: SmallRng,
}

impl Relay {
    /// Fails with this probability.
    pub(crate) fn new(fail_rate: f64) -> Relay {
        Relay { fail_rate, random: SmallRng::from_os_rng() }
    }
}

impl Bolt for Relay {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["number"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        if self.random.random_bool(self.fail_rate) {
            assert!(!self.random.random_ratio(1, PANICS_1_IN), "a panic by chance, as --fail-rate asked for");
            return Err(BoltError::quiet("a failure by chance, as --fail-rate asked for"));
        }
        out.emit(input);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use storm_rs::testing::BoltTest;

    use super::*;

    #[test]
    fn a_number_passes_at_a_rate_of_0() {
        let mut relay = BoltTest::new(Relay::new(0.0)).input("source", ["number"]);
        assert_eq!(relay.execute((7,)).assert_acked().emitted(), [values![7]]);
    }
}
