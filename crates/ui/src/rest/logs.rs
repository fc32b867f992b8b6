//! Log files, as Storm's logviewer offers them: here all machines' by one server.

use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use storm_rpc::{CallError, ErrorCode, v1};

use super::ask::Ask;
use super::format::{Links, encode};
use super::jsonp::{Failure, answer, common_headers};
use crate::app::App;
use crate::view::ClusterView;

/// Longest text that is looked for, in bytes.
const LONGEST_TEXT: usize = 1024;

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
    /// Files to skip to go on; -1: all were searched.
    file_offset: i64,
    search_string: String,
    matches: Vec<FoundInFile>,
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
        byte_offset: found.offset,
        before_string: found.before,
        after_string: found.after,
        match_string: found.text,
        logviewer_url: links.log_at(file, host, is_daemon, found.offset),
    }
}

/// `/deepSearch/{topology}`: a text in all files of a topology's workers, of one machine or of all.
pub(crate) async fn deep_search(State(app): State<App>, Path(topology): Path<String>, ask: Ask) -> Response {
    let result = async {
        let text = search_text(&ask)?;
        let cluster = app.source.cluster().await?;
        let (host, start) = (ask.parameter("host"), ask.number("start-byte-offset").unwrap_or_default());
        let request = v1::SearchFilesRequest {
            place: Some(v1::LogPlace {
                is_daemon: false,
                topology,
                port: ask.number("port").unwrap_or_default(),
            }),
            text: text.clone(),
            start,
            matches: ask.number("num-matches").unwrap_or(1),
            is_archived: ask
                .parameter("search-archived")
                .is_some_and(|value| value == "on" || value == "true"),
            skip_files: ask.number("start-file-offset").unwrap_or_default(),
            ..Default::default()
        };
        let supervisors = cluster.cluster.supervisors.iter().filter(|s| host.is_some() || !s.is_silent);
        let meant = supervisors.filter(|s| is_meant(host, &s.host, s.rpc_port, &s.id));
        let calls = meant.map(|supervisor| {
            let (app, request) = (&app, request.clone());
            async move {
                let address = format!("{}:{}", supervisor.host, supervisor.rpc_port);
                (supervisor.host.clone(), app.source.search_files(&address, request).await)
            }
        });
        let mut all = FoundInFiles { file_offset: -1, search_string: text.clone(), matches: Vec::new() };
        for (machine, found) in join_all(calls).await {
            let found = match found {
                Ok(found) => found,
                Err(error) if host.is_some() => return Err(failure(error)),
                Err(error) => {
                    tracing::warn!(machine, %error, "a machine does not search its log files");
                    continue;
                }
            };
            all.file_offset = all.file_offset.max(found.next_file.map_or(-1, i64::from));
            for file in found.files {
                let matches = file.matches.into_iter();
                let port = file.name.split('/').nth(1).and_then(|port| port.parse().ok());
                all.matches.push(FoundInFile {
                    host: machine.clone(),
                    port: port.unwrap_or_default(),
                    found: Found {
                        is_daemon: "no",
                        search_string: text.clone(),
                        start_byte_offset: start,
                        matches: matches
                            .map(|m| a_match(m, &file.name, &machine, false, &ask.links))
                            .collect(),
                        next_byte_offset: None,
                    },
                    file_name: file.name,
                });
            }
        }
        Ok(all)
    };
    answer(&ask, result.await)
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
    for name in ["start", "length"] {
        if let Some(number) = ask.number::<u64>(name) {
            write!(to, "&{name}={number}").expect("a string takes everything");
        }
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
    let mut parts = app.source.read_file(&place.address, request).await.map_err(failure)?;
    // A file that cannot be read says so with its first part, when the status can still be told.
    let first = parts.next().await.transpose().map_err(failure)?;
    let all = stream::iter(first.map(Ok)).chain(parts);
    let mut response = Body::from_stream(all.map_ok(|part| Bytes::from(part.data))).into_response();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let name = format!("{}-{}", place.host, place.file).replace(|c: char| !is_plain(c), "-");
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, disposition.expect("plain ASCII"));
    common_headers(headers);
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
