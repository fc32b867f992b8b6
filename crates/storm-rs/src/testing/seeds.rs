//! The same test with many seeds.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs a test with each seed; when one fails, prints which, and fails.
///
/// `STORM_RS_SEED=N` in the environment runs that seed alone, to look at it again.
#[expect(clippy::print_stderr, reason = "the test runner shows it with the failure")]
pub fn for_each_seed(seeds: impl IntoIterator<Item = u64>, mut test: impl FnMut(u64)) {
    if let Some(seed) = std::env::var("STORM_RS_SEED").ok().and_then(|s| s.parse().ok()) {
        test(seed);
        return;
    }
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(seed))) {
            eprintln!(
                "failed with seed {seed}; to see it again: STORM_RS_SEED={seed} cargo test NAME_OF_THE_TEST"
            );
            resume_unwind(panic);
        }
    }
}
