//! The pages of made-up clusters: all that link to each other, what they say, and what they do.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use axum::body::{Body, to_bytes};
use axum::extract::connect_info::MockConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, header};
use storm_rpc::{CallError, ErrorCode, v1};
use storm_ui::seed::{Seed, SeedOptions};
use storm_ui::source::{Command, LogBytes};
use storm_ui::{App, ClusterView, Options, Source, TopologyView, router};
use tower::ServiceExt as _;

struct Ui {
    router: axum::Router,
    seed: Seed,
}

impl Ui {
    fn new(seed: SeedOptions, options: Options) -> Ui {
        let seed = Seed::new(seed);
        let app = App::new(seed.clone(), options);
        Ui { router: router(app).layer(MockConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1)))), seed }
    }

    fn small() -> Ui {
        Ui::new(SeedOptions::small(), Options::default())
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, headers, String::from_utf8_lossy(&body).into_owned())
    }

    async fn get(&self, path: &str) -> (StatusCode, HeaderMap, String) {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn page(&self, path: &str) -> String {
        let (status, _, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, form: &str) -> (StatusCode, HeaderMap, String) {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    async fn topologies(&self) -> Vec<v1::TopologySummary> {
        self.seed.cluster().await.unwrap().topologies.clone()
    }
}

/// Where links, forms and assets of a page lead, as they are written.
fn links(html: &str) -> BTreeSet<String> {
    let mut links = BTreeSet::new();
    for attribute in [" href=\"", " action=\"", " src=\"", " data-follow=\""] {
        for part in html.split(attribute).skip(1) {
            let link = part.split('"').next().unwrap();
            links.insert(link.replace("&amp;", "&").replace("&#38;", "&"));
        }
    }
    links
}

/// A link as a browser takes it, without its fragment.
fn resolved(base: &str, link: &str) -> String {
    let link = link.split('#').next().unwrap();
    let path = base.split('?').next().unwrap();
    if link.is_empty() {
        return base.to_owned();
    }
    if link.starts_with('?') {
        return format!("{path}{link}");
    }
    let (link, query) =
        link.split_once('?').map_or((link, String::new()), |(link, query)| (link, format!("?{query}")));
    let mut names: Vec<&str> = path.split('/').skip(1).collect();
    names.pop();
    for name in link.split('/') {
        match name {
            "." => {}
            ".." => assert!(names.pop().is_some(), "'{link}' of {base} leads above the root"),
            name => names.push(name),
        }
    }
    if link.ends_with("./") || link == "." || link == ".." {
        // The last name is empty: a directory.
        names.retain(|name| !name.is_empty());
        let directory = names.iter().map(|name| format!("/{name}")).collect::<String>();
        return format!("{directory}/{query}");
    }
    format!("/{}{query}", names.join("/"))
}

/// Follows all links of a cluster from its first page, and checks each page on the way.
async fn crawl(ui: &Ui, first: &str, most: usize) -> BTreeSet<String> {
    // Of pages that differ in their parameters alone some are enough.
    const VARIANTS: usize = 6;
    let mut seen = BTreeSet::new();
    let mut variants: BTreeMap<String, usize> = BTreeMap::new();
    let mut open = vec![first.to_owned()];
    while let Some(path) = open.pop() {
        if seen.len() >= most || path.contains("/logs/tail") || !seen.insert(path.clone()) {
            continue;
        }
        let count = variants.entry(path.split('?').next().unwrap().to_owned()).or_default();
        *count += 1;
        if *count > VARIANTS {
            continue;
        }
        let (status, headers, body) = ui.get(&path).await;
        // The logs of a machine that is silent are not there.
        let may_fail = path.contains("/logs/");
        assert!(status.is_success() || may_fail, "{path}: {status} {body}");
        let is_page =
            headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if !is_page {
            continue;
        }
        assert!(body.contains("<main") && !body.contains("NaN") && !body.contains(">inf"), "{path}");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("script-src 'self';"), "{policy}");
        assert_eq!(body.matches("<script").count(), 1, "{path}: scripts stand in a file");
        assert!(!body.contains(" onclick="), "{path}");
        for link in links(&body) {
            assert!(!link.starts_with('/') && !link.contains("://"), "{path}: '{link}' is not relative");
            let to = resolved(&path, &link);
            if !link.contains("theme=") {
                open.push(to);
            }
        }
    }
    seen
}

#[tokio::test]
async fn all_links_of_a_small_cluster_lead_somewhere() {
    let seen = crawl(&Ui::small(), "/", 4000).await;
    for kind in [
        "/nimbus",
        "/config",
        "/logs",
        "/logs/view",
        "/supervisor/",
        "/component/",
        "/kill",
        "/rebalance",
        "/assets/app.js",
    ] {
        assert!(seen.iter().any(|path| path.contains(kind)), "{kind}: {seen:?}");
    }
}

#[tokio::test]
async fn links_keep_a_prefix() {
    let options = Options { prefix: "/a/storm".to_owned(), ..Options::default() };
    let ui = Ui::new(SeedOptions::small(), options);
    let seen = crawl(&ui, "/a/storm/", 300).await;
    // Relative links of a page without the last slash would lead past the prefix.
    let (status, headers, _) = ui.get("/a/storm").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers[header::LOCATION], "storm/");
    assert!(seen.len() > 30 && seen.iter().all(|path| path.starts_with("/a/storm/")), "{seen:?}");
}

#[tokio::test]
async fn pages_of_every_cluster_say_what_runs() {
    for options in [SeedOptions::small(), SeedOptions::default(), SeedOptions::large()] {
        let ui = Ui::new(options, Options::default());
        let cluster = ui.page("/").await;
        for topology in ui.topologies().await {
            assert!(cluster.contains(&topology.name), "{}", topology.name);
        }
        for topology in ui.topologies().await.iter().take(12) {
            let page = ui.page(&format!("/topology/{}?window=all", topology.id)).await;
            let view = ui.seed.topology(&topology.id).await.unwrap();
            for id in view.spec.components.keys() {
                assert!(page.contains(id.as_str()), "{id}");
                let component = ui.page(&format!("/topology/{}/component/{id}?window=3h", topology.id)).await;
                assert!(component.contains("Executors") && component.contains("class=\"graph\""), "{id}");
            }
        }
    }
}

#[tokio::test]
async fn what_comes_from_outside_stays_text() {
    const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let ui = Ui::small();
    let id = ui.topologies().await[0].id.clone();
    let change = |view: &mut TopologyView| {
        let component = view.spec.components.keys().next().unwrap().clone();
        view.status.errors.push(v1::ErrorReport {
            time_ms: 1_767_600_000_000,
            component: component.to_string(),
            host: EVIL.to_owned(),
            message: format!("{EVIL}\n{EVIL}"),
            kind: EVIL.to_owned(),
            ..Default::default()
        });
        view.status.explanation = EVIL.to_owned();
        view.status.unplaced.push(v1::Unplaced {
            component: EVIL.to_owned(),
            executors: 1,
            reason: EVIL.to_owned(),
        });
        view.status.log_levels.push(v1::LogLevel {
            logger: EVIL.to_owned(),
            level: EVIL.to_owned(),
            ..Default::default()
        });
        view.config.insert(EVIL.to_owned(), EVIL.into());
        let spec = view.spec.components[&component].clone();
        view.spec.components.insert(EVIL.into(), spec);
        if let Some(summary) = &mut view.status.summary {
            (summary.owner, summary.unplaced_executors) = (EVIL.to_owned(), 1);
            summary.name = EVIL.to_owned();
        }
    };
    ui.seed.change(&id, change).unwrap();
    let component =
        "%3Cscript%3Ealert%281%29%3C%2Fscript%3E%22%27%3E%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E";
    for path in [
        "/".to_owned(),
        format!("/topology/{id}"),
        format!("/topology/{id}/component/{component}"),
        format!("/topology/{id}/rebalance"),
        format!("/topology/{id}/log-levels"),
        format!("/topology/{id}/debug?component={component}"),
        format!("/topology/{id}/restart?host={component}&port={component}"),
        format!("/search?q={component}"),
        format!("/logs/search?text={component}&topology={id}"),
        format!("/logs?topology={component}"),
        format!("/logs/view?address={component}&file={component}"),
        format!("/topology/{component}"),
        format!("/{component}"),
        "/search?q=alert".to_owned(),
    ] {
        let (_, _, body) = ui.get(&path).await;
        assert!(body.contains("<main"), "{path}: {body}");
        assert!(!body.contains("<script>alert") && !body.contains("<img"), "{path}");
    }
}

#[tokio::test]
async fn storms_addresses_lead_to_ours() {
    let ui = Ui::small();
    for (old, new) in [
        ("/index.html", "./"),
        ("/topology.html?id=a-1-2", "topology/a-1-2"),
        ("/component.html?id=split&topology_id=a-1-2", "topology/a-1-2/component/split"),
        ("/supervisor.html?id=abc", "supervisor/abc"),
    ] {
        let (status, headers, _) = ui.get(old).await;
        assert_eq!(
            (status, headers[header::LOCATION].to_str().unwrap()),
            (StatusCode::SEE_OTHER, new),
            "{old}"
        );
    }
    for path in [
        "/nothing",
        "/topology/nothing",
        "/topology/a/component/b/c",
        "/supervisor/nothing",
        "/assets/nothing",
    ] {
        assert_eq!(ui.get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn actions_are_asked_for_and_done() {
    let ui = Ui::small();
    let id = ui.topologies().await[0].id.clone();
    let asked = ui.page(&format!("/topology/{id}/kill")).await;
    assert!(asked.contains("method=\"post\"") && asked.contains("name=\"wait_secs\""), "{asked}");
    let (status, headers, _) = ui.post(&format!("/topology/{id}/kill"), "command_id=c1&wait_secs=7").await;
    let to = headers[header::LOCATION].to_str().unwrap();
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert!(to.starts_with(&format!("../../topology/{id}?notice=")), "{to}");
    let told = ui.page(&resolved(&format!("/topology/{id}/kill"), to)).await;
    assert!(told.contains("it ends within 7 s") && told.contains("killed"), "{told}");
    let commands = ui.seed.commands();
    let [Command::Kill(kill)] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((kill.command_id.as_str(), kill.wait_secs), ("c1", Some(7)));
}

#[tokio::test]
async fn a_rebalance_is_tried_before_it_is_done() {
    let ui = Ui::small();
    let id = ui.topologies().await[0].id.clone();
    let view = ui.seed.topology(&id).await.unwrap();
    let component = view.spec.components.keys().next().unwrap().clone();
    let form = format!("command_id=c1&wait_secs=&executors.{component}=1&dry_run=1");
    let (status, _, body) = ui.post(&format!("/topology/{id}/rebalance"), &form).await;
    assert!(status == StatusCode::OK && body.contains("would move"), "{body}");
    let commands = ui.seed.commands();
    let [Command::Rebalance(tried)] = &commands[..] else { panic!("{commands:?}") };
    assert!(tried.dry_run && tried.command_id != "c1" && tried.wait_secs.is_none());
    let (status, _, body) = ui.post(&format!("/topology/{id}/rebalance"), "workers=many").await;
    assert!(
        status == StatusCode::UNPROCESSABLE_ENTITY && body.contains("&#39;many&#39; is not a number"),
        "{body}"
    );
    let (status, _, body) = ui.post(&format!("/topology/{id}/restart"), "host=elsewhere&port=1").await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && body.contains("has no worker at"), "{body}");
}

#[tokio::test]
async fn without_actions_nothing_is_offered_and_nothing_done() {
    let ui = Ui::new(SeedOptions::small(), Options { actions: false, ..Options::default() });
    let id = ui.topologies().await[0].id.clone();
    let page = ui.page(&format!("/topology/{id}")).await;
    assert!(!page.contains("/kill\"") && !page.contains("restart?"), "{page}");
    assert_eq!(ui.get(&format!("/topology/{id}/kill")).await.0, StatusCode::FORBIDDEN);
    assert_eq!(ui.post(&format!("/topology/{id}/kill"), "").await.0, StatusCode::FORBIDDEN);
    assert!(ui.seed.commands().is_empty());
}

#[tokio::test]
async fn logs_are_read_page_by_page_and_only_of_the_cluster() {
    let ui = Ui::small();
    let topology = ui.topologies().await[0].clone();
    let files = ui.page(&format!("/logs?topology={}", topology.id)).await;
    let link = links(&files)
        .into_iter()
        .find(|link| link.contains("logs/view") && link.contains("worker.log"))
        .unwrap();
    let path = resolved("/logs", &link);
    let last = ui.page(&path).await;
    assert!(last.contains("class=\"l info\"") && last.contains("data-follow"), "{last}");
    let first = ui.page(&format!("{path}&start=0&length=4096")).await;
    assert!(first.contains("id=\"b0\"") && first.contains(">Next</a>"), "{first}");
    let (status, headers, body) = ui.get(&path.replace("/view", "/download")).await;
    assert!(status == StatusCode::OK && !body.is_empty());
    assert!(headers[header::CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment; filename="));
    for page in ["view", "download", "tail"] {
        let path = format!("/logs/{page}?address=169.254.169.254:80&file=x");
        assert_eq!(ui.get(&path).await.0, StatusCode::NOT_FOUND, "{page}");
    }
}

#[tokio::test]
async fn a_search_in_logs_leads_to_the_line() {
    let ui = Ui::small();
    let topology = ui.topologies().await[0].clone();
    let found = ui.page(&format!("/logs/search?text=INFO&topology={}", topology.id)).await;
    let link = links(&found).into_iter().find(|link| link.contains("&at=")).unwrap();
    let page = ui.page(&resolved("/logs/search", &link)).await;
    assert!(page.contains("<mark id=\"hit\">INFO</mark>"), "{page}");
}

#[tokio::test]
async fn the_search_finds_what_has_the_name() {
    let ui = Ui::small();
    let topology = ui.topologies().await[0].clone();
    let host = ui.seed.cluster().await.unwrap().cluster.supervisors[0].host.clone();
    let view = ui.seed.topology(&topology.id).await.unwrap();
    let component = view.spec.components.keys().next().unwrap().clone();
    for (q, link) in [
        (topology.name.to_uppercase(), format!("./topology/{}", topology.id)),
        (host, "./supervisor/".to_owned()),
        (component.to_string(), format!("./topology/{}/component/{component}", topology.id)),
    ] {
        let page = ui.page(&format!("/search?q={q}")).await;
        assert!(links(&page).iter().any(|found| found.starts_with(&link)), "{q}: {page}");
    }
    assert!(ui.page("/search?q=no-such-thing").await.contains("Nothing has that in its name"));
}

/// Nobody is there.
struct Down;

#[async_trait::async_trait]
impl Source for Down {
    async fn cluster(&self) -> Result<std::sync::Arc<ClusterView>, CallError> {
        Err(down())
    }
    async fn topology(&self, _: &str) -> Result<std::sync::Arc<TopologyView>, CallError> {
        Err(down())
    }
    async fn config(&self) -> Result<v1::DaemonConfig, CallError> {
        Err(down())
    }
    async fn command(&self, _: Command) -> Result<v1::RebalanceReply, CallError> {
        Err(down())
    }
    async fn list_files(&self, _: &str, _: v1::ListFilesRequest) -> Result<Vec<v1::LogFile>, CallError> {
        Err(down())
    }
    async fn read_file(&self, _: &str, _: v1::ReadFileRequest) -> Result<LogBytes, CallError> {
        Err(down())
    }
    async fn search_files(&self, _: &str, _: v1::SearchFilesRequest) -> Result<v1::FoundInFiles, CallError> {
        Err(down())
    }
}

fn down() -> CallError {
    CallError::new(ErrorCode::Unreachable, "cannot connect to nimbus-1:6627: connection refused")
}

#[tokio::test]
async fn a_cluster_that_is_down_is_explained_and_asked_again() {
    let app = App::new(Down, Options::default());
    let router = router(app).layer(MockConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
    for path in ["/", "/topology/a", "/config", "/logs", "/logs/view?address=a&file=b"] {
        let response = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body = String::from_utf8_lossy(&body);
        assert!(body.contains("connection refused") && body.contains("Is Nimbus running"), "{body}");
        assert!(body.contains("data-live="), "it is shown as soon as it is there again");
    }
}

#[tokio::test]
async fn a_theme_is_kept_in_a_cookie() {
    let ui = Ui::small();
    let (_, headers, body) = ui.get("/?theme=dark").await;
    assert!(headers[header::SET_COOKIE].to_str().unwrap().starts_with("storm-theme=dark;"));
    assert!(body.contains("data-theme=\"dark\""), "{body}");
    let request = Request::get("/").header(header::COOKIE, "storm-theme=dark").body(Body::empty()).unwrap();
    assert!(ui.send(request).await.2.contains("data-theme=\"dark\""));
    assert!(!ui.page("/").await.contains("data-theme=\"\""));
}

#[tokio::test]
async fn a_live_page_is_what_the_page_is() {
    use futures_util::StreamExt as _;
    let ui = Ui::small();
    let response = ui
        .router
        .clone()
        .oneshot(Request::get("/live?page=/nimbus").body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let first = response.into_body().into_data_stream().next().await.unwrap().unwrap();
    let first = String::from_utf8_lossy(&first).into_owned();
    let json: serde_json::Value = serde_json::from_str(first.trim().strip_prefix("data:").unwrap()).unwrap();
    assert_eq!(json["title"], "Nimbus");
    let page = ui.page("/nimbus").await;
    assert!(page.contains(json["main"].as_str().unwrap()));
}
