//! Runs the binary and looks at its samples.

use bounded_input::testing::run;

#[test]
fn even_digits_are_multiplied_by_ten() {
    let shown = run(env!("CARGO_BIN_EXE_random-digit"), ["--seconds", "1"]).assert_success().stdout;
    assert!(shown.lines().count() >= 2, "{shown}");
    let expected = ["0 * 10 = 0", "2 * 10 = 20", "4 * 10 = 40", "6 * 10 = 60", "8 * 10 = 80"];
    assert!(shown.lines().all(|line| expected.contains(&line)), "{shown}");
}
