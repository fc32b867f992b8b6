//! What a request says beyond its path.

use std::collections::BTreeMap;
use std::convert::Infallible;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::format::{AskedWindow, Links};
use crate::app::App;
use crate::guard::User;

/// What a request says beyond its path. Parameters that nobody knows are left alone.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    parameters: BTreeMap<String, String>,
    pub(crate) links: Links,
    pub(crate) user: Option<String>,
}

impl Ask {
    /// A parameter; none where it is empty, too.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter that is a number; none where it is not one.
    pub(crate) fn number<N: std::str::FromStr>(&self, name: &str) -> Option<N> {
        self.parameter(name)?.parse().ok()
    }

    /// The parameter `window`.
    pub(crate) fn window(&self) -> AskedWindow {
        AskedWindow::new(self.parameter("window"))
    }

    /// The same, with the `callback` that stands in a body where the query has none.
    pub(crate) fn or_callback_of(mut self, body: &[u8]) -> Ask {
        let body = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
        if let Some(name) = body.get("callback").and_then(serde_json::Value::as_str) {
            self.parameters.entry("callback".to_owned()).or_insert_with(|| name.to_owned());
        }
        self
    }

    /// The parameter `callback`, if it is a name that a script can call.
    pub(crate) fn callback(&self) -> Option<&str> {
        self.parameter("callback").filter(|name| is_callable(name))
    }
}

impl FromRequestParts<App> for Ask {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Ask, Infallible> {
        // A query that cannot be read asks for nothing.
        let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let parameters = query.map(|Query(pairs)| pairs.into_iter().collect()).unwrap_or_default();
        let user = parts.extensions.get::<User>().and_then(|user| user.0.clone());
        Ok(Ask { parameters, links: links(&parts.headers, &app.options.prefix), user })
    }
}

/// Where the client reaches this server: what a proxy in front says, else the host that was asked.
fn links(headers: &HeaderMap, prefix: &str) -> Links {
    // Proxies append: the first is the one that the client asked.
    let first = |name: &str| headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim);
    let is_authority = |text: &&str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c))
    };
    let authority = first("x-forwarded-host").filter(is_authority);
    let authority = authority.or_else(|| first(header::HOST.as_str()).filter(is_authority));
    let is_path = |text: &&str| text.chars().all(|c| c.is_ascii_alphanumeric() || "/-._~".contains(c));
    let forwarded = first("x-forwarded-prefix").filter(is_path).map(|path| path.trim_matches('/'));
    Links {
        scheme: if first("x-forwarded-proto") == Some("https") { "https" } else { "http" },
        authority: authority.unwrap_or("localhost").to_owned(),
        prefix: match forwarded {
            Some("") => String::new(),
            Some(path) => format!("/{path}"),
            None => prefix.to_owned(),
        },
    }
}

/// Names joined by dots, 128 characters at most.
fn is_callable(name: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || "_$".contains(c))
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "_$".contains(c))
    };
    name.len() <= 128 && name.split('.').all(is_name)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn of(given: &[(&'static str, &str)]) -> String {
        let pair =
            |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        let Links { scheme, authority, prefix } = links(&given.iter().map(pair).collect(), "/storm");
        format!("{scheme}://{authority}{prefix}")
    }

    #[test]
    fn a_proxy_says_where_it_is() {
        assert_eq!(of(&[]), "http://localhost/storm");
        assert_eq!(of(&[("host", "ui:8080")]), "http://ui:8080/storm");
        let proxied = [
            ("host", "127.0.0.1:8080"),
            ("x-forwarded-host", "a.org, b.org"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/x/"),
        ];
        assert_eq!(of(&proxied), "https://a.org/x");
        assert_eq!(
            of(&[("host", "ui"), ("x-forwarded-host", "a\"><b"), ("x-forwarded-prefix", "/")]),
            "http://ui"
        );
    }

    #[test]
    fn only_names_are_called() {
        for name in ["f", "_a.b$1", "jQuery123_456"] {
            assert!(is_callable(name), "{name}");
        }
        for name in ["", "1a", "a..b", "alert(1)", "a b", &"a".repeat(129)] {
            assert!(!is_callable(name), "{name}");
        }
    }
}
