//! How long to wait before the next attempt to dial. Pure.

use std::time::Duration;

use rand::Rng;

/// Waits that double up to a limit, each shortened at random by up to half: so that the workers of a
/// topology do not dial a restarted one all at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new((first, longest): (Duration, Duration)) -> Backoff {
        Backoff { first, longest, next: first }
    }

    /// An attempt has failed: so long until the next.
    pub(crate) fn wait(&mut self, rng: &mut impl Rng) -> Duration {
        let wait = self.next.mul_f64(rng.random_range(0.5..=1.0));
        self.next = (self.next * 2).min(self.longest);
        wait
    }

    /// An attempt has succeeded.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let mut rng = SmallRng::seed_from_u64(1);
        let mut backoff = Backoff::new((Duration::from_millis(10), Duration::from_secs(1)));
        let mut expected = Duration::from_millis(10);
        for _ in 0..20 {
            let wait = backoff.wait(&mut rng);
            assert!(wait <= expected && wait * 2 >= expected, "{wait:?} is not near {expected:?}");
            expected = (expected * 2).min(Duration::from_secs(1));
        }
        backoff.reset();
        assert!(backoff.wait(&mut rng) <= Duration::from_millis(10));
    }
}
