//! Log files, as Storm's logviewer offers them: here all machines' by one server.

use std::fmt::Write as _;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use storm_rpc::{CallError, ErrorCode, v1};

use super::ask::Ask;
use super::format::{Links, encode};
use super::jsonp::{Failure, answer, common_headers};
use crate::app::App;
use crate::draw::slots::natural;
use crate::pages::logs::attachment;
use crate::view::ClusterView;

/// Longest text that is looked for, in bytes.
const LONGEST_TEXT: usize = 1024;
/// In a search of all machines each has so many numbers for its files: the third file of the second machine has
/// 1,000,002. No machine has as many files of a topology.
const FILES: u64 = 1_000_000;
/// Machines that are asked at once.
const AT_ONCE: usize = 16;

/// What was found in a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Found {
    is_daemon: &'static str,
    search_string: String,
    start_byte_offset: u64,
    matches: Vec<FoundMatch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_byte_offset: Option<u64>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FoundMatch {
    byte_offset: u64,
    before_string: String,
    after_string: String,
    match_string: String,
    #[serde(rename = "logviewerURL")]
    logviewer_url: String,
}

/// What was found in all files of a topology.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FoundInFiles {
    /// Where to go on: files to skip, [`FILES`] for each machine before; -1: all were searched.
    file_offset: i64,
    search_string: String,
    matches: Vec<FoundInFile>,
    /// Ours: the byte to go on at in the file after those. Storm has it in the last of the files alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_byte_offset: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct FoundInFile {
    file_name: String,
    host: String,
    port: u32,
    #[serde(flatten)]
    found: Found,
}

/// A file that is asked for, and the machine that has it.
struct Place {
    host: String,
    address: String,
    file: String,
    is_daemon: bool,
}

/// What is not there is not the server's error.
fn failure(error: CallError) -> Failure {
    match error.code {
        ErrorCode::Invalid | ErrorCode::Usage => Failure::missing(error.to_string()),
        _ => error.into(),
    }
}

impl Place {
    /// The file that `file` names, at the machine that `host` names or that is known to have it.
    fn find(cluster: &ClusterView, ask: &Ask, is_daemon: bool) -> Result<Place, Failure> {
        let file = ask.parameter("file").ok_or_else(|| Failure::senseless("'file' is missing"))?.to_owned();
        let host = ask.parameter("host");
        let (host, address) =
            if is_daemon { daemon(cluster, host, &file) } else { worker(cluster, host, &file) }.ok_or_else(
                || Failure::missing(format!("nobody here has '{file}'; name its machine as 'host'")),
            )?;
        Ok(Place { host, address, file, is_daemon })
    }
}

/// Where a supervisor is asked.
fn address(supervisor: &v1::SupervisorSummary) -> String {
    format!("{}:{}", supervisor.host, supervisor.rpc_port)
}

/// Whether a machine is meant by `host`: its name, alone or with the daemon's port, or its id.
fn is_meant(host: Option<&str>, name: &str, port: u32, id: &str) -> bool {
    host.is_none_or(|host| host == name || host == id || host == format!("{name}:{port}"))
}

/// Name and address of the daemon that has a log file of its own.
fn daemon(cluster: &ClusterView, host: Option<&str>, file: &str) -> Option<(String, String)> {
    let nimbuses = cluster.cluster.nimbuses.iter().filter(|n| is_meant(host, &n.host, n.port, ""));
    let mut nimbuses = nimbuses.map(|n| (!n.is_leader, n.host.clone(), format!("{}:{}", n.host, n.port)));
    let supervisors = cluster.cluster.supervisors.iter();
    let mut supervisors = supervisors.filter(|s| is_meant(host, &s.host, s.rpc_port, &s.id));
    if file.starts_with("nimbus") {
        return nimbuses.min().map(|(_, host, address)| (host, address));
    }
    let supervisor = supervisors.next().map(|s| (s.host.clone(), format!("{}:{}", s.host, s.rpc_port)));
    supervisor.or_else(|| nimbuses.next().map(|(_, host, address)| (host, address)))
}

/// Name and address of the supervisor that has a worker's file, `topology/port/name`.
fn worker(cluster: &ClusterView, host: Option<&str>, file: &str) -> Option<(String, String)> {
    let mut parts = file.split('/');
    let (topology, port) = (parts.next()?, parts.next().and_then(|port| port.parse::<u32>().ok()));
    let supervisors = cluster.cluster.supervisors.iter();
    let meant: Vec<_> = supervisors.filter(|s| is_meant(host, &s.host, s.rpc_port, &s.id)).collect();
    let holds = |supervisor: &&&v1::SupervisorSummary| {
        supervisor.held.iter().any(|held| held.topology_id == topology && Some(held.port) == port)
    };
    let has_port = |s: &&&v1::SupervisorSummary| port.is_some_and(|port| s.slots.contains(&port));
    // Two supervisors of one machine have different ports; a worker may be gone and its file be there.
    let found = meant.iter().find(holds).or_else(|| match host {
        Some(_) => meant.iter().find(has_port).or_else(|| meant.first()),
        None => None,
    });
    found.map(|s| (s.host.clone(), format!("{}:{}", s.host, s.rpc_port)))
}

/// `/listLogs`, `/searchLogs`: names of worker's log files, of one machine or of all.
pub(crate) async fn list(State(app): State<App>, ask: Ask) -> Response {
    let result = async {
        let cluster = app.source.cluster().await?;
        let place = v1::LogPlace {
            is_daemon: false,
            topology: ask.parameter("topoId").unwrap_or_default().to_owned(),
            port: ask.number("port").unwrap_or_default(),
        };
        let mut names = Vec::new();
        let host = ask.parameter("host");
        for (_, files) in on_all(&app, &cluster, host, &place).await? {
            names.extend(files.into_iter().map(|file| file.name));
        }
        names.sort();
        Ok(names)
    };
    answer(&ask, result.await)
}

/// The files of every supervisor that is meant and answers. One alone that does not answer fails.
async fn on_all(
    app: &App,
    cluster: &ClusterView,
    host: Option<&str>,
    place: &v1::LogPlace,
) -> Result<Vec<(String, Vec<v1::LogFile>)>, Failure> {
    let supervisors = cluster.cluster.supervisors.iter();
    let meant: Vec<_> = supervisors.filter(|s| is_meant(host, &s.host, s.rpc_port, &s.id)).collect();
    let calls = meant.iter().filter(|s| host.is_some() || !s.is_silent).map(|supervisor| async move {
        let address = format!("{}:{}", supervisor.host, supervisor.rpc_port);
        let request = v1::ListFilesRequest { place: Some(place.clone()) };
        (address.clone(), app.source.list_files(&address, request).await)
    });
    let mut answers = Vec::new();
    for (address, files) in join_all(calls).await {
        match files {
            Ok(files) => answers.push((address, files)),
            Err(error) if host.is_some() => return Err(failure(error)),
            Err(error) => tracing::warn!(address, %error, "a machine does not tell its log files"),
        }
    }
    Ok(answers)
}

fn search_text(ask: &Ask) -> Result<String, Failure> {
    let text = ask.parameter("search-string").unwrap_or_default();
    if text.is_empty() || text.len() > LONGEST_TEXT {
        let message = format!("the text to look for has {} bytes, not 1 to {LONGEST_TEXT}", text.len());
        return Err(Failure::senseless(message));
    }
    Ok(text.to_owned())
}

/// `/search`: a text in one file.
pub(crate) async fn search(State(app): State<App>, ask: Ask) -> Response {
    let result = async {
        let text = search_text(&ask)?;
        let is_daemon = ask.parameter("is-daemon").is_some_and(|value| value == "yes" || value == "true");
        let cluster = app.source.cluster().await?;
        let place = Place::find(&cluster, &ask, is_daemon)?;
        let start = ask.number("start-byte-offset").unwrap_or_default();
        let request = v1::SearchFilesRequest {
            place: Some(v1::LogPlace { is_daemon, ..Default::default() }),
            name: place.file.clone(),
            text: text.clone(),
            start,
            matches: ask.number("num-matches").unwrap_or(10),
            is_archived: true,
            ..Default::default()
        };
        let found = app.source.search_files(&place.address, request).await.map_err(failure)?;
        let matches = found.files.into_iter().flat_map(|file| file.matches);
        Ok(Found {
            is_daemon: if is_daemon { "yes" } else { "no" },
            search_string: text,
            start_byte_offset: start,
            matches: matches
                .map(|found| a_match(found, &place.file, &place.host, is_daemon, &ask.links))
                .collect(),
            next_byte_offset: found.next_start,
        })
    };
    answer(&ask, result.await)
}

fn a_match(
    found: v1::found_in_file::Match,
    file: &str,
    host: &str,
    is_daemon: bool,
    links: &Links,
) -> FoundMatch {
    FoundMatch {
        logviewer_url: links.log_at(file, host, is_daemon, found.offset, found.text.len() as u64),
        byte_offset: found.offset,
        before_string: found.before,
        after_string: found.after,
        match_string: found.text,
    }
}

/// `/deepSearch/{topology}`: a text in all files of a topology's workers, of one machine or of all.
pub(crate) async fn deep_search(State(app): State<App>, Path(topology): Path<String>, ask: Ask) -> Response {
    answer(&ask, in_all_files(&app, topology, &ask).await)
}

/// One machine after the other, in an order that stays, so that an answer can say where to go on.
async fn in_all_files(app: &App, topology: String, ask: &Ask) -> Result<FoundInFiles, Failure> {
    let text = search_text(ask)?;
    let cluster = app.source.cluster().await?;
    let host = ask.parameter("host");
    let from: u64 = ask.number("start-file-offset").unwrap_or_default();
    let first = usize::try_from(from / FILES).unwrap_or(usize::MAX);
    let start: u64 = ask.number("start-byte-offset").unwrap_or_default();
    let wanted = ask.number("num-matches").unwrap_or(1_u32).max(1);
    let search = v1::SearchFilesRequest {
        place: Some(v1::LogPlace {
            is_daemon: false,
            topology,
            port: ask.number("port").unwrap_or_default(),
        }),
        text: text.clone(),
        is_archived: ask.parameter("search-archived").is_some_and(|value| value == "on" || value == "true"),
        ..Default::default()
    };
    let request = |machine: usize, matches| {
        let (start, skip_files) = if machine == first { (start, from % FILES) } else { (0, 0) };
        let skip_files = u32::try_from(skip_files).unwrap_or(u32::MAX);
        v1::SearchFilesRequest { start, skip_files, matches, ..search.clone() }
    };
    let supervisors = cluster.cluster.supervisors.iter();
    let mut meant: Vec<_> = supervisors.filter(|s| is_meant(host, &s.host, s.rpc_port, &s.id)).collect();
    meant.sort_by_cached_key(|s| (natural(&s.host), s.rpc_port, s.id.clone()));
    let calls = meant.iter().enumerate().skip(first);
    let calls = calls.map(|(machine, supervisor)| {
        let request = request(machine, wanted);
        async move {
            // It would only be waited for, unless it is meant; its place stays its own.
            let found = match supervisor.is_silent && host.is_none() {
                true => Ok(v1::FoundInFiles::default()),
                false => app.source.search_files(&address(supervisor), request).await,
            };
            (machine, *supervisor, found)
        }
    });
    let mut answers = stream::iter(calls.collect::<Vec<_>>()).buffered(AT_ONCE);
    let mut all = FoundInFiles {
        file_offset: -1,
        search_string: text.clone(),
        matches: Vec::new(),
        next_byte_offset: None,
    };
    let mut left = wanted;
    while let Some((machine, supervisor, mut found)) = answers.next().await {
        if count(&found) > left {
            // Only so many are wanted any more; and it says where to go on after them.
            found = app.source.search_files(&address(supervisor), request(machine, left)).await;
        }
        let found = match found {
            Ok(found) => found,
            Err(error) if host.is_some() => return Err(failure(error)),
            Err(error) => {
                tracing::warn!(machine = supervisor.host, %error, "a machine does not search its log files");
                continue;
            }
        };
        for file in found.files {
            left = left.saturating_sub(file.matches.len() as u32);
            all.matches.push(in_file(file, &supervisor.host, &text, start, &ask.links));
        }
        let next = match (found.next_file, left) {
            (Some(file), _) => {
                Some((machine as u64 * FILES + u64::from(file), found.next_start.unwrap_or(0)))
            }
            (None, 0) if machine + 1 < meant.len() => Some(((machine as u64 + 1) * FILES, 0)),
            _ => None,
        };
        if let Some((file, byte)) = next {
            all.file_offset = i64::try_from(file).unwrap_or(i64::MAX);
            all.next_byte_offset = Some(byte);
            if let Some(last) = all.matches.last_mut() {
                last.found.next_byte_offset = Some(byte);
            }
            break;
        }
    }
    Ok(all)
}

fn count(found: &Result<v1::FoundInFiles, CallError>) -> u32 {
    let files = found.iter().flat_map(|found| &found.files);
    files.map(|file| file.matches.len() as u32).sum()
}

fn in_file(file: v1::FoundInFile, host: &str, text: &str, start: u64, links: &Links) -> FoundInFile {
    let port = file.name.split('/').nth(1).and_then(|port| port.parse().ok());
    let matches = file.matches.into_iter().map(|found| a_match(found, &file.name, host, false, links));
    let found = Found {
        is_daemon: "no",
        search_string: text.to_owned(),
        start_byte_offset: start,
        matches: matches.collect(),
        next_byte_offset: None,
    };
    FoundInFile { host: host.to_owned(), port: port.unwrap_or_default(), found, file_name: file.name }
}

/// `/dumps/{topology}/{place}`: the dumps of a worker, as the page that Storm makes of them. A profiler would
/// write them, and there is none here.
pub(crate) async fn dumps(
    State(app): State<App>,
    Path((topology, place)): Path<(String, String)>,
    ask: Ask,
) -> Response {
    const NONE: &str = "<!doctype html><html lang=\"en\"><head><title>File Dumps - Storm Log Viewer</title></head>\
                        <body><ul></ul></body></html>";
    match check_slot(&app, &topology, &place).await {
        Ok(()) => {
            let kind = HeaderValue::from_static("text/html;charset=utf-8");
            let mut response = NONE.into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            common_headers(response.headers_mut());
            response
        }
        Err(failure) => answer::<()>(&ask, Err(failure)),
    }
}

/// `/dumps/{topology}/{place}/{file}`: there is no such file.
pub(crate) async fn dump(
    State(app): State<App>,
    Path((topology, place, file)): Path<(String, String, String)>,
    ask: Ask,
) -> Response {
    let missing = || Failure::missing(format!("there is no dump '{file}': nothing profiles workers here"));
    answer::<()>(&ask, check_slot(&app, &topology, &place).await.and_then(|()| Err(missing())))
}

/// Whether there is such a topology, and such a slot.
async fn check_slot(app: &App, topology: &str, place: &str) -> Result<(), Failure> {
    let cluster = app.source.cluster().await?;
    if !cluster.topologies.iter().any(|known| known.id == topology || known.name == topology) {
        return Err(Failure::missing(format!("there is no topology '{topology}'")));
    }
    let split = place.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u32>().ok()?)));
    let (host, port) = split.ok_or_else(|| Failure::senseless(format!("'{place}' is not 'host:port'")))?;
    let has_it = |supervisor: &v1::SupervisorSummary| {
        let is_held = supervisor.held.iter().any(|held| held.port == port);
        supervisor.host == host && (is_held || supervisor.slots.contains(&port))
    };
    let is_there = cluster.cluster.supervisors.iter().any(has_it);
    is_there.then_some(()).ok_or_else(|| Failure::missing(format!("there is no worker at {place}")))
}

/// `/log`: the page about a worker's file.
pub(crate) async fn log(State(app): State<App>, ask: Ask) -> Response {
    page(&app, &ask, false).await.unwrap_or_else(|failure| answer::<()>(&ask, Err(failure)))
}

/// `/daemonlog`: the page about a daemon's file.
pub(crate) async fn daemon_log(State(app): State<App>, ask: Ask) -> Response {
    page(&app, &ask, true).await.unwrap_or_else(|failure| answer::<()>(&ask, Err(failure)))
}

async fn page(app: &App, ask: &Ask, is_daemon: bool) -> Result<Response, Failure> {
    let cluster = app.source.cluster().await?;
    let place = Place::find(&cluster, ask, is_daemon)?;
    let mut to = format!("{}/logs/view?address={}", ask.links.prefix, encode(&place.address));
    to.push_str("&file=");
    to.push_str(&encode(&place.file));
    if is_daemon {
        to.push_str("&daemon=1");
    }
    for name in ["start", "length", "at", "len"] {
        if let Some(number) = ask.number::<u64>(name) {
            write!(to, "&{name}={number}").expect("a string takes everything");
        }
    }
    if let Some(text) = ask.parameter("grep") {
        write!(to, "&grep={}", encode(text)).expect("a string takes everything");
    }
    if ask.number::<u64>("at").is_some() {
        to.push_str("#hit");
    }
    let mut response = StatusCode::FOUND.into_response();
    let to = HeaderValue::try_from(to).map_err(|_| Failure::senseless("'file' is no name"))?;
    response.headers_mut().insert(header::LOCATION, to);
    common_headers(response.headers_mut());
    Ok(response)
}

/// `/download`: a worker's file as it is.
pub(crate) async fn download(State(app): State<App>, ask: Ask) -> Response {
    file(&app, &ask, false).await.unwrap_or_else(|failure| answer::<()>(&ask, Err(failure)))
}

/// `/daemondownload`: a daemon's file as it is.
pub(crate) async fn daemon_download(State(app): State<App>, ask: Ask) -> Response {
    file(&app, &ask, true).await.unwrap_or_else(|failure| answer::<()>(&ask, Err(failure)))
}

async fn file(app: &App, ask: &Ask, is_daemon: bool) -> Result<Response, Failure> {
    let cluster = app.source.cluster().await?;
    let place = Place::find(&cluster, ask, is_daemon)?;
    let request =
        v1::ReadFileRequest { is_daemon: place.is_daemon, name: place.file.clone(), ..Default::default() };
    let parts = app.source.read_file(&place.address, request).await.map_err(failure)?;
    let name = format!("{}-{}", place.host, place.file);
    let mut response = attachment(&name, parts).await.map_err(failure)?;
    common_headers(response.headers_mut());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supervisor(id: &str, host: &str, rpc_port: u32, slot: u32, topology: &str) -> v1::SupervisorSummary {
        let held = v1::SlotSummary { port: slot, topology_id: topology.to_owned(), ..Default::default() };
        v1::SupervisorSummary {
            id: id.to_owned(),
            host: host.to_owned(),
            rpc_port,
            slots: vec![slot, slot + 1],
            held: vec![held],
            ..Default::default()
        }
    }

    /// Two supervisors on one machine, as `storm-rs dev` starts them, and one on another.
    fn cluster() -> ClusterView {
        let supervisors = vec![
            supervisor("s1", "a", 1, 6700, "wc-1"),
            supervisor("s2", "a", 2, 6710, "wc-1"),
            supervisor("s3", "b", 1, 6700, "other-2"),
        ];
        let nimbus = |host: &str, is_leader| v1::NimbusSummary {
            host: host.to_owned(),
            port: 9,
            is_leader,
            ..Default::default()
        };
        let nimbuses = vec![nimbus("a", false), nimbus("c", true)];
        ClusterView {
            cluster: v1::ClusterSummary { supervisors, nimbuses, ..Default::default() },
            ..Default::default()
        }
    }

    #[test]
    fn a_workers_file_is_where_its_slot_is() {
        let of = |host, file| worker(&cluster(), host, file).map(|(_, address)| address).unwrap_or_default();
        assert_eq!(of(None, "wc-1/6710/worker.log"), "a:2");
        assert_eq!(of(None, "other-2/6700/worker.log"), "b:1");
        // It runs no more, but its machine is known.
        assert_eq!(of(None, "old-1/6711/worker.log"), "");
        assert_eq!(of(Some("a"), "old-1/6711/worker.log"), "a:2");
        assert_eq!(of(Some("s1"), "old-1/6711/worker.log"), "a:1");
        assert_eq!(of(Some("a:2"), "wc-1/6700/worker.log"), "a:2");
        assert_eq!(of(Some("nobody"), "wc-1/6700/worker.log"), "");
    }

    #[test]
    fn a_daemons_file_is_where_the_daemon_is() {
        let of = |host, file| daemon(&cluster(), host, file).map(|(_, address)| address).unwrap_or_default();
        assert_eq!(of(None, "nimbus.log"), "c:9");
        assert_eq!(of(Some("a"), "nimbus.log"), "a:9");
        assert_eq!(of(Some("b"), "supervisor.log"), "b:1");
        assert_eq!(of(Some("a:2"), "supervisor.log"), "a:2");
        assert_eq!(of(Some("b"), "nimbus.log"), "");
    }
}
