//! What stands where: in one log, in those of a topology, or of a daemon.
//!
//! Machines tell some bytes around each match; people see the line that it stands in, so that the files are
//! read around matches whose lines go further.

use std::ops::Range;
use std::sync::Arc;

use askama::Template;
use futures_util::{StreamExt as _, stream};
use storm_rpc::{CallError, v1};

use crate::app::App;
use crate::pages::logs::choose::AT_ONCE;
use crate::pages::logs::{Daemon, File, daemons};
use crate::pages::{Ask, Page, Trouble, text};
use crate::source::Source;

/// Matches that one daemon is asked for.
const MATCHES: u32 = 50;
/// Of a line at most so many bytes are shown before a match and after it.
const OF_LINE: usize = 512;
/// Matches that are so near to each other are read at once, up to so many bytes.
const NEAR: u64 = 8 * 1024;
const AT_MOST: u64 = 256 * 1024;

#[derive(Template)]
#[template(path = "log_search.html")]
struct Found<'a> {
    root: &'a str,
    text: &'a str,
    topology: &'a str,
    topology_name: &'a str,
    address: &'a str,
    name: &'a str,
    is_daemon: bool,
    is_regex: bool,
    ignore_case: bool,
    is_archived: bool,
    files: Vec<InFile>,
    count: usize,
    asked: usize,
    silent: usize,
    failures: Vec<(String, String)>,
    more: Vec<(String, String)>,
}

#[derive(Debug)]
struct InFile {
    file: File,
    query: String,
    hits: Vec<Hit>,
}

#[derive(Debug)]
struct Hit {
    link: String,
    at: u64,
    offset: String,
    before: String,
    text: String,
    after: String,
    /// Whether `before` begins where its line does, and `after` ends there.
    is_whole: bool,
}

pub(crate) async fn page(app: &App, ask: &Ask) -> Result<Page, Trouble> {
    let view = app.source.cluster().await?;
    let file = File::new(&ask.query);
    let is = |name: &str| !ask.get(name).is_empty();
    let asked = ask.get("topology");
    let topology = view.topologies.iter().find(|summary| summary.id == asked || summary.name == asked);
    if !asked.is_empty() && topology.is_none() {
        return Err(Trouble::NotFound(format!("There is no topology '{asked}'.")));
    }
    let mut chosen: Vec<Daemon> = daemons(&view)
        .into_iter()
        .filter(|daemon| {
            let is_asked = file.address.is_empty() || daemon.address == file.address;
            is_asked && (file.is_daemon || daemon.role == "Supervisor")
        })
        .collect();
    // Those that are silent would only be waited for, unless one of them is meant.
    let silent =
        if file.address.is_empty() { chosen.extract_if(.., |daemon| daemon.is_silent).count() } else { 0 };
    if !file.address.is_empty() && chosen.is_empty() {
        return Err(Trouble::NotFound(format!(
            "The cluster has no daemon with such logs at '{}'.",
            file.address
        )));
    }
    let number = |name: &str| ask.get(name).parse().unwrap_or(0);
    let request = v1::SearchFilesRequest {
        place: Some(v1::LogPlace {
            is_daemon: file.is_daemon,
            topology: topology.map(|summary| summary.id.clone()).unwrap_or_default(),
            port: 0,
        }),
        name: file.name.clone(),
        text: ask.get("text").to_owned(),
        is_regex: is("regex"),
        ignore_case: is("ignore_case"),
        start: ask.get("start").parse().unwrap_or(0),
        matches: MATCHES,
        is_archived: is("archived"),
        skip_files: number("skip"),
    };
    let mut page = Found {
        root: &ask.root,
        text: ask.get("text"),
        topology: topology.map_or("", |summary| summary.id.as_str()),
        topology_name: topology.map_or("", |summary| summary.name.as_str()),
        address: &file.address,
        name: &file.name,
        is_daemon: file.is_daemon,
        is_regex: request.is_regex,
        ignore_case: request.ignore_case,
        is_archived: request.is_archived,
        files: Vec::new(),
        count: 0,
        asked: chosen.len(),
        silent,
        failures: Vec::new(),
        more: Vec::new(),
    };
    if !request.text.is_empty() {
        let again = again(ask);
        for (address, answer) in search(app, &chosen, &request).await {
            take(&mut page, &again, file.is_daemon, address, answer);
        }
        page.files.sort_by(|a, b| (&a.file.address, &a.file.name).cmp(&(&b.file.address, &b.file.name)));
        complete(app, &mut page.files).await;
    }
    let title =
        if page.text.is_empty() { "Search logs".to_owned() } else { format!("'{}' in logs", page.text) };
    Ok(Page::still(title, &page))
}

/// The parameters of the same search, without where to begin.
fn again(ask: &Ask) -> String {
    let mut kept: Vec<String> = ask
        .query
        .iter()
        .filter(|(name, _)| !["start", "skip", "address"].contains(&name.as_str()))
        .map(|(name, value)| format!("{}={}", text::encoded(name), text::encoded(value)))
        .collect();
    kept.sort_unstable();
    kept.join("&")
}

async fn search(
    app: &App,
    daemons: &[Daemon],
    request: &v1::SearchFilesRequest,
) -> Vec<(String, Result<v1::FoundInFiles, CallError>)> {
    let addresses: Vec<String> = daemons.iter().map(|daemon| daemon.address.clone()).collect();
    let answers = stream::iter(addresses).map(|address| {
        let (source, request) = (Arc::clone(&app.source), request.clone());
        async move {
            let answer = source.search_files(&address, request).await;
            (address, answer)
        }
    });
    let mut answers: Vec<_> = answers.buffer_unordered(AT_ONCE).collect().await;
    answers.sort_by_key(|(address, _)| crate::draw::slots::natural(address));
    answers
}

fn take(
    page: &mut Found<'_>,
    again: &str,
    is_daemon: bool,
    address: String,
    answer: Result<v1::FoundInFiles, CallError>,
) {
    let found = match answer {
        Ok(found) => found,
        Err(error) => {
            page.failures.push((address, error.message));
            return;
        }
    };
    for in_file in found.files.into_iter().filter(|file| !file.matches.is_empty()) {
        let file = File { address: address.clone(), name: in_file.name, is_daemon };
        let query = file.query();
        page.count += in_file.matches.len();
        let hits = in_file.matches.into_iter().map(|found| hit(&query, found)).collect();
        page.files.push(InFile { file, query, hits });
    }
    if let Some(skip) = found.next_file {
        let start = found.next_start.unwrap_or(0);
        let link = format!("{again}&address={}&skip={skip}&start={start}", text::encoded(&address));
        page.more.push((address, link));
    }
}

fn hit(query: &str, found: v1::found_in_file::Match) -> Hit {
    let link = format!("{query}&at={}&len={}#hit", found.offset, found.text.len());
    let (start, end) = (found.before.rsplit_once('\n'), found.after.split_once('\n'));
    let is_first = found.before.len() as u64 == found.offset;
    Hit {
        link,
        at: found.offset,
        offset: text::exact(found.offset),
        is_whole: (start.is_some() || is_first) && end.is_some(),
        before: start.map_or(found.before.as_str(), |(_, line)| line).to_owned(),
        after: end.map_or(found.after.as_str(), |(line, _)| line).to_owned(),
        text: found.text,
    }
}

/// Reads the lines whose ends were not told. Where they cannot be read, what was told is shown.
async fn complete(app: &App, files: &mut [InFile]) {
    let mut asks = Vec::new();
    for (place, in_file) in files.iter().enumerate() {
        let wanted = in_file.hits.iter().filter(|hit| !hit.is_whole).map(around);
        asks.extend(joined(wanted).into_iter().map(|range| (place, in_file.file.clone(), range)));
    }
    let answers = stream::iter(asks).map(|(place, file, range)| {
        let source = Arc::clone(&app.source);
        async move { (place, read(&*source, &file, &range).await, range) }
    });
    let mut answers = answers.buffer_unordered(AT_ONCE);
    while let Some((place, part, range)) = answers.next().await {
        let Some((base, bytes)) = part else { continue };
        let is_meant = |hit: &&mut Hit| {
            let wanted = around(hit);
            !hit.is_whole && range.start <= wanted.start && wanted.end <= range.end
        };
        for hit in files[place].hits.iter_mut().filter(is_meant) {
            if let Some((before, after)) = rest_of_line(&bytes, base, hit.at, hit.text.len()) {
                (hit.before, hit.after, hit.is_whole) = (before, after, true);
            }
        }
    }
}

/// The bytes that the line of a match is looked for in: one more on each side tells whether it goes on.
fn around(hit: &Hit) -> Range<u64> {
    let far = OF_LINE as u64 + 1;
    hit.at.saturating_sub(far)..hit.at + hit.text.len() as u64 + far
}

/// Ascending ranges, those that are near to each other as one.
fn joined(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut all: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match all.last_mut() {
            Some(last) if range.start <= last.end + NEAR && range.end <= last.start + AT_MOST => {
                last.end = range.end;
            }
            _ => all.push(range),
        }
    }
    all
}

async fn read(source: &dyn Source, file: &File, range: &Range<u64>) -> Option<(u64, Vec<u8>)> {
    let (start, length) = (i64::try_from(range.start).ok()?, range.end - range.start);
    let mut parts = source.read_file(&file.address, file.request(start, length)).await.ok()?;
    let (mut base, mut bytes) = (None, Vec::new());
    while let Some(part) = parts.next().await {
        let part = part.ok()?;
        base.get_or_insert(part.offset);
        bytes.extend_from_slice(&part.data);
        if bytes.len() as u64 >= length {
            break;
        }
    }
    Some((base?, bytes))
}

/// What stands before and after a match in its line, of a long one the part around it; none when the match is
/// not among the bytes.
fn rest_of_line(bytes: &[u8], base: u64, at: u64, length: usize) -> Option<(String, String)> {
    let from = usize::try_from(at.checked_sub(base)?).ok()?;
    let (before, after) = (bytes.get(..from)?, bytes.get(from.checked_add(length)?..)?);
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let cut = start.max(from.saturating_sub(OF_LINE));
    let end = after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
    let shown = end.min(OF_LINE);
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut text = lossy(&before[cut..]);
    if cut > start {
        // A character may have been cut in two.
        text = format!("…{}", text.trim_start_matches(char::REPLACEMENT_CHARACTER));
    }
    let mut rest = lossy(&after[..shown]);
    if shown < end {
        rest.truncate(rest.trim_end_matches(char::REPLACEMENT_CHARACTER).len());
        rest.push('…');
    }
    Some((text, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_is_shown_with_its_whole_line() {
        let bytes = b"one\ntwo three four\nfive";
        let of = |base, at, length| rest_of_line(bytes, base, at, length);
        let both = |before: &str, after: &str| Some((before.to_owned(), after.to_owned()));
        assert_eq!(of(0, 8, 5), both("two ", " four"));
        assert_eq!(of(100, 108, 5), both("two ", " four"));
        assert_eq!(of(0, 0, 3), both("", ""));
        assert_eq!(of(0, 19, 4), both("", ""));
        // Over the end of a line: that of the match's end counts.
        assert_eq!(of(0, 8, 12), both("two ", "ive"));
        assert_eq!((of(0, 50, 1), of(100, 8, 5)), (None, None));
    }

    #[test]
    fn of_a_long_line_the_part_around_the_match_is_shown() {
        // Of three bytes each: none is shown in part.
        let line = "€".repeat(2_000);
        let (before, after) = rest_of_line(line.as_bytes(), 0, 3_000, 3).unwrap();
        assert!(before.starts_with("…€") && before.ends_with('€'), "{before}");
        assert!(after.starts_with('€') && after.ends_with("€…"), "{after}");
        assert!(before.len() <= OF_LINE + 3 && after.len() <= OF_LINE + 3);
    }

    #[test]
    fn what_was_told_is_cut_at_the_ends_of_lines() {
        let told = |before: &str, after: &str, offset| {
            let found = v1::found_in_file::Match {
                offset,
                before: before.to_owned(),
                text: "x".to_owned(),
                after: after.to_owned(),
            };
            let hit = hit("", found);
            (hit.before, hit.after, hit.is_whole)
        };
        assert_eq!(told("a\nb ", " c\nd", 90), ("b ".to_owned(), " c".to_owned(), true));
        assert_eq!(told("b ", " c\n", 2), ("b ".to_owned(), " c".to_owned(), true));
        assert_eq!(told("b ", " c\n", 90), ("b ".to_owned(), " c".to_owned(), false));
        assert!(!told("\n", " c", 90).2);
    }

    #[test]
    fn matches_that_are_near_are_read_at_once() {
        let ranges = [0..100, 90..200, 5_000..5_100, 90_000..90_100];
        assert_eq!(joined(ranges.into_iter()), [0..5_100, 90_000..90_100]);
        let many = (0..100).map(|i| i * 4_000..i * 4_000 + 100);
        assert!(joined(many).iter().all(|range| range.end - range.start <= AT_MOST));
    }
}
