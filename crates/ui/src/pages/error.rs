//! The page that stands where another one cannot: what happened, why, and what to do.

use askama::Template;
use axum::http::StatusCode;
use storm_rpc::ErrorCode;

use crate::draw::{Html, escape};
use crate::pages::{Ask, Page, Trouble};

#[derive(Template)]
#[template(path = "error.html")]
struct Error<'a> {
    root: &'a str,
    heading: &'a str,
    /// What happened, as whoever noticed it says it.
    message: &'a str,
    /// What the reader can do.
    advice: &'a str,
    /// What whoever runs the cluster can do.
    technical: Html,
    is_retried: bool,
}

/// The page for what went wrong. It is live where that may pass.
pub(super) fn page(ask: &Ask, trouble: &Trouble) -> Page {
    let (status, heading, advice) = match trouble {
        Trouble::Call(error) => of_call(error.code),
        Trouble::NotFound(_) => (
            StatusCode::NOT_FOUND,
            "Not found",
            "The search finds topologies, components, hosts and workers by a part of their names.",
        ),
        Trouble::Forbidden(_) => {
            (StatusCode::FORBIDDEN, "Not allowed", "Whoever runs this UI decides what may be done with it.")
        }
        Trouble::Moved(_) => (StatusCode::OK, "Moved", ""),
    };
    let (message, technical) = match trouble {
        Trouble::Call(error) => (error.message.as_str(), error.advice.as_str()),
        Trouble::NotFound(what) | Trouble::Forbidden(what) | Trouble::Moved(what) => (what.as_str(), ""),
    };
    let is_retried = matches!(trouble, Trouble::Call(_));
    let template =
        Error { root: &ask.root, heading, message, advice, technical: code(technical), is_retried };
    Page { status, is_live: is_retried, ..Page::still(heading, &template) }
}

/// Status, heading, and what somebody who has a browser and no shell can do.
fn of_call(code: ErrorCode) -> (StatusCode, &'static str, &'static str) {
    match code {
        ErrorCode::Unreachable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The cluster does not answer",
            "What runs goes on without being seen: topologies do not need Nimbus to process tuples. \
             If it stays so for minutes, tell whoever runs the cluster what stands below.",
        ),
        ErrorCode::NoSuchTopology => (
            StatusCode::NOT_FOUND,
            "There is no such topology",
            "It may have been killed, or submitted again under another id: the cluster's page has those that \
             are there.",
        ),
        ErrorCode::NotAuthenticated => (
            StatusCode::FORBIDDEN,
            "The cluster does not know this UI",
            "Your login is not the reason: the UI itself shows another secret than the cluster's. \
             Tell whoever runs it.",
        ),
        ErrorCode::Invalid | ErrorCode::Usage => (
            StatusCode::BAD_REQUEST,
            "That was refused",
            "What was asked for is not there any more, or the link is not written well: go back and choose \
             it anew.",
        ),
        _ => (
            StatusCode::BAD_GATEWAY,
            "That did not work",
            "Try it again; if it stays so, tell whoever runs the cluster what stands below.",
        ),
    }
}

/// A sentence with what stands in backticks as code.
fn code(sentence: &str) -> Html {
    let mut html = Html::new();
    for (i, part) in sentence.split('`').enumerate() {
        match i % 2 {
            1 => html.put(format_args!("<code>{}</code>", escape(part))),
            _ => html.put(format_args!("{}", escape(part))),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use storm_rpc::CallError;

    use super::*;

    #[test]
    fn advice_is_for_people_at_a_browser_and_the_cause_is_kept() {
        let ask = Ask::new(&"/topology/a".parse().unwrap(), "").unwrap();
        for code in [ErrorCode::Unreachable, ErrorCode::NoSuchTopology, ErrorCode::Other] {
            let error =
                CallError::new(code, "no Nimbus answers at n:6627").advise("set it with `--config FILE`");
            let page = page(&ask, &Trouble::Call(error)).main;
            let (advice, technical) = page.split_once("<details").unwrap();
            assert!(advice.contains("class=\"advice\"") && advice.contains("no Nimbus answers"), "{page}");
            assert!(
                !advice.contains("--config") && technical.contains("<code>--config FILE</code>"),
                "{page}"
            );
        }
        assert!(!page(&ask, &Trouble::NotFound("no".to_owned())).main.contains("<details"));
    }
}
