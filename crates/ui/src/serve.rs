//! The server: routes joined, guarded, listened for.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use storm_exposition::Page;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate as _};

use crate::app::App;
use crate::guard::{self, HEALTH, METRICS};
use crate::{pages, rest};

/// Why the pages cannot be served.
#[derive(Debug, Error)]
pub enum UiError {
    /// The address is taken, or is not of this machine.
    #[error("cannot listen on {address}: {reason}; set 'ui.host' and 'ui.port' to another address")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        reason: std::io::Error,
    },
    /// The server ended.
    #[error("the server of the pages ended: {0}")]
    Serve(std::io::Error),
}

/// Everything that is served. Handlers find the [`guard::User`] among the extensions.
///
/// It has to be served with the peer's address, by
/// `into_make_service_with_connect_info::<SocketAddr>()`.
pub fn router(app: App) -> Router {
    let inner = Router::new().nest("/api/v1", rest::routes()).merge(pages::routes());
    let prefix = app.options.prefix.clone();
    let all = match prefix.as_str() {
        "" => inner,
        // A proxy may hand on the whole path, or cut the prefix off.
        prefix => Router::new().nest(prefix, inner.clone()).merge(inner),
    };
    // Events would wait in the compressor.
    let compress = DefaultPredicate::new().and(NotForContentType::const_new("text/event-stream"));
    all.route(HEALTH, get(|| async { "ok\n" }))
        .route(METRICS, get(metrics))
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .layer(middleware::from_fn_with_state(app.clone(), count))
        .layer(CompressionLayer::new().compress_when(compress))
        .layer(middleware::map_response(pass_events_on))
        .with_state(app)
}

/// Asks proxies to hand events on as they come. nginx gathers what it gets into buffers, and a page would
/// stand still for as long as they are not full.
async fn pass_events_on(mut response: Response) -> Response {
    let kind = response.headers().get(CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    }
    response
}

/// What Prometheus reads: the server's own figures. Those of topologies are with the daemons that run them.
async fn metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    let mut page = Page::default();
    page.daemon("ui", app.started.elapsed());
    app.requests.show(&mut page);
    storm_exposition::respond(&headers, page)
}

/// Counts every answer, refusals too, by the pattern of its route.
async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let response = next.run(request).await;
    app.requests.note(route.as_deref().unwrap_or("none"), response.status().as_u16());
    response
}

/// A server that listens already.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens where the options say.
    ///
    /// # Errors
    /// When that is not possible.
    pub async fn bind(app: &App) -> Result<Server, UiError> {
        let (host, port) = (app.options.host.as_str(), app.options.port);
        let failed = |reason| UiError::Listen { address: format!("{host}:{port}"), reason };
        let listener = TcpListener::bind((host, port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Server { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `end` is done. Pages that are kept live are cut off then.
    ///
    /// # Errors
    /// When the server breaks.
    pub async fn serve(
        self,
        app: App,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), UiError> {
        let (ending, mut is_ending) = watch::channel(false);
        let service = router(app).into_make_service_with_connect_info::<SocketAddr>();
        let graceful = axum::serve(self.listener, service).with_graceful_shutdown(async move {
            end.await;
            ending.send_replace(true);
        });
        tokio::select! {
            served = graceful => served.map_err(UiError::Serve),
            // Whoever watches a page never ends by itself.
            () = async {
                is_ending.wait_for(|is_ending| *is_ending).await.ok();
                tokio::time::sleep(GRACE).await;
            } => Ok(()),
        }
    }
}

/// What is under way when it ends has so long.
const GRACE: std::time::Duration = std::time::Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::ConnectInfo;
    use tower::ServiceExt as _;

    use super::*;
    use crate::options::Options;
    use crate::seed::{Seed, SeedOptions};

    #[tokio::test]
    async fn proxies_are_asked_to_hand_events_on_as_they_come() {
        let app = App::new(Seed::new(SeedOptions::small()), Options::default());
        let asked = async |path: &str| {
            let mut request = Request::get(path).body(Body::empty()).unwrap();
            request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
            let response = router(app.clone()).oneshot(request).await.unwrap();
            response.headers().get("x-accel-buffering").cloned()
        };
        assert_eq!(asked("/live?page=/").await, Some(HeaderValue::from_static("no")));
        assert_eq!(asked("/").await, None);
    }
}
