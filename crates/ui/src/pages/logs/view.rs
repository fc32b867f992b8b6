//! A log, a page at a time, and its end as it grows.

use std::ops::Range;

use askama::Template;
use futures_util::StreamExt as _;

use crate::app::App;
use crate::draw::Html;
use crate::pages::logs::{File, known, lines};
use crate::pages::{Ask, Page, Trouble, text};

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
    /// The topology whose log it is, and its name in links; empty for daemons.
    topology: String,
    topology_href: String,
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

pub(crate) async fn page(app: &App, ask: &Ask) -> Result<Page, Trouble> {
    let file = File::new(&ask.query);
    let daemon = known(app, &file.address).await?;
    let number = |name: &str| ask.get(name).parse::<u64>().ok();
    let length = number("length").unwrap_or(LENGTH).clamp(1_024, LENGTH_MAX);
    let hit = number("at").map(|at| at..at + number("len").unwrap_or(1).min(LENGTH));
    // A hit stands in the middle of its page.
    let start = match (&hit, number("start")) {
        (_, Some(start)) => Some(start),
        (Some(hit), None) => Some(hit.start.saturating_sub(length / 2)),
        (None, None) => None,
    };
    let wanted = start.map_or(-(length as i64), |start| i64::try_from(start).unwrap_or(i64::MAX));
    let part = whole_lines(read(app, &file, wanted, length).await?);
    let title = format!("{} on {}", file.name, file.address);
    Ok(Page::still(title, &log(ask, &file, daemon.role, part, length, hit)))
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

/// Without the parts of lines at both ends; the pages before and after have them whole.
fn whole_lines(mut part: Part) -> Part {
    if part.start > 0
        && let Some(end) = part.bytes.iter().position(|byte| *byte == b'\n')
        && end + 1 < part.bytes.len()
    {
        part.bytes.drain(..=end);
        part.start += end as u64 + 1;
    }
    if part.start + (part.bytes.len() as u64) < part.size
        && let Some(end) = part.bytes.iter().rposition(|byte| *byte == b'\n')
    {
        part.bytes.truncate(end + 1);
    }
    part
}

fn log<'a>(
    ask: &'a Ask,
    file: &'a File,
    role: &'static str,
    part: Part,
    length: u64,
    hit: Option<Range<u64>>,
) -> Log<'a> {
    let end = part.start + part.bytes.len() as u64;
    let query = file.query();
    let link = |start: u64| format!("{query}&start={start}&length={length}");
    let topology = if file.is_daemon { "" } else { file.name.split('/').next().unwrap_or_default() };
    Log {
        root: &ask.root,
        role,
        topology: topology.to_owned(),
        topology_href: text::encoded(topology),
        lines: lines::markup(&part.bytes, part.start, hit),
        from: text::exact(part.start),
        to: text::exact(end),
        size: text::exact(part.size),
        shown: text::bytes(part.size),
        first: (part.start > 0).then(|| link(0)),
        prev: (part.start > 0).then(|| link(part.start.saturating_sub(length))),
        next: (end < part.size).then(|| link(end)),
        is_last: end >= part.size,
        end,
        file,
        query,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: &[u8], start: u64, size: u64) -> (String, u64) {
        let part = whole_lines(Part { bytes: bytes.to_vec(), start, size });
        (String::from_utf8(part.bytes).unwrap(), part.start)
    }

    #[test]
    fn pages_consist_of_whole_lines() {
        assert_eq!(cut(b"ne 1\nline 2\nli", 2, 100), ("line 2\n".to_owned(), 7));
        assert_eq!(cut(b"line 1\nli", 0, 9), ("line 1\nli".to_owned(), 0));
        assert_eq!(cut(b"line 1\nli", 0, 50), ("line 1\n".to_owned(), 0));
        // A line that is longer than a page is shown as far as it goes.
        assert_eq!(cut(b"aaaa", 10, 50), ("aaaa".to_owned(), 10));
    }
}
