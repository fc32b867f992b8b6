use expect_test::{Expect, expect};

use super::*;

fn check(text: &str, expected: Expect) {
    let shown = match parse_document(text) {
        Ok(lines) => lines
            .iter()
            .map(|line| format!("{}: {} = {}", line.line, line.key, line.value))
            .collect::<Vec<_>>(),
        Err(problems) => {
            problems.iter().map(|problem| format!("{}: {}", problem.line, problem.reason)).collect()
        }
    };
    expected.assert_eq(&shown.join("\n"));
}

#[test]
fn scalars_mean_what_they_mean_to_storm() {
    check(
        "a: yes\nb: 'yes'\nc: 1_000\nd: 010\ne: 1e3\nf: 0x10\ng: ~\nh: 1:30\ni: 2024-01-01\nj: -3\n\
         k: .5\nl: 5.0\nm: nanosecond\nn: .\no: !!str 5",
        expect![[r#"
            1: a = true
            2: b = "yes"
            3: c = 1000
            4: d = "010"
            5: e = 1000.0
            6: f = 16
            7: g = null
            8: h = "1:30"
            9: i = "2024-01-01"
            10: j = -3
            11: k = 0.5
            12: l = 5.0
            13: m = "nanosecond"
            14: n = "."
            15: o = "5""#]],
    );
}

#[test]
fn lists_maps_and_aliases_become_values() {
    check(
        "# a comment\nseeds: &s [one, two]\nagain: *s\nmap:\n  x: 1\n  y:\n    - z\n",
        expect![[r#"
            2: seeds = ["one","two"]
            3: again = ["one","two"]
            4: map = {"x":1,"y":["z"]}"#]],
    );
    check("", expect![""]);
    check("# only a comment\n", expect![""]);
}

#[test]
fn all_duplicates_are_found() {
    check(
        "a: 1\nb: 2\na: 3\nb: 4\nm:\n  x: 1\n  x: 2\n",
        expect![[r#"
            3: has the key 'a' twice, first in line 1: remove one
            4: has the key 'b' twice, first in line 2: remove one
            7: has the key 'x' twice: remove one"#]],
    );
}

#[test]
fn keys_are_strings() {
    check("6700: a\n", expect!["1: has the number 6700 for a key: put it in quotes"]);
    check("on: a\n", expect!["1: has the truth value true for a key: put it in quotes"]);
    check("? [a]\n: b\n", expect!["1: has a list or map for a key: use a string"]);
    check("m: &m {a: 1}\nn:\n  <<: *m\n", expect!["3: uses the merge key '<<': copy it"]);
}

#[test]
fn a_document_is_one_map() {
    check("- a\n- b\n", expect![[r#"1: holds the list ["a","b"], not a map: write 'key: value' lines"#]]);
    check("a\n", expect!["1: holds the string 'a', not a map: write 'key: value' lines"]);
    check("a: 1\n---\nb: 1\n", expect!["2: starts a second document: keep one per file"]);
}

#[test]
fn broken_text_names_its_line() {
    check("a: 1\nb: [1, 2\n", expect!["3: is not YAML: while parsing a flow sequence, expected ',' or ']'"]);
    check("a: 1\nb: .nan\n", expect!["2: has the number .nan, which is not a finite one"]);
    check("a: !mine 1\n", expect!["1: has the unknown tag '!mine'"]);
    check("a: *nowhere\n", expect!["1: is not YAML: while parsing node, found unknown anchor"]);
}

#[test]
fn bombs_are_refused() {
    check(&format!("a: {}", "[".repeat(100)), expect!["1: is nested more than 64 deep"]);
    check(&"- ".repeat(100), expect!["1: is nested more than 64 deep"]);
    check(&"[".repeat(1000), expect!["1: is not YAML: recursion limit exceeded"]);
    let line = |i: usize| format!("a{i}: &a{i} [{}]", vec![format!("*a{}", i - 1); 10].join(", "));
    let bomb: Vec<_> = ["a0: &a0 [x, y]".to_owned()].into_iter().chain((1..10).map(line)).collect();
    check(&bomb.join("\n"), expect!["6: has more than 100000 values, aliases counted in full"]);
}
