//! The pages of made-up clusters: all that link to each other, what they say, and what they do.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
        Ui::of(seed.clone(), seed, options)
    }

    /// Pages of a source that has much of `seed`.
    fn of(source: impl Source, seed: Seed, options: Options) -> Ui {
        let router = router(App::new(source, options));
        Ui { router: router.layer(MockConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1)))), seed }
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
async fn what_is_found_in_logs_is_shown_in_whole_lines() {
    let ui = Ui::small();
    let topology = ui.topologies().await[0].clone();
    for text in ["INFO", "rows=", ".0"] {
        let found = ui.page(&format!("/logs/search?text={text}&topology={}", topology.id)).await;
        let hits: Vec<&str> = found.split("title=\"byte ").skip(1).collect();
        assert!(hits.len() >= 50, "{found}");
        for hit in hits {
            let spans = hit.split_once("\">").and_then(|(_, rest)| rest.split_once("</a>")).unwrap().0;
            let line = ["<span>", "</span>", "<mark>", "</mark>"]
                .iter()
                .fold(spans.to_owned(), |line, tag| line.replace(tag, ""));
            let is_end =
                |word: &str| word.strip_prefix("rows=").is_some_and(|rows| rows.parse::<u32>().is_ok());
            assert!(
                line.starts_with("2026-01-05T07:") && line.split(' ').next_back().is_some_and(is_end),
                "{line}"
            );
            assert!(spans.contains(&format!("<mark>{text}</mark>")), "{spans}");
        }
    }
}

#[tokio::test]
async fn a_log_is_of_a_topology_with_a_name_and_shows_lines_with_a_text_alone() {
    let ui = Ui::small();
    let topology = ui.topologies().await[0].clone();
    let files = ui.page(&format!("/logs?topology={}", topology.id)).await;
    let is_log = |link: &String| link.contains("logs/view") && link.ends_with("worker.log");
    let path = resolved("/logs", &links(&files).into_iter().find(is_log).unwrap());
    let page = ui.page(&path).await;
    let crumb = format!("title=\"{}\">{}</a>", topology.id, topology.name);
    assert!(page.contains(&crumb) && page.contains("class=\"l info\""), "{page}");
    // By Storm's address.
    let file = resolved("/", &path).split("file=").nth(1).unwrap().to_owned();
    let (status, headers, _) = ui.get(&format!("/api/v1/log?file={file}&grep=took+longer")).await;
    assert_eq!(status, StatusCode::FOUND);
    let page = ui.page(headers[header::LOCATION].to_str().unwrap()).await;
    let lines = page.split_once("<pre").unwrap().1.split_once("</pre>").unwrap().0;
    assert!(lines.contains("took longer") && !lines.contains("class=\"l info\""), "{lines}");
    assert!(page.contains("grep=took") && page.contains(">all lines</a>"), "{page}");
}

#[tokio::test]
async fn a_search_of_all_machines_goes_on_where_it_ended() {
    let ui = Ui::small();
    let id = ui.topologies().await[0].id.clone();
    let search = async |parameters: String| {
        let path = format!("/api/v1/deepSearch/{id}?search-string=ERROR&search-archived=on{parameters}");
        serde_json::from_str::<serde_json::Value>(&ui.page(&path).await).unwrap()
    };
    let places = |answer: &serde_json::Value| {
        let mut places = Vec::new();
        for file in answer["matches"].as_array().unwrap() {
            for found in file["matches"].as_array().unwrap() {
                places.push(format!("{} {} {}", file["host"], file["fileName"], found["byteOffset"]));
            }
        }
        places
    };
    let all = search("&num-matches=100000".to_owned()).await;
    let hosts: BTreeSet<String> =
        all["matches"].as_array().unwrap().iter().map(|file| file["host"].to_string()).collect();
    assert!(all["fileOffset"] == -1 && all.get("nextByteOffset").is_none() && hosts.len() > 1, "{all}");
    for most in [7, 50] {
        let (mut found, mut next) = (Vec::new(), (0, 0));
        for _ in 0..1_000 {
            let (file, byte) = next;
            let at = format!("&num-matches={most}&start-file-offset={file}&start-byte-offset={byte}");
            let part = search(at).await;
            let here = places(&part);
            assert!(here.len() <= most, "{part}");
            found.extend(here);
            let Some(file) = part["fileOffset"].as_u64() else { break };
            next = (file, part["nextByteOffset"].as_u64().unwrap());
        }
        assert_eq!(found, places(&all), "{most} at a time");
    }
}

#[tokio::test]
async fn a_level_that_ends_is_followed_by_another() {
    let ui = Ui::small();
    let id = ui.topologies().await[0].id.clone();
    let asked = ui.page(&format!("/topology/{id}/log-levels")).await;
    assert!(asked.contains("name=\"reset_level\"") && asked.contains("name=\"timeout_secs\""), "{asked}");
    let form = "logger=a::b&level=DEBUG&timeout_secs=60&reset_level=WARN";
    let (status, headers, body) = ui.post(&format!("/topology/{id}/log-levels"), form).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{body}");
    let commands = ui.seed.commands();
    let [Command::LogLevels(told)] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((told.levels[0].timeout_secs, told.levels[0].reset_level.as_str()), (60, "WARN"));
    let to = headers[header::LOCATION].to_str().unwrap();
    let page = ui.page(&resolved(&format!("/topology/{id}/log-levels"), to)).await;
    assert!(page.contains("at DEBUG, and then at WARN.") && page.contains("UTC, then at WARN."), "{page}");
    // What was filled in stays when it is refused.
    let (status, _, body) = ui.post(&format!("/topology/{id}/log-levels"), &form.replace("60", "0")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(body.contains("value=\"a::b\"") && body.contains("<option value=\"WARN\" selected>"), "{body}");
}

#[tokio::test]
async fn there_are_no_dumps_and_that_is_told() {
    let ui = Ui::small();
    let id = ui.topologies().await[0].id.clone();
    let worker = ui.seed.topology(&id).await.unwrap().status.workers[0].clone();
    let page = ui.page(&format!("/api/v1/dumps/{id}/{}:{}", worker.host, worker.port)).await;
    assert!(page.contains("<ul></ul>"), "{page}");
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

/// A cluster that answers, or does not.
#[derive(Clone)]
struct Moody {
    seed: Seed,
    mood: std::sync::Arc<std::sync::Mutex<Mood>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Answers,
    Refuses,
    Hangs,
}

impl Moody {
    async fn answer<T>(&self, answer: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
        let mood = || *self.mood.lock().unwrap();
        while mood() == Mood::Hangs {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        if mood() == Mood::Refuses { Err(down()) } else { answer.await }
    }
}

#[async_trait::async_trait]
impl Source for Moody {
    async fn cluster(&self) -> Result<std::sync::Arc<ClusterView>, CallError> {
        self.answer(self.seed.cluster()).await
    }
    async fn topology(&self, name: &str) -> Result<std::sync::Arc<TopologyView>, CallError> {
        self.answer(self.seed.topology(name)).await
    }
    async fn config(&self) -> Result<v1::DaemonConfig, CallError> {
        self.answer(self.seed.config()).await
    }
    async fn command(&self, command: Command) -> Result<v1::RebalanceReply, CallError> {
        self.answer(self.seed.command(command)).await
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

#[tokio::test(start_paused = true)]
async fn a_live_page_tells_when_nobody_answers_and_when_somebody_does_again() {
    use futures_util::StreamExt as _;
    for silence in [Mood::Refuses, Mood::Hangs] {
        let mood = std::sync::Arc::new(std::sync::Mutex::new(Mood::Answers));
        let source = Moody { seed: Seed::new(SeedOptions::small()), mood: mood.clone() };
        let router = router(App::new(source, Options::default()))
            .layer(MockConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
        let request = Request::get("/live?page=/").body(Body::empty()).unwrap();
        let mut events = router.oneshot(request).await.unwrap().into_body().into_data_stream();
        let mut next = async || loop {
            let event = events.next().await.unwrap().unwrap();
            let event = String::from_utf8_lossy(&event).into_owned();
            // What keeps the line alive is a comment.
            if !event.starts_with(':') {
                return event;
            }
        };
        let first = next().await;
        assert!(first.starts_with("data:") && first.contains("word-count"), "{first}");
        let asked = tokio::time::Instant::now();
        *mood.lock().unwrap() = silence;
        let away = next().await;
        assert!(away.starts_with("event: away\n") && away.contains(" UTC"), "{away}");
        assert!(asked.elapsed() < std::time::Duration::from_secs(10));
        // It is told once, and the same page comes again when it is over.
        let back = async {
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            *mood.lock().unwrap() = Mood::Answers;
        };
        let (again, ()) = tokio::join!(next(), back);
        assert_eq!(again, first);
    }
}

/// A made-up cluster all of whose log files are this one. It counts the searches that it is asked for.
#[derive(Clone)]
struct OneFile {
    seed: Seed,
    text: Arc<str>,
    searches: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl Source for OneFile {
    async fn cluster(&self) -> Result<Arc<ClusterView>, CallError> {
        self.seed.cluster().await
    }
    async fn topology(&self, name: &str) -> Result<Arc<TopologyView>, CallError> {
        self.seed.topology(name).await
    }
    async fn config(&self) -> Result<v1::DaemonConfig, CallError> {
        self.seed.config().await
    }
    async fn command(&self, command: Command) -> Result<v1::RebalanceReply, CallError> {
        self.seed.command(command).await
    }
    async fn list_files(
        &self,
        address: &str,
        request: v1::ListFilesRequest,
    ) -> Result<Vec<v1::LogFile>, CallError> {
        self.seed.list_files(address, request).await
    }
    async fn read_file(&self, _: &str, request: v1::ReadFileRequest) -> Result<LogBytes, CallError> {
        let size = self.text.len();
        let start = match usize::try_from(request.start) {
            Ok(start) => start.min(size),
            Err(_) => size.saturating_sub(request.start.unsigned_abs() as usize),
        };
        let end = start.saturating_add(request.length as usize).min(size);
        let data = self.text.as_bytes()[start..end].to_vec();
        let part = v1::FileBytes { offset: start as u64, size: size as u64, data };
        Ok(Box::pin(futures_util::stream::iter([Ok(part)])))
    }
    async fn search_files(&self, _: &str, _: v1::SearchFilesRequest) -> Result<v1::FoundInFiles, CallError> {
        self.searches.fetch_add(1, Ordering::Relaxed);
        Ok(v1::FoundInFiles::default())
    }
}

impl OneFile {
    fn new(text: &str) -> OneFile {
        OneFile { seed: Seed::new(SeedOptions::small()), text: text.into(), searches: Arc::default() }
    }

    fn ui(&self) -> Ui {
        Ui::of(self.clone(), self.seed.clone(), Options::default())
    }
}

/// The text of a log on its page.
fn text_of(page: &str) -> String {
    let spans = page.split_once("data-log").unwrap().1.split_once("</pre>").unwrap().0;
    spans
        .split("<span")
        .skip(1)
        .map(|span| span.split_once('>').unwrap().1.trim_end_matches("</span>"))
        .collect()
}

#[tokio::test]
async fn whoever_turns_the_pages_of_a_log_reads_all_of_it() {
    let line = |number: usize| match number {
        // Longer than a page, and than several.
        700 => format!("long {}\n", "abcdefghi ".repeat(10_240)),
        1_500 => format!("longer {}\n", "jklmnopqr ".repeat(25_600)),
        number => format!("line {number} {}\n", "x".repeat(number % 190)),
    };
    let file: String = (0..3_000).map(line).collect();
    let ui = OneFile::new(&file).ui();
    let first = "/logs/view?address=nimbus-1:6627&file=nimbus.log&daemon=1&start=0";
    for length in ["", "&length=4096"] {
        let (mut path, mut read) = (format!("{first}{length}"), String::new());
        for _ in 0..1_000 {
            let page = ui.page(&path).await;
            read.push_str(&text_of(&page));
            let Some((before, _)) = page.split_once("\" rel=\"next\"") else { break };
            let next = before.rsplit_once("href=\"").unwrap().1.replace("&amp;", "&").replace("&#38;", "&");
            if next.contains("goes_on=1") {
                // Each part of a line ends with a break of its own on its page.
                assert_eq!(read.pop(), Some('\n'));
            }
            path = resolved("/logs/view", &next);
        }
        assert!(read == file, "{} of {} bytes", read.len(), file.len());
    }
}

#[tokio::test]
async fn a_place_beyond_every_file_is_no_trouble() {
    let ui = OneFile::new("one\ntwo\n").ui();
    let path = "/logs/view?address=nimbus-1:6627&file=nimbus.log&daemon=1";
    for place in ["at=18446744073709551615&len=9", "start=18446744073709551615", "start=8", "start=9"] {
        let page = ui.page(&format!("{path}&{place}")).await;
        assert!(page.contains(">Previous</a>") && text_of(&page).is_empty(), "{place}: {page}");
    }
}

#[tokio::test]
async fn a_match_of_the_interface_leads_to_where_it_stands() {
    let ui = Ui::small();
    let view = ui.seed.topology(&ui.topologies().await[0].id).await.unwrap();
    let worker = &view.status.workers[0];
    let file = format!("{}%2F{}%2Fworker.log", view.summary().id, worker.port);
    let of_file = format!("search?file={file}&host={}&search-string=took+longer&num-matches=4", worker.host);
    let of_all = format!("deepSearch/{}?search-string=took+longer&num-matches=4", view.summary().id);
    for (path, place) in [(of_file, "/matches/3"), (of_all, "/matches/0/matches/3")] {
        let found: serde_json::Value =
            serde_json::from_str(&ui.page(&format!("/api/v1/{path}")).await).unwrap();
        let url = found.pointer(&format!("{place}/logviewerURL")).unwrap().as_str().unwrap();
        let (status, headers, _) = ui.get(url.strip_prefix("http://localhost").unwrap()).await;
        assert_eq!(status, StatusCode::FOUND, "{url}");
        let (to, hit) = headers[header::LOCATION].to_str().unwrap().split_once('#').unwrap();
        let page = ui.page(to).await;
        let offset = found.pointer(&format!("{place}/byteOffset")).unwrap().as_u64().unwrap();
        let marked =
            page.split_once(&format!("<mark id=\"{hit}\">took longer</mark>")).expect("it is marked").0;
        let line: u64 = marked.rsplit_once("id=\"b").unwrap().1.split('"').next().unwrap().parse().unwrap();
        assert!(line < offset && offset < line + 200, "byte {offset} is in the line at {line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_does_not_change_is_made_once() {
    let source = OneFile::new("");
    let ui = source.ui();
    let body = Request::get("/live?page=/logs/search?text%3Da").body(Body::empty()).unwrap();
    let response = ui.router.clone().oneshot(body).await.unwrap();
    let all = to_bytes(response.into_body(), usize::MAX);
    let all = tokio::time::timeout(std::time::Duration::from_secs(10), all).await;
    let machines =
        ui.seed.cluster().await.unwrap().cluster.supervisors.iter().filter(|s| !s.is_silent).count();
    assert_eq!(source.searches.load(Ordering::Relaxed), machines, "each machine once");
    let said = all.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&said);
    assert!(said.matches("data:").count() == 1 && said.contains("\"still\":true"), "{said}");
}

#[tokio::test]
async fn links_to_the_same_page_keep_what_was_asked_for() {
    let ui = Ui::small();
    let id = ui.topologies().await[0].id.clone();
    let component = ui.seed.topology(&id).await.unwrap().spec.components.keys().next().unwrap().clone();
    let page = ui.page(&format!("/topology/{id}/component/{component}?rows=all&window=3h&notice=1")).await;
    let links_of = links(&page);
    for link in ["?rows=all&window=1d", "?rows=all&window=3h&theme=dark"] {
        assert!(links_of.contains(link), "{link}: {links_of:?}");
    }
    let page = ui.page("/logs/view?address=nimbus-1:6627&file=nimbus.log&daemon=1&theme=dark").await;
    let link = "?address=nimbus-1%3A6627&daemon=1&file=nimbus.log&theme=light";
    assert!(links(&page).contains(link), "{:?}", links(&page));
}

#[tokio::test]
async fn a_rebalance_changes_what_a_component_tells_of_itself() {
    let ui = Ui::small();
    let id = ui.topologies().await[0].id.clone();
    let component = ui.seed.topology(&id).await.unwrap().status.components[0].id.clone();
    let change = |view: &mut TopologyView| {
        let status = &mut view.status.components[0];
        (status.executors, status.tasks) = (77, 99);
    };
    ui.seed.change(&id, change).unwrap();
    let page = ui.page(&format!("/topology/{id}/component/{component}")).await;
    assert!(page.contains("<dt>Executors</dt><dd>77</dd><small>99 tasks</small>"), "{page}");
}

#[tokio::test]
async fn slots_of_whoever_is_silent_are_not_free() {
    let ui = Ui::small();
    let rest: serde_json::Value = serde_json::from_str(&ui.page("/api/v1/cluster/summary").await).unwrap();
    let (used, total) = (&rest["slotsUsed"], &rest["slotsTotal"]);
    assert_eq!(*total, 8, "of three supervisors one is silent");
    let tile = format!("<dt>Slots</dt><dd>{used}/{total}</dd><small>{} free</small>", rest["slotsFree"]);
    assert!(ui.page("/").await.contains(&tile), "{tile}");
}

#[tokio::test]
async fn a_kill_without_a_wait_tells_the_topologys_own() {
    let ui = Ui::small();
    let id = ui.topologies().await[0].id.clone();
    let change = |view: &mut TopologyView| {
        drop(view.config.insert("topology.message.timeout.secs".to_owned(), 45.into()))
    };
    ui.seed.change(&id, change).unwrap();
    let (_, headers, _) = ui.post(&format!("/topology/{id}/kill"), "wait_secs=").await;
    let to = headers[header::LOCATION].to_str().unwrap();
    let told = ui.page(&resolved(&format!("/topology/{id}/kill"), to)).await;
    assert!(told.contains("it ends within 45 s."), "{told}");
}

#[tokio::test]
async fn whose_logs_are_missing_is_told() {
    let ui = Ui::small();
    let topology = ui.topologies().await[0].clone();
    let cluster = ui.seed.cluster().await.unwrap();
    let silent = cluster.cluster.supervisors.iter().find(|s| s.is_silent).unwrap();
    let page = ui.page(&format!("/logs?topology={}", topology.id)).await;
    let address = format!("{}:{}", silent.host, silent.rpc_port);
    assert!(page.contains(&format!("Not asked, as nobody has heard of it: {address}.")), "{page}");
    assert!(!ui.page("/logs").await.contains("Not asked"), "nobody was to be asked");
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
        assert!(
            body.contains("connection refused") && body.contains("tell whoever runs the cluster"),
            "{body}"
        );
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
