//! Who may do what: decided here from what a request says of itself, before any handler sees it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, REFERER, USER_AGENT, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::app::App;
use crate::options::{Authentication, Options};

/// Path that is answered to everybody: whether the server lives.
pub(crate) const HEALTH: &str = "/health";

/// Path of the server's own figures: as open as those of the other daemons, and nothing of topologies in them.
pub(crate) const METRICS: &str = "/metrics";

/// Logins that were right are remembered: a check takes some 50 ms on purpose.
const REMEMBERED: usize = 1024;

/// Checks of passwords at once: whoever guesses keeps no more threads than these busy.
const CHECKS: usize = 4;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

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
#[derive(Debug)]
pub(crate) struct Logins {
    known: Mutex<HashMap<[u8; 32], String>>,
    checks: Semaphore,
}

impl Default for Logins {
    fn default() -> Logins {
        Logins { known: Mutex::default(), checks: Semaphore::new(CHECKS) }
    }
}

impl Logins {
    fn find(&self, header: &str) -> Option<String> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&digest(header)).cloned()
    }

    fn remember(&self, header: &str, name: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
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
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let allowed = allowed_origin(&app.options.cors_origins, site(&headers).as_deref());
    let is_open = [HEALTH, METRICS].contains(&path.as_str());
    let mut response = if is_rest && allowed.is_some() && is_preflight(&method, &headers) {
        // Browsers ask without a login whether they may ask with one.
        StatusCode::NO_CONTENT.into_response()
    } else {
        let judged =
            if is_open { Ok(User::default()) } else { judge(&app, peer.ip(), &method, &headers).await };
        match judged {
            Ok(user) => {
                request.extensions_mut().insert(user);
                next.run(request).await
            }
            Err(refusal) => {
                tracing::warn!(%peer, %method, path, ?refusal, "a request was refused");
                refuse(refusal, is_rest, &app.options.authentication)
            }
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("x-frame-options", "SAMEORIGIN"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    match allowed {
        Some(allowed) if is_rest => {
            headers.insert("access-control-allow-origin", allowed);
            headers.insert("access-control-allow-methods", HeaderValue::from_static("GET, POST"));
            headers.insert("access-control-allow-headers", crate::rest::ALLOWED_HEADERS);
        }
        Some(_) => {}
        // Nor may pages of other sites read it as a script, which a callback would make of it.
        None => {
            headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
        }
    }
    response
}

fn is_rest(path: &str, prefix: &str) -> bool {
    let path = path.strip_prefix(prefix).unwrap_or(path);
    path.starts_with("/api/")
}

async fn judge(app: &App, peer: IpAddr, method: &Method, headers: &HeaderMap) -> Result<User, Refusal> {
    if let Some(name) = strange_name(&app.options, headers) {
        return Err(Refusal::Forbidden(format!(
            "this server is not known as '{name}'; if it is, add the name to 'ui.hosts'"
        )));
    }
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
    let origin = text(headers, &ORIGIN);
    let named = || origin.unwrap_or("another site").to_owned();
    match text(headers, &FETCH_SITE) {
        Some("same-origin" | "none") => return None,
        Some(_) => return Some(named()),
        None => {}
    }
    (!is_ours(origin?, headers)).then(named)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// Whether an origin, or an address of a page, is of the host that was asked.
fn is_ours(site: &str, headers: &HeaderMap) -> bool {
    let theirs = site.split_once("://").and_then(|(_, rest)| rest.split('/').next());
    // Proxies append: the first is the one that the browser asked.
    let forwarded = text(headers, &FORWARDED_HOST).and_then(|hosts| hosts.split(',').next()).map(str::trim);
    theirs.is_some_and(|theirs| text(headers, &HOST) == Some(theirs) || forwarded == Some(theirs))
}

/// Whether a page of another site may have made a browser send this, by whatever means: an image and a
/// link name no origin, and over plain HTTP browsers do not say how sites relate.
pub(crate) fn may_be_foreign(headers: &HeaderMap) -> bool {
    let is_browser = text(headers, &USER_AGENT).is_some_and(|agent| agent.contains("Mozilla/"));
    let named = [ORIGIN, REFERER].iter().find_map(|name| text(headers, name));
    match (text(headers, &FETCH_SITE), named) {
        (Some(relation), _) => relation != "same-origin",
        (None, Some(site)) => !is_ours(site, headers),
        (None, None) => is_browser,
    }
}

/// The site whose page asks, as far as it says.
fn site(headers: &HeaderMap) -> Option<String> {
    if let Some(origin) = text(headers, &ORIGIN) {
        return Some(origin.to_owned());
    }
    let (scheme, rest) = text(headers, &REFERER)?.split_once("://")?;
    Some(format!("{scheme}://{}", rest.split('/').next().unwrap_or_default()))
}

fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key("access-control-request-method")
}

/// The name that a browser asked for, when this server has no such name.
///
/// A page whose own name was made to point here may ask what it likes: for the browser it is one site
/// with us. Where nobody has to log in, because only this machine reaches the port, names count; and
/// wherever names are listed.
fn strange_name(options: &Options, headers: &HeaderMap) -> Option<String> {
    let bound = options.host.parse::<IpAddr>().map_or(options.host == "localhost", |ip| ip.is_loopback());
    let names_count = bound || !options.hosts.is_empty();
    if options.authentication != Authentication::None || !names_count {
        return None;
    }
    let host = text(headers, &HOST)?.to_ascii_lowercase();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host.as_str(),
    };
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let is_local = name == "localhost" || name.ends_with(".localhost");
    let is_known = options.hosts.iter().any(|known| known.eq_ignore_ascii_case(name));
    (!is_address && !is_local && !is_known).then(|| name.to_owned())
}

/// Who a trusted proxy says that it is. Where the header occurs twice, one may be the client's own.
fn by_header(headers: &HeaderMap, name: &str, proxies: &[IpAddr], peer: IpAddr) -> Option<String> {
    let mut all = headers.get_all(name).iter();
    let (user, None) = (all.next()?.to_str().ok()?.trim(), all.next()) else { return None };
    (!user.is_empty() && proxies.contains(&peer.to_canonical())).then(|| user.to_owned())
}

async fn by_password(app: &App, headers: &HeaderMap, users: &[(String, String)]) -> Option<String> {
    let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
    if let Some(name) = app.logins.find(header) {
        return Some(name);
    }
    let (name, password) = credentials(header)?;
    let known = users.iter().find(|(known, _)| *known == name);
    // An unknown name takes as long as a wrong password.
    let (_, hash) = known.or_else(|| users.first())?.clone();
    // It takes long on purpose: not on a thread that serves others.
    let _turn = app.logins.checks.acquire().await.ok()?;
    let check = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
    if !check.await.unwrap_or(false) || known.is_none() {
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

fn refuse(refusal: Refusal, is_rest: bool, authentication: &Authentication) -> Response {
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
    if refusal == Refusal::Unknown && matches!(authentication, Authentication::Basic { .. }) {
        let ask = HeaderValue::from_static("Basic realm=\"storm-rs\", charset=\"UTF-8\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, ask);
    }
    response
}

/// What another site's script is told of whether it may read; none where it may not.
fn allowed_origin(allowed: &[String], origin: Option<&str>) -> Option<HeaderValue> {
    if allowed.iter().any(|site| site == "*") {
        return Some(HeaderValue::from_static("*"));
    }
    let origin = origin?;
    let is_listed = allowed.iter().any(|site| origin == site.trim_end_matches('/'));
    is_listed.then(|| HeaderValue::from_str(origin).ok()).flatten()
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
        let twice = [("origin", "https://ui.org"), ("x-forwarded-host", "ui.org, inner.org")];
        assert_eq!(other(&twice), None);
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
        // The client's own beside the proxy's.
        let mut twice = headers(&[("x-forwarded-user", "admin")]);
        twice.append("x-forwarded-user", HeaderValue::from_static("ada"));
        assert_eq!(by_header(&twice, "x-forwarded-user", &proxies, proxies[0]), None);
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
        let origin = "http://a.org";
        let allowed = |sites: &[&str], origin: Option<&str>| {
            let sites: Vec<String> = sites.iter().map(|site| (*site).to_owned()).collect();
            allowed_origin(&sites, origin)
        };
        assert_eq!(allowed(&["*"], None), Some(HeaderValue::from_static("*")));
        assert_eq!(allowed(&["http://a.org/"], Some(origin)), Some(HeaderValue::from_static(origin)));
        assert_eq!(allowed(&["http://b.org"], Some(origin)), None);
        assert_eq!(allowed(&[], Some(origin)), None);
    }

    #[test]
    fn what_an_image_of_another_site_asks_for_is_told_from_a_program() {
        let host = ("host", "ui.corp:8080");
        let agent = ("user-agent", "Mozilla/5.0 (X11)");
        let foreign = |given: &[(&'static str, &str)]| may_be_foreign(&headers(given));
        assert!(!foreign(&[host]) && !foreign(&[host, ("user-agent", "curl/8.0")]));
        assert!(foreign(&[host, agent]));
        assert!(foreign(&[host, agent, ("referer", "http://evil.org/page")]));
        assert!(!foreign(&[host, agent, ("referer", "http://ui.corp:8080/topology/a")]));
        assert!(foreign(&[host, agent, ("sec-fetch-site", "none")]));
        assert!(!foreign(&[host, agent, ("sec-fetch-site", "same-origin")]));
    }

    #[test]
    fn a_name_that_was_made_to_point_here_is_none_of_ours() {
        let strange = |options: &Options, host: &str| strange_name(options, &headers(&[("host", host)]));
        let open = Options::default();
        for ours in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "[::1]", "a.localhost:1"]
        {
            assert_eq!(strange(&open, ours), None, "{ours}");
        }
        assert_eq!(strange(&open, "evil.org:8080"), Some("evil.org".to_owned()));
        let named = Options { hosts: vec!["ui.corp".to_owned()], ..Options::default() };
        assert_eq!(strange(&named, "UI.corp:80"), None);
        // Others reach it anyway, or have to log in.
        let reached = Options { host: "0.0.0.0".to_owned(), ..Options::default() };
        assert_eq!(strange(&reached, "evil.org"), None);
        let listed = Options { hosts: vec!["ui".to_owned()], ..reached };
        assert!(strange(&listed, "ui:8080").is_none() && strange(&listed, "evil.org").is_some());
        let users = vec![("ada".to_owned(), "$2y$".to_owned())];
        let basic = Options { authentication: Authentication::Basic { users }, ..Options::default() };
        assert_eq!(strange(&basic, "evil.org"), None);
    }
}
