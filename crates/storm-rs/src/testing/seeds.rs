//! The same test with many seeds.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

/// The variable that has one seed alone tried.
const VARIABLE: &str = "STORM_RS_SEED";

/// Runs a test with each seed; when one fails, prints which and how to run it alone, and fails.
///
/// `STORM_RS_SEED=N` in the environment runs that seed alone, to look at it again.
///
/// # Panics
/// As the test does; when `STORM_RS_SEED` is not a number.
#[expect(clippy::print_stderr, reason = "the test runner shows it with the failure")]
#[track_caller]
pub fn for_each_seed(seeds: impl IntoIterator<Item = u64>, mut test: impl FnMut(u64)) {
    if let Ok(text) = std::env::var(VARIABLE) {
        let seed = text.trim().parse().unwrap_or_else(|_| panic!("{VARIABLE} is '{text}', which is no seed"));
        test(seed);
        return;
    }
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(seed))) {
            eprintln!("{}", how_to_repeat(seed, thread::current().name()));
            resume_unwind(panic);
        }
    }
}

/// The test runner names the thread of a test after the test.
fn how_to_repeat(seed: u64, thread: Option<&str>) -> String {
    let test = thread.filter(|name| *name != "main").unwrap_or("NAME_OF_THE_TEST");
    format!("failed with seed {seed}; to see it again: {VARIABLE}={seed} cargo test {test}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_names_seed_and_test() {
        let command = how_to_repeat(7, thread::current().name());
        let expected = "STORM_RS_SEED=7 cargo test testing::seeds::tests::the_command_names_seed_and_test";
        // One thread for all tests has no name of a test.
        let unnamed = how_to_repeat(7, Some("main"));
        assert!(command.ends_with(expected) || command == unnamed, "{command}");
        assert!(unnamed.ends_with(" STORM_RS_SEED=7 cargo test NAME_OF_THE_TEST"), "{unnamed}");
    }
}
