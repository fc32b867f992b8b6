//! The page's own small server.

use std::io;

use axum::Router;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use thiserror::Error;
use tokio::net::TcpListener;

use crate::page::{Format, Page};

/// Why a page cannot be served.
#[derive(Debug, Error)]
pub enum ExpositionError {
    /// The address is taken, or is not of this machine.
    #[error(
        "cannot listen on {address} for metrics: {source}; set '{key}' to another port, or to 0 for none"
    )]
    Listen {
        /// Where.
        address: String,
        /// The key that sets the port.
        key: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// Where a daemon shows its metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Whether somebody asked for this port: else the daemon goes on without when it is taken.
    pub is_asked_for: bool,
    /// The key that sets the port.
    pub key: &'static str,
}

impl Listen {
    /// Binds the port.
    ///
    /// # Errors
    /// When that is not possible and the port was asked for. The usual port may be another daemon's on
    /// the same machine: then there is a warning and no listener.
    pub async fn bind(&self, address: &str) -> Result<Option<TcpListener>, ExpositionError> {
        let address = format!("{address}:{}", self.port);
        let bound = TcpListener::bind(&address).await;
        let bound = bound.map_err(|source| ExpositionError::Listen { address, key: self.key, source });
        match bound {
            Ok(listener) => {
                let port = listener.local_addr().map_or(self.port, |address| address.port());
                tracing::info!(port, "metrics are served");
                Ok(Some(listener))
            }
            Err(error) if !self.is_asked_for => {
                tracing::warn!(%error, "no metrics are served");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// A page as an answer, in the format that the client accepts.
pub fn respond(request: &HeaderMap, page: Page) -> Response {
    let accept = request.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::accepted(&accept.collect::<Vec<_>>().join(","));
    ([(header::CONTENT_TYPE, format.content_type())], page.text(format)).into_response()
}

/// Serves `/metrics` until `end` is done. The page is made anew for each request.
///
/// # Errors
/// When the server breaks.
pub async fn serve<C, P>(
    listener: TcpListener,
    collect: C,
    end: impl Future<Output = ()> + Send,
) -> io::Result<()>
where
    C: Fn() -> P + Clone + Send + Sync + 'static,
    P: Future<Output = Page> + Send + 'static,
{
    let metrics = async move |request: HeaderMap| respond(&request, collect().await);
    let router = Router::new().route("/metrics", get(metrics));
    // Who is being answered when it ends asks the next one: nothing here is worth waiting for.
    tokio::select! {
        served = axum::serve(listener, router) => served,
        () = end => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use storm_figures::metrics;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    const USUAL: Listen = Listen { port: 0, is_asked_for: false, key: "nimbus.metrics.port" };

    async fn get(port: u16, path: &str, accept: &str) -> String {
        let mut line = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept: {accept}\r\n\r\n");
        line.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        line.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_page_is_made_for_each_request_in_the_format_that_is_accepted() {
        let listener = USUAL.bind("127.0.0.1").await.unwrap().unwrap();
        let port = listener.local_addr().unwrap().port();
        let collect = || async {
            let mut page = Page::default();
            page.count(&metrics::RESTARTS, &["words", "6700"], 2);
            page
        };
        let ask = async {
            let plain = get(port, "/metrics", "*/*").await;
            assert!(
                plain.starts_with("HTTP/1.1 200") && plain.contains("text/plain; version=0.0.4"),
                "{plain}"
            );
            assert!(
                plain.ends_with("storm_worker_restarts_total{topology=\"words\",port=\"6700\"} 2\n"),
                "{plain}"
            );
            let newer = get(port, "/metrics", "application/openmetrics-text;version=1.0.0").await;
            assert!(newer.contains("application/openmetrics-text") && newer.ends_with("# EOF\n"), "{newer}");
            assert!(get(port, "/", "*/*").await.starts_with("HTTP/1.1 404"));
        };
        serve(listener, collect, ask).await.unwrap();
    }

    #[tokio::test]
    async fn only_a_port_that_was_asked_for_has_to_be_free() {
        let taken = USUAL.bind("127.0.0.1").await.unwrap().unwrap();
        let usual = Listen { port: taken.local_addr().unwrap().port(), ..USUAL };
        assert!(usual.bind("127.0.0.1").await.unwrap().is_none());
        let error = Listen { is_asked_for: true, ..usual.clone() }.bind("127.0.0.1").await.unwrap_err();
        let start = format!("cannot listen on 127.0.0.1:{} for metrics: ", usual.port);
        assert!(error.to_string().starts_with(&start), "{error}");
        assert!(error.to_string().ends_with("; set 'nimbus.metrics.port' to another port, or to 0 for none"));
    }
}
