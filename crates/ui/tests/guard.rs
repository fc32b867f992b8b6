//! Who is let in, what other sites may read, and what is told of those who are refused.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::MockConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use storm_ui::seed::{Seed, SeedOptions};
use storm_ui::{App, Authentication, Options, router};
use tower::ServiceExt as _;

fn ui(options: Options) -> Router {
    let app = App::new(Seed::new(SeedOptions::small()), options);
    router(app).layer(MockConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))))
}

async fn send(
    ui: &Router,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = ui.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, headers, String::from_utf8_lossy(&body).into_owned())
}

const SUMMARY: &str = "/api/v1/topology/summary";

#[tokio::test]
async fn pages_of_other_sites_read_nothing_unless_they_are_listed() {
    let closed = ui(Options::default());
    for headers in [&[][..], &[("origin", "https://evil.org")], &[("referer", "https://evil.org/x")]] {
        for path in [SUMMARY, "/api/v1/topology/summary?callback=f", "/"] {
            let (_, headers, _) = send(&closed, Method::GET, path, headers).await;
            assert_eq!(headers["cross-origin-resource-policy"], "same-origin", "{path}");
            assert!(!headers.contains_key("access-control-allow-origin"), "{path}");
        }
    }
    let listed = ui(Options { cors_origins: vec!["https://board.org".to_owned()], ..Options::default() });
    let (_, headers, _) = send(&listed, Method::GET, SUMMARY, &[("origin", "https://board.org")]).await;
    assert_eq!(headers["access-control-allow-origin"], "https://board.org");
    // A script names no origin, but where it stands.
    let path = "/api/v1/topology/summary?callback=f";
    let (_, headers, _) = send(&listed, Method::GET, path, &[("referer", "https://board.org/page")]).await;
    assert!(!headers.contains_key("cross-origin-resource-policy"));
    let (_, headers, _) = send(&listed, Method::GET, path, &[("referer", "https://evil.org/page")]).await;
    assert_eq!(headers["cross-origin-resource-policy"], "same-origin");
    let asks = [("origin", "https://board.org"), ("access-control-request-method", "GET")];
    let (status, headers, _) = send(&listed, Method::OPTIONS, SUMMARY, &asks).await;
    assert_eq!(
        (status, &headers["access-control-allow-methods"]),
        (StatusCode::NO_CONTENT, &"GET, POST".parse().unwrap())
    );
}

#[tokio::test]
async fn a_name_that_was_made_to_point_here_gets_nothing() {
    let ui = ui(Options::default());
    let own =
        [("host", "evil.org:8080"), ("origin", "http://evil.org:8080"), ("sec-fetch-site", "same-origin")];
    let (status, _, body) = send(&ui, Method::GET, SUMMARY, &own).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body.contains("'evil.org'; if it is, add the name to 'ui.hosts'"), "{body}");
    let (status, ..) = send(&ui, Method::GET, SUMMARY, &[("host", "localhost:8080")]).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn an_image_restarts_no_worker_and_a_worker_is_the_topologys_own() {
    let ui = ui(Options::default());
    let (_, _, body) = send(&ui, Method::GET, SUMMARY, &[]).await;
    let summary: serde_json::Value = serde_json::from_str(&body).unwrap();
    let id = summary["topologies"][0]["id"].as_str().unwrap();
    let path = format!("/api/v1/topology/{id}/profiling/restartworker/nowhere:6700");
    let browser = [("host", "127.0.0.1:8080"), ("user-agent", "Mozilla/5.0 (X11; Linux)")];
    let (status, _, body) = send(&ui, Method::GET, &path, &browser).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    for method in [Method::GET, Method::POST] {
        let (status, _, body) = send(&ui, method, &path, &[]).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
        assert!(body.contains("has no worker at nowhere:6700"), "{body}");
    }
}

#[tokio::test]
async fn who_is_refused_is_counted_and_asked_for_what_helps() {
    let users = vec![("ada".to_owned(), bcrypt::hash("lovelace", 4).unwrap())];
    let basic = ui(Options { authentication: Authentication::Basic { users }, ..Options::default() });
    let (status, headers, _) = send(&basic, Method::GET, SUMMARY, &[]).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(headers["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    let (_, _, figures) = send(&basic, Method::GET, "/metrics", &[]).await;
    let is_counted = |line: &str| line.starts_with("storm_ui_requests_total") && line.contains("401");
    assert!(figures.lines().any(is_counted), "{figures}");

    let proxies = vec!["127.0.0.1".parse().unwrap()];
    let header = Authentication::Header { name: "x-forwarded-user".to_owned(), proxies };
    let proxied = ui(Options { authentication: header, ..Options::default() });
    let (status, headers, _) = send(&proxied, Method::GET, SUMMARY, &[]).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    // A password would not help.
    assert!(!headers.contains_key("www-authenticate"));
    let (status, ..) = send(&proxied, Method::GET, SUMMARY, &[("x-forwarded-user", "ada")]).await;
    assert_eq!(status, StatusCode::OK);
}
