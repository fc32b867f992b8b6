//! What people read.
//!
//! A page is made in three steps: a handler asks the source, a model says in plain data what there is
//! to see, a template writes it. All links are relative, so that the pages work below any prefix of a
//! proxy. The same page is rendered for browsers that ask, and every two seconds for those that look.

mod actions;
mod assets;
mod cluster;
mod component;
mod components;
mod config;
mod error;
mod layout;
mod live;
pub(crate) mod logs;
mod nimbus;
pub(crate) mod parts;
mod search;
pub(crate) mod supervisor;
pub(crate) mod text;
mod topology;

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::NestedPathRejection;
use axum::extract::{Form, NestedPath, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, extract::Path};
use storm_rpc::CallError;

use crate::app::App;
use crate::guard::User;

/// What pages may load: nothing but ours, and no scripts within the page. Widths and colours of
/// drawings are variables in `style`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'";

/// All pages, their assets and what keeps them live.
pub fn routes() -> Router<App> {
    let live = Arc::new(live::Viewers::default());
    let notices = Arc::new(actions::Notices::default());
    Router::new()
        .route("/", get(first))
        .route("/live", get(live::stream))
        .route("/logs/tail", get(logs::tail))
        .route("/logs/download", get(logs::download))
        .route("/assets/{name}", get(|Path(name): Path<String>| async move { assets::response(&name) }))
        .route("/favicon.ico", get(|| async { assets::response("favicon.svg") }))
        .fallback(get(show).post(act))
        .layer(Extension(live))
        .layer(Extension(notices))
}

/// A page without what is around it.
#[derive(Debug)]
struct Page {
    status: StatusCode,
    title: String,
    /// What stands in `<main>`.
    main: String,
    /// Whether it changes by itself.
    is_live: bool,
}

impl Page {
    /// A page that changes by itself.
    fn live(title: impl Into<String>, template: &impl Template) -> Page {
        Page { is_live: true, ..Page::still(title, template) }
    }

    /// A page that stays as it is.
    fn still(title: impl Into<String>, template: &impl Template) -> Page {
        let main = template.render().expect("templates write to a String, and none of ours fails");
        Page { status: StatusCode::OK, title: title.into(), main, is_live: false }
    }
}

/// Why there is no page.
#[derive(Debug)]
enum Trouble {
    /// Nimbus, or another daemon, did not answer as hoped.
    Call(CallError),
    /// There is no such thing.
    NotFound(String),
    /// It may not be done here.
    Forbidden(String),
    /// It stands elsewhere: a relative address.
    Moved(String),
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Trouble {
        Trouble::Call(error)
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
struct Ask {
    /// Names in the path.
    path: Vec<String>,
    /// Parameters.
    query: HashMap<String, String>,
    /// What leads to the first page from here.
    root: String,
    /// Path and parameters of what keeps the page live.
    again: String,
    /// What a command answered.
    notice: Option<String>,
}

impl Ask {
    /// From a path below the prefix with its parameters; none when it is not written well.
    fn new(uri: &Uri, prefix: &str) -> Option<Ask> {
        let path = uri.path();
        let path =
            path.strip_prefix(prefix).filter(|path| path.is_empty() || path.starts_with('/')).unwrap_or(path);
        let names: Option<Vec<String>> =
            path.split('/').filter(|name| !name.is_empty()).map(text::decoded).collect();
        let Query(query) = Query::<HashMap<String, String>>::try_from_uri(uri).ok()?;
        let again = kept(&query, "");
        let again = if again.is_empty() { path.to_owned() } else { format!("{path}?{}", again.join("&")) };
        Some(Ask { path: names?, query, root: root(path), again, notice: None })
    }

    /// A parameter; empty where it is missing.
    fn get(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// A link to the same page with another value of one of its parameters.
    fn with(&self, name: &str, value: &str) -> String {
        let mut parameters = kept(&self.query, name);
        parameters.push(format!("{name}={}", text::encoded(value)));
        format!("?{}", parameters.join("&"))
    }
}

/// Parameters as they stand in a link, without one and without those that are meant once.
fn kept(query: &HashMap<String, String>, but: &str) -> Vec<String> {
    let mut kept: Vec<String> = query
        .iter()
        .filter(|(name, _)| ![but, "theme", "notice"].contains(&name.as_str()))
        .map(|(name, value)| format!("{}={}", text::encoded(name), text::encoded(value)))
        .collect();
    kept.sort_unstable();
    kept
}

/// What leads from a path to the first page: relative, so that it does not matter what is before the path.
fn root(path: &str) -> String {
    match path.matches('/').count() {
        0 | 1 => "./".to_owned(),
        deep => "../".repeat(deep - 1),
    }
}

/// The page that is asked for; what goes wrong is a page, too.
async fn render(app: &App, ask: &Ask) -> Result<Page, Trouble> {
    let names: Vec<&str> = ask.path.iter().map(String::as_str).collect();
    match names[..] {
        [] => cluster::page(app, ask).await,
        ["topology", id] => topology::page(app, ask, id).await,
        ["topology", id, "component", component] => component::page(app, ask, id, component).await,
        ["topology", id, action] => actions::page(app, ask, id, action).await,
        ["supervisor", id] => supervisor::page(app, ask, id).await,
        ["nimbus"] => nimbus::page(app, ask).await,
        ["config"] => config::page(app, ask).await,
        ["logs"] => logs::choose::page(app, ask).await,
        ["logs", "view"] => logs::view::page(app, ask).await,
        ["logs", "search"] => logs::search::page(app, ask).await,
        ["search"] => search::page(app, ask).await,
        ["index.html"] => Err(Trouble::Moved("./".to_owned())),
        ["topology.html"] => moved("topology", &[ask.get("id")]),
        ["component.html"] => moved("topology", &[ask.get("topology_id"), "component", ask.get("id")]),
        ["supervisor.html"] if !ask.get("id").is_empty() => moved("supervisor", &[ask.get("id")]),
        ["supervisor.html"] => Err(Trouble::Moved(format!("search?q={}", text::encoded(ask.get("host"))))),
        ["nimbus.html"] => moved("nimbus", &[]),
        _ => Err(Trouble::NotFound("There is no such page.".to_owned())),
    }
}

/// Where a page of Storm's has its place here.
fn moved(to: &str, names: &[&str]) -> Result<Page, Trouble> {
    let mut path = to.to_owned();
    for name in names.iter().filter(|name| !name.is_empty()) {
        path.push('/');
        path.push_str(&text::encoded(name));
    }
    Err(Trouble::Moved(path))
}

async fn show(
    State(app): State<App>,
    Extension(notices): Extension<Arc<actions::Notices>>,
    user: Option<Extension<User>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let user = user.map(|Extension(user)| user).unwrap_or_default();
    let Some(mut ask) = Ask::new(&uri, &app.options.prefix) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    ask.notice = notices.find(ask.get("notice"));
    let result = render(&app, &ask).await;
    whole(&app, &user, &ask, &headers, result)
}

/// The first page. Below a prefix this is its address without the last slash, from which relative
/// links would lead past the prefix; with the slash it is none of the routes.
async fn first(
    prefix: Result<NestedPath, NestedPathRejection>,
    state: State<App>,
    notices: Extension<Arc<actions::Notices>>,
    user: Option<Extension<User>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    match prefix {
        Ok(prefix) => redirect(&format!("{}/", prefix.as_str().rsplit('/').next().unwrap_or_default())),
        Err(_) => show(state, notices, user, uri, headers).await,
    }
}

async fn act(
    State(app): State<App>,
    Extension(notices): Extension<Arc<actions::Notices>>,
    user: Option<Extension<User>>,
    uri: Uri,
    headers: HeaderMap,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let user = user.map(|Extension(user)| user).unwrap_or_default();
    let Some(ask) = Ask::new(&uri, &app.options.prefix) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let form = actions::Form::new(fields);
    let result = match ask.path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["topology", id, action] => actions::act(&app, &notices, &ask, id, action, &form).await,
        _ => Err(Trouble::NotFound("Nothing can be done here.".to_owned())),
    };
    whole(&app, &user, &ask, &headers, result)
}

/// The page with what is around it.
fn whole(app: &App, user: &User, ask: &Ask, headers: &HeaderMap, result: Result<Page, Trouble>) -> Response {
    let page = match result {
        Ok(page) => page,
        Err(Trouble::Moved(to)) => return redirect(&to),
        Err(trouble) => error::page(ask, &trouble),
    };
    let (theme, chosen) = layout::theme(ask.get("theme"), headers);
    let html = layout::around(app, user, ask, theme, &page);
    let mut response = (page.status, Html(html)).into_response();
    let answers = response.headers_mut();
    answers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(cookie) = chosen {
        answers.insert(SET_COOKIE, HeaderValue::from_static(cookie));
    }
    response
}

fn redirect(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response(),
        // Paths are encoded: this is none of ours.
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(uri: &str, prefix: &str) -> Ask {
        Ask::new(&uri.parse().unwrap(), prefix).unwrap()
    }

    #[test]
    fn links_lead_to_the_root_from_any_depth() {
        let roots = ["/", "/nimbus", "/logs/view", "/topology/a/component/b"].map(root);
        assert_eq!(roots, ["./", "./", "../", "../../../"]);
        assert_eq!(ask("/storm/topology/a", "/storm").root, "../");
        assert_eq!(ask("/stormy/topology/a", "/storm").root, "../../");
        assert_eq!(ask("/storm", "/storm").path.len(), 0);
    }

    #[test]
    fn names_are_decoded_one_by_one() {
        let ask = ask("/topology/a%2Fb/component/%3Cb%3E?window=1d&notice=7&q=a%26b", "");
        assert_eq!(ask.path, ["topology", "a/b", "component", "<b>"]);
        assert_eq!(ask.again, "/topology/a%2Fb/component/%3Cb%3E?q=a%26b&window=1d");
        assert!(Ask::new(&"/topology/%ff".parse().unwrap(), "").is_none());
    }

    #[test]
    fn a_link_to_the_same_page_keeps_its_other_parameters() {
        let ask = ask("/logs/view?file=a%2Fb&address=c:1&theme=light&notice=7", "");
        assert_eq!(ask.with("theme", "dark"), "?address=c%3A1&file=a%2Fb&theme=dark");
        assert_eq!(ask.with("file", "d"), "?address=c%3A1&file=d");
    }

    #[test]
    fn storms_pages_have_their_places_here() {
        let Err(Trouble::Moved(to)) = moved("topology", &["a b", "component", "../x"]) else { panic!() };
        assert_eq!(to, "topology/a%20b/component/..%2Fx");
    }
}
