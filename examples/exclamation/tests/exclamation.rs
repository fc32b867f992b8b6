//! Runs the binary and looks at its samples.

use bounded_input::testing::run;

const NAMES: [&str; 5] = ["nathan", "mike", "jackson", "golda", "bertels"];

#[test]
fn names_are_exclaimed_twice() {
    let shown = run(env!("CARGO_BIN_EXE_exclamation"), ["--seconds", "1"]).assert_success().stdout;
    assert!(shown.lines().count() >= 2, "{shown}");
    for line in shown.lines() {
        let name = line.strip_suffix("!!!!!!").unwrap_or_else(|| panic!("{line}"));
        assert!(NAMES.contains(&name), "{line}");
    }
}
