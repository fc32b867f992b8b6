//! Who may do what: decided here from what a request says of itself, before any handler sees it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::options::{Authentication, Options};

/// Path that is answered to everybody: whether the server lives.
pub(crate) const HEALTH: &str = "/health";

/// Path of the server's own figures: as open as those of the other daemons, and nothing of topologies in them.
pub(crate) const METRICS: &str = "/metrics";

/// Logins that were right are remembered: a check takes some 50 ms on purpose.
const REMEMBERED: usize = 1024;

/// Who asks, as far as it is known. An extension of every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User(pub Option<String>);

impl User {
    /// The name; empty where nobody is known.
    pub fn name(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    /// Nobody known asks: 401.
    Unknown,
    /// Somebody known asks who may not: 403.
    Forbidden(String),
}

/// Right logins by the digest of their header.
#[derive(Debug, Default)]
pub(crate) struct Logins(Mutex<HashMap<[u8; 32], String>>);

impl Logins {
    fn find(&self, header: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&digest(header)).cloned()
    }

    fn remember(&self, header: &str, name: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(digest(header), name.to_owned());
    }
}

fn digest(header: &str) -> [u8; 32] {
    Sha256::digest(header.as_bytes()).into()
}

/// Lets a request through that may pass, with its [`User`]; puts on every answer what keeps browsers
/// from being misled.
pub(crate) async fn guard(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let is_rest = is_rest(&path, &app.options.prefix);
    let origin = request.headers().get(ORIGIN).cloned();
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let is_open = [HEALTH, METRICS].contains(&path.as_str());
    let judged = if is_open { Ok(User::default()) } else { judge(&app, peer.ip(), &method, &headers).await };
    let mut response = match judged {
        Ok(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(refusal) => refuse(refusal, is_rest),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("x-frame-options", "SAMEORIGIN"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if is_rest && let Some(allowed) = allowed_origin(&app.options.cors_origins, origin.as_ref()) {
        headers.insert("access-control-allow-origin", allowed);
    }
    response
}

fn is_rest(path: &str, prefix: &str) -> bool {
    let path = path.strip_prefix(prefix).unwrap_or(path);
    path.starts_with("/api/")
}

async fn judge(app: &App, peer: IpAddr, method: &Method, headers: &HeaderMap) -> Result<User, Refusal> {
    if is_writing(method)
        && let Some(site) = other_site(headers)
    {
        return Err(Refusal::Forbidden(format!("a page of {site} asked for it")));
    }
    let user = match &app.options.authentication {
        Authentication::None => return Ok(User::default()),
        Authentication::Header { name, proxies } => by_header(headers, name, proxies, peer),
        Authentication::Basic { users } => by_password(app, headers, users).await,
    };
    admit(user, &app.options)
}

fn admit(user: Option<String>, options: &Options) -> Result<User, Refusal> {
    let user = user.ok_or(Refusal::Unknown)?;
    if options.users.is_empty() || options.users.contains(&user) {
        return Ok(User(Some(user)));
    }
    Err(Refusal::Forbidden(format!("User {user} is not authorized.")))
}

fn is_writing(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The other site whose page made the browser send this; none where no browser or our own page did.
///
/// A browser says by `Sec-Fetch-Site` how its page's site relates to ours, whatever proxies are between;
/// older ones name the site, which has to be the host that was asked.
fn other_site(headers: &HeaderMap) -> Option<String> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let origin = text(ORIGIN);
    let named = || origin.unwrap_or("another site").to_owned();
    match text(HeaderName::from_static("sec-fetch-site")) {
        Some("same-origin" | "none") => return None,
        Some(_) => return Some(named()),
        None => {}
    }
    let authority = origin?.split_once("://").map(|(_, authority)| authority);
    let forwarded = text(HeaderName::from_static("x-forwarded-host"));
    let is_ours = authority.is_some_and(|theirs| text(HOST) == Some(theirs) || forwarded == Some(theirs));
    (!is_ours).then(named)
}

/// Who a trusted proxy says that it is.
fn by_header(headers: &HeaderMap, name: &str, proxies: &[IpAddr], peer: IpAddr) -> Option<String> {
    let user = headers.get(name)?.to_str().ok()?.trim();
    (!user.is_empty() && proxies.contains(&peer.to_canonical())).then(|| user.to_owned())
}

async fn by_password(app: &App, headers: &HeaderMap, users: &[(String, String)]) -> Option<String> {
    let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
    if let Some(name) = app.logins.find(header) {
        return Some(name);
    }
    let (name, password) = credentials(header)?;
    let (name, hash) = users.iter().find(|(known, _)| *known == name)?.clone();
    // It takes long on purpose: not on a thread that serves others.
    let check = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
    if !check.await.unwrap_or(false) {
        return None;
    }
    app.logins.remember(header, &name);
    Some(name)
}

/// Name and password of an `Authorization: Basic`.
fn credentials(header: &str) -> Option<(String, String)> {
    let (scheme, rest) = header.split_once(' ')?;
    let decoded = STANDARD.decode(rest.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (name, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

fn refuse(refusal: Refusal, is_rest: bool) -> Response {
    let (status, title, message) = match &refusal {
        Refusal::Unknown => {
            (StatusCode::UNAUTHORIZED, "Unauthorized", "Who are you? Log in first.".to_owned())
        }
        Refusal::Forbidden(why) => (StatusCode::FORBIDDEN, "No Authorization", why.clone()),
    };
    let mut response = if is_rest {
        let body = serde_json::json!({"error": title, "errorMessage": message});
        (status, axum::Json(body)).into_response()
    } else {
        (status, format!("{title}: {message}\n")).into_response()
    };
    if refusal == Refusal::Unknown {
        let ask = HeaderValue::from_static("Basic realm=\"storm-rs\", charset=\"UTF-8\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, ask);
    }
    response
}

/// What another site's script is told of whether it may read.
fn allowed_origin(allowed: &[String], origin: Option<&HeaderValue>) -> Option<HeaderValue> {
    if allowed.iter().any(|site| site == "*") {
        return Some(HeaderValue::from_static("*"));
    }
    let origin = origin?;
    allowed
        .iter()
        .any(|site| origin.as_bytes() == site.trim_end_matches('/').as_bytes())
        .then(|| origin.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        given.iter().map(pair).collect()
    }

    #[test]
    fn pages_of_other_sites_are_told_apart() {
        let other = |given: &[(&'static str, &str)]| other_site(&headers(given));
        // No browser.
        assert_eq!(other(&[("host", "ui:8080")]), None);
        assert_eq!(other(&[("host", "ui:8080"), ("origin", "http://ui:8080")]), None);
        let evil = [("host", "ui:8080"), ("origin", "http://evil.org")];
        assert_eq!(other(&evil), Some("http://evil.org".to_owned()));
        assert!(other(&[("host", "ui:8080"), ("origin", "null")]).is_some());
        assert!(other(&[("host", "ui:8080"), ("origin", "http://ui:8081")]).is_some());
        // A proxy that tells the name it was asked under, and one that does not.
        let proxied =
            [("host", "127.0.0.1:8080"), ("origin", "https://ui.org"), ("x-forwarded-host", "ui.org")];
        assert_eq!(other(&proxied), None);
        assert_eq!(other(&[("origin", "https://ui.org"), ("sec-fetch-site", "same-origin")]), None);
        assert_eq!(other(&[("sec-fetch-site", "none")]), None);
        for site in ["cross-site", "same-site"] {
            assert_eq!(other(&[("sec-fetch-site", site)]), Some("another site".to_owned()));
        }
    }

    #[test]
    fn only_what_changes_something_is_writing() {
        assert!(is_writing(&Method::POST) && is_writing(&Method::DELETE) && is_writing(&Method::PUT));
        assert!(!is_writing(&Method::GET) && !is_writing(&Method::HEAD));
    }

    #[test]
    fn a_header_counts_when_a_proxy_set_it() {
        let given = headers(&[("x-forwarded-user", "ada")]);
        let proxies = ["127.0.0.1".parse().unwrap()];
        let by = |peer: &str| by_header(&given, "x-forwarded-user", &proxies, peer.parse().unwrap());
        assert_eq!(by("127.0.0.1"), Some("ada".to_owned()));
        assert_eq!(by("::ffff:127.0.0.1"), Some("ada".to_owned()));
        assert_eq!(by("10.0.0.9"), None);
        assert_eq!(by_header(&headers(&[]), "x-forwarded-user", &proxies, proxies[0]), None);
    }

    #[tokio::test]
    async fn a_password_is_checked() {
        let users = vec![("ada".to_owned(), bcrypt::hash("love:lace", 4).unwrap())];
        let app = App::new(crate::seed::Seed::new(crate::seed::SeedOptions::small()), Options::default());
        let ask = async |login: &str| {
            let header = format!("Basic {}", STANDARD.encode(login));
            by_password(&app, &headers(&[("authorization", &header)]), &users).await
        };
        // Twice: the second time from memory.
        for _ in 0..2 {
            assert_eq!(ask("ada:love:lace").await, Some("ada".to_owned()));
            assert_eq!(ask("ada:wrong").await, None);
            assert_eq!(ask("eve:love:lace").await, None);
            assert_eq!(ask("ada").await, None);
        }
        assert_eq!(credentials("Bearer x"), None);
        assert_eq!(credentials("Basic ***"), None);
    }

    #[test]
    fn those_who_are_not_listed_stay_out() {
        let options = Options { users: vec!["ada".to_owned()], ..Options::default() };
        assert_eq!(admit(Some("ada".to_owned()), &options), Ok(User(Some("ada".to_owned()))));
        assert!(matches!(admit(Some("eve".to_owned()), &options), Err(Refusal::Forbidden(_))));
        assert_eq!(admit(None, &options), Err(Refusal::Unknown));
        assert!(admit(Some("eve".to_owned()), &Options::default()).is_ok());
    }

    #[test]
    fn other_sites_may_read_when_they_are_listed() {
        let origin = HeaderValue::from_static("http://a.org");
        let allowed = |sites: &[&str], origin: Option<&HeaderValue>| {
            let sites: Vec<String> = sites.iter().map(|site| (*site).to_owned()).collect();
            allowed_origin(&sites, origin)
        };
        assert_eq!(allowed(&["*"], None), Some(HeaderValue::from_static("*")));
        assert_eq!(allowed(&["http://a.org/"], Some(&origin)), Some(origin.clone()));
        assert_eq!(allowed(&["http://b.org"], Some(&origin)), None);
        assert_eq!(allowed(&[], Some(&origin)), None);
    }
}
