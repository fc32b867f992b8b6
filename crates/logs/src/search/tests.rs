//! Searches against naive ones.

use std::fs;

use proptest::prelude::*;

use super::*;

const ALL: usize = usize::MAX;

struct Log(tempfile::TempDir);

impl Log {
    fn of(bytes: &[u8]) -> Log {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("log"), bytes).unwrap();
        Log(directory)
    }

    fn search(&self, pattern: &Pattern, start: u64, most: usize, block: usize) -> Matches {
        let log = File::open(self.0.path().join("log")).unwrap();
        pattern.search_in_blocks(log, start, most, &|| false, block).unwrap()
    }

    /// Page after page.
    fn search_in_pages(&self, pattern: &Pattern, most: usize, block: usize) -> Vec<Match> {
        let (mut all, mut start) = (Vec::new(), 0);
        loop {
            let found = self.search(pattern, start, most, block);
            assert!(found.matches.len() <= most);
            all.extend(found.matches);
            match found.next {
                Some(next) => start = next,
                None => return all,
            }
        }
    }
}

fn text(text: &str) -> Pattern {
    Pattern::new(text, false, false).unwrap()
}

fn regex(text: &str) -> Pattern {
    Pattern::new(text, true, false).unwrap()
}

fn offsets(matches: &[Match]) -> Vec<u64> {
    matches.iter().map(|found| found.offset).collect()
}

/// Where a text stands, found in the simplest way.
fn naive(bytes: &[u8], text: &str, ignore_case: bool) -> Vec<u64> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(here) = bytes.get(at..at + text.len()) {
        let is_same = here == text.as_bytes() || (ignore_case && here.eq_ignore_ascii_case(text.as_bytes()));
        found.extend(is_same.then_some(at as u64));
        at += if is_same { text.len() } else { 1 };
    }
    found
}

fn naive_lines(bytes: &[u8], regex: &Regex) -> Vec<u64> {
    let mut start = 0;
    let mut found = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let bare = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        found.extend(regex.find_iter(bare).filter(|m| !m.is_empty()).map(|m| (start + m.start()) as u64));
        start += line.len();
    }
    found
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let some = prop_oneof![
        4 => Just(&b"a"[..]), 2 => Just(&b"b"[..]), 1 => Just(&b"A"[..]), 1 => Just(&b"\n"[..]),
        1 => Just("ü".as_bytes()), 1 => Just(&b"\xc3"[..]), 1 => Just(&b"\xff"[..]), 1 => Just(&b"\r\n"[..]),
    ];
    prop::collection::vec(some, 0..300).prop_map(|some| some.concat())
}

proptest! {
    #[test]
    fn a_text_is_found_as_a_naive_search_finds_it(
        bytes in bytes(),
        wanted in "[aabAü\n]{1,4}",
        ignore_case: bool,
        block in 1..200_usize,
        page in 1..4_usize,
    ) {
        let log = Log::of(&bytes);
        let pattern = Pattern::new(&wanted, false, ignore_case).unwrap();
        let found = log.search(&pattern, 0, ALL, block);
        prop_assert_eq!(offsets(&found.matches), naive(&bytes, &wanted, ignore_case));
        prop_assert_eq!(found.next, None);
        for found in &found.matches {
            let (start, end) = (found.offset as usize, found.offset as usize + wanted.len());
            let before = lossy(from_border(&bytes[start.saturating_sub(CONTEXT)..start]));
            prop_assert_eq!((&found.text, &found.before), (&lossy(&bytes[start..end]), &before));
            let after = &bytes[end..bytes.len().min(end + CONTEXT)];
            prop_assert!(lossy(after).starts_with(&found.after) && found.after.len() + 3 >= after.len());
        }
        prop_assert_eq!(log.search_in_pages(&pattern, page, block), found.matches);
    }

    #[test]
    fn a_regex_is_found_as_a_naive_search_finds_it(
        bytes in bytes(),
        wanted in prop_oneof![
            Just("a+b"), Just("^a"), Just("b$"), Just(r"\ba"), Just("ü."), Just("(?i)ab"), Just("a*"), Just(".+"),
            Just(r"(?-u)\xff"), Just(r"\s"), Just("a|^b|$"),
        ],
        block in 1..200_usize,
        page in 1..4_usize,
    ) {
        let log = Log::of(&bytes);
        let pattern = regex(wanted);
        let found = log.search(&pattern, 0, ALL, block);
        prop_assert_eq!(offsets(&found.matches), naive_lines(&bytes, &pattern.regex));
        prop_assert_eq!(log.search_in_pages(&pattern, page, block), found.matches);
    }

    #[test]
    fn borders_cut_no_character(text in "[aü€😀]{0,8}", start in 0..20_usize, end in 0..20_usize) {
        let (end, bytes) = (end.min(text.len()), text.as_bytes());
        let cut = &bytes[start.min(end)..end];
        prop_assert!(std::str::from_utf8(to_border(from_border(cut))).is_ok());
        prop_assert!(cut.len() - to_border(from_border(cut)).len() <= 6);
    }
}

#[test]
fn a_match_shows_what_is_around_it() {
    let bytes = ["ü".repeat(100), "needle".to_owned(), "€".repeat(100)].concat();
    let found = Log::of(bytes.as_bytes()).search(&text("needle"), 0, 10, BLOCK);
    let wanted =
        Match { offset: 200, before: "ü".repeat(64), text: "needle".into(), after: "€".repeat(42) };
    assert_eq!(found, Matches { matches: vec![wanted], next: None });
}

#[test]
fn a_search_begins_where_it_is_told() {
    let log = Log::of(b"ab ab\nab ab\n");
    assert_eq!(offsets(&log.search(&text("ab"), 1, ALL, 4).matches), [3, 6, 9]);
    assert_eq!(offsets(&log.search(&regex("^ab"), 1, ALL, 4).matches), [6]);
    assert_eq!(log.search(&regex("ab"), 0, 2, 4).next, Some(5));
    for pattern in [text("ab"), regex("ab")] {
        assert_eq!(log.search(&pattern, 12, ALL, 4), Matches::default());
        assert_eq!(log.search(&pattern, u64::MAX / 4, ALL, 4), Matches::default());
    }
}

#[test]
fn a_long_line_takes_no_more_memory_than_a_part_of_it() {
    let mut bytes = vec![b'x'; 5 * MAX_LINE];
    bytes[3 * MAX_LINE + 7] = b'y';
    let log = Log::of(&bytes);
    let found = log.search(&regex("xyx"), 0, ALL, BLOCK);
    assert_eq!(offsets(&found.matches), [3 * MAX_LINE as u64 + 6]);
    let found = log.search(&regex("y"), 2 * MAX_LINE as u64 + 9, ALL, BLOCK);
    assert_eq!(offsets(&found.matches), [3 * MAX_LINE as u64 + 7]);
    let all = log.search(&regex("^.*$"), 0, ALL, BLOCK).matches;
    assert_eq!(all.len(), 5);
    assert!(all.iter().all(|found| found.text.len() == SHOWN));
}

#[test]
fn a_search_that_nobody_wants_ends() {
    let log = Log::of(b"ab ab");
    let file = File::open(log.0.path().join("log")).unwrap();
    let found = text("ab").search_in_blocks(file, 0, ALL, &|| true, 4).unwrap();
    assert_eq!(found, Matches::default());
}

#[test]
fn a_bad_pattern_is_refused() {
    let refused = |text: &str| Pattern::new(text, true, false).unwrap_err().to_string();
    assert_eq!(refused(""), "cannot search for this: it is empty");
    assert!(refused("(a").starts_with("cannot search for this: this is no regular expression: "));
    assert!(refused("(a").contains("unclosed group"));
    assert_eq!(refused(r"\w{1000}"), "cannot search for this: the regular expression is too large");
    assert_eq!(refused(&"a".repeat(1025)), "cannot search for this: it has 1025 bytes, and 1024 are allowed");
    assert!(Pattern::new("(a", false, true).is_ok());
}
