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
    message: &'a str,
    advice: Html,
    is_retried: bool,
}

/// The page for what went wrong. It is live where that may pass.
pub(super) fn page(ask: &Ask, trouble: &Trouble) -> Page {
    let (status, heading, message, advice, is_retried) = match trouble {
        Trouble::Call(error) => {
            let (status, heading) = match error.code {
                ErrorCode::Unreachable => (StatusCode::SERVICE_UNAVAILABLE, "The cluster does not answer"),
                ErrorCode::NoSuchTopology => (StatusCode::NOT_FOUND, "There is no such topology"),
                ErrorCode::NotAuthenticated => (StatusCode::FORBIDDEN, "The cluster does not know this UI"),
                ErrorCode::Invalid | ErrorCode::Usage => (StatusCode::BAD_REQUEST, "That was refused"),
                _ => (StatusCode::BAD_GATEWAY, "That did not work"),
            };
            let is_down = error.code == ErrorCode::Unreachable;
            let advice = match error.advice.as_str() {
                "" if is_down => {
                    "Is Nimbus running, and are 'nimbus.seeds' and 'nimbus.thrift.port' those of its host?"
                }
                "" if error.code == ErrorCode::NoSuchTopology => {
                    "It may have been killed; the cluster's page has those that are there."
                }
                advice => advice,
            };
            (status, heading, error.message.as_str(), advice, true)
        }
        Trouble::NotFound(what) => (
            StatusCode::NOT_FOUND,
            "Not found",
            what.as_str(),
            "The search finds topologies, components, hosts and workers.",
            false,
        ),
        Trouble::Forbidden(why) => (StatusCode::FORBIDDEN, "Not allowed", why.as_str(), "", false),
        Trouble::Moved(to) => (StatusCode::OK, "Moved", to.as_str(), "", false),
    };
    let template = Error { root: &ask.root, heading, message, advice: code(advice), is_retried };
    Page { status, is_live: is_retried, ..Page::still(heading, &template) }
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
