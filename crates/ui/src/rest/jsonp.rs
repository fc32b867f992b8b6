//! Answers: JSON, or a call of the client's function with it.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use storm_rpc::{CallError, ErrorCode};

use super::ask::Ask;

const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");
const SCRIPT: HeaderValue = HeaderValue::from_static("application/javascript;charset=utf-8");
/// Headers that scripts of other sites may send.
pub(crate) const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "Content-Type, Access-Control-Allow-Headers, Access-Controler-Allow-Origin, X-Requested-By, X-Csrf-Token, \
     Authorization, X-Requested-With",
);

/// Why a request gets no answer of the usual kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    status: StatusCode,
    error: String,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    error: &'a str,
    error_message: &'a str,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Failure {
        Failure { status, error: status.to_string(), message: message.into() }
    }

    /// Something that is not there.
    pub(crate) fn missing(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::NOT_FOUND, message)
    }

    /// A parameter or a body that makes no sense.
    pub(crate) fn senseless(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// Something that nobody, or not this user, may do.
    pub(crate) fn forbidden(message: impl Into<String>) -> Failure {
        let error = "No Authorization".to_owned();
        Failure { status: StatusCode::FORBIDDEN, error, message: message.into() }
    }
}

/// As in Storm, whatever goes wrong is the server's error; what went wrong is in the message.
impl From<CallError> for Failure {
    fn from(CallError { code, message, advice }: CallError) -> Failure {
        // Scripts look for Storm's words.
        let words = if code == ErrorCode::NoSuchTopology { "NotAliveException: " } else { "" };
        let advice = if advice.is_empty() { String::new() } else { format!("; {advice}") };
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{words}{message}{advice}"))
    }
}

/// The answer to a request.
pub(crate) fn answer<T: Serialize>(ask: &Ask, result: Result<T, Failure>) -> Response {
    let (status, json) = match result {
        Ok(value) => (StatusCode::OK, serde_json::to_string(&value)),
        Err(failure) => {
            let Failure { status, error, message } = &failure;
            tracing::debug!(%status, error = message, "a request failed");
            (*status, serde_json::to_string(&ErrorBody { error, error_message: message }))
        }
    };
    let json = json.expect("keys are texts, and nothing of it fails to be written");
    let (kind, body) = match ask.callback() {
        // Both separators end a line in older scripts.
        Some(callback) => {
            let json = json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
            (SCRIPT, format!("{callback}({json});"))
        }
        None => (JSON, json),
    };
    let mut response = (status, Body::from(body)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    common_headers(response.headers_mut());
    response
}

/// What every answer of the interface says, whatever its kind.
pub(crate) fn common_headers(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
}
