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
use storm_rpc::v1;
use tokio::sync::OwnedSemaphorePermit;

use crate::app::App;
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

/// The daemon at an address, if the cluster has it.
async fn known(app: &App, address: &str) -> Result<Daemon, Trouble> {
    let view = app.source.cluster().await?;
    let found = daemons(&view).into_iter().find(|daemon| daemon.address == address);
    found.ok_or_else(|| Trouble::NotFound(format!("The cluster has no daemon at '{address}'.")))
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
    let body = Body::from_stream(bytes.map(|part| part.map(|part| Bytes::from(part.data))));
    // The name goes into a header: nothing but what is harmless there.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name: String = file.name.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (
            CONTENT_DISPOSITION,
            HeaderValue::from_str(&format!("attachment; filename=\"{name}\""))
                .unwrap_or_else(|_| HeaderValue::from_static("attachment")),
        ),
    ];
    (headers, body).into_response()
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

/// `GET /logs/tail`: lines as they are written, from byte `start` on, as markup.
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
    let follower = Follower { bytes, rest: Vec::new(), offset: start.max(0) as u64, _place: place };
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
            if self.rest.is_empty() {
                self.offset = part.offset;
            }
            self.rest.extend_from_slice(&part.data);
            let end = match self.rest.iter().rposition(|byte| *byte == b'\n') {
                Some(end) => end + 1,
                None if self.rest.len() > Self::LINE_MAX => self.rest.len(),
                None => continue,
            };
            let whole: Vec<u8> = self.rest.drain(..end).collect();
            let markup = lines::markup(&whole, self.offset, None);
            self.offset += end as u64;
            // The client comes again from here when the line breaks.
            return Some(
                Event::default().id(self.offset.to_string()).data(
                    serde_json::json!({"offset": self.offset, "lines": markup.to_string()}).to_string(),
                ),
            );
        }
    }
}
