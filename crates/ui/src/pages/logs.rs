//! Logs of workers and daemons: chosen, read page by page, followed, searched and loaded down.
//!
//! Only daemons of the cluster are asked: an address comes from a link, which anybody may have made.

pub(super) mod choose;
mod lines;
pub(super) mod search;
pub(super) mod view;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use storm_rpc::{CallError, v1};
use tokio::sync::OwnedSemaphorePermit;

use crate::app::App;
use crate::draw::Html;
use crate::pages::live::Viewers;
use crate::pages::{Trouble, supervisor, text};
use crate::source::LogBytes;
use crate::view::ClusterView;

/// A daemon that has logs.
#[derive(Clone, Debug)]
pub(super) struct Daemon {
    /// Where it is asked.
    pub(super) address: String,
    /// Supervisor or Nimbus.
    pub(super) role: &'static str,
    /// Nobody has heard of it.
    pub(super) is_silent: bool,
}

/// Every daemon that has logs, Nimbuses first.
pub(super) fn daemons(view: &ClusterView) -> Vec<Daemon> {
    let nimbuses = view.cluster.nimbuses.iter().map(|nimbus| Daemon {
        address: format!("{}:{}", nimbus.host, nimbus.port),
        role: "Nimbus",
        is_silent: false,
    });
    let mut supervisors: Vec<Daemon> = view
        .cluster
        .supervisors
        .iter()
        .map(|supervisor| Daemon {
            address: supervisor::address(supervisor),
            role: "Supervisor",
            is_silent: supervisor.is_silent,
        })
        .collect();
    supervisors.sort_by_key(|daemon| crate::draw::slots::natural(&daemon.address));
    nimbuses.chain(supervisors).collect()
}

/// The daemon at an address, if the cluster has it, and the cluster.
async fn known(app: &App, address: &str) -> Result<(Arc<ClusterView>, Daemon), Trouble> {
    let view = app.source.cluster().await?;
    let found = daemons(&view).into_iter().find(|daemon| daemon.address == address);
    let missing = || Trouble::NotFound(format!("The cluster has no daemon at '{address}'."));
    Ok((view, found.ok_or_else(missing)?))
}

/// A file, as links name it.
#[derive(Clone, Debug)]
struct File {
    address: String,
    name: String,
    is_daemon: bool,
}

impl File {
    fn new(query: &HashMap<String, String>) -> File {
        let get = |name: &str| query.get(name).cloned().unwrap_or_default();
        File { address: get("address"), name: get("file"), is_daemon: !get("daemon").is_empty() }
    }

    /// Its parameters in a link.
    fn query(&self) -> String {
        let daemon = if self.is_daemon { "&daemon=1" } else { "" };
        format!("address={}&file={}{daemon}", text::encoded(&self.address), text::encoded(&self.name))
    }

    fn request(&self, start: i64, length: u64) -> v1::ReadFileRequest {
        v1::ReadFileRequest {
            is_daemon: self.is_daemon,
            name: self.name.clone(),
            start,
            length,
            follow: false,
        }
    }
}

/// `GET /logs/download`: a file as it is.
pub(super) async fn download(
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let file = File::new(&query);
    let bytes = match open(&app, &file, file.request(0, 0)).await {
        Ok(bytes) => bytes,
        Err(refusal) => return refusal,
    };
    let answer = attachment(&file.name, bytes).await;
    answer.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.message).into_response())
}

/// A file as browsers load it down, under a name of nothing but what is harmless in a header.
///
/// # Errors
/// When it cannot be read: that is told with its first part, as long as the status is still to be told.
pub(crate) async fn attachment(name: &str, mut parts: LogBytes) -> Result<Response, CallError> {
    let first = parts.next().await.transpose()?;
    let all = stream::iter(first.map(Ok)).chain(parts);
    let body = Body::from_stream(all.map(|part| part.map(|part| Bytes::from(part.data))));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name = name.replace(|c: char| !is_plain(c), "-");
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (CONTENT_DISPOSITION, disposition.expect("plain ASCII")),
    ];
    Ok((headers, body).into_response())
}

async fn open(app: &App, file: &File, request: v1::ReadFileRequest) -> Result<LogBytes, Response> {
    match known(app, &file.address).await {
        Ok(_) => {}
        Err(Trouble::Call(error)) => {
            return Err((StatusCode::SERVICE_UNAVAILABLE, error.message).into_response());
        }
        Err(_) => return Err((StatusCode::NOT_FOUND, "no such daemon").into_response()),
    }
    let read = app.source.read_file(&file.address, request).await;
    read.map_err(|error| (StatusCode::BAD_GATEWAY, error.message).into_response())
}

/// `GET /logs/tail`: lines as they are written, from byte `start` on, as markup; those with the text `grep`
/// alone where it is given.
pub(super) async fn tail(
    State(app): State<App>,
    Extension(viewers): Extension<Arc<Viewers>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let Some(place) = viewers.place() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let file = File::new(&query);
    let start = query.get("start").and_then(|start| start.parse().ok()).unwrap_or(0);
    let request = v1::ReadFileRequest { follow: true, ..file.request(start, 0) };
    let bytes = match open(&app, &file, request).await {
        Ok(bytes) => bytes,
        Err(refusal) => return refusal,
    };
    let grep = query.get("grep").cloned().unwrap_or_default();
    let follower = Follower { bytes, rest: Vec::new(), offset: start.max(0) as u64, grep, _place: place };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

/// Cuts what comes into whole lines.
struct Follower {
    bytes: LogBytes,
    /// The beginning of a line whose end is still to come.
    rest: Vec<u8>,
    /// Of its first byte.
    offset: u64,
    /// Lines without this text are left out.
    grep: String,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// A line that is longer is shown in parts.
    const LINE_MAX: usize = 64 * 1024;

    /// The next whole lines; none when the file has ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let part = match self.bytes.next().await? {
                Ok(part) => part,
                Err(error) => return Some(Event::default().event("end").data(error.message)),
            };
            let before = self.offset;
            let markup = self.take(&part);
            // The client comes again from here when the line breaks, also where all lines were left out.
            if self.offset != before {
                let lines = serde_json::json!({"offset": self.offset, "lines": markup.to_string()});
                return Some(Event::default().data(lines.to_string()));
            }
        }
    }

    /// The lines that are whole with a part of the file.
    fn take(&mut self, part: &v1::FileBytes) -> Html {
        let mut whole = Html::new();
        if part.offset != self.offset + self.rest.len() as u64 {
            // Another file has taken its place: the line that it ended with has no end any more.
            self.put(&mut whole, self.rest.len());
            self.offset = part.offset;
        }
        self.rest.extend_from_slice(&part.data);
        match self.rest.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => self.put(&mut whole, end + 1),
            None if self.rest.len() > Self::LINE_MAX => self.put(&mut whole, self.rest.len()),
            None => {}
        }
        whole
    }

    /// So many of the bytes at hand, as lines.
    fn put(&mut self, whole: &mut Html, bytes: usize) {
        let lines: Vec<u8> = self.rest.drain(..bytes).collect();
        whole.put(format_args!("{}", lines::markup(&lines, self.offset, None, &self.grep)));
        self.offset += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follower(offset: u64, grep: &str, parts: &[(u64, &str)]) -> Follower {
        let part = |(offset, data): &(u64, &str)| {
            Ok(v1::FileBytes { offset: *offset, size: 0, data: data.as_bytes().to_vec() })
        };
        let parts: Vec<_> = parts.iter().map(part).collect();
        let bytes = Box::pin(stream::iter(parts));
        Follower {
            bytes,
            rest: Vec::new(),
            offset,
            grep: grep.to_owned(),
            _place: Viewers::default().place().unwrap(),
        }
    }

    /// The lines of all parts, and where they end.
    async fn followed(mut follower: Follower) -> (String, u64) {
        let mut lines = String::new();
        while let Some(Ok(part)) = follower.bytes.next().await {
            lines.push_str(&follower.take(&part).to_string());
        }
        (lines, follower.offset)
    }

    #[tokio::test]
    async fn lines_are_whole_wherever_they_are_cut() {
        let cut = followed(follower(5, "", &[(5, "on"), (7, "e\ntwo\nth"), (15, "ree\n")])).await;
        let whole = followed(follower(5, "", &[(5, "one\ntwo\nthree\n")])).await;
        assert_eq!(cut, whole);
        assert_eq!((whole.0.matches("<span").count(), whole.1), (3, 19));
    }

    #[tokio::test]
    async fn lines_of_two_files_are_not_joined() {
        let (lines, offset) = followed(follower(995, "", &[(995, "ab"), (0, "new\n")])).await;
        assert!(lines.contains(r#"id="b995">ab"#) && lines.contains(r#"id="b0">new"#), "{lines}");
        assert_eq!((lines.matches("<span").count(), offset), (2, 4));
    }

    #[tokio::test]
    async fn where_a_file_is_shorter_it_is_followed_from_its_end() {
        let (lines, offset) = followed(follower(900, "", &[(10, ""), (10, "a\n")])).await;
        assert!(lines.contains(r#"id="b10">a"#), "{lines}");
        assert_eq!(offset, 12);
    }

    #[tokio::test]
    async fn lines_without_the_text_are_left_out() {
        let (lines, offset) = followed(follower(0, "b", &[(0, "a\n"), (2, "b\nc\n")])).await;
        assert!(lines.contains(r#"id="b2">b"#) && lines.matches("<span").count() == 1, "{lines}");
        assert_eq!(offset, 6);
        // But how far it went is.
        let mut follower = follower(0, "b", &[(0, "a\n"), (2, "c")]);
        assert!(follower.next().await.is_some());
        assert!(follower.next().await.is_none());
    }
}
