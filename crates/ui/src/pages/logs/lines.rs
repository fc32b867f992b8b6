//! Lines of a log as markup. What stands in a log is hostile until it is escaped.

use std::ops::Range;

use crate::draw::{Html, escape};

/// Lines from the byte `offset` on, each a span by its level; `hit` are the bytes to mark. Lines without
/// `grep` are left out.
pub(super) fn markup(bytes: &[u8], offset: u64, hit: Option<Range<u64>>, grep: &str) -> Html {
    let mut html = Html::new();
    let mut at = offset;
    let mut level = "";
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        // A line without a level of its own goes on with the one before: traces of errors.
        level = level_of(text).unwrap_or(level);
        let end = at + text.len() as u64;
        if !grep.is_empty() && !text.windows(grep.len()).any(|window| window == grep.as_bytes()) {
            at += line.len() as u64;
            continue;
        }
        html.put(format_args!(r#"<span class="l {level}" id="b{at}">"#));
        match hit.as_ref().filter(|hit| hit.start < end.max(at + 1) && hit.end > at) {
            Some(hit) => {
                let place = |byte: u64| (byte.clamp(at, end) - at) as usize;
                let (from, to) = (place(hit.start), place(hit.end));
                let part = |range: Range<usize>| {
                    escape(&String::from_utf8_lossy(text.get(range).unwrap_or_default()))
                };
                let marked = part(from..to);
                html.put(format_args!(
                    r#"{}<mark id="hit">{marked}</mark>{}"#,
                    part(0..from),
                    part(to..text.len())
                ));
            }
            None => html.put(format_args!("{}", escape(&String::from_utf8_lossy(text)))),
        }
        html.put(format_args!("\n</span>"));
        at += line.len() as u64;
    }
    html
}

/// Class of the level that a line names near its beginning.
fn level_of(line: &[u8]) -> Option<&'static str> {
    const NEAR: usize = 80;
    let start = line.get(..NEAR.min(line.len())).unwrap_or_default();
    let words = start.split(|byte| !byte.is_ascii_alphabetic());
    words.into_iter().find_map(|word| match word {
        b"ERROR" | b"FATAL" => Some("error"),
        b"WARN" | b"WARNING" => Some("warn"),
        b"INFO" => Some("info"),
        b"DEBUG" | b"TRACE" => Some("debug"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_class_of_its_level_and_so_have_those_that_go_on_with_it() {
        let html = markup(b"10:00 INFO a\n10:01 ERROR <b>\n  at x\n", 100, None, "").to_string();
        assert_eq!(
            html,
            "<span class=\"l info\" id=\"b100\">10:00 INFO a\n</span>\
             <span class=\"l error\" id=\"b113\">10:01 ERROR &lt;b&gt;\n</span>\
             <span class=\"l error\" id=\"b129\">  at x\n</span>"
        );
    }

    #[test]
    fn a_hit_is_marked_where_it_stands() {
        let html = markup(b"one\ntwo three\n", 0, Some(8..13), "").to_string();
        assert!(html.contains("two <mark id=\"hit\">three</mark>\n"), "{html}");
        // Beyond the lines there is nothing to mark, and nothing breaks.
        assert!(!markup(b"one\n", 0, Some(50..60), "").to_string().contains("mark"));
        assert!(
            markup(b"<script>", 0, Some(0..3), "").to_string().contains("<mark id=\"hit\">&lt;sc</mark>")
        );
    }

    #[test]
    fn lines_without_the_text_are_left_out_and_the_others_keep_their_places() {
        let html = markup(b"10:00 ERROR a\n  at b\n10:01 INFO b\n", 7, None, "b").to_string();
        assert_eq!(
            html,
            "<span class=\"l error\" id=\"b21\">  at b\n</span>\
             <span class=\"l info\" id=\"b28\">10:01 INFO b\n</span>"
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_all_the_same() {
        assert!(markup(b"\xff\xfe ok", 0, None, "").to_string().contains("ok"));
        assert!(markup(b"", 0, None, "").is_empty());
    }
}
