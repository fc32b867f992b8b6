//! What stands where: in one log, in those of a topology, or of a daemon.

use std::sync::Arc;

use askama::Template;
use futures_util::{StreamExt as _, stream};
use storm_rpc::{CallError, v1};

use crate::app::App;
use crate::pages::logs::choose::AT_ONCE;
use crate::pages::logs::{Daemon, File, daemons};
use crate::pages::{Ask, Page, Trouble, text};

/// Matches that one daemon is asked for.
const MATCHES: u32 = 50;

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
    address: String,
    name: String,
    query: String,
    hits: Vec<Hit>,
}

#[derive(Debug)]
struct Hit {
    link: String,
    offset: String,
    before: String,
    text: String,
    after: String,
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
        page.files.sort_by(|a, b| (&a.address, &a.name).cmp(&(&b.address, &b.name)));
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
        let hit = |found: v1::found_in_file::Match| Hit {
            link: format!("{query}&at={}&len={}#hit", found.offset, found.text.len()),
            offset: text::exact(found.offset),
            before: found.before,
            text: found.text,
            after: found.after,
        };
        let hits = in_file.matches.into_iter().map(hit).collect();
        page.files.push(InFile { address: file.address.clone(), name: file.name.clone(), hits, query });
    }
    if let Some(skip) = found.next_file {
        let start = found.next_start.unwrap_or(0);
        let link = format!("{again}&address={}&skip={skip}&start={start}", text::encoded(&address));
        page.more.push((address, link));
    }
}
