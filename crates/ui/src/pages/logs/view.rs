//! A log, a page at a time, and its end as it grows.

use std::ops::Range;

use askama::Template;
use futures_util::StreamExt as _;

use crate::app::App;
use crate::draw::Html;
use crate::pages::logs::{File, known, lines};
use crate::pages::{Ask, Page, Trouble, text};
use crate::view::ClusterView;

/// Bytes of a page.
const LENGTH: u64 = 64 * 1024;
const LENGTH_MAX: u64 = 1024 * 1024;

#[derive(Template)]
#[template(path = "log.html")]
struct Log<'a> {
    root: &'a str,
    file: &'a File,
    query: String,
    role: &'static str,
    /// The topology whose log it is: name, id, and its id in links; empty for daemons.
    topology: String,
    topology_id: &'a str,
    topology_href: String,
    /// Whether its pages are there: logs outlive topologies.
    is_there: bool,
    /// Lines without this text are left out; empty: none are.
    grep: &'a str,
    /// The same page with all its lines.
    all: String,
    lines: Html,
    from: String,
    to: String,
    size: String,
    shown: String,
    first: Option<String>,
    prev: Option<String>,
    next: Option<String>,
    is_last: bool,
    end: u64,
}

/// What is read of a file.
struct Part {
    bytes: Vec<u8>,
    start: u64,
    size: u64,
}

/// Which part of a file is asked for.
#[derive(Clone, Debug, PartialEq)]
struct Wish {
    /// Its first byte; none: as many bytes as fit, up to the end of the file.
    start: Option<u64>,
    length: u64,
    /// It goes on where the page before ended, within a line.
    goes_on: bool,
    /// The bytes to mark.
    hit: Option<Range<u64>>,
}

impl Wish {
    fn new(ask: &Ask) -> Wish {
        let number = |name: &str| ask.get(name).parse::<u64>().ok();
        let length = number("length").unwrap_or(LENGTH).clamp(1_024, LENGTH_MAX);
        let hit = number("at").map(|at| at..at.saturating_add(number("len").unwrap_or(1).min(LENGTH)));
        // A hit stands in the middle of its page.
        let middle = hit.as_ref().map(|hit| hit.start.saturating_sub(length / 2));
        let start = number("start").or(middle);
        Wish { start, length, goes_on: !ask.get("goes_on").is_empty(), hit }
    }

    /// Where to begin to read, and how much: the byte before tells whether a line begins at the first one.
    fn range(&self) -> (i64, u64) {
        match self.start {
            Some(0) => (0, self.length),
            Some(start) => (i64::try_from(start - 1).unwrap_or(i64::MAX), self.length + 1),
            None => (-(self.length as i64) - 1, self.length + 1),
        }
    }
}

pub(crate) async fn page(app: &App, ask: &Ask) -> Result<Page, Trouble> {
    let file = File::new(&ask.query);
    let (view, daemon) = known(app, &file.address).await?;
    let wish = Wish::new(ask);
    let (start, length) = wish.range();
    let part = whole_lines(read(app, &file, start, length).await?, &wish);
    let title = format!("{} on {}", file.name, file.address);
    Ok(Page::still(title, &log(ask, &view, &file, daemon.role, part, wish)))
}

async fn read(app: &App, file: &File, start: i64, length: u64) -> Result<Part, Trouble> {
    let mut stream = app.source.read_file(&file.address, file.request(start, length)).await?;
    let mut read = Part { bytes: Vec::new(), start: start.max(0) as u64, size: 0 };
    let mut is_first = true;
    while let Some(part) = stream.next().await {
        let part = part?;
        if is_first {
            read.start = part.offset;
        }
        is_first = false;
        read.size = part.size;
        read.bytes.extend_from_slice(&part.data);
        if read.bytes.len() as u64 >= length {
            break;
        }
    }
    read.size = read.size.max(read.start + read.bytes.len() as u64);
    Ok(read)
}

/// Without the byte before, and without the parts of lines at both ends; the pages before and after have
/// them whole. What is to be marked stays.
fn whole_lines(mut part: Part, wish: &Wish) -> Part {
    let has_before = wish.start.map_or(part.start > 0, |start| start > 0);
    let mut begins = true;
    if has_before && let Some(before) = part.bytes.first() {
        begins = *before == b'\n' || wish.goes_on;
        part.bytes.drain(..1);
        part.start += 1;
    }
    let hit = wish.hit.as_ref();
    if !begins
        && let Some(end) = part.bytes.iter().position(|byte| *byte == b'\n')
        && end + 1 < part.bytes.len()
        && hit.is_none_or(|hit| part.start + (end as u64) < hit.start)
    {
        part.bytes.drain(..=end);
        part.start += end as u64 + 1;
    }
    if part.start + (part.bytes.len() as u64) < part.size
        && let Some(end) = part.bytes.iter().rposition(|byte| *byte == b'\n')
        && hit.is_none_or(|hit| hit.end <= part.start + end as u64 + 1)
    {
        part.bytes.truncate(end + 1);
    }
    part
}

fn log<'a>(
    ask: &'a Ask,
    view: &ClusterView,
    file: &'a File,
    role: &'static str,
    part: Part,
    wish: Wish,
) -> Log<'a> {
    let length = wish.length;
    let end = part.start + part.bytes.len() as u64;
    let grep = ask.get("grep");
    // What a line has left is on the next page, and is no line that was cut.
    let going_on = |goes_on: bool| if goes_on { "&goes_on=1" } else { "" };
    let is_cut = part.bytes.last().is_some_and(|byte| *byte != b'\n');
    let all = format!("{}&start={}&length={length}{}", file.query(), part.start, going_on(wish.goes_on));
    let query = match grep {
        "" => file.query(),
        grep => format!("{}&grep={}", file.query(), text::encoded(grep)),
    };
    let link = |start: u64| format!("{query}&start={start}&length={length}");
    let id = if file.is_daemon { "" } else { file.name.split('/').next().unwrap_or_default() };
    let topology = view.topologies.iter().find(|topology| topology.id == id);
    Log {
        root: &ask.root,
        role,
        topology: topology.map_or_else(|| name_of(id).to_owned(), |topology| topology.name.clone()),
        topology_id: id,
        topology_href: text::encoded(id),
        is_there: topology.is_some(),
        grep,
        all,
        lines: lines::markup(&part.bytes, part.start, wish.hit, grep),
        from: text::exact(part.start),
        to: text::exact(end),
        size: text::exact(part.size),
        shown: text::bytes(part.size),
        first: (part.start > 0).then(|| link(0)),
        prev: (part.start > 0).then(|| link(part.start.saturating_sub(length))),
        next: (end < part.size).then(|| link(end) + going_on(is_cut)),
        is_last: end >= part.size,
        end,
        file,
        query,
    }
}

/// The name of a topology that is gone: its id is `name-number-seconds`.
fn name_of(id: &str) -> &str {
    let mut parts = id.rsplitn(3, '-');
    let is_number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u64>().is_ok());
    let is_id = is_number(parts.next()) && is_number(parts.next());
    parts.next().filter(|_| is_id).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(query: &str) -> Wish {
        Wish::new(&Ask::new(&format!("/logs/view?{query}").parse().unwrap(), "").unwrap())
    }

    /// What a page shows of a file, and where that begins.
    fn shown(file: &[u8], query: &str) -> (String, u64) {
        let wish = wish(query);
        let (start, length) = wish.range();
        let size = file.len() as u64;
        let start =
            u64::try_from(start).unwrap_or_else(|_| size.saturating_sub(start.unsigned_abs())).min(size);
        let end = start.saturating_add(length).min(size);
        let bytes = file[start as usize..end as usize].to_vec();
        let part = whole_lines(Part { bytes, start, size }, &wish);
        (String::from_utf8(part.bytes).unwrap(), part.start)
    }

    #[test]
    fn an_id_tells_the_name_of_a_topology_that_is_gone() {
        let names = ["word-count-1-1767600000", "a-1-2", "nimbus", "a-b-c", ""].map(name_of);
        assert_eq!(names, ["word-count", "a", "nimbus", "a-b-c", ""]);
    }

    #[test]
    fn pages_consist_of_whole_lines() {
        let line = |number: usize| format!("line {number:04} {}\n", "x".repeat(90));
        // 101 bytes each: eleven of them are more than 1,024.
        let file: String = (0..100).map(line).collect();
        let ten = |from: usize| (from..from + 10).map(line).collect::<String>();
        let of = |query: &str| shown(file.as_bytes(), &format!("length=1024&{query}"));
        assert_eq!(of("start=0"), (ten(0), 0));
        // At the beginning of a line, in the middle of one, and at its end.
        assert_eq!(of("start=1010"), (ten(10), 1_010));
        assert_eq!(of("start=1000").1, 1_010);
        assert_eq!(of("start=1009").1, 1_010);
        assert_eq!(of(""), (ten(90), 9_090));
        // A line that is longer than a page is shown as far as it goes.
        let long = "a".repeat(5_000);
        assert_eq!(shown(long.as_bytes(), "length=1024&start=10"), ("a".repeat(1_024), 10));
        // The end of one that began on the page before.
        let rest = shown(format!("{long}\nb\n").as_bytes(), "length=1024&start=4990&goes_on=1");
        assert_eq!(rest, (format!("{}\nb\n", "a".repeat(10)), 4_990));
    }

    #[test]
    fn what_is_marked_stays_on_its_page() {
        let (before, after) = ("a".repeat(3_000), "b".repeat(5_000));
        // Its line begins before the page, or ends after it.
        let (text, start) = shown(format!("{before}hit\nend\n").as_bytes(), "length=4000&at=3000&len=3");
        assert!(text.contains("hit\nend") && start == 1_000, "{start}: {text}");
        let (text, _) = shown(format!("one\nhit{after}\n").as_bytes(), "length=4000&at=4&len=3");
        assert!(text.starts_with("one\nhitb"), "{text}");
        let (text, _) = shown(format!("hit\n{after}\n").as_bytes(), "length=4000&at=0&len=3");
        assert_eq!(text, "hit\n");
    }

    #[test]
    fn places_beyond_every_file_are_no_trouble() {
        let far = wish("at=18446744073709551615&len=9");
        assert_eq!(far.hit, Some(u64::MAX..u64::MAX));
        assert_eq!(far.range(), (i64::MAX, LENGTH + 1));
        assert_eq!(shown(b"a\n", "at=18446744073709551615"), (String::new(), 2));
    }
}
