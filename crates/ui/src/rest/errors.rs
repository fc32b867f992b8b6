//! Errors of components.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;
use storm_model::ComponentId;
use storm_rpc::v1;

use super::format::Links;
use crate::view::TopologyView;

/// Characters of an error's message in a list.
const MESSAGE_CHARS: usize = 200;

/// The last error of a component; without one texts are empty and times are null.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct LastError {
    pub last_error: String,
    /// Seconds since 1970.
    pub error_time: Option<u64>,
    pub error_host: String,
    /// A number, or an empty text.
    pub error_port: Value,
    pub error_worker_log_link: String,
    pub error_lapsed_secs: Option<u64>,
}

impl LastError {
    pub(crate) fn of(view: &TopologyView, component: &ComponentId, links: &Links) -> LastError {
        let errors = view.status.errors.iter().filter(|error| *component == *error.component);
        let Some(error) = errors.max_by_key(|error| error.time_ms) else {
            return LastError {
                last_error: String::new(),
                error_time: None,
                error_host: String::new(),
                error_port: Value::from(""),
                error_worker_log_link: String::new(),
                error_lapsed_secs: None,
            };
        };
        LastError {
            last_error: error.message.chars().take(MESSAGE_CHARS).collect(),
            error_time: Some(error.time_ms / 1_000),
            error_host: error.host.clone(),
            error_port: error.port.into(),
            error_worker_log_link: links.worker_log(&view.summary().id, &error.host, error.port),
            error_lapsed_secs: Some(lapsed(view.asked, error.time_ms)),
        }
    }
}

/// Seconds since then. Clocks differ: what is to come was now.
fn lapsed(now: SystemTime, time_ms: u64) -> u64 {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_millis() as u64).saturating_sub(time_ms) / 1_000
}

/// An error.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct ErrorRow {
    /// Milliseconds since 1970.
    pub error_time: u64,
    /// The same: what versions of Storm before 0.11 and after 2.0 call it.
    pub time: u64,
    pub error_host: String,
    pub error_port: u32,
    pub error_worker_log_link: String,
    pub error_lapsed_secs: u64,
    pub error: String,
    /// Ours: errors of this component that were not told since the last one.
    pub suppressed: u64,
}

/// The errors of a component, newest first.
pub(crate) fn of_component(view: &TopologyView, component: &ComponentId, links: &Links) -> Vec<ErrorRow> {
    let topology = view.summary().id;
    let mut errors: Vec<&v1::ErrorReport> =
        view.status.errors.iter().filter(|error| *component == *error.component).collect();
    errors.sort_by_key(|error| std::cmp::Reverse(error.time_ms));
    let row = |error: &v1::ErrorReport| ErrorRow {
        error_time: error.time_ms,
        time: error.time_ms,
        error_host: error.host.clone(),
        error_port: error.port,
        error_worker_log_link: links.worker_log(&topology, &error.host, error.port),
        error_lapsed_secs: lapsed(view.asked, error.time_ms),
        error: error.message.clone(),
        suppressed: error.suppressed,
    };
    errors.into_iter().map(row).collect()
}
